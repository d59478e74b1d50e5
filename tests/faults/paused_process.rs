//! A program under test that is paused at its writes.
//!
//! Its output goes to pipes with room for one write each. Before every step the program writes the step to standard error, first a text and
//! then a line feed. While the text is unread in the pipe, it cannot write the line feed. So it is blocked before the first request of that
//! step, until [`Running::next`] is called again.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use harness::{Output, Program};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe, pipe_with, tee};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::unix::AsyncFd;
use tokio::process::Child;
use tokio::time::{Instant, sleep, timeout_at};

use crate::progress;

/// Limit for one run. The tool itself waits up to five minutes for a pod.
const RUN_TIMEOUT: Duration = Duration::from_secs(420);

/// Limit for the program to block at its next write.
const NEXT_WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// Smallest capacity of a pipe: one page, which holds one write.
const PIPE_CAPACITY: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputStream {
    Out,
    Err,
}

/// The latest write of the program, at which it is blocked.
#[derive(Clone, Debug)]
pub(crate) struct PendingWrite {
    pub(crate) stream: OutputStream,
    /// The line so far.
    pub(crate) line: String,
}

impl PendingWrite {
    /// Whether the line has ended.
    pub(crate) fn is_complete_line(&self) -> bool {
        self.line.ends_with('\n')
    }
}

/// A running program.
pub(crate) struct PausedProcess {
    command: String,
    child: Child,
    taps: [PipeTap; 2],
    log: File,
    deadline: Instant,
}

/// The reading end of a pipe.
struct PipeTap {
    stream: OutputStream,
    pipe: AsyncFd<OwnedFd>,
    /// Receives a copy of each write, so that the write itself stays in the pipe.
    copy: (OwnedFd, OwnedFd),
    /// Number of bytes that were copied and are still in the pipe.
    seen: usize,
    line: String,
    /// All output of the stream.
    text: String,
    ended: bool,
}

impl PausedProcess {
    /// Starts the program. Its output is also appended to `log`.
    pub(crate) fn start(program: &Program, args: &[String], log: &Path) -> PausedProcess {
        let command = args.join(" ");
        progress::step(&command);
        let mut log = File::options().create(true).append(true).open(log).unwrap();
        writeln!(log, "$ vault-token-plugin {command}").unwrap();
        let (out, out_end) = PipeTap::open(OutputStream::Out);
        let (err, err_end) = PipeTap::open(OutputStream::Err);
        let child = program.spawn_into(args, out_end, err_end);
        PausedProcess { command, child, taps: [out, err], log, deadline: Instant::now() + RUN_TIMEOUT }
    }

    /// Releases the program until its next write. Returns `None` once both streams are closed.
    pub(crate) async fn next(&mut self) -> Option<PendingWrite> {
        let deadline = self.deadline;
        if let Ok(written) = timeout_at(deadline, self.resume_until_write()).await {
            return written;
        }
        let _ = self.child.start_kill();
        panic!(
            "waited {RUN_TIMEOUT:?} for the end of `{}`; it had said:\n{}\n{}",
            self.command, self.taps[0].text, self.taps[1].text
        )
    }

    async fn resume_until_write(&mut self) -> Option<PendingWrite> {
        for tap in &mut self.taps {
            tap.discard_peeked();
        }
        let [out, err] = &mut self.taps;
        loop {
            let (stream, chunk) = tokio::select! {
                biased;
                chunk = out.peek(), if !out.ended => (OutputStream::Out, chunk),
                chunk = err.peek(), if !err.ended => (OutputStream::Err, chunk),
                else => return None,
            };
            let tap = if stream == OutputStream::Out { &mut *out } else { &mut *err };
            if let Some(chunk) = chunk {
                self.log.write_all(chunk.as_bytes()).unwrap();
                let line = tap.line.clone();
                if stream == OutputStream::Err {
                    progress::step(line.trim_end());
                }
                return Some(PendingWrite { stream, line });
            }
        }
    }

