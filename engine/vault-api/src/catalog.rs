//! The plugin catalog: the plugins that the server may run, by type, name and version.

use bytes::Bytes;
use http::{Method, Request, Response};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::endpoint::{self, Endpoint, Idempotency, encode_path};
use crate::{ApiError, CallError, Client, SecretString};

/// Type of a plugin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PluginType {
    /// Secrets engine.
    #[default]
    Secret,
    /// Auth method.
    Auth,
    /// Database engine.
    Database,
}

impl PluginType {
    /// Returns the name in paths: `secret`, `auth` or `database`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Auth => "auth",
            Self::Database => "database",
        }
    }
}

impl std::fmt::Display for PluginType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for PluginType {
    type Err = UnknownPluginType;

    fn from_str(text: &str) -> Result<Self, UnknownPluginType> {
        [Self::Secret, Self::Auth, Self::Database]
            .into_iter()
            .find(|known| known.as_str() == text)
            .ok_or_else(|| UnknownPluginType(text.to_owned()))
    }
}

/// An unknown plugin type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown plugin type {0:?}: expected secret, auth or database")]
pub struct UnknownPluginType(String);

/// An entry in the list of the catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedPlugin {
    /// Type of the plugin.
    #[serde(rename = "type")]
    pub kind: PluginType,
    /// Name of the plugin.
    pub name: String,
    /// Version with its `v`; empty if unversioned.
    #[serde(default)]
    pub version: String,
    /// Whether the plugin is built into the server.
    #[serde(default)]
    pub builtin: bool,
    /// SHA-256 of the binary in hex; empty for builtins, and on servers that do not list it.
    #[serde(default)]
    pub sha256: String,
}

/// `GET sys/plugins/catalog`: all plugins with all versions. (The lists by type leave out versioned ones.)
#[derive(Clone, Copy, Debug)]
pub struct List;

/// Identifies an entry of the catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PluginRef {
    /// Type of the plugin.
    #[serde(rename = "type")]
    pub kind: PluginType,
    /// Name of the plugin.
    pub name: String,
    /// Version with its `v`; `None` for the unversioned entry.
    pub version: Option<String>,
}

/// `GET sys/plugins/catalog/:type/:name`.
#[derive(Clone, Debug)]
pub struct Read(pub PluginRef);

/// Whether a request for an entry has failed because the client is in a child namespace, in which OpenBao shows only the list of the catalog.
pub fn is_of_root_namespace(client: &Client, error: &CallError) -> bool {
    client.namespace().is_some() && error.api_error_is(|error| error.has_message("unsupported path"))
}

/// An entry with the fields that the list leaves out. The server never returns the environment of an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PluginDetails {
    /// Name of the plugin.
    pub name: String,
    /// Version with its `v`; empty if unversioned.
    #[serde(deserialize_with = "endpoint::null_as_default")]
    pub version: String,
    /// File name relative to the plugin directory.
    #[serde(deserialize_with = "endpoint::null_as_default")]
    pub command: String,
    /// Arguments.
    #[serde(deserialize_with = "endpoint::null_as_default")]
    pub args: Vec<String>,
    /// SHA-256 of the binary in hex.
    #[serde(deserialize_with = "endpoint::null_as_default")]
    pub sha256: String,
    /// Whether the plugin is built into the server.
    pub builtin: bool,
}

/// `POST sys/plugins/catalog/:type/:name`. Requires the `sudo` capability. Returns the warnings of the server.
///
/// The server only logs an error if it cannot start the binary, so success does not mean that the binary works.
#[derive(Clone, Debug)]
pub struct Register {
    /// The entry.
    pub entry: PluginRef,
    /// SHA-256 of the binary in hex.
    pub sha256: String,
    /// File name relative to the plugin directory.
    pub command: String,
    /// Arguments.
    pub args: Vec<String>,
    /// Environment as `KEY=value`.
    pub env: Vec<SecretString>,
}

/// `DELETE sys/plugins/catalog/:type/:name`. Requires the `sudo` capability. Succeeds if there is no such entry.
#[derive(Clone, Debug)]
pub struct Deregister(pub PluginRef);

#[derive(Deserialize)]
struct ListBody {
    #[serde(default, deserialize_with = "endpoint::null_as_default")]
    detailed: Vec<ListedOrUnknown>,
}

/// A newer server may list plugins of other types.
#[derive(Deserialize)]
#[serde(untagged)]
enum ListedOrUnknown {
    Listed(ListedPlugin),
    Unknown(IgnoredAny),
}

impl ListBody {
    fn into_listed(self) -> Vec<ListedPlugin> {
        let listed = |entry| match entry {
            ListedOrUnknown::Listed(plugin) => Some(plugin),
            ListedOrUnknown::Unknown(IgnoredAny) => None,
        };
        self.detailed.into_iter().filter_map(listed).collect()
    }
}

