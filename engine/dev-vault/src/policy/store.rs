//! The stored policies.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::default::{DEFAULT_POLICY, RESPONSE_WRAPPING_POLICY};
use super::{Acl, Rule, parse};
use crate::StoreError;
use crate::identity_store::EntityRights;
use crate::reply::ErrorReply;
use crate::store::Store;

const POLICIES: &str = "sys/policy/";

/// The policies of the server by name. The policy `root` always exists and is not stored.
pub(crate) struct Policies {
    store: Arc<Store>,
}

impl Policies {
    pub(crate) fn new(store: Arc<Store>) -> Policies {
        Policies { store }
    }

    /// Stores the initial policies of a Vault.
    pub(crate) fn write_defaults(&self) -> Result<(), StoreError> {
        self.write("default", DEFAULT_POLICY)?;
        self.write("response-wrapping", RESPONSE_WRAPPING_POLICY)
    }

    /// The text of a policy; `None` if it does not exist.
    pub(crate) fn read(&self, name: &str) -> Result<Option<String>, StoreError> {
        if name == "root" {
            return Ok(Some(String::new()));
        }
        self.store.read(&key(name))
    }

    /// The names of the stored policies.
    pub(crate) fn names(&self) -> Vec<String> {
        self.store.list(POLICIES)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> Result<(), StoreError> {
        self.store.write(&key(name), &text)
    }

    pub(crate) fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.store.delete(&key(name))
    }

    /// The permissions of a token that has these policies, and those of its entity.
    pub(crate) fn acl(&self, names: &[String], rights: &EntityRights) -> Result<Acl, ErrorReply> {
        if names.iter().any(|name| name == "root") {
            return Ok(Acl::Root);
        }
        let mut rules = Vec::new();
        let names: BTreeSet<&String> = names.iter().chain(&rights.policies).collect();
        for name in names {
            let text = self.read(name)?.unwrap_or_default();
            let parsed = parse(&text).map_err(|error| ErrorReply::internal(&error))?;
            let rendered = parsed.into_iter().filter_map(|rule| rule.render(rights.entity.as_ref()));
            rules.extend(rendered.map(|rule| Rule { policy: name.clone(), ..rule }));
        }
        Ok(Acl::Rules(rules))
    }
}

fn key(name: &str) -> String {
    format!("{POLICIES}{name}")
}
