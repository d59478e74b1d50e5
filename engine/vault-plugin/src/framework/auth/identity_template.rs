//! Texts with places for what identity a caller has, as the host's policies and `PopulateIdentityTemplate` write them.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::logical::{Entity, Error, Group, SystemView};

/// A text such as `team-{{identity.entity.metadata.team}}`, to be filled in for the caller of a request.
///
/// Places are `identity.entity.` with `id`, `name`, `metadata.KEY`, or `aliases.ACCESSOR.` with `id`, `name`, `metadata.KEY`,
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
    Placeholder { written: String, whose: Subject, part: Attribute },
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

/// Why a text is no template.
///
/// ```
/// use vault_plugin::framework::{IdentityTemplate, IdentityTemplateError};
///
/// let refused = "{{identity.entity.nmae}}".parse::<IdentityTemplate>();
/// assert_eq!(refused, Err(IdentityTemplateError::Unknown("identity.entity.nmae".to_owned())));
/// assert_eq!("team-{{".parse::<IdentityTemplate>(), Err(IdentityTemplateError::Unbalanced));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityTemplateError {
    /// Braces do not match.
    #[error("the template has {{{{ without }}}}, or }}}} without {{{{")]
    Unbalanced,
    /// There is no such place.
    #[error(
        "the template has {0:?}, which stands for nothing: write identity.entity.name, identity.entity.metadata.KEY, \
         identity.entity.aliases.ACCESSOR.name or identity.groups.names.NAME.id"
    )]
    Unknown(String),
}

impl IdentityTemplate {
    /// Whether the text depends on the caller at all.
    ///
    /// ```
    /// # use vault_plugin::framework::{IdentityTemplate, IdentityTemplateError};
    /// assert!("team-{{identity.entity.name}}".parse::<IdentityTemplate>()?.has_placeholders());
    /// assert!(!"team-blue".parse::<IdentityTemplate>()?.has_placeholders());
    /// # Ok::<(), IdentityTemplateError>(())
    /// ```
    #[must_use]
    pub fn has_placeholders(&self) -> bool {
        self.segments.iter().any(|piece| matches!(piece, Segment::Placeholder { .. }))
    }

    /// The text for an entity, as in [`Request::entity_id`](crate::logical::Request::entity_id).
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
    /// // The caller's token belongs to no entity.
    /// assert!(matches!(template.render(&system, "").await, Err(Error::Invalid(_))));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`] when the entity lacks what the text needs, or there is none; fails too when the host cannot be asked.
    pub async fn render(&self, system: &dyn SystemView, entity_id: &str) -> Result<String, Error> {
        let entity = match entity_id {
            "" => None,
            id => system.entity(id).await?,
        };
        let entity = entity.ok_or_else(|| Error::invalid("the caller's token belongs to no entity"))?;
        let groups = if self.segments.iter().any(Segment::is_group) {
            system.groups_of_entity(entity_id).await?
        } else {
            Vec::new()
        };
        let texts = self.segments.iter().map(|piece| match piece {
            Segment::Text(text) => Ok(text.as_str()),
            Segment::Placeholder { written, whose, part } => resolve(whose, part, &entity, &groups)
                .ok_or_else(|| Error::invalid(format!("the caller's identity has nothing for {written}"))),
        });
        texts.collect()
    }
}

impl FromStr for IdentityTemplate {
    type Err = IdentityTemplateError;

    fn from_str(text: &str) -> Result<Self, IdentityTemplateError> {
        let mut parts = text.split("{{");
        let mut pieces = vec![literal(parts.next().unwrap_or_default())?];
        for part in parts {
            let (place, rest) = part.split_once("}}").ok_or(IdentityTemplateError::Unbalanced)?;
            pieces.push(parse_placeholder(place.trim())?);
            pieces.push(literal(rest)?);
        }
        Ok(Self { segments: pieces })
    }
}

impl Segment {
    fn is_group(&self) -> bool {
        matches!(self, Segment::Placeholder { whose: Subject::GroupById(_) | Subject::GroupByName(_), .. })
    }
}

fn literal(text: &str) -> Result<Segment, IdentityTemplateError> {
    if text.contains("}}") {
        return Err(IdentityTemplateError::Unbalanced);
    }
    Ok(Segment::Text(text.to_owned()))
}

