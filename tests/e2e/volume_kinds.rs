//! Directories on volumes with limited writes, in a mount namespace of the test.

use std::ffi::OsStr;
use std::path::Path;

use harness::{Output, Program};

/// Kind of a volume.
#[derive(Clone, Copy, Debug)]
pub(crate) enum VolumeKind {
    /// Of one megabyte.
    Full,
    ReadOnly,
    NoExec,
}

/// Runs a program with an empty volume mounted at `directory`, and lists the files in it afterwards.
pub(crate) async fn run_on_volume<Arg: AsRef<OsStr>>(
    mount: VolumeKind,
    directory: &Path,
    program: &str,
    args: &[Arg],
) -> (Output, Vec<String>) {
    let options = match mount {
        VolumeKind::Full => "size=1m,mode=755",
        VolumeKind::ReadOnly => "ro,mode=755",
        VolumeKind::NoExec => "noexec,mode=755",
    };
    // The list is at the end of standard output, after a unique line.
    let script = r#"
        directory=$1 options=$2; shift 2
        mount -t tmpfs -o "$options" none "$directory" || exit 99
        "$@"; code=$?
        echo ---; ls -A "$directory"
        exit "$code""#;
    // A user without root may mount in a user namespace.
    let become_root: &[&str] = if rustix::process::geteuid().is_root() { &[] } else { &["--map-root-user"] };
    let shell = ["--mount", "/bin/sh", "-c", script, "sh"];
    let mut line: Vec<&OsStr> = become_root.iter().chain(&shell).map(OsStr::new).collect();
    line.extend([directory.as_os_str(), options.as_ref(), program.as_ref()]);
    line.extend(args.iter().map(AsRef::as_ref));
    let output = Program::new("/usr/bin/unshare").run(line).await;
    let (stdout, left) = output.stdout.rsplit_once("---\n").expect("the script prints it");
    let left = left.lines().map(str::to_owned).collect();
    (Output { stdout: stdout.to_owned(), ..output }, left)
}
