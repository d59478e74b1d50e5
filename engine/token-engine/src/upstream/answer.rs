//! Reads the answer to a call: a pure function of status, headers and body.
//!
//! What an answer proves is decided here. An answer that does not prove that a token exists, or that it does not, is unclear.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use zeroize::Zeroizing;

use super::description::{
    Call, Expires, ExpiryUnit, Find, Gone, Login, Mint, Origin, Pointer, Source, StatusSet,
};
use super::template::ValueSource;
use super::values::Values;
use crate::sensitive::SecretString;

/// The longest answer that is read. What an API says of one token is a few hundred bytes.
pub(crate) const MAX_ANSWER: usize = 1 << 20;

/// The longest identifier of a token.
const MAX_ID: usize = 1024;

/// An answer as it arrived.
#[derive(Clone, Copy)]
pub(crate) struct Answer<'a> {
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

/// What a status says, before the body of a success is read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Success,
    /// The token does not exist any more.
    Gone,
    /// The name or the identifier is taken.
    Exists,
    /// The API did nothing, because of the request.
    Refused(StatusCode),
    /// The API did nothing, because of the credential (401 or 403).
    Unauthorized(StatusCode),
    /// The API did nothing, because of its rate limit (429).
    Throttled,
    Redirected,
    /// The API does not know the path, or something before it answered (404).
    NotFound,
    /// It is not known whether the API did anything.
    Unclear(Doubt),
}

/// Why an answer proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Doubt {
    #[error("status {0}")]
    Status(StatusCode),
    #[error("an error inside an answer that is successful otherwise ({0})")]
    ErrorInside(Pointer),
    #[error("an answer longer than 1 MiB")]
    TooLong,
    #[error("an answer that is not JSON")]
    NotJson,
    #[error("status {0} in an answer that is not JSON, which may be of a proxy")]
    NotOfApi(StatusCode),
    #[error("an answer without a usable {0}")]
    Missing(&'static str),
    #[error("an answer without a usable value {0}")]
    MissingValue(String),
}

/// What the status sets of a call say.
#[derive(Clone, Copy, Default)]
pub(crate) struct Meanings<'a> {
    pub(crate) success: Option<&'a StatusSet>,
    pub(crate) exists: Option<&'a StatusSet>,
    pub(crate) refused: Option<&'a StatusSet>,
    pub(crate) gone: Option<&'a Gone>,
    pub(crate) error: Option<&'a Pointer>,
}

impl<'a> Meanings<'a> {
    pub(crate) fn of(call: &Call<'a>) -> Meanings<'a> {
        Meanings { success: Some(call.success), error: call.error, ..Meanings::default() }
    }
}

impl<'a> Answer<'a> {
    /// What the answer says about the call.
    pub(crate) fn verdict(&self, meanings: Meanings<'_>) -> Verdict {
        let status = self.status;
        let in_set =
            |set: Option<&StatusSet>| set.filter(|set| !set.is_empty()).map(|set| set.contains(status));
        if self.body.len() > MAX_ANSWER {
            return Verdict::Unclear(Doubt::TooLong);
        }
        if in_set(meanings.success).unwrap_or_else(|| status.is_success()) {
            return match meanings.error.filter(|pointer| self.holds_error(pointer)) {
                Some(pointer) => Verdict::Unclear(Doubt::ErrorInside(pointer.clone())),
                None => Verdict::Success,
            };
        }
        if let Some(gone) = meanings.gone.filter(|gone| gone.status.contains(status)) {
            return if !gone.json || self.is_json() {
                Verdict::Gone
            } else {
                Verdict::Unclear(Doubt::NotOfApi(status))
            };
        }
        if in_set(meanings.exists) == Some(true) {
            return Verdict::Exists;
        }
        match status {
            _ if status.is_redirection() => Verdict::Redirected,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Verdict::Unauthorized(status),
            StatusCode::TOO_MANY_REQUESTS => Verdict::Throttled,
            _ => match in_set(meanings.refused) {
                Some(true) => Verdict::Refused(status),
                Some(false) => Verdict::Unclear(Doubt::Status(status)),
                None if status == StatusCode::NOT_FOUND => Verdict::NotFound,
                None if status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT => {
                    Verdict::Refused(status)
                }
                None => Verdict::Unclear(Doubt::Status(status)),
            },
        }
    }

