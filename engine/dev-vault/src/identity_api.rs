//! `identity/`: entities, their aliases, and groups. OIDC, MFA and merging are not supported.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use serde_json::{Value, json};
use vault_plugin::logical::{Map, Operation};

use crate::client_request::{ClientRequest, RequestFields};
use crate::core::Core;
use crate::envelope::timestamp;
use crate::identity_store::{AliasRecord, EntityRecord, GroupKind, GroupRecord, IdentityStore};
use crate::mounts::Mounts;
use crate::reply::{ErrorReply, HandlerResult, Reply, json_object};

/// Paths of Vault that a development server does not implement.
const UNSUPPORTED: &[&str] = &["oidc", "mfa", "persona", "entity/merge", "entity/batch-delete"];

pub(crate) fn handle(core: &Core, request: &ClientRequest, path: &str) -> HandlerResult {
    use Operation::{Delete, List, Read, Update};
    let api = IdentityApi { store: &core.identity_store, mounts: &core.mounts, fields: request.fields() };
    let segments: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    let write = matches!(request.operation, Operation::Create | Update);
    let operation = if write { &Update } else { &request.operation };
    match (segments.as_slice(), operation) {
        (["entity"], Update) => api.write_entity(&api.fields.text("id")?, &api.fields.text("name")?),
        (["entity", "id", id], Update) => api.write_entity(id, &api.fields.text("name")?),
        (["entity", "name", name], Update) => api.write_entity("", name),
        (["entity", "id", id], Read) => api.read_entity(api.store.entity(id)?),
        (["entity", "name", name], Read) => api.read_entity(api.store.entity_by_name(name)?),
        (["entity", "id", id], Delete) => api.delete_entity(api.store.entity(id)?),
        (["entity", "name", name], Delete) => api.delete_entity(api.store.entity_by_name(name)?),
        (["entity", by @ ("id" | "name")], List) => api.list_entities(by),
        (["entity-alias"], Update) => api.write_alias(&api.fields.text("id")?),
        (["entity-alias", "id", id], Update) => api.write_alias(id),
        (["entity-alias", "id", id], Read) => api.read_alias(id),
        (["entity-alias", "id", id], Delete) => api.delete_alias(id),
        (["entity-alias", "id"], List) => api.list_aliases(),
        (["group"], Update) => api.write_group(&api.fields.text("id")?, &api.fields.text("name")?),
        (["group", "id", id], Update) => api.write_group(id, &api.fields.text("name")?),
        (["group", "name", name], Update) => {
            let id = api.store.group_by_name(name)?.map(|group| group.id).unwrap_or_default();
            api.write_group(&id, name)
        }
        (["group", "id", id], Read) => api.read_group(api.store.group(id)?),
        (["group", "name", name], Read) => api.read_group(api.store.group_by_name(name)?),
        (["group", "id", id], Delete) => api.delete_group(api.store.group(id)?),
        (["group", "name", name], Delete) => api.delete_group(api.store.group_by_name(name)?),
        (["group", by @ ("id" | "name")], List) => api.list_groups(by),
        (["group-alias"], Update) => api.write_group_alias(&api.fields.text("id")?),
        (["group-alias", "id", id], Update) => api.write_group_alias(id),
        (["group-alias", "id", id], Read) => api.read_group_alias(id),
        (["group-alias", "id", id], Delete) => api.delete_group_alias(id),
        (["group-alias", "id"], List) => api.list_group_aliases(),
        (["lookup", "entity"], Update) => api.look_up_entity(),
        (["lookup", "group"], Update) => api.look_up_group(),
        (["entity" | "entity-alias" | "group" | "group-alias", ..] | ["lookup", _], _)
            if !is_unsupported(path) =>
        {
            Err(ErrorReply::unsupported_operation())
        }
        _ if is_unsupported(path) => {
            Err(ErrorReply::bad_request("a development server supports only entities, aliases and groups"))
        }
        _ => Err(ErrorReply::unsupported_path()),
    }
}

