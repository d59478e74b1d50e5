//! Templates with placeholders for the identity of a caller, with the syntax of policies and of `PopulateIdentityTemplate`.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::logical::{Entity, Error, Group, SystemView};

/// A template such as `team-{{identity.entity.metadata.team}}`, which is rendered for the caller of a request.
///
/// The placeholders are `identity.entity.` with `id`, `name`, `metadata.KEY`, or `aliases.ACCESSOR.` with `id`, `name`, `metadata.KEY`,
/// `custom_metadata.KEY`; and `identity.groups.ids.ID.` or `identity.groups.names.NAME.` with `id`, `name`, `metadata.KEY`.
///
/// ```
/// use vault_plugin::framework::IdentityTemplate;
///
/// let template: IdentityTemplate = "team-{{ identity.entity.metadata.team }}".parse()?;
/// assert!(template.has_placeholders());
/// assert!("{{identity.entity.nmae}}".parse::<IdentityTemplate>().is_err());
/// # Ok::<(), vault_plugin::framework::IdentityTemplateError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityTemplate {
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Text(String),
    Placeholder { source: String, subject: Subject, attribute: Attribute },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Subject {
    Entity,
    Alias(String),
    GroupById(String),
    GroupByName(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Attribute {
    Id,
    Name,
    Metadata(String),
    CustomMetadata(String),
}

/// An error from parsing an [`IdentityTemplate`].
///
/// ```
/// use vault_plugin::framework::{IdentityTemplate, IdentityTemplateError};
///
/// let unknown = "{{identity.entity.nmae}}".parse::<IdentityTemplate>();
/// assert_eq!(unknown, Err(IdentityTemplateError::Unknown("identity.entity.nmae".to_owned())));
/// assert_eq!("team-{{".parse::<IdentityTemplate>(), Err(IdentityTemplateError::Unbalanced));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityTemplateError {
    /// The braces are not balanced.
    #[error("unbalanced braces in the template: {{{{ without }}}}, or }}}} without {{{{")]
    Unbalanced,
    /// The placeholder is unknown.
    #[error(
        "unknown placeholder {0:?} in the template: use identity.entity.name, identity.entity.metadata.KEY, \
         identity.entity.aliases.ACCESSOR.name or identity.groups.names.NAME.id"
    )]
    Unknown(String),
}

impl IdentityTemplate {
    /// Whether the template contains placeholders.
    ///
    /// ```
    /// # use vault_plugin::framework::{IdentityTemplate, IdentityTemplateError};
    /// assert!("team-{{identity.entity.name}}".parse::<IdentityTemplate>()?.has_placeholders());
    /// assert!(!"team-blue".parse::<IdentityTemplate>()?.has_placeholders());
    /// # Ok::<(), IdentityTemplateError>(())
    /// ```
    #[must_use]
    pub fn has_placeholders(&self) -> bool {
        self.segments.iter().any(|segment| matches!(segment, Segment::Placeholder { .. }))
    }

    /// Renders the template for an entity, as in [`Request::entity_id`](crate::logical::Request::entity_id).
    ///
    /// ```
    /// # use std::collections::BTreeMap;
    /// # use vault_plugin::{framework::IdentityTemplate, logical::{Entity, Error}, testing::StaticSystemView};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let system = StaticSystemView::default();
    /// let ann = Entity { id: "e1".to_owned(), name: "ann".to_owned(), ..Entity::default() };
    /// system.update(|host| host.entities = Some(BTreeMap::from([("e1".to_owned(), ann)])));
    ///
    /// let template: IdentityTemplate = "users/{{identity.entity.name}}".parse()?;
    /// assert_eq!(template.render(&system, "e1").await?, "users/ann");
    /// // The caller's token has no entity.
    /// assert!(matches!(template.render(&system, "").await, Err(Error::Invalid(_))));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no entity, or if it has no value for a placeholder. Fails if the call to the host fails.
    pub async fn render(&self, system: &dyn SystemView, entity_id: &str) -> Result<String, Error> {
        let entity = match entity_id {
            "" => None,
            id => system.entity(id).await?,
        };
        let entity = entity.ok_or_else(|| Error::invalid("the caller's token has no entity"))?;
        let groups = if self.segments.iter().any(Segment::is_group) {
            system.groups_of_entity(entity_id).await?
        } else {
            Vec::new()
        };
        self.render_for(&entity, &groups)
    }

