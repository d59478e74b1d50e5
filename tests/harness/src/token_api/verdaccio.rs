//! Verdaccio, without any upstream registry, with the user `app1`.

use std::fs;

use serde_json::json;

use super::http::{ApiClient, ApiRequest, BoxFuture, elements, is_accepted, text};
use super::process::{Launch, ServerProcess, new_directory};
use super::{Credential, IssuedCredential, ListedCredential, Service, TokenServer};
use crate::vault::ApiResponse;
use crate::{build, port};

const USER: &str = "app1";
const PASSWORD: &str = "password-of-app1";

struct Verdaccio {
    client: ApiClient,
    /// The token of a login. It expires after 29 days.
    login_token: String,
}

pub(super) async fn start() -> TokenServer {
    let directory = new_directory();
    let port = port::free_port();
    let configuration = json!({
        "storage": "storage",
        "auth": {"htpasswd": {"file": "htpasswd", "max_users": 100}},
        "uplinks": {},
        "packages": {"**": {"access": "$authenticated"}},
        "web": {"enable": false},
        "flags": {"token": true},
        // The default is 1,000 requests in 15 minutes, fewer than a test sends that waits for a state.
        "userRateLimit": {"windowMs": 1000, "max": 100_000},
        "security": {"api": {"legacy": false, "jwt": {"sign": {"expiresIn": "29d"}}}},
        "log": {"type": "stdout", "format": "json", "level": "http"},
    });
    // JSON is valid YAML.
    fs::write(directory.path().join("config.yaml"), configuration.to_string())
        .expect("a new directory is writable");
    let launch = Launch {
        name: "verdaccio",
        program: build::verdaccio().await,
        args: ["--config", "config.yaml", "--listen"]
            .map(str::to_owned)
            .into_iter()
            .chain([format!("127.0.0.1:{port}")])
            .collect(),
        environment: Vec::new(),
        ready_path: "/-/ping",
    };
    let mut process = ServerProcess::new(launch, directory);
    let client = ApiClient::new(port);
    process.start(&client).await;
    let login = json!({"name": USER, "password": PASSWORD});
    let path = format!("/-/user/org.couchdb.user:{USER}");
    let login = client.request("PUT", &path).json(&login).success().await;
    let service = Verdaccio { client: client.clone(), login_token: text(&login, "/token") };
    TokenServer { process, service: Box::new(service), client }
}

impl Verdaccio {
    fn request(&self, method: &str, path: &str) -> ApiRequest {
        self.client.request(method, path).bearer(&self.login_token)
    }
}

impl Service for Verdaccio {
    fn admin_key(&self) -> &'static str {
        PASSWORD
    }

    fn account(&self) -> &'static str {
        USER
    }

    fn issue<'a>(&'a self, _name: &'a str) -> BoxFuture<'a, IssuedCredential> {
        Box::pin(async move {
            let body = json!({"password": PASSWORD, "readonly": false, "cidr_whitelist": []});
            let issued = self.request("POST", "/-/npm/v1/tokens").json(&body).success().await;
            let credential = text(&issued, "/token").as_str().into();
            IssuedCredential { id: text(&issued, "/key"), credential }
        })
    }

    fn revoke<'a>(&'a self, id: &'a str) -> BoxFuture<'a, ApiResponse> {
        Box::pin(self.request("DELETE", &format!("/-/npm/v1/tokens/token/{id}")).send())
    }

    fn works<'a>(&'a self, credential: &'a Credential) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let request = self.client.request("GET", "/-/whoami").bearer(&credential.secret);
            let response = request.send().await;
            // The response to an invalid token is that to a request without one: 200, and no name.
            is_accepted(&response, &[401, 403]) && response.body["username"] == USER
        })
    }

    fn list(&self) -> BoxFuture<'_, Vec<ListedCredential>> {
        Box::pin(async move {
            let response = self.request("GET", "/-/npm/v1/tokens").success().await;
            let listed = |token| ListedCredential { id: text(token, "/key"), name: String::new() };
            elements(&response["objects"]).iter().map(listed).collect()
        })
    }
}
