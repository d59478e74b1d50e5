//! A command with a credential of a real Vault.

use std::fs;

use harness::eventually;
use rustix::process::Signal;

use crate::lab::Lab;

#[tokio::test]
async fn a_command_keeps_its_credential_over_renewals_and_gets_another_at_the_end_of_the_lease() {
    let lab = Lab::with_registered_plugin(&["custom"], "3s").await;
    lab.vault.cli(["write", "custom/roles/developer", "ttl=3s", "max_ttl=7s"]).await.success();
    let before = lab.upstream.issued().len();
    let script = "trap 'exit 6' TERM; echo $TOKEN >> seen; while :; do sleep 0.05; done";
    let args = ["creds", "exec", "custom/creds/developer", "--", "sh", "-c", script];
    let exec = lab.program.start(args);
    let seen = eventually("a second start", async || {
        let text = fs::read_to_string(lab.program.home().join("seen")).unwrap_or_default();
        let seen: Vec<String> = text.lines().map(str::to_owned).collect();
        (seen.len() >= 2).then_some(seen)
    })
    .await;
    let issued = &lab.upstream.issued()[before..];
    assert_eq!((&seen[0], &seen[1]), (&issued[0].token, &issued[1].token));
    lab.upstream.wait_revoked(&issued[0].id).await;
    let output = exec.signal_and_wait(Signal::TERM).await;
    assert_eq!(output.code, Some(6), "{output:?}");
    assert!(output.stderr.contains("renewed custom/creds/developer/"), "{output:?}");
    assert!(lab.upstream.live().is_empty());
}
