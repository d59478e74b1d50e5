//! `cubbyhole/`: what a token keeps for itself, and what ends with it.

use vault_plugin::logical::{Map, Operation};

use crate::authorization::Caller;
use crate::client_request::ClientRequest;
use crate::core::Core;
use crate::reply::{ErrorReply, HandlerResult, Reply};

/// Whether the caller keeps something at `path`.
pub(crate) fn exists(core: &Core, caller: &Caller, path: &str) -> Option<bool> {
    let key = key(core, caller, path).ok()?;
    Some(core.store.get(&key).is_some())
}

pub(crate) fn handle(core: &Core, caller: &Caller, call: &ClientRequest, path: &str) -> HandlerResult {
    let needs_path = |path: &str| {
        if path.is_empty() { Err(ErrorReply::multierror(500, &["missing path"])) } else { Ok(()) }
    };
    let key = key(core, caller, path)?;
    match call.operation {
        Operation::Read => {
            needs_path(path)?;
            let Some(data) = core.store.read::<Map>(&key)? else { return Ok(None) };
            let mut reply = Reply::data(data);
            if path == "response" {
                reply.warnings.push(
                    "Reading from 'cubbyhole/response' is deprecated. Please use sys/wrapping/unwrap to unwrap \
                     responses, as it provides additional security checks and other benefits."
                        .to_owned(),
                );
            }
            Ok(Some(reply))
        }
        Operation::Create | Operation::Update => {
            needs_path(path)?;
            let data = call.data.as_ref().filter(|data| !data.is_empty());
            let data = data.ok_or_else(|| ErrorReply::multierror(500, &["missing data fields"]))?;
            core.store.write(&key, data)?;
            Ok(None)
        }
        Operation::Delete => {
            needs_path(path)?;
            core.store.delete(&key)?;
            Ok(None)
        }
        Operation::List => Ok(Some(Reply::list(core.store.list(&key)))),
        _ => Err(ErrorReply::unsupported_operation()),
    }
}

fn key(core: &Core, caller: &Caller, path: &str) -> Result<String, ErrorReply> {
    let token = caller.token.as_ref().ok_or_else(|| ErrorReply::multierror(500, &["client token empty"]))?;
    Ok(format!("{}{path}", core.cubbyhole_prefix(&token.hash)))
}
