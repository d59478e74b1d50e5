//! The stored form and the order of plugin versions.

use semver::Version;

use crate::reply::ErrorReply;

/// Returns the stored form of a version, with a leading `v`, or Vault's error.
pub(crate) fn validate_version(text: &str) -> Result<String, ErrorReply> {
    normalize_version(text).ok_or_else(|| {
        ErrorReply::bad_request(format!(
            "version \"{text}\" is not a valid semantic version: Malformed version: {text}"
        ))
    })
}

/// Adds missing numbers as zero, like hashicorp/go-version.
pub(super) fn normalize_version(text: &str) -> Option<String> {
    let bare = text.strip_prefix('v').unwrap_or(text);
    let end = bare.find(['-', '+']).unwrap_or(bare.len());
    let (numbers, rest) = bare.split_at(end);
    let missing = 2usize.saturating_sub(numbers.matches('.').count());
    let padded = format!("{numbers}{}{rest}", ".0".repeat(missing));
    Version::parse(&padded).ok().map(|version| format!("v{version}"))
}

/// The sort key of a version. An unversioned plugin sorts first.
pub(super) fn version_order(version: &str) -> Option<Version> {
    Version::parse(version.strip_prefix('v')?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_stored_with_a_v_and_three_numbers() {
        assert_eq!(normalize_version("1.2.3").as_deref(), Some("v1.2.3"));
        assert_eq!(normalize_version("v1.2").as_deref(), Some("v1.2.0"));
        assert_eq!(normalize_version("1.2.3-rc1+b").as_deref(), Some("v1.2.3-rc1+b"));
        assert_eq!(normalize_version("xx"), None);
        let text = validate_version("xx").unwrap_err().text.unwrap();
        assert_eq!(text, "version \"xx\" is not a valid semantic version: Malformed version: xx");
    }

    #[test]
    fn versions_are_ordered_numerically() {
        assert!(version_order("v1.10.0") > version_order("v1.9.0"));
        assert!(version_order("v1.0.0") > version_order(""));
    }
}
