//! A server process that cannot outlive the test that started it.

use std::fs;
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Maximum time for a server to end after a signal. Vault takes a second.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// A process in a separate process group, with a guard process.
///
/// Dropping it kills the group and reaps the process. If the test is killed before, the guard sees that its pipe is closed, and kills the
/// group. (A parent-death signal would need code between fork and exec. It is sent when the thread that forked ends, which under tokio may
/// be before the end of the test.)
pub(crate) struct GuardedProcess {
    child: Child,
    pid: Pid,
    guard: Child,
}

impl GuardedProcess {
    /// Starts `command`, whose arguments, environment and streams are set by the caller.
    pub(crate) fn spawn(command: &mut Command) -> GuardedProcess {
        let child = command
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {:?}: {error}", command.as_std().get_program()));
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed())).expect("a new child has an id");
        let guard = Command::new("sh")
            .args(["-c", r#"read -r _; kill -s KILL -- "-$1""#, "guard", &pid.to_string()])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("sh is on every machine that runs the tests");
        GuardedProcess { child, pid, guard }
    }

    /// Process id in the namespace of the test.
    pub(crate) fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().cast_unsigned()
    }

    /// The exit status if the process has ended.
    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("our own child can be waited for")
    }

    /// Sends `signal` to the process only, not to its children, and waits for its end.
    ///
    /// # Panics
    ///
    /// If it does not end within a minute.
    pub(crate) async fn stop(mut self, signal: Signal) -> ExitStatus {
        if self.exited().is_none() {
            kill_process(self.pid, signal).expect("our own child can be signalled");
        }
        let status = timeout(STOP_TIMEOUT, self.child.wait()).await.unwrap_or_else(|_| {
            panic!("process {} did not end within {STOP_TIMEOUT:?} of {signal:?}", self.id());
        });
        status.expect("our own child can be waited for")
    }
}

impl Drop for GuardedProcess {
    fn drop(&mut self) {
        // The guard first: once the process is reaped, its id may be reused.
        kill_and_reap(&mut self.guard);
        // For the same reason, the group is signaled before its leader is reaped. This fails if the leader has ended and the group is
        // empty, which is fine.
        if self.child.id().is_some() {
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
        kill_and_reap(&mut self.child);
    }
}

/// Runs a tool of the harness to its end.
///
/// # Panics
///
/// If it cannot be started, or has not ended after `limit`; then it is killed.
pub(crate) async fn output(command: &mut Command, limit: Duration) -> Output {
    let output = timeout(limit, command.stdin(Stdio::null()).kill_on_drop(true).output()).await;
    let command = command.as_std();
    let output = output.unwrap_or_else(|_| panic!("{command:?} did not end within {limit:?}"));
    output.unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"))
}

/// Ids of all processes of this machine, including those in other namespaces. One may end during the scan.
pub(crate) fn all_pids() -> impl Iterator<Item = u32> {
    let processes = fs::read_dir("/proc").expect("/proc is mounted");
    // Other entries of /proc.
    processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn kill_and_reap(child: &mut Child) {
    // Fails only if the child has been reaped.
    if child.start_kill().is_err() {
        return;
    }
    while let Ok(None) = child.try_wait() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[tokio::test]
    async fn a_process_ends_when_the_pipe_of_the_test_closes() {
        let mut process = GuardedProcess::spawn(Command::new("sleep").arg("1000"));
        drop(process.guard.stdin.take());
        let status = process.child.wait().await.expect("our own child can be waited for");
        assert_eq!(status.signal(), Some(Signal::KILL.as_raw()));
    }
}
