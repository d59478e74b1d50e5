//! Token APIs with a description.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use token_engine::engine;
use vault_plugin::logical::{Error, Response};
use vault_plugin::testing::TestMount;

use crate::fake_api::{FakeApi, FakeResponse, HUB_KEY, HubModel, ReceivedRequest};
use crate::token_safety::edit_stored;
use crate::{assert_accepted, data, error_message, poll_steps, read_error, wal_entries};

/// Returns a model of JupyterHub, and a mount with the role `developer` for the user `ada`.
pub(crate) async fn hub() -> (Arc<Mutex<HubModel>>, FakeApi, TestMount) {
    let hub = Arc::new(Mutex::new(HubModel::default()));
    let model = Arc::clone(&hub);
    let api = FakeApi::start(move |request| model.lock().respond(request)).await;
    let mount = TestMount::new(engine()).await.unwrap();
    let config = json!({"preset": "jupyterhub", "api_endpoint": api.endpoint(), "api_key": HUB_KEY});
    assert_accepted(mount.write("config", config).await);
    let role = json!({"parameters": {"user": "ada", "scopes": "read:users,list:users"}, "ttl": "1h", "max_ttl": "2h"});
    assert_accepted(mount.write("roles/developer", role).await);
    (hub, api, mount)
}

pub(crate) async fn described(api: &FakeApi, description: &str, config: Value, role: Value) -> TestMount {
    let mount = TestMount::new(engine()).await.unwrap();
    let mut written = json!({"api": description, "api_endpoint": api.endpoint(), "api_key": "the-key"});
    written.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
    assert_accepted(mount.write("config", written).await);
    assert_accepted(mount.write("roles/developer", role).await);
    mount
}

pub(crate) async fn creds(mount: &TestMount) -> Response {
    mount.read("creds/developer").await.unwrap().expect("a token")
}

pub(crate) async fn backdate(mount: &TestMount, seconds: i64) {
    for entry in wal_entries(mount) {
        // The entry of a token that is being revoked can be deleted concurrently.
        if mount.storage().entry(&entry).is_none() {
            continue;
        }
        edit_stored(mount, &entry, |entry: &mut Value| {
            let planned_at = entry["data"]["planned_at"].as_i64().unwrap();
            entry["data"]["planned_at"] = (planned_at - seconds).into();
            entry["created_at"] = (entry["created_at"].as_i64().unwrap() - seconds).into();
        })
        .await;
    }
}

#[tokio::test]
async fn a_preset_issues_and_revokes_tokens_of_its_api() {
    let (hub, api, mount) = hub().await;
    let leased = creds(&mount).await;
    assert_eq!(data(Some(leased.clone())), json!({"token": "secret-of-a1"}));
    let mint = api.received().pop().unwrap();
    let body = mint.json();
    assert_eq!(mint.line(), "POST /hub/api/users/ada/tokens");
    assert_eq!((&body["expires_in"], &body["scopes"]), (&json!(7200), &json!(["read:users", "list:users"])));
    assert!(body["note"].as_str().unwrap().starts_with("vault-developer-"), "{body}");
    assert_eq!(wal_entries(&mount), Vec::<String>::new());

    mount.revoke(&leased).await.unwrap();
    assert!(hub.lock().tokens.is_empty());
    mount.revoke(&leased).await.expect("a host may revoke twice");
}

#[tokio::test]
async fn a_lost_response_is_found_by_its_name_and_revoked() {
    let (hub, api, mount) = hub().await;
    hub.lock().lose_responses = 1;
    let error = read_error(&mount, "creds/developer").await;
    assert!(error.contains("the connection broke"), "{error}");
    assert_eq!(api.lines().len(), 1, "a call with a possible effect is not repeated");
    assert_eq!((hub.lock().tokens.len(), wal_entries(&mount).len()), (1, 1));
    let [entry] = &wal_entries(&mount)[..] else { panic!("one entry") };
    let stored = String::from_utf8(mount.storage().entry(entry).unwrap().value).unwrap();
    assert!(!stored.contains(HUB_KEY), "{stored}");
    mount.rollback().await.unwrap();
    assert_eq!((hub.lock().tokens.len(), wal_entries(&mount).len()), (0, 0));
}

