//! docs/first-credential.md, command by command, on a real cluster.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use harness::{
    Cluster, ImageArchive, ImageContent, Program, RunningProgram, Stream, Upstream, build, eventually,
};
use serde_json::{Value, json};

/// Names of the servers' and the application's images in the document.
const VAULT_IMAGE: &str = "docker.io/hashicorp/vault:1.21.4";
const SHELL_IMAGE: &str = "docker.io/library/busybox:1.37";
const NAMESPACE: &str = "vault";
/// In the network of the cluster, where no other registry is. The node pulls from its own loopback without TLS.
const REGISTRY: &str = "127.0.0.1:5000";

/// Address of the token service: a pod, like everything else in the document.
const UPSTREAM_NAMESPACE: &str = "upstream";
const UPSTREAM_PORT: u16 = 8080;

#[tokio::test]
async fn a_newcomer_gets_a_credential_with_the_commands_of_the_document() {
    let cluster = Cluster::shared().await;
    import_images(cluster).await;
    let upstream = Upstream::builder().in_network_of(cluster).start().await;
    let _registry = registry(cluster).await;
    let first = cluster.reserve_address(NAMESPACE, "vault-0");
    let token_service = cluster.reserve_address(UPSTREAM_NAMESPACE, "upstream");
    let api_endpoint = format!("http://{token_service}:{UPSTREAM_PORT}");
    let shell = shell(cluster, &upstream, &api_endpoint, first).await;
    upstream_pod(&shell, &upstream).await;

    let document = FirstCredentialDoc::read();
    assert!(document.names("IMAGE") && document.names("SERVERS"), "the document begins with what is yours");
    let shown = run(&shell, &document.commands(..document.place("## Start an application"))).await;
    assert!(shown.contains(" is registered and runs on custom/ ("), "{shown}");
    assert_eq!(upstream.issued().len(), 1);
    assert!(upstream.live().is_empty(), "the trial credential of `register` is revoked");
    assert_image_content_known(&shell).await;

    let application = document.place("## Start an application")..document.place("## Clean up");
    let shown = with_token(&shell, &document.commands(application)).await;
    let token =
        shown.lines().find_map(|line| line.strip_prefix("the token is ")).expect("it is printed last");
    let live = upstream.live();
    assert_eq!(live.len(), 1, "the application's, and no other");
    assert_eq!(live[0].token, token);

    let end = document.commands(document.place("## Clean up")..);
    let (stop, clear_away) = end.split_first().expect("the section has commands");
    run(&shell, std::slice::from_ref(stop)).await;
    eventually("the application's token is revoked", async || upstream.live().is_empty().then_some(())).await;
    run(&shell, clear_away).await;
    for file in ["init.txt", "unseal-key"] {
        assert!(!shell.home().join(file).exists(), "{file} is left behind");
    }
}

/// The document names no image when it registers, because the version is found in the init container. A version outside of it is
/// refused.
async fn assert_image_content_known(shell: &Program) {
    let status =
        with_token(shell, &["vault-token-plugin status --kube-namespace vault --output json".into()]).await;
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["deployment"]["plugin_storage"]["files"], json!(["custom-plugin-0.1.0"]), "{status:#}");

    let ours = build::static_binary("vault-token-plugin").await;
    let next = build::with_patched_version(&ours, "0.1.0", "0.1.7", shell.home());
    let register = format!(
        "vault-token-plugin register custom-plugin --kube-namespace vault --mount custom --binary {} 2>&1 || \
         echo refused with $?\n",
        next.display()
    );
    let said = with_token(shell, &[register]).await;
    assert!(said.contains("does not contain it") && said.contains("refused with"), "{said}");
}

/// The token service, as a pod that forwards to the service of this test.
async fn upstream_pod(shell: &Program, upstream: &Upstream) {
    let (host, port) = (upstream.address().ip().to_string(), upstream.address().port().to_string());
    let listens = UPSTREAM_PORT.to_string();
    let command = json!(["/bin/busybox", "nc", "-ll", "-p", listens, "-e", "/bin/busybox", "nc", host, port]);
    let container = json!({
        "name": "upstream", "image": SHELL_IMAGE, "imagePullPolicy": "Never", "command": command,
        "readinessProbe": {"tcpSocket": {"port": UPSTREAM_PORT}, "periodSeconds": 1},
    });
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "upstream", "namespace": UPSTREAM_NAMESPACE},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    });
    fs::write(shell.home().join("upstream.json"), pod.to_string()).unwrap();
    let commands = format!(
        "kubectl create namespace {UPSTREAM_NAMESPACE}\nkubectl apply --server-side --filename upstream.json\n\
         kubectl --namespace {UPSTREAM_NAMESPACE} wait --for=condition=Ready pod/upstream --timeout=2m\n"
    );
    run(shell, &[commands]).await;
}

