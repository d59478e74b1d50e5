//! `config`: the address of the token service, and its key.

mod settings;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use vault_plugin::framework::{Context, Data, Field, ListResponse, NoFields, Path};
use vault_plugin::logical::{Error, Operation, Response, Sensitive, Storage, StorageEntry, StorageError};

pub(crate) use self::settings::{Config, ConnectionMismatch, default_metrics_prefix};

use self::settings::{MIN_IDEMPOTENCY_WINDOW, default_idempotency_window, default_preset};
use crate::endpoint::Endpoint;
use crate::field_update::FieldUpdate;
use crate::role_name::{self, RoleName};
use crate::sensitive::salted_sha256;
use crate::telemetry::{MeasuredOperation, instrument};
use crate::upstream::{DEFAULT_PRESET, Node, Parameters, Recovery, Upstream};
use crate::{TokenEngine, UpstreamClient};

/// The storage key of the connection `default`. The first version had no other connection.
pub(crate) const STORAGE_KEY: &str = "config";

/// The storage prefix of all other connections.
pub(crate) const NAMED_PREFIX: &str = "config/";

/// The name of the connection at `config`.
pub(crate) const DEFAULT_NAME: &str = "default";

const DEFAULT_REQUEST_TIMEOUT: u64 = 30;

/// With this limit, a call and its retries end before the request timeout of the host (90 seconds).
const MAX_REQUEST_TIMEOUT: u64 = 60;

const MAX_ACCOUNT_LENGTH: usize = 256;

/// Keeps the metric names readable.
const MAX_METRICS_PREFIX_LENGTH: usize = 64;

/// Returns the current configuration with its client.
pub(crate) async fn load_client(
    context: &Context<TokenEngine>,
    name: &str,
) -> Result<Option<Arc<UpstreamClient>>, Error> {
    let read = async {
        let Some(config) = load(context.storage(), name).await? else { return Ok(None) };
        let upstream =
            Upstream::new(config.connection(), config.api()?, Arc::clone(&context.state().metrics))?;
        Ok(Some(UpstreamClient { config, upstream }))
    };
    context.state().client.get_or_load(&storage_key(name), read).await
}

/// Returns a connection to an endpoint and an account: the one with this name, or else any other.
///
/// Otherwise returns why the named connection does not reach the account, or `None` if no connection exists.
pub(crate) async fn find_client(
    context: &Context<TokenEngine>,
    name: &str,
    endpoint: &Endpoint,
    account: &str,
) -> Result<Result<Arc<UpstreamClient>, Option<ConnectionMismatch>>, Error> {
    let mut mismatch = None;
    if let Some(client) = load_client(context, name).await? {
        match client.check_connection(endpoint, account).await? {
            Ok(()) => return Ok(Ok(client)),
            Err(error) => mismatch = Some(error),
        }
    }
    for other in names(context.storage()).await?.iter().filter(|other| *other != name) {
        let Some(client) = load_client(context, other).await? else { continue };
        // A connection whose account cannot be requested is skipped, because it cannot revoke the token either.
        match client.check_connection(endpoint, account).await {
            Ok(Ok(())) => return Ok(Ok(client)),
            Ok(Err(error)) => mismatch = mismatch.or(Some(error)),
            Err(_) => {}
        }
    }
    Ok(Err(mismatch))
}

/// Returns the error of a request whose connection is not configured.
pub(crate) fn not_configured(context: &Context<TokenEngine>, name: &str) -> Error {
    let mount = &context.request().mount_point;
    if name == DEFAULT_NAME {
        return Error::invalid(format!(
            "the token service is not configured; write it first: vault write {mount}config api_endpoint=… api_key=…"
        ));
    }
    Error::invalid(format!(
        "there is no connection \"{name}\"; write it first: vault write {mount}config/{name} api_endpoint=… api_key=…"
    ))
}

/// Returns the stored configuration, without its client.
pub(crate) async fn load(storage: &dyn Storage, name: &str) -> Result<Option<Config>, StorageError> {
    storage.read(&storage_key(name)).await
}

/// Returns the storage key of the connection with this name.
pub(crate) fn storage_key(name: &str) -> String {
    if name == DEFAULT_NAME { STORAGE_KEY.to_owned() } else { format!("{NAMED_PREFIX}{name}") }
}

