//! Problems of a description are reported with their places.

use serde_json::{Value, json};

use crate::upstream::description::Description;
use crate::upstream::presets;

/// Returns a valid description with every kind of call.
fn valid() -> Value {
    json!({
        "name": "example",
        "config": {"realm": {"default": "main"}, "key_two": {"secret": true, "required": true}},
        "parameters": {"user": {"required": true}, "scopes": {"type": "list"}, "rules": {"type": "json"}},
        "auth": {
            "headers": {"Authorization": "Bearer {login.token}", "X-Key": "{config.key_two}"},
            "login": {"post": "/login", "form": {"secret": "{api_key}"}, "token": "/token", "expires": {"in_seconds": "/expires_in"}},
        },
        "mint": {
            "post": "/realms/{config.realm}/tokens",
            "json": {
                "name": "{name}", "user": "{role.user}", "scopes": "{role.scopes?}", "rules": "{role.rules?}",
                "ttl": "{ttl.seconds}",
            },
            "id": "/id", "token": "/token", "outputs": {"user": "/user"}, "expires": {"rfc3339": "/expires_at"},
        },
        "renew": {"post": "/tokens/{id}/renew", "json": {"ttl": "{ttl.seconds}"}},
        "revoke": {"delete": "/tokens/{id}", "gone": {"status": [404]}},
        "find": {"get": "/tokens", "query": {"name": "{name}"}, "items": "", "name": "/name", "id": "/id"},
        "recovery": {"find": {"settle": "30s"}},
        "probe": {"get": "/me", "account": "/id"},
    })
}

/// Returns the description with the values at these pointers replaced. Null removes a key.
fn changed(changes: &[(&str, Value)]) -> String {
    let mut description = valid();
    for (pointer, value) in changes {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let map = description.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        let key = key.replace("~1", "/");
        if value.is_null() { drop(map.remove(&key)) } else { drop(map.insert(key, value.clone())) }
    }
    description.to_string()
}

#[track_caller]
fn check(changes: &[(&str, Value)], expected: &str) {
    let problems = Description::parse(&changed(changes)).err().map(|problems| problems.to_string());
    let problems = problems.unwrap_or_else(|| panic!("{changes:?} is accepted"));
    assert!(
        problems.lines().any(|line| line.trim().starts_with(expected)),
        "{changes:?}:\n{problems}\nnot: {expected}"
    );
}

#[track_caller]
fn accepted(changes: &[(&str, Value)]) {
    if let Err(problems) = Description::parse(&changed(changes)) {
        panic!("{changes:?}: {problems}");
    }
}

#[test]
fn a_description_with_every_kind_of_call_is_accepted() {
    accepted(&[]);
}

#[test]
fn keys_and_placeholders_that_do_not_exist_are_named_with_the_nearest_one() {
    check(&[("/mint/jsn", json!({}))], "mint.jsn: unknown key; did you mean json?");
    check(&[("/mnt", json!({}))], "mnt: unknown key; did you mean mint?");
    check(
        &[("/mint/json/ttl", json!("{ttl.second}"))],
        "mint.json.ttl: unknown placeholder {ttl.second}; did you mean {ttl.seconds}?",
    );
    check(
        &[("/mint/json/deep", json!({"list": [1, "{role.usr}"]}))],
        "mint.json.deep.list[1]: parameters declares no parameter usr; did you mean user?",
    );
    check(
        &[("/mint/post", json!("/{config.relm}"))],
        "mint.post: config declares no parameter relm; did you mean realm?",
    );
    check(
        &[("/revoke/gone", json!({"status": [404], "jsn": true}))],
        "revoke.gone.jsn: unknown key; did you mean json?",
    );
    check(&[("/parameters/user/typ", json!("int"))], "parameters.user.typ: unknown key; did you mean type?");
    check(&[("/parameters/user/type", json!("integer"))], "parameters.user.type: must be one of string, int");
    check(
        &[("/recovery", json!({"fnd": {}}))],
        "recovery: must be one of replay, find, delete_by_name, none; did you mean find?",
    );
    check(
        &[("/recovery", json!({"find": {"settel": "3s"}}))],
        "recovery.find.settel: unknown key; did you mean settle?",
    );
    check(&[("/recovery", json!({"find": {"settle": "soon"}}))], "recovery.find.settle: must be a duration");
    check(&[("/mint/token", Value::Null)], "mint: token is required");
    check(&[("/revoke", Value::Null)], "the description: revoke is required");
}

