//! Runs that stop half way: interrupted, undone, or left to a person. The exit code says which.

use std::path::{Path, PathBuf};

use harness::{Fault, Operation, Program, RunningProgram, Stream, build};
use rustix::process::Signal;
use serde_json::Value;

use crate::lab::{Lab, NAME};
use crate::pausing_proxy::PausingProxy;

const STOPPING_MESSAGE: &str = "Stopping after this step; interrupt again to exit immediately.";
const RERUN_HINT: &str = "Run the same command again to continue.";

/// Our binary, running behind the proxy.
struct RunningCommand(RunningProgram);

impl RunningCommand {
    fn start(lab: &Lab, door: &PausingProxy, args: &[&str]) -> RunningCommand {
        RunningCommand::start_program(&program_behind_proxy(lab, door), args)
    }

    fn start_program(program: &Program, args: &[&str]) -> RunningCommand {
        RunningCommand(program.start(args))
    }

    /// Waits until it prints a line with this text.
    async fn wait_for_line(&mut self, words: &str) {
        self.0.wait_for(Stream::Stderr, words).await;
    }

    fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    fn signal(&self, signal: Signal) {
        self.0.signal(signal);
    }

    /// Waits for its end, and requires this exit code and these texts in its output.
    async fn assert_exits(self, code: i32, words: &[&str]) {
        let output = self.0.wait().await;
        assert_eq!(output.code, Some(code), "{output:?}");
        for words in words {
            assert!(output.stderr.contains(words), "{words:?} is not in: {}", output.stderr);
        }
    }
}

/// Our binary, which reaches the server only through the proxy.
fn program_behind_proxy(lab: &Lab, door: &PausingProxy) -> Program {
    program_behind_proxy_as(lab, door, env!("CARGO_BIN_EXE_vault-token-plugin"))
}

fn program_behind_proxy_as(lab: &Lab, door: &PausingProxy, program: impl Into<PathBuf>) -> Program {
    Program::new(program).env("VAULT_ADDR", door.address()).env("VAULT_TOKEN", lab.vault.root_token())
}

async fn pausing_proxy(lab: &Lab, request: &'static str) -> PausingProxy {
    PausingProxy::pausing_at(request, lab.vault.address()).await
}

/// The flags that register a binary at `custom/`.
fn register_flags(binary: &Path) -> Vec<&str> {
    vec!["register", NAME, "--mount", "custom", "--binary", binary.to_str().unwrap()]
}

async fn mount_state(lab: &Lab) -> Value {
    lab.vault.request("GET", "sys/mounts/custom", None).await.success()["data"].clone()
}

#[tokio::test]
async fn an_interrupt_before_the_first_step_changes_nothing() {
    let lab = Lab::new().await;
    let writes = lab.writes();
    let door = pausing_proxy(&lab, "GET /v1/sys/plugins/catalog ").await;
    let run = RunningCommand::start(&lab, &door, &["register", NAME, "--mount", "custom"]);
    door.wait_paused().await;
    run.interrupt();
    run.assert_exits(130, &["Error: interrupted before anything was changed", RERUN_HINT]).await;
    assert_eq!(lab.writes(), writes);
}

#[tokio::test]
async fn an_interrupt_lets_the_step_end_and_the_same_command_goes_on() {
    let lab = Lab::new().await;
    let door = pausing_proxy(&lab, "POST /v1/sys/plugins/catalog/secret/").await;
    let command = ["register", NAME, "--mount", "custom"];
    let mut run = RunningCommand::start(&lab, &door, &command);
    run.wait_for_line("[2/3] register secret plugin").await;
    door.wait_paused().await;
    run.interrupt();
    run.wait_for_line(STOPPING_MESSAGE).await;
    door.release();
    run.assert_exits(130, &["Error: interrupted after 2 of 3 steps", RERUN_HINT]).await;
    assert_eq!(
        lab.vault.request("GET", "sys/mounts/custom", None).await.status,
        400,
        "nothing is mounted yet"
    );

    let output = program_behind_proxy(&lab, &door).run(command).await;
    assert!(output.stderr.contains("[1/1] mount"), "{}", output.stderr);
    output.success();
}

#[tokio::test]
async fn a_second_interrupt_leaves_at_once_and_the_same_command_goes_on() {
    let lab = Lab::new().await;
    let door = pausing_proxy(&lab, "POST /v1/sys/mounts/custom").await;
    let command = ["register", NAME, "--mount", "custom"];
    let mut run = RunningCommand::start(&lab, &door, &command);
    door.wait_paused().await;
    run.interrupt();
    run.wait_for_line(STOPPING_MESSAGE).await;
    run.interrupt();
    run.assert_exits(130, &[]).await;
    door.release();
    program_behind_proxy(&lab, &door).run(command).await.success();
    let again = program_behind_proxy(&lab, &door).run(command).await;
    assert!(again.success().starts_with("Nothing to do"));
}

