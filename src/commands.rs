//! One module per command, and what several of them need.

pub mod completions;
pub mod creds;
pub mod deregister;
pub mod dev;
pub mod doctor;
pub mod gc;
pub mod inspect;
pub mod loader;
pub mod manifests;
pub mod node;
pub mod package;
pub mod register;
pub mod reload;
pub mod rollback;
pub mod serve;
pub(crate) mod site;
pub mod status;
pub mod tied;
pub mod upgrade;
pub mod version;

mod brought;
mod carry_out;
mod data;
mod ended;
mod interrupts;
mod owner;
mod place;
mod placement;
mod probe;
mod registry;
mod sensitive;
