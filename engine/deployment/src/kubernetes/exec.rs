//! Runs a command in a container, with its standard input and output.

use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::{SinkExt as _, StreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::Resource as _;
use kube::api::AttachParams;
use kube::client::Connection;
use kube::core::Request;
use tokio_tungstenite::tungstenite::Message;

use super::cluster::Cluster;
use super::error::{ApiRequest, KubernetesError};

/// The output of a command.
#[derive(Debug)]
pub(super) struct ExecOutput {
    pub(super) stdout: String,
    pub(super) stderr: String,
    pub(super) exit: ExitKind,
}

impl ExecOutput {
    /// If CRI-O cannot start a command, it returns the standard error and the exit code of the container runtime as those of the command.
    /// A command with standard output was started.
    fn detect_missing_program(self) -> Self {
        let is_of_runtime = self.exit == ExitKind::Failure
            && self.stdout.is_empty()
            && self.stderr.lines().any(is_missing_program_error);
        if is_of_runtime { Self { exit: ExitKind::NoSuchProgram, ..self } } else { self }
    }
}

/// How a command ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ExitKind {
    Success,
    Failure,
    /// The program does not exist, so the command was not started.
    NoSuchProgram,
}

/// Standard input, and a callback that gets the number of bytes sent.
pub(super) struct Input<'a> {
    pub(super) bytes: &'a Bytes,
    pub(super) progress: &'a (dyn Fn(usize) + Sync),
}

/// Limit of the output. Our scripts write some kilobytes.
const MAX_OUTPUT_BYTES: usize = 1 << 20;

/// Bytes in one message, and between two progress reports.
const CHUNK_SIZE: usize = 128 * 1024;

/// Timeout of a command without its input.
const EXEC_TIMEOUT: Duration = Duration::from_secs(120);

/// Minimum speed of a usable connection, for the timeout of the input.
const MIN_BYTES_PER_SECOND: usize = 64 * 1024;

/// The first byte of a message is its channel (`v5.channel.k8s.io`, Kubernetes 1.30 and later; `v4` does not have the last one).
mod channel {
    pub(super) const STDIN: u8 = 0;
    pub(super) const STDOUT: u8 = 1;
    pub(super) const STDERR: u8 = 2;
    pub(super) const STATUS: u8 = 3;
    pub(super) const CLOSE: u8 = 255;
}

pub(super) async fn exec(
    cluster: &Cluster,
    pod: &str,
    container: &str,
    argv: &[String],
    input: Option<Input<'_>>,
) -> Result<ExecOutput, KubernetesError> {
    let params = AttachParams {
        container: Some(container.to_owned()),
        stdin: input.is_some(),
        ..AttachParams::default()
    };
    let request = Request::new(Pod::url_path(&(), Some(&cluster.namespace)));
    let connect = || async {
        let request = request.exec(pod, argv, &params).map_err(kube::Error::BuildRequest)?;
        cluster.client().connect(request).await
    };
    let connection = cluster.retry(ApiRequest::EXEC, connect).await?;
    let bytes = input.as_ref().map_or(0, |input| input.bytes.len());
    let timeout = EXEC_TIMEOUT + Duration::from_secs((bytes / MIN_BYTES_PER_SECOND) as u64);
    let lost = || KubernetesError::ConnectionLost { pod: pod.to_owned() };
    tokio::time::timeout(timeout, run_streams(connection, input)).await.map_err(|_| lost())?.ok_or_else(lost)
}

/// Returns `None` if the connection ends before the command does, and if the output is too long or not UTF-8.
async fn run_streams(connection: Connection, input: Option<Input<'_>>) -> Option<ExecOutput> {
    let supports_close = connection.supports_stream_close();
    let (mut send, mut receive) = connection.into_stream().split();
    let write = async {
        let Some(input) = input else { return };
        for (at, chunk) in input.bytes.chunks(CHUNK_SIZE).enumerate() {
            // A command that ends early reports the reason in its output.
            if send.send(channel_message(channel::STDIN, chunk)).await.is_err() {
                return;
            }
            (input.progress)(at * CHUNK_SIZE + chunk.len());
        }
        if supports_close {
            let _closed = send.send(channel_message(channel::CLOSE, &[channel::STDIN])).await;
        }
    };
    tokio::pin!(write);
    let (mut written, mut out, mut err) = (false, Vec::new(), Vec::new());
    // The status ends the loop, also if the command has not read all of its input.
    loop {
        let bytes = tokio::select! {
            received = receive.next() => match received?.ok()? {
                Message::Binary(bytes) => bytes,
                Message::Close(_) => return None,
                _ => continue,
            },
            () = &mut write, if !written => {
                written = true;
                continue;
            }
        };
        let (channel, bytes) = bytes.split_first()?;
        match *channel {
            channel::STDOUT => out.extend_from_slice(bytes),
            channel::STDERR => err.extend_from_slice(bytes),
            channel::STATUS => {
                let status: Status = serde_json::from_slice(bytes).ok()?;
                let text = |bytes| String::from_utf8(bytes).ok();
                return Some(
                    ExecOutput { stdout: text(out)?, stderr: text(err)?, exit: exit_kind(&status) }
                        .detect_missing_program(),
                );
            }
            _ => {}
        }
        if out.len().max(err.len()) > MAX_OUTPUT_BYTES {
            return None;
        }
    }
}

