//! An entry of the catalog.

use std::ffi::OsString;

use serde::{Deserialize, Serialize};

/// A registered plugin. There is no `Debug`, because the environment may contain secrets.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct RegisteredPlugin {
    pub(crate) kind: String,
    pub(crate) name: String,
    /// Version with a leading `v`; empty if unversioned.
    pub(crate) version: String,
    /// File name relative to the plugin directory.
    pub(crate) command: String,
    pub(crate) args: Vec<String>,
    /// Environment variables as `NAME=value`.
    pub(crate) env: Vec<String>,
    /// SHA-256 of the file in hex.
    pub(crate) sha256: String,
}

impl RegisteredPlugin {
    pub(crate) fn environment(&self) -> Vec<(OsString, OsString)> {
        let pairs = self.env.iter().map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.map(|(name, value)| (name.into(), value.into())).collect()
    }
}
