//! Tests of the interpretation of responses.

use serde_json::json;

use data_encoding::BASE64URL_NOPAD;

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
    let response = ResponseParts {
        status: StatusCode::from_u16(status).unwrap(),
        headers: &headers,
        body: body.as_bytes(),
    };
    let values = Values { name: Some("n-1"), generated_secret: Some("generated"), ..Values::default() };
    read_mint(&description.mint, &response, &values, NOW.parse().unwrap())
}

#[track_caller]
fn minted(description: &Description, body: &str) -> Minted {
    match mint(description, 200, body) {
        MintOutcome::Minted(minted) => minted,
        MintOutcome::Other(class) => panic!("{class:?}"),
    }
}

#[track_caller]
fn check_class(description: &Description, status: u16, body: &str, expected: ResponseClass) {
    match mint(description, status, body) {
        MintOutcome::Minted(_) => panic!("minted from {status} {body}"),
        MintOutcome::Other(class) => assert_eq!(class, expected, "{status} {body}"),
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
    let MintOutcome::Minted(read) = mint(&description, 201, "") else { panic!("an empty body is enough") };
    assert_eq!((read.id.as_deref(), read.token.expose()), (Some("4f/2"), "generated"));
    check_class(&description, 200, "", ResponseClass::Unclear(UnclearReason::Status(StatusCode::OK)));
}

#[test]
fn a_response_that_does_not_hold_a_token_is_unclear() {
    let description = describe(json!({}));
    for (body, reason) in [
        ("", UnclearReason::Missing("id")),
        ("<html>", UnclearReason::NotJson),
        ("{\"id\": \"a\", \"token\": \"t\"", UnclearReason::NotJson),
        ("[]", UnclearReason::Missing("id")),
        (r#"[{"id": "a", "token": "t"}]"#, UnclearReason::Missing("id")),
        (r#"{"id": "a"}"#, UnclearReason::Missing("token")),
        (r#"{"id": "a", "token": ["t"]}"#, UnclearReason::Missing("token")),
        (r#"{"id": "a", "token": {"t": "t"}}"#, UnclearReason::Missing("token")),
        (r#"{"id": "a", "token": ""}"#, UnclearReason::Missing("token")),
        (r#"{"id": "a", "token": null}"#, UnclearReason::Missing("token")),
        (r#"{"id": "", "token": "t"}"#, UnclearReason::Missing("id")),
        (r#"{"id": "..", "token": "t"}"#, UnclearReason::Missing("id")),
        (r#"{"id": "a\nb", "token": "t"}"#, UnclearReason::Missing("id")),
        (r#"{"id": 1.5, "token": "t"}"#, UnclearReason::Missing("id")),
        (r#"{"id": true, "token": "t"}"#, UnclearReason::Missing("id")),
    ] {
        check_class(&description, 200, body, ResponseClass::Unclear(reason));
    }
    let long = format!(r#"{{"id": "a", "token": "{}"}}"#, "t".repeat(5 << 20));
    check_class(&description, 200, &long, ResponseClass::Unclear(UnclearReason::TooLong));
}

#[test]
fn a_status_means_what_the_description_says() {
    let description = describe(json!({"exists": [409], "success": [200, 201]}));
    let status = |code| StatusCode::from_u16(code).unwrap();
    for (code, expected) in [
        (204, ResponseClass::Unclear(UnclearReason::Status(status(204)))),
        (301, ResponseClass::Redirected),
        (400, ResponseClass::Refused(status(400))),
        (401, ResponseClass::Unauthorized(status(401))),
        (403, ResponseClass::Unauthorized(status(403))),
        (404, ResponseClass::NotFound),
        (408, ResponseClass::Unclear(UnclearReason::Status(status(408)))),
        (409, ResponseClass::Exists),
        (422, ResponseClass::Refused(status(422))),
        (429, ResponseClass::Throttled),
        (500, ResponseClass::Unclear(UnclearReason::Status(status(500)))),
        (503, ResponseClass::Unclear(UnclearReason::Status(status(503)))),
    ] {
        check_class(&description, code, "{}", expected);
    }
    let narrow = describe(json!({"refused": [422]}));
    check_class(&narrow, 422, "{}", ResponseClass::Refused(status(422)));
    check_class(&narrow, 400, "{}", ResponseClass::Unclear(UnclearReason::Status(status(400))));
    check_class(&narrow, 401, "{}", ResponseClass::Unauthorized(status(401)));
}

#[test]
fn an_error_in_a_response_with_a_success_status_is_a_failure() {
    let description = describe(json!({"error": "/error"}));
    for error in [r#""invalid_scope""#, "true", "1", r#"{"code": 1}"#, r#"["x"]"#] {
        let body = format!(r#"{{"id": "a", "token": "t", "error": {error}}}"#);
        let reason = UnclearReason::ErrorInside(Pointer::parse("/error").unwrap());
        check_class(&description, 200, &body, ResponseClass::Unclear(reason));
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
    let jwt = |claims: &str| json!(format!("e30.{}.sig", BASE64URL_NOPAD.encode(claims.as_bytes())));
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
    find.gone = Some(Gone { status: StatusSet::codes(&[404]), json: true });
    let headers = headers(kind);
    let response = ResponseParts {
        status: StatusCode::from_u16(status).unwrap(),
        headers: &headers,
        body: body.as_bytes(),
    };
    assert_eq!(read_find(&find, &response, "n-1"), expected, "{status} {body}");
}

#[test]
fn a_search_finds_exact_names_only_and_an_unexpected_response_is_unclear() {
    const JSON: &str = "application/json; charset=utf-8";
    let found = |ids: &[&str]| FindOutcome::Found(ids.iter().map(|id| Some((*id).to_owned())).collect());
    let unclear = |what| FindOutcome::Other(ResponseClass::Unclear(UnclearReason::Missing(what)));
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
    check_find(
        404,
        "text/html",
        "<html>",
        FindOutcome::Other(ResponseClass::Unclear(UnclearReason::NotOfApi(proxy))),
    );
    check_find(
        200,
        "text/html",
        "<html>",
        FindOutcome::Other(ResponseClass::Unclear(UnclearReason::NotJson)),
    );
    check_find(401, JSON, "{}", FindOutcome::Other(ResponseClass::Unauthorized(StatusCode::UNAUTHORIZED)));
}

#[test]
fn only_the_api_itself_can_say_that_a_token_is_gone() {
    let gone = Gone { status: StatusSet::codes(&[404]), json: true };
    let html = Gone { json: false, ..gone.clone() };
    let class = |gone: &Gone, kind: &str| {
        let headers = headers(kind);
        let response = ResponseParts { status: StatusCode::NOT_FOUND, headers: &headers, body: b"not found" };
        response.classify(StatusRules { gone: Some(gone), ..StatusRules::default() })
    };
    assert_eq!(class(&gone, "application/json"), ResponseClass::Gone);
    assert_eq!(class(&gone, "application/problem+json"), ResponseClass::Gone);
    let reason = UnclearReason::NotOfApi(StatusCode::NOT_FOUND);
    assert_eq!(class(&gone, "text/html"), ResponseClass::Unclear(reason));
    assert_eq!(class(&html, "text/html"), ResponseClass::Gone);
}

#[test]
fn a_login_is_read_from_a_header_or_a_body() {
    let login = |value: Value| serde_json::from_value::<Login>(value).unwrap();
    let read = |login: &Login, body: &str| {
        let mut headers = headers("text/plain");
        headers.insert("x-subject-token", "from-header".parse().unwrap());
        let response = ResponseParts { status: StatusCode::OK, headers: &headers, body: body.as_bytes() };
        read_login(login, &response, &Values::default(), NOW.parse().unwrap())
            .map(|(token, end)| (token.expose().to_owned(), end.map(|end| end.to_string())))
    };
    let header =
        login(json!({"post": "/l", "token": {"header": "X-Subject-Token"}, "expires": {"rfc3339": "/end"}}));
    assert_eq!(read(&header, "no json"), Ok(("from-header".to_owned(), None)));
    let body =
        login(json!({"post": "/l", "token": "/access_token", "expires": {"in_seconds": "/expires_in"}}));
    let end = Some("2026-11-30T12:01:00Z".to_owned());
    assert_eq!(read(&body, r#"{"access_token": "t", "expires_in": 60}"#), Ok(("t".to_owned(), end)));
    assert_eq!(read(&body, r#"{"access_token": "t"}"#), Ok(("t".to_owned(), None)));
    assert_eq!(read(&body, r#"{"error": "x"}"#), Err(UnclearReason::Missing("credential")));
}

#[test]
fn a_renewal_response_is_an_object_or_empty() {
    let expires: Expires = serde_json::from_value(json!({"rfc3339": "/end", "optional": true})).unwrap();
    let headers = headers("application/json");
    let read = |body: &str| {
        let response = ResponseParts { status: StatusCode::OK, headers: &headers, body: body.as_bytes() };
        read_renewed(Some(&expires), &response, NOW.parse().unwrap())
    };
    for body in ["", "{}", r#"{"end": null}"#] {
        assert_eq!(read(body), Ok(Ok(None)), "{body}");
    }
    assert_eq!(read(r#"{"end": "2026-11-30T12:00:00Z"}"#), Ok(Ok(Some(NOW.parse().unwrap()))));
    for body in ["[]", "1", "\"x\"", "[{}]"] {
        assert_eq!(read(body), Err(UnclearReason::NotObject), "{body}");
    }
}
