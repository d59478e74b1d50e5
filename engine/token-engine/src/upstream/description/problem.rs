//! Problems of a description, each with the place where it is.

use std::fmt;

/// More problems than this are counted, not listed.
const MAX_LISTED: usize = 20;

/// Keys come from the caller: a longer one is cut in messages.
const MAX_SHOWN_KEY: usize = 64;

/// Where something is in a description, for example `mint.json.expires_in`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(String);

impl Place {
    /// The description as a whole.
    pub(crate) fn root() -> Place {
        Place::default()
    }

    /// A key of the map at this place.
    pub(crate) fn key(&self, key: &str) -> Place {
        let key = shown(key);
        if self.0.is_empty() { Place(key) } else { Place(format!("{}.{key}", self.0)) }
    }

    /// An item of the list at this place.
    pub(crate) fn index(&self, index: usize) -> Place {
        Place(format!("{}[{index}]", self.0))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "the description" } else { &self.0 })
    }
}

/// A key as it is safe to print.
fn shown(key: &str) -> String {
    key.chars().take(MAX_SHOWN_KEY).flat_map(char::escape_debug).collect()
}

/// One problem. Its text quotes keys and placeholders, never values: those may be secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub(crate) struct Problem {
    pub(crate) place: Place,
    pub(crate) message: String,
}

impl Problem {
    pub(crate) fn new(place: &Place, message: impl Into<String>) -> Problem {
        Problem { place: place.clone(), message: message.into() }
    }
}

/// Everything that is wrong with a description, or with the parameters for one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) struct Problems {
    pub(crate) heading: Heading,
    pub(crate) problems: Vec<Problem>,
}

/// What cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heading {
    Description,
    Parameters,
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Problems {
        Problems { heading: Heading::Description, problems: vec![problem] }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.heading {
            Heading::Description => "the description of the token API cannot be used:",
            Heading::Parameters => "the parameters do not fit the token API:",
        })?;
        for problem in self.problems.iter().take(MAX_LISTED) {
            write!(f, "\n  {problem}")?;
        }
        match self.problems.len().checked_sub(MAX_LISTED) {
            None | Some(0) => Ok(()),
            Some(more) => write!(f, "\n  and {more} more problems"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_path_of_keys_that_is_safe_to_print() {
        let place = Place::root().key("mint").key("json").key("a\nb").index(2);
        assert_eq!(place.to_string(), "mint.json.a\\nb[2]");
        assert_eq!(Place::root().to_string(), "the description");
        assert_eq!(Place::root().key(&"x".repeat(1000)).to_string().len(), MAX_SHOWN_KEY);
    }

    #[test]
    fn many_problems_are_counted() {
        let problems = vec![Problem::new(&Place::root().key("mint"), "is wrong"); 25];
        let text = Problems { heading: Heading::Description, problems }.to_string();
        assert_eq!(text.lines().count(), 22);
        assert!(text.ends_with("and 5 more problems"), "{text}");
    }
}
