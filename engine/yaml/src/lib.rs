//! YAML, read and written by the same rules everywhere.
//!
//! An error names the position and never quotes a value, because the text may contain secrets.

use std::borrow::Cow;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Error, MessageFormatter, Options, UserMessageFormatter};

/// Why a text could not be read or written. It names the position, and never quotes the text, which may contain a secret.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct YamlError(String);

impl YamlError {
    /// A document that is YAML, but has unexpected content.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl From<Error> for YamlError {
    fn from(error: Error) -> Self {
        Self(error.render_with_formatter(&WithoutText))
    }
}

/// Reads a file of one document, by the core schema of YAML 1.2: `yes` and `010` are text. As in `kubectl`, `<<` merges a mapping.
/// Duplicate keys, unknown tags, numbers that JSON does not have, and aliases that multiply are refused.
///
/// # Errors
/// [`YamlError`] if the text is not YAML, has more than one document, or does not describe a `T`.
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    Ok(serde_saphyr::from_str_with_options(text, strict_options())?)
}

/// As [`from_str`], for a file of several documents. Empty ones are left out.
///
/// # Errors
/// [`YamlError`] if the text is not YAML, or a document does not describe a `T`.
pub fn from_str_multiple<T: DeserializeOwned>(text: &str) -> Result<Vec<T>, YamlError> {
    let documents: Vec<Option<T>> = serde_saphyr::from_multiple_with_options(text, strict_options())?;
    Ok(documents.into_iter().flatten().collect())
}

fn strict_options() -> Options {
    serde_saphyr::options! {
        // The limit on nodes already refuses aliases that multiply; a hundred mounts may share one anchor.
        budget: serde_saphyr::budget! { enforce_alias_anchor_ratio: false },
        with_snippet: false,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        ignore_binary_tag_for_string: true,
        reject_unsupported_tags: true,
    }
}

/// Reads all documents of a file that other programs write and read, and accepts what they accept.
///
/// # Errors
/// [`YamlError`] if the text is not YAML.
pub fn documents(text: &str) -> Result<Vec<Value>, YamlError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { enforce_alias_anchor_ratio: false },
        with_snippet: false,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        duplicate_keys: DuplicateKeyPolicy::LastWins,
        null_as_string: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
    };
    Ok(serde_saphyr::from_multiple_with_options(text, options)?)
}

/// Writes one document, so that readers of YAML 1.1 and 1.2 read the same.
///
/// # Errors
/// [`YamlError`] if YAML cannot express the value. The reports of this program are always expressible.
pub fn to_string(value: &impl Serialize) -> Result<String, YamlError> {
    let write = |options| {
        serde_saphyr::to_string_with_options(value, options).map_err(|error| YamlError(error.to_string()))
    };
    let text = write(serde_saphyr::ser_options! { folded_wrap_chars: usize::MAX })?;
    // libyaml and its port to Go, which `kubectl` uses, refuse a block scalar that begins with a tab.
    if text.lines().any(|line| line.trim_start_matches(' ').starts_with('\t')) {
        return write(serde_saphyr::ser_options! { prefer_block_scalars: false });
    }
    Ok(text)
}

/// Describes what is wrong with a text, and quotes only its keys. A value, or a value that was parsed as a tag, may be a secret.
struct WithoutText;

