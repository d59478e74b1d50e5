//! Patterns of paths, in the regular expressions of Go's RE2.

mod translate;

use std::fmt;

use regex::Regex;

use self::translate::translate;

/// Returns a pattern for one URL segment captured as `name`: word characters, with `-` and `.` inside.
///
/// ```
/// # use vault_plugin::framework::{Context, Data, Engine, Field, Path, pattern::generic_name};
/// # use vault_plugin::{logical::{Error, Map, Operation}, testing::TestMount};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let path = Path::new(format!("roles/{}", generic_name("name"))).field("name", Field::string());
/// # let path = path.on(Operation::Read, "Read a role.", |_: Context<()>, role: Map| async { Ok(Data(role)) });
/// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
/// assert_eq!(mount.read("roles/blue-1.eu").await?.unwrap().data.unwrap()["name"], "blue-1.eu");
/// for other in ["roles/", "roles/-blue", "roles/blue/1"] {
///     assert!(matches!(mount.read(other).await, Err(Error::UnsupportedPath)));
/// }
/// # Ok(()) }
/// ```
pub fn generic_name(name: &str) -> String {
    format!(r"(?P<{name}>\w(([\w-.]+)?\w)?)")
}

/// Returns a pattern for one URL segment captured as `name`: like [`generic_name`], but `@` is allowed inside too.
///
/// ```
/// # use vault_plugin::framework::{Context, Data, Engine, Field, Path, pattern::generic_name_with_at};
/// # use vault_plugin::{logical::{Map, Operation}, testing::TestMount};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let path = Path::new(format!("users/{}", generic_name_with_at("user"))).field("user", Field::string());
/// # let path = path.on(Operation::Read, "Read a user.", |_: Context<()>, user: Map| async { Ok(Data(user)) });
/// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
/// assert_eq!(mount.read("users/ann@example.com").await?.unwrap().data.unwrap()["user"], "ann@example.com");
/// # Ok(()) }
/// ```
pub fn generic_name_with_at(name: &str) -> String {
    format!(r"(?P<{name}>\w(([\w-.@]+)?\w)?)")
}

/// Returns a pattern for an optional slash and [`generic_name`]. If they are missing, `name` is empty.
///
/// ```
/// # use vault_plugin::framework::{Context, Data, Engine, Field, Path, pattern::optional_generic_name};
/// # use vault_plugin::{logical::{Map, Operation}, testing::TestMount};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let path = Path::new(format!("config{}", optional_generic_name("name"))).field("name", Field::string());
/// # let path = path.on(Operation::Read, "Read it.", |_: Context<()>, config: Map| async { Ok(Data(config)) });
/// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
/// assert_eq!(mount.read("config/eu").await?.unwrap().data.unwrap()["name"], "eu");
/// assert_eq!(mount.read("config").await?.unwrap().data.unwrap()["name"], "");
/// # Ok(()) }
/// ```
pub fn optional_generic_name(name: &str) -> String {
    format!("(/{})?", generic_name(name))
}

/// Returns a pattern for an optional slash and the rest of the path. If they are missing, `name` is empty.
///
/// ```
/// # use vault_plugin::framework::{Context, Data, Engine, Field, Path, pattern::optional_param};
/// # use vault_plugin::{logical::{Map, Operation}, testing::TestMount};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let path = Path::new(format!("tree{}", optional_param("below"))).field("below", Field::string());
/// # let path = path.on(Operation::Read, "Read it.", |_: Context<()>, tree: Map| async { Ok(Data(tree)) });
/// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
/// assert_eq!(mount.read("tree/eu/blue").await?.unwrap().data.unwrap()["below"], "eu/blue");
/// assert_eq!(mount.read("tree").await?.unwrap().data.unwrap()["below"], "");
/// # Ok(()) }
/// ```
pub fn optional_param(name: &str) -> String {
    format!("(/(?P<{name}>.+))?")
}

/// Returns a pattern for the rest of the path, including slashes, captured as `name`.
///
/// ```
/// # use vault_plugin::framework::{Context, Data, Engine, Field, Path, pattern::match_all};
/// # use vault_plugin::{logical::{Map, Operation}, testing::TestMount};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let path = Path::new(format!("data/{}", match_all("path"))).field("path", Field::string());
/// # let path = path.on(Operation::Read, "Read it.", |_: Context<()>, data: Map| async { Ok(Data(data)) });
/// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
/// assert_eq!(mount.read("data/eu/blue").await?.unwrap().data.unwrap()["path"], "eu/blue");
/// assert_eq!(mount.read("data/").await?.unwrap().data.unwrap()["path"], "");
/// # Ok(()) }
/// ```
pub fn match_all(name: &str) -> String {
    format!("(?P<{name}>.*)")
}

/// A compiled pattern, which matches whole paths.
///
/// It uses the syntax of `sdk/framework`: the classes `\w`, `\d`, `\s` and `\b` are ASCII, and `.` is one code point.
#[derive(Clone)]
pub(crate) struct Pattern {
    anchored: String,
    regex: Regex,
}

