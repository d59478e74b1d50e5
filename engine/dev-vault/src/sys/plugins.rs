//! `sys/plugins`: the catalog, pinned versions, and reload.

use serde_json::{Value, json};
use vault_plugin::logical::{Map, Operation};

use crate::catalog::{Catalog, PLUGIN_TYPES, Pin, RegisteredPlugin, SECRET_TYPE, validate_version};
use crate::client_request::ClientRequest;
use crate::mounts::Mounts;
use crate::reply::{ErrorReply, HandlerResult, Reply, json_object};

pub(super) async fn handle(
    catalog: &Catalog,
    mounts: &Mounts,
    request: &ClientRequest,
    operation: &Operation,
    path: &[&str],
) -> HandlerResult {
    use Operation::{Delete, List, Read, Update};
    match (path, operation) {
        (["catalog"], Read) => list(catalog),
        (["catalog", kind], List) if PLUGIN_TYPES.contains(kind) => {
            Ok(Some(Reply::list(catalog.unversioned_names(kind)?.into_iter().collect())))
        }
        (["catalog", kind, name @ ..], _) if PLUGIN_TYPES.contains(kind) && !name.is_empty() => {
            let name = name.join("/");
            match operation {
                Read => read(catalog, kind, &name, request),
                Update => register(catalog, kind, &name, request).await,
                Delete => deregister(catalog, kind, &name, request),
                _ => Err(ErrorReply::unsupported_operation()),
            }
        }
        (["catalog", kind], _) if PLUGIN_TYPES.contains(kind) => Err(ErrorReply::unsupported_operation()),
        // In the deprecated path without a type, the type is a field.
        (["catalog", name @ ..], Update) if !name.is_empty() => {
            let kind = request.fields().text("type")?;
            let kind = if kind.is_empty() { SECRET_TYPE } else { &kind };
            register(catalog, kind, &name.join("/"), request).await
        }
        (["catalog", name @ ..], Read) if !name.is_empty() => Ok(Some(Reply::warning(format!(
            "Deprecated API endpoint, cannot read plugin information from catalog for \"{}\"",
            name.join("/")
        )))),
        (["catalog", ..], _) => Err(ErrorReply::unsupported_operation()),

        (["pins"], Read) => Ok(Some(Reply::data(json_object(json!({"pinned_versions": catalog.pins()?}))))),
        (["pins"], _) => Err(ErrorReply::unsupported_operation()),
        (["pins", kind, name], _) if PLUGIN_TYPES.contains(kind) => {
            pin(catalog, operation, kind, name, request)
        }

        (["reload", "backend"], Update) => {
            let fields = request.fields();
            let (plugin, paths) = (fields.text("plugin")?, fields.list("mounts")?.unwrap_or_default());
            reload_backend(mounts, request, &plugin, &paths).await
        }
        (["reload", "backend", "status"], Read) => Err(ErrorReply::new(404, "enterprise-only feature")),
        (["reload", kind, name], Update) if PLUGIN_TYPES.contains(kind) || *kind == UNKNOWN_TYPE => {
            let scope = scope(request)?;
            let reloaded = reload_plugin(mounts, kind, name).await?;
            Ok(Some(reloaded_reply(request, scope, reloaded)))
        }
        (["reload", "backend", ..], _) => Err(ErrorReply::unsupported_operation()),
        _ => Err(ErrorReply::unsupported_path()),
    }
}

fn list(catalog: &Catalog) -> HandlerResult {
    let mut data = Map::new();
    let entries = catalog.entries()?;
    let detailed: Vec<Value> = entries
        .iter()
        .map(|entry| {
            json!({
                "builtin": false,
                "name": entry.name,
                "sha256": entry.sha256,
                "type": entry.kind,
                "version": entry.version,
            })
        })
        .collect();
    data.insert("detailed".to_owned(), detailed.into());
    for kind in PLUGIN_TYPES {
        let names = catalog.unversioned_names(kind)?;
        // Vault always has built-in secrets engines, and its CLI relies on that key.
        if !names.is_empty() || kind == SECRET_TYPE {
            data.insert(kind.to_owned(), json!(names));
        }
    }
    Ok(Some(Reply::data(data)))
}

