//! `roles/`: the permissions and TTLs of tokens.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vault_plugin::framework::{Context, Data, Field, ListResponse, Path, ResponseDoc};
use vault_plugin::logical::{BoxFuture, Error, Operation, Response, Storage, StorageError};

use crate::TokenEngine;
use crate::config;
use crate::field_update::FieldUpdate;
use crate::name_list::{PageRequest, list_page, with_page_fields};
use crate::name_template::{NameLimits, NameTemplate, NameTemplateError, NameValues};
use crate::response_docs::{self, PathResponses as _};
use crate::role_name::{self, RoleName};
use crate::stored::{self, Stored, warnings_response};
use crate::telemetry::{MeasuredOperation, instrument};
use crate::terms::LeaseTerms;
use crate::upstream::{Api, Parameters, PermissionUse, Place, complete};
use crate::wal_entry::unique_name;

const PREFIX: &str = "roles/";

const DEFAULT_TTL: u64 = 3600;

/// A role in the format in which it is stored and returned. Durations are in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Role {
    pub(crate) permissions: Vec<String>,
    ttl: u64,
    /// Zero selects the maximum of the mount.
    max_ttl: u64,
    /// The connection that mints its tokens.
    #[serde(default = "default_config", skip_serializing_if = "is_default_config")]
    pub(crate) config: String,
    /// The parameters that the description of the API declares for a role, as the user has written them.
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    pub(crate) parameters: Parameters,
    /// The template of the names of its tokens. Empty for names of the engine.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) name_template: String,
}

impl Stored for Role {
    const SEAL_WRAP: bool = false;
}

/// A cached role, with its parsed template.
pub(crate) struct CachedRole {
    pub(crate) role: Role,
    /// `None` for names of the engine.
    name_template: Option<Result<NameTemplate, NameTemplateError>>,
}

impl From<Role> for CachedRole {
    fn from(role: Role) -> CachedRole {
        let source = Some(&role.name_template).filter(|source| !source.is_empty());
        CachedRole { name_template: source.map(|source| NameTemplate::parse(source)), role }
    }
}

impl CachedRole {
    /// Returns a new name for a token of this role, which the API accepts.
    pub(crate) fn token_name(&self, values: &NameValues<'_>, api: &Api) -> Result<String, Error> {
        let limits = api.name_limits();
        let name = match &self.name_template {
            None => return Ok(unique_name(values.role, limits)),
            Some(Ok(template)) => template.render(values, limits),
            // A version with more functions has stored it.
            Some(Err(error)) => Err(error.clone()),
        };
        name.map_err(|error| Error::invalid(error.to_string()))
    }
}

fn default_config() -> String {
    config::DEFAULT_NAME.to_owned()
}

fn is_default_config(name: &String) -> bool {
    name == config::DEFAULT_NAME
}

impl Role {
    /// Returns the terms of a lease of this role, on a mount with this maximum lease TTL.
    pub(crate) fn terms(&self, mount_max: Duration) -> LeaseTerms {
        LeaseTerms::new(Duration::from_secs(self.ttl), Duration::from_secs(self.max_ttl), mount_max)
    }

    /// Returns the parameters in the types of the API. Fails if the role does not fit the API.
    pub(crate) fn check(&self, api: &Api) -> Result<Parameters, Error> {
        check_fields(api, &self.permissions, &self.parameters)
    }

    /// Checks that every name of a token of this role is unique, and valid for the API.
    fn check_name_template(&self, name: &RoleName, limits: NameLimits) -> Result<(), Error> {
        if self.name_template.is_empty() {
            return Ok(());
        }
        let checked =
            NameTemplate::parse(&self.name_template).and_then(|template| template.check(name, limits));
        checked.map_err(|error| Error::invalid(error.to_string()))
    }

    /// Checks that a lease of the role can be issued and renewed.
    fn check_ttls(&self) -> Result<(), Error> {
        if self.ttl == 0 {
            return Err(Error::invalid("ttl must be longer than zero"));
        }
        if self.max_ttl != 0 && self.ttl > self.max_ttl {
            return Err(Error::invalid(format!(
                "ttl ({}s) must not be longer than max_ttl ({}s)",
                self.ttl, self.max_ttl
            )));
        }
        Ok(())
    }

