//! The picture of README: a real upgrade on a terminal, while it smoke-tests the moved mount.

use std::fmt::Write as _;
use std::fs;
use std::num::NonZeroU16;
use std::path::Path;

use harness::{Fault, Operation, TerminalProgram, build, eventually};
use regex::Regex;

use crate::architecture_rules::repository;
use crate::lab::{BINARY, Lab};

const PICTURE: &str = "docs/images/upgrade.svg";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Consecutive characters of the same style.
#[derive(Clone, Debug, PartialEq, Eq)]
struct StyledText {
    text: String,
    /// Index of their color among the sixteen of a terminal; `None` for the default.
    color: Option<u8>,
    is_bold: bool,
    is_dim: bool,
}

#[tokio::test]
async fn the_picture_shows_what_an_upgrade_looks_like() {
    let lab = Lab::with_registered_plugin().await;
    let next = build::with_next_version(Path::new(BINARY), VERSION, lab.program.home());
    lab.upstream.fail(Operation::Mint, Fault::Withheld);
    let program = lab.program.env("TERM", "xterm-256color");
    let arguments = ["upgrade", "--binary", next.to_str().unwrap(), "--smoke", "creds/developer"];
    let mut terminal = program.start_on_terminal(arguments);
    terminal.wait_for("[y/N]").await;
    terminal.press("y");
    lab.upstream.wait_withheld(1).await;
    let rows = while_the_smoke_test_runs(&terminal).await;
    lab.upstream.heal();
    let ended = terminal.wait().await;
    let result = format!(
        "Upgraded custom-plugin from v{VERSION} to v{} on custom/ (8 steps, ",
        build::highest_version(VERSION)
    );
    assert!(ended.code == Some(0) && ended.text.contains(&result), "{ended:?}");

    let directory = lab.plugins.path().canonicalize().unwrap().display().to_string();
    let picture = render_svg(
        "$ vault-token-plugin upgrade --binary ./custom-plugin-1.3.0 --smoke creds/developer",
        &without_differences(rows, &directory),
    );
    let path = repository().join(PICTURE);
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        fs::write(&path, &picture).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == picture, "{PICTURE} is old: run this with UPDATE_GENERATED=1\n{picture}");
}

/// The screen once its last row is that of the smoke test, whose request the service withholds. The screen may show it a moment later.
async fn while_the_smoke_test_runs(terminal: &TerminalProgram) -> Vec<Vec<StyledText>> {
    eventually("the smoke test is running", async || {
        let rows = screen_rows(&terminal.text());
        let last: String = rows.last()?.iter().map(|styled| styled.text.as_str()).collect();
        (last.starts_with(is_spinner) && last.contains("smoke-test")).then_some(rows)
    })
    .await
}

/// The screen of a terminal with this output, row by row, without the empty rows at its end.
fn screen_rows(text: &str) -> Vec<Vec<StyledText>> {
    let [rows, columns] =
        [TerminalProgram::ROWS, TerminalProgram::COLUMNS].map(|size| NonZeroU16::new(size).unwrap());
    let mut parser = vt100::Parser::new(rows, columns, 0);
    parser.process(text.as_bytes());
    let screen = parser.screen();
    let cells = |row| (0..columns.get()).filter_map(move |column| screen.cell(row, column));
    let mut shown: Vec<Vec<StyledText>> = (0..rows.get()).map(|row| styled_row(cells(row))).collect();
    while shown.last().is_some_and(Vec::is_empty) {
        shown.pop();
    }
    shown
}

fn styled_row<'a>(cells: impl Iterator<Item = &'a vt100::Cell>) -> Vec<StyledText> {
    let mut row: Vec<StyledText> = Vec::new();
    for cell in cells {
        let color = match cell.fgcolor() {
            vt100::Color::Idx(number) => Some(number),
            vt100::Color::Default | vt100::Color::Rgb(..) => None,
        };
        let text = if cell.has_contents() { cell.contents() } else { " " };
        let next = StyledText { text: text.to_owned(), color, is_bold: cell.bold(), is_dim: cell.dim() };
        match row.last_mut() {
            Some(last) if (last.color, last.is_bold, last.is_dim) == (color, next.is_bold, next.is_dim) => {
                last.text.push_str(text);
            }
            _ => row.push(next),
        }
    }
    if let Some(last) = row.last_mut() {
        last.text.truncate(last.text.trim_end().len());
    }
    row.retain(|styled| !styled.text.is_empty());
    row
}

fn is_spinner(letter: char) -> bool {
    ('\u{2801}'..='\u{28ff}').contains(&letter)
}

