//! Who a caller is, and how a plugin proves who it is.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::Sensitive;

/// An identity of the host, behind one or more ways to log in.
///
/// ```
/// use vault_plugin::logical::{Entity, Error, Request, SystemView};
/// # use std::collections::BTreeMap;
/// # use vault_plugin::{logical::{Map, Operation}, testing::StaticSystemView};
///
/// async fn caller(system: &dyn SystemView, request: &Request) -> Result<String, Error> {
///     let entity = system.entity(&request.entity_id).await?.ok_or(Error::PermissionDenied)?;
///     Ok(entity.name)
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (system, mut request) = (StaticSystemView::default(), Request::new(Operation::Read, "me", Map::new()));
/// let ann = Entity { id: "e-1".to_owned(), name: "ann".to_owned(), ..Entity::default() };
/// system.update(|host| host.entities = Some(BTreeMap::from([(ann.id.clone(), ann)])));
/// request.entity_id = "e-1".to_owned();
/// assert_eq!(caller(&system, &request).await?, "ann");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entity {
    /// Its id, as in [`Request::entity_id`](super::Request::entity_id).
    pub id: String,
    /// Its unique name.
    pub name: String,
    /// The ways to log in as it.
    pub aliases: Vec<Alias>,
    /// What the operator noted of it.
    pub metadata: BTreeMap<String, String>,
    /// Whether its tokens are refused.
    pub disabled: bool,
    /// The namespace it belongs to.
    pub namespace_id: String,
}

/// An entity as one auth method knows it.
///
/// ```
/// use vault_plugin::logical::{Alias, Entity};
///
/// let alias = Alias {
///     name: "ann@example.com".to_owned(),
///     mount_accessor: "auth_oidc_1".to_owned(),
///     ..Alias::default()
/// };
/// let entity = Entity { aliases: vec![alias], ..Entity::default() };
/// let known = entity.aliases.iter().find(|alias| alias.mount_accessor == "auth_oidc_1");
/// assert_eq!(known.map(|alias| alias.name.as_str()), Some("ann@example.com"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alias {
    /// Its id.
    pub id: String,
    /// Its name at the auth method, such as a user name.
    pub name: String,
    /// The type of the auth method.
    pub mount_type: String,
    /// The accessor of the auth method.
    pub mount_accessor: String,
    /// What the auth method noted of it.
    pub metadata: BTreeMap<String, String>,
    /// What the operator noted of it.
    pub custom_metadata: BTreeMap<String, String>,
    /// The namespace it belongs to.
    pub namespace_id: String,
    /// Whether it exists in this cluster only.
    pub local: bool,
}

/// A group of entities.
///
/// ```
/// use vault_plugin::logical::{Group, SystemView};
/// # use std::collections::BTreeMap;
/// # use vault_plugin::testing::StaticSystemView;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let system = StaticSystemView::default();
/// let admins = Group { name: "admins".to_owned(), ..Group::default() };
/// system.update(|host| host.groups = Some(BTreeMap::from([("e-1".to_owned(), vec![admins])])));
/// let groups = system.groups_of_entity("e-1").await?;
/// assert!(groups.iter().any(|group| group.name == "admins"));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Its id.
    pub id: String,
    /// Its unique name.
    pub name: String,
    /// What the operator noted of it.
    pub metadata: BTreeMap<String, String>,
    /// The namespace it belongs to.
    pub namespace_id: String,
}

/// A token of the host that proves to somebody else which mount is asking (workload identity).
///
/// ```
/// use vault_plugin::logical::{IdentityToken, SystemView};
/// # use std::time::Duration;
/// # use vault_plugin::{logical::Sensitive, testing::StaticSystemView};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let system = StaticSystemView::default();
/// let known = IdentityToken { token: Sensitive::from("eyJhbGciOi".to_owned()), ttl: Duration::ZERO };
/// system.update(|host| host.identity_token = Some(known));
/// let token = system.identity_token("sts.example.com", Duration::from_secs(600)).await?;
/// assert_eq!((token.token.expose(), token.ttl.as_secs()), ("eyJhbGciOi", 600));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityToken {
    /// A signed JSON web token.
    pub token: Sensitive,
    /// How long it is valid, in whole seconds.
    pub ttl: Duration,
}

/// Data that the host keeps until somebody unwraps it.
///
/// ```
/// use vault_plugin::logical::{Map, Sensitive, SystemView, ResponseWrapInfo};
/// # use std::time::Duration;
/// # use vault_plugin::testing::StaticSystemView;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let system = StaticSystemView::default();
/// let wrapped = ResponseWrapInfo {
///     token: Sensitive::from("hvs.CAES".to_owned()),
///     accessor: "4xbU".to_owned(),
///     ttl: Duration::ZERO,
///     creation_time: None,
///     creation_path: "greeter/issue/ann".to_owned(),
/// };
/// system.update(|host| host.wrapped = Some(wrapped));
/// let wrapped = system.wrap(Map::new(), Duration::from_secs(60)).await?;
/// assert_eq!((wrapped.token.expose(), wrapped.ttl.as_secs()), ("hvs.CAES", 60));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseWrapInfo {
    /// The token that unwraps it, once.
    pub token: Sensitive,
    /// The accessor of the token.
    pub accessor: String,
    /// How long it is kept.
    pub ttl: Duration,
    /// When it was wrapped.
    pub creation_time: Option<SystemTime>,
    /// The path that the host's audit log names for it.
    pub creation_path: String,
}
