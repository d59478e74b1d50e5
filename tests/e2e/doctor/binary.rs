//! Binaries, judged before they are placed on a server.

use std::fs;
use std::path::{Path, PathBuf};

use harness::{Doctor, build, set_mode};
use tempfile::TempDir;

use super::of_another_machine;
use crate::lab::BINARY;

/// A folder with one file, and doctor without a server.
struct Judged {
    doctor: Doctor,
    file: PathBuf,
    _folder: TempDir,
}

impl Judged {
    fn new(content: &[u8], mode: u32) -> Judged {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plugin");
        fs::write(&file, content).unwrap();
        set_mode(&file, mode);
        Judged { doctor: Doctor::new(BINARY, &[], &[], |program| program), file, _folder: folder }
    }

    fn path(&self) -> String {
        self.file.display().to_string()
    }

    /// Requires these findings, without a command where another binary is the cure; that binary is healthy.
    async fn is_replaced(&self, findings: &[&str]) {
        let found = self.doctor.finds(findings, &[&self.path()]).await;
        assert!(found.iter().all(|finding| finding["commands"] == serde_json::json!([])), "{found:#?}");
        fs::write(&self.file, good().await).unwrap();
        self.is_healthy().await;
    }

    async fn is_healthy(&self) {
        let document = self.doctor.run(&[&self.path()]).await.json();
        assert_eq!(document["healthy"], true, "{document:#}");
    }
}

/// Linked statically, and a plugin.
async fn good() -> Vec<u8> {
    fs::read(build::go_kv("v1.0.0").await).unwrap()
}

#[tokio::test]
async fn vtp_101_a_file_is_no_executable() {
    Judged::new(b"<html>not found</html>", 0o755).is_replaced(&["VTP-101"]).await;
}

#[tokio::test]
async fn vtp_102_a_file_is_not_marked_as_executable() {
    let judged = Judged::new(&good().await, 0o644);
    let findings = judged.doctor.finds(&["VTP-102"], &[&judged.path()]).await;
    judged.doctor.in_shell(findings[0]["commands"][0].as_str().unwrap()).await;
    judged.is_healthy().await;
}

#[tokio::test]
async fn vtp_103_a_file_is_for_another_machine() {
    Judged::new(&of_another_machine(good().await), 0o755).is_replaced(&["VTP-103"]).await;
}

#[tokio::test]
async fn vtp_104_and_vtp_105_a_program_is_no_plugin() {
    Judged::new(&fs::read("/bin/true").unwrap(), 0o755).is_replaced(&["VTP-105", "VTP-104"]).await;
}

#[tokio::test]
async fn vtp_107_a_plugin_reports_a_version_that_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let ours = build::static_binary("vault-token-plugin").await;
    let nonsense = build::another_version(&ours, env!("CARGO_PKG_VERSION"), "0.1.x", folder.path());
    Judged::new(&fs::read(Path::new(&nonsense)).unwrap(), 0o755).is_replaced(&["VTP-107"]).await;
}