    /// Returns the warnings for a write of this role, on a mount with this maximum lease TTL.
    fn warnings(&self, mount_max: Duration) -> Vec<String> {
        let limit = mount_max.as_secs();
        let fields = [("ttl", self.ttl), ("max_ttl", self.max_ttl)];
        let capped = fields.into_iter().filter(|(_, seconds)| *seconds > limit);
        capped.map(|(field, seconds)| {
            format!("{field} is {seconds}s, and leases of this mount last {limit}s at most (max_lease_ttl): they end sooner")
        })
        .collect()
    }
}

/// Returns the parameters of a role in the types of the API. Fails if the role does not fit the API.
pub(crate) fn check_fields(
    api: &Api,
    permissions: &[String],
    parameters: &Parameters,
) -> Result<Parameters, Error> {
    let name = &api.description.name;
    match api.uses.permissions {
        PermissionUse::Required if permissions.is_empty() => {
            Err(Error::invalid("permissions is required: name at least one, such as permissions=read,list"))
        }
        PermissionUse::Unused if !permissions.is_empty() => Err(Error::invalid(format!(
            "permissions has no effect: the API {name} does not use it. Its role parameters go into parameters"
        ))),
        _ if api.description.parameters.is_empty() && parameters.is_empty() => Ok(Parameters::new()),
        _ => {
            let place = Place::root().key("parameters");
            let complete = complete(&api.description.parameters, parameters, &place);
            complete.map_err(|problems| Error::invalid(problems.to_string()))
        }
    }
}

/// Returns permissions without surrounding spaces and empty entries.
pub(crate) fn trimmed(permissions: &[String]) -> Vec<String> {
    permissions.iter().map(|entry| entry.trim().to_owned()).filter(|entry| !entry.is_empty()).collect()
}

/// Returns the role with this name.
pub(crate) async fn load_cached(
    context: &Context<TokenEngine>,
    name: &RoleName,
) -> Result<Option<Arc<CachedRole>>, Error> {
    let read = || -> BoxFuture<'_, _, _> {
        Box::pin(async { Ok(load(context.storage(), name).await?.map(CachedRole::from)) })
    };
    context.state().roles.get_or_load(&storage_key(name), read).await
}

/// Returns the number of roles.
pub(crate) async fn count(storage: &dyn Storage) -> Result<usize, StorageError> {
    Ok(storage.list(PREFIX).await?.len())
}

async fn load(storage: &dyn Storage, name: &RoleName) -> Result<Option<Role>, StorageError> {
    storage.read(&storage_key(name)).await
}

pub(crate) fn list_path() -> Path<TokenEngine> {
    with_page_fields(Path::new("roles/?"))
        .help("List the roles.", "Lists the names of the roles. after and limit select a page.")
        .on(Operation::List, "List the roles.", instrument(MeasuredOperation::RolesList, list))
        .response(response_docs::names("Names of the roles."))
}

pub(crate) fn path() -> Path<TokenEngine> {
    declare(Path::new(format!("roles/{}", role_name::PATTERN)))
        .help(
            "Manage a role.",
            "A role defines the permissions and TTLs of the tokens that are read from creds/NAME. A write changes \
             the fields that it contains and keeps the others. Leased tokens keep the TTLs that they were issued with.",
        )
        .existence_check(exists)
        .on(Operation::Create, "Create the role.", instrument(MeasuredOperation::RoleWrite, write))
        .write_responses()
        .on(Operation::Update, "Change the role.", instrument(MeasuredOperation::RoleWrite, write))
        .write_responses()
        .on(
            Operation::Patch,
            "Change single fields; null resets a field to its default.",
            instrument(MeasuredOperation::RolePatch, patch),
        )
        .write_responses()
        .response(ResponseDoc::new(404, "The role does not exist."))
        .on(Operation::Read, "Show the role.", instrument(MeasuredOperation::RoleRead, read))
        .response(
            ResponseDoc::new(200, "The role.")
                .field("permissions", Field::strings().describe("Permissions of the tokens."))
                .field("ttl", Field::int().describe("TTL of a lease, in seconds."))
                .field(
                    "max_ttl",
                    Field::int().describe("Maximum TTL of a lease, in seconds. 0 if it is that of the mount."),
                )
                .field(
                    "config",
                    Field::string().describe("Connection that mints the tokens. Omitted if it is the default one."),
                )
                .field("parameters", Field::map().describe("Parameters of the tokens. Omitted without any."))
                .field(
                    "name_template",
                    Field::string().describe("Template of the names of the tokens. Omitted if it is not set."),
                ),
        )
        .on(
            Operation::Delete,
            "Delete the role. Its leases stay valid.",
            instrument(MeasuredOperation::RoleDelete, delete),
        )
        .response(response_docs::deleted())
}

