//! What an auth method answers.

use std::fmt;

use serde::Serialize;
use serde_json::json;

use super::token_lifetime::TokenLifetime;
use super::token_settings::TokenSettings;
use crate::framework::response::{IntoResponse, to_object};
use crate::logical::{Alias, Auth, Error, Map, Response};

/// A login that succeeded. The host makes a token from it; what the caller is told is the token, and the remarks.
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
/// async fn login(_: Context<()>, given: Ticket) -> Result<Login, Error> {
///     // Here the ticket is looked up.
///     if given.ticket != "A7" {
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
    /// A login of who is known here by this name: it has to stay the same for the same caller, and is never another's later. It is
    /// the display name too, unless [`display_name`](Self::display_name) says otherwise.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Login {
        let name = name.into();
        let auth = Auth { display_name: name.clone(), alias: Some(alias_named(name)), ..Auth::default() };
        Login { auth, internal: Ok(Map::new()) }
    }

    /// A readable name, for audit logs and for what is made in the caller's name.
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

    /// The policies of the token, over those given before. The host adds `default`.
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

    /// Notes something of the token. It is no secret: whoever looks the token up is shown it, and so is the audit log.
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

    /// Notes something of who it is, for policies to refer to. What is not the same at each login makes the host write each time.
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

    /// Names a group that the caller is in. Where the operator has an external group of this name at the mount, its policies count.
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

    /// What [`Engine::on_login_renew`](crate::framework::Engine::on_login_renew) is given back.
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

    /// How long the token lives.
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

    /// Everything that an operator has set for tokens: policies, lifetime, kind, addresses.
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
        // The framework takes it back where nothing renews.
        auth.lease.renewable = true;
        Ok(Some(Response { auth: Some(auth), ..Response::default() }))
    }
}

fn alias_named(name: String) -> Alias {
    Alias { name, ..Alias::default() }
}

/// Who a login would be, without logging in: the answer to [`Operation::AliasLookahead`](crate::logical::Operation). A host asks it
/// before a login, to count failed ones by user, and on a standby that cannot write.
///
/// ```
/// # use vault_plugin::framework::{AliasName, Context, Engine, Field, Path};
/// # use vault_plugin::{logical::{Error, Map, Operation}, testing::TestMount};
/// #[derive(serde::Deserialize)]
/// struct User {
///     username: String,
/// }
///
/// async fn who(_: Context<()>, user: User) -> Result<AliasName, Error> {
///     Ok(AliasName(user.username.to_lowercase()))
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let path = Path::new("login/(?P<username>.+)")
///     .field("username", Field::string())
///     .on(Operation::AliasLookahead, "Tell who it would be.", who);
/// # let mount = TestMount::new(Engine::auth_method(|| ()).path(path).unauthenticated_path("login/*")).await?;
/// let answer = mount.request(Operation::AliasLookahead, "login/Ann", Map::new()).await?.unwrap();
/// assert_eq!(answer.auth.unwrap().alias.unwrap().name, "ann");
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

/// The role that a login would use, without logging in: the answer to [`Operation::ResolveRole`](crate::logical::Operation). A host
/// asks it where a quota is set for a role.
///
/// ```
/// # use vault_plugin::framework::{Context, Engine, Field, Path, ResolvedRole};
/// # use vault_plugin::{logical::{Error, Map, Operation}, testing::TestMount};
/// #[derive(serde::Deserialize)]
/// struct Given {
///     role: String,
/// }
///
/// async fn role(_: Context<()>, given: Given) -> Result<ResolvedRole, Error> {
///     Ok(ResolvedRole(given.role))
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let path = Path::new("login")
///     .field("role", Field::string())
///     .on(Operation::ResolveRole, "Tell the role.", role);
/// # let mount = TestMount::new(Engine::auth_method(|| ()).path(path).unauthenticated_path("login")).await?;
/// # let given = Map::from_iter([("role".to_owned(), "ci".into())]);
/// let answer = mount.request(Operation::ResolveRole, "login", given).await?.unwrap();
/// assert_eq!(answer.data.unwrap()["role"], "ci");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedRole(pub String);

impl IntoResponse for ResolvedRole {
    fn into_response(self) -> Result<Option<Response>, Error> {
        Ok(Some(Response::data(to_object(json!({"role": self.0}))?)))
    }
}
