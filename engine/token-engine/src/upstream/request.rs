//! Renders the request of a call: a pure function of the call and the values of its placeholders.

use http::{HeaderName, HeaderValue, Method};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::description::{Body, Call};
use super::template::{HeaderFields, MAX_RENDERED, RenderError, ValueSource, encode_query, is_omitted};

/// A request without the credential.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// The path and the query below the endpoint. Begins with `/`.
    pub(crate) target: String,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Option<RequestBody>,
}

/// A body. It may contain secrets.
#[derive(Clone)]
pub(crate) struct RequestBody {
    pub(crate) kind: BodyKind,
    pub(crate) bytes: Zeroizing<Vec<u8>>,
}

/// The content type of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BodyKind {
    Json,
    Form,
}

impl BodyKind {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            BodyKind::Json => "application/json",
            BodyKind::Form => "application/x-www-form-urlencoded",
        }
    }
}

impl Request {
    /// Renders the request of a call.
    pub(crate) fn render(call: &Call<'_>, values: &impl ValueSource) -> Result<Request, RenderError> {
        let mut target = call.path.render(values)?;
        for (name, value) in call.query.render(values)? {
            add_query(&mut target, name, &value);
        }
        let headers = render_headers(call.headers, values)?;
        let body = match call.body {
            Body::None => None,
            Body::Json(json) => {
                Some(RequestBody { kind: BodyKind::Json, bytes: json.render(values)?.into() })
            }
            Body::Form(form) => {
                let mut pairs = form_urlencoded::Serializer::new(String::new());
                for (name, value) in form.render(values)? {
                    pairs.append_pair(name, &value);
                }
                Some(RequestBody { kind: BodyKind::Form, bytes: pairs.finish().into_bytes().into() })
            }
        };
        let sizes = headers.iter().map(|(_, value)| value.len());
        let size: usize = sizes.chain([target.len(), body.as_ref().map_or(0, |body| body.bytes.len())]).sum();
        if size > MAX_RENDERED {
            return Err(RenderError::TooLong);
        }
        Ok(Request { method: call.method.clone(), target, headers, body })
    }

    /// Returns the body as text, which all kinds of bodies are.
    pub(crate) fn body_text(&self) -> Option<String> {
        self.body.as_ref().map(|body| String::from_utf8_lossy(&body.bytes).into_owned())
    }

    /// Replaces the body. A request without a body stays without.
    pub(crate) fn with_body(self, text: &str) -> Request {
        let body = self.body.map(|body| RequestBody { bytes: text.as_bytes().to_vec().into(), ..body });
        Request { body, ..self }
    }

    /// Adds a parameter to the query.
    pub(crate) fn add_query(&mut self, name: &str, value: &str) {
        add_query(&mut self.target, name, value);
    }
}

/// Adds a parameter to a path.
fn add_query(target: &mut String, name: &str, value: &str) {
    target.push(if target.contains('?') { '&' } else { '?' });
    target.push_str(&format!("{}={}", encode_query(name), encode_query(value)));
}

