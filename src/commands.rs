//! One module per command, and what several of them share.

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
pub mod parent_death;
pub mod presets;
pub mod register;
pub mod reload;
pub mod rollback;
pub mod serve;
pub mod status;
pub mod upgrade;
pub mod version;

pub(crate) mod connect;

mod execute;
mod exit_report;
mod interrupts;
mod mount_data;
mod other_nodes;
mod owner;
mod plan_summary;
mod plugin_args;
mod plugin_dir;
mod plugin_image;
mod plugin_inputs;
mod plugin_name;
mod plugin_request;
mod preset_data;
mod probe;
mod registry;
mod sensitive_fields;
mod smoke_args;
