//! A thread per plugin that starts the process, outlives it, and reaps it.
//!
//! With `PR_SET_PDEATHSIG` the kernel kills a child when the *thread* that started it ends. So that thread must live as long
//! as the child, which a thread of an async runtime may not. It waits for the exit without reaping first, so that the ids of
//! the process and its group are not reused while they are signalled.

use std::fs::{self, File};
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::pin::Pin;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, getppid, kill_process_group, set_parent_process_death_signal, setsid,
    waitid,
};
use tokio::sync::{oneshot, watch};

use super::error::PluginStartError;
use super::executable::Executable;
use super::isolation::Sandbox;

/// How long to retry while the program file is open for writing (`ETXTBSY`).
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// The interval between these retries.
const BUSY_RETRY_INTERVAL: Duration = Duration::from_millis(10);

/// Resolves to the exit status of a process.
pub(crate) type ExitFuture = Pin<Box<dyn Future<Output = io::Result<ExitStatus>> + Send>>;

/// The exit status, or the errno of the failed wait.
type WaitResult = Result<ExitStatus, i32>;

/// A running child. Dropping it kills its process group.
pub(crate) struct ChildGuard {
    pub(crate) stdout: Option<ChildStdout>,
    pub(crate) stderr: Option<ChildStderr>,
    id: u32,
    group: Arc<ProcessGroup>,
    outcome: watch::Receiver<Option<WaitResult>>,
}

/// Starts `command` as the leader of a new process group that is killed when this process dies.
///
/// `pre_exec` is used only for files that the kernel can run: after it, the C library runs any other file as a shell script.
/// A process that `binfmt_misc` interprets gets no parent-death signal.
///
/// With a `sandbox`, the process is also the leader of a new session, so that it cannot inject input into the host's terminal
/// (`TIOCSTI`). This requires `pre_exec`, so no interpreter of `binfmt_misc` can start it. The `sandbox` is kept until the
/// process has exited.
pub(super) async fn start(
    mut command: Command,
    sandbox: Option<Sandbox>,
) -> Result<ChildGuard, PluginStartError> {
    let program = Path::new(command.get_program()).to_owned();
    let native = Executable::read(&program).is_native();
    if sandbox.is_some() {
        if !native && may_fall_back_to_shell(&program) {
            return Err(PluginStartError::from_spawn(&program, Errno::NOEXEC.into()));
        }
        detach_session_and_fds(&mut command);
    } else {
        command.process_group(0);
    }
    if native {
        set_parent_death_signal(&mut command);
    }
    let (started, child) = oneshot::channel();
    let spawn_error = |source| PluginStartError::from_spawn(&program, source);
    let thread = thread::Builder::new().name("plugin".to_owned());
    thread.spawn(move || supervise(command, sandbox, started)).map_err(spawn_error)?;
    let panicked = || Err(spawn_error(io::Error::other("the supervisor thread of the plugin panicked")));
    child.await.unwrap_or_else(|_| panicked())
}

impl ChildGuard {
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    pub(crate) fn wait_exit(&self) -> ExitFuture {
        let mut outcome = self.outcome.clone();
        Box::pin(async move {
            match outcome.wait_for(Option::is_some).await.as_deref() {
                Ok(Some(Ok(status))) => Ok(*status),
                Ok(Some(Err(code))) => Err(io::Error::from_raw_os_error(*code)),
                Ok(None) | Err(_) => Err(io::Error::other("the supervisor thread of the process has ended")),
            }
        })
    }

    pub(crate) fn is_running(&self) -> bool {
        self.outcome.borrow().is_none()
    }

    pub(crate) fn kill(&self) {
        self.group.kill();
    }
}

