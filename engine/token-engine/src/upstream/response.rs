//! Interprets the response to a call: a pure function of status, headers and body.
//!
//! A response that proves neither that the call had its effect nor that it had none is unclear.

mod expiry;
mod new_key;

use std::collections::BTreeMap;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde_json::Value;
use vault_plugin::logical::Sensitive;
use zeroize::Zeroizing;

pub(crate) use self::expiry::ExpiryError;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use self::expiry::expiries;

pub(crate) use self::new_key::{NewKey, read_new_key};

use self::expiry::read_expiry;
use super::description::{Call, Expires, Find, Gone, Login, Mint, Origin, Pointer, Source, StatusSet};
use super::template::ValueSource;
use super::values::Values;

/// The maximum size of a response body. The response to a mint has a few hundred bytes.
pub(crate) const MAX_RESPONSE_BYTES: usize = 1 << 20;

/// The maximum length of a token id.
const MAX_ID: usize = 1024;

/// Status, headers and body of a response.
#[derive(Clone, Copy)]
pub(crate) struct ResponseParts<'a> {
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

/// The meaning of a response, before the body of a success is read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ResponseClass {
    Success,
    /// The token no longer exists.
    Gone,
    /// The name or the id already exists.
    Exists,
    /// The API has rejected the request.
    Refused(StatusCode),
    /// The API has rejected the credential (401 or 403).
    Unauthorized(StatusCode),
    /// The rate limit of the API is exceeded (429).
    Throttled,
    Redirected,
    /// Not found (404): the API does not have the path, or the response is that of a proxy.
    NotFound,
    /// The call may have had an effect.
    Unclear(UnclearReason),
}

/// The reason why a response is unclear.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnclearReason {
    #[error("status {0}")]
    Status(StatusCode),
    #[error("an error in a response with a success status ({0})")]
    ErrorInside(Pointer),
    #[error("a response longer than 1 MiB")]
    TooLong,
    #[error("a body of invalid JSON")]
    NotJson,
    #[error("a JSON body other than an object")]
    NotObject,
    #[error("status {0} with a non-JSON body, possibly from a proxy")]
    NotOfApi(StatusCode),
    #[error("a response without a valid {0}")]
    Missing(&'static str),
    #[error("a response without a valid value {0}")]
    MissingValue(String),
}

impl UnclearReason {
    /// Returns whether the body is valid, and a value is not at its place.
    pub(crate) fn is_missing_value(&self) -> bool {
        matches!(self, UnclearReason::Missing(_) | UnclearReason::MissingValue(_))
    }
}

/// The status sets of a call.
#[derive(Clone, Copy, Default)]
pub(crate) struct StatusRules<'a> {
    pub(crate) success: Option<&'a StatusSet>,
    pub(crate) exists: Option<&'a StatusSet>,
    pub(crate) refused: Option<&'a StatusSet>,
    pub(crate) gone: Option<&'a Gone>,
    pub(crate) error: Option<&'a Pointer>,
}

impl<'a> StatusRules<'a> {
    pub(crate) fn of(call: &Call<'a>) -> StatusRules<'a> {
        StatusRules { success: Some(call.success), error: call.error, ..StatusRules::default() }
    }
}

impl<'a> ResponseParts<'a> {
    /// Classifies the response.
    pub(crate) fn classify(&self, rules: StatusRules<'_>) -> ResponseClass {
        let status = self.status;
        let in_set =
            |set: Option<&StatusSet>| set.filter(|set| !set.is_empty()).map(|set| set.contains(status));
        if self.body.len() > MAX_RESPONSE_BYTES {
            return ResponseClass::Unclear(UnclearReason::TooLong);
        }
        if in_set(rules.success).unwrap_or_else(|| status.is_success()) {
            return match rules.error.filter(|pointer| self.holds_error(pointer)) {
                Some(pointer) => ResponseClass::Unclear(UnclearReason::ErrorInside(pointer.clone())),
                None => ResponseClass::Success,
            };
        }
        if let Some(gone) = rules.gone.filter(|gone| gone.status.contains(status)) {
            return if !gone.json || self.is_json() {
                ResponseClass::Gone
            } else {
                ResponseClass::Unclear(UnclearReason::NotOfApi(status))
            };
        }
        if in_set(rules.exists) == Some(true) {
            return ResponseClass::Exists;
        }
        match status {
            _ if status.is_redirection() => ResponseClass::Redirected,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ResponseClass::Unauthorized(status),
            StatusCode::TOO_MANY_REQUESTS => ResponseClass::Throttled,
            _ => match in_set(rules.refused) {
                Some(true) => ResponseClass::Refused(status),
                Some(false) => ResponseClass::Unclear(UnclearReason::Status(status)),
                None if status == StatusCode::NOT_FOUND => ResponseClass::NotFound,
                None if status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT => {
                    ResponseClass::Refused(status)
                }
                None => ResponseClass::Unclear(UnclearReason::Status(status)),
            },
        }
    }

