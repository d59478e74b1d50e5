//! Each setting of the connection to the server, once where it makes the difference and once where it cannot.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use harness::{Output, Program, VaultServer, build, eventually, free_port};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::lab::BINARY;

/// How long a request may take where nothing is set.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

const NOT_ACCEPTED: &str = "TLS certificate not accepted (invalid peer certificate: ";

/// `status` with these variables.
async fn status(environment: &[(&str, &str)]) -> Output {
    let program =
        environment.iter().fold(Program::new(BINARY), |program, (name, value)| program.env(*name, *value));
    program.run(["status"]).await
}

#[track_caller]
fn assert_refused(output: &Output, words: &str) {
    assert!(output.code == Some(1) && output.stderr.contains(words), "{words}: {output:#?}");
}

/// An address of this machine that leads to a server, with a certificate for another address.
struct TlsForwarder {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl TlsForwarder {
    /// One that holds each connection for a while before it passes anything on.
    async fn start(server: &str, hold: Duration) -> TlsForwarder {
        let (_, server) = server.split_once("://").unwrap();
        let server: SocketAddr = server.parse().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    tokio::time::sleep(hold).await;
                    let mut server = TcpStream::connect(server).await.unwrap();
                    // Fails when one of the two hangs up.
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        TlsForwarder { address, task }
    }
}

impl Drop for TlsForwarder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test]
async fn the_name_in_the_certificate_is_that_of_vault_tls_server_name() {
    let vault = VaultServer::builder().tls().start().await;
    let forwarder = TlsForwarder::start(vault.address(), Duration::ZERO).await;
    let (address, ca) =
        (format!("https://{}", forwarder.address), vault.ca_file().unwrap().to_str().unwrap());
    let common =
        [("VAULT_ADDR", address.as_str()), ("VAULT_TOKEN", vault.root_token()), ("VAULT_CACERT", ca)];
    assert_refused(&status(&common).await, NOT_ACCEPTED);
    let named = async |name| status(&[&common[..], &[("VAULT_TLS_SERVER_NAME", name)]].concat()).await;
    named("localhost").await.success();
    assert_refused(&named("elsewhere.test").await, NOT_ACCEPTED);
}

