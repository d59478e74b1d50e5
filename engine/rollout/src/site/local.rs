//! Site `local`: a directory of this machine.

pub(crate) mod closely;
mod digests;
pub(crate) mod environment;
mod exposure;
mod part;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use rustix::fs::{Access, StatVfsMountFlags};
use serde::Serialize;
use tokio::sync::mpsc::UnboundedSender;
use vault_api::Client;

use self::digests::Digests;
use self::part::{IsOurs, Part, PartError};
use super::held::HeldLease;
use super::pieces::Pieces;
use super::processes;
use super::{Copied, Look, MODE, Question, Site, SiteError, Unready};
use crate::binary::{Binary, Format, Linkage, Machine};
use crate::observed::PluginDirectory;
use crate::observed::site::{
    NodeName, NodeObserved, Oddities, PluginFile, Presence, Process, SiteObserved, SiteState,
};
use crate::version::Version;

/// A plugin directory of this machine.
#[derive(Clone, Debug)]
pub struct LocalSite {
    directory: PathBuf,
    owner: Option<Owner>,
    lasting: Lasting,
    neighbours: Neighbours,
    digests: Digests,
}

/// How long a directory is wanted.
#[derive(Clone, Copy, Debug)]
enum Lasting {
    /// After a power failure as well.
    Kept,
    /// As long as this process.
    Scratch,
}

/// Whether it matters who else can put files there.
#[derive(Clone, Copy, Debug)]
enum Neighbours {
    /// Nobody may but root and the server's user.
    Trusted,
    /// Whoever uses it knows.
    Ignored,
}

/// Whose a placed file is, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Owner {
    /// The user.
    pub user: u32,
    /// The group; that of whoever places it when there is none.
    pub group: Option<u32>,
}

/// Bytes copied at once; also how often progress is told.
const CHUNK: usize = 256 * 1024;

