//! The official command line behaves the same with the embedded server and with a real Vault, command by command: output, exit code, every
//! request and response, the audit log, and the requests to plugins.

mod compared_server;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use dev_vault::{DevVault, ServerOptions};
use harness::{Upstream, VaultServer, build, copy_program};
use serde_json::Value;
use tempfile::TempDir;

use self::compared_server::{ComparedServer, SessionLine};
use crate::lab::BINARY;

/// Expected differences, with their reasons.
///
/// For commands with such a prefix, these lines of output, fields of responses and built-in engines are not compared.
const EXPECTED_DIFFERENCES: &[(&str, &[&str])] = &[
    // The embedded server has only the engines `sys`, `token`, `identity` and `cubbyhole`.
    ("plugin list", &["builtin", "auth", "secret"]),
    ("read -format=json sys/plugins/catalog", &["builtin", "auth", "secret"]),
    // It supports a few of Vault's settings, and reports little about its machine.
    ("read -format=json sys/config/state/sanitized", VAULT_ONLY_SETTINGS),
    ("read -format=json sys/host-info", VAULT_ONLY_METRICS),
];

const VAULT_ONLY_SETTINGS: &[&str] = &[
    "administrative_namespace_path",
    "allow_audit_log_prefixing",
    "api_addr",
    "cache_size",
    "cluster_addr",
    "cluster_cipher_suites",
    "default_max_request_duration",
    "detect_deadlocks",
    "disable_cache",
    "disable_clustering",
    "disable_indexing",
    "disable_performance_standby",
    "disable_printable_check",
    "disable_sealwrap",
    "disable_sentinel_trace",
    "enable_post_unseal_trace",
    "enable_response_header_hostname",
    "enable_response_header_raft_node_id",
    "experiments",
    "imprecise_lease_role_tracking",
    "introspection_endpoint",
    "listeners",
    "log_format",
    "log_level",
    "log_requests_level",
    "pid_file",
    "post_unseal_trace_directory",
    "raw_storage_endpoint",
    "redirect_addr",
    "remove_irrevocable_lease_after",
];

const VAULT_ONLY_METRICS: &[&str] = &[
    "bootTime",
    "cpu",
    "cpu_times",
    "disk",
    "hostid",
    "hostname",
    "kernelVersion",
    "memory",
    "platform",
    "platformFamily",
    "platformVersion",
    "procs",
    "uptime",
    "virtualizationRole",
    "virtualizationSystem",
];

/// A real Vault and the embedded server, with the same requests.
struct ServerPair {
    vault: VaultServer,
    _dev: DevVault,
    real: ComparedServer,
    ours: ComparedServer,
    /// The embedded server's plugin directory, audit log, and the requests that its plugins record.
    folder: TempDir,
    /// The requests that plugins of the real Vault record.
    real_requests: PathBuf,
    _upstream: Upstream,
}

impl ServerPair {
    async fn start() -> ServerPair {
        let vault = VaultServer::builder().audit_log().start().await;
        let folder = tempfile::tempdir().unwrap();
        let folder_path = folder.path().canonicalize().unwrap();
        let plugins = folder_path.join("plugins");
        fs::create_dir(&plugins).unwrap();
        let audit = folder_path.join("audit.log");
        let dev = DevVault::start(ServerOptions {
            plugin_directory: Some(plugins.clone()),
            audit: Some(audit.clone()),
            ..ServerOptions::default()
        })
        .await
        .unwrap();
        let upstream = Upstream::start().await;
        let kv = build::go_kv("v0.25.0").await;
        let request_log = build::prebuilt_example("request_log");
        let doorman = build::prebuilt_example("doorman");
        for directory in [vault.plugin_directory(), &plugins] {
            for (name, binary) in [
                ("custom", Path::new(BINARY)),
                ("go-kv", &kv),
                ("request-log", &request_log),
                ("doorman", &doorman),
            ] {
                copy_program(binary, directory.join(name));
            }
        }
        let common = [
            ("sha256", sha256(Path::new(BINARY))),
            ("kv_sha256", sha256(&kv)),
            ("log_sha256", sha256(&request_log)),
            ("door_sha256", sha256(&doorman)),
            ("version", format!("v{}", env!("CARGO_PKG_VERSION"))),
            ("endpoint", upstream.endpoint()),
            ("api_key", upstream.api_key()),
            // A caller without a token.
            ("nobody", String::new()),
        ];
        let known = |own: [(&str, String); 5]| -> BTreeMap<String, String> {
            let all = common.clone().into_iter().chain(own);
            all.map(|(name, value)| (name.to_owned(), value)).collect()
        };
        let real_folder = vault.directory().canonicalize().unwrap();
        let real_requests = real_folder.join("requests.log");
        let real = known([
            ("root", vault.root_token().to_owned()),
            ("unseal", vault.unseal_key().to_owned()),
            ("plugins", real_folder.join("plugins").display().to_string()),
            ("audit", real_folder.join("audit.log").display().to_string()),
            ("requests", real_requests.display().to_string()),
        ]);
        let ours = known([
            ("root", dev.root_token().to_owned()),
            ("unseal", dev.unseal_key().to_owned()),
            ("plugins", plugins.display().to_string()),
            ("audit", audit.display().to_string()),
            ("requests", folder_path.join("requests.log").display().to_string()),
        ]);
        let cli = vault.cli_binary().to_owned();
        let real = ComparedServer::new(&cli, vault.address(), real).await;
        let ours = ComparedServer::new(&cli, &dev.address(), ours).await;
        ServerPair { vault, _dev: dev, real, ours, folder, real_requests, _upstream: upstream }
    }