fn channel_message(channel: u8, bytes: &[u8]) -> Message {
    let mut message = BytesMut::with_capacity(1 + bytes.len());
    message.put_u8(channel);
    message.put_slice(bytes);
    Message::Binary(message.freeze())
}

/// Whether a line is the message of runc or crun about a program that does not exist.
fn is_missing_program_error(line: &str) -> bool {
    let of_runc = line.contains("exec failed:") && mentions_missing_program(line);
    let of_crun = line.contains("executable file `") && line.contains("not found");
    of_runc || of_crun || line.trim_end().ends_with("open executable: No such file or directory")
}

fn mentions_missing_program(message: &str) -> bool {
    let message = message.to_lowercase();
    ["executable file not found", "no such file or directory"].iter().any(|text| message.contains(text))
}

/// Runtimes have different messages for a program that does not exist. All of them quote the kernel or the lookup in `PATH`.
fn exit_kind(status: &Status) -> ExitKind {
    let message = status.message.as_deref().unwrap_or_default();
    let has_run = status.reason.as_deref() == Some("NonZeroExitCode");
    match status.status.as_deref() {
        Some("Success") => ExitKind::Success,
        _ if !has_run && mentions_missing_program(message) => ExitKind::NoSuchProgram,
        _ => ExitKind::Failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_told_from_one_that_fails() {
        let status = |status: &str, reason: &str, message: &str| Status {
            status: Some(status.into()),
            reason: Some(reason.into()),
            message: Some(message.into()),
            ..Status::default()
        };
        assert_eq!(exit_kind(&status("Success", "", "")), ExitKind::Success);
        let ran = status(
            "Failure",
            "NonZeroExitCode",
            "command terminated with non-zero exit code: no such file or directory",
        );
        assert_eq!(exit_kind(&ran), ExitKind::Failure);
        let none =
            "error executing command in container: exec: \"sh\": executable file not found in $PATH: unknown";
        assert_eq!(exit_kind(&status("Failure", "InternalError", none)), ExitKind::NoSuchProgram);
        let crun = "OCI runtime error: executable file `sh` not found in $PATH: No such file or directory";
        assert_eq!(exit_kind(&status("Failure", "InternalError", crun)), ExitKind::NoSuchProgram);
        assert_eq!(exit_kind(&status("Failure", "InternalError", "container not found")), ExitKind::Failure);
    }

    #[test]
    fn an_error_of_the_runtime_on_the_standard_error_of_the_program_is_recognized() {
        // CRI-O returns what runc and crun write there, and their exit code as that of the program.
        let status = Status {
            status: Some("Failure".into()),
            reason: Some("NonZeroExitCode".into()),
            message: Some("command terminated with non-zero exit code".into()),
            ..Status::default()
        };
        let output = |out: &str, err: &str| {
            ExecOutput { stdout: out.into(), stderr: err.into(), exit: exit_kind(&status) }
                .detect_missing_program()
        };
        for err in [
            "time=\"2026-03-01T12:00:00Z\" level=error msg=\"exec failed: unable to start container process: exec: \\\"sh\\\": executable file not found in $PATH\"\n",
            "exec failed: unable to start container process: exec: \"/bin/sh\": stat /bin/sh: no such file or directory\n",
            "executable file `sh` not found in $PATH: No such file or directory\n",
            "2026-03-01T12:00:00.000000Z: executable file `/vault-token-plugin` not found: No such file or directory\n",
            "open executable: No such file or directory\n",
        ] {
            assert_eq!(output("", err).exit, ExitKind::NoSuchProgram, "{err}");
        }
        for (out, err) in [
            ("", "sh: can't open '/vault/plugins/custom': No such file or directory\n"),
            ("", "sh: 1: sha256sum: not found\n"),
            ("files\n", "exec failed: executable file not found in $PATH\n"),
            ("", ""),
        ] {
            assert_eq!(output(out, err).exit, ExitKind::Failure, "{err}");
        }
    }
}
