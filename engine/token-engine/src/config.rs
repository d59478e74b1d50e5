//! `config`: the address of the token service, and its key.
//!
//! The modules in reading order: `fields`: the fields in the API. `update`: a write. `connections`: the stored connections. `settings`: one
//! stored connection. `key_rotation`: the rotation of its key. A new field is declared, updated and shown in `fields`, applied in `update`, and stored in `settings`.

mod connections;
mod fields;
mod key_rotation;
mod settings;
mod update;

use std::sync::Arc;

use serde::Deserialize;
use vault_plugin::framework::{Context, Data, Field, ListResponse, NoFields, Path, ResponseDoc};
use vault_plugin::logical::{Error, Operation, Response};

pub(crate) use self::connections::{
    change, find_client, load, load_client, names, not_configured, send_events_of,
};
pub(crate) use self::key_rotation::RotationProgress;
pub(crate) use self::settings::{Config, ConnectionMismatch, default_metrics_prefix};

use self::fields::{ConfigResponse, ConfigUpdate};
use self::update::{apply_update, invalid};
use crate::TokenEngine;
use crate::response_docs::{self, PathResponses as _};
use crate::role_name::{self, RoleName};
use crate::stored::{self, Change, warnings_response};
use crate::telemetry::{MeasuredOperation, instrument};
use crate::upstream::Upstream;

/// The storage key of the connection `default`. The first version had no other connection.
pub(crate) const STORAGE_KEY: &str = "config";

/// The storage prefix of all other connections.
pub(crate) const NAMED_PREFIX: &str = "config/";

/// The name of the connection at `config`.
pub(crate) const DEFAULT_NAME: &str = "default";

/// Returns the storage key of the connection with this name.
pub(crate) fn storage_key(name: &str) -> String {
    if name == DEFAULT_NAME { STORAGE_KEY.to_owned() } else { format!("{NAMED_PREFIX}{name}") }
}

/// Returns whether a storage key is that of a connection.
pub(crate) fn is_storage_key(key: &str) -> bool {
    key == STORAGE_KEY || key.starts_with(NAMED_PREFIX)
}

pub(crate) fn list_path() -> Path<TokenEngine> {
    Path::new("config/")
        .help(
            "List the connections.",
            "Lists the names of the connections. The one at config is called default.",
        )
        .on(Operation::List, "List the connections.", instrument(MeasuredOperation::ConfigList, list))
        .response(response_docs::names("Names of the connections."))
}

/// `config`, which is `config/default`.
pub(crate) fn path() -> Path<TokenEngine> {
    with_fields(Path::new(STORAGE_KEY))
}

pub(crate) fn named_path() -> Path<TokenEngine> {
    let path = Path::new(format!("config/{}", role_name::PATTERN))
        .field("name", Field::string().required().describe("Specifies the name of the connection."));
    with_fields(path)
}

fn with_fields(path: Path<TokenEngine>) -> Path<TokenEngine> {
    fields::declare(path)
        .help(
            "Configure the token service.",
            "Stores the address of the token service and the key with which this mount requests tokens. A write \
             changes the fields that it contains and keeps the others. The key is never shown. api_key_sha256 is its salted \
             hash (sha256:SALT:DIGEST).",
        )
        .existence_check(exists)
        .on(Operation::Create, "Configure the token service.", instrument(MeasuredOperation::ConfigWrite, write))
        .write_responses()
        .on(Operation::Update, "Change the configuration.", instrument(MeasuredOperation::ConfigWrite, write))
        .write_responses()
        .on(Operation::Patch, "Change single fields; null resets a field to its default.", instrument(MeasuredOperation::ConfigPatch, patch))
        .write_responses()
        .response(ResponseDoc::new(404, "The connection does not exist."))
        .on(Operation::Read, "Show the configuration without the key.", instrument(MeasuredOperation::ConfigRead, read))
        .response(fields::response())
        .on(Operation::Delete, "Delete the configuration. Leased tokens cannot be revoked without it.", instrument(MeasuredOperation::ConfigDelete, delete))
        .response(response_docs::deleted())
}

/// A request for a connection. Without a name it is the default one.
#[derive(Deserialize)]
struct ConfigRequest {
    #[serde(default)]
    name: Option<String>,
}

/// Validates the name of a connection.
fn parse_name(name: Option<String>) -> Result<String, Error> {
    match name {
        None => Ok(DEFAULT_NAME.to_owned()),
        Some(name) => {
            Ok(RoleName::try_from(name).map_err(|error| invalid(error.of("connection")))?.to_string())
        }
    }
}

async fn exists(context: Context<TokenEngine>, request: ConfigRequest) -> Result<bool, Error> {
    // A host reports an error of this check as its own. The write itself reports an invalid name.
    let Ok(name) = parse_name(request.name) else { return Ok(false) };
    Ok(context.storage().get(&storage_key(&name)).await?.is_some())
}

async fn list(context: Context<TokenEngine>, _: NoFields) -> Result<ListResponse, Error> {
    Ok(ListResponse(names(context.storage()).await?))
}

async fn read(
    context: Context<TokenEngine>,
    request: ConfigRequest,
) -> Result<Option<Data<ConfigResponse>>, Error> {
    let config = load(context.storage(), &parse_name(request.name)?).await?;
    Ok(config.map(|config| Data(config.into())))
}

async fn write(context: Context<TokenEngine>, changes: ConfigUpdate) -> Result<Option<Response>, Error> {
    let name = parse_name(changes.name.clone())?;
    update(context, &name, changes, Ok).await
}

async fn patch(context: Context<TokenEngine>, changes: ConfigUpdate) -> Result<Option<Response>, Error> {
    let name = parse_name(changes.name.clone())?;
    let path = format!("{}{}", context.request().mount_point, storage_key(&name));
    update(context, &name, changes, move |before| match before {
        None => {
            let message = format!("there is no configuration to patch; write it first: vault write {path} …");
            Err(Error::Coded { status: 404, message })
        }
        before => Ok(before),
    })
    .await
}

async fn delete(context: Context<TokenEngine>, request: ConfigRequest) -> Result<Option<Response>, Error> {
    let name = parse_name(request.name)?;
    // A value that cannot be read can be deleted.
    let config = load(context.storage(), &name).await.ok().flatten();
    stored::delete(&context, storage_key(&name)).await?;
    let warnings: Vec<String> =
        config.and_then(|config| config.unrevoked_key_warning()).into_iter().collect();
    for warning in &warnings {
        context.logger().warn(format!("connection {name:?} is deleted: {warning}"));
    }
    Ok(warnings_response(warnings))
}

/// Stores the changed connection. `permit` returns the connection to change, or an error.
async fn update(
    context: Context<TokenEngine>,
    name: &str,
    changes: ConfigUpdate,
    permit: impl Fn(Option<Config>) -> Result<Option<Config>, Error> + Send + Sync + 'static,
) -> Result<Option<Response>, Error> {
    let metrics = Arc::clone(&context.state().metrics);
    let Change { before, after } = stored::update(&context, storage_key(name), move |_, before| {
        let config = permit(before).and_then(|before| apply_update(before, changes.clone()));
        let config = config.and_then(|config| {
            // Sets up TLS, so that an invalid certificate is rejected here and not when the first token is minted.
            Upstream::new(config.connection(), config.api()?, Arc::clone(&metrics)).map_err(invalid)?;
            Ok(config)
        });
        Box::pin(std::future::ready(config))
    })
    .await?;
    Ok(warnings_response(after.warnings(before.as_ref(), &context.request().mount_point)))
}
