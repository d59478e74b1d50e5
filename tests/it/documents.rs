//! What the documents promise: every link leads somewhere, every command is one of this program, the book has every page.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use clap::error::ErrorKind;
use clap::{Command, CommandFactory, Parser};
use harness::{Program, build};
use vault_token_plugin::app::App;
use vault_token_plugin::config::PluginYaml;
use vault_token_plugin::error::CommandErrorKind;

use crate::architecture_rules::{read, repository};
use crate::markdown::{PAGES, Page, book_files, pages};
use crate::shell_commands::program_commands;

const BOOK: &str = "docs";
const SUMMARY: &str = "docs/SUMMARY.md";

/// Flags of other programs that the text of a page names.
const FOREIGN_FLAGS: &[&str] = &["--target", "--test"];

#[test]
fn every_link_leads_to_a_page_and_a_heading_that_exist() {
    let pages = pages();
    let mut broken = Vec::new();
    for page in &pages {
        for link in page.links.iter().filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => page.path.clone(),
                _ => normalize(&page.path.parent().unwrap().join(file)),
            };
            let is_there = match pages.iter().find(|page| page.path == target) {
                Some(target) => anchor.is_empty() || target.anchors.contains(anchor),
                None => anchor.is_empty() && repository().join(&target).exists(),
            };
            // The book holds nothing but its pages, so that a link out of it is dead there.
            if !is_there || page.path.starts_with(BOOK) && !target.starts_with(BOOK) {
                broken.push(format!("{}: {link}", page.path.display()));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn the_table_of_contents_has_every_page_of_the_book_once() {
    let _written_by_one = PAGES.lock().unwrap();
    let generated = with_generated_entries(&read(&repository().join(SUMMARY)));
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        fs::write(repository().join(SUMMARY), &generated).unwrap();
    }
    assert!(
        read(&repository().join(SUMMARY)) == generated,
        "{SUMMARY} is old: run this with UPDATE_GENERATED=1"
    );
    let summary = Page::parse(Path::new(SUMMARY), &generated);
    let mut listed: Vec<PathBuf> = summary.links.iter().map(|link| Path::new(BOOK).join(link)).collect();
    listed.sort();
    let mut pages = book_files();
    pages.retain(|page| page != Path::new(SUMMARY));
    assert_eq!(listed, pages);
}

#[test]
fn every_page_starts_with_its_title() {
    let untitled: Vec<PathBuf> =
        pages().into_iter().filter(|page| page.title.is_none()).map(|page| page.path).collect();
    assert_eq!(untitled, Vec::<PathBuf>::new());
}

#[test]
fn every_command_of_a_code_block_is_one_that_this_program_understands() {
    let mut failed = Vec::new();
    let mut count = 0;
    for page in pages() {
        let scripts = page.blocks.iter().filter(|(language, _)| language.split(' ').next() == Some("sh"));
        let mut commands: Vec<Vec<String>> =
            scripts.flat_map(|(_, script)| program_commands(script)).collect();
        let lists = page.blocks.iter().filter(|(language, _)| language == "yaml");
        commands.extend(lists.flat_map(|(_, yaml)| container_commands(yaml)));
        count += commands.len();
        for words in commands {
            match App::try_parse_from(&words) {
                Err(error) if !matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
                    failed.push(format!("{}: {}\n{error}", page.path.display(), words.join(" ")));
                }
                _ => {}
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(count > 50, "only {count} commands were found");
}

#[test]
fn every_command_and_flag_that_a_text_names_exists() {
    let root = App::command();
    let mut unknown = Vec::new();
    for page in pages().iter().filter(|page| is_of_users(&page.path)) {
        for span in &page.spans {
            if let Some(words) = span.strip_prefix("vault-token-plugin ") {
                for (command, word) in misnamed(&root, words) {
                    unknown.push(format!("{}: `{span}`: {word} of {command}", page.path.display()));
                }
            } else if let Some(flag) = leading_flag(span)
                && !has_flag(&root, flag)
                && !FOREIGN_FLAGS.contains(&flag)
            {
                unknown.push(format!("{}: `{span}`", page.path.display()));
            }
        }
    }
    assert_eq!(unknown, Vec::<String>::new());
}

#[test]
fn every_plugin_yaml_of_a_page_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut count = 0;
    for page in pages() {
        for (_, text) in page.blocks.iter().filter(|(_, text)| text.starts_with("# plugin.yaml\n")) {
            let file = folder.path().join("plugin.yaml");
            fs::write(&file, text).unwrap();
            if let Err(error) = PluginYaml::read(&file) {
                panic!("{}: {}", page.path.display(), error.render());
            }
            count += 1;
        }
    }
    assert!(count > 0, "no page shows the file");
}

#[test]
fn every_exit_code_and_environment_variable_has_its_row() {
    let output = read(&repository().join("docs/output.md"));
    for kind in [
        CommandErrorKind::Failed,
        CommandErrorKind::Usage,
        CommandErrorKind::Drift,
        CommandErrorKind::RolledBack,
        CommandErrorKind::ManualIntervention,
        CommandErrorKind::Interrupted,
    ] {
        assert!(output.contains(&format!("\n| {} | ", kind.code())), "{kind:?} is not in docs/output.md");
    }
    let connection = read(&repository().join("docs/connection.md"));
    let help = App::command().render_long_help().to_string();
    let named = help.split("[env: ").skip(1).filter_map(|rest| Some(rest.split_once(']')?.0));
    let variables: BTreeSet<&str> =
        named.flat_map(|names| names.split(", ")).filter(|name| !name.starts_with("BAO_")).collect();
    assert!(variables.len() > 5, "the help names {variables:?}");
    for variable in variables {
        assert!(connection.contains(&format!("`{variable}`")), "{variable} is not in docs/connection.md");
    }
}

#[tokio::test]
async fn the_book_can_be_built_and_every_link_of_it_leads_somewhere() {
    let mdbook = Program::new(build::mdbook().await);
    let folder = tempfile::tempdir().unwrap();
    let book = folder.path().join("book");
    let output = mdbook.run([repository().as_os_str(), book.as_os_str()]).await;
    assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (Some(0), "", ""));
    assert!(book.join("index.html").is_file());
    let files = fs::read_dir(&book).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(files.into_iter().any(|file| file.starts_with("searchindex")), "the book cannot be searched");

    let mut broken = Vec::new();
    for page in html_files(&book) {
        let html = read(&page);
        for link in attribute_values(&html, "href").chain(attribute_values(&html, "src")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            if file.contains(':') {
                continue;
            }
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let is_there = target.is_file()
                && (anchor.is_empty() || attribute_values(&read(&target), "id").any(|id| id == anchor));
            if !is_there {
                broken.push(format!("{}: {link}", page.strip_prefix(&book).unwrap().display()));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

/// Those that stand at the root of the repository and tell of the code are for contributors.
fn is_of_users(path: &Path) -> bool {
    path.starts_with(BOOK) || path == Path::new("README.md") || path == Path::new("SECURITY.md")
}

fn normalize(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut path, component| {
        match component {
            Component::ParentDir => {
                assert!(path.pop(), "a link leads out of the repository");
            }
            Component::CurDir => {}
            other => path.push(other),
        }
        path
    })
}

/// The table of contents, with an entry for each page that another test generates.
fn with_generated_entries(summary: &str) -> String {
    let mut lines = String::new();
    for line in summary.lines().filter(|line| !line.starts_with("  - [")) {
        lines.push_str(line);
        lines.push('\n');
        let Some(folder) =
            ["cli", "findings"].into_iter().find(|folder| line.ends_with(&format!("]({folder}.md)")))
        else {
            continue;
        };
        let parent = Path::new(BOOK).join(folder);
        for page in book_files().iter().filter(|page| page.starts_with(&parent)) {
            let (title, name) = (Page::read(page).title.unwrap(), page.file_name().unwrap());
            lines.push_str(&format!("  - [{title}]({folder}/{})\n", name.display()));
        }
    }
    lines
}

/// `command: [vault-token-plugin, creds, exec, …]` of a container.
fn container_commands(yaml: &str) -> Vec<Vec<String>> {
    let lists = yaml.lines().filter_map(|line| line.trim().strip_prefix("command: [")?.split_once(']'));
    lists
        .map(|(list, _)| list.split(", ").map(str::to_owned).collect::<Vec<_>>())
        .filter(|words| words[0].rsplit('/').next() == Some("vault-token-plugin"))
        .collect()
}

/// Subcommands and flags of a command line that are not there, each with the command that lacks it. Arguments can be words that stand
/// for something.
fn misnamed(root: &Command, words: &str) -> Vec<(String, String)> {
    let mut command = root;
    let mut unknown = Vec::new();
    for word in words.split(' ').take_while(|word| *word != "--") {
        if let Some(subcommand) = command.find_subcommand(word) {
            command = subcommand;
        } else if let Some(flag) = leading_flag(word) {
            if !has_flag(command, flag) && !root.get_arguments().any(|known| is_flag(known, flag)) {
                unknown.push((command.get_name().to_owned(), flag.to_owned()));
            }
        } else if command.has_subcommands() && !word.contains(|letter: char| letter.is_ascii_uppercase()) {
            unknown.push((command.get_name().to_owned(), word.to_owned()));
        }
    }
    unknown
}

/// `--output` of `--output json`.
fn leading_flag(text: &str) -> Option<&str> {
    let flag = text.split([' ', '=', ',']).next()?;
    let name = flag.strip_prefix("--").or_else(|| flag.strip_prefix('-'))?;
    name.starts_with(|letter: char| letter.is_ascii_alphabetic()).then_some(flag)
}

/// Whether the command or one below has the flag.
fn has_flag(command: &Command, flag: &str) -> bool {
    command.get_arguments().any(|known| is_flag(known, flag))
        || command.get_subcommands().any(|below| has_flag(below, flag))
}

fn is_flag(known: &clap::Arg, flag: &str) -> bool {
    match flag.strip_prefix("--") {
        Some("help" | "version") => true,
        Some(long) => known.get_long() == Some(long),
        None => known.get_short().is_some_and(|short| flag == format!("-{short}")),
    }
}

fn html_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(html_files(&path));
        // A page of its own for addresses that are not there, whose links start at the root of a server; and the table of contents
        // for browsers without scripts, whose links start at the page that shows it.
        } else if path.extension().is_some_and(|extension| extension == "html")
            && !["404.html", "toc.html"].contains(&path.file_name().unwrap().to_str().unwrap())
        {
            files.push(path);
        }
    }
    files
}

fn attribute_values<'a>(html: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let opening = format!(" {name}=\"");
    let mut rest = html;
    std::iter::from_fn(move || {
        let (_, value) = rest.split_once(&opening)?;
        let (value, after) = value.split_once('"')?;
        rest = after;
        Some(value)
    })
}
