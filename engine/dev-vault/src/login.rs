//! Logins: creates a token from the response of an auth method, and renews it (`handleLoginRequest` in `vault/request_handling.go`).

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use vault_plugin::framework::ttl::{self, TtlRequest};
use vault_plugin::logical::{Auth, Map, Operation, Request, Response, TokenType};

use crate::client_request::ClientRequest;
use crate::core::Core;
use crate::identity_store::AliasMount;
use crate::leases::{Lease, LeaseKind, LoginAuth};
use crate::mounts::{AUTH_PREFIX, Mount, MountSettings};
use crate::random::random_id;
use crate::reply::{ErrorReply, HandlerResult, Reply};
use crate::tokens::{Token, TokenKind, sanitize_policies};

/// Policies that only the server assigns.
const UNASSIGNABLE_POLICIES: &[&str] = &["response-wrapping", "control-group"];

/// Creates the token of a login. `response` is that of the auth method, without its `auth`.
pub(crate) fn create_token(
    core: &Core,
    request: &ClientRequest,
    mount: &Mount,
    mut auth: Auth,
    response: Response,
) -> HandlerResult {
    let settings = mount.settings();
    if let Some(alias) = &mut auth.alias {
        alias.mount_type.clone_from(&settings.kind);
        alias.mount_accessor.clone_from(&settings.accessor);
        alias.local = settings.local;
        let mount = AliasMount { accessor: &settings.accessor, kind: &settings.kind, local: settings.local };
        let entity = core.identity_store.entity_of_login(alias, &mount)?;
        if entity.disabled {
            return Err(ErrorReply::new(403, "permission denied"));
        }
        auth.entity_id = entity.id;
        for alias in &mut auth.group_aliases {
            alias.mount_accessor.clone_from(&settings.accessor);
        }
        auth.group_aliases = core.identity_store.update_external_groups(
            &auth.entity_id,
            &auth.group_aliases,
            &settings.accessor,
        )?;
    }
    let source = settings.path.strip_prefix(AUTH_PREFIX).unwrap_or_default().replace('/', "-");
    auth.display_name = format!("{source}{}", auth.display_name).trim_end_matches('-').to_owned();
    let kind = token_kind(&settings, auth.token_type);
    auth.token_type = kind.into();

    let now = SystemTime::now();
    let ttl_request = TtlRequest {
        ttl: auth.lease.ttl,
        period: auth.period,
        max_ttl: auth.lease.max_ttl,
        explicit_max_ttl: auth.explicit_max_ttl,
        ..TtlRequest::default()
    };
    let granted = ttl::calculate_ttl(core.mounts.limits(mount), &ttl_request, now)
        .map_err(|text| ErrorReply::new(500, text))?;
    auth.lease.ttl = granted.ttl;
    auth.token_policies = sanitize_policies(auth.policies.clone(), !auth.no_default_policy);
    let identity_policies = core.identity_store.rights_of(&auth.entity_id)?.policies;
    let identity_policies = sanitize_policies(identity_policies, false);
    let all: BTreeSet<&String> = auth.token_policies.iter().chain(&identity_policies).collect();
    if all.contains(&"root".to_owned()) {
        return Err(ErrorReply::bad_request("auth methods cannot create root tokens"));
    }
    if let Some(policy) = UNASSIGNABLE_POLICIES.iter().find(|policy| all.contains(&(**policy).to_owned())) {
        return Err(ErrorReply::bad_request(format!("cannot assign policy \"{policy}\"")));
    }

    let mut token = Token {
        hash: String::new(),
        accessor: random_id(),
        parent: None,
        policies: auth.token_policies.clone(),
        path: request.path.clone(),
        meta: auth.metadata.clone(),
        display_name: auth.display_name.clone(),
        num_uses: i64::from(auth.num_uses),
        created: now,
        ttl: granted.ttl,
        explicit_max_ttl: auth.explicit_max_ttl,
        period: auth.period,
        renewable: auth.lease.renewable,
        entity_id: auth.entity_id.clone(),
        kind,
        bound_cidrs: auth.bound_cidrs.clone(),
    };
    let text = match kind {
        TokenKind::Batch => core.tokens.create_batch(&mut token)?,
        TokenKind::Service => {
            auth.accessor.clone_from(&token.accessor);
            core.tokens.create_from_login(&mut token, LoginAuth::new(&auth))?
        }
    };
    let mut reply = Reply::from_plugin(response);
    reply.warnings.extend(granted.warnings);
    reply.auth = Some(token.reply(text, granted.ttl, identity_policies));
    Ok(Some(reply))
}