    /// The body as JSON. An empty body is null.
    pub(crate) fn json(&self) -> Result<Value, Doubt> {
        if self.body.len() > MAX_ANSWER {
            return Err(Doubt::TooLong);
        }
        if self.body.trim_ascii().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(self.body).map_err(|_| Doubt::NotJson)
    }

    /// Whether the content type is JSON.
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

    /// A value of the answer as text. Numbers are texts too, since some identifiers are numbers.
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
    pub(crate) token: SecretString,
    /// What callers get besides the token.
    pub(crate) outputs: Vec<(String, SecretString)>,
    /// When it ends as the API says it, or why that cannot be read. The token exists in either case.
    pub(crate) expires: Result<Option<Timestamp>, ExpiryError>,
}

/// The answer to a mint.
pub(crate) enum MintOutcome {
    Minted(Minted),
    /// Anything else, [`Verdict::Success`] excepted.
    Other(Verdict),
}

/// Why the end of a token cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExpiryError {
    #[error("the answer does not say when the token ends")]
    Missing,
    #[error("the time at which the token ends is not {0}")]
    Unreadable(&'static str),
}

/// Reads the answer to a mint. `values` are those of the request.
pub(crate) fn read_mint(
    mint: &Mint,
    answer: &Answer<'_>,
    values: &Values<'_>,
    now: Timestamp,
) -> MintOutcome {
    let Some(call) = mint.call() else { return MintOutcome::Other(Verdict::Unclear(Doubt::Missing("call"))) };
    let meanings =
        Meanings { exists: Some(&mint.exists), refused: Some(&mint.refused), ..Meanings::of(&call) };
    match answer.verdict(meanings) {
        Verdict::Success => match read_minted(mint, answer, values, now) {
            Ok(minted) => MintOutcome::Minted(minted),
            Err(doubt) => MintOutcome::Other(Verdict::Unclear(doubt)),
        },
        other => MintOutcome::Other(other),
    }
}

fn read_minted(
    mint: &Mint,
    answer: &Answer<'_>,
    values: &Values<'_>,
    now: Timestamp,
) -> Result<Minted, Doubt> {
    let body = answer.json()?;
    let id = match &mint.id {
        None => None,
        Some(source) => {
            let id = answer.value(&body, source, values).filter(|id| is_valid_id(id));
            Some(id.ok_or(Doubt::Missing("id"))?.to_string())
        }
    };
    let values = Values { id: id.as_deref(), ..*values };
    let token = answer.value(&body, &mint.token, &values).ok_or(Doubt::Missing("token"))?;
    let values = Values { token: Some(&token), ..values };
    let mut outputs = Vec::with_capacity(mint.outputs.0.len());
    for (name, source) in &mint.outputs.0 {
        let value = answer.value(&body, source, &values).ok_or_else(|| Doubt::MissingValue(name.clone()))?;
        outputs.push((name.clone(), SecretString::from(value.to_string())));
    }
    let expires = read_expiry(mint.expires.as_ref(), &body, now);
    Ok(Minted { id, token: SecretString::from(token.to_string()), outputs, expires })
}

/// Whether an identifier can be that of one token: to revoke "" or ".." would be to revoke something else.
pub(crate) fn is_valid_id(id: &str) -> bool {
    !matches!(id, "" | "." | "..") && id.len() <= MAX_ID && !id.chars().any(char::is_control)
}

/// The values of the answer to the call before a mint.
pub(crate) fn read_values(
    sources: &[(String, Source)],
    answer: &Answer<'_>,
    values: &Values<'_>,
) -> Result<BTreeMap<String, String>, Doubt> {
    let body = answer.json()?;
    let read = |(name, source): &(String, Source)| {
        let value = answer.value(&body, source, values).ok_or_else(|| Doubt::MissingValue(name.clone()))?;
        Ok((name.clone(), value.to_string()))
    };
    sources.iter().map(read).collect()
}

/// The credential of a login, and when it ends if the answer says that.
pub(crate) fn read_login(
    login: &Login,
    answer: &Answer<'_>,
    values: &Values<'_>,
    now: Timestamp,
) -> Result<(SecretString, Option<Timestamp>), Doubt> {
    let body = answer.json().or_else(|doubt| match login.token.origin {
        // A credential in a header needs no body.
        Origin::Header(_) if doubt == Doubt::NotJson => Ok(Value::Null),
        _ => Err(doubt),
    })?;
    let token = answer.value(&body, &login.token, values).ok_or(Doubt::Missing("credential"))?;
    // An end that cannot be read only shortens how long the credential is used.
    let expires = read_expiry(login.expires.as_ref(), &body, now).unwrap_or_default();
    Ok((SecretString::from(token.to_string()), expires))
}

/// The value of one source, for example the account of a probe.
pub(crate) fn read_value(
    source: &Source,
    answer: &Answer<'_>,
    values: &Values<'_>,
) -> Result<SecretString, Doubt> {
    let body = answer.json()?;
    let value = answer.value(&body, source, values).ok_or(Doubt::Missing("value"))?;
    Ok(SecretString::from(value.to_string()))
}

/// The end of a renewed token as the answer says it.
pub(crate) fn read_renewed(
    expires: Option<&Expires>,
    answer: &Answer<'_>,
    now: Timestamp,
) -> Result<Result<Option<Timestamp>, ExpiryError>, Doubt> {
    Ok(read_expiry(expires, &answer.json()?, now))
}

/// When a token ends; `None` if the answer does not have to say it, and does not.
fn read_expiry(
    expires: Option<&Expires>,
    body: &Value,
    now: Timestamp,
) -> Result<Option<Timestamp>, ExpiryError> {
    let Some((expires, (unit, pointer))) = expires.and_then(|expires| Some((expires, expires.unit()?)))
    else {
        return Ok(None);
    };
    let value = match pointer.find(body) {
        None | Some(Value::Null) if expires.optional => return Ok(None),
        None | Some(Value::Null) => return Err(ExpiryError::Missing),
        Some(value) => value,
    };
    let (instant, expected) = match unit {
        ExpiryUnit::Rfc3339 => (value.as_str().and_then(parse_time), "an RFC 3339 time"),
        ExpiryUnit::Epoch => {
            (number(value).and_then(|at| Timestamp::from_second(at).ok()), "a number of seconds since 1970")
        }
        ExpiryUnit::EpochMs => (
            number(value).and_then(|at| Timestamp::from_millisecond(at).ok()),
            "a number of milliseconds since 1970",
        ),
        ExpiryUnit::Date => (value.as_str().and_then(parse_date), "a date"),
        ExpiryUnit::InSeconds => (after(value, 1, now), "a number of seconds"),
        ExpiryUnit::InMinutes => (after(value, 60, now), "a number of minutes"),
        ExpiryUnit::InDays => (after(value, 24 * 60 * 60, now), "a number of days"),
        ExpiryUnit::Jwt => (value.as_str().and_then(jwt_expiry), "in a JWT with the claim exp"),
    };
    instant.map(Some).ok_or(ExpiryError::Unreadable(expected))
}

/// A time with its offset; one without is UTC.
fn parse_time(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| {
        let time: DateTime = text.parse().ok()?;
        Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
    })
}

