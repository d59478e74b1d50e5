//! PocketBase, on SQLite, with a superuser. Each token has its own user.

use serde_json::json;

use super::http::{ApiClient, ApiRequest, BoxFuture, elements, is_accepted, text};
use super::process::{Launch, ServerProcess, new_directory, prepare};
use super::{Credential, IssuedCredential, ListedCredential, Service, TokenServer};
use crate::vault::ApiResponse;
use crate::{build, port};

const SUPERUSER: &str = "vault@example.com";
const PASSWORD: &str = "password-of-the-superuser";

const USERS: &str = "/api/collections/users";

struct PocketBase {
    client: ApiClient,
    /// The token of a login. It expires after one day.
    login_token: String,
}

pub(super) async fn start() -> TokenServer {
    let directory = new_directory();
    let program = build::pocketbase().await;
    let (port, data) = (port::free_port(), "--dir=data");
    let address = format!("127.0.0.1:{port}");
    prepare(&directory, &program, &["superuser", "create", SUPERUSER, PASSWORD, data]).await;
    let client = ApiClient::new(port);
    let launch = Launch {
        name: "pocketbase",
        program,
        args: ["serve", data, "--http", &address].map(str::to_owned).into(),
        environment: Vec::new(),
        ready_path: "/api/health",
    };
    let mut process = ServerProcess::new(launch, directory);
    process.start(&client).await;
    let login = json!({"identity": SUPERUSER, "password": PASSWORD});
    let request = client.request("POST", "/api/collections/_superusers/auth-with-password");
    let login_token = text(&request.json(&login).success().await, "/token");
    let service = PocketBase { client: client.clone(), login_token };
    TokenServer { process, service: Box::new(service), client }
}

impl PocketBase {
    fn request(&self, method: &str, path: &str) -> ApiRequest {
        let request = self.client.request(method, &format!("{USERS}/{path}"));
        request.header("Authorization", &self.login_token)
    }
}

impl Service for PocketBase {
    fn admin_key(&self) -> &'static str {
        PASSWORD
    }

    fn account(&self) -> &'static str {
        SUPERUSER
    }

    fn issue<'a>(&'a self, name: &'a str) -> BoxFuture<'a, IssuedCredential> {
        Box::pin(async move {
            let password = uuid::Uuid::new_v4().to_string();
            let user = json!({
                "name": name, "email": format!("{name}@example.com"), "password": password, "passwordConfirm": password,
            });
            let id = text(&self.request("POST", "records").json(&user).success().await, "/id");
            let request = self.request("POST", &format!("impersonate/{id}"));
            let issued = request.json(&json!({"duration": 3600})).success().await;
            IssuedCredential { id, credential: text(&issued, "/token").as_str().into() }
        })
    }

    fn revoke<'a>(&'a self, id: &'a str) -> BoxFuture<'a, ApiResponse> {
        Box::pin(self.request("DELETE", &format!("records/{id}")).send())
    }

    fn works<'a>(&'a self, credential: &'a Credential) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let request = self.client.request("POST", &format!("{USERS}/auth-refresh"));
            is_accepted(&request.header("Authorization", &credential.secret).send().await, &[401])
        })
    }

    fn list(&self) -> BoxFuture<'_, Vec<ListedCredential>> {
        Box::pin(async move {
            let users = self.request("GET", "records?perPage=500").success().await;
            let listed = |one| ListedCredential { id: text(one, "/id"), name: text(one, "/name") };
            elements(&users["items"]).iter().map(listed).collect()
        })
    }
}
