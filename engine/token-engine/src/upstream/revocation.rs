//! The calls that revoke, renew and find a token, which are stored with the token.
//!
//! A stored call contains only the placeholders whose values are not known yet. It has the syntax of a description. So a token is revoked
//! with the description of its mint, also if the configuration has changed since.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::api::Api;
use super::description::{Description, Find, Mint, Recovery, Renew, Revoke, Seconds};
use super::response::is_valid_id;
use super::template::RenderError;
use super::values::Values;
use crate::endpoint::Endpoint;

/// How a token is revoked. The parts that the default description does not have are boxed, because every move of a revocation copies it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Revocation {
    /// The id of the token at the API. Empty if it has none.
    #[serde(default, deserialize_with = "deserialize_token_id")]
    pub(crate) id: String,
    /// The path of the DELETE request below the endpoint, percent-encoded and without a leading slash. Empty if there is a call.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) path: String,
    /// The call. `None` for the default description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) call: Option<Box<Revoke>>,
    /// The check before the revocation, for an API that reuses ids.
    #[serde(default, rename = "look", skip_serializing_if = "Option::is_none")]
    pub(crate) id_check: Option<Box<IdCheck>>,
}

/// Checks before a revocation that the id still belongs to the token with this name.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct IdCheck {
    pub(crate) find: Find,
    pub(crate) name: String,
}

impl Revocation {
    /// Returns the revocation of the default description.
    pub(crate) fn from_id(id: String) -> Revocation {
        let path = Endpoint::relative_path(&["tokens", &id]);
        Revocation { id, path, call: None, id_check: None }
    }

    /// Returns the revocation of a minted token. `values` are those of the mint, with the token.
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
            call: Some(Box::new(call)),
            path: String::new(),
            id_check: id_check.map(|find| Box::new(IdCheck { find, name })),
            id,
        })
    }

    /// Returns the revocation of a lease of the default description. Without a path, it is derived from the id.
    pub(crate) fn from_lease(id: String, path: String) -> Revocation {
        if path.is_empty() {
            Revocation::from_id(id)
        } else {
            Revocation { id, path, call: None, id_check: None }
        }
    }
}

/// Deserializes the id of a token, which may be empty.
pub(crate) fn deserialize_token_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let id = String::deserialize(deserializer)?;
    if id.is_empty() || is_valid_id(&id) {
        Ok(id)
    } else {
        Err(D::Error::custom("a token cannot have this id"))
    }
}

/// The calls with which a rollback finds and revokes the token of a mint without a response. Not used by the default description.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct RecoveryPlan {
    pub(crate) recovery: Recovery,
    /// The mint, if it is repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mint: Option<Mint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) find: Option<Find>,
    pub(crate) revoke: Revoke,
    /// Whether the name of a found token is compared again before it is revoked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) reused_ids: bool,
}

impl RecoveryPlan {
    /// Returns the plan of a mint with these values.
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

    /// Returns the revocation of a found token.
    pub(crate) fn revocation(&self, id: Option<String>, name: &str) -> Result<Revocation, RenderError> {
        let id = id.unwrap_or_default();
        let call = self.revoke.bind(&Values { id: Some(&id), name: Some(name), ..Values::default() })?;
        let id_check = self.find.clone().filter(|_| self.reused_ids);
        let id_check = id_check.map(|find| Box::new(IdCheck { find, name: name.to_owned() }));
        Ok(Revocation { id, path: String::new(), call: Some(Box::new(call)), id_check })
    }

    /// Returns how long after a mint a search may not find its token.
    pub(crate) fn settle(&self) -> Seconds {
        match self.recovery {
            Recovery::Find { settle } | Recovery::DeleteByName { settle } => settle,
            Recovery::Replay { .. } | Recovery::None => Seconds::default(),
        }
    }
}

/// Returns the renewal of a token with these values. `None` if the API has no renewal.
pub(crate) fn bind_renewal(api: &Api, values: &Values<'_>) -> Result<Option<Box<Renew>>, RenderError> {
    if api.is_default {
        return Ok(None);
    }
    let without_lifetime = Values { lifetime: None, ..*values };
    api.description.renew.as_ref().map(|renew| renew.bind(&without_lifetime).map(Box::new)).transpose()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_check_of_an_id_is_stored_under_the_name_that_earlier_versions_read() {
        let find = json!({"get": "/tokens", "items": "", "name": "/name", "id": "/id"});
        let stored = json!({"id": "a1", "look": {"find": find, "name": "vault-dev-1"}});
        let revocation: Revocation = serde_json::from_value(stored.clone()).unwrap();
        assert_eq!(revocation.id_check.as_ref().unwrap().name, "vault-dev-1");
        assert_eq!(serde_json::to_value(&revocation).unwrap(), stored);
    }
}
