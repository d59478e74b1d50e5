//! `creds/`: mints a token of a role. A token that cannot be revoked is never issued.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use vault_plugin::framework::{Context, Field, LeasedSecret, Path, ResponseDoc};
use vault_plugin::logical::{Error, Operation, Sensitive};

use crate::config;
use crate::events::{self, event};
use crate::mint::{self, MintParams, MintedToken};
use crate::name_template::NameValues;
use crate::pending_token::PendingToken;
use crate::response_docs;
use crate::role_name::{self, RoleName};
use crate::roles::{self, CachedRole, Role};
use crate::telemetry::{self, instrument};
use crate::terms::{self, LeaseTerms};
use crate::token::{self, LeaseData};
use crate::wal_entry::TokenOwner;
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
    let config_name = role.as_ref().map_or(config::DEFAULT_NAME, |cached| &*cached.role.config);
    let Some(client) = config::load_client(&context, config_name).await? else {
        return Err(config::not_configured(&context, config_name));
    };
    let Some(cached) = role else {
        return Err(Error::invalid(format!(
            "there is no role \"{}\"; write it first, or list those that exist: vault list {}roles",
            request.name,
            context.request().mount_point
        )));
    };
    let permissions = narrowed_permissions(&cached.role, &client, request.permissions)?;
    let terms = cached.role.terms(context.system().max_lease_ttl().await?);
    let terms = match request.ttl {
        None | Some(0) => terms,
        Some(seconds) => terms.narrowed_to(std::time::Duration::from_secs(seconds))?,
    };
    mint(context, client, &request.name, &cached, &permissions, terms).await
}

/// Returns the permissions of the token: those of the role, or the requested subset.
fn narrowed_permissions<'a>(
    role: &'a Role,
    client: &UpstreamClient,
    requested: Option<Vec<String>>,
) -> Result<Cow<'a, [String]>, Error> {
    let Some(requested) = requested else { return Ok(Cow::from(&role.permissions)) };
    let requested = roles::trimmed(&requested);
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
    cached: &CachedRole,
    permissions: &[String],
    terms: LeaseTerms,
) -> Result<LeasedSecret, Error> {
    let role = &cached.role;
    let (api, renew_upstream) = (&client.upstream.api, client.config.renew_upstream);
    let parameters = role.check(api)?;
    // A token that the API does not renew must outlive every renewal of its lease.
    let life = if renew_upstream { terms.ttl } else { terms.max_ttl };
    let display_name = &*context.request().display_name;
    let name =
        cached.token_name(&NameValues { role: role_name, display_name, now: Timestamp::now() }, api)?;
    let params = MintParams { name, permissions, parameters: &parameters, life, owner: TokenOwner::Lease };
    let MintedToken { guard, token, outputs, expires, renewal } =
        mint::mint(context, std::sync::Arc::clone(&client), params).await?;
    let renewal = renewal.filter(|_| renew_upstream);
    let sends_permissions = api.uses.permissions != crate::upstream::PermissionUse::Unused;
    let issued = async {
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
    events::send(context, client.config.send_events, || {
        let issued = event(context, "creds-create", format!("creds/{role_name}"));
        let issued = issued.with("name", role_name.to_string());
        issued.with("token_name", &entry.request.name).with("connection", &role.config)
    });
    let granted = sends_permissions.then_some(&*entry.request.permissions);
    let credentials = Credentials { token: &token, permissions: granted, outputs: &outputs };
    Ok(LeasedSecret::new(token::SECRET_TYPE, credentials, lease, terms.into()))
}

/// The data of the response.
struct Credentials<'a> {
    token: &'a Sensitive,
    permissions: Option<&'a [String]>,
    outputs: &'a [(String, Sensitive)],
}

impl Serialize for Credentials<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut data = serializer.serialize_map(None)?;
        data.serialize_entry("token", self.token.expose())?;
        if let Some(permissions) = self.permissions {
            data.serialize_entry("permissions", permissions)?;
        }
        for (name, value) in self.outputs {
            data.serialize_entry(name, value.expose())?;
        }
        data.end()
    }
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;
    use vault_plugin::framework::{Engine, NoFields};
    use vault_plugin::testing::TestMount;

    use super::*;

    /// Every await and every box around the future of a request copies it. Before its parts were boxed, this was a third of the
    /// instructions of a read.
    #[tokio::test]
    async fn the_future_of_a_read_is_small_and_so_is_what_it_keeps() {
        static SIZE: AtomicUsize = AtomicUsize::new(0);
        let measure = async |context: Context<TokenEngine>, _: NoFields| {
            let name = RoleName::try_from("developer".to_owned()).map_err(|_| Error::internal("a role"))?;
            SIZE.store(size_of_val(&read(context, CredsRequest { name })), Ordering::Relaxed);
            Ok::<_, Error>(())
        };
        let path = Path::new("size").on(Operation::Update, "Measure.", measure);
        let mount = TestMount::new(Engine::new(TokenEngine::default).path(path)).await.unwrap();
        mount.write("size", json!({})).await.unwrap();
        let size = SIZE.load(Ordering::Relaxed);
        assert!((1..=6144).contains(&size), "{size} bytes");
        assert!(size_of::<LeaseData>() <= 512, "{} bytes", size_of::<LeaseData>());
        assert!(size_of::<PendingToken>() <= 1024, "{} bytes", size_of::<PendingToken>());
    }
}
