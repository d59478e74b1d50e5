//! Real services that issue tokens over HTTP, each with a different API.
//!
//! A [`TokenServer`] starts one of them, and calls its API directly: it issues a credential, tests whether the service accepts it, and
//! revokes it.

mod devpi;
mod gitea;
mod http;
mod hydra;
mod jupyterhub;
mod keycloak;
mod keystone;
mod pocketbase;
mod process;
mod verdaccio;

pub use self::http::ApiRequest;
use self::http::{ApiClient, BoxFuture};
use self::process::ServerProcess;
use crate::vault::ApiResponse;

/// A service that issues tokens. `tests/servers` pins the version of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenApi {
    /// API tokens of a user. On SQLite, the next token reuses the id of a revoked one.
    JupyterHub,
    /// Tokens of an npm user. They have no name, and revoking an unknown one succeeds.
    Verdaccio,
    /// Application credentials of a user, whose secret the client chooses. A login returns its token in a header.
    Keystone,
    /// Clients of a realm, whose secret the administrator chooses, and OAuth 2.0 access tokens.
    Keycloak,
    /// OAuth 2.0 clients, and their access tokens.
    Hydra,
    /// Access tokens of a user, each with a name that no other has. They do not expire.
    Gitea,
    /// Tokens of a user, with the plugin devpi-tokens. The id of a token is part of the token.
    Devpi,
    /// Tokens, each with its own user, which is deleted to revoke it. The engine has no preset for it.
    PocketBase,
}

/// A running service on private loopback ports, with the accounts that [`TokenServer::start`] creates.
///
/// Dropping it kills its processes and removes its files. If the test has failed, the log is kept, and the line `logs kept: PATH` contains
/// its path.
pub struct TokenServer {
    process: ServerProcess,
    client: ApiClient,
    service: Box<dyn Service>,
}

/// A credential that a client sends to the service.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// The id of an application credential or of a client. Other services ignore it.
    pub name: String,
    /// The token, or the secret.
    pub secret: String,
}

/// A credential that [`TokenServer::issue`] has issued.
pub struct IssuedCredential {
    /// The id with which it is revoked.
    pub id: String,
    /// The credential that its owner sends.
    pub credential: Credential,
}

/// A credential in the list of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedCredential {
    /// The id with which it is revoked.
    pub id: String,
    /// The name with which it was issued. Empty if the service has no names.
    pub name: String,
}

/// The requests of one service. An unexpected response fails the test.
trait Service: Send + Sync {
    fn admin_key(&self) -> &str;
    fn account(&self) -> &str;
    fn issue<'a>(&'a self, name: &'a str) -> BoxFuture<'a, IssuedCredential>;
    fn revoke<'a>(&'a self, id: &'a str) -> BoxFuture<'a, ApiResponse>;
    fn works<'a>(&'a self, credential: &'a Credential) -> BoxFuture<'a, bool>;
    fn list(&self) -> BoxFuture<'_, Vec<ListedCredential>>;
    /// `None` if the service has no access tokens.
    fn access_token_works<'a>(&'a self, _token: &'a str) -> Option<BoxFuture<'a, bool>> {
        None
    }
    /// The client of the public endpoint, if it is not the endpoint.
    fn public_client(&self) -> Option<&ApiClient> {
        None
    }
}

impl TokenServer {
    /// Starts a service, waits until it responds, and creates the accounts of the tests.
    ///
    /// # Panics
    ///
    /// If the service cannot be built or started.
    pub async fn start(api: TokenApi) -> TokenServer {
        match api {
            TokenApi::JupyterHub => jupyterhub::start().await,
            TokenApi::Verdaccio => verdaccio::start().await,
            TokenApi::Keystone => keystone::start().await,
            TokenApi::Keycloak => keycloak::start().await,
            TokenApi::Hydra => hydra::start().await,
            TokenApi::Gitea => gitea::start().await,
            TokenApi::Devpi => devpi::start().await,
            TokenApi::PocketBase => pocketbase::start().await,
        }
    }

    /// Returns the URL without a trailing slash. It is the same after every start.
    pub fn endpoint(&self) -> &str {
        self.client.endpoint()
    }

    /// Returns the URL of OAuth 2.0 for clients (Hydra), or the endpoint if the service has no separate one.
    pub fn public_endpoint(&self) -> &str {
        self.service.public_client().unwrap_or(&self.client).endpoint()
    }

    /// Returns the key that issues and revokes credentials: a token, a password or the secret of a client. Empty if none is required
    /// (Hydra).
    pub fn admin_key(&self) -> &str {
        self.service.admin_key()
    }

    /// Returns the user or the client that the key belongs to, or whose credentials are issued.
    pub fn account(&self) -> &str {
        self.service.account()
    }

    /// Issues a credential with this name and a lifetime of one hour, or the default lifetime if the API has no parameter for it.
    ///
    /// # Panics
    ///
    /// If the service issues no credential.
    pub async fn issue(&self, name: &str) -> IssuedCredential {
        self.service.issue(name).await
    }

    /// Revokes a credential, and returns the response, also if it is an error.
    pub async fn revoke(&self, id: &str) -> ApiResponse {
        self.service.revoke(id).await
    }

    /// Returns whether the service accepts a credential.
    ///
    /// # Panics
    ///
    /// If the service neither accepts nor rejects it.
    pub async fn token_works(&self, credential: &Credential) -> bool {
        self.service.works(credential).await
    }

    /// Returns whether the service accepts an OAuth 2.0 access token.
    ///
    /// # Panics
    ///
    /// If the service neither accepts nor rejects it, or has no access tokens.
    pub async fn access_token_works(&self, token: &str) -> bool {
        self.service.access_token_works(token).expect("this service issues no OAuth 2.0 access tokens").await
    }

    /// Returns the existing credentials, except those that the service itself has created.
    pub async fn list(&self) -> Vec<ListedCredential> {
        self.service.list().await
    }

    /// Returns a request to the endpoint without authentication. `path` begins with a slash.
    pub fn request(&self, method: &str, path: &str) -> ApiRequest {
        self.client.request(method, path)
    }

    /// Returns a request to the public endpoint.
    pub fn public_request(&self, method: &str, path: &str) -> ApiRequest {
        self.service.public_client().unwrap_or(&self.client).request(method, path)
    }

    /// Kills the service and its child processes with SIGKILL. Its credentials still exist after the next start.
    pub async fn kill(&mut self) {
        self.process.kill(&self.client).await;
    }

    /// Restarts the service after [`TokenServer::kill`], on the same address.
    ///
    /// # Panics
    ///
    /// If it is running, or does not start.
    pub async fn restart(&mut self) {
        self.process.start(&self.client).await;
    }

    /// Returns the log of the service.
    pub fn logs(&self) -> String {
        self.process.logs()
    }
}

impl From<&str> for Credential {
    /// Returns a credential that consists only of a token.
    fn from(token: &str) -> Credential {
        Credential { name: String::new(), secret: token.to_owned() }
    }
}
