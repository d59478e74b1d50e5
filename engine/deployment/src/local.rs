//! The deployment of a server on this machine: one plugin directory.

mod digest_cache;
pub(crate) mod error;
mod exposure;
pub(crate) mod file_issues;
mod partial_file;
pub(crate) mod plugin_env;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use rollout::{
    Architecture, BINARY_MODE, Binary, CopyProgress, Deployment, DeploymentError, DeploymentObserved, Detail,
    DirectoryState, FileIssues, Format, LeaseLock, Linkage, NodeName, NodeObserved, PluginDirectory,
    PluginFile, Process, Query, Readiness, UnreadyPodPolicy, is_version_file_of,
};
use rustix::fs::{Access, StatVfsMountFlags};
use serde::Serialize;
use tokio::sync::mpsc::UnboundedSender;
use vault_api::Client;

use self::digest_cache::DigestCache;
use self::error::{LocalError, unsupported};
use self::partial_file::{PartialFile, PartialFileError, RenamedFile};
use crate::processes;
use crate::syncing_writer::SyncingWriter;

/// A plugin directory of this machine.
#[derive(Clone, Debug)]
pub struct LocalDeployment {
    directory: PathBuf,
    owner: Option<Owner>,
    persistence: Persistence,
    exposure_check: ExposureCheck,
    digest_cache: DigestCache,
}

/// Whether files must survive a power failure.
#[derive(Clone, Copy, Debug)]
enum Persistence {
    /// Yes: files and directory are synced.
    Durable,
    /// No: the directory is removed with this process.
    Scratch,
}

/// Whether users other than root and the server's user may have write access.
#[derive(Clone, Copy, Debug)]
enum ExposureCheck {
    /// They must not.
    Enforced,
    /// Not checked.
    Skipped,
}

/// Owner of the installed files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Owner {
    /// User id.
    pub user: u32,
    /// Group id; `None` for that of this process.
    pub group: Option<u32>,
}

/// Bytes copied at once, and between two progress reports.
const CHUNK_SIZE: usize = 256 * 1024;