/// Declares the fields of a role.
fn declare(path: Path<TokenEngine>) -> Path<TokenEngine> {
    path.field("name", Field::string().required().describe("Specifies the name of the role."))
        .field(
            "permissions",
            Field::comma_strings().describe(
                "Specifies the permissions of the tokens, as a list or as text separated by commas. They are required if the API uses \
                 permissions.",
            ),
        )
        .field(
            "config",
            Field::string()
                .documented_default(config::DEFAULT_NAME)
                .describe("Specifies the connection that mints the tokens (vault list PATH/config)."),
        )
        .field(
            "parameters",
            Field::kv_pairs().describe(
                "Specifies the parameters that the preset of the connection declares for a role (vault read PATH/presets/NAME), for \
                 example parameters=user=ada. A write replaces all of them.",
            ),
        )
        .field(
            "name_template",
            Field::string().describe(
                "Specifies the names that the tokens have at the service, in the language of Vault's username templates, for example \
                 {{.DisplayName}}-{{.RoleName}}-{{random 20}}. The variables are .RoleName and .DisplayName. The functions are random, \
                 uuid, truncate, truncate_sha256, lowercase, uppercase, replace, sha256, unix_time, unix_time_millis, timestamp and \
                 printf. A name must contain at least 64 random bits, such as random 13. If it is not set, a name consists of vault, the \
                 name of the role and a UUID.",
            ),
        )
        .field("ttl", Field::duration().documented_default("1h").describe("Specifies the TTL of a lease."))
        .field(
            "max_ttl",
            Field::duration().documented_default(0).describe(
                "Specifies the maximum TTL of a lease, renewals included. 0 is the maximum of the mount.",
            ),
        )
}

#[derive(Deserialize)]
struct RoleRequest {
    name: RoleName,
}

/// A name that may be invalid.
#[derive(Deserialize)]
struct UncheckedRoleRequest {
    name: String,
}

/// The fields of a write.
#[derive(Clone, Deserialize)]
struct RoleUpdate {
    name: RoleName,
    #[serde(default)]
    permissions: FieldUpdate<Vec<String>>,
    #[serde(default)]
    ttl: FieldUpdate<u64>,
    #[serde(default)]
    max_ttl: FieldUpdate<u64>,
    #[serde(default)]
    config: FieldUpdate<String>,
    #[serde(default)]
    parameters: FieldUpdate<Parameters>,
    #[serde(default)]
    name_template: FieldUpdate<String>,
}

async fn list(context: Context<TokenEngine>, page: PageRequest) -> Result<ListResponse, Error> {
    list_page(&context, PREFIX, page).await
}

async fn exists(context: Context<TokenEngine>, params: UncheckedRoleRequest) -> Result<bool, Error> {
    // A host reports an error of this check as its own. The write itself reports an invalid name.
    let Ok(name) = RoleName::try_from(params.name) else { return Ok(false) };
    Ok(context.storage().get(&storage_key(&name)).await?.is_some())
}

async fn read(context: Context<TokenEngine>, role: RoleRequest) -> Result<Option<Data<Role>>, Error> {
    Ok(load(context.storage(), &role.name).await?.map(Data))
}

async fn write(context: Context<TokenEngine>, changes: RoleUpdate) -> Result<Option<Response>, Error> {
    update(context, changes, |before, _| Ok(before)).await
}

async fn patch(context: Context<TokenEngine>, changes: RoleUpdate) -> Result<Option<Response>, Error> {
    update(context, changes, |before, name| {
        if before.is_none() {
            let message = format!("there is no role \"{name}\" to patch; write it first");
            return Err(Error::Coded { status: 404, message });
        }
        Ok(before)
    })
    .await
}

/// Stores the changed role. `permit` returns the role to change, or an error.
async fn update(
    context: Context<TokenEngine>,
    changes: RoleUpdate,
    permit: fn(Option<Role>, &RoleName) -> Result<Option<Role>, Error>,
) -> Result<Option<Response>, Error> {
    let key = storage_key(&changes.name);
    let role = stored::update(&context, key, move |storage, before| {
        let changes = changes.clone();
        Box::pin(async move {
            let name = changes.name.clone();
            let role = apply_update(permit(before, &name)?, changes)?;
            check_connection(storage, &name, &role).await?;
            role.check_ttls()?;
            Ok(role)
        })
    })
    .await?
    .after;
    // The role is stored already, so a failure of this call is ignored.
    let limit = context.system().max_lease_ttl().await;
    Ok(limit.ok().and_then(|limit| warnings_response(role.warnings(limit))))
}

