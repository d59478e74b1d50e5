//! The login that `dev --login` tries: logs in, looks the token up, renews it if it can be renewed, and revokes it.

use std::collections::BTreeMap;

use clap::{ArgAction, Args};
use rollout::{Consumer, DesiredValue};
use serde::Serialize;
use serde_json::{Map, Value};
use vault_api::catalog::PluginType;
use vault_api::logical::{LogicalData, Read, Write};
use vault_api::login::{Login, LoginToken};
use vault_api::token::TokenType;
use vault_api::{ApiError, CallError, Client, SecretString};

use crate::error::CommandError;
use crate::key_value;

/// The login of `dev`.
#[derive(Debug, Args)]
pub(super) struct LoginArgs {
    /// Login to try, like login/ann password=@FILE
    ///
    /// For an auth method. The path is below the mount, and the data follow as KEY=VALUE. The token is looked up, renewed if it can be renewed, and revoked. KEY=@FILE reads a file, and KEY=-
    /// reads standard input; pass secrets in one of these two ways.
    #[arg(long, num_args = 1.., action = ArgAction::Set, value_name = "PATH")]
    login: Vec<String>,
}

/// A login to try. There is no `Debug`, because the data are credentials.
pub(super) struct LoginRequest {
    path: String,
    data: BTreeMap<String, DesiredValue>,
}

impl LoginArgs {
    /// Reads the files and the standard input that the flag refers to. `None` without the flag.
    pub(super) fn parse(&self) -> Result<Option<LoginRequest>, CommandError> {
        let Some((path, pairs)) = self.login.split_first() else { return Ok(None) };
        if path.contains('=') {
            return Err(CommandError::usage("--login expects a path before the data, like login/ann"));
        }
        let mut data = BTreeMap::new();
        for pair in pairs {
            let (key, value) = key_value::parse(pair)
                .map_err(|error| CommandError::usage("invalid value of --login").caused_by(error))?;
            data.insert(key, value);
        }
        Ok(Some(LoginRequest { path: path.trim_matches('/').to_owned(), data }))
    }
}

/// Refuses a login for a plugin that has none.
pub(super) fn check_login(kind: PluginType, login: Option<&LoginRequest>) -> Result<(), CommandError> {
    match login {
        Some(_) if kind != PluginType::Auth => {
            Err(CommandError::usage(format!("--login is for auth methods, and this is a {kind} plugin")))
        }
        _ => Ok(()),
    }
}

/// What a login has created. The token is revoked, unless it is a batch token.
#[derive(Debug, Serialize)]
pub(super) struct LoginReport {
    /// Full path.
    pub(super) path: String,
    pub(super) display_name: String,
    /// The policies of the token and of its entity.
    pub(super) policies: Vec<String>,
    /// Metadata of the token.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(super) metadata: Map<String, Value>,
    /// The entity; `None` if the auth method names no alias.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) entity: Option<LoginEntity>,
    /// `service` or `batch`.
    pub(super) token_type: &'static str,
    pub(super) ttl_seconds: u64,
    /// The TTL after a renewal; `None` if the token is not renewable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) renewed_seconds: Option<u64>,
    /// Whether the server no longer accepts the token. A batch token expires instead.
    pub(super) revoked: bool,
}

impl LoginReport {
    /// The report in lines of text.
    pub(super) fn render(&self) -> String {
        let LoginReport { path, display_name, policies, metadata, entity, token_type, .. } = self;
        let mut text = format!("{path} works: logged in as {display_name}\n");
        let mut line = |name: &str, value: &str| {
            text.push_str(&format!("  {name:<9} {value}\n"));
        };
        let renewed = match self.renewed_seconds {
            Some(seconds) => format!(", renewed to {seconds} s"),
            None => ", not renewable".to_owned(),
        };
        let end = if self.revoked { "revoked" } else { "valid until it expires" };
        line("token", &format!("{token_type}, {} s{renewed}, {end}", self.ttl_seconds));
        line("policies", &policies.join(", "));
        let metadata: Vec<String> = metadata
            .iter()
            .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
            .collect();
        if !metadata.is_empty() {
            line("metadata", &metadata.join(", "));
        }
        match entity {
            Some(entity) => {
                line(
                    "entity",
                    &format!("{} ({}), alias {}", entity.id, entity.name, entity.aliases.join(", ")),
                );
                if !entity.groups.is_empty() {
                    line("groups", &entity.groups.join(", "));
                }
            }
            None => line("entity", "none: the auth method names no alias"),
        }
        text
    }
}

/// The entity of a login.
#[derive(Debug, Serialize)]
pub(super) struct LoginEntity {
    pub(super) id: String,
    pub(super) name: String,
    /// The names of its aliases.
    pub(super) aliases: Vec<String>,
    /// The ids of its groups.
    pub(super) groups: Vec<String>,
}

/// Logs in at a mount. The token is revoked also if a later step fails.
pub(super) async fn prove_login(
    client: &Client,
    mount: &Consumer,
    login: &LoginRequest,
) -> Result<LoginReport, CommandError> {
    let path = mount.join(&login.path);
    let data = login.data.iter().map(|(key, value)| (key.clone(), value.value())).collect();
    let created = client
        .send(&Login { path: path.clone(), data: LogicalData(data) })
        .await
        .map_err(|error| failed(&format!("could not log in at {path}"), error))?
        .ok_or_else(|| CommandError::failed(format!("the login at {path} returned no token")))?;
    let token = TokenOf { client, token: &created.token };
    let proven = token.prove(&path, &created).await;
    let revoked = match created.kind {
        TokenType::Service => token.revoke(&created).await.map(|()| true),
        TokenType::Batch => Ok(false),
    };
    let mut report = proven?;
    report.revoked = revoked?;
    Ok(report)
}

