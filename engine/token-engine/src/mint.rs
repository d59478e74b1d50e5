//! Mints a token, with its write-ahead log entry.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use vault_plugin::framework::Context;
use vault_plugin::logical::{Error, Sensitive};
use zeroize::Zeroizing;

use crate::pending_token::{PendingToken, TokenGuard};
use crate::upstream::{
    ExpiryError, Lifetime, MintCall, MintResponse, MintSource, Minted, Parameters, RecoveryPlan, Renew,
    Request, RetryPolicy, Revocation, UpstreamError, Values, bind_renewal,
};
use crate::wal_entry::{MINT_KIND, MintRequest, TokenOwner, WalEntry};
use crate::{TokenEngine, UpstreamClient};

/// What is minted.
pub(crate) struct MintParams<'a> {
    /// The unique name of the token.
    pub(crate) name: String,
    pub(crate) permissions: &'a [String],
    /// The parameters of the role in the types of the API.
    pub(crate) parameters: &'a Parameters,
    /// The requested lifetime.
    pub(crate) life: Duration,
    pub(crate) owner: TokenOwner,
}

/// A token that the API has created. It is revoked when the guard is dropped, unless it is committed.
pub(crate) struct MintedToken {
    pub(crate) guard: TokenGuard,
    pub(crate) token: Sensitive,
    pub(crate) outputs: Vec<(String, Sensitive)>,
    /// The expiry that the API reports.
    pub(crate) expires: Result<Option<Timestamp>, ExpiryError>,
    pub(crate) renewal: Option<Box<Renew>>,
}

/// Mints a token. Before the request is sent, the write-ahead log has an entry with which the token is found. After the response, the entry
/// contains how it is revoked. The caller deletes the entry once the token is stored elsewhere, or issued.
pub(crate) async fn mint(
    context: Context<TokenEngine>,
    client: Arc<UpstreamClient>,
    params: MintParams<'_>,
) -> Result<MintedToken, Error> {
    let UpstreamClient { config, upstream, .. } = &*client;
    let (api, description) = (&upstream.api, &upstream.api.description);
    if !client.knows_account() {
        // The account is requested before the write-ahead log is written. A node that cannot write must forward the request before that.
        context.require_writable().await?;
    }
    let account = client.account().await?.into_owned();

    let lifetime = Lifetime { now: Timestamp::now(), seconds: params.life.as_secs() };
    let secret = api.uses.generated_secret.then(generated_secret);
    let mut request = MintRequest::new(params.name, params.permissions, params.life.as_secs());
    let key = request.idempotency_key.clone();
    let name = request.name.clone();
    let values = Values {
        config: Some(&api.parameters),
        role: Some(params.parameters),
        permissions: Some(params.permissions),
        name: Some(&name),
        idempotency_key: Some(&key),
        lifetime: Some(lifetime),
        generated_secret: secret.as_ref().map(|secret| &***secret),
        ..Values::default()
    };
    // Rendered once: the entry contains the same body that is sent.
    let rendered = api.supports_idempotency_keys().then(|| upstream.render_mint(&values)).transpose();
    let rendered = rendered.map_err(UpstreamError::into_role_error)?;
    request.body = rendered.as_ref().and_then(Request::body_text);
    let plan = (!api.is_default).then(|| RecoveryPlan::new(description, &values).map(Box::new)).transpose();
    let plan =
        plan.map_err(|error| Error::invalid(format!("the mint of a token cannot be rendered: {error}")))?;
    let entry =
        WalEntry::new(config, Cow::from(account), request, lifetime.now, plan, api.latest_expiry(&lifetime))
            .owned_by(params.owner);
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
        request: rendered.map_or(MintSource::Values, MintSource::Rendered),
        retry,
    };
    let MintResponse { minted, before } = match upstream.mint(call).await {
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
    let entry = entry.into_minted(revocation.clone());
    let guard =
        TokenGuard::new(PendingToken { context, client: Arc::clone(&client), wal_id, entry, revocation });
    if let Err(error) = guard.pending.mark_minted_in_wal().await {
        guard.abort().await;
        return Err(error);
    }
    Ok(MintedToken { guard, token, outputs, expires, renewal })
}

/// Returns a secret of 256 random bits in the URL-safe Base64 alphabet, which needs no quoting.
fn generated_secret() -> Zeroizing<String> {
    let bytes = Zeroizing::new(rand::random::<[u8; 32]>());
    Zeroizing::new(BASE64URL_NOPAD.encode(&*bytes))
}