#[tokio::test]
async fn an_interrupt_while_a_mount_is_tried_revokes_what_was_issued() {
    let lab = Lab::new().await;
    let door = pausing_proxy(&lab, "GET /v1/first/creds/developer").await;
    let description = lab.file("plugin.yaml", &lab.description(&["first", "second"], "1h"));
    let mut run = RunningCommand::start(&lab, &door, &["register", "-f", description.to_str().unwrap()]);
    door.wait_paused().await;
    run.interrupt();
    run.wait_for_line(STOPPING_MESSAGE).await;
    door.release();
    run.assert_exits(130, &["Error: interrupted after 9 of 10 steps"]).await;
    assert_eq!((lab.upstream.issued().len(), lab.upstream.live().len()), (1, 0));
}

/// Sends a signal in the middle of a switch, and after the response to it `again`. The switch is completed nevertheless.
async fn stop_during_switch(signal: Signal, says: &str, again: Option<Signal>) {
    let lab = Lab::new().await;
    let (old, new) = (build::go_kv("v1.0.0").await, build::go_kv("v2.0.0").await);
    lab.program.run(register_flags(&old)).await.success();
    let door = pausing_proxy(&lab, "POST /v1/sys/mounts/custom/tune").await;
    let mut run =
        RunningCommand::start(&lab, &door, &[register_flags(&new), vec!["--smoke", "missing"]].concat());
    door.wait_paused().await;
    run.signal(signal);
    run.wait_for_line(says).await;
    if let Some(again) = again {
        run.signal(again);
    }
    door.release();
    run.assert_exits(130, &["] reload custom/", "Error: interrupted after 4 of 5 steps"]).await;
    let mount = mount_state(&lab).await;
    assert_eq!(
        (&mount["plugin_version"], &mount["running_plugin_version"]),
        (&"v2.0.0".into(), &"v2.0.0".into())
    );
}

#[tokio::test]
async fn an_interrupt_never_leaves_a_mount_between_two_versions() {
    stop_during_switch(Signal::INT, STOPPING_MESSAGE, None).await;
}

#[tokio::test]
async fn a_termination_or_a_hang_up_never_leaves_a_mount_between_two_versions() {
    for signal in [Signal::TERM, Signal::HUP] {
        stop_during_switch(signal, "Stopping after this step", Some(signal)).await;
    }
}

#[tokio::test]
async fn a_cancelled_job_is_interrupted_then_terminated_and_still_finishes_the_step() {
    let lab = Lab::new().await;
    let door = pausing_proxy(&lab, "POST /v1/sys/mounts/custom").await;
    let command = ["register", NAME, "--mount", "custom", "--config", "api_endpoint=http://x"];
    let mut run = RunningCommand::start(&lab, &door, &command);
    door.wait_paused().await;
    run.interrupt();
    run.wait_for_line(STOPPING_MESSAGE).await;
    run.signal(Signal::TERM);
    run.signal(Signal::HUP);
    door.release();
    run.assert_exits(130, &["Error: interrupted after 3 of 4 steps", RERUN_HINT]).await;
    assert_eq!(mount_state(&lab).await["type"], NAME, "the step was finished");
}

#[tokio::test]
async fn only_a_second_interrupt_leaves_at_once_whatever_else_came_before() {
    let lab = Lab::new().await;
    let door = pausing_proxy(&lab, "POST /v1/sys/mounts/custom").await;
    let mut run = RunningCommand::start(&lab, &door, &["register", NAME, "--mount", "custom"]);
    door.wait_paused().await;
    run.signal(Signal::TERM);
    run.wait_for_line("Stopping after this step; interrupt twice to exit immediately.").await;
    run.interrupt();
    run.wait_for_line(STOPPING_MESSAGE).await;
    run.interrupt();
    run.assert_exits(130, &[]).await;
    door.release();
}

#[tokio::test]
async fn a_termination_before_the_first_step_changes_nothing_and_says_so() {
    let lab = Lab::new().await;
    let writes = lab.writes();
    let door = pausing_proxy(&lab, "GET /v1/sys/plugins/catalog ").await;
    let run = RunningCommand::start(&lab, &door, &["register", NAME, "--mount", "custom"]);
    door.wait_paused().await;
    run.signal(Signal::TERM);
    run.assert_exits(130, &["Error: interrupted before anything was changed", RERUN_HINT]).await;
    assert_eq!(lab.writes(), writes);
}

