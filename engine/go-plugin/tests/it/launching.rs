//! The errors for programs that do not start.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use go_plugin::host::{LaunchOptions, PluginStartError, TlsMode, launch};
use go_plugin::{Handshake, HandshakeLineError};

use crate::relay::{HANDSHAKE, options};

async fn launch_error(options: LaunchOptions) -> PluginStartError {
    launch(options).await.expect_err("the launch should fail")
}

/// A plugin that is a shell script.
fn script(script: &str) -> LaunchOptions {
    LaunchOptions { args: vec!["-c".into(), script.into()], ..LaunchOptions::new("/bin/sh", HANDSHAKE) }
}

/// Creates a file from another process, so that this process never has it open for writing.
fn file(directory: &Path, content: &str, mode: &str) -> PathBuf {
    let path = directory.join("plugin");
    let status = Command::new("/bin/sh")
        .args(["-c", r#"printf %b "$1" > "$2" && chmod "$3" "$2""#, "sh", content])
        .args([path.as_os_str(), mode.as_ref()])
        .status();
    assert!(status.unwrap().success());
    path
}

#[tokio::test]
async fn a_missing_file_is_not_found() {
    let error = launch_error(LaunchOptions::new("/no/such/plugin", HANDSHAKE)).await;
    assert_eq!(error.to_string(), "/no/such/plugin does not exist");
}

#[tokio::test]
async fn a_file_without_the_permission_is_not_executable() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(directory.path(), "#!/bin/sh\n", "644");
    assert!(matches!(
        launch_error(LaunchOptions::new(path, HANDSHAKE)).await,
        PluginStartError::NotExecutable(_)
    ));
}

#[tokio::test]
async fn a_file_that_is_not_a_program_has_the_wrong_format() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(directory.path(), "\u{7f}ELF, but for another machine", "755");
    let error = launch_error(LaunchOptions::new(path, HANDSHAKE)).await;
    assert!(matches!(error, PluginStartError::ExecFormat { .. }), "{error}");
}

#[tokio::test]
async fn a_text_is_not_run_as_a_shell_script() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(directory.path(), "echo '1|5|unix|/tmp/x|grpc|'", "755");
    let error = launch_error(LaunchOptions::new(path, HANDSHAKE)).await.to_string();
    assert!(error.contains("is neither a program nor a script, which cannot run on this machine"), "{error}");
}

#[tokio::test]
async fn an_error_for_another_machine_names_both_machines() {
    let directory = tempfile::tempdir().unwrap();
    // The head of an ELF file, with the machine number at offset 18.
    let path = file(directory.path(), "\u{7f}ELF\u{2}\u{1}\u{1}.........\u{2}.\u{16}\\000.....", "755");
    let error = launch_error(LaunchOptions::new(path, HANDSHAKE)).await.to_string();
    let expected =
        format!("is a program for s390x, which cannot run on this machine ({})", std::env::consts::ARCH);
    assert!(error.contains(&expected), "{error}");
}

#[tokio::test]
async fn a_file_that_its_writer_is_about_to_close_is_awaited() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(directory.path(), "#!/bin/sh\nexit 3\n", "755");
    let open = OpenOptions::new().append(true).open(&path).unwrap();
    let mut writer = Command::new("sleep").arg("0.2").stdout(open).spawn().unwrap();
    let error = launch_error(LaunchOptions::new(path, HANDSHAKE)).await.to_string();
    assert_eq!(error, "plugin exited before the handshake (exit status: 3)");
    writer.wait().unwrap();
}

#[tokio::test]
async fn a_file_that_stays_open_for_writing_is_awaited_for_a_limited_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(directory.path(), "#!/bin/sh\nexit 3\n", "755");
    let _open = OpenOptions::new().append(true).open(&path).unwrap();
    let error = launch_error(LaunchOptions::new(path, HANDSHAKE)).await;
    let PluginStartError::Spawn { source, .. } = error else { panic!("{error}") };
    assert_eq!(source.kind(), ErrorKind::ExecutableFileBusy);
}

#[tokio::test]
async fn a_missing_loader_is_not_reported_as_a_missing_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(directory.path(), "#!/no/such/interpreter\n", "755");
    let error = launch_error(LaunchOptions::new(path, HANDSHAKE)).await.to_string();
    assert!(error.contains("requires /no/such/interpreter, which does not exist on this machine"), "{error}");
}

#[tokio::test]
async fn a_program_that_exits_is_quoted_with_its_exit_code() {
    let error = launch_error(script("echo Usage: tool; echo no config >&2; exit 3")).await;
    assert!(matches!(error, PluginStartError::Handshake { .. }), "{error}");
    let error = launch_error(script("echo no config >&2; exit 3")).await;
    assert_eq!(
        error.to_string(),
        "plugin exited before the handshake (exit status: 3); on stderr: no config"
    );
}

