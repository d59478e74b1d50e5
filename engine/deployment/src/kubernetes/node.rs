//! The commands that this program runs in an ephemeral container beside a server without a shell. Their output has the format of the shell
//! scripts.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown, fchown};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use rustix::fs::Access;

use super::facts::safe_file_name;
use crate::local::file_issues::partial_files;
use crate::local::sha256_of_file;
use crate::processes;
use crate::syncing_writer::SyncingWriter;

/// Suffix of partial files, the same as in the script.
const PART_SUFFIX: &str = ".vtp-part";

/// Bytes at the beginning of a file that contain its headers and the path of its dynamic linker.
const PREFIX_LENGTH: u64 = 4096;

/// A command that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// Invalid arguments. Only this program calls these commands.
    #[error("invalid {argument}: this command is internal to this program")]
    Arguments {
        /// What is invalid.
        argument: &'static str,
    },
    /// A file operation failed.
    #[error("could not {action} {path}")]
    Io {
        /// The operation.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

const INVALID_ARGUMENTS: NodeError = NodeError::Arguments { argument: "arguments" };

/// Prints the facts of this node. Blocks. Arguments: plugin directory, dynamic linker or empty, plugin or empty, and the cache keys of known
/// files.
///
/// # Errors
/// If the arguments are invalid.
pub fn node_facts(args: &[String]) -> Result<String, NodeError> {
    let [directory, linker, plugin, known] = args else { return Err(INVALID_ARGUMENTS) };
    let machine = if cfg!(target_arch = "x86") { "i686" } else { std::env::consts::ARCH };
    let user = rustix::process::geteuid().as_raw();
    let mut text = format!("facts 1\nuser {user}\nmachine {machine}\n");
    let servers = processes::server_processes();
    // The linker must be in the image of the server, not in this one.
    let in_image = |(pid, _): &(u32, u32)| Path::new(&format!("/proc/{pid}/root{linker}")).exists();
    if !linker.is_empty() && servers.iter().any(in_image) {
        text += "linker\n";
    }
    for (pid, owner) in &servers {
        let _ = writeln!(text, "server {pid} {owner}");
    }
    let directory = Path::new(directory);
    let is_readable = || rustix::fs::access(directory, Access::READ_OK | Access::EXEC_OK).is_ok();
    match (fs::metadata(directory), fs::canonicalize(directory)) {
        (Ok(metadata), Ok(real)) if metadata.is_dir() && is_readable() => {
            let _ = writeln!(
                text,
                "directory {:o} {} {}",
                metadata.mode() & 0o7777,
                metadata.uid(),
                real.display()
            );
            write_directory(&mut text, &real);
            write_files(&mut text, &real, plugin, &known.split(' ').collect::<Vec<_>>());
            write_partial_files(&mut text, &real);
            write_linkers(&mut text, servers.first().map(|(pid, _)| *pid));
            write_processes(&mut text, &real);
        }
        (Ok(metadata), _) if metadata.is_dir() => text += "closed\n",
        (Ok(_), _) => text += "no directory\n",
        (Err(_), _) => text += "nothing\n",
    }
    Ok(text + "end\n")
}

fn write_directory(text: &mut String, real: &Path) {
    if rustix::fs::access(real, Access::WRITE_OK | Access::EXEC_OK).is_ok() {
        *text += "writable\n";
    }
    if let Ok(stat) = rustix::fs::statvfs(real) {
        let _ = writeln!(text, "free {}", stat.f_bavail.saturating_mul(stat.f_frsize) / 1024);
    }
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mounts_above = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (point, options) = (words.next()?, words.nth(1)?);
        real.starts_with(point).then_some((point, options))
    });
    // Of two mounts at the same point, the later one hides the other.
    let (point, options) = mounts_above.max_by_key(|(point, _)| point.len()).unwrap_or_default();
    let _ = writeln!(text, "mount {options}");
    // Its parent directories on the same volume.
    for above in real.ancestors().skip(1).take_while(|above| above.starts_with(point)) {
        if let Ok(metadata) = fs::metadata(above) {
            let (mode, user) = (metadata.mode() & 0o7777, metadata.uid());
            let _ = writeln!(text, "above {mode:o} {user} {}", above.display());
        }
    }
}