    /// Waits until a write of the program blocks.
    pub(crate) async fn wait_paused(&mut self) {
        let started = Instant::now();
        let Some(pid) = self.child.id() else { return };
        while !is_writing(pid) {
            assert!(
                started.elapsed() < NEXT_WRITE_TIMEOUT,
                "`{}` was not held within {NEXT_WRITE_TIMEOUT:?} at: {}",
                self.command,
                self.stderr()
            );
            // It may have exited without another write.
            if self.child.try_wait().unwrap().is_some() {
                return;
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn kill(&mut self) {
        self.child.start_kill().unwrap();
    }

    /// Sends SIGINT.
    pub(crate) fn interrupt(&mut self) {
        let pid = self.child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        kill_process(pid.expect("a program that is held has not ended"), Signal::INT).unwrap();
    }

    /// Standard error so far.
    pub(crate) fn stderr(&self) -> &str {
        &self.taps[1].text
    }

    /// Waits for the exit. Call it after [`Running::next`] has returned `None`.
    pub(crate) async fn wait_exit(mut self) -> (ExitStatus, String) {
        let status = timeout_at(self.deadline, self.child.wait()).await;
        let status =
            status.unwrap_or_else(|_| panic!("`{}` has closed its output and does not end", self.command));
        let status = status.unwrap();
        writeln!(self.log, "({status})").unwrap();
        let [_, err] = self.taps;
        (status, err.text)
    }
}

/// Runs a program to its end.
pub(crate) async fn run(program: &Program, args: &[String], log: &Path) -> Output {
    let mut running = PausedProcess::start(program, args, log);
    while running.next().await.is_some() {}
    let stdout = running.taps[0].text.clone();
    let (status, stderr) = running.wait_exit().await;
    Output { code: status.code(), stdout, stderr }
}

impl PipeTap {
    /// A pipe, and its writing end for the program.
    fn open(stream: OutputStream) -> (PipeTap, OwnedFd) {
        let (reading, writing) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::DIRECT).unwrap();
        fcntl_setpipe_size(&writing, PIPE_CAPACITY).unwrap();
        // Only the reading end: the writes of the program must block.
        fcntl_setfl(&reading, OFlags::NONBLOCK | OFlags::DIRECT).unwrap();
        let (line, text) = (String::new(), String::new());
        #[expect(
            deprecated,
            reason = "an owned descriptor stays open while it is registered; its successor is unsafe"
        )]
        let (pipe, copy) = (AsyncFd::new(reading).unwrap(), pipe().unwrap());
        (PipeTap { stream, pipe, copy, seen: 0, line, text, ended: false }, writing)
    }

    /// Removes the copied write from the pipe.
    fn discard_peeked(&mut self) {
        if self.seen > 0 {
            let mut taken = vec![0; self.seen];
            let length = rustix::io::read(self.pipe.get_ref(), &mut taken).unwrap();
            assert_eq!(length, self.seen, "what was written at once is read at once");
            self.seen = 0;
        }
        if self.line.ends_with('\n') {
            self.line.clear();
        }
    }

    /// Returns the write in the pipe and leaves it there; `None` at the end of the stream.
    async fn peek(&mut self) -> Option<String> {
        loop {
            let mut ready = self.pipe.readable().await.unwrap();
            match tee(self.pipe.get_ref(), &self.copy.1, PIPE_CAPACITY, SpliceFlags::NONBLOCK) {
                Ok(0) => {
                    self.ended = true;
                    return None;
                }
                Ok(length) => {
                    let mut content = vec![0; length];
                    assert_eq!(rustix::io::read(&self.copy.0, &mut content).unwrap(), length);
                    let chunk = String::from_utf8_lossy(&content).into_owned();
                    self.seen = length;
                    self.line.push_str(&chunk);
                    self.text.push_str(&chunk);
                    return Some(chunk);
                }
                Err(rustix::io::Errno::AGAIN) => ready.clear_ready(),
                Err(error) => panic!("cannot look into the {:?} of the program: {error}", self.stream),
            }
        }
    }
}

/// Whether a thread of the process blocks in a write to a pipe, according to the kernel.
fn is_writing(pid: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    threads.filter_map(Result::ok).any(|thread| {
        let function = std::fs::read_to_string(thread.path().join("wchan")).unwrap_or_default();
        function.contains("pipe_write")
    })
}
