//! `version`: prints the version and the plugin protocol version.

use clap::Args;
use serde::Serialize;

use crate::error::CommandError;
use crate::ui::Report;

/// No arguments.
#[derive(Debug, Args)]
pub struct VersionArgs {}

/// Version of this program and of the plugin protocol.
#[derive(Debug, Serialize)]
pub struct VersionReport {
    name: &'static str,
    version: &'static str,
    plugin_protocol: u32,
}

/// Returns the versions.
///
/// # Errors
/// Never; all commands return a result.
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