fn write_files(text: &mut String, real: &Path, plugin: &str, known: &[&str]) {
    for entry in fs::read_dir(real).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let Some(name) = name.to_str().and_then(safe_file_name) else { continue };
        let Ok(metadata) = fs::metadata(&path) else { continue };
        if !metadata.is_file() || !name.starts_with(plugin) || name.starts_with('.') {
            continue;
        }
        let key = cache_key(&metadata, name);
        let sum = if known.contains(&&*key) { Ok("-".to_owned()) } else { sha256_of_file(&path) };
        let shown = sum.as_deref().unwrap_or("?");
        let _ = writeln!(text, "file {:o} {} {shown} {key}", metadata.mode() & 0o7777, metadata.uid());
        if let Some(start) = (shown.len() > 1).then(|| first_bytes(&path).ok()).flatten() {
            let _ = write!(text, "start {name}");
            start.iter().for_each(|byte| {
                let _ = write!(text, " {byte:02x}");
            });
            text.push('\n');
        }
        if let Ok(target) = fs::canonicalize(&path)
            && !target.starts_with(real)
        {
            let _ = writeln!(text, "link {name} {}", target.display());
        }
    }
}

fn first_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(PREFIX_LENGTH).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Partial files of killed copies.
fn write_partial_files(text: &mut String, real: &Path) {
    for name in partial_files(real).iter().filter_map(|name| safe_file_name(name)) {
        let _ = writeln!(text, "part {name}");
    }
}

/// The dynamic linkers in the image of the server.
fn write_linkers(text: &mut String, server: Option<u32>) {
    let Some(server) = server else { return };
    for folder in ["/lib", "/lib64"] {
        let entries = fs::read_dir(format!("/proc/{server}/root{folder}")).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        for name in names.filter(|name| name.starts_with("ld-") && safe_file_name(name).is_some()) {
            let _ = writeln!(text, "has {folder}/{name}");
        }
    }
}

/// Processes that run from the directory. The volume is mounted at the same path in the server's container.
fn write_processes(text: &mut String, real: &Path) {
    for (pid, process) in processes::list() {
        let link = process.join("exe");
        let Ok(executable) = fs::read_link(&link) else { continue };
        let Some(file) = executable.strip_prefix(real).ok().and_then(Path::to_str) else { continue };
        let bare = file.strip_suffix(" (deleted)");
        if safe_file_name(bare.unwrap_or(file)).is_some() {
            let sum = bare.and_then(|_| sha256_of_file(&link).ok()).unwrap_or_else(|| "-".to_owned());
            let _ = writeln!(text, "process {pid} {sum} {file}");
        }
    }
}

/// Stores compressed standard input as a file, and verifies it. Blocks. Arguments: directory, file, sha256, size of the input, permission
/// bits, owner or empty, and a nonce. The output is the result.
///
/// # Errors
/// If the arguments are invalid, or a file operation fails.
pub fn node_copy(args: &[String], input: impl Read) -> Result<String, NodeError> {
    let [directory, file, sha256, bytes, mode, owner, nonce] = args else { return Err(INVALID_ARGUMENTS) };
    let mut input = input.take(bytes.parse().map_err(|_| INVALID_ARGUMENTS)?);
    let copied = copy([directory, file, sha256, mode, owner, nonce], &mut input);
    // The sender reads the result only after it has sent everything.
    let _read_or_lost = io::copy(&mut input, &mut io::sink());
    copied
}

