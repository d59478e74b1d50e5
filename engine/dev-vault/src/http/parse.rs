//! Parses HTTP requests by the rules of `http/logical.go`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use uuid::Uuid;
use vault_plugin::framework::parse_duration;
use vault_plugin::logical::{Map, Operation};

use crate::client_request::ClientRequest;
use crate::reply::ErrorReply;

const MERGE_PATCH: &str = "application/merge-patch+json";
const FORM: &str = "application/x-www-form-urlencoded";

/// Parses a request; `path` is the part after `/v1/`.
pub(super) fn parse_request(
    head: &Parts,
    path: &str,
    body: &[u8],
    remote: SocketAddr,
) -> Result<ClientRequest, ErrorReply> {
    let mut path = percent_decode_str(path).decode_utf8_lossy().into_owned();
    let mut query = parse_query(head.uri.query().unwrap_or_default());
    let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let (operation, data) = match head.method.as_str() {
        "GET" if query.contains_key("help") => (Operation::Help, None),
        "GET" => match query.remove("list") {
            Some(list) if parse_bool(&list)? => (Operation::List, non_empty(query)),
            _ => (Operation::Read, non_empty(query)),
        },
        "LIST" => (Operation::List, non_empty(query)),
        "DELETE" => (Operation::Delete, non_empty(query)),
        "POST" | "PUT"
            if content_type.is_some_and(|kind| kind.starts_with(FORM)) && !looks_like_json(body) =>
        {
            (Operation::Update, non_empty(parse_form(body)))
        }
        "POST" | "PUT" => (Operation::Update, parse_object(body).map_err(|reason| json_error(&reason))?),
        "PATCH" => {
            let kind = content_type.ok_or_else(|| ErrorReply::bad_request("mime: no media type"))?;
            let kind = kind.split(';').next().unwrap_or_default().trim();
            if kind != MERGE_PATCH {
                let text = format!("PATCH requires Content-Type of {MERGE_PATCH}, provided {kind}");
                return Err(ErrorReply::new(415, text));
            }
            (Operation::Patch, parse_object(body).map_err(|_| ErrorReply::bad_request("error parsing JSON"))?)
        }
        "HEAD" => (Operation::Header, non_empty(query)),
        "OPTIONS" => (Operation::Other(String::new()), None),
        _ => return Err(ErrorReply { status: 405, text: None, data: None }),
    };
    if operation == Operation::List && !path.ends_with('/') {
        path.push('/');
    }
    Ok(ClientRequest {
        id: Uuid::new_v4().to_string(),
        operation,
        path,
        uri: head.uri.path_and_query().map_or_else(String::new, ToString::to_string),
        data,
        headers: canonical_headers(&head.headers),
        token: token_header(&head.headers),
        wrap_ttl: wrap_ttl(&head.headers)?,
        remote,
    })
}

/// The token of a request: Vault's own header, or the common one.
fn token_header(headers: &HeaderMap) -> Option<String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let own = text("x-vault-token").map(str::to_owned);
    let common = || text("authorization")?.strip_prefix("Bearer ").map(|token| token.trim().to_owned());
    own.or_else(common).filter(|token| !token.is_empty())
}

fn wrap_ttl(headers: &HeaderMap) -> Result<Option<Duration>, ErrorReply> {
    let Some(text) = headers.get("x-vault-wrap-ttl").and_then(|value| value.to_str().ok()) else {
        return Ok(None);
    };
    let invalid =
        |reason: String| ErrorReply::bad_request(format!("error parsing X-Vault-Wrap-TTL header: {reason}"));
    let seconds = parse_duration(text).map_err(|error| invalid(error.to_string()))?;
    let seconds =
        u64::try_from(seconds).map_err(|_| invalid("requested wrap ttl cannot be negative".to_owned()))?;
    Ok((seconds > 0).then(|| Duration::from_secs(seconds)))
}

fn canonical_headers(headers: &HeaderMap) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        all.entry(canonical_header_name(name.as_str()))
            .or_default()
            .push(String::from_utf8_lossy(value.as_bytes()).into_owned());
    }
    all
}

/// The name of a header in the canonical form of Go, which engines expect.
fn canonical_header_name(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    });
    words.collect::<Vec<_>>().join("-")
}

