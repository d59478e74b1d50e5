//! `sys/leases`: looks up, lists, renews and revokes leases. Includes the deprecated paths `sys/renew` and `sys/revoke`.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde_json::{Value, json};
use vault_plugin::logical::Operation;

use crate::client_request::ClientRequest;
use crate::core::Core;
use crate::envelope::timestamp;
use crate::leases::Lease;
use crate::reply::{ErrorReply, HandlerResult, Reply, json_object};

/// The maximum number of leases in one reply, as Vault's default.
const MAX_LISTED_LEASES: usize = 10_000;

pub(super) async fn handle(
    core: &Core,
    request: &ClientRequest,
    operation: &Operation,
    path: &[&str],
) -> HandlerResult {
    use Operation::{List, Read, Update};
    match (path, operation) {
        (["lookup"], Update) => look_up(core, request),
        (["lookup", prefix @ ..], List) => Ok(Some(Reply::list(core.leases.list(&lease_prefix(prefix))))),
        (["renew", id @ ..], Update) => renew(core, request, id).await,
        (["revoke", id @ ..], Update) => revoke(core, request, id).await,
        (["revoke-prefix", prefix @ ..], Update) if !prefix.is_empty() => {
            revoke_prefix(core, request, &prefix.join("/")).await
        }
        (["revoke-force", prefix @ ..], Update) if !prefix.is_empty() => {
            for id in core.leases.ids(&lease_prefix(prefix)) {
                core.expiration.force_revoke(&id).await?;
            }
            core.expiration.force_revoke(&prefix.join("/")).await?;
            Ok(None)
        }
        (["count"], Read) => irrevocable(core, request, IrrevocableView::Count),
        ([], Read) => irrevocable(core, request, IrrevocableView::Leases),
        (["tidy"], Update) => {
            let mut reply = Reply::warning(
                "Tidy operation successfully started. Any information from the operation will be printed to Vault's \
                 server logs.",
            );
            reply.status = Some(202);
            Ok(Some(reply))
        }
        (
            ["lookup" | "renew" | "revoke" | "revoke-prefix" | "revoke-force" | "count" | "tidy", ..] | [],
            _,
        ) => Err(ErrorReply::unsupported_operation()),
        _ => Err(ErrorReply::unsupported_path()),
    }
}

fn look_up(core: &Core, request: &ClientRequest) -> HandlerResult {
    let id = lease_id(request, &[])?;
    let lease = core.leases.get(&id)?.ok_or_else(|| ErrorReply::bad_request("invalid lease"))?;
    Ok(Some(Reply::data(json_object(json!({
        "id": lease.id,
        "issue_time": timestamp(lease.issued),
        "expire_time": lease.expires.map(timestamp),
        "last_renewal": lease.renewed.map(timestamp),
        "renewable": lease.is_renewable(),
        "ttl": seconds_left(&lease),
    })))))
}

async fn renew(core: &Core, request: &ClientRequest, path: &[&str]) -> HandlerResult {
    let id = lease_id(request, path)?;
    let increment = request.fields().duration("increment")?.unwrap_or_default();
    core.expiration.renew(&id, increment).await
}

async fn revoke(core: &Core, request: &ClientRequest, path: &[&str]) -> HandlerResult {
    let id = lease_id(request, path)?;
    if request.fields().optional_flag("sync")?.unwrap_or(true) {
        core.expiration.revoke(&id).await?;
        return Ok(None);
    }
    core.leases.expire_now(&id)?;
    Ok(Some(Reply::accepted()))
}

async fn revoke_prefix(core: &Core, request: &ClientRequest, prefix: &str) -> HandlerResult {
    let single = core.leases.get(prefix)?.map(|lease| lease.id);
    let ids = single.map_or_else(|| core.leases.ids(&format!("{prefix}/")), |id| vec![id]);
    if request.fields().optional_flag("sync")?.unwrap_or(true) {
        core.expiration
            .revoke_prefix(&ids.first().filter(|_| ids.len() == 1).cloned().unwrap_or(format!("{prefix}/")))
            .await?;
        return Ok(None);
    }
    for id in &ids {
        core.leases.expire_now(id)?;
    }
    Ok(Some(Reply::accepted()))
}

#[derive(PartialEq)]
enum IrrevocableView {
    Count,
    Leases,
}

fn irrevocable(core: &Core, request: &ClientRequest, view: IrrevocableView) -> HandlerResult {
    let kind = request.fields().text("type")?;
    if kind.is_empty() {
        return Ok(None);
    }
    if kind != "irrevocable" {
        return Err(ErrorReply::bad_request(
            "invalid lease type; only irrevocable leases can be counted or listed",
        ));
    }
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut leases = Vec::new();
    for id in core.leases.ids("") {
        let Some(lease) = core.leases.get(&id)?.filter(Lease::is_irrevocable) else { continue };
        let mount = core.mounts.route(&lease.path).map(|(mount, _)| mount.settings());
        *counts.entry(mount.map(|mount| mount.accessor).unwrap_or_default()).or_default() += 1;
        if leases.len() < MAX_LISTED_LEASES {
            leases.push(json!({"lease_id": lease.id, "error": lease.error}));
        }
    }
    let total: usize = counts.values().sum();
    let data = match view {
        IrrevocableView::Count => json!({"lease_count": total, "counts": counts}),
        IrrevocableView::Leases => json!({"lease_count": total, "leases": Value::Array(leases)}),
    };
    Ok(Some(Reply::data(json_object(data))))
}

fn seconds_left(lease: &Lease) -> u64 {
    let remaining = lease.expires.and_then(|expires| expires.duration_since(SystemTime::now()).ok());
    // Vault rounds to the nearest second.
    remaining.map_or(0, |remaining| (remaining + std::time::Duration::from_millis(500)).as_secs())
}

fn lease_id(request: &ClientRequest, path: &[&str]) -> Result<String, ErrorReply> {
    let fields = request.fields();
    let id = [fields.text("lease_id")?, fields.text("url_lease_id")?, path.join("/")];
    let id = id.into_iter().find(|id| !id.is_empty());
    id.ok_or_else(|| ErrorReply::bad_request("lease_id must be specified"))
}

fn lease_prefix(segments: &[&str]) -> String {
    if segments.is_empty() { String::new() } else { format!("{}/", segments.join("/")) }
}
