//! Runs an engine without a host: storage in memory that can be made to fail, settings that can be set, and a mount
//! that keeps to the host's rules (existence check before a write, leases handed back as they were stored).

mod memory;
mod mount;

pub use memory::{Lasting, MemoryStorage, StaticSystemView, StorageCall};
pub use mount::{Mount, MountError};
