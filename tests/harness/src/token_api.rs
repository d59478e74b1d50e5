//! Real services that issue tokens over HTTP, each with an API of its own.
//!
//! A [`TokenServer`] starts one of them, and does with plain HTTP what an engine does through a mount: it issues a credential, shows
//! whether it works there, and revokes it.

mod devpi;
mod http;
mod hydra;
mod jupyterhub;
mod keycloak;
mod keystone;
mod process;
mod verdaccio;

pub use self::http::ApiRequest;
use self::http::{ApiClient, BoxFuture};
use self::process::ServerProcess;
use crate::vault::ApiResponse;

/// A service that issues tokens. `tests/servers` pins the version of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenApi {
    /// API tokens of a user. On SQLite, the id of a revoked token is given to the next one.
    JupyterHub,
    /// Tokens of an npm user. They have no name, and revoking an unknown one succeeds.
    Verdaccio,
    /// Application credentials of a user, whose secret the client chooses. A login answers with its token in a header.
    Keystone,
    /// Clients of a realm, whose secret the administrator chooses; and OAuth 2.0 access tokens.
    Keycloak,
    /// OAuth 2.0 clients, and their access tokens.
    Hydra,
    /// Tokens of a user, with the plugin devpi-tokens. The id of a token is inside the token.
    Devpi,
}

/// A running service, with the accounts that [`TokenServer::start`] has made, on loopback ports of its own.
///
/// Dropping it kills it and all that it started, and removes its files. If the test fails then, its log is kept, and the line `logs
/// kept: PATH` says where.
pub struct TokenServer {
    process: ServerProcess,
    client: ApiClient,
    service: Box<dyn Service>,
}

/// What a client of the service presents to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// What some services ask for beside the secret: the id of an application credential, or of a client. Others ignore it.
    pub name: String,
    /// The token, or the secret.
    pub secret: String,
}

/// A credential that [`TokenServer::issue`] has made.
pub struct IssuedCredential {
    /// By which it is revoked.
    pub id: String,
    /// What its owner presents.
    pub credential: Credential,
}

/// A credential as the service lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedCredential {
    /// By which it is revoked.
    pub id: String,
    /// What it was given when it was issued; empty where the service has no names.
    pub name: String,
}

/// The requests of one service. An unexpected response ends the test.
trait Service: Send + Sync {
    fn admin_key(&self) -> &str;
    fn account(&self) -> &str;
    fn issue<'a>(&'a self, name: &'a str) -> BoxFuture<'a, IssuedCredential>;
    fn revoke<'a>(&'a self, id: &'a str) -> BoxFuture<'a, ApiResponse>;
    fn works<'a>(&'a self, credential: &'a Credential) -> BoxFuture<'a, bool>;
    fn list(&self) -> BoxFuture<'_, Vec<ListedCredential>>;
    /// `None` where there are no access tokens.
    fn access_token_works<'a>(&'a self, _token: &'a str) -> Option<BoxFuture<'a, bool>> {
        None
    }
    /// Where it is not the endpoint.
    fn public_client(&self) -> Option<&ApiClient> {
        None
    }
}

impl TokenServer {
    /// Starts it, waits until it answers, and makes the accounts that tests need.
    ///
    /// # Panics
    ///
    /// When it cannot be built or started.
    pub async fn start(api: TokenApi) -> TokenServer {
        match api {
            TokenApi::JupyterHub => jupyterhub::start().await,
            TokenApi::Verdaccio => verdaccio::start().await,
            TokenApi::Keystone => keystone::start().await,
            TokenApi::Keycloak => keycloak::start().await,
            TokenApi::Hydra => hydra::start().await,
            TokenApi::Devpi => devpi::start().await,
        }
    }

    /// Its URL, without a trailing slash; the same after every start.
    pub fn endpoint(&self) -> &str {
        self.client.endpoint()
    }

    /// The URL of OAuth 2.0 for clients, where it is another than that of the administration (Hydra); else the endpoint.
    pub fn public_endpoint(&self) -> &str {
        self.service.public_client().unwrap_or(&self.client).endpoint()
    }

    /// What an administrator, or the account, presents to issue and to revoke: a token, a password or the secret of a client. Empty
    /// where nothing is asked for (Hydra).
    pub fn admin_key(&self) -> &str {
        self.service.admin_key()
    }

    /// The user, or the client, to whom the administrative key belongs or whose credentials are issued.
    pub fn account(&self) -> &str {
        self.service.account()
    }

    /// Issues a credential of this name that lives for an hour, or for as long as it can where that cannot be asked for.
    ///
    /// # Panics
    ///
    /// When the service does not.
    pub async fn issue(&self, name: &str) -> IssuedCredential {
        self.service.issue(name).await
    }

    /// Revokes a credential, and returns the response, whatever it is.
    pub async fn revoke(&self, id: &str) -> ApiResponse {
        self.service.revoke(id).await
    }

    /// Whether the service accepts a credential.
    ///
    /// # Panics
    ///
    /// When it neither accepts nor refuses it.
    pub async fn token_works(&self, credential: &Credential) -> bool {
        self.service.works(credential).await
    }

    /// Whether the service accepts an OAuth 2.0 access token.
    ///
    /// # Panics
    ///
    /// When it neither accepts nor refuses it, or has no such tokens.
    pub async fn access_token_works(&self, token: &str) -> bool {
        self.service.access_token_works(token).expect("this service issues no OAuth 2.0 access tokens").await
    }

    /// The credentials that exist, without those that the service itself has made.
    pub async fn list(&self) -> Vec<ListedCredential> {
        self.service.list().await
    }

    /// A request to the endpoint, without any authentication; `path` begins with a slash.
    pub fn request(&self, method: &str, path: &str) -> ApiRequest {
        self.client.request(method, path)
    }

    /// A request to the public endpoint.
    pub fn public_request(&self, method: &str, path: &str) -> ApiRequest {
        self.service.public_client().unwrap_or(&self.client).request(method, path)
    }

    /// Ends it and everything it started with SIGKILL. What it has issued is still there when it is started again.
    pub async fn kill(&mut self) {
        self.process.kill(&self.client).await;
    }

    /// Starts it after [`TokenServer::kill`], on the same address.
    ///
    /// # Panics
    ///
    /// When it is running, or does not start.
    pub async fn start_again(&mut self) {
        self.process.start(&self.client).await;
    }

    /// What it has logged.
    pub fn logs(&self) -> String {
        self.process.logs()
    }
}

impl From<&str> for Credential {
    /// One that is a token alone.
    fn from(token: &str) -> Credential {
        Credential { name: String::new(), secret: token.to_owned() }
    }
}
