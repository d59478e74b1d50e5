//! `sys/mounts`: lists, shows, enables and disables secrets engines.

use serde_json::Value;

use crate::catalog::AUTH_TYPE;
use crate::client_request::{ClientRequest, RequestFields};
use crate::expiration::ExpirationManager;
use crate::mounts::new_settings;
use crate::mounts::settings::by_path;
use crate::mounts::{AUTH_PREFIX, MountSettings, Mounts, TuneConfig};
use crate::reply::{ErrorReply, HandlerResult, Reply};

/// Joins the segments of a mount path, with a trailing slash.
pub(super) fn path(segments: &[&str]) -> String {
    format!("{}/", segments.join("/"))
}

/// Joins the segments of the path of an auth method.
pub(super) fn auth_path(segments: &[&str]) -> String {
    format!("{AUTH_PREFIX}{}", path(segments))
}

pub(super) fn list(mounts: &Mounts) -> Reply {
    let settings = mounts.all().into_iter().map(|mount| mount.settings());
    Reply::data(by_path(settings.filter(|mount| !mount.path.starts_with(AUTH_PREFIX))))
}

/// Lists the auth methods by their paths below `auth/`.
pub(super) fn list_auth(mounts: &Mounts) -> Reply {
    let below = |mut settings: MountSettings| {
        settings.path = settings.path.strip_prefix(AUTH_PREFIX)?.to_owned();
        Some(settings)
    };
    let settings = mounts.all().into_iter().map(|mount| mount.settings());
    Reply::data(by_path(settings.filter_map(below)))
}

pub(super) fn read(mounts: &Mounts, path: &str) -> HandlerResult {
    let mount = mounts
        .get(path)
        .ok_or_else(|| ErrorReply::bad_request(format!("No secret engine mount at {path}")))?;
    let settings = mount.settings();
    let mut reply = Reply::data(settings.describe());
    reply.warnings.extend(settings.version_warning());
    Ok(Some(reply))
}

pub(super) fn read_auth(mounts: &Mounts, path: &str) -> HandlerResult {
    let mount = mounts.get(&format!("{AUTH_PREFIX}{path}"));
    let mount = mount.ok_or_else(|| ErrorReply::bad_request(format!("No auth engine at {path}")))?;
    Ok(Some(Reply::data(mount.settings().describe())))
}

pub(super) async fn enable(mounts: &Mounts, path: &str, request: &ClientRequest) -> HandlerResult {
    let settings = read_settings(mounts, path, request)?;
    mounts.begin_changes().await.enable(settings).await?;
    Ok(None)
}

pub(super) async fn enable_auth(mounts: &Mounts, path: &str, request: &ClientRequest) -> HandlerResult {
    let mut settings = read_settings(mounts, path, request)?;
    let token_type = RequestFields(request.fields().map("config")?).text("token_type")?;
    settings.config.token_type = check_token_type(&token_type)?.to_owned();
    mounts.begin_changes().await.enable_auth(settings).await?;
    Ok(None)
}

/// Validates the type of the tokens of an auth method, and returns its stored form.
pub(super) fn check_token_type(token_type: &str) -> Result<&str, ErrorReply> {
    match token_type {
        "" => Ok("default-service"),
        "default-service" | "default-batch" | "service" | "batch" => Ok(token_type),
        _ => Err(ErrorReply::bad_request("invalid value for 'token_type'")),
    }
}

/// The settings of a new mount.
fn read_settings(mounts: &Mounts, path: &str, request: &ClientRequest) -> Result<MountSettings, ErrorReply> {
    let fields = request.fields();
    let mut kind = fields.text("type")?;
    if kind.is_empty() {
        return Err(ErrorReply::bad_request("backend type must be specified as a string"));
    }
    let config = RequestFields(fields.map("config")?);
    if kind == "plugin" {
        // Old clients mount the type `plugin` with the name in a field.
        let name = fields.text("plugin_name")?;
        kind = if name.is_empty() { config.text("plugin_name")? } else { name };
    }
    let options = match fields.string_map("options")? {
        None if fields.is_null("options") => None,
        options => Some(options.unwrap_or_default()),
    };
    let mut settings = new_settings(path, &kind);
    if options.as_ref().is_some_and(|options| options.contains_key("version")) && kind != "kv" {
        let what = if settings.plugin_type() == AUTH_TYPE { "auth method" } else { "secrets engine" };
        return Err(ErrorReply::bad_request(format!("{what} \"{kind}\" does not allow setting a version")));
    }
    settings.description = fields.text("description")?;
    settings.options = options;
    settings.local = fields.flag("local")?;
    settings.seal_wrap = fields.flag("seal_wrap")?;
    settings.external_entropy_access = fields.flag("external_entropy_access")?;
    settings.plugin_version = match config.text("plugin_version")? {
        version if version.is_empty() => fields.text("plugin_version")?,
        version => version,
    };
    settings.config = read_config(config)?;
    let limits = mounts.system_limits();
    let TuneConfig { default_lease_ttl: default, max_lease_ttl: max, .. } = settings.config;
    if !max.is_zero() && default > max {
        return Err(ErrorReply::bad_request("given default lease TTL greater than given max lease TTL"));
    }
    if max.is_zero() && default > limits.max {
        let text =
            format!("given default lease TTL greater than system max lease TTL of {}", limits.max.as_secs());
        return Err(ErrorReply::bad_request(text));
    }
    Ok(settings)
}

/// Disables a mount. Its leases are revoked first; if that fails, the mount remains tainted.
pub(super) async fn disable(mounts: &Mounts, expiration: &ExpirationManager, path: &str) -> HandlerResult {
    let changes = mounts.begin_changes().await;
    let Some(mount) = changes.taint(path).await? else { return Ok(None) };
    expiration.revoke_prefix(path).await?;
    changes.remove(&mount).await?;
    Ok(None)
}

/// Validates `listing_visibility`.
pub(super) fn check_visibility(visibility: &str) -> Result<(), ErrorReply> {
    match visibility {
        "" | "hidden" | "unauth" => Ok(()),
        other => Err(ErrorReply::bad_request(format!("invalid listing_visibility {other}"))),
    }
}

fn read_config(config: RequestFields<'_>) -> Result<TuneConfig, ErrorReply> {
    let listing_visibility = config.text("listing_visibility")?;
    check_visibility(&listing_visibility)?;
    Ok(TuneConfig {
        default_lease_ttl: duration(config, "default_lease_ttl")?,
        max_lease_ttl: duration(config, "max_lease_ttl")?,
        force_no_cache: config.flag("force_no_cache")?,
        listing_visibility,
        token_type: String::new(),
        audit_non_hmac_request_keys: config.list("audit_non_hmac_request_keys")?,
        audit_non_hmac_response_keys: config.list("audit_non_hmac_response_keys")?,
        passthrough_request_headers: config.list("passthrough_request_headers")?,
        allowed_response_headers: config.list("allowed_response_headers")?,
    })
}

/// Parses a TTL of a mount. `system` means the TTL of the system and is stored as zero.
pub(super) fn duration(fields: RequestFields<'_>, name: &str) -> Result<std::time::Duration, ErrorReply> {
    if matches!(fields.raw(name), Some(Value::String(text)) if text == "system") {
        return Ok(std::time::Duration::ZERO);
    }
    Ok(fields.duration(name)?.unwrap_or_default())
}
