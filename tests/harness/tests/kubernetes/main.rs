//! The harness with a real Kubernetes; needs root.

#![expect(clippy::unwrap_used, reason = "a test ends where something does not hold")]

mod cluster;
