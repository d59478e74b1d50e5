//! The audit log: one JSON object per line for every request and every response, in the format of Vault, with the data of users as
//! keyed hashes.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use parking_lot::Mutex;
use serde_json::{Value, json};
use vault_plugin::logical::{Map, Operation};

use crate::authorization::{Caller, PolicyDecision, Refusal, RefusalReason};
use crate::client_request::ClientRequest;
use crate::envelope::{self, DataPlacement, timestamp};
use crate::hash::keyed_hash;
use crate::mounts::MountSettings;
use crate::reply::{ErrorReply, HandlerResult, Reply, json_object};
use crate::tokens::{Token, sanitize_policies};

/// The audit log of a server.
pub(crate) struct AuditLog {
    path: PathBuf,
    file: Mutex<File>,
    salt: String,
}

/// The request, caller and mount of an entry.
pub(crate) struct AuditEntry<'a> {
    request: &'a ClientRequest,
    caller: &'a Caller,
    mount: Option<&'a MountSettings>,
    decision: PolicyDecision,
}

impl<'a> AuditEntry<'a> {
    pub(crate) fn new(
        request: &'a ClientRequest,
        caller: &'a Caller,
        mount: Option<&'a MountSettings>,
        decision: PolicyDecision,
    ) -> AuditEntry<'a> {
        AuditEntry { request, caller, mount, decision }
    }
}

/// Whether the mount has handled the request before the entry. Only then Vault records the accessor of the mount.
#[derive(Clone, Copy, PartialEq)]
enum Routed {
    Yes,
    No,
}

impl Routed {
    fn before(entry: &AuditEntry<'_>) -> Routed {
        let is_known = entry.caller.token.is_some() && entry.request.had_existence_check();
        if is_known { Routed::Yes } else { Routed::No }
    }
}

/// Whether numbers are hashed. Vault hashes the numbers of requests like strings, but not those of responses.
#[derive(Clone, Copy, PartialEq)]
enum NumberHashing {
    Hashed,
    Plain,
}

impl AuditLog {
    /// Opens `path` for appending. Only the owner can read it.
    pub(crate) fn open(path: &Path, salt: String) -> io::Result<AuditLog> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        Ok(AuditLog { path: path.to_owned(), file: Mutex::new(file), salt })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the hash that replaces a string in the log.
    pub(crate) fn hash(&self, text: &str) -> String {
        format!("hmac-sha256:{}", keyed_hash(&[&self.salt], text))
    }

    pub(crate) fn log_request(&self, entry: &AuditEntry<'_>, error: Option<&ErrorReply>) -> io::Result<()> {
        let mut line = self.base_record("request", entry, Routed::before(entry));
        if let Some(failure) = error {
            line.insert("error".to_owned(), json!(failure.text.as_deref().unwrap_or_default()));
        }
        self.append(line)
    }

    pub(crate) fn log_response(&self, entry: &AuditEntry<'_>, outcome: &HandlerResult) -> io::Result<()> {
        let mut line = self.base_record("response", entry, Routed::Yes);
        let response = match outcome {
            Ok(None) => Map::new(),
            Ok(Some(reply)) => self.response_record(entry, reply),
            Err(failure) if failure.is_multierror() => {
                line.insert("error".to_owned(), json!(failure.text));
                Map::new()
            }
            Err(failure) if failure.is_no_route() => {
                line.insert("error".to_owned(), json!(ErrorReply::unsupported_path().text));
                self.error_response(entry, failure, Routed::No)
            }
            Err(failure) => self.error_response(entry, failure, Routed::Yes),
        };
        if !response.is_empty() {
            line.insert("response".to_owned(), Value::Object(response));
        }
        self.append(line)
    }

    /// The response to a request that was refused before a mount handled it.
    pub(crate) fn log_refusal(&self, entry: &AuditEntry<'_>, refusal: &Refusal) -> io::Result<()> {
        let (routed, failure) = (Routed::before(entry), &refusal.failure);
        let error = match refusal.reason {
            RefusalReason::ExistenceCheck if failure.status == 400 => {
                ErrorReply::multierror(400, &["invalid request"]).text
            }
            _ if failure.is_multierror() => failure.text.clone(),
            _ => ErrorReply::multierror(failure.status, &[failure.inner_message()]).text,
        };
        let mut line = self.base_record("response", entry, routed);
        line.insert("error".to_owned(), json!(error));
        line.insert("response".to_owned(), Value::Object(self.error_response(entry, failure, routed)));
        self.append(line)
    }