impl LocalDeployment {
    /// A plugin directory of a server. Reads nothing yet.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            owner: None,
            persistence: Persistence::Durable,
            exposure_check: ExposureCheck::Enforced,
            digest_cache: DigestCache::default(),
        }
    }

    /// A directory that is removed with this process, so files are not synced.
    pub fn scratch(directory: impl Into<PathBuf>) -> Self {
        Self { persistence: Persistence::Scratch, ..Self::for_development(directory) }
    }

    /// A directory of a developer, which may be writable for a group.
    pub fn for_development(directory: impl Into<PathBuf>) -> Self {
        Self { exposure_check: ExposureCheck::Skipped, ..Self::new(directory) }
    }

    /// Sets the owner of installed files, instead of this user.
    #[must_use]
    pub fn owned_by(self, owner: Owner) -> Self {
        Self { owner: Some(owner), ..self }
    }

    /// Owner of installed files, if it is not this user.
    pub(crate) fn owner(&self) -> Option<Owner> {
        self.owner
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Observes the directory. Blocks: it reads every file that is named as a version.
    fn observe_node(&self, query: &Query) -> Result<NodeObserved, LocalError> {
        let directory = self.directory_state(&query.plugin_directory);
        let readable = !matches!(directory, DirectoryState::Missing | DirectoryState::NotADirectory);
        let files = if readable { self.files(query)? } else { Vec::new() };
        let file_issues = match &query.detail {
            Detail::Deep { .. } if readable => file_issues::find_file_issues(&self.directory, &files),
            Detail::Deep { .. } | Detail::Versions => FileIssues::default(),
        };
        let free_bytes =
            rustix::fs::statvfs(&self.directory).ok().map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize));
        Ok(NodeObserved {
            readiness: Readiness::Ready,
            uid: None,
            helper_container: None,
            directory,
            architecture: Architecture::host(),
            free_bytes,
            interpreter_present: query.binary.as_ref().is_none_or(interpreter_present),
            processes: self.processes(&files),
            links: self.links(&files),
            files,
            file_issues,
            server: None,
        })
    }

    /// Copies a binary into the directory: writes a temporary file, reads it back, and renames it. Blocks.
    ///
    /// If it is killed, a file whose name begins with a dot remains, which the next run removes. `progress` is called with the bytes copied and
    /// the total.
    ///
    /// # Errors
    /// If the file exists with a different content, another run writes it, or a file operation fails.
    pub fn copy(
        &self,
        binary: &Binary,
        file: &str,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), LocalError> {
        let target = self.directory.join(file);
        match sha256_of_file(&target) {
            Ok(existing) if existing != binary.sha256 => Err(LocalError::FileConflict { path: target }),
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(LocalError::Io { action: "read", path: target, source })
            }
            Ok(_) | Err(_) => self.replace(binary, file, progress),
        }
    }

    /// As [`LocalDeployment::copy`], but replaces an existing file, which is known to be damaged.
    ///
    /// # Errors
    /// If another run writes the file, or a file operation fails. The existing file is unchanged then.
    pub(crate) fn replace(
        &self,
        binary: &Binary,
        file: &str,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), LocalError> {
        let target = self.directory.join(file);
        let io_error = |path: &Path, action| {
            let path = path.to_owned();
            move |source: std::io::Error| LocalError::Io { action, path, source }
        };
        let mut part = PartialFile::create(&self.directory, file).map_err(|error| match error {
            PartialFileError::Busy => LocalError::Busy { path: target.clone() },
            PartialFileError::Io(source) => io_error(&target, "create a file for")(source),
        })?;
        let path = part.path.clone();
        let failed = |action| io_error(&path, action);
        let copied = match self.persistence {
            Persistence::Durable => copy_binary(binary, &mut SyncingWriter::new(&part.file), progress),
            Persistence::Scratch => copy_binary(binary, &mut part.file, progress),
        };
        copied.and_then(|()| self.sync(&part.file)).map_err(failed("write"))?;
        part.file
            .set_permissions(fs::Permissions::from_mode(BINARY_MODE))
            .map_err(failed("set the mode of"))?;
        let read_back = digest_cache::HashedFile::new(&mut part.file).map_err(failed("read back"))?;
        if read_back.sha256 != binary.sha256 {
            let expected = binary.sha256.clone();
            return Err(LocalError::Corrupt { path, found: read_back.sha256, expected });
        }
        if let Some(Owner { user, group }) = self.owner {
            std::os::unix::fs::fchown(&part.file, Some(user), group)
                .map_err(failed("change the owner of"))?;
        }
        let (renamed_file, outcome) = part.rename(&target).map_err(failed("rename"))?;
        if outcome == RenamedFile::Replaced {
            return Err(LocalError::FileConflict { path: target });
        }
        self.digest_cache
            .record_renamed(&renamed_file, &read_back)
            .map_err(failed("read the metadata of"))?;
        // Only a synced directory keeps the new name through a power failure.
        File::open(&self.directory).and_then(|directory| self.sync(&directory)).map_err(failed("sync"))
    }

    fn sync(&self, file: &File) -> std::io::Result<()> {
        match self.persistence {
            Persistence::Durable => file.sync_all(),
            Persistence::Scratch => Ok(()),
        }
    }

    /// Runs work that blocks outside the async runtime.
    async fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(Self) -> Result<T, LocalError> + Send + 'static,
    ) -> Result<T, LocalError> {
        let deployment = self.clone();
        let task = tokio::task::spawn_blocking(move || work(deployment));
        task.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    fn directory_state(&self, configured: &PluginDirectory) -> DirectoryState {
        let Ok(metadata) = fs::metadata(&self.directory) else { return DirectoryState::Missing };
        if !metadata.is_dir() {
            return DirectoryState::NotADirectory;
        }
        if let PluginDirectory::At(configured) = configured {
            let elsewhere = || DirectoryState::NotPluginDirectory { plugin_directory: configured.clone() };
            let (Ok(real), Ok(own)) = (fs::canonicalize(configured), fs::canonicalize(&self.directory))
            else {
                return elsewhere();
            };
            if real != own {
                return elsewhere();
            }
            if real != *configured {
                return DirectoryState::Symlinked { target: real };
            }
        }
        let mount_flags = rustix::fs::statvfs(&self.directory).map(|stat| stat.f_flag);
        let mount_flags = mount_flags.unwrap_or(StatVfsMountFlags::empty());
        if mount_flags.contains(StatVfsMountFlags::RDONLY) {
            return DirectoryState::ReadOnly;
        }
        if mount_flags.contains(StatVfsMountFlags::NOEXEC) {
            return DirectoryState::NoExec;
        }
        if rustix::fs::access(&self.directory, Access::WRITE_OK | Access::EXEC_OK).is_err() {
            return DirectoryState::NotWritable;
        }
        if metadata.permissions().mode() & 0o002 != 0 {
            return DirectoryState::WorldWritable;
        }
        let exposed = match (self.exposure_check, fs::canonicalize(&self.directory)) {
            (ExposureCheck::Enforced, Ok(real)) => exposure::find_exposure(&real),
            (ExposureCheck::Skipped, _) | (_, Err(_)) => None,
        };
        match exposed {
            Some((directory, by)) => DirectoryState::Exposed { directory, by },
            None => DirectoryState::Usable,
        }
    }

    fn files(&self, query: &Query) -> Result<Vec<PluginFile>, LocalError> {
        let failed = |source| LocalError::Io { action: "list", path: self.directory.clone(), source };
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let path = entry.path();
            let is_needed =
                is_version_file_of(&name, query.plugin.as_deref()) || query.detail.includes(&name);
            if !is_needed || !path.is_file() {
                continue;
            }
            let unreadable = |source| LocalError::Io { action: "read", path: path.clone(), source };
            let mode = fs::metadata(&path).map_err(unreadable)?.permissions().mode() & 0o7777;
            let sha256 = self.digest_cache.sha256_of(&path).map_err(unreadable)?;
            files.push(PluginFile { name, sha256, mode });
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }

    /// Files that are links within the directory. A server does not start a file that is a link out of it.
    fn links(&self, files: &[PluginFile]) -> BTreeSet<String> {
        let Ok(directory) = fs::canonicalize(&self.directory) else { return BTreeSet::new() };
        let is_link = |file: &&PluginFile| {
            let path = directory.join(&file.name);
            path.is_symlink() && fs::canonicalize(&path).is_ok_and(|real| real.starts_with(&directory))
        };
        files.iter().filter(is_link).map(|file| file.name.clone()).collect()
    }

    /// Processes that run from the directory, as far as this user can see them. As long as a file has its name, its processes run its content.
    fn processes(&self, files: &[PluginFile]) -> Vec<Process> {
        let Ok(directory) = fs::canonicalize(&self.directory) else { return Vec::new() };
        let linked: BTreeMap<PathBuf, String> = self
            .links(files)
            .into_iter()
            .filter_map(|file| Some((fs::canonicalize(directory.join(&file)).ok()?, file)))
            .collect();
        processes::list()
            .into_iter()
            .filter_map(|(pid, process)| {
                let link = process.join("exe");
                let executable = fs::read_link(&link).ok()?;
                let file = executable.strip_prefix(&directory).ok()?.to_str()?;
                let file = linked.get(&executable).map_or(file, String::as_str).to_owned();
                let known = files.iter().find(|known| known.name == file).map(|known| known.sha256.clone());
                Some(Process { pid, sha256: known.or_else(|| self.digest_cache.sha256_of(&link).ok()), file })
            })
            .collect()
    }
}

