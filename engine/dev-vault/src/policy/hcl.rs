//! Parses policies in the subset of HCL, and of its JSON syntax, that the examples of Vault use.

use std::collections::BTreeSet;

use serde_json::Value;
use vault_plugin::framework::{IdentityTemplate, IdentityTemplateError};

use super::{Capability, Rule};

/// A syntax error. `Display` is the text after `failed to parse policy: `.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PolicyError {
    #[error("At {line}:{column}: {message}")]
    Syntax { line: usize, column: usize, message: String },
    #[error("invalid key {0:?}")]
    UnknownKey(String),
    #[error("path {path:?}: invalid capability {capability:?}")]
    Capability { path: String, capability: String },
    #[error("path {path:?}: invalid policy {policy:?}")]
    Shorthand { path: String, policy: String },
    #[error("path {path:?}: {key:?} is not supported by a development server")]
    Unsupported { path: String, key: String },
    #[error("failed to validate policy templating: path {path:?}: {error}")]
    Template { path: String, error: IdentityTemplateError },
    #[error("path {path:?}: {key:?} has an unexpected type")]
    UnexpectedForm { path: String, key: String },
}

/// Parses the rules of a policy. A path with `{{..}}` is a template, which is rendered for the owner of a token.
pub(crate) fn parse(text: &str) -> Result<Vec<Rule>, PolicyError> {
    let paths = match serde_json::from_str(text) {
        Ok(document) => from_json(document)?,
        Err(_) => Parser::new(text).document()?,
    };
    paths.into_iter().map(|(path, entries)| rule(path, entries)).collect()
}

type Attributes = Vec<(String, Value)>;

/// An entry at the top of a document: `key = value`, `key { .. }` or `key "label" { .. }`.
pub(crate) struct HclEntry {
    pub(crate) key: String,
    pub(crate) label: Option<String>,
    pub(crate) value: Value,
}

/// Parses the entries of a document in HCL or JSON.
pub(crate) fn parse_entries(text: &str) -> Result<Vec<HclEntry>, PolicyError> {
    if let Ok(Value::Object(document)) = serde_json::from_str(text) {
        let entries = document.into_iter();
        return Ok(entries.map(|(key, value)| HclEntry { key, label: None, value }).collect());
    }
    let mut parser = Parser::new(text);
    let mut entries = Vec::new();
    while parser.peek().is_some() {
        let key = parser.parse_word()?;
        let label = if parser.peek() == Some('"') { Some(parser.parse_word()?) } else { None };
        if !parser.eat('=') && parser.peek() != Some('{') {
            let message = format!("key '{key}' expected start of object ('{{') or assignment ('=')");
            return Err(parser.syntax_error(&message));
        }
        entries.push(HclEntry { key, label, value: parser.value()? });
    }
    Ok(entries)
}

fn from_json(document: Value) -> Result<Vec<(String, Attributes)>, PolicyError> {
    let mut paths = Vec::new();
    let Value::Object(document) = document else {
        return Err(PolicyError::Syntax { line: 1, column: 1, message: "expected an object".to_owned() });
    };
    for (key, value) in document {
        match (key.as_str(), value) {
            ("path", Value::Object(rules)) => {
                for (path, entries) in rules {
                    let Value::Object(entries) = entries else {
                        return Err(PolicyError::UnexpectedForm { path, key });
                    };
                    paths.push((path, entries.into_iter().collect()));
                }
            }
            ("name", _) => {}
            _ => return Err(PolicyError::UnknownKey(key)),
        }
    }
    Ok(paths)
}

