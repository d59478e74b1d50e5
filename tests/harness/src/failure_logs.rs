//! Keeps what servers have logged when a test fails, for their folders go with them.
//!
//! A server that is dropped while its thread panics copies its logs into a folder of the test, and prints where:
//! `logs kept: PATH`. The folder is `target/test-logs/BINARY/TEST`, or below the folder that
//! `VAULT_TOKEN_PLUGIN_TEST_LOGS` names; TEST is the name of the thread, which is that of the test. What an earlier run of
//! the test left there is removed. The logs may hold root tokens and keys, which are those of servers that exist no more.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::thread;

use parking_lot::Mutex;

/// Names another folder than `target/test-logs`.
const FOLDER_VARIABLE: &str = "VAULT_TOKEN_PLUGIN_TEST_LOGS";

/// Of a longer file, its end is kept. Days of a busy server fit.
const MAX_LENGTH: u64 = 16 << 20;

/// Where the logs of one server are kept.
pub(crate) struct FailureLogs {
    folder: PathBuf,
}

impl FailureLogs {
    /// A folder for the logs of `server`, a name that no other server of the test has, if the test is failing. Prints where
    /// it is.
    pub(crate) fn if_test_fails(server: &str) -> Option<FailureLogs> {
        if !thread::panicking() {
            return None;
        }
        let folder = folder_of_test().join(server);
        // The test fails already, and its own reason is to be seen; so whatever happens here is only printed.
        if let Err(error) = fs::create_dir_all(&folder) {
            print_to_test_output(&format!("no logs kept: cannot create {}: {error}", folder.display()));
            return None;
        }
        print_to_test_output(&format!("logs kept: {}", folder.display()));
        Some(FailureLogs { folder })
    }

    /// Keeps a file, or the files in and below a folder, under its own name. A missing one is ignored: a server that ends early writes no
    /// logs.
    pub(crate) fn save(&self, path: &Path) {
        let name = path.file_name().unwrap_or_default();
        if let Err(error) = copy(path, &self.folder.join(name))
            && error.kind() != io::ErrorKind::NotFound
        {
            print_to_test_output(&format!("cannot keep {}: {error}", path.display()));
        }
    }

    /// Keeps a text.
    pub(crate) fn save_text(&self, name: &str, text: &str) {
        if let Err(error) = fs::write(self.folder.join(name), text) {
            print_to_test_output(&format!("cannot keep {name}: {error}"));
        }
    }
}

/// The folder of the running test; empty when the first server of this process asks for it.
pub(crate) fn folder_of_test() -> PathBuf {
    static EMPTIED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

    let test = std::env::current_exe().unwrap_or_default();
    let all = match std::env::var_os(FOLDER_VARIABLE) {
        Some(folder) => PathBuf::from(folder),
        // target/PROFILE/deps/TEST
        None => test.ancestors().nth(3).map_or_else(std::env::temp_dir, Path::to_owned).join("test-logs"),
    };
    let binary = test.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    // Cargo adds a hash to its name.
    let binary = binary.rsplit_once('-').map_or(binary.as_str(), |(name, _)| name).to_owned();
    let thread = thread::current();
    let folder = all.join(binary).join(thread.name().unwrap_or("unnamed").replace("::", "."));
    if EMPTIED.lock().insert(folder.clone()) {
        // It fails where no earlier run has left one.
        let _ = fs::remove_dir_all(&folder);
    }
    folder
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if fs::metadata(from)?.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    let mut from = File::open(from)?;
    let length = from.metadata()?.len();
    from.seek(SeekFrom::Start(length.saturating_sub(MAX_LENGTH)))?;
    io::copy(&mut from.take(MAX_LENGTH), &mut File::create(to)?)?;
    Ok(())
}

/// Prints to the output of the test, which is shown when it fails.
#[expect(clippy::print_stderr, reason = "the test's own output, which its runner captures")]
pub(crate) fn print_to_test_output(text: &str) {
    eprintln!("{text}");
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// A server that has logged something, and keeps it as servers do.
    struct Server(TempDir);

    impl Server {
        fn start() -> Server {
            let folder = tempfile::tempdir().expect("a directory");
            fs::write(folder.path().join("server.log"), "out of memory").expect("a file");
            fs::create_dir_all(folder.path().join("pods/vault-0")).expect("a directory");
            fs::write(folder.path().join("pods/vault-0/0.log"), "sealed").expect("a file");
            Server(folder)
        }
    }

    impl Drop for Server {
        fn drop(&mut self) {
            if let Some(kept) = FailureLogs::if_test_fails("server") {
                for name in ["server.log", "pods", "never-written.log"] {
                    kept.save(&self.0.path().join(name));
                }
                kept.save_text("status.json", "{}");
            }
        }
    }

    /// Runs a test of this name that ends with this; returns the folder of its logs.
    fn run(name: &str, end: fn()) -> PathBuf {
        let test = thread::Builder::new().name(name.to_owned()).spawn(move || {
            let folder = folder_of_test();
            let result = std::panic::catch_unwind(|| {
                let _server = Server::start();
                end();
            });
            (folder, result.is_err())
        });
        test.expect("a thread").join().expect("it catches").0
    }

    #[test]
    fn a_failing_test_leaves_the_logs_of_its_servers_and_a_passing_one_nothing() {
        let folder = run("kept_logs::failing", || panic!("on purpose"));
        assert!(folder.ends_with("test-logs/harness/kept_logs.failing"), "{}", folder.display());
        let text = |name: &str| fs::read_to_string(folder.join("server").join(name)).expect("it is kept");
        assert_eq!(text("server.log"), "out of memory");
        assert_eq!(text("pods/vault-0/0.log"), "sealed");
        assert_eq!(text("status.json"), "{}");
        assert!(!folder.join("server/never-written.log").exists());
        fs::remove_dir_all(&folder).expect("it is our own");

        assert!(!run("kept_logs::passing", || {}).exists());
    }

    #[test]
    fn what_an_earlier_run_left_is_removed() {
        let name = "kept_logs::again";
        let old = folder_of_test().with_file_name(name.replace("::", "."));
        fs::create_dir_all(old.join("vault-1234")).expect("a directory");
        let folder = run(name, || panic!("on purpose"));
        assert_eq!(folder, old);
        assert!(folder.join("server").exists() && !folder.join("vault-1234").exists());
        fs::remove_dir_all(&folder).expect("it is our own");
    }

    #[test]
    fn of_a_long_file_the_end_is_kept() {
        let folder = tempfile::tempdir().expect("a directory");
        let (long, kept) = (folder.path().join("long"), folder.path().join("kept"));
        let mut content = vec![b'a'; usize::try_from(MAX_LENGTH).expect("it fits")];
        content.extend(b"the end");
        fs::write(&long, &content).expect("a file");
        copy(&long, &kept).expect("a copy");
        assert!(fs::read(&kept).expect("a file") == content["the end".len()..]);
    }
}