#[tokio::test]
async fn a_termination_while_doctor_looks_again_after_its_cure_ends_it() {
    let lab = Lab::new().await;
    let (old, new) = (build::go_kv("v1.0.0").await, build::go_kv("v2.0.0").await);
    lab.program.run(register_flags(&old)).await.success();
    // A mount that needs a reload.
    let registered = [&["register", NAME, "--binary", new.to_str().unwrap()][..], &["--yes"]].concat();
    lab.program.run(registered).await.success();
    let tuned = serde_json::json!({"plugin_version": "v2.0.0"});
    lab.vault.request("POST", "sys/mounts/custom/tune", Some(tuned)).await.success();
    let (reload, count) = ("POST /v1/sys/plugins/reload/backend", "GET /v1/sys/leases/count");
    let door = PausingProxy::closed_after(reload, count, lab.vault.address()).await;
    let run = RunningCommand::start(&lab, &door, &["doctor", "--fix", "--yes"]);
    door.wait_paused().await;
    run.signal(Signal::TERM);
    run.assert_exits(
        130,
        &["Error: interrupted after what only waited for a reload was reloaded", RERUN_HINT],
    )
    .await;
    assert_eq!(mount_state(&lab).await["running_plugin_version"], "v2.0.0");
}

#[tokio::test]
async fn a_hang_up_that_the_caller_ignores_stays_ignored() {
    let lab = Lab::new().await;
    let door = pausing_proxy(&lab, "POST /v1/sys/mounts/custom").await;
    let program = program_behind_proxy_as(&lab, &door, build::busybox().await);
    let ignoring = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_vault-token-plugin")];
    let command = ["register", NAME, "--mount", "custom", "--smoke", "config"];
    let run = RunningCommand::start_program(&program, &[&ignoring[..], &command].concat());
    door.wait_paused().await;
    run.signal(Signal::HUP);
    door.release();
    run.assert_exits(5, &["Error: the smoke test of custom/config failed"]).await;
}

#[tokio::test]
async fn a_switch_that_fails_is_undone_by_itself() {
    let lab = Lab::new().await;
    let (old, new) = (build::go_kv("v1.0.0").await, build::go_kv("v2.0.0").await);
    lab.program.run(register_flags(&old)).await.success();
    let door = pausing_proxy(&lab, "POST /v1/sys/plugins/reload/backend").await;
    let run = RunningCommand::start(&lab, &door, &register_flags(&new));
    door.wait_paused().await;
    std::fs::remove_file(lab.vault.plugin_directory().join(format!("{NAME}-2.0.0"))).unwrap();
    door.release();
    run.assert_exits(4, &["Error: could not reload custom/", "Moved back to the previous version: custom/"])
        .await;
    let mount = mount_state(&lab).await;
    assert_eq!(
        (&mount["plugin_version"], &mount["running_plugin_version"]),
        (&"v1.0.0".into(), &"v1.0.0".into())
    );
    lab.program.run(register_flags(&new)).await.success();
}

#[tokio::test]
async fn each_mount_is_reloaded_by_a_request_of_its_own_also_in_the_undo() {
    let lab = Lab::new().await;
    let (old, new) = (build::go_kv("v1.0.0").await, build::go_kv("v2.0.0").await);
    for mount in ["first", "second"] {
        let register = ["register", NAME, "--binary", old.to_str().unwrap(), "--mount", mount];
        lab.program.run(register).await.success();
    }
    let upgrade = ["upgrade", NAME, "--binary", new.to_str().unwrap(), "--no-canary", "--smoke", "missing"];
    let output = lab.program.run(upgrade).await;
    assert_eq!(output.code, Some(4), "{output:?}");
    for words in ["reload first/\n", "reload second/\n"] {
        assert!(output.stderr.contains(words), "{}", output.stderr);
    }
    let log = lab.vault.audit_log();
    let is_reload =
        |line: &&Value| line["type"] == "request" && line["request"]["path"] == "sys/plugins/reload/backend";
    let reloads: Vec<usize> = log
        .iter()
        .filter(is_reload)
        .map(|line| line["request"]["data"]["mounts"].as_array().unwrap().len())
        .collect();
    assert_eq!(reloads, [1; 4], "two on the way there, two on the way back");
}

#[tokio::test]
async fn a_dry_run_says_by_number_whether_there_is_something_to_do() {
    let lab = Lab::new().await;
    let command = ["register", NAME, "--mount", "custom", "--dry-run"];
    let writes = lab.writes();
    let output = lab.program.run(command).await;
    assert_eq!(output.code, Some(3), "{output:?}");
    assert!(output.stderr.contains("Plan:\n  1. copy "), "{}", output.stderr);
    assert_eq!(lab.writes(), writes);
    assert_eq!(std::fs::read_dir(lab.vault.plugin_directory()).unwrap().count(), 0);
    lab.program.run(&command[..4]).await.success();
    lab.program.run(command).await.success();
}

