//! What `package` refuses, and what is left when it fails.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use harness::{Output, Program, build};

use crate::volume_kinds::{VolumeKind, run_on_volume};

const BINARY: &str = env!("CARGO_BIN_EXE_vault-token-plugin");

async fn package(folder: &Path, args: &[&str]) -> Output {
    let sums = folder.join("SHA256SUMS").display().to_string();
    let common = ["package", "--sums", &sums].map(str::to_owned);
    Program::new(BINARY).run(common.into_iter().chain(args.iter().map(|&arg| arg.to_owned()))).await
}

#[tokio::test]
async fn what_would_not_run_is_refused_with_its_cause_and_cure() {
    let folder = tempfile::tempdir().unwrap();
    let path = |file: &str| folder.path().join(file).display().to_string();
    let kv = build::go_kv("v1.0.0").await;
    let copy = |from: &Path, to: &str| fs::copy(from, folder.path().join(to)).map(drop).unwrap();
    copy(&kv, "kv-1.0.0");
    copy(&kv, "kv-1.0.1");
    copy(&kv, "locked-1.0.0");
    fs::set_permissions(folder.path().join("locked-1.0.0"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(folder.path().join("script-1.0.0"), "#!/bin/sh\n").unwrap();
    let mut foreign = fs::read(&kv).unwrap();
    build::set_foreign_machine(&mut foreign);
    fs::write(folder.path().join("kv-9.0.0"), foreign).unwrap();

    let (kv_file, layout) = (path("kv-1.0.0"), path("layout"));
    let foreign = if cfg!(target_arch = "x86_64") { "linux/arm64" } else { "linux/amd64" };
    for (args, code, says) in [
        (&["/bin/true"][..], 1, &["needs the dynamic linker", "CGO_ENABLED=0"][..]),
        (&[&path("script-1.0.0")], 1, &["is not a Linux executable"]),
        (&[&path("locked-1.0.0")], 1, &["is not executable", "chmod +x"]),
        (&[&path("kv-1.0.1")], 1, &["reports version v1.0.0 and its name says 1.0.1", "Rename it"]),
        (&[&path("kv-9.0.0")], 1, &["is built for", "--platform"]),
        (
            &[&path("kv-9.0.0"), "--platform", foreign, "--layout", &layout],
            2,
            &["there is no loader for", "--loader"],
        ),
        (&[&path("nothing-1.0.0")], 2, &["there is no such binary", "nothing-1.0.0"]),
        (&[&kv_file, &kv_file], 2, &["are the same version of the same plugin"]),
        (&[&kv_file, "--loader", "/bin/true", "--layout", &layout], 1, &["needs the dynamic linker"]),
        (&[&kv_file, "--user", "vault"], 2, &["is not UID or UID:GID"]),
        (&[&kv_file, "--label", "team"], 2, &["is not KEY=VALUE"]),
        (&[&kv_file, "--push", "Team/Plugin"], 2, &["cannot have that name"]),
        (&[&kv_file, "--name", "../vault"], 2, &["cannot be the name of a plugin"]),
        (&[], 2, &["required"]),
    ] {
        let output = package(folder.path(), args).await;
        assert_eq!(output.code, Some(code), "{args:?}: {}", output.stderr);
        for words in says {
            assert!(output.stderr.contains(words), "{args:?} {words:?}: {}", output.stderr);
        }
        assert!(!folder.path().join("SHA256SUMS").exists(), "{args:?}");
        assert!(!folder.path().join("layout").exists(), "{args:?}");
    }
}

#[tokio::test]
async fn a_program_that_is_linked_statically_is_its_own_loader() {
    let folder = tempfile::tempdir().unwrap();
    let path = |file: &str| folder.path().join(file).display().to_string();
    let (plugin, layout, sums) = (path("kv-1.0.0"), path("layout"), path("SHA256SUMS"));
    fs::copy(build::go_kv("v1.0.0").await, &plugin).unwrap();
    let program = Program::new(build::static_binary("vault-token-plugin").await);
    program.run(["package", &plugin, "--sums", &sums, "--layout", &layout]).await.success();
    assert!(Path::new(&layout).join("index.json").exists());
}

#[tokio::test]
async fn checksums_alone_need_no_image_and_a_dry_run_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kv");
    fs::copy(build::go_kv("v1.0.0").await, &file).unwrap();
    let (kv, sums) = (file.display().to_string(), folder.path().join("SHA256SUMS"));
    assert_eq!(package(folder.path(), &[&kv, "--dry-run"]).await.code, Some(3));
    assert!(!sums.exists());
    package(folder.path(), &[&kv]).await.success();
    fs::rename(&file, folder.path().join("kv-1.0.0")).unwrap();
    let at = folder.path().display().to_string();
    let checked = Program::new("/usr/bin/env").run(["-C", &at, "sha256sum", "-c", "SHA256SUMS"]).await;
    assert_eq!(checked.success(), "kv-1.0.0: OK\n");
}

#[tokio::test]
async fn a_package_of_rust_is_built_static_and_its_binary_taken() {
    let folder = tempfile::tempdir().unwrap();
    // Not in the home of the user, into which what is packaged cannot look.
    let kv = folder.path().join("kv");
    fs::copy(build::go_kv("v1.0.0").await, &kv).unwrap();
    // Becomes a plugin that reports 1.0.0.
    let main = format!(
        "use std::os::unix::process::CommandExt;\nfn main() {{ panic!(\"{{}}\", std::process::Command::new({kv:?}).exec()) }}\n"
    );
    let manifest = "[package]\nname = \"my-plugin\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n";
    fs::create_dir(folder.path().join("src")).unwrap();
    fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
    fs::write(folder.path().join("src/main.rs"), main).unwrap();
    let toolchain = Path::new(env!("CARGO")).parent().unwrap().display().to_string();
    let program = Program::new(BINARY).env("PATH", format!("{toolchain}:/usr/bin:/bin"));
    let sums = folder.path().join("SHA256SUMS");
    let build = format!("--build={}", folder.path().display());
    let args =
        ["package", &build, "--sums", &sums.display().to_string(), "--output", "json"].map(str::to_owned);
    let report = program.run(&args).await.json();
    assert_eq!(report["binaries"][0]["file"], "my-plugin-1.0.0");

    for (main, says) in [
        ("fn main() { nonsense }", &["cannot find value `nonsense`", "cargo failed"][..]),
        ("fn main() {}", &["is not a working plugin", "handshake"]),
    ] {
        fs::write(folder.path().join("src/main.rs"), main).unwrap();
        let output = program.run(&args).await;
        assert_eq!(output.code, Some(1), "{}", output.stderr);
        for words in says {
            assert!(output.stderr.contains(words), "{words}: {}", output.stderr);
        }
    }
}

#[tokio::test]
async fn a_disk_that_is_full_or_read_only_is_told_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kv-1.0.0");
    fs::copy(build::go_kv("v1.0.0").await, &file).unwrap();
    // Any static program: the image is not started.
    let loader = build::busybox().await;
    let target = folder.path().join("target");
    fs::create_dir(&target).unwrap();
    for (mount, says) in
        [(VolumeKind::Full, "The disk is full"), (VolumeKind::ReadOnly, "read-only file system")]
    {
        for (flag, name) in [("--layout", "layout"), ("--archive", "image.tar")] {
            let place = target.join(name);
            let sums = folder.path().join("SHA256SUMS");
            let args = [
                "package".as_ref(),
                file.as_os_str(),
                "--loader".as_ref(),
                loader.as_os_str(),
                "--sums".as_ref(),
                sums.as_os_str(),
                flag.as_ref(),
                place.as_os_str(),
            ];
            let (output, left) = run_on_volume(mount, &target, BINARY, &args).await;
            assert_eq!(output.code, Some(1), "{mount:?} {flag}: {}", output.stderr);
            assert!(output.stderr.contains(says), "{mount:?} {flag}: {}", output.stderr);
            assert_eq!(left, Vec::<String>::new(), "{mount:?} {flag}");
        }
    }
}