fn read(catalog: &Catalog, kind: &str, name: &str, request: &ClientRequest) -> HandlerResult {
    let version = version(request)?;
    let Some(entry) = catalog.get(kind, name, &version)? else { return Ok(None) };
    // The environment is omitted, because it may contain secrets.
    Ok(Some(Reply::data(json_object(json!({
        "name": entry.name,
        "command": entry.command,
        "args": entry.args,
        "sha256": entry.sha256,
        "version": entry.version,
        "builtin": false,
    })))))
}

async fn register(catalog: &Catalog, kind: &str, name: &str, request: &ClientRequest) -> HandlerResult {
    let fields = request.fields();
    let (version, sha256) = (version(request)?, fields.text("sha256")?);
    let sha256 = match sha256 {
        sha256 if sha256.is_empty() => fields.text("sha_256")?,
        sha256 => sha256,
    };
    if sha256.is_empty() && version.is_empty() {
        return Err(ErrorReply::bad_request(
            "must provide at least one of sha256 or version: use sha256 for binary registration (version optional) or \
             version only for artifact registration",
        ));
    }
    if sha256.is_empty() {
        return Err(ErrorReply::bad_request(
            "registering a plugin by version alone is an enterprise only feature",
        ));
    }
    let command = fields.text("command")?;
    if command.is_empty() {
        return Err(ErrorReply::bad_request("must provide at least one of command or oci_image"));
    }
    check_hex(&sha256)?;
    let mut words = command.split_whitespace().map(str::to_owned);
    let command = words.next().unwrap_or_default();
    let mut args: Vec<String> = words.collect();
    args.extend(fields.list("args")?.unwrap_or_default());
    catalog
        .register(RegisteredPlugin {
            kind: kind.to_owned(),
            name: name.to_owned(),
            version,
            command,
            args,
            env: fields.list("env")?.unwrap_or_default(),
            sha256: sha256.to_lowercase(),
        })
        .await?;
    Ok(None)
}

fn deregister(catalog: &Catalog, kind: &str, name: &str, request: &ClientRequest) -> HandlerResult {
    let version = version(request)?;
    if catalog.pin(kind, name)?.is_some_and(|pin| pin.version == version)
        && catalog.get(kind, name, &version)?.is_some()
    {
        return Err(ErrorReply::multierror(500, &["cannot delete a pinned version"]));
    }
    catalog.deregister(kind, name, &version)?;
    Ok(None)
}