impl MessageFormatter for WithoutText {
    fn format_message<'a>(&self, error: &'a Error) -> Cow<'a, str> {
        match error {
            Error::Unexpected { expected: "mapping start", .. } => "expected a mapping".into(),
            Error::Unexpected { expected: "sequence start", .. } => "expected a list".into(),
            Error::Unexpected { expected: "string scalar", .. } => "expected text".into(),
            Error::NullIntoString { .. } => "expected text, found null; quote it if it is text".into(),
            Error::SerdeInvalidType { expected, .. } | Error::SerdeInvalidValue { expected, .. } => {
                format!("expected {expected}").into()
            }
            Error::SerdeUnknownVariant { expected, .. } => {
                format!("expected one of {}", expected.join(", ")).into()
            }
            Error::NonFiniteFloat { .. } => {
                "this number is not finite or out of range; quote it if it is text".into()
            }
            Error::UnsupportedTag { .. } => "unknown tag; quote a text that begins with `!`".into(),
            _ => UserMessageFormatter.format_message(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Value) {
        assert_eq!(from_str::<Value>(text), Ok(expected.clone()), "{text:?}");
        assert_eq!(from_str::<Value>(&format!("k: {text}\n")), Ok(json!({"k": expected})), "k: {text:?}");
    }

    #[track_caller]
    fn check_refused(text: &str) {
        assert!(from_str::<Value>(text).is_err(), "{text:?}");
    }

    #[test]
    fn a_file_can_have_several_documents() {
        let read = |text: &str| from_str_multiple::<BTreeMap<String, Value>>(text);
        let of = |value: &str| BTreeMap::from([("a".to_owned(), json!(value))]);
        assert_eq!(read("a: yes\n---\na: 010\n"), Ok(vec![of("yes"), of("010")]));
        assert_eq!(read("# c\n---\na: b\n---\n---\n"), Ok(vec![of("b")]));
        assert_eq!(read(""), Ok(Vec::new()));
        for text in ["a: b\n---\na: b\na: c\n", "a: b\n---\n- c\n", "a: b\n---\na: !x c\n"] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn words_of_yaml_1_1_are_text() {
        for text in ["yes", "no", "on", "off", "y", "n", "Yes", "NO", "tRue", "nULL", "=", "<<"] {
            check(text, json!(text));
        }
        for (text, expected) in
            [("true", true), ("True", true), ("TRUE", true), ("false", false), ("False", false)]
        {
            check(text, json!(expected));
        }
        for text in ["", "~", "null", "Null", "NULL"] {
            check(text, json!(null));
        }
    }

    #[test]
    fn numbers_are_those_of_yaml_1_2_and_all_else_is_text() {
        for text in [
            "010",
            "-010",
            "+010",
            "00",
            "007",
            "1_000",
            "0x_1",
            "0X1F",
            "0o8",
            "0x",
            "1:30",
            "190:20:30",
            "1.2.3",
            "2026-01-01",
            "2026-01-01T00:00:00Z",
            "inf",
            "nan",
            "0x1.8p1",
        ] {
            check(text, json!(text));
        }
        for (text, expected) in [("0", 0), ("-0", 0), ("+1", 1), ("-7", -7), ("0o10", 8), ("0x1F", 31)] {
            check(text, json!(expected));
        }
        check("18446744073709551615", json!(u64::MAX));
        for (text, expected) in
            [("1.10", 1.1), (".5", 0.5), ("5.", 5.0), ("1e3", 1000.0), ("1E-3", 0.001), ("01.5", 1.5)]
        {
            check(text, json!(expected));
        }
    }

    #[test]
    fn quotes_blocks_and_tags_of_the_core_schema_say_what_a_value_is() {
        for (text, expected) in [
            ("'010'", json!("010")),
            ("\"yes\"", json!("yes")),
            ("'a''b'", json!("a'b")),
            ("\"\\x41\\n\"", json!("A\n")),
            ("!!str 5", json!("5")),
            ("!!int \"5\"", json!(5)),
            ("!!binary aGk=", json!("aGk=")),
            ("{a: 1, b: [true, ~]}", json!({"a": 1, "b": [true, null]})),
        ] {
            check(text, expected);
        }
        assert_eq!(from_str("a: |\n  b\n  c\nd: >-\n  e\n  f\n"), Ok(json!({"a": "b\nc\n", "d": "e f"})));
        for text in ["!foo bar", "!foo {a: 1}", "k: !foo bar", "k: !!bool hunter2", "k: !!int hunter2"] {
            check_refused(text);
        }
    }

    #[test]
    fn keys_are_text_as_they_are_written() {
        let keys = json!({"1": 0, "010": 0, "true": 0, "yes": 0, "1.0": 0, "a b": 0});
        assert_eq!(from_str("1: 0\n010: 0\ntrue: 0\nyes: 0\n1.0: 0\n\"a b\": 0\n"), Ok(keys));
        check_refused("? [a]\n: b\n");
    }

    #[test]
    fn an_alias_stands_for_its_anchor() {
        assert_eq!(from_str("a: &x {b: 1}\nc: *x\n"), Ok(json!({"a": {"b": 1}, "c": {"b": 1}})));
        let uses: String = (0..500).map(|number| format!("k{number}: *x\n")).collect();
        assert_eq!(
            from_str::<Value>(&format!("a: &x 1\n{uses}")).map(|all| all["k499"].clone()),
            Ok(json!(1))
        );
        for text in ["a: *x\n", "a: &x [*x]\n"] {
            check_refused(text);
        }
    }

    #[test]
    fn a_mapping_is_merged_as_kubectl_does() {
        let merged = json!({"base": {"x": 1, "y": 2}, "c": {"x": 3, "y": 2}});
        assert_eq!(from_str("base: &b {x: 1, y: 2}\nc: {<<: *b, x: 3}\n"), Ok(merged));
    }

    #[test]
    fn a_key_that_is_there_twice_is_refused() {
        for text in ["a: 1\na: 2\n", "k: {a: 1, a: 2}", "[{a: 1, 'a': 2}]", "k: {a: {b: 1}, a: {c: 1}}"] {
            check_refused(text);
        }
        assert_eq!(documents("a: 1\na: 2\n"), Ok(vec![json!({"a": 2})]));
    }

    #[test]
    fn a_number_that_json_does_not_have_is_refused() {
        for text in [".inf", "-.inf", ".nan", ".NaN", "1e400"] {
            check_refused(text);
            check_refused(&format!("k: {text}\n"));
        }
        // As `kubectl` reads it.
        check("123456789012345678901234567890", json!(1.2345678901234568e29));
    }

    #[test]
    fn errors_name_the_place_and_what_is_expected() {
        #[derive(Debug, PartialEq, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Plugin {
            name: Option<String>,
            args: Option<Vec<String>>,
            env: Option<BTreeMap<String, Value>>,
        }
        for (text, expected) in [
            ("hunter2", "expected a mapping at line 1, column 1"),
            ("args: hunter2", "expected a list at line 1, column 7"),
            ("args: [[hunter2]]", "expected text at line 1, column 8"),
            ("args: [~]", "expected text, found null; quote it if it is text at line 1, column 8"),
            ("env:\n  A: !hunter2 x", "unknown tag; quote a text that begins with `!` at line 2, column 15"),
            ("nmae: hunter2", "unknown field `nmae`, expected one of name, args, env at line 1, column 1"),
            ("name: a\nname: b", "duplicate mapping key `name` is not allowed here at line 2, column 1"),
            (
                "name: a\n---\nname: b",
                "only single YAML document expected but multiple found at line 3, column 1",
            ),
            ("name: hunter2: x", "mapping values are not allowed in this context at line 1, column 14"),
        ] {
            assert_eq!(from_str::<Plugin>(text), Err(YamlError::new(expected)), "{text:?}");
        }
    }

    #[test]
    fn a_file_that_would_grow_without_limit_is_refused() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let alias = format!("*a{}", level - 1);
            bomb += &format!("a{level}: &a{level} [{}]\n", vec![alias; 9].join(", "));
        }
        check_refused(&bomb);
        check_refused(&"[".repeat(100_000));
        check_refused(&format!("{}1{}", "[".repeat(1000), "]".repeat(1000)));
    }

    #[test]
    fn a_file_has_one_document() {
        for text in ["---\na: 1\n", "---\na: 1\n...\n", "# c\n---\na: 1\n", "\u{feff}a: 1\r\n", "{\"a\": 1}"]
        {
            assert_eq!(from_str(text), Ok(json!({"a": 1})), "{text:?}");
        }
        for text in ["", "# c\n", "---\n"] {
            assert_eq!(from_str(text), Ok(json!(null)), "{text:?}");
        }
        for text in ["a: 1\n---\nb: 2\n", "a: 1\n---\n", "a: 1\n...\nfoo\n", "---\n---\na: 1\n"] {
            check_refused(text);
        }
    }

    #[test]
    fn a_file_of_other_programs_has_many_documents() {
        assert_eq!(documents("a: 1\n---\nb: yes\n"), Ok(vec![json!({"a": 1}), json!({"b": "yes"})]));
        assert!(documents("a: 1\n---\n{").is_err());
    }

    #[test]
    fn what_another_reader_would_take_for_something_else_is_quoted() {
        for text in [
            "",
            "no",
            "yes",
            "on",
            "off",
            "y",
            "n",
            "null",
            "~",
            "true",
            "1",
            "1.0",
            "1_000",
            "0x1",
            "0o1",
            "010",
            "1e3",
            ".inf",
            ".nan",
            "2026-01-01",
            "2026-01-01T00:00:00Z",
            "1:30",
            "a: b",
            "a #b",
            "# c",
            "{{ x }}",
            "[a]",
            "- a",
            "? a",
            "a:",
            "!a",
            "&a",
            "*a",
            "@a",
            "`a",
            "%a",
            "|",
            ">",
            "'a'",
            "\"a\"",
            "it's",
            "a\\b",
            " a",
            "a ",
            "a\tb",
            "\ta",
            "---",
            "...",
            "<<",
            "=",
            "\u{feff}",
            "\u{85}",
            "\u{2028}",
            "\r",
            "\u{1b}[0m",
            "\u{7f}",
            "\0",
            "é😀",
            "a\nb",
            "a\nb\n",
            "a\n\nb\n\n",
            "\n",
            "\n\n",
            "\na",
            "a\n ",
            "  a\nb",
            "a\r\nb\r\n",
            "# a\nb\n",
            "a\n---\nb\n",
            "trailing \nspace\n",
            "a\n\tb\n",
            "\ta\nb\n",
            "\n\ta\n",
        ] {
            for value in
                [json!({"k": text}), json!([text]), json!(text), json!({"a": [{"b": [text], "c": text}]})]
            {
                let yaml = to_string(&value).expect("every text can be written");
                assert_eq!(from_str(&yaml), Ok(value), "{yaml:?}");
                assert!(!yaml.contains(|c: char| c.is_control() && !"\n\t".contains(c)), "{yaml:?}");
            }
            if !text.is_empty() {
                let value = json!({text: 1});
                let yaml = to_string(&value).expect("every text can be a key");
                assert_eq!(from_str(&yaml), Ok(value), "{yaml:?}");
            }
        }
    }

    #[test]
    fn values_are_written_as_kubectl_does() {
        let value = json!({
            "empty": {"list": [], "map": {}, "nothing": null},
            "list": [{"a": 1, "b": [1.5, true]}, [["x"]]],
            "text": "first\n  second\n",
            "words": "word ".repeat(40).trim(),
        });
        let words = "word ".repeat(40);
        let expected = format!(
            "empty:\n  list: []\n  map: {{}}\n  nothing: null\nlist:\n- a: 1\n  b:\n  - 1.5\n  - true\n- - - x\ntext: |\n  \
             first\n    second\nwords: {}\n",
            words.trim()
        );
        assert_eq!(to_string(&value), Ok(expected));
    }
}
