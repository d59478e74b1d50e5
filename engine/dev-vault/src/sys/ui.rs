//! `sys/internal/ui`: the mounts and capabilities of the caller, for user interfaces and the preflight check of the CLI.

use serde_json::{Value, json};
use vault_plugin::logical::Map;

use crate::authorization::Caller;
use crate::client_request::ClientRequest;
use crate::mounts::{Mount, Mounts};
use crate::policy::Acl;
use crate::reply::{ErrorReply, HandlerResult, Reply, json_object};

/// The mounts that the caller can reach; without a token, those with `listing_visibility=unauth`.
pub(super) fn mounts(mounts: &Mounts, caller: &Caller) -> HandlerResult {
    let (mut secret, mut auth) = (Map::new(), Map::new());
    for mount in mounts.all() {
        let settings = mount.settings();
        let is_unauthenticated = settings.config.listing_visibility == "unauth";
        if caller.token.is_none() && is_unauthenticated {
            let info = json!({
                "type": settings.kind, "description": settings.description, "options": settings.options
            });
            secret.insert(settings.path, info);
        } else if caller.token.is_some() && (is_unauthenticated || caller.acl.reaches(&settings.path)) {
            let info = Value::Object(mount_info(mounts, &mount));
            match settings.path.strip_prefix("auth/") {
                Some(path) => auth.insert(path.to_owned(), info),
                None => secret.insert(settings.path, info),
            };
        }
    }
    Ok(Some(Reply::data(json_object(json!({"secret": secret, "auth": auth})))))
}

/// The mount that handles a path.
pub(super) fn mount(mounts: &Mounts, caller: &Caller, request: &ClientRequest, path: &str) -> HandlerResult {
    if caller.token.is_none() {
        return Err(ErrorReply::new(403, "permission denied"));
    }
    let requested = request.path.strip_prefix("sys/internal/ui/mounts/").unwrap_or_default();
    let routed = mounts.route(path).filter(|(mount, _)| caller.acl.reaches(&mount.settings().path));
    let (mount, _) = routed.ok_or_else(|| {
        ErrorReply::new(
            403,
            format!(
                "preflight capability check returned 403, please ensure client's policies grant access to path \
                 \"{requested}/\""
            ),
        )
    })?;
    let mut data = mount_info(mounts, &mount);
    data.insert("path".to_owned(), json!(mount.settings().path));
    Ok(Some(Reply::data(data)))
}

pub(super) fn resultant_acl(caller: &Caller) -> HandlerResult {
    let data = match &caller.acl {
        Acl::Root => json!({"root": true, "chroot_namespace": ""}),
        Acl::Rules(rules) => {
            let paths = |is_pattern: bool| -> Map {
                let rules = rules.iter().filter(|rule| rule.is_pattern() == is_pattern);
                rules
                    .map(|rule| {
                        let names: Vec<_> = rule.capabilities.iter().map(|name| name.as_str()).collect();
                        (rule.display_path().to_owned(), json!({"capabilities": names}))
                    })
                    .collect()
            };
            json!({
                "root": false,
                "chroot_namespace": "",
                "exact_paths": paths(false),
                "glob_paths": paths(true),
            })
        }
    };
    Ok(Some(Reply::data(json_object(data))))
}

fn mount_info(mounts: &Mounts, mount: &Mount) -> Map {
    let limits = mounts.limits(mount);
    mount.settings().describe_with(limits.default, limits.max)
}
