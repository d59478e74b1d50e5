//! Paths of Vault below `sys/` that a development server does not implement: the error says so, instead of "unsupported path".

use crate::reply::ErrorReply;

/// Path prefixes, and the reason why they are not implemented.
const UNSUPPORTED_PATHS: &[(&str, &str)] = &[
    ("audit/", "has the audit device that it was started with, and no other"),
    ("auth/", "mounts secrets engines only, no auth methods"),
    ("config/", "takes its settings from its command line"),
    ("generate-root", "shows its root token when it starts, and makes no other"),
    ("in-flight-req", NO_TELEMETRY),
    ("internal/counters/", NO_TELEMETRY),
    ("internal/inspect/", NO_TELEMETRY),
    ("key-status", NO_KEYS),
    ("loggers", NO_TELEMETRY),
    ("locked-users", "has no users that could be locked out"),
    ("managed-keys/", NO_KEYS),
    ("metrics", NO_TELEMETRY),
    ("monitor", NO_TELEMETRY),
    ("plugins/runtimes/", "starts plugins as processes, not as containers"),
    ("policies/password", "has no password policies"),
    ("pprof", NO_TELEMETRY),
    ("quotas/", "has no quotas"),
    ("raw", "does not show what it stores"),
    ("rekey", NO_KEYS),
    ("remount", "does not move mounts: disable the mount, and enable it at the other path"),
    ("replication/", "does not replicate"),
    ("rotate", NO_KEYS),
    ("storage/", "has no storage that could be managed"),
    ("tools/", "has no tools"),
];

const NO_KEYS: &str = "does not encrypt what it stores, and has no keys";
const NO_TELEMETRY: &str = "does not measure itself";

/// The error for a path that is not implemented; `None` for a path that Vault does not have either.
pub(super) fn unsupported_error(path: &str) -> Option<ErrorReply> {
    let (_, why) = UNSUPPORTED_PATHS.iter().find(|(start, _)| path.starts_with(start))?;
    Some(ErrorReply::bad_request(format!("a development server {why}")))
}
