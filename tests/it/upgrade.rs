//! `upgrade`, `rollback`, `gc`, `deregister` and `status` against the embedded host: every word of it.

use std::path::Path;

use harness::{Program, build};
use regex::Regex;

use crate::lab::BINARY;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Runs a shell script against a development host in which this program is the plugin; `$0` is the program, `$1` its next
/// version. Returns what was written to standard output and, where the script says so, to standard error.
async fn run_in_dev(script: &str) -> String {
    let folder = tempfile::tempdir().expect("a directory");
    let next = build::with_next_version(Path::new(BINARY), VERSION, folder.path());
    let next = next.to_str().expect("a path");
    let output = Program::new(BINARY).run(["dev", "--quiet", "--", "sh", "-c", script, BINARY, next]).await;
    let mut said = output.success();
    let version = regex::escape(VERSION);
    for (pattern, word) in [
        (r"/[\w./-]*/plugins\b", "DIRECTORY"),
        (r"http://127\.0\.0\.1:\d+", "ADDRESS"),
        (r"\b[0-9a-f]{64}\b", "SHA256"),
        (r"\b[0-9a-f]{12}\b", "SHA256......"),
        (&version, "0.0.0"),
        // Of the user and the kernel that the tests run with.
        (r"(?m)^Warning: (this command runs as root|the kernel has no Landlock).*\n", ""),
    ] {
        said = Regex::new(pattern).expect("a pattern").replace_all(&said, word).into_owned();
    }
    said
}

#[tokio::test]
async fn an_upgrade_and_a_rollback_say_what_they_did() {
    let said = run_in_dev(
        "\"$0\" upgrade --binary \"$1\" --smoke creds/developer --dry-run 2>&1; echo code $?
         \"$0\" upgrade --binary \"$1\" --smoke creds/developer 2>/dev/null; echo code $?
         \"$0\" upgrade --binary \"$1\"; echo code $?
         \"$0\" status
         \"$0\" rollback 2>/dev/null; echo code $?",
    )
    .await;
    assert_eq!(
        said,
        "\
Plan:
  1. copy vault-token-plugin-9.9.9 to DIRECTORY
  2. register secret plugin vault-token-plugin v9.9.9
  3. mount vault-token-plugin v9.9.9 as a canary at vault-token-plugin-canary/vault-token-plugin-9.9.9/
  4. verify vault-token-plugin-canary/vault-token-plugin-9.9.9/
  5. remove vault-token-plugin-canary/vault-token-plugin-9.9.9/
  6. move custom/ from v0.0.0 to v9.9.9
  7. reload custom/
  8. smoke-test custom/creds/developer
Nothing was done: this was a dry run
code 3
Done: copy vault-token-plugin-9.9.9 to DIRECTORY
Done: register secret plugin vault-token-plugin v9.9.9
Done: mount vault-token-plugin v9.9.9 as a canary at vault-token-plugin-canary/vault-token-plugin-9.9.9/
Done: verify vault-token-plugin-canary/vault-token-plugin-9.9.9/
Done: remove vault-token-plugin-canary/vault-token-plugin-9.9.9/
Done: move custom/ from v0.0.0 to v9.9.9
Done: reload custom/
Done: smoke-test custom/creds/developer
custom/ runs vault-token-plugin v9.9.9 (sha256 SHA256)
code 0
Nothing to do
custom/ runs vault-token-plugin v9.9.9 (sha256 SHA256)
code 0
Server   ADDRESS Vault 1.21.4
Plugins  DIRECTORY
Restarts files stay on this machine

vault-token-plugin (secret)
  VERSION  SHA256        CATALOG  ON DISK  CONFIGURED  RUNNING  RESTART
  v9.9.9   SHA256......  yes      yes      1 mount     1 mount  kept
  v0.0.0   SHA256......  yes      yes      -           -        kept
  v9.9.9: custom/
Done: move custom/ from v9.9.9 to v0.0.0
Done: reload custom/
custom/ runs vault-token-plugin v0.0.0 (sha256 SHA256)
code 0
"
    );
}

#[tokio::test]
async fn what_is_removed_is_said_and_what_is_needed_is_refused() {
    let said = run_in_dev(
        "\"$0\" upgrade --binary \"$1\" --no-canary >/dev/null 2>&1
         \"$0\" gc; echo code $?
         \"$0\" gc --keep 0 2>/dev/null; echo code $?
         \"$0\" deregister vault-token-plugin --all 2>&1; echo code $?
         \"$0\" rollback 2>&1; echo code $?
         \"$0\" rollback --version 1.0.0 2>&1; echo code $?",
    )
    .await;
    assert_eq!(
        said,
        "\
Nothing to do
code 0
Done: deregister secret plugin vault-token-plugin v0.0.0
Done: remove vault-token-plugin-0.0.0 from DIRECTORY
code 0
Error: vault-token-plugin v9.9.9 is in use: custom/ runs it

Move the mounts to another version first (`upgrade`, `rollback`), or disable them.
code 1
Error: no version of vault-token-plugin before v9.9.9 is registered and installed on every node

Install the older version with `vault-token-plugin upgrade --binary FILE --allow-downgrade`.
code 1
Error: vault-token-plugin 1.0.0 is not registered

`vault-token-plugin status` shows the registered versions; `upgrade --binary FILE` installs another one.
code 1
"
    );
}

#[tokio::test]
async fn programs_get_one_event_a_line_and_the_end_is_one_of_them() {
    let said = run_in_dev("\"$0\" upgrade --binary \"$1\" --no-canary --output json 2>/dev/null").await;
    let events: Vec<serde_json::Value> =
        said.lines().map(|line| serde_json::from_str(line).expect("a document a line")).collect();
    assert!(events.iter().all(|event| event["schema_version"] == 2), "{said}");
    let mut names: Vec<&str> = events.iter().filter_map(|event| event["event"].as_str()).collect();
    names.dedup();
    assert_eq!(
        names,
        [
            "planned",
            "step_started",
            "copy_progress",
            "step_done",
            "step_started",
            "step_done",
            "step_started",
            "step_done",
            "step_started",
            "step_done",
            "finished",
        ]
    );
    assert_eq!(events.last().expect("an end")["result"], "done");
    let said = run_in_dev("\"$0\" rollback --output json 2>/dev/null || true").await;
    let failed: serde_json::Value = serde_json::from_str(said.trim()).expect("one document");
    assert_eq!((&failed["event"], &failed["exit_code"]), (&"failed".into(), &1.into()));
}
