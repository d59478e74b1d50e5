//! Rung 3: the repository as a whole, and the binary that users run.

#![expect(clippy::unwrap_used, reason = "a test ends where something does not hold")]

mod dev_command;
mod lab;
mod markdown;
mod shell_commands;

mod architecture_rules;
mod cli_reference;
mod creds_exec;
mod creds_login;
mod creds_watch;
mod dev;
mod dev_durability;
mod dev_host;
mod doctor;
mod documents;
mod go_parity;
mod hardening;
mod import_circles;
mod inspect;
mod install;
mod manifests;
mod offline_commands;
mod plugin_directory;
mod presets;
mod prompts;
mod proxy;
mod sensitive_fields;
mod server_commands;
mod untrusted_binary;
mod upgrade;
mod upgrade_picture;