#[tokio::test]
async fn an_unknown_authority_is_accepted_with_vault_skip_verify_or_when_vault_capath_has_it() {
    let vault = VaultServer::builder().tls().start().await;
    let common = [("VAULT_ADDR", vault.address()), ("VAULT_TOKEN", vault.root_token())];
    let with = async |name, value| status(&[&common[..], &[(name, value)]].concat()).await;
    with("VAULT_SKIP_VERIFY", "true").await.success();
    assert_refused(&with("VAULT_SKIP_VERIFY", "false").await, NOT_ACCEPTED);

    let (known, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let another = VaultServer::builder().tls().start().await;
    fs::copy(vault.ca_file().unwrap(), known.path().join("b.pem")).unwrap();
    for folder in [&known, &others] {
        fs::copy(another.ca_file().unwrap(), folder.path().join("a.pem")).unwrap();
    }
    with("VAULT_CAPATH", known.path().to_str().unwrap()).await.success();
    assert_refused(&with("VAULT_CAPATH", others.path().to_str().unwrap()).await, NOT_ACCEPTED);
}

#[tokio::test]
async fn a_server_that_asks_for_a_client_certificate_gets_that_of_vault_client_cert() {
    let vault = MutualTlsServer::start().await;
    let file = |name: &str| vault.folder.path().join(name).to_str().unwrap().to_owned();
    let (ca, address) = (file("ca.pem"), vault.address.clone());
    let common = [("VAULT_ADDR", address.as_str()), ("VAULT_TOKEN", TOKEN), ("VAULT_CACERT", &ca)];
    let with = async |certificate: &str, key: &str| {
        let (certificate, key) = (file(certificate), file(key));
        let own = [("VAULT_CLIENT_CERT", certificate.as_str()), ("VAULT_CLIENT_KEY", key.as_str())];
        status(&[&common[..], &own].concat()).await
    };
    let host = vault.address.strip_prefix("https://").unwrap();
    eventually("Vault listens", async || TcpStream::connect(host).await.ok()).await;
    let accepted = with("client.pem", "client.key").await;
    let log = fs::read_to_string(vault.folder.path().join("vault.log")).unwrap();
    assert_eq!(accepted.code, Some(0), "{accepted:#?}\n{log}");
    // With TLS 1.3 the server hangs up after the handshake, and its reason can be lost on the way.
    assert_refused(&status(&common).await, "could not call https://");
    assert_refused(&with("stranger.pem", "stranger.key").await, "could not call https://");
    let half = status(&[&common[..], &[("VAULT_CLIENT_CERT", file("client.pem").as_str())]].concat()).await;
    assert_eq!(half.code, Some(2), "{half:#?}");
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_after_vault_client_timeout() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    // It accepts what comes, and keeps it.
    let accepting = tokio::spawn(async move {
        let mut kept = Vec::new();
        loop {
            kept.push(silent.accept().await.unwrap());
        }
    });
    let common =
        [("VAULT_ADDR", address.as_str()), ("VAULT_TOKEN", "hvs.example"), ("VAULT_MAX_RETRIES", "0")];
    let environment = [&common[..], &[("VAULT_CLIENT_TIMEOUT", "1")]].concat();
    let output = tokio::time::timeout(DEFAULT_TIMEOUT, status(&environment)).await;
    assert_refused(&output.expect("it gave up before the default timeout"), "the request timed out");
    accepting.abort();
}

#[tokio::test]
async fn a_slow_server_is_waited_for_as_long_as_vault_client_timeout_says() {
    let vault = VaultServer::start_new().await;
    let forwarder = TlsForwarder::start(vault.address(), Duration::from_secs(3)).await;
    let address = format!("http://{}", forwarder.address);
    let with = async |timeout| {
        let common = [("VAULT_ADDR", address.as_str()), ("VAULT_TOKEN", vault.root_token())];
        status(&[&common[..], &[("VAULT_CLIENT_TIMEOUT", timeout)]].concat()).await
    };
    assert_refused(&with("1s").await, "the request timed out");
    with("60s").await.success();
}

/// The root token of the server below.
const TOKEN: &str = "known-to-this-test";

/// A real Vault in its development mode, with a listener that asks for client certificates.
struct MutualTlsServer {
    address: String,
    /// `ca.pem` signed the certificates of the server and of `client.pem`; `stranger.pem` is another authority's.
    folder: TempDir,
    _process: Child,
}

impl MutualTlsServer {
    async fn start() -> MutualTlsServer {
        let folder = tempfile::tempdir().unwrap();
        let authority = VaultServer::start_new().await;
        for mount in ["known", "unknown"] {
            let api = async |method, path: &str, body| {
                authority.request(method, &path.replace("pki", mount), Some(body)).await.success()
            };
            api("POST", "sys/mounts/pki", json!({"type": "pki"})).await;
            api("POST", "pki/root/generate/internal", json!({"common_name": "test authority"})).await;
            let role = json!({"allow_any_name": true, "enforce_hostnames": false, "ttl": "24h", "key_type": "ec", "key_bits": 256});
            api("POST", "pki/roles/any", role).await;
            let names = if mount == "known" { &["server", "client"][..] } else { &["stranger"] };
            for name in names {
                let made =
                    api("POST", "pki/issue/any", json!({"common_name": name, "ip_sans": "127.0.0.1"})).await;
                let text = |field: &str| made["data"][field].as_str().unwrap().to_owned();
                fs::write(folder.path().join(format!("{name}.pem")), text("certificate")).unwrap();
                fs::write(folder.path().join(format!("{name}.key")), text("private_key")).unwrap();
                if mount == "known" {
                    fs::write(folder.path().join("ca.pem"), text("issuing_ca")).unwrap();
                }
            }
        }
        let (plain, listen) = (free_port(), free_port());
        let listener = json!({
            "address": format!("127.0.0.1:{listen}"),
            "tls_cert_file": folder.path().join("server.pem"),
            "tls_key_file": folder.path().join("server.key"),
            "tls_client_ca_file": folder.path().join("ca.pem"),
            "tls_require_and_verify_client_cert": true,
        });
        let configuration = json!({"listener": {"tcp": listener}}).to_string();
        fs::write(folder.path().join("vault.json"), configuration).unwrap();
        let process = server(&build::vault().await, folder.path(), plain);
        MutualTlsServer { address: format!("https://127.0.0.1:{listen}"), folder, _process: process }
    }
}

fn server(vault: &Path, folder: &Path, port: u16) -> Child {
    let log = File::create(folder.join("vault.log")).unwrap();
    Command::new(vault)
        .args(["server", "-dev", "-dev-no-store-token"])
        .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
        .arg(format!("-config={}", folder.join("vault.json").display()))
        .env("VAULT_DEV_ROOT_TOKEN_ID", TOKEN)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}
