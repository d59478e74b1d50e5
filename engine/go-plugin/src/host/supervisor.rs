//! A thread for each plugin that starts it, dies no earlier than it, and reaps it.
//!
//! The kernel kills a child with `PR_SET_PDEATHSIG` when the *thread* ends that started it, so that thread must be one
//! that lives as long as the child or the whole host: not one of a runtime's. It waits for the end without reaping at
//! first, which keeps the process id and that of its group from being given to another process while they are signalled.

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

/// How long a program that is open for writing counts as one that is about to be closed.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// How long to wait before such a program is started again.
const BUSY_RETRY_INTERVAL: Duration = Duration::from_millis(10);

/// The end of a process, for whoever waits.
pub(crate) type ExitFuture = Pin<Box<dyn Future<Output = io::Result<ExitStatus>> + Send>>;

/// The exit status, or the number of the error with which waiting failed.
type WaitResult = Result<ExitStatus, i32>;

/// A running child. Dropping it kills its process group.
pub(crate) struct ChildGuard {
    pub(crate) stdout: Option<ChildStdout>,
    pub(crate) stderr: Option<ChildStderr>,
    id: u32,
    group: Arc<ProcessGroup>,
    outcome: watch::Receiver<Option<WaitResult>>,
}

/// Starts `command` as the leader of a new process group, to be killed with this process whatever ends it.
///
/// Only what the kernel itself can run may be prepared for that: the C library that starts a prepared program takes any
/// other file for a shell script. What is left to the kernel's own interpreters (`binfmt_misc`) is not killed.
///
/// One that is `confined` is the leader of a new session too: in that of its host it could write into the terminal what a person
/// seems to have typed (`TIOCSTI`). It has to be prepared, so no interpreter of `binfmt_misc` starts it. `confined` is kept until
/// the process has ended.
pub(super) async fn start(
    mut command: Command,
    confined: Option<Sandbox>,
) -> Result<ChildGuard, PluginStartError> {
    let program = Path::new(command.get_program()).to_owned();
    let native = Executable::read(&program).is_native();
    if confined.is_some() {
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
    let not_started = |source| PluginStartError::from_spawn(&program, source);
    let thread = thread::Builder::new().name("plugin".to_owned());
    thread.spawn(move || supervise(command, confined, started)).map_err(not_started)?;
    let failed = || Err(not_started(io::Error::other("the thread that starts the plugin has failed")));
    child.await.unwrap_or_else(|_| failed())
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
                Ok(None) | Err(_) => Err(io::Error::other("nobody waits for the process")),
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
            // It may have ended by itself just now.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

fn supervise(
    mut command: Command,
    mut confined: Option<Sandbox>,
    started: oneshot::Sender<Result<ChildGuard, PluginStartError>>,
) {
    let restricted = confined.as_mut().map_or(Ok(()), Sandbox::restrict_this_thread);
    let spawned = restricted.map_err(PluginStartError::Isolation).and_then(|()| {
        let program = Path::new(command.get_program()).to_owned();
        spawn(&mut command).map_err(|source| PluginStartError::from_spawn(&program, source))
    });
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            // Without a listener nothing was started and nobody has to know.
            let _ = started.send(Err(error));
            return;
        }
    };
    drop(child.stdin.take());
    let pid = Pid::from_child(&child);
    let group = Arc::new(ProcessGroup(Mutex::new(Some(pid))));
    let (tell, outcome) = watch::channel(None);
    let kept = ChildGuard {
        stdout: child.stdout.take(),
        stderr: child.stderr.take(),
        id: child.id(),
        group: Arc::clone(&group),
        outcome,
    };
    // Who gave up meanwhile gets nothing, and the process is killed by the drop.
    drop(started.send(Ok(kept)));

    let exited = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while matches!(waitid(WaitId::Pid(pid), exited), Err(Errno::INTR)) {}
    let outcome = reap(&mut child, &group);
    drop(confined);
    tell.send_replace(Some(outcome));
}

/// A file that this process has written and closed may be open still: every child that another thread starts meanwhile
/// has all files of its parent until its own program begins. The kernel starts no such file; it is free a moment later.
fn spawn(command: &mut Command) -> io::Result<Child> {
    let began = Instant::now();
    loop {
        match command.spawn() {
            Err(error)
                if error.kind() == io::ErrorKind::ExecutableFileBusy && began.elapsed() < BUSY_TIMEOUT =>
            {
                thread::sleep(BUSY_RETRY_INTERVAL);
            }
            spawned => return spawned,
        }
    }
}

/// Ends what the plugin has started and left behind, and gives its process id back.
fn reap(child: &mut Child, group: &ProcessGroup) -> WaitResult {
    group.kill();
    let mut leader = group.0.lock();
    *leader = None;
    child.wait().map_err(|error| error.raw_os_error().unwrap_or(0))
}

/// Whether the C library would hand the file to a shell where the kernel does not know its format.
fn may_fall_back_to_shell(program: &Path) -> bool {
    let metadata = File::open(program).and_then(|file| file.metadata());
    metadata.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// Gives the child a session of its own, and closes what this process was started with beside its standard streams.
#[expect(unsafe_code, reason = "the settings must be made in the child, between fork and exec")]
fn detach_session_and_fds(command: &mut Command) {
    let number = |entry: io::Result<fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse::<RawFd>().ok();
    let open: Vec<RawFd> = fs::read_dir("/proc/self/fd").into_iter().flatten().filter_map(number).collect();
    let prepare = move || {
        setsid()?;
        for &number in open.iter().filter(|&&number| number > 2) {
            // SAFETY: nothing is read or closed by this number, and one that is not open any more is refused.
            let file = unsafe { BorrowedFd::borrow_raw(number) };
            // What is opened by Rust is closed at exec anyway.
            let _ = fcntl_setfd(file, FdFlags::CLOEXEC);
        }
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes system calls alone, and it neither allocates nor takes a lock.
    unsafe {
        command.pre_exec(prepare);
    }
}

/// Go's plugins do not notice the death of their host, so the kernel has to end them.
#[expect(unsafe_code, reason = "the setting must be made in the child, between fork and exec")]
fn set_parent_death_signal(command: &mut Command) {
    let host = rustix::process::getpid();
    let prepare = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // Had the host died before the setting, it would never take effect.
        if getppid() == Some(host) {
            Ok(())
        } else {
            Err(io::Error::from_raw_os_error(Errno::SRCH.raw_os_error()))
        }
    };
    // SAFETY: between fork and exec the closure makes two system calls, and it neither allocates nor takes a lock.
    unsafe {
        command.pre_exec(prepare);
    }
}