    /// Parses the body as JSON. An empty body is null.
    pub(crate) fn json(&self) -> Result<Value, UnclearReason> {
        if self.body.len() > MAX_RESPONSE_BYTES {
            return Err(UnclearReason::TooLong);
        }
        if self.body.trim_ascii().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(self.body).map_err(|_| UnclearReason::NotJson)
    }

    /// Returns whether the content type is JSON.
    pub(crate) fn is_json(&self) -> bool {
        let media = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        media == "application/json" || (media.starts_with("application/") && media.ends_with("+json"))
    }

    fn holds_error(&self, pointer: &Pointer) -> bool {
        let Ok(body) = self.json() else { return false };
        match pointer.find(&body) {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Array(items)) => !items.is_empty(),
            Some(Value::Object(entries)) => !entries.is_empty(),
            Some(Value::Number(_) | Value::Bool(true)) => true,
        }
    }

    /// Returns a value of the response as text. Numbers are converted, because some ids are numbers.
    fn value(&self, body: &Value, source: &Source, values: &impl ValueSource) -> Option<Zeroizing<String>> {
        let text = match &source.origin {
            Origin::Pointer(pointer) => match pointer.find(body)? {
                Value::String(text) => text.clone(),
                Value::Number(number) if !number.is_f64() => number.to_string(),
                _ => return None,
            },
            Origin::Header(name) => self.headers.get(name)?.to_str().ok()?.to_owned(),
            Origin::Text(text) => text.render(values).ok()?,
        };
        let text = Zeroizing::new(text);
        if !source.last_segment {
            return Some(text).filter(|text| !text.is_empty());
        }
        let path = text.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
        let segment = path.rsplit('/').next().unwrap_or_default();
        let decoded = percent_encoding::percent_decode_str(segment).decode_utf8().ok()?;
        Some(Zeroizing::new(decoded.into_owned())).filter(|text| !text.is_empty())
    }
}

/// A token that the API has created.
pub(crate) struct Minted {
    pub(crate) id: Option<String>,
    pub(crate) token: Sensitive,
    /// The fields of the credential besides the token.
    pub(crate) outputs: Vec<(String, Sensitive)>,
    /// The expiry that the API reports. The token exists even if it is invalid.
    pub(crate) expires: Result<Option<Timestamp>, ExpiryError>,
}

/// The result of a mint.
pub(crate) enum MintOutcome {
    Minted(Minted),
    /// Any class except [`ResponseClass::Success`].
    Other(ResponseClass),
}

/// Reads the response to a mint. `values` are those of the request.
pub(crate) fn read_mint(
    mint: &Mint,
    response: &ResponseParts<'_>,
    values: &Values<'_>,
    now: Timestamp,
) -> MintOutcome {
    let Some(call) = mint.call() else {
        return MintOutcome::Other(ResponseClass::Unclear(UnclearReason::Missing("call")));
    };
    let rules =
        StatusRules { exists: Some(&mint.exists), refused: Some(&mint.refused), ..StatusRules::of(&call) };
    match response.classify(rules) {
        ResponseClass::Success => match read_minted(mint, response, values, now) {
            Ok(minted) => MintOutcome::Minted(minted),
            Err(reason) => MintOutcome::Other(ResponseClass::Unclear(reason)),
        },
        other => MintOutcome::Other(other),
    }
}

fn read_minted(
    mint: &Mint,
    response: &ResponseParts<'_>,
    values: &Values<'_>,
    now: Timestamp,
) -> Result<Minted, UnclearReason> {
    let body = response.json()?;
    let id = match &mint.id {
        None => None,
        Some(source) => {
            let id = response.value(&body, source, values).filter(|id| is_valid_id(id));
            Some(id.ok_or(UnclearReason::Missing("id"))?.to_string())
        }
    };
    let values = Values { id: id.as_deref(), ..*values };
    let token = response.value(&body, &mint.token, &values).ok_or(UnclearReason::Missing("token"))?;
    let values = Values { token: Some(&token), ..values };
    let mut outputs = Vec::with_capacity(mint.outputs.0.len());
    for (name, source) in &mint.outputs.0 {
        let value = response
            .value(&body, source, &values)
            .ok_or_else(|| UnclearReason::MissingValue(name.clone()))?;
        outputs.push((name.clone(), Sensitive::from(value.to_string())));
    }
    let expires = read_expiry(mint.expires.as_ref(), &body, now);
    Ok(Minted { id, token: Sensitive::from(token.to_string()), outputs, expires })
}

