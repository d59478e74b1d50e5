//! The hardening of the plugin process, in the binary that users run.

use std::fs;

use vault_plugin::host::{PluginCommand, launch};

use crate::lab::BINARY;

#[tokio::test]
async fn no_thread_of_the_plugin_gains_privileges() {
    let args = vec!["serve".into()];
    let plugin = launch(PluginCommand { args, ..PluginCommand::new(BINARY) }).await.unwrap();
    let threads = fs::read_dir(format!("/proc/{}/task", plugin.pid())).unwrap();
    let statuses: Vec<String> =
        threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("status")).unwrap()).collect();
    assert!(statuses.len() > 1, "the threads of its runtime");
    assert!(statuses.iter().all(|status| status.contains("\nNoNewPrivs:\t1\n")), "{statuses:?}");
}
