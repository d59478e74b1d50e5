//! Generates operation ids, which name the operations in generated clients.

use crate::framework::input::DisplayAttributes;
use crate::logical::Operation;

/// The parts of an operation id.
pub(super) struct OperationId<'a> {
    pub(super) url: &'a str,
    /// The index of the URL among the URLs of its path, which selects the suffix.
    pub(super) index: usize,
    pub(super) operation: &'a Operation,
    /// The display attributes of the operation and of its path. The first non-empty value of a part is used.
    pub(super) hints: [Option<&'a DisplayAttributes>; 2],
    pub(super) default_prefix: &'a str,
}

impl OperationId<'_> {
    /// Returns prefix, verb and suffix in lower case, joined by hyphens.
    ///
    /// The defaults are the default prefix, the operation, and the words of the URL. If a verb is set, the default prefix and
    /// the words of the URL are not used.
    pub(super) fn render(&self) -> String {
        let prefix = self.hint(|display| &display.operation_prefix);
        let verb = self.hint(|display| &display.operation_verb);
        let suffixes = self.hint(|display| &display.operation_suffix);
        let suffix = match (self.index, suffixes.contains('|')) {
            (0, false) => Some(suffixes),
            _ => suffixes.split('|').nth(self.index),
        };
        let words;
        let suffix = match (suffix, verb) {
            // With a verb, an empty suffix is intended. A suffix that is missing in the list is not.
            (Some(""), "") | (None, _) => {
                words = hyphenated(
                    self.url.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_')),
                );
                words.as_str()
            }
            (Some(suffix), _) => suffix,
        };
        let prefix = if prefix.is_empty() && verb.is_empty() { self.default_prefix } else { prefix };
        let verb = match (verb, self.operation) {
            ("", Operation::Update) => "write",
            ("", operation) => operation.as_str(),
            _ => verb,
        };
        hyphenated([prefix, verb, suffix])
    }

    fn hint(&self, part: impl Fn(&DisplayAttributes) -> &String) -> &str {
        let values = self.hints.iter().flatten().map(|display| part(display).as_str());
        values.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
    }
}

fn hyphenated<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("-").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(index: usize, operation: Operation, hints: [&str; 3], expected: &str) {
        let [prefix, verb, suffix] = hints.map(str::to_owned);
        let display = DisplayAttributes {
            operation_prefix: prefix,
            operation_verb: verb,
            operation_suffix: suffix,
            ..Default::default()
        };
        for hints in [[Some(&display), None], [None, Some(&display)]] {
            let url = "Keys/{name}/config_a";
            let id = OperationId { url, index, operation: &operation, hints, default_prefix: "token" };
            assert_eq!(id.render(), expected);
        }
    }

    #[test]
    fn without_hints_the_url_names_the_operation() {
        check(0, Operation::Update, ["", "", ""], "token-write-keys-name-config_a");
        check(3, Operation::Read, ["", "", ""], "token-read-keys-name-config_a");
    }

    #[test]
    fn hints_replace_their_part() {
        check(0, Operation::Read, ["My", "", ""], "my-read-keys-name-config_a");
        check(0, Operation::Read, ["", "generate", ""], "generate");
        check(0, Operation::Read, ["", "", "creds"], "token-read-creds");
        check(0, Operation::Create, ["my", "generate", "creds"], "my-generate-creds");
    }

    #[test]
    fn each_form_of_a_path_has_its_suffix() {
        check(0, Operation::Read, ["my", "", "one|two"], "my-read-one");
        check(1, Operation::Read, ["my", "", "one|two"], "my-read-two");
        check(2, Operation::Read, ["my", "", "one|two"], "my-read-keys-name-config_a");
        check(1, Operation::Read, ["my", "sign", "one"], "my-sign-keys-name-config_a");
        check(0, Operation::Read, ["my", "sign", "|two"], "my-sign");
    }
}
