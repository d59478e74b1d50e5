//! `sys/capabilities`: the capabilities of a token on paths.

use serde_json::json;
use vault_plugin::logical::Map;

use crate::authorization::Caller;
use crate::client_request::ClientRequest;
use crate::core::Core;
use crate::policy::Acl;
use crate::reply::{ErrorReply, HandlerResult, Reply};

pub(super) fn for_caller(caller: &Caller, request: &ClientRequest) -> HandlerResult {
    capabilities_reply(&caller.acl, request)
}

pub(super) fn for_token(core: &Core, request: &ClientRequest) -> HandlerResult {
    let text = request.fields().text("token")?;
    let token = core.tokens.find(&text)?.ok_or_else(|| ErrorReply::multierror(400, &["invalid token"]))?;
    let rights = core.identity_store.rights_of(&token.entity_id)?;
    capabilities_reply(&core.policies.acl(&token.policies, &rights)?, request)
}

pub(super) fn for_accessor(core: &Core, request: &ClientRequest) -> HandlerResult {
    let accessor = request.fields().text("accessor")?;
    let token = core
        .tokens
        .by_accessor(&accessor)?
        .ok_or_else(|| ErrorReply::multierror(400, &["invalid accessor"]))?;
    let rights = core.identity_store.rights_of(&token.entity_id)?;
    capabilities_reply(&core.policies.acl(&token.policies, &rights)?, request)
}

fn capabilities_reply(acl: &Acl, request: &ClientRequest) -> HandlerResult {
    let fields = request.fields();
    let mut paths = fields.list("paths")?.unwrap_or_default();
    if paths.is_empty() {
        // The deprecated field for a single path.
        paths = fields.list("path")?.unwrap_or_default();
    }
    if paths.is_empty() {
        return Err(ErrorReply::bad_request("paths must be supplied"));
    }
    let mut data: Map = paths
        .iter()
        .map(|path| (path.clone(), json!(acl.capabilities(path.trim_start_matches('/')))))
        .collect();
    if let [path] = paths.as_slice()
        && let Some(only) = data.get(path).cloned()
    {
        data.insert("capabilities".to_owned(), only);
    }
    Ok(Some(Reply::data(data)))
}