/// The parameters of a query: a string each, or a list if a parameter is repeated.
fn parse_query(text: &str) -> Map {
    collect_fields(form_urlencoded::parse(text.as_bytes()))
}

fn parse_form(body: &[u8]) -> Map {
    collect_fields(form_urlencoded::parse(body))
}

fn collect_fields<'a>(pairs: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>) -> Map {
    let mut fields = Map::new();
    for (name, value) in pairs {
        let value = Value::String(value.into_owned());
        match fields.get_mut(name.as_ref()) {
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
            None => drop(fields.insert(name.into_owned(), value)),
        }
    }
    fields
}

fn non_empty(fields: Map) -> Option<Map> {
    (!fields.is_empty()).then_some(fields)
}

fn parse_bool(value: &Value) -> Result<bool, ErrorReply> {
    match value.as_str() {
        Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
        Some("" | "0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
        _ => Err(ErrorReply { status: 400, text: None, data: None }),
    }
}

fn looks_like_json(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"{")
}

fn parse_object(body: &[u8]) -> Result<Option<Map>, String> {
    if body.trim_ascii().is_empty() {
        return Ok(None);
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(map)) => Ok(Some(map)),
        Ok(Value::Null) => Ok(None),
        Ok(other) => {
            let kind = match other {
                Value::Array(_) => "array",
                Value::String(_) => "string",
                Value::Bool(_) => "bool",
                _ => "number",
            };
            Err(format!("json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"))
        }
        Err(error) => Err(error.to_string()),
    }
}

fn json_error(reason: &str) -> ErrorReply {
    ErrorReply::bad_request(format!("error parsing JSON: failed to parse JSON input: {reason}"))
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn parse(request: axum::http::request::Builder, body: &str) -> Result<ClientRequest, ErrorReply> {
        let (head, ()) = request.body(()).unwrap().into_parts();
        let path = head.uri.path().strip_prefix("/v1/").unwrap().to_owned();
        parse_request(&head, &path, body.as_bytes(), SocketAddr::from(([127, 0, 0, 1], 1)))
    }

    #[test]
    fn the_path_of_every_list_ends_in_a_slash() {
        let listed = parse(Request::get("/v1/kv/a?list=true&x=1&x=2"), "").unwrap();
        assert_eq!((listed.operation, listed.path.as_str()), (Operation::List, "kv/a/"));
        assert_eq!(Value::Object(listed.data.unwrap()), json!({"x": ["1", "2"]}));
        let listed = parse(Request::builder().method("LIST").uri("/v1/kv/a"), "").unwrap();
        assert_eq!((listed.operation, listed.path.as_str()), (Operation::List, "kv/a/"));
        assert!(parse(Request::get("/v1/kv?list=maybe"), "").is_err());
    }

    #[test]
    fn a_patch_requires_its_content_type() {
        let patch = || Request::patch("/v1/kv/a");
        assert_eq!(parse(patch(), "{}").err().unwrap().status, 400);
        let invalid = patch().header("content-type", "application/json");
        assert_eq!(parse(invalid, "{}").err().unwrap().status, 415);
        let right = patch().header("content-type", MERGE_PATCH);
        assert_eq!(parse(right, "{}").unwrap().operation, Operation::Patch);
    }

    #[test]
    fn a_body_that_is_not_an_object_is_refused() {
        let text = parse(Request::post("/v1/kv/a"), "[1]").err().unwrap().text.unwrap();
        assert_eq!(
            text,
            "error parsing JSON: failed to parse JSON input: json: cannot unmarshal array into Go value of type \
             map[string]interface {}"
        );
        assert!(parse(Request::post("/v1/kv/a"), "").unwrap().data.is_none());
    }

    #[test]
    fn the_token_is_in_either_header_and_the_path_may_be_encoded() {
        let own = parse(Request::get("/v1/kv/a%20b").header("x-vault-token", "t"), "").unwrap();
        assert_eq!((own.token.as_deref(), own.path.as_str()), (Some("t"), "kv/a b"));
        let common = parse(Request::get("/v1/kv/a").header("authorization", "Bearer t"), "").unwrap();
        assert_eq!(common.token.as_deref(), Some("t"));
    }

    #[test]
    fn header_names_have_the_canonical_form_of_go() {
        assert_eq!(canonical_header_name("x-forwarded-for"), "X-Forwarded-For");
    }
}
