//! `dev` on a real server in its development mode.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use harness::{Program, build};

const OURS: &str = env!("CARGO_BIN_EXE_vault-token-plugin");

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
    let program = Program::new(OURS)
        .env("PATH", format!("{}:/usr/bin:/bin", programs.path().display()))
        .env("TMPDIR", scratch.path().display().to_string());
    for server in ["vault", "bao", vault.to_str().unwrap()] {
        let get = [OURS, "creds", "get", "custom/creds/developer", "--field", "token"];
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
    assert!(ended.stderr.contains("the server ended: exit status: 0"), "{}", ended.stderr);
    let missing = program.run(["dev", "--server", "./missing", "--", "true"]).await;
    assert_eq!(missing.code, Some(2), "{}", missing.stderr);
    assert!(missing.stderr.contains("Without --server the embedded host is used"), "{}", missing.stderr);
}
