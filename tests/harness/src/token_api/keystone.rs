//! OpenStack Keystone, on SQLite, with the user `vault`, who administers the project `apps`.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::http::{ApiClient, ApiRequest, BoxFuture, elements, is_accepted, text};
use super::process::{Launch, ServerProcess, copy_files, new_directory};
use super::{Credential, IssuedCredential, ListedCredential, Service, TokenServer};
use crate::vault::ApiResponse;
use crate::{build, port};

/// The build script creates these in the database.
const USER: &str = "vault";
const PASSWORD: &str = "password-of-vault";
const PROJECT: &str = "apps";

struct Keystone {
    client: ApiClient,
    user_id: String,
}

pub(super) async fn start() -> TokenServer {
    let directory = new_directory();
    let program = build::keystone().await;
    let state = program.ancestors().nth(2).expect("it is two directories deep").join("state");
    copy_files(&state, directory.path()).expect("the build script creates it");
    let port = port::free_port();
    let launch = Launch {
        name: "keystone",
        program,
        args: vec![format!("127.0.0.1:{port}")],
        environment: Vec::new(),
        ready_path: "/v3",
    };
    let mut process = ServerProcess::new(launch, directory);
    let client = ApiClient::new(port);
    process.start(&client).await;
    let mut service = Keystone { client: client.clone(), user_id: String::new() };
    service.user_id = service.login().await.1;
    TokenServer { process, service: Box::new(service), client }
}

impl Keystone {
    /// Logs in, and returns the token, which is in a header, and the id of the user.
    async fn login(&self) -> (String, String) {
        let domain = json!({"id": "default"});
        let body = json!({"auth": {
            "identity": {
                "methods": ["password"],
                "password": {"user": {"name": USER, "domain": domain, "password": PASSWORD}},
            },
            "scope": {"project": {"name": PROJECT, "domain": domain}},
        }});
        let request = self.client.request("POST", "/v3/auth/tokens").json(&body);
        let (login, token) = request.send_for_header("X-Subject-Token").await;
        (token, text(&login.success(), "/token/user/id"))
    }

    async fn request(&self, method: &str, path: &str) -> ApiRequest {
        let path = format!("/v3/users/{}/application_credentials{path}", self.user_id);
        self.client.request(method, &path).header("X-Auth-Token", &self.login().await.0)
    }
}

impl Service for Keystone {
    fn admin_key(&self) -> &'static str {
        PASSWORD
    }

    fn account(&self) -> &'static str {
        USER
    }

    fn issue<'a>(&'a self, name: &'a str) -> BoxFuture<'a, IssuedCredential> {
        Box::pin(async move {
            let secret = uuid::Uuid::new_v4().to_string();
            let expires_at = Timestamp::now() + SignedDuration::from_hours(1);
            let body = json!({"application_credential": {
                "name": name, "secret": secret, "expires_at": expires_at.to_string(), "roles": [{"name": "member"}],
            }});
            let issued = self.request("POST", "").await.json(&body).success().await;
            let id = text(&issued, "/application_credential/id");
            IssuedCredential { credential: Credential { name: id.clone(), secret }, id }
        })
    }

    fn revoke<'a>(&'a self, id: &'a str) -> BoxFuture<'a, ApiResponse> {
        Box::pin(async move { self.request("DELETE", &format!("/{id}")).await.send().await })
    }

    fn works<'a>(&'a self, credential: &'a Credential) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let body = json!({"auth": {"identity": {
                "methods": ["application_credential"],
                "application_credential": {"id": credential.name, "secret": credential.secret},
            }}});
            let response = self.client.request("POST", "/v3/auth/tokens").json(&body).send().await;
            is_accepted(&response, &[401, 404])
        })
    }

    fn list(&self) -> BoxFuture<'_, Vec<ListedCredential>> {
        Box::pin(async move {
            let response = self.request("GET", "").await.success().await;
            let listed = |one| ListedCredential { id: text(one, "/id"), name: text(one, "/name") };
            elements(&response["application_credentials"]).iter().map(listed).collect()
        })
    }
}
