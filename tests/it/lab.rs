//! The embedded server, a token service, and our binary.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use bytes::Bytes;
use dev_vault::{DevVault, ServerOptions};
use harness::{Output, PluginYamlBuilder, Program, RunningProgram, Upstream, copy_program, eventually};
use http::{Request, Response};
use regex::Regex;
use serde_json::{Value, json};
use tempfile::TempDir;
use vault_api::{ApiError, Client, ClientConfig, Endpoint, Idempotency, SecretString};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_vault-token-plugin");

/// Path of the credentials of the role `developer`.
pub(crate) const CREDENTIAL_PATH: &str = "custom/creds/developer";

pub(crate) struct Lab {
    pub(crate) vault: DevVault,
    pub(crate) upstream: Upstream,
    pub(crate) program: Program,
    pub(crate) plugins: TempDir,
}

impl Lab {
    /// A server with an empty plugin directory, and `plugin.yaml` in the working directory of the program.
    pub(crate) async fn new() -> Lab {
        Lab::with_options(ServerOptions::default()).await
    }

    /// A lab with these options.
    pub(crate) async fn with_options(options: ServerOptions) -> Lab {
        let upstream = Upstream::start().await;
        let plugins = tempfile::tempdir().unwrap();
        let directory = plugins.path().canonicalize().unwrap();
        let options = ServerOptions { plugin_directory: Some(directory), ..options };
        let vault = DevVault::start(options).await.unwrap();
        let program =
            Program::new(BINARY).env("VAULT_ADDR", vault.address()).env("VAULT_TOKEN", vault.root_token());
        fs::write(program.home().join("api-key"), upstream.api_key()).unwrap();
        let lab = Lab { vault, upstream, program, plugins };
        lab.description(BINARY).write_to(lab.program.home());
        lab
    }

    /// A lab in which `register` has run.
    pub(crate) async fn with_registered_plugin() -> Lab {
        let lab = Lab::new().await;
        lab.program.run(["register", "-f", "plugin.yaml"]).await.success();
        lab
    }

    /// A lab with the plugin mounted by requests, which is faster. Leases of the role `developer` live for `ttl`, and for `max_ttl` at
    /// most.
    pub(crate) async fn with_mounted_plugin(ttl: &str, max_ttl: &str) -> Lab {
        let lab = Lab::new().await;
        let name = PluginYamlBuilder::DEFAULT_NAME;
        copy_program(BINARY, lab.plugin_directory().join(name));
        let sha256 = Program::new("/usr/bin/sha256sum").run([BINARY]).await.success();
        let plugin = json!({"command": name, "args": ["serve"], "sha256": &sha256[..64]});
        lab.write(&format!("sys/plugins/catalog/secret/{name}"), plugin).await;
        lab.write("sys/mounts/custom", json!({"type": name})).await;
        let (endpoint, key) = (lab.upstream.endpoint(), lab.upstream.api_key());
        let config = json!({"api_endpoint": endpoint, "api_key": key, "renew_upstream": true});
        lab.write("custom/config", config).await;
        let role = json!({"permissions": "read,write", "ttl": ttl, "max_ttl": max_ttl});
        lab.write("custom/roles/developer", role).await;
        lab
    }

    /// `plugin.yaml` as a user writes it.
    pub(crate) fn description(&self, binary: &str) -> PluginYamlBuilder {
        PluginYamlBuilder::new(binary, self.upstream.endpoint(), "./api-key")
    }

    pub(crate) fn client(&self, token: Option<&str>) -> Client {
        client(&self.vault.address(), token.unwrap_or(self.vault.root_token()))
    }

    pub(crate) async fn write(&self, path: &str, data: Value) {
        let (status, body) = send_raw(&self.client(None), "POST", path, data).await;
        assert!((200..300).contains(&status), "{path}: {status} {body}");
    }

    pub(crate) fn plugin_directory(&self) -> &Path {
        self.plugins.path()
    }

    /// A file in the working directory of the program.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.program.home().join(name)
    }

    /// The text of a file, once it is not empty.
    pub(crate) async fn text(&self, name: &str) -> String {
        let path = self.file(name);
        eventually(name, async || fs::read_to_string(&path).ok().filter(|text| !text.is_empty())).await
    }

    /// Runs `creds exec` with a shell script.
    pub(crate) fn exec(&self, options: &[&str], script: &str) -> RunningProgram {
        let args = ["creds", "exec", CREDENTIAL_PATH].into_iter().chain(options.iter().copied());
        self.program.start(args.chain(["--", "sh", "-c", script]))
    }

    /// The output of a run, without what differs between runs.
    pub(crate) fn snapshot_text(&self, output: &Output) -> String {
        let own = [
            (self.vault.address(), "<address>"),
            (self.upstream.endpoint(), "<service>"),
            (self.plugins.path().display().to_string(), "<plugins>"),
            (self.program.home().display().to_string(), "<home>"),
        ];
        snapshot_text(output, &own)
    }
}