    /// Renders the template for a known entity with its groups. A plugin normally calls [`render`](Self::render), which asks the host for
    /// both.
    ///
    /// ```
    /// # use vault_plugin::{framework::IdentityTemplate, logical::{Entity, Error, Group}};
    /// let template: IdentityTemplate = "teams/{{identity.groups.names.staff.id}}".parse().unwrap();
    /// let staff = Group { id: "g1".to_owned(), name: "staff".to_owned(), ..Group::default() };
    /// assert_eq!(template.render_for(&Entity::default(), &[staff])?, "teams/g1");
    /// assert!(template.render_for(&Entity::default(), &[]).is_err());
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`] if the entity has no value for a placeholder.
    pub fn render_for(&self, entity: &Entity, groups: &[Group]) -> Result<String, Error> {
        let texts = self.segments.iter().map(|segment| match segment {
            Segment::Text(text) => Ok(text.as_str()),
            Segment::Placeholder { source, subject, attribute } => {
                resolve(subject, attribute, entity, groups)
                    .ok_or_else(|| Error::invalid(format!("the caller's identity has no value for {source}")))
            }
        });
        texts.collect()
    }
}

impl FromStr for IdentityTemplate {
    type Err = IdentityTemplateError;

    fn from_str(text: &str) -> Result<Self, IdentityTemplateError> {
        let mut parts = text.split("{{");
        let mut segments = vec![literal(parts.next().unwrap_or_default())?];
        for part in parts {
            let (placeholder, rest) = part.split_once("}}").ok_or(IdentityTemplateError::Unbalanced)?;
            segments.push(parse_placeholder(placeholder.trim())?);
            segments.push(literal(rest)?);
        }
        Ok(Self { segments })
    }
}

impl Segment {
    fn is_group(&self) -> bool {
        matches!(self, Segment::Placeholder { subject: Subject::GroupById(_) | Subject::GroupByName(_), .. })
    }
}

fn literal(text: &str) -> Result<Segment, IdentityTemplateError> {
    if text.contains("}}") {
        return Err(IdentityTemplateError::Unbalanced);
    }
    Ok(Segment::Text(text.to_owned()))
}

fn parse_placeholder(source: &str) -> Result<Segment, IdentityTemplateError> {
    let (subject, attribute) =
        parse_selector(source).ok_or_else(|| IdentityTemplateError::Unknown(source.to_owned()))?;
    Ok(Segment::Placeholder { source: source.to_owned(), subject, attribute })
}

fn parse_selector(placeholder: &str) -> Option<(Subject, Attribute)> {
    let (subject, attribute) = if let Some(rest) = placeholder.strip_prefix("identity.entity.aliases.") {
        let (accessor, part) = rest.split_once('.')?;
        (Subject::Alias(accessor.to_owned()), part)
    } else if let Some(rest) = placeholder.strip_prefix("identity.groups.ids.") {
        let (id, part) = rest.split_once('.')?;
        (Subject::GroupById(id.to_owned()), part)
    } else if let Some(rest) = placeholder.strip_prefix("identity.groups.names.") {
        let (name, part) = rest.split_once('.')?;
        (Subject::GroupByName(name.to_owned()), part)
    } else {
        (Subject::Entity, placeholder.strip_prefix("identity.entity.")?)
    };
    let attribute = match (attribute.split_once('.'), &subject) {
        (None, _) if attribute == "id" => Attribute::Id,
        (None, _) if attribute == "name" => Attribute::Name,
        (Some(("metadata", key)), _) => Attribute::Metadata(key.to_owned()),
        (Some(("custom_metadata", key)), Subject::Alias(_)) => Attribute::CustomMetadata(key.to_owned()),
        _ => return None,
    };
    Some((subject, attribute))
}

/// Returns the value of an attribute. An empty value counts as missing, because a path that contains it could belong to another caller.
fn resolve<'a>(
    subject: &Subject,
    attribute: &Attribute,
    entity: &'a Entity,
    groups: &'a [Group],
) -> Option<&'a str> {
    let text = match subject {
        Subject::Entity => attribute_of(attribute, &entity.id, &entity.name, &entity.metadata),
        Subject::Alias(accessor) => {
            let alias = entity.aliases.iter().find(|alias| alias.mount_accessor == *accessor)?;
            match attribute {
                Attribute::CustomMetadata(key) => alias.custom_metadata.get(key),
                _ => attribute_of(attribute, &alias.id, &alias.name, &alias.metadata),
            }
        }
        Subject::GroupById(id) => group_attribute(attribute, groups.iter().find(|group| group.id == *id)?),
        Subject::GroupByName(name) => {
            group_attribute(attribute, groups.iter().find(|group| group.name == *name)?)
        }
    };
    text.map(String::as_str).filter(|text| !text.is_empty())
}

fn group_attribute<'a>(attribute: &Attribute, group: &'a Group) -> Option<&'a String> {
    attribute_of(attribute, &group.id, &group.name, &group.metadata)
}

fn attribute_of<'a>(
    attribute: &Attribute,
    id: &'a String,
    name: &'a String,
    metadata: &'a BTreeMap<String, String>,
) -> Option<&'a String> {
    match attribute {
        Attribute::Id => Some(id),
        Attribute::Name => Some(name),
        Attribute::Metadata(key) => metadata.get(key),
        Attribute::CustomMetadata(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logical::Alias;

    fn entity() -> Entity {
        let alias = Alias {
            name: "ann@example.com".to_owned(),
            mount_accessor: "oidc_1".to_owned(),
            custom_metadata: BTreeMap::from([("desk.no".to_owned(), "7".to_owned())]),
            ..Alias::default()
        };
        let metadata =
            BTreeMap::from([("team".to_owned(), "blue".to_owned()), ("none".to_owned(), String::new())]);
        Entity {
            id: "e1".to_owned(),
            name: "ann".to_owned(),
            metadata,
            aliases: vec![alias],
            ..Entity::default()
        }
    }

    fn groups() -> Vec<Group> {
        vec![Group { id: "g1".to_owned(), name: "ops".to_owned(), ..Group::default() }]
    }

    #[track_caller]
    fn check(placeholder: &str, expected: Option<&str>) {
        let Ok(Segment::Placeholder { subject, attribute, .. }) = parse_placeholder(placeholder) else {
            panic!("{placeholder} is not a placeholder")
        };
        assert_eq!(resolve(&subject, &attribute, &entity(), &groups()), expected, "{placeholder}");
    }

    #[test]
    fn placeholders_refer_to_the_entity_its_aliases_and_its_groups() {
        check("identity.entity.id", Some("e1"));
        check("identity.entity.metadata.team", Some("blue"));
        check("identity.entity.metadata.absent", None);
        check("identity.entity.aliases.oidc_1.name", Some("ann@example.com"));
        check("identity.entity.aliases.oidc_1.custom_metadata.desk.no", Some("7"));
        check("identity.entity.aliases.ldap_1.name", None);
        check("identity.groups.ids.g1.name", Some("ops"));
        check("identity.groups.names.ops.id", Some("g1"));
        check("identity.groups.names.devs.id", None);
    }

    #[test]
    fn an_empty_value_counts_as_missing() {
        check("identity.entity.metadata.none", None);
        check("identity.entity.aliases.oidc_1.id", None);
    }

    #[test]
    fn an_invalid_template_is_rejected_when_it_is_parsed() {
        for text in ["{{", "}}", "a}}b", "{{identity.entity.id}} }}", "{{ {{identity.entity.id}}"] {
            assert!(text.parse::<IdentityTemplate>().is_err(), "{text}");
        }
        for placeholder in
            ["", "identity.entity", "identity.entity.metadata", "identity.groups.names.ops", "time.now"]
        {
            let result = format!("{{{{{placeholder}}}}}").parse::<IdentityTemplate>();
            assert_eq!(result, Err(IdentityTemplateError::Unknown(placeholder.to_owned())));
        }
        assert!(!"plain".parse::<IdentityTemplate>().unwrap().has_placeholders());
    }
}
