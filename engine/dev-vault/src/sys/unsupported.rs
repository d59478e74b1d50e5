//! System paths of Vault that a development server does not implement. Their error gives the reason, instead of "unsupported path".

use crate::reply::ErrorReply;

/// Path prefixes, and the reason why they are not implemented.
const UNSUPPORTED_PATHS: &[(&str, &str)] = &[
    ("audit/", "supports only the audit device that it was started with"),
    ("config/", "is configured only by its command line"),
    ("generate-root", "prints its root token when it starts, and cannot generate another one"),
    ("in-flight-req", NO_TELEMETRY),
    ("internal/counters/", NO_TELEMETRY),
    ("internal/inspect/", NO_TELEMETRY),
    ("key-status", NO_KEYS),
    ("loggers", NO_TELEMETRY),
    ("locked-users", "has no user lockout"),
    ("managed-keys/", NO_KEYS),
    ("metrics", NO_TELEMETRY),
    ("monitor", NO_TELEMETRY),
    ("plugins/runtimes/", "runs plugins as processes, not in containers"),
    ("pprof", NO_TELEMETRY),
    ("quotas/", "does not support quotas"),
    ("raw", "does not expose its storage"),
    ("rekey", NO_KEYS),
    ("remount", "does not move mounts: disable the mount, and enable it at the new path"),
    ("replication/", "does not support replication"),
    ("rotate", NO_KEYS),
    ("storage/", "does not support storage management"),
    ("tools/", "does not support tools"),
];

const NO_KEYS: &str = "does not encrypt its storage and has no keys";
const NO_TELEMETRY: &str = "does not collect telemetry";

/// The error for an unimplemented path; `None` for a path that Vault does not have either.
pub(super) fn unsupported_error(path: &str) -> Option<ErrorReply> {
    let (_, reason) = UNSUPPORTED_PATHS.iter().find(|(prefix, _)| path.starts_with(prefix))?;
    Some(ErrorReply::bad_request(format!("a development server {reason}")))
}