impl LocalSite {
    /// A site of this directory; nothing is looked at yet.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            owner: None,
            lasting: Lasting::Kept,
            neighbours: Neighbours::Trusted,
            digests: Digests::default(),
        }
    }

    /// A directory that goes with this process. What is placed there need not be on the disk before it is used.
    pub fn scratch(directory: impl Into<PathBuf>) -> Self {
        Self { lasting: Lasting::Scratch, ..Self::of_developer(directory) }
    }

    /// A directory of somebody who develops a plugin, whose own directories may well be open to a group.
    pub fn of_developer(directory: impl Into<PathBuf>) -> Self {
        Self { neighbours: Neighbours::Ignored, ..Self::new(directory) }
    }

    /// The same directory, in which files are placed for `owner` instead of for ourselves.
    #[must_use]
    pub fn owned_by(self, owner: Owner) -> Self {
        Self { owner: Some(owner), ..self }
    }

    /// Whose placed files are, unless they are ours.
    pub(crate) fn owner(&self) -> Option<Owner> {
        self.owner
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Looks at the directory. Blocks: it reads every file whose name is that of the plugin's versions.
    fn look(&self, question: &Question) -> Result<NodeObserved, SiteError> {
        let directory = self.state(&question.servers);
        let readable = !matches!(directory, SiteState::Missing | SiteState::NotADirectory);
        let files = if readable { self.files(question)? } else { Vec::new() };
        let oddities = match &question.look {
            Look::Closely { .. } if readable => closely::look(&self.directory, &files),
            Look::Closely { .. } | Look::Versions => Oddities::default(),
        };
        let free_bytes =
            rustix::fs::statvfs(&self.directory).ok().map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize));
        Ok(NodeObserved {
            presence: Presence::Ready,
            uid: None,
            beside: None,
            directory,
            machine: Machine::of_this_process(),
            free_bytes,
            interpreter_present: question.binary.as_ref().is_none_or(interpreter_present),
            processes: self.processes(&files),
            links: self.links(&files),
            files,
            oddities,
            vault: None,
        })
    }

    /// Copies a binary into the directory: under a temporary name, read back, renamed. Blocks.
    ///
    /// Killed in between, it leaves a file whose name begins with a dot, which the next run removes. `progress` is called with bytes done
    /// and bytes in all.
    ///
    /// # Errors
    /// Something of that name has another content, another run writes it, or the file system says no.
    pub fn place(
        &self,
        binary: &Binary,
        file: &str,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), SiteError> {
        let target = self.directory.join(file);
        match hash(&target) {
            Ok(there) if there != binary.sha256 => Err(SiteError::Taken { path: target }),
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(SiteError::Io { what: "read", path: target, source })
            }
            Ok(_) | Err(_) => self.replace(binary, file, progress),
        }
    }

    /// As [`LocalSite::place`], over whatever has that name: for what is known to be damaged.
    ///
    /// # Errors
    /// Another run writes the file, or the file system says no. What was there is still there then.
    pub(crate) fn replace(
        &self,
        binary: &Binary,
        file: &str,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), SiteError> {
        let target = self.directory.join(file);
        let of = |path: &Path, what| {
            let path = path.to_owned();
            move |source: std::io::Error| SiteError::Io { what, path, source }
        };
        let mut part = Part::create(&self.directory, file).map_err(|error| match error {
            PartError::Busy => SiteError::Busy { path: target.clone() },
            PartError::Io(source) => of(&target, "create a file for")(source),
        })?;
        let path = part.path.clone();
        let failed = |what| of(&path, what);
        let copied = match self.lasting {
            Lasting::Kept => copy(binary, &mut Pieces::of(&part.file), progress),
            Lasting::Scratch => copy(binary, &mut part.file, progress),
        };
        copied.and_then(|()| self.on_disk(&part.file)).map_err(failed("write"))?;
        part.file.set_permissions(fs::Permissions::from_mode(MODE)).map_err(failed("set the mode of"))?;
        let read_back = digests::Read::new(&mut part.file).map_err(failed("read back"))?;
        if read_back.sha256 != binary.sha256 {
            let wanted = binary.sha256.clone();
            return Err(SiteError::Corrupt { path, read_back: read_back.sha256, wanted });
        }
        if let Some(Owner { user, group }) = self.owner {
            std::os::unix::fs::fchown(&part.file, Some(user), group)
                .map_err(failed("change the owner of"))?;
        }
        let (out, is_ours) = part.rename(&target).map_err(failed("rename"))?;
        if is_ours == IsOurs::No {
            return Err(SiteError::Taken { path: target });
        }
        self.digests.renamed(&out, &read_back).map_err(failed("look at"))?;
        // The name lasts through a power failure only once the directory is on disk.
        File::open(&self.directory).and_then(|directory| self.on_disk(&directory)).map_err(failed("sync"))
    }

    fn on_disk(&self, file: &File) -> std::io::Result<()> {
        match self.lasting {
            Lasting::Kept => file.sync_all(),
            Lasting::Scratch => Ok(()),
        }
    }

    /// Hashing and copying files would hold up everything else on this thread.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(Self) -> Result<T, SiteError> + Send + 'static,
    ) -> Result<T, SiteError> {
        let site = self.clone();
        let working = tokio::task::spawn_blocking(move || work(site));
        working.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    fn state(&self, servers: &PluginDirectory) -> SiteState {
        let Ok(metadata) = fs::metadata(&self.directory) else { return SiteState::Missing };
        if !metadata.is_dir() {
            return SiteState::NotADirectory;
        }
        if let PluginDirectory::At(servers) = servers {
            let elsewhere = || SiteState::NotTheServers { servers: servers.clone() };
            let (Ok(real), Ok(ours)) = (fs::canonicalize(servers), fs::canonicalize(&self.directory)) else {
                return elsewhere();
            };
            if real != ours {
                return elsewhere();
            }
            if real != *servers {
                return SiteState::Symlinked { real };
            }
        }
        let mounted = rustix::fs::statvfs(&self.directory).map(|stat| stat.f_flag);
        let mounted = mounted.unwrap_or(StatVfsMountFlags::empty());
        if mounted.contains(StatVfsMountFlags::RDONLY) {
            return SiteState::ReadOnly;
        }
        if mounted.contains(StatVfsMountFlags::NOEXEC) {
            return SiteState::NoExec;
        }
        if rustix::fs::access(&self.directory, Access::WRITE_OK | Access::EXEC_OK).is_err() {
            return SiteState::NotWritable;
        }
        if metadata.permissions().mode() & 0o002 != 0 {
            return SiteState::WritableByEverybody;
        }
        let exposed = match (self.neighbours, fs::canonicalize(&self.directory)) {
            (Neighbours::Trusted, Ok(real)) => exposure::exposed(&real),
            (Neighbours::Ignored, _) | (_, Err(_)) => None,
        };
        match exposed {
            Some((directory, by)) => SiteState::Exposed { directory, by },
            None => SiteState::Usable,
        }
    }

    fn files(&self, question: &Question) -> Result<Vec<PluginFile>, SiteError> {
        let failed = |source| SiteError::Io { what: "list", path: self.directory.clone(), source };
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let path = entry.path();
            let is_asked_for = is_version_of(&name, question.plugin.as_deref()) || question.look.names(&name);
            if !is_asked_for || !path.is_file() {
                continue;
            }
            let unreadable = |source| SiteError::Io { what: "read", path: path.clone(), source };
            let mode = fs::metadata(&path).map_err(unreadable)?.permissions().mode() & 0o7777;
            let sha256 = self.digests.of(&path).map_err(unreadable)?;
            files.push(PluginFile { name, sha256, mode });
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }

    /// Those files that are links within the directory; one that leads out of it is started by no server.
    fn links(&self, files: &[PluginFile]) -> BTreeSet<String> {
        let Ok(directory) = fs::canonicalize(&self.directory) else { return BTreeSet::new() };
        let is_link = |file: &&PluginFile| {
            let path = directory.join(&file.name);
            path.is_symlink() && fs::canonicalize(&path).is_ok_and(|real| real.starts_with(&directory))
        };
        files.iter().filter(is_link).map(|file| file.name.clone()).collect()
    }

    /// What runs from the directory, as far as this user may see it. A file whose name still stands is what its processes run.
    fn processes(&self, files: &[PluginFile]) -> Vec<Process> {
        let Ok(directory) = fs::canonicalize(&self.directory) else { return Vec::new() };
        let linked: BTreeMap<PathBuf, String> = self
            .links(files)
            .into_iter()
            .filter_map(|file| Some((fs::canonicalize(directory.join(&file)).ok()?, file)))
            .collect();
        processes::all()
            .into_iter()
            .filter_map(|(pid, process)| {
                let link = process.join("exe");
                let executable = fs::read_link(&link).ok()?;
                let file = executable.strip_prefix(&directory).ok()?.to_str()?;
                let file = linked.get(&executable).map_or(file, String::as_str).to_owned();
                let known = files.iter().find(|known| known.name == file).map(|known| known.sha256.clone());
                Some(Process { pid, sha256: known.or_else(|| self.digests.of(&link).ok()), file })
            })
            .collect()
    }
}

