//! The records of the identity store.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use vault_plugin::logical::{Alias, Entity, Group};

use super::{default_name, new_id};

/// The namespace of all records.
const NAMESPACE: &str = "root";

/// An entity.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct EntityRecord {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) metadata: Option<BTreeMap<String, String>>,
    pub(crate) policies: Vec<String>,
    pub(crate) disabled: bool,
    pub(crate) aliases: Vec<AliasRecord>,
    pub(crate) created: SystemTime,
    pub(crate) updated: SystemTime,
}

/// The alias of an entity in an auth method, or of an external group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AliasRecord {
    pub(crate) id: String,
    /// The ID of the entity or the group.
    pub(crate) canonical_id: String,
    pub(crate) name: String,
    pub(crate) mount_accessor: String,
    pub(crate) mount_kind: String,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) custom_metadata: BTreeMap<String, String>,
    pub(crate) local: bool,
    pub(crate) created: SystemTime,
    pub(crate) updated: SystemTime,
}

/// How a group gets its members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum GroupKind {
    /// An operator sets them.
    Internal,
    /// Logins set them, by the alias of the group.
    External,
}

/// A group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct GroupRecord {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) kind: GroupKind,
    pub(crate) metadata: Option<BTreeMap<String, String>>,
    pub(crate) policies: Vec<String>,
    pub(crate) member_entity_ids: Vec<String>,
    pub(crate) parent_group_ids: Vec<String>,
    pub(crate) alias: Option<AliasRecord>,
    pub(crate) created: SystemTime,
    pub(crate) updated: SystemTime,
    /// Number of changes.
    pub(crate) modify_index: u64,
}

impl EntityRecord {
    /// A new entity; without a name, it gets a random one.
    pub(crate) fn new(name: String) -> EntityRecord {
        let now = SystemTime::now();
        EntityRecord {
            id: new_id(),
            name: if name.is_empty() { default_name("entity") } else { name },
            metadata: None,
            policies: Vec::new(),
            disabled: false,
            aliases: Vec::new(),
            created: now,
            updated: now,
        }
    }

    /// The entity as a plugin sees it.
    pub(crate) fn to_logical(&self) -> Entity {
        Entity {
            id: self.id.clone(),
            name: self.name.clone(),
            aliases: self.aliases.iter().map(AliasRecord::to_logical).collect(),
            metadata: self.metadata.clone().unwrap_or_default(),
            disabled: self.disabled,
            namespace_id: NAMESPACE.to_owned(),
        }
    }
}

impl AliasRecord {
    pub(crate) fn new(canonical_id: &str, name: &str, mount_accessor: &str, mount_kind: &str) -> AliasRecord {
        let now = SystemTime::now();
        AliasRecord {
            id: new_id(),
            canonical_id: canonical_id.to_owned(),
            name: name.to_owned(),
            mount_accessor: mount_accessor.to_owned(),
            mount_kind: mount_kind.to_owned(),
            metadata: BTreeMap::new(),
            custom_metadata: BTreeMap::new(),
            local: false,
            created: now,
            updated: now,
        }
    }

    /// Whether it is the alias of this name in an auth method.
    pub(crate) fn is(&self, mount_accessor: &str, name: &str) -> bool {
        self.mount_accessor == mount_accessor && self.name == name
    }

    fn to_logical(&self) -> Alias {
        Alias {
            id: self.id.clone(),
            name: self.name.clone(),
            mount_type: self.mount_kind.clone(),
            mount_accessor: self.mount_accessor.clone(),
            metadata: self.metadata.clone(),
            custom_metadata: self.custom_metadata.clone(),
            namespace_id: NAMESPACE.to_owned(),
            local: self.local,
        }
    }
}

impl GroupKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            GroupKind::Internal => "internal",
            GroupKind::External => "external",
        }
    }
}

impl GroupRecord {
    /// A new group; without a name, it gets a random one.
    pub(crate) fn new(name: String, kind: GroupKind) -> GroupRecord {
        let now = SystemTime::now();
        GroupRecord {
            id: new_id(),
            name: if name.is_empty() { default_name("group") } else { name },
            kind,
            metadata: None,
            policies: Vec::new(),
            member_entity_ids: Vec::new(),
            parent_group_ids: Vec::new(),
            alias: None,
            created: now,
            updated: now,
            modify_index: 1,
        }
    }

    /// Records a change.
    pub(crate) fn touch(&mut self) {
        self.updated = SystemTime::now();
        self.modify_index += 1;
    }

    /// The group as a plugin sees it.
    pub(crate) fn to_logical(&self) -> Group {
        Group {
            id: self.id.clone(),
            name: self.name.clone(),
            metadata: self.metadata.clone().unwrap_or_default(),
            namespace_id: NAMESPACE.to_owned(),
        }
    }
}
