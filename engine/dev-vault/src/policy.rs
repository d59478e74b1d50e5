//! Policies: the capabilities of a token at a path, with Vault's precedence (`vault/acl.go`).

mod default;
pub(crate) mod hcl;
mod store;

use std::cmp::Reverse;
use std::collections::BTreeSet;

use vault_plugin::framework::IdentityTemplate;
use vault_plugin::logical::{Entity, Group, Operation};

pub(crate) use hcl::parse;
pub(crate) use store::Policies;

/// A capability. Ordered by name, as Vault prints them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Capability {
    Create,
    Delete,
    Deny,
    List,
    Patch,
    Read,
    Recover,
    Root,
    Subscribe,
    Sudo,
    Update,
}

impl Capability {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Capability::Create => "create",
            Capability::Delete => "delete",
            Capability::Deny => "deny",
            Capability::List => "list",
            Capability::Patch => "patch",
            Capability::Read => "read",
            Capability::Recover => "recover",
            Capability::Root => "root",
            Capability::Subscribe => "subscribe",
            Capability::Sudo => "sudo",
            Capability::Update => "update",
        }
    }

    fn from_name(name: &str) -> Option<Capability> {
        use Capability::{Create, Delete, Deny, List, Patch, Read, Recover, Subscribe, Sudo, Update};
        [Create, Delete, Deny, List, Patch, Read, Recover, Subscribe, Sudo, Update]
            .into_iter()
            .find(|capability| capability.as_str() == name)
    }

    fn required_for(operation: &Operation) -> Option<Capability> {
        Some(match operation {
            Operation::Create => Capability::Create,
            Operation::Read => Capability::Read,
            Operation::Update | Operation::Renew | Operation::Revoke | Operation::Rollback => {
                Capability::Update
            }
            Operation::Patch => Capability::Patch,
            Operation::Delete => Capability::Delete,
            Operation::List => Capability::List,
            _ => return None,
        })
    }
}

/// A `path` block of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The name of the policy, set when the policies of a token are merged.
    pub(crate) policy: String,
    /// The path without a leading slash. `*` at the end matches any suffix, `+` matches one segment.
    pub(crate) path: String,
    pub(crate) capabilities: BTreeSet<Capability>,
}

impl Rule {
    /// The rule for the owner of a token. `None` if its path has a template for which the owner has no value: as in Vault, it then matches
    /// nothing.
    fn render(mut self, owner: Option<&(Entity, Vec<Group>)>) -> Option<Rule> {
        if self.path.contains("{{") {
            let template: IdentityTemplate = self.path.parse().ok()?;
            let (entity, groups) = owner?;
            self.path = template.render_for(entity, groups).ok()?;
        }
        Some(self)
    }

    /// Whether the path is a pattern.
    pub(crate) fn is_pattern(&self) -> bool {
        self.path.ends_with('*') || self.has_segment_wildcard()
    }

    /// The path as Vault shows it: a prefix without its `*`.
    pub(crate) fn display_path(&self) -> &str {
        if self.has_segment_wildcard() { &self.path } else { self.path.trim_end_matches('*') }
    }

    fn has_segment_wildcard(&self) -> bool {
        self.path.split('/').any(|segment| segment == "+")
    }
}

/// The rules of all policies of a token.
pub(crate) enum Acl {
    /// The `root` policy: everything.
    Root,
    Rules(Vec<Rule>),
}

impl Acl {
    /// Whether `operation` is allowed at `path`; help always is.
    pub(crate) fn allows(&self, operation: &Operation, path: &str) -> bool {
        match self {
            Acl::Root => true,
            Acl::Rules(_) if *operation == Operation::Help => true,
            Acl::Rules(_) => Capability::required_for(operation)
                .is_some_and(|needed| self.capabilities_at(path, operation).contains(&needed)),
        }
    }

