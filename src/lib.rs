//! The command line around both halves: `serve` is the plugin, everything else brings a plugin to a server.

pub mod app;
pub mod commands;
pub mod config;
pub mod context;
pub mod duration;
pub mod error;
pub mod key_value;
pub mod ui;
pub mod yaml;
