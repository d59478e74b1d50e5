//! Runs a program under test, or the official CLI, cut off from everything of the machine it runs on.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Once};
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::output::Output;
use crate::running_program::RunningProgram;
use crate::terminal::{TerminalProgram, TerminalStreams};
use crate::{chroot, network};

/// How long a program may run unless the test says something else; all but a few take less than ten seconds.
const TIMEOUT: Duration = Duration::from_secs(180);

/// A program with an environment of its own: an empty home, a fixed `PATH`, and what the test adds; nothing else.
pub struct Program {
    binary: PathBuf,
    chroot: Option<PathBuf>,
    network_namespace: Option<PathBuf>,
    /// A started program has it too, for it may outlive this.
    home: Arc<TempDir>,
    environment: Vec<(String, String)>,
    timeout: Duration,
}

impl Program {
    /// `binary` is a path; tests of this repository's own pass `env!("CARGO_BIN_EXE_vault-token-plugin")`.
    pub fn new(binary: impl Into<PathBuf>) -> Program {
        Program {
            binary: binary.into(),
            chroot: None,
            network_namespace: None,
            home: Arc::new(tempfile::tempdir().expect("the temporary directory is writable")),
            environment: Vec::new(),
            timeout: TIMEOUT,
        }
    }

    /// Sets how long it may run, and how long each wait for a started one may take. Three minutes unless set, ten on pods.
    pub fn timeout(mut self, timeout: Duration) -> Program {
        self.timeout = timeout;
        self
    }

    /// Runs it in this root, as a container does; its path and everything else that it is given are below that. Its home
    /// is the root.
    pub fn chroot(mut self, root: impl Into<PathBuf>) -> Program {
        self.chroot = Some(root.into());
        self
    }

    /// Runs it in this network namespace.
    pub(crate) fn network_namespace(mut self, namespace: &Path) -> Program {
        self.network_namespace = Some(namespace.to_owned());
        self
    }

    /// Sets a variable; a later value for the same name wins.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Program {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// The program's home, which is also its working directory. It goes with the `Program` and the last one that it has
    /// started.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Runs the program to its end, with nothing on standard input.
    ///
    /// # Panics
    ///
    /// When it has not ended, or its streams are not closed, after its timeout: it is killed, and the message shows its
    /// command line and both streams so far.
    #[track_caller]
    pub fn run<Arg: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = Arg>,
    ) -> impl Future<Output = Output> {
        self.run_with_input(args, "")
    }

    /// Runs the program to its end, with `input` on standard input.
    ///
    /// # Panics
    ///
    /// As [`Program::run`].
    #[track_caller]
    pub fn run_with_input<Arg: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = Arg>,
        input: impl AsRef<[u8]>,
    ) -> impl Future<Output = Output> {
        let mut running = self.start(args);
        let write = running.write_and_close(input.as_ref());
        let wait = running.wait();
        async move { tokio::join!(wait, write).0 }
    }

    /// Starts the program, to talk to it while it runs. It is killed when that is dropped.
    #[track_caller]
    pub fn start<Arg: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = Arg>) -> RunningProgram {
        let args: Vec<Arg> = args.into_iter().collect();
        let command_line = command_line(&self.binary, &args);
        let child = self.spawn_into(args, Stdio::piped(), Stdio::piped());
        RunningProgram::new(child, Arc::clone(&self.home), command_line, self.timeout)
    }

    /// Starts the program on a terminal, to answer its prompts. It is killed when that is dropped.
    pub fn start_on_terminal<Arg: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = Arg>,
    ) -> TerminalProgram {
        let args: Vec<Arg> = args.into_iter().collect();
        let command_line = command_line(&self.binary, &args);
        let spawn = |TerminalStreams { stdin, stdout, stderr }| self.spawn(args, stdin, stdout, stderr);
        TerminalProgram::start(spawn, Arc::clone(&self.home), command_line, self.timeout)
    }

    /// Starts the program with these as standard output and standard error, and its standard input piped. It is killed when the
    /// child is dropped. No wait for it has a deadline, unlike with [`Program::start`].
    pub fn spawn_into<Arg: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = Arg>,
        stdout: impl Into<Stdio>,
        stderr: impl Into<Stdio>,
    ) -> Child {
        self.spawn(args, Stdio::piped(), stdout.into(), stderr.into())
    }

    fn spawn<Arg: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = Arg>,
        stdin: Stdio,
        stdout: Stdio,
        stderr: Stdio,
    ) -> Child {
        reset_ignored_signals();
        let (command, home) = match &self.chroot {
            None => (Command::new(&self.binary), self.home.path()),
            Some(root) => (chroot::chroot_command(root, &self.binary), Path::new("/")),
        };
        let mut command = match &self.network_namespace {
            None => command,
            Some(namespace) => network::command(namespace, &command),
        };
        command
            .args(args)
            .env_clear()
            .env("HOME", home)
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            // What a killed program leaves there goes with the run.
            .env("TMPDIR", if self.chroot.is_none() { std::env::temp_dir() } else { "/tmp".into() })
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.home.path())
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", self.binary.display()))
    }
}

/// Whoever starts the tests in the background of a shell, or with `nohup`, has them ignore signals, and a program inherits that. Of a
/// signal that is handled it inherits nothing.
fn reset_ignored_signals() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let status = fs::read_to_string("/proc/self/status").expect("Linux says it of every process");
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("it has this line");
        let mask = u64::from_str_radix(mask.trim(), 16).expect("it is a number in hexadecimal");
        for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
            // Without a handler it ends the tests, as it should.
            if mask >> (kind.as_raw_value() - 1) & 1 == 1 {
                let _ = signal(kind).expect("a handler can be installed in a runtime");
            }
        }
    });
}

/// The command as a person would type it, cut where it is longer than anybody reads.
fn command_line(binary: &Path, args: &[impl AsRef<OsStr>]) -> String {
    const MAX_COMMAND_LINE: usize = 1000;
    let words = [binary.as_os_str()].into_iter().chain(args.iter().map(AsRef::as_ref)).map(|word| {
        let word = word.to_string_lossy();
        let plain = |sign: char| sign.is_ascii_alphanumeric() || "-_=./:,@%+".contains(sign);
        if !word.is_empty() && word.chars().all(plain) { word.into_owned() } else { format!("'{word}'") }
    });
    let mut line = words.collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(MAX_COMMAND_LINE) {
        line.replace_range(end.., "…");
    }
    line
}
