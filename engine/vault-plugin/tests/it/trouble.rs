//! Programs that are no plugins, or bad ones.

use std::time::Duration;

use vault_plugin::host::{Launch, LaunchError, launch};

/// A plugin that is a shell script.
fn script(script: &str) -> Launch {
    Launch { args: vec!["-c".into(), script.into()], ..Launch::new("/bin/sh") }
}

async fn refused(launched: Launch) -> String {
    launch(launched).await.err().expect("the launch should fail").to_string()
}

#[tokio::test]
async fn a_program_that_is_no_plugin_is_quoted() {
    let refused = refused(script("echo 'Usage: tool [OPTIONS]'; exit 2")).await;
    assert!(refused.contains("not a handshake; on stdout: Usage: tool [OPTIONS]"), "{refused}");
}

#[tokio::test]
async fn a_plugin_from_before_mutual_tls_is_told_what_to_rebuild() {
    let error = launch(script("echo '1|4|unix|/tmp/x|grpc|'; sleep 60")).await.err().unwrap();
    assert!(matches!(error, LaunchError::OldProtocol { version: 4 }), "{error}");
    assert!(error.to_string().contains("rebuild it with vault/sdk 0.7 or later"), "{error}");
}

#[tokio::test]
async fn a_plugin_that_hangs_is_given_up_in_time() {
    let start_timeout = Duration::from_millis(300);
    let refused = refused(Launch { start_timeout, ..script("sleep 60") }).await;
    assert!(refused.contains("not ready within 0.3 s"), "{refused}");
}
