//! `creds/`: mints a token of a role. A token that cannot be revoked is never issued.

use std::borrow::Cow;

use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use vault_plugin::framework::{Context, Field, LeasedSecret, Path, ResponseDoc};
use vault_plugin::logical::{Error, Map, Operation, Sensitive};
use zeroize::Zeroizing;

use crate::config;
use crate::events::{self, event};
use crate::name_template::NameValues;
use crate::pending_token::{PendingToken, TokenGuard};
use crate::response_docs;
use crate::role_name::{self, RoleName};
use crate::roles::{self, Role};
use crate::telemetry::{self, instrument};
use crate::terms::{self, LeaseTerms};
use crate::token::{self, LeaseData};
use crate::upstream::{
    Lifetime, MintCall, MintResponse, Minted, RecoveryPlan, RetryPolicy, Revocation, UpstreamError, Values,
    bind_renewal,
};
use crate::wal_entry::{MINT_KIND, MintRequest, WalEntry};
use crate::{TokenEngine, UpstreamClient};

pub(crate) fn path() -> Path<TokenEngine> {
    let path = Path::new(format!("creds/{}", role_name::PATTERN))
        .help(
            "Read a token of a role.",
            "Each read mints a token with the permissions of the role and a renewable lease. The token is revoked at the token \
             service when its lease is revoked or expires. A write requests fewer permissions or a shorter TTL than the role allows.",
        )
        .field("name", Field::string().required().describe("Specifies the name of the role."))
        .field(
            "permissions",
            Field::comma_strings().describe(
                "Specifies the permissions of the token: some of those of the role. If it is not set, the token has all of them.",
            ),
        )
        .field(
            "ttl",
            Field::duration().describe(
                "Specifies the maximum lifetime of the token. It cannot be longer than the ttl of the role, which applies if it is not set.",
            ),
        )
        .on(Operation::Read, "Mint a token.", instrument(telemetry::MeasuredOperation::CredsRead, read));
    let path = responses(path).on(
        Operation::Update,
        "Mint a token with fewer permissions or a shorter lifetime.",
        instrument(telemetry::MeasuredOperation::CredsRead, read_narrowed),
    );
    responses(path)
}

/// Declares the responses of a mint.
fn responses(path: Path<TokenEngine>) -> Path<TokenEngine> {
    let path = path
        .response(
            ResponseDoc::new(
                200,
                "The token under a lease, with the outputs that the description of the API declares.",
            )
            .field("token", Field::string().sensitive().describe("The token."))
            .field(
                "permissions",
                Field::strings()
                    .describe("Permissions of the token. Omitted if the API does not use permissions."),
            )
            .additional_fields(),
        )
        .response(ResponseDoc::new(
            400,
            "The request, the role or the connection must be changed. No token is issued.",
        ));
    response_docs::upstream_errors(path)
}

#[derive(Deserialize)]
struct CredsRequest {
    name: RoleName,
}

/// A request for less than the role allows.
#[derive(Deserialize)]
struct NarrowedRequest {
    name: RoleName,
    #[serde(default)]
    permissions: Option<Vec<String>>,
    #[serde(default)]
    ttl: Option<u64>,
}

async fn read(context: Context<TokenEngine>, request: CredsRequest) -> Result<LeasedSecret, Error> {
    let narrowed = NarrowedRequest { name: request.name, permissions: None, ttl: None };
    read_narrowed(context, narrowed).await
}

async fn read_narrowed(
    context: Context<TokenEngine>,
    request: NarrowedRequest,
) -> Result<LeasedSecret, Error> {
    // The role selects the connection. Without a role, a missing default connection is reported first.
    let role = roles::load_cached(&context, &request.name).await?;
    let config_name = role.as_ref().map_or(config::DEFAULT_NAME, |role| &*role.config);
    let Some(client) = config::load_client(&context, config_name).await? else {
        return Err(config::not_configured(&context, config_name));
    };
    let Some(role) = role else {
        return Err(Error::invalid(format!(
            "there is no role \"{}\"; write it first, or list those that exist: vault list {}roles",
            request.name,
            context.request().mount_point
        )));
    };
    let permissions = narrowed_permissions(&role, &client, request.permissions)?;
    let terms = role.terms(context.system().max_lease_ttl().await?);
    let terms = match request.ttl {
        None | Some(0) => terms,
        Some(seconds) => terms.narrowed_to(std::time::Duration::from_secs(seconds))?,
    };
    mint(context, client, &request.name, &role, &permissions, terms).await
}