    /// The policies that allow `operation` at `path`.
    pub(crate) fn granting_policies(&self, operation: &Operation, path: &str) -> Vec<&str> {
        if let Acl::Root = self {
            return vec!["root"];
        }
        let Some(needed) = Capability::required_for(operation) else { return Vec::new() };
        let rules = self.rules_at(path, operation);
        let granting = rules.into_iter().filter(|rule| rule.capabilities.contains(&needed));
        granting.map(|rule| rule.policy.as_str()).collect()
    }

    /// Whether `sudo` is granted at `path`.
    pub(crate) fn allows_sudo(&self, operation: &Operation, path: &str) -> bool {
        match self {
            Acl::Root => true,
            Acl::Rules(_) => self.capabilities_at(path, operation).contains(&Capability::Sudo),
        }
    }

    /// The capabilities at `path`, as `sys/capabilities` returns them.
    pub(crate) fn capabilities(&self, path: &str) -> Vec<&'static str> {
        if let Acl::Root = self {
            return vec![Capability::Root.as_str()];
        }
        let capabilities = self.capabilities_at(path, &Operation::List);
        if capabilities.is_empty() || capabilities.contains(&Capability::Deny) {
            return vec![Capability::Deny.as_str()];
        }
        capabilities.into_iter().map(Capability::as_str).collect()
    }

    /// Whether the caller has any capability at or below `mount`. Only then the mount is listed.
    pub(crate) fn reaches(&self, mount: &str) -> bool {
        match self {
            Acl::Root => true,
            Acl::Rules(rules) => rules.iter().any(|rule| {
                let reach = rule.path.trim_end_matches('*');
                !rule.capabilities.contains(&Capability::Deny)
                    && !rule.capabilities.is_empty()
                    && (reach.starts_with(mount)
                        || rule.path.ends_with('*') && mount.starts_with(reach)
                        || matches_pattern(&first_segments(&rule.path, mount), mount))
            }),
        }
    }

    /// The union of the rules at a path; `deny` overrides all others.
    fn capabilities_at(&self, path: &str, operation: &Operation) -> BTreeSet<Capability> {
        let rules = self.rules_at(path, operation);
        let all: BTreeSet<Capability> =
            rules.into_iter().flat_map(|rule| rule.capabilities.iter().copied()).collect();
        if all.contains(&Capability::Deny) { BTreeSet::from([Capability::Deny]) } else { all }
    }

    /// Returns the most specific matching rules, one for each policy: exact paths first, then the longest prefix up to the first `+` or
    /// `*`. A list also matches rules without the trailing slash.
    fn rules_at(&self, path: &str, operation: &Operation) -> Vec<&Rule> {
        let Acl::Rules(rules) = self else { return Vec::new() };
        let bare = path.strip_suffix('/').filter(|_| *operation == Operation::List);
        let exact = |path: &str| -> Option<Vec<&Rule>> {
            let exact = rules.iter().filter(|rule| rule.path == path && !rule.is_pattern());
            Some(exact.collect()).filter(|rules: &Vec<&Rule>| !rules.is_empty())
        };
        let best = |path: &str| -> Option<Vec<&Rule>> {
            let matching = rules.iter().filter(|rule| rule.is_pattern() && matches_pattern(&rule.path, path));
            let top = matching.clone().map(|rule| specificity(&rule.path)).max()?;
            Some(matching.filter(|rule| specificity(&rule.path) == top).collect())
        };
        exact(path)
            .or_else(|| bare.and_then(exact))
            .or_else(|| bare.and_then(best))
            .or_else(|| best(path))
            .unwrap_or_default()
    }
}

fn specificity(path: &str) -> (usize, bool, Reverse<usize>, usize, &str) {
    let plus = path.split('/').scan(0, |at, segment| {
        let start = *at;
        *at += segment.len() + 1;
        Some((start, segment))
    });
    let first_plus = plus.clone().find(|(_, segment)| *segment == "+").map(|(start, _)| start);
    let is_prefix = path.ends_with('*');
    let bare = path.trim_end_matches('*');
    let wildcards = plus.filter(|(_, segment)| *segment == "+").count();
    (first_plus.unwrap_or(bare.len()), !is_prefix, Reverse(wildcards), bare.len(), bare)
}

