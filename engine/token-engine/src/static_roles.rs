//! `static-roles/`: roles with one long-lived token that is rotated.
//!
//! The modules in reading order: `credential`: a stored static role with its tokens. `rotation`: mint, rotation and revocation. `due`: the
//! next rotations. `automation`: rotations on the host's timer.

mod automation;
mod credential;
mod due;
mod rotation;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use vault_plugin::framework::{Context, Data, Field, ListResponse, Path, ResponseDoc};
use vault_plugin::logical::{Error, Operation, Response};

pub(crate) use self::automation::{delete_all, rotate_due};
pub(crate) use self::credential::{PREFIX, StaticRole, is_kept, load, storage_key};
pub(crate) use self::due::RotationQueue;

use self::credential::StaticRoleSettings;
use self::rotation::Retired;
use crate::TokenEngine;
use crate::field_update::FieldUpdate;
use crate::name_list::{PageRequest, list_page, with_page_fields};
use crate::response_docs::{self, PathResponses as _};
use crate::role_name::{self, RoleName};
use crate::roles;
use crate::schedule::{RotationUpdate, with_rotation_fields, with_rotation_response};
use crate::stored::{self, warnings_response};
use crate::telemetry::{MeasuredOperation, instrument};
use crate::upstream::Parameters;

pub(crate) fn list_path() -> Path<TokenEngine> {
    with_page_fields(Path::new("static-roles/?"))
        .help("List the static roles.", "Lists the names of the static roles. after and limit select a page.")
        .on(Operation::List, "List the static roles.", instrument(MeasuredOperation::StaticRolesList, list))
        .response(response_docs::names("Names of the static roles."))
}

pub(crate) fn path() -> Path<TokenEngine> {
    let path = Path::new(format!("static-roles/{}", role_name::PATTERN))
        .help(
            "Manage a static role.",
            "A static role keeps one token, which is read from static-creds/NAME and rotated by a period or a schedule. The first write mints \
             the token. A rotation mints a new one. The one before stays valid until the next rotation, and is then revoked. Later writes \
             apply from the next rotation on. The token has no lease.",
        )
        .field("name", Field::string().required().describe("Specifies the name of the static role."))
        .field(
            "config",
            Field::string()
                .documented_default(crate::config::DEFAULT_NAME)
                .describe("Specifies the connection that mints the tokens (vault list PATH/config)."),
        )
        .field(
            "permissions",
            Field::comma_strings().describe(
                "Specifies the permissions of the token, as a list or as text separated by commas. They are required if the API uses \
                 permissions.",
            ),
        )
        .field(
            "parameters",
            Field::kv_pairs().describe(
                "Specifies the parameters that the preset of the connection declares for a role (vault read PATH/presets/NAME), for example \
                 parameters=user=ada. A write replaces all of them.",
            ),
        )
        .field(
            "ttl",
            Field::duration().describe(
                "Specifies the lifetime with which a token is requested. It must be at least the time until the rotation after the next one. \
                 If it is not set, it is this time and one day, for an outage of the service.",
            ),
        );
    with_rotation_fields(path, "the token")
        .existence_check(exists)
        .on(
            Operation::Create,
            "Create the static role, and mint its token.",
            instrument(MeasuredOperation::StaticRoleWrite, write),
        )
        .write_responses()
        .on(
            Operation::Update,
            "Change the static role from its next rotation on.",
            instrument(MeasuredOperation::StaticRoleWrite, write),
        )
        .write_responses()
        .on(
            Operation::Patch,
            "Change single fields; null resets a field to its default.",
            instrument(MeasuredOperation::StaticRolePatch, patch),
        )
        .write_responses()
        .response(ResponseDoc::new(404, "The static role does not exist."))
        .on(
            Operation::Read,
            "Show the static role, without its token.",
            instrument(MeasuredOperation::StaticRoleRead, read),
        )
        .response(settings_doc())
        .on(
            Operation::Delete,
            "Delete the static role, and revoke its current and its previous token.",
            instrument(MeasuredOperation::StaticRoleDelete, delete),
        )
        .response(response_docs::deleted())
        .response(ResponseDoc::new(
            200,
            "It is deleted. A warning names a token whose revocation is tried again.",
        ))
}

