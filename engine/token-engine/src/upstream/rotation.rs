//! The calls that replace the key of a connection.

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::description::{Find, Rotate};
use super::error::{Effect, ErrorKind, UpstreamError};
use super::response::{NewKey, ResponseClass, StatusRules, read_new_key};
use super::send::RetryPolicy;
use super::template::RenderError;
use super::values::Values;
use super::{REVOKE_KEY, ROTATE, Search, Upstream};
use crate::telemetry::UpstreamOperation;

/// What the API reports about the key of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyInfo {
    /// The account of the key, if the description names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<String>,
    /// The owner of the key, if the API reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    /// The id of the key, if the API reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
}

impl KeyInfo {
    /// Returns whether another key reaches the same tokens.
    pub(crate) fn has_same_owner(&self, other: &KeyInfo) -> bool {
        self.account == other.account && self.owner == other.owner
    }
}

impl Upstream {
    /// Creates another key. The request is not repeated once it may have had an effect.
    pub(crate) async fn rotate(&self, rotate: &Rotate, values: &Values<'_>) -> Result<NewKey, UpstreamError> {
        self.metrics
            .time_upstream(
                UpstreamOperation::Rotate,
                UpstreamError::label,
                Box::pin(self.try_rotate(rotate, values)),
            )
            .await
    }

    async fn try_rotate(&self, rotate: &Rotate, values: &Values<'_>) -> Result<NewKey, UpstreamError> {
        let deadline = Instant::now() + self.total_timeout;
        let values = Values { api_key: Some(self.api_key.expose()), ..*values };
        let response =
            self.exchange(ROTATE, rotate.call(), &values, RetryPolicy::IfNoEffect, deadline).await?;
        let rules = rotate.call().as_ref().map(StatusRules::of).unwrap_or_default();
        self.require_success(ROTATE, &response, rules)?;
        let read = read_new_key(rotate, &response.parts(), &values);
        read.map_err(|reason| self.error(ROTATE, ErrorKind::Malformed(reason), Effect::Possible))
    }

    /// Revokes a key with this connection. `values` are those of the revoked key.
    pub(crate) async fn revoke_key(&self, rotate: &Rotate, values: &Values<'_>) -> Result<(), UpstreamError> {
        self.metrics
            .time_upstream(
                UpstreamOperation::Revoke,
                UpstreamError::label,
                Box::pin(self.try_revoke_key(rotate, values)),
            )
            .await
    }

    async fn try_revoke_key(&self, rotate: &Rotate, values: &Values<'_>) -> Result<(), UpstreamError> {
        let deadline = Instant::now() + self.total_timeout;
        let revoke = &rotate.revoke_old;
        let response =
            self.exchange(REVOKE_KEY, revoke.call(), values, RetryPolicy::Always, deadline).await?;
        let rules = revoke.call().as_ref().map(StatusRules::of).unwrap_or_default();
        match response.parts().classify(StatusRules { gone: revoke.gone.as_ref(), ..rules }) {
            ResponseClass::Success => Ok(()),
            ResponseClass::Gone => self.confirm_gone().await,
            other => Err(self.failed(REVOKE_KEY, other, &response)),
        }
    }

    /// Searches for a new key by its name.
    pub(crate) async fn find_key(
        &self,
        find: &Find,
        name: &str,
        values: &Values<'_>,
    ) -> Result<Search, UpstreamError> {
        let bound = find.bind(values);
        let bound = bound
            .map_err(|error: RenderError| self.error(super::FIND, ErrorKind::Render(error), Effect::None))?;
        self.find(&bound, name).await
    }
}