#[tokio::test]
async fn what_makes_no_sense_on_the_command_line_is_usage() {
    let program = Program::new(env!("CARGO_BIN_EXE_vault-token-plugin"));
    for line in [
        &["register", "--nmae", "x"][..],
        &["register", "--version", "1.2"],
        &["register", "--mount", "a b"],
        &["deregister", "x"],
        &["register", "./my-plugin"],
        &["rollback", "./my-plugin"],
        &["creds"],
        &["unregister"],
        &[],
    ] {
        let output = program.run(line).await;
        assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{line:?}");
        assert!(
            output.stderr.contains("Usage: vault-token-plugin") || output.stderr.contains("--help"),
            "{}",
            output.stderr
        );
    }
}

#[tokio::test]
async fn a_new_version_that_does_not_work_is_taken_back() {
    let lab = Lab::new().await;
    let (old, new) = (build::go_kv("v1.0.0").await, build::go_kv("v2.0.0").await);
    lab.program.run(register_flags(&old)).await.success();
    lab.vault.request("POST", "custom/kept", Some(serde_json::json!({"a": "b"}))).await.success();

    let output = lab.program.run([register_flags(&new), vec!["--smoke", "missing"]].concat()).await;
    assert_eq!(output.code, Some(4), "{output:?}");
    for words in [
        "Error: the smoke test of custom/missing failed",
        "caused by: custom/missing returned neither a lease nor data",
        "Moved back to the previous version: custom/",
    ] {
        assert!(output.stderr.contains(words), "{}", output.stderr);
    }
    let mount = mount_state(&lab).await;
    assert_eq!(
        (&mount["plugin_version"], &mount["running_plugin_version"]),
        (&"v1.0.0".into(), &"v1.0.0".into())
    );
    let kept = lab.vault.request("GET", "custom/kept", None).await.success();
    assert_eq!(kept["data"]["a"], "b");

    lab.program.run([register_flags(&new), vec!["--smoke", "kept"]].concat()).await.success();
    assert_eq!(mount_state(&lab).await["running_plugin_version"], "v2.0.0");
}

#[tokio::test]
async fn a_version_that_can_neither_work_nor_be_taken_back_is_left_to_a_person() {
    let lab = Lab::new().await;
    let (old, new) = (build::go_kv("v1.0.0").await, build::go_kv("v2.0.0").await);
    lab.program.run(register_flags(&old)).await.success();
    let door = pausing_proxy(&lab, "GET /v1/custom/missing").await;
    let run =
        RunningCommand::start(&lab, &door, &[register_flags(&new), vec!["--smoke", "missing"]].concat());
    door.wait_paused().await;
    lab.vault.seal().await;
    door.release();
    run.assert_exits(
        5,
        &[
            "the smoke test of custom/missing failed",
            "custom/ could not be moved back to v1.0.0 (",
            "is sealed",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_first_version_that_does_not_work_says_why_and_stays_to_be_cured() {
    let lab = Lab::new().await;
    lab.upstream.fail(Operation::Mint, Fault::Status(401));
    let file = lab.file("plugin.yaml", &lab.description(&["custom"], "1h"));
    let output = lab.program.run(["register", "-f", file.to_str().unwrap()]).await;
    assert_eq!(output.code, Some(5), "{output:?}");
    for words in [
        "the smoke test of custom/creds/developer failed",
        "set a valid api_key",
        "creds get custom/creds/developer",
    ] {
        assert!(output.stderr.contains(words), "{}", output.stderr);
    }
    lab.upstream.heal();
    lab.program.run(["creds", "get", "custom/creds/developer"]).await.success();
}

#[tokio::test]
async fn a_credential_that_could_not_be_revoked_is_left_to_a_person_by_name() {
    let lab = Lab::new().await;
    lab.upstream.fail(Operation::Revoke, Fault::Status(500));
    let file = lab.file("plugin.yaml", &lab.description(&["custom"], "1h"));
    let output = lab.program.run(["register", "-f", file.to_str().unwrap()]).await;
    assert_eq!(output.code, Some(5), "{output:?}");
    let cure = output.stderr.split("`vault-token-plugin creds revoke ").nth(1).unwrap();
    let lease = cure.split('`').next().unwrap();
    assert_eq!(lab.upstream.live().len(), 1);
    lab.upstream.heal();
    lab.program.run(["creds", "revoke", lease]).await.success();
    assert!(lab.upstream.live().is_empty());
}
