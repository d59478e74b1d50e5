//! The calls of a description as they are sent with example values, and what is read from their responses.

use std::collections::BTreeMap;

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::upstream::description::{
    Body, Call, Description, Expires, ExpiryUnit, Origin, Place, Source, StatusSet, complete,
};
use crate::upstream::request::{BodyKind, Request, render_headers};
use crate::upstream::values::{Lifetime, Parameters, Values};

/// Values for the placeholders of a description.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Examples {
    config: Parameters,
    role: Parameters,
    permissions: Vec<String>,
    /// Identifier of a token, for an API whose identifiers are numbers.
    id: Option<String>,
}

/// A call as it is sent.
#[derive(Clone, Debug, Serialize)]
pub(super) struct RenderedCall {
    pub(super) call: &'static str,
    #[serde(serialize_with = "serialize_method")]
    pub(super) method: Method,
    pub(super) path: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) query: Vec<(String, String)>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) json: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) form: Vec<(String, String)>,
    /// Empty for 2xx.
    #[serde(skip_serializing_if = "StatusSet::is_empty")]
    pub(super) success: StatusSet,
    /// Empty if no response means that the token does not exist.
    #[serde(skip_serializing_if = "StatusSet::is_empty")]
    pub(super) gone: StatusSet,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) reads: Vec<Read>,
}

/// A value that is read from a successful response.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Read {
    pub(super) value: String,
    pub(super) kind: Kind,
    /// Pointer to the list that it is in an item of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) items: Option<String>,
    pub(super) at: String,
}

/// What a value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// A text or a number.
    Scalar,
    Text,
    Number,
    List,
    Any,
}

fn serialize_method<S: serde::Serializer>(method: &Method, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(method.as_str())
}

/// Renders every call of a description.
pub(super) fn render(description: &Description, examples: &Examples) -> Result<Vec<RenderedCall>, String> {
    let parameters =
        |declared, given| complete(declared, given, &Place::root()).map_err(|problems| problems.to_string());
    let config = parameters(&description.config, &examples.config)?;
    let role = parameters(&description.parameters, &examples.role)?;
    let before: BTreeMap<String, String> = description
        .before
        .iter()
        .flat_map(|before| &before.values.0)
        .map(|(name, _)| (name.clone(), format!("example-{name}")))
        .collect();
    let now = "2026-11-30T12:00:00Z".parse().map_err(|error| format!("{error}"))?;
    let values = Values {
        api_key: Some("example-key"),
        config: Some(&config),
        login_token: Some("example-login"),
        role: Some(&role),
        permissions: Some(&examples.permissions),
        name: Some("vault-developer-0123456789abcdef"),
        generated_secret: Some("example-secret"),
        idempotency_key: Some("example-idempotency-key"),
        lifetime: Some(Lifetime { now, seconds: 3600 }),
        before: Some(&before),
        id: Some(examples.id.as_deref().unwrap_or("example-id")),
        token: Some("example-token"),
        key_owner: Some("example-owner"),
    };
    let credential = credential_headers(description, &values)?;
    let mut calls = Vec::new();
    let mut add = |name, call: Option<Call<'_>>, reads: Vec<Read>, gone: StatusSet, authenticated: bool| {
        let call = call.ok_or_else(|| format!("{name} has no method"))?;
        let mut rendered = rendered(name, &call, &values)?;
        if authenticated {
            rendered.headers.extend(credential.clone());
        }
        let error = call.error.map(|pointer| read("error", Kind::Any, pointer.to_string()));
        rendered.reads = reads.into_iter().chain(error).collect();
        rendered.gone = gone;
        calls.push(rendered);
        Ok::<(), String>(())
    };
    let none = StatusSet::default;
    if let Some(login) = &description.auth.login {
        let reads = source("token", Kind::Text, &login.token)
            .into_iter()
            .chain(login.expires.as_ref().and_then(expiry));
        add("login", login.call(), reads.collect(), none(), false)?;
    }
    if let Some(before) = &description.before {
        let reads = before.values.0.iter().filter_map(|(name, place)| source(name, Kind::Scalar, place));
        add("before", before.call(), reads.collect(), none(), true)?;
    }
    let mint = &description.mint;
    let outputs = mint.outputs.0.iter().filter_map(|(name, place)| source(name, Kind::Scalar, place));
    let reads = mint.id.iter().filter_map(|place| source("id", Kind::Scalar, place));
    let reads = reads.chain(source("token", Kind::Text, &mint.token)).chain(outputs);
    add("mint", mint.call(), reads.chain(mint.expires.as_ref().and_then(expiry)).collect(), none(), true)?;
    if let Some(renew) = &description.renew {
        add("renew", renew.call(), renew.expires.iter().filter_map(expiry).collect(), none(), true)?;
    }
    if let Some(find) = &description.find {
        let items = find.items.as_ref().map(ToString::to_string);
        let item = |value: &str, at: String| Read { items: items.clone(), ..read(value, Kind::Scalar, at) };
        let list = items.iter().map(|at| read("items", Kind::List, at.clone()));
        let name = item("name", find.name.to_string());
        let id = find.id.as_ref().map(|id| item("id", id.to_string()));
        let gone = find.gone.as_ref().map(|gone| gone.status.clone()).unwrap_or_default();
        add("find", find.call(), list.chain([name]).chain(id).collect(), gone, true)?;
    }
    let gone = description.revoke.gone.as_ref().map(|gone| gone.status.clone()).unwrap_or_default();
    add("revoke", description.revoke.call(), Vec::new(), gone, true)?;
    if let Some(probe) = &description.probe {
        let reads = probe.account.iter().filter_map(|place| source("account", Kind::Scalar, place));
        add("probe", probe.call(), reads.collect(), none(), true)?;
    }
    if let (Some(find), Some(pages)) = (
        calls.iter_mut().find(|call| call.call == "find"),
        description.find.as_ref().and_then(|find| find.pages.as_ref()),
    ) {
        find.query.push((pages.query.clone(), pages.first.to_string()));
    }
    Ok(calls)
}

