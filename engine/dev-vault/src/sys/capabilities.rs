//! `sys/capabilities`: what a token may do at which paths.

use serde_json::json;
use vault_plugin::logical::Map;

use crate::call::Call;
use crate::core::Core;
use crate::pipeline::Caller;
use crate::policy::Acl;
use crate::reply::{Failure, Outcome, Reply};

pub(super) fn of_caller(caller: &Caller, call: &Call) -> Outcome {
    of(&caller.acl, call)
}

pub(super) fn of_token(core: &Core, call: &Call) -> Outcome {
    let text = call.fields().text("token")?;
    let token = core.find_token(&text)?.ok_or_else(|| Failure::listed(400, &["invalid token"]))?;
    of(&core.acl(&token)?, call)
}

pub(super) fn of_accessor(core: &Core, call: &Call) -> Outcome {
    let accessor = call.fields().text("accessor")?;
    let token =
        core.token_by_accessor(&accessor)?.ok_or_else(|| Failure::listed(400, &["invalid accessor"]))?;
    of(&core.acl(&token)?, call)
}

fn of(acl: &Acl, call: &Call) -> Outcome {
    let fields = call.fields();
    let mut paths = fields.list("paths")?.unwrap_or_default();
    if paths.is_empty() {
        // The older name, for a single one.
        paths = fields.list("path")?.unwrap_or_default();
    }
    if paths.is_empty() {
        return Err(Failure::invalid("paths must be supplied"));
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