fn copy(args: [&String; 6], input: impl Read) -> Result<String, NodeError> {
    let [directory, file, sha256, mode, owner, nonce] = args;
    let mode = u32::from_str_radix(mode, 8).map_err(|_| INVALID_ARGUMENTS)?;
    let owner = if owner.is_empty() { None } else { Some(owner.parse().map_err(|_| INVALID_ARGUMENTS)?) };
    if safe_file_name(file).is_none() || safe_file_name(nonce).is_none() {
        return Err(INVALID_ARGUMENTS);
    }
    let directory = Path::new(directory);
    remove_partial_files(directory)?;
    let target = directory.join(file);
    if target.exists() {
        let found = sha256_of_file(&target).map_err(io_error("read", &target))?;
        if found != *sha256 {
            return Ok(format!("taken {found}\n"));
        }
        set_mode_and_owner(&target, mode, owner)?;
        return copy_result(&target, file);
    }
    let part = PartialFile(directory.join(format!(".{file}.{nonce}{PART_SUFFIX}")));
    let (content, found) = part.fill(input)?;
    if found != *sha256 {
        return Ok(format!("corrupt {found}\n"));
    }
    // Through the file descriptor: users that can write to the directory may have replaced the file.
    content
        .set_permissions(fs::Permissions::from_mode(mode))
        .map_err(io_error("set the mode of", &part.0))?;
    if owner.is_some() {
        fchown(&content, owner, None).map_err(io_error("change the owner of", &part.0))?;
    }
    fs::rename(&part.0, &target).map_err(io_error("rename", &part.0))?;
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(io_error("sync", directory))?;
    copy_result(&target, file)
}

fn copy_result(target: &Path, file: &str) -> Result<String, NodeError> {
    let metadata = fs::metadata(target).map_err(io_error("read the metadata of", target))?;
    Ok(format!("copied {}\n", cache_key(&metadata, file)))
}

/// A key that changes with the content.
fn cache_key(metadata: &fs::Metadata, name: &str) -> String {
    format!("{}:{}:{}:{name}", metadata.ino(), metadata.size(), metadata.ctime())
}

/// Sets the mode of a file or directory. Arguments: permission bits, or `go-w` to remove the write permission of group and others; and the
/// path.
///
/// # Errors
/// If the arguments are invalid, or a file operation fails.
pub fn node_mode(args: &[String]) -> Result<String, NodeError> {
    let [mode, path] = args else { return Err(INVALID_ARGUMENTS) };
    let path = Path::new(path);
    let mode = if mode == "go-w" {
        fs::metadata(path).map_err(io_error("read the metadata of", path))?.mode() & 0o7777 & !0o022
    } else {
        u32::from_str_radix(mode, 8).map_err(|_| INVALID_ARGUMENTS)?
    };
    set_mode_and_owner(path, mode, None)?;
    Ok("set\n".to_owned())
}

/// Removes a file. Arguments: directory and file.
///
/// # Errors
/// If the arguments are invalid, or a file operation fails.
pub fn node_remove(args: &[String]) -> Result<String, NodeError> {
    let [directory, file] = args else { return Err(INVALID_ARGUMENTS) };
    let path = Path::new(directory).join(safe_file_name(file).ok_or(INVALID_ARGUMENTS)?);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("remove", &path)(error)),
        _ => Ok("removed\n".to_owned()),
    }
}

/// A file that is being written; removed on drop, unless it was renamed.
struct PartialFile(PathBuf);

impl PartialFile {
    /// Writes the file, and returns it with the sha256 read back from disk.
    fn fill(&self, compressed: impl Read) -> Result<(File, String), NodeError> {
        let path = &self.0;
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path);
        let mut file = file.map_err(io_error("create", path))?;
        io::copy(&mut GzDecoder::new(compressed), &mut SyncingWriter::new(&file))
            .and_then(|_| file.sync_all())
            .map_err(io_error("write", path))?;
        let sha256 = file.rewind().and_then(|()| rollout::sha256_of_reader(&mut file));
        let sha256 = sha256.map_err(io_error("read back", path))?;
        Ok((file, sha256))
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        let _renamed_or_removed = fs::remove_file(&self.0);
    }
}