#[async_trait]
impl Site for LocalSite {
    async fn find_active(&self) -> Result<(), SiteError> {
        Ok(())
    }

    async fn observe(&self, question: &Question) -> Result<SiteObserved, SiteError> {
        let question = question.clone();
        let node = self.aside(move |site| site.look(&question)).await?;
        Ok(SiteObserved::local(&self.directory, node))
    }

    async fn place(
        &self,
        binary: &Binary,
        file: &str,
        _nodes: &[NodeName],
        progress: UnboundedSender<Copied>,
    ) -> Result<(), SiteError> {
        let (binary, file) = (binary.clone(), file.to_owned());
        self.aside(move |site| {
            site.place(&binary, &file, &mut |done, total| {
                // Nobody has to listen.
                let _heard = progress.send(Copied { node: NodeName::local(), done, total });
            })
        })
        .await
    }

    async fn logs(&self) -> Result<BTreeMap<NodeName, Result<String, String>>, SiteError> {
        Err(SiteError::NotOffered { what: "show what the server logs" })
    }

    async fn take_away(&self, file: &str, _nodes: &[NodeName]) -> Result<(), SiteError> {
        let path = self.directory.join(file);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(SiteError::Io { what: "remove", path, source })
            }
            _ => Ok(()),
        }
    }

    async fn client_of(&self, _node: &NodeName) -> Result<Option<Client>, SiteError> {
        Ok(None)
    }

    async fn hold(&self) -> Result<HeldLease, SiteError> {
        Ok(HeldLease::needless())
    }

    async fn restart(&self, _node: &NodeName, _uid: &str, _unready: Unready) -> Result<(), SiteError> {
        Err(SiteError::NotOffered { what: "start its server anew" })
    }

    async fn prove_pull(&self, _image: &str) -> Result<Option<String>, SiteError> {
        Ok(None)
    }

    async fn persist(&self, _image: &str, _files: Option<&BTreeSet<String>>) -> Result<(), SiteError> {
        Err(SiteError::NotOffered { what: "be filled from an image" })
    }
}