#[test]
fn a_placeholder_where_it_has_no_value_is_refused() {
    check(
        &[("/mint/json/id", json!("{id}"))],
        "mint.json.id: {id} has no value here: the token does not exist yet",
    );
    check(&[("/mint/post", json!("/{token}"))], "mint.post: {token} has no value here");
    check(&[("/mint/id", json!("{token}"))], "mint.id: {token} has no value here");
    check(
        &[("/revoke/query", json!({"k": "{api_key}"}))],
        "revoke.query.k: {api_key} has no value here: the call is stored",
    );
    check(
        &[("/revoke/query", json!({"k": "{config.key_two}"}))],
        "revoke.query.k: {config.key_two} is secret",
    );
    check(
        &[("/revoke/query", json!({"p": "{permissions}"}))],
        "revoke.query.p: {permissions} has no value here",
    );
    check(
        &[("/find/query", json!({"id": "{id}"}))],
        "find.query.id: {id} has no value here: a token is found by its {name}",
    );
    check(&[("/probe/query", json!({"u": "{role.user}"}))], "probe.query.u: {role.user} has no value here");
    check(&[("/mint/json/before", json!("{before.uid}"))], "mint.json.before: before.values has no uid");
}

#[test]
fn a_login_cannot_use_what_it_obtains() {
    check(
        &[("/auth/login/form", json!({"token": "{login.token}"}))],
        "auth.login.form.token: {login.token} has no value here: this is what the login obtains",
    );
    check(&[("/auth/login", Value::Null)], "auth.headers: {login.token} needs the call auth.login");
    check(
        &[("/auth/headers/Authorization", json!("Bearer {api_key}"))],
        "auth.headers: no header uses {login.token}",
    );
    check(
        &[("/mint/json/t", json!("{login.token}"))],
        "mint.json.t: {login.token} has no value here: auth sends it",
    );
}

#[test]
fn a_value_that_does_not_fit_its_position_is_refused() {
    accepted(&[("/mint/query", json!({"s": "{role.scopes?}"}))]);
    accepted(&[("/mint/query", json!({"s": "{role.scopes:comma?}"}))]);
    check(
        &[("/mint/json/text", json!("for {permissions}"))],
        "mint.json.text: {permissions} is a list: write :space",
    );
    check(
        &[("/mint/headers", json!({"X-S": "{role.scopes?}"}))],
        "mint.headers.x-s: {role.scopes?} is a list",
    );
    check(&[("/mint/query", json!({"r": "{role.rules?}"}))], "mint.query.r: {role.rules?} is a JSON value");
    check(&[("/mint/json/n", json!("{name:comma}"))], "mint.json.n: {name:comma} is not a list");
    check(
        &[("/mint/json/s", json!("{role.scopes}"))],
        "mint.json.s: {role.scopes} can be empty: write {role.scopes?}",
    );
    check(&[("/parameters/user/required", json!(false))], "mint.json.user: {role.user} can be empty");
    check(
        &[("/mint/post", json!("{config.realm}/x"))],
        "mint.post: {config.realm} a path begins with /, or with a parameter of type path",
    );
    check(&[("/parameters/user/type", json!("path"))], "parameters.user.type: a role cannot choose a path");
    check(
        &[("/parameters/user/secret", json!(true))],
        "parameters.user.secret: a role must not contain a secret",
    );
}

#[test]
fn a_path_stays_below_the_endpoint() {
    for path in ["https://example.com/x", "//example.com/x", "x", "/a/../b", "/a?b=c", "/%2e%2e/x"] {
        check(&[("/mint/post", json!(path))], "mint.post: ");
        check(&[("/auth/login/post", json!(path))], "auth.login.post: ");
    }
}