fn parse_placeholder(place: &str) -> Result<Segment, IdentityTemplateError> {
    let (whose, part) =
        parse_selector(place).ok_or_else(|| IdentityTemplateError::Unknown(place.to_owned()))?;
    Ok(Segment::Placeholder { written: place.to_owned(), whose, part })
}

fn parse_selector(place: &str) -> Option<(Subject, Attribute)> {
    let (whose, part) = if let Some(rest) = place.strip_prefix("identity.entity.aliases.") {
        let (accessor, part) = rest.split_once('.')?;
        (Subject::Alias(accessor.to_owned()), part)
    } else if let Some(rest) = place.strip_prefix("identity.groups.ids.") {
        let (id, part) = rest.split_once('.')?;
        (Subject::GroupById(id.to_owned()), part)
    } else if let Some(rest) = place.strip_prefix("identity.groups.names.") {
        let (name, part) = rest.split_once('.')?;
        (Subject::GroupByName(name.to_owned()), part)
    } else {
        (Subject::Entity, place.strip_prefix("identity.entity.")?)
    };
    let part = match (part.split_once('.'), &whose) {
        (None, _) if part == "id" => Attribute::Id,
        (None, _) if part == "name" => Attribute::Name,
        (Some(("metadata", key)), _) => Attribute::Metadata(key.to_owned()),
        (Some(("custom_metadata", key)), Subject::Alias(_)) => Attribute::CustomMetadata(key.to_owned()),
        _ => return None,
    };
    Some((whose, part))
}

/// An empty text is nothing: a path made of it would be another's.
fn resolve<'a>(
    whose: &Subject,
    part: &Attribute,
    entity: &'a Entity,
    groups: &'a [Group],
) -> Option<&'a str> {
    let text = match whose {
        Subject::Entity => attribute_of(part, &entity.id, &entity.name, &entity.metadata),
        Subject::Alias(accessor) => {
            let alias = entity.aliases.iter().find(|alias| alias.mount_accessor == *accessor)?;
            match part {
                Attribute::CustomMetadata(key) => alias.custom_metadata.get(key),
                _ => attribute_of(part, &alias.id, &alias.name, &alias.metadata),
            }
        }
        Subject::GroupById(id) => group_attribute(part, groups.iter().find(|group| group.id == *id)?),
        Subject::GroupByName(name) => group_attribute(part, groups.iter().find(|group| group.name == *name)?),
    };
    text.map(String::as_str).filter(|text| !text.is_empty())
}

fn group_attribute<'a>(part: &Attribute, group: &'a Group) -> Option<&'a String> {
    attribute_of(part, &group.id, &group.name, &group.metadata)
}

fn attribute_of<'a>(
    part: &Attribute,
    id: &'a String,
    name: &'a String,
    metadata: &'a BTreeMap<String, String>,
) -> Option<&'a String> {
    match part {
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
    fn check(place: &str, expected: Option<&str>) {
        let Ok(Segment::Placeholder { whose, part, .. }) = parse_placeholder(place) else {
            panic!("{place} is no place")
        };
        assert_eq!(resolve(&whose, &part, &entity(), &groups()), expected, "{place}");
    }

    #[test]
    fn places_stand_for_entity_aliases_and_groups() {
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
    fn what_is_empty_is_as_good_as_absent() {
        check("identity.entity.metadata.none", None);
        check("identity.entity.aliases.oidc_1.id", None);
    }

    #[test]
    fn a_text_that_is_no_template_is_refused_before_anybody_asks_for_it() {
        for text in ["{{", "}}", "a}}b", "{{identity.entity.id}} }}", "{{ {{identity.entity.id}}"] {
            assert!(text.parse::<IdentityTemplate>().is_err(), "{text}");
        }
        for place in
            ["", "identity.entity", "identity.entity.metadata", "identity.groups.names.ops", "time.now"]
        {
            let refused = format!("{{{{{place}}}}}").parse::<IdentityTemplate>();
            assert_eq!(refused, Err(IdentityTemplateError::Unknown(place.to_owned())));
        }
        assert!(!"plain".parse::<IdentityTemplate>().unwrap().has_placeholders());
    }
}
