//! The hardening of a plugin process, checked from outside.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Stdio;
use std::sync::Arc;

use harness::within_timeout;
use rustix::process::{Resource, geteuid, getrlimit};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;
use tokio::sync::mpsc;
use vault_plugin::host::{LogLine, Plugin, PluginCommand, launch};

use crate::host::{greeter, mount};

fn status(plugin: &Plugin, field: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{}/status", plugin.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(&format!("{field}:")));
    line.unwrap_or_default().trim().to_owned()
}

#[tokio::test]
async fn a_plugin_leaves_no_core_dump_and_gains_no_privileges_and_its_binary_can_be_verified() {
    let plugin = launch(PluginCommand::new(greeter())).await.unwrap();
    mount(&plugin, &Arc::default()).await;
    assert_eq!(status(&plugin, "NoNewPrivs"), "1");
    let limits = fs::read_to_string(format!("/proc/{}/limits", plugin.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
    let filter = fs::read_to_string(format!("/proc/{}/coredump_filter", plugin.pid())).unwrap();
    assert_eq!(u32::from_str_radix(filter.trim(), 16), Ok(0), "a piped dump ignores the limit");
    // Works for the same user, without further privileges.
    let binary = fs::read_link(format!("/proc/{}/exe", plugin.pid())).unwrap();
    assert_eq!(binary, greeter().canonicalize().unwrap());
    assert_eq!(status(&plugin, "VmLck"), "0 kB", "the host has not requested mlock");
}

/// The flag belongs to a thread. A new thread inherits it from the thread that starts it.
#[tokio::test]
async fn no_thread_of_a_plugin_gains_privileges() {
    let plugin = launch(PluginCommand::new(greeter())).await.unwrap();
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

/// A process whose user cannot read its binary is not dumpable, like one whose file has capabilities.
#[tokio::test]
async fn a_process_that_is_not_dumpable_is_not_warned_about_core_dumps() {
    const NOBODY: u32 = 65_534;

    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let sockets = directory.path().join("sockets");
    fs::create_dir(&sockets).unwrap();
    fs::set_permissions(&sockets, Permissions::from_mode(0o777)).unwrap();
    let binary = directory.path().join("greeter");
    // A file that is open for writing cannot be executed, and a plugin that another test starts could inherit the open file.
    assert!(Command::new("/bin/cp").args([&greeter(), &binary]).status().await.unwrap().success());
    fs::set_permissions(&binary, Permissions::from_mode(0o111)).unwrap();

    let mut command = Command::new(&binary);
    if geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let mut plugin = command
        .env_clear()
        .env("VAULT_BACKEND_PLUGIN", "6669da05-b1c8-4f49-97d9-c8e5bed98e20")
        .env("PLUGIN_PROTOCOL_VERSIONS", "5")
        .env("TMPDIR", &sockets)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut handshake = String::new();
    let mut output = BufReader::new(plugin.stdout.take().unwrap());
    within_timeout("the handshake", output.read_line(&mut handshake)).await.unwrap();
    assert!(handshake.starts_with("1|5|unix|"), "{handshake}");
    let filter = fs::metadata(format!("/proc/{}/coredump_filter", plugin.id().unwrap())).unwrap();
    assert_eq!((filter.uid(), filter.mode() & 0o777), (0, 0o644), "the process cannot write it");

    plugin.start_kill().unwrap();
    let mut log = String::new();
    within_timeout("the log", plugin.stderr.take().unwrap().read_to_string(&mut log)).await.unwrap();
    assert!(!log.contains("core dumps"), "{log}");
}

#[tokio::test]
async fn memory_is_locked_on_request_of_the_host_or_the_log_explains_why_not() {
    let (lines, mut lines_received) = mpsc::unbounded_channel();
    let log = Arc::new(move |line: LogLine| drop(lines.send(line)));
    let env = vec![("VAULT_PLUGIN_MLOCK_ENABLED".into(), "true".into())];
    let plugin = launch(PluginCommand { env, log, ..PluginCommand::new(greeter()) }).await.unwrap();
    mount(&plugin, &Arc::default()).await;
    let capabilities = u64::from_str_radix(&status(&plugin, "CapEff"), 16).unwrap();
    let unlimited = getrlimit(Resource::Memlock).current.is_none();
    if unlimited || capabilities & (1 << 14) != 0 {
        assert_ne!(status(&plugin, "VmLck"), "0 kB");
    } else {
        assert_eq!(status(&plugin, "VmLck"), "0 kB");
        let warning = loop {
            let line = within_timeout("the warning", lines_received.recv()).await.unwrap();
            if line.message.contains("cannot lock the memory") {
                break line.message;
            }
        };
        assert!(warning.contains("IPC_LOCK") && warning.contains("disable_mlock"), "{warning}");
    }
}