fn parse_date(text: &str) -> Option<Timestamp> {
    let date: Date = text.parse().ok()?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn after(value: &Value, unit: i64, now: Timestamp) -> Option<Timestamp> {
    let seconds = number(value)?.checked_mul(unit)?;
    now.checked_add(SignedDuration::from_secs(seconds)).ok()
}

/// The claim `exp`. The signature is not checked: the token came from the API itself.
fn jwt_expiry(token: &str) -> Option<Timestamp> {
    let payload = token.split('.').nth(1)?;
    let payload = Zeroizing::new(URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?);
    let claims: Value = serde_json::from_slice(&payload).ok()?;
    let exp = claims.get("exp")?;
    // NumericDate may have a fraction (RFC 7519, section 2).
    let seconds =
        exp.as_i64().or_else(|| exp.as_f64().filter(|exp| exp.abs() < 1e12).map(|exp| exp as i64))?;
    Timestamp::from_second(seconds).ok()
}

/// What a search says about a name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FindOutcome {
    /// The identifiers of the tokens with this name; `None` for one without.
    Found(Vec<Option<String>>),
    /// No token has this name, among as many as the page has.
    Absent {
        items: usize,
    },
    Other(Verdict),
}

/// Reads the answer to a search for an exact name.
pub(crate) fn read_find(find: &Find, answer: &Answer<'_>, name: &str) -> FindOutcome {
    let Some(call) = find.call() else { return FindOutcome::Other(Verdict::Unclear(Doubt::Missing("call"))) };
    let meanings = Meanings { gone: find.gone.as_ref(), ..Meanings::of(&call) };
    let body = match answer.verdict(meanings) {
        Verdict::Gone => return FindOutcome::Absent { items: 0 },
        Verdict::Success => match answer.json() {
            Ok(body) => body,
            Err(doubt) => return FindOutcome::Other(Verdict::Unclear(doubt)),
        },
        other => return FindOutcome::Other(other),
    };
    let unclear = |what: &'static str| FindOutcome::Other(Verdict::Unclear(Doubt::Missing(what)));
    let items = match &find.items {
        None if body.is_object() => std::slice::from_ref(&body),
        None => return unclear("token"),
        Some(pointer) => match pointer.find(&body) {
            Some(Value::Array(items)) => &items[..],
            // Some APIs say null for an empty list; one that has no such key is not understood.
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
mod tests {
    use serde_json::json;

    use super::*;
    use crate::upstream::description::Description;

    const NOW: &str = "2026-11-30T12:00:00Z";

    fn describe(mint: Value) -> Description {
        let mut description = json!({
            "name": "test",
            "auth": {"headers": {"Authorization": "Bearer {api_key}"}},
            "mint": {"post": "/t", "json": {"name": "{name}", "ttl": "{ttl.seconds}"}, "id": "/id", "token": "/token"},
            "find": {"get": "/t", "items": "/items", "name": "/name", "id": "/id"},
            "revoke": {"delete": "/t/{id}", "gone": {"status": [404]}},
            "recovery": {"find": {}},
        });
        description["mint"].as_object_mut().unwrap().extend(mint.as_object().unwrap().clone());
        Description::parse(&description.to_string()).unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn headers(kind: &str) -> HeaderMap {
        HeaderMap::from_iter([
            (CONTENT_TYPE, kind.parse().unwrap()),
            (http::header::LOCATION, "https://h/admin/clients/4f%2F2?x=1".parse().unwrap()),
        ])
    }

    fn mint(description: &Description, status: u16, body: &str) -> MintOutcome {
        let headers = headers("application/json");
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: &headers,
            body: body.as_bytes(),
        };
        let values = Values { name: Some("n-1"), generated_secret: Some("generated"), ..Values::default() };
        read_mint(&description.mint, &answer, &values, NOW.parse().unwrap())
    }

    #[track_caller]
    fn minted(description: &Description, body: &str) -> Minted {
        match mint(description, 200, body) {
            MintOutcome::Minted(minted) => minted,
            MintOutcome::Other(verdict) => panic!("{verdict:?}"),
        }
    }

    #[track_caller]
    fn check_verdict(description: &Description, status: u16, body: &str, expected: Verdict) {
        match mint(description, status, body) {
            MintOutcome::Minted(_) => panic!("minted from {status} {body}"),
            MintOutcome::Other(verdict) => assert_eq!(verdict, expected, "{status} {body}"),
        }
    }

    #[test]
    fn a_token_is_read_with_its_identifier_and_outputs() {
        let description = describe(json!({
            "outputs": {"user": "/user", "number": "/n", "kind": "bearer", "both": "{id}:{token}"},
        }));
        let read = minted(&description, r#"{"id": 17, "token": "t-1", "user": "ada", "n": 5}"#);
        assert_eq!((read.id.as_deref(), read.token.expose()), (Some("17"), "t-1"));
        let outputs: Vec<_> = read.outputs.iter().map(|(name, value)| (&**name, value.expose())).collect();
        assert_eq!(outputs, [("both", "17:t-1"), ("kind", "bearer"), ("number", "5"), ("user", "ada")]);
        assert_eq!(read.expires, Ok(None));

        let description = describe(json!({
            "id": {"header": "Location", "last_segment": true}, "token": "{generated.secret}", "success": [201],
        }));
        let MintOutcome::Minted(read) = mint(&description, 201, "") else {
            panic!("an empty body is enough")
        };
        assert_eq!((read.id.as_deref(), read.token.expose()), (Some("4f/2"), "generated"));
        check_verdict(&description, 200, "", Verdict::Unclear(Doubt::Status(StatusCode::OK)));
    }

    #[test]
    fn an_answer_that_does_not_hold_a_token_is_unclear() {
        let description = describe(json!({}));
        for (body, doubt) in [
            ("", Doubt::Missing("id")),
            ("<html>", Doubt::NotJson),
            ("{\"id\": \"a\", \"token\": \"t\"", Doubt::NotJson),
            ("[]", Doubt::Missing("id")),
            (r#"[{"id": "a", "token": "t"}]"#, Doubt::Missing("id")),
            (r#"{"id": "a"}"#, Doubt::Missing("token")),
            (r#"{"id": "a", "token": ["t"]}"#, Doubt::Missing("token")),
            (r#"{"id": "a", "token": {"t": "t"}}"#, Doubt::Missing("token")),
            (r#"{"id": "a", "token": ""}"#, Doubt::Missing("token")),
            (r#"{"id": "a", "token": null}"#, Doubt::Missing("token")),
            (r#"{"id": "", "token": "t"}"#, Doubt::Missing("id")),
            (r#"{"id": "..", "token": "t"}"#, Doubt::Missing("id")),
            (r#"{"id": "a\nb", "token": "t"}"#, Doubt::Missing("id")),
            (r#"{"id": 1.5, "token": "t"}"#, Doubt::Missing("id")),
            (r#"{"id": true, "token": "t"}"#, Doubt::Missing("id")),
        ] {
            check_verdict(&description, 200, body, Verdict::Unclear(doubt));
        }
        let long = format!(r#"{{"id": "a", "token": "{}"}}"#, "t".repeat(5 << 20));
        check_verdict(&description, 200, &long, Verdict::Unclear(Doubt::TooLong));
    }

    #[test]
    fn a_status_means_what_the_description_says() {
        let description = describe(json!({"exists": [409], "success": [200, 201]}));
        let status = |code| StatusCode::from_u16(code).unwrap();
        for (code, expected) in [
            (204, Verdict::Unclear(Doubt::Status(status(204)))),
            (301, Verdict::Redirected),
            (400, Verdict::Refused(status(400))),
            (401, Verdict::Unauthorized(status(401))),
            (403, Verdict::Unauthorized(status(403))),
            (404, Verdict::NotFound),
            (408, Verdict::Unclear(Doubt::Status(status(408)))),
            (409, Verdict::Exists),
            (422, Verdict::Refused(status(422))),
            (429, Verdict::Throttled),
            (500, Verdict::Unclear(Doubt::Status(status(500)))),
            (503, Verdict::Unclear(Doubt::Status(status(503)))),
        ] {
            check_verdict(&description, code, "{}", expected);
        }
        let narrow = describe(json!({"refused": [422]}));
        check_verdict(&narrow, 422, "{}", Verdict::Refused(status(422)));
        check_verdict(&narrow, 400, "{}", Verdict::Unclear(Doubt::Status(status(400))));
        check_verdict(&narrow, 401, "{}", Verdict::Unauthorized(status(401)));
    }

    #[test]
    fn an_error_inside_a_success_is_no_success() {
        let description = describe(json!({"error": "/error"}));
        for error in [r#""invalid_scope""#, "true", "1", r#"{"code": 1}"#, r#"["x"]"#] {
            let body = format!(r#"{{"id": "a", "token": "t", "error": {error}}}"#);
            let doubt = Doubt::ErrorInside(Pointer::parse("/error").unwrap());
            check_verdict(&description, 200, &body, Verdict::Unclear(doubt));
        }
        for error in ["null", "false", r#""""#, "[]", "{}"] {
            minted(&description, &format!(r#"{{"id": "a", "token": "t", "error": {error}}}"#));
        }
    }

    #[track_caller]
    fn check_expiry(unit: &str, value: Value, expected: Result<&str, ExpiryError>) {
        let description = describe(json!({"expires": {unit: "/end"}}));
        let body = json!({"id": "a", "token": "t", "end": value});
        let expires = minted(&description, &body.to_string()).expires;
        assert_eq!(expires, expected.map(|text| Some(text.parse().unwrap())), "{unit} {value}");
    }

    #[test]
    fn the_end_of_a_token_is_read_in_every_unit() {
        check_expiry("rfc3339", json!("2026-12-01T00:00:00+01:00"), Ok("2026-11-30T23:00:00Z"));
        check_expiry("rfc3339", json!("2026-12-01T00:00:00.5"), Ok("2026-12-01T00:00:00.5Z"));
        check_expiry("epoch", json!(1_796_040_000), Ok(NOW));
        check_expiry("epoch", json!("1796040000"), Ok(NOW));
        check_expiry("epoch_ms", json!(1_796_040_000_500_i64), Ok("2026-11-30T12:00:00.5Z"));
        check_expiry("date", json!("2026-12-01"), Ok("2026-12-01T00:00:00Z"));
        check_expiry("in_seconds", json!(90), Ok("2026-11-30T12:01:30Z"));
        check_expiry("in_minutes", json!("2"), Ok("2026-11-30T12:02:00Z"));
        check_expiry("in_days", json!(1), Ok("2026-12-01T12:00:00Z"));
        let jwt = |claims: &str| json!(format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims)));
        check_expiry("jwt", jwt(r#"{"exp": 1796040000}"#), Ok(NOW));
        check_expiry("jwt", jwt(r#"{"exp": 1796040000.5}"#), Ok(NOW));
        for (unit, value, expected) in [
            ("rfc3339", json!("tomorrow"), "an RFC 3339 time"),
            ("rfc3339", json!(5), "an RFC 3339 time"),
            ("epoch", json!(1.5), "a number of seconds since 1970"),
            ("epoch", json!(i64::MAX), "a number of seconds since 1970"),
            ("epoch_ms", json!(i64::MAX), "a number of milliseconds since 1970"),
            ("date", json!("soon"), "a date"),
            ("in_seconds", json!(i64::MAX), "a number of seconds"),
            ("in_days", json!(i64::MAX), "a number of days"),
            ("in_minutes", json!([1]), "a number of minutes"),
            ("jwt", json!("opaque"), "in a JWT with the claim exp"),
            ("jwt", jwt("{}"), "in a JWT with the claim exp"),
            ("jwt", jwt(r#"{"exp": 1e300}"#), "in a JWT with the claim exp"),
        ] {
            check_expiry(unit, value, Err(ExpiryError::Unreadable(expected)));
        }
        check_expiry("epoch", Value::Null, Err(ExpiryError::Missing));
        let optional = describe(json!({"expires": {"epoch": "/end", "optional": true}}));
        assert_eq!(minted(&optional, r#"{"id": "a", "token": "t"}"#).expires, Ok(None));
    }

    #[track_caller]
    fn check_find(status: u16, kind: &str, body: &str, expected: FindOutcome) {
        let description = describe(json!({}));
        let mut find = description.find.unwrap();
        find.gone = Some(Gone { status: StatusSet::of(&[404]), json: true });
        let headers = headers(kind);
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: &headers,
            body: body.as_bytes(),
        };
        assert_eq!(read_find(&find, &answer, "n-1"), expected, "{status} {body}");
    }

    #[test]
    fn a_search_finds_exact_names_only_and_doubts_what_it_does_not_understand() {
        const JSON: &str = "application/json; charset=utf-8";
        let found = |ids: &[&str]| FindOutcome::Found(ids.iter().map(|id| Some((*id).to_owned())).collect());
        let unclear = |what| FindOutcome::Other(Verdict::Unclear(Doubt::Missing(what)));
        check_find(
            200,
            JSON,
            r#"{"items": [{"name": "n-10", "id": 1}, {"name": "n-1", "id": 2}]}"#,
            found(&["2"]),
        );
        check_find(
            200,
            JSON,
            r#"{"items": [{"name": "n-1", "id": "a"}, {"name": "n-1", "id": "b"}]}"#,
            found(&["a", "b"]),
        );
        check_find(
            200,
            JSON,
            r#"{"items": [{"name": "x-n-1", "id": 1}, {"id": 2}, 5]}"#,
            FindOutcome::Absent { items: 3 },
        );
        check_find(200, JSON, r#"{"items": null}"#, FindOutcome::Absent { items: 0 });
        check_find(404, JSON, "{}", FindOutcome::Absent { items: 0 });
        check_find(200, JSON, r#"{"other": []}"#, unclear("list of tokens"));
        check_find(200, JSON, r#"{"items": {"name": "n-1"}}"#, unclear("list of tokens"));
        check_find(200, JSON, r#"{"items": [{"name": "n-1"}]}"#, unclear("id"));
        check_find(200, JSON, "", unclear("list of tokens"));
        let proxy = StatusCode::NOT_FOUND;
        check_find(404, "text/html", "<html>", FindOutcome::Other(Verdict::Unclear(Doubt::NotOfApi(proxy))));
        check_find(200, "text/html", "<html>", FindOutcome::Other(Verdict::Unclear(Doubt::NotJson)));
        check_find(401, JSON, "{}", FindOutcome::Other(Verdict::Unauthorized(StatusCode::UNAUTHORIZED)));
    }

    #[test]
    fn only_the_api_itself_can_say_that_a_token_is_gone() {
        let gone = Gone { status: StatusSet::of(&[404]), json: true };
        let html = Gone { json: false, ..gone.clone() };
        let verdict = |gone: &Gone, kind: &str| {
            let headers = headers(kind);
            let answer = Answer { status: StatusCode::NOT_FOUND, headers: &headers, body: b"not found" };
            answer.verdict(Meanings { gone: Some(gone), ..Meanings::default() })
        };
        assert_eq!(verdict(&gone, "application/json"), Verdict::Gone);
        assert_eq!(verdict(&gone, "application/problem+json"), Verdict::Gone);
        let doubt = Doubt::NotOfApi(StatusCode::NOT_FOUND);
        assert_eq!(verdict(&gone, "text/html"), Verdict::Unclear(doubt));
        assert_eq!(verdict(&html, "text/html"), Verdict::Gone);
    }

    #[test]
    fn a_login_is_read_from_a_header_or_a_body() {
        let login = |value: Value| serde_json::from_value::<Login>(value).unwrap();
        let read = |login: &Login, body: &str| {
            let mut headers = headers("text/plain");
            headers.insert("x-subject-token", "from-header".parse().unwrap());
            let answer = Answer { status: StatusCode::OK, headers: &headers, body: body.as_bytes() };
            read_login(login, &answer, &Values::default(), NOW.parse().unwrap())
                .map(|(token, end)| (token.expose().to_owned(), end.map(|end| end.to_string())))
        };
        let header = login(
            json!({"post": "/l", "token": {"header": "X-Subject-Token"}, "expires": {"rfc3339": "/end"}}),
        );
        assert_eq!(read(&header, "no json"), Ok(("from-header".to_owned(), None)));
        let body =
            login(json!({"post": "/l", "token": "/access_token", "expires": {"in_seconds": "/expires_in"}}));
        let end = Some("2026-11-30T12:01:00Z".to_owned());
        assert_eq!(read(&body, r#"{"access_token": "t", "expires_in": 60}"#), Ok(("t".to_owned(), end)));
        assert_eq!(read(&body, r#"{"access_token": "t"}"#), Ok(("t".to_owned(), None)));
        assert_eq!(read(&body, r#"{"error": "x"}"#), Err(Doubt::Missing("credential")));
    }
}
