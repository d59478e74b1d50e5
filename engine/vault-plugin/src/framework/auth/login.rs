//! The responses of an auth method.

use std::fmt;

use serde::Serialize;
use serde_json::json;

use super::token_lifetime::TokenLifetime;
use super::token_settings::TokenSettings;
use crate::framework::response::{IntoResponse, to_object};
use crate::logical::{Alias, Auth, Error, Map, Response};

/// A successful login. The host creates a token from it and returns the token and the warnings to the caller.
///
/// ```
/// use serde_json::json;
/// use vault_plugin::framework::{Context, Engine, Field, Login, Path};
/// use vault_plugin::logical::{Error, Operation};
/// use vault_plugin::testing::TestMount;
///
/// #[derive(serde::Deserialize)]
/// struct Ticket {
///     ticket: String,
/// }
///
/// async fn login(_: Context<()>, params: Ticket) -> Result<Login, Error> {
///     // A real auth method looks the ticket up.
///     if params.ticket != "A7" {
///         return Err(Error::PermissionDenied);
///     }
///     Ok(Login::new("ann").policies(["reader"]).metadata("seat", "7"))
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let path = Path::new("login").field("ticket", Field::string()).on(Operation::Update, "Log in.", login);
/// let mount = TestMount::new(Engine::auth_method(|| ()).path(path).unauthenticated_path("login")).await?;
/// let auth = mount.login("login", json!({"ticket": "A7"})).await?.unwrap().auth.unwrap();
/// assert_eq!((auth.alias.unwrap().name.as_str(), auth.metadata["seat"].as_str()), ("ann", "7"));
/// assert!(matches!(mount.login("login", json!({"ticket": "B1"})).await, Err(Error::PermissionDenied)));
/// # Ok(()) }
/// ```
pub struct Login {
    auth: Auth,
    internal: Result<Map, Error>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Login").field(&self.auth).finish()
    }
}

impl Login {
    /// Returns a login with this alias name. The name must be the same for every login of a caller, and must never be reassigned to
    /// another. It is also the display name, unless [`display_name`](Self::display_name) sets one.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Login {
        let name = name.into();
        let auth = Auth { display_name: name.clone(), alias: Some(alias_named(name)), ..Auth::default() };
        Login { auth, internal: Ok(Map::new()) }
    }

    /// Sets a readable name, for audit logs and for display.
    ///
    /// ```
    /// # use vault_plugin::{framework::{IntoResponse, Login}, logical::Error};
    /// let login = Login::new("0a1b2c").display_name("ann");
    /// assert_eq!(login.into_response()?.unwrap().auth.unwrap().display_name, "ann");
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn display_name(mut self, name: impl Into<String>) -> Self {
        self.auth.display_name = name.into();
        self
    }

    /// Sets the policies of the token, and replaces earlier ones. The host adds `default`.
    ///
    /// ```
    /// # use vault_plugin::{framework::{IntoResponse, Login}, logical::Error};
    /// let login = Login::new("ann").policies(["reader", "writer"]);
    /// assert_eq!(login.into_response()?.unwrap().auth.unwrap().policies, ["reader", "writer"]);
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn policies(mut self, policies: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.auth.policies = policies.into_iter().map(Into::into).collect();
        self
    }

    /// Adds metadata to the token. It is not secret: token lookups and the audit log show it.
    ///
    /// ```
    /// # use vault_plugin::{framework::{IntoResponse, Login}, logical::Error};
    /// let login = Login::new("ann").metadata("ticket", "A7");
    /// assert_eq!(login.into_response()?.unwrap().auth.unwrap().metadata["ticket"], "A7");
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.auth.metadata.insert(key.into(), value.into());
        self
    }

    /// Adds metadata to the alias, for use in policies. A value that changes between logins causes a write of the host per login.
    ///
    /// ```
    /// # use vault_plugin::{framework::{IntoResponse, Login}, logical::Error};
    /// let login = Login::new("ann").alias_metadata("team", "blue");
    /// assert_eq!(login.into_response()?.unwrap().auth.unwrap().alias.unwrap().metadata["team"], "blue");
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn alias_metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.auth.alias.get_or_insert_default().metadata.insert(key.into(), value.into());
        self
    }

    /// Adds a group of the caller. If the operator has created an external group with this name at the mount, its policies apply.
    ///
    /// ```
    /// # use vault_plugin::{framework::{IntoResponse, Login}, logical::Error};
    /// let login = Login::new("ann").group("admins").group("readers");
    /// let groups = login.into_response()?.unwrap().auth.unwrap().group_aliases;
    /// assert_eq!(groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>(), ["admins", "readers"]);
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn group(mut self, name: impl Into<String>) -> Self {
        self.auth.group_aliases.push(alias_named(name.into()));
        self
    }

    /// Sets the data that [`Engine::on_login_renew`](crate::framework::Engine::on_login_renew) receives.
    ///
    /// ```
    /// # use serde_json::json;
    /// # use vault_plugin::{framework::{IntoResponse, Login}, logical::Error};
    /// let login = Login::new("ann").internal(json!({"role": "ci"}));
    /// assert_eq!(login.into_response()?.unwrap().auth.unwrap().internal_data["role"], "ci");
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn internal(mut self, internal: impl Serialize) -> Self {
        self.internal = to_object(internal);
        self
    }

    /// Sets the lifetime of the token.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use vault_plugin::{framework::{IntoResponse, Login, TokenLifetime}, logical::Error};
    /// let a_minute = TokenLifetime { ttl: Duration::from_mins(1), ..TokenLifetime::default() };
    /// let login = Login::new("ann").lifetime(a_minute);
    /// assert_eq!(login.into_response()?.unwrap().auth.unwrap().lease.ttl, Duration::from_mins(1));
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn lifetime(mut self, lifetime: TokenLifetime) -> Self {
        lifetime.apply_to(&mut self.auth);
        self
    }

    /// Applies the token settings of an operator: policies, lifetime, type, addresses.
    ///
    /// ```
    /// # use serde_json::json;
    /// # use vault_plugin::{framework::{IntoResponse, Login, TokenSettings}, logical::Error};
    /// let role: TokenSettings =
    ///     serde_json::from_value(json!({"token_policies": ["reader"], "token_ttl": 60})).unwrap();
    /// let auth = Login::new("ann").settings(&role).into_response()?.unwrap().auth.unwrap();
    /// assert_eq!((auth.policies, auth.lease.ttl.as_secs()), (vec!["reader".to_owned()], 60));
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn settings(mut self, settings: &TokenSettings) -> Self {
        settings.apply(&mut self.auth);
        self
    }
}

