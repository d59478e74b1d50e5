//! devpi with its plugin for tokens, without any upstream index, with the user `app1`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::http::{ApiClient, ApiRequest, BoxFuture, is_accepted, text};
use super::process::{Launch, ServerProcess, new_directory, prepare};
use super::{Credential, IssuedCredential, ListedCredential, Service, TokenServer};
use crate::vault::ApiResponse;
use crate::{build, port};

const USER: &str = "app1";
const PASSWORD: &str = "password-of-app1";

struct Devpi {
    client: ApiClient,
}

pub(super) async fn start() -> TokenServer {
    let directory = new_directory();
    let program = build::devpi().await;
    let init = ["--serverdir", "state", "--root-passwd", "password-of-root", "--no-root-pypi"];
    prepare(&directory, &program.with_file_name("devpi-init"), &init).await;
    // Without a secret file, tokens do not survive a restart. devpi refuses a file that others can read.
    let secret = directory.path().join("secret");
    fs::write(&secret, "a-secret-of-tests-alone, which is long enough for it")
        .expect("a new directory is writable");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("the test owns the file");
    let port = port::free_port();
    let launch = Launch {
        name: "devpi",
        program,
        args: [
            "--serverdir=state",
            "--secretfile=secret",
            "--offline-mode",
            "--host=127.0.0.1",
            &format!("--port={port}"),
        ]
        .map(str::to_owned)
        .into(),
        environment: Vec::new(),
        ready_path: "/+api",
    };
    let mut process = ServerProcess::new(launch, directory);
    let client = ApiClient::new(port);
    process.start(&client).await;
    // No authentication is required to create a user, and a user manages its own tokens.
    let user = json!({"password": PASSWORD});
    client.request("PUT", &format!("/{USER}")).json(&user).success().await;
    TokenServer { process, service: Box::new(Devpi { client: client.clone() }), client }
}

impl Devpi {
    async fn request(&self, method: &str, path: &str) -> ApiRequest {
        let body = json!({"user": USER, "password": PASSWORD});
        let login = self.client.request("POST", "/+login").json(&body).success().await;
        let password = text(&login, "/result/password");
        self.client.request(method, path).basic(USER, &password)
    }
}

impl Service for Devpi {
    fn admin_key(&self) -> &'static str {
        PASSWORD
    }

    fn account(&self) -> &'static str {
        USER
    }

    fn issue<'a>(&'a self, _name: &'a str) -> BoxFuture<'a, IssuedCredential> {
        Box::pin(async move {
            let expires = (Timestamp::now() + SignedDuration::from_hours(1)).as_second();
            let body = json!({"allowed": ["upload"], "expires": expires});
            let request = self.request("POST", &format!("/{USER}/+token-create")).await;
            let token = text(&request.json(&body).success().await, "/result/token");
            IssuedCredential { id: id_in(&token), credential: token.as_str().into() }
        })
    }

    fn revoke<'a>(&'a self, id: &'a str) -> BoxFuture<'a, ApiResponse> {
        Box::pin(async move { self.request("DELETE", &format!("/{USER}/+tokens/{id}")).await.send().await })
    }

    fn works<'a>(&'a self, credential: &'a Credential) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let request = self.client.request("GET", "/+api").basic(USER, &credential.secret);
            let response = request.send().await;
            is_accepted(&response, &[401, 403]) && response.body["result"]["authstatus"][0] == "ok"
        })
    }

    fn list(&self) -> BoxFuture<'_, Vec<ListedCredential>> {
        Box::pin(async move {
            let listed = self.request("GET", &format!("/{USER}/+tokens")).await.success().await;
            let tokens = listed["result"]["tokens"].as_object().map(|tokens| tokens.keys().cloned());
            let tokens: Vec<String> = tokens.unwrap_or_else(|| panic!("no tokens in {listed}")).collect();
            tokens.into_iter().map(|id| ListedCredential { id, name: String::new() }).collect()
        })
    }
}

/// Returns the id of a token, which responses do not contain. A token is a macaroon with the identifier `USER-ID`.
fn id_in(token: &str) -> String {
    let encoded = token.strip_prefix("devpi-").unwrap_or_else(|| panic!("not a devpi token"));
    let macaroon = URL_SAFE_NO_PAD.decode(encoded.trim_end_matches('=')).expect("a token is base64");
    // Version 2, an optional location (1) and the identifier (2), each with its length, which is less than 128.
    let location = usize::from(macaroon[2]);
    let start = 5 + location;
    let length = usize::from(macaroon[4 + location]);
    let identifier = String::from_utf8_lossy(&macaroon[start..start + length]);
    identifier.strip_prefix(&format!("{USER}-")).expect("a token contains its user").to_owned()
}