/// The type of the token of a login: that of the mount, unless the mount only sets a default (`vault/router.go`).
fn token_kind(settings: &MountSettings, requested: TokenType) -> TokenKind {
    use TokenType::{Batch, Default, DefaultBatch, DefaultService, Service};
    match (TokenType::from_name(&settings.config.token_type).unwrap_or_default(), requested) {
        (Service, _) => TokenKind::Service,
        (Batch, _) => TokenKind::Batch,
        (DefaultBatch, Service | DefaultService) => TokenKind::Service,
        (DefaultBatch, _) => TokenKind::Batch,
        (Default | DefaultService, Default | DefaultService | Service) => TokenKind::Service,
        (Default | DefaultService, Batch | DefaultBatch) => TokenKind::Batch,
    }
}

/// Renews the token of a login: its auth method decides.
pub(crate) async fn renew_token(
    core: &Core,
    request: &ClientRequest,
    token: &Token,
    text: String,
    lease: Lease,
    increment: Duration,
) -> HandlerResult {
    let LeaseKind::Token { hash, login: Some(login), .. } = &lease.kind else { return Ok(None) };
    let failed = |text: &str| ErrorReply::multierror(500, &[&format!("failed to renew entry: {text}")]);
    let Some((mount, path)) = core.mounts.route(&lease.path) else { return Err(failed("unsupported path")) };
    let mut renewal = Request::new(Operation::Renew, path, Map::new());
    renewal.auth = Some(login.renewal(lease.issued, increment));
    renewal.connection = Some(request.connection());
    let response = mount.call_backend(renewal).await.map_err(|failure| match failure.status {
        405 => ErrorReply::multierror(405, &[&format!("failed to renew entry: {}", failure.inner_message())]),
        _ => failed(failure.inner_message()),
    })?;
    let Some(mut response) = response else { return Ok(None) };
    if let Some(text) = response.error_text() {
        return Err(ErrorReply::bad_request(text));
    }
    let Some(mut auth) = response.auth.take() else { return Ok(None) };
    let now = SystemTime::now();
    let ttl_request = TtlRequest {
        increment,
        ttl: auth.lease.ttl,
        period: auth.period,
        max_ttl: auth.lease.max_ttl,
        explicit_max_ttl: auth.explicit_max_ttl,
        issued: Some(lease.issued),
    };
    let granted = ttl::calculate_ttl(core.mounts.limits(&mount), &ttl_request, now)
        .map_err(|text| ErrorReply::multierror(500, &[text]))?;
    auth.lease.ttl = granted.ttl;
    auth.token_type = token_kind(&mount.settings(), auth.token_type).into();
    if !auth.entity_id.is_empty() {
        let accessor = auth.alias.as_ref().map_or("", |alias| &alias.mount_accessor);
        auth.group_aliases =
            core.identity_store.update_external_groups(&auth.entity_id, &auth.group_aliases, accessor)?;
    }
    let kind = LeaseKind::Token {
        hash: hash.clone(),
        ttl: granted.ttl,
        login: Some(Box::new(LoginAuth::new(&auth))),
    };
    core.leases.put(Lease { kind, expires: Some(now + granted.ttl), renewed: Some(now), ..lease.clone() })?;
    let identity_policies = core.identity_store.rights_of(&auth.entity_id)?.policies;
    let mut reply_auth = token.reply(text, granted.ttl, identity_policies);
    reply_auth.renewable = auth.lease.renewable;
    reply_auth.metadata = auth.metadata;
    // The wire format of plugins does not have this field.
    reply_auth.orphan = false;
    Ok(Some(Reply { auth: Some(reply_auth), warnings: granted.warnings, ..Reply::default() }))
}
