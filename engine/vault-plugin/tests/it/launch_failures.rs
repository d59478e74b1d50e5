//! Programs that are no plugins, or bad ones.

use std::collections::BTreeMap;
use std::time::Duration;

use vault_plugin::host::{LaunchError, PluginCommand, ShutdownBehavior, inspect, launch, probe};

/// A plugin that is a shell script.
fn script(script: &str) -> PluginCommand {
    PluginCommand { args: vec!["-c".into(), script.into()], ..PluginCommand::new("/bin/sh") }
}

async fn launch_error(launched: PluginCommand) -> String {
    launch(launched).await.expect_err("the launch should fail").to_string()
}

#[tokio::test]
async fn a_program_that_is_no_plugin_is_quoted() {
    let refused = launch_error(script("echo 'Usage: tool [OPTIONS]'; exit 2")).await;
    assert!(refused.contains("not a handshake; on stdout: Usage: tool [OPTIONS]"), "{refused}");
}

#[tokio::test]
async fn a_plugin_from_before_mutual_tls_is_told_what_to_rebuild() {
    let error = launch(script("echo '1|4|unix|/tmp/x|grpc|'; sleep 60")).await.unwrap_err();
    assert!(matches!(error, LaunchError::OldProtocol { version: 4 }), "{error}");
    assert!(error.to_string().contains("rebuild it with vault/sdk 0.7 or later"), "{error}");
}

#[tokio::test]
async fn a_go_engine_of_the_first_release_of_the_sdk_is_told_what_to_rebuild() {
    let error = launch(PluginCommand::new(harness::build::go_sdk("v0.1.13").await)).await.unwrap_err();
    assert!(matches!(error, LaunchError::OldProtocol { version: 3 }), "{error}");
}

/// A Go plugin that starts as it should, and is a bad one after that.
async fn faulty(fault: &str) -> PluginCommand {
    let env = vec![("GO_SDK_FAULT".into(), fault.into())];
    PluginCommand { env, ..PluginCommand::new(harness::build::go_sdk("v0.25.0").await) }
}

#[tokio::test]
async fn a_plugin_that_ends_when_it_is_set_up_is_quoted_with_its_exit_code() {
    let probed = probe(faulty("crash").await).await.unwrap_err().to_string();
    let inspected = inspect(faulty("crash").await, BTreeMap::new()).await.unwrap_err().to_string();
    for said in [probed, inspected] {
        assert!(said.starts_with("the plugin ended while it was asked what it"), "{said}");
        assert!(said.contains(": exit status: 2; on stderr: "), "{said}");
        assert!(said.contains("panic: cannot open the database"), "{said}");
    }
}

#[tokio::test]
async fn a_plugin_that_does_not_end_when_told_to_is_killed_and_known() {
    let inspection = inspect(faulty("deaf").await, BTreeMap::new()).await.unwrap();
    assert_eq!(inspection.ending, ShutdownBehavior::Killed);
    assert_eq!(inspect(faulty("").await, BTreeMap::new()).await.unwrap().ending, ShutdownBehavior::WhenTold);
}

#[tokio::test]
async fn a_plugin_that_hangs_is_given_up_in_time() {
    let start_timeout = Duration::from_millis(300);
    let refused = launch_error(PluginCommand { start_timeout, ..script("sleep 60") }).await;
    assert!(refused.contains("not ready within 0.3 s"), "{refused}");
}