    /// Runs a session on both, one command per line as typed after `vault`. `{name}` stands for a value that an earlier command has saved
    /// or the test has set.
    async fn compare(&mut self, session: &str) {
        let mut differing = Vec::new();
        for line in SessionLine::parse_session(session) {
            let ignored = EXPECTED_DIFFERENCES.iter().find(|(command, _)| line.command.starts_with(command));
            let ignored = ignored.map_or(&[][..], |(_, ignored)| ignored);
            let (expected, found) = (self.real.run(line, ignored).await, self.ours.run(line, ignored).await);
            if expected != found {
                differing.push(format!(
                    "$ vault {}\n--- Vault\n{expected}\n--- embedded\n{found}\n",
                    line.command
                ));
            }
        }
        assert!(differing.is_empty(), "{} commands differ:\n{}", differing.len(), differing.join("\n"));
    }

    /// The lines of both audit logs, without values that differ between servers.
    fn audit_logs(&self) -> [Vec<String>; 2] {
        let ours = fs::read_to_string(self.folder.path().join("audit.log")).unwrap();
        let ours = ours.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        [(&self.real, self.vault.audit_log()), (&self.ours, ours)].map(|(side, lines): (_, Vec<Value>)| {
            lines.iter().map(|line| side.redact(&line.to_string())).collect()
        })
    }
}

fn sha256(path: &Path) -> String {
    rollout::Binary::read(path, &mut |_, _| {}).unwrap().sha256
}

#[tokio::test]
async fn the_official_cli_sees_no_difference_between_the_embedded_host_and_vault() {
    ServerPair::start().await.compare(include_str!("vault_parity/operator.txt")).await;
}

#[tokio::test]
async fn a_token_that_is_not_root_is_allowed_and_refused_the_same() {
    ServerPair::start().await.compare(include_str!("vault_parity/rights.txt")).await;
}

#[tokio::test]
async fn an_auth_method_and_its_tokens_are_the_same() {
    ServerPair::start().await.compare(include_str!("vault_parity/auth.txt")).await;
}

#[tokio::test]
async fn a_pinned_version_has_the_same_effects() {
    ServerPair::start().await.compare(include_str!("vault_parity/pins.txt")).await;
}

#[tokio::test]
async fn a_sealed_server_answers_the_same() {
    ServerPair::start().await.compare(include_str!("vault_parity/seal.txt")).await;
}

#[tokio::test]
async fn what_the_embedded_host_does_not_have_is_refused_by_name() {
    let mut pair = ServerPair::start().await;
    for line in SessionLine::parse_session(include_str!("vault_parity/absent.txt")) {
        let (expected, found) = (pair.real.run(line, &[]).await, pair.ours.run(line, &[]).await);
        assert!(expected.starts_with("exit code Some(0)"), "{}: {expected}", line.command);
        let is_refused = found.starts_with("exit code Some(2)") && found.contains("* a development server ");
        assert!(is_refused, "{}: {found}", line.command);
    }
}

#[tokio::test]
async fn the_audit_log_has_the_same_lines() {
    let mut pair = ServerPair::start().await;
    let before = pair.audit_logs().map(|lines| lines.len());
    pair.compare(include_str!("vault_parity/audit.txt")).await;
    let [real, ours] = pair.audit_logs();
    let (real, ours) = (&real[before[0]..], &ours[before[1]..]);
    assert!(real.len() > 20, "{real:#?}");
    let differing: Vec<String> = (real.iter().zip(ours))
        .filter(|(real, ours)| real != ours)
        .map(|(real, ours)| format!("--- Vault\n{real}\n--- embedded\n{ours}\n"))
        .collect();
    assert!(differing.is_empty(), "{} lines differ:\n{}", differing.len(), differing.join("\n"));
    assert_eq!(real.len(), ours.len());
}

#[tokio::test]
async fn a_plugin_is_asked_the_same() {
    let mut pair = ServerPair::start().await;
    pair.compare(include_str!("vault_parity/requests.txt")).await;
    // A timer may have triggered a rollback, so equal requests count once.
    let requests = |side: &ComparedServer, file: &Path| -> BTreeSet<String> {
        fs::read_to_string(file).unwrap().lines().map(|line| side.redact(line)).collect()
    };
    let real = requests(&pair.real, &pair.real_requests);
    let ours = requests(&pair.ours, &pair.folder.path().join("requests.log"));
    for operation in ["create", "read", "update", "delete", "renew", "revoke", "rollback"] {
        let operation = format!("\"operation\":\"{operation}\"");
        assert!(real.iter().any(|request| request.contains(&operation)), "{operation} of {real:#?}");
    }
    let missing: Vec<&String> = real.difference(&ours).collect();
    let surplus: Vec<&String> = ours.difference(&real).collect();
    assert!(
        missing.is_empty() && surplus.is_empty(),
        "Vault asks {missing:#?}, the embedded host {surplus:#?}"
    );
}
