//! `sys/mounts/:path/tune`: the settings of a mount that can be changed.

use serde_json::json;

use super::mounts::{check_token_type, check_visibility, duration};
use crate::catalog::{AUTH_TYPE, Catalog};
use crate::client_request::ClientRequest;
use crate::mounts::Mounts;
use crate::reply::{ErrorReply, HandlerResult, Reply, json_object};

pub(super) fn read(mounts: &Mounts, catalog: &Catalog, path: &str) -> HandlerResult {
    let mount = mounts
        .get(path)
        .ok_or_else(|| ErrorReply::bad_request(format!("cannot fetch sysview for path \"{path}\"")))?;
    let (settings, limits) = (mount.settings(), mounts.limits(&mount));
    let mut data = json_object(json!({
        "default_lease_ttl": limits.default.as_secs(),
        "max_lease_ttl": limits.max.as_secs(),
        "force_no_cache": settings.config.force_no_cache,
        "description": settings.description,
    }));
    settings.config.describe_optional(&mut data);
    if let Some(options) = settings.options.as_ref().filter(|options| !options.is_empty()) {
        data.insert("options".to_owned(), json!(options));
    }
    if !settings.plugin_version.is_empty() {
        data.insert("plugin_version".to_owned(), json!(settings.plugin_version));
    }
    let mut reply = Reply::data(data);
    if let Some(pin) = catalog.pin(settings.plugin_type(), &settings.kind)?
        && pin.version != settings.plugin_version
    {
        reply.warnings.push(format!(
            "plugin_version is configured as {} but a version pin for {} is in effect",
            settings.plugin_version, pin.version
        ));
    }
    Ok(Some(reply))
}

pub(super) fn write(
    mounts: &Mounts,
    catalog: &Catalog,
    path: &str,
    request: &ClientRequest,
) -> HandlerResult {
    let mount = mounts.get(path).ok_or_else(|| {
        ErrorReply::bad_request(format!("tune of path \"{path}\" failed: no mount entry found"))
    })?;
    let fields = request.fields();
    let current = mount.settings();
    let mut updated = current.clone();
    if let Some(version) = fields.optional_text("plugin_version")?.filter(|version| !version.is_empty()) {
        updated.plugin_version =
            catalog.validate_tuned_version(current.plugin_type(), &current.kind, &version)?;
    }
    // The CLI sends an empty text for what it does not change.
    let is_given = |name| fields.raw(name).is_some_and(|raw| raw.as_str() != Some(""));
    if is_given("default_lease_ttl") {
        updated.config.default_lease_ttl = duration(fields, "default_lease_ttl")?;
    }
    if is_given("max_lease_ttl") {
        updated.config.max_lease_ttl = duration(fields, "max_lease_ttl")?;
    }
    let limits = mounts.system_limits();
    let max = match updated.config.max_lease_ttl {
        max if max.is_zero() => limits.max,
        max => max,
    };
    if updated.config.default_lease_ttl > max {
        return Err(ErrorReply::bad_request(format!(
            "backend max lease TTL of {} is less than the requested default of {}",
            max.as_secs(),
            updated.config.default_lease_ttl.as_secs()
        )));
    }
    if let Some(description) = fields.optional_text("description")? {
        updated.description = description;
    }
    if let Some(visibility) = fields.optional_text("listing_visibility")? {
        check_visibility(&visibility)?;
        updated.config.listing_visibility = visibility;
    }
    if let Some(token_type) = fields.optional_text("token_type")? {
        if current.plugin_type() != AUTH_TYPE {
            return Err(ErrorReply::bad_request("'token_type' can only be modified on auth mounts"));
        }
        if current.kind == "token" {
            return Err(ErrorReply::bad_request(
                "'token_type' cannot be set for 'token' or 'ns_token' auth mounts",
            ));
        }
        check_token_type(&token_type)?.clone_into(&mut updated.config.token_type);
    }
    let config = &mut updated.config;
    for (name, setting) in [
        ("audit_non_hmac_request_keys", &mut config.audit_non_hmac_request_keys),
        ("audit_non_hmac_response_keys", &mut config.audit_non_hmac_response_keys),
        ("passthrough_request_headers", &mut config.passthrough_request_headers),
        ("allowed_response_headers", &mut config.allowed_response_headers),
    ] {
        if let Some(list) = fields.list(name)? {
            *setting = Some(list);
        }
    }
    if let Some(options) = fields.string_map("options")? {
        updated.options.get_or_insert_default().extend(options);
    }
    mounts.update(&mount, |settings| *settings = updated)?;
    Ok(None)
}
