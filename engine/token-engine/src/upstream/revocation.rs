//! How a token is revoked, renewed and found, as it is stored with the token.
//!
//! A stored call has no placeholders left, or only those whose values are not known yet. It is written in the syntax of a description. So a
//! token is revoked as its connection was described when it was minted, whatever the configuration says later.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::api::Api;
use super::description::{Description, Find, Mint, Recovery, Renew, Revoke, Seconds};
use super::response::is_valid_id;
use super::template::RenderError;
use super::values::Values;
use crate::endpoint::Endpoint;

/// How a token is revoked.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Revocation {
    /// The identifier of the token at the API; empty if it has none.
    #[serde(default, deserialize_with = "deserialize_token_id")]
    pub(crate) id: String,
    /// What is deleted, below the endpoint: percent-encoded and without a leading slash. Empty if there is a call.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) path: String,
    /// The call, of any description but the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) call: Option<Revoke>,
    /// The search before the revocation, of an API that uses identifiers again.
    #[serde(default, rename = "look", skip_serializing_if = "Option::is_none")]
    pub(crate) id_check: Option<IdCheck>,
}

/// A search for a token by its name.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct IdCheck {
    pub(crate) find: Find,
    pub(crate) name: String,
}

impl Revocation {
    /// The revocation of the default description.
    pub(crate) fn from_id(id: String) -> Revocation {
        let path = Endpoint::relative_path(&["tokens", &id]);
        Revocation { id, path, call: None, id_check: None }
    }

    /// The revocation of a minted token. `values` are those of the mint, with the token.
    pub(crate) fn of_minted(
        api: &Api,
        id: Option<String>,
        values: &Values<'_>,
    ) -> Result<Revocation, RenderError> {
        let id = id.unwrap_or_default();
        if api.is_default {
            return Ok(Revocation::from_id(id));
        }
        let values = Values { id: Some(&id), ..*values };
        let call = api.description.revoke.bind(&values)?;
        let id_check = api.description.find.as_ref().filter(|_| api.description.reused_ids);
        let id_check = id_check.map(|find| find.bind(&values)).transpose()?;
        let name = values.name.unwrap_or_default().to_owned();
        Ok(Revocation {
            call: Some(call),
            path: String::new(),
            id_check: id_check.map(|find| IdCheck { find, name }),
            id,
        })
    }

    /// As a lease of the default description holds it; without a path it is that of the id.
    pub(crate) fn from_lease(id: String, path: String) -> Revocation {
        if path.is_empty() {
            Revocation::from_id(id)
        } else {
            Revocation { id, path, call: None, id_check: None }
        }
    }
}

/// Reads an identifier that can be that of one token, or none.
pub(crate) fn deserialize_token_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let id = String::deserialize(deserializer)?;
    if id.is_empty() || is_valid_id(&id) {
        Ok(id)
    } else {
        Err(D::Error::custom("a token cannot have this id"))
    }
}

/// What a rollback can do about a mint that was not answered, of any description but the default one.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct RecoveryPlan {
    pub(crate) recovery: Recovery,
    /// The mint, to be repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mint: Option<Mint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) find: Option<Find>,
    pub(crate) revoke: Revoke,
    /// Whether a found token is looked for again before it is revoked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) reused_ids: bool,
}

impl RecoveryPlan {
    /// The plan of a mint with these values.
    pub(crate) fn new(description: &Description, values: &Values<'_>) -> Result<RecoveryPlan, RenderError> {
        let find = matches!(description.recovery, Recovery::Find { .. }) || description.reused_ids;
        let find = description.find.as_ref().filter(|_| find);
        let replay = matches!(description.recovery, Recovery::Replay { .. });
        Ok(RecoveryPlan {
            recovery: description.recovery.clone(),
            mint: replay.then(|| description.mint.bind(values)).transpose()?,
            find: find.map(|find| find.bind(values)).transpose()?,
            revoke: description.revoke.bind(values)?,
            reused_ids: description.reused_ids,
        })
    }

    /// How a found token is revoked.
    pub(crate) fn revocation(&self, id: Option<String>, name: &str) -> Result<Revocation, RenderError> {
        let id = id.unwrap_or_default();
        let call = self.revoke.bind(&Values { id: Some(&id), name: Some(name), ..Values::default() })?;
        let id_check = self.find.clone().filter(|_| self.reused_ids);
        let id_check = id_check.map(|find| IdCheck { find, name: name.to_owned() });
        Ok(Revocation { id, path: String::new(), call: Some(call), id_check })
    }

    /// How long after a mint its token may still be unknown to a search.
    pub(crate) fn settle(&self) -> Seconds {
        match self.recovery {
            Recovery::Find { settle } | Recovery::DeleteByName { settle } => settle,
            Recovery::Replay { .. } | Recovery::None => Seconds::default(),
        }
    }
}

/// The renewal of a token with these values; `None` if the API cannot renew.
pub(crate) fn bind_renewal(api: &Api, values: &Values<'_>) -> Result<Option<Renew>, RenderError> {
    if api.is_default {
        return Ok(None);
    }
    let without_lifetime = Values { lifetime: None, ..*values };
    api.description.renew.as_ref().map(|renew| renew.bind(&without_lifetime)).transpose()
}