#[tokio::test]
async fn a_plugin_with_a_wrong_cookie_exits_with_one() {
    let handshake = Handshake { cookie_value: "another", ..HANDSHAKE };
    let error = launch_error(LaunchOptions { handshake, ..options() }).await;
    let PluginStartError::Exited { status, stderr, .. } = error else { panic!("{error}") };
    assert_eq!(status.code(), Some(1));
    assert!(stderr.contains("this program is a plugin and must be started by a plugin host"), "{stderr}");
}

#[tokio::test]
async fn a_panic_is_one_line_of_the_log() {
    let error = launch_error(LaunchOptions { args: vec!["--panic".into()], ..options() }).await;
    let PluginStartError::Exited { status, stderr, .. } = error else { panic!("{error}") };
    assert_eq!(status.code(), Some(101));
    let line: serde_json::Value = serde_json::from_str(&stderr).unwrap();
    assert_eq!(line["@level"], "error");
    assert_eq!(line["@message"], "panicked: requested\npanic");
    assert!(line["location"].as_str().unwrap().contains("relay/main.rs"), "{line}");
}

#[tokio::test]
async fn an_invalid_host_certificate_is_reported() {
    let env = vec![("PLUGIN_CLIENT_CERT".into(), "no certificate".into())];
    let error = launch_error(LaunchOptions { env, tls: TlsMode::Plaintext, ..options() }).await.to_string();
    assert!(error.contains("cannot parse the host's certificate in PLUGIN_CLIENT_CERT"), "{error}");
}

#[tokio::test]
async fn output_before_the_handshake_is_quoted() {
    // The socket file remains, because the host does not know its path without a handshake.
    let directory = tempfile::tempdir().unwrap();
    let env = vec![("TMPDIR".into(), directory.path().into())];
    let error = launch_error(LaunchOptions { args: vec!["--print-first".into()], env, ..options() }).await;
    let PluginStartError::Handshake { line, reason, .. } = error else { panic!("{error}") };
    assert_eq!((line.as_str(), reason), ("Welcome!", HandshakeLineError::NotAHandshake));
}

#[tokio::test]
async fn an_endless_first_line_is_given_up() {
    let error = launch_error(script("exec yes | tr -d '\\n'")).await;
    assert!(matches!(error, PluginStartError::Handshake { .. }), "{error}");
}

#[tokio::test]
async fn a_plugin_without_output_is_given_up_after_the_timeout() {
    let start_timeout = Duration::from_millis(1500);
    let error = launch_error(LaunchOptions { start_timeout, ..script("echo stuck >&2; sleep 60") }).await;
    assert_eq!(error.to_string(), "plugin was not ready within 1.5 s; on stderr: stuck");
}

#[tokio::test]
async fn a_version_mismatch_names_the_versions_of_both_sides() {
    let handshake = Handshake { protocol_versions: &[8, 9], ..HANDSHAKE };
    let error = launch_error(LaunchOptions { handshake, ..options() }).await;
    assert_eq!(error.to_string(), "plugin uses protocol version 4, but the host supports [8, 9]");
}

#[tokio::test]
async fn a_plugin_of_another_core_protocol_is_refused() {
    let error = launch_error(script("echo '2|5|unix|/tmp/x|grpc|'; sleep 60")).await;
    let PluginStartError::Handshake { reason, .. } = error else { panic!("{error}") };
    assert_eq!(reason, HandshakeLineError::CoreProtocol("2".to_owned()));
}

#[tokio::test]
async fn a_plugin_that_ignores_our_certificate_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let error = launch_error(script(&format!("echo '1|5|unix|{}|grpc|'; sleep 60", socket.display()))).await;
    assert!(matches!(error, PluginStartError::NoCertificate), "{error}");
}

#[tokio::test]
async fn a_plugin_that_closes_the_connection_has_refused_it() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || listener.accept().map(drop));
    let plugin = script(&format!("echo '1|5|unix|{}|grpc|'; sleep 60", socket.display()));
    let error = launch_error(LaunchOptions { tls: TlsMode::Plaintext, ..plugin }).await;
    assert!(matches!(error, PluginStartError::Refused(_) | PluginStartError::Channel(_)), "{error}");
}

#[tokio::test]
async fn a_plugin_that_does_not_listen_is_reported_with_its_address() {
    let error = launch_error(script("echo '1|5|unix|/no/such/socket|grpc|'; sleep 60")).await;
    assert_eq!(error.to_string(), "cannot connect to the plugin at unix|/no/such/socket");
}

#[tokio::test]
async fn a_temporary_directory_that_is_too_long_for_a_socket_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let long = directory.path().join("d".repeat(100));
    std::fs::create_dir(&long).unwrap();
    let env = vec![("TMPDIR".into(), long.into())];
    let error = launch_error(LaunchOptions { env, ..options() }).await.to_string();
    assert!(error.contains("set TMPDIR to a shorter directory"), "{error}");
}