#[test]
fn a_header_that_could_change_the_request_or_that_is_given_twice_is_refused() {
    for name in ["Host", "content-length", "Transfer-Encoding", "Connection", "Content-Type"] {
        check(&[("/mint/headers", json!({name: "x"}))], "mint.headers: ");
    }
    check(&[("/mint/headers", json!({"a b": "x"}))], "mint.headers: is not the name of a header");
    check(
        &[("/mint/headers", json!({"X-A": "1", "x-a": "2"}))],
        "mint.headers: x-a: this header is given twice",
    );
    check(
        &[("/mint/headers", json!({"authorization": "x"}))],
        "mint.headers.authorization: this header is given twice: auth sets it too",
    );
    accepted(&[("/auth/login/headers", json!({"Authorization": "Bearer {api_key}"}))]);
    let basic = json!({"basic": {"user": "u", "password": "{api_key}"}, "headers": {"AUTHORIZATION": "{config.key_two}"}});
    check(&[("/auth", basic)], "auth: header authorization is given twice");
}

#[test]
fn a_call_has_one_method_and_one_body() {
    check(&[("/mint/put", json!("/x"))], "mint: needs exactly one of get, post, put, patch, delete");
    check(&[("/mint/post", Value::Null)], "mint: needs exactly one of");
    check(&[("/mint/form", json!({"a": "b"}))], "mint: must not have both json and form");
    check(&[("/find/json", json!({}))], "find: get must not have a body");
    check(&[("/mint/success", json!([404]))], "mint.success: only a 2xx status means success");
    check(&[("/mint/exists", json!([200]))], "mint.exists: a 2xx status means success");
    check(&[("/revoke/gone", json!({"status": ["2xx"]}))], "revoke.gone.status: a 2xx status means success");
    check(&[("/mint/error", json!(""))], "mint.error: must point to a part");
    check(&[("/mint/id", json!("id"))], "mint.id: must be a JSON pointer");
    check(&[("/mint/id", json!("/a~2"))], "mint.id: contains a ~");
    check(&[("/find/name", json!("name"))], "find.name: must be a JSON pointer");
    check(
        &[("/mint/expires", json!({"rfc3339": "/a", "epoch": "/b"}))],
        "mint.expires: needs exactly one of",
    );
    check(&[("/mint/expires", json!({"optional": true}))], "mint.expires: needs exactly one of");
    check(
        &[("/mint/outputs", json!({"token": "/x"}))],
        "mint.outputs.token: every credential has this field already",
    );
    check(&[("/mint/outputs", json!({"A b": "/x"}))], "mint.outputs.A b: the name of a value must have");
    check(&[("/mint/id", json!({"header": "a b"}))], "mint.id: header is not a valid header name");
    check(&[("/mint/id", json!({"at": "/a", "header": "b"}))], "mint.id: must have exactly one of the keys");
}

#[test]
fn a_call_on_a_token_identifies_the_token() {
    check(&[("/revoke/delete", json!("/tokens"))], "revoke: does not identify the token");
    check(&[("/renew/post", json!("/tokens/renew"))], "renew: does not identify the token");
    check(&[("/mint/id", Value::Null)], "revoke: uses {id}, which needs mint.id");
    check(&[("/find/query", Value::Null), ("/find/items", Value::Null)], "find: needs items, or {name}");
}