/// The token of a login, as an operator sees it, so that no request is a use of the token.
struct TokenOf<'a> {
    client: &'a Client,
    token: &'a SecretString,
}

impl TokenOf<'_> {
    async fn prove(&self, path: &str, created: &LoginToken) -> Result<LoginReport, CommandError> {
        let info = self
            .request("lookup")
            .await
            .map_err(|error| failed(&format!("could not look up the token of the login at {path}"), error))?
            .0;
        let text = |name: &str| info.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let is_renewable = info.get("renewable") == Some(&Value::Bool(true));
        let renewed_seconds = if is_renewable {
            let renewed = self.request("renew").await;
            renewed.map_err(|error| {
                failed(&format!("could not renew the token of the login at {path}"), error)
            })?;
            let now = self.request("lookup").await;
            let now = now.map_err(|error| failed("could not look up the renewed token", error))?;
            now.0.get("ttl").and_then(Value::as_u64)
        } else {
            None
        };
        Ok(LoginReport {
            path: path.to_owned(),
            display_name: text("display_name"),
            policies: created.policies.clone(),
            metadata: info.get("meta").and_then(Value::as_object).cloned().unwrap_or_default(),
            entity: self.entity(&text("entity_id")).await?,
            token_type: match created.kind {
                TokenType::Service => "service",
                TokenType::Batch => "batch",
            },
            ttl_seconds: created.ttl.as_secs(),
            renewed_seconds,
            revoked: false,
        })
    }

    async fn entity(&self, id: &str) -> Result<Option<LoginEntity>, CommandError> {
        if id.is_empty() {
            return Ok(None);
        }
        let read = self.client.send(&Read { path: format!("identity/entity/id/{id}") }).await;
        let Some(entity) = read.map_err(|error| failed(&format!("could not read the entity {id}"), error))?
        else {
            return Ok(None);
        };
        let texts = |name: &str, field: Option<&str>| -> Vec<String> {
            let items = entity.data.0.get(name).and_then(Value::as_array).into_iter().flatten();
            let texts = items.filter_map(|item| field.map_or(Some(item), |field| item.get(field))?.as_str());
            texts.map(str::to_owned).collect()
        };
        Ok(Some(LoginEntity {
            id: id.to_owned(),
            name: entity.data.0.get("name").and_then(Value::as_str).unwrap_or_default().to_owned(),
            aliases: texts("aliases", Some("name")),
            groups: texts("group_ids", None),
        }))
    }

    /// Revokes the token, and verifies that the server no longer knows it.
    async fn revoke(&self, created: &LoginToken) -> Result<(), CommandError> {
        let accessor = &created.accessor;
        self.request("revoke").await.map_err(|error| {
            failed(&format!("could not revoke the token with the accessor {accessor}"), error)
        })?;
        match self.request("lookup").await {
            Err(error) if error.api_error_is(ApiError::is_permission_denied) || is_bad_token(&error) => {
                Ok(())
            }
            Err(error) => Err(failed("could not verify that the token is revoked", error)),
            Ok(_) => Err(CommandError::failed(format!(
                "the token with the accessor {accessor} is still valid after it was revoked"
            ))),
        }
    }

    /// Sends a request to `auth/token/`. The token is in the body.
    async fn request(&self, operation: &str) -> Result<LogicalData, CallError> {
        let data = [("token".to_owned(), Value::String(self.token.expose().to_owned()))];
        let write =
            Write { path: format!("auth/token/{operation}"), data: LogicalData(data.into_iter().collect()) };
        Ok(self.client.send(&write).await?.data)
    }
}

fn is_bad_token(error: &CallError) -> bool {
    error.api_error_is(|answer| answer.has_message("bad token"))
}

fn failed(what: &str, error: CallError) -> CommandError {
    CommandError::failed(what.to_owned()).caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Option<LoginRequest>, CommandError> {
        LoginArgs { login: words.iter().map(|&word| word.to_owned()).collect() }.parse()
    }

    #[test]
    fn a_login_is_a_path_and_its_data() {
        assert!(parsed(&[]).expect("no login").is_none());
        let login = parsed(&["/login/ann", "password=a=b", "otp=1"]).expect("a login").expect("one");
        assert_eq!(login.path, "login/ann");
        assert_eq!(login.data["password"].value(), "a=b");
        assert_eq!(login.data.len(), 2);
        assert!(parsed(&["password=secret"]).is_err_and(|error| !error.render().contains("secret")));
        assert!(parsed(&["login", "secret"]).is_err_and(|error| !error.render().contains("secret")));
    }

    #[test]
    fn a_secrets_engine_has_no_login() {
        let login = parsed(&["login"]).expect("a login");
        assert!(check_login(PluginType::Secret, login.as_ref()).is_err());
        assert!(check_login(PluginType::Auth, login.as_ref()).is_ok());
        assert!(check_login(PluginType::Secret, None).is_ok());
    }
}
