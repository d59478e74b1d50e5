//! What a node says of itself, a line each: the answer of `facts.sh`, and of this program where a node has no shell.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::binary::{Architecture, FilePrefix, parse_prefix};
use crate::digest::decode_hex;
use crate::observed::deployment::{
    DirectoryState, Exposure, FileIssues, NodeObserved, NotExecutable, PluginFile, Process, Readiness,
};

/// What a node says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// Who asks there.
    pub(super) user: u32,
    /// As whom the server runs, where it was found.
    pub(super) server: Option<u32>,
    machine: Architecture,
    linker_present: bool,
    directory: DirectoryFacts,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum DirectoryFacts {
    Missing,
    NotADirectory,
    /// The server may not look into it.
    NotAccessible,
    Present(Box<DirectoryContents>),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct DirectoryContents {
    mode: u32,
    owner: u32,
    real: PathBuf,
    /// The directories of its volume that lead to it, the nearest first.
    above: Vec<Above>,
    writable: bool,
    free_bytes: Option<u64>,
    mount: String,
    files: Vec<FileFacts>,
    processes: Vec<Process>,
    /// Dynamic linkers of the image.
    linkers: BTreeSet<PathBuf>,
    /// Files that lie elsewhere.
    links: BTreeMap<String, PathBuf>,
    /// Copies that were cut.
    leftovers: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Above {
    mode: u32,
    owner: u32,
    path: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct FileFacts {
    mode: u32,
    hash: ContentHash,
    /// What its first bytes tell; `None` when nobody said them.
    prefix: Option<FilePrefix>,
    /// What cannot stay the same when the content changes.
    cache_key: String,
    /// When that was, or its name, its place or its mode: in seconds.
    changed: i64,
    name: String,
}

/// An answer that is none: cut off, or of something else.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("this was not understood: {line:?}")]
pub(super) struct FactsParseError {
    line: String,
}

/// What is said of a content.
#[derive(Clone, Debug, PartialEq, Eq)]
enum ContentHash {
    Sha256(String),
    /// It is what was known of its key.
    Cached,
    /// It cannot be read.
    Unreadable,
}

/// Contents of files by what cannot stay the same when they change.
pub(super) type ContentCache = BTreeMap<String, Content>;

/// A content that was told once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) sha256: String,
    pub(super) prefix: Option<FilePrefix>,
}

/// Whom a server allows to write to its plugins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriterPolicy {
    /// It looks at permissions, and accepts none for the group and for others.
    OwnerOnly,
    /// It does not look.
    Anybody,
}

/// Enough of a wrong line to know where it comes from.
const MAX_QUOTED_LINE: usize = 120;

/// Reads an answer. Every line has to be one that is known, and the last has to be there.
pub(super) fn parse(text: &str) -> Result<Facts, FactsParseError> {
    let wrong = |line: &str| FactsParseError { line: line.chars().take(MAX_QUOTED_LINE).collect() };
    let body =
        text.strip_prefix("facts 1\n").ok_or_else(|| wrong(text.lines().next().unwrap_or_default()))?;
    let body = body.strip_suffix("end\n").ok_or_else(|| wrong(body.lines().last().unwrap_or_default()))?;
    let mut reader = FactsParser::default();
    for line in body.lines() {
        reader.parse_line(line).ok_or_else(|| wrong(line))?;
    }
    reader.finish().ok_or_else(|| wrong("end"))
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
            // Its process, and the process that waits for it: the first is the older.
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
                let Above { mode, owner, path: real } = directory(rest)?;
                let there = DirectoryContents { mode, owner, real, ..DirectoryContents::default() };
                self.directory = Some(DirectoryFacts::Present(Box::new(there)));
            }
            _ => self.parse_directory_line(key, rest)?,
        }
        Some(())
    }

    fn parse_directory_line(&mut self, key: &str, rest: &str) -> Option<()> {
        let Some(DirectoryFacts::Present(there)) = &mut self.directory else { return None };
        match key {
            "writable" if rest.is_empty() => there.writable = true,
            "free" => there.free_bytes = Some(rest.parse::<u64>().ok()?.saturating_mul(1024)),
            "mount" => rest.clone_into(&mut there.mount),
            "above" => there.above.push(directory(rest)?),
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
                there.files.push(FileFacts { mode, hash: sum, prefix: None, cache_key: key, changed, name });
            }
            // Of the file before.
            "start" => {
                let (name, bytes) = rest.split_once(' ').unwrap_or((rest, ""));
                let file =
                    there.files.last_mut().filter(|file| file.name == name && file.prefix.is_none())?;
                file.prefix = Some(parse_prefix(&parse_hex_bytes(bytes)?));
            }
            "link" => {
                let (file, target) = rest.split_once(' ')?;
                let target = PathBuf::from(target);
                there.links.insert(safe_file_name(file)?.to_owned(), target.is_absolute().then_some(target)?);
            }
            "part" => there.leftovers.push(safe_file_name(rest)?.to_owned()),
            "has" => {
                let (folder, file) = rest.rsplit_once('/')?;
                safe_file_name(file)?;
                there.linkers.insert(["/lib", "/lib64"].contains(&folder).then(|| PathBuf::from(rest))?);
            }
            "process" => {
                let mut words = rest.splitn(3, ' ');
                let pid = words.next()?.parse().ok()?;
                let sha256 = parse_sha256(words.next()?)?;
                let file = words.next()?;
                safe_file_name(file.strip_suffix(" (deleted)").unwrap_or(file))?;
                there.processes.push(Process { pid, file: file.to_owned(), sha256 });
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
    /// Remembers the contents that were told, and fills in those that were known.
    pub(super) fn update_cache(&mut self, known: &mut ContentCache) {
        let DirectoryFacts::Present(there) = &mut self.directory else { return };
        for file in &mut there.files {
            match (&file.hash, known.get(&file.cache_key)) {
                (ContentHash::Sha256(sha256), _) => {
                    let content = Content { sha256: sha256.clone(), prefix: file.prefix.clone() };
                    known.insert(file.cache_key.clone(), content);
                }
                (ContentHash::Cached, Some(content)) => {
                    file.hash = ContentHash::Sha256(content.sha256.clone());
                    file.prefix.clone_from(&content.prefix);
                }
                (ContentHash::Cached, None) | (ContentHash::Unreadable, _) => {}
            }
        }
    }

    /// Files that are as they were at that second.
    pub(super) fn unchanged_since(&self, second: i64) -> BTreeSet<String> {
        let DirectoryFacts::Present(there) = &self.directory else { return BTreeSet::new() };
        let older = there.files.iter().filter(|file| file.changed <= second);
        older.map(|file| file.name.clone()).collect()
    }

    /// The first directory on the way from the root of the volume to the plugins that others than root and the server's user can change.
    /// What leads to the volume is in the image of each container, and not shared.
    pub(super) fn exposed(&self) -> Option<(PathBuf, Exposure)> {
        let DirectoryFacts::Present(there) = &self.directory else { return None };
        let trusted = [0, self.user, self.server.unwrap_or(there.owner)];
        let above = there.above.iter().rev().find_map(|above| {
            Some((above.path.clone(), Exposure::of_ancestor(above.mode, above.owner, &trusted)?))
        });
        above.or_else(|| {
            Some((there.real.clone(), Exposure::of_directory(there.mode, there.owner, &trusted)?))
        })
    }

    /// The node without its server. `directory` is the server's own; files are those of which `is_version` holds.
    pub(super) fn into_node(
        self,
        directory: &Path,
        needs_linker: bool,
        writers: WriterPolicy,
        is_version: impl Fn(&str) -> bool,
    ) -> NodeObserved {
        let state = self.directory_state(directory, writers);
        let there = match self.directory {
            DirectoryFacts::Present(there) => *there,
            DirectoryFacts::Missing | DirectoryFacts::NotADirectory | DirectoryFacts::NotAccessible => {
                DirectoryContents::default()
            }
        };
        let known = |name: &str| {
            let file = there.files.iter().find(|file| file.name == name);
            file.and_then(|file| file.sha256().map(str::to_owned))
        };
        let processes = there.processes.iter().map(|process| Process {
            sha256: process.sha256.clone().or_else(|| known(&process.file)),
            ..process.clone()
        });
        let processes = processes.collect();
        let files: Vec<&FileFacts> = there.files.iter().filter(|file| is_version(&file.name)).collect();
        let oddities = there.file_issues(&files, self.machine);
        let files = files.into_iter().map(|file| PluginFile {
            name: file.name.clone(),
            // What cannot be read is not what is wanted, whatever it is.
            sha256: file.sha256().unwrap_or_default().to_owned(),
            mode: file.mode,
        });
        NodeObserved {
            readiness: Readiness::Ready,
            uid: None,
            helper_container: None,
            directory: state,
            architecture: self.machine,
            free_bytes: there.free_bytes,
            interpreter_present: !needs_linker || self.linker_present,
            files: files.collect(),
            links: BTreeSet::new(),
            processes,
            file_issues: oddities,
            server: None,
        }
    }

    fn directory_state(&self, directory: &Path, writers: WriterPolicy) -> DirectoryState {
        let there = match &self.directory {
            DirectoryFacts::Missing => return DirectoryState::Missing,
            DirectoryFacts::NotADirectory => return DirectoryState::NotADirectory,
            DirectoryFacts::NotAccessible => return DirectoryState::NotAccessible,
            DirectoryFacts::Present(there) => there,
        };
        let has = |wanted: &str| there.mount.split(',').any(|option| option == wanted);
        if there.real != *directory {
            DirectoryState::Symlinked { target: there.real.clone() }
        } else if has("ro") {
            DirectoryState::ReadOnly
        } else if has("noexec") {
            DirectoryState::NoExec
        } else if !there.writable {
            DirectoryState::NotWritable
        } else if writers == WriterPolicy::OwnerOnly && there.mode & 0o022 != 0 {
            DirectoryState::WorldWritable
        } else {
            DirectoryState::Usable
        }
    }
}

impl DirectoryContents {
    /// A process that its server has left behind does not outlive the container, so there is none.
    fn file_issues(&self, files: &[&FileFacts], machine: Architecture) -> FileIssues {
        let mut oddities = FileIssues { partial_files: self.leftovers.clone(), ..FileIssues::default() };
        for file in files {
            if let Some(target) = self.links.get(&file.name) {
                oddities.outside_links.insert(file.name.clone(), target.clone());
            }
            match &file.prefix {
                None => {
                    oddities.unchecked.insert(file.name.clone());
                }
                Some(start) => {
                    let why = self.not_executable_reason(start, machine);
                    oddities.not_executable.extend(why.map(|why| (file.name.clone(), why)));
                }
            }
        }
        oddities
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
                // Others than these are not looked for.
                let usual =
                    ["/lib", "/lib64"].iter().any(|folder| linker.parent() == Some(Path::new(folder)));
                (usual && !self.linkers.contains(linker))
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

/// Whether it is what is said of a file of that name, so that it cannot stay the same when the content changes.
pub(super) fn is_cache_key(text: &str, file: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    let is_number = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
    parts.len() == 4 && parts[..3].iter().all(is_number) && parts[3] == file
}

/// Bytes with a blank between each two.
fn parse_hex_bytes(text: &str) -> Option<Vec<u8>> {
    let byte = |word| match decode_hex(word)?[..] {
        [byte] => Some(byte),
        _ => None,
    };
    text.split_ascii_whitespace().map(byte).collect()
}

/// The words of `uname -m`.
fn parse_architecture(text: &str) -> Architecture {
    match text {
        "x86_64" => Architecture::X86_64,
        "aarch64" => Architecture::Aarch64,
        "i386" | "i686" => Architecture::X86,
        _ if text.starts_with("arm") => Architecture::Arm,
        _ => Architecture::Other(0),
    }
}

/// Mode, owner and absolute path of a directory.
fn directory(text: &str) -> Option<Above> {
    let mut words = text.splitn(3, ' ');
    let mode = parse_mode(words.next()?)?;
    let owner = words.next()?.parse().ok()?;
    let path = PathBuf::from(words.next()?);
    Some(Above { mode, owner, path: path.is_absolute().then_some(path)? })
}

fn parse_mode(text: &str) -> Option<u32> {
    u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777)
}

/// `None` when it is no checksum; `Some(None)` when none is said.
fn parse_sha256(text: &str) -> Option<Option<String>> {
    let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    match text {
        "-" => Some(None),
        _ => (text.len() == 64 && text.chars().all(is_hex)).then(|| Some(text.to_owned())),
    }
}

/// A name that means nothing to a shell and leads nowhere else.
pub(super) fn safe_file_name(name: &str) -> Option<&str> {
    let fine = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    (!name.is_empty() && name.chars().all(fine) && name != "." && name != "..").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "75a50405f7bd45a9791842308f962f01dbda7a7c7f2d6738b47361a464c90615";

    fn answer() -> String {
        format!(
            "facts 1\nuser 100\nmachine x86_64\nserver 7 100\nserver 8 0\ndirectory 2777 0 /vault/plugins\nwritable\n\
             free 1024\nmount rw,relatime\nfile 755 100 {SHA} 1:3:9:custom-1.0.0\nfile 755 100 - 2:3:9:other-tool\n\
             process 31 - custom-1.0.0\nprocess 32 {SHA} custom-0.9.0 (deleted)\nend\n"
        )
    }

    fn node(text: &str, writers: WriterPolicy) -> NodeObserved {
        let mut facts = parse(text).expect("an answer");
        facts.update_cache(&mut ContentCache::new());
        facts.into_node(Path::new("/vault/plugins"), true, writers, |name| name.starts_with("custom-"))
    }

    #[test]
    fn an_answer_is_a_node() {
        let node = node(&answer(), WriterPolicy::Anybody);
        assert_eq!(node.directory, DirectoryState::Usable);
        assert_eq!(node.architecture, Architecture::X86_64);
        assert_eq!(node.free_bytes, Some(1 << 20));
        assert!(!node.interpreter_present);
        assert_eq!(node.files, [PluginFile { name: "custom-1.0.0".into(), sha256: SHA.into(), mode: 0o755 }]);
        let of = |pid: u32, file: &str| Process { pid, file: file.into(), sha256: Some(SHA.into()) };
        assert_eq!(node.processes, [of(31, "custom-1.0.0"), of(32, "custom-0.9.0 (deleted)")]);
        assert_eq!(parse(&answer()).expect("an answer").server, Some(100));
    }

    #[test]
    fn what_a_directory_is() {
        let with = |from: &str, to: &str| node(&answer().replace(from, to), WriterPolicy::Anybody).directory;
        assert_eq!(with("rw,relatime", "ro,relatime"), DirectoryState::ReadOnly);
        assert_eq!(with("rw,relatime", "rw,noexec"), DirectoryState::NoExec);
        assert_eq!(with("writable\n", ""), DirectoryState::NotWritable);
        assert_eq!(
            with(" /vault/plugins", " /data/p"),
            DirectoryState::Symlinked { target: "/data/p".into() }
        );
        assert_eq!(node(&answer(), WriterPolicy::OwnerOnly).directory, DirectoryState::WorldWritable);
        let without = |state: &str| format!("facts 1\nuser 0\nmachine aarch64\n{state}\nend\n");
        assert_eq!(node(&without("nothing"), WriterPolicy::Anybody).directory, DirectoryState::Missing);
        assert_eq!(
            node(&without("no directory"), WriterPolicy::Anybody).directory,
            DirectoryState::NotADirectory
        );
    }

    #[test]
    fn a_directory_of_the_volume_that_others_can_change_is_seen() {
        let exposed = |directory: &str, above: &str| {
            let text = answer().replace("2777 0 /vault/plugins", directory);
            parse(&text.replace("mount rw", &format!("{above}mount rw"))).expect("an answer").exposed()
        };
        let mode = |path: &str, mode| Some((PathBuf::from(path), Exposure::Mode { mode }));
        assert_eq!(exposed("755 0 /vault/plugins", ""), None);
        assert_eq!(exposed("755 100 /vault/plugins", ""), None);
        assert_eq!(exposed("777 0 /vault/plugins", ""), mode("/vault/plugins", 0o777));
        // As fsGroup leaves it.
        assert_eq!(exposed("2775 0 /vault/plugins", ""), mode("/vault/plugins", 0o2775));
        let user = Some(("/vault/plugins".into(), Exposure::Owner { user: 7 }));
        assert_eq!(exposed("755 7 /vault/plugins", ""), user);
        let (near, far) = ("above 755 0 /vault\n", "above 777 0 /vault\n");
        assert_eq!(exposed("755 0 /vault/plugins", near), None);
        assert_eq!(exposed("755 0 /vault/plugins", far), mode("/vault", 0o777));
        assert_eq!(exposed("755 0 /vault/plugins", "above 1777 0 /vault\n"), None);
        assert_eq!(
            parse("facts 1\nuser 0\nmachine x86_64\nnothing\nend\n").expect("an answer").exposed(),
            None
        );
    }

    #[test]
    fn what_only_a_closer_look_shows() {
        let told = |more: &str| answer().replace("file 755 100 -", &format!("{more}\nfile 755 100 -"));
        let odd = |more: &str| node(&told(more), WriterPolicy::Anybody).file_issues;
        assert!(odd("part .custom-2.0.0.n1.vtp-part").partial_files.len() == 1);
        assert_eq!(odd("part .x-part").unchecked.len(), 1, "its first bytes were not said");
        let unfit =
            |more: &str| odd(&format!("start custom-1.0.0 {more}")).not_executable.into_values().next();
        assert_eq!(unfit("3c 68 74 6d 6c"), Some(NotExecutable::NotABinary));
        assert_eq!(unfit("23 21 2f 62"), None);
        let link = odd("link custom-1.0.0 /opt/with blank").outside_links;
        assert_eq!(link["custom-1.0.0"], Path::new("/opt/with blank"));
        let unreadable = answer().replace(SHA, "?").replace("process 32 ?", "process 32 -");
        assert_eq!(node(&unreadable, WriterPolicy::Anybody).files[0].sha256, "");
        let closed = "facts 1\nuser 100\nmachine x86_64\nclosed\nend\n";
        assert_eq!(node(closed, WriterPolicy::Anybody).directory, DirectoryState::NotAccessible);
    }

    #[test]
    fn a_dynamic_linker_is_looked_for_where_linkers_are() {
        let linker = |path: &str| {
            let start =
                FilePrefix::Elf { architecture: Architecture::X86_64, interpreter: Some(path.into()) };
            let there = DirectoryContents {
                linkers: ["/lib/ld-musl-x86_64.so.1".into()].into(),
                ..DirectoryContents::default()
            };
            there.not_executable_reason(&start, Architecture::X86_64)
        };
        assert_eq!(linker("/lib/ld-musl-x86_64.so.1"), None);
        let glibc = "/lib64/ld-linux-x86-64.so.2";
        assert_eq!(linker(glibc), Some(NotExecutable::MissingInterpreter(glibc.into())));
        assert_eq!(linker("/nix/store/x/ld-linux-x86-64.so.2"), None, "nobody has looked there");
    }

    #[test]
    fn a_content_that_is_known_is_not_told_again() {
        let mut known = ContentCache::new();
        parse(&answer()).expect("an answer").update_cache(&mut known);
        let content = Content { sha256: SHA.to_owned(), prefix: None };
        assert_eq!(known, ContentCache::from([("1:3:9:custom-1.0.0".to_owned(), content)]));
        let mut again = parse(&answer().replace(&format!("{SHA} 1:"), "- 1:")).expect("an answer");
        again.update_cache(&mut known);
        let node = again.into_node(Path::new("/vault/plugins"), false, WriterPolicy::Anybody, |_| true);
        assert_eq!(node.files[0].sha256, SHA);
        assert_eq!(node.files[1].sha256, "", "never told, so never taken for anything");
    }

    #[test]
    fn what_tells_a_file_is_not_taken_for_another() {
        assert!(is_cache_key("1:3:9:custom-1.0.0", "custom-1.0.0"));
        for other in
            ["", "1:3:9:other", "1:3:custom-1.0.0", "1:3:-9:custom-1.0.0", "1:3:9: 2:3:9:custom-1.0.0"]
        {
            assert!(!is_cache_key(other, "custom-1.0.0"), "{other}");
        }
    }

    #[test]
    fn what_has_changed_since_is_not_what_was_there() {
        let answer = answer().replace("2:3:9:other-tool", "2:3:10:other-tool");
        let there = |second: i64| parse(&answer).expect("an answer").unchanged_since(second);
        assert_eq!(there(8), BTreeSet::new());
        assert_eq!(there(9), ["custom-1.0.0".to_owned()].into());
        assert_eq!(there(10).len(), 2);
    }

    #[test]
    fn an_answer_of_something_else_is_refused() {
        let whole = answer();
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
    fn what_was_not_understood_cannot_speak_to_a_terminal() {
        let error = parse("\u{1b}[2J\u{7}boo\n").expect_err("not an answer");
        assert_eq!(error.to_string(), "this was not understood: \"\\u{1b}[2J\\u{7}boo\"");
        assert!(parse(&"x".repeat(10_000)).expect_err("no answer").line.len() <= MAX_QUOTED_LINE);
    }
}