/// Returns whether a storage key is that of a connection.
pub(crate) fn is_storage_key(key: &str) -> bool {
    key == STORAGE_KEY || key.starts_with(NAMED_PREFIX)
}

/// Returns the names of all connections.
pub(crate) async fn names(storage: &dyn Storage) -> Result<Vec<String>, StorageError> {
    let mut names = storage.list(NAMED_PREFIX).await?;
    if storage.get(STORAGE_KEY).await?.is_some() {
        names.push(DEFAULT_NAME.to_owned());
    }
    names.sort();
    Ok(names)
}

pub(crate) fn list_path() -> Path<TokenEngine> {
    Path::new("config/")
        .help(
            "List the connections.",
            "Lists the names of the connections. The one at config is called default.",
        )
        .on(Operation::List, "List the connections.", instrument(MeasuredOperation::ConfigList, list))
}

/// `config`, which is `config/default`.
pub(crate) fn path() -> Path<TokenEngine> {
    with_fields(Path::new(STORAGE_KEY))
}

pub(crate) fn named_path() -> Path<TokenEngine> {
    let path = Path::new(format!("config/{}", role_name::PATTERN))
        .field("name", Field::string().required().describe("Name of the connection."));
    with_fields(path)
}

fn with_fields(path: Path<TokenEngine>) -> Path<TokenEngine> {
    path
        .help(
            "Configure the token service.",
            "Stores the address of the token service and the key with which this mount requests tokens. A write \
             changes the fields that it contains and keeps the others. The key is never shown. api_key_sha256 is its salted \
             hash (sha256:SALT:DIGEST).",
        )
        .field(
            "api_endpoint",
            Field::string()
                .required()
                .describe("URL of the token service, http or https. The paths of the API are appended to it."),
        )
        .field(
            "api_key",
            Field::string().required().sensitive().describe("Key for the service. The preset defines how it is sent; the default preset sends a bearer token. Never shown."),
        )
        .field(
            "account",
            Field::string().describe(
                "Account that the key belongs to, if the service has several. A lease is renewed and revoked only while the \
                 configuration has the endpoint and the account that its token was minted with. The first account that is set also \
                 applies to the tokens minted before. It must be set while api_key stays the same. Default none.",
            ),
        )
        .field(
            "ca_cert",
            Field::string().describe("CA certificates to trust instead of those of the system, in PEM. Default: those of the system."),
        )
        .field(
            "tls_skip_verify",
            Field::bool().describe("Accept any certificate of the service. For tests only. Default false."),
        )
        .field(
            "request_timeout",
            Field::duration().describe("Timeout of one request to the service, 1s to 60s. Default 30s."),
        )
        .field(
            "renew_upstream",
            Field::bool().describe(
                "Renew tokens at the service (for the default preset: POST tokens/ID/renew). If true, a token is minted for the ttl of its \
                 role and renewed with its lease. If false, it is minted for the maximum TTL of its lease. Default false.",
            ),
        )
        .field(
            "idempotency_window",
            Field::duration().describe(
                "How long the service recognizes a repeated Idempotency-Key. A request without a response is repeated to find its token, \
                 by rollback until 10m before the end of this time. At least 5m, or 0 if the service does not support idempotency keys: \
                 then no request that may have minted a token is repeated. Default 24h.",
            ),
        )
        .field(
            "metrics_prefix",
            Field::string().describe(
                "Prefix of the metric names: letters, digits and _, for example custom_plugin in \
                 custom_plugin_creds_read. Default custom_plugin.",
            ),
        )
        .field(
            "preset",
            Field::string().describe(
                "Preset of the token API of the service (vault list PATH/presets). Default tokens.",
            ),
        )
        .field(
            "api",
            Field::string().describe(
                "Description of a token API without a preset, as JSON or YAML: api=@my-api.yaml. It replaces preset.",
            ),
        )
        .field(
            "parameters",
            Field::kv_pairs().sensitive().describe(
                "Parameters that the preset or the description declares for a connection (vault read PATH/presets/NAME), for example \
                 parameters=realm=main. A write replaces all of them. Secret parameters are never shown.",
            ),
        )
        .field(
            "accept_orphans",
            Field::bool().describe(
                "Accept that a token lives until it expires if the response to its creation is lost and the API cannot search for \
                 tokens. Required for such APIs. Default false.",
            ),
        )
        .existence_check(exists)
        .on(Operation::Create, "Configure the token service.", instrument(MeasuredOperation::ConfigWrite, write))
        .on(Operation::Update, "Change the configuration.", instrument(MeasuredOperation::ConfigWrite, write))
        .on(Operation::Patch, "Change single fields; null resets a field to its default.", instrument(MeasuredOperation::ConfigPatch, patch))
        .on(Operation::Read, "Show the configuration without the key.", instrument(MeasuredOperation::ConfigRead, read))
        .on(Operation::Delete, "Delete the configuration. Leased tokens cannot be revoked without it.", instrument(MeasuredOperation::ConfigDelete, delete))
}