/// Returns the permissions of the token: those of the role, or the requested subset.
fn narrowed_permissions<'a>(
    role: &'a Role,
    client: &UpstreamClient,
    requested: Option<Vec<String>>,
) -> Result<Cow<'a, [String]>, Error> {
    let Some(requested) = requested else { return Ok(Cow::from(&role.permissions)) };
    let requested: Vec<String> =
        requested.iter().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    let description = &client.upstream.api.description;
    if client.upstream.api.uses.permissions == crate::upstream::PermissionUse::Unused {
        return Err(Error::invalid(format!(
            "permissions cannot be narrowed: {} does not send them",
            description.name
        )));
    }
    if requested.is_empty() {
        return Err(Error::invalid(
            "permissions is empty: name at least one, or omit the field for all permissions of the role",
        ));
    }
    match requested.iter().find(|name| !role.permissions.contains(name)) {
        Some(name) => Err(Error::invalid(format!(
            "the role does not have the permission {name:?}; it has {}",
            role.permissions.join(", ")
        ))),
        None => Ok(Cow::from(requested)),
    }
}

async fn mint(
    context: Context<TokenEngine>,
    client: std::sync::Arc<UpstreamClient>,
    role_name: &RoleName,
    role: &Role,
    permissions: &[String],
    terms: LeaseTerms,
) -> Result<LeasedSecret, Error> {
    let UpstreamClient { config, upstream, .. } = &*client;
    let (api, description) = (&upstream.api, &upstream.api.description);
    let parameters = role.check(api)?;
    if !client.knows_account() {
        // The account is requested before the write-ahead log is written. A node that cannot write must forward the request before that.
        context.require_writable().await?;
    }
    let account = client.account().await?.into_owned();
    let renew_upstream = config.renew_upstream;

    // A token that the API does not renew must outlive every renewal of its lease.
    let life = if renew_upstream { terms.ttl } else { terms.max_ttl };
    let lifetime = Lifetime { now: Timestamp::now(), seconds: life.as_secs() };
    let display_name = &*context.request().display_name;
    let name = role.token_name(&NameValues { role: role_name, display_name, now: lifetime.now }, api)?;
    let secret = api.uses.generated_secret.then(generated_secret);
    let mut request = MintRequest::new(name, permissions, life.as_secs());
    let key = request.idempotency_key.clone();
    let name = request.name.clone();
    let values = Values {
        config: Some(&api.parameters),
        role: Some(&parameters),
        permissions: Some(permissions),
        name: Some(&name),
        idempotency_key: Some(&key),
        lifetime: Some(lifetime),
        generated_secret: secret.as_ref().map(|secret| &***secret),
        ..Values::default()
    };
    if api.supports_idempotency_keys() {
        request.body = upstream.mint_body(&values).map_err(UpstreamError::into_role_error)?;
    }
    let plan = (!api.is_default).then(|| RecoveryPlan::new(description, &values)).transpose();
    let plan =
        plan.map_err(|error| Error::invalid(format!("the mint of a token cannot be rendered: {error}")))?;
    let entry =
        WalEntry::new(config, Cow::from(account), request, lifetime.now, plan, api.latest_expiry(&lifetime));
    // On a node that cannot write, this fails before any effect outside the host. So no check of the replication state is needed.
    let wal_id = context.wal_put(MINT_KIND, &entry).await?;

    let retry = if config.retries_mints() && api.supports_idempotency_keys() {
        RetryPolicy::Always
    } else {
        RetryPolicy::IfNoEffect
    };
    let call = MintCall {
        mint: &description.mint,
        before: description.before.as_ref(),
        values,
        body: entry.request.body.as_deref(),
        retry,
    };
    let MintResponse { minted, before } = match upstream.mint(&call).await {
        Ok(response) => response,
        Err(error) => {
            if error.had_no_effect()
                && let Err(error) = context.wal_delete(&wal_id).await
            {
                // The next rollback closes the entry.
                context
                    .logger()
                    .warn(format!("cannot delete the write-ahead log entry of a refused mint: {error}"));
            }
            return Err(error.into_role_error());
        }
    };
    let Minted { id, token, outputs, expires } = minted;
    let minted_values =
        Values { id: id.as_deref(), token: Some(token.expose()), before: Some(&before), ..values };
    // Both were rendered before for the write-ahead log entry, except for the values of the response.
    let stored = Revocation::of_minted(api, id.clone(), &minted_values)
        .and_then(|revocation| Ok((revocation, bind_renewal(api, &minted_values)?)));
    let (revocation, renewal) = stored.map_err(|error| {
        Error::internal(format!("cannot store how token {name:?} is revoked: {error}; rollback revokes it"))
    })?;
    let renewal = renewal.filter(|_| renew_upstream);
    let sends_permissions = api.uses.permissions != crate::upstream::PermissionUse::Unused;
    let entry = entry.into_minted(revocation.clone());
    let guard = TokenGuard::new(PendingToken {
        context,
        client: std::sync::Arc::clone(&client),
        wal_id,
        entry,
        revocation,
    });
    let issued = async {
        guard.pending.mark_minted_in_wal().await?;
        let expires = expires.map_err(|error| Error::internal(error.to_string()))?;
        let terms = cap_to_expiry(terms, expires, renew_upstream)?;
        guard.pending.context.wal_delete(&guard.pending.wal_id).await?;
        Ok::<_, Error>(terms)
    };
    let terms = match issued.await {
        Ok(terms) => terms,
        Err(error) => {
            guard.abort().await;
            return Err(error);
        }
    };

    let pending = guard.commit();
    let PendingToken { context, entry, revocation, .. } = &*pending;
    let lease = LeaseData {
        id: revocation.id.clone(),
        api_endpoint: entry.api_endpoint.clone(),
        account: entry.account.clone(),
        revocation_path: revocation.path.clone(),
        revocation: revocation.call.clone(),
        id_check: revocation.id_check.clone(),
        renewal,
        config: role.config.clone(),
        ttl: terms.ttl.as_secs(),
        max_ttl: terms.max_ttl.as_secs(),
        renew_upstream,
        role: role_name.to_string(),
        name: entry.request.name.clone(),
        instance_id: context.state().instance_id.clone(),
    };
    context.state().metrics().count_issued();
    let issued =
        event(context, "creds-create", format!("creds/{role_name}")).with("name", role_name.to_string());
    events::send(context, issued.with("token_name", &entry.request.name).with("connection", &role.config));
    let granted = sends_permissions.then_some(&*entry.request.permissions);
    Ok(LeasedSecret::new(token::SECRET_TYPE, credentials(&token, granted, outputs), lease, terms.into()))
}

