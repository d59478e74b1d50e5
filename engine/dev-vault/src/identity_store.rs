//! The identity store: entities, their aliases in auth methods, and groups (`vault/identity_store.go`).

mod records;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;
use uuid::Uuid;
use vault_plugin::logical::{Alias, Entity, Group};

use crate::StoreError;
use crate::random::random_hex;
use crate::reply::ErrorReply;
use crate::store::{Store, StoreOp};
pub(crate) use records::{AliasRecord, EntityRecord, GroupKind, GroupRecord};

const ENTITIES: &str = "identity/entity/";
const GROUPS: &str = "identity/group/";

/// The entities and groups of the server.
pub(crate) struct IdentityStore {
    store: Arc<Store>,
    /// Locked while a record is read and changed.
    changes: Mutex<()>,
}

/// What an entity adds to a token.
#[derive(Default)]
pub(crate) struct EntityRights {
    /// The entity with its groups, for templates; `None` if the token has none.
    pub(crate) entity: Option<(Entity, Vec<Group>)>,
    /// The policies of the entity and its groups.
    pub(crate) policies: Vec<String>,
}

impl EntityRights {
    /// Whether the entity exists and is not disabled.
    pub(crate) fn is_enabled(&self) -> bool {
        self.entity.as_ref().is_some_and(|(entity, _)| !entity.disabled)
    }
}

/// The mount of an alias.
pub(crate) struct AliasMount<'a> {
    pub(crate) accessor: &'a str,
    /// The type of the auth method.
    pub(crate) kind: &'a str,
    pub(crate) local: bool,
}

impl IdentityStore {
    pub(crate) fn new(store: Arc<Store>) -> IdentityStore {
        IdentityStore { store, changes: Mutex::default() }
    }

    pub(crate) fn entity(&self, id: &str) -> Result<Option<EntityRecord>, StoreError> {
        if id.is_empty() {
            return Ok(None);
        }
        self.store.read(&format!("{ENTITIES}{id}"))
    }

    pub(crate) fn entities(&self) -> Result<Vec<EntityRecord>, StoreError> {
        self.all(ENTITIES)
    }

    pub(crate) fn entity_by_name(&self, name: &str) -> Result<Option<EntityRecord>, StoreError> {
        Ok(self.entities()?.into_iter().find(|entity| entity.name == name))
    }

    /// The entity that has an alias, and the alias.
    pub(crate) fn entity_by_alias(
        &self,
        matches: impl Fn(&AliasRecord) -> bool,
    ) -> Result<Option<(EntityRecord, AliasRecord)>, StoreError> {
        Ok(self.entities()?.into_iter().find_map(|entity| {
            let alias = entity.aliases.iter().find(|alias| matches(alias)).cloned();
            alias.map(|alias| (entity, alias))
        }))
    }

    pub(crate) fn group(&self, id: &str) -> Result<Option<GroupRecord>, StoreError> {
        if id.is_empty() {
            return Ok(None);
        }
        self.store.read(&format!("{GROUPS}{id}"))
    }

    pub(crate) fn groups(&self) -> Result<Vec<GroupRecord>, StoreError> {
        self.all(GROUPS)
    }

    pub(crate) fn group_by_name(&self, name: &str) -> Result<Option<GroupRecord>, StoreError> {
        Ok(self.groups()?.into_iter().find(|group| group.name == name))
    }

    /// Runs a change while no other runs.
    pub(crate) fn change<T>(&self, change: impl FnOnce() -> T) -> T {
        let _guard = self.changes.lock();
        change()
    }

    pub(crate) fn put_entity(&self, entity: &EntityRecord) -> Result<(), StoreError> {
        self.store.write(&format!("{ENTITIES}{}", entity.id), entity)
    }

    /// Deletes an entity, and removes it from its groups.
    pub(crate) fn delete_entity(&self, id: &str) -> Result<(), StoreError> {
        let mut changes = vec![StoreOp::Delete(format!("{ENTITIES}{id}"))];
        for mut group in self.groups()? {
            if group.member_entity_ids.iter().any(|member| member == id) {
                group.member_entity_ids.retain(|member| member != id);
                changes.push(StoreOp::put(format!("{GROUPS}{}", group.id), &group)?);
            }
        }
        self.store.apply(changes)
    }