/// A request for a connection. Without a name it is the default one.
#[derive(Deserialize)]
struct ConfigRequest {
    #[serde(default)]
    name: Option<String>,
}

/// The fields of a write.
#[derive(Deserialize)]
struct ConfigUpdate {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    preset: FieldUpdate<String>,
    #[serde(default)]
    api: FieldUpdate<String>,
    #[serde(default)]
    parameters: FieldUpdate<Parameters>,
    #[serde(default)]
    accept_orphans: FieldUpdate<bool>,
    #[serde(default)]
    api_endpoint: FieldUpdate<String>,
    #[serde(default)]
    api_key: FieldUpdate<Sensitive>,
    #[serde(default)]
    account: FieldUpdate<String>,
    #[serde(default)]
    ca_cert: FieldUpdate<String>,
    #[serde(default)]
    tls_skip_verify: FieldUpdate<bool>,
    #[serde(default)]
    request_timeout: FieldUpdate<u64>,
    #[serde(default)]
    renew_upstream: FieldUpdate<bool>,
    #[serde(default)]
    idempotency_window: FieldUpdate<u64>,
    #[serde(default)]
    metrics_prefix: FieldUpdate<String>,
}

/// The response to a read.
#[derive(Serialize)]
struct ConfigResponse {
    api_endpoint: Endpoint,
    api_key_sha256: String,
    account: String,
    ca_cert: String,
    tls_skip_verify: bool,
    request_timeout: u64,
    renew_upstream: bool,
    idempotency_window: u64,
    metrics_prefix: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    preset: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    api: Option<Node>,
    #[serde(skip_serializing_if = "Parameters::is_empty")]
    parameters: Parameters,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    accept_orphans: bool,
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
    Ok(config.map(|config| {
        Data(ConfigResponse {
            preset: if config.preset == DEFAULT_PRESET { String::new() } else { config.preset.clone() },
            parameters: config.shown_parameters(),
            accept_orphans: config.accept_orphans,
            api: config.api,
            api_key_sha256: salted_sha256(&config.api_key),
            api_endpoint: config.api_endpoint,
            account: config.account,
            ca_cert: config.ca_cert,
            tls_skip_verify: config.tls_skip_verify,
            request_timeout: config.request_timeout,
            renew_upstream: config.renew_upstream,
            idempotency_window: config.idempotency_window,
            metrics_prefix: config.metrics_prefix,
        })
    }))
}

async fn write(context: Context<TokenEngine>, changes: ConfigUpdate) -> Result<Option<Response>, Error> {
    let name = parse_name(changes.name.clone())?;
    update(context, name, |_, before| apply_update(before, changes)).await
}

async fn patch(context: Context<TokenEngine>, changes: ConfigUpdate) -> Result<Option<Response>, Error> {
    let name = parse_name(changes.name.clone())?;
    let path = if name == DEFAULT_NAME { STORAGE_KEY.to_owned() } else { format!("{NAMED_PREFIX}{name}") };
    update(context, name, move |mount, before| match before {
        Some(before) => apply_update(Some(before), changes),
        None => {
            let message =
                format!("there is no configuration to patch; write it first: vault write {mount}{path} …");
            Err(Error::Coded { status: 404, message })
        }
    })
    .await
}

async fn delete(context: Context<TokenEngine>, request: ConfigRequest) -> Result<(), Error> {
    let key = storage_key(&parse_name(request.name)?);
    let work = context.clone();
    context
        .run_to_completion(async move {
            let _guard = work.lock(&key).await;
            let deleted = work.storage().delete(&key).await;
            work.state().invalidate(&key);
            Ok(deleted?)
        })
        .await
}

