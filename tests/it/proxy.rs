//! `HTTP_PROXY` and `HTTPS_PROXY` are interpreted as in Go programs: never for this machine itself.

use std::fs;
use std::sync::{Arc, Mutex};

use harness::Program;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::lab::{BINARY, Lab, send_raw};

/// A proxy that rejects everything, and records the requests.
struct RefusingProxy {
    address: String,
    requests: Arc<Mutex<String>>,
}

impl RefusingProxy {
    async fn start() -> RefusingProxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heard = Arc::new(Mutex::new(String::new()));
        let memory = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut request = vec![0; 8192];
                // A request without a body is one packet.
                let read = client.read(&mut request).await.unwrap_or(0);
                memory.lock().unwrap().push_str(&String::from_utf8_lossy(&request[..read]));
                let _ = client.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
            }
        });
        RefusingProxy { address, requests: heard }
    }

    /// Configures a program to use it for everything.
    fn configure(&self, program: Program) -> Program {
        ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"]
            .into_iter()
            .fold(program, |program, name| program.env(name, format!("http://{}", self.address)))
    }

    fn requests(&self) -> String {
        self.requests.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn requests_to_this_machine_never_go_to_a_proxy() {
    let (lab, proxy) = (Lab::with_registered_plugin().await, RefusingProxy::start().await);
    let port = lab.vault.address().rsplit(':').next().unwrap().to_owned();
    for host in ["127.0.0.1", "localhost", "127.8.9.10"] {
        let address = format!("http://{host}:{port}");
        let program =
            Program::new(BINARY).env("VAULT_ADDR", address).env("VAULT_TOKEN", lab.vault.root_token());
        let output =
            proxy.configure(program).timeout(std::time::Duration::from_secs(60)).run(["status"]).await;
        assert_eq!(proxy.requests(), "", "{host}: {output:?}");
    }
    let program = proxy.configure(Program::new(BINARY).env("VAULT_ADDR", lab.vault.address()));
    let program = program.env("VAULT_TOKEN", lab.vault.root_token());
    program.run(["status"]).await.success();
    // A registry, which gets a password.
    let image = ["upgrade", "custom-plugin", "--image", "127.0.0.1:1/team/custom-plugin:1.0.0"];
    let output = program.run(image).await;
    assert_eq!((output.code, proxy.requests().as_str()), (Some(2), ""), "{output:?}");
    // The token service, which gets its key.
    let variable = format!("HTTP_PROXY=http://{}", proxy.address);
    let output = Program::new(BINARY).run(["dev", "--env", &variable, "--", "true"]).await;
    assert_eq!((output.code, proxy.requests().as_str()), (Some(0), ""), "{output:?}");
}

#[tokio::test]
async fn a_server_elsewhere_is_reached_by_the_proxy_unless_no_proxy_names_it() {
    let proxy = RefusingProxy::start().await;
    let program = || {
        let program = Program::new(BINARY).env("VAULT_ADDR", "http://vault.example.test:8200");
        proxy.configure(program.env("VAULT_TOKEN", "s.a-token"))
    };
    let output = program().env("NO_PROXY", "other.test,.example.test").run(["status"]).await;
    assert_eq!((output.code, proxy.requests().as_str()), (Some(1), ""), "{output:?}");
    let output = program().run(["status"]).await;
    assert!(proxy.requests().contains("http://vault.example.test:8200/"), "{} {output:?}", proxy.requests());
}

/// With each of these, `vault` connects to this server directly, and so must this program: the request contains the token.
#[tokio::test]
async fn no_proxy_is_read_with_the_rules_of_go() {
    let proxied = async |variables: &[(&str, &str)]| {
        let proxy = RefusingProxy::start().await;
        let url = format!("http://{}", proxy.address);
        let program = Program::new(BINARY)
            .env("VAULT_ADDR", "http://vault.example.test:8200")
            .env("VAULT_TOKEN", "s.a-token");
        let program = variables.iter().fold(program, |program, (name, value)| {
            program.env(*name, if *value == "<proxy>" { &url } else { *value })
        });
        let output = program.run(["status"]).await;
        assert_eq!(output.code, Some(1), "{output:?}");
        proxy.requests()
    };
    let used = ("HTTP_PROXY", "<proxy>");
    for variables in [
        &[used, ("NO_PROXY", "*.example.test")][..],
        &[used, ("NO_PROXY", "other.test, vault.example.test:8200")],
        &[used, ("NO_PROXY", ""), ("no_proxy", "example.test")],
        &[used, ("REQUEST_METHOD", "GET")],
        &[("ALL_PROXY", "<proxy>")],
        &[("all_proxy", "<proxy>")],
    ] {
        assert_eq!(proxied(variables).await, "", "{variables:?}");
    }
    for variables in [
        &[used, ("NO_PROXY", "*.vault.example.test")][..],
        &[used, ("NO_PROXY", "vault.example.test:8201")],
        &[("HTTP_PROXY", ""), ("http_proxy", "<proxy>")],
    ] {
        let heard = proxied(variables).await;
        assert!(heard.contains("http://vault.example.test:8200/"), "{variables:?} {heard}");
    }
}

/// The variables of Vault's own client, which do not apply to other servers.
#[tokio::test]
async fn a_proxy_that_is_named_for_vault_comes_first_and_for_vault_alone() {
    let run = async |vault: &str, variables: &[(&str, &str)]| {
        let (proxy, other) = (RefusingProxy::start().await, RefusingProxy::start().await);
        let program = Program::new(BINARY).env("VAULT_ADDR", vault).env("VAULT_TOKEN", "s.a-token");
        let program = variables.iter().fold(other.configure(program), |program, (name, value)| {
            let value = value.replace("<proxy>", &proxy.address).replace("<other>", &other.address);
            program.env(*name, value)
        });
        let output = program.run(["status"]).await;
        (proxy.requests(), other.requests(), output)
    };
    let elsewhere = "http://vault.example.test:8200";
    for variables in [
        &[("VAULT_PROXY_ADDR", "http://<proxy>")][..],
        &[("VAULT_HTTP_PROXY", "http://<proxy>")],
        &[("BAO_PROXY_ADDR", "<proxy>")],
        &[("VAULT_PROXY_ADDR", "http://<proxy>"), ("VAULT_HTTP_PROXY", "http://<other>")],
        &[("VAULT_PROXY_ADDR", "http://<proxy>"), ("NO_PROXY", "*")],
    ] {
        let (heard, other, output) = run(elsewhere, variables).await;
        assert!(heard.contains("http://vault.example.test:8200/"), "{variables:?} {heard} {output:?}");
        assert_eq!(other, "", "{variables:?}");
    }
    let (heard, other, output) = run("http://127.0.0.1:1", &[("VAULT_PROXY_ADDR", "http://<proxy>")]).await;
    assert_eq!((heard.as_str(), other.as_str()), ("", ""), "never for this machine: {output:?}");

    for unusable in ["socks5://me:hunter2@<proxy>", "http://me:hunter2@"] {
        let (heard, other, output) = run(elsewhere, &[("VAULT_PROXY_ADDR", unusable)]).await;
        assert_eq!((heard.as_str(), other.as_str()), ("", ""), "{output:?}");
        assert_eq!(output.code, Some(2), "{output:?}");
        assert!(output.stderr.contains("VAULT_PROXY_ADDR"), "{output:?}");
        assert!(!output.stderr.contains("hunter2"), "{output:?}");
    }

    // The API server is not a Vault.
    let (proxy, other) = (RefusingProxy::start().await, RefusingProxy::start().await);
    let program = other.configure(Program::new(BINARY).env("VAULT_TOKEN", "s.a-token"));
    let program = program.env("VAULT_PROXY_ADDR", format!("http://{}", proxy.address));
    kubeconfig(&program, "https://api.example.test:6443", "");
    let output = program.run(["status", "-n", "vault", "--kubeconfig", "kubeconfig"]).await;
    assert_eq!(proxy.requests(), "", "{output:?}");
    assert!(other.requests().starts_with("CONNECT api.example.test:6443 "), "{output:?}");
}

/// As a plugin in Go would reach it: the request contains the key.
#[tokio::test]
async fn the_token_service_is_reached_by_the_proxy_that_go_would_choose() {
    let (lab, proxy) = (Lab::new().await, RefusingProxy::start().await);
    fs::copy(BINARY, lab.plugin_directory().join("custom")).unwrap();
    let sha256 = Program::new("/usr/bin/sha256sum").run([BINARY]).await.success();
    // The kernel takes it for this machine, and Go for any address.
    let port = lab.upstream.endpoint().rsplit(':').next().unwrap().to_owned();
    let endpoint = format!("http://0.0.0.0:{port}");
    for (at, (no_proxy, is_proxied)) in
        [(format!("0.0.0.0:{port}"), false), ("0.0.0.0:1".to_owned(), true)].into_iter().enumerate()
    {
        let name = format!("custom-{at}");
        let env = [format!("HTTP_PROXY=http://{}", proxy.address), format!("NO_PROXY={no_proxy}")];
        let plugin = json!({"command": "custom", "args": ["serve"], "sha256": &sha256[..64], "env": env});
        lab.write(&format!("sys/plugins/catalog/secret/{name}"), plugin).await;
        lab.write(&format!("sys/mounts/{name}"), json!({"type": name})).await;
        let config = json!({"api_endpoint": endpoint, "api_key": lab.upstream.api_key()});
        lab.write(&format!("{name}/config"), config).await;
        lab.write(&format!("{name}/roles/developer"), json!({"permissions": "read"})).await;
        let path = format!("{name}/creds/developer");
        let (status, body) = send_raw(&lab.client(None), "GET", &path, Value::Null).await;
        assert_eq!(proxy.requests().contains(&endpoint), is_proxied, "{no_proxy}: {}", proxy.requests());
        assert_eq!(status == 200, !is_proxied, "{no_proxy}: {status} {body}");
    }
}

/// Both receive passwords.
#[tokio::test]
async fn a_registry_is_reached_by_the_proxy_that_go_would_choose() {
    let lab = Lab::with_registered_plugin().await;
    for (no_proxy, is_proxied) in
        [("*.example.test", false), ("registry.example.test:443", false), ("registry.example.test:80", true)]
    {
        let proxy = RefusingProxy::start().await;
        let program = proxy.configure(Program::new(BINARY).env("VAULT_ADDR", lab.vault.address()));
        let program = program.env("VAULT_TOKEN", lab.vault.root_token()).env("NO_PROXY", no_proxy);
        let image = "registry.example.test/team/custom-plugin:1.0.0";
        let output = program.run(["upgrade", "custom-plugin", "--image", image]).await;
        assert_eq!(output.code, Some(2), "{output:?}");
        let is_asked = proxy.requests().contains("CONNECT registry.example.test:443 ");
        assert_eq!(is_asked, is_proxied, "{no_proxy}: {} {output:?}", proxy.requests());
    }
}

/// A kubeconfig of a cluster at this address.
fn kubeconfig(program: &Program, server: &str, more: &str) {
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: it\n\
         clusters: [{{name: it, cluster: {{server: '{server}'{more}}}}}]\n\
         users: [{{name: it, user: {{token: a-token}}}}]\n\
         contexts: [{{name: it, context: {{cluster: it, user: it}}}}]\n"
    );
    fs::write(program.home().join("kubeconfig"), text).unwrap();
}

