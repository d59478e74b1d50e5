//! Parses the facts of a node: the output of `facts.sh`, or of this program where a node has no shell. One fact per line.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rollout::{
    Architecture, DirectoryState, Exposure, FileIssues, FilePrefix, NodeObserved, NotExecutable, PluginFile,
    Process, Readiness, decode_hex, parse_prefix,
};

use crate::exposure::{exposure_of_ancestor, exposure_of_directory};

/// The facts of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// User of the process that read the facts.
    pub(super) user: u32,
    /// User of the server, if its process was found.
    pub(super) server: Option<u32>,
    machine: Architecture,
    linker_present: bool,
    directory: DirectoryFacts,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum DirectoryFacts {
    Missing,
    NotADirectory,
    /// The server cannot read it.
    NotAccessible,
    Present(Box<DirectoryContents>),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct DirectoryContents {
    mode: u32,
    owner: u32,
    real: PathBuf,
    /// Its parent directories on the same volume, the nearest first.
    parents: Vec<ParentDirectory>,
    writable: bool,
    free_bytes: Option<u64>,
    mount: String,
    files: Vec<FileFacts>,
    processes: Vec<Process>,
    /// Dynamic linkers of the image.
    linkers: BTreeSet<PathBuf>,
    /// Files that are links, with their targets.
    links: BTreeMap<String, PathBuf>,
    /// Partial files of killed copies.
    partial_files: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct ParentDirectory {
    mode: u32,
    owner: u32,
    path: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct FileFacts {
    mode: u32,
    hash: ContentHash,
    /// What its first bytes show; `None` if they were not reported.
    prefix: Option<FilePrefix>,
    /// A key that changes with the content.
    cache_key: String,
    /// Time of the last change of content, name or mode, in seconds.
    changed: i64,
    name: String,
}

/// Output that is truncated, or of another program.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("unexpected line: {line:?}")]
pub(super) struct FactsParseError {
    line: String,
}

/// The reported checksum of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
enum ContentHash {
    Sha256(String),
    /// Unchanged since it was read under the same key.
    Cached,
    /// The file cannot be read.
    Unreadable,
}

/// Contents of files by their cache keys.
pub(super) type ContentCache = BTreeMap<String, Content>;

/// A content that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) sha256: String,
    pub(super) prefix: Option<FilePrefix>,
}

/// Which write permissions a server accepts on its plugins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriterPolicy {
    /// Those of the owner only.
    OwnerOnly,
    /// Any; it does not check them.
    Anybody,
}

/// Limit of a line that is quoted in an error.
const MAX_QUOTED_LINE: usize = 120;

/// Parses the facts of a node. Every line must be a known fact, and the end marker must be present.
pub(super) fn parse(text: &str) -> Result<Facts, FactsParseError> {
    let wrong = |line: &str| FactsParseError { line: line.chars().take(MAX_QUOTED_LINE).collect() };
    let body =
        text.strip_prefix("facts 1\n").ok_or_else(|| wrong(text.lines().next().unwrap_or_default()))?;
    let body = body.strip_suffix("end\n").ok_or_else(|| wrong(body.lines().last().unwrap_or_default()))?;
    let mut parser = FactsParser::default();
    for line in body.lines() {
        parser.parse_line(line).ok_or_else(|| wrong(line))?;
    }
    parser.finish().ok_or_else(|| wrong("end"))
}

#[derive(Default)]
struct FactsParser {
    user: Option<u32>,
    server: Option<u32>,
    machine: Option<Architecture>,
    linker: bool,
    directory: Option<DirectoryFacts>,
}

impl FactsParser {
    fn parse_line(&mut self, line: &str) -> Option<()> {
        let (key, rest) = line.split_once(' ').unwrap_or((line, ""));
        match key {
            "user" if self.user.is_none() => self.user = Some(rest.parse().ok()?),
            "machine" if self.machine.is_none() => self.machine = Some(parse_architecture(rest)),
            "linker" if rest.is_empty() => self.linker = true,
            // The server and its parent process: the first is the older.
            "server" => {
                let (pid, owner) = rest.split_once(' ')?;
                pid.parse::<u32>().ok()?;
                let owner = owner.parse().ok()?;
                self.server.get_or_insert(owner);
            }
            "nothing" if rest.is_empty() && self.directory.is_none() => {
                self.directory = Some(DirectoryFacts::Missing);
            }
            "no" if rest == "directory" && self.directory.is_none() => {
                self.directory = Some(DirectoryFacts::NotADirectory);
            }
            "closed" if rest.is_empty() && self.directory.is_none() => {
                self.directory = Some(DirectoryFacts::NotAccessible);
            }
            "directory" if self.directory.is_none() => {
                let ParentDirectory { mode, owner, path: real } = parse_directory(rest)?;
                let contents = DirectoryContents { mode, owner, real, ..DirectoryContents::default() };
                self.directory = Some(DirectoryFacts::Present(Box::new(contents)));
            }
            _ => self.parse_directory_line(key, rest)?,
        }
        Some(())
    }

    fn parse_directory_line(&mut self, key: &str, rest: &str) -> Option<()> {
        let Some(DirectoryFacts::Present(contents)) = &mut self.directory else { return None };
        match key {
            "writable" if rest.is_empty() => contents.writable = true,
            "free" => contents.free_bytes = Some(rest.parse::<u64>().ok()?.saturating_mul(1024)),
            "mount" => rest.clone_into(&mut contents.mount),
            "above" => contents.parents.push(parse_directory(rest)?),
            "file" => {
                let mut words = rest.split(' ');
                let mode = parse_mode(words.next()?)?;
                words.next()?.parse::<u32>().ok()?;
                let sum = match words.next()? {
                    "?" => ContentHash::Unreadable,
                    text => parse_sha256(text)?.map_or(ContentHash::Cached, ContentHash::Sha256),
                };
                let key = words.next()?.to_owned();
                let mut parts = key.splitn(4, ':').skip(2);
                let changed = parts.next()?.parse().ok()?;
                let name = safe_file_name(parts.next()?)?.to_owned();
                if words.next().is_some() {
                    return None;
                }
                contents.files.push(FileFacts {
                    mode,
                    hash: sum,
                    prefix: None,
                    cache_key: key,
                    changed,
                    name,
                });
            }
            // The first bytes of the file in the previous line.
            "start" => {
                let (name, bytes) = rest.split_once(' ').unwrap_or((rest, ""));
                let file =
                    contents.files.last_mut().filter(|file| file.name == name && file.prefix.is_none())?;
                file.prefix = Some(parse_prefix(&parse_hex_bytes(bytes)?));
            }
            "link" => {
                let (file, target) = rest.split_once(' ')?;
                let target = PathBuf::from(target);
                contents
                    .links
                    .insert(safe_file_name(file)?.to_owned(), target.is_absolute().then_some(target)?);
            }
            "part" => contents.partial_files.push(safe_file_name(rest)?.to_owned()),
            "has" => {
                let (directory, file) = rest.rsplit_once('/')?;
                safe_file_name(file)?;
                contents
                    .linkers
                    .insert(["/lib", "/lib64"].contains(&directory).then(|| PathBuf::from(rest))?);
            }
            "process" => {
                let mut words = rest.splitn(3, ' ');
                let pid = words.next()?.parse().ok()?;
                let sha256 = parse_sha256(words.next()?)?;
                let file = words.next()?;
                safe_file_name(file.strip_suffix(" (deleted)").unwrap_or(file))?;
                contents.processes.push(Process { pid, file: file.to_owned(), sha256 });
            }
            _ => return None,
        }
        Some(())
    }

    fn finish(self) -> Option<Facts> {
        let Self { user, server, machine, linker, directory } = self;
        Some(Facts { user: user?, server, machine: machine?, linker_present: linker, directory: directory? })
    }
}

impl Facts {
    /// Adds the reported contents to the cache, and fills in those that were not read again.
    pub(super) fn update_cache(&mut self, cache: &mut ContentCache) {
        let DirectoryFacts::Present(contents) = &mut self.directory else { return };
        for file in &mut contents.files {
            match (&file.hash, cache.get(&file.cache_key)) {
                (ContentHash::Sha256(sha256), _) => {
                    let content = Content { sha256: sha256.clone(), prefix: file.prefix.clone() };
                    cache.insert(file.cache_key.clone(), content);
                }
                (ContentHash::Cached, Some(content)) => {
                    file.hash = ContentHash::Sha256(content.sha256.clone());
                    file.prefix.clone_from(&content.prefix);
                }
                (ContentHash::Cached, None) | (ContentHash::Unreadable, _) => {}
            }
        }
    }

    /// Files that have not changed since that time.
    pub(super) fn unchanged_since(&self, second: i64) -> BTreeSet<String> {
        let DirectoryFacts::Present(contents) = &self.directory else { return BTreeSet::new() };
        let unchanged = contents.files.iter().filter(|file| file.changed <= second);
        unchanged.map(|file| file.name.clone()).collect()
    }

    /// Returns the first directory on the path from the root of the volume to the plugins that users other than root and the server's user can
    /// change. Directories above the volume are part of each container's image, and not shared.
    pub(super) fn exposed(&self) -> Option<(PathBuf, Exposure)> {
        let DirectoryFacts::Present(contents) = &self.directory else { return None };
        let trusted = [0, self.user, self.server.unwrap_or(contents.owner)];
        let parent = contents.parents.iter().rev().find_map(|parent| {
            Some((parent.path.clone(), exposure_of_ancestor(parent.mode, parent.owner, &trusted)?))
        });
        parent.or_else(|| {
            Some((contents.real.clone(), exposure_of_directory(contents.mode, contents.owner, &trusted)?))
        })
    }

    /// Converts the facts to a node without its server. `directory` is the one configured in the server; files are those that `is_version`
    /// accepts.
    pub(super) fn into_node(
        self,
        directory: &Path,
        needs_linker: bool,
        writers: WriterPolicy,
        is_version: impl Fn(&str) -> bool,
    ) -> NodeObserved {
        let state = self.directory_state(directory, writers);
        let contents = match self.directory {
            DirectoryFacts::Present(contents) => *contents,
            DirectoryFacts::Missing | DirectoryFacts::NotADirectory | DirectoryFacts::NotAccessible => {
                DirectoryContents::default()
            }
        };
        let sha256_of = |name: &str| {
            let file = contents.files.iter().find(|file| file.name == name);
            file.and_then(|file| file.sha256().map(str::to_owned))
        };
        let processes = contents.processes.iter().map(|process| Process {
            sha256: process.sha256.clone().or_else(|| sha256_of(&process.file)),
            ..process.clone()
        });
        let processes = processes.collect();
        let files: Vec<&FileFacts> = contents.files.iter().filter(|file| is_version(&file.name)).collect();
        let issues = contents.file_issues(&files, self.machine);
        let files = files.into_iter().map(|file| PluginFile {
            name: file.name.clone(),
            // Empty matches no required checksum.
            sha256: file.sha256().unwrap_or_default().to_owned(),
            mode: file.mode,
        });
        NodeObserved {
            readiness: Readiness::Ready,
            uid: None,
            helper_container: None,
            directory: state,
            architecture: self.machine,
            free_bytes: contents.free_bytes,
            interpreter_present: !needs_linker || self.linker_present,
            files: files.collect(),
            links: BTreeSet::new(),
            processes,
            file_issues: issues,
            server: None,
        }
    }

    fn directory_state(&self, directory: &Path, writers: WriterPolicy) -> DirectoryState {
        let contents = match &self.directory {
            DirectoryFacts::Missing => return DirectoryState::Missing,
            DirectoryFacts::NotADirectory => return DirectoryState::NotADirectory,
            DirectoryFacts::NotAccessible => return DirectoryState::NotAccessible,
            DirectoryFacts::Present(contents) => contents,
        };
        let has_option = |wanted: &str| contents.mount.split(',').any(|option| option == wanted);
        if contents.real != *directory {
            DirectoryState::Symlinked { target: contents.real.clone() }
        } else if has_option("ro") {
            DirectoryState::ReadOnly
        } else if has_option("noexec") {
            DirectoryState::NoExec
        } else if !contents.writable {
            DirectoryState::NotWritable
        } else if writers == WriterPolicy::OwnerOnly && contents.mode & 0o022 != 0 {
            DirectoryState::WorldWritable
        } else {
            DirectoryState::Usable
        }
    }
}

impl DirectoryContents {
    /// There are no orphans: the processes of a server end with its container.
    fn file_issues(&self, files: &[&FileFacts], machine: Architecture) -> FileIssues {
        let mut issues = FileIssues { partial_files: self.partial_files.clone(), ..FileIssues::default() };
        for file in files {
            if let Some(target) = self.links.get(&file.name) {
                issues.outside_links.insert(file.name.clone(), target.clone());
            }
            match &file.prefix {
                None => {
                    issues.unchecked.insert(file.name.clone());
                }
                Some(start) => {
                    let why = self.not_executable_reason(start, machine);
                    issues.not_executable.extend(why.map(|why| (file.name.clone(), why)));
                }
            }
        }
        issues
    }

    fn not_executable_reason(&self, start: &FilePrefix, node: Architecture) -> Option<NotExecutable> {
        match start {
            FilePrefix::Other => Some(NotExecutable::NotABinary),
            FilePrefix::Script => None,
            FilePrefix::Elf { architecture: machine, interpreter: _ } if *machine != node => {
                Some(NotExecutable::WrongArchitecture(*machine))
            }
            FilePrefix::Elf { architecture: _, interpreter } => {
                let linker = interpreter.as_ref()?;
                // Only these directories are reported.
                let is_reported =
                    ["/lib", "/lib64"].iter().any(|directory| linker.parent() == Some(Path::new(directory)));
                (is_reported && !self.linkers.contains(linker))
                    .then(|| NotExecutable::MissingInterpreter(linker.clone()))
            }
        }
    }
}

impl FileFacts {
    fn sha256(&self) -> Option<&str> {
        match &self.hash {
            ContentHash::Sha256(sha256) => Some(sha256),
            ContentHash::Cached | ContentHash::Unreadable => None,
        }
    }
}

/// Whether a text is a cache key of a file with this name.
pub(super) fn is_cache_key(text: &str, file: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    let is_number = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
    parts.len() == 4 && parts[..3].iter().all(is_number) && parts[3] == file
}

/// Parses hexadecimal bytes, separated by spaces.
fn parse_hex_bytes(text: &str) -> Option<Vec<u8>> {
    let byte = |word| match decode_hex(word)?[..] {
        [byte] => Some(byte),
        _ => None,
    };
    text.split_ascii_whitespace().map(byte).collect()
}

/// Parses the output of `uname -m`.
fn parse_architecture(text: &str) -> Architecture {
    match text {
        "x86_64" => Architecture::X86_64,
        "aarch64" => Architecture::Aarch64,
        "i386" | "i686" => Architecture::X86,
        _ if text.starts_with("arm") => Architecture::Arm,
        _ => Architecture::Other(0),
    }
}

/// Parses mode, owner and absolute path of a directory.
fn parse_directory(text: &str) -> Option<ParentDirectory> {
    let mut words = text.splitn(3, ' ');
    let mode = parse_mode(words.next()?)?;
    let owner = words.next()?.parse().ok()?;
    let path = PathBuf::from(words.next()?);
    Some(ParentDirectory { mode, owner, path: path.is_absolute().then_some(path)? })
}

fn parse_mode(text: &str) -> Option<u32> {
    u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777)
}