/// Stores the configuration that `make` returns for the mount's path and the previous configuration, under the lock of the key.
async fn update(
    context: Context<TokenEngine>,
    name: String,
    make: impl FnOnce(&str, Option<Config>) -> Result<Config, Error> + Send + 'static,
) -> Result<Option<Response>, Error> {
    let work = context.clone();
    context
        .run_to_completion(async move {
            let key = storage_key(&name);
            let _guard = work.lock(&key).await;
            let (before, mount) = (load(work.storage(), &name).await?, &*work.request().mount_point);
            let config = make(mount, before.clone())?;
            let warnings = config.warnings(before.as_ref(), mount);
            save(&work, key, config).await?;
            Ok(warnings_response(warnings))
        })
        .await
}

async fn save(context: &Context<TokenEngine>, key: String, config: Config) -> Result<(), Error> {
    // Sets up TLS, so that an invalid certificate is rejected here and not when the first token is minted.
    Upstream::new(config.connection(), config.api()?, Arc::clone(&context.state().metrics))
        .map_err(invalid)?;
    let value = serde_json::to_vec(&config).map_err(|_| StorageError::Encode { key: key.clone() })?;
    let stored = context.storage().put(StorageEntry { key: key.clone(), value, seal_wrap: true }).await;
    context.state().invalidate(&key);
    Ok(stored?)
}

/// Returns the response to a write: none, unless there are warnings.
pub(crate) fn warnings_response(warnings: Vec<String>) -> Option<Response> {
    (!warnings.is_empty()).then(|| Response { warnings, ..Response::default() })
}

fn apply_update(before: Option<Config>, changes: ConfigUpdate) -> Result<Config, Error> {
    let mut config = match before.clone() {
        Some(config) => config,
        None => match &changes.api_endpoint {
            FieldUpdate::Set(text) => with_defaults(parse_endpoint(text)?),
            FieldUpdate::Keep | FieldUpdate::Clear => return Err(required_field("api_endpoint")),
        },
    };
    match changes.api_endpoint {
        FieldUpdate::Keep => {}
        FieldUpdate::Clear => return Err(required_field("api_endpoint")),
        FieldUpdate::Set(text) => config.api_endpoint = parse_endpoint(&text)?,
    }
    changes.api_key.apply(&mut config.api_key, Sensitive::default());
    changes.account.apply(&mut config.account, String::new());
    changes.ca_cert.apply(&mut config.ca_cert, String::new());
    changes.tls_skip_verify.apply(&mut config.tls_skip_verify, false);
    changes.request_timeout.apply(&mut config.request_timeout, DEFAULT_REQUEST_TIMEOUT);
    changes.renew_upstream.apply(&mut config.renew_upstream, false);
    let window = match changes.idempotency_window {
        FieldUpdate::Set(_) => FieldGiven::Yes,
        FieldUpdate::Keep | FieldUpdate::Clear => FieldGiven::No,
    };
    changes.idempotency_window.apply(&mut config.idempotency_window, default_idempotency_window());
    changes.metrics_prefix.apply(&mut config.metrics_prefix, default_metrics_prefix());
    apply_api(&mut config, changes.preset, changes.api)?;
    changes.parameters.apply(&mut config.parameters, Parameters::new());
    changes.accept_orphans.apply(&mut config.accept_orphans, false);
    check_api(&config, window)?;

    if config.api_key.is_empty() {
        return Err(required_field("api_key"));
    }
    config.check_api_key()?;
    if !(1..=MAX_REQUEST_TIMEOUT).contains(&config.request_timeout) {
        return Err(Error::invalid(format!(
            "request_timeout must be between 1s and {MAX_REQUEST_TIMEOUT}s, not {}s",
            config.request_timeout
        )));
    }
    if (1..MIN_IDEMPOTENCY_WINDOW).contains(&config.idempotency_window) {
        return Err(Error::invalid(format!(
            "idempotency_window must be 0 or at least 5m, not {}s",
            config.idempotency_window
        )));
    }
    config.account = config.account.trim().to_owned();
    if config.account.len() > MAX_ACCOUNT_LENGTH || config.account.chars().any(char::is_control) {
        return Err(Error::invalid(format!(
            "account must be at most {MAX_ACCOUNT_LENGTH} bytes, without control characters"
        )));
    }
    config.unnamed_account = unnamed_account(before.as_ref(), &config)?;
    let prefix = &config.metrics_prefix;
    let well_formed = prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !prefix.starts_with(|first: char| first.is_ascii_digit());
    if prefix.is_empty() || prefix.len() > MAX_METRICS_PREFIX_LENGTH || !well_formed {
        return Err(Error::invalid(format!(
            "metrics_prefix must be 1 to {MAX_METRICS_PREFIX_LENGTH} letters, digits and _, and not begin with a digit"
        )));
    }
    Ok(config)
}