fn pin(
    catalog: &Catalog,
    operation: &Operation,
    kind: &str,
    name: &str,
    request: &ClientRequest,
) -> HandlerResult {
    match operation {
        Operation::Read => match catalog.pin(kind, name)? {
            Some(pin) => Ok(Some(Reply::data(json_object(json!(pin))))),
            None => Err(ErrorReply::multierror(404, &["no pinned version for this plugin"])),
        },
        Operation::Update => {
            let version = version(request)?;
            if version.is_empty() {
                return Err(ErrorReply::bad_request("missing plugin version"));
            }
            if catalog.get(kind, name, &version)?.is_none() {
                return Err(ErrorReply::bad_request(format!(
                    "plugin not found in the catalog; {kind} plugin \"{name}\" version {version} does not exist"
                )));
            }
            catalog.set_pin(&Pin { name: name.to_owned(), kind: kind.to_owned(), version })?;
            Ok(Some(Reply::default()))
        }
        Operation::Delete => {
            catalog.delete_pin(kind, name)?;
            Ok(Some(Reply::default()))
        }
        _ => Err(ErrorReply::unsupported_operation()),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum ReloadScope {
    Node,
    Cluster,
}

fn scope(request: &ClientRequest) -> Result<ReloadScope, ErrorReply> {
    match request.fields().text("scope")?.as_str() {
        "" => Ok(ReloadScope::Node),
        "global" => Ok(ReloadScope::Cluster),
        _ => Err(ErrorReply::bad_request("reload scope must be omitted or 'global'")),
    }
}

async fn reload_backend(
    mounts: &Mounts,
    request: &ClientRequest,
    plugin: &str,
    paths: &[String],
) -> HandlerResult {
    let scope = scope(request)?;
    let reloaded = match (plugin, paths) {
        ("", []) => return Err(ErrorReply::bad_request("plugin or mounts must be provided")),
        ("", paths) => reload_mounts(mounts, paths).await?,
        (plugin, []) => reload_plugin(mounts, UNKNOWN_TYPE, plugin).await?,
        _ => return Err(ErrorReply::bad_request("plugin and mounts cannot be set at the same time")),
    };
    Ok(Some(reloaded_reply(request, scope, reloaded)))
}

/// Reloads all mounts, and returns all errors.
async fn reload_mounts(mounts: &Mounts, paths: &[String]) -> Result<usize, ErrorReply> {
    let mut errors = Vec::new();
    for path in paths {
        let path = format!("{}/", path.trim_end_matches('/'));
        let Some(mount) = mounts.get(&path) else {
            errors.push(format!("cannot fetch mount entry on \"{path}\""));
            continue;
        };
        if let Err(failure) = mounts.begin_changes().await.reload(&mount).await {
            let text = failure.text.unwrap_or_default();
            errors.push(format!("cannot reload plugin on \"{path}\": {text}"));
        }
    }
    if errors.is_empty() {
        return Ok(paths.len());
    }
    let errors: Vec<&str> = errors.iter().map(String::as_str).collect();
    Err(ErrorReply::multierror(500, &errors))
}

/// A plugin of any type.
const UNKNOWN_TYPE: &str = "unknown";

/// Reloads all mounts of a plugin. Stops at the first error.
async fn reload_plugin(mounts: &Mounts, kind: &str, plugin: &str) -> Result<usize, ErrorReply> {
    let mut reloaded = 0;
    for mount in mounts.all() {
        let settings = mount.settings();
        if settings.kind == plugin && (kind == UNKNOWN_TYPE || kind == settings.plugin_type()) {
            let failed = |failure: ErrorReply| {
                ErrorReply::multierror(500, &[failure.text.as_deref().unwrap_or_default()])
            };
            mounts.begin_changes().await.reload(&mount).await.map_err(failed)?;
            reloaded += 1;
        }
    }
    Ok(reloaded)
}

fn reloaded_reply(request: &ClientRequest, scope: ReloadScope, reloaded: usize) -> Reply {
    let mut reply = Reply::data(json_object(json!({"reload_id": request.id})));
    if reloaded == 0 {
        reply.warnings.push("no plugins were reloaded".to_owned());
    }
    if scope == ReloadScope::Cluster {
        reply.status = Some(202);
    }
    reply
}

/// The version in a request in its stored form; empty if absent.
fn version(request: &ClientRequest) -> Result<String, ErrorReply> {
    match request.fields().text("version")? {
        version if version.is_empty() => Ok(version),
        version => validate_version(&version),
    }
}

fn check_hex(text: &str) -> Result<(), ErrorReply> {
    let reason = match text.bytes().find(|byte| !byte.is_ascii_hexdigit()) {
        Some(byte) => format!("encoding/hex: invalid byte: U+{byte:04X} '{}'", char::from(byte)),
        None if text.len() % 2 == 1 => "encoding/hex: odd length hex string".to_owned(),
        None => return Ok(()),
    };
    Err(ErrorReply::bad_request(format!("Could not decode SHA256 value from Hex {text}: {reason}")))
}
