//! Password policies, by which the server generates passwords for plugins (`sdk/helper/random`).

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::seq::{IndexedRandom, SliceRandom};
use serde_json::Value;

use crate::StoreError;
use crate::policy::hcl::{HclEntry, parse_entries};
use crate::store::Store;

const PASSWORD_POLICIES: &str = "sys/password_policy/";

/// The lengths that Vault accepts.
const LENGTHS: std::ops::RangeInclusive<usize> = 4..=100;

/// The stored password policies.
pub(crate) struct PasswordPolicies {
    store: Arc<Store>,
}

/// A parsed password policy.
#[derive(Debug, PartialEq, Eq)]
struct PasswordPolicy {
    length: usize,
    rules: Vec<CharsetRule>,
}

/// A set of characters, and the number of characters of it that a password has at least.
#[derive(Debug, PartialEq, Eq)]
struct CharsetRule {
    charset: Vec<char>,
    min_chars: usize,
}

/// A policy that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasswordPolicyError {
    #[error("invalid password policy: {0}")]
    Invalid(String),
    #[error("passwords must be between {} and {} characters", LENGTHS.start(), LENGTHS.end())]
    Length,
    #[error(
        "invalid password policy: 1 error occurred:\n\t* specified rules require at least {required} characters but {length} is \
         specified\n\n"
    )]
    TooManyRequired { required: usize, length: usize },
}

impl PasswordPolicies {
    pub(crate) fn new(store: Arc<Store>) -> PasswordPolicies {
        PasswordPolicies { store }
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.store.list(PASSWORD_POLICIES)
    }

    /// The text of a policy; `None` if it does not exist.
    pub(crate) fn read(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.store.read(&key(name))
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> Result<(), StoreError> {
        self.store.write(&key(name), &text)
    }

    pub(crate) fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.store.delete(&key(name))
    }

    /// A password by a policy. `None` if the policy does not exist.
    pub(crate) fn generate(&self, name: &str) -> Result<Option<String>, StoreError> {
        // A stored policy is valid.
        Ok(self.read(name)?.and_then(|text| parse(&text).ok()).map(|policy| policy.generate()))
    }
}

/// The text of a policy in a request, which may be in base64, after it was checked.
pub(crate) fn check(text: &str) -> Result<String, PasswordPolicyError> {
    let decoded = STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let text = decoded.unwrap_or_else(|| text.to_owned());
    let policy = parse(&text)?;
    let required = policy.rules.iter().map(|rule| rule.min_chars).sum();
    if required > policy.length {
        return Err(PasswordPolicyError::TooManyRequired { required, length: policy.length });
    }
    if !LENGTHS.contains(&policy.length) {
        return Err(PasswordPolicyError::Length);
    }
    Ok(text)
}

fn parse(text: &str) -> Result<PasswordPolicy, PasswordPolicyError> {
    let invalid = |text: &str| PasswordPolicyError::Invalid(text.to_owned());
    let mut policy = PasswordPolicy { length: 0, rules: Vec::new() };
    let entries = parse_entries(text)
        .map_err(|error| PasswordPolicyError::Invalid(format!("failed to parse policy: {error}")))?;
    for HclEntry { key, label, value } in entries {
        match (key.as_str(), label.as_deref(), &value) {
            ("length", None, _) => policy.length = number(&value).ok_or_else(|| invalid("invalid length"))?,
            ("rule", Some(kind), rule) => policy.rules.push(parse_rule(kind, rule)?),
            // In JSON, the type of a rule is a key.
            ("rule", None, rules) => {
                let rules: Vec<&Value> = rules.as_array().map_or(vec![rules], |rules| rules.iter().collect());
                for rule in rules {
                    for (kind, rule) in rule.as_object().into_iter().flatten() {
                        policy.rules.push(parse_rule(kind, rule)?);
                    }
                }
            }
            _ => return Err(PasswordPolicyError::Invalid(format!("unrecognized key {key:?}"))),
        }
    }
    if policy.rules.is_empty() {
        return Err(invalid("no charset rules specified"));
    }
    Ok(policy)
}

fn parse_rule(kind: &str, rule: &Value) -> Result<CharsetRule, PasswordPolicyError> {
    let invalid = |text: String| PasswordPolicyError::Invalid(text);
    if kind != "charset" {
        return Err(invalid(format!("unrecognized rule type {kind}")));
    }
    let charset: BTreeSet<char> = rule["charset"].as_str().unwrap_or_default().chars().collect();
    if charset.is_empty() {
        return Err(invalid("no charset specified".to_owned()));
    }
    let min_chars = match &rule["min-chars"] {
        Value::Null => 0,
        value => number(value).ok_or_else(|| invalid("invalid min-chars".to_owned()))?,
    };
    Ok(CharsetRule { charset: charset.into_iter().collect(), min_chars })
}

/// A number, which HCL also accepts as a string.
fn number(value: &Value) -> Option<usize> {
    let text = value.as_str().and_then(|text| text.parse().ok());
    text.or_else(|| value.as_u64().and_then(|number| usize::try_from(number).ok()))
}

impl PasswordPolicy {
    fn generate(&self) -> String {
        let mut random = rand::rng();
        let all: BTreeSet<char> = self.rules.iter().flat_map(|rule| rule.charset.iter().copied()).collect();
        let all: Vec<char> = all.into_iter().collect();
        let required = self.rules.iter().flat_map(|rule| (0..rule.min_chars).map(|_| &rule.charset));
        let sets = required.chain(std::iter::repeat(&all)).take(self.length);
        // No set is empty.
        let mut password: Vec<char> = sets.filter_map(|set| set.choose(&mut random)).copied().collect();
        password.shuffle(&mut random);
        password.into_iter().collect()
    }
}

fn key(name: &str) -> String {
    format!("{PASSWORD_POLICIES}{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_has_the_length_and_the_characters_of_its_policy() {
        let text = r#"
            length = 20
            rule "charset" { charset = "abc" }
            rule "charset" { charset = "0123" min-chars = 19 }
        "#;
        let policies = PasswordPolicies::new(Arc::new(Store::in_memory()));
        policies.write("p", &check(text).unwrap()).unwrap();
        let password = policies.generate("p").unwrap().unwrap();
        assert_eq!(password.len(), 20);
        assert!(password.chars().filter(char::is_ascii_digit).count() >= 19, "{password}");
        assert!(password.chars().all(|character| "abc0123".contains(character)), "{password}");
        assert_eq!(policies.generate("unknown").unwrap(), None);
    }

    #[test]
    fn hcl_json_and_base64_are_equivalent() {
        let hcl = "length = 8\nrule \"charset\" {\n charset = \"ab\"\n min-chars = 1\n}";
        let json = r#"{"length": 8, "rule": [{"charset": {"charset": "ab", "min-chars": 1}}]}"#;
        assert_eq!(parse(hcl).unwrap(), parse(json).unwrap());
        assert_eq!(check(&STANDARD.encode(hcl)).unwrap(), hcl);
    }

    #[test]
    fn an_impossible_policy_is_refused() {
        let error = |text: &str| check(text).unwrap_err().to_string();
        assert!(error(r#"length = 3 rule "charset" { charset = "a" }"#).contains("between 4 and 100"));
        assert!(
            error(r#"length = 4 rule "charset" { charset = "a" min-chars = 5 }"#)
                .contains("require at least 5 characters")
        );
        assert!(error("length = 4").starts_with("invalid password policy: "));
        assert!(error(r#"length = 4 rule "charset" { charset = "" }"#).contains("no charset specified"));
    }
}
