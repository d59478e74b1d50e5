//! Matches a documented URL against the special paths of an engine.

/// Whether `url` is a special path: exactly, by the prefix before `*`, or with `+` for any segment.
pub(super) fn is_special(url: &str, special_paths: &[String]) -> bool {
    special_paths.iter().any(|special| {
        let by_prefix = special.strip_suffix('*').is_some_and(|prefix| url.starts_with(prefix));
        special == url || by_prefix || (special.contains('+') && matches_by_segment(url, special))
    })
}

fn matches_by_segment(url: &str, special: &str) -> bool {
    let mut segments = url.split('/');
    for pattern in special.split('/') {
        let Some(segment) = segments.next() else { return false };
        if pattern == "+" {
            continue;
        }
        if pattern.strip_suffix('*').is_some_and(|prefix| segment.starts_with(prefix)) {
            return true;
        }
        if pattern != segment {
            return false;
        }
    }
    segments.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(special: &str, members: &[&str], others: &[&str]) {
        for url in members {
            assert!(is_special(url, &[special.to_owned()]), "{special} should match {url}");
        }
        for url in others {
            assert!(!is_special(url, &[special.to_owned()]), "{special} should not match {url}");
        }
    }

    #[test]
    fn a_path_matches_exactly_by_prefix_or_by_segment() {
        check("config", &["config"], &["config/", "configs", "a/config"]);
        check("roles/*", &["roles/", "roles/{name}", "roles/{name}/x"], &["roles", "role"]);
        check("a/+/b", &["a/x/b", "a/{name}/b"], &["a/b", "a/x/y/b", "a/x/b/c", "a/x"]);
        check("a/+/b*", &["a/x/b", "a/x/bc/d"], &["a/x/c"]);
        check("+/*", &["a/b", "a/b/c"], &["a"]);
    }
}
