//! One module per command, and what several of them need.

pub mod completions;
pub mod creds;
pub mod dev;
pub mod inspect;
pub mod manifests;
pub mod loader;
pub mod package;
pub mod register;
pub mod reload;
pub mod serve;
pub mod status;
pub mod version;

mod carry_out;
mod data;
mod ended;
mod owner;
mod probe;