/// Renders headers. A value must be printable ASCII, so that it cannot add another header.
pub(crate) fn render_headers(
    fields: &HeaderFields,
    values: &impl ValueSource,
) -> Result<Vec<(HeaderName, HeaderValue)>, RenderError> {
    let mut headers = Vec::with_capacity(fields.0.len());
    for (name, text) in &fields.0 {
        if is_omitted(text, values) {
            continue;
        }
        let text = Zeroizing::new(text.render(values)?);
        let invalid = || RenderError::Header(name.to_string());
        if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(invalid());
        }
        let mut value = HeaderValue::from_str(&text).map_err(|_| invalid())?;
        value.set_sensitive(true);
        headers.push((name.clone(), value));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::BTreeMap;

    use jiff::Timestamp;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::upstream::description::Description;
    use crate::upstream::presets::{DEFAULT_PRESET, find_preset};
    use crate::upstream::template::{Lookup, Placeholder};
    use crate::upstream::values::{Lifetime, Parameters, Values};

    /// Returns a valid description with this mint.
    fn describe(mint: Value) -> Description {
        let mut description = json!({
            "name": "test",
            "config": {"realm": {"default": "main"}, "path": {"type": "path", "default": "/api"}},
            "parameters": {
                "user": {"required": true}, "scopes": {"type": "list"}, "rules": {"type": "json"},
                "level": {"type": "int", "default": 30}, "on": {"type": "bool", "default": true},
            },
            "auth": {"headers": {"Authorization": "Bearer {api_key}"}},
            "mint": {"token": "/token", "longest_life": "1h"},
            // Uses every parameter, as validation requires.
            "before": {"put": "/x", "query": {
                "a": "{config.realm}", "b": "{role.user}", "c": "{role.scopes?}", "d": "{role.level}", "e": "{role.on}",
            }, "json": {"rules": "{role.rules?}"}},
            "revoke": {"post": "{config.path}/revoke", "json": {"name": "{name}"}},
            "recovery": "none",
        });
        description["mint"].as_object_mut().unwrap().extend(mint.as_object().unwrap().clone());
        if mint.to_string().contains("{ttl.") || mint.to_string().contains("{expires.") {
            description["mint"].as_object_mut().unwrap().remove("longest_life");
        }
        Description::parse(&description.to_string()).unwrap_or_else(|problems| panic!("{problems}"))
    }

    struct Fixture {
        config: Parameters,
        role: Parameters,
        permissions: Vec<String>,
        before: BTreeMap<String, String>,
    }

    impl Fixture {
        fn new(role: Value) -> Fixture {
            let parameters = |value: Value| serde_json::from_value::<Parameters>(value).unwrap();
            Fixture {
                config: parameters(json!({"realm": "main", "path": "/api"})),
                role: parameters(role),
                permissions: vec!["read".to_owned(), "write".to_owned()],
                before: BTreeMap::new(),
            }
        }

        fn values(&self) -> Values<'_> {
            let now: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
            Values {
                api_key: Some("the-key"),
                config: Some(&self.config),
                role: Some(&self.role),
                permissions: Some(&self.permissions),
                name: Some("vault-dev-1"),
                generated_secret: Some("generated"),
                idempotency_key: Some("key-1"),
                lifetime: Some(Lifetime { now, seconds: 3600 }),
                before: Some(&self.before),
                ..Values::default()
            }
        }
    }

    fn render(mint: Value, role: Value) -> Result<Request, RenderError> {
        let description = describe(mint);
        Request::render(&description.mint.call().unwrap(), &Fixture::new(role).values())
    }

    #[track_caller]
    fn check(mint: Value, role: Value, target: &str, body: &str) {
        let request = render(mint.clone(), role).unwrap();
        assert_eq!(request.target, target, "{mint}");
        let sent =
            request.body.map(|body| String::from_utf8(body.bytes.to_vec()).unwrap()).unwrap_or_default();
        assert_eq!(sent, body, "{mint}");
    }

    #[test]
    fn a_value_that_is_one_placeholder_keeps_its_type() {
        let mint = json!({"post": "/tokens", "json": {
            "z": "{name}", "a": "{permissions}", "ttl": "{ttl.seconds}", "text": "for {ttl.seconds} s", "level": "{role.level}",
            "on": "{role.on}", "rules": "{role.rules?}", "scopes": "{role.scopes?}", "joined": "{permissions:comma}",
            "list": ["{role.user}", {"deep": "{role.level}"}], "literal": "{{x}}", "null": null, "number": 1.5,
        }});
        check(
            mint,
            json!({"user": "a\"b", "level": 30, "on": false, "rules": {"allow": ["x"]}}),
            "/tokens",
            r#"{"a":["read","write"],"joined":"read,write","level":30,"list":["a\"b",{"deep":30}],"literal":"{x}","null":null,"number":1.5,"on":false,"rules":{"allow":["x"]},"text":"for 3600 s","ttl":3600,"z":"vault-dev-1"}"#,
        );
    }

    #[test]
    fn a_value_is_escaped_for_its_position() {
        let hostile = "a/../b?c=d&e#f%2F\u{e4} \"";
        let role = json!({"user": hostile, "level": 1, "on": true, "scopes": ["x y", "z"]});
        check(
            json!({
                "post": "/users/{role.user}/tokens", "query": {"q": "{role.user}", "s": "{role.scopes?}"},
                "form": {"user": "{role.user}", "scope": "{role.scopes:space?}"},
            }),
            role,
            "/users/a%2F..%2Fb%3Fc=d&e%23f%252F%C3%A4%20%22/tokens?q=a%2F..%2Fb%3Fc%3Dd%26e%23f%252F%C3%A4%20%22&s=x%20y&s=z",
            "scope=x+y+z&user=a%2F..%2Fb%3Fc%3Dd%26e%23f%252F%C3%A4+%22",
        );
    }

    #[test]
    fn an_optional_empty_value_is_omitted() {
        let mint = json!({
            "post": "/t", "query": {"s": "{role.scopes?}"}, "json": {"s": "{role.scopes?}", "m": {"s": "{role.scopes?}"}},
            "headers": {"X-Scopes": "{role.scopes:comma?}"},
        });
        for role in [json!({}), json!({"scopes": []}), json!({"scopes": null})] {
            check(mint.clone(), role.clone(), "/t", r#"{"m":{}}"#);
            assert!(render(mint.clone(), role).unwrap().headers.is_empty());
        }
    }

    #[test]
    fn a_value_that_does_not_fit_its_position_is_refused_without_being_shown() {
        let mint = json!({"post": "/users/{role.user}/tokens", "headers": {"X-User": "{role.user}"}});
        for (value, expected) in [
            (".", "would be empty"),
            ("..", "would be empty"),
            ("", "would be empty"),
            ("hunter2\r\nX-Evil: 1", "header x-user"),
            ("hunter2\u{e4}", "header x-user"),
            ("hunter2\0", "header x-user"),
        ] {
            let error = render(mint.clone(), json!({"user": value})).err().unwrap().to_string();
            assert!(error.contains(expected) && !error.contains("hunter2"), "{value:?}: {error}");
        }
        let long = "x".repeat(MAX_RENDERED);
        let error = render(json!({"post": "/t", "json": {"u": "{role.user}"}}), json!({"user": long})).err();
        assert_eq!(error, Some(RenderError::TooLong));
        let error = render(json!({"post": "/t/{role.user}{role.level}"}), json!({"user": "."})).err();
        assert_eq!(
            error.unwrap().to_string(),
            "a path segment made of {role.level} would be empty, \".\" or \"..\""
        );
    }

    #[test]
    fn a_path_parameter_is_the_beginning_of_a_path_and_nothing_else() {
        check(json!({"post": "{config.path}/{name}"}), json!({}), "/api/vault-dev-1", "");
        let description = describe(json!({"post": "{config.path}/{name}"}));
        for path in ["//evil.example", "https://evil.example", "/..", "/a/../..", "/a?b", "@evil"] {
            let mut fixture = Fixture::new(json!({}));
            fixture.config.insert("path".to_owned(), path.into());
            let error = Request::render(&description.mint.call().unwrap(), &fixture.values()).err();
            assert!(matches!(error, Some(RenderError::Path(_))), "{path}: {error:?}");
        }
    }

    /// Counts how often a placeholder is looked up.
    struct Counted<'a>(Values<'a>, Cell<usize>);

    impl ValueSource for Counted<'_> {
        fn lookup(&self, placeholder: &Placeholder) -> Lookup<'_> {
            self.1.set(self.1.get() + 1);
            self.0.lookup(placeholder)
        }
    }

    #[test]
    fn the_mint_of_the_default_contract_looks_each_of_its_placeholders_up_once() {
        let description = find_preset(DEFAULT_PRESET).unwrap().description();
        let fixture = Fixture::new(json!({}));
        let values = Counted(fixture.values(), Cell::default());
        let request = Request::render(&description.mint.call().unwrap(), &values).unwrap();
        assert_eq!(request.headers[0].1, "key-1");
        assert_eq!(
            request.body_text().unwrap(),
            r#"{"name":"vault-dev-1","permissions":["read","write"],"ttl":3600}"#
        );
        assert_eq!(values.1.get(), 4, "the idempotency key, the name, the permissions and the TTL");
    }

    #[test]
    fn a_repeated_request_has_the_recorded_body_and_one_without_a_body_stays_without() {
        let with_body = render(json!({"post": "/t", "json": {"n": "{name}"}}), json!({})).unwrap();
        assert_eq!(with_body.with_body("recorded").body_text().as_deref(), Some("recorded"));
        let without = render(json!({"post": "/t/{name}"}), json!({})).unwrap();
        assert_eq!(without.with_body("recorded").body_text(), None);
    }

    #[test]
    fn the_commas_of_a_list_and_a_map_are_those_of_the_values_that_are_present() {
        let tree = json!({
            "a": "{role.scopes?}", "b": "x{name}", "c": "{role.scopes?}", "d": ["{role.scopes?}", 1, "{role.scopes?}", true],
            "e": ["{role.scopes?}"], "f": {"g": "{role.scopes?}"}, "h": "{role.scopes?}",
        });
        let mint = json!({"post": "/t", "json": tree});
        check(mint, json!({}), "/t", r#"{"b":"xvault-dev-1","d":[1,true],"e":[],"f":{}}"#);
    }

    #[test]
    fn the_default_contract_is_rendered_to_the_same_bytes_as_before() {
        let mint = json!({
            "post": "/tokens",
            "json": {"name": "{name}", "permissions": "{permissions}", "ttl": "{ttl.seconds}"},
        });
        check(
            mint,
            json!({}),
            "/tokens",
            r#"{"name":"vault-dev-1","permissions":["read","write"],"ttl":3600}"#,
        );
    }

    proptest! {
        /// For all values, the request stays below the endpoint and each value in its segment.
        #[test]
        fn no_value_leaves_its_segment(user in any::<String>(), name in any::<String>(), scopes in any::<Vec<String>>()) {
            let description = describe(json!({
                "put": "/api/{role.user}/x-{name}/end", "query": {"a": "{role.user}", "s": "{role.scopes?}"},
            }));
            let fixture = Fixture::new(json!({"user": user, "scopes": scopes}));
            let values = Values { name: Some(&name), ..fixture.values() };
            let Ok(request) = Request::render(&description.mint.call().unwrap(), &values) else {
                let is_dots = |text: &str| matches!(text, "" | "." | "..");
                prop_assert!(is_dots(&user) || name.is_empty());
                return Ok(());
            };
            for endpoint in ["https://tokens.example.com", "http://h:8080/base/path"] {
                let endpoint = reqwest::Url::parse(endpoint).unwrap();
                let text = format!("{}{}", endpoint.as_str().trim_end_matches('/'), request.target);
                let url = reqwest::Url::parse(&text).unwrap();
                prop_assert_eq!(url.as_str(), &text);
                prop_assert_eq!(url.origin(), endpoint.origin());
                let base = endpoint.path_segments().unwrap().filter(|segment| !segment.is_empty()).count();
                let segments: Vec<String> = url
                    .path_segments()
                    .unwrap()
                    .skip(base)
                    .map(|segment| percent_encoding::percent_decode_str(segment).decode_utf8().unwrap().into_owned())
                    .collect();
                prop_assert_eq!(segments, ["api".to_owned(), user.clone(), format!("x-{name}"), "end".to_owned()]);
                let pairs: Vec<(String, String)> =
                    url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
                let mut expected = vec![("a".to_owned(), user.clone())];
                expected.extend(scopes.iter().map(|scope| ("s".to_owned(), scope.clone())));
                prop_assert_eq!(pairs, expected);
                prop_assert!(url.fragment().is_none() && url.username().is_empty());
            }
        }

        /// A call that is bound, stored and read again renders the same request.
        #[test]
        fn a_stored_call_is_the_same_request(user in any::<String>(), id in "[^\0]{1,20}", name in "[ -~]{1,20}") {
            let text = json!({
                "name": "test", "parameters": {"user": {"required": true}, "scopes": {"type": "list"}},
                "auth": {"headers": {"Authorization": "Bearer {api_key}"}},
                "mint": {"post": "/t", "id": "/id", "token": "/token", "longest_life": "1h"},
                "revoke": {
                    "delete": "/u/{role.user}/{id}", "query": {"s": "{role.scopes?}", "n": "x{name}"}, "headers": {"X-N": "{name}"},
                    "json": {"ids": ["{id}"], "user": "{role.user}", "brace": "{{}}", "s": "{role.scopes?}"},
                },
                "recovery": "none",
            });
            let description = Description::parse(&text.to_string()).unwrap();
            let fixture = Fixture::new(json!({"user": user, "scopes": ["{a}", "b"]}));
            let known = Values { role: Some(&fixture.role), name: Some(&name), ..Values::default() };
            let all = Values { id: Some(&id), ..known };
            let Ok(direct) = Request::render(&description.revoke.call().unwrap(), &all) else { return Ok(()) };
            let stored = serde_json::to_string(&description.revoke.bind(&known).unwrap()).unwrap();
            let kept = !stored.contains("{name}") && stored.contains("{id}");
            prop_assert!(kept);
            let bound: crate::upstream::description::Revoke = serde_json::from_str(&stored).unwrap();
            let last = Values { id: Some(&id), ..Values::default() };
            let later = Request::render(&bound.call().unwrap(), &last).unwrap();
            prop_assert_eq!((later.method, later.target, later.headers), (direct.method, direct.target, direct.headers));
            prop_assert_eq!(later.body.unwrap().bytes, direct.body.unwrap().bytes);
        }
    }
}