#[tokio::test]
async fn the_entry_of_a_token_that_is_not_found_is_closed_once_its_request_can_no_longer_arrive() {
    let (hub, _api, mount) = hub().await;
    hub.lock().drop_requests = 1;
    read_error(&mount, "creds/developer").await;
    let error = error_message(mount.rollback().await);
    assert!(error.contains("may still reach the service"), "{error}");
    assert_eq!(wal_entries(&mount).len(), 1);
    backdate(&mount, 120).await;
    mount.rollback().await.unwrap();
    assert_eq!(wal_entries(&mount).len(), 0);
}

#[tokio::test]
async fn an_unclear_search_response_closes_no_entry() {
    let failing = Arc::new(Mutex::new(FakeResponse::html(404)));
    let current = Arc::clone(&failing);
    let hub = Arc::new(Mutex::new(HubModel { lose_responses: 1, ..HubModel::default() }));
    let model = Arc::clone(&hub);
    let api = FakeApi::start(move |request: &ReceivedRequest| {
        if request.method == "GET" { current.lock().clone() } else { model.lock().respond(request) }
    })
    .await;
    let mount = TestMount::new(engine()).await.unwrap();
    let config = json!({"preset": "jupyterhub", "api_endpoint": api.endpoint(), "api_key": HUB_KEY});
    assert_accepted(mount.write("config", config).await);
    assert_accepted(mount.write("roles/developer", json!({"parameters": {"user": "ada"}})).await);
    read_error(&mount, "creds/developer").await;
    backdate(&mount, 3600).await;
    for response in [
        FakeResponse::html(404),
        FakeResponse::html(200),
        FakeResponse::json(200, json!({"users": []})),
        FakeResponse::json(403, json!({})),
        FakeResponse::json(404, json!({})),
        FakeResponse::json(500, json!({})),
        FakeResponse::lost(),
    ] {
        *failing.lock() = response.clone();
        let error = error_message(mount.rollback().await);
        assert!(error.contains("may be live") && error.contains("until"), "{response:?}: {error}");
        assert_eq!((hub.lock().tokens.len(), wal_entries(&mount).len()), (1, 1), "{response:?}");
    }
}

#[tokio::test]
async fn a_reused_id_never_revokes_a_token_that_another_user_created() {
    let (hub, api, mount) = hub().await;
    let leased = creds(&mount).await;
    // Another user revokes the token, and the next token gets its id.
    hub.lock().tokens.clear();
    hub.lock().tokens.push(("a1".to_owned(), "of a stranger".to_owned(), "ada".to_owned()));
    mount.revoke(&leased).await.unwrap();
    assert_eq!(hub.lock().tokens.len(), 1);
    assert!(!api.lines().iter().any(|line| line.starts_with("DELETE")), "{:?}", api.lines());
}

