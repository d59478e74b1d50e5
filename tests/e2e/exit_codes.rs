//! Exit codes are true: no command exits with 1 after it has changed anything that clients use, whatever fails, and when.

use std::fs::OpenOptions;
use std::process::Stdio;

use harness::{Fault, Operation, Program, build};
use serde_json::{Value, json};

use crate::failing_server::{FailingServer, Loss};
use crate::lab::{BINARY, Lab, NAME};

/// What clients see: every mount of the plugin with its configured and running version, and the readable configuration.
async fn state_in_use(lab: &Lab, mounts: &[&str]) -> Vec<Value> {
    let mut seen = Vec::new();
    for mount in mounts {
        let tuned = lab.vault.request("GET", &format!("sys/mounts/{mount}"), None).await.body["data"].clone();
        let config = lab.vault.request("GET", &format!("{mount}/config"), None).await.body["data"].clone();
        seen.push(json!({
            "plugin_version": tuned["plugin_version"], "running": tuned["running_plugin_version"],
            "uuid": tuned["uuid"], "config": config,
        }));
    }
    seen
}

/// Whether a request changes something.
fn is_write(request: &str) -> bool {
    !request.starts_with("GET ")
        && !request.starts_with("LIST ")
        && !request.contains("sys/capabilities-self")
}

/// Runs a command once for every request that changes something, and for the one after it, and loses the server at that request. `prepare`
/// creates the initial state.
async fn assert_never_exits_1_after_change(
    lab: &Lab,
    mounts: &[&str],
    command: &[&str],
    prepare: impl AsyncFn(),
) {
    let through = |server: &FailingServer| {
        Program::new(BINARY).env("VAULT_ADDR", server.address()).env("VAULT_TOKEN", lab.vault.root_token())
    };
    // From the second round on, the binary is in place.
    prepare().await;
    lab.program.run(command).await.success();
    prepare().await;
    let whole = FailingServer::new(lab.vault.address(), Loss::Never).await;
    through(&whole).run(command).await.success();
    let requests = whole.requests();
    let mut ends = Vec::new();
    for at in 1..requests.len() {
        let (changes, follows) = (is_write(&requests[at]), is_write(&requests[at - 1]));
        if !changes && !follows && at + 1 < requests.len() {
            continue;
        }
        // A request that changes nothing can be lost in either way with the same result.
        let losses = if changes { vec![Loss::Before(at), Loss::After(at)] } else { vec![Loss::Before(at)] };
        for loss in losses {
            prepare().await;
            let before = state_in_use(lab, mounts).await;
            let server = FailingServer::new(lab.vault.address(), loss).await;
            let output = through(&server).run(command).await;
            let now = state_in_use(lab, mounts).await;
            let what = format!("{loss:?}, {}: {}", requests[at], output.stderr);
            match output.code {
                Some(1) => assert_eq!(before, now, "{what}"),
                Some(0 | 4 | 5) => {}
                other => panic!("{other:?}, {what}"),
            }
            ends.push(output.code);
        }
    }
    assert!(ends.contains(&Some(5)), "{ends:?}");
}

#[tokio::test]
async fn a_reload_never_ends_as_if_nothing_had_been_done() {
    let lab = Lab::with_registered_plugin(&["first", "second"], "1h").await;
    let command = ["reload", "--mount", "first", "--mount", "second"];
    let whole = FailingServer::new(lab.vault.address(), Loss::Never).await;
    let through = |server: &FailingServer| {
        Program::new(BINARY).env("VAULT_ADDR", server.address()).env("VAULT_TOKEN", lab.vault.root_token())
    };
    through(&whole).run(command).await.success();
    let requests = whole.requests();
    let first = requests.iter().position(|request| request.contains("reload/backend")).unwrap();
    for (at, request) in requests.iter().enumerate().skip(first) {
        let server = FailingServer::new(lab.vault.address(), Loss::After(at)).await;
        let output = through(&server).run(command).await;
        // The observation on which it ends is the last request.
        assert_eq!(output.code, Some(5), "{at} {request}: {}", output.stderr);
        assert!(
            output.stderr.contains("first/ may have been reloaded") || output.stderr.contains("first/ was"),
            "{}",
            output.stderr
        );
    }
}

