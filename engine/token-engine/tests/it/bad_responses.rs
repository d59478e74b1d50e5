//! Responses that do not follow the description, and credentials that expire between the calls of a mint.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::described::{backdate, creds, described};
use crate::fake_api::{FakeApi, FakeResponse, ReceivedRequest};
use crate::{error_message, read_error, wal_entries};

const SEARCHABLE: &str = r#"
name: searchable
auth: {headers: {X-Key: "{api_key}"}}
mint: {post: /keys, json: {name: "{name}", ttl: "{ttl.seconds}"}, exists: [409], id: /id, token: /token}
find: {get: /keys, items: "", name: /name, id: /id}
revoke: {delete: "/keys/{id}", gone: {status: [404]}}
recovery: {find: {settle: 0s}}
"#;

/// The names of the live keys. The id of a key is its name with a prefix.
type Keys = Arc<Mutex<Vec<String>>>;

/// Starts an API that creates a key for each mint, whatever it responds.
async fn searchable(response: impl Fn(&str) -> FakeResponse + Send + 'static) -> (FakeApi, Keys) {
    let keys = Keys::default();
    let created = Arc::clone(&keys);
    let api = FakeApi::start(move |request: &ReceivedRequest| {
        let mut keys = created.lock();
        match &*request.method {
            "POST" => {
                let name = request.json()["name"].as_str().unwrap().to_owned();
                keys.push(name.clone());
                response(&name)
            }
            "GET" => {
                let listed: Vec<Value> =
                    keys.iter().map(|name| json!({"name": name, "id": format!("id-{name}")})).collect();
                FakeResponse::json(200, listed.into())
            }
            _ => {
                let id = request.target.trim_start_matches("/keys/id-").to_owned();
                let before = keys.len();
                keys.retain(|name| *name != id);
                FakeResponse::json(if keys.len() < before { 204 } else { 404 }, json!({}))
            }
        }
    })
    .await;
    (api, keys)
}

#[tokio::test]
async fn a_token_whose_response_cannot_be_used_is_found_and_revoked_by_rollback() {
    let token = |value: Value| json!({"id": "id-x", "token": value});
    let responses = [
        (
            "longer than 1 MiB",
            FakeResponse::json(200, json!({"id": "x", "token": "t", "padding": "p".repeat(5 << 20)})),
        ),
        ("without a valid token", FakeResponse::json(200, token(json!(["hunter2"])))),
        ("without a valid token", FakeResponse::json(200, token(json!({"value": "hunter2"})))),
        ("without a valid token", FakeResponse::json(200, token(json!(true)))),
        ("without a valid id", FakeResponse::json(200, json!([{"id": "x", "token": "hunter2"}]))),
        ("invalid JSON", FakeResponse::html(200)),
        ("already exists (status 409", FakeResponse::json(409, json!({"error": "hunter2"}))),
        ("the service failed", FakeResponse::json(500, json!({"error": "hunter2"}))),
        ("the connection broke", FakeResponse::lost()),
    ];
    for (expected, response) in responses {
        let answer = response.clone();
        let (api, keys) = searchable(move |_| answer.clone()).await;
        let mount = described(&api, SEARCHABLE, json!({}), json!({})).await;
        keys.lock().push("of-a-stranger".to_owned());
        let error = read_error(&mount, "creds/developer").await;
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
        assert_eq!((keys.lock().len(), wal_entries(&mount).len()), (2, 1), "{expected}");
        backdate(&mount, 200).await;
        mount.rollback().await.unwrap();
        assert_eq!(
            (&keys.lock()[..], wal_entries(&mount).len()),
            (&["of-a-stranger".to_owned()][..], 0),
            "{expected}"
        );
    }
}

#[tokio::test]
async fn a_wrong_place_in_a_description_is_reported_as_such() {
    let (api, _) = searchable(|_| FakeResponse::json(200, json!({"id": "x", "secret": "t"}))).await;
    let mount = described(&api, SEARCHABLE, json!({}), json!({})).await;
    let error = read_error(&mount, "creds/developer").await;
    assert!(error.contains("the place of this value in the description of the API"), "{error}");
}

