//! The harness with real servers and a real Go plugin.

mod vault;
