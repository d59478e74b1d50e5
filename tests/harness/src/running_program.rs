//! A running program under test: its output, and waits with a deadline.

use std::panic::Location;
use std::process::ExitStatus;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use crate::output::Output;

/// One of the two streams that a program writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A program that [`Program::start`](crate::Program::start) has started.
///
/// Both streams are read continuously, so a full pipe never blocks it. Every wait is limited by the timeout of its
/// [`Program`](crate::Program). Then the program is killed, and the panic contains its command line and output, but not its environment,
/// which contains secrets.
///
/// Dropping it kills it. If the test fails then, its command line and the end of its output are printed.
pub struct RunningProgram {
    child: Child,
    pid: Pid,
    stdin: Option<ChildStdin>,
    _home: Arc<TempDir>,
    command_line: String,
    timeout: Duration,
    stdout: StreamBuffer,
    stderr: StreamBuffer,
}

/// The output of a program on a stream so far.
struct StreamBuffer {
    /// Set when every writer has closed the stream.
    content: watch::Receiver<Vec<u8>>,
    /// How much of it was returned as lines.
    returned: usize,
}

impl RunningProgram {
    pub(crate) fn new(
        mut child: Child,
        home: Arc<TempDir>,
        command_line: String,
        timeout: Duration,
    ) -> RunningProgram {
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed())).expect("a new child has an id");
        let stdout = StreamBuffer::read(child.stdout.take().expect("standard output is piped"));
        let stderr = StreamBuffer::read(child.stderr.take().expect("standard error is piped"));
        let stdin = child.stdin.take();
        RunningProgram { child, pid, stdin, _home: home, command_line, timeout, stdout, stderr }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().cast_unsigned()
    }

    /// Sends it a signal.
    ///
    /// # Panics
    ///
    /// If it has ended and was waited for.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        assert!(self.child.id().is_some(), "`{}` has ended", self.command_line);
        kill_process(self.pid, signal).expect("our own child can be signalled");
    }

    /// Writes to its standard input, and leaves it open.
    ///
    /// # Panics
    ///
    /// If its input is closed, or it does not read in time.
    #[track_caller]
    pub fn write(&mut self, input: impl AsRef<[u8]>) -> impl Future<Output = ()> {
        let caller = Location::caller();
        async move {
            let deadline = Instant::now() + self.timeout;
            let stdin = self.stdin.as_mut().expect("standard input is open");
            match timeout_at(deadline, stdin.write_all(input.as_ref())).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => self.fail(caller, &format!("takes no input: {error}")).await,
                Err(_) => self.fail(caller, "does not read its input").await,
            }
        }
    }

    /// Writes all input of a program, and closes its standard input. The program may end without reading all of it.
    pub(crate) fn write_and_close(&mut self, input: &[u8]) -> impl Future<Output = ()> + use<> {
        let (stdin, input) = (self.stdin.take(), input.to_vec());
        async move {
            if let Some(mut stdin) = stdin {
                let _ = stdin.write_all(&input).await;
            }
        }
    }

    /// The next whole line of a stream, without its line feed; `None` when the stream has ended.
    ///
    /// # Panics
    ///
    /// If no line arrives before the timeout.
    #[track_caller]
    pub fn next_line(&mut self, stream: Stream) -> impl Future<Output = Option<String>> {
        let caller = Location::caller();
        async move {
            let deadline = Instant::now() + self.timeout;
            match timeout_at(deadline, self.written(stream).next_line()).await {
                Ok(line) => line,
                Err(_) => self.fail(caller, "wrote no further line").await,
            }
        }
    }

    /// The next line of a stream that contains `text`; lines before it are skipped.
    ///
    /// # Panics
    ///
    /// If the stream ends first, or no such line arrives before the timeout.
    #[track_caller]
    pub fn wait_for(&mut self, stream: Stream, text: &str) -> impl Future<Output = String> {
        let caller = Location::caller();
        async move {
            let deadline = Instant::now() + self.timeout;
            loop {
                match timeout_at(deadline, self.written(stream).next_line()).await {
                    Ok(Some(line)) if line.contains(text) => return line,
                    Ok(Some(_)) => {}
                    Ok(None) => {
                        let ended = self.exit_description().await;
                        self.fail(caller, &format!("{ended} before it wrote {text:?}")).await;
                    }
                    Err(_) => self.fail(caller, &format!("did not write {text:?}")).await,
                }
            }
        }
    }

    /// All output on a stream so far, including returned lines.
    pub fn output_so_far(&self, stream: Stream) -> String {
        match stream {
            Stream::Stdout => self.stdout.text(),
            Stream::Stderr => self.stderr.text(),
        }
    }

    /// Closes its standard input, and waits until it has ended and both streams are closed.
    ///
    /// # Panics
    ///
    /// If that does not happen in time.
    #[track_caller]
    pub fn wait(mut self) -> impl Future<Output = Output> {
        let caller = Location::caller();
        async move {
            drop(self.stdin.take());
            let deadline = Instant::now() + self.timeout;
            let status = match timeout_at(deadline, self.child.wait()).await {
                Ok(status) => status.expect("our own child can be waited for"),
                Err(_) => self.fail(caller, "did not end").await,
            };
            let closed = async {
                self.stdout.output_closed().await;
                self.stderr.output_closed().await;
            };
            if timeout_at(deadline, closed).await.is_err() {
                let what =
                    format!("has ended ({status}), but a process that it started keeps its output open");
                self.fail(caller, &what).await;
            }
            Output {
                code: status.code(),
                stdout: self.output_so_far(Stream::Stdout),
                stderr: self.output_so_far(Stream::Stderr),
            }
        }
    }

    /// Sends it a signal, and waits for its end.
    ///
    /// # Panics
    ///
    /// As [`RunningProgram::wait`].
    #[track_caller]
    pub fn signal_and_wait(self, signal: Signal) -> impl Future<Output = Output> {
        self.signal(signal);
        self.wait()
    }

    /// Kills it, and waits until it is gone.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("our own child can be killed");
    }

    fn written(&mut self, stream: Stream) -> &mut StreamBuffer {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    /// How it has ended, or that it has closed its output without ending.
    async fn exit_description(&mut self) -> String {
        let soon = Instant::now() + Duration::from_secs(1);
        match timeout_at(soon, self.child.wait()).await {
            Ok(Ok(status)) => format!("ended ({status})"),
            _ => "closed its output".to_owned(),
        }
    }

    /// Kills it and fails the test.
    async fn fail(&mut self, caller: &Location<'_>, what: &str) -> ! {
        let status: Option<ExitStatus> = self.child.try_wait().ok().flatten();
        // Fails if it has ended.
        let _ = self.child.kill().await;
        let closed = async {
            self.stdout.output_closed().await;
            self.stderr.output_closed().await;
        };
        // So that its last output is shown. A process that it started may keep the streams open.
        let _ = timeout(Duration::from_secs(1), closed).await;
        let after = if status.is_some() { String::new() } else { format!(" within {:?}", self.timeout) };
        panic!("{caller}: `{}` {what}{after}\n{}", self.command_line, self.streams());
    }

    fn streams(&self) -> String {
        format!("stdout:\n{}\nstderr:\n{}", self.stdout.text(), self.stderr.text())
    }
}

