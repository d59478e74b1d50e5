//! The Markdown pages of this repository, as the tests of the documents read them.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use crate::architecture_rules::repository;

/// Held by a test that generates pages, and by one that reads them to generate another: a page that is being written has no title.
pub(crate) static PAGES: Mutex<()> = Mutex::new(());

/// A page and what a reader can follow or run of it.
pub(crate) struct Page {
    /// Relative to the repository.
    pub(crate) path: PathBuf,
    /// The text of its first heading, where that is what it starts with.
    pub(crate) title: Option<String>,
    /// What the part of a link after `#` can be.
    pub(crate) anchors: HashSet<String>,
    /// Targets of links and images.
    pub(crate) links: Vec<String>,
    /// Language and text of each code block.
    pub(crate) blocks: Vec<(String, String)>,
    /// Code in the text.
    pub(crate) spans: Vec<String>,
}

impl Page {
    pub(crate) fn read(path: &Path) -> Page {
        let text = fs::read_to_string(repository().join(path)).unwrap();
        Page::parse(path, &text)
    }

    pub(crate) fn parse(path: &Path, text: &str) -> Page {
        let mut page = Page {
            path: path.to_owned(),
            title: None,
            anchors: HashSet::new(),
            links: Vec::new(),
            blocks: Vec::new(),
            spans: Vec::new(),
        };
        let mut heading: Option<String> = None;
        let mut block: Option<(String, String)> = None;
        for (number, event) in Parser::new_ext(text, Options::ENABLE_TABLES).enumerate() {
            match event {
                Event::Start(Tag::Heading { .. }) => {
                    heading = Some(String::new());
                    if number == 0 {
                        page.title = Some(String::new());
                    }
                }
                Event::End(TagEnd::Heading(_)) => {
                    let heading = heading.take().unwrap();
                    page.anchors.insert(page.unused_anchor(&heading));
                    if page.title.as_ref().is_some_and(String::is_empty) {
                        page.title = Some(heading);
                    }
                }
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => {
                    block = Some((language.into_string(), String::new()));
                }
                Event::End(TagEnd::CodeBlock) => page.blocks.extend(block.take()),
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push(dest_url.into_string());
                }
                Event::Code(code) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&code);
                    }
                    page.spans.push(code.into_string());
                }
                Event::Text(text) => {
                    let block = block.as_mut().map(|(_, content)| content);
                    if let Some(content) = block.or(heading.as_mut()) {
                        content.push_str(&text);
                    }
                }
                _ => {}
            }
        }
        page
    }

    /// As GitHub and mdBook make them.
    fn unused_anchor(&self, heading: &str) -> String {
        let kept = |letter: char| match letter {
            _ if letter.is_alphanumeric() || "-_".contains(letter) => Some(letter),
            _ if letter.is_whitespace() => Some('-'),
            _ => None,
        };
        let anchor: String = heading.trim().to_lowercase().chars().filter_map(kept).collect();
        let again = (1..).map(|number| format!("{anchor}-{number}"));
        let mut candidates = std::iter::once(anchor.clone()).chain(again);
        candidates.find(|candidate| !self.anchors.contains(candidate)).unwrap()
    }
}

/// Every page of the repository, but not the changelog: it tells of flags that are gone.
pub(crate) fn pages() -> Vec<Page> {
    let mut files = book_files();
    let root = fs::read_dir(repository()).unwrap().map(|entry| entry.unwrap().path());
    files.extend(
        root.filter(|path| path.extension().is_some_and(|extension| extension == "md"))
            .map(|path| path.strip_prefix(repository()).unwrap().to_owned()),
    );
    files.retain(|path| path != Path::new("CHANGELOG.md"));
    files.sort();
    files.iter().map(|path| Page::read(path)).collect()
}

/// The pages below `docs`, relative to the repository.
pub(crate) fn book_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    collect(&repository().join("docs"), &mut files);
    files.sort();
    files
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            files.push(path.strip_prefix(repository()).unwrap().to_owned());
        }
    }
}

#[test]
fn anchors_are_those_of_github_and_mdbook() {
    let page = Page::parse(Path::new("a.md"), "# The `x` of\n\n## Say, \"no\"!\n\n## Say no\n\n## A_b-c\n");
    let mut anchors: Vec<&str> = page.anchors.iter().map(String::as_str).collect();
    anchors.sort_unstable();
    assert_eq!(anchors, ["a_b-c", "say-no", "say-no-1", "the-x-of"]);
    assert_eq!(page.title.as_deref(), Some("The x of"));
}