/// Returns whether an id can identify one token. A request to revoke "" or ".." would address another object.
pub(crate) fn is_valid_id(id: &str) -> bool {
    !matches!(id, "" | "." | "..") && id.len() <= MAX_ID && !id.chars().any(char::is_control)
}

/// Reads the values of the response to the call before a mint.
pub(crate) fn read_values(
    sources: &[(String, Source)],
    response: &ResponseParts<'_>,
    values: &Values<'_>,
) -> Result<BTreeMap<String, String>, UnclearReason> {
    let body = response.json()?;
    let read = |(name, source): &(String, Source)| {
        let value =
            response.value(&body, source, values).ok_or_else(|| UnclearReason::MissingValue(name.clone()))?;
        Ok((name.clone(), value.to_string()))
    };
    sources.iter().map(read).collect()
}

/// Reads the credential from the response to a login, with its expiry if there is one.
pub(crate) fn read_login(
    login: &Login,
    response: &ResponseParts<'_>,
    values: &Values<'_>,
    now: Timestamp,
) -> Result<(Sensitive, Option<Timestamp>), UnclearReason> {
    let body = response.json().or_else(|reason| match login.token.origin {
        // A credential in a header needs no body.
        Origin::Header(_) if reason == UnclearReason::NotJson => Ok(Value::Null),
        _ => Err(reason),
    })?;
    let token = response.value(&body, &login.token, values).ok_or(UnclearReason::Missing("credential"))?;
    // Without a valid expiry, the credential is used until it is rejected.
    let expires = read_expiry(login.expires.as_ref(), &body, now).unwrap_or_default();
    Ok((Sensitive::from(token.to_string()), expires))
}

/// Reads the value of one source, for example the account of a probe.
pub(crate) fn read_value(
    source: &Source,
    response: &ResponseParts<'_>,
    values: &Values<'_>,
) -> Result<Sensitive, UnclearReason> {
    let body = response.json()?;
    let value = response.value(&body, source, values).ok_or(UnclearReason::Missing("value"))?;
    Ok(Sensitive::from(value.to_string()))
}

/// Reads the expiry of a renewed token.
pub(crate) fn read_renewed(
    expires: Option<&Expires>,
    response: &ResponseParts<'_>,
    now: Timestamp,
) -> Result<Result<Option<Timestamp>, ExpiryError>, UnclearReason> {
    let body = response.json()?;
    let read = read_expiry(expires, &body, now);
    // If the expiry is optional, the body must still be that of the API: an object, or empty.
    if expires.is_some() && read == Ok(None) && !matches!(body, Value::Object(_) | Value::Null) {
        return Err(UnclearReason::NotObject);
    }
    Ok(read)
}

/// The result of a search for a name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FindOutcome {
    /// The ids of the tokens with this name. `None` for a token without an id.
    Found(Vec<Option<String>>),
    /// No token on this page has the name. Contains the number of tokens on the page.
    Absent {
        items: usize,
    },
    Other(ResponseClass),
}

/// Reads the response to a search for an exact name.
pub(crate) fn read_find(find: &Find, response: &ResponseParts<'_>, name: &str) -> FindOutcome {
    let Some(call) = find.call() else {
        return FindOutcome::Other(ResponseClass::Unclear(UnclearReason::Missing("call")));
    };
    let rules = StatusRules { gone: find.gone.as_ref(), ..StatusRules::of(&call) };
    let body = match response.classify(rules) {
        ResponseClass::Gone => return FindOutcome::Absent { items: 0 },
        ResponseClass::Success => match response.json() {
            Ok(body) => body,
            Err(reason) => return FindOutcome::Other(ResponseClass::Unclear(reason)),
        },
        other => return FindOutcome::Other(other),
    };
    let unclear =
        |what: &'static str| FindOutcome::Other(ResponseClass::Unclear(UnclearReason::Missing(what)));
    let items = match &find.items {
        None if body.is_object() => std::slice::from_ref(&body),
        None => return unclear("token"),
        Some(pointer) => match pointer.find(&body) {
            Some(Value::Array(items)) => &items[..],
            // Some APIs return null for an empty list. A response without the key is unclear.
            Some(Value::Null) => &[],
            _ => return unclear("list of tokens"),
        },
    };
    let mut found = Vec::new();
    for item in items {
        if !matches!(find.name.find(item), Some(Value::String(text)) if text == name) {
            continue;
        }
        let id = match &find.id {
            None => None,
            Some(pointer) => match pointer.find(item) {
                Some(Value::String(id)) if is_valid_id(id) => Some(id.clone()),
                Some(Value::Number(id)) if !id.is_f64() => Some(id.to_string()),
                _ => return unclear("id"),
            },
        };
        found.push(id);
    }
    if found.is_empty() { FindOutcome::Absent { items: items.len() } } else { FindOutcome::Found(found) }
}

#[cfg(test)]
mod tests;
