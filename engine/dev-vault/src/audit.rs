//! The audit log: a JSON object a line for every request and every response, in Vault's shape, with what users sent and
//! got as keyed hashes.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use serde_json::{Value, json};
use vault_plugin::logical::Map;

use crate::call::Call;
use crate::core::keyed_hash;
use crate::envelope::timestamp;
use crate::mount::Settings;
use crate::pipeline::Caller;
use crate::reply::{Failure, Outcome, Reply, object};

/// The log of a server.
pub(crate) struct Audit {
    path: PathBuf,
    file: Mutex<File>,
    salt: String,
}

/// What an entry is about.
pub(crate) struct Entry<'a> {
    pub(crate) call: &'a Call,
    pub(crate) caller: &'a Caller,
    pub(crate) mount: Option<&'a Settings>,
}

/// Numbers that users send are texts to Vault, those that engines return are not.
#[derive(Clone, Copy, PartialEq)]
enum Numbers {
    Hashed,
    Plain,
}

impl Audit {
    /// Appends to `path`, which is for its owner alone.
    pub(crate) fn open(path: &Path, salt: String) -> io::Result<Audit> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        Ok(Audit { path: path.to_owned(), file: Mutex::new(file), salt })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What stands in the log in place of a text.
    pub(crate) fn hash(&self, text: &str) -> String {
        format!("hmac-sha256:{}", keyed_hash(&[&self.salt], text))
    }

    pub(crate) fn request(&self, entry: &Entry<'_>, refused: Option<&Failure>) -> io::Result<()> {
        let mut line = self.line("request", entry);
        if let Some(failure) = refused {
            line.insert("error".to_owned(), json!(failure.text.as_deref().unwrap_or_default()));
        }
        self.write(line)
    }

    pub(crate) fn response(&self, entry: &Entry<'_>, outcome: &Outcome) -> io::Result<()> {
        let mut line = self.line("response", entry);
        let response = match outcome {
            Ok(None) => Map::new(),
            Ok(Some(reply)) => self.reply(entry, reply),
            Err(failure) => {
                let text = failure.text.as_deref().unwrap_or_default();
                line.insert("error".to_owned(), json!(text));
                object(json!({"data": {"error": self.hash(text)}}))
            }
        };
        if !response.is_empty() {
            line.insert("response".to_owned(), Value::Object(response));
        }
        self.write(line)
    }

    fn line(&self, kind: &str, entry: &Entry<'_>) -> Map {
        let call = entry.call;
        let mut request = object(json!({
            "id": call.id,
            "namespace": {"id": "root"},
            "operation": call.operation.as_str(),
            "path": call.path,
            "remote_address": call.remote.ip().to_string(),
            "remote_port": call.remote.port(),
        }));
        if let Some(data) = call.data.as_ref().filter(|data| !data.is_empty()) {
            let plain = entry.mount.map(Settings::unhashed_request_keys).unwrap_or_default();
            request.insert("data".to_owned(), self.hashed_map(data, plain, Numbers::Hashed));
        }
        if let Some(ttl) = call.wrap_ttl {
            request.insert("wrap_ttl".to_owned(), json!(ttl.as_secs()));
        }
        if let Some(mount) = entry.mount {
            request.extend(describe(mount, "mount_running_version"));
        }
        let mut auth = Map::new();
        if let Some(token) = &entry.caller.token {
            let accessor = self.hash(&token.accessor);
            let text = self.hash(call.token.as_deref().unwrap_or_default());
            request.insert("client_token".to_owned(), json!(text));
            request.insert("client_token_accessor".to_owned(), json!(accessor));
            auth = object(json!({
                "accessor": accessor,
                "client_token": text,
                "display_name": token.display_name,
                "policies": token.policies,
                "token_policies": token.policies,
                "token_issue_time": whole_seconds(token.created),
                "token_type": "service",
            }));
            if !token.meta.is_empty() {
                auth.insert("metadata".to_owned(), json!(token.meta));
            }
            if !token.ttl.is_zero() {
                auth.insert("token_ttl".to_owned(), json!(token.ttl.as_secs()));
            }
        }
        object(json!({
            "auth": auth,
            "request": request,
            "time": timestamp(SystemTime::now()),
            "type": kind,
        }))
    }

    fn reply(&self, entry: &Entry<'_>, reply: &Reply) -> Map {
        let mut response = Map::new();
        if let Some(data) = &reply.data {
            let plain = entry.mount.map(Settings::unhashed_response_keys).unwrap_or_default();
            response.insert("data".to_owned(), self.hashed_map(data, plain, Numbers::Plain));
        }
        if let Some(lease) = &reply.lease {
            response.insert("secret".to_owned(), json!({"lease_id": lease.id}));
        }
        if let Some(auth) = &reply.auth {
            let auth = json!({
                "accessor": self.hash(&auth.accessor),
                "client_token": self.hash(&auth.client_token),
                "policies": auth.policies,
                "token_policies": auth.policies,
                "token_ttl": auth.lease_duration,
                "token_type": "service",
            });
            response.insert("auth".to_owned(), auth);
        }
        if !reply.warnings.is_empty() {
            response.insert("warnings".to_owned(), json!(reply.warnings));
        }
        if let Some(mount) = entry.mount {
            response.extend(describe(mount, "mount_running_plugin_version"));
        }
        response
    }

    fn hashed_map(&self, map: &Map, plain: &[String], numbers: Numbers) -> Value {
        let entries = map.iter().map(|(key, value)| {
            let value = if plain.contains(key) { value.clone() } else { self.hashed(value, numbers) };
            (key.clone(), value)
        });
        Value::Object(entries.collect())
    }

    fn hashed(&self, value: &Value, numbers: Numbers) -> Value {
        match value {
            Value::String(text) => json!(self.hash(text)),
            Value::Number(number) if numbers == Numbers::Hashed => json!(self.hash(&number.to_string())),
            Value::Array(items) => items.iter().map(|item| self.hashed(item, numbers)).collect(),
            Value::Object(map) => self.hashed_map(map, &[], numbers),
            other => other.clone(),
        }
    }

    fn write(&self, line: Map) -> io::Result<()> {
        let mut text = Value::Object(line).to_string();
        text.push('\n');
        // A line in one piece, so that another reader never sees half of it.
        self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(text.as_bytes())
    }
}

fn describe(mount: &Settings, version: &str) -> Map {
    let mut described = object(json!({
        "mount_accessor": mount.accessor,
        "mount_class": if mount.path.starts_with("auth/") { "auth" } else { "secret" },
        "mount_point": mount.path,
        "mount_type": mount.kind,
        version: mount.running_version,
    }));
    if !mount.running_sha256.is_empty() {
        described.insert("mount_is_external_plugin".to_owned(), json!(true));
        described.insert("mount_running_sha256".to_owned(), json!(mount.running_sha256));
    }
    described
}

fn whole_seconds(time: SystemTime) -> String {
    let text = timestamp(time);
    text.split_once('.').map_or(text.clone(), |(seconds, _)| format!("{seconds}Z"))
}