/// Replaces what differs between runs, machines and releases.
fn without_differences(rows: Vec<Vec<StyledText>>, directory: &str) -> Vec<Vec<StyledText>> {
    let patterns = [
        (regex::escape(directory), "/vault/plugins"),
        (regex::escape(&build::highest_version(VERSION)), "1.3.0"),
        (regex::escape(VERSION), "1.2.3"),
        (r"\b[0-9a-f]{64}\b".to_owned(), "c0ffee"),
        (r"\(\d+\.\d s\)".to_owned(), "(0.2 s)"),
        (r"\(\d+s\)$".to_owned(), "(1s)"),
        ("[\u{2801}-\u{28ff}]".to_owned(), "\u{2819}"),
    ];
    let patterns = patterns.map(|(pattern, word)| (Regex::new(&pattern).unwrap(), word));
    // The lines before the plan are warnings about the user and the kernel of the test, and about a server without a process.
    let is_before_plan = |row: &Vec<StyledText>| !row.iter().any(|styled| styled.text.contains("Plan:"));
    let mut rows: Vec<Vec<StyledText>> = rows.into_iter().skip_while(is_before_plan).collect();
    for styled in rows.iter_mut().flatten() {
        for (pattern, word) in &patterns {
            styled.text = pattern.replace_all(&styled.text, *word).into_owned();
        }
    }
    rows
}

const CHARACTER_WIDTH: f64 = 8.4;
const LINE_HEIGHT: usize = 20;
const MARGIN: usize = 20;
/// Height of the row with the three window buttons.
const TITLE_HEIGHT: usize = 36;

/// The sixteen colors of a terminal, for a dark background.
const PALETTE: [&str; 16] = [
    "#484f58", "#ff7b72", "#3fb950", "#d29922", "#58a6ff", "#bc8cff", "#39c5cf", "#b1bac4", "#6e7681",
    "#ffa198", "#56d364", "#e3b341", "#79c0ff", "#d2a8ff", "#56d4dd", "#ffffff",
];

/// A terminal window with the typed command and the rows below it.
fn render_svg(command: &str, rows: &[Vec<StyledText>]) -> String {
    let prompt = StyledText { text: command.to_owned(), color: None, is_bold: true, is_dim: false };
    let rows: Vec<Vec<StyledText>> = std::iter::once(vec![prompt]).chain(rows.iter().cloned()).collect();
    let columns = rows.iter().map(|row| row.iter().map(|styled| styled.text.chars().count()).sum::<usize>());
    let width = (columns.max().unwrap_or(0) as f64 * CHARACTER_WIDTH).ceil() as usize + 2 * MARGIN;
    let height = TITLE_HEIGHT + rows.len() * LINE_HEIGHT + MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\">\n\
         <!-- Generated by tests/it/upgrade_picture.rs with UPDATE_GENERATED=1. -->\n\
         <style>text {{ font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #e6edf3; white-space: pre }}</style>\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#161b22\"/>\n"
    );
    for (number, color) in ["#ff5f57", "#febc2e", "#28c840"].into_iter().enumerate() {
        let _ = writeln!(svg, "<circle cx=\"{}\" cy=\"18\" r=\"6\" fill=\"{color}\"/>", MARGIN + number * 20);
    }
    for (number, row) in rows.iter().enumerate() {
        let baseline = TITLE_HEIGHT + number * LINE_HEIGHT + 14;
        let _ = write!(svg, "<text x=\"{MARGIN}\" y=\"{baseline}\" xml:space=\"preserve\">");
        row.iter().for_each(|styled| svg.push_str(&render_span(styled)));
        svg.push_str("</text>\n");
    }
    svg + "</svg>\n"
}

fn render_span(styled: &StyledText) -> String {
    let StyledText { text, color, is_bold, is_dim } = styled;
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mut attributes = String::new();
    if let Some(color) = color.and_then(|number| PALETTE.get(usize::from(number))) {
        let _ = write!(attributes, " fill=\"{color}\"");
    }
    if *is_bold {
        attributes.push_str(" font-weight=\"bold\"");
    }
    if *is_dim {
        attributes.push_str(" opacity=\"0.6\"");
    }
    if attributes.is_empty() { text } else { format!("<tspan{attributes}>{text}</tspan>") }
}

#[test]
fn a_picture_has_the_colours_of_the_terminal_and_no_tags_of_the_text() {
    let styled = |text: &str, color, is_bold| StyledText { text: text.into(), color, is_bold, is_dim: false };
    let svg = render_svg("$ x", &[vec![styled("a<b>&", None, false), styled("red", Some(1), true)]]);
    assert!(
        svg.contains(">a&lt;b&gt;&amp;<tspan fill=\"#ff7b72\" font-weight=\"bold\">red</tspan></text>"),
        "{svg}"
    );
    assert_eq!(svg.matches("<text ").count(), 2);
}
