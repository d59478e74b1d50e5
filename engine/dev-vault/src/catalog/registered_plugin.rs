//! An entry of the catalog.

use std::ffi::OsString;

use serde::{Deserialize, Serialize};

/// A registered plugin. No `Debug`: the environment may hold secrets.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct RegisteredPlugin {
    pub(crate) kind: String,
    pub(crate) name: String,
    /// With a leading `v`; empty for an unversioned plugin.
    pub(crate) version: String,
    /// The file, below the plugin directory.
    pub(crate) command: String,
    pub(crate) args: Vec<String>,
    /// `NAME=value` each.
    pub(crate) env: Vec<String>,
    /// In hex.
    pub(crate) sha256: String,
}

impl RegisteredPlugin {
    pub(crate) fn environment(&self) -> Vec<(OsString, OsString)> {
        let pairs = self.env.iter().map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.map(|(name, value)| (name.into(), value.into())).collect()
    }
}