/// Removes the partial files of killed copies. No other program uses these names.
fn remove_partial_files(directory: &Path) -> Result<(), NodeError> {
    for entry in fs::read_dir(directory).map_err(io_error("list", directory))?.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') && name.ends_with(PART_SUFFIX) {
            fs::remove_file(entry.path()).map_err(io_error("remove", &entry.path()))?;
        }
    }
    Ok(())
}

fn set_mode_and_owner(path: &Path, mode: u32, owner: Option<u32>) -> Result<(), NodeError> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(io_error("set the mode of", path))?;
    match owner {
        Some(_) => chown(path, owner, None).map_err(io_error("change the owner of", path)),
        None => Ok(()),
    }
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> NodeError {
    let path = path.to_owned();
    move |source| NodeError::Io { action, path, source }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::kubernetes::facts::{Content, ContentCache, WriterPolicy, parse};
    use rollout::{DirectoryState, hex_sha256};

    fn compressed(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(content).expect("memory");
        encoder.finish().expect("memory")
    }

    fn args(directory: &Path, sha256: &str, bytes: usize) -> Vec<String> {
        let directory = directory.display().to_string();
        let rest = ["custom-1.2.3", sha256, &bytes.to_string(), "755", "", "n1"];
        std::iter::once(directory).chain(rest.into_iter().map(str::to_owned)).collect()
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("listed").flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_copied_file_is_in_the_facts() {
        let directory = tempfile::tempdir().expect("a directory");
        let real = fs::canonicalize(directory.path()).expect("a path");
        let (content, sha256) = (b"a plugin".as_slice(), hex_sha256(b"a plugin"));
        let input = compressed(content);
        fs::write(real.join(".custom-1.0.0.n0.vtp-part"), "left by a killed run").expect("written");
        let args = args(&real, &sha256, input.len());
        let key = |output: String| output.strip_prefix("copied ").expect("copied").trim_end().to_owned();
        let first = key(node_copy(&args, input.as_slice()).expect("copied"));
        // Its mode is set again, which may be a second later.
        let key = key(node_copy(&args, io::empty()).expect("there already"));
        let file = |key: &str| key.split(':').take(2).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(file(&first), file(&key));
        assert_eq!(names(&real), ["custom-1.2.3"]);
        let request = [real.display().to_string(), String::new(), "custom".into(), key.clone()];
        let mut facts = parse(&node_facts(&request).expect("facts")).expect("parsed");
        // Its content is cached under the key, and not read again.
        let mut cache = ContentCache::from([(key, Content { sha256: sha256.clone(), prefix: None })]);
        facts.update_cache(&mut cache);
        let node = facts.into_node(&real, false, WriterPolicy::OwnerOnly, |_| true);
        assert_eq!((node.directory, node.files.len()), (DirectoryState::Usable, 1));
        assert_eq!((&*node.files[0].sha256, node.files[0].mode), (&*sha256, 0o755));
    }

    #[test]
    fn a_truncated_or_wrong_file_leaves_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let input = compressed(&[7; 4096]);
        let sha256 = hex_sha256(&[7; 4096]);
        let args = |sha256: &str| args(directory.path(), sha256, input.len());
        assert!(node_copy(&args(&sha256), &input[..input.len() / 2]).is_err());
        let other = node_copy(&args("00"), input.as_slice()).expect("a result");
        assert_eq!(other, format!("corrupt {sha256}\n"));
        assert_eq!(names(directory.path()), Vec::<String>::new());
        fs::write(directory.path().join("custom-1.2.3"), "other").expect("written");
        let taken = node_copy(&args(&sha256), input.as_slice()).expect("a result");
        assert_eq!(taken, format!("taken {}\n", hex_sha256(b"other")));
    }

    #[test]
    fn a_path_outside_the_directory_is_rejected() {
        let args = ["/tmp".to_owned(), "../etc/passwd".to_owned()];
        assert!(node_remove(&args).is_err());
        assert!(node_facts(&[]).is_err());
    }
}