fn is_unsupported(path: &str) -> bool {
    UNSUPPORTED.iter().any(|prefix| path.starts_with(prefix))
}

/// A request to the identity store.
struct IdentityApi<'a> {
    store: &'a IdentityStore,
    mounts: &'a Mounts,
    fields: RequestFields<'a>,
}

impl IdentityApi<'_> {
    fn write_entity(&self, id: &str, name: &str) -> HandlerResult {
        self.store.change(|| {
            let by_id = match id {
                "" => None,
                id => Some(
                    self.store
                        .entity(id)?
                        .ok_or_else(|| ErrorReply::bad_request("entity not found from id"))?,
                ),
            };
            let by_name = if name.is_empty() { None } else { self.store.entity_by_name(name)? };
            let known = match (by_id, by_name) {
                (Some(by_id), Some(by_name)) if by_id.id != by_name.id => {
                    return Err(ErrorReply::bad_request("entity name is already in use"));
                }
                (Some(entity), _) | (None, Some(entity)) => Some(entity),
                (None, None) => None,
            };
            let is_new = known.is_none();
            let mut entity = known.unwrap_or_else(|| EntityRecord::new(name.to_owned()));
            if !name.is_empty() {
                name.clone_into(&mut entity.name);
            }
            if let Some(policies) = self.fields.list("policies")? {
                entity.policies = sorted_policies(policies)?;
            }
            if let Some(disabled) = self.fields.optional_flag("disabled")? {
                entity.disabled = disabled;
            }
            if let Some(metadata) = self.metadata("metadata")? {
                entity.metadata = Some(metadata);
            }
            entity.updated = SystemTime::now();
            self.store.put_entity(&entity)?;
            let created = json!({"id": entity.id, "name": entity.name, "aliases": null});
            Ok(is_new.then(|| Reply::data(json_object(created))))
        })
    }

    fn read_entity(&self, entity: Option<EntityRecord>) -> HandlerResult {
        let Some(entity) = entity else { return Ok(None) };
        let (direct, inherited) = self.store.groups_of(&entity.id)?;
        let ids =
            |groups: &[GroupRecord]| -> Vec<String> { groups.iter().map(|group| group.id.clone()).collect() };
        let (direct, inherited) = (ids(&direct), ids(&inherited));
        let aliases: Vec<Value> = entity
            .aliases
            .iter()
            .map(|alias| {
                let mut described = self.describe_alias(alias);
                described.insert("custom_metadata".to_owned(), or_null(&alias.custom_metadata));
                described.insert("local".to_owned(), json!(alias.local));
                Value::Object(described)
            })
            .collect();
        Ok(Some(Reply::data(json_object(json!({
            "id": entity.id,
            "name": entity.name,
            "metadata": entity.metadata,
            "merged_entity_ids": null,
            "policies": entity.policies,
            "disabled": entity.disabled,
            "namespace_id": "root",
            "creation_time": timestamp(entity.created),
            "last_update_time": timestamp(entity.updated),
            "aliases": aliases,
            "direct_group_ids": direct,
            "inherited_group_ids": inherited,
            "group_ids": direct.iter().chain(&inherited).collect::<Vec<_>>(),
        })))))
    }

    fn delete_entity(&self, entity: Option<EntityRecord>) -> HandlerResult {
        if let Some(entity) = entity {
            self.store.change(|| self.store.delete_entity(&entity.id))?;
        }
        Ok(None)
    }

    fn list_entities(&self, by: &str) -> HandlerResult {
        let (mut keys, mut info) = (Vec::new(), Map::new());
        for entity in self.store.entities()? {
            keys.push(if by == "id" { entity.id.clone() } else { entity.name.clone() });
            let mut entry = json_object(json!({"name": entity.name}));
            if !entity.aliases.is_empty() {
                let aliases: Vec<Value> =
                    entity.aliases.iter().map(|alias| Value::Object(self.summarize_alias(alias))).collect();
                entry.insert("aliases".to_owned(), aliases.into());
            }
            // As in Vault, a list by name has no details, which are keyed by ID.
            if by == "id" {
                info.insert(entity.id, Value::Object(entry));
            }
        }
        Ok(Some(list_with_info(keys, info)))
    }

    fn write_alias(&self, id: &str) -> HandlerResult {
        let fields = self.fields;
        let (name, accessor) = (fields.text("name")?, fields.text("mount_accessor")?);
        let canonical_id = match fields.text("canonical_id")? {
            id if id.is_empty() => fields.text("entity_id")?,
            id => id,
        };
        let custom_metadata = self.metadata("custom_metadata")?;
        self.store.change(|| {
            let known = if id.is_empty() {
                if name.is_empty() || accessor.is_empty() {
                    return Err(ErrorReply::bad_request(
                        "'id' or 'mount_accessor' and 'name' must be provided",
                    ));
                }
                self.store.entity_by_alias(|alias| alias.is(&accessor, &name))?
            } else {
                let known = self.store.entity_by_alias(|alias| alias.id == id)?;
                Some(known.ok_or_else(|| ErrorReply::bad_request("invalid alias ID provided"))?)
            };
            let is_new = known.is_none();
            let (owner, mut alias) = match known {
                Some((owner, alias)) => (Some(owner), alias),
                None => (None, AliasRecord::new("", &name, &accessor, "")),
            };
            if !name.is_empty() {
                alias.name.clone_from(&name);
            }
            if !accessor.is_empty() {
                alias.mount_accessor.clone_from(&accessor);
            }
            let mount = self.mounts.by_accessor(&alias.mount_accessor).ok_or_else(|| {
                ErrorReply::bad_request(format!("invalid mount accessor \"{}\"", alias.mount_accessor))
            })?;
            alias.mount_kind = mount.kind;
            alias.local = mount.local;
            alias.updated = SystemTime::now();
            if let Some(custom_metadata) = custom_metadata {
                alias.custom_metadata = custom_metadata;
            }
            let target = match canonical_id.as_str() {
                "" => owner.clone(),
                id => Some(
                    self.store.entity(id)?.ok_or_else(|| ErrorReply::bad_request("invalid canonical ID"))?,
                ),
            };
            let mut target = target.unwrap_or_else(|| EntityRecord::new(String::new()));
            alias.canonical_id.clone_from(&target.id);
            if let Some(mut owner) = owner.filter(|owner| owner.id != target.id) {
                owner.aliases.retain(|other| other.id != alias.id);
                self.store.put_entity(&owner)?;
            }
            target.aliases.retain(|other| other.id != alias.id);
            let changed = json!({"id": alias.id, "canonical_id": target.id});
            target.aliases.push(alias);
            self.store.put_entity(&target)?;
            let is_shown = is_new || !canonical_id.is_empty() || !name.is_empty();
            Ok(is_shown.then(|| Reply::data(json_object(changed))))
        })
    }

    fn read_alias(&self, id: &str) -> HandlerResult {
        let Some((_, alias)) = self.store.entity_by_alias(|alias| alias.id == id)? else { return Ok(None) };
        let mut data = self.describe_alias(&alias);
        data.insert("custom_metadata".to_owned(), or_null(&alias.custom_metadata));
        data.insert("local".to_owned(), json!(alias.local));
        data.insert("namespace_id".to_owned(), json!("root"));
        Ok(Some(Reply::data(data)))
    }

    fn delete_alias(&self, id: &str) -> HandlerResult {
        self.store.change(|| {
            if let Some((mut entity, alias)) = self.store.entity_by_alias(|alias| alias.id == id)? {
                entity.aliases.retain(|other| other.id != alias.id);
                self.store.put_entity(&entity)?;
            }
            Ok(None)
        })
    }

    fn list_aliases(&self) -> HandlerResult {
        let (mut keys, mut info) = (Vec::new(), Map::new());
        for alias in self.store.entities()?.into_iter().flat_map(|entity| entity.aliases) {
            let mut entry = self.summarize_alias(&alias);
            entry.remove("id");
            entry.insert("canonical_id".to_owned(), json!(alias.canonical_id));
            entry.insert("metadata".to_owned(), or_null(&alias.metadata));
            entry.insert("custom_metadata".to_owned(), or_null(&alias.custom_metadata));
            entry.insert("local".to_owned(), json!(alias.local));
            info.insert(alias.id.clone(), Value::Object(entry));
            keys.push(alias.id);
        }
        Ok(Some(list_with_info(keys, info)))
    }

    fn write_group(&self, id: &str, name: &str) -> HandlerResult {
        let fields = self.fields;
        self.store.change(|| {
            let known = match id {
                "" => None,
                id => Some(self.store.group(id)?.ok_or_else(|| ErrorReply::bad_request("invalid group ID"))?),
            };
            let is_new = known.is_none();
            let requested_kind = match fields.text("type")?.as_str() {
                "" => None,
                "internal" => Some(GroupKind::Internal),
                "external" => Some(GroupKind::External),
                other => return Err(ErrorReply::bad_request(format!("invalid group type \"{other}\""))),
            };
            let mut group = known.unwrap_or_else(|| {
                GroupRecord::new(name.to_owned(), requested_kind.unwrap_or(GroupKind::Internal))
            });
            if requested_kind.is_some_and(|kind| kind != group.kind) {
                return Err(ErrorReply::bad_request("group type cannot be changed"));
            }
            if let Some(policies) = fields.list("policies")? {
                group.policies = sorted_policies(policies)?;
            }
            if !name.is_empty() {
                if self.store.group_by_name(name)?.is_some_and(|other| other.id != group.id) {
                    return Err(ErrorReply::bad_request("group name is already in use"));
                }
                name.clone_into(&mut group.name);
            }
            if let Some(metadata) = self.metadata("metadata")? {
                group.metadata = Some(metadata);
            }
            if let Some(members) = fields.list("member_entity_ids")? {
                if group.kind == GroupKind::External {
                    return Err(ErrorReply::bad_request(
                        "member entities can't be set manually for external groups",
                    ));
                }
                for member in &members {
                    self.store.entity(member)?.ok_or_else(|| {
                        ErrorReply::multierror(500, &[&format!("invalid entity ID \"{member}\"")])
                    })?;
                }
                group.member_entity_ids = members;
            }
            if let Some(members) = fields.list("member_group_ids")? {
                if group.kind == GroupKind::External {
                    return Err(ErrorReply::bad_request("member groups can't be set for external groups"));
                }
                self.set_member_groups(&group, &members)?;
            }
            if !is_new {
                group.touch();
            }
            self.store.put_group(&group)?;
            let created = json!({"id": group.id, "name": group.name});
            Ok(is_new.then(|| Reply::data(json_object(created))))
        })
    }

    /// Makes `group` the parent of these groups, and of no other one.
    fn set_member_groups(&self, group: &GroupRecord, members: &[String]) -> Result<(), ErrorReply> {
        let groups = self.store.groups()?;
        let parents: BTreeMap<&str, &[String]> =
            groups.iter().map(|group| (group.id.as_str(), group.parent_group_ids.as_slice())).collect();
        for member in members {
            if !parents.contains_key(member.as_str()) {
                return Err(ErrorReply::multierror(500, &[&format!("invalid member group ID \"{member}\"")]));
            }
            if *member == group.id {
                let text = format!("member group ID \"{member}\" is same as the ID of the group");
                return Err(ErrorReply::multierror(500, &[&text]));
            }
            if is_ancestor(&parents, member, &group.id) {
                return Err(ErrorReply::bad_request(format!(
                    "cyclic relationship detected for member group ID \"{member}\""
                )));
            }
        }
        for mut other in groups.into_iter().filter(|other| other.id != group.id) {
            let was_member = other.parent_group_ids.contains(&group.id);
            let is_member = members.contains(&other.id);
            if was_member == is_member {
                continue;
            }
            other.parent_group_ids.retain(|parent| *parent != group.id);
            if is_member {
                other.parent_group_ids.push(group.id.clone());
            }
            other.touch();
            self.store.put_group(&other)?;
        }
        Ok(())
    }

    fn read_group(&self, group: Option<GroupRecord>) -> HandlerResult {
        let Some(group) = group else { return Ok(None) };
        let members: Vec<String> = self
            .store
            .groups()?
            .into_iter()
            .filter(|other| other.parent_group_ids.contains(&group.id))
            .map(|other| other.id)
            .collect();
        let alias = group.alias.as_ref().map(|alias| self.describe_alias(alias)).unwrap_or_default();
        let or_null = |list: &[String]| if list.is_empty() { Value::Null } else { json!(list) };
        Ok(Some(Reply::data(json_object(json!({
            "id": group.id,
            "name": group.name,
            "policies": or_null(&group.policies),
            "member_entity_ids": or_null(&group.member_entity_ids),
            "parent_group_ids": or_null(&group.parent_group_ids),
            "member_group_ids": or_null(&members),
            "metadata": group.metadata,
            "creation_time": timestamp(group.created),
            "last_update_time": timestamp(group.updated),
            "modify_index": group.modify_index,
            "type": group.kind.as_str(),
            "namespace_id": "root",
            "alias": alias,
        })))))
    }

    fn delete_group(&self, group: Option<GroupRecord>) -> HandlerResult {
        if let Some(group) = group {
            self.store.change(|| self.store.delete_group(&group.id))?;
        }
        Ok(None)
    }

    fn list_groups(&self, by: &str) -> HandlerResult {
        let (mut keys, mut info) = (Vec::new(), Map::new());
        for group in self.store.groups()? {
            keys.push(if by == "id" { group.id.clone() } else { group.name.clone() });
            let mut entry = json_object(json!({
                "name": group.name,
                "num_member_entities": group.member_entity_ids.len(),
                "num_parent_groups": group.parent_group_ids.len(),
            }));
            if let Some(alias) = &group.alias {
                entry.insert("alias".to_owned(), Value::Object(self.summarize_alias(alias)));
            }
            if by == "id" {
                info.insert(group.id, Value::Object(entry));
            }
        }
        Ok(Some(list_with_info(keys, info)))
    }

    fn write_group_alias(&self, id: &str) -> HandlerResult {
        let fields = self.fields;
        let (name, accessor) = (fields.text("name")?, fields.text("mount_accessor")?);
        let canonical_id = fields.text("canonical_id")?;
        self.store.change(|| {
            let groups = self.store.groups()?;
            let known = groups.iter().find(|group| {
                group.alias.as_ref().is_some_and(|alias| match id {
                    "" => alias.is(&accessor, &name),
                    id => alias.id == id,
                })
            });
            if !id.is_empty() && known.is_none() {
                return Err(ErrorReply::bad_request("invalid group alias ID"));
            }
            if known.is_none() && name.is_empty() {
                return Err(ErrorReply::bad_request("missing alias name"));
            }
            if known.is_none() && accessor.is_empty() {
                return Err(ErrorReply::bad_request("missing mount_accessor"));
            }
            let mut alias = known
                .and_then(|group| group.alias.clone())
                .unwrap_or_else(|| AliasRecord::new("", &name, &accessor, ""));
            if !name.is_empty() {
                alias.name.clone_from(&name);
            }
            if !accessor.is_empty() {
                alias.mount_accessor.clone_from(&accessor);
            }
            let mount = self.mounts.by_accessor(&alias.mount_accessor).ok_or_else(|| {
                ErrorReply::bad_request(format!("invalid mount accessor \"{}\"", alias.mount_accessor))
            })?;
            alias.mount_kind = mount.kind;
            alias.local = mount.local;
            alias.updated = SystemTime::now();
            let target = match canonical_id.as_str() {
                "" => known.cloned(),
                id => Some(self.store.group(id)?.ok_or_else(|| ErrorReply::bad_request("invalid group ID"))?),
            };
            let mut target = target.unwrap_or_else(|| GroupRecord::new(String::new(), GroupKind::External));
            if target.kind != GroupKind::External {
                return Err(ErrorReply::bad_request("alias can't be set on an internal group"));
            }
            if let Some(mut owner) = known.filter(|owner| owner.id != target.id).cloned() {
                owner.alias = None;
                owner.touch();
                self.store.put_group(&owner)?;
            }
            alias.canonical_id.clone_from(&target.id);
            let changed = json!({"id": alias.id, "canonical_id": target.id});
            target.alias = Some(alias);
            target.touch();
            self.store.put_group(&target)?;
            Ok(Some(Reply::data(json_object(changed))))
        })
    }

    fn group_with_alias(&self, id: &str) -> Result<Option<GroupRecord>, ErrorReply> {
        let has_alias = |group: &GroupRecord| group.alias.as_ref().is_some_and(|alias| alias.id == id);
        Ok(self.store.groups()?.into_iter().find(has_alias))
    }

    fn read_group_alias(&self, id: &str) -> HandlerResult {
        let Some(alias) = self.group_with_alias(id)?.and_then(|group| group.alias) else { return Ok(None) };
        let mut data = self.describe_alias(&alias);
        data.insert("custom_metadata".to_owned(), or_null(&alias.custom_metadata));
        data.insert("local".to_owned(), json!(alias.local));
        data.insert("namespace_id".to_owned(), json!("root"));
        Ok(Some(Reply::data(data)))
    }

    fn delete_group_alias(&self, id: &str) -> HandlerResult {
        self.store.change(|| {
            if let Some(mut group) = self.group_with_alias(id)? {
                group.alias = None;
                group.touch();
                self.store.put_group(&group)?;
            }
            Ok(None)
        })
    }

    fn list_group_aliases(&self) -> HandlerResult {
        let (mut keys, mut info) = (Vec::new(), Map::new());
        for alias in self.store.groups()?.into_iter().filter_map(|group| group.alias) {
            let mut entry = self.summarize_alias(&alias);
            entry.remove("id");
            entry.insert("canonical_id".to_owned(), json!(alias.canonical_id));
            entry.insert("metadata".to_owned(), or_null(&alias.metadata));
            entry.insert("custom_metadata".to_owned(), or_null(&alias.custom_metadata));
            entry.insert("local".to_owned(), json!(alias.local));
            info.insert(alias.id.clone(), Value::Object(entry));
            keys.push(alias.id);
        }
        Ok(Some(list_with_info(keys, info)))
    }

    fn look_up_entity(&self) -> HandlerResult {
        let entity = match self.lookup()? {
            Lookup::Id(id) => self.store.entity(&id)?,
            Lookup::Name(name) => self.store.entity_by_name(&name)?,
            Lookup::AliasId(id) => {
                self.store.entity_by_alias(|alias| alias.id == id)?.map(|(entity, _)| entity)
            }
            Lookup::Alias { name, accessor } => {
                let found = self.store.entity_by_alias(|alias| alias.is(&accessor, &name))?;
                found.map(|(entity, _)| entity)
            }
        };
        self.read_entity(entity)
    }

    fn look_up_group(&self) -> HandlerResult {
        let group = match self.lookup()? {
            Lookup::Id(id) => self.store.group(&id)?,
            Lookup::Name(name) => self.store.group_by_name(&name)?,
            Lookup::AliasId(id) => self.group_with_alias(&id)?,
            Lookup::Alias { name, accessor } => self
                .store
                .groups()?
                .into_iter()
                .find(|group| group.alias.as_ref().is_some_and(|alias| alias.is(&accessor, &name))),
        };
        self.read_group(group)
    }

    /// What a lookup searches for.
    fn lookup(&self) -> Result<Lookup, ErrorReply> {
        let text = |name| self.fields.text(name);
        let (id, name, alias_id) = (text("id")?, text("name")?, text("alias_id")?);
        let (alias, accessor) = (text("alias_name")?, text("alias_mount_accessor")?);
        match (id.as_str(), name.as_str(), alias_id.as_str(), alias.as_str(), accessor.as_str()) {
            ("", "", "", "", "") => Err(ErrorReply::bad_request("query parameter not supplied")),
            (_, "", "", "", "") => Ok(Lookup::Id(id)),
            ("", _, "", "", "") => Ok(Lookup::Name(name)),
            ("", "", _, "", "") => Ok(Lookup::AliasId(alias_id)),
            ("", "", "", _, _) if !alias.is_empty() && !accessor.is_empty() => {
                Ok(Lookup::Alias { name: alias, accessor })
            }
            ("", "", "", _, _) => {
                Err(ErrorReply::bad_request("both 'alias_name' and 'alias_mount_accessor' needs to be set"))
            }
            _ => Err(ErrorReply::bad_request("only one query parameter is allowed")),
        }
    }

    /// The fields that every reply has for an alias.
    fn describe_alias(&self, alias: &AliasRecord) -> Map {
        let mut data = json_object(json!({
            "id": alias.id,
            "canonical_id": alias.canonical_id,
            "name": alias.name,
            "mount_accessor": alias.mount_accessor,
            "metadata": or_null(&alias.metadata),
            "merged_from_canonical_ids": null,
            "creation_time": timestamp(alias.created),
            "last_update_time": timestamp(alias.updated),
        }));
        self.add_mount(&mut data, alias);
        data
    }

    /// An alias in a list.
    fn summarize_alias(&self, alias: &AliasRecord) -> Map {
        let mut data = json_object(json!({
            "id": alias.id, "name": alias.name, "mount_accessor": alias.mount_accessor
        }));
        self.add_mount(&mut data, alias);
        data
    }

    /// Adds the mount of an alias, unless it was disabled.
    fn add_mount(&self, data: &mut Map, alias: &AliasRecord) {
        if let Some(mount) = self.mounts.by_accessor(&alias.mount_accessor) {
            data.insert("mount_type".to_owned(), json!(mount.kind));
            data.insert("mount_path".to_owned(), json!(mount.path));
        }
    }

    /// A map of strings; the CLI sends a list of `key=value`.
    fn metadata(&self, name: &str) -> Result<Option<BTreeMap<String, String>>, ErrorReply> {
        let pair = |text: &str| text.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        let pairs: Vec<&str> = match self.fields.raw(name) {
            Some(Value::String(text)) => text.split(',').collect(),
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
            _ => return self.fields.string_map(name),
        };
        let parsed: Option<BTreeMap<String, String>> = pairs.into_iter().map(pair).collect();
        parsed.map(Some).ok_or_else(|| ErrorReply::bad_request("failed to parse metadata: invalid key pair"))
    }
}

