//! `--build`: builds the user's package with cargo as a static release, which an image without a libc needs.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::commands::interrupts::unless_interrupted;
use crate::error::CommandError;
use crate::ui::Ui;

/// Makes a build static, also with the GNU libc.
const STATIC_RUSTFLAGS: &str = "-C target-feature=+crt-static";

/// A message of cargo.
#[derive(Deserialize)]
struct CargoMessage {
    target: Option<CargoTarget>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct CargoTarget {
    name: String,
}

/// Builds the package in `directory`, and returns the path of its binary. The output of cargo is shown.
pub(super) async fn cargo_build(
    directory: &Path,
    bin: Option<&str>,
    ui: &mut Ui,
) -> Result<PathBuf, CommandError> {
    ui.status("Building a static release with cargo");
    let failed =
        |text: &str| CommandError::failed(format!("could not build {}: {text}", directory.display()));
    let mut flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    if !flags.contains("crt-static") {
        flags = format!("{flags} {STATIC_RUSTFLAGS}").trim().to_owned();
    }
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["build", "--release", "--target", "host-tuple", "--message-format", "json-render-diagnostics"])
        .args(bin.map_or_else(|| vec!["--bins"], |bin| vec!["--bin", bin]))
        .env("RUSTFLAGS", flags)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| {
        failed("could not start cargo")
            .caused_by(error)
            .hint("Install Rust from https://rustup.rs, or pass a built binary.")
    })?;
    let stdout = child.stdout.take().ok_or_else(|| failed("cargo has no output"))?;
    let built = async {
        let mut lines = BufReader::new(stdout).lines();
        let mut executables = Vec::new();
        while let Some(line) = lines
            .next_line()
            .await
            .map_err(|error| failed("could not read the output of cargo").caused_by(error))?
        {
            // Other output, for example of a build script, is not a message.
            if let Ok(CargoMessage { target: Some(target), executable: Some(path) }) =
                serde_json::from_str(&line)
            {
                executables.push((target.name, path));
            }
        }
        let status = child
            .wait()
            .await
            .map_err(|error| failed("could not read the output of cargo").caused_by(error))?;
        if status.success() {
            Ok(executables)
        } else {
            Err(failed("cargo failed").hint("Its output is above."))
        }
    };
    single_executable(unless_interrupted(built).await?, directory)
}

fn single_executable(executables: Vec<(String, PathBuf)>, directory: &Path) -> Result<PathBuf, CommandError> {
    let [(_, path)] = executables.as_slice() else {
        let names: Vec<&str> = executables.iter().map(|(name, _)| name.as_str()).collect();
        let error = CommandError::usage(format!(
            "the package in {} has {} binaries",
            directory.display(),
            names.len()
        ));
        return Err(match names.as_slice() {
            [] => error.hint("Pass the directory of the plugin's package: --build=DIR."),
            names => error.hint(format!("Select one with --bin: {}.", names.join(", "))),
        });
    };
    Ok(path.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_with_several_binaries_needs_a_choice() {
        let two =
            vec![("one".to_owned(), PathBuf::from("/t/one")), ("two".to_owned(), PathBuf::from("/t/two"))];
        let error = single_executable(two.clone(), Path::new(".")).expect_err("two");
        assert!(error.render().contains("--bin: one, two"), "{}", error.render());
        assert!(single_executable(Vec::new(), Path::new(".")).is_err());
        assert_eq!(single_executable(two[..1].to_vec(), Path::new(".")).expect("one"), Path::new("/t/one"));
    }
}
