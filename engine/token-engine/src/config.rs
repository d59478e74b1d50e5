//! `config`: the address of the token service, and the key for it.

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

/// Where the connection `default` is stored: the only one of the first version.
pub(crate) const STORAGE_KEY: &str = "config";

/// Where all others are stored.
pub(crate) const NAMED_PREFIX: &str = "config/";

/// The name of the connection at `config`.
pub(crate) const DEFAULT_NAME: &str = "default";

const DEFAULT_REQUEST_TIMEOUT: u64 = 30;

/// With this limit a call with its retries ends before the host gives up on the request (90 seconds).
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

/// The connection to an endpoint and an account: the one of this name, or any other. Without one, why the named one does not reach it; `None`
/// if there is no connection at all.
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
        // Another connection that cannot be asked for its account does not reach the token either.
        match client.check_connection(endpoint, account).await {
            Ok(Ok(())) => return Ok(Ok(client)),
            Ok(Err(error)) => mismatch = mismatch.or(Some(error)),
            Err(_) => {}
        }
    }
    Ok(Err(mismatch))
}

/// The error of a request that needs a connection.
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

/// What is stored, for those who need no client.
pub(crate) async fn load(storage: &dyn Storage, name: &str) -> Result<Option<Config>, StorageError> {
    storage.read(&storage_key(name)).await
}

/// Where the connection of this name is stored.
pub(crate) fn storage_key(name: &str) -> String {
    if name == DEFAULT_NAME { STORAGE_KEY.to_owned() } else { format!("{NAMED_PREFIX}{name}") }
}

/// Whether a stored value is a connection.
pub(crate) fn is_storage_key(key: &str) -> bool {
    key == STORAGE_KEY || key.starts_with(NAMED_PREFIX)
}

/// The names of all connections.
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
            "Holds the address of the token service and the key with which this mount asks it for tokens. A write \
             changes the fields it names and keeps the others. The key is never shown; api_key_sha256 is a salted \
             hash of it (sha256:SALT:DIGEST).",
        )
        .field(
            "api_endpoint",
            Field::string()
                .required()
                .describe("Address of the token service, http or https; /tokens is added to it."),
        )
        .field(
            "api_key",
            Field::string().required().sensitive().describe("Key sent to the service as bearer token. Never shown."),
        )
        .field(
            "account",
            Field::string().describe(
                "Name of the account that the key belongs to, where the service has several. A lease is renewed and revoked only while \
                 the configuration names the endpoint and the account that its token was minted with. The first name \
                 is also that of the tokens minted before it; it is given while api_key stays. Default none.",
            ),
        )
        .field(
            "ca_cert",
            Field::string().describe("Authorities to trust instead of the system's, in PEM. Empty for the system's."),
        )
        .field(
            "tls_skip_verify",
            Field::bool().describe("Whether any certificate of the service is accepted. For tests only. Default false."),
        )
        .field(
            "request_timeout",
            Field::duration().describe("Time that one request to the service may take, 1s to 60s. Default 30s."),
        )
        .field(
            "renew_upstream",
            Field::bool().describe(
                "Whether the service renews tokens (POST tokens/ID/renew). If so a token is minted for the role's ttl \
                 and renewed with its lease, else it is minted for the longest time its lease can reach. Default false.",
            ),
        )
        .field(
            "idempotency_window",
            Field::duration().describe(
                "Time for which the service recognises a repeated Idempotency-Key, so that a request without an answer is repeated to \
                 find its token, by rollback until 10m before its end. At least 5m, or 0 if it knows no such keys: then no request is \
                 repeated that may have minted. Default 24h.",
            ),
        )
        .field(
            "metrics_prefix",
            Field::string().describe(
                "What the names of the metrics begin with: letters, digits and _, for example custom_plugin in \
                 custom_plugin_creds_read. Default custom_plugin.",
            ),
        )
        .field(
            "preset",
            Field::string().describe(
                "Which token API the service has: one of the presets (vault list PATH/presets). Default tokens.",
            ),
        )
        .field(
            "api",
            Field::string().describe(
                "Description of a token API that no preset describes, as JSON or YAML: api=@my-api.yaml. It takes the place of preset.",
            ),
        )
        .field(
            "parameters",
            Field::kv_pairs().sensitive().describe(
                "What the preset or the description asks of the connection (vault read PATH/presets/NAME), for example \
                 parameters=realm=main. A write replaces all of them. Secret ones are never shown.",
            ),
        )
        .field(
            "accept_orphans",
            Field::bool().describe(
                "Whether tokens may be left at an API that cannot look for them, if the answer to their creation is lost: they live \
                 until they end. Required for such APIs. Default false.",
            ),
        )
        .existence_check(exists)
        .on(Operation::Create, "Configure the token service.", instrument(MeasuredOperation::ConfigWrite, write))
        .on(Operation::Update, "Change the configuration.", instrument(MeasuredOperation::ConfigWrite, write))
        .on(Operation::Patch, "Change single fields; null takes a field back to its default.", instrument(MeasuredOperation::ConfigPatch, patch))
        .on(Operation::Read, "Show the configuration without the key.", instrument(MeasuredOperation::ConfigRead, read))
        .on(Operation::Delete, "Forget the configuration. Leased tokens cannot be revoked without it.", instrument(MeasuredOperation::ConfigDelete, delete))
}

/// Which connection is meant.
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

/// The name of a connection, checked.
fn parse_name(name: Option<String>) -> Result<String, Error> {
    match name {
        None => Ok(DEFAULT_NAME.to_owned()),
        Some(name) => {
            Ok(RoleName::try_from(name).map_err(|error| invalid(error.of("connection")))?.to_string())
        }
    }
}

async fn exists(context: Context<TokenEngine>, request: ConfigRequest) -> Result<bool, Error> {
    // A host takes an error of this check for one of its own; the write itself says what is wrong with the name.
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
/// Only the key of that time identifies the account. So the account can be named only while the key stays, and is kept when the key changes.
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
            "renew_upstream cannot be set: {} describes no call that renews a token",
            description.name
        )));
    }
    if window == FieldGiven::Yes && !api.supports_idempotency_keys() {
        return Err(Error::invalid(format!(
            "idempotency_window has no effect: {} describes no idempotency key",
            description.name
        )));
    }
    if description.recovery == Recovery::None && !config.accept_orphans {
        return Err(Error::invalid(format!(
            "{} describes no way to find a token whose creation was not answered. Such a token lives until it ends; accept that by \
             accept_orphans=true",
            description.name
        )));
    }
    Ok(())
}

/// Whether a write names a field.
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
    fn a_password_that_no_header_carries_as_it_is_may_contain_spaces() {
        let password = |key: &str| {
            json!({
                "api_endpoint": "https://npm.example.com", "preset": "verdaccio", "accept_orphans": true,
                "parameters": {"username": "ada"}, "api_key": key,
            })
        };
        assert!(write(None, password("correct horse ñ")).is_ok());
        check_refused(None, password("hunter2\n"), "api_key holds a line break");
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
