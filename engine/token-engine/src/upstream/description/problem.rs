//! Problems of a description, each with its place.

use std::fmt;

/// The maximum number of listed problems. Further ones are counted.
const MAX_LISTED: usize = 20;

/// The maximum length of a key in messages. Keys come from the caller.
const MAX_SHOWN_KEY: usize = 64;

/// A place in a description, for example `mint.json.expires_in`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(String);

impl Place {
    /// Returns the place of the whole description.
    pub(crate) fn root() -> Place {
        Place::default()
    }

    /// Returns the place of a key of the map at this place.
    pub(crate) fn key(&self, key: &str) -> Place {
        let key = shown(key);
        if self.0.is_empty() { Place(key) } else { Place(format!("{}.{key}", self.0)) }
    }

    /// Returns the place of an item of the list at this place.
    pub(crate) fn index(&self, index: usize) -> Place {
        Place(format!("{}[{index}]", self.0))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "the description" } else { &self.0 })
    }
}

/// Shortens and escapes a key for a message.
fn shown(key: &str) -> String {
    key.chars().take(MAX_SHOWN_KEY).flat_map(char::escape_debug).collect()
}

/// One problem. Its message contains keys and placeholders, but no values, which may be secrets.
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

/// All problems of a description, or of parameters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) struct Problems {
    pub(crate) heading: Heading,
    pub(crate) problems: Vec<Problem>,
}

/// The object that has the problems.
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
            Heading::Description => "the description of the token API is invalid:",
            Heading::Parameters => "the parameters are invalid for the token API:",
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
