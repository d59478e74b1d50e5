//! docs/cli.md and the pages of docs/cli, generated from the definition of the command line.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Command, CommandFactory};
use vault_token_plugin::app::App;

use crate::architecture_rules::{read, repository};
use crate::markdown::PAGES;

/// A command, and the page that explains its use.
const GUIDES: &[(&str, &str, &str)] = &[
    ("creds", "Credentials that are renewed automatically", "creds.md"),
    ("deregister", "Upgrade, rollback and cleanup", "upgrade.md"),
    ("dev", "Write a plugin", "develop.md"),
    ("doctor", "Diagnose a problem", "diagnose.md"),
    ("gc", "Upgrade, rollback and cleanup", "upgrade.md"),
    ("inspect", "Write a plugin", "develop.md"),
    ("manifests", "Manifests", "manifests.md"),
    ("package", "Images of plugins", "package.md"),
    ("presets", "Tokens of any API", "token-apis.md"),
    ("register", "Register a plugin", "register.md"),
    ("rollback", "Upgrade, rollback and cleanup", "upgrade.md"),
    ("status", "Diagnose a problem", "diagnose.md"),
    ("upgrade", "Upgrade, rollback and cleanup", "upgrade.md"),
];

#[test]
fn the_reference_is_what_the_definition_of_the_command_line_says() {
    let docs = repository().join("docs");
    let pages: BTreeMap<PathBuf, String> =
        render_reference().into_iter().map(|(name, text)| (docs.join(name), text)).collect();
    let _written_by_one = PAGES.lock().unwrap();
    let is_update = std::env::var_os("UPDATE_GENERATED").is_some();
    if is_update {
        fs::create_dir_all(docs.join("cli")).unwrap();
        pages.iter().for_each(|(path, text)| fs::write(path, text).unwrap());
    }
    for (path, text) in &pages {
        let committed = fs::read_to_string(path).unwrap_or_default();
        assert!(committed == *text, "{} is old: run this with UPDATE_GENERATED=1", path.display());
    }
    for entry in fs::read_dir(docs.join("cli")).unwrap() {
        let path = entry.unwrap().path();
        if !pages.contains_key(&path) {
            assert!(is_update, "{} is of no command", path.display());
            fs::remove_file(&path).unwrap();
        }
    }
}

#[test]
fn every_guide_of_a_command_exists() {
    for (command, title, page) in GUIDES {
        assert!(App::command().find_subcommand(command).is_some(), "{command}");
        let text = read(&Path::new(repository()).join("docs").join(page));
        assert!(text.starts_with(&format!("# {title}\n")), "{page} has another title than {title}");
    }
}

/// Name and text of each page.
fn render_reference() -> BTreeMap<String, String> {
    let mut root = App::command();
    // So that the usage line of a subcommand contains its parents.
    root.build();
    let mut pages = BTreeMap::from([("cli.md".to_owned(), render_index(&root))]);
    for command in visible_commands(&root) {
        pages.insert(format!("cli/{}.md", command.get_name()), render_page(command));
    }
    pages
}

fn render_index(root: &Command) -> String {
    let mut text = "# Commands\n\n\
        Run `vault-token-plugin COMMAND --help` in a terminal, or open the page of the command:\n\n\
        | Command | Purpose |\n|---|---|\n"
        .to_owned();
    for command in visible_commands(root) {
        let name = command.get_name();
        let _ = writeln!(text, "| [`{name}`](cli/{name}.md) | {} |", cell(&summary(command)));
    }
    text.push_str(
        "\nThe options below are accepted by every command, before or after its name. \
         [Connection and environment variables](connection.md) explains them.\n",
    );
    for (heading, options) in options_by_heading(root, true) {
        render_options(&mut text, &format!("## {heading}"), &options);
    }
    text
}

fn render_page(command: &Command) -> String {
    let mut text = format!("# {}\n\n", command.get_name());
    render_command(&mut text, command, "##");
    for below in visible_commands(command) {
        let _ = write!(text, "\n## {} {}\n\n", command.get_name(), below.get_name());
        render_command(&mut text, below, "###");
    }
    text.push_str("\n## See also\n\n");
    for (_, title, page) in GUIDES.iter().filter(|(name, ..)| *name == command.get_name()) {
        let _ = writeln!(text, "- [{title}](../{page})");
    }
    text.push_str("- [Options of every command](../cli.md#global-options)\n");
    text.push_str("- [Output and exit codes](../output.md)\n");
    text
}

