//! Expands a pattern into the URLs that it matches, with `{name}` for each capture.

use std::collections::BTreeSet;

use regex_syntax::hir::{Hir, HirKind, Repetition};

use crate::framework::pattern::Pattern;

/// The URLs of a pattern, in the order of its alternatives, and the names of all captures.
///
/// A capture may be in a part that some of the URLs do not contain.
#[derive(Debug, PartialEq)]
pub(super) struct Expansion {
    pub(super) urls: Vec<String>,
    pub(super) captured: BTreeSet<String>,
}

/// Expands alternatives and optional groups. An optional trailing slash is omitted.
///
/// Returns `None` for a pattern with a class, a dot or a repetition outside its captures, because no URL can
/// represent it.
pub(super) fn expand(pattern: &Pattern) -> Option<Expansion> {
    let hir = regex_syntax::parse(pattern.translated()).ok()?;
    let mut captured = BTreeSet::new();
    let partial = expand_node(&hir, vec![PartialUrl::default()], &mut captured)?;
    let urls = partial.into_iter().filter(|url| url.text.len() != url.optional_slash_end).map(|url| url.text);
    Some(Expansion { urls: urls.collect(), captured })
}

/// The part of a URL that is expanded so far.
#[derive(Clone, Default)]
struct PartialUrl {
    text: String,
    /// The length of the text after the last optional slash. Initially zero, so that an empty URL is omitted too.
    optional_slash_end: usize,
}

fn expand_node(
    hir: &Hir,
    mut urls: Vec<PartialUrl>,
    captured: &mut BTreeSet<String>,
) -> Option<Vec<PartialUrl>> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(urls),
        HirKind::Literal(literal) => {
            let text = str::from_utf8(&literal.0).ok()?;
            urls.iter_mut().for_each(|url| url.text.push_str(text));
            Some(urls)
        }
        HirKind::Capture(capture) => match &capture.name {
            None => expand_node(&capture.sub, urls, captured),
            Some(name) => {
                urls.iter_mut().for_each(|url| url.text.push_str(&format!("{{{name}}}")));
                captured.insert(name.to_string());
                Some(urls)
            }
        },
        HirKind::Concat(parts) => parts.iter().try_fold(urls, |urls, part| expand_node(part, urls, captured)),
        HirKind::Alternation(alternatives) => {
            let mut all = Vec::new();
            for alternative in alternatives {
                all.extend(expand_node(alternative, urls.clone(), captured)?);
            }
            Some(all)
        }
        HirKind::Repetition(Repetition { min: 0, max: Some(1), sub, .. }) => {
            let mut with = expand_node(sub, urls.clone(), captured)?;
            if matches!(sub.kind(), HirKind::Literal(literal) if *literal.0 == *b"/") {
                with.iter_mut().for_each(|url| url.optional_slash_end = url.text.len());
            }
            urls.extend(with);
            Some(urls)
        }
        HirKind::Class(_) | HirKind::Repetition(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framework::pattern::{generic_name, match_all, optional_param};

    fn check(pattern: &str, urls: &[&str], captured: &[&str]) {
        let expansion = expand(&Pattern::compile(pattern).unwrap()).unwrap();
        assert_eq!(expansion.urls, urls, "{pattern}");
        assert_eq!(expansion.captured.iter().collect::<Vec<_>>(), captured, "{pattern}");
    }

    #[test]
    fn captures_become_parameters() {
        check("config", &["config"], &[]);
        check(&format!("roles/{}", generic_name("name")), &["roles/{name}"], &["name"]);
        check(&format!("data/{}", match_all("path")), &["data/{path}"], &["path"]);
        check(r"a\.b/[.]/\Qc+\E", &["a.b/./c+"], &[]);
    }

    #[test]
    fn an_optional_trailing_slash_is_omitted() {
        check("roles/?", &["roles"], &[]);
        check("roles/?$", &["roles"], &[]);
        check("roles(/)?", &["roles", "roles/"], &[]);
        check("a/?b", &["ab", "a/b"], &[]);
    }

    #[test]
    fn alternatives_and_optional_groups_are_expanded_in_order() {
        check(&format!("creds{}", optional_param("name")), &["creds", "creds/{name}"], &["name"]);
        check("(one|two)/(three|four)", &["one/three", "two/three", "one/four", "two/four"], &[]);
        check(
            "crl(/pem|/der|/delta(/pem|/der)?)?",
            &["crl", "crl/pem", "crl/der", "crl/delta", "crl/delta/pem", "crl/delta/der"],
            &[],
        );
        check("^one$|^two$", &["one", "two"], &[]);
        check("(config)?", &["config"], &[]);
    }

    #[test]
    fn a_pattern_that_no_url_represents_is_not_expanded() {
        for pattern in [".*", "[a-z]", "a+", "raw/.*", r"\d", "a{2}", "x(.)?"] {
            assert_eq!(expand(&Pattern::compile(pattern).unwrap()), None, "{pattern}");
        }
    }
}