const TWO_CALLS: &str = r#"
name: two-calls
auth:
  login: {post: /login, json: {secret: "{api_key}"}, token: /token}
  headers: {X-Auth-Token: "{login.token}"}
before: {post: /users, json: {name: "{name}"}, values: {id: /id}}
mint: {post: "/users/{before.id}/tokens", json: {ttl: "{ttl.seconds}"}, id: "{before.id}", token: /token}
find: {get: /users, items: "", name: /name, id: /id}
revoke: {delete: "/users/{id}", gone: {status: [404]}}
recovery: {find: {settle: 0s}}
"#;

/// An API that ends a login after one call. It rejects logins, too, when there are none left.
fn two_calls(logins_left: Arc<Mutex<usize>>) -> (impl FnMut(&ReceivedRequest) -> FakeResponse + Send, Keys) {
    let users = Keys::default();
    let created = Arc::clone(&users);
    let (mut login, mut calls_left) = (0, 0);
    let respond = move |request: &ReceivedRequest| {
        if request.target == "/login" {
            let mut logins_left = logins_left.lock();
            if *logins_left == 0 {
                return FakeResponse::json(401, json!({}));
            }
            (*logins_left, login, calls_left) = (*logins_left - 1, login + 1, 1);
            return FakeResponse::json(200, json!({"token": format!("login-{login}")}));
        }
        if request.header("x-auth-token") != Some(&format!("login-{login}")) || calls_left == 0 {
            return FakeResponse::json(401, json!({}));
        }
        calls_left -= 1;
        let mut users = created.lock();
        match (&*request.method, &*request.target) {
            ("POST", "/users") => {
                users.push(request.json()["name"].as_str().unwrap().to_owned());
                FakeResponse::json(201, json!({"id": users.last()}))
            }
            ("POST", _) => FakeResponse::json(201, json!({"token": "t"})),
            ("GET", _) => {
                let listed: Vec<Value> = users.iter().map(|name| json!({"name": name, "id": name})).collect();
                FakeResponse::json(200, listed.into())
            }
            (_, target) => {
                let name = target.trim_start_matches("/users/").to_owned();
                users.retain(|known| *known != name);
                FakeResponse::json(204, Value::Null)
            }
        }
    };
    (respond, users)
}

#[tokio::test]
async fn a_login_that_expires_between_the_two_calls_of_a_mint_is_repeated() {
    let (respond, users) = two_calls(Arc::new(Mutex::new(usize::MAX)));
    let api = FakeApi::start(respond).await;
    let mount = described(&api, TWO_CALLS, json!({}), json!({})).await;
    let leased = creds(&mount).await;
    let minted = ["POST /login", "POST /users", "POST /users/", "POST /login", "POST /users/"];
    let lines = api.lines();
    assert!(
        lines.len() == minted.len() && lines.iter().zip(minted).all(|(line, start)| line.starts_with(start)),
        "{lines:?}"
    );
    assert_eq!((users.lock().len(), wal_entries(&mount).len()), (1, 0));
    mount.revoke(&leased).await.unwrap();
    assert!(users.lock().is_empty());
}

#[tokio::test]
async fn an_object_is_deleted_if_the_key_is_revoked_between_the_two_calls_of_a_mint() {
    let logins_left = Arc::new(Mutex::new(1));
    let (respond, users) = two_calls(Arc::clone(&logins_left));
    let api = FakeApi::start(respond).await;
    let mount = described(&api, TWO_CALLS, json!({}), json!({})).await;
    let error = read_error(&mount, "creds/developer").await;
    assert!(error.contains("cannot log in") && error.contains("set a valid api_key"), "{error}");
    assert_eq!(
        (users.lock().len(), wal_entries(&mount).len()),
        (1, 1),
        "its record stays while the key is rejected"
    );
    backdate(&mount, 200).await;
    let error = error_message(mount.rollback().await);
    assert!(error.contains("may be live") && error.contains("set a valid api_key"), "{error}");
    assert_eq!((users.lock().len(), wal_entries(&mount).len()), (1, 1));
    *logins_left.lock() = usize::MAX;
    mount.rollback().await.unwrap();
    assert_eq!((users.lock().len(), wal_entries(&mount).len()), (0, 0));
}
