//! The checks of a plugin directory on this machine.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::lab::Lab;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn a_directory_in_which_others_can_replace_a_plugin_is_refused_with_what_cures_it() {
    let lab = Lab::new().await;
    let directory = lab.plugin_directory().canonicalize().unwrap();
    let register = async || lab.program.run(["register", "-f", "plugin.yaml"]).await;
    for mode in [0o770, 0o775, 0o2775, 0o757, 0o1777] {
        set_mode(&directory, mode);
        let refused = register().await;
        assert_eq!(refused.code, Some(1), "{mode:o}: {refused:?}");
        assert!(
            refused.stderr.contains(&format!("chmod go-w {}", directory.display())),
            "{}",
            refused.stderr
        );
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 0, "{mode:o}");
    }
    set_mode(&directory, 0o755);
    register().await.success();
}

#[tokio::test]
async fn a_placed_file_belongs_to_whoever_placed_it() {
    let lab = Lab::new().await;
    set_mode(lab.plugin_directory(), 0o755);
    let file = format!("custom-plugin-{}", env!("CARGO_PKG_VERSION"));
    let planted = lab.plugin_directory().join(format!(".{file}.part"));
    fs::write(&planted, "").unwrap();
    let inode = fs::metadata(&planted).unwrap().ino();
    lab.program.run(["register", "-f", "plugin.yaml"]).await.success();
    let placed = fs::metadata(lab.plugin_directory().join(file)).unwrap();
    assert_ne!(placed.ino(), inode);
    assert_eq!((placed.uid(), placed.mode() & 0o7777), (rustix::process::geteuid().as_raw(), 0o755));
    assert!(!planted.exists());
}