/// `None` if it is not a checksum; `Some(None)` if none is reported.
fn parse_sha256(text: &str) -> Option<Option<String>> {
    let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    match text {
        "-" => Some(None),
        _ => (text.len() == 64 && text.chars().all(is_hex)).then(|| Some(text.to_owned())),
    }
}

/// Accepts file names that need no quoting in a shell, and are not paths.
pub(super) fn safe_file_name(name: &str) -> Option<&str> {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    (!name.is_empty() && name.chars().all(is_safe) && name != "." && name != "..").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "75a50405f7bd45a9791842308f962f01dbda7a7c7f2d6738b47361a464c90615";

    fn output() -> String {
        format!(
            "facts 1\nuser 100\nmachine x86_64\nserver 7 100\nserver 8 0\ndirectory 2777 0 /vault/plugins\nwritable\n\
             free 1024\nmount rw,relatime\nfile 755 100 {SHA} 1:3:9:custom-1.0.0\nfile 755 100 - 2:3:9:other-tool\n\
             process 31 - custom-1.0.0\nprocess 32 {SHA} custom-0.9.0 (deleted)\nend\n"
        )
    }

    fn node(text: &str, writers: WriterPolicy) -> NodeObserved {
        let mut facts = parse(text).expect("facts");
        facts.update_cache(&mut ContentCache::new());
        facts.into_node(Path::new("/vault/plugins"), true, writers, |name| name.starts_with("custom-"))
    }

    #[test]
    fn the_facts_of_a_node_become_a_node() {
        let node = node(&output(), WriterPolicy::Anybody);
        assert_eq!(node.directory, DirectoryState::Usable);
        assert_eq!(node.architecture, Architecture::X86_64);
        assert_eq!(node.free_bytes, Some(1 << 20));
        assert!(!node.interpreter_present);
        assert_eq!(node.files, [PluginFile { name: "custom-1.0.0".into(), sha256: SHA.into(), mode: 0o755 }]);
        let of = |pid: u32, file: &str| Process { pid, file: file.into(), sha256: Some(SHA.into()) };
        assert_eq!(node.processes, [of(31, "custom-1.0.0"), of(32, "custom-0.9.0 (deleted)")]);
        assert_eq!(parse(&output()).expect("facts").server, Some(100));
    }

    #[test]
    fn the_state_of_the_directory_is_derived() {
        let with = |from: &str, to: &str| node(&output().replace(from, to), WriterPolicy::Anybody).directory;
        assert_eq!(with("rw,relatime", "ro,relatime"), DirectoryState::ReadOnly);
        assert_eq!(with("rw,relatime", "rw,noexec"), DirectoryState::NoExec);
        assert_eq!(with("writable\n", ""), DirectoryState::NotWritable);
        assert_eq!(
            with(" /vault/plugins", " /data/p"),
            DirectoryState::Symlinked { target: "/data/p".into() }
        );
        assert_eq!(node(&output(), WriterPolicy::OwnerOnly).directory, DirectoryState::WorldWritable);
        let without = |state: &str| format!("facts 1\nuser 0\nmachine aarch64\n{state}\nend\n");
        assert_eq!(node(&without("nothing"), WriterPolicy::Anybody).directory, DirectoryState::Missing);
        assert_eq!(
            node(&without("no directory"), WriterPolicy::Anybody).directory,
            DirectoryState::NotADirectory
        );
    }

    #[test]
    fn a_directory_of_the_volume_that_other_users_can_change_is_reported() {
        let exposed = |directory: &str, above: &str| {
            let text = output().replace("2777 0 /vault/plugins", directory);
            parse(&text.replace("mount rw", &format!("{above}mount rw"))).expect("facts").exposed()
        };
        let mode = |path: &str, mode| Some((PathBuf::from(path), Exposure::Mode { mode }));
        assert_eq!(exposed("755 0 /vault/plugins", ""), None);
        assert_eq!(exposed("755 100 /vault/plugins", ""), None);
        assert_eq!(exposed("777 0 /vault/plugins", ""), mode("/vault/plugins", 0o777));
        // As fsGroup sets it.
        assert_eq!(exposed("2775 0 /vault/plugins", ""), mode("/vault/plugins", 0o2775));
        let user = Some(("/vault/plugins".into(), Exposure::Owner { user: 7 }));
        assert_eq!(exposed("755 7 /vault/plugins", ""), user);
        let (safe, writable) = ("above 755 0 /vault\n", "above 777 0 /vault\n");
        assert_eq!(exposed("755 0 /vault/plugins", safe), None);
        assert_eq!(exposed("755 0 /vault/plugins", writable), mode("/vault", 0o777));
        assert_eq!(exposed("755 0 /vault/plugins", "above 1777 0 /vault\n"), None);
        assert_eq!(parse("facts 1\nuser 0\nmachine x86_64\nnothing\nend\n").expect("facts").exposed(), None);
    }

    #[test]
    fn a_deep_observation_finds_problems_of_files() {
        let with_line = |line: &str| output().replace("file 755 100 -", &format!("{line}\nfile 755 100 -"));
        let issues = |line: &str| node(&with_line(line), WriterPolicy::Anybody).file_issues;
        assert!(issues("part .custom-2.0.0.n1.vtp-part").partial_files.len() == 1);
        assert_eq!(issues("part .x-part").unchecked.len(), 1, "its first bytes were not reported");
        let not_executable =
            |bytes: &str| issues(&format!("start custom-1.0.0 {bytes}")).not_executable.into_values().next();
        assert_eq!(not_executable("3c 68 74 6d 6c"), Some(NotExecutable::NotABinary));
        assert_eq!(not_executable("23 21 2f 62"), None);
        let link = issues("link custom-1.0.0 /opt/with blank").outside_links;
        assert_eq!(link["custom-1.0.0"], Path::new("/opt/with blank"));
        let unreadable = output().replace(SHA, "?").replace("process 32 ?", "process 32 -");
        assert_eq!(node(&unreadable, WriterPolicy::Anybody).files[0].sha256, "");
        let closed = "facts 1\nuser 100\nmachine x86_64\nclosed\nend\n";
        assert_eq!(node(closed, WriterPolicy::Anybody).directory, DirectoryState::NotAccessible);
    }

    #[test]
    fn a_dynamic_linker_is_searched_in_the_usual_directories() {
        let linker = |path: &str| {
            let start =
                FilePrefix::Elf { architecture: Architecture::X86_64, interpreter: Some(path.into()) };
            let contents = DirectoryContents {
                linkers: ["/lib/ld-musl-x86_64.so.1".into()].into(),
                ..DirectoryContents::default()
            };
            contents.not_executable_reason(&start, Architecture::X86_64)
        };
        assert_eq!(linker("/lib/ld-musl-x86_64.so.1"), None);
        let glibc = "/lib64/ld-linux-x86-64.so.2";
        assert_eq!(linker(glibc), Some(NotExecutable::MissingInterpreter(glibc.into())));
        assert_eq!(linker("/nix/store/x/ld-linux-x86-64.so.2"), None, "other directories are not reported");
    }

    #[test]
    fn a_known_content_is_not_reported_again() {
        let mut known = ContentCache::new();
        parse(&output()).expect("facts").update_cache(&mut known);
        let content = Content { sha256: SHA.to_owned(), prefix: None };
        assert_eq!(known, ContentCache::from([("1:3:9:custom-1.0.0".to_owned(), content)]));
        let mut again = parse(&output().replace(&format!("{SHA} 1:"), "- 1:")).expect("facts");
        again.update_cache(&mut known);
        let node = again.into_node(Path::new("/vault/plugins"), false, WriterPolicy::Anybody, |_| true);
        assert_eq!(node.files[0].sha256, SHA);
        assert_eq!(node.files[1].sha256, "", "never reported, so it is unknown");
    }

    #[test]
    fn a_cache_key_is_valid_for_its_file_only() {
        assert!(is_cache_key("1:3:9:custom-1.0.0", "custom-1.0.0"));
        for other in
            ["", "1:3:9:other", "1:3:custom-1.0.0", "1:3:-9:custom-1.0.0", "1:3:9: 2:3:9:custom-1.0.0"]
        {
            assert!(!is_cache_key(other, "custom-1.0.0"), "{other}");
        }
    }

    #[test]
    fn files_changed_later_are_left_out() {
        let output = output().replace("2:3:9:other-tool", "2:3:10:other-tool");
        let unchanged = |second: i64| parse(&output).expect("facts").unchanged_since(second);
        assert_eq!(unchanged(8), BTreeSet::new());
        assert_eq!(unchanged(9), ["custom-1.0.0".to_owned()].into());
        assert_eq!(unchanged(10).len(), 2);
    }

    #[test]
    fn other_output_is_rejected() {
        let whole = output();
        let changed = |from: &str, to: &str| whole.replacen(from, to, 1);
        for text in [
            String::new(),
            "sh: not found\n".to_owned(),
            whole.trim_end_matches("end\n").to_owned(),
            format!("{whole}more\n"),
            format!("Welcome!\n{whole}"),
            changed("facts 1", "facts 2"),
            changed("user 100", "user -1"),
            changed("user 100\n", ""),
            changed("user 100\n", "user 100\nuser 0\n"),
            changed("machine x86_64\n", ""),
            changed("directory 2777 0 /vault/plugins", "directory 99 0 /vault/plugins"),
            changed("directory 2777 0 /vault/plugins", "directory 755 0 vault/plugins"),
            changed("directory 2777 0 /vault/plugins\n", ""),
            changed("mount rw", "nothing\nmount rw"),
            changed("1:3:9:custom-1.0.0", "1:3:9:../../bin/sh"),
            changed("1:3:9:custom-1.0.0", "1:3:9:a;reboot"),
            changed("1:3:9:custom-1.0.0", "custom-1.0.0"),
            changed("1:3:9:custom-1.0.0", "1:3:then:custom-1.0.0"),
            changed(SHA, "75A5"),
            changed("process 31", "process x"),
            changed("- custom-1.0.0\n", "- \u{1b}[2Jcustom-1.0.0\n"),
            "facts 1\nwritable\nend\n".to_owned(),
            changed("process 31", "start other 7f\nprocess 31"),
            changed("process 31", "start other-tool 7\nprocess 31"),
            changed("process 31", "start other-tool +7\nprocess 31"),
            changed("process 31", "has /etc/ld-x.so\nprocess 31"),
            changed("process 31", "above 755 0 vault\nprocess 31"),
            changed("process 31", "above 755 /vault\nprocess 31"),
            changed("process 31", "link custom-1.0.0 opt\nprocess 31"),
        ] {
            assert!(parse(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_error_quotes_no_escape_sequences() {
        let error = parse("\u{1b}[2J\u{7}boo\n").expect_err("not facts");
        assert_eq!(error.to_string(), "unexpected line: \"\\u{1b}[2J\\u{7}boo\"");
        assert!(parse(&"x".repeat(10_000)).expect_err("not facts").line.len() <= MAX_QUOTED_LINE);
    }
}