fn render_command(text: &mut String, command: &Command, heading: &str) {
    let _ = writeln!(text, "{}.", escape(&summary(command)));
    let after = command.get_after_long_help().or(command.get_after_help());
    for paragraph in paragraphs(&after.map(ToString::to_string).unwrap_or_default()) {
        if !paragraph.is_empty() {
            let _ = writeln!(text, "\n{}", escape(&paragraph));
        }
    }
    let usage = command.clone().render_usage().to_string();
    let _ = writeln!(text, "\n```text\n{}\n```", usage.trim_start_matches("Usage: ").trim_end());
    let arguments: Vec<&Arg> = command.get_positionals().filter(|argument| !argument.is_hide_set()).collect();
    render_options(text, &format!("{heading} Arguments"), &arguments);
    for (title, options) in options_by_heading(command, false) {
        render_options(text, &format!("{heading} {title}"), &options);
    }
}

/// The options of a command by their help headings, either the global ones or its own.
fn options_by_heading(command: &Command, is_global: bool) -> Vec<(String, Vec<&Arg>)> {
    let mut headings: Vec<(String, Vec<&Arg>)> = Vec::new();
    for option in command.get_arguments() {
        let is_help = matches!(
            option.get_action(),
            ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
        );
        if option.is_positional() || option.is_hide_set() || is_help || option.is_global_set() != is_global {
            continue;
        }
        let heading = option.get_help_heading().unwrap_or("Options");
        match headings.iter_mut().find(|(known, _)| known == heading) {
            Some((_, options)) => options.push(option),
            None => headings.push((heading.to_owned(), vec![option])),
        }
    }
    headings
}

fn render_options(text: &mut String, heading: &str, options: &[&Arg]) {
    if options.is_empty() {
        return;
    }
    let column = if heading.ends_with("Arguments") { "Argument" } else { "Option" };
    let _ = writeln!(text, "\n{heading}\n\n| {column} | Meaning |\n|---|---|");
    for option in options {
        let _ = writeln!(text, "| `{}` | {} |", cell(&syntax(option)), cell(&meaning(option)));
    }
}

/// `-f, --file <FILE>`
fn syntax(option: &Arg) -> String {
    let names = option.get_value_names().unwrap_or_default();
    let mut values: Vec<String> = names.iter().map(|name| format!("<{name}>")).collect();
    let takes_values = matches!(option.get_action(), ArgAction::Set | ArgAction::Append);
    if option.is_positional() {
        return names.iter().map(|name| name.to_string()).collect::<Vec<_>>().join(" ");
    }
    if !takes_values {
        values.clear();
    }
    let short = option.get_short().map(|short| format!("-{short}"));
    let long = option.get_long().map(|long| format!("--{long}"));
    let flags: Vec<String> = short.into_iter().chain(long).collect();
    std::iter::once(flags.join(", ")).chain(values).collect::<Vec<_>>().join(" ")
}

fn meaning(option: &Arg) -> String {
    let help = option.get_long_help().or(option.get_help()).map(ToString::to_string).unwrap_or_default();
    let mut text = escape(&paragraphs(&help).collect::<Vec<_>>().join("\n")).replace('\n', "<br>");
    if matches!(option.get_action(), ArgAction::Set | ArgAction::Append) {
        let defaults: Vec<String> =
            option.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
        if !defaults.is_empty() {
            let _ = write!(text, " [default: {}]", defaults.join(" "));
        }
        let values: Vec<String> = option.get_possible_values().iter().map(describe_value).collect();
        if !values.is_empty() {
            let _ = write!(text, "<br>Values: {}", values.join("; "));
        }
    }
    text
}

fn describe_value(value: &clap::builder::PossibleValue) -> String {
    match value.get_help() {
        Some(help) => format!("`{}` ({})", value.get_name(), escape(&help.to_string())),
        None => format!("`{}`", value.get_name()),
    }
}

/// The paragraphs of a help text, one line each.
fn paragraphs(help: &str) -> impl Iterator<Item = String> {
    help.split("\n\n").map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn summary(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

fn visible_commands(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help")
}

/// Help is not Markdown: angle brackets must be escaped.
fn escape(help: &str) -> String {
    help.replace('<', "&lt;")
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
