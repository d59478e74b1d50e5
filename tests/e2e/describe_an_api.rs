//! docs/describe-an-api.md, command by command, with a real API that has no preset, and a real Vault.

use std::fs;
use std::os::unix::fs::symlink;

use harness::{Credential, Program, SecretScan, TokenApi, TokenServer, VaultServer};
use serde_json::Value;

use crate::lab::BINARY;

const PAGE: &str = include_str!("../../docs/describe-an-api.md");

/// The maximum length of the description, as the title of the page says.
const THIRTY_LINES: usize = 30;

#[tokio::test]
async fn a_reader_describes_an_api_that_has_no_preset_with_the_commands_of_the_page() {
    let service = TokenServer::start(TokenApi::PocketBase).await;
    let vault = VaultServer::builder().raw_storage().start().await;
    let shell = shell(&service, &vault);
    let mut shown = String::new();
    let (mut descriptions, mut expected) = (0, None);
    for (language, block) in blocks(PAGE) {
        match language {
            "sh yours" => {
                let variables = ["export API_ENDPOINT=", "export ADMIN=", "> api-key"];
                assert!(variables.iter().all(|variable| block.contains(variable)), "{block}");
            }
            "yaml" => {
                assert!(block.lines().count() <= THIRTY_LINES, "the title promises fewer lines");
                fs::write(shell.home().join("pocketbase.yaml"), block).unwrap();
                descriptions += 1;
            }
            "sh" => {
                let output = run(&shell, block).await;
                assert_eq!(output.0, Some(0), "{block}{}", output.1);
                check_effect(block, &output.1, &shell, &service).await;
                shown.push_str(&output.1);
            }
            "sh fails" => {
                let output = run(&shell, block).await;
                assert_ne!(output.0, Some(0), "{block}{}", output.1);
                shown.push_str(&output.1);
                expected = Some(output.1);
            }
            "text" => {
                let output = expected.take().expect("the output of a command that fails");
                for line in block.lines() {
                    assert!(output.contains(line), "the page says {line:?}, the command says:\n{output}");
                }
            }
            other => panic!("{other}:\n{block}"),
        }
    }
    assert_eq!((descriptions, expected), (1, None), "each failed command is followed by its error");
    assert_eq!(
        vault.request("GET", "custom/presets/pocketbase", None).await.status,
        404,
        "there is no preset"
    );

    // Of the token that was not where the description said, a user is left.
    assert_eq!(service.list().await.len(), 1);
    let moved = vault.roll_back_wal("custom").await;
    assert_eq!(
        (vault.wal_entries(&moved).await, service.list().await),
        (Vec::new(), Vec::new()),
        "{}",
        vault.logs()
    );
    let scan = SecretScan::new()
        .add_secret("the password", service.admin_key())
        .add_secret("the token", issued(&shell).secret);
    scan.assert_no_secret_in("the output of the commands", &shown);
    scan.assert_no_secret_in("Vault's log", vault.logs());
}

/// The commands, in the order of the page, whose effects are visible at the API.
async fn check_effect(block: &str, output: &str, shell: &Program, service: &TokenServer) {
    if block.contains("token-plugin dev") {
        assert!(output.contains("The token is ey"), "{output}");
        assert_eq!(service.list().await, [], "`creds exec` revokes the token");
    } else if block.contains("token-plugin register") {
        assert_eq!(service.list().await, [], "the token of the smoke test is revoked");
    } else if block.contains("> credential.json") {
        assert!(service.token_works(&issued(shell)).await, "{}", service.logs());
    } else if block.contains("vault lease revoke") {
        assert!(!service.token_works(&issued(shell)).await);
        assert_eq!(service.list().await, []);
    }
}

fn issued(shell: &Program) -> Credential {
    let text = fs::read_to_string(shell.home().join("credential.json")).unwrap();
    let issued: Value = serde_json::from_str(&text).unwrap();
    Credential::from(issued["data"]["token"].as_str().unwrap())
}

/// A shell with both programs in its path, and the reader's own values.
fn shell(service: &TokenServer, vault: &VaultServer) -> Program {
    let shell = Program::new("/bin/bash").vault(vault);
    let programs = shell.home().join("bin");
    fs::create_dir(&programs).unwrap();
    symlink(BINARY, programs.join("vault-token-plugin")).unwrap();
    symlink(vault.cli_binary(), programs.join("vault")).unwrap();
    fs::write(shell.home().join("api-key"), service.admin_key()).unwrap();
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", programs.display());
    shell.env("PATH", path).env("API_ENDPOINT", service.endpoint()).env("ADMIN", service.account())
}

/// Runs commands in one shell, one after the other, until one fails. Returns its exit code and both streams.
async fn run(shell: &Program, commands: &str) -> (Option<i32>, String) {
    let output = shell.run_with_input(["-eu", "-o", "pipefail", "-s"], commands).await;
    (output.code, format!("{}{}", output.stdout, output.stderr))
}

/// The language and the content of each code block.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    let fenced = page.split("```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').expect("a block has its language")).collect()
}
