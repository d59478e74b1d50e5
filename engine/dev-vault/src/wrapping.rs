//! Response wrapping: stores a reply in the cubbyhole of a single-use token.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::client_request::ClientRequest;
use crate::envelope::{self, DataPlacement};
use crate::random::{random_id, random_token};
use crate::reply::{ErrorReply, HandlerResult, Reply, WrappedResponse, json_object};
use crate::tokens::{Cubbyholes, Token, TokenKind, TokenUse, Tokens};

const RESPONSE: &str = "response";
const WRAP_INFO: &str = "wrapinfo";
const POLICY: &str = "response-wrapping";

/// Wraps replies and unwraps them.
pub(crate) struct ResponseWrapping {
    tokens: Arc<Tokens>,
    cubbyholes: Arc<Cubbyholes>,
}

impl ResponseWrapping {
    pub(crate) fn new(tokens: Arc<Tokens>, cubbyholes: Arc<Cubbyholes>) -> ResponseWrapping {
        ResponseWrapping { tokens, cubbyholes }
    }

    /// Rejects requests to the wrapping paths without a valid wrapping token, before the request counts as a use.
    pub(crate) fn require_wrapping_token(&self, request: &ClientRequest) -> Result<(), ErrorReply> {
        match request.path.as_str() {
            "sys/wrapping/lookup" | "sys/wrapping/rewrap" | "sys/wrapping/unwrap" => {
                self.wrapping_token(request).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Stores a reply and returns another reply with the wrapping token.
    pub(crate) fn wrap(
        &self,
        request: &ClientRequest,
        reply: Reply,
        ttl: Duration,
    ) -> Result<Reply, ErrorReply> {
        let wrapped_accessor = reply.auth.as_ref().map(|auth| auth.accessor.clone()).unwrap_or_default();
        let text = envelope::render(&reply, &request.id, DataPlacement::EnvelopeOnly);
        self.store_wrapped(text, ttl, &request.path, wrapped_accessor)
    }

    /// `sys/wrapping/lookup`: returns the time and the path of the wrapped request.
    pub(crate) fn look_up(&self, request: &ClientRequest) -> HandlerResult {
        let (token, _) = self.wrapping_token(request)?;
        let info = self.wrap_info(&token)?;
        Ok(Some(Reply::data(json_object(json!({
            "creation_path": info["creation_path"],
            "creation_time": info["creation_time"],
            "creation_ttl": info["creation_ttl"],
        })))))
    }

    /// `sys/wrapping/unwrap`: returns the wrapped reply once.
    pub(crate) fn unwrap(&self, request: &ClientRequest) -> HandlerResult {
        let text = self.take_wrapped(request)?.0;
        Ok(Some(Reply { body: crate::reply::BodyFormat::Text(text), ..Reply::default() }))
    }

    /// `sys/wrapping/rewrap`: stores the wrapped reply under a new token.
    pub(crate) fn rewrap(&self, request: &ClientRequest) -> HandlerResult {
        let (text, info) = self.take_wrapped(request)?;
        let ttl = Duration::from_secs(info["creation_ttl"].as_u64().unwrap_or_default());
        let path = info["creation_path"].as_str().unwrap_or_default();
        let accessor = info["wrapped_accessor"].as_str().unwrap_or_default().to_owned();
        self.store_wrapped(text, ttl, path, accessor).map(Some)
    }

    fn store_wrapped(
        &self,
        text: String,
        ttl: Duration,
        path: &str,
        wrapped_accessor: String,
    ) -> Result<Reply, ErrorReply> {
        let token = random_token();
        let now = SystemTime::now();
        let entry = Token {
            hash: self.tokens.hash(&token),
            accessor: random_id(),
            entity_id: String::new(),
            kind: TokenKind::Service,
            bound_cidrs: Vec::new(),
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
        let info = json!({
            "creation_path": path,
            "creation_time": envelope::timestamp(now),
            "creation_ttl": ttl.as_secs(),
            "wrapped_accessor": wrapped_accessor,
        });
        self.cubbyholes.write(&entry.hash, RESPONSE, &json!({RESPONSE: text}))?;
        self.cubbyholes.write(&entry.hash, WRAP_INFO, &info)?;
        self.tokens.insert(&entry)?;
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

    /// Takes the wrapped reply of the token of the request, and revokes the token.
    fn take_wrapped(&self, request: &ClientRequest) -> Result<(String, Value), ErrorReply> {
        let (token, is_own) = self.wrapping_token(request)?;
        // The request itself has consumed the use of the caller's own token.
        if !is_own && matches!(self.tokens.count_use(&token)?, TokenUse::Exhausted) {
            return Err(invalid_token());
        }
        let stored: Option<Value> = self.cubbyholes.read(&token.hash, RESPONSE)?;
        let info = self.wrap_info(&token)?;
        self.tokens.revoke_tree(&token.hash)?;
        let text = stored.as_ref().and_then(|stored| stored[RESPONSE].as_str()).ok_or_else(invalid_token)?;
        Ok((text.to_owned(), info))
    }

    /// The wrapping token of a request, and whether it is the caller's own.
    fn wrapping_token(&self, request: &ClientRequest) -> Result<(Token, bool), ErrorReply> {
        let token_field = request.fields().text("token")?;
        let is_own = token_field.is_empty();
        let text = if is_own { request.token.clone().unwrap_or_default() } else { token_field };
        let token = self.tokens.find(&text)?.filter(|token| token.policies == [POLICY]);
        Ok((token.ok_or_else(invalid_token)?, is_own))
    }

    fn wrap_info(&self, token: &Token) -> Result<Value, ErrorReply> {
        let info = self.cubbyholes.read(&token.hash, WRAP_INFO)?;
        info.ok_or_else(invalid_token)
    }
}

/// `sys/wrapping/wrap`: returns the data of the request, which is then wrapped.
pub(crate) fn wrap_data(request: &ClientRequest) -> HandlerResult {
    if request.wrap_ttl.is_none() {
        return Err(ErrorReply::bad_request("endpoint requires response wrapping to be used"));
    }
    Ok(Some(Reply::data(request.data.clone().unwrap_or_default())))
}

fn invalid_token() -> ErrorReply {
    ErrorReply::bad_request("wrapping token is not valid or does not exist")
}
