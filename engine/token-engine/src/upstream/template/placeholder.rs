//! The placeholders of templates.

use std::fmt;

/// A name for a value, written `{name}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Placeholder {
    /// The admin credential of the connection.
    ApiKey,
    /// A parameter of the connection.
    Config(String),
    /// The credential that the login has returned.
    LoginToken,
    /// A parameter of the role.
    Role(String),
    /// The permissions of the role, or the subset that the request names.
    Permissions,
    /// The unique name of the token, chosen by the engine.
    Name,
    /// A secret that the engine generates.
    GeneratedSecret,
    /// A unique key by which the API recognizes a repeated request.
    IdempotencyKey,
    TtlSeconds,
    TtlMinutes,
    TtlDays,
    ExpiresRfc3339,
    ExpiresDate,
    ExpiresEpoch,
    ExpiresEpochMs,
    /// A value of the response to the call before the mint.
    Before(String),
    /// The id of the token at the API.
    Id,
    /// The token.
    Token,
    /// The owner of the key of the connection, as `probe` reports it.
    KeyOwner,
}

/// Every placeholder without a parameter name.
const FIXED: &[(&str, Placeholder)] = &[
    ("api_key", Placeholder::ApiKey),
    ("login.token", Placeholder::LoginToken),
    ("permissions", Placeholder::Permissions),
    ("name", Placeholder::Name),
    ("generated.secret", Placeholder::GeneratedSecret),
    ("idempotency_key", Placeholder::IdempotencyKey),
    ("ttl.seconds", Placeholder::TtlSeconds),
    ("ttl.minutes", Placeholder::TtlMinutes),
    ("ttl.days", Placeholder::TtlDays),
    ("expires.rfc3339", Placeholder::ExpiresRfc3339),
    ("expires.date", Placeholder::ExpiresDate),
    ("expires.epoch", Placeholder::ExpiresEpoch),
    ("expires.epoch_ms", Placeholder::ExpiresEpochMs),
    ("id", Placeholder::Id),
    ("token", Placeholder::Token),
    ("key.owner", Placeholder::KeyOwner),
];

/// Returns the names of all placeholders, for suggestions and documentation.
pub(crate) fn known_names() -> impl Iterator<Item = &'static str> {
    FIXED.iter().map(|(name, _)| *name).chain(["config.NAME", "role.NAME", "before.NAME"])
}

impl Placeholder {
    /// Parses the name between the braces.
    pub(crate) fn parse(name: &str) -> Option<Placeholder> {
        if let Some((_, placeholder)) = FIXED.iter().find(|(known, _)| *known == name) {
            return Some(placeholder.clone());
        }
        let (group, member) = name.split_once('.')?;
        if !is_name(member) {
            return None;
        }
        match group {
            "config" => Some(Placeholder::Config(member.to_owned())),
            "role" => Some(Placeholder::Role(member.to_owned())),
            "before" => Some(Placeholder::Before(member.to_owned())),
            _ => None,
        }
    }

    /// Returns whether the placeholder requests a lifetime.
    pub(crate) fn is_lifetime(&self) -> bool {
        matches!(
            self,
            Placeholder::TtlSeconds
                | Placeholder::TtlMinutes
                | Placeholder::TtlDays
                | Placeholder::ExpiresRfc3339
                | Placeholder::ExpiresDate
                | Placeholder::ExpiresEpoch
                | Placeholder::ExpiresEpochMs
        )
    }
}

/// Returns whether a text is a valid name of a parameter, an output or a value: lower-case letters, digits and `_`.
pub(crate) fn is_name(text: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    text.starts_with(|first: char| first.is_ascii_lowercase()) && text.len() <= 64 && text.chars().all(plain)
}

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Placeholder::Config(name) => write!(f, "config.{name}"),
            Placeholder::Role(name) => write!(f, "role.{name}"),
            Placeholder::Before(name) => write!(f, "before.{name}"),
            fixed => {
                let name = FIXED.iter().find(|(_, known)| known == fixed).map(|(name, _)| *name);
                f.write_str(name.unwrap_or_default())
            }
        }
    }
}

/// A placeholder in a template: `{name}`, `{name?}`, `{name:space}` or `{name:comma}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) placeholder: Placeholder,
    /// Whether the key is omitted if the value is empty.
    pub(crate) optional: bool,
    /// The separator of the items of a list.
    pub(crate) join: Option<Join>,
}

/// A separator of the items of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Join {
    Space,
    Comma,
}

impl Join {
    pub(crate) fn separator(self) -> &'static str {
        match self {
            Join::Space => " ",
            Join::Comma => ",",
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = match self.join {
            None => "",
            Some(Join::Space) => ":space",
            Some(Join::Comma) => ":comma",
        };
        write!(f, "{{{}{join}{}}}", self.placeholder, if self.optional { "?" } else { "" })
    }
}
