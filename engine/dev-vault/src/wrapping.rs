//! Response wrapping: an answer put away under a token that can be used once.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::client_request::ClientRequest;
use crate::core::Core;
use crate::envelope::{self, DataPlacement};
use crate::random::{random_id, random_token};
use crate::reply::{ErrorReply, HandlerResult, Reply, WrappedResponse, json_object};
use crate::token::{Token, TokenUse};

const RESPONSE: &str = "response";
const WRAP_INFO: &str = "wrapinfo";
const POLICY: &str = "response-wrapping";

/// Refuses requests of the wrapping paths whose token is no wrapping token, before anything is done with it.
pub(crate) fn require_wrapping_token(core: &Core, call: &ClientRequest) -> Result<(), ErrorReply> {
    match call.path.as_str() {
        "sys/wrapping/lookup" | "sys/wrapping/rewrap" | "sys/wrapping/unwrap" => {
            wrapping_token(core, call).map(drop)
        }
        _ => Ok(()),
    }
}

/// Puts an answer away, and answers with the token under which it lies.
pub(crate) fn wrap(
    core: &Core,
    call: &ClientRequest,
    reply: Reply,
    ttl: Duration,
) -> Result<Reply, ErrorReply> {
    let wrapped_accessor = reply.auth.as_ref().map(|auth| auth.accessor.clone()).unwrap_or_default();
    let text = envelope::render(&reply, &call.id, DataPlacement::EnvelopeOnly);
    store_wrapped(core, text, ttl, &call.path, wrapped_accessor)
}

/// `sys/wrapping/lookup`: when and by which request something was wrapped.
pub(crate) fn look_up(core: &Core, call: &ClientRequest) -> HandlerResult {
    let (token, _) = wrapping_token(core, call)?;
    let info = wrap_info(core, &token)?;
    Ok(Some(Reply::data(json_object(json!({
        "creation_path": info["creation_path"],
        "creation_time": info["creation_time"],
        "creation_ttl": info["creation_ttl"],
    })))))
}

/// `sys/wrapping/unwrap`: the answer that was put away, this once.
pub(crate) fn unwrap(core: &Core, call: &ClientRequest) -> HandlerResult {
    let text = take_wrapped(core, call)?.0;
    Ok(Some(Reply { body: crate::reply::BodyFormat::Text(text), ..Reply::default() }))
}

/// `sys/wrapping/rewrap`: the same under a new token.
pub(crate) fn rewrap(core: &Core, call: &ClientRequest) -> HandlerResult {
    let (text, info) = take_wrapped(core, call)?;
    let ttl = Duration::from_secs(info["creation_ttl"].as_u64().unwrap_or_default());
    let path = info["creation_path"].as_str().unwrap_or_default();
    let accessor = info["wrapped_accessor"].as_str().unwrap_or_default().to_owned();
    store_wrapped(core, text, ttl, path, accessor).map(Some)
}

/// `sys/wrapping/wrap`: any data, which the caller wants wrapped.
pub(crate) fn wrap_data(call: &ClientRequest) -> HandlerResult {
    if call.wrap_ttl.is_none() {
        return Err(ErrorReply::bad_request("endpoint requires response wrapping to be used"));
    }
    Ok(Some(Reply::data(call.data.clone().unwrap_or_default())))
}

fn store_wrapped(
    core: &Core,
    text: String,
    ttl: Duration,
    path: &str,
    wrapped_accessor: String,
) -> Result<Reply, ErrorReply> {
    let token = random_token();
    let now = SystemTime::now();
    let entry = Token {
        hash: core.token_hash(&token),
        accessor: random_id(),
        parent: None,
        policies: vec![POLICY.to_owned()],
        path: path.to_owned(),
        meta: BTreeMap::new(),
        display_name: String::new(),
        num_uses: 1,
        created: now,
        ttl,
        explicit_max_ttl: ttl,
        period: Duration::ZERO,
        renewable: false,
    };
    let cubbyhole = core.cubbyhole_prefix(&entry.hash);
    let info = json!({
        "creation_path": path,
        "creation_time": envelope::timestamp(now),
        "creation_ttl": ttl.as_secs(),
        "wrapped_accessor": wrapped_accessor,
    });
    core.store.write(&format!("{cubbyhole}{RESPONSE}"), &json!({RESPONSE: text}))?;
    core.store.write(&format!("{cubbyhole}{WRAP_INFO}"), &info)?;
    core.store_token(&entry)?;
    let wrapped = WrappedResponse {
        token,
        accessor: entry.accessor,
        ttl: ttl.as_secs(),
        creation_time: now,
        creation_path: path.to_owned(),
        wrapped_accessor,
    };
    Ok(Reply { wrap: Some(wrapped), ..Reply::default() })
}

/// Takes what lies under the token of the request; the token is gone after it.
fn take_wrapped(core: &Core, call: &ClientRequest) -> Result<(String, Value), ErrorReply> {
    let (token, is_own) = wrapping_token(core, call)?;
    // The caller's own token has been used by coming here.
    if !is_own && matches!(core.use_token(&token)?, TokenUse::Exhausted) {
        return Err(invalid_token());
    }
    let cubbyhole = core.cubbyhole_prefix(&token.hash);
    let kept: Option<Value> = core.store.read(&format!("{cubbyhole}{RESPONSE}"))?;
    let info = wrap_info(core, &token)?;
    core.revoke_token_tree(&token.hash)?;
    let text = kept.as_ref().and_then(|kept| kept[RESPONSE].as_str()).ok_or_else(invalid_token)?;
    Ok((text.to_owned(), info))
}

/// The wrapping token of a request, and whether it is the caller's own.
fn wrapping_token(core: &Core, call: &ClientRequest) -> Result<(Token, bool), ErrorReply> {
    let given = call.fields().text("token")?;
    let is_own = given.is_empty();
    let text = if is_own { call.token.clone().unwrap_or_default() } else { given };
    let token = core.find_token(&text)?.filter(|token| token.policies == [POLICY]);
    Ok((token.ok_or_else(invalid_token)?, is_own))
}

fn wrap_info(core: &Core, token: &Token) -> Result<Value, ErrorReply> {
    let info = core.store.read(&format!("{}{WRAP_INFO}", core.cubbyhole_prefix(&token.hash)))?;
    info.ok_or_else(invalid_token)
}

fn invalid_token() -> ErrorReply {
    ErrorReply::bad_request("wrapping token is not valid or does not exist")
}
