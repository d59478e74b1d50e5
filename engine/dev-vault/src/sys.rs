//! `sys/`: the system paths, one file per area.

mod audit;
mod capabilities;
mod leases;
mod mounts;
mod password_policies;
mod plugins;
mod policies;
mod specs;
mod state;
mod tune;
mod ui;
mod unsupported;

use std::sync::Arc;

use vault_plugin::logical::Operation;

use crate::authorization::Caller;
use crate::client_request::ClientRequest;
use crate::core::Core;
use crate::reply::{ErrorReply, HandlerResult};
use crate::wrapping::wrap_data;

/// Paths that do not require a token.
pub(crate) const UNAUTHENTICATED_PATHS: &[&str] =
    &["wrapping/lookup", "internal/specs/openapi", "internal/ui/mounts", "internal/ui/mounts/*"];

/// Paths that require the `sudo` capability in addition to that of the operation (`vault/logical_system.go`).
pub(crate) const SUDO_PATHS: &[&str] = &[
    "audit",
    "audit/*",
    "auth/*",
    "config/auditing/*",
    "config/cors",
    "config/ui/headers/*",
    "internal/inspect/*",
    "leases",
    "leases/lookup/*",
    "leases/revoke-force/*",
    "leases/revoke-prefix/*",
    "plugins/catalog/*",
    "plugins/runtimes/catalog/*",
    "raw",
    "raw/*",
    "remount",
    "revoke-force/*",
    "revoke-prefix/*",
    "rotate",
    "seal",
    "step-down",
];

/// Handles a request below `sys/`.
pub(crate) async fn handle(
    core: &Arc<Core>,
    caller: &Caller,
    request: &ClientRequest,
    path: &str,
) -> HandlerResult {
    use Operation::{Delete, List, Read};
    let segments: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    let write = matches!(request.operation, Operation::Create | Operation::Update);
    let operation = if write { &Operation::Update } else { &request.operation };
    match (segments.as_slice(), operation) {
        (_, Operation::Help) => specs::help(path),

        (["mounts"], Read) => Ok(Some(mounts::list(&core.mounts))),
        (["mounts", path_segments @ .., "tune"], Read) if !path_segments.is_empty() => {
            tune::read(&core.mounts, &core.catalog, &mounts::path(path_segments))
        }
        (["mounts", path_segments @ .., "tune"], Operation::Update) if !path_segments.is_empty() => {
            tune::write(&core.mounts, &core.catalog, &mounts::path(path_segments), request)
        }
        (["mounts", path_segments @ ..], Read) if !path_segments.is_empty() => {
            mounts::read(&core.mounts, &mounts::path(path_segments))
        }
        (["mounts", path_segments @ ..], Operation::Update) if !path_segments.is_empty() => {
            mounts::enable(&core.mounts, &mounts::path(path_segments), request).await
        }
        (["mounts", path_segments @ ..], Delete) if !path_segments.is_empty() => {
            mounts::disable(&core.mounts, &core.expiration, &mounts::path(path_segments)).await
        }
        (["auth"], Read) => Ok(Some(mounts::list_auth(&core.mounts))),
        (["auth", path_segments @ .., "tune"], Read) if !path_segments.is_empty() => {
            tune::read(&core.mounts, &core.catalog, &mounts::auth_path(path_segments))
        }
        (["auth", path_segments @ .., "tune"], Operation::Update) if !path_segments.is_empty() => {
            tune::write(&core.mounts, &core.catalog, &mounts::auth_path(path_segments), request)
        }
        (["auth", path_segments @ ..], Operation::Update) if !path_segments.is_empty() => {
            mounts::enable_auth(&core.mounts, &mounts::auth_path(path_segments), request).await
        }
        (["auth", path_segments @ ..], Delete) if !path_segments.is_empty() => {
            mounts::disable(&core.mounts, &core.expiration, &mounts::auth_path(path_segments)).await
        }
        (["auth", path_segments @ ..], Read) if !path_segments.is_empty() => {
            mounts::read_auth(&core.mounts, &mounts::path(path_segments))
        }

        (["plugins", rest @ ..], _) => {
            plugins::handle(&core.catalog, &core.mounts, request, operation, rest).await
        }
        (["leases", rest @ ..], _) => leases::handle(core, request, operation, rest).await,
        (["renew" | "revoke" | "revoke-prefix" | "revoke-force", ..], Operation::Update) => {
            leases::handle(core, request, operation, &segments).await
        }
        (["policies", "acl", rest @ ..], _) => policies::acl(&core.policies, request, operation, rest),
        (["policies", "password", rest @ ..], _) => {
            password_policies::handle(&core.password_policies, request, operation, rest)
        }
        (["policy", rest @ ..], _) => policies::legacy(&core.policies, request, operation, rest),
        (["capabilities"], Operation::Update) => capabilities::for_token(core, request),
        (["capabilities-accessor"], Operation::Update) => capabilities::for_accessor(core, request),
        (["capabilities-self"], Operation::Update) => capabilities::for_caller(caller, request),

        (["wrapping", "wrap"], Operation::Update) => wrap_data(request),
        (["wrapping", "lookup"], Read | Operation::Update) => core.wrapping.look_up(request),
        (["wrapping", "unwrap"], Operation::Update) => core.wrapping.unwrap(request),
        (["wrapping", "rewrap"], Operation::Update) => core.wrapping.rewrap(request),

        (["audit"], Read) => audit::list(core.audit.as_ref()),
        (["audit-hash", device], Operation::Update) => audit::hash(core.audit.as_ref(), device, request),
        (["internal", "ui", "mounts"], Read) => ui::mounts(&core.mounts, caller),
        (["internal", "ui", "mounts", path_segments @ ..], Read) => {
            ui::mount(&core.mounts, caller, request, &mounts::path(path_segments))
        }
        (["internal", "ui", "resultant-acl"], Read) => ui::resultant_acl(caller),
        (["internal", "specs", "openapi"], Read | Operation::Update) => {
            specs::openapi(&core.mounts, &core.log, caller).await
        }
        (["config", "state", "sanitized"], Read) => state::sanitized(&core.config),
        (["host-info"], Read) => state::host_info(),
        (["ha-status"], Read) => state::ha_status(request),
        (["version-history"], List) => state::version_history(),
        (["seal"], Operation::Update) => {
            let core = core.clone();
            // Sealing waits for the requests in flight, including this one.
            tokio::spawn(async move { core.seal().await });
            Ok(None)
        }

        (segments, _) => Err(match unsupported::unsupported_error(path) {
            Some(refusal) => refusal,
            None if is_known_path(segments) => ErrorReply::unsupported_operation(),
            None => ErrorReply::unsupported_path(),
        }),
    }
}

/// Whether the path exists for another operation.
fn is_known_path(segments: &[&str]) -> bool {
    matches!(
        segments,
        ["mounts" | "auth" | "audit", ..]
            | ["capabilities" | "capabilities-accessor" | "capabilities-self"]
            | ["wrapping", "wrap" | "lookup" | "unwrap" | "rewrap"]
            | ["audit-hash", _]
            | ["internal", "ui", "mounts" | "resultant-acl", ..]
            | ["internal", "specs", "openapi"]
            | ["config", "state", "sanitized"]
            | ["host-info" | "ha-status" | "version-history" | "seal"]
            | ["renew" | "revoke" | "revoke-prefix" | "revoke-force", ..]
    )
}