impl Drop for RunningProgram {
    fn drop(&mut self) {
        // A program that was waited for has already returned or shown its output.
        if thread::panicking() && self.child.id().is_some() {
            let title = format!("`{}` was running when the test failed", self.command_line);
            crate::failure_logs::print_to_test_output(&format!("{title}\n{}", self.streams()));
        }
    }
}

impl StreamBuffer {
    fn read(mut stream: impl AsyncRead + Unpin + Send + 'static) -> StreamBuffer {
        let (sender, content) = watch::channel(Vec::new());
        tokio::spawn(async move {
            let mut buffer = vec![0; 64 * 1024];
            // An error is the end of a stream too.
            while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                sender.send_modify(|content| content.extend_from_slice(&buffer[..length]));
            }
        });
        StreamBuffer { content, returned: 0 }
    }

    async fn next_line(&mut self) -> Option<String> {
        let returned = self.returned;
        // Receiving fails when the stream has ended. The last line may lack its line feed.
        let _ = self.content.wait_for(|content| content[returned..].contains(&b'\n')).await;
        let content = self.content.borrow();
        let rest = &content[returned..];
        let length = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
        if length == 0 {
            return None;
        }
        self.returned += length;
        let line = rest[..length].strip_suffix(b"\n").unwrap_or(&rest[..length]);
        Some(String::from_utf8_lossy(line).into_owned())
    }

    async fn output_closed(&mut self) {
        while self.content.changed().await.is_ok() {}
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.content.borrow()).into_owned()
    }
}
