//! The format of `SHA256SUMS`, as `sha256sum` writes and checks it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// The sha256 of files, by path relative to the directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Sha256Sums(BTreeMap<String, String>);

/// A line that is not in the format of `sha256sum`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is not a sha256 followed by a file name")]
pub struct Sha256SumsError {
    line: usize,
}

impl Sha256Sums {
    /// Paths and checksums, sorted by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(file, sha256)| (file.as_str(), sha256.as_str()))
    }
}

impl<F: Into<String>, S: Into<String>> FromIterator<(F, S)> for Sha256Sums {
    fn from_iter<T: IntoIterator<Item = (F, S)>>(sums: T) -> Self {
        Self(sums.into_iter().map(|(file, sha256)| (file.into(), sha256.into())).collect())
    }
}

impl FromStr for Sha256Sums {
    type Err = Sha256SumsError;

    fn from_str(text: &str) -> Result<Self, Sha256SumsError> {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let sums = lines.map(|(at, line)| parse_line(line).ok_or(Sha256SumsError { line: at + 1 }));
        sums.collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Sha256Sums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|(file, sha256)| writeln!(f, "{sha256}  {file}"))
    }
}

fn parse_line(line: &str) -> Option<(String, String)> {
    let (sha256, file) = line.split_at_checked(64)?;
    // The second of the two separators is a star if the file was read in binary mode, which makes no difference on Linux.
    let file = file.strip_prefix("  ").or_else(|| file.strip_prefix(" *"))?;
    let is_sum = sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_inside =
        !file.is_empty() && file.split('/').all(|part| !part.is_empty() && !part.starts_with('.'));
    // `sha256sum` escapes such names.
    let is_plain = !file.contains(char::is_control);
    (is_sum && is_inside && is_plain).then(|| (file.to_owned(), sha256.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let sums: Sha256Sums =
            [("custom-1.2.4", "b".repeat(64)), ("arm64/custom-1.2.3", "a".repeat(64))].into_iter().collect();
        let text = sums.to_string();
        assert_eq!(
            text,
            format!("{}  arm64/custom-1.2.3\n{}  custom-1.2.4\n", "a".repeat(64), "b".repeat(64))
        );
        assert_eq!(text.parse(), Ok(sums));
    }

    #[test]
    fn what_leads_elsewhere_or_is_no_sum_is_refused() {
        for file in ["../vault", "/bin/sh", "a//b", ".hidden", "", "custom\r"] {
            assert!(format!("{}  {file}", "a".repeat(64)).parse::<Sha256Sums>().is_err(), "{file:?}");
        }
        for line in [
            "custom",
            "zz  custom",
            &format!("{}  custom", "g".repeat(64)),
            &format!("{} custom", "a".repeat(64)),
        ] {
            assert_eq!(format!("\n{line}").parse::<Sha256Sums>(), Err(Sha256SumsError { line: 2 }), "{line}");
        }
    }
}
