//! `auth/token`: creates, looks up, renews and revokes tokens.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use vault_plugin::logical::Operation;

use crate::authorization::Caller;
use crate::client_request::{ClientRequest, RequestFields};
use crate::core::Core;
use crate::envelope::timestamp;
use crate::leases::{Lease, LeaseKind};
use crate::login;
use crate::random::{random_id, random_token};
use crate::reply::{ErrorReply, HandlerResult, Reply, ReplyAuth, json_object};
use crate::tokens::{ROOT_TOKEN_PATH, Token, TokenKind};
use vault_plugin::framework::ttl::{self, TtlRequest};

/// Paths below `auth/token/` that require the `sudo` capability.
pub(crate) const SUDO_PATHS: &[&str] = &["accessors/*", "accessors", "create-orphan", "revoke-orphan"];

pub(crate) async fn handle(
    core: &Core,
    caller: &Caller,
    request: &ClientRequest,
    path: &str,
) -> HandlerResult {
    let write = matches!(request.operation, Operation::Create | Operation::Update);
    let caller_token = caller.token.as_ref().ok_or_else(|| ErrorReply::new(403, "permission denied"))?;
    match (path.trim_end_matches('/'), &request.operation) {
        ("create", _) if write => create(core, caller, caller_token, request, Parent::Caller),
        ("create-orphan", _) if write => create(core, caller, caller_token, request, Parent::None),
        ("lookup", Operation::Read) => look_up_requested(core, request),
        ("lookup", _) if write => look_up_requested(core, request),
        ("lookup-self", Operation::Read) => look_up(core, caller_token, request.token.as_deref()),
        ("lookup-self", _) if write => look_up(core, caller_token, request.token.as_deref()),
        ("lookup-accessor", _) if write => {
            let token = token_by_requested_accessor(core, request)?
                .ok_or_else(|| ErrorReply::multierror(400, &["invalid accessor"]))?;
            look_up(core, &token, Some(""))
        }
        ("renew", _) if write => {
            let (token, text) = requested_token(core, request)?;
            renew(core, &token, text, request).await
        }
        ("renew-self", _) if write => {
            renew(core, caller_token, request.token.clone().unwrap_or_default(), request).await
        }
        ("renew-accessor", _) if write => {
            let token = token_by_requested_accessor(core, request)?
                .ok_or_else(|| ErrorReply::multierror(400, &["invalid accessor"]))?;
            renew(core, &token, String::new(), request).await
        }
        ("revoke", _) if write => {
            if let Some(token) = core.tokens.find(&token_field(request)?)? {
                revoke(core, &token)?;
            }
            Ok(None)
        }
        ("revoke-self", _) if write => {
            revoke(core, caller_token)?;
            Ok(None)
        }
        ("revoke-orphan", _) if write => {
            let token = core.tokens.find(&token_field(request)?)?;
            let token = token.ok_or_else(|| ErrorReply::bad_request("token to revoke not found"))?;
            check_revocable(&token)?;
            core.tokens.revoke_orphaning(&token.hash)?;
            Ok(None)
        }
        ("revoke-accessor", _) if write => match token_by_requested_accessor(core, request)? {
            Some(token) => {
                core.tokens.revoke_tree(&token.hash)?;
                Ok(None)
            }
            None => Ok(Some(Reply::warning("No token found with this accessor"))),
        },
        ("accessors", Operation::List) => Ok(Some(Reply::list(core.tokens.accessors()))),
        (
            "create" | "create-orphan" | "lookup" | "lookup-self" | "lookup-accessor" | "renew"
            | "renew-self" | "renew-accessor" | "revoke" | "revoke-self" | "revoke-orphan"
            | "revoke-accessor" | "accessors",
            _,
        ) => Err(ErrorReply::unsupported_operation()),
        _ => Err(ErrorReply::unsupported_path()),
    }
}

fn revoke(core: &Core, token: &Token) -> Result<(), ErrorReply> {
    check_revocable(token)?;
    Ok(core.tokens.revoke_tree(&token.hash)?)
}

