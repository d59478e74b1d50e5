//! A command that has a credential of a real Vault for as long as it runs.

use std::fs;

use harness::eventually;
use rustix::process::{Pid, Signal, kill_process};

use crate::lab::Lab;

#[tokio::test]
async fn a_command_keeps_its_credential_over_renewals_and_gets_another_at_the_end_of_the_lease() {
    let lab = Lab::registered(&["custom"], "3s").await;
    lab.vault.cli(["write", "custom/roles/developer", "ttl=3s", "max_ttl=7s"]).await.success();
    let before = lab.upstream.issued().len();
    let script = "trap 'exit 6' TERM; echo $TOKEN >> seen; while :; do sleep 0.05; done";
    let args = ["creds", "exec", "custom/creds/developer", "--", "sh", "-c", script];
    let exec = lab.program.spawn(args);
    let seen = eventually("a second start", async || {
        let text = fs::read_to_string(lab.program.home().join("seen")).unwrap_or_default();
        let seen: Vec<String> = text.lines().map(str::to_owned).collect();
        (seen.len() >= 2).then_some(seen)
    })
    .await;
    let issued = &lab.upstream.issued()[before..];
    assert_eq!((&seen[0], &seen[1]), (&issued[0].token, &issued[1].token));
    lab.upstream.wait_revoked(&issued[0].id).await;
    let pid = Pid::from_raw(exec.id().unwrap().cast_signed()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let output = exec.wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{said}");
    assert!(said.contains("renewed custom/creds/developer/"), "{said}");
    assert!(lab.upstream.live().is_empty());
}
