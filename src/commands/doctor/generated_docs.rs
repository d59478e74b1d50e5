//! Generates the pages of the findings from their descriptions in the code.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use rollout::{FindingKind, VerifiedBy, finding_kinds};

/// Renders the page that `doctor --explain` prints, with the test that verifies it.
fn render_docs_page(kind: &FindingKind) -> String {
    let mut text = super::finding_page::render_page(kind);
    let _ = match kind.verified_by {
        VerifiedBy::E2eTest(test) => {
            writeln!(
                text,
                "\n## Verification\n\nThe test `{test}` in `tests/e2e` reproduces it on a real server."
            )
        }
        VerifiedBy::KubernetesTest(test) => {
            writeln!(
                text,
                "\n## Verification\n\nThe test `{test}` in `tests/kubernetes` reproduces it on real pods."
            )
        }
        VerifiedBy::NotReproduced(why) => {
            writeln!(
                text,
                "\n## Verification\n\nOnly unit tests on recorded observations cover it, because {why}."
            )
        }
    };
    text
}

fn render_index() -> String {
    let mut text = "# Findings of `doctor`\n\n\
        Run `vault-token-plugin doctor`, and open the page of each finding that it reports. \
        `vault-token-plugin doctor --explain VTP-301` prints this page without the section Verification.\n\n\
        | Finding | Problem | Severity |\n|---|---|---|\n"
        .to_owned();
    for known in finding_kinds() {
        let _ =
            writeln!(text, "| [{0}](findings/{0}.md) | {1} | {2} |", known.id, known.title, known.severity);
    }
    text
}

fn render_troubleshooting() -> String {
    let mut text = "# Troubleshooting\n\n\
        Search this table for an error message, or let `vault-token-plugin doctor --explain 'MESSAGE'` find the row. A whole log works too:\n\n\
        ```sh\nkubectl logs vault-0 | vault-token-plugin doctor --explain -\n```\n\n\
        `vault-token-plugin doctor` checks the server, its plugin files and its mounts. It also finds problems that no log mentions yet.\n\n\
        | Message (`*` matches any text) | Finding | Remediation |\n|---|---|---|\n"
        .to_owned();
    for known in finding_kinds() {
        for words in known.log_patterns {
            let _ = writeln!(
                text,
                "| `{words}` | [{0}](findings/{0}.md): {1} | {2} |",
                known.id, known.title, known.remediation
            );
        }
    }
    text
}

#[test]
fn the_pages_are_what_would_be_written() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let mut pages: Vec<(PathBuf, String)> = finding_kinds()
        .into_iter()
        .map(|known| (docs.join(format!("findings/{}.md", known.id)), render_docs_page(known)))
        .collect();
    pages.push((docs.join("findings.md"), render_index()));
    pages.push((docs.join("troubleshooting.md"), render_troubleshooting()));
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        fs::create_dir_all(docs.join("findings")).expect("a directory");
        pages.iter().for_each(|(path, text)| fs::write(path, text).expect("written"));
    }
    for (path, text) in &pages {
        let committed = fs::read_to_string(path).unwrap_or_default();
        assert!(committed == *text, "{} is old: run this with UPDATE_GENERATED=1", path.display());
    }
    let listed =
        fs::read_dir(docs.join("findings")).expect("listed").map(|entry| entry.expect("an entry").path());
    let wanted: BTreeSet<PathBuf> = pages.iter().map(|(path, _)| path.clone()).collect();
    assert_eq!(listed.filter(|path| !wanted.contains(path)).collect::<Vec<_>>(), Vec::<PathBuf>::new());
}

#[test]
fn the_test_that_is_named_as_proof_is_there() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    for known in finding_kinds() {
        let (target, test) = match known.verified_by {
            VerifiedBy::E2eTest(test) => ("e2e", test),
            VerifiedBy::KubernetesTest(test) => ("kubernetes", test),
            VerifiedBy::NotReproduced(_) => continue,
        };
        let (module, name) = test.rsplit_once("::").expect("a test of a module");
        let file = tests.join(target).join(module.replace("::", "/")).with_extension("rs");
        let source = fs::read_to_string(file).expect("the tests");
        assert!(source.contains(&format!("fn {name}()")), "{}: {test}", known.id);
        let id = known.id.to_lowercase().replace('-', "_");
        assert!(name.contains(&id), "{test} does not name {}", known.id);
    }
}
