//! Runs a program in a container, with bytes that go in and bytes that come out.

use std::time::Duration;

use bytes::Bytes;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::api::{AttachParams, AttachedProcess};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use super::cluster::Cluster;
use super::error::{Asked, KubernetesError};

/// What a program said.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) out: String,
    pub(super) err: String,
    pub(super) end: End,
}

/// How a program ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    Success,
    Failure,
    /// It was never started: there is none.
    NoSuchProgram,
}

/// What goes in, and who is told how much of it has gone.
pub(super) struct Input<'a> {
    pub(super) bytes: &'a Bytes,
    pub(super) progress: &'a (dyn Fn(usize) + Sync),
}

/// An honest answer is some kilobytes; a pod that never stops to speak is not listened to.
const LONGEST_ANSWER: u64 = 1 << 20;

/// Bytes between two words about progress, and in the pipe to the connection.
const CHUNK: usize = 128 * 1024;

/// Nothing that is run takes so long but for its input.
const LONGEST_RUN: Duration = Duration::from_secs(120);

/// What the slowest connection that is any use carries.
const LEAST_BYTES_PER_SECOND: usize = 64 * 1024;

pub(super) async fn run(
    cluster: &Cluster,
    pod: &str,
    container: &str,
    argv: &[String],
    input: Option<Input<'_>>,
) -> Result<Said, KubernetesError> {
    let params = AttachParams {
        container: Some(container.to_owned()),
        stdin: input.is_some(),
        max_stdin_buf_size: Some(CHUNK),
        max_stdout_buf_size: Some(CHUNK),
        ..AttachParams::default()
    };
    let api = cluster.pods();
    let process = cluster.again(Asked::EXEC, || api.exec(pod, argv, &params)).await?;
    let bytes = input.as_ref().map_or(0, |input| input.bytes.len());
    let most = LONGEST_RUN + Duration::from_secs((bytes / LEAST_BYTES_PER_SECOND) as u64);
    let cut = || KubernetesError::Cut { pod: pod.to_owned() };
    tokio::time::timeout(most, converse(process, input)).await.map_err(|_| cut())?.ok_or_else(cut)
}

/// `None` when the connection ends before the program does.
async fn converse(mut process: AttachedProcess, input: Option<Input<'_>>) -> Option<Said> {
    let ended = process.take_status()?;
    let (stdin, out, err) = (process.stdin(), process.stdout()?, process.stderr()?);
    let write = async {
        let (Some(input), Some(mut stdin)) = (input, stdin) else { return };
        for (at, chunk) in input.bytes.chunks(CHUNK).enumerate() {
            // A program that ends early says itself why.
            if stdin.write_all(chunk).await.is_err() {
                return;
            }
            (input.progress)(at * CHUNK + chunk.len());
        }
        let _ended = stdin.shutdown().await;
    };
    let listen = async { tokio::join!(read(out), read(err)) };
    tokio::pin!(write, listen, ended);
    let (mut written, mut heard) = (false, None);
    // What is not taken in is never told, and what a cut connection has left open never ends: the status ends it all.
    let status = loop {
        tokio::select! {
            status = &mut ended => break status?,
            said = &mut listen, if heard.is_none() => heard = Some(said),
            () = &mut write, if !written => written = true,
        }
    };
    let (out, err) = match heard {
        Some(said) => said,
        None => listen.await,
    };
    Some(Said { out: out?, err: err?, end: end(&status) })
}

/// `None` for what is too long or no text.
async fn read(from: impl AsyncRead + Unpin) -> Option<String> {
    let mut text = Vec::new();
    let mut from = from.take(LONGEST_ANSWER + 1);
    from.read_to_end(&mut text).await.ok()?;
    (text.len() as u64 <= LONGEST_ANSWER).then(|| String::from_utf8(text).ok())?
}

/// Runtimes differ in their words for a program that is not there; all of them quote the kernel or the search of the path.
fn end(status: &Status) -> End {
    let said = status.message.as_deref().unwrap_or_default();
    let has_run = status.reason.as_deref() == Some("NonZeroExitCode");
    match status.status.as_deref() {
        Some("Success") => End::Success,
        _ if !has_run
            && ["executable file not found", "no such file or directory"]
                .iter()
                .any(|it| said.contains(it)) =>
        {
            End::NoSuchProgram
        }
        _ => End::Failure,
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
        assert_eq!(end(&status("Success", "", "")), End::Success);
        let ran = status(
            "Failure",
            "NonZeroExitCode",
            "command terminated with non-zero exit code: no such file or directory",
        );
        assert_eq!(end(&ran), End::Failure);
        let none =
            "error executing command in container: exec: \"sh\": executable file not found in $PATH: unknown";
        assert_eq!(end(&status("Failure", "InternalError", none)), End::NoSuchProgram);
        assert_eq!(end(&status("Failure", "InternalError", "container not found")), End::Failure);
    }
}
