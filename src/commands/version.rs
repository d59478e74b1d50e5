//! `version`: what this is, and what it speaks.

use clap::Args;
use serde::Serialize;

use crate::error::CommandError;
use crate::ui::Report;

/// Nothing to choose.
#[derive(Debug, Args)]
pub struct VersionArgs {}

/// What this is.
#[derive(Debug, Serialize)]
pub struct VersionReport {
    name: &'static str,
    version: &'static str,
    plugin_protocol: u32,
}

/// Tells it.
///
/// # Errors
/// Never; the result is that of every command.
pub fn run(args: VersionArgs) -> Result<VersionReport, CommandError> {
    let VersionArgs {} = args;
    Ok(VersionReport {
        name: env!("CARGO_PKG_NAME"),
        version: concat!("v", env!("CARGO_PKG_VERSION")),
        plugin_protocol: 5,
    })
}

impl Report for VersionReport {
    fn render(&self) -> String {
        format!("{} {} (plugin protocol {})\n", self.name, self.version, self.plugin_protocol)
    }
}