/// Returns the data of the response.
fn credentials(token: &Sensitive, permissions: Option<&[String]>, outputs: Vec<(String, Sensitive)>) -> Map {
    let mut data = Map::new();
    data.insert("token".to_owned(), token.expose().into());
    if let Some(permissions) = permissions {
        data.insert("permissions".to_owned(), permissions.into());
    }
    data.extend(outputs.into_iter().map(|(name, value)| (name, Value::from(value.expose()))));
    data
}

/// Returns a secret of 256 random bits in the URL-safe Base64 alphabet, which needs no quoting.
fn generated_secret() -> Zeroizing<String> {
    let bytes = Zeroizing::new(rand::random::<[u8; 32]>());
    Zeroizing::new(BASE64URL_NOPAD.encode(&*bytes))
}

/// Caps the terms to the lifetime of the token at the API.
fn cap_to_expiry(
    terms: LeaseTerms,
    expires: Option<Timestamp>,
    renew_upstream: bool,
) -> Result<LeaseTerms, Error> {
    let Some(remaining) = terms::time_until_expiry(expires, Timestamp::now())? else { return Ok(terms) };
    if renew_upstream {
        return Ok(LeaseTerms { ttl: terms.ttl.min(remaining), ..terms });
    }
    Ok(terms.capped_at(remaining))
}
