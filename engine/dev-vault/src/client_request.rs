//! The request of a client.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use vault_plugin::framework::parse_duration;
use vault_plugin::logical::{Connection, Map, Operation};

use crate::reply::ErrorReply;

/// A request. There is no `Debug`, because it contains the token and the data of the user.
pub(crate) struct ClientRequest {
    pub(crate) id: String,
    pub(crate) operation: Operation,
    /// The path after `/v1/`; a list path ends in a slash.
    pub(crate) path: String,
    /// Path and query as they were sent.
    pub(crate) uri: String,
    /// Body and query; `None` if the request has neither.
    pub(crate) data: Option<Map>,
    pub(crate) headers: BTreeMap<String, Vec<String>>,
    pub(crate) token: Option<String>,
    pub(crate) wrap_ttl: Option<Duration>,
    pub(crate) remote: SocketAddr,
}

impl ClientRequest {
    /// The fields of the request, with Vault's conversions.
    pub(crate) fn fields(&self) -> RequestFields<'_> {
        RequestFields(self.data.as_ref())
    }

    /// The connection, as a plugin sees it.
    pub(crate) fn connection(&self) -> Connection {
        Connection {
            remote_addr: self.remote.ip().to_string(),
            // Vault does not send the port to plugins (`sdk/plugin/pb/translation.go`).
            remote_port: 0,
            peer_certificates: Vec::new(),
        }
    }

    /// Whether the mount has run an existence check for this request. Vault's router sets the accessor of a mount from the second
    /// call of the backend on.
    pub(crate) fn had_existence_check(&self) -> bool {
        matches!(self.operation, Operation::Create | Operation::Update)
    }
}

/// The fields of a request to the paths of the server itself. `null` counts as absent.
#[derive(Clone, Copy)]
pub(crate) struct RequestFields<'a>(pub(crate) Option<&'a Map>);

impl<'a> RequestFields<'a> {
    pub(crate) fn raw(self, name: &str) -> Option<&'a Value> {
        self.0?.get(name).filter(|value| !value.is_null())
    }

    /// Whether it is null: some handlers of Vault distinguish null from absent.
    pub(crate) fn is_null(self, name: &str) -> bool {
        self.0.and_then(|fields| fields.get(name)).is_some_and(Value::is_null)
    }

    /// A string; empty if it is absent.
    pub(crate) fn text(self, name: &str) -> Result<String, ErrorReply> {
        Ok(self.optional_text(name)?.unwrap_or_default())
    }

    pub(crate) fn optional_text(self, name: &str) -> Result<Option<String>, ErrorReply> {
        match self.raw(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(Value::Bool(yes)) => Ok(Some(if *yes { "1" } else { "0" }.to_owned())),
            Some(other) => Err(type_error(name, "string", other)),
        }
    }

    /// A boolean; `false` if it is absent.
    pub(crate) fn flag(self, name: &str) -> Result<bool, ErrorReply> {
        Ok(self.optional_flag(name)?.unwrap_or(false))
    }

    pub(crate) fn optional_flag(self, name: &str) -> Result<Option<bool>, ErrorReply> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        let flag = match raw {
            Value::Bool(yes) => Some(*yes),
            Value::String(text) => match text.as_str() {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
                "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
                _ => None,
            },
            Value::Number(number) => number.as_f64().map(|number| number != 0.0),
            _ => None,
        };
        flag.map(Some).ok_or_else(|| type_error(name, "bool", raw))
    }

    pub(crate) fn integer(self, name: &str) -> Result<i64, ErrorReply> {
        let Some(raw) = self.raw(name) else { return Ok(0) };
        let integer = match raw {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        integer.ok_or_else(|| type_error(name, "int", raw))
    }

    /// A duration in whole seconds: a number, or a string such as `1h`. `None` if it is absent.
    pub(crate) fn duration(self, name: &str) -> Result<Option<Duration>, ErrorReply> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        let seconds = match raw {
            Value::Number(number) => number.as_i64().ok_or_else(|| type_error(name, "duration", raw))?,
            Value::String(text) => {
                parse_duration(text).map_err(|error| ErrorReply::bad_request(error.to_string()))?
            }
            other => return Err(type_error(name, "duration", other)),
        };
        let seconds = u64::try_from(seconds)
            .map_err(|_| ErrorReply::bad_request(format!("cannot provide negative value '{seconds}'")))?;
        Ok(Some(Duration::from_secs(seconds)))
    }

    /// A list of strings, or one comma-separated string.
    pub(crate) fn list(self, name: &str) -> Result<Option<Vec<String>>, ErrorReply> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        let items = match raw {
            Value::Array(items) => items
                .iter()
                .map(|item| item.as_str().map(|text| text.trim().to_owned()))
                .collect::<Option<Vec<String>>>()
                .ok_or_else(|| type_error(name, "[]string", raw))?,
            Value::String(text) if text.is_empty() => Vec::new(),
            Value::String(text) => text.split(',').map(|item| item.trim().to_owned()).collect(),
            other => return Err(type_error(name, "[]string", other)),
        };
        Ok(Some(items))
    }

    /// A map of strings.
    pub(crate) fn string_map(self, name: &str) -> Result<Option<BTreeMap<String, String>>, ErrorReply> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        let Value::Object(map) = raw else { return Err(type_error(name, "map", raw)) };
        map.keys()
            .map(|key| Ok((key.clone(), RequestFields(Some(map)).text(key)?)))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// A map of anything.
    pub(crate) fn map(self, name: &str) -> Result<Option<&'a Map>, ErrorReply> {
        match self.raw(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map)),
            Some(other) => Err(type_error(name, "map", other)),
        }
    }
}

fn type_error(name: &str, expected: &str, got: &Value) -> ErrorReply {
    let got = match got {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(_) => "json.Number",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    };
    ErrorReply::bad_request(format!(
        "Field validation failed: error converting input for field \"{name}\": '' expected type '{expected}', \
         got unconvertible type '{got}'"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::reply::json_object;

    #[test]
    fn fields_are_read_as_vault_reads_them() {
        let data = json_object(json!({
            "n": 5, "on": "true", "ttl": "1h", "list": "a, b", "none": null, "meta": {"k": 1}
        }));
        let fields = RequestFields(Some(&data));
        assert_eq!(fields.text("n").unwrap(), "5");
        assert!(fields.flag("on").unwrap());
        assert_eq!(fields.duration("ttl").unwrap(), Some(Duration::from_hours(1)));
        assert_eq!(fields.duration("n").unwrap(), Some(Duration::from_secs(5)));
        assert_eq!(fields.list("list").unwrap().unwrap(), ["a", "b"]);
        assert_eq!(fields.optional_text("none").unwrap(), None);
        assert_eq!(fields.string_map("meta").unwrap().unwrap()["k"], "1");
        assert_eq!(fields.list("meta").unwrap_err().status, 400);
    }
}
