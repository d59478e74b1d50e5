//! Applies a write to a connection, and validates the result.

use jiff::Timestamp;
use vault_plugin::logical::{Error, Sensitive};

use super::fields::ConfigUpdate;
use super::settings::{
    Config, DEFAULT_REQUEST_TIMEOUT, MIN_IDEMPOTENCY_WINDOW, default_idempotency_window,
    default_metrics_prefix, default_preset,
};
use crate::endpoint::Endpoint;
use crate::events::SendEvents;
use crate::field_update::FieldUpdate;
use crate::schedule::RotationUpdate;
use crate::upstream::{Node, Parameters, Recovery};

/// With this limit, a call and its retries end before the request timeout of the host (90 seconds).
const MAX_REQUEST_TIMEOUT: u64 = 60;

const MAX_ACCOUNT_LENGTH: usize = 256;

/// Keeps the metric names readable.
const MAX_METRICS_PREFIX_LENGTH: usize = 64;

/// Returns the connection after a write. A new one has defaults for the fields that the write does not contain.
pub(super) fn apply_update(before: Option<Config>, changes: ConfigUpdate) -> Result<Config, Error> {
    let mut config = match before.clone() {
        Some(config) => config,
        None => match &changes.api_endpoint {
            FieldUpdate::Set(text) => Config::new(parse_endpoint(text)?),
            FieldUpdate::Keep | FieldUpdate::Clear => return Err(required_field("api_endpoint")),
        },
    };
    let is_key_given = changes.api_key != FieldUpdate::Keep;
    let is_service_given = changes.api_endpoint != FieldUpdate::Keep
        || changes.preset != FieldUpdate::Keep
        || changes.api != FieldUpdate::Keep
        || changes.parameters != FieldUpdate::Keep;
    if is_key_given || is_service_given {
        config.key_rotation.supersede();
    }
    match changes.api_endpoint {
        FieldUpdate::Keep => {}
        FieldUpdate::Clear => return Err(required_field("api_endpoint")),
        FieldUpdate::Set(text) => config.api_endpoint = parse_endpoint(&text)?,
    }
    if let FieldUpdate::Set(key) = &changes.api_key
        && config.key_rotation.has_replaced(key)
    {
        return Err(Error::invalid(
            "this api_key was replaced by a rotation, and is revoked at the service or will be. Omit api_key to keep the present one",
        ));
    }
    apply_rotation(&mut config, changes.schedule, is_key_given)?;
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
    apply_send_events(&mut config, changes.send_events)?;
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

/// Sets when the key is rotated. The time is counted from the write of the key or of the schedule.
fn apply_rotation(config: &mut Config, update: RotationUpdate, is_key_given: bool) -> Result<(), Error> {
    let schedule = std::mem::take(&mut config.schedule);
    let before = schedule.clone();
    config.schedule = schedule.updated(update)?;
    if config.schedule.is_set() && (is_key_given || config.schedule != before) {
        config.key_rotation.schedule_from(Timestamp::now());
    }
    Ok(())
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

/// Sets whether events are sent.
fn apply_send_events(config: &mut Config, update: FieldUpdate<String>) -> Result<(), Error> {
    match update {
        FieldUpdate::Keep => {}
        FieldUpdate::Clear => config.send_events = SendEvents::default(),
        FieldUpdate::Set(text) => {
            let refused =
                || Error::invalid(format!("send_events must be auto, always or never, not {text:?}"));
            config.send_events = SendEvents::parse(&text).ok_or_else(refused)?;
        }
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
    if config.schedule.is_set() && description.rotate.is_none() {
        return Err(Error::invalid(format!(
            "rotation_period and rotation_schedule cannot be set: the API {} has no call that creates another key",
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

pub(super) fn invalid(error: impl std::fmt::Display) -> Error {
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
    fn events_are_sent_as_the_last_write_says() {
        let always = write(Some(configured()), json!({"send_events": "always"})).ok().unwrap();
        assert_eq!(always.send_events, SendEvents::Always);
        let kept = write(Some(always.clone()), json!({"request_timeout": 6})).ok().unwrap();
        assert_eq!(kept.send_events, SendEvents::Always);
        for reset in [json!({"send_events": null}), json!({"send_events": "auto"})] {
            assert_eq!(write(Some(always.clone()), reset).ok().unwrap().send_events, SendEvents::Auto);
        }
        for refused in ["on", "true", "Always", ""] {
            check_refused(Some(always.clone()), json!({"send_events": refused}), "auto, always or never");
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