/// Parses a catalog that was saved as JSON, with `vault read -format=json sys/plugins/catalog` or as the server returns it.
///
/// # Errors
/// If it is not a catalog with versions.
pub fn parse_saved(json: &[u8]) -> Result<Vec<ListedPlugin>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Saved {
        data: SavedList,
    }
    #[derive(Deserialize)]
    struct SavedList {
        detailed: Vec<ListedOrUnknown>,
    }
    let Saved { data: SavedList { detailed } } = serde_json::from_slice(json)?;
    Ok(ListBody { detailed }.into_listed())
}

impl Endpoint for List {
    type Response = Vec<ListedPlugin>;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        endpoint::get("sys/plugins/catalog")
    }

    fn response(reply: Response<Bytes>) -> Result<Self::Response, ApiError> {
        Ok(endpoint::data::<ListBody>(reply)?.into_listed())
    }
}

impl Endpoint for Read {
    /// `None` if there is no such entry.
    type Response = Option<PluginDetails>;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        endpoint::get(&catalog_path_with_version(&self.0))
    }

    fn response(reply: Response<Bytes>) -> Result<Self::Response, ApiError> {
        if reply.status().as_u16() == 404 {
            let error = ApiError::from_reply(&reply);
            return if error.is_absent() { Ok(None) } else { Err(error) };
        }
        endpoint::data(reply).map(Some)
    }
}

impl Endpoint for Register {
    type Response = Vec<String>;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        let env: Vec<&str> = self.env.iter().map(SecretString::expose).collect();
        let mut body =
            json!({ "sha256": self.sha256, "command": self.command, "args": self.args, "env": env });
        if let Some(version) = &self.entry.version {
            body["version"] = json!(version);
        }
        endpoint::request_with_json(Method::POST, &catalog_path(&self.entry), &body)
    }

    fn response(reply: Response<Bytes>) -> Result<Vec<String>, ApiError> {
        endpoint::warnings(reply)
    }
}

impl Endpoint for Deregister {
    type Response = Vec<String>;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        endpoint::request_without_body(Method::DELETE, &catalog_path_with_version(&self.0))
    }

    fn response(reply: Response<Bytes>) -> Result<Vec<String>, ApiError> {
        endpoint::warnings(reply)
    }
}

fn catalog_path(entry: &PluginRef) -> String {
    format!("sys/plugins/catalog/{}/{}", entry.kind, encode_path(&entry.name))
}

fn catalog_path_with_version(entry: &PluginRef) -> String {
    match &entry.version {
        // A server reads a plus sign in a query as a space.
        Some(version) => {
            format!("{}?version={}", catalog_path(entry), encode_path(version).replace('+', "%2B"))
        }
        None => catalog_path(entry),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::tests::{reply, request_line};

    fn entry(version: &str) -> PluginRef {
        PluginRef { kind: PluginType::Secret, name: "custom".into(), version: Some(version.into()) }
    }

    #[test]
    fn build_metadata_survives_the_query() {
        let line = request_line(&Read(entry("v1.2.3+build.5")).request());
        assert_eq!(line, "GET /v1/sys/plugins/catalog/secret/custom?version=v1.2.3%2Bbuild.5");
    }

    #[test]
    fn a_registration_sends_all_fields_and_debug_hides_the_environment() {
        let register = Register {
            entry: entry("v1.2.3"),
            sha256: "ab".into(),
            command: "custom-1.2.3".into(),
            args: vec!["serve".into()],
            env: vec![SecretString::new("KEY=hunter2")],
        };
        assert_eq!(
            request_line(&register.request()),
            r#"POST /v1/sys/plugins/catalog/secret/custom {"args":["serve"],"command":"custom-1.2.3","env":["KEY=hunter2"],"sha256":"ab","version":"v1.2.3"}"#
        );
        assert!(!format!("{register:?}").contains("hunter2"));
    }

    #[test]
    fn the_detailed_list_is_parsed_and_unknown_keys_and_types_are_ignored() {
        let body = r#"{"data":{"secret":["kv"],"detailed":[
            {"type":"quantum","name":"future","version":"v1.0.0","builtin":true},
            {"type":"secret","name":"kv","version":"v0.25.0+builtin","builtin":true,"deprecation_status":"supported"},
            {"type":"secret","name":"custom","version":"v1.2.3","builtin":false,"sha256":"ab"}]}}"#;
        let all = List::response(reply(200, body)).expect("an answer");
        assert_eq!(all.len(), 2);
        assert_eq!(all[1].sha256, "ab");
        assert_eq!(parse_saved(body.as_bytes()).expect("the saved answer"), all);
        assert!(
            parse_saved(b"{\"data\":{\"secret\":[\"kv\"]}}").is_err(),
            "a list of a server that does not list versions"
        );
    }

    #[test]
    fn a_missing_entry_is_none() {
        assert_eq!(Read::response(reply(404, r#"{"errors":[]}"#)).expect("an answer"), None);
        let args = r#"{"data":{"name":"custom","args":null,"command":"c","sha256":"ab","builtin":false}}"#;
        let entry = Read::response(reply(200, args)).expect("an answer").expect("an entry");
        assert!(entry.args.is_empty() && entry.version.is_empty());
    }
}