#[tokio::test]
async fn a_request_dropped_at_any_moment_leaves_no_token_without_a_record() {
    let (hub, _api, mount) = hub().await;
    for steps in 0.. {
        if poll_steps(steps, mount.read("creds/developer")).await.is_some() {
            assert_eq!(hub.lock().tokens.len(), 1);
            return;
        }
        harness::eventually("no token is live", async || {
            backdate(&mount, 600).await;
            mount.rollback().await.ok()?;
            hub.lock().tokens.is_empty().then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_lease_is_revoked_with_the_description_of_its_mint() {
    let (hub, api, mount) = hub().await;
    let leased = creds(&mount).await;
    // The same service with another description.
    let config = json!({"preset": "tokens", "api_key": HUB_KEY});
    assert_accepted(mount.write("config", config).await);
    mount.delete("roles/developer").await.unwrap();
    assert!(mount.revoke(&leased).await.is_err(), "this description sends the key in another header");
    let config = json!({"preset": "jupyterhub", "api_endpoint": api.endpoint(), "api_key": HUB_KEY});
    assert_accepted(mount.write("config", config).await);
    mount.revoke(&leased).await.unwrap();
    assert!(hub.lock().tokens.is_empty());
}

#[tokio::test]
async fn a_field_that_the_description_does_not_use_is_rejected_and_not_ignored() {
    let (_hub, _api, mount) = hub().await;
    for (path, written, expected) in [
        (
            "roles/other",
            json!({"permissions": "read", "parameters": {"user": "ada"}}),
            "jupyterhub does not use it",
        ),
        (
            "roles/other",
            json!({"parameters": {"usr": "ada"}}),
            "parameters.usr: the API has no such parameter; did you mean user?",
        ),
        ("roles/other", json!({}), "parameters.user: is required: Name of the user"),
        (
            "creds/developer",
            json!({"permissions": "read"}),
            "permissions cannot be narrowed: jupyterhub does not send them",
        ),
        ("creds/developer", json!({"ttl": "3h"}), "not be longer than that of the role"),
        (
            "config",
            json!({"renew_upstream": true}),
            "renew_upstream cannot be set: the API jupyterhub has no call",
        ),
        ("config", json!({"idempotency_window": "1h"}), "idempotency_window has no effect"),
        ("config", json!({"parameters": {"realm": "x"}}), "parameters.realm: the API has no such parameter"),
        ("config", json!({"preset": "jupyterhib"}), "did you mean jupyterhub?"),
        ("config", json!({"preset": "jupyterhub", "api": "name: x"}), "either preset or api"),
        ("config", json!({"api": "name: [x"}), "neither JSON nor YAML"),
        ("config", json!({"api": "name: x\nmnt: {}"}), "mnt: unknown key; did you mean mint?"),
        ("config", json!({"preset": "keystone"}), "parameters.project_id: is required"),
        ("config", json!({"preset": "oauth2", "parameters": {"client_id": "x"}}), "accept_orphans=true"),
        (
            "config/b b",
            json!({"api_endpoint": "http://h", "api_key": "k"}),
            "cannot be the name of a connection",
        ),
    ] {
        let error = error_message(mount.write(path, written.clone()).await);
        assert!(error.contains(expected), "{path} {written}: {error}");
    }
    assert_eq!(
        data(mount.read("config").await.unwrap())["preset"],
        "jupyterhub",
        "a refused write changes nothing"
    );
}

#[tokio::test]
async fn a_request_can_ask_for_less_than_its_role_allows() {
    let upstream = harness::Upstream::start().await;
    let mount = crate::mount_configured(&upstream, json!({})).await;
    let leased =
        mount.write("creds/developer", json!({"permissions": "read", "ttl": "10m"})).await.unwrap().unwrap();
    assert_eq!(data(Some(leased.clone()))["permissions"], json!(["read"]));
    let minted = upstream.issued().pop().unwrap();
    assert_eq!((minted.permissions, minted.ttl), (vec!["read".to_owned()], Duration::from_mins(10)));
    assert_eq!(leased.secret.unwrap().lease.ttl, Duration::from_mins(10));
    for (asked, expected) in [
        (json!({"permissions": "admin"}), "does not have the permission"),
        (json!({"permissions": " , "}), "permissions is empty"),
        (json!({"ttl": "2h"}), "ttl must not be longer than that of the role, 3600s"),
    ] {
        let error = error_message(mount.write("creds/developer", asked.clone()).await);
        assert!(error.contains(expected), "{asked}: {error}");
    }
    assert_eq!(upstream.issued().len(), 1);
}

const LOGIN_API: &str = r#"
name: with-login
auth:
  login: {post: /login, json: {secret: "{api_key}"}, token: {header: X-Subject-Token}}
  headers: {X-Auth-Token: "{login.token}"}
mint:
  post: /credentials
  json: {name: "{name}", secret: "{generated.secret}", days: "{ttl.days}"}
  success: [201]
  exists: [409]
  id: {header: Location, last_segment: true}
  token: "{generated.secret}"
  outputs: {client_id: "{name}"}
find: {get: /credentials, query: {name: "{name}"}, items: "", name: /name, id: /id}
revoke: {delete: "/credentials/{id}", gone: {status: [404]}}
recovery: {find: {settle: 0s}}
probe: {get: /me, account: /account}
"#;

/// Returns an API with a login. Each credential is accepted for this number of calls.
fn login_api(calls_per_login: usize) -> impl FnMut(&ReceivedRequest) -> FakeResponse + Send {
    let (mut logins, mut left) = (0, 0);
    move |request| match (&*request.method, &*request.target) {
        ("POST", "/login") => {
            (logins, left) = (logins + 1, calls_per_login);
            FakeResponse::json(201, json!({})).header("X-Subject-Token", &format!("login-{logins}"))
        }
        _ if request.header("x-auth-token") != Some(&format!("login-{logins}")) || left == 0 => {
            FakeResponse::json(401, json!({}))
        }
        (method, target) => {
            left -= 1;
            match (method, target) {
                ("GET", "/me") => FakeResponse::json(200, json!({"account": "team-a"})),
                ("POST", "/credentials") => {
                    FakeResponse::json(201, Value::Null).header("Location", "/credentials/c%2F1")
                }
                ("DELETE", _) => FakeResponse::json(204, Value::Null),
                _ => FakeResponse::json(200, json!([])),
            }
        }
    }
}

#[tokio::test]
async fn a_login_is_cached_and_repeated_once_when_it_is_refused() {
    let api = FakeApi::start(login_api(3)).await;
    let mount = described(&api, LOGIN_API, json!({}), json!({"ttl": "1h", "max_ttl": "30h"})).await;
    let first = creds(&mount).await;
    let credential = data(Some(first.clone()));
    assert!(credential["client_id"].as_str().unwrap().starts_with("vault-developer-"), "{credential}");
    assert!(credential["token"].as_str().unwrap().len() >= 43, "{credential}");
    assert_eq!(credential.get("permissions"), None);
    let mint = api.received().pop().unwrap();
    assert_eq!((&mint.json()["secret"], &mint.json()["days"]), (&credential["token"], &json!(2)));
    assert_eq!(api.lines(), ["POST /login", "GET /me", "POST /credentials"]);
    creds(&mount).await;
    // The credential expires during the next request.
    creds(&mount).await;
    assert_eq!(api.lines().iter().filter(|line| *line == "POST /login").count(), 2);
    mount.revoke(&first).await.unwrap();
    assert!(api.lines().contains(&"DELETE /credentials/c%2F1".to_owned()), "{:?}", api.lines());
}

#[tokio::test]
async fn a_login_that_fails_is_named_and_leaves_no_entry() {
    let api =
        FakeApi::start(|_: &ReceivedRequest| FakeResponse::json(401, json!({"error": "hunter2"}))).await;
    let mount = described(&api, LOGIN_API, json!({}), json!({})).await;
    let error = read_error(&mount, "creds/developer").await;
    assert!(error.contains("cannot log in") && error.contains("set a valid api_key"), "{error}");
    assert!(!error.contains("hunter2") && !error.contains("the-key"), "{error}");
    assert_eq!((wal_entries(&mount).len(), api.lines().len()), (0, 1));
}

#[tokio::test]
async fn an_api_that_returns_no_account_is_reported_as_rejecting_the_key_and_issues_nothing() {
    let mut respond = login_api(usize::MAX);
    let api = FakeApi::start(move |request: &ReceivedRequest| match &*request.target {
        "/me" => FakeResponse::json(200, json!({})),
        _ => respond(request),
    })
    .await;
    let mount = described(&api, LOGIN_API, json!({}), json!({})).await;
    for path in ["check", "creds/developer"] {
        let error = read_error(&mount, path).await;
        assert!(
            error.contains("contains no account") && error.contains("set a valid api_key"),
            "{path}: {error}"
        );
    }
    assert_eq!(
        (wal_entries(&mount).len(), api.lines().contains(&"POST /credentials".to_owned())),
        (0, false)
    );
}

#[tokio::test]
async fn a_lease_contains_the_account_that_the_api_reports() {
    let account = Arc::new(Mutex::new("team-a"));
    let stated = Arc::clone(&account);
    let mut respond = login_api(usize::MAX);
    let api = FakeApi::start(move |request: &ReceivedRequest| match &*request.target {
        "/me" => FakeResponse::json(200, json!({"account": *stated.lock()})),
        _ => respond(request),
    })
    .await;
    let mount = described(&api, LOGIN_API, json!({}), json!({})).await;
    let leased = creds(&mount).await;
    *account.lock() = "team-b";
    // The new key belongs to another account.
    assert_accepted(mount.write("config", json!({"api_key": "another"})).await);
    let error = mount.revoke(&leased).await.unwrap_err().to_string();
    assert!(error.contains("nothing was sent") && error.contains("team-a"), "{error}");
    assert!(!api.lines().iter().any(|line| line.starts_with("DELETE")), "{:?}", api.lines());
    *account.lock() = "team-a";
    assert_accepted(mount.write("config", json!({"api_key": "a-third"})).await);
    mount.revoke(&leased).await.unwrap();
}

#[tokio::test]
async fn gone_counts_only_while_the_credential_works() {
    let works = Arc::new(Mutex::new(true));
    let allowed = Arc::clone(&works);
    let api = FakeApi::start(move |request: &ReceivedRequest| match (&*request.method, &*request.target) {
        ("POST", "/login") => FakeResponse::json(200, json!({})).header("X-Subject-Token", "t"),
        ("GET", "/me") if *allowed.lock() => FakeResponse::json(200, json!({"account": "a"})),
        ("GET", "/me") => FakeResponse::json(403, json!({})),
        ("POST", _) => FakeResponse::json(201, Value::Null).header("Location", "/credentials/1"),
        _ => FakeResponse::json(404, json!({})),
    })
    .await;
    let mount = described(&api, LOGIN_API, json!({}), json!({})).await;
    let leased = creds(&mount).await;
    *works.lock() = false;
    let error = mount.revoke(&leased).await.unwrap_err().to_string();
    assert!(error.contains("rejects the credential in another call"), "{error}");
    *works.lock() = true;
    mount.revoke(&leased).await.unwrap();
}

const TWO_STEPS: &str = r#"
name: two-steps
auth: {headers: {Authorization: "Bearer {api_key}"}}
naming: {dns_label: true}
before: {post: /secrets, json: {name: "{name}"}, success: [201], values: {uid: /uid}}
mint: {post: /tokens, json: {secret: "{name}", uid: "{before.uid}", ttl: "{ttl.seconds}"}, token: /token, expires: {in_seconds: /expires_in}}
revoke: {delete: "/secrets/{name}", gone: {status: [404]}}
recovery: {delete_by_name: {settle: 0s}}
"#;

#[tokio::test]
async fn an_object_of_the_first_of_two_calls_is_deleted_if_the_second_fails() {
    let fails = Arc::new(Mutex::new(true));
    let secrets = Arc::new(Mutex::new(Vec::<String>::new()));
    let (failing, stored) = (Arc::clone(&fails), Arc::clone(&secrets));
    let api = FakeApi::start(move |request: &ReceivedRequest| match (&*request.method, &*request.target) {
        ("POST", "/secrets") => {
            stored.lock().push(request.json()["name"].as_str().unwrap().to_owned());
            FakeResponse::json(201, json!({"uid": "uid-1"}))
        }
        ("POST", _) if *failing.lock() => FakeResponse::json(403, json!({})),
        ("POST", _) => {
            assert_eq!(request.json()["uid"], "uid-1");
            FakeResponse::json(201, json!({"token": "t", "expires_in": 600}))
        }
        (_, target) => {
            let name = target.trim_start_matches("/secrets/").to_owned();
            let known = stored.lock().iter().position(|known| *known == name);
            match known.map(|at| stored.lock().remove(at)) {
                Some(_) => FakeResponse::json(200, json!({})),
                None => FakeResponse::json(404, json!({})),
            }
        }
    })
    .await;
    let mount = described(&api, TWO_STEPS, json!({}), json!({})).await;
    read_error(&mount, "creds/developer").await;
    assert_eq!((secrets.lock().len(), wal_entries(&mount).len()), (1, 1), "the first call had an effect");
    backdate(&mount, 600).await;
    mount.rollback().await.unwrap();
    assert_eq!((secrets.lock().len(), wal_entries(&mount).len()), (0, 0));

    *fails.lock() = false;
    let leased = creds(&mount).await;
    assert!(leased.secret.as_ref().unwrap().lease.max_ttl <= Duration::from_mins(10));
    mount.revoke(&leased).await.unwrap();
    assert!(secrets.lock().is_empty());
}

#[tokio::test]
async fn a_token_that_cannot_be_found_is_an_orphan_until_it_expires() {
    let api = FakeApi::start(|request: &ReceivedRequest| match &*request.target {
        "/oauth2/token" => FakeResponse::lost(),
        _ => FakeResponse::json(200, Value::Null),
    })
    .await;
    let mount = TestMount::new(engine()).await.unwrap();
    let config = json!({
        "preset": "oauth2", "api_endpoint": api.endpoint(), "api_key": "the-key", "accept_orphans": true,
        "parameters": {"client_id": "app", "longest_life": "2h"},
    });
    assert_accepted(mount.write("config", config).await);
    assert_accepted(mount.write("roles/developer", json!({"permissions": "openid"})).await);
    read_error(&mount, "creds/developer").await;
    assert!(data(mount.list("orphans/").await.unwrap()).get("keys").is_none(), "its request may still run");
    backdate(&mount, 600).await;
    let error = error_message(mount.rollback().await);
    assert!(error.contains("accept_orphans") && error.contains("until 20"), "{error}");

    let keys = data(mount.list("orphans/").await.unwrap())["keys"].clone();
    let id = keys[0].as_str().unwrap();
    let orphan = data(mount.read(&format!("orphans/{id}")).await.unwrap());
    assert_eq!((&orphan["state"], &orphan["api_endpoint"]), (&json!("unknown"), &json!(api.endpoint())));
    assert!(
        orphan["ends_by"].as_str().is_some() && orphan["token_name"].as_str().unwrap().starts_with("vault-")
    );
    mount.delete(&format!("orphans/{id}")).await.unwrap();
    assert_eq!(wal_entries(&mount).len(), 0);
}

#[tokio::test]
async fn an_error_inside_a_successful_response_revokes_nothing() {
    let api = FakeApi::start(|request: &ReceivedRequest| match &*request.target {
        "/oauth2/token" => {
            FakeResponse::json(200, json!({"access_token": "t", "expires_in": 60, "token_type": "Bearer"}))
        }
        _ => FakeResponse::json(200, json!({"error": "invalid_token", "error_description": "hunter2"})),
    })
    .await;
    let mount = TestMount::new(engine()).await.unwrap();
    let config = json!({
        "preset": "oauth2", "api_endpoint": api.endpoint(), "api_key": "the-key", "accept_orphans": true,
        "parameters": ["client_id=app"],
    });
    assert_accepted(mount.write("config", config).await);
    assert_accepted(mount.write("roles/developer", json!({"permissions": "openid,profile"})).await);
    let leased = creds(&mount).await;
    let mint = api.received().pop().unwrap();
    assert_eq!(mint.body, "grant_type=client_credentials&scope=openid+profile");
    assert_eq!(mint.header("content-type"), Some("application/x-www-form-urlencoded"));
    let error = mount.revoke(&leased).await.unwrap_err().to_string();
    assert!(error.contains("contains an error although") && !error.contains("hunter2"), "{error}");
    assert_eq!(api.received().pop().unwrap().body, "token=t");
}

#[tokio::test]
async fn a_role_selects_a_connection_and_any_connection_to_the_same_account_can_revoke_its_tokens() {
    let (hub, api, mount) = hub().await;
    let second = json!({"preset": "jupyterhub", "api_endpoint": api.endpoint(), "api_key": HUB_KEY});
    assert_accepted(mount.write("config/second", second).await);
    assert_eq!(data(mount.list("config/").await.unwrap())["keys"], json!(["default", "second"]));
    assert_eq!(data(mount.read("config/default").await.unwrap())["preset"], "jupyterhub");
    assert!(mount.storage().entry("config/second").unwrap().seal_wrap);
    assert_accepted(mount.write("roles/developer", json!({"config": "second"})).await);
    assert_eq!(data(mount.read("roles/developer").await.unwrap())["config"], "second");
    let leased = creds(&mount).await;
    mount.delete("config/second").await.unwrap();
    let error = read_error(&mount, "creds/developer").await;
    assert!(
        error.contains("there is no connection \"second\"") && error.contains("config/second"),
        "{error}"
    );
    mount.revoke(&leased).await.unwrap();
    assert!(hub.lock().tokens.is_empty());
}

#[tokio::test]
async fn a_connection_is_checked_without_issuing_a_token() {
    let (hub, api, mount) = hub().await;
    let checked = data(mount.read("check").await.unwrap());
    assert_eq!(checked, json!({"api_endpoint": api.endpoint(), "preset": "jupyterhub", "checked": true}));
    assert_accepted(mount.write("config", json!({"api_key": "wrong"})).await);
    let error = read_error(&mount, "check/default").await;
    assert!(error.contains("cannot check the connection") && error.contains("api_key"), "{error}");
    assert!(read_error(&mount, "check/other").await.contains("no connection \"other\""));
    assert!(hub.lock().tokens.is_empty());
}

#[tokio::test]
async fn presets_are_listed_with_their_parameters() {
    let mount = TestMount::new(engine()).await.unwrap();
    let keys = data(mount.list("presets/").await.unwrap())["keys"].clone();
    assert!(keys.as_array().unwrap().contains(&json!("keycloak-client")), "{keys}");
    for name in keys.as_array().unwrap() {
        let preset = data(mount.read(&format!("presets/{}", name.as_str().unwrap())).await.unwrap());
        assert_eq!(preset["name"], *name);
        assert!(!preset["evidence"].as_str().unwrap().is_empty(), "{preset}");
        assert_eq!(preset["api"]["name"], *name);
    }
    assert!(mount.read("presets/none").await.unwrap().is_none());
}

#[tokio::test]
async fn secret_parameters_are_stored_and_never_shown() {
    let mount = TestMount::new(engine()).await.unwrap();
    let config = json!({
        "preset": "datadog", "api_endpoint": "https://api.datadoghq.com", "api_key": "app-key",
        "parameters": {"datadog_api_key": "hunter2"},
    });
    assert_accepted(mount.write("config", config).await);
    let shown = data(mount.read("config").await.unwrap());
    assert!(!shown.to_string().contains("hunter2"), "{shown}");
    let stored = String::from_utf8(mount.storage().entry("config").unwrap().value).unwrap();
    assert!(stored.contains("hunter2"));
}

/// A description whose calls contain secrets at unsafe places.
const CARELESS_API: &str = r#"
name: careless
auth: {headers: {X-Key: "{api_key}", X-Literal: literal-hunter2}}
config: {tenant_key: {secret: true, required: true}}
mint:
  post: /keys
  query: {key: "{api_key}", tenant: "{config.tenant_key}"}
  json: {name: "{name}", ttl: "{ttl.seconds}", literal: json-hunter2}
  id: /id
  token: /token
  expires: {rfc3339: /end, optional: true}
renew: {post: "/keys/{token}", query: {literal: query-hunter2}, json: {ttl: "{ttl.seconds}"}}
revoke: {delete: "/keys/{token}", query: {id: "{id}"}, gone: {status: [404]}}
recovery: none
probe: {get: /keys, query: {key: "{api_key}"}, account: /account}
"#;

#[tokio::test]
async fn no_error_contains_a_secret_of_a_description_a_key_or_a_response() {
    let replies = Arc::new(Mutex::new(vec![FakeResponse::json(500, Value::Null)]));
    let handler = Arc::clone(&replies);
    let api = FakeApi::start(move |request| match &*request.method {
        "GET" => FakeResponse::json(200, json!({"account": "a"})),
        _ => {
            let mut replies = handler.lock();
            if replies.len() > 1 { replies.remove(0) } else { replies[0].clone() }
        }
    })
    .await;
    let config = json!({
        "accept_orphans": true, "renew_upstream": true, "request_timeout": 1,
        "parameters": {"tenant_key": "tenant-hunter2"}, "api_key": "key-hunter2",
    });
    let mount = described(&api, CARELESS_API, config, json!({"ttl": "1h", "max_ttl": "2h"})).await;
    let minted = || FakeResponse::json(200, json!({"id": "k1", "token": "token-hunter2"}));
    let error_text = "the-response-hunter2";
    let bad = [
        FakeResponse::json(400, json!({"error": error_text})),
        FakeResponse::json(401, json!({"error": error_text})),
        FakeResponse::json(404, json!({"error": error_text})),
        FakeResponse::json(409, json!({"error": error_text})),
        FakeResponse::json(500, json!({"error": error_text})),
        FakeResponse::json(200, json!({"token": ["token-hunter2"]})),
        FakeResponse::json(200, json!({"id": "k1", "token": "token-hunter2", "end": error_text})),
        FakeResponse::json(302, Value::Null)
            .header("location", "https://elsewhere.example/the-response-hunter2"),
        FakeResponse::html(200),
        FakeResponse::html(404),
        FakeResponse::lost(),
    ];
    let mut errors = Vec::new();
    let mut note = |result: Result<Option<Response>, Error>| match result {
        Err(error) => errors.push(format!("{error} {error:?}")),
        Ok(response) => {
            let text = response.as_ref().and_then(Response::error_text).map(str::to_owned);
            errors.extend(text.map(|text| format!("{text} {response:?}")));
        }
    };
    for response in &bad {
        *replies.lock() = vec![response.clone()];
        note(mount.read("creds/developer").await);
        *replies.lock() = vec![minted(), response.clone()];
        let Ok(Some(leased)) = mount.read("creds/developer").await else { panic!("a token") };
        note(mount.revoke(&leased).await);
        note(mount.renew(&leased).await);
        note(mount.rollback().await);
    }
    assert!(errors.len() > 2 * bad.len(), "{errors:?}");
    for error in &errors {
        assert!(!error.contains("hunter2"), "{error}");
    }
    let orphans = data(mount.list("orphans/").await.unwrap());
    assert!(!orphans.to_string().contains("hunter2"), "{orphans}");
    // The literals of a description are shown, because they are documented as not secret.
    let shown = data(mount.read("config").await.unwrap()).to_string();
    for secret in ["key-hunter2", "tenant-hunter2", "token-hunter2"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[tokio::test]
async fn a_standby_rejects_a_request_before_it_calls_the_api() {
    let (hub, _api, mount) = hub().await;
    mount.storage().fail_on(vault_plugin::testing::StorageCall::Put, "", "cannot write to readonly storage");
    assert_eq!(read_error(&mount, "creds/developer").await, "cannot write to readonly storage");
    assert!(hub.lock().tokens.is_empty());
}