#[tokio::test]
async fn an_api_server_behind_a_proxy_is_reached_as_kubectl_does() {
    let command = ["status", "-n", "vault", "--kubeconfig", "kubeconfig"];
    let run = async |server: &str, more: &dyn Fn(&RefusingProxy) -> String, no_proxy: &str| {
        let proxy = RefusingProxy::start().await;
        let program =
            proxy.configure(Program::new(BINARY).env("VAULT_TOKEN", "s.a-token")).env("NO_PROXY", no_proxy);
        kubeconfig(&program, server, &more(&proxy));
        let output = program.run(command).await;
        assert_eq!(output.code, Some(1), "{output:?}");
        (proxy.requests(), output.stderr)
    };
    let none = |_: &RefusingProxy| String::new();
    let own = |proxy: &RefusingProxy| format!(", proxy-url: 'http://{}'", proxy.address);

    let (heard, said) = run("https://api.example.test:6443", &none, "").await;
    assert!(heard.starts_with("CONNECT api.example.test:6443 HTTP/1.1\r\n"), "{heard:?} {said}");
    for direct in [".example.test", "*.example.test", "api.example.test:6443"] {
        let (heard, said) = run("https://api.example.test:6443", &none, direct).await;
        assert_eq!(heard, "", "{direct} {said}");
    }
    let (heard, said) = run("https://127.0.0.1:1", &none, "").await;
    assert_eq!(heard, "", "{said}");
    // The kubeconfig applies to this cluster, whatever the environment contains.
    let (heard, said) = run("https://127.0.0.1:1", &own, "127.0.0.1").await;
    assert!(heard.starts_with("CONNECT 127.0.0.1:1 HTTP/1.1\r\n"), "{heard:?} {said}");
}
