//! A fake API with several admin keys, and a mount for it.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use token_engine::engine;
use vault_plugin::testing::{FailureMode, TestMount};

use crate::assert_accepted;
use crate::fake_api::{FakeApi, FakeResponse, ReceivedRequest};

pub(crate) const FIRST_KEY: &str = "first-key";

/// The API of the tests of rotation.
pub(crate) const DESCRIPTION: &str = r#"
name: keys
config: {}
auth: {headers: {Authorization: "Bearer {api_key}"}}
mint: {post: /tokens, json: {name: "{name}", ttl: "{ttl.seconds}"}, id: /id, token: /token}
find: {get: /tokens, items: /items, name: /name, id: /id}
revoke: {delete: "/tokens/{id}", gone: {status: [404]}}
recovery: {find: {settle: 0s}}
probe: {get: /me, account: /account, key_id: /key}
rotate:
  post: /keys
  json: {name: "{name}"}
  id: /id
  api_key: /secret
  find: {get: /keys, items: /items, name: /name, id: /id}
  revoke_old: {delete: "/keys/{id}", gone: {status: [404]}}
"#;

/// An admin key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AdminKey {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) secret: String,
    pub(crate) account: String,
}

/// Ends the process at a request: this one, and everything after it, has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    BeforeEffect,
    AfterEffect,
}

/// How the API creates a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Creation {
    Another,
    /// It returns the present key.
    Present,
    /// It replaces the present key, which keeps its id.
    InPlace,
}

/// The state of the API.
pub(crate) struct KeyApi {
    pub(crate) keys: Vec<AdminKey>,
    /// Name and id of each token.
    pub(crate) tokens: Vec<(String, String)>,
    created: usize,
    /// The account of the keys that are created.
    pub(crate) account_of_new_keys: String,
    /// How the API creates a key.
    pub(crate) creation: Creation,
    /// Whether a new key is not accepted.
    pub(crate) refuses_new_keys: bool,
    /// Requests that match are answered with this status.
    pub(crate) failing: Option<(&'static str, u16)>,
    /// The request with this number, and how the process ends there.
    pub(crate) cut: Option<(usize, Cut)>,
    requests: usize,
    /// Whether the API is unreachable.
    pub(crate) is_down: bool,
}

impl KeyApi {
    fn new() -> KeyApi {
        let first = AdminKey {
            id: "k0".to_owned(),
            name: "by-hand".to_owned(),
            secret: FIRST_KEY.to_owned(),
            account: "team".to_owned(),
        };
        KeyApi {
            keys: vec![first],
            tokens: Vec::new(),
            created: 0,
            account_of_new_keys: "team".to_owned(),
            creation: Creation::Another,
            refuses_new_keys: false,
            failing: None,
            cut: None,
            requests: 0,
            is_down: false,
        }
    }

    pub(crate) fn add_key(&mut self, name: &str, secret: &str, account: &str) {
        self.created += 1;
        let id = format!("k{}", self.created);
        let (name, secret, account) = (name.to_owned(), secret.to_owned(), account.to_owned());
        self.keys.push(AdminKey { id, name, secret, account });
    }

    fn respond(&mut self, request: &ReceivedRequest) -> FakeResponse {
        if self.is_down {
            return FakeResponse::lost();
        }
        let number = self.requests;
        self.requests += 1;
        match self.cut.filter(|(at, _)| *at == number) {
            None => self.answer(request),
            Some((_, cut)) => {
                if cut == Cut::AfterEffect {
                    self.answer(request);
                }
                self.is_down = true;
                FakeResponse::lost()
            }
        }
    }