    fn error_response(&self, entry: &AuditEntry<'_>, failure: &ErrorReply, routed: Routed) -> Map {
        let text = failure.text.as_deref().unwrap_or_default();
        let mut response = json_object(json!({"data": {"error": self.hash(text)}}));
        if let Some(mount) = entry.mount {
            response.extend(mount_record(mount, "mount_running_plugin_version", routed));
        }
        response
    }

    fn base_record(&self, kind: &str, entry: &AuditEntry<'_>, routed: Routed) -> Map {
        let request = entry.request;
        let mut record = json_object(json!({
            "namespace": {"id": "root"},
            "operation": request.operation.as_str(),
            "path": routed_path(entry, routed),
            "remote_address": request.remote.ip().to_string(),
            "remote_port": request.remote.port(),
        }));
        if let Some(data) = request.data.as_ref().filter(|data| !data.is_empty()) {
            let plain = entry.mount.map(MountSettings::non_hmac_request_keys).unwrap_or_default();
            record.insert("data".to_owned(), self.hash_map(data, plain, NumberHashing::Hashed));
        }
        if let Some(ttl) = request.wrap_ttl {
            record.insert("wrap_ttl".to_owned(), json!(ttl.as_secs()));
        }
        let is_help = request.operation == Operation::Help;
        // Vault omits these in a help request.
        if !is_help {
            record.insert("id".to_owned(), json!(request.id));
            if let Some(agents) = request.headers.get("User-Agent") {
                record.insert("headers".to_owned(), json!({"user-agent": agents}));
            }
        }
        if request.operation == Operation::List {
            record.insert("request_uri".to_owned(), json!(request.uri));
        }
        if let Some(mount) = entry.mount.filter(|_| routed == Routed::Yes || !is_help) {
            record.extend(mount_record(mount, "mount_running_version", routed));
        }
        let text = request.token.as_deref().map(|token| self.hash(token));
        if let Some(text) = &text {
            record.insert("client_token".to_owned(), json!(text));
        }
        let mut line = json_object(json!({"time": timestamp(SystemTime::now()), "type": kind}));
        if let Some(token) = &entry.caller.token {
            let accessor = self.hash(&token.accessor);
            record.insert("client_token_accessor".to_owned(), json!(accessor));
            let results = match &entry.decision {
                PolicyDecision::NotChecked => None,
                PolicyDecision::Denied => Some(json!({"allowed": false})),
                PolicyDecision::Granted(policies) if policies.is_empty() => Some(json!({"allowed": true})),
                PolicyDecision::Granted(policies) => {
                    // As in Vault, an equal number of empty entries comes first.
                    let empty = policies.iter().map(|_| json!({"type": ""}));
                    let named = policies
                        .iter()
                        .map(|name| json!({"name": name, "namespace_id": "root", "type": "acl"}));
                    Some(
                        json!({"allowed": true, "granting_policies": empty.chain(named).collect::<Vec<_>>()}),
                    )
                }
            };
            if let Some(results) = results {
                record.insert("client_id".to_owned(), json!(token.client_id()));
                line.insert(
                    "auth".to_owned(),
                    Value::Object(self.auth_record(
                        token,
                        &accessor,
                        text.as_deref(),
                        entry.caller,
                        &results,
                    )),
                );
            }
        }
        line.insert("request".to_owned(), Value::Object(record));
        line
    }

    fn auth_record(
        &self,
        token: &Token,
        accessor: &str,
        text: Option<&str>,
        caller: &Caller,
        results: &Value,
    ) -> Map {
        let identity_policies = sanitize_policies(caller.identity_policies.clone(), false);
        let mut auth = json_object(json!({
            "accessor": accessor,
            "client_token": text,
            "display_name": token.display_name,
            "policies": sanitize_policies([&token.policies[..], &identity_policies].concat(), false),
            "policy_results": results,
            "token_policies": token.policies,
            "token_issue_time": truncate_to_seconds(token.created),
            "token_type": token.kind.as_str(),
        }));
        if !identity_policies.is_empty() {
            auth.insert("identity_policies".to_owned(), json!(identity_policies));
        }
        if !token.entity_id.is_empty() {
            auth.insert("entity_id".to_owned(), json!(token.entity_id));
        }
        if !token.meta.is_empty() {
            auth.insert("metadata".to_owned(), json!(token.meta));
        }
        if !token.ttl.is_zero() {
            auth.insert("token_ttl".to_owned(), json!(token.ttl.as_secs()));
        }
        auth
    }

