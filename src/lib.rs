//! The command line of both halves: `serve` is the plugin, the other commands operate plugins on a server.

pub mod app;
pub mod commands;
pub mod config;
pub mod context;
pub mod duration;
pub mod error;
pub mod key_value;
pub mod ui;
