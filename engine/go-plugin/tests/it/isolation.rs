//! The sandbox of an untrusted plugin.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use go_plugin::host::{Isolation, IsolationGap, LaunchOptions, NetworkAccess, PluginStartError, launch};
use rustix::process::{DumpableBehavior, dumpable_behavior};

use crate::relay::options;

/// Serializes the tests: `cargo test` runs them in one process, which has one dumpable attribute.
static SERIAL: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn untrusted(hidden: &std::path::Path) -> LaunchOptions {
    let isolation = Isolation::Untrusted { hidden: vec![hidden.to_owned()], network: NetworkAccess::Denied };
    LaunchOptions { isolation, ..options() }
}

/// Starts a shell as a plugin, and returns its standard error.
async fn stderr_of_shell(shell: &str, script: String) -> String {
    let hidden = tempfile::tempdir().unwrap();
    let options = LaunchOptions {
        program: shell.into(),
        args: vec!["-c".into(), script.into()],
        ..untrusted(hidden.path())
    };
    match launch(options).await {
        Err(PluginStartError::Exited { stderr, .. }) => stderr,
        other => panic!("the shell should exit: {other:?}"),
    }
}

#[tokio::test]
async fn the_host_is_not_dumpable_while_an_untrusted_plugin_runs() {
    let _serial = SERIAL.lock().await;
    let home = tempfile::tempdir().unwrap();
    let first = launch(untrusted(home.path())).await.unwrap();
    let second = launch(untrusted(home.path())).await.unwrap();
    first.shutdown().await.unwrap();
    assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    second.shutdown().await.unwrap();
    // Without Landlock, a process that the plugin leaves behind could still read the host.
    let afterwards = match IsolationGap::all().contains(&IsolationGap::NoLandlock) {
        true => DumpableBehavior::NotDumpable,
        false => DumpableBehavior::Dumpable,
    };
    assert_eq!(dumpable_behavior().unwrap(), afterwards);
}

#[tokio::test]
async fn a_plugin_runs_from_a_home_that_is_hidden_from_it() {
    let _serial = SERIAL.lock().await;
    let home = tempfile::tempdir().unwrap();
    let binary = home.path().join("plugin");
    fs::copy(options().program, &binary).unwrap();
    let running = launch(LaunchOptions { program: binary, ..untrusted(home.path()) }).await.unwrap();
    running.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_script_gets_an_empty_environment_and_no_secret_but_can_write_to_its_temporary_directory() {
    let _serial = SERIAL.lock().await;
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
    let Err(PluginStartError::Handshake { stderr, line, .. }) = launch(options).await else {
        panic!("the script prints an empty line instead of a handshake")
    };
    assert_eq!(line, "");
    assert!(stderr.contains("GIVEN=by the caller"), "{stderr}");
    assert!(!stderr.contains("HOME=") && !stderr.contains("CARGO"), "{stderr}");
    if !IsolationGap::all().contains(&IsolationGap::NoLandlock) {
        assert!(stderr.contains("Permission denied"), "{stderr}");
    }
}

/// In the session of its host, a process could inject input into the terminal.
#[tokio::test]
async fn a_plugin_has_its_own_session_and_no_terminal() {
    let _serial = SERIAL.lock().await;
    let stderr = stderr_of_shell(
        "/bin/sh",
        "read -r _ _ _ _ _ session _ </proc/self/stat; echo $$ $session >&2".into(),
    )
    .await;
    let (process, session) = stderr.trim().split_once(' ').expect("two numbers");
    assert_eq!(process, session);
}

#[tokio::test]
async fn a_file_that_the_host_has_inherited_is_closed_in_a_plugin() {
    let _serial = SERIAL.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("planted-token");
    fs::write(&file, "secret").unwrap();
    // Unlike files that Rust opens, the copy is inherited by a child.
    let _inherited = rustix::io::dup(File::open(&file).unwrap()).unwrap();
    let stderr = stderr_of_shell("/bin/sh", "ls -l /proc/$$/fd >&2".into()).await;
    assert!(stderr.contains("pipe:"), "{stderr}");
    assert!(!stderr.contains("planted-token"), "{stderr}");
}

#[tokio::test]
async fn a_plugin_cannot_make_its_host_connect_to_a_foreign_socket_and_remove_it() {
    let _serial = SERIAL.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("engine.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    listener.set_nonblocking(true).unwrap();
    let script = format!("echo '1|5|unix|{}|grpc'; exec sleep 60", socket.display());
    let hidden = tempfile::tempdir().unwrap();
    let options = LaunchOptions {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        ..untrusted(hidden.path())
    };
    let error = launch(options).await.unwrap_err();
    assert!(matches!(error, PluginStartError::ForeignAddress { .. }), "{error:?}");
    assert!(socket.exists());
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[tokio::test]
async fn a_plugin_that_is_only_inspected_has_no_network() {
    let _serial = SERIAL.lock().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let stderr =
        stderr_of_shell("/bin/bash", format!("exec 3<>/dev/tcp/127.0.0.1/{port} && echo connected >&2"))
            .await;
    if kernel_restricts_tcp() {
        assert!(stderr.contains("Permission denied"), "{stderr}");
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    } else {
        assert!(stderr.contains("connected"), "{stderr}");
    }
}

/// Whether the kernel is 6.7 or later, and has Landlock.
fn kernel_restricts_tcp() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap(), numbers.next().unwrap());
    version >= (6, 7) && !IsolationGap::all().contains(&IsolationGap::NoLandlock)
}
