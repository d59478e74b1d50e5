//! Keycloak, with the client `vault`, which administers the realm `master`.

use serde_json::json;

use super::http::{ApiClient, ApiRequest, BoxFuture, elements, is_accepted, text};
use super::process::{Launch, ServerProcess, copy_files, new_directory};
use super::{Credential, IssuedCredential, ListedCredential, Service, TokenServer};
use crate::vault::ApiResponse;
use crate::{build, port};

/// The build script creates these in the database.
const CLIENT: &str = "vault";
const SECRET: &str = "secret-of-vault";

const TOKEN_PATH: &str = "/realms/master/protocol/openid-connect/token";
const USERINFO_PATH: &str = "/realms/master/protocol/openid-connect/userinfo";
const CLIENTS_PATH: &str = "/admin/realms/master/clients";

struct Keycloak {
    client: ApiClient,
}

pub(super) async fn start() -> TokenServer {
    let directory = new_directory();
    let program = build::keycloak().await;
    let state = program.ancestors().nth(2).expect("it is two directories deep").join("state");
    copy_files(&state, directory.path()).expect("the build script creates it");
    let port = port::free_port();
    let launch = Launch {
        name: "keycloak",
        program,
        args: vec![port.to_string()],
        environment: Vec::new(),
        ready_path: "/realms/master",
    };
    let mut process = ServerProcess::new(launch, directory);
    let client = ApiClient::new(port);
    process.start(&client).await;
    TokenServer { process, service: Box::new(Keycloak { client: client.clone() }), client }
}

impl Keycloak {
    /// Requests an access token of a client.
    async fn grant(&self, client: &str, secret: &str) -> ApiResponse {
        let request = self.client.request("POST", TOKEN_PATH).basic(client, secret);
        request.form(&[("grant_type", "client_credentials"), ("scope", "openid")]).send().await
    }

    async fn request(&self, method: &str, path: &str) -> ApiRequest {
        let token = text(&self.grant(CLIENT, SECRET).await.success(), "/access_token");
        self.client.request(method, &format!("{CLIENTS_PATH}{path}")).bearer(&token)
    }
}

impl Service for Keycloak {
    fn admin_key(&self) -> &'static str {
        SECRET
    }

    fn account(&self) -> &'static str {
        CLIENT
    }

    fn issue<'a>(&'a self, name: &'a str) -> BoxFuture<'a, IssuedCredential> {
        Box::pin(async move {
            let secret = uuid::Uuid::new_v4().to_string();
            let body = json!({
                "clientId": name, "secret": secret, "serviceAccountsEnabled": true,
                "publicClient": false, "standardFlowEnabled": false,
            });
            let request = self.request("POST", "").await.json(&body);
            let (created, location) = request.send_for_header("Location").await;
            created.success();
            let id = location.rsplit('/').next().unwrap_or_default().to_owned();
            IssuedCredential { id, credential: Credential { name: name.to_owned(), secret } }
        })
    }

    fn revoke<'a>(&'a self, id: &'a str) -> BoxFuture<'a, ApiResponse> {
        Box::pin(async move { self.request("DELETE", &format!("/{id}")).await.send().await })
    }

    fn works<'a>(&'a self, credential: &'a Credential) -> BoxFuture<'a, bool> {
        Box::pin(async move { is_accepted(&self.grant(&credential.name, &credential.secret).await, &[401]) })
    }

    fn list(&self) -> BoxFuture<'_, Vec<ListedCredential>> {
        Box::pin(async move {
            let clients = self.request("GET", "").await.success().await;
            let listed = |one| ListedCredential { id: text(one, "/id"), name: text(one, "/clientId") };
            // Only the built-in client of the administrator has a service account.
            let ours = elements(&clients).iter().filter(|one| one["serviceAccountsEnabled"] == true);
            ours.map(listed).filter(|client| client.name != CLIENT).collect()
        })
    }

    fn access_token_works<'a>(&'a self, token: &'a str) -> Option<BoxFuture<'a, bool>> {
        Some(Box::pin(async move {
            let request = self.client.request("GET", USERINFO_PATH).bearer(token);
            is_accepted(&request.send().await, &[401])
        }))
    }
}