impl Drop for ChildGuard {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The process group of a child, until the child is reaped.
struct ProcessGroup(Mutex<Option<Pid>>);

impl ProcessGroup {
    fn kill(&self) {
        if let Some(group) = *self.0.lock() {
            // Fails if the process has just exited.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

fn supervise(
    mut command: Command,
    mut sandbox: Option<Sandbox>,
    started: oneshot::Sender<Result<ChildGuard, PluginStartError>>,
) {
    let restricted = sandbox.as_mut().map_or(Ok(()), Sandbox::restrict_this_thread);
    let result = restricted.map_err(PluginStartError::Isolation).and_then(|()| {
        let program = Path::new(command.get_program()).to_owned();
        spawn(&mut command).map_err(|source| PluginStartError::from_spawn(&program, source))
    });
    let mut child = match result {
        Ok(child) => child,
        Err(error) => {
            // Without a receiver, the caller has given up.
            let _ = started.send(Err(error));
            return;
        }
    };
    drop(child.stdin.take());
    let pid = Pid::from_child(&child);
    let group = Arc::new(ProcessGroup(Mutex::new(Some(pid))));
    let (exit_sender, outcome) = watch::channel(None);
    let guard = ChildGuard {
        stdout: child.stdout.take(),
        stderr: child.stderr.take(),
        id: child.id(),
        group: Arc::clone(&group),
        outcome,
    };
    // If the caller has given up, dropping the guard kills the process.
    drop(started.send(Ok(guard)));

    let exited = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while matches!(waitid(WaitId::Pid(pid), exited), Err(Errno::INTR)) {}
    let outcome = reap(&mut child, &group);
    drop(sandbox);
    exit_sender.send_replace(Some(outcome));
}

/// Starts the command, and retries while its file is busy. A file that this process has written and closed may still be open:
/// every child that another thread forks has copies of all open files until its exec. The kernel runs no file that is open for writing.
fn spawn(command: &mut Command) -> io::Result<Child> {
    let start_time = Instant::now();
    loop {
        match command.spawn() {
            Err(error)
                if error.kind() == io::ErrorKind::ExecutableFileBusy
                    && start_time.elapsed() < BUSY_TIMEOUT =>
            {
                thread::sleep(BUSY_RETRY_INTERVAL);
            }
            result => return result,
        }
    }
}

/// Kills the remaining processes of the group, and reaps the leader.
fn reap(child: &mut Child, group: &ProcessGroup) -> WaitResult {
    group.kill();
    let mut leader = group.0.lock();
    *leader = None;
    child.wait().map_err(|error| error.raw_os_error().unwrap_or(0))
}

/// Whether the C library would run the file with a shell if the kernel does not support its format.
fn may_fall_back_to_shell(program: &Path) -> bool {
    let metadata = File::open(program).and_then(|file| file.metadata());
    metadata.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// Starts the child in a new session, and closes all inherited files except its standard streams.
#[expect(unsafe_code, reason = "the settings must be made in the child, between fork and exec")]
fn detach_session_and_fds(command: &mut Command) {
    let number = |entry: io::Result<fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse::<RawFd>().ok();
    let open: Vec<RawFd> = fs::read_dir("/proc/self/fd").into_iter().flatten().filter_map(number).collect();
    let prepare = move || {
        setsid()?;
        for &number in open.iter().filter(|&&number| number > 2) {
            // SAFETY: the descriptor is neither read nor closed, and the call fails if it is not open any more.
            let file = unsafe { BorrowedFd::borrow_raw(number) };
            // Files that Rust has opened are closed at exec anyway.
            let _ = fcntl_setfd(file, FdFlags::CLOEXEC);
        }
        Ok(())
    };
    // SAFETY: between fork and exec the closure only makes system calls. It neither allocates nor takes a lock.
    unsafe {
        command.pre_exec(prepare);
    }
}

/// Lets the kernel kill the child when the host dies, because Go plugins do not detect that.
#[expect(unsafe_code, reason = "the setting must be made in the child, between fork and exec")]
fn set_parent_death_signal(command: &mut Command) {
    let host = rustix::process::getpid();
    let prepare = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // If the host died before this call, the signal is never sent.
        if getppid() == Some(host) {
            Ok(())
        } else {
            Err(io::Error::from_raw_os_error(Errno::SRCH.raw_os_error()))
        }
    };
    // SAFETY: between fork and exec the closure makes two system calls. It neither allocates nor takes a lock.
    unsafe {
        command.pre_exec(prepare);
    }
}
