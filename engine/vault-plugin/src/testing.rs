//! Runs an engine without a host: storage in memory that can be made to fail, settings that can be set, events that are
//! kept, and a mount that keeps to the host's rules (existence check before a write, leases handed back as they were
//! stored).

mod events;
mod memory;
mod mount;
mod storage_state;
mod system;
mod transaction;

pub use events::RecordedEvents;
pub use memory::MemoryStorage;
pub use mount::{TestMount, TestMountError};
pub use storage_state::{FailureMode, StorageCall};
pub use system::{StaticSystemView, SystemViewValues};