impl IntoResponse for Login {
    fn into_response(self) -> Result<Option<Response>, Error> {
        let mut auth = self.auth;
        auth.internal_data = self.internal?;
        // The framework resets it if the engine has no renew handler.
        auth.lease.renewable = true;
        Ok(Some(Response { auth: Some(auth), ..Response::default() }))
    }
}

fn alias_named(name: String) -> Alias {
    Alias { name, ..Alias::default() }
}

/// The alias of a login, without logging in: the response to [`Operation::AliasLookahead`](crate::logical::Operation). A host requests
/// it before a login, to count failed logins per user, and on a standby that cannot write.
///
/// ```
/// # use vault_plugin::framework::{AliasName, Context, Engine, Field, Path};
/// # use vault_plugin::{logical::{Error, Map, Operation}, testing::TestMount};
/// #[derive(serde::Deserialize)]
/// struct User {
///     username: String,
/// }
///
/// async fn alias(_: Context<()>, user: User) -> Result<AliasName, Error> {
///     Ok(AliasName(user.username.to_lowercase()))
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let path = Path::new("login/(?P<username>.+)")
///     .field("username", Field::string())
///     .on(Operation::AliasLookahead, "Return the alias of a login.", alias);
/// # let mount = TestMount::new(Engine::auth_method(|| ()).path(path).unauthenticated_path("login/*")).await?;
/// let response = mount.request(Operation::AliasLookahead, "login/Ann", Map::new()).await?.unwrap();
/// assert_eq!(response.auth.unwrap().alias.unwrap().name, "ann");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AliasName(pub String);

impl IntoResponse for AliasName {
    fn into_response(self) -> Result<Option<Response>, Error> {
        let auth = Auth { alias: Some(alias_named(self.0)), ..Auth::default() };
        Ok(Some(Response { auth: Some(auth), ..Response::default() }))
    }
}

/// The role of a login, without logging in: the response to [`Operation::ResolveRole`](crate::logical::Operation). A host
/// requests it if a quota is set for a role.
///
/// ```
/// # use vault_plugin::framework::{Context, Engine, Field, Path, ResolvedRole};
/// # use vault_plugin::{logical::{Error, Map, Operation}, testing::TestMount};
/// #[derive(serde::Deserialize)]
/// struct LoginFields {
///     role: String,
/// }
///
/// async fn role(_: Context<()>, params: LoginFields) -> Result<ResolvedRole, Error> {
///     Ok(ResolvedRole(params.role))
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let path = Path::new("login")
///     .field("role", Field::string())
///     .on(Operation::ResolveRole, "Return the role of a login.", role);
/// # let mount = TestMount::new(Engine::auth_method(|| ()).path(path).unauthenticated_path("login")).await?;
/// # let data = Map::from_iter([("role".to_owned(), "ci".into())]);
/// let response = mount.request(Operation::ResolveRole, "login", data).await?.unwrap();
/// assert_eq!(response.data.unwrap()["role"], "ci");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedRole(pub String);

impl IntoResponse for ResolvedRole {
    fn into_response(self) -> Result<Option<Response>, Error> {
        Ok(Some(Response::data(to_object(json!({"role": self.0}))?)))
    }
}