enum Lookup {
    Id(String),
    Name(String),
    AliasId(String),
    Alias { name: String, accessor: String },
}

fn sorted_policies(policies: Vec<String>) -> Result<Vec<String>, ErrorReply> {
    if policies.iter().any(|policy| policy.eq_ignore_ascii_case("root")) {
        return Err(ErrorReply::bad_request("policies cannot contain root"));
    }
    let policies: BTreeSet<String> = policies.into_iter().filter(|policy| !policy.is_empty()).collect();
    Ok(policies.into_iter().collect())
}

/// Whether `member` contains `group`, directly or through other groups.
fn is_ancestor(parents: &BTreeMap<&str, &[String]>, member: &str, group: &str) -> bool {
    let mut pending = vec![group];
    let mut seen = BTreeSet::new();
    while let Some(id) = pending.pop() {
        for parent in parents.get(id).copied().unwrap_or_default() {
            if parent == member {
                return true;
            }
            if seen.insert(parent.as_str()) {
                pending.push(parent);
            }
        }
    }
    false
}

fn or_null(map: &BTreeMap<String, String>) -> Value {
    if map.is_empty() { Value::Null } else { json!(map) }
}

fn list_with_info(keys: Vec<String>, info: Map) -> Reply {
    let mut reply = Reply::list(keys);
    if !info.is_empty()
        && let Some(data) = &mut reply.data
    {
        data.insert("key_info".to_owned(), Value::Object(info));
    }
    reply
}
