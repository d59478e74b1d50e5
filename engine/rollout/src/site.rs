//! Where plugin binaries live.

pub(crate) mod local;

/// Permission bits of a placed binary: the server's user may differ from ours and must be able to start it.
pub(crate) const MODE: u32 = 0o755;