fn matches_pattern(pattern: &str, path: &str) -> bool {
    let (pattern, is_prefix) = match pattern.strip_suffix('*') {
        Some(prefix) => (prefix, true),
        None => (pattern, false),
    };
    let mut expected = pattern.split('/').peekable();
    let mut segments = path.split('/');
    while let Some(segment) = expected.next() {
        let Some(actual) = segments.next() else { return false };
        let last = expected.peek().is_none();
        let matches =
            segment == "+" || segment == actual || (last && is_prefix && actual.starts_with(segment));
        if !matches {
            return false;
        }
    }
    is_prefix || segments.next().is_none()
}

fn first_segments(pattern: &str, mount: &str) -> String {
    let count = mount.matches('/').count();
    let mut first: String = pattern.split('/').take(count).collect::<Vec<_>>().join("/");
    first.push('/');
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(text: &str) -> Acl {
        Acl::Rules(parse(text).unwrap())
    }

    #[track_caller]
    fn check(policy: &str, path: &str, expected: &[&str]) {
        assert_eq!(acl(policy).capabilities(path), expected);
    }

    #[test]
    fn an_exact_path_takes_precedence_over_a_prefix_and_a_longer_prefix_over_a_shorter() {
        let policy = r#"
            path "kv/*" { capabilities = ["read", "list"] }
            path "kv/team/*" { capabilities = ["update"] }
            path "kv/team/own" { capabilities = ["delete"] }
        "#;
        check(policy, "kv/x", &["list", "read"]);
        check(policy, "kv/team/x", &["update"]);
        check(policy, "kv/team/own", &["delete"]);
        check(policy, "other", &["deny"]);
    }

    #[test]
    fn a_plus_matches_one_segment_and_a_later_wildcard_takes_precedence() {
        let policy = r#"
            path "kv/+/secret" { capabilities = ["read"] }
            path "kv/a/*" { capabilities = ["update"] }
        "#;
        check(policy, "kv/b/secret", &["read"]);
        check(policy, "kv/b/c/secret", &["deny"]);
        check(policy, "kv/a/secret", &["update"]);
    }

    #[test]
    fn deny_in_one_policy_overrides_another_policy_at_the_same_path() {
        let policy = r#"
            path "kv/*" { capabilities = ["read"] }
            path "kv/*" { capabilities = ["deny"] }
        "#;
        check(policy, "kv/x", &["deny"]);
    }

    #[test]
    fn a_list_does_not_require_a_trailing_slash_in_the_rule() {
        let acl = acl(r#"path "kv/roles" { capabilities = ["list"] }"#);
        assert!(acl.allows(&Operation::List, "kv/roles/"));
        assert!(!acl.allows(&Operation::Read, "kv/roles/"));
        assert!(acl.allows(&Operation::Help, "anything"));
    }

    #[test]
    fn a_template_is_the_path_of_the_owner_and_matches_nothing_without_one() {
        let rules = parse(
            r#"
            path "kv/{{identity.entity.name}}/*" { capabilities = ["read"] }
            path "kv/{{identity.entity.metadata.team}}" { capabilities = ["read"] }
            path "kv/{{ identity.groups.names.staff.id }}" { capabilities = ["list"] }
            "#,
        )
        .unwrap();
        let ann = Entity { name: "ann".to_owned(), ..Entity::default() };
        let staff = Group { id: "g1".to_owned(), name: "staff".to_owned(), ..Group::default() };
        let paths = |owner: Option<&(Entity, Vec<Group>)>| -> Vec<String> {
            rules.iter().filter_map(|rule| rule.clone().render(owner)).map(|rule| rule.path).collect()
        };
        assert_eq!(paths(Some(&(ann, vec![staff]))), ["kv/ann/*", "kv/g1"]);
        assert_eq!(paths(None), [""; 0]);
    }

    #[test]
    fn a_mount_is_listed_if_the_caller_has_a_capability_below_it() {
        let acl = acl(r#"path "custom/creds/+" { capabilities = ["read"] }"#);
        assert!(acl.reaches("custom/"));
        assert!(!acl.reaches("other/"));
    }
}