fn settings_doc() -> ResponseDoc {
    let response = ResponseDoc::new(200, "The settings of the static role.")
        .field("config", Field::string().describe("Connection that mints the tokens."))
        .field("permissions", Field::strings().describe("Permissions of the token."))
        .field("parameters", Field::map().describe("Parameters of the token."))
        .field(
            "ttl",
            Field::int()
                .describe("Requested lifetime of a token in seconds. 0 if it is derived from the rotations."),
        );
    with_rotation_response(response)
        .field("last_vault_rotation", Field::time().describe("Time of the last rotation."))
}

/// The name of a static role.
#[derive(Deserialize)]
pub(crate) struct StaticRoleRequest {
    pub(crate) name: RoleName,
}

/// A name that may be invalid.
#[derive(Deserialize)]
struct UncheckedRequest {
    name: String,
}

/// The fields of a write.
#[derive(Clone, Deserialize)]
struct StaticRoleUpdate {
    name: RoleName,
    #[serde(default)]
    config: FieldUpdate<String>,
    #[serde(default)]
    permissions: FieldUpdate<Vec<String>>,
    #[serde(default)]
    parameters: FieldUpdate<Parameters>,
    #[serde(default)]
    ttl: FieldUpdate<u64>,
    #[serde(flatten)]
    rotation: RotationUpdate,
}

/// The response to a read.
#[derive(Serialize)]
struct StaticRoleResponse {
    #[serde(flatten)]
    settings: StaticRoleSettings,
    last_vault_rotation: String,
}

async fn list(context: Context<TokenEngine>, page: PageRequest) -> Result<ListResponse, Error> {
    list_page(&context, PREFIX, page).await
}

async fn exists(context: Context<TokenEngine>, request: UncheckedRequest) -> Result<bool, Error> {
    // A host reports an error of this check as its own. The write itself reports an invalid name.
    let Ok(name) = RoleName::try_from(request.name) else { return Ok(false) };
    Ok(context.storage().get(&storage_key(&name)).await?.is_some())
}

async fn read(
    context: Context<TokenEngine>,
    request: StaticRoleRequest,
) -> Result<Option<Data<StaticRoleResponse>>, Error> {
    Ok(load(&context, &request.name).await?.map(|role| {
        Data(StaticRoleResponse {
            last_vault_rotation: role.current.minted_at().to_string(),
            settings: role.settings,
        })
    }))
}

async fn write(context: Context<TokenEngine>, changes: StaticRoleUpdate) -> Result<Option<Response>, Error> {
    update(context, changes, IfMissing::Create).await
}

async fn patch(context: Context<TokenEngine>, changes: StaticRoleUpdate) -> Result<Option<Response>, Error> {
    update(context, changes, IfMissing::NotFound).await
}

/// What a write does if there is no such static role.
#[derive(Clone, Copy)]
enum IfMissing {
    Create,
    NotFound,
}

async fn update(
    context: Context<TokenEngine>,
    changes: StaticRoleUpdate,
    if_missing: IfMissing,
) -> Result<Option<Response>, Error> {
    let name = changes.name.clone();
    run_locked(&context, &name, update_locked(context.clone(), changes, if_missing)).await
}

async fn update_locked(
    context: Context<TokenEngine>,
    changes: StaticRoleUpdate,
    if_missing: IfMissing,
) -> Result<Option<Response>, Error> {
    let (name, now) = (changes.name.clone(), Timestamp::now());
    let Some(before) = load(&context, &name).await? else {
        if let IfMissing::NotFound = if_missing {
            let message = format!("there is no static role \"{name}\" to patch; write it first");
            return Err(Error::Coded { status: 404, message });
        }
        let settings = apply_update(StaticRoleSettings::default(), changes)?;
        settings.check(now)?;
        let warnings = settings.warnings();
        rotation::create(&context, &name, settings).await?;
        return Ok(warnings_response(warnings));
    };
    let settings = apply_update(before.settings.clone(), changes)?;
    settings.check(now)?;
    // Checks that the settings fit the API.
    rotation::client(&context, &settings).await?;
    let mut warnings = settings.warnings();
    if settings.changes_token_of(&before.settings) {
        warnings.push(format!(
            "the current token stays as it was minted until the next rotation; rotate it now: vault write -f {}rotate-role/{name}",
            context.request().mount_point
        ));
    }
    stored::write(context.storage(), &storage_key(&name), &StaticRole { settings, ..before }).await?;
    Ok(warnings_response(warnings))
}

