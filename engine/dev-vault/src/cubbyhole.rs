//! `cubbyhole/`: the values of the caller's token.

use vault_plugin::logical::{Map, Operation};

use crate::authorization::Caller;
use crate::client_request::ClientRequest;
use crate::reply::{ErrorReply, HandlerResult, Reply};
use crate::tokens::{Cubbyholes, TokenKind};

/// Whether the cubbyhole of the caller has a value at `path`.
pub(crate) fn exists(cubbyholes: &Cubbyholes, caller: &Caller, path: &str) -> Option<bool> {
    Some(cubbyholes.exists(owner(caller).ok()?, path))
}

pub(crate) fn handle(
    cubbyholes: &Cubbyholes,
    caller: &Caller,
    request: &ClientRequest,
    path: &str,
) -> HandlerResult {
    let needs_path = |path: &str| {
        if path.is_empty() { Err(ErrorReply::multierror(500, &["missing path"])) } else { Ok(()) }
    };
    let owner = owner(caller)?;
    match request.operation {
        Operation::Read => {
            needs_path(path)?;
            let Some(data) = cubbyholes.read::<Map>(owner, path)? else { return Ok(None) };
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
            let data = request.data.as_ref().filter(|data| !data.is_empty());
            let data = data.ok_or_else(|| ErrorReply::multierror(500, &["missing data fields"]))?;
            cubbyholes.write(owner, path, data)?;
            Ok(None)
        }
        Operation::Delete => {
            needs_path(path)?;
            cubbyholes.delete(owner, path)?;
            Ok(None)
        }
        Operation::List => Ok(Some(Reply::list(cubbyholes.list(owner, path)))),
        _ => Err(ErrorReply::unsupported_operation()),
    }
}

/// The hash of the token of the caller.
fn owner(caller: &Caller) -> Result<&str, ErrorReply> {
    let token = caller.token.as_ref().ok_or_else(|| ErrorReply::multierror(500, &["client token empty"]))?;
    match token.kind {
        TokenKind::Service => Ok(&token.hash),
        TokenKind::Batch => {
            Err(ErrorReply::bad_request("cubbyhole operations are only supported by \"service\" type tokens"))
        }
    }
}