/// Returns the account of the tokens that were minted while no account was configured.
///
/// Only the key of that time identifies the account. So the account can be set only while the key stays the same, and is kept when the key
/// changes.
fn unnamed_account(before: Option<&Config>, config: &Config) -> Result<String, Error> {
    let Some(before) = before else { return Ok(String::new()) };
    let same_key = before.api_key == config.api_key;
    match (&*before.account, &*config.account, &*before.unnamed_account) {
        ("", "", _) | (_, "", "") => Ok(String::new()),
        ("", account, _) if same_key => Ok(account.to_owned()),
        ("", _, _) => Err(Error::invalid(
            "account and api_key cannot change together while no account is named: the tokens minted so far belong to the account of the \
             present api_key. Name that one first, with account alone",
        )),
        (account, "", unnamed) if same_key && account == unnamed => Ok(String::new()),
        (_, "", unnamed) => Err(Error::invalid(format!(
            "account cannot be emptied: the tokens minted without one belong to account {unnamed}. Name the account of the api_key"
        ))),
        (_, _, unnamed) => Ok(unnamed.to_owned()),
    }
}

fn with_defaults(api_endpoint: Endpoint) -> Config {
    Config {
        api_endpoint,
        account: String::new(),
        unnamed_account: String::new(),
        api_key: Sensitive::default(),
        ca_cert: String::new(),
        tls_skip_verify: false,
        request_timeout: DEFAULT_REQUEST_TIMEOUT,
        renew_upstream: false,
        idempotency_window: default_idempotency_window(),
        metrics_prefix: default_metrics_prefix(),
        preset: default_preset(),
        api: None,
        parameters: Parameters::new(),
        accept_orphans: false,
    }
}

/// Sets the description. One that is given takes the place of the preset, and a preset that of a description.
fn apply_api(
    config: &mut Config,
    preset: FieldUpdate<String>,
    api: FieldUpdate<String>,
) -> Result<(), Error> {
    match (preset, api) {
        (FieldUpdate::Set(preset), FieldUpdate::Set(api)) if !preset.is_empty() && !api.is_empty() => {
            return Err(Error::invalid("give either preset or api, which take the place of each other"));
        }
        (_, FieldUpdate::Set(api)) if !api.is_empty() => {
            let node = Node::parse(&api);
            let node = node.map_err(|error| Error::invalid(format!("api: the description {error}")))?;
            (config.api, config.preset) = (Some(node), String::new());
        }
        (FieldUpdate::Set(preset), _) if !preset.is_empty() => (config.api, config.preset) = (None, preset),
        (FieldUpdate::Keep, FieldUpdate::Keep) => {}
        _ => (config.api, config.preset) = (None, default_preset()),
    }
    Ok(())
}

/// Checks what depends on the description.
fn check_api(config: &Config, window: FieldGiven) -> Result<(), Error> {
    let api = config.api()?;
    let description = &api.description;
    if config.renew_upstream && description.renew.is_none() {
        return Err(Error::invalid(format!(
            "renew_upstream cannot be set: the API {} has no call that renews a token",
            description.name
        )));
    }
    if window == FieldGiven::Yes && !api.supports_idempotency_keys() {
        return Err(Error::invalid(format!(
            "idempotency_window has no effect: the API {} has no idempotency keys",
            description.name
        )));
    }
    if description.recovery == Recovery::None && !config.accept_orphans {
        return Err(Error::invalid(format!(
            "{} has no call that finds a token whose creation got no response. Such a token lives until it expires; accept that with \
             accept_orphans=true",
            description.name
        )));
    }
    Ok(())
}

/// Whether a write contains a field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FieldGiven {
    Yes,
    No,
}

fn parse_endpoint(text: &str) -> Result<Endpoint, Error> {
    if text.trim().is_empty() {
        Err(required_field("api_endpoint"))
    } else {
        Endpoint::parse(text).map_err(invalid)
    }
}