#[tokio::test]
async fn a_first_registration_never_ends_1_with_a_mount_that_is_there() {
    let lab = Lab::new().await;
    let description = lab.file("plugin.yaml", &lab.description(&["custom"], "1h"));
    let command = ["register", "-f", description.to_str().unwrap()];
    assert_never_exits_1_after_change(&lab, &["custom"], &command, async || {
        // A missing value is as desired.
        let _gone = lab.vault.request("DELETE", "sys/mounts/custom", None).await;
    })
    .await;
}

#[tokio::test]
async fn an_upgrade_never_ends_1_with_a_mount_on_another_version() {
    let lab = Lab::new().await;
    let (old, new) = (build::go_kv("v1.0.0").await, build::go_kv("v2.0.0").await);
    for mount in ["first", "second"] {
        let register = ["register", NAME, "--binary", old.to_str().unwrap(), "--mount", mount];
        lab.program.run(register).await.success();
        lab.vault.request("POST", &format!("{mount}/kept"), Some(json!({"a": "b"}))).await.success();
    }
    let command = ["upgrade", NAME, "--binary", new.to_str().unwrap(), "--no-canary", "--smoke", "kept"];
    assert_never_exits_1_after_change(&lab, &["first", "second"], &command, async || {
        // In the first round there is no previous version.
        let _back = lab.program.run(["rollback", NAME, "--version", "1.0.0"]).await;
    })
    .await;
}

#[tokio::test]
async fn a_mount_that_could_not_be_configured_is_left_to_a_person() {
    let lab = Lab::new().await;
    let command = ["register", NAME, "--mount", "custom", "--config", "api_endpoint=nonsense"];
    let output = lab.program.run(command).await;
    assert_eq!(output.code, Some(5), "{output:?}");
    for words in ["Error: could not write custom/config", "custom/ is mounted, and may not be configured"] {
        assert!(output.stderr.contains(words), "{}", output.stderr);
    }
}

#[tokio::test]
async fn a_configuration_that_was_half_written_is_left_to_a_person() {
    let lab = Lab::with_registered_plugin(&["custom"], "1h").await;
    let command = ["register", NAME, "--arg", "serve", "--mount", "custom"];
    let data = ["--config", "metrics_prefix=other", "--role", "developer:ttl=soon"];
    let output = lab.program.run([&command[..], &data].concat()).await;
    assert_eq!(output.code, Some(5), "{output:?}");
    assert!(
        output.stderr.contains("the values written to custom/config were not reverted"),
        "{}",
        output.stderr
    );
}

#[tokio::test]
async fn a_version_that_was_moved_back_beside_a_configuration_that_stays_is_left_to_a_person() {
    let lab = Lab::with_registered_plugin(&["custom"], "1h").await;
    let next = build::with_next_version(BINARY.as_ref(), env!("CARGO_PKG_VERSION"), lab.folder());
    lab.upstream.fail(Operation::Mint, Fault::Status(401));
    let description = lab.description_of(&next, &["custom"], "2h");
    let file = lab.file("plugin.yaml", &description);
    let output = lab.program.run(["register", "-f", file.to_str().unwrap()]).await;
    assert_eq!(output.code, Some(5), "{output:?}");
    for words in [
        "custom/ runs the previous version again",
        "the values written to custom/roles/developer were not reverted",
    ] {
        assert!(output.stderr.contains(words), "{}", output.stderr);
    }
}

#[tokio::test]
async fn a_report_that_cannot_be_written_does_not_hide_that_everything_was_done() {
    let lab = Lab::with_registered_plugin(&["custom"], "1h").await;
    let full = || Stdio::from(OpenOptions::new().write(true).open("/dev/full").unwrap());
    let reload = lab.program.spawn_into(["reload", "--mount", "custom"], full(), Stdio::piped());
    let ended = reload.wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(5), "{said}");
    assert!(said.contains("Everything was done."), "{said}");
    let status = lab.program.spawn_into(["status"], full(), Stdio::piped()).wait_with_output().await.unwrap();
    assert_eq!(status.status.code(), Some(1), "a look changes nothing");
}
