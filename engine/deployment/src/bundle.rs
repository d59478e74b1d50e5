//! The plugins of an image, which its init container copies into a plugin directory.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rollout::{BINARY_MODE, Binary, BinaryError, Format, parse_plugin_file_name};
use rustix::fs::{Access, StatVfs, StatVfsMountFlags};
use serde::Serialize;

use crate::local::error::LocalError;
use crate::local::{LocalDeployment, Owner};
use crate::sha256sums::{Sha256Sums, Sha256SumsError};

/// A directory with plugins and their `SHA256SUMS`.
#[derive(Clone, Debug)]
pub struct BundledPlugins {
    directory: PathBuf,
    checksums: Sha256Sums,
}

/// What to do with an existing file that has a different content and is not damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverwritePolicy {
    /// Refuse: a server may run it.
    Refuse,
    /// Replace it.
    Replace,
}

/// An installed plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoadedPlugin {
    /// File name in the plugin directory.
    pub file: String,
    /// Hex sha256, read back.
    pub sha256: String,
    /// What was done.
    pub action: LoadAction,
}

/// What was done to install a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadAction {
    /// Nothing; it was installed.
    Kept,
    /// It was copied.
    Copied,
    /// It replaced a truncated copy.
    ReplacedTruncated,
    /// It replaced a file without execute permission.
    ReplacedNotExecutable,
    /// It replaced another build, as requested.
    Overwritten,
    /// It was copied again to fix its mode or owner.
    PermissionsFixed,
}