#[async_trait]
impl Deployment for LocalDeployment {
    async fn find_active(&self) -> Result<(), DeploymentError> {
        Ok(())
    }

    async fn observe(&self, query: &Query) -> Result<DeploymentObserved, DeploymentError> {
        let query = query.clone();
        let node = self.run_blocking(move |deployment| deployment.observe_node(&query)).await?;
        Ok(DeploymentObserved::local(&self.directory, node))
    }

    async fn copy(
        &self,
        binary: &Binary,
        file: &str,
        _nodes: &[NodeName],
        progress: UnboundedSender<CopyProgress>,
    ) -> Result<(), DeploymentError> {
        let (binary, file) = (binary.clone(), file.to_owned());
        let copied = self.run_blocking(move |deployment| {
            deployment.copy(&binary, &file, &mut |done, total| {
                // The receiver may have been dropped.
                let _received = progress.send(CopyProgress { node: NodeName::local(), done, total });
            })
        });
        Ok(copied.await?)
    }

    async fn logs(&self) -> Result<BTreeMap<NodeName, Result<String, String>>, DeploymentError> {
        Err(unsupported("reading the log of the server"))
    }

    async fn remove(&self, file: &str, _nodes: &[NodeName]) -> Result<(), DeploymentError> {
        let path = self.directory.join(file);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(LocalError::Io { action: "remove", path, source }.into())
            }
            _ => Ok(()),
        }
    }

    async fn node_client(&self, _node: &NodeName) -> Result<Option<Client>, DeploymentError> {
        Ok(None)
    }

    async fn acquire_lock(&self) -> Result<LeaseLock, DeploymentError> {
        Ok(LeaseLock::noop())
    }

    async fn restart_node(
        &self,
        _node: &NodeName,
        _uid: &str,
        _unready: UnreadyPodPolicy,
    ) -> Result<(), DeploymentError> {
        Err(unsupported("restarting the server"))
    }

    async fn verify_image_pull(&self, _image: &str) -> Result<Option<String>, DeploymentError> {
        Ok(None)
    }

    async fn set_init_image(
        &self,
        _image: &str,
        _files: Option<&BTreeSet<String>>,
    ) -> Result<(), DeploymentError> {
        Err(unsupported("filling the directory from an image"))
    }
}