async fn delete(context: Context<TokenEngine>, role: RoleRequest) -> Result<(), Error> {
    stored::delete(&context, storage_key(&role.name)).await
}

/// Checks a role against the API of its connection. A role can be written before its connection. Then it only needs permissions or
/// parameters.
async fn check_connection(storage: &dyn Storage, name: &RoleName, role: &Role) -> Result<(), Error> {
    match config::load(storage, &role.config).await? {
        Some(config) => {
            let api = config.api()?;
            role.check(&api)?;
            role.check_name_template(name, api.name_limits())
        }
        None if role.permissions.is_empty() && role.parameters.is_empty() => {
            Err(Error::invalid("permissions is required: name at least one, such as permissions=read,list"))
        }
        None => role.check_name_template(name, NameLimits::default()),
    }
}

fn apply_update(before: Option<Role>, changes: RoleUpdate) -> Result<Role, Error> {
    let mut role = before.unwrap_or_else(|| Role {
        permissions: Vec::new(),
        ttl: DEFAULT_TTL,
        max_ttl: 0,
        config: default_config(),
        parameters: Parameters::new(),
        name_template: String::new(),
    });
    changes.permissions.apply(&mut role.permissions, Vec::new());
    changes.ttl.apply(&mut role.ttl, DEFAULT_TTL);
    changes.max_ttl.apply(&mut role.max_ttl, 0);
    changes.config.apply(&mut role.config, default_config());
    changes.parameters.apply(&mut role.parameters, Parameters::new());
    changes.name_template.apply(&mut role.name_template, String::new());
    // The command line passes the line break at the end of a file.
    role.name_template = role.name_template.trim().to_owned();

    role.permissions = trimmed(&role.permissions);
    RoleName::try_from(role.config.clone()).map_err(|error| Error::invalid(error.of("connection")))?;
    Ok(role)
}

fn storage_key(name: &RoleName) -> String {
    format!("{PREFIX}{name}")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn write(before: Option<Role>, mut fields: Value) -> Result<Role, String> {
        fields["name"] = "developer".into();
        apply_update(before, serde_json::from_value(fields).unwrap())
            .and_then(|role| role.check_ttls().map(|()| role))
            .map_err(|error| error.to_string())
    }

    fn role(permissions: &[&str], ttl: u64, max_ttl: u64) -> Role {
        let permissions = permissions.iter().map(|name| (*name).to_owned()).collect();
        Role {
            permissions,
            ttl,
            max_ttl,
            config: default_config(),
            parameters: Parameters::new(),
            name_template: String::new(),
        }
    }

    #[test]
    fn a_role_has_a_ttl_of_one_hour_by_default() {
        let written = write(None, json!({"permissions": [" read ", "", "write"]})).unwrap();
        assert_eq!(written, role(&["read", "write"], 3600, 0));
    }

    #[test]
    fn a_write_does_not_change_omitted_fields_and_null_clears() {
        let before = write(None, json!({"permissions": ["read"], "ttl": 60, "max_ttl": 120})).unwrap();
        assert_eq!(
            write(Some(before.clone()), json!({"ttl": 90})).unwrap(),
            Role { ttl: 90, ..before.clone() }
        );
        let cleared = write(Some(before.clone()), json!({"max_ttl": null})).unwrap();
        assert_eq!(cleared, Role { max_ttl: 0, ..before });
    }

    #[test]
    fn a_ttl_is_longer_than_zero_and_not_longer_than_max_ttl() {
        let error_of = |fields| write(None, fields).unwrap_err();
        assert!(error_of(json!({"permissions": ["r"], "ttl": 0})).contains("longer than zero"));
        assert!(error_of(json!({"permissions": ["r"], "ttl": 61, "max_ttl": 60})).contains("ttl (61s)"));
        assert!(error_of(json!({"permissions": ["r"], "max_ttl": 60})).contains("ttl (3600s)"));
        assert!(write(None, json!({"permissions": ["r"], "ttl": 60, "max_ttl": 60})).is_ok());
    }

    #[test]
    fn a_role_of_an_earlier_version_is_read_and_written_as_it_was() {
        let stored = json!({"permissions": ["read"], "ttl": 60, "max_ttl": 0});
        let read: Role = serde_json::from_value(stored.clone()).unwrap();
        assert_eq!(read, role(&["read"], 60, 0));
        assert_eq!(serde_json::to_value(&read).unwrap(), stored);
    }
}
