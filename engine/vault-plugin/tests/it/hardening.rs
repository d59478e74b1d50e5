//! What a plugin process asks of its kernel, seen from outside.

use std::fs;
use std::sync::Arc;

use harness::in_time;
use rustix::process::{Resource, getrlimit};
use tokio::sync::mpsc;
use vault_plugin::host::{Launch, LogLine, Plugin, launch};

use crate::host::{greeter, mount};

fn status(plugin: &Plugin, field: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{}/status", plugin.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(&format!("{field}:")));
    line.unwrap_or_default().trim().to_owned()
}

#[tokio::test]
async fn a_plugin_leaves_no_core_dump_and_gains_no_privileges_and_can_still_be_proven() {
    let plugin = launch(Launch::new(greeter())).await.unwrap();
    mount(&plugin, &Arc::default()).await;
    assert_eq!(status(&plugin, "NoNewPrivs"), "1");
    let limits = fs::read_to_string(format!("/proc/{}/limits", plugin.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
    let filter = fs::read_to_string(format!("/proc/{}/coredump_filter", plugin.pid())).unwrap();
    assert_eq!(u32::from_str_radix(filter.trim(), 16), Ok(0), "a piped dump ignores the limit");
    // By the same user, without further rights.
    let binary = fs::read_link(format!("/proc/{}/exe", plugin.pid())).unwrap();
    assert_eq!(binary, greeter().canonicalize().unwrap());
    assert_eq!(status(&plugin, "VmLck"), "0 kB", "the host has not asked for it");
}

/// The kernel keeps the flag for each thread; a new thread inherits that of the thread that starts it.
#[tokio::test]
async fn no_thread_of_a_plugin_gains_privileges() {
    let plugin = launch(Launch::new(greeter())).await.unwrap();
    mount(&plugin, &Arc::default()).await;
    let threads = fs::read_dir(format!("/proc/{}/task", plugin.pid())).unwrap();
    let flags: Vec<String> = threads
        .map(|thread| {
            let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
            status.lines().find(|line| line.starts_with("NoNewPrivs:")).unwrap().to_owned()
        })
        .collect();
    assert!(flags.len() > 1 && flags.iter().all(|flag| flag == "NoNewPrivs:\t1"), "{flags:?}");
}

#[tokio::test]
async fn memory_is_locked_where_the_host_asks_and_the_kernel_lets_and_else_the_log_says_why_not() {
    let (lines, mut seen) = mpsc::unbounded_channel();
    let log = Arc::new(move |line: LogLine| drop(lines.send(line)));
    let env = vec![("VAULT_PLUGIN_MLOCK_ENABLED".into(), "true".into())];
    let plugin = launch(Launch { env, log, ..Launch::new(greeter()) }).await.unwrap();
    mount(&plugin, &Arc::default()).await;
    let capabilities = u64::from_str_radix(&status(&plugin, "CapEff"), 16).unwrap();
    let unlimited = getrlimit(Resource::Memlock).current.is_none();
    if unlimited || capabilities & (1 << 14) != 0 {
        assert_ne!(status(&plugin, "VmLck"), "0 kB");
    } else {
        assert_eq!(status(&plugin, "VmLck"), "0 kB");
        let warning = loop {
            let line = in_time("the warning", seen.recv()).await.unwrap();
            if line.message.contains("is not locked") {
                break line.message;
            }
        };
        assert!(warning.contains("IPC_LOCK") && warning.contains("disable_mlock"), "{warning}");
    }
}
