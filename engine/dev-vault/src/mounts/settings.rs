//! The settings of a mount: their stored form, and their form in the API.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vault_plugin::logical::Map;

use super::AUTH_PREFIX;
use crate::catalog::{AUTH_TYPE, SECRET_TYPE};
use crate::reply::json_object;
use vault_plugin::framework::ttl::TtlLimits;

/// The prefix of the stored settings of all mounts.
pub(super) const SETTINGS: &str = "core/mounts/";

/// The settings of a mount.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MountSettings {
    /// Path with a trailing slash.
    pub(crate) path: String,
    /// The name of the plugin, or the type of a built-in mount.
    pub(crate) kind: String,
    pub(crate) uuid: String,
    pub(crate) accessor: String,
    pub(crate) description: String,
    pub(crate) config: TuneConfig,
    pub(crate) options: Option<BTreeMap<String, String>>,
    pub(crate) local: bool,
    pub(crate) seal_wrap: bool,
    pub(crate) external_entropy_access: bool,
    /// The mount is being disabled: only revocations and rollbacks are routed to it.
    #[serde(default)]
    pub(crate) tainted: bool,
    /// Empty for an unversioned plugin.
    pub(crate) plugin_version: String,
    pub(crate) running_version: String,
    pub(crate) running_sha256: String,
}

/// The settings of a mount, shared with its plugin backend.
#[derive(Clone)]
pub(super) struct SharedSettings(Arc<RwLock<MountSettings>>);

impl SharedSettings {
    pub(super) fn new(settings: MountSettings) -> SharedSettings {
        SharedSettings(Arc::new(RwLock::new(settings)))
    }

    /// A copy of the current settings.
    pub(super) fn get(&self) -> MountSettings {
        self.0.read().clone()
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut MountSettings)) {
        change(&mut self.0.write());
    }
}

/// The part of the settings that can be tuned. A zero duration means the duration of the system.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct TuneConfig {
    pub(crate) default_lease_ttl: Duration,
    pub(crate) max_lease_ttl: Duration,
    pub(crate) force_no_cache: bool,
    pub(crate) listing_visibility: String,
    pub(crate) token_type: String,
    pub(crate) audit_non_hmac_request_keys: Option<Vec<String>>,
    pub(crate) audit_non_hmac_response_keys: Option<Vec<String>>,
    pub(crate) passthrough_request_headers: Option<Vec<String>>,
    pub(crate) allowed_response_headers: Option<Vec<String>>,
}

impl TuneConfig {
    /// The TTLs of leases. The mount overrides those of the system.
    pub(crate) fn limits(&self, system: TtlLimits) -> TtlLimits {
        let or_default = |duration: Duration, default| if duration.is_zero() { default } else { duration };
        let max = or_default(self.max_lease_ttl, system.max);
        TtlLimits { default: or_default(self.default_lease_ttl, system.default).min(max), max }
    }

    /// The settings that the API returns only if they are set, by their names in the API.
    pub(crate) fn list_settings(&self) -> [(&'static str, &Option<Vec<String>>); 4] {
        [
            ("audit_non_hmac_request_keys", &self.audit_non_hmac_request_keys),
            ("audit_non_hmac_response_keys", &self.audit_non_hmac_response_keys),
            ("passthrough_request_headers", &self.passthrough_request_headers),
            ("allowed_response_headers", &self.allowed_response_headers),
        ]
    }

    /// Adds the settings that the API returns only if they are set.
    pub(crate) fn describe_optional(&self, map: &mut Map) {
        for (name, list) in self.list_settings() {
            if let Some(list) = list.as_ref().filter(|list| !list.is_empty()) {
                map.insert(name.to_owned(), json!(list));
            }
        }
        for (name, text) in
            [("listing_visibility", &self.listing_visibility), ("token_type", &self.token_type)]
        {
            if !text.is_empty() {
                map.insert(name.to_owned(), json!(text));
            }
        }
    }
}

impl MountSettings {
    /// The type of the plugins that the mount can run.
    pub(crate) fn plugin_type(&self) -> &'static str {
        if self.path.starts_with(AUTH_PREFIX) { AUTH_TYPE } else { SECRET_TYPE }
    }

    /// The key under which the settings of a mount are stored.
    pub(super) fn storage_key(uuid: &str) -> String {
        format!("{SETTINGS}{uuid}")
    }

    /// The mount as `sys/mounts` returns it.
    pub(crate) fn describe(&self) -> Map {
        self.describe_with(self.config.default_lease_ttl, self.config.max_lease_ttl)
    }

    /// The mount with these TTLs, as `sys/internal/ui/mounts` returns it.
    pub(crate) fn describe_with(&self, default: Duration, max: Duration) -> Map {
        let mut config = json_object(json!({
            "default_lease_ttl": default.as_secs(),
            "max_lease_ttl": max.as_secs(),
            "force_no_cache": self.config.force_no_cache,
        }));
        self.config.describe_optional(&mut config);
        json_object(json!({
            "type": self.kind,
            "description": self.description,
            "accessor": self.accessor,
            "uuid": self.uuid,
            "config": config,
            "options": self.options,
            "local": self.local,
            "seal_wrap": self.seal_wrap,
            "external_entropy_access": self.external_entropy_access,
            "plugin_version": self.plugin_version,
            "running_plugin_version": self.running_version,
            "running_sha256": self.running_sha256,
        }))
    }

    /// The version warning of `sys/mounts/:path`.
    pub(crate) fn version_warning(&self) -> Option<String> {
        let (configured, running) = (&self.plugin_version, &self.running_version);
        (configured != running && !configured.is_empty()).then(|| {
            format!(
                "Plugin version is configured as \"{configured}\", but running \"{running}\" either due to a pinned \
                 version or because the plugin was upgraded and not yet reloaded"
            )
        })
    }

    /// The headers of a request that are sent to the engine.
    pub(crate) fn passthrough_headers(
        &self,
        headers: &BTreeMap<String, Vec<String>>,
    ) -> BTreeMap<String, Vec<String>> {
        filter_headers(headers, self.config.passthrough_request_headers.as_deref())
    }

    /// The headers of a response of the engine that are sent to the client.
    pub(crate) fn allowed_response_headers(
        &self,
        headers: &BTreeMap<String, Vec<String>>,
    ) -> BTreeMap<String, Vec<String>> {
        filter_headers(headers, self.config.allowed_response_headers.as_deref())
    }

    /// The fields of requests that the audit log records without hashing.
    pub(crate) fn non_hmac_request_keys(&self) -> &[String] {
        self.config.audit_non_hmac_request_keys.as_deref().unwrap_or_default()
    }

    /// The fields of responses that the audit log records without hashing.
    pub(crate) fn non_hmac_response_keys(&self) -> &[String] {
        self.config.audit_non_hmac_response_keys.as_deref().unwrap_or_default()
    }
}

fn filter_headers(
    headers: &BTreeMap<String, Vec<String>>,
    allowed: Option<&[String]>,
) -> BTreeMap<String, Vec<String>> {
    let allowed = allowed.unwrap_or_default();
    let is_allowed = |name: &str| allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(name));
    headers
        .iter()
        .filter(|(name, _)| is_allowed(name))
        .map(|(name, values)| (name.clone(), values.clone()))
        .collect()
}

/// The reply of `sys/mounts`, keyed by path.
pub(crate) fn by_path(mounts: impl IntoIterator<Item = MountSettings>) -> Map {
    mounts.into_iter().map(|mount| (mount.path.clone(), Value::Object(mount.describe()))).collect()
}