fn rule(path: String, entries: Attributes) -> Result<Rule, PolicyError> {
    use Capability::{Create, Delete, Deny, List, Read, Sudo, Update};
    let mut capabilities = BTreeSet::new();
    for (key, value) in entries {
        match (key.as_str(), value) {
            ("capabilities", Value::Array(names)) => {
                for name in names {
                    let name = name.as_str().unwrap_or_default();
                    let capability = Capability::from_name(name).ok_or_else(|| PolicyError::Capability {
                        path: path.clone(),
                        capability: name.to_owned(),
                    })?;
                    capabilities.insert(capability);
                }
            }
            ("policy", Value::String(policy)) => match policy.as_str() {
                "deny" => capabilities.extend([Deny]),
                "read" => capabilities.extend([Read, List]),
                "write" => capabilities.extend([Create, Read, Update, Delete, List]),
                "sudo" => capabilities.extend([Create, Read, Update, Delete, List, Sudo]),
                _ => return Err(PolicyError::Shorthand { path, policy }),
            },
            ("comment", _) => {}
            ("capabilities" | "policy", _) => return Err(PolicyError::UnexpectedForm { path, key }),
            // Ignoring these attributes would allow requests that the policy forbids.
            (
                "allowed_parameters"
                | "denied_parameters"
                | "required_parameters"
                | "min_wrapping_ttl"
                | "max_wrapping_ttl"
                | "mfa_methods"
                | "control_group"
                | "subscribe_event_types",
                _,
            ) => return Err(PolicyError::Unsupported { path, key }),
            _ => return Err(PolicyError::UnknownKey(key)),
        }
    }
    if capabilities.contains(&Deny) {
        capabilities = BTreeSet::from([Deny]);
    }
    let path = path.strip_prefix('/').unwrap_or(&path).to_owned();
    // As in Vault, an unknown placeholder is valid, and matches nothing.
    if let Err(error @ IdentityTemplateError::Unbalanced) = path.parse::<IdentityTemplate>() {
        return Err(PolicyError::Template { path, error });
    }
    Ok(Rule { policy: String::new(), path, capabilities })
}

