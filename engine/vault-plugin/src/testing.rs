//! An in-memory host for unit tests of an engine.
//!
//! - [`TestMount`] runs an engine and follows the host's rules: an existence check before a write, and leases that are returned
//!   to the engine as it issued them.
//! - [`MemoryStorage`] is storage that can inject errors.
//! - [`StaticSystemView`] contains the host's settings, which a test can change.
//! - [`RecordedEvents`] records events and observations.

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
