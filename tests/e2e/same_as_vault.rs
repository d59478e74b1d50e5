//! The official command line says the same on the embedded host as on a real Vault, command by command: what it prints,
//! its exit code, and every request and answer on the way.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use dev_vault::{DevVault, Options};
use harness::{Exchange, Program, Recorder, Upstream, VaultServer, build};
use regex::{Captures, Regex};
use serde_json::Value;

use crate::lab::BINARY;

/// What both servers are asked, in this order. `{name}` stands for what an earlier command saved or the test knows.
const SESSION: &str = include_str!("same_as_vault/session.txt");

/// Where the answers differ, and why that is right.
///
/// For commands that begin so, lines of output with one of the words are not compared, nor are fields of answers that
/// are called so, nor engines that are built in.
const DIFFERENCES: &[(&str, &[&str])] = &[
    // The embedded host has no engines of its own beside `sys`, `token` and `cubbyhole`.
    ("plugin list", &["builtin", "auth", "secret"]),
    ("secrets list", &["identity/"]),
    // The same rules in fewer words: the text of Vault's is not ours to repeat.
    ("policy read default", &["path", "capabilities", "#", "}", "policy"]),
];

#[tokio::test]
async fn the_official_cli_sees_no_difference_between_the_embedded_host_and_vault() {
    let vault = VaultServer::start_new().await;
    let plugins = tempfile::tempdir().unwrap();
    let dev = DevVault::start(Options {
        plugin_directory: Some(plugins.path().canonicalize().unwrap()),
        ..Options::default()
    })
    .await
    .unwrap();
    let upstream = Upstream::start().await;
    let kv = build::go_kv("v0.25.0").await;
    for directory in [vault.plugin_directory(), plugins.path()] {
        std::fs::copy(BINARY, directory.join("custom")).unwrap();
        std::fs::copy(&kv, directory.join("go-kv")).unwrap();
    }
    let known = BTreeMap::from([
        ("sha256", sha256(Path::new(BINARY))),
        ("kv_sha256", sha256(&kv)),
        ("version", format!("v{}", env!("CARGO_PKG_VERSION"))),
        ("endpoint", upstream.endpoint()),
        ("api_key", upstream.api_key()),
    ]);
    let (address, token) = (dev.address(), dev.root_token());
    let mut real =
        Side::new(&vault, vault.address(), vault.root_token(), vault.plugin_directory(), &known).await;
    let mut ours = Side::new(&vault, &address, token, plugins.path(), &known).await;
    let mut differing = Vec::new();
    for line in SESSION.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (expected, found) = (real.run(line).await, ours.run(line).await);
        if expected != found {
            differing.push(format!("$ vault {line}\n--- Vault\n{expected}\n--- embedded\n{found}\n"));
        }
    }
    assert!(differing.is_empty(), "{} commands differ:\n{}", differing.len(), differing.join("\n"));
}

/// A server, and what was learned from it.
struct Side {
    cli: Program,
    recorder: Recorder,
    known: BTreeMap<String, String>,
}

impl Side {
    async fn new(
        vault: &VaultServer,
        server: &str,
        token: &str,
        plugins: &Path,
        known: &BTreeMap<&str, String>,
    ) -> Side {
        let recorder = Recorder::before(server).await;
        let cli =
            Program::new(vault.cli_binary()).env("VAULT_ADDR", recorder.address()).env("VAULT_TOKEN", token);
        let mut known: BTreeMap<String, String> =
            known.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        known.insert("root".to_owned(), token.to_owned());
        known.insert("plugins".to_owned(), plugins.canonicalize().unwrap().display().to_string());
        Side { cli, recorder, known }
    }

    /// Runs a command of the session, and says what could be seen of it.
    async fn run(&mut self, line: &str) -> String {
        let (save, command) = match line.split_once(" <- ") {
            Some((name, command)) => (Some(name), command),
            None => (None, line),
        };
        let args: Vec<String> = command.split_whitespace().map(|arg| self.filled(arg)).collect();
        let output = self.cli.run(&args).await;
        let passed = self.recorder.take();
        if let Some(saves) = save {
            let answer = passed.last().map(|exchange| exchange.answered.clone()).unwrap_or_default();
            for (name, pointer) in saves.split(',').filter_map(|save| save.split_once('=')) {
                let value = answer.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
                self.known.insert(name.to_owned(), value.to_owned());
            }
        }
        let differing = DIFFERENCES.iter().find(|(command, _)| line.starts_with(command));
        let ignored = differing.map_or(&[][..], |(_, ignored)| ignored);
        let mut seen = format!("exit code {:?}\n", output.code);
        for text in [&output.stdout, &output.stderr] {
            let text = match serde_json::from_str(text) {
                Ok(document) => forgetful(document, ignored).to_string(),
                Err(_) => text
                    .lines()
                    .map(str::trim_end)
                    .filter(|line| !line.is_empty() && !ignored.iter().any(|word| line.contains(word)))
                    .fold(String::new(), |text, line| text + line + "\n"),
            };
            seen.push_str(&self.redacted(&text));
        }
        for exchange in passed {
            seen.push_str(&self.redacted(&shown(exchange, ignored)));
        }
        seen
    }

    fn filled(&self, arg: &str) -> String {
        static NAME: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\{(\w+)\}").unwrap());
        NAME.replace_all(arg, |name: &Captures<'_>| self.known[&name[1]].clone()).into_owned()
    }

    /// Without what no two servers have in common: identifiers, times, and how much of an hour is left.
    fn redacted(&self, text: &str) -> String {
        let mut text = text.replace(&self.recorder.address(), "<address>");
        for (name, value) in self.known.iter().filter(|(_, value)| value.len() > 8) {
            text = text.replace(value, &format!("<{name}>"));
        }
        for (pattern, name) in FLEETING.iter() {
            text = pattern.replace_all(&text, *name).into_owned();
        }
        text
    }
}

/// What is different each time, and what stands for it.
static FLEETING: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let patterns = [
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uuid>"),
        (r"hvs\.[\w-]+", "<token>"),
        (r"tok_[0-9a-f]{32}", "<minted>"),
        (r"vault-cluster-[0-9a-f]{8}", "<cluster>"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", "<time>"),
        (r"\b1[5-9]\d{8}\b", "<seconds>"),
        (r"_[0-9a-f]{8}\b", "_<accessor>"),
        (r"\b[A-Za-z0-9]{24}\b", "<id>"),
        (r"\b359\d\b", "3600"),
        (r"\b59m5\ds\b", "1h"),
        // Columns are as wide as what was in them.
        (" {2,}|-{2,}", "  "),
    ];
    patterns.map(|(pattern, name)| (Regex::new(pattern).unwrap(), name)).into()
});

fn shown(exchange: Exchange, ignored: &[&str]) -> String {
    let Exchange { method, path, sent, status, content_type, answered } = exchange;
    format!("{method} {path} {sent}\n  {status} {content_type} {}\n", forgetful(answered, ignored))
}

fn forgetful(value: Value, ignored: &[&str]) -> Value {
    let is_shown = |item: &Value| !ignored.contains(&"builtin") || item["builtin"] != true;
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(name, _)| !ignored.contains(&name.as_str()))
            .map(|(name, value)| (name, forgetful(value, ignored)))
            .collect(),
        Value::Array(items) => {
            items.into_iter().filter(is_shown).map(|item| forgetful(item, ignored)).collect()
        }
        other => other,
    }
}

fn sha256(path: &Path) -> String {
    rollout::Binary::read(path, &mut |_, _| {}).unwrap().sha256
}