impl Pattern {
    /// Compiles `pattern`, and adds `^` and `$` if they are missing.
    ///
    /// As in Go, only the last character is checked: no end anchor is added after `\$`.
    pub(crate) fn compile(pattern: &str) -> Result<Self, PatternError> {
        if pattern.is_empty() {
            return Err(PatternError::Empty);
        }
        let start = if pattern.starts_with('^') { "" } else { "^" };
        let end = if pattern.ends_with('$') { "" } else { "$" };
        let anchored = format!("{start}{pattern}{end}");
        let translated = translate(&anchored)?;
        let regex = Regex::new(&translated).map_err(|source| PatternError::InvalidRegex {
            pattern: anchored.clone(),
            source: Box::new(source),
        })?;
        Ok(Self { anchored, regex })
    }

    /// Returns the named captures if the pattern matches `path`. A group that did not participate is empty.
    pub(crate) fn captures<'a>(&'a self, path: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
        let captures = self.regex.captures(path)?;
        let named = self.regex.capture_names().enumerate().filter_map(|(group, name)| {
            let text = captures.get(group).map_or("", |capture| capture.as_str());
            Some((name?, text))
        });
        Some(named.collect())
    }

    /// Returns the anchored pattern in the syntax of the `regex` crate.
    pub(crate) fn translated(&self) -> &str {
        self.regex.as_str()
    }

    /// Returns the anchored pattern as declared, for help.
    pub(crate) fn as_str(&self) -> &str {
        &self.anchored
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.anchored).finish()
    }
}

/// An error in a pattern.
///
/// ```
/// # use vault_plugin::framework::{BuildError, Engine, Path, pattern::PatternError};
/// let engine = Engine::new(|| ()).path(Path::new(r"roles/\Bx"));
/// let error = engine.build().err();
/// assert!(matches!(error, Some(BuildError::Pattern { source: PatternError::Unsupported { .. }, .. })));
/// ```
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// The pattern is empty.
    #[error("path pattern is empty")]
    Empty,
    /// The pattern uses unsupported syntax.
    #[error("path pattern {pattern:?} contains {found}, which is not supported")]
    Unsupported {
        /// The whole pattern.
        pattern: String,
        /// The unsupported part.
        found: String,
    },
    /// The pattern is not a valid regular expression.
    #[error("invalid path pattern {pattern:?}")]
    InvalidRegex {
        /// The whole pattern.
        pattern: String,
        /// The error of the regex compiler.
        source: Box<regex::Error>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, path: &str, expected: Option<&[(&str, &str)]>) {
        let compiled = Pattern::compile(pattern).unwrap();
        assert_eq!(compiled.captures(path).as_deref(), expected, "{pattern} on {path:?}");
    }

    #[test]
    fn a_pattern_matches_the_whole_path() {
        check("config", "config", Some(&[]));
        check("config", "config/", None);
        check("config", "a/config", None);
        check("config/?", "config/", Some(&[]));
        assert_eq!(Pattern::compile("config").unwrap().as_str(), "^config$");
        assert_eq!(Pattern::compile("^config$").unwrap().as_str(), "^config$");
    }

    #[test]
    fn the_anchors_bind_to_the_outer_alternatives_only_as_in_go() {
        check("a|b", "ax", Some(&[]));
        check("a|b", "xb", Some(&[]));
        check("(a|b)", "ax", None);
    }

    #[test]
    fn a_generic_name_is_one_ascii_segment() {
        let pattern = format!("roles/{}", generic_name("name"));
        for name in ["a", "_", "a-b", "a.b", "a-._b", "0"] {
            check(&pattern, &format!("roles/{name}"), Some(&[("name", name)]));
        }
        for name in ["", "-a", "a-", "a/b", "é", "a@b", "a b"] {
            check(&pattern, &format!("roles/{name}"), None);
        }
        check(&generic_name_with_at("name"), "a@b", Some(&[("name", "a@b")]));
        check(&generic_name_with_at("name"), "@b", None);
    }

    #[test]
    fn a_group_that_does_not_participate_is_empty() {
        let pattern = format!("creds{}", optional_param("name"));
        check(&pattern, "creds", Some(&[("name", "")]));
        check(&pattern, "creds/a/b", Some(&[("name", "a/b")]));
        let pattern = format!("creds{}", optional_generic_name("name"));
        check(&pattern, "creds", Some(&[("name", "")]));
        check(&pattern, "creds/a", Some(&[("name", "a")]));
        check(&pattern, "creds/a/b", None);
        check(&format!("data/{}", match_all("path")), "data/", Some(&[("path", "")]));
    }

    #[test]
    fn a_dot_is_one_code_point_but_not_a_line_feed() {
        check("(?P<x>.)", "é", Some(&[("x", "é")]));
        check("(?P<x>..)", "é", None);
        check("(?P<x>.)", "\n", None);
        check("(?P<x>[^a])", "\n", Some(&[("x", "\n")]));
    }

    #[test]
    fn an_invalid_pattern_is_rejected() {
        assert!(matches!(Pattern::compile(""), Err(PatternError::Empty)));
        assert!(matches!(Pattern::compile("a("), Err(PatternError::InvalidRegex { .. })));
        let error = Pattern::compile(r"a\Bb").unwrap_err();
        assert_eq!(error.to_string(), r#"path pattern "^a\\Bb$" contains \B, which is not supported"#);
    }
}
