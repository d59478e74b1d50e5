//! Binaries, judged before they are placed on a server.

use std::fs;
use std::path::{Path, PathBuf};

use harness::{DoctorRunner, build, set_mode};
use tempfile::TempDir;

use super::for_other_architecture;
use crate::lab::BINARY;

/// A folder with one file, and doctor without a server.
struct BinaryUnderTest {
    doctor: DoctorRunner,
    file: PathBuf,
    _folder: TempDir,
}

impl BinaryUnderTest {
    fn new(content: &[u8], mode: u32) -> BinaryUnderTest {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plugin");
        fs::write(&file, content).unwrap();
        set_mode(&file, mode);
        BinaryUnderTest {
            doctor: DoctorRunner::new(BINARY, &[], &[], |program| program),
            file,
            _folder: folder,
        }
    }

    fn path(&self) -> String {
        self.file.display().to_string()
    }

    /// Requires these findings, without a command where another binary is the cure; that binary is healthy.
    async fn assert_needs_replacement(&self, findings: &[&str]) {
        let found = self.doctor.assert_finds(findings, &["--binary", &self.path()]).await;
        assert!(found.iter().all(|finding| finding["commands"] == serde_json::json!([])), "{found:#?}");
        fs::write(&self.file, working_plugin().await).unwrap();
        self.assert_healthy().await;
    }

    async fn assert_healthy(&self) {
        let document = self.doctor.run(&["--binary", &self.path()]).await.json();
        assert_eq!(document["healthy"], true, "{document:#}");
    }
}

/// Linked statically, and a plugin.
async fn working_plugin() -> Vec<u8> {
    fs::read(build::go_kv("v1.0.0").await).unwrap()
}

#[tokio::test]
async fn vtp_101_a_file_is_no_executable() {
    BinaryUnderTest::new(b"<html>not found</html>", 0o755).assert_needs_replacement(&["VTP-101"]).await;
}

#[tokio::test]
async fn vtp_102_a_file_is_not_marked_as_executable() {
    let judged = BinaryUnderTest::new(&working_plugin().await, 0o644);
    let findings = judged.doctor.assert_finds(&["VTP-102"], &["--binary", &judged.path()]).await;
    judged.doctor.run_in_shell(findings[0]["commands"][0].as_str().unwrap()).await;
    judged.assert_healthy().await;
}

#[tokio::test]
async fn vtp_103_a_file_is_for_another_machine() {
    BinaryUnderTest::new(&for_other_architecture(working_plugin().await), 0o755)
        .assert_needs_replacement(&["VTP-103"])
        .await;
}

#[tokio::test]
async fn vtp_104_and_vtp_105_a_program_is_no_plugin() {
    BinaryUnderTest::new(&fs::read("/bin/true").unwrap(), 0o755)
        .assert_needs_replacement(&["VTP-105", "VTP-104"])
        .await;
}

#[tokio::test]
async fn vtp_107_a_plugin_reports_a_version_that_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let ours = build::static_binary("vault-token-plugin").await;
    let nonsense = build::with_patched_version(&ours, env!("CARGO_PKG_VERSION"), "0.1.x", folder.path());
    BinaryUnderTest::new(&fs::read(Path::new(&nonsense)).unwrap(), 0o755)
        .assert_needs_replacement(&["VTP-107"])
        .await;
}
