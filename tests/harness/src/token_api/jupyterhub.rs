//! JupyterHub, on SQLite, with the users `app1` and `app2`, and the administrator `operator`.

use std::fs;

use serde_json::json;

use super::http::{ApiClient, ApiRequest, BoxFuture, elements, is_accepted, text};
use super::process::{Launch, ServerProcess, new_directory};
use super::{Credential, IssuedCredential, ListedCredential, Service, TokenServer};
use crate::vault::ApiResponse;
use crate::{build, port};

const CONFIGURATION: &str = include_str!("../../../servers/jupyterhub/jupyterhub_config.py");

struct JupyterHub {
    client: ApiClient,
    admin_key: String,
}

pub(super) async fn start() -> TokenServer {
    let directory = new_directory();
    fs::write(directory.path().join("jupyterhub_config.py"), CONFIGURATION)
        .expect("a new directory is writable");
    let client = ApiClient::new(port::free_port());
    let admin_key = uuid::Uuid::new_v4().simple().to_string();
    let launch = Launch {
        name: "jupyterhub",
        program: build::jupyterhub().await,
        args: vec!["--config=jupyterhub_config.py".to_owned()],
        environment: vec![
            ("JUPYTERHUB_ADDRESS", client.endpoint().to_owned()),
            ("JUPYTERHUB_ADMIN_KEY", admin_key.clone()),
        ],
        ready_path: "/hub/api",
    };
    let mut process = ServerProcess::new(launch, directory);
    process.start(&client).await;
    TokenServer { process, service: Box::new(JupyterHub { client: client.clone(), admin_key }), client }
}

impl JupyterHub {
    fn request(&self, method: &str, path: &str) -> ApiRequest {
        self.client.request(method, path).header("Authorization", &format!("token {}", self.admin_key))
    }
}

impl Service for JupyterHub {
    fn admin_key(&self) -> &str {
        &self.admin_key
    }

    fn account(&self) -> &'static str {
        "app1"
    }

    fn issue<'a>(&'a self, name: &'a str) -> BoxFuture<'a, IssuedCredential> {
        Box::pin(async move {
            let body = json!({"note": name, "expires_in": 3600});
            let issued = self.request("POST", "/hub/api/users/app1/tokens").json(&body).success().await;
            let credential = text(&issued, "/token").as_str().into();
            IssuedCredential { id: text(&issued, "/id"), credential }
        })
    }

    fn revoke<'a>(&'a self, id: &'a str) -> BoxFuture<'a, ApiResponse> {
        Box::pin(self.request("DELETE", &format!("/hub/api/users/app1/tokens/{id}")).send())
    }

    fn works<'a>(&'a self, credential: &'a Credential) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let request = self.client.request("GET", "/hub/api/user");
            let request = request.header("Authorization", &format!("token {}", credential.secret));
            is_accepted(&request.send().await, &[403])
        })
    }

    fn list(&self) -> BoxFuture<'_, Vec<ListedCredential>> {
        Box::pin(async move {
            let response = self.request("GET", "/hub/api/users/app1/tokens").success().await;
            let listed = |token| ListedCredential { id: text(token, "/id"), name: text(token, "/note") };
            elements(&response["api_tokens"]).iter().map(listed).collect()
        })
    }
}