fn check_revocable(token: &Token) -> Result<(), ErrorReply> {
    match token.kind {
        TokenKind::Service => Ok(()),
        TokenKind::Batch => Err(ErrorReply::bad_request("batch tokens cannot be revoked")),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Parent {
    Caller,
    None,
}

fn create(
    core: &Core,
    caller: &Caller,
    caller_token: &Token,
    request: &ClientRequest,
    parent: Parent,
) -> HandlerResult {
    let fields = request.fields();
    if caller_token.kind == TokenKind::Batch {
        return Err(ErrorReply::bad_request("batch tokens cannot create more tokens"));
    }
    if caller_token.num_uses != 0 {
        return Err(ErrorReply::bad_request("restricted use token cannot generate child tokens"));
    }
    let is_sudo = caller.is_root() || caller.acl.allows_sudo(&request.operation, &request.path);
    let num_uses = fields.integer("num_uses")?;
    let kind = match fields.text("type")?.as_str() {
        "" | "service" => TokenKind::Service,
        "batch" => {
            check_batch_fields(fields)?;
            TokenKind::Batch
        }
        _ => return Err(ErrorReply::bad_request("invalid 'token_type' value")),
    };
    if num_uses < 0 {
        return Err(ErrorReply::bad_request("number of uses cannot be negative"));
    }
    let id = fields.text("id")?;
    if !id.is_empty() && !is_sudo {
        return Err(ErrorReply::bad_request("root or sudo privileges required to specify token id"));
    }
    if id.starts_with("s.") || id.starts_with("hvs.") {
        return Err(ErrorReply::bad_request("custom token ID cannot have the 's.' or 'hvs.' prefix"));
    }
    if id.contains('.') || id.contains('/') {
        return Err(ErrorReply::bad_request("custom token ID cannot contain the '.' or '/' character"));
    }
    if !id.is_empty() && core.tokens.find(&id)?.is_some() {
        return Err(ErrorReply::bad_request("cannot create a token with a duplicate ID"));
    }
    let policies =
        policies(caller_token, is_sudo, fields.list("policies")?, fields.flag("no_default_policy")?)?;

    let is_orphan = parent == Parent::None || fields.flag("no_parent")?;
    if fields.flag("no_parent")? && !is_sudo {
        return Err(ErrorReply::bad_request("root or sudo privileges required to create orphan token"));
    }
    let mut warnings = Vec::new();
    for policy in policies.iter().filter(|policy| *policy != "root") {
        if core.policies.read(policy)?.is_none() {
            warnings.push(format!("Policy \"{policy}\" does not exist"));
        }
    }
    let is_root = policies.iter().any(|policy| policy == "root");
    if is_root && kind == TokenKind::Batch {
        return Err(ErrorReply::bad_request("batch tokens cannot be root tokens"));
    }
    let ttl_request = TtlRequest {
        increment: match fields.duration("ttl")? {
            Some(ttl) => ttl,
            None => fields.duration("lease")?.unwrap_or_default(),
        },
        period: fields.duration("period")?.unwrap_or_default(),
        explicit_max_ttl: fields.duration("explicit_max_ttl")?.unwrap_or_default(),
        ..TtlRequest::default()
    };
    if !ttl_request.period.is_zero() && !is_sudo {
        return Err(ErrorReply::bad_request("root or sudo privileges required to create periodic token"));
    }
    let unlimited = is_root
        && ttl_request.increment.is_zero()
        && ttl_request.period.is_zero()
        && ttl_request.explicit_max_ttl.is_zero();
    let now = SystemTime::now();
    let ttl = if unlimited {
        // Only a token that never expires may create one.
        if !caller_token.is_root() || !caller_token.ttl.is_zero() {
            return Err(ErrorReply::bad_request(
                "expiring root tokens cannot create non-expiring root tokens",
            ));
        }
        Duration::ZERO
    } else {
        let limits = core.mounts.limits_at(&request.path);
        let granted = ttl::calculate_ttl(limits, &ttl_request, now).map_err(ErrorReply::bad_request)?;
        warnings.extend(granted.warnings);
        granted.ttl
    };
    if !id.is_empty() {
        warnings.push(
            "Supplying a custom ID for the token uses the weaker SHA1 hashing instead of the more secure SHA2-256 \
             HMAC for token obfuscation. SHA1 hashed tokens on the wire leads to less secure lookups."
                .to_owned(),
        );
    }
    let mut text = if id.is_empty() { random_token() } else { id };
    let display_name = match fields.text("display_name")? {
        name if name.is_empty() => "token".to_owned(),
        name => format!(
            "token-{}",
            name.replace(|c: char| !(c.is_ascii_alphanumeric() || "_-.".contains(c)), "-")
        ),
    };
    let mut token = Token {
        // An orphan does not inherit the identity.
        entity_id: if is_orphan { String::new() } else { caller_token.entity_id.clone() },
        kind,
        bound_cidrs: Vec::new(),
        hash: core.tokens.hash(&text),
        accessor: random_id(),
        parent: (!is_orphan).then(|| caller_token.hash.clone()),
        policies,
        path: request.path.clone(),
        meta: fields.string_map("meta")?.unwrap_or_default(),
        display_name,
        num_uses,
        created: now,
        ttl,
        explicit_max_ttl: ttl_request.explicit_max_ttl,
        period: ttl_request.period,
        renewable: !unlimited && fields.optional_flag("renewable")?.unwrap_or(true),
    };
    match kind {
        TokenKind::Service => core.tokens.insert(&token)?,
        TokenKind::Batch => text = core.tokens.create_batch(&mut token)?,
    }
    Ok(Some(Reply { auth: Some(auth(core, &token, text, ttl)?), warnings, ..Reply::default() }))
}

/// Refuses fields of a batch token that only a service token can have.
fn check_batch_fields(fields: RequestFields<'_>) -> Result<(), ErrorReply> {
    let is_set = |name| Ok::<_, ErrorReply>(!fields.duration(name)?.unwrap_or_default().is_zero());
    // As in Vault, the other fields are not checked if the request has an explicit maximum, even if that is zero.
    let refused = if !fields.text("explicit_max_ttl")?.is_empty() {
        is_set("explicit_max_ttl")?.then_some("explicit_max_ttl")
    } else if fields.integer("num_uses")? != 0 {
        Some("num_uses")
    } else {
        is_set("period")?.then_some("period")
    };
    match refused {
        None => Ok(()),
        Some(field) => Err(ErrorReply::bad_request(format!("batch tokens cannot have \"{field}\" set"))),
    }
}

/// The policies of a new token: the requested ones or those of the caller, never more than the caller has; and `default`.
fn policies(
    caller_token: &Token,
    is_sudo: bool,
    requested: Option<Vec<String>>,
    no_default: bool,
) -> Result<Vec<String>, ErrorReply> {
    let requested = requested.unwrap_or_default();
    let requested: Vec<String> = requested.into_iter().map(|policy| policy.to_lowercase()).collect();
    let mut policies = if requested.is_empty() { caller_token.policies.clone() } else { requested };
    if !is_sudo {
        let exceeds_parent =
            policies.iter().any(|policy| policy != "default" && !caller_token.policies.contains(policy));
        if exceeds_parent {
            return Err(ErrorReply::bad_request("child policies must be subset of parent"));
        }
    }
    if policies.iter().any(|policy| policy == "root") && !caller_token.is_root() {
        return Err(ErrorReply::bad_request(
            "root tokens may not be created without parent token being root",
        ));
    }
    let is_root = policies.iter().any(|policy| policy == "root");
    if !is_root && !no_default && !policies.iter().any(|policy| policy == "default") {
        policies.push("default".to_owned());
    }
    policies.retain(|policy| !policy.is_empty());
    policies.sort_unstable();
    policies.dedup();
    Ok(policies)
}

fn look_up_requested(core: &Core, request: &ClientRequest) -> HandlerResult {
    let requested = request.fields().text("token")?;
    let text = if requested.is_empty() { request.token.clone().unwrap_or_default() } else { requested };
    let token = core.tokens.find(&text)?.ok_or_else(|| ErrorReply::new(403, "bad token"))?;
    look_up(core, &token, Some(&text))
}

fn look_up(core: &Core, token: &Token, text: Option<&str>) -> HandlerResult {
    let lease = core.leases.get(&token.lease_id())?;
    let expires = match token.kind {
        TokenKind::Service => lease.as_ref().and_then(|lease| lease.expires),
        TokenKind::Batch => Some(token.created + token.ttl),
    };
    let remaining =
        expires.and_then(|expires| expires.duration_since(SystemTime::now()).ok()).unwrap_or_default();
    let seconds = |time: SystemTime| {
        time.duration_since(SystemTime::UNIX_EPOCH).map(|since| since.as_secs()).unwrap_or_default()
    };
    let mut data = json_object(json!({
        "accessor": token.accessor,
        "creation_time": seconds(token.created),
        "creation_ttl": token.ttl.as_secs(),
        "display_name": token.display_name,
        "entity_id": token.entity_id,
        "expire_time": expires.map(timestamp),
        "explicit_max_ttl": token.explicit_max_ttl.as_secs(),
        "id": text.unwrap_or_default(),
        "meta": (!token.meta.is_empty()).then_some(&token.meta),
        "num_uses": token.num_uses.max(0),
        "orphan": token.parent.is_none(),
        "path": token.path,
        "policies": token.policies,
        // Vault rounds to the nearest second.
        "ttl": (remaining + Duration::from_millis(500)).as_secs(),
        "type": token.kind.as_str(),
    }));
    // The token of `operator init` has no lease.
    if token.path != ROOT_TOKEN_PATH {
        data.insert("issue_time".to_owned(), Value::String(timestamp(token.created)));
        data.insert("renewable".to_owned(), token.renewable.into());
    }
    if !token.bound_cidrs.is_empty() {
        data.insert("bound_cidrs".to_owned(), json!(token.bound_cidrs));
    }
    if !token.entity_id.is_empty() {
        let policies = core.identity_store.rights_of(&token.entity_id)?.policies;
        if !policies.is_empty() {
            data.insert("identity_policies".to_owned(), json!(policies));
            data.insert("external_namespace_policies".to_owned(), json!({}));
        }
    }
    if let Some(renewed) = lease.and_then(|lease| lease.renewed) {
        data.insert("last_renewal".to_owned(), Value::String(timestamp(renewed)));
        data.insert("last_renewal_time".to_owned(), json!(seconds(renewed)));
    }
    if !token.period.is_zero() {
        data.insert("period".to_owned(), json!(token.period.as_secs()));
    }
    Ok(Some(Reply::data(data)))
}

async fn renew(core: &Core, token: &Token, text: String, request: &ClientRequest) -> HandlerResult {
    if token.kind == TokenKind::Batch {
        return Err(ErrorReply::bad_request("batch tokens cannot be renewed"));
    }
    let id = token.lease_id();
    let _guard = core.leases.lock(&id).await;
    let not_renewable = || ErrorReply::bad_request("lease is not renewable");
    let lease = core.leases.get(&id)?.filter(|_| token.renewable).ok_or_else(not_renewable)?;
    let LeaseKind::Token { hash, ttl, login } = &lease.kind else { return Err(not_renewable()) };
    let increment = request.fields().duration("increment")?.unwrap_or_default();
    if login.is_some() {
        return login::renew_token(core, request, token, text, lease, increment).await;
    }
    let ttl_request = TtlRequest {
        increment,
        // The last granted TTL is granted again.
        ttl: *ttl,
        period: token.period,
        explicit_max_ttl: token.explicit_max_ttl,
        issued: Some(token.created),
        ..TtlRequest::default()
    };
    let now = SystemTime::now();
    let limits = core.mounts.limits_at(&token.path);
    let granted = ttl::calculate_ttl(limits, &ttl_request, now).map_err(ErrorReply::bad_request)?;
    let kind = LeaseKind::Token { hash: hash.clone(), ttl: granted.ttl, login: None };
    let (expires, renewed) = (Some(now + granted.ttl), Some(now));
    core.leases.put(Lease { kind, expires, renewed, ..lease.clone() })?;
    let auth = auth(core, token, text, granted.ttl)?;
    Ok(Some(Reply { auth: Some(auth), warnings: granted.warnings, ..Reply::default() }))
}

fn auth(core: &Core, token: &Token, text: String, ttl: Duration) -> Result<ReplyAuth, ErrorReply> {
    let identity_policies = core.identity_store.rights_of(&token.entity_id)?.policies;
    Ok(token.reply(text, ttl, identity_policies))
}

/// The token in the fields of a request: its record and the token itself.
fn requested_token(core: &Core, request: &ClientRequest) -> Result<(Token, String), ErrorReply> {
    let text = token_field(request)?;
    let token = core.tokens.find(&text)?.ok_or_else(|| ErrorReply::bad_request("token not found"))?;
    Ok((token, text))
}

fn token_field(request: &ClientRequest) -> Result<String, ErrorReply> {
    let text = request.fields().text("token")?;
    if text.is_empty() { Err(ErrorReply::bad_request("missing token ID")) } else { Ok(text) }
}

fn token_by_requested_accessor(core: &Core, request: &ClientRequest) -> Result<Option<Token>, ErrorReply> {
    let accessor = request.fields().text("accessor")?;
    if accessor.is_empty() {
        return Err(ErrorReply::bad_request("missing accessor"));
    }
    Ok(core.tokens.by_accessor(&accessor)?)
}
