//! Status and configuration of the server.

use serde_json::json;

use crate::client_request::ClientRequest;
use crate::core::ServerConfig;
use crate::reply::{HandlerResult, Reply, json_object};

/// The settings that are relevant for plugins, by their names in Vault's configuration.
pub(super) fn sanitized(config: &ServerConfig) -> HandlerResult {
    let directory = config.plugin_directory.as_deref().map(|path| path.display().to_string());
    Ok(Some(Reply::data(json_object(json!({
        "api_addr": "",
        "cluster_addr": "",
        // The name in the configuration file, not the generated name of the cluster.
        "cluster_name": "",
        "default_lease_ttl": 0,
        "max_lease_ttl": 0,
        "disable_mlock": true,
        "enable_ui": false,
        "plugin_directory": directory.unwrap_or_default(),
        "plugin_file_permissions": 0,
        "plugin_file_uid": 0,
        "plugin_tmpdir": "",
        "seals": [{"disabled": false, "name": "shamir", "priority": 1, "type": "shamir"}],
        "storage": {"type": config.storage_type},
    })))))
}

pub(super) fn host_info() -> HandlerResult {
    let host = json!({"os": std::env::consts::OS, "kernelArch": std::env::consts::ARCH});
    Ok(Some(Reply::data(json_object(json!({"host": host, "timestamp": jiff::Timestamp::now().to_string()})))))
}

/// The status of a cluster with one node.
pub(super) fn ha_status(request: &ClientRequest) -> HandlerResult {
    let host = request.headers.get("Host").and_then(|values| values.first()).cloned().unwrap_or_default();
    let node = json!({
        "hostname": host.split(':').next().unwrap_or_default(),
        "api_address": format!("http://{host}"),
        "cluster_address": "",
        "active_node": true,
        "last_echo": null,
        "version": crate::VERSION,
        "echo_duration_ms": 0,
        "clock_skew_ms": 0,
        "replication_primary_canary_age_ms": 0,
    });
    Ok(Some(Reply::data(json_object(json!({"nodes": [node]})))))
}

pub(super) fn version_history() -> HandlerResult {
    let version = crate::VERSION;
    let info = json!({version: {
        "build_date": crate::BUILD_DATE,
        "previous_version": null,
        "timestamp_installed": crate::BUILD_DATE,
    }});
    Ok(Some(Reply::data(json_object(json!({"keys": [version], "key_info": info})))))
}