    pub(crate) fn put_group(&self, group: &GroupRecord) -> Result<(), StoreError> {
        self.store.write(&format!("{GROUPS}{}", group.id), group)
    }

    /// Deletes a group, and removes it from the groups that contain it.
    pub(crate) fn delete_group(&self, id: &str) -> Result<(), StoreError> {
        let mut changes = vec![StoreOp::Delete(format!("{GROUPS}{id}"))];
        for mut group in self.groups()? {
            if group.parent_group_ids.iter().any(|parent| parent == id) {
                group.parent_group_ids.retain(|parent| parent != id);
                changes.push(StoreOp::put(format!("{GROUPS}{}", group.id), &group)?);
            }
        }
        self.store.apply(changes)
    }

    /// The entity of a login. The first login of an alias creates it; a later one updates the metadata of the alias.
    pub(crate) fn entity_of_login(
        &self,
        alias: &Alias,
        mount: &AliasMount<'_>,
    ) -> Result<EntityRecord, ErrorReply> {
        if alias.name.is_empty() {
            return Err(ErrorReply::new(500, "missing name in alias"));
        }
        self.change(|| {
            let known = self.entity_by_alias(|known| known.is(mount.accessor, &alias.name))?;
            if let Some((mut entity, known)) = known {
                if known.metadata == alias.metadata {
                    return Ok(entity);
                }
                for known in entity.aliases.iter_mut().filter(|other| other.id == known.id) {
                    known.metadata = alias.metadata.clone();
                    known.updated = SystemTime::now();
                }
                self.put_entity(&entity)?;
                return Ok(entity);
            }
            let mut entity = EntityRecord::new(String::new());
            let mut record = AliasRecord::new(&entity.id, &alias.name, mount.accessor, mount.kind);
            record.metadata.clone_from(&alias.metadata);
            record.custom_metadata.clone_from(&alias.custom_metadata);
            record.local = mount.local;
            entity.aliases.push(record);
            self.put_entity(&entity)?;
            Ok(entity)
        })
    }

    /// Makes an entity a member of the external groups that a login names, and of no other one of the same mount. Returns the
    /// aliases that have a group.
    pub(crate) fn update_external_groups(
        &self,
        entity_id: &str,
        aliases: &[Alias],
        accessor: &str,
    ) -> Result<Vec<Alias>, StoreError> {
        self.change(|| {
            let mut mapped = BTreeSet::new();
            for mut group in self.groups()? {
                let Some(alias) = &group.alias else { continue };
                let is_named = aliases
                    .iter()
                    .position(|named| alias.mount_accessor == accessor && alias.name == named.name);
                let is_member = group.member_entity_ids.iter().any(|member| member == entity_id);
                mapped.extend(is_named);
                match is_named {
                    Some(_) if !is_member => group.member_entity_ids.push(entity_id.to_owned()),
                    None if is_member && alias.mount_accessor == accessor => {
                        group.member_entity_ids.retain(|member| member != entity_id);
                    }
                    _ => continue,
                }
                group.touch();
                self.put_group(&group)?;
            }
            Ok(mapped.into_iter().map(|at| aliases[at].clone()).collect())
        })
    }

    /// The groups that contain an entity: directly, and through other groups.
    pub(crate) fn groups_of(
        &self,
        entity_id: &str,
    ) -> Result<(Vec<GroupRecord>, Vec<GroupRecord>), StoreError> {
        let all: BTreeMap<String, GroupRecord> =
            self.groups()?.into_iter().map(|group| (group.id.clone(), group)).collect();
        let is_member = |group: &&GroupRecord| group.member_entity_ids.iter().any(|id| id == entity_id);
        let direct: Vec<GroupRecord> = all.values().filter(is_member).cloned().collect();
        let mut seen: BTreeSet<&str> = direct.iter().map(|group| group.id.as_str()).collect();
        let mut pending: Vec<&str> =
            direct.iter().flat_map(|group| &group.parent_group_ids).map(String::as_str).collect();
        let mut inherited = Vec::new();
        while let Some(id) = pending.pop() {
            let Some(group) = all.get(id).filter(|_| !seen.contains(id)) else { continue };
            seen.insert(&group.id);
            pending.extend(group.parent_group_ids.iter().map(String::as_str));
            inherited.push(group.clone());
        }
        Ok((direct, inherited))
    }