/// A plugin that could not be installed. Those before it in `SHA256SUMS` are installed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the message above them")]
#[non_exhaustive]
pub enum LoadError {
    /// `SHA256SUMS` cannot be read.
    #[error("could not read {path}")]
    ChecksumsMissing {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// `SHA256SUMS` cannot be parsed.
    #[error("could not parse {path}")]
    ChecksumsInvalid {
        path: PathBuf,
        #[source]
        source: Sha256SumsError,
    },
    /// A plugin in `SHA256SUMS` cannot be read.
    #[error("the image does not contain a file of its SHA256SUMS")]
    Unreadable(#[source] BinaryError),
    /// A plugin differs from its checksum.
    #[error("sha256 mismatch of {path}: SHA256SUMS has {expected}, the file has {found}")]
    ChecksumMismatch { path: PathBuf, found: String, expected: String },
    /// The plugin directory does not exist.
    #[error("the plugin directory {directory} does not exist")]
    DirectoryMissing { directory: PathBuf },
    /// The plugin directory is a file.
    #[error("{directory} is not a directory")]
    NotADirectory { directory: PathBuf },
    /// The volume is read-only.
    #[error("{directory} is mounted read-only")]
    ReadOnly { directory: PathBuf },
    /// The volume does not allow execution.
    #[error("{directory} is mounted noexec, so the server cannot start plugins from it")]
    NoExec { directory: PathBuf },
    /// This user has no write permission.
    #[error("user {user} has no permission to write to {directory}")]
    NotWritable { directory: PathBuf, user: u32 },
    /// The volume is full.
    #[error("{directory} has {free_bytes} bytes free, {needed_bytes} are required")]
    InsufficientSpace { directory: PathBuf, free_bytes: u64, needed_bytes: u64 },
    /// Another build has the name.
    #[error("{path} exists with a different content (sha256 {found}, in the image {expected})")]
    FileConflict { path: PathBuf, found: String, expected: String },
    /// A directory or a link has the name.
    #[error("{path} exists and is not a regular file")]
    NotARegularFile { path: PathBuf },
    /// The copy failed.
    #[error("could not install {file}")]
    Deployment {
        file: String,
        #[source]
        source: LocalError,
    },
}

impl BundledPlugins {
    /// Reads the `SHA256SUMS` of a directory.
    ///
    /// # Errors
    /// If it cannot be read or parsed.
    pub fn read(directory: &Path) -> Result<Self, LoadError> {
        let path = directory.join("SHA256SUMS");
        let text = fs::read_to_string(&path)
            .map_err(|source| LoadError::ChecksumsMissing { path: path.clone(), source })?;
        let checksums = text.parse().map_err(|source| LoadError::ChecksumsInvalid { path, source })?;
        Ok(Self { directory: directory.to_owned(), checksums })
    }

    /// Installs every plugin that is missing or damaged, and changes no other file. Verifies the checksum of source and copy. Blocks. `progress` is
    /// called with the bytes copied and the total of one plugin.
    ///
    /// # Errors
    /// All that can be checked is checked before the first file is written. Existing files are unchanged then.
    pub fn load(
        &self,
        deployment: &LocalDeployment,
        existing: OverwritePolicy,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Vec<LoadedPlugin>, LoadError> {
        let volume = stat_volume(deployment.directory())?;
        let mut planned = Vec::new();
        for (file, sha256) in self.checksums.iter() {
            let binary = self.verified_binary(file, sha256)?;
            let action =
                load_action(&binary, &deployment.directory().join(file), deployment.owner(), existing)?;
            planned.push((file, binary, action));
        }
        let missing = planned.iter().filter(|(_, _, action)| *action != LoadAction::Kept);
        let needed_bytes = missing.map(|(_, binary, _)| binary.size).sum();
        check_volume(deployment.directory(), &volume, needed_bytes)?;
        let mut loaded = Vec::new();
        for (file, binary, action) in planned {
            match action {
                LoadAction::Kept => Ok(()),
                LoadAction::Copied => deployment.copy(&binary, file, progress),
                _ => deployment.replace(&binary, file, progress),
            }
            .map_err(|source| LoadError::Deployment { file: file.to_owned(), source })?;
            loaded.push(LoadedPlugin { file: file.to_owned(), sha256: binary.sha256, action });
        }
        Ok(loaded)
    }

    /// Plugins in the plugin directory that are not in the image, sorted.
    pub fn unbundled_files(&self, deployment: &LocalDeployment) -> Vec<String> {
        let Ok(entries) = fs::read_dir(deployment.directory()) else { return Vec::new() };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let bundled = |name: &String| self.checksums.iter().any(|(file, _)| file == name);
        let mut others: Vec<String> = names
            .filter(|name| parse_plugin_file_name(name).is_some() && !name.starts_with('.') && !bundled(name))
            .collect();
        others.sort();
        others
    }

    fn verified_binary(&self, file: &str, sha256: &str) -> Result<Binary, LoadError> {
        let path = self.directory.join(file);
        let binary = Binary::read(&path, &mut |_, _| ()).map_err(LoadError::Unreadable)?;
        if binary.sha256 == sha256 {
            Ok(binary)
        } else {
            Err(LoadError::ChecksumMismatch { path, found: binary.sha256, expected: sha256.to_owned() })
        }
    }
}

impl LoadError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::ChecksumsMissing { .. } => {
                "Run this in an image that `package` has built, or set a directory with plugins and their SHA256SUMS with --from.".into()
            }
            Self::ChecksumsInvalid { .. } | Self::Unreadable(_) | Self::ChecksumMismatch { .. } => {
                "Build the image again with `package`, or pull it again: the copy on this node is damaged.".into()
            }
            Self::DirectoryMissing { directory } => format!(
                "Mount the volume of the plugin directory at {} in this container, or set another directory with --to.",
                directory.display()
            ),
            Self::NotADirectory { .. } => "Set the directory with --to, not a file in it.".into(),
            Self::ReadOnly { .. } => {
                "Remove readOnly from this container's volumeMounts; the server's volumeMounts can keep it.".into()
            }
            Self::NoExec { .. } => {
                "Use a volume without the mount option noexec: an emptyDir does not have it, a persistent volume can have it from its storage class.".into()
            }
            Self::NotWritable { user, .. } => format!(
                "Set fsGroup in the pod's securityContext to a group of user {user}, or run this container as the owner of the directory."
            ),
            Self::InsufficientSpace { .. } => {
                "Increase the size of the volume (sizeLimit of an emptyDir), or reduce the number of versions in the image.".into()
            }
            Self::FileConflict { path, .. } => format!(
                "The file is a complete executable, so a server may run it as another build of the same version. The content of a version must not \
                 change: give this build another version, or replace the file with --overwrite if no server runs {}.",
                path.display()
            ),
            Self::NotARegularFile { path } => format!("Remove {}: a server does not start a plugin that is a link.", path.display()),
            Self::Deployment { source: LocalError::Io { source, .. }, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    "Increase the size of the volume (sizeLimit of an emptyDir), or reduce the number of versions in the image.".into()
                }
                io::ErrorKind::PermissionDenied => {
                    "Run this container as root to set the owner with --owner, or as the owner without it.".into()
                }
                _ => "The existing file is unchanged: run this again after fixing the cause.".into(),
            },
            Self::Deployment { .. } => "The existing file is unchanged: run this again.".into(),
        }
    }
}