async fn import_images(cluster: &Cluster) {
    let vault = build::vault().await;
    let server = ImageArchive::new(VAULT_IMAGE, "/bin/vault", &[("bin/vault", ImageContent::Program(vault))]);
    cluster.import_archive(&server.path()).await;
    let busybox = build::busybox().await;
    let shell = ImageArchive::new(
        SHELL_IMAGE,
        "/bin/sh",
        &[
            ("bin/busybox", ImageContent::Program(busybox)),
            ("bin/sh", ImageContent::Link("busybox".to_owned())),
            ("bin/sleep", ImageContent::Link("busybox".to_owned())),
        ],
    );
    cluster.import_archive(&shell.path()).await;
}

/// Debian's registry, in the network of the cluster.
async fn registry(cluster: &Cluster) -> RunningProgram {
    let program = Program::new(build::debian_program("docker-registry").await).in_network_of(cluster);
    let configuration = json!({
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": program.home().join("storage")}},
        "http": {"addr": REGISTRY},
    });
    // JSON is YAML.
    fs::write(program.home().join("config.yml"), configuration.to_string()).unwrap();
    let mut registry = program.start(["serve", "config.yml"]);
    registry.wait_for(Stream::Stderr, "listening on").await;
    registry
}

/// A shell in the cluster's network with both programs in its path, and the reader's own values.
async fn shell(cluster: &Cluster, upstream: &Upstream, api_endpoint: &str, first: Ipv4Addr) -> Program {
    let kubeconfig = cluster.kubeconfig().display().to_string();
    let shell = Program::new("/bin/bash").in_network_of(cluster);
    let programs = shell.home().join("bin");
    fs::create_dir(&programs).unwrap();
    let ours = build::static_binary("vault-token-plugin").await;
    fs::hard_link(&ours, programs.join("vault-token-plugin"))
        .or_else(|_| fs::copy(&ours, programs.join("vault-token-plugin")).map(|_| ()))
        .unwrap();
    std::os::unix::fs::symlink(build::kubectl().await, programs.join("kubectl")).unwrap();
    fs::write(shell.home().join("api-key"), upstream.api_key()).unwrap();
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", programs.display());
    shell
        .env("PATH", path)
        .env("KUBECONFIG", kubeconfig)
        .env("IMAGE", format!("{REGISTRY}/custom-plugin:0.1.0"))
        .env("API_ENDPOINT", api_endpoint)
        .env("SERVERS", format!("http://{first}:8200"))
        .env("CLUSTER", cluster.api_server_in_network())
}

/// Runs commands in one shell, one after the other, until one fails.
async fn run(shell: &Program, commands: &[String]) -> String {
    shell.run_with_input(["-eu", "-o", "pipefail", "-s"], commands.concat()).await.success()
}

/// The same in a new shell, with the variables that the reader's shell still has by then.
async fn with_token(shell: &Program, commands: &[String]) -> String {
    let token = "export VAULT_TOKEN=\"$(sed -n 's/^Initial Root Token: //p' init.txt)\"\n".to_owned();
    run(shell, &[&[token], commands].concat()).await
}

struct FirstCredentialDoc(String);

impl FirstCredentialDoc {
    fn read() -> FirstCredentialDoc {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/first-credential.md");
        FirstCredentialDoc(fs::read_to_string(path).unwrap())
    }

    /// Whether the block of the reader's own values sets this variable.
    fn names(&self, variable: &str) -> bool {
        let (_, yours) = self.0.split_once("```sh yours\n").unwrap();
        let (yours, _) = yours.split_once("```").unwrap();
        yours.contains(&format!("export {variable}="))
    }

    fn place(&self, heading: &str) -> usize {
        self.0.find(heading).unwrap_or_else(|| panic!("the document has no {heading}"))
    }

    /// The command blocks in a part of the document, without the block of the reader's own values.
    fn commands(&self, part: impl std::slice::SliceIndex<str, Output = str>) -> Vec<String> {
        let blocks = self.0[part].split("```sh\n").skip(1);
        blocks.map(|block| block.split_once("```").unwrap().0.to_owned()).collect()
    }
}