fn interpreter_present(binary: &Binary) -> bool {
    match &binary.format {
        Format::Elf(elf) => match &elf.linkage {
            Linkage::Dynamic { interpreter } => interpreter.exists(),
            Linkage::Static => true,
        },
        Format::Other => true,
    }
}

fn copy_binary(
    binary: &Binary,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(u64, u64),
) -> std::io::Result<()> {
    let mut from = File::open(&binary.path)?;
    let mut chunk = vec![0; CHUNK_SIZE];
    let mut done = 0;
    loop {
        let read = from.read(&mut chunk)?;
        if read == 0 {
            return Ok(());
        }
        out.write_all(&chunk[..read])?;
        done += read as u64;
        progress(done, binary.size);
    }
}

pub(super) fn sha256_of_file(path: &Path) -> std::io::Result<String> {
    rollout::sha256_of_reader(&mut File::open(path)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use rustix::fs::FlockOperation;

    use super::*;
    use rollout::Freshness;

    fn source_binary(directory: &Path, content: &[u8]) -> Binary {
        let path = directory.join("source");
        fs::write(&path, content).expect("written");
        Binary::read(&path, &mut |_, _| ()).expect("readable")
    }

    #[test]
    fn a_binary_is_copied_and_nothing_else_is_left() {
        let (from, to) =
            (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        let binary = source_binary(from.path(), &vec![7; CHUNK_SIZE + 1]);
        let deployment = LocalDeployment::new(to.path());
        let mut reported = Vec::new();
        fs::write(to.path().join(".custom-1.2.3.part"), "left by a killed run").expect("written");
        deployment
            .copy(&binary, "custom-1.2.3", &mut |done, total| reported.push((done, total)))
            .expect("copied");
        assert_eq!(reported.last(), Some(&(binary.size, binary.size)));
        let query = Query {
            plugin_directory: PluginDirectory::NotVisible,
            namespaces: BTreeSet::new(),
            plugin: Some("custom".into()),
            binary: None,
            detail: Detail::Versions,
            needed_files: None,
            freshness: Freshness::Now,
        };
        let observed = deployment.observe_node(&query).expect("observed");
        assert_eq!(
            observed.files,
            [PluginFile { name: "custom-1.2.3".into(), sha256: binary.sha256, mode: BINARY_MODE }]
        );
        assert_eq!(fs::read_dir(to.path()).expect("listed").count(), 1);
    }

    #[test]
    fn a_file_that_somebody_has_put_under_a_temporary_name_does_not_become_the_plugin() {
        let (from, to) =
            (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        let binary = source_binary(from.path(), b"content");
        let planted = to.path().join(".custom-1.2.3.part");
        // Its owner, or a process that has it open, could write to it later.
        fs::write(&planted, "").expect("written");
        let inode = |path: &Path| fs::metadata(path).expect("there").ino();
        let planted = inode(&planted);
        LocalDeployment::new(to.path()).copy(&binary, "custom-1.2.3", &mut |_, _| ()).expect("copied");
        assert_ne!(inode(&to.path().join("custom-1.2.3")), planted);
        assert_eq!(fs::read_dir(to.path()).expect("listed").count(), 1);
    }

    #[test]
    fn another_run_that_copies_the_same_file_is_left_alone_and_what_a_killed_one_has_left_is_removed() {
        let (from, to) =
            (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        let binary = source_binary(from.path(), b"content");
        let copy = || LocalDeployment::new(to.path()).copy(&binary, "custom-1.2.3", &mut |_, _| ());
        let (own, other) =
            (to.path().join(".custom-1.2.3.0badcafe.part"), ".custom-1.2.3-rc.1.0badcafe.part");
        let running = File::create(&own).expect("created");
        rustix::fs::flock(&running, FlockOperation::NonBlockingLockExclusive).expect("locked");
        fs::write(to.path().join(other), "of another version").expect("written");
        assert!(matches!(copy(), Err(LocalError::Busy { .. })));
        drop(running);
        copy().expect("copied");
        let mut files: Vec<_> = fs::read_dir(to.path())
            .expect("listed")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
            .collect();
        files.sort();
        assert_eq!(files, [other, "custom-1.2.3"]);
    }

    #[test]
    fn an_existing_file_is_never_replaced_by_other_content() {
        let (from, to) =
            (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        let binary = source_binary(from.path(), b"new");
        fs::write(to.path().join("custom-1.2.3"), "old").expect("written");
        let error = LocalDeployment::new(to.path()).copy(&binary, "custom-1.2.3", &mut |_, _| ());
        assert!(matches!(error, Err(LocalError::FileConflict { .. })));
        assert_eq!(fs::read(to.path().join("custom-1.2.3")).expect("read"), b"old");
    }

    #[test]
    fn a_source_that_changed_since_it_was_hashed_is_not_copied() {
        let (from, to) =
            (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        let binary = source_binary(from.path(), b"hashed");
        fs::write(&binary.path, "changed").expect("written");
        let error = LocalDeployment::new(to.path()).copy(&binary, "custom-1.2.3", &mut |_, _| ());
        assert!(matches!(error, Err(LocalError::Corrupt { .. })));
        assert_eq!(fs::read_dir(to.path()).expect("listed").count(), 0);
    }

    #[test]
    fn a_link_that_the_server_has_made_is_seen_as_a_link_and_as_no_leftover() {
        let base = tempfile::tempdir().expect("a directory");
        let directory = fs::canonicalize(base.path()).expect("a path");
        // As OpenBao keeps what it has extracted from an image.
        let cache = directory.join(".oci-cache/0badcafe");
        fs::create_dir_all(&cache).expect("made");
        let names = ["custom-0.9.0", "custom-1.0.0"];
        for file in names {
            fs::write(cache.join(file), "a plugin").expect("written");
            std::os::unix::fs::symlink(cache.join(file), directory.join(file)).expect("linked");
        }
        let query = Query {
            plugin_directory: PluginDirectory::NotVisible,
            namespaces: BTreeSet::new(),
            plugin: None,
            binary: None,
            detail: Detail::Deep { files: BTreeSet::new() },
            needed_files: None,
            freshness: Freshness::Now,
        };
        let node = LocalDeployment::new(&directory).observe_node(&query).expect("observed");
        assert_eq!(node.files.len(), 2);
        assert_eq!(node.links, names.map(str::to_owned).into());
        assert!(
            node.file_issues.outside_links.is_empty() && node.file_issues.partial_files.is_empty(),
            "{:?}",
            node.file_issues
        );
    }

    #[test]
    fn the_directory_must_be_the_servers_own() {
        let base = tempfile::tempdir().expect("a directory");
        let base = fs::canonicalize(base.path()).expect("a path");
        let (real, link) = (base.join("plugins"), base.join("link"));
        fs::create_dir(&real).expect("made");
        fs::set_permissions(&real, fs::Permissions::from_mode(0o755)).expect("set");
        std::os::unix::fs::symlink(&real, &link).expect("linked");
        let state = |directory: &Path, configured: &Path| {
            LocalDeployment::new(directory).directory_state(&PluginDirectory::At(configured.to_owned()))
        };
        assert_eq!(state(&real, &real), DirectoryState::Usable);
        assert_eq!(state(&link, &real), DirectoryState::Usable);
        assert_eq!(state(&real, &link), DirectoryState::Symlinked { target: real.clone() });
        assert_eq!(
            state(&real, &base),
            DirectoryState::NotPluginDirectory { plugin_directory: base.clone() }
        );
        assert_eq!(state(&base.join("none"), &real), DirectoryState::Missing);
        fs::set_permissions(&real, fs::Permissions::from_mode(0o777)).expect("set");
        assert_eq!(state(&real, &real), DirectoryState::WorldWritable);
    }
}