    /// What the entity of a token adds to it.
    pub(crate) fn rights_of(&self, entity_id: &str) -> Result<EntityRights, StoreError> {
        let Some(entity) = self.entity(entity_id)? else { return Ok(EntityRights::default()) };
        let (direct, inherited) = self.groups_of(entity_id)?;
        let groups = || direct.iter().chain(&inherited);
        let mut policies = entity.policies.clone();
        policies.extend(groups().flat_map(|group| group.policies.iter().cloned()));
        Ok(EntityRights {
            policies,
            entity: Some((entity.to_logical(), groups().map(GroupRecord::to_logical).collect())),
        })
    }

    fn all<T: serde::de::DeserializeOwned>(&self, prefix: &str) -> Result<Vec<T>, StoreError> {
        self.store.keys(prefix).iter().filter_map(|key| self.store.read(key).transpose()).collect()
    }
}

/// The ID of a new record.
fn new_id() -> String {
    Uuid::new_v4().to_string()
}

/// The name that Vault gives to a record without one.
fn default_name(kind: &str) -> String {
    format!("{kind}_{}", random_hex(4))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> IdentityStore {
        IdentityStore::new(Arc::new(Store::in_memory()))
    }

    const MOUNT: AliasMount<'_> = AliasMount { accessor: "auth_door_1", kind: "door", local: false };

    fn alias(name: &str) -> Alias {
        Alias { name: name.to_owned(), ..Alias::default() }
    }

    #[test]
    fn two_logins_of_one_name_are_one_entity() {
        let identity = store();
        let first = identity.entity_of_login(&alias("ann"), &MOUNT).unwrap();
        let mut changed = alias("ann");
        changed.metadata = BTreeMap::from([("team".to_owned(), "blue".to_owned())]);
        let second = identity.entity_of_login(&changed, &MOUNT).unwrap();
        assert_eq!(first.id, second.id);
        assert_eq!(second.aliases[0].metadata["team"], "blue");
        assert_ne!(identity.entity_of_login(&alias("ben"), &MOUNT).unwrap().id, first.id);
        let other = AliasMount { accessor: "auth_door_2", ..MOUNT };
        assert_ne!(identity.entity_of_login(&alias("ann"), &other).unwrap().id, first.id);
    }

    #[test]
    fn a_login_joins_and_leaves_the_external_groups_of_its_mount() {
        let identity = store();
        let ann = identity.entity_of_login(&alias("ann"), &MOUNT).unwrap();
        let mut parent = GroupRecord::new("all".to_owned(), GroupKind::Internal);
        parent.policies = vec!["everyone".to_owned()];
        identity.put_group(&parent).unwrap();
        let mut group = GroupRecord::new("staff".to_owned(), GroupKind::External);
        group.policies = vec!["reader".to_owned()];
        group.parent_group_ids = vec![parent.id];
        group.alias = Some(AliasRecord::new(&group.id, "staff", MOUNT.accessor, MOUNT.kind));
        identity.put_group(&group).unwrap();

        let join = |aliases: &[Alias], accessor: &str| {
            let mapped = identity.update_external_groups(&ann.id, aliases, accessor).unwrap();
            (mapped.len(), identity.rights_of(&ann.id).unwrap().policies)
        };
        let rights = vec!["reader".to_owned(), "everyone".to_owned()];
        assert_eq!(join(&[alias("staff"), alias("unknown")], MOUNT.accessor), (1, rights.clone()));
        assert_eq!(join(&[], "auth_other_1"), (0, rights));
        assert_eq!(join(&[], MOUNT.accessor), (0, Vec::new()));
    }
}
