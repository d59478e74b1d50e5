//! Unauthenticated paths that a sealed server handles too: health, seal status, initialization, leader, unseal.

use std::ops::RangeInclusive;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER_PERMISSIVE;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{empty_response, error_response, json_response};
use crate::core::Core;
use crate::reply::{ErrorReply, json_object};

/// Handles the paths of this module; `None` for every other path.
pub(super) async fn handle(core: &Arc<Core>, head: &Parts, path: &str, body: &[u8]) -> Option<Response> {
    let method = head.method.as_str();
    let is_write = matches!(method, "PUT" | "POST");
    let response = match (path, method) {
        ("sys/health", "GET" | "HEAD") => health(core, head),
        ("sys/seal-status", "GET") => ok(&seal_status(core)),
        ("sys/init", "GET") => ok(&json!({"initialized": true})),
        ("sys/init", _) if is_write => {
            error_response(&ErrorReply::bad_request("Vault is already initialized"))
        }
        ("sys/leader", "GET") => ok(&leader()),
        ("sys/unseal", _) if is_write => unseal(core, body).await,
        // Sealing a sealed server succeeds without a token, as in Vault.
        ("sys/seal", _) if is_write && core.is_sealed() => empty_response(StatusCode::NO_CONTENT),
        // Without high availability a step-down succeeds without a token, as in Vault.
        ("sys/step-down", _) if is_write => empty_response(StatusCode::NO_CONTENT),
        ("sys/health" | "sys/seal-status" | "sys/init" | "sys/leader" | "sys/unseal", _) => {
            error_response(&ErrorReply { status: 405, text: None, data: None })
        }
        _ => return None,
    };
    Some(response)
}

fn ok(document: &Value) -> Response {
    json_response(StatusCode::OK, document.to_string())
}

fn health(core: &Core, head: &Parts) -> Response {
    let sealed = core.is_sealed();
    let mode = if sealed { "unknown" } else { "disabled" };
    let mut document = json!({
        "initialized": true,
        "sealed": sealed,
        "standby": sealed,
        "performance_standby": false,
        "replication_performance_mode": mode,
        "replication_dr_mode": mode,
        "server_time_utc": Timestamp::now().as_second(),
        "version": crate::VERSION,
        "enterprise": false,
        "echo_duration_ms": 0,
        "clock_skew_ms": 0,
        "replication_primary_canary_age_ms": 0,
    });
    if !sealed {
        document["cluster_name"] = json!(core.identity.cluster_name);
        document["cluster_id"] = json!(core.identity.cluster_id);
    }
    let (name, default) = if sealed { ("sealedcode", 503) } else { ("activecode", 200) };
    let query = form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes());
    let requested = query.into_iter().find(|(key, _)| key == name).map(|(_, code)| code.parse::<u16>());
    let code = match requested {
        None => default,
        Some(Ok(code)) => code,
        Some(Err(_)) => {
            return error_response(&ErrorReply { status: 400, text: None, data: None });
        }
    };
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    if head.method.as_str() == "HEAD" {
        return empty_response(status);
    }
    json_response(status, document.to_string())
}

fn seal_status(core: &Core) -> Value {
    let sealed = core.is_sealed();
    let mut document = json!({
        "type": "shamir",
        "initialized": true,
        "sealed": sealed,
        "t": 1,
        "n": 1,
        "progress": 0,
        "nonce": "",
        "version": crate::VERSION,
        "build_date": crate::BUILD_DATE,
        "migration": false,
        "recovery_seal": false,
        "storage_type": core.config.storage_type,
    });
    if !sealed {
        document["cluster_name"] = json!(core.identity.cluster_name);
        document["cluster_id"] = json!(core.identity.cluster_id);
    }
    document
}

fn leader() -> Value {
    json!({
        "ha_enabled": false,
        "is_self": false,
        "active_time": "0001-01-01T00:00:00Z",
        "leader_address": "",
        "leader_cluster_address": "",
        "performance_standby": false,
        "performance_standby_last_remote_wal": 0,
    })
}

async fn unseal(core: &Arc<Core>, body: &[u8]) -> Response {
    let data = json_object(serde_json::from_slice(body).unwrap_or_default());
    let key = data.get("key").and_then(Value::as_str).unwrap_or_default();
    let reset = data.get("reset").and_then(Value::as_bool).unwrap_or_default();
    if key.is_empty() && !reset {
        return error_response(&ErrorReply::bad_request(
            "'key' must be specified in request body as JSON, or 'reset' set to true",
        ));
    }
    if reset || !core.is_sealed() {
        return ok(&seal_status(core));
    }
    if let Err(failure) = check_unseal_key(core.identity.unseal_key.as_str(), key) {
        return error_response(&failure);
    }
    match core.unseal().await {
        Ok(()) => ok(&seal_status(core)),
        Err(error) => error_response(&error.into()),
    }
}

/// Key lengths in bytes that Vault accepts: those of its cipher, plus one byte for a key share.
const KEY_LENGTHS: RangeInclusive<usize> = 16..=33;

fn check_unseal_key(expected: &str, key: &str) -> Result<(), ErrorReply> {
    let bytes = HEXLOWER_PERMISSIVE.decode(key.as_bytes()).ok().or_else(|| STANDARD.decode(key).ok());
    let bytes = bytes.ok_or_else(|| ErrorReply::bad_request("'key' must be a valid hex or base64 string"))?;
    let (min, max) = KEY_LENGTHS.into_inner();
    if bytes.len() < min {
        return Err(ErrorReply::bad_request(format!("invalid key: key is shorter than minimum {min} bytes")));
    }
    if bytes.len() > max {
        return Err(ErrorReply::bad_request(format!("invalid key: key is longer than maximum {max} bytes")));
    }
    if STANDARD.decode(expected).is_ok_and(|expected| expected == bytes) {
        return Ok(());
    }
    Err(ErrorReply::bad_request(
        "unable to retrieve stored keys: invalid key: failed to decrypt keys from storage: error decrypting seal \
         wrapped value\nerror decrypting using seal shamir: cipher: message authentication failed",
    ))
}
