//! A host that does not trust its plugin.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use go_plugin::host::{Isolation, IsolationGap, LaunchOptions, NetworkAccess, PluginStartError, launch};
use rustix::process::{DumpableBehavior, dumpable_behavior};

use crate::relay::options;

/// `cargo test` runs these in one process, whose dumpability they share.
static SERIAL: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn untrusted(hidden: &std::path::Path) -> LaunchOptions {
    let isolation = Isolation::Untrusted { hidden: vec![hidden.to_owned()], network: NetworkAccess::Denied };
    LaunchOptions { isolation, ..options() }
}

/// What a shell that is started as a plugin says on standard error.
async fn stderr_of_shell(shell: &str, script: String) -> String {
    let hidden = tempfile::tempdir().unwrap();
    let options = LaunchOptions {
        program: shell.into(),
        args: vec!["-c".into(), script.into()],
        ..untrusted(hidden.path())
    };
    match launch(options).await {
        Err(PluginStartError::Exited { stderr, .. }) => stderr,
        other => panic!("a shell is no plugin: {other:?}"),
    }
}

#[tokio::test]
async fn the_host_is_not_dumpable_as_long_as_any_such_plugin_runs() {
    let _alone = SERIAL.lock().await;
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
    let _alone = SERIAL.lock().await;
    let home = tempfile::tempdir().unwrap();
    let binary = home.path().join("plugin");
    fs::copy(options().program, &binary).unwrap();
    let running = launch(LaunchOptions { program: binary, ..untrusted(home.path()) }).await.unwrap();
    running.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_script_finds_an_empty_environment_and_no_secret_but_can_write_where_it_is_told() {
    let _alone = SERIAL.lock().await;
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
        panic!("it prints an empty line where the handshake is expected")
    };
    assert_eq!(line, "");
    assert!(stderr.contains("GIVEN=by the caller"), "{stderr}");
    assert!(!stderr.contains("HOME=") && !stderr.contains("CARGO"), "{stderr}");
    if !IsolationGap::all().contains(&IsolationGap::NoLandlock) {
        assert!(stderr.contains("Permission denied"), "{stderr}");
    }
}

/// In the session of its host it could write into the terminal what a person seems to have typed.
#[tokio::test]
async fn a_plugin_has_a_session_of_its_own_and_so_no_terminal() {
    let _alone = SERIAL.lock().await;
    let said = stderr_of_shell(
        "/bin/sh",
        "read -r _ _ _ _ _ session _ </proc/self/stat; echo $$ $session >&2".into(),
    )
    .await;
    let (process, session) = said.trim().split_once(' ').expect("two numbers");
    assert_eq!(process, session);
}

#[tokio::test]
async fn a_file_that_the_host_was_started_with_is_closed_to_a_plugin() {
    let _alone = SERIAL.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("planted-token");
    fs::write(&file, "secret").unwrap();
    // Other than what Rust opens, its copy stays open in a child.
    let _inherited = rustix::io::dup(File::open(&file).unwrap()).unwrap();
    let said = stderr_of_shell("/bin/sh", "ls -l /proc/$$/fd >&2".into()).await;
    assert!(said.contains("pipe:"), "{said}");
    assert!(!said.contains("planted-token"), "{said}");
}

#[tokio::test]
async fn a_plugin_cannot_have_its_host_connect_to_the_socket_of_another_and_remove_it() {
    let _alone = SERIAL.lock().await;
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
    let refused = launch(options).await.unwrap_err();
    assert!(matches!(refused, PluginStartError::ForeignAddress { .. }), "{refused:?}");
    assert!(socket.exists());
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[tokio::test]
async fn a_plugin_that_is_only_looked_at_reaches_no_network() {
    let _alone = SERIAL.lock().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let said =
        stderr_of_shell("/bin/bash", format!("exec 3<>/dev/tcp/127.0.0.1/{port} && echo connected >&2"))
            .await;
    if kernel_restricts_tcp() {
        assert!(said.contains("Permission denied"), "{said}");
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    } else {
        assert!(said.contains("connected"), "{said}");
    }
}

/// From 6.7 on, with Landlock.
fn kernel_restricts_tcp() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap(), numbers.next().unwrap());
    version >= (6, 7) && !IsolationGap::all().contains(&IsolationGap::NoLandlock)
}