fn stat_volume(directory: &Path) -> Result<StatVfs, LoadError> {
    let directory = directory.to_owned();
    match fs::metadata(&directory) {
        Err(_) => Err(LoadError::DirectoryMissing { directory }),
        Ok(metadata) if !metadata.is_dir() => Err(LoadError::NotADirectory { directory }),
        Ok(_) => rustix::fs::statvfs(&directory).map_err(|_| LoadError::DirectoryMissing { directory }),
    }
}

/// Checks that the volume has `needed_bytes` free, is writable, and allows execution.
fn check_volume(directory: &Path, volume: &StatVfs, needed_bytes: u64) -> Result<(), LoadError> {
    let directory = directory.to_owned();
    if volume.f_flag.contains(StatVfsMountFlags::NOEXEC) {
        return Err(LoadError::NoExec { directory });
    }
    if needed_bytes == 0 {
        return Ok(());
    }
    if volume.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Err(LoadError::ReadOnly { directory });
    }
    if rustix::fs::access(&directory, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        let user = rustix::process::geteuid().as_raw();
        return Err(LoadError::NotWritable { directory, user });
    }
    let free_bytes = volume.f_bavail.saturating_mul(volume.f_frsize);
    if free_bytes < needed_bytes {
        return Err(LoadError::InsufficientSpace { directory, free_bytes, needed_bytes });
    }
    Ok(())
}

/// Returns what is necessary to make `target` this binary.
fn load_action(
    binary: &Binary,
    target: &Path,
    owner: Option<Owner>,
    existing: OverwritePolicy,
) -> Result<LoadAction, LoadError> {
    let path = || target.to_owned();
    let unreadable = |source| LoadError::Deployment {
        file: target.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        source: LocalError::Io { action: "read", path: path(), source },
    };
    let metadata = match fs::symlink_metadata(target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(LoadAction::Copied),
        Err(error) => return Err(unreadable(error)),
        Ok(metadata) if !metadata.is_file() => return Err(LoadError::NotARegularFile { path: path() }),
        Ok(metadata) => metadata,
    };
    let current = Binary::read(target, &mut |_, _| ()).map_err(LoadError::Unreadable)?;
    if current.sha256 == binary.sha256 {
        let is_owners = owner.is_none_or(|Owner { user, group }| {
            metadata.uid() == user && group.is_none_or(|group| metadata.gid() == group)
        });
        let fits = metadata.mode() & 0o7777 == BINARY_MODE && is_owners;
        return Ok(if fits { LoadAction::Kept } else { LoadAction::PermissionsFixed });
    }
    if current.size < binary.size && is_prefix_of(target, &binary.path).map_err(unreadable)? {
        return Ok(LoadAction::ReplacedTruncated);
    }
    match (&current.format, existing) {
        (Format::Other, _) => Ok(LoadAction::ReplacedNotExecutable),
        (Format::Elf(_), OverwritePolicy::Replace) => Ok(LoadAction::Overwritten),
        (Format::Elf(_), OverwritePolicy::Refuse) => Err(LoadError::FileConflict {
            path: path(),
            found: current.sha256,
            expected: binary.sha256.clone(),
        }),
    }
}

