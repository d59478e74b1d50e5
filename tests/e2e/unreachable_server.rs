//! A server that cannot be reached or does not respond: the error is one sentence with its fix.

use harness::{Output, Program, VaultServer};

use crate::lab::Lab;

fn program() -> Program {
    Program::new(env!("CARGO_BIN_EXE_vault-token-plugin"))
}

/// Exit code and all of standard error.
#[track_caller]
fn assert_output(output: &Output, code: i32, stderr: &str) {
    assert_eq!((output.code, output.stderr.as_str(), output.stdout.as_str()), (Some(code), stderr, ""));
}

#[tokio::test]
async fn a_server_that_does_not_run_is_one_sentence_and_a_hint() {
    let program = program().env("VAULT_ADDR", "http://127.0.0.1:1").env("VAULT_TOKEN", "hvs.example");
    let because = "  caused by: could not call http://127.0.0.1:1: no connection (Connection refused (os error 111))\n\n\
                   Check that the server is running, and that the address is right. Set it with --address or VAULT_ADDR.\n";
    for command in [&["status"][..], &["register", "--mount", "custom"], &["reload", "--mount", "custom"]] {
        let expected = format!("Error: could not observe the server's health\n{because}");
        assert_output(&program.run(command).await, 1, &expected);
    }
    let output = program.run(["creds", "get", "custom/creds/developer"]).await;
    assert_output(&output, 1, &format!("Error: could not read custom/creds/developer\n{because}"));
}

#[tokio::test]
async fn an_address_or_a_token_that_is_none_is_an_error_of_usage() {
    let output = program().env("VAULT_ADDR", "http://127.0.0.1:1").run(["status"]).await;
    assert_output(
        &output,
        2,
        "Error: no Vault token found\n\n\
         Set VAULT_TOKEN, or log in with `vault login`, which writes ~/.vault-token.\n",
    );
    let output =
        program().env("VAULT_ADDR", "vault:8200").env("VAULT_TOKEN", "hvs.example").run(["status"]).await;
    assert_output(
        &output,
        2,
        "Error: invalid connection settings\n  \
         caused by: invalid address \"vault:8200\": expected a URL such as https://vault.example.com:8200\n",
    );
}

#[tokio::test]
async fn a_token_that_the_server_does_not_know_is_an_error_everywhere() {
    let lab = Lab::new().await;
    let stranger = program().env("VAULT_ADDR", lab.vault.address()).env("VAULT_TOKEN", "hvs.unknown");
    let expected = format!(
        "Error: the server at {} rejected the token\n\n\
         It is wrong, expired or revoked, or of another server. Log in again with `vault login`. It is taken from \
         VAULT_TOKEN, or else from ~/.vault-token.\n",
        lab.vault.address()
    );
    let writes = lab.writes();
    for command in [&["status"][..], &["register", "--mount", "custom"], &["reload", "--mount", "custom"]] {
        assert_output(&stranger.run(command).await, 1, &expected);
    }
    let output = stranger.run(["creds", "get", "custom/creds/developer"]).await;
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains("Check that the token is valid"), "{}", output.stderr);
    assert_eq!(lab.writes(), writes);
}

#[tokio::test]
async fn a_namespace_is_refused_by_a_server_that_would_ignore_it() {
    let lab = Lab::new().await;
    let expected = format!(
        "Error: the server at {} has no namespaces, so it would ignore \"team\"\n\n\
         Leave out --namespace and VAULT_NAMESPACE, or use a Vault Enterprise or OpenBao server.\n\n\
         The Kubernetes namespace of the server's pods is given with -n/--kube-namespace.\n",
        lab.vault.address()
    );
    let writes = lab.writes();
    for command in [&["status"][..], &["register", "--mount", "custom"]] {
        let command = command.iter().chain(&["--namespace", "team"]);
        assert_output(&lab.program.run(command).await, 1, &expected);
    }
    assert_eq!(lab.writes(), writes);
    lab.program.run(["status", "--namespace", "root/"]).await.success();
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_and_plain_http_are_told_apart() {
    let vault = VaultServer::builder().tls().start().await;
    let stranger = program().env("VAULT_ADDR", vault.address()).env("VAULT_TOKEN", vault.root_token());
    let output = stranger.run(["status"]).await;
    assert_eq!(output.code, Some(1));
    assert!(
        output.stderr.contains("TLS certificate not accepted (invalid peer certificate: UnknownIssuer)"),
        "{}",
        output.stderr
    );
    assert!(output.stderr.contains("--ca-cert or VAULT_CACERT"), "{}", output.stderr);

    let lab = Lab::new().await;
    let https = lab.vault.address().replace("http://", "https://");
    let output = lab.program.run(["status", "--address", &https]).await;
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains("does not speak TLS"), "{}", output.stderr);
    assert!(output.stderr.contains("begin with http://"), "{}", output.stderr);
}
