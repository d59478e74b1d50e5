//! Renders the help of an engine and of its paths, in the layout of `sdk/framework`.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::framework::input::Field;

/// Returns the help of an engine: its description, then each path with its synopsis, sorted by pattern.
pub(crate) fn root_help<'a>(
    engine_description: &str,
    paths: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> String {
    let mut paths: Vec<_> = paths.into_iter().collect();
    paths.sort_by_key(|(pattern, _)| *pattern);
    let listed: String = paths
        .into_iter()
        .map(|(pattern, synopsis)| format!("{}\n{}\n\n", indent(4, pattern), indent(8, synopsis.trim())))
        .collect();
    let text = format!(
        "## DESCRIPTION\n\n{}\n\n## PATHS\n\n\
         These paths are supported. For help on one of them, ask for the help of any\n\
         path that matches its pattern. Which of them a token may use depends on the\n\
         policies of that token.\n\n{listed}",
        engine_description.trim()
    );
    text.trim().to_owned()
}

/// The contents of the help of one path.
pub(crate) struct PathHelp<'a> {
    /// The path of the request.
    pub(crate) request: &'a str,
    /// The anchored pattern that matched it.
    pub(crate) pattern: &'a str,
    pub(crate) synopsis: &'a str,
    pub(crate) description: &'a str,
    pub(crate) fields: &'a BTreeMap<String, Field>,
}

impl PathHelp<'_> {
    /// Returns the help of the path: its synopsis, its fields sorted by name, and its description.
    pub(crate) fn render(&self) -> String {
        let fields: String = self.fields.iter().map(|(name, field)| field_help(name, field)).collect();
        let parameters = if fields.is_empty() { fields } else { format!("## PARAMETERS\n{fields}") };
        let text = format!(
            "Request:        {}\nMatching Route: {}\n\n{}\n\n{parameters}\n## DESCRIPTION\n\n{}",
            self.request,
            self.pattern,
            or_placeholder(self.synopsis, "<no synopsis>"),
            or_placeholder(self.description, "<no description>"),
        );
        text.trim().to_owned()
    }
}

fn field_help(name: &str, field: &Field) -> String {
    let description = or_placeholder(field.description(), "<no description>");
    let status = if field.is_deprecated() { "(DEPRECATED) " } else { "" };
    // As in Go, a default that is added to requests is not shown here.
    let default = field.shown_default().filter(|_| field.declared_default().is_none());
    let default = default.map(|default| match default {
        Value::String(text) if text.is_empty() => " Defaults to an empty string.".to_owned(),
        Value::String(text) => format!(" Defaults to {text}."),
        other => format!(" Defaults to {other}."),
    });
    let described = indent(8, &format!("{status}{description}{}", default.unwrap_or_default()));
    format!("\n{} ({})\n\n{described}\n", indent(4, name), field.kind().label())
}

fn or_placeholder<'a>(text: &'a str, placeholder: &'a str) -> &'a str {
    match text.trim() {
        "" => placeholder,
        trimmed => trimmed,
    }
}

/// Indents every line, including empty ones. Long lines are not wrapped.
fn indent(width: usize, text: &str) -> String {
    let lines: Vec<_> = text.lines().map(|line| format!("{:width$}{line}", "")).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fields: &BTreeMap<String, Field>, synopsis: &str, description: &str, expected: &str) {
        let help = PathHelp { request: "config", pattern: "^config$", synopsis, description, fields };
        assert_eq!(help.render(), expected);
    }

    #[test]
    fn a_path_shows_its_fields_by_name() {
        let fields = BTreeMap::from([
            ("timeout".to_owned(), Field::duration()),
            ("old".to_owned(), Field::int().deprecated().describe("Not used.\n\nAny more.")),
            ("api_endpoint".to_owned(), Field::string().describe(" URL of the\n  upstream API. ")),
        ]);
        check(
            &fields,
            "Configure\n the connection.",
            " Some longer text.\n",
            "\
Request:        config
Matching Route: ^config$

Configure
 the connection.

## PARAMETERS

    api_endpoint (string)

        URL of the
          upstream API.

    old (int)

        (DEPRECATED) Not used.
        \n        Any more.

    timeout (duration (sec))

        <no description>

## DESCRIPTION

Some longer text.",
        );
    }

    #[test]
    fn a_path_without_texts_shows_placeholders() {
        check(
            &BTreeMap::new(),
            "",
            " ",
            "\
Request:        config
Matching Route: ^config$

<no synopsis>


## DESCRIPTION

<no description>",
        );
    }

    #[test]
    fn an_engine_lists_its_paths_by_pattern() {
        let help = root_help(
            "\n  Issues tokens.\n\n  Two lines.\n",
            [("^roles/?$", ""), ("^config$", "Configure\n the connection.\n")],
        );
        assert_eq!(
            help,
            "\
## DESCRIPTION

Issues tokens.

  Two lines.

## PATHS

These paths are supported. For help on one of them, ask for the help of any
path that matches its pattern. Which of them a token may use depends on the
policies of that token.

    ^config$
        Configure
         the connection.

    ^roles/?$"
        );
    }
}
