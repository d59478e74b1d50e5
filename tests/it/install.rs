//! `install.sh`: a first installation, and one over an existing one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use harness::{Output, Program};
use tempfile::TempDir;

use crate::lab::executable_script;

const INSTALLED: [(&str, u32); 4] = [
    ("bin/vault-token-plugin", 0o755),
    ("share/bash-completion/completions/vault-token-plugin", 0o644),
    ("share/zsh/site-functions/_vault-token-plugin", 0o644),
    ("share/fish/vendor_completions.d/vault-token-plugin.fish", 0o644),
];

/// A `cargo` for the script that only copies a file to the place of the binary, instead of a build of several minutes.
struct FakeCargo {
    directory: TempDir,
    /// Folders of the other programs.
    others: &'static str,
}

impl FakeCargo {
    fn new() -> FakeCargo {
        let directory = tempfile::tempdir().unwrap();
        let builder = FakeCargo { directory, others: "/usr/bin:/bin" };
        builder.produce("first");
        builder
    }

    fn produce(&self, content: &str) {
        let target = self.target();
        let cargo = format!(
            "#!/bin/sh\n[ \"$*\" = 'build --release --locked --bin vault-token-plugin' ] || exit 9\n\
             mkdir -p {target}/release\necho {content} > {target}/release/vault-token-plugin\n",
        );
        executable_script(self.directory.path(), "cargo", &cargo);
    }

    fn target(&self) -> String {
        self.directory.path().join("target").display().to_string()
    }

    async fn install(&self, variables: &[(&str, &str)]) -> Output {
        let mut program = Program::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("install.sh"))
            .env("PATH", format!("{}:{}", self.directory.path().display(), self.others))
            .env("CARGO_TARGET_DIR", self.target());
        for (name, value) in variables {
            program = program.env(*name, *value);
        }
        program.run([""; 0]).await
    }
}

#[track_caller]
fn assert_installed(prefix: &Path, content: &str) {
    for (file, mode) in INSTALLED {
        let found = fs::metadata(prefix.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(found.permissions().mode() & 0o777, mode, "{file}");
        let beside = fs::read_dir(prefix.join(file).parent().unwrap()).unwrap().count();
        assert_eq!(beside, 1, "something is left beside {file}");
    }
    assert_eq!(fs::read_to_string(prefix.join("bin/vault-token-plugin")).unwrap(), format!("{content}\n"));
}

#[tokio::test]
async fn it_installs_below_its_prefix_and_again_over_what_is_there() {
    let (builder, prefix) = (FakeCargo::new(), tempfile::tempdir().unwrap());
    let at = prefix.path().to_str().unwrap();
    let said = builder.install(&[("PREFIX", at)]).await.success();
    assert_installed(prefix.path(), "first");
    assert!(said.contains(&format!("Add {at}/bin to PATH")), "{said}");
    builder.produce("second");
    builder.install(&[("PREFIX", at)]).await.success();
    assert_installed(prefix.path(), "second");
}

#[tokio::test]
async fn a_packager_gets_the_same_below_a_root_of_his_own() {
    let (builder, root) = (FakeCargo::new(), tempfile::tempdir().unwrap());
    let at = root.path().to_str().unwrap();
    builder.install(&[("DESTDIR", at), ("PREFIX", "/usr")]).await.success();
    assert_installed(&root.path().join("usr"), "first");
}

#[tokio::test]
async fn without_cargo_it_says_what_to_install() {
    let builder = FakeCargo { others: "", ..FakeCargo::new() };
    fs::remove_file(builder.directory.path().join("cargo")).unwrap();
    // All that it needs until then. The machine may have another cargo.
    std::os::unix::fs::symlink("/usr/bin/dirname", builder.directory.path().join("dirname")).unwrap();
    let at = builder.target();
    let missing = builder.install(&[("PREFIX", &at)]).await;
    assert_eq!(missing.code, Some(1));
    assert!(missing.stderr.contains("cargo is missing; https://rustup.rs installs it"), "{}", missing.stderr);
    assert!(!Path::new(&at).exists());
}