fn invalid(error: impl std::fmt::Display) -> Error {
    Error::invalid(error.to_string())
}

fn required_field(field: &str) -> Error {
    Error::invalid(format!("{field} is required"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn write(before: Option<Config>, fields: Value) -> Result<Config, String> {
        apply_update(before, serde_json::from_value(fields).unwrap()).map_err(|error| error.to_string())
    }

    fn configured() -> Config {
        let fields =
            json!({"api_endpoint": "https://t.example.com/", "api_key": "k-1", "request_timeout": 5});
        write(None, fields).ok().unwrap()
    }

    #[track_caller]
    fn check_refused(before: Option<Config>, fields: Value, expected: &str) {
        let error = write(before, fields.clone()).err().unwrap_or_default();
        assert!(error.contains(expected), "{fields}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn a_write_does_not_change_omitted_fields() {
        let config = write(Some(configured()), json!({"api_key": "k-2"})).ok().unwrap();
        assert_eq!(config.api_endpoint.to_string(), "https://t.example.com");
        assert_eq!((config.api_key.expose(), config.request_timeout), ("k-2", 5));
    }

    #[test]
    fn null_resets_a_field_to_its_default_but_not_a_required_one() {
        let config = write(Some(configured()), json!({"request_timeout": null})).ok().unwrap();
        assert_eq!(config.request_timeout, 30);
        check_refused(Some(configured()), json!({"api_key": null}), "api_key is required");
        check_refused(Some(configured()), json!({"api_endpoint": null}), "api_endpoint is required");
    }

    #[test]
    fn a_password_that_is_encoded_before_it_is_sent_may_contain_spaces() {
        let password = |key: &str| {
            json!({
                "api_endpoint": "https://npm.example.com", "preset": "verdaccio", "accept_orphans": true,
                "parameters": {"username": "ada"}, "api_key": key,
            })
        };
        assert!(write(None, password("correct horse ñ")).is_ok());
        check_refused(None, password("hunter2\n"), "api_key contains a line break");
    }

    #[test]
    fn invalid_input_is_rejected_without_showing_the_key() {
        check_refused(None, json!({"api_key": "hunter2"}), "api_endpoint is required");
        check_refused(None, json!({"api_endpoint": "http://h"}), "api_key is required");
        check_refused(None, json!({"api_endpoint": "", "api_key": "hunter2"}), "api_endpoint is required");
        check_refused(
            None,
            json!({"api_endpoint": "http://u:hunter2@h", "api_key": "k"}),
            "user or password",
        );
        check_refused(None, json!({"api_endpoint": "http://h", "api_key": "hunter2\n"}), "line break");
        check_refused(Some(configured()), json!({"request_timeout": 0}), "request_timeout");
        check_refused(Some(configured()), json!({"request_timeout": 61}), "request_timeout");
        for prefix in ["", "1st", "custom-plugin", "custom.plugin", "ü"] {
            check_refused(Some(configured()), json!({"metrics_prefix": prefix}), "metrics_prefix");
        }
    }

    #[test]
    fn the_account_is_removed_only_if_no_token_changes_its_owner() {
        let with_account = |account: &str, more: Value| {
            let mut fields = json!({"account": account});
            fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            fields
        };
        let team_a = || write(Some(configured()), with_account("team-a", json!({}))).ok().unwrap();
        assert_eq!(team_a().unnamed_account, "team-a");
        let team_b = write(Some(team_a()), with_account("team-b", json!({"api_key": "k-2"}))).ok().unwrap();
        assert_eq!(team_b.unnamed_account, "team-a");
        check_refused(Some(team_b), with_account("", json!({})), "belong to account team-a");
        check_refused(
            Some(team_a()),
            with_account("", json!({"api_key": "hunter2"})),
            "belong to account team-a",
        );
        check_refused(
            Some(configured()),
            with_account("team-b", json!({"api_key": "hunter2"})),
            "present api_key",
        );

        let unnamed = write(Some(team_a()), with_account("", json!({}))).ok().unwrap();
        assert_eq!(unnamed.unnamed_account, "");
        let renamed = write(Some(unnamed), with_account("team-c", json!({}))).ok().unwrap();
        assert_eq!(renamed.unnamed_account, "team-c");
    }
}
