//! The loader on volumes of all kinds, and as a sidecar.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use harness::{Program, Stream, build, eventually};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::volume_kinds::{VolumeKind, run_on_volume};

const BINARY: &str = env!("CARGO_BIN_EXE_vault-token-plugin");

/// The content of an image, and a plugin directory.
struct LoaderPod {
    image: TempDir,
    plugins: TempDir,
}

impl LoaderPod {
    async fn new() -> LoaderPod {
        let pod = LoaderPod { image: tempfile::tempdir().unwrap(), plugins: tempfile::tempdir().unwrap() };
        fs::set_permissions(pod.plugins.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let file = pod.image.path().join("kv-1.0.0");
        fs::copy(build::go_kv("v1.0.0").await, &file).unwrap();
        let sums = pod.image.path().join("SHA256SUMS").display().to_string();
        Program::new(BINARY).run(["package", &file.display().to_string(), "--sums", &sums]).await.success();
        pod
    }

    fn arguments(&self, more: &[&str]) -> Vec<String> {
        let (from, to) = (self.image.path().display().to_string(), self.plugins.path().display().to_string());
        let fixed = ["loader", "--from", &from, "--to", &to].map(str::to_owned);
        fixed.into_iter().chain(more.iter().map(|&text| text.to_owned())).collect()
    }

    fn plugin(&self) -> PathBuf {
        self.plugins.path().join("kv-1.0.0")
    }

    fn bundled_content(&self) -> Vec<u8> {
        fs::read(self.image.path().join("kv-1.0.0")).unwrap()
    }

    fn is_complete(&self) -> bool {
        fs::read(self.plugin()).is_ok_and(|there| there == self.bundled_content())
    }
}

#[tokio::test]
async fn a_volume_that_will_not_do_is_told_with_its_cure_and_nothing_is_left_there() {
    let pod = LoaderPod::new().await;
    for (mount, says, cure) in [
        (VolumeKind::Full, "are required", "sizeLimit"),
        (VolumeKind::ReadOnly, "is mounted read-only", "readOnly"),
        (VolumeKind::NoExec, "is mounted noexec", "mount option noexec"),
    ] {
        let (output, left) = run_on_volume(mount, pod.plugins.path(), BINARY, &pod.arguments(&[])).await;
        assert_eq!(output.code, Some(1), "{mount:?}: {}", output.stderr);
        assert!(output.stderr.contains(says) && output.stderr.contains(cure), "{mount:?}: {}", output.stderr);
        assert_eq!(left, Vec::<String>::new(), "{mount:?}");
    }
    let nowhere = Program::new(BINARY).run(["loader", "--to", "/nonexistent"]).await;
    assert_eq!(nowhere.code, Some(1));
    assert!(nowhere.stderr.contains("SHA256SUMS"), "{}", nowhere.stderr);
}

#[tokio::test]
async fn what_is_damaged_is_repaired_and_another_build_is_left_for_a_person() {
    let pod = LoaderPod::new().await;
    let program = Program::new(BINARY);
    fs::write(pod.plugin(), &pod.bundled_content()[..100_000]).unwrap();
    let said = program.run(pod.arguments(&[])).await.success();
    assert!(said.contains("the existing copy was truncated"), "{said}");
    assert!(pod.is_complete());

    let other = build::go_kv("v2.0.0").await;
    fs::copy(&other, pod.plugin()).unwrap();
    let refused = program.run(pod.arguments(&[])).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("another build of the same version"), "{}", refused.stderr);
    assert!(fs::read(pod.plugin()).unwrap() == fs::read(&other).unwrap());
    program.run(pod.arguments(&["--overwrite"])).await.success();
    assert!(pod.is_complete());

    // Only root can change the owner of a file.
    if rustix::process::geteuid().is_root() {
        program.run(pod.arguments(&["--owner", "100:1000"])).await.success();
        let copied = fs::metadata(pod.plugin()).unwrap();
        assert_eq!((copied.uid(), copied.gid(), copied.mode() & 0o7777), (100, 1000, 0o755));
    }
}

#[tokio::test]
async fn a_sidecar_puts_back_what_is_removed_or_changed_until_it_is_ended() {
    let pod = LoaderPod::new().await;
    let program = Program::new(BINARY);
    let mut sidecar = program.start(pod.arguments(&["--watch"]));
    sidecar.wait_for(Stream::Stderr, "Watching").await;
    assert!(pod.is_complete());

    fs::remove_file(pod.plugin()).unwrap();
    sidecar.wait_for(Stream::Stderr, "it was missing").await;
    assert!(pod.is_complete());
    // In one write, because a file that is checked while it is written may be truncated.
    File::options().write(true).open(pod.plugin()).unwrap().write_at(b"another", 4096).unwrap();
    sidecar.wait_for(Stream::Stderr, "the existing file differed").await;
    assert!(pod.is_complete());
    fs::set_permissions(pod.plugin(), fs::Permissions::from_mode(0o600)).unwrap();
    eventually("the mode is right again", async || {
        (fs::metadata(pod.plugin()).ok()?.mode() & 0o7777 == 0o755).then_some(())
    })
    .await;
    // Files that are not part of the image are left alone.
    let stranger: &Path = &pod.plugins.path().join("other-1.0.0");
    fs::write(stranger, "mine").unwrap();

    let output = sidecar.signal_and_wait(Signal::TERM).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(fs::read(stranger).unwrap(), b"mine");
}
