//! Help, and the OpenAPI document of the mounts.

use serde_json::{Value, json};
use vault_plugin::logical::{Map, Operation, Request};

use crate::authorization::Caller;
use crate::log::{LogSink, log_error};
use crate::mounts::Mounts;
use crate::mounts::backend::MountBackend;
use crate::reply::{ErrorReply, HandlerResult, Reply, json_object};

/// Returns the help of a system path, which refers to the documentation of Vault.
pub(super) fn help(path: &str) -> HandlerResult {
    Ok(Some(Reply::bare(json_object(json!({
        "help": format!("Request:        {path}\n\nSee the documentation of this path in Vault."),
        "see_also": null,
        "openapi": null,
    })))))
}

/// Merges the documents of all engines that the caller can reach, with the paths of their mounts.
pub(super) async fn openapi(mounts: &Mounts, log: &LogSink, caller: &Caller) -> HandlerResult {
    let (mut paths, mut schemas) = (Map::new(), Map::new());
    for mount in mounts.all() {
        let settings = mount.settings();
        let is_plugin = matches!(mount.backend(), MountBackend::Plugin(_));
        if !is_plugin || (!caller.is_root() && !caller.acl.reaches(&settings.path)) {
            continue;
        }
        let mut request = Request::new(Operation::Help, "", Map::new());
        request.data.insert("requestResponsePrefix".to_owned(), json!(settings.path.trim_end_matches('/')));
        request.mount_point.clone_from(&settings.path);
        let response = match mount.call_backend(request).await {
            Ok(response) => response,
            // An error of one engine must not suppress the documents of the others.
            Err(ErrorReply { text, .. }) => {
                log_error(log, "no OpenAPI document", Some(&format!("{}: {text:?}", settings.path)));
                continue;
            }
        };
        let document =
            response.and_then(|response| response.data).and_then(|mut data| data.remove("openapi"));
        let Some(Value::Object(mut document)) = document else { continue };
        if let Some(Value::Object(items)) = document.remove("paths") {
            let with_mount_path =
                |(path, item)| (format!("/{}{}", settings.path.trim_end_matches('/'), path), item);
            paths.extend(items.into_iter().map(with_mount_path));
        }
        if let Some(Value::Object(items)) = document["components"].get_mut("schemas").map(Value::take) {
            schemas.extend(items);
        }
    }
    Ok(Some(Reply::bare(json_object(json!({
        "openapi": "3.0.2",
        "info": {
            "title": "HashiCorp Vault API",
            "description":
                "HTTP API that gives you full access to Vault. All API routes are prefixed with `/v1/`.",
            "version": crate::VERSION,
            "license": {"name": "Mozilla Public License 2.0", "url": "https://www.mozilla.org/en-US/MPL/2.0"},
        },
        "paths": paths,
        "components": {"schemas": schemas},
    })))))
}
