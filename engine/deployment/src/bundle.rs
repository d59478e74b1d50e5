//! The versions that an image carries, into a plugin directory.

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

/// A directory of versions, with their `SHA256SUMS`.
#[derive(Clone, Debug)]
pub struct BundledPlugins {
    directory: PathBuf,
    checksums: Sha256Sums,
}

/// What becomes of a file that has the name of a version and another content, and is not known to be damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverwritePolicy {
    /// It may be another build that something runs: nothing is done.
    Refuse,
    /// It is replaced.
    Replace,
}

/// A version that is in place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoadedPlugin {
    /// Name in the plugin directory.
    pub file: String,
    /// Of its content, read back.
    pub sha256: String,
    /// What was done for that.
    pub action: LoadAction,
}

/// What was done for a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadAction {
    /// Nothing: it was there.
    Kept,
    /// It was missing.
    Placed,
    /// There was only the beginning of it, as after a copy that was killed.
    ReplacedTruncated,
    /// There was something that nothing can run.
    ReplacedNotExecutable,
    /// There was something else, and leave to replace it.
    Overwritten,
    /// Its mode or its owner was wrong.
    PermissionsFixed,
}

/// Why versions are not in place. Those that were named before are.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are the words of the sentence above them")]
#[non_exhaustive]
pub enum LoadError {
    /// There is nothing to load.
    #[error("could not read {path}")]
    ChecksumsMissing {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// It is there and no list of sums.
    #[error("could not understand {path}")]
    ChecksumsInvalid {
        path: PathBuf,
        #[source]
        source: Sha256SumsError,
    },
    /// A version that the sums name cannot be read.
    #[error("the image does not hold what its SHA256SUMS names")]
    Unreadable(#[source] BinaryError),
    /// A version is not what the sums say.
    #[error("{path} has sha256 {read} and its SHA256SUMS says {wanted}")]
    ChecksumMismatch { path: PathBuf, read: String, wanted: String },
    /// Not mounted, perhaps.
    #[error("the plugin directory {directory} does not exist")]
    DirectoryMissing { directory: PathBuf },
    /// A file, a socket.
    #[error("{directory} is not a directory")]
    NotADirectory { directory: PathBuf },
    /// Nothing could be written there.
    #[error("{directory} is mounted read-only")]
    ReadOnly { directory: PathBuf },
    /// Nothing could be run from there.
    #[error("{directory} is mounted noexec: the server could not start a plugin from there")]
    NoExec { directory: PathBuf },
    /// Not ours.
    #[error("user {user} may not write to {directory}")]
    NotWritable { directory: PathBuf, user: u32 },
    /// Not all of it would fit.
    #[error("{directory} has {free_bytes} bytes free and {needed_bytes} are needed")]
    InsufficientSpace { directory: PathBuf, free_bytes: u64, needed_bytes: u64 },
    /// The name is taken.
    #[error("{path} exists with another content (sha256 {there}, carried {wanted})")]
    FileConflict { path: PathBuf, there: String, wanted: String },
    /// By something that has no content.
    #[error("{path} exists and is not a regular file")]
    NotARegularFile { path: PathBuf },
    /// Everything else.
    #[error("could not put {file} in place")]
    Deployment {
        file: String,
        #[source]
        source: LocalError,
    },
}

impl BundledPlugins {
    /// Reads the sums of a directory.
    ///
    /// # Errors
    /// When there are none.
    pub fn read(directory: &Path) -> Result<Self, LoadError> {
        let path = directory.join("SHA256SUMS");
        let text = fs::read_to_string(&path)
            .map_err(|source| LoadError::ChecksumsMissing { path: path.clone(), source })?;
        let sums = text.parse().map_err(|source| LoadError::ChecksumsInvalid { path, source })?;
        Ok(Self { directory: directory.to_owned(), checksums: sums })
    }

    /// Puts every version in place that is not, verified on both sides, and leaves all else alone. Blocks. `progress` is called with
    /// bytes done and bytes in all of one version.
    ///
    /// # Errors
    /// Found before anything is written as far as that can be. What was there stays as it was then.
    pub fn load(
        &self,
        site: &LocalDeployment,
        existing: OverwritePolicy,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Vec<LoadedPlugin>, LoadError> {
        let volume = stat_volume(site.directory())?;
        let mut wanted = Vec::new();
        for (file, sha256) in self.checksums.iter() {
            let binary = self.verified_binary(file, sha256)?;
            let did = load_action(&binary, &site.directory().join(file), site.owner(), existing)?;
            wanted.push((file, binary, did));
        }
        let missing = wanted.iter().filter(|(_, _, did)| *did != LoadAction::Kept);
        let needed_bytes = missing.map(|(_, binary, _)| binary.size).sum();
        check_volume(site.directory(), &volume, needed_bytes)?;
        let mut loaded = Vec::new();
        for (file, binary, did) in wanted {
            match did {
                LoadAction::Kept => Ok(()),
                LoadAction::Placed => site.place(&binary, file, progress),
                _ => site.replace(&binary, file, progress),
            }
            .map_err(|source| LoadError::Deployment { file: file.to_owned(), source })?;
            loaded.push(LoadedPlugin { file: file.to_owned(), sha256: binary.sha256, action: did });
        }
        Ok(loaded)
    }

    /// Versions in the plugin directory that are not carried, in order.
    pub fn unbundled_files(&self, site: &LocalDeployment) -> Vec<String> {
        let Ok(entries) = fs::read_dir(site.directory()) else { return Vec::new() };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let carried = |name: &String| self.checksums.iter().any(|(file, _)| file == name);
        let mut others: Vec<String> = names
            .filter(|name| parse_plugin_file_name(name).is_some() && !name.starts_with('.') && !carried(name))
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
            Err(LoadError::ChecksumMismatch { path, read: binary.sha256, wanted: sha256.to_owned() })
        }
    }
}

impl LoadError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::ChecksumsMissing { .. } => {
                "Run this in an image that `package` made, or name a directory with versions and their SHA256SUMS with --from.".into()
            }
            Self::ChecksumsInvalid { .. } | Self::Unreadable(_) | Self::ChecksumMismatch { .. } => {
                "Make the image anew with `package`, or pull it again: what this node has is not what was made.".into()
            }
            Self::DirectoryMissing { directory } => format!(
                "Mount the volume of the plugin directory at {} in this container, or name another directory with --to.",
                directory.display()
            ),
            Self::NotADirectory { .. } => "Name the directory with --to, not a file in it.".into(),
            Self::ReadOnly { .. } => {
                "Leave readOnly out of this container's volumeMounts; the server's own mount may have it.".into()
            }
            Self::NoExec { .. } => {
                "Take a volume without the mount option noexec: an emptyDir has none, a persistent volume may get it from its storage class.".into()
            }
            Self::NotWritable { user, .. } => format!(
                "Set fsGroup in the pod's securityContext to a group of user {user}, or run this container as the directory's owner."
            ),
            Self::InsufficientSpace { .. } => {
                "Raise the volume's size (sizeLimit of an emptyDir), or carry fewer versions in the image.".into()
            }
            Self::FileConflict { path, .. } => format!(
                "It is whole and can be run, so it may be another build of the same version, which something runs: a version never changes \
                 its content. Give this build another version; or replace the file with --replace if nothing runs {}.",
                path.display()
            ),
            Self::NotARegularFile { path } => format!("Remove {}; a server takes no link for a plugin.", path.display()),
            Self::Deployment { source: LocalError::Io { source, .. }, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    "Raise the volume's size (sizeLimit of an emptyDir), or carry fewer versions in the image.".into()
                }
                io::ErrorKind::PermissionDenied => {
                    "Run this container as root to give files away with --owner, or as the owner himself without it.".into()
                }
                _ => "What was there is as it was: run this again when that is cured.".into(),
            },
            Self::Deployment { .. } => "What was there is as it was: run this again.".into(),
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

/// Whether the volume takes `needed_bytes` more, and lets them be run.
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

/// What has to be done so that `target` is this binary.
fn load_action(
    binary: &Binary,
    target: &Path,
    owner: Option<Owner>,
    existing: OverwritePolicy,
) -> Result<LoadAction, LoadError> {
    let path = || target.to_owned();
    let unread = |source| LoadError::Deployment {
        file: target.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        source: LocalError::Io { what: "read", path: path(), source },
    };
    let metadata = match fs::symlink_metadata(target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(LoadAction::Placed),
        Err(error) => return Err(unread(error)),
        Ok(metadata) if !metadata.is_file() => return Err(LoadError::NotARegularFile { path: path() }),
        Ok(metadata) => metadata,
    };
    let there = Binary::read(target, &mut |_, _| ()).map_err(LoadError::Unreadable)?;
    if there.sha256 == binary.sha256 {
        let is_owners = owner.is_none_or(|Owner { user, group }| {
            metadata.uid() == user && group.is_none_or(|group| metadata.gid() == group)
        });
        let fits = metadata.mode() & 0o7777 == BINARY_MODE && is_owners;
        return Ok(if fits { LoadAction::Kept } else { LoadAction::PermissionsFixed });
    }
    if there.size < binary.size && is_prefix_of(target, &binary.path).map_err(unread)? {
        return Ok(LoadAction::ReplacedTruncated);
    }
    match (&there.format, existing) {
        (Format::Other, _) => Ok(LoadAction::ReplacedNotExecutable),
        (Format::Elf(_), OverwritePolicy::Replace) => Ok(LoadAction::Overwritten),
        (Format::Elf(_), OverwritePolicy::Refuse) => {
            Err(LoadError::FileConflict { path: path(), there: there.sha256, wanted: binary.sha256.clone() })
        }
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
            let site = LocalDeployment::new(self.plugins.path());
            let loaded = BundledPlugins::read(self.image.path())?.load(&site, existing, &mut |_, _| ())?;
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
    fn a_version_is_placed_once_and_kept_afterwards() {
        let case = TestBundle::new();
        fs::write(case.plugins.path().join("custom-1.2.2"), "an older one").expect("written");
        assert_eq!(case.load(OverwritePolicy::Refuse).expect("loaded"), LoadAction::Placed);
        assert_eq!(fs::metadata(case.target()).expect("there").mode() & 0o7777, BINARY_MODE);
        assert_eq!(case.load(OverwritePolicy::Refuse).expect("loaded"), LoadAction::Kept);
        let carried = BundledPlugins::read(case.image.path()).expect("readable");
        assert_eq!(carried.unbundled_files(&LocalDeployment::new(case.plugins.path())), ["custom-1.2.2"]);
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
        assert!(error.hint().contains("--replace"), "{}", error.hint());
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
    fn an_image_that_is_not_what_its_sums_say_places_nothing() {
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
