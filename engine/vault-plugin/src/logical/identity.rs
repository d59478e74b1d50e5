//! Identities of callers, and tokens with which a plugin proves its own.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::Sensitive;

/// An entity: an identity with one or more ways to log in.
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
    /// Its aliases in auth methods.
    pub aliases: Vec<Alias>,
    /// The metadata that the operator has set.
    pub metadata: BTreeMap<String, String>,
    /// Whether its tokens are rejected.
    pub disabled: bool,
    /// The id of its namespace.
    pub namespace_id: String,
}

/// The name of an entity in one auth method.
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
/// let alias = entity.aliases.iter().find(|alias| alias.mount_accessor == "auth_oidc_1");
/// assert_eq!(alias.map(|alias| alias.name.as_str()), Some("ann@example.com"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alias {
    /// Its id.
    pub id: String,
    /// Its name in the auth method, such as a user name.
    pub name: String,
    /// The type of the auth method.
    pub mount_type: String,
    /// The accessor of the auth method.
    pub mount_accessor: String,
    /// The metadata that the auth method has set.
    pub metadata: BTreeMap<String, String>,
    /// The metadata that the operator has set.
    pub custom_metadata: BTreeMap<String, String>,
    /// The id of its namespace.
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
    /// The metadata that the operator has set.
    pub metadata: BTreeMap<String, String>,
    /// The id of its namespace.
    pub namespace_id: String,
}

/// A token of the host with which a mount proves its identity to a third party (workload identity).
///
/// ```
/// use vault_plugin::logical::{IdentityToken, SystemView};
/// # use std::time::Duration;
/// # use vault_plugin::{logical::Sensitive, testing::StaticSystemView};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let system = StaticSystemView::default();
/// let issued = IdentityToken { token: Sensitive::from("eyJhbGciOi".to_owned()), ttl: Duration::ZERO };
/// system.update(|host| host.identity_token = Some(issued));
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

/// Data that the host has wrapped in a single-use token.
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
    /// The single-use token that unwraps the data.
    pub token: Sensitive,
    /// The accessor of the token.
    pub accessor: String,
    /// How long the data is stored.
    pub ttl: Duration,
    /// When it was wrapped.
    pub creation_time: Option<SystemTime>,
    /// The path in the host's audit log.
    pub creation_path: String,
}
