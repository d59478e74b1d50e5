//! A host that does not trust its plugin.

use std::fs;

use go_plugin::host::{Isolation, IsolationGap, LaunchError, LaunchOptions, launch};
use rustix::process::{DumpableBehavior, dumpable_behavior};

use crate::relay::options;

/// `cargo test` runs these in one process, whose dumpability they share.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn untrusted(hidden: &std::path::Path) -> LaunchOptions {
    LaunchOptions { isolation: Isolation::Untrusted { hidden: vec![hidden.to_owned()] }, ..options() }
}

#[tokio::test]
async fn the_host_is_not_dumpable_as_long_as_any_such_plugin_runs() {
    let _alone = ALONE.lock().await;
    let home = tempfile::tempdir().unwrap();
    let first = launch(untrusted(home.path())).await.unwrap();
    let second = launch(untrusted(home.path())).await.unwrap();
    first.shutdown().await.unwrap();
    assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    second.shutdown().await.unwrap();
    // What a plugin leaves behind can read the host from then on, unless Landlock keeps it from that.
    let afterwards = match IsolationGap::all().contains(&IsolationGap::NoLandlock) {
        true => DumpableBehavior::NotDumpable,
        false => DumpableBehavior::Dumpable,
    };
    assert_eq!(dumpable_behavior().unwrap(), afterwards);
}

#[tokio::test]
async fn a_plugin_runs_from_a_home_that_is_hidden_from_it() {
    let _alone = ALONE.lock().await;
    let home = tempfile::tempdir().unwrap();
    let binary = home.path().join("plugin");
    fs::copy(options().program, &binary).unwrap();
    let running = launch(LaunchOptions { program: binary, ..untrusted(home.path()) }).await.unwrap();
    running.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_script_finds_an_empty_environment_and_no_secret_but_can_write_where_it_is_told() {
    let _alone = ALONE.lock().await;
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("token"), "planted-secret").unwrap();
    let script =
        format!("echo >$TMPDIR/written; cat {}/token $TMPDIR/written; env >&2", home.path().display());
    let options = LaunchOptions {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        env: vec![("GIVEN".into(), "by the caller".into())],
        ..untrusted(home.path())
    };
    let Err(LaunchError::Handshake { stderr, line, .. }) = launch(options).await else {
        panic!("it prints an empty line where the handshake is expected")
    };
    assert_eq!(line, "");
    assert!(stderr.contains("GIVEN=by the caller"), "{stderr}");
    assert!(!stderr.contains("HOME=") && !stderr.contains("CARGO"), "{stderr}");
    if !IsolationGap::all().contains(&IsolationGap::NoLandlock) {
        assert!(stderr.contains("Permission denied"), "{stderr}");
    }
}