fn is_prefix_of(part: &Path, whole: &Path) -> io::Result<bool> {
    let mut beginning = Vec::new();
    File::open(part)?.read_to_end(&mut beginning)?;
    let mut same = Vec::new();
    File::open(whole)?.take(beginning.len() as u64).read_to_end(&mut same)?;
    Ok(beginning == same)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;

    /// An image with this test as version 1.2.3, and a plugin directory.
    struct TestBundle {
        image: TempDir,
        plugins: TempDir,
    }

    impl TestBundle {
        fn new() -> TestBundle {
            let case = TestBundle {
                image: tempfile::tempdir().expect("made"),
                plugins: tempfile::tempdir().expect("made"),
            };
            let content = elf(4096);
            fs::write(case.image.path().join("custom-1.2.3"), &content).expect("written");
            let sums: Sha256Sums = [("custom-1.2.3", rollout::hex_sha256(&content))].into_iter().collect();
            fs::write(case.image.path().join("SHA256SUMS"), sums.to_string()).expect("written");
            case
        }

        fn target(&self) -> PathBuf {
            self.plugins.path().join("custom-1.2.3")
        }

        fn load(&self, existing: OverwritePolicy) -> Result<LoadAction, LoadError> {
            let deployment = LocalDeployment::new(self.plugins.path());
            let loaded =
                BundledPlugins::read(self.image.path())?.load(&deployment, existing, &mut |_, _| ())?;
            Ok(loaded[0].action)
        }
    }

    /// The least that is an executable for the 64-bit PC, filled up.
    fn elf(size: usize) -> Vec<u8> {
        let mut content = vec![0; size];
        content[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\0");
        content[16..20].copy_from_slice(&[2, 0, 62, 0]);
        content[52] = 64;
        content
    }

    #[test]
    fn a_version_is_copied_once_and_kept_afterwards() {
        let case = TestBundle::new();
        fs::write(case.plugins.path().join("custom-1.2.2"), "an older one").expect("written");
        assert_eq!(case.load(OverwritePolicy::Refuse).expect("loaded"), LoadAction::Copied);
        assert_eq!(fs::metadata(case.target()).expect("there").mode() & 0o7777, BINARY_MODE);
        assert_eq!(case.load(OverwritePolicy::Refuse).expect("loaded"), LoadAction::Kept);
        let bundled = BundledPlugins::read(case.image.path()).expect("readable");
        assert_eq!(bundled.unbundled_files(&LocalDeployment::new(case.plugins.path())), ["custom-1.2.2"]);
        assert_eq!(fs::read(case.plugins.path().join("custom-1.2.2")).expect("there"), b"an older one");
    }

    #[test]
    fn what_is_damaged_is_replaced_and_another_build_is_not() {
        let case = TestBundle::new();
        let mut other = elf(4096);
        other[4000] = 1;
        for (content, expected) in [
            (&b""[..], LoadAction::ReplacedTruncated),
            (&elf(4096)[..1000], LoadAction::ReplacedTruncated),
            (&[0; 4096], LoadAction::ReplacedNotExecutable),
            (&b"#!/bin/sh\n"[..], LoadAction::ReplacedNotExecutable),
        ] {
            fs::write(case.target(), content).expect("written");
            assert_eq!(case.load(OverwritePolicy::Refuse).expect("loaded"), expected);
            assert_eq!(fs::read(case.target()).expect("there"), elf(4096));
        }
        fs::write(case.target(), &other).expect("written");
        let error = case.load(OverwritePolicy::Refuse).expect_err("another build");
        assert!(matches!(error, LoadError::FileConflict { .. }), "{error}");
        assert!(error.hint().contains("--overwrite"), "{}", error.hint());
        assert_eq!(fs::read(case.target()).expect("there"), other);
        assert_eq!(case.load(OverwritePolicy::Replace).expect("loaded"), LoadAction::Overwritten);
    }

    #[test]
    fn a_wrong_mode_is_set_right() {
        let case = TestBundle::new();
        case.load(OverwritePolicy::Refuse).expect("loaded");
        fs::set_permissions(case.target(), fs::Permissions::from_mode(0o644)).expect("set");
        assert_eq!(case.load(OverwritePolicy::Refuse).expect("loaded"), LoadAction::PermissionsFixed);
        assert_eq!(fs::metadata(case.target()).expect("there").mode() & 0o7777, BINARY_MODE);
    }

    #[test]
    fn an_image_that_is_not_what_its_sums_say_copies_nothing() {
        let case = TestBundle::new();
        fs::write(case.image.path().join("custom-1.2.3"), elf(4095)).expect("written");
        assert!(matches!(case.load(OverwritePolicy::Refuse), Err(LoadError::ChecksumMismatch { .. })));
        fs::remove_file(case.image.path().join("custom-1.2.3")).expect("removed");
        assert!(matches!(case.load(OverwritePolicy::Refuse), Err(LoadError::Unreadable(_))));
        fs::write(case.image.path().join("SHA256SUMS"), "nonsense").expect("written");
        assert!(matches!(case.load(OverwritePolicy::Refuse), Err(LoadError::ChecksumsInvalid { .. })));
        fs::remove_file(case.image.path().join("SHA256SUMS")).expect("removed");
        assert!(matches!(case.load(OverwritePolicy::Refuse), Err(LoadError::ChecksumsMissing { .. })));
        assert_eq!(fs::read_dir(case.plugins.path()).expect("listed").count(), 0);
    }

    #[test]
    fn links_and_directories_are_left_alone() {
        let case = TestBundle::new();
        std::os::unix::fs::symlink("/bin/sh", case.target()).expect("linked");
        assert!(matches!(case.load(OverwritePolicy::Replace), Err(LoadError::NotARegularFile { .. })));
        fs::remove_file(case.target()).expect("removed");
        fs::create_dir(case.target()).expect("made");
        assert!(matches!(case.load(OverwritePolicy::Replace), Err(LoadError::NotARegularFile { .. })));
    }
}
