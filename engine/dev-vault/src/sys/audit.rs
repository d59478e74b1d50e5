//! `sys/audit` and `sys/audit-hash`: the audit log that the server was started with.

use serde_json::json;
use vault_plugin::logical::Map;

use crate::audit::AuditLog;
use crate::client_request::ClientRequest;
use crate::reply::{ErrorReply, HandlerResult, Reply, json_object};

/// The only audit device.
const DEVICE: &str = "file";

pub(super) fn list(audit: Option<&AuditLog>) -> HandlerResult {
    let Some(audit) = audit else { return Ok(Some(Reply::data(Map::new()))) };
    let device = json!({
        "type": DEVICE,
        "path": format!("{DEVICE}/"),
        "description": "",
        "local": false,
        "options": {"file_path": audit.path()},
    });
    Ok(Some(Reply::data(json_object(json!({format!("{DEVICE}/"): device})))))
}

/// Returns the hash of a string in the log.
pub(super) fn hash(audit: Option<&AuditLog>, device: &str, request: &ClientRequest) -> HandlerResult {
    let input = request.fields().text("input")?;
    if input.is_empty() {
        return Err(ErrorReply::bad_request("the \"input\" parameter is empty"));
    }
    let audit = audit.filter(|_| device == DEVICE);
    let audit =
        audit.ok_or_else(|| ErrorReply::bad_request(format!("unknown audit backend \"{device}/\"")))?;
    Ok(Some(Reply::data(json_object(json!({"hash": audit.hash(&input)})))))
}
