//! `creds exec`: every way in which a command, or we, can end.

use std::fs;
use std::path::Path;

use harness::{Fault, Operation, Program, SecretScan, eventually};
use rustix::process::{Signal, geteuid};

use crate::lab::{BINARY, CREDENTIAL_PATH, Lab, wait_exited};

/// A command that says that it runs, and stays until a signal.
const WAIT_SCRIPT: &str = "trap 'exit 3' TERM INT; echo $$ > ready; while :; do sleep 0.05; done";

#[tokio::test]
async fn a_command_has_the_credential_and_nothing_of_ours_and_its_exit_code_is_ours() {
    let lab = Lab::with_mounted_plugin("1h", "2h").await;
    let script = r#"printf %s "$TOKEN" > token; printf '%s' "${VAULT_TOKEN-none} $PERMISSIONS"; exit 7"#;
    let output = lab.program.run(["creds", "exec", CREDENTIAL_PATH, "--", "sh", "-c", script]).await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(7), "none read,write"), "{}", output.stderr);
    let token = lab.text("token").await;
    assert_eq!(lab.upstream.issued()[0].token, token);
    assert!(lab.upstream.live().is_empty());
    SecretScan::new().add_secret("the token", token).assert_no_secret_in_output("creds exec", &output);
}

#[tokio::test]
async fn a_field_goes_into_the_variable_or_the_file_that_was_named() {
    let lab = Lab::with_mounted_plugin("1h", "2h").await;
    let options = ["--set-env", "MINE=token", "--write-file", "all=json"];
    let script = r#"printf %s "$MINE" > mine; cat all > copy; stat -c %a all; printf %s "${TOKEN-none}""#;
    let args =
        ["creds", "exec", CREDENTIAL_PATH].into_iter().chain(options).chain(["--", "sh", "-c", script]);
    let output = lab.program.run(args).await;
    assert_eq!(output.success(), "600\nnone");
    let token = lab.text("mine").await;
    assert!(lab.text("copy").await.contains(&token));
    assert!(!lab.file("all").exists(), "what is revoked lies nowhere");
}

#[tokio::test]
async fn the_credential_is_revoked_however_the_command_ends() {
    let lab = Lab::with_mounted_plugin("1h", "2h").await;
    for (script, code) in [("exit 0", 0), ("exit 41", 41), ("kill -SEGV $$", 139), ("kill -KILL $$", 137)] {
        let (ended_with, said) = wait_exited(lab.exec(&[], script)).await;
        assert_eq!(ended_with, Some(code), "{script}: {said}");
        assert!(lab.upstream.live().is_empty(), "{script}");
    }
    for (program, code) in [("/nonexistent/program", 127), ("/etc", 126)] {
        let output = lab.program.run(["creds", "exec", CREDENTIAL_PATH, "--", program]).await;
        assert_eq!(output.code, Some(code), "{}", output.stderr);
        assert!(lab.upstream.live().is_empty(), "{program}");
    }
    assert_eq!(lab.upstream.issued().len(), 6);
}

#[tokio::test]
async fn who_ends_us_ends_the_command_and_the_credential() {
    let lab = Lab::with_mounted_plugin("1h", "2h").await;
    for signal in [Signal::TERM, Signal::INT] {
        let exec = lab.exec(&[], WAIT_SCRIPT);
        lab.text("ready").await;
        assert_eq!(lab.upstream.live().len(), 1);
        exec.signal(signal);
        let (code, said) = wait_exited(exec).await;
        assert_eq!(code, Some(3), "{said}");
        assert!(lab.upstream.live().is_empty(), "{signal:?}");
        fs::remove_file(lab.file("ready")).unwrap();
    }
}

#[tokio::test]
async fn a_command_that_does_not_end_is_killed_and_its_credential_revoked() {
    let lab = Lab::with_mounted_plugin("1h", "2h").await;
    let stubborn = "trap '' TERM INT; echo 1 > ready; while :; do sleep 0.05; done";
    let exec = lab.exec(&["--grace", "1s"], stubborn);
    lab.text("ready").await;
    exec.signal(Signal::TERM);
    let (code, said) = wait_exited(exec).await;
    assert_eq!(code, Some(137), "{said}");
    assert!(lab.upstream.live().is_empty());
}

#[tokio::test]
async fn signals_that_are_not_ours_reach_the_command() {
    let lab = Lab::with_mounted_plugin("1h", "2h").await;
    let script =
        "trap 'echo hup >> seen' HUP; trap 'exit 5' USR1; echo 1 > ready; while :; do sleep 0.05; done";
    let exec = lab.exec(&[], script);
    lab.text("ready").await;
    exec.signal(Signal::HUP);
    assert_eq!(lab.text("seen").await, "hup\n");
    exec.signal(Signal::USR1);
    assert_eq!(wait_exited(exec).await.0, Some(5));
}

/// Nobody can revoke then; the lease ends by its time.
#[tokio::test]
async fn when_we_are_killed_the_command_dies_and_the_lease_ends_by_its_time() {
    let lab = Lab::with_mounted_plugin("3s", "3s").await;
    let exec = lab.exec(&[], WAIT_SCRIPT);
    let pid = lab.text("ready").await;
    exec.signal(Signal::KILL);
    wait_exited(exec).await;
    let process = Path::new("/proc").join(pid.trim());
    eventually("the command is gone", async || {
        let status = fs::read_to_string(process.join("status")).unwrap_or_default();
        (status.is_empty() || status.contains("State:\tZ")).then_some(())
    })
    .await;
    lab.upstream.wait_all_revoked().await;
}

