//! `dev` on a real server in its development mode.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;

use harness::{Program, Stream, build, eventually};

const BINARY: &str = env!("CARGO_BIN_EXE_vault-token-plugin");

fn processes() -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes.filter_map(|process| process.file_name().to_str()?.parse().ok()).collect()
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, which comes before, may hold anything.
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

/// The programs that run from below a directory.
fn running_below(directory: &Path) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let programs = processes.filter_map(|process| fs::read_link(process.path().join("exe")).ok());
    programs
        .filter(|program| program.starts_with(directory))
        .map(|program| program.display().to_string())
        .collect()
}

#[tokio::test]
async fn a_plugin_is_at_work_on_a_real_server_by_its_name_or_path() {
    let vault = build::vault().await;
    let (programs, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for name in ["vault", "bao"] {
        symlink(&vault, programs.path().join(name)).unwrap();
    }
    let program = Program::new(BINARY)
        .env("PATH", format!("{}:/usr/bin:/bin", programs.path().display()))
        .env("TMPDIR", scratch.path().display().to_string());
    for server in ["vault", "bao", vault.to_str().unwrap()] {
        let get = [BINARY, "creds", "get", "custom/creds/developer", "--field", "token"];
        let args = [&["dev", "--quiet", "--server", server, "--"], &get[..]].concat();
        assert!(program.run(args).await.success().starts_with("tok_"), "{server}");
        let ends = program.run(["dev", "--quiet", "--server", server, "--", "sh", "-c", "exit 7"]).await;
        assert_eq!(ends.code, Some(7), "{}", ends.stderr);
    }
    assert_eq!(running_below(scratch.path()), [""; 0]);
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);

    let kept = program.run(["dev", "--server", "vault", "--data", "data", "--", "true"]).await;
    assert_eq!(kept.code, Some(2), "{}", kept.stderr);
    assert!(kept.stderr.contains("so --data cannot be kept"), "{}", kept.stderr);
    let ended = program.run(["dev", "--server", "true", "--", "true"]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("the server true ended: exit status: 0"), "{}", ended.stderr);
    let missing = program.run(["dev", "--server", "./missing", "--", "true"]).await;
    assert_eq!(missing.code, Some(2), "{}", missing.stderr);
    assert!(missing.stderr.contains("Without --server the embedded host is used"), "{}", missing.stderr);

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let taken = program.run(["dev", "--server", "vault", "--listen", &address, "--", "true"]).await;
    assert_eq!(taken.code, Some(1), "{}", taken.stderr);
    assert!(taken.stderr.contains("address already in use"), "{}", taken.stderr);
}

#[tokio::test]
async fn a_killed_dev_takes_the_server_and_its_plugins_with_it() {
    let (vault, go_kv) = (build::vault().await, build::go_kv("v1.2.3").await);
    let scratch = tempfile::tempdir().unwrap();
    let program = Program::new(BINARY).env("TMPDIR", scratch.path().display().to_string());
    // Go's plugins do not notice the end of their host.
    let plugin = ["--binary", go_kv.to_str().unwrap(), "--mount", "kv"];
    let args =
        [&["dev", "--server", vault.to_str().unwrap(), "--listen", "127.0.0.1:0"], &plugin[..]].concat();
    let mut dev = program.start(args);
    dev.wait_for(Stream::Stdout, "Ctrl-C").await;
    let dev_pid = dev.id();
    let server: Vec<u32> = processes().into_iter().filter(|pid| parent(*pid) == Some(dev_pid)).collect();
    assert_eq!((server.len(), running_below(scratch.path()).len()), (1, 1));
    dev.kill().await;
    eventually("the server and its plugin are gone", async || {
        let gone = !Path::new(&format!("/proc/{}/exe", server[0])).exists();
        (gone && running_below(scratch.path()).is_empty()).then_some(())
    })
    .await;
}