    fn response_record(&self, entry: &AuditEntry<'_>, reply: &Reply) -> Map {
        let mut response = Map::new();
        if let Some(wrap) = &reply.wrap {
            let wrap = json!({
                "accessor": self.hash(&wrap.accessor),
                "creation_path": wrap.creation_path,
                "creation_time": timestamp(wrap.creation_time),
                "token": self.hash(&wrap.token),
                "ttl": wrap.ttl,
            });
            response.insert("wrap_info".to_owned(), wrap);
        } else if let Some(status) = reply.status {
            // In Vault a reply with an explicit status is raw: content type, status, and body if there is one.
            let kind = self.hash("application/json");
            let mut raw = json_object(json!({"http_content_type": kind, "http_status_code": status}));
            if reply.data.is_some() || !reply.warnings.is_empty() {
                let text = envelope::render(reply, &entry.request.id, DataPlacement::EnvelopeOnly);
                raw.insert("http_raw_body".to_owned(), json!(self.hash(&text)));
            }
            response.insert("data".to_owned(), Value::Object(raw));
        } else if let Some(data) = &reply.data {
            let plain = entry.mount.map(MountSettings::non_hmac_response_keys).unwrap_or_default();
            response.insert("data".to_owned(), self.hash_map(data, plain, NumberHashing::Plain));
        }
        if let Some(lease) = &reply.lease {
            response.insert("secret".to_owned(), json!({"lease_id": lease.id}));
        }
        if let Some(auth) = &reply.auth {
            let mut record = json_object(json!({
                "accessor": self.hash(&auth.accessor),
                "client_token": self.hash(&auth.client_token),
                "display_name": auth.display_name,
                "policies": auth.policies,
                "token_policies": auth.token_policies,
                "token_ttl": auth.lease_duration,
                "token_type": auth.token_type,
            }));
            if !auth.identity_policies.is_empty() {
                record.insert("identity_policies".to_owned(), json!(auth.identity_policies));
            }
            if !auth.entity_id.is_empty() {
                record.insert("entity_id".to_owned(), json!(auth.entity_id));
            }
            if auth.num_uses != 0 {
                record.insert("num_uses".to_owned(), json!(auth.num_uses));
            }
            if !auth.metadata.is_empty() {
                record.insert("metadata".to_owned(), json!(auth.metadata));
            }
            response.insert("auth".to_owned(), Value::Object(record));
        }
        if !reply.warnings.is_empty() && reply.status.is_none() {
            response.insert("warnings".to_owned(), json!(reply.warnings));
        }
        if let Some(mount) = entry.mount {
            response.extend(mount_record(mount, "mount_running_plugin_version", Routed::Yes));
        }
        response
    }

    fn hash_map(&self, map: &Map, plain: &[String], numbers: NumberHashing) -> Value {
        let entries = map.iter().map(|(key, value)| {
            let value = if plain.contains(key) { value.clone() } else { self.hash_value(value, numbers) };
            (key.clone(), value)
        });
        Value::Object(entries.collect())
    }

    fn hash_value(&self, value: &Value, numbers: NumberHashing) -> Value {
        match value {
            Value::String(text) => json!(self.hash(text)),
            Value::Number(number) if numbers == NumberHashing::Hashed => {
                json!(self.hash(&number.to_string()))
            }
            Value::Array(items) => items.iter().map(|item| self.hash_value(item, numbers)).collect(),
            Value::Object(map) => self.hash_map(map, &[], numbers),
            other => other.clone(),
        }
    }

    fn append(&self, line: Map) -> io::Result<()> {
        let mut text = Value::Object(line).to_string();
        text.push('\n');
        // Each line is one write, so that a concurrent reader never sees a partial line.
        self.file.lock().write_all(text.as_bytes())
    }
}

/// Returns the path as the router resolves it: a request may omit the trailing slash of the mount path.
fn routed_path(entry: &AuditEntry<'_>, routed: Routed) -> String {
    let path = &entry.request.path;
    match entry.mount {
        Some(mount) if routed == Routed::Yes && mount.path.strip_suffix('/') == Some(path) => {
            mount.path.clone()
        }
        _ => path.clone(),
    }
}

fn mount_record(mount: &MountSettings, version: &str, routed: Routed) -> Map {
    let mut record = json_object(json!({
        "mount_class": if mount.path.starts_with("auth/") { "auth" } else { "secret" },
        "mount_point": mount.path,
        "mount_type": mount.kind,
        version: mount.running_version,
    }));
    if routed == Routed::Yes {
        record.insert("mount_accessor".to_owned(), json!(mount.accessor));
    }
    if !mount.running_sha256.is_empty() {
        record.insert("mount_is_external_plugin".to_owned(), json!(true));
        record.insert("mount_running_sha256".to_owned(), json!(mount.running_sha256));
    }
    record
}

fn truncate_to_seconds(time: SystemTime) -> String {
    let text = timestamp(time);
    text.split_once('.').map_or(text.clone(), |(seconds, _)| format!("{seconds}Z"))
}