    fn answer(&mut self, request: &ReceivedRequest) -> FakeResponse {
        if let Some((line, status)) = self.failing
            && request.line().starts_with(line)
        {
            return FakeResponse::json(status, json!({}));
        }
        let sent = request.header("authorization").unwrap_or_default().to_owned();
        let key = self.keys.iter().find(|key| sent == format!("Bearer {}", key.secret)).cloned();
        let Some(key) = key.filter(|key| !self.refuses_new_keys || key.id == "k0") else {
            return FakeResponse::json(401, json!({"error": "unknown key"}));
        };
        let path: Vec<&str> = request.target.trim_start_matches('/').split('/').collect();
        let body = request.json();
        let name = body["name"].as_str().unwrap_or_default().to_owned();
        match (&*request.method, &path[..]) {
            ("GET", ["me"]) => FakeResponse::json(200, json!({"account": key.account, "key": key.id})),
            ("POST", ["tokens"]) => {
                let id = format!("t{}", self.tokens.len() + request.body.len());
                self.tokens.push((name, id.clone()));
                FakeResponse::json(201, json!({"id": id, "token": format!("secret-of-{id}")}))
            }
            ("DELETE", ["tokens", id]) => {
                self.tokens.retain(|(_, known)| known != id);
                FakeResponse::json(204, Value::Null)
            }
            ("GET", ["keys"]) => {
                let listed = self.keys.iter().map(|key| json!({"id": key.id, "name": key.name}));
                FakeResponse::json(200, json!({"items": listed.collect::<Vec<_>>()}))
            }
            ("POST", ["keys"]) => {
                if self.creation == Creation::Present {
                    return FakeResponse::json(200, json!({"id": key.id, "secret": key.secret}));
                }
                if self.creation == Creation::InPlace {
                    let present = self.keys.iter_mut().find(|one| one.id == key.id).expect("the sender");
                    present.secret = "key-in-place".to_owned();
                    return FakeResponse::json(200, json!({"id": key.id, "secret": "key-in-place"}));
                }
                let secret = format!("created-key-{}", self.created + 1);
                let account = self.account_of_new_keys.clone();
                self.add_key(&name, &secret, &account);
                let id = &self.keys.last().expect("just added").id;
                FakeResponse::json(201, json!({"id": id, "secret": secret}))
            }
            ("DELETE", ["keys", id]) => {
                let before = self.keys.len();
                self.keys.retain(|key| key.id != *id);
                if self.keys.len() < before {
                    FakeResponse::json(204, Value::Null)
                } else {
                    FakeResponse::json(404, json!({}))
                }
            }
            _ => FakeResponse::html(404),
        }
    }
}

/// A mount with a connection to the API, and the role `developer`.
pub(crate) struct KeyMount {
    pub(crate) api: Arc<Mutex<KeyApi>>,
    pub(crate) server: FakeApi,
    pub(crate) mount: Arc<TestMount>,
}

impl KeyMount {
    pub(crate) async fn new() -> KeyMount {
        KeyMount::with(DESCRIPTION, json!({})).await
    }

    pub(crate) async fn with(description: &str, more: Value) -> KeyMount {
        let api = Arc::new(Mutex::new(KeyApi::new()));
        let mount = Arc::new(TestMount::new(engine()).await.expect("the engine mounts"));
        let (state, cut_mount) = (Arc::clone(&api), Arc::downgrade(&mount));
        let server = FakeApi::start(move |request| {
            let mut state = state.lock();
            let response = state.respond(request);
            // A process that ends writes nothing more either.
            if state.is_down
                && state.cut.is_some()
                && let Some(mount) = cut_mount.upgrade()
            {
                mount.storage().fail_after(0, FailureMode::Persistent, "the process has ended");
            }
            response
        })
        .await;
        let mut config = json!({"api": description, "api_endpoint": server.endpoint(), "api_key": FIRST_KEY});
        config.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        assert_accepted(mount.write("config", config).await);
        assert_accepted(mount.write("roles/developer", json!({"ttl": "1h"})).await);
        KeyMount { api, server, mount }
    }

    pub(crate) async fn rotate(&self) -> Result<(), String> {
        match self.mount.write("rotate-root", json!({})).await {
            Ok(response) => match response.as_ref().and_then(|response| response.error_text()) {
                Some(error) => Err(error.to_owned()),
                None => Ok(()),
            },
            Err(error) => Err(error.to_string()),
        }
    }

    /// Returns the secret of the stored key.
    pub(crate) fn stored_key(&self) -> String {
        let stored = self.mount.storage().entry("config").expect("a connection").value;
        let stored: Value = serde_json::from_slice(&stored).expect("JSON");
        stored["api_key"].as_str().expect("a key").to_owned()
    }

    /// Returns the secrets of the keys that the API accepts.
    pub(crate) fn live_keys(&self) -> Vec<String> {
        self.api.lock().keys.iter().map(|key| key.secret.clone()).collect()
    }

    /// Ends the faults, as after a restart.
    pub(crate) fn restart(&self) {
        let mut api = self.api.lock();
        (api.cut, api.is_down, api.failing, api.refuses_new_keys) = (None, false, None, false);
        self.mount.storage().clear_failures();
    }

    /// Starts to count requests, and ends the process at the one with this number.
    pub(crate) fn cut_at(&self, number: usize, cut: Cut) {
        let mut api = self.api.lock();
        (api.requests, api.cut) = (0, Some((number, cut)));
    }
}