#[test]
fn recovery_needs_its_placeholders_and_calls() {
    check(&[("/find", Value::Null)], "recovery.find: needs the call find");
    check(&[("/find/id", Value::Null)], "recovery.find: needs find.id");
    check(&[("/mint/json/name", Value::Null)], "recovery.find: needs {name} in mint");
    check(
        &[("/revoke", json!({"post": "/r", "form": {"t": "{token}"}}))],
        "recovery.find: cannot be used, because revoke uses {token}",
    );
    check(
        &[("/recovery", json!({"delete_by_name": {}}))],
        "recovery.delete_by_name: needs a revoke that uses {name}",
    );
    check(
        &[("/recovery", json!({"replay": {"remembered_for": "1d"}}))],
        "recovery.replay: needs {idempotency_key} in mint",
    );
    check(
        &[("/mint/headers", json!({"X-I": "{idempotency_key}"}))],
        "recovery: {idempotency_key} needs replay",
    );
    let replayed = |more: (&'static str, Value)| {
        vec![
            ("/mint/headers", json!({"X-I": "{idempotency_key}"})),
            ("/recovery", json!({"replay": {"remembered_for": "1d"}})),
            more,
        ]
    };
    accepted(&replayed(("/reused_ids", json!(true))));
    check(
        &replayed(("/mint/json/k", json!("{api_key}"))),
        "mint: {api_key} cannot be used: the call is stored to be repeated",
    );
    check(&replayed(("/mint/json/k", json!("{config.key_two}"))), "mint: {config.key_two} cannot be used");
    check(
        &replayed(("/recovery", json!({"replay": {"remembered_for": "1m"}}))),
        "recovery.replay.remembered_for: must be at least 5m",
    );
    accepted(&[("/recovery", json!("none"))]);
    check(
        &[("/recovery", json!("none")), ("/mint/json/ttl", Value::Null)],
        "recovery: none needs tokens that expire",
    );
    check(&[("/mint/longest_life", json!("1h"))], "mint.longest_life: has no effect");
    check(
        &[
            ("/mint/json/ttl", Value::Null),
            ("/renew", Value::Null),
            ("/mint/longest_life", json!("for ever")),
        ],
        "mint.longest_life: must be a duration",
    );
    check(
        &[("/find/id", Value::Null), ("/reused_ids", json!(true))],
        "reused_ids: needs mint.id, and find with id",
    );
}

#[test]
fn a_declared_parameter_is_used_and_valid() {
    check(&[("/parameters/more", json!({}))], "parameters.more: no call uses this parameter");
    check(&[("/config/more", json!({}))], "config.more: no call uses this parameter");
    check(&[("/parameters/User", json!({}))], "parameters.User: the name of a parameter must have");
    check(
        &[("/config/key_two", json!({"secret": true, "default": "hunter2"}))],
        "config.key_two.default: a secret must not have a default",
    );
    check(
        &[("/parameters/scopes/default", json!({"a": 1}))],
        "parameters.scopes.default: must be a list of texts",
    );
    check(
        &[("/parameters/user/default", json!("x"))],
        "parameters.user: a parameter with a default cannot be required",
    );
    check(&[("/name", json!("Example"))], "name: must be 1 to 64 lower-case letters");
    check(&[("/naming", json!({"max_length": 10}))], "naming.max_length: must be at least 40");
}

#[test]
fn all_problems_are_reported_at_once_and_no_value_is_shown() {
    let text = changed(&[
        ("/mint/json/secret", json!("hunter2 {id}")),
        ("/revoke/headers", json!({"Authorization": "hunter2"})),
        ("/parameters/more", json!({"default": "hunter2", "type": "int"})),
    ]);
    let problems = Description::parse(&text).err().unwrap().to_string();
    assert_eq!(problems.lines().count(), 5, "{problems}");
    assert!(!problems.contains("hunter2"), "{problems}");
}

#[test]
fn an_invalid_or_too_large_document_is_rejected() {
    for (text, expected) in [
        ("", "the description: is empty"),
        ("[]", "the description: must be a map, not a list"),
        ("name: [", "the description: is neither JSON nor YAML"),
        ("name: a\nname: b", "the description: is neither JSON nor YAML"),
    ] {
        let problems = Description::parse(text).err().unwrap().to_string();
        assert!(problems.contains(expected), "{text}: {problems}");
    }
    let many: serde_json::Map<String, Value> = (0..10_000).map(|n| (format!("k{n}"), json!(1))).collect();
    let problems =
        Description::parse(&changed(&[("/mint/json/many", many.into())])).err().unwrap().to_string();
    assert!(problems.contains("longer than 64 KiB"), "{problems}");
    let many: serde_json::Map<String, Value> = (0..3_000).map(|n| (format!("k{n}"), json!(1))).collect();
    let problems =
        Description::parse(&changed(&[("/mint/json/many", many.into())])).err().unwrap().to_string();
    assert!(problems.contains("more than 2000 keys and values"), "{problems}");
}

