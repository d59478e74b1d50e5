//! Programs in a root directory of their own, as in a container, without a container engine.

use std::fs::{self, File};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::process::geteuid;
use tokio::process::Command;

/// The devices that every container has and programs are wont to find, by their numbers in the kernel.
const DEVICES: [(&str, u32, u32); 3] = [("null", 1, 3), ("random", 1, 8), ("urandom", 1, 9)];

/// Gives `root` its devices.
pub(crate) fn create_devices(root: &Path) {
    let folder = root.join("dev");
    fs::create_dir(&folder).expect("a new directory is writable");
    for (name, major, minor) in DEVICES {
        let path = folder.join(name);
        if geteuid().is_root() {
            let mode = Mode::from_raw_mode(0o666);
            mknodat(CWD, &path, FileType::CharacterDevice, mode, makedev(major, minor))
                .unwrap_or_else(|error| panic!("cannot make the device {}: {error}", path.display()));
        } else {
            // The machine's is mounted over it, which is allowed in a namespace of one's own.
            File::create(path).expect("a new directory is writable");
        }
    }
}

/// A command that runs `binary`, a path in `root`, with `root` as its root directory. It keeps the process id.
pub(crate) fn chroot_command(root: &Path, binary: &Path) -> Command {
    let mut command = if geteuid().is_root() {
        Command::new("/usr/sbin/chroot")
    } else {
        // A root that has none, such as an unpacked image, gets none.
        let mount =
            |name| format!(r#"{{ test ! -e "$0/dev/{name}" || mount --bind /dev/{name} "$0/dev/{name}"; }}"#);
        let mounts = DEVICES.map(|(name, ..)| mount(name)).join(" && ");
        let mut command = Command::new("/usr/bin/unshare");
        command.args(["--map-root-user", "--mount", "/bin/sh", "-c"]);
        command.arg(format!(r#"{mounts} && exec /usr/sbin/chroot "$0" "$@""#));
        command
    };
    command.arg(root).arg(binary);
    command
}
