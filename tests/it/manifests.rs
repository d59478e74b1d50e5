//! What `manifests` makes: every file is in docs/manifests.md, word for word, and what goes wrong is said.

use std::fs;
use std::path::{Path, PathBuf};

use harness::{Output, Program};
use serde_json::Value;

const IMAGE: &str = "registry.example.com/custom-plugin:0.1.0";
/// Everything below this line of the document is made by its test.
const GENERATED_MARKER: &str = "<!-- Made by tests/it/manifests.rs: UPDATE_GENERATED=1 makes it anew. -->\n";

fn program() -> Program {
    Program::new(env!("CARGO_BIN_EXE_vault-token-plugin"))
}

async fn manifests(args: &[&str]) -> Output {
    program().run(["manifests"].iter().chain(args)).await
}

fn output_text(output: &Output) -> String {
    format!(
        "exit code {}\n--- stdout\n{}--- stderr\n{}",
        output.code.expect("it was not killed"),
        output.stdout,
        output.stderr
    )
}

async fn documents(args: &[&str]) -> Vec<Value> {
    let json = program().run(["manifests", "--output", "json"].iter().chain(args)).await.json();
    assert_eq!(json["schema_version"], 2);
    json["documents"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn the_document_holds_every_file_word_for_word() {
    let mut made = String::from(GENERATED_MARKER);
    for document in documents(&["all", "--image", IMAGE]).await {
        let text = |key: &str| document[key].as_str().expect("a text").to_owned();
        let (part, file) = (text("part"), text("file"));
        let content = file_alone(&file).await;
        let language = Path::new(&file).extension().expect("files have one").to_string_lossy().into_owned();
        made.push_str(&format!("\n## `{file}`\n\nPart `{part}`.\n\n```{language}\n{content}```\n"));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/manifests.md");
    let committed = fs::read_to_string(&path).expect("the document is there");
    let (written, _) = committed.split_once(GENERATED_MARKER).expect("the document has the mark");
    let wanted = format!("{written}{made}");
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        fs::write(&path, &wanted).expect("writable");
    }
    let committed = fs::read_to_string(&path).expect("the document is there");
    assert!(committed == wanted, "docs/manifests.md is old: run this with UPDATE_GENERATED=1");
}

/// As `--kustomize` writes it: with its comment, and nothing of a stream around it.
async fn file_alone(file: &str) -> String {
    let program = program();
    let made = program.run(["manifests", "all", "--image", IMAGE, "--kustomize", "made"]).await;
    let _ = made.success();
    fs::read_to_string(program.home().join("made").join(file)).expect("the file was written")
}

#[tokio::test]
async fn names_of_ones_own_reach_every_file() {
    let output = manifests(&[
        "all",
        "--image",
        "registry.example.com/mine:0.1.0",
        "--product",
        "openbao",
        "--name",
        "my_plugin",
        "--prefix",
        "mine",
        "-n",
        "secrets",
        "--statefulset",
        "bao",
        "--container",
        "server",
        "--pod-labels",
        "app=bao,tier=secrets",
        "--plugin-dir",
        "/openbao/plugins",
        "--mount",
        "team/mine",
        "--mount",
        "other",
        "--service-account",
        "ci",
        "--server-address",
        "https://bao.example.com:8200",
        "--ca-secret",
        "bao-ca",
        "--monitoring-namespace",
        "watch",
        "--metrics-prefix",
        "mine",
        "--app",
        "shop",
        "--app-namespace",
        "front",
        "--app-image",
        "shop:7",
        "--creds",
        "team/mine/creds/shop",
        "--auth-mount",
        "k8s",
        "--",
        "/shop",
        "--port",
        "80",
    ])
    .await;
    let stdout = output.success();
    for standard in ["custom", "name: vault\n", "namespace: vault\n", "namespace: default\n", "busybox"] {
        assert!(!stdout.contains(standard), "{standard} was not replaced:\n{stdout}");
    }
    insta::assert_snapshot!("names_of_ones_own", stdout);
}

#[tokio::test]
async fn the_description_of_the_plugin_names_it_too() {
    let program = program();
    fs::write(
        program.home().join("plugin.yaml"),
        "plugin: {name: from-file, type: auth}\nmounts: [{path: a}, {path: b/c}]\n",
    )
    .expect("the home is writable");
    let policy = program.run(["manifests", "policy", "-f", "plugin.yaml", "--mount", "flag"]).await.success();
    assert!(policy.contains("sys/plugins/catalog/auth/from-file\""), "{policy}");
    assert!(policy.contains("path \"flag/*\"") && !policy.contains("path \"a/*\""), "{policy}");
    let policy = program.run(["manifests", "policy", "-f", "plugin.yaml"]).await.success();
    assert!(policy.contains("path \"a/*\"") && policy.contains("path \"b/c/*\""), "{policy}");
}

#[tokio::test]
async fn the_same_names_make_the_same_text() {
    let args = ["all", "--image", IMAGE];
    assert_eq!(manifests(&args).await, manifests(&args).await);
}

#[tokio::test]
async fn a_stream_is_yaml_of_objects_only() {
    let stream = manifests(&["--image", IMAGE]).await.success();
    let kinds: Vec<String> = stream
        .split("---\n")
        .filter_map(|text| serde_norway::from_str::<Value>(text).ok())
        .filter(|value| !value.is_null())
        .map(|value| value["kind"].as_str().expect("an object of the cluster").to_owned())
        .collect();
    insta::assert_snapshot!(kinds.join(" "), @"StatefulSet ServiceAccount Role RoleBinding NetworkPolicy PodDisruptionBudget ConfigMap ServiceAccount Deployment");
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_with_its_cure() {
    let mut all = String::new();
    for args in [
        vec!["statefulset"],
        vec!["rbac", "--name", "my_plugin"],
        vec!["rbac", "--statefulset", "Vault"],
        vec!["statefulset", "--image", "registry.example.com/custom-plugin"],
        vec!["policy", "--mount", "custom*"],
        vec!["policy", "--name", "a\"b"],
        vec!["scrape", "--server-address", "vault:8200"],
        vec!["statefulset", "--image", IMAGE, "--plugin-dir", "plugins"],
        vec!["rules", "--prefix", "a23456789-123456789-123456789-123456789-123456789-123456789-123"],
        vec!["rbac", "--force"],
        vec!["nonsense"],
    ] {
        let output = manifests(&args).await;
        assert_eq!(output.code, Some(2), "{args:?}: {}", output_text(&output));
        all.push_str(&format!("$ manifests {}\n{}\n", args.join(" "), output.stderr));
    }
    insta::assert_snapshot!("what_cannot_be_used", all);
}

#[tokio::test]
async fn a_kustomization_is_made_again_and_keeps_what_is_not_its_own() {
    let program = program();
    let run = async |args: &[&str]| {
        program.run(["manifests", "rbac", "statefulset", "--kustomize", "plugin"].iter().chain(args)).await
    };
    insta::assert_snapshot!("kustomize_first", output_text(&run(&["--image", IMAGE]).await));
    let file = |name: &str| -> PathBuf { program.home().join("plugin").join(name) };
    insta::assert_snapshot!("kustomization", fs::read_to_string(file("kustomization.yaml")).expect("made"));

    fs::write(file("rbac.yaml"), "# mine\n").expect("writable");
    let refused = run(&["--image", IMAGE]).await;
    insta::assert_snapshot!("kustomize_refused", output_text(&refused));
    assert_eq!(fs::read_to_string(file("rbac.yaml")).expect("kept"), "# mine\n");

    let _ = run(&["--image", IMAGE, "--force", "--base", "../vault"]).await.success();
    let made = fs::read_to_string(file("kustomization.yaml")).expect("made");
    assert!(made.contains("kind: Kustomization\n") && made.contains("- ../vault\n"), "{made}");
}

#[tokio::test]
async fn without_a_cluster_a_comparison_says_how_to_name_one() {
    let output = manifests(&["rbac", "--diff", "--kubeconfig", "nowhere"]).await;
    assert_eq!(output.code, Some(1));
    insta::assert_snapshot!("diff_without_a_cluster", output.stderr);
}