/// Exit code and standard error of a program.
pub(crate) async fn wait_exited(program: RunningProgram) -> (Option<i32>, String) {
    let output = program.wait().await;
    (output.code, output.stderr)
}

/// A client with a separate connection and without retries.
pub(crate) fn client(address: &str, token: &str) -> Client {
    let mut config = ClientConfig::new(address);
    config.token = Some(SecretString::new(token));
    config.max_retries = 0;
    Client::new(&config).unwrap()
}

/// Sends any request, and returns its status and body.
pub(crate) async fn send_raw(client: &Client, method: &'static str, path: &str, body: Value) -> (u16, Value) {
    client.send(&RawRequest { method, path: path.to_owned(), body }).await.unwrap()
}

struct RawRequest {
    method: &'static str,
    path: String,
    body: Value,
}

impl Endpoint for RawRequest {
    type Response = (u16, Value);
    const IDEMPOTENCY: Idempotency = Idempotency::NotIdempotent;

    fn request(&self) -> Request<Bytes> {
        let body = if self.body.is_null() { String::new() } else { self.body.to_string() };
        let kind = if self.method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let request = Request::builder().method(self.method).uri(format!("/v1/{}", self.path));
        request.header("content-type", kind).body(body.into()).unwrap()
    }

    fn response(reply: Response<Bytes>) -> Result<(u16, Value), ApiError> {
        Ok((reply.status().as_u16(), serde_json::from_slice(reply.body()).unwrap_or_default()))
    }
}

/// Exit code and both streams, without what differs between runs.
pub(crate) fn snapshot_text(output: &Output, own: &[(String, &str)]) -> String {
    let Output { code, stdout, stderr } = output;
    let code = code.map_or_else(|| "none".to_owned(), |code| code.to_string());
    redact(&format!("exit code {code}\n--- stdout\n{stdout}--- stderr\n{stderr}"), own)
}

pub(crate) fn redact(text: &str, own: &[(String, &str)]) -> String {
    let mut text = text.to_owned();
    for (value, name) in own {
        text = text.replace(value.as_str(), name);
    }
    text = text.replace(BINARY, "<binary>").replace(env!("CARGO_PKG_VERSION"), "<version>");
    for (pattern, name) in REDACTIONS.iter() {
        text = pattern.replace_all(&text, *name).into_owned();
    }
    text
}

/// Values that differ between runs or machines, and their placeholders.
static REDACTIONS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let linkage = if cfg!(target_feature = "crt-static") {
        r"(runs on +\S+), static: any image"
    } else {
        r"(runs on +\S+), needs <loader>"
    };
    let patterns = [
        (r"[0-9a-f]{64}", "<sha256>"),
        (r"tok_[0-9a-f]{32}", "<minted>"),
        (r"hvs\.[\w-]+", "<token>"),
        (r"(creds/developer/)[A-Za-z0-9]{24}\b", "${1}<lease>"),
        (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "<uuid>"),
        (r"_[0-9a-f]{8}\b", "_<accessor>"),
        (r"http://127\.0\.0\.1:\d+", "<address>"),
        (r"\b127\.0\.0\.1:\d+", "<address>"),
        (r#"("(?:pid|size|free_bytes|ready_milliseconds|handshake_milliseconds)": )[\d.]+"#, "${1}<number>"),
        (r"after \d+ ms", "after <number> ms"),
        (r"(\d+ steps?), \d+\.\d s\b", "${1}, <time>"),
        (r"(handshake +)[\d.]+ ms", "${1}<number> ms"),
        (r"(size +)[\d.]+ MiB", "${1}<number> MiB"),
        // Differs between machines.
        (r"\b(amd64|arm64|x86_64|aarch64)\b", "<machine>"),
        (r"/lib\S*/ld-linux\S+", "<loader>"),
        // Differs with the linkage of these tests.
        (linkage, "${1}, <linkage>"),
        (r"process \d+", "process <pid>"),
        (r"\b[0-9a-f]{12}\b( +\d+)?", "<sha256 and processes>"),
        (r"35[89]\d", "3600"),
        // Differs with the user and the kernel.
        (r"(?m)^Warning: (this command runs as root|the kernel has no Landlock).*\n", ""),
    ];
    patterns.map(|(pattern, name)| (Regex::new(pattern).unwrap(), name)).into()
});

/// Snapshots are stored beside the tests, one file each, named after the command.
#[track_caller]
pub(crate) fn assert_snapshot(name: &str, seen: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, seen));
}

/// An executable file with this content.
///
/// It is written by another process that has ended. If this process had it open for writing, a child that another test starts could inherit
/// the descriptor, and the file could not be executed.
pub(crate) fn executable_script(directory: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = directory.join(name);
    let mut install = Command::new("install")
        .args(["-m", "755", "/dev/stdin"])
        .arg(&path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    install.stdin.take().unwrap().write_all(content.as_ref()).unwrap();
    assert!(install.wait().unwrap().success());
    path
}
