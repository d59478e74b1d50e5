//! One of the two servers of a comparison. Runs the commands of a session, and records their results.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use harness::{Exchange, Program, RecordingProxy};
use regex::{Captures, Regex};
use serde_json::Value;

/// A line of a session: `name=/pointer,.. <- as TOKEN: COMMAND`, of which only the command is required.
#[derive(Clone, Copy)]
pub(super) struct SessionLine<'a> {
    save: Option<&'a str>,
    token: &'a str,
    pub(super) command: &'a str,
}

impl SessionLine<'_> {
    /// The lines of a session, without its comments.
    pub(super) fn parse_session(session: &str) -> impl Iterator<Item = SessionLine<'_>> {
        session.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(|line| {
            let (save, rest) = match line.split_once(" <- ") {
                Some((save, rest)) => (Some(save), rest),
                None => (None, line),
            };
            let (token, command) = match rest.strip_prefix("as ").and_then(|rest| rest.split_once(": ")) {
                Some((token, command)) => (token, command),
                None => ("root", rest),
            };
            SessionLine { save, token, command }
        })
    }
}

/// A server, and the saved values.
pub(super) struct ComparedServer {
    cli: PathBuf,
    recorder: RecordingProxy,
    known: BTreeMap<String, String>,
}

impl ComparedServer {
    pub(super) async fn new(cli: &Path, server: &str, known: BTreeMap<String, String>) -> ComparedServer {
        ComparedServer { cli: cli.to_owned(), recorder: RecordingProxy::start(server).await, known }
    }

    /// Runs a command of the session, and returns its output, its exit code, and every request and response, without what `ignored` names.
    pub(super) async fn run(
        &mut self,
        SessionLine { save, token, command }: SessionLine<'_>,
        ignored: &[&str],
    ) -> String {
        let args: Vec<String> = command.split_whitespace().map(|arg| self.fill_placeholders(arg)).collect();
        let cli = Program::new(&self.cli)
            .env("VAULT_ADDR", self.recorder.address())
            .env("VAULT_TOKEN", self.known[token].as_str())
            // A sealed server gets one request, because the status is a response.
            .env("VAULT_MAX_RETRIES", "0");
        let output = cli.run(&args).await;
        let passed = self.recorder.take_exchanges();
        if let Some(saves) = save {
            let answer = passed.last().map(|exchange| exchange.answered.clone()).unwrap_or_default();
            for (name, pointer) in saves.split(',').filter_map(|save| save.split_once('=')) {
                let value = answer.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
                self.known.insert(name.to_owned(), value.to_owned());
            }
        }
        let mut seen = format!("exit code {:?}\n", output.code);
        for text in [&output.stdout, &output.stderr] {
            let text = match serde_json::from_str(text) {
                Ok(document) => without_ignored_fields(document, ignored).to_string(),
                Err(_) => lines(text, ignored),
            };
            seen.push_str(&self.redact(&text));
        }
        for exchange in passed {
            seen.push_str(&self.redact(&exchange_text(exchange, ignored)));
        }
        seen
    }

    fn fill_placeholders(&self, arg: &str) -> String {
        static NAME: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\{(\w+)\}").unwrap());
        NAME.replace_all(arg, |name: &Captures<'_>| self.known[&name[1]].clone()).into_owned()
    }

    /// Removes values that differ between any two servers: identifiers, times, and remaining TTLs.
    pub(super) fn redact(&self, text: &str) -> String {
        let mut text = text.replace(&self.recorder.address(), "<address>");
        for (name, value) in self.known.iter().filter(|(_, value)| value.len() > 8) {
            text = text.replace(value, &format!("<{name}>"));
        }
        for (pattern, name) in REDACTIONS.iter() {
            text = pattern.replace_all(&text, *name).into_owned();
        }
        text
    }
}

/// Values that differ each time, and their placeholders.
static REDACTIONS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let patterns = [
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uuid>"),
        (r"hmac-sha256:[0-9a-f]{64}", "<hmac>"),
        (r"\bsha256:[0-9a-f]{32}:[0-9a-f]{64}", "<salted hash>"),
        (r"hv[sb]\.[\w-]+", "<token>"),
        (r"\bh[0-9a-f]{64}\b", "<hash>"),
        (r"tok_[0-9a-f]{32}", "<minted>"),
        (r"vault-cluster-[0-9a-f]{8}", "<cluster>"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", "<time>"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ \+0000 UTC", "<time>"),
        (r"\b1[5-9]\d{8}\b", "<seconds>"),
        (r#""remote_port":[1-9]\d*"#, r#""remote_port":"<port>""#),
        (r"_[0-9a-f]{8}\b", "_<accessor>"),
        (r"\b[A-Za-z0-9]{24}\b", "<id>"),
        // A slow machine takes minutes between the two commands.
        (r"\b3[45]\d\d\b", "3600"),
        (r"\b5\dm\d{1,2}s\b", "1h"),
        // The width of columns depends on their content.
        (" {2,}|-{2,}", "  "),
    ];
    patterns.map(|(pattern, name)| (Regex::new(pattern).unwrap(), name)).into()
});

fn exchange_text(exchange: Exchange, ignored: &[&str]) -> String {
    let Exchange { method, path, sent, status, content_type, answered } = exchange;
    format!(
        "{method} {path} {sent}\n  {status} {content_type} {}\n",
        without_ignored_fields(answered, ignored)
    )
}

fn lines(text: &str, ignored: &[&str]) -> String {
    if let Some(rules) = sorted_policy_rules(text) {
        return rules;
    }
    text.lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty() && !ignored.iter().any(|word| line.contains(word)))
        .fold(String::new(), |text, line| text + line + "\n")
}

fn without_ignored_fields(value: Value, ignored: &[&str]) -> Value {
    let is_shown = |item: &Value| !ignored.contains(&"builtin") || item["builtin"] != true;
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(name, _)| !ignored.contains(&name.as_str()))
            .map(|(name, value)| (name, without_ignored_fields(value, ignored)))
            .collect(),
        Value::Array(items) => {
            items.into_iter().filter(is_shown).map(|item| without_ignored_fields(item, ignored)).collect()
        }
        Value::String(text) => Value::String(sorted_policy_rules(&text).unwrap_or(text)),
        other => other,
    }
}

/// The rules of an HCL policy, sorted and without comments, so that two texts with the same rules are equal. `None` for any other text.
fn sorted_policy_rules(text: &str) -> Option<String> {
    static RULE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"path\s*"([^"]+)"\s*\{\s*capabilities\s*=\s*\[([^\]]*)\]\s*\}"#).unwrap()
    });
    static COMMENT: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?m)^\s*#.*$").unwrap());
    let text = COMMENT.replace_all(text, "");
    let mut rules: Vec<String> = RULE
        .captures_iter(&text)
        .map(|rule| {
            let mut names: Vec<&str> = rule[2].split(',').map(str::trim).collect();
            names.sort_unstable();
            format!("{} {}", &rule[1], names.join(" "))
        })
        .collect();
    rules.sort_unstable();
    // A text with other content is not compared by its rules.
    (!rules.is_empty() && RULE.replace_all(&text, "").trim().is_empty()).then(|| rules.join("\n"))
}