fn rendered(name: &'static str, call: &Call<'_>, values: &Values<'_>) -> Result<RenderedCall, String> {
    let request = Request::render(call, values).map_err(|error| format!("{name}: {error}"))?;
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let pairs = |text: &[u8]| form_urlencoded::parse(text).into_owned().collect::<Vec<(String, String)>>();
    let headers = request
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let mut rendered = RenderedCall {
        call: name,
        method: request.method,
        path: path.to_owned(),
        query: pairs(query.as_bytes()),
        headers: headers.collect(),
        json: None,
        form: Vec::new(),
        success: call.success.clone(),
        gone: StatusSet::default(),
        reads: Vec::new(),
    };
    match (request.body, call.body) {
        (None, _) | (Some(_), Body::None) => {}
        (Some(body), _) if body.kind == BodyKind::Json => {
            rendered.json = Some(serde_json::from_slice(&body.bytes).map_err(|error| error.to_string())?);
        }
        (Some(body), _) => rendered.form = pairs(&body.bytes),
    }
    Ok(rendered)
}

/// The headers that authenticate a call.
fn credential_headers(
    description: &Description,
    values: &Values<'_>,
) -> Result<BTreeMap<String, String>, String> {
    let auth = &description.auth;
    let headers = render_headers(&auth.headers, values).map_err(|error| error.to_string())?;
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let mut headers: BTreeMap<String, String> =
        headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let scheme = match (&auth.basic, &auth.oauth2) {
        (Some(_), _) => Some("Basic example-credential"),
        (None, Some(_)) => Some("Bearer example-credential"),
        (None, None) => None,
    };
    headers.extend(scheme.map(|scheme| ("authorization".to_owned(), scheme.to_owned())));
    Ok(headers)
}

fn read(value: &str, kind: Kind, at: String) -> Read {
    Read { value: value.to_owned(), kind, items: None, at }
}

fn source(value: &str, kind: Kind, source: &Source) -> Option<Read> {
    match &source.origin {
        Origin::Pointer(pointer) => Some(read(value, kind, pointer.to_string())),
        Origin::Header(_) | Origin::Text(_) => None,
    }
}

fn expiry(expires: &Expires) -> Option<Read> {
    let (unit, pointer) = expires.unit()?;
    let kind = match unit {
        ExpiryUnit::Rfc3339 | ExpiryUnit::Date | ExpiryUnit::Jwt => Kind::Text,
        ExpiryUnit::Epoch
        | ExpiryUnit::EpochMs
        | ExpiryUnit::InSeconds
        | ExpiryUnit::InMinutes
        | ExpiryUnit::InDays => Kind::Number,
    };
    Some(read("expires", kind, pointer.to_string()))
}
