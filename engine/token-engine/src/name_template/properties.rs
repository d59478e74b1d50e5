//! The properties that every accepted template has, for tests and for the fuzz target.

use jiff::Timestamp;

use super::{NameLimits, NameTemplate, NameValues};
use crate::role_name::RoleName;

/// Checks that the names of an accepted template are different although their case is ignored, and fit the API.
pub(crate) fn assert_names_are_unique(template: &str, display_name: &str, limits: NameLimits) {
    let role = RoleName::try_from("Team_1".to_owned()).expect("a valid name");
    let Ok(parsed) = NameTemplate::parse(template) else { return };
    if parsed.check(&role, limits).is_err() {
        return;
    }
    let values = NameValues { role: &role, display_name, now: Timestamp::UNIX_EPOCH };
    let name = || parsed.render(&values, limits).expect("an accepted template has names");
    let (one, other) = (name(), name());
    assert_ne!(one.to_ascii_lowercase(), other.to_ascii_lowercase(), "{template}");
    assert!(
        one.len() <= limits.max_length.unwrap_or(if limits.dns_label { 63 } else { 255 }),
        "{template}: {one}"
    );
    assert!(one.chars().all(|letter| letter.is_ascii_graphic() || letter == ' '), "{template}: {one}");
    let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    assert!(!limits.dns_label || one.chars().all(plain), "{template}: {one}");
}