fn apply_update(
    mut settings: StaticRoleSettings,
    changes: StaticRoleUpdate,
) -> Result<StaticRoleSettings, Error> {
    let defaults = StaticRoleSettings::default();
    changes.config.apply(&mut settings.config, defaults.config);
    changes.permissions.apply(&mut settings.permissions, defaults.permissions);
    changes.parameters.apply(&mut settings.parameters, defaults.parameters);
    changes.ttl.apply(&mut settings.ttl, defaults.ttl);
    settings.rotation = settings.rotation.updated(changes.rotation)?;
    settings.permissions = roles::trimmed(&settings.permissions);
    RoleName::try_from(settings.config.clone()).map_err(|error| Error::invalid(error.of("connection")))?;
    Ok(settings)
}

impl StaticRoleSettings {
    /// Returns whether a token that is minted with these settings differs from one of other settings.
    fn changes_token_of(&self, other: &StaticRoleSettings) -> bool {
        (&self.config, &self.permissions, &self.parameters)
            != (&other.config, &other.permissions, &other.parameters)
    }

    /// Returns the warnings for a write of these settings.
    fn warnings(&self) -> Vec<String> {
        let disabled = self.rotation.disable_automated_rotation.then(|| {
            "disable_automated_rotation is set: the token is rotated only by request, and clients lose access when it expires".to_owned()
        });
        disabled.into_iter().collect()
    }
}

async fn delete(
    context: Context<TokenEngine>,
    request: StaticRoleRequest,
) -> Result<Option<Response>, Error> {
    let (name, work) = (request.name.clone(), context.clone());
    let ended =
        run_locked(&context, &name, async move { rotation::delete(&work, &request.name).await }).await?;
    Ok(match ended {
        None | Some(Retired::Revoked) => None,
        Some(Retired::Pending) => warnings_response(vec![
            "the static role is deleted, but a token is not revoked yet; the host retries the revocation (vault list PATH/orphans)".to_owned(),
        ]),
    })
}

/// Rotates a static role by request.
pub(crate) async fn rotate(
    context: &Context<TokenEngine>,
    name: RoleName,
) -> Result<Option<Response>, Error> {
    let (work, own_name) = (context.clone(), name.clone());
    let rotate = async move {
        match load(&work, &own_name).await? {
            Some(role) => rotation::rotate(&work, &own_name, role).await,
            None => Err(no_such_role(&work, &own_name)),
        }
    };
    let (_, previous) = run_locked(context, &name, rotate).await?;
    Ok(match previous {
        Retired::Revoked => None,
        Retired::Pending => warnings_response(vec![
            "the token is rotated, but the one before the previous is not revoked yet; the host retries the revocation (vault list PATH/orphans)"
                .to_owned(),
        ]),
    })
}

/// Runs the change of a static role under its lock. It completes even if the request is cancelled.
async fn run_locked<T: Send + 'static>(
    context: &Context<TokenEngine>,
    name: &RoleName,
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    let (own, key) = (context.clone(), storage_key(name));
    context
        .run_to_completion(async move {
            let _guard = own.lock(&key).await;
            let result = work.await;
            own.state().invalidate(&key);
            result
        })
        .await
}

/// Returns the error of a request for a static role that does not exist.
pub(crate) fn no_such_role(context: &Context<TokenEngine>, name: &RoleName) -> Error {
    Error::invalid(format!(
        "there is no static role \"{name}\"; write it first, or list those that exist: vault list {}static-roles",
        context.request().mount_point
    ))
}