struct Parser<'a> {
    text: &'a str,
    position: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Parser<'a> {
        Parser { text, position: 0 }
    }

    fn document(mut self) -> Result<Vec<(String, Attributes)>, PolicyError> {
        let mut paths = Vec::new();
        while self.peek().is_some() {
            let key = self.parse_word()?;
            match key.as_str() {
                "path" => {
                    let path = self.parse_word()?;
                    self.eat('=');
                    paths.push((path, self.block()?));
                }
                "name" => {
                    self.expect('=', "expected start of object ('{') or assignment ('=')")?;
                    self.value()?;
                }
                _ if matches!(self.peek(), Some('{' | '=' | '"')) => {
                    return Err(PolicyError::UnknownKey(key));
                }
                _ => {
                    let message = format!("key '{key}' expected start of object ('{{') or assignment ('=')");
                    return Err(self.syntax_error(&message));
                }
            }
        }
        Ok(paths)
    }

    fn block(&mut self) -> Result<Attributes, PolicyError> {
        self.expect('{', "expected start of object ('{')")?;
        let mut entries = Vec::new();
        while !self.eat('}') {
            if self.peek().is_none() {
                return Err(self.syntax_error("object expected closing RBRACE got: EOF"));
            }
            let key = self.parse_word()?;
            let assigned = self.eat('=');
            if !assigned && self.peek() != Some('{') {
                let message = format!("key '{key}' expected start of object ('{{') or assignment ('=')");
                return Err(self.syntax_error(&message));
            }
            entries.push((key, self.value()?));
            self.eat(',');
        }
        Ok(entries)
    }

    fn value(&mut self) -> Result<Value, PolicyError> {
        match self.peek() {
            Some('[') => {
                self.eat('[');
                let mut items = Vec::new();
                while !self.eat(']') {
                    items.push(self.value()?);
                    if !self.eat(',') && self.peek() != Some(']') {
                        return Err(self.syntax_error("error parsing list, expected comma or list end"));
                    }
                }
                Ok(Value::Array(items))
            }
            Some('{') => Ok(Value::Object(self.block()?.into_iter().collect())),
            Some(_) => self.parse_word().map(Value::String),
            None => Err(self.syntax_error("unexpected end of file")),
        }
    }

    /// Parses a name, a number or a quoted string.
    fn parse_word(&mut self) -> Result<String, PolicyError> {
        self.skip_whitespace();
        let rest = &self.text[self.position..];
        if rest.starts_with('"') {
            let mut strings = serde_json::Deserializer::from_str(rest).into_iter::<String>();
            let Some(Ok(text)) = strings.next() else {
                return Err(self.syntax_error("literal not terminated"));
            };
            self.position += strings.byte_offset();
            return Ok(text);
        }
        let end = rest.find(|c: char| !(c.is_alphanumeric() || "_-.".contains(c))).unwrap_or(rest.len());
        if end == 0 {
            return Err(self.syntax_error("illegal character"));
        }
        self.position += end;
        Ok(rest[..end].to_owned())
    }

    fn expect(&mut self, expected: char, error: &str) -> Result<(), PolicyError> {
        if self.eat(expected) { Ok(()) } else { Err(self.syntax_error(error)) }
    }

    fn eat(&mut self, expected: char) -> bool {
        let found = self.peek() == Some(expected);
        if found {
            self.position += expected.len_utf8();
        }
        found
    }

    fn peek(&mut self) -> Option<char> {
        self.skip_whitespace();
        self.text[self.position..].chars().next()
    }

    /// Skips white space and comments.
    fn skip_whitespace(&mut self) {
        loop {
            let rest = &self.text[self.position..];
            let blank = rest.len() - rest.trim_start().len();
            let comment = match &rest[blank..] {
                line if line.starts_with('#') || line.starts_with("//") => {
                    line.find('\n').unwrap_or(line.len())
                }
                block if block.starts_with("/*") => {
                    block.find("*/").map_or(block.len(), |end| end + "*/".len())
                }
                _ => 0,
            };
            if blank + comment == 0 {
                return;
            }
            self.position += blank + comment;
        }
    }

    fn syntax_error(&self, message: &str) -> PolicyError {
        let before = &self.text[..self.position];
        let line = before.matches('\n').count() + 1;
        // The end of the file has a separate position after the last character.
        let at_end = usize::from(self.position == self.text.len());
        let column = self.position - before.rfind('\n').map_or(0, |end| end + 1) + 1 + at_end;
        PolicyError::Syntax { line, column, message: message.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(text: &str, expected: &str) {
        assert_eq!(parse(text).unwrap_err().to_string(), expected);
    }

    #[test]
    fn the_default_policy_is_valid() {
        let rules = parse(super::super::default::DEFAULT_POLICY).unwrap();
        assert!(rules.iter().any(|rule| rule.path == "cubbyhole/*"));
    }

    #[test]
    fn hcl_and_json_are_equivalent() {
        let hcl = "# a comment\npath \"/kv/*\" { /* x */ capabilities = [\"read\", \"list\",] } // end";
        let json = r#"{"path": {"kv/*": {"capabilities": ["list", "read"]}}}"#;
        assert_eq!(parse(hcl).unwrap(), parse(json).unwrap());
        assert_eq!(parse("path \"kv/*\" { policy = \"read\" }").unwrap(), parse(hcl).unwrap());
    }

    #[test]
    fn a_syntax_error_has_its_position() {
        check_refused("path kv { ", "At 1:12: object expected closing RBRACE got: EOF");
        check_refused("x", "At 1:3: key 'x' expected start of object ('{') or assignment ('=')");
        check_refused(
            r#"path "kv/*" { capabilities = ["bad"] }"#,
            r#"path "kv/*": invalid capability "bad""#,
        );
    }

    #[test]
    fn a_restriction_that_would_not_be_enforced_is_refused() {
        check_refused(
            r#"path "kv/*" { capabilities = ["read"] allowed_parameters = { "a" = [] } }"#,
            r#"path "kv/*": "allowed_parameters" is not supported by a development server"#,
        );
    }
}
