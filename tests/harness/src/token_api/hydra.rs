//! Ory Hydra, on SQLite. Its admin API requires no authentication.

use std::fs;

use serde_json::json;

use super::http::{ApiClient, BoxFuture, elements, is_accepted, text};
use super::process::{Launch, ServerProcess, new_directory, prepare};
use super::{Credential, IssuedCredential, ListedCredential, Service, TokenServer};
use crate::vault::ApiResponse;
use crate::{build, port};

struct Hydra {
    administration: ApiClient,
    public: ApiClient,
}

pub(super) async fn start() -> TokenServer {
    let directory = new_directory();
    let program = build::hydra().await;
    let database = format!("sqlite://{}?_fk=true", directory.path().join("hydra.db").display());
    prepare(&directory, &program, &["migrate", "sql", "--yes", &database]).await;
    let (administration, public) = (port::free_port(), port::free_port());
    let configuration = json!({
        "dsn": database,
        "serve": {
            "admin": {"host": "127.0.0.1", "port": administration},
            "public": {"host": "127.0.0.1", "port": public},
        },
        "urls": {"self": {"issuer": format!("http://127.0.0.1:{public}")}},
        "secrets": {"system": ["a-secret-of-tests-alone"]},
    });
    // JSON is valid YAML.
    fs::write(directory.path().join("hydra.yaml"), configuration.to_string())
        .expect("a new directory is writable");
    let launch = Launch {
        name: "hydra",
        program,
        // Without `--dev` it requires TLS.
        args: ["serve", "all", "--dev", "--sqa-opt-out", "--config", "hydra.yaml"].map(str::to_owned).into(),
        environment: Vec::new(),
        ready_path: "/health/ready",
    };
    let mut process = ServerProcess::new(launch, directory);
    let client = ApiClient::new(administration);
    process.start(&client).await;
    let service = Hydra { administration: client.clone(), public: ApiClient::new(public) };
    TokenServer { process, service: Box::new(service), client }
}

impl Service for Hydra {
    fn admin_key(&self) -> &'static str {
        ""
    }

    fn account(&self) -> &'static str {
        ""
    }

    fn issue<'a>(&'a self, name: &'a str) -> BoxFuture<'a, IssuedCredential> {
        Box::pin(async move {
            let secret = uuid::Uuid::new_v4().to_string();
            let body = json!({
                "client_id": name, "client_secret": secret, "client_name": name,
                "grant_types": ["client_credentials"], "token_endpoint_auth_method": "client_secret_basic",
            });
            let request = self.administration.request("POST", "/admin/clients");
            let issued = request.json(&body).success().await;
            let credential = Credential { name: name.to_owned(), secret };
            IssuedCredential { id: text(&issued, "/client_id"), credential }
        })
    }

    fn revoke<'a>(&'a self, id: &'a str) -> BoxFuture<'a, ApiResponse> {
        Box::pin(self.administration.request("DELETE", &format!("/admin/clients/{id}")).send())
    }

    fn works<'a>(&'a self, credential: &'a Credential) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let request = self.public.request("POST", "/oauth2/token");
            let request = request.basic(&credential.name, &credential.secret);
            is_accepted(&request.form(&[("grant_type", "client_credentials")]).send().await, &[401])
        })
    }

    fn list(&self) -> BoxFuture<'_, Vec<ListedCredential>> {
        Box::pin(async move {
            let clients = self.administration.request("GET", "/admin/clients").success().await;
            let listed =
                |one| ListedCredential { id: text(one, "/client_id"), name: text(one, "/client_name") };
            elements(&clients).iter().map(listed).collect()
        })
    }

    fn access_token_works<'a>(&'a self, token: &'a str) -> Option<BoxFuture<'a, bool>> {
        Some(Box::pin(async move {
            let request = self.administration.request("POST", "/admin/oauth2/introspect");
            request.form(&[("token", token)]).success().await["active"] == true
        }))
    }

    fn public_client(&self) -> Option<&ApiClient> {
        Some(&self.public)
    }
}