#[test]
fn a_description_is_written_as_it_was_read() {
    for preset in presets::all_presets() {
        let description = preset.description();
        let written = serde_json::to_string(&*description).unwrap();
        assert!(Description::parse(&written).ok() == Some((*description).clone()), "{}", preset.name);
    }
}

/// Returns a valid rotation, which the description of [`valid`] gets with a `probe` that identifies the key.
fn rotation(changes: &[(&str, Value)]) -> Vec<(&'static str, Value)> {
    let mut rotate = json!({
        "post": "/users/{key.owner}/keys", "json": {"name": "{name}"}, "id": "/id", "api_key": "/key",
        "find": {"get": "/keys", "items": "", "name": "/name", "id": "/id"},
        "revoke_old": {"delete": "/keys/{id}", "gone": {"status": [404]}},
    });
    for (pointer, value) in changes {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let map = rotate.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        if value.is_null() { drop(map.remove(key)) } else { drop(map.insert(key.to_owned(), value.clone())) }
    }
    vec![
        ("/rotate", rotate),
        ("/probe", json!({"get": "/me", "account": "/id", "key_id": "/key/id", "key_owner": "/user"})),
    ]
}

#[track_caller]
fn check_rotation(changes: &[(&str, Value)], expected: &str) {
    check(&rotation(changes), expected);
}

#[test]
fn a_rotation_needs_a_proof_of_the_new_key_and_a_revocation_of_the_old_one() {
    accepted(&rotation(&[]));
    accepted(&rotation(&[("/find", Value::Null), ("/longest_life", json!("32d"))]));
    accepted(&rotation(&[
        ("/find", Value::Null),
        ("/revoke_old", json!({"post": "/revoke-self", "auth": "old"})),
    ]));
    accepted(&rotation(&[
        ("/api_key", json!("{generated.secret}")),
        ("/config", json!({"realm": "/realm"})),
    ]));

    let mut without_probe = rotation(&[]);
    without_probe[1].1 = Value::Null;
    check(&without_probe, "rotate: needs the call probe");
    let mut without_key = rotation(&[]);
    without_key[1].1 = json!({"get": "/me"});
    check(
        &without_key,
        "rotate.revoke_old: uses {id}, which needs rotate.id for the new key and probe.key_id",
    );
    check(&without_key, "rotate: uses {key.owner}, which needs probe.key_owner");
    check_rotation(&[("/revoke_old", Value::Null)], "rotate: revoke_old is required");
    check_rotation(
        &[("/revoke_old", json!({"delete": "/keys"})), ("/find", Value::Null)],
        "rotate.revoke_old: does not identify the key",
    );
    check_rotation(
        &[("/longest_life", json!("32d"))],
        "rotate.longest_life: has no effect: find finds the key",
    );
    check_rotation(&[("/json", Value::Null)], "rotate.find: needs {name} in rotate");
    check_rotation(&[("/find/id", Value::Null)], "rotate.find: needs id");
    check_rotation(
        &[("/revoke_old/auth", json!("old"))],
        "rotate.find: needs a revoke_old with {id} and without auth: old",
    );
}

#[test]
fn a_rotation_is_about_the_connection_and_not_about_a_role() {
    check_rotation(
        &[("/json/user", json!("{role.user}"))],
        "rotate.json.user: {role.user} has no value here: this call is about the connection",
    );
    check_rotation(
        &[("/json/scopes", json!("{permissions}"))],
        "rotate.json.scopes: {permissions} has no value here",
    );
    check_rotation(
        &[("/revoke_old/delete", json!("/keys/{name}"))],
        "rotate.revoke_old.delete: {name} has no value here",
    );
    check_rotation(
        &[("/config", json!({"relm": "/realm"}))],
        "rotate.config.relm: config declares no parameter relm",
    );
    check_rotation(&[("/revoke_old/auth", json!("both"))], "rotate.revoke_old.auth: ");
    check(&[("/mint/json/name", json!("{key.owner}"))], "mint.json.name: {key.owner} has no value here");
}
