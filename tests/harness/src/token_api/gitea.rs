//! Gitea, on SQLite, with one user. The password of the user is the key, and the tokens belong to that user. It requires the git of the machine.

use std::fs;

use serde_json::{Value, json};

use super::http::{ApiClient, ApiRequest, BoxFuture, elements, is_accepted, text};
use super::process::{Launch, ServerProcess, new_directory, prepare};
use super::{Credential, IssuedCredential, ListedCredential, Service, TokenServer};
use crate::vault::ApiResponse;
use crate::{build, port};

const USER: &str = "vault";
const PASSWORD: &str = "password-of-vault";

const TOKENS_PATH: &str = "/api/v1/users/vault/tokens";

struct Gitea {
    client: ApiClient,
}

pub(super) async fn start() -> TokenServer {
    let directory = new_directory();
    let program = build::gitea().await;
    let port = port::free_port();
    // Without the first setting it does not start as root. It hashes the password at each request with basic authentication.
    let configuration = format!(
        "I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
WORK_PATH = {work}
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {port}
ROOT_URL = http://127.0.0.1:{port}/
STATIC_ROOT_PATH = {files}
DISABLE_SSH = true
[database]
DB_TYPE = sqlite3
[security]
INSTALL_LOCK = true
SECRET_KEY = a-secret-of-tests-alone
PASSWORD_HASH_ALGO = pbkdf2_v1
[log]
MODE = console
LEVEL = Warn
[indexer]
ISSUE_INDEXER_TYPE = db
[actions]
ENABLED = false
[cron]
ENABLED = false
[cron.update_checker]
ENABLED = false
",
        work = directory.path().display(),
        files = program.parent().expect("the program is in a folder").display(),
    );
    let file = directory.path().join("app.ini");
    fs::write(&file, configuration).expect("a new directory is writable");
    let config = format!("--config={}", file.display());
    prepare(&directory, &program, &["migrate", &config]).await;
    let (username, password) = (format!("--username={USER}"), format!("--password={PASSWORD}"));
    let user = [&username, &password, "--email=vault@example.com", "--must-change-password=false"];
    let create = ["admin", "user", "create", &config].into_iter().chain(user);
    prepare(&directory, &program, &create.collect::<Vec<_>>()).await;
    let launch = Launch {
        name: "gitea",
        program,
        args: vec!["web".to_owned(), config],
        environment: Vec::new(),
        ready_path: "/api/healthz",
    };
    let mut process = ServerProcess::new(launch, directory);
    let client = ApiClient::new(port);
    process.start(&client).await;
    TokenServer { process, service: Box::new(Gitea { client: client.clone() }), client }
}

impl Gitea {
    fn request(&self, method: &str, path: &str) -> ApiRequest {
        self.client.request(method, path).basic(USER, PASSWORD)
    }
}

impl Service for Gitea {
    fn admin_key(&self) -> &'static str {
        PASSWORD
    }

    fn account(&self) -> &'static str {
        USER
    }

    fn issue<'a>(&'a self, name: &'a str) -> BoxFuture<'a, IssuedCredential> {
        Box::pin(async move {
            let body = json!({"name": name, "scopes": ["read:user"]});
            let issued = self.request("POST", TOKENS_PATH).json(&body).success().await;
            let credential = text(&issued, "/sha1").as_str().into();
            IssuedCredential { id: issued["id"].to_string(), credential }
        })
    }

    fn revoke<'a>(&'a self, id: &'a str) -> BoxFuture<'a, ApiResponse> {
        Box::pin(self.request("DELETE", &format!("{TOKENS_PATH}/{id}")).send())
    }

    fn works<'a>(&'a self, credential: &'a Credential) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let request = self.client.request("GET", "/api/v1/user");
            let request = request.header("Authorization", &format!("token {}", credential.secret));
            is_accepted(&request.send().await, &[401])
        })
    }

    fn list(&self) -> BoxFuture<'_, Vec<ListedCredential>> {
        Box::pin(async move {
            let tokens = self.request("GET", TOKENS_PATH).success().await;
            let listed =
                |one: &Value| ListedCredential { id: one["id"].to_string(), name: text(one, "/name") };
            elements(&tokens).iter().map(listed).collect()
        })
    }
}