#[tokio::test]
async fn a_lease_is_renewed_while_the_command_runs_and_through_failures() {
    let lab = Lab::with_mounted_plugin("3s", "1h").await;
    let exec = lab.exec(&[], WAIT_SCRIPT);
    lab.text("ready").await;
    lab.upstream.wait_requests(Operation::Renew, 1).await;
    lab.upstream.fail_next(Operation::Renew, 1, Fault::Status(500));
    lab.upstream.wait_requests(Operation::Renew, 4).await;
    let issued = lab.upstream.issued();
    assert_eq!(issued.len(), 1, "it is the first one still");
    assert!(!issued[0].revoked);
    exec.signal(Signal::TERM);
    let (code, said) = wait_exited(exec).await;
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("could not renew the lease"), "{said}");
    assert!(lab.upstream.live().is_empty());
}

#[tokio::test]
async fn a_command_is_restarted_with_another_credential_before_the_longest_time_is_over() {
    let lab = Lab::with_mounted_plugin("3s", "4s").await;
    let script = "trap 'exit 0' TERM; echo $TOKEN >> seen; while :; do sleep 0.05; done";
    let exec = lab.exec(&[], script);
    let seen = eventually("a second start", async || {
        let text = fs::read_to_string(lab.file("seen")).unwrap_or_default();
        let seen: Vec<String> = text.lines().map(str::to_owned).collect();
        (seen.len() >= 2).then_some(seen)
    })
    .await;
    let issued = lab.upstream.issued();
    assert_eq!((&seen[0], &seen[1]), (&issued[0].token, &issued[1].token));
    lab.upstream.wait_revoked(&issued[0].id).await;
    exec.signal(Signal::TERM);
    let (code, said) = wait_exited(exec).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(lab.upstream.live().is_empty());
}

#[tokio::test]
async fn a_command_is_told_by_a_signal_that_its_file_holds_another_credential() {
    let lab = Lab::with_mounted_plugin("3s", "4s").await;
    let script = "trap 'cat now >> seen; echo >> seen' HUP; trap 'exit 0' TERM; cat now >> seen; echo >> seen; \
                  while :; do sleep 0.05; done";
    let exec = lab.exec(&["--write-file", "now=token", "--on-change", "HUP"], script);
    let seen = eventually("the signal", async || {
        let text = fs::read_to_string(lab.file("seen")).unwrap_or_default();
        let seen: Vec<String> = text.lines().map(str::to_owned).collect();
        (seen.len() >= 2).then_some(seen)
    })
    .await;
    let issued = lab.upstream.issued();
    assert_eq!((&seen[0], &seen[1]), (&issued[0].token, &issued[1].token));
    exec.signal(Signal::TERM);
    let (code, said) = wait_exited(exec).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(lab.upstream.live().is_empty());
}

#[tokio::test]
async fn a_lease_that_cannot_be_revoked_is_named_and_needs_a_person() {
    let lab = Lab::with_mounted_plugin("1h", "2h").await;
    lab.upstream.fail(Operation::Revoke, Fault::Status(500));
    let (code, said) = wait_exited(lab.exec(&[], "exit 0")).await;
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains(&format!("lease {CREDENTIAL_PATH}/")) && said.contains("is still valid"), "{said}");
    assert!(said.contains("ended with 0"), "{said}");
    lab.upstream.heal();
}

#[tokio::test]
async fn without_a_credential_no_command_runs() {
    let lab = Lab::with_mounted_plugin("1h", "2h").await;
    lab.upstream.fail(Operation::Mint, Fault::Status(403));
    for path in ["custom/creds/nobody", CREDENTIAL_PATH, "nowhere/creds/a"] {
        let output = lab.program.run(["creds", "exec", path, "--", "touch", "ran"]).await;
        assert_eq!(output.code, Some(1), "{path}: {}", output.stderr);
        assert!(output.stderr.contains(path), "{}", output.stderr);
    }
    assert!(!lab.file("ran").exists());
    for wrong in [
        vec!["--set-env", "NO-NAME=token"],
        vec!["--on-change", "HUP"],
        vec!["--auth-role", "app"],
        vec!["--auth", "kubernetes"],
    ] {
        let args = ["creds", "exec", CREDENTIAL_PATH].into_iter().chain(wrong.clone()).chain(["--", "true"]);
        assert_eq!(lab.program.run(args).await.code, Some(2), "{wrong:?}");
    }
}

#[tokio::test]
async fn as_the_first_process_it_reaps_orphans_and_passes_signals_on() {
    let lab = Lab::with_mounted_plugin("1h", "2h").await;
    let mut options = vec!["--pid", "--fork", "--mount-proc", "--kill-child"];
    if !geteuid().is_root() {
        options.push("--map-root-user");
    }
    let unshare = Program::new("/usr/bin/unshare")
        .env("VAULT_ADDR", lab.vault.address())
        .env("VAULT_TOKEN", lab.vault.root_token());
    // An orphan ends, and is nowhere to be seen a little later; then a signal to the first process ends us.
    let script = r#"
        [ "$PPID" = 1 ] || exit 8
        (sh -c 'echo gone > orphan' &)
        while [ ! -s orphan ]; do sleep 0.02; done
        tries=0
        while grep -qs 'State:.Z' /proc/[0-9]*/status; do
            tries=$((tries + 1)); [ $tries -lt 1000 ] || exit 9; sleep 0.02
        done
        trap 'exit 4' TERM
        kill -TERM 1
        while :; do sleep 0.05; done"#;
    let args =
        options.into_iter().chain([BINARY, "creds", "exec", CREDENTIAL_PATH, "--", "sh", "-c", script]);
    let output = unshare.run(args).await;
    assert_eq!(output.code, Some(4), "{}", output.stderr);
    assert!(lab.upstream.live().is_empty());
}
