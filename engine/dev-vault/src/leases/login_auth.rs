//! What an auth method returned for a login, stored for the renewal of its token.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use vault_plugin::logical::{Alias, Auth, LeaseOptions, Map, TokenType};

/// The login of a token. There is no `Debug`, because it contains internal data of the auth method.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct LoginAuth {
    ttl: Duration,
    max_ttl: Duration,
    pub(crate) renewable: bool,
    internal_data: Map,
    display_name: String,
    policies: Vec<String>,
    no_default_policy: bool,
    metadata: BTreeMap<String, String>,
    period: Duration,
    explicit_max_ttl: Duration,
    num_uses: u32,
    token_type: String,
    bound_cidrs: Vec<String>,
    alias: Option<LoginAlias>,
    group_aliases: Vec<LoginAlias>,
    accessor: String,
    entity_id: String,
    token_policies: Vec<String>,
}

#[derive(Clone, Serialize, Deserialize)]
struct LoginAlias {
    id: String,
    name: String,
    mount_type: String,
    mount_accessor: String,
    metadata: BTreeMap<String, String>,
    custom_metadata: BTreeMap<String, String>,
    local: bool,
}

impl LoginAuth {
    /// The stored form of a login.
    pub(crate) fn new(auth: &Auth) -> LoginAuth {
        LoginAuth {
            ttl: auth.lease.ttl,
            max_ttl: auth.lease.max_ttl,
            renewable: auth.lease.renewable,
            internal_data: auth.internal_data.clone(),
            display_name: auth.display_name.clone(),
            policies: auth.policies.clone(),
            no_default_policy: auth.no_default_policy,
            metadata: auth.metadata.clone(),
            period: auth.period,
            explicit_max_ttl: auth.explicit_max_ttl,
            num_uses: auth.num_uses,
            token_type: auth.token_type.as_str().to_owned(),
            bound_cidrs: auth.bound_cidrs.clone(),
            alias: auth.alias.as_ref().map(LoginAlias::new),
            group_aliases: auth.group_aliases.iter().map(LoginAlias::new).collect(),
            accessor: auth.accessor.clone(),
            entity_id: auth.entity_id.clone(),
            token_policies: auth.token_policies.clone(),
        }
    }

    /// The login in the form that the auth method receives for a renewal.
    pub(crate) fn renewal(&self, issued: SystemTime, increment: Duration) -> Auth {
        Auth {
            lease: LeaseOptions {
                ttl: self.ttl,
                max_ttl: self.max_ttl,
                renewable: self.renewable,
                increment,
                issue_time: Some(issued),
            },
            internal_data: self.internal_data.clone(),
            display_name: self.display_name.clone(),
            policies: self.policies.clone(),
            no_default_policy: self.no_default_policy,
            metadata: self.metadata.clone(),
            period: self.period,
            explicit_max_ttl: self.explicit_max_ttl,
            num_uses: self.num_uses,
            token_type: TokenType::from_name(&self.token_type).unwrap_or_default(),
            bound_cidrs: self.bound_cidrs.clone(),
            alias: self.alias.as_ref().map(LoginAlias::to_logical),
            group_aliases: self.group_aliases.iter().map(LoginAlias::to_logical).collect(),
            accessor: self.accessor.clone(),
            entity_id: self.entity_id.clone(),
            token_policies: self.token_policies.clone(),
            ..Auth::default()
        }
    }
}

impl LoginAlias {
    fn new(alias: &Alias) -> LoginAlias {
        LoginAlias {
            id: alias.id.clone(),
            name: alias.name.clone(),
            mount_type: alias.mount_type.clone(),
            mount_accessor: alias.mount_accessor.clone(),
            metadata: alias.metadata.clone(),
            custom_metadata: alias.custom_metadata.clone(),
            local: alias.local,
        }
    }

    fn to_logical(&self) -> Alias {
        Alias {
            id: self.id.clone(),
            name: self.name.clone(),
            mount_type: self.mount_type.clone(),
            mount_accessor: self.mount_accessor.clone(),
            metadata: self.metadata.clone(),
            custom_metadata: self.custom_metadata.clone(),
            namespace_id: String::new(),
            local: self.local,
        }
    }
}