/// `<name>-<semver>`; a name may hold dashes itself.
pub(super) fn is_version_of(file: &str, plugin: Option<&str>) -> bool {
    let is_bare = |text: &str| !text.starts_with('v') && text.parse::<Version>().is_ok();
    match plugin {
        Some(plugin) => {
            file.strip_prefix(plugin).and_then(|rest| rest.strip_prefix('-')).is_some_and(is_bare)
        }
        None => file_version(file).is_some(),
    }
}

/// Name and version of a file that is called `<name>-<semver>`.
pub fn file_version(file: &str) -> Option<(&str, Version)> {
    file.match_indices('-').filter(|(at, _)| *at > 0).find_map(|(at, _)| {
        let version = file[at + 1..].parse().ok().filter(|_| !file[at + 1..].starts_with('v'))?;
        Some((&file[..at], version))
    })
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

fn copy(binary: &Binary, out: &mut dyn Write, progress: &mut dyn FnMut(u64, u64)) -> std::io::Result<()> {
    let mut from = File::open(&binary.path)?;
    let mut chunk = vec![0; CHUNK];
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

pub(super) fn hash(path: &Path) -> std::io::Result<String> {
    crate::binary::hash(&mut File::open(path)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use rustix::fs::FlockOperation;

    use super::*;
    use crate::observed::CatalogEntry;
    use crate::site::Age;

    fn source(directory: &Path, content: &[u8]) -> Binary {
        let path = directory.join("source");
        fs::write(&path, content).expect("written");
        Binary::read(&path, &mut |_, _| ()).expect("readable")
    }

    #[test]
    fn a_binary_is_placed_and_nothing_else_is_left() {
        let (from, to) =
            (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        let binary = source(from.path(), &vec![7; CHUNK + 1]);
        let site = LocalSite::new(to.path());
        let mut told = Vec::new();
        fs::write(to.path().join(".custom-1.2.3.part"), "left by a run that was killed").expect("written");
        site.place(&binary, "custom-1.2.3", &mut |done, total| told.push((done, total))).expect("placed");
        assert_eq!(told.last(), Some(&(binary.size, binary.size)));
        let question = Question {
            servers: PluginDirectory::NotShown,
            plugin: Some("custom".into()),
            binary: None,
            look: Look::Versions,
            needed: None,
            age: Age::Now,
        };
        let observed = site.look(&question).expect("observed");
        assert_eq!(
            observed.files,
            [PluginFile { name: "custom-1.2.3".into(), sha256: binary.sha256, mode: MODE }]
        );
        assert_eq!(fs::read_dir(to.path()).expect("listed").count(), 1);
    }

    #[test]
    fn a_file_that_somebody_has_put_under_a_temporary_name_does_not_become_the_plugin() {
        let (from, to) =
            (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        let binary = source(from.path(), b"content");
        let planted = to.path().join(".custom-1.2.3.part");
        // Whoever holds it open, or owns it, could write to it later.
        fs::write(&planted, "").expect("written");
        let inode = |path: &Path| fs::metadata(path).expect("there").ino();
        let planted = inode(&planted);
        LocalSite::new(to.path()).place(&binary, "custom-1.2.3", &mut |_, _| ()).expect("placed");
        assert_ne!(inode(&to.path().join("custom-1.2.3")), planted);
        assert_eq!(fs::read_dir(to.path()).expect("listed").count(), 1);
    }

    #[test]
    fn another_run_that_places_the_same_file_is_left_alone_and_what_a_killed_one_has_left_is_removed() {
        let (from, to) =
            (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        let binary = source(from.path(), b"content");
        let place = || LocalSite::new(to.path()).place(&binary, "custom-1.2.3", &mut |_, _| ());
        let (own, other) =
            (to.path().join(".custom-1.2.3.0badcafe.part"), ".custom-1.2.3-rc.1.0badcafe.part");
        let running = File::create(&own).expect("created");
        rustix::fs::flock(&running, FlockOperation::NonBlockingLockExclusive).expect("locked");
        fs::write(to.path().join(other), "of another version").expect("written");
        assert!(matches!(place(), Err(SiteError::Busy { .. })));
        drop(running);
        place().expect("placed");
        let mut there: Vec<_> = fs::read_dir(to.path())
            .expect("listed")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
            .collect();
        there.sort();
        assert_eq!(there, [other, "custom-1.2.3"]);
    }

    #[test]
    fn an_existing_file_is_never_replaced_by_other_content() {
        let (from, to) =
            (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        let binary = source(from.path(), b"new");
        fs::write(to.path().join("custom-1.2.3"), "old").expect("written");
        let error = LocalSite::new(to.path()).place(&binary, "custom-1.2.3", &mut |_, _| ());
        assert!(matches!(error, Err(SiteError::Taken { .. })));
        assert_eq!(fs::read(to.path().join("custom-1.2.3")).expect("read"), b"old");
    }

    #[test]
    fn a_source_that_changed_since_it_was_hashed_is_not_placed() {
        let (from, to) =
            (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        let binary = source(from.path(), b"hashed");
        fs::write(&binary.path, "changed").expect("written");
        let error = LocalSite::new(to.path()).place(&binary, "custom-1.2.3", &mut |_, _| ());
        assert!(matches!(error, Err(SiteError::Corrupt { .. })));
        assert_eq!(fs::read_dir(to.path()).expect("listed").count(), 0);
    }

    #[test]
    fn a_link_that_the_server_has_made_is_neither_collected_nor_unknown() {
        use crate::decide::{plan, samples};
        use crate::goal::{Collect, Goal};
        use crate::site::Age;

        let base = tempfile::tempdir().expect("a directory");
        let directory = fs::canonicalize(base.path()).expect("a path");
        // As OpenBao keeps what it has taken out of an image.
        let cache = directory.join(".oci-cache/0badcafe");
        fs::create_dir_all(&cache).expect("made");
        for version in ["0.9.0", "1.0.0"] {
            let file = format!("custom-{version}");
            fs::write(cache.join(&file), "a plugin").expect("written");
            std::os::unix::fs::symlink(cache.join(&file), directory.join(&file)).expect("linked");
        }
        let site = LocalSite::new(&directory);
        let question = Question {
            servers: PluginDirectory::NotShown,
            plugin: None,
            binary: None,
            look: Look::Closely { files: BTreeSet::new() },
            needed: None,
            age: Age::Now,
        };
        let node = site.look(&question).expect("looked at");
        assert_eq!(node.files.len(), 2);
        assert!(node.oddities.links.is_empty() && node.oddities.leftovers.is_empty(), "{:?}", node.oddities);
        let mut observed = samples::server_with("1.0.0", "bb");
        let before = CatalogEntry { version: "v0.9.0".into(), ..observed.catalog[0].clone() };
        observed.site = Some(SiteObserved::local(&directory, node));
        for registered in [false, true] {
            if registered {
                observed.catalog.push(CatalogEntry { command: None, ..before.clone() });
            }
            let gc = Goal::Collect(Collect { name: None, keep: 0 });
            let made = plan(&observed, &gc).expect("a plan");
            assert_eq!(made.steps, Vec::new());
        }
    }

    #[test]
    fn file_names_tell_plugin_and_version() {
        for (file, plugin, is) in [
            ("custom-1.2.3", Some("custom"), true),
            ("custom-plugin-1.2.3-rc.1", Some("custom-plugin"), true),
            ("custom-plugin-1.2.3", Some("custom"), false),
            ("custom-v1.2.3", Some("custom"), false),
            ("custom", Some("custom"), false),
            ("custom-plugin-1.2.3", None, true),
            ("README", None, false),
        ] {
            assert_eq!(is_version_of(file, plugin), is, "{file} {plugin:?}");
        }
    }

    #[test]
    fn the_directory_must_be_the_servers_own() {
        let base = tempfile::tempdir().expect("a directory");
        let base = fs::canonicalize(base.path()).expect("a path");
        let (real, link) = (base.join("plugins"), base.join("link"));
        fs::create_dir(&real).expect("made");
        fs::set_permissions(&real, fs::Permissions::from_mode(0o755)).expect("set");
        std::os::unix::fs::symlink(&real, &link).expect("linked");
        let state = |site: &Path, servers: &Path| {
            LocalSite::new(site).state(&PluginDirectory::At(servers.to_owned()))
        };
        assert_eq!(state(&real, &real), SiteState::Usable);
        assert_eq!(state(&link, &real), SiteState::Usable);
        assert_eq!(state(&real, &link), SiteState::Symlinked { real: real.clone() });
        assert_eq!(state(&real, &base), SiteState::NotTheServers { servers: base.clone() });
        assert_eq!(state(&base.join("none"), &real), SiteState::Missing);
        fs::set_permissions(&real, fs::Permissions::from_mode(0o777)).expect("set");
        assert_eq!(state(&real, &real), SiteState::WritableByEverybody);
    }
}
