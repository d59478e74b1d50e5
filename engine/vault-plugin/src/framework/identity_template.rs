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
/// assert!(template.has_places());
/// assert!("{{identity.entity.nmae}}".parse::<IdentityTemplate>().is_err());
/// # Ok::<(), vault_plugin::framework::IdentityTemplateError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityTemplate {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Place { written: String, whose: Whose, part: Part },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Whose {
    Entity,
    Alias(String),
    GroupById(String),
    GroupByName(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
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
    /// assert!("team-{{identity.entity.name}}".parse::<IdentityTemplate>()?.has_places());
    /// assert!(!"team-blue".parse::<IdentityTemplate>()?.has_places());
    /// # Ok::<(), IdentityTemplateError>(())
    /// ```
    #[must_use]
    pub fn has_places(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Place { .. }))
    }

    /// The text for an entity, as in [`Request::entity_id`](crate::logical::Request::entity_id).
    ///
    /// ```
    /// # use std::collections::BTreeMap;
    /// # use vault_plugin::{framework::IdentityTemplate, logical::{Entity, Error}, testing::StaticSystemView};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let system = StaticSystemView::default();
    /// let ann = Entity { id: "e1".to_owned(), name: "ann".to_owned(), ..Entity::default() };
    /// system.answer(|host| host.entities = Some(BTreeMap::from([("e1".to_owned(), ann)])));
    ///
    /// let template: IdentityTemplate = "users/{{identity.entity.name}}".parse()?;
    /// assert_eq!(template.fill(&system, "e1").await?, "users/ann");
    /// // The caller's token belongs to no entity.
    /// assert!(matches!(template.fill(&system, "").await, Err(Error::Invalid(_))));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`] when the entity lacks what the text needs, or there is none; fails too when the host cannot be asked.
    pub async fn fill(&self, system: &dyn SystemView, entity_id: &str) -> Result<String, Error> {
        let entity = match entity_id {
            "" => None,
            id => system.entity(id).await?,
        };
        let entity = entity.ok_or_else(|| Error::invalid("the caller's token belongs to no entity"))?;
        let groups = if self.pieces.iter().any(Piece::is_of_a_group) {
            system.groups_of_entity(entity_id).await?
        } else {
            Vec::new()
        };
        let texts = self.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => Ok(text.as_str()),
            Piece::Place { written, whose, part } => value(whose, part, &entity, &groups)
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
            pieces.push(parse(place.trim())?);
            pieces.push(literal(rest)?);
        }
        Ok(Self { pieces })
    }
}

impl Piece {
    fn is_of_a_group(&self) -> bool {
        matches!(self, Piece::Place { whose: Whose::GroupById(_) | Whose::GroupByName(_), .. })
    }
}

fn literal(text: &str) -> Result<Piece, IdentityTemplateError> {
    if text.contains("}}") {
        return Err(IdentityTemplateError::Unbalanced);
    }
    Ok(Piece::Text(text.to_owned()))
}

fn parse(place: &str) -> Result<Piece, IdentityTemplateError> {
    let (whose, part) = selector(place).ok_or_else(|| IdentityTemplateError::Unknown(place.to_owned()))?;
    Ok(Piece::Place { written: place.to_owned(), whose, part })
}

fn selector(place: &str) -> Option<(Whose, Part)> {
    let (whose, part) = if let Some(rest) = place.strip_prefix("identity.entity.aliases.") {
        let (accessor, part) = rest.split_once('.')?;
        (Whose::Alias(accessor.to_owned()), part)
    } else if let Some(rest) = place.strip_prefix("identity.groups.ids.") {
        let (id, part) = rest.split_once('.')?;
        (Whose::GroupById(id.to_owned()), part)
    } else if let Some(rest) = place.strip_prefix("identity.groups.names.") {
        let (name, part) = rest.split_once('.')?;
        (Whose::GroupByName(name.to_owned()), part)
    } else {
        (Whose::Entity, place.strip_prefix("identity.entity.")?)
    };
    let part = match (part.split_once('.'), &whose) {
        (None, _) if part == "id" => Part::Id,
        (None, _) if part == "name" => Part::Name,
        (Some(("metadata", key)), _) => Part::Metadata(key.to_owned()),
        (Some(("custom_metadata", key)), Whose::Alias(_)) => Part::CustomMetadata(key.to_owned()),
        _ => return None,
    };
    Some((whose, part))
}

/// An empty text is nothing: a path made of it would be another's.
fn value<'a>(whose: &Whose, part: &Part, entity: &'a Entity, groups: &'a [Group]) -> Option<&'a str> {
    let text = match whose {
        Whose::Entity => of(part, &entity.id, &entity.name, &entity.metadata),
        Whose::Alias(accessor) => {
            let alias = entity.aliases.iter().find(|alias| alias.mount_accessor == *accessor)?;
            match part {
                Part::CustomMetadata(key) => alias.custom_metadata.get(key),
                _ => of(part, &alias.id, &alias.name, &alias.metadata),
            }
        }
        Whose::GroupById(id) => of_group(part, groups.iter().find(|group| group.id == *id)?),
        Whose::GroupByName(name) => of_group(part, groups.iter().find(|group| group.name == *name)?),
    };
    text.map(String::as_str).filter(|text| !text.is_empty())
}

fn of_group<'a>(part: &Part, group: &'a Group) -> Option<&'a String> {
    of(part, &group.id, &group.name, &group.metadata)
}

fn of<'a>(
    part: &Part,
    id: &'a String,
    name: &'a String,
    metadata: &'a BTreeMap<String, String>,
) -> Option<&'a String> {
    match part {
        Part::Id => Some(id),
        Part::Name => Some(name),
        Part::Metadata(key) => metadata.get(key),
        Part::CustomMetadata(_) => None,
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
        let Ok(Piece::Place { whose, part, .. }) = parse(place) else { panic!("{place} is no place") };
        assert_eq!(value(&whose, &part, &entity(), &groups()), expected, "{place}");
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
        assert!(!"plain".parse::<IdentityTemplate>().unwrap().has_places());
    }
}
