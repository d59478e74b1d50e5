//! Runs our commands in a pod: with the shell of its image, or with this program in an ephemeral container.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use k8s_openapi::api::core::v1::{Container, ContainerState, ContainerStateWaiting, Pod};
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use rollout::{PROGRAM_PATH, Poll, printable_line};
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::error::{ApiRequest, KubernetesError};
use super::exec::{ExecOutput, ExitKind, Input, exec};
use super::facts::{self, Facts};
use super::plugin_storage::volume_mount_of;

const FACTS_SCRIPT: &str = include_str!("facts.sh");
const COPY_SCRIPT: &str = include_str!("copy.sh");
const REMOVE_SCRIPT: &str = "rm -f \"$1/$2\" && echo removed";

/// Name prefix of our ephemeral containers.
const HELPER_CONTAINER_PREFIX: &str = "vault-token-plugin-";

/// Name prefix of the ephemeral containers that only pull an image.
const PULL_CONTAINER_PREFIX: &str = "pull-for-vault-token-plugin-";

/// Reasons of the kubelet for a container whose image could not be pulled.
const IMAGE_PULL_ERRORS: [&str; 6] = [
    "ErrImagePull",
    "ErrImageNeverPull",
    "ImagePullBackOff",
    "ImageInspectError",
    "InvalidImageName",
    "RegistryUnavailable",
];

/// Reasons of the kubelet for a container that could not be started from a pulled image.
const CONTAINER_START_ERRORS: [&str; 3] =
    ["CreateContainerError", "CreateContainerConfigError", "RunContainerError"];

/// Timeout of the start of an ephemeral container, which includes pulling its image.
const CONTAINER_START_TIMEOUT: Duration = Duration::from_secs(120);
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// The program that runs our commands in a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NodeExecutor {
    /// The shell of the server's container.
    Shell { container: String },
    /// This program, in an ephemeral container.
    Program { container: String },
}

/// Arguments of the facts script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FactsRequest {
    pub(super) directory: String,
    /// Path of the required dynamic linker, or empty.
    pub(super) linker: String,
    /// Name of the plugin, or empty for all plugins.
    pub(super) plugin: String,
    /// Files to hash, separated by spaces; or empty for all files.
    pub(super) needed: String,
}

/// A file to copy to a node.
pub(super) struct Upload<'a> {
    pub(super) directory: &'a Path,
    pub(super) file: &'a str,
    pub(super) sha256: &'a str,
    /// Compressed content.
    pub(super) bytes: &'a Bytes,
    pub(super) mode: u32,
    pub(super) owner: Option<u32>,
}

impl NodeExecutor {
    fn container(&self) -> &str {
        match self {
            Self::Shell { container } | Self::Program { container } => container,
        }
    }

    /// The ephemeral container, if one is used.
    pub(super) fn helper_container(&self) -> Option<&str> {
        match self {
            Self::Shell { .. } => None,
            Self::Program { container } => Some(container),
        }
    }

    fn argv(&self, subcommand: &str, script: &str, args: &[String]) -> Vec<String> {
        let program: Vec<&str> = match self {
            Self::Shell { .. } => vec!["sh", "-c", script, "sh"],
            Self::Program { .. } => vec![PROGRAM_PATH, "node", subcommand, "--"],
        };
        program.into_iter().map(str::to_owned).chain(args.iter().cloned()).collect()
    }

    /// Reads the facts of a node. Returns `None` if the container does not have the program.
    pub(super) async fn facts(
        &self,
        cluster: &Cluster,
        pod: &str,
        request: &FactsRequest,
        known: &str,
    ) -> Result<Option<Facts>, KubernetesError> {
        let FactsRequest { directory, linker, plugin, needed } = request;
        let mut args: Vec<String> = [directory, linker, plugin, known].map(str::to_owned).into();
        // This program in the image may be older, and not know the argument. It hashes all files, which is fast.
        if let Self::Shell { .. } = self {
            args.push(needed.clone());
        }
        let output =
            exec(cluster, pod, self.container(), &self.argv("facts", FACTS_SCRIPT, &args), None).await?;
        match output.exit {
            ExitKind::NoSuchProgram => Ok(None),
            ExitKind::Failure => Err(pod_error(pod, "read its plugin directory", &output)),
            ExitKind::Success => {
                let facts = facts::parse(&output.stdout)
                    .map_err(|source| KubernetesError::invalid_response(pod, source))?;
                Ok(Some(facts))
            }
        }
    }

    /// Copies a file to the node and verifies it there. Returns the cache key of the file, if the script reports one.
    pub(super) async fn copy(
        &self,
        cluster: &Cluster,
        pod: &str,
        upload: &Upload<'_>,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Option<String>, KubernetesError> {
        let args = [
            upload.directory.display().to_string(),
            upload.file.to_owned(),
            upload.sha256.to_owned(),
            upload.bytes.len().to_string(),
            format!("{:o}", upload.mode),
            upload.owner.map(|owner| owner.to_string()).unwrap_or_default(),
            format!("{:016x}", rand::random::<u64>()),
        ];
        let input = Input { bytes: upload.bytes, progress };
        let output =
            exec(cluster, pod, self.container(), &self.argv("copy", COPY_SCRIPT, &args), Some(input)).await?;
        let last = output.stdout.lines().last().unwrap_or_default();
        let (result, detail) = last.split_once(' ').unwrap_or((last, ""));
        let (pod, file, detail) = (pod.to_owned(), upload.file.to_owned(), detail.to_owned());
        match (&output.exit, result) {
            (ExitKind::Success, "copied") => Ok(Some(detail).filter(|key| facts::is_cache_key(key, &file))),
            (ExitKind::Success, "taken") => Err(KubernetesError::FileConflict { pod, file, found: detail }),
            (ExitKind::Success, "corrupt") => {
                Err(KubernetesError::Corrupt { pod, file, found: detail, expected: upload.sha256.to_owned() })
            }
            _ => Err(pod_error(&pod, "store the file", &output)),
        }
    }

    /// Removes a file from the node.
    pub(super) async fn remove(
        &self,
        cluster: &Cluster,
        pod: &str,
        directory: &Path,
        file: &str,
    ) -> Result<(), KubernetesError> {
        let args = [directory.display().to_string(), file.to_owned()];
        let output =
            exec(cluster, pod, self.container(), &self.argv("remove", REMOVE_SCRIPT, &args), None).await?;
        if output.exit == ExitKind::Success {
            Ok(())
        } else {
            Err(pod_error(pod, "remove the file", &output))
        }
    }
}

/// Limit of the output that is quoted in an error.
const MAX_MESSAGE_LENGTH: usize = 200;

/// An error that quotes the last line of the output.
fn pod_error(pod: &str, action: &'static str, output: &ExecOutput) -> KubernetesError {
    let last = output.stderr.trim().lines().last().or(output.stdout.lines().last()).unwrap_or("no output");
    KubernetesError::Pod { pod: pod.to_owned(), action, message: printable_line(last, MAX_MESSAGE_LENGTH) }
}

/// Returns an ephemeral container with this program on the volume of the plugins: the running one, or a new one.
pub(super) async fn ensure_helper_container(
    cluster: &Cluster,
    pod: &Pod,
    server: &Container,
    directory: &Path,
    image: &str,
) -> Result<NodeExecutor, KubernetesError> {
    if let Some(container) = running_helper_container(pod) {
        return Ok(NodeExecutor::Program { container });
    }
    let name = pod.name_any();
    let container = format!("{HELPER_CONTAINER_PREFIX}{:08x}", rand::random::<u32>());
    add_ephemeral_container(
        cluster,
        &name,
        helper_container_spec(&container, &name, server, directory, image)?,
    )
    .await?;
    let mut poll = Poll::every(POLL_INTERVAL, CONTAINER_START_TIMEOUT);
    loop {
        let now = cluster.pod(&name).await?;
        if now.as_ref().and_then(running_helper_container).is_some_and(|running| running == container) {
            return Ok(NodeExecutor::Program { container });
        }
        let stuck = now.as_ref().and_then(|pod| start_failure(pod, &container));
        if stuck.is_some() || poll.timed_out() {
            let message = stuck.unwrap_or_else(|| format!("the container {container} does not start"));
            return Err(KubernetesError::Pod { pod: name, action: "run this program", message });
        }
        poll.pause().await;
    }
}

/// Makes the node of a pod pull an image as the given init container would, in an ephemeral container that ends immediately. Returns `None` if
/// the node has pulled it, else why that could not be tested.
pub(super) async fn verify_image_pull(
    cluster: &Cluster,
    pod: &str,
    init_container: &Container,
    image: &str,
) -> Result<Option<String>, KubernetesError> {
    let container = format!("{PULL_CONTAINER_PREFIX}{:08x}", rand::random::<u32>());
    // The image need not contain this program: a container that cannot be started was pulled.
    let spec = json!({
        "name": container,
        "image": image,
        "imagePullPolicy": init_container.image_pull_policy,
        "command": [PROGRAM_PATH, "version"],
        "securityContext": init_container.security_context,
    });
    match add_ephemeral_container(cluster, pod, spec).await {
        Err(error @ KubernetesError::Forbidden { .. }) => return Ok(Some(error.to_string())),
        added => added?,
    }
    let mut poll = Poll::every(POLL_INTERVAL, CONTAINER_START_TIMEOUT);
    loop {
        let now = cluster.pod(pod).await?;
        match now.as_ref().and_then(|pod| container_state(pod, &container)).map(pull_state) {
            Some(PullState::Pulled) => return Ok(None),
            Some(PullState::Failed { message }) => {
                let message = format!("{image}: {message}");
                return Err(KubernetesError::Pod { pod: pod.to_owned(), action: "pull the image", message });
            }
            Some(PullState::Pending) | None if !poll.timed_out() => {
                poll.pause().await;
            }
            Some(PullState::Pending) | None => {
                return Ok(Some(format!(
                    "{pod} has not pulled it within {} seconds",
                    CONTAINER_START_TIMEOUT.as_secs()
                )));
            }
        }
    }
}

/// Whether an image was pulled.
#[derive(Clone, Debug, PartialEq, Eq)]
enum PullState {
    Pulled,
    Pending,
    Failed { message: String },
}

/// Derives from the state of a container whether its image was pulled.
fn pull_state(state: &ContainerState) -> PullState {
    let Some(waiting) = &state.waiting else {
        let has_begun = state.running.is_some() || state.terminated.is_some();
        return if has_begun { PullState::Pulled } else { PullState::Pending };
    };
    match waiting.reason.as_deref() {
        Some(reason) if IMAGE_PULL_ERRORS.contains(&reason) => {
            PullState::Failed { message: waiting_message(reason, waiting) }
        }
        Some(reason) if CONTAINER_START_ERRORS.contains(&reason) => PullState::Pulled,
        Some(_) | None => PullState::Pending,
    }
}

/// Adds an ephemeral container to a pod.
async fn add_ephemeral_container(
    cluster: &Cluster,
    pod: &str,
    container: Value,
) -> Result<(), KubernetesError> {
    let patch = Patch::Strategic(json!({"spec": {"ephemeralContainers": [container]}}));
    let (api, params) = (cluster.pods(), PatchParams::default());
    let added = cluster.retry(ApiRequest::PATCH_EPHEMERAL_CONTAINERS, || {
        api.patch_subresource("ephemeralcontainers", pod, &params, &patch)
    });
    added.await.map(drop)
}

/// Describes the ephemeral container. It runs as the server's user, with the same permissions.
fn helper_container_spec(
    container: &str,
    pod: &str,
    server: &Container,
    directory: &Path,
    image: &str,
) -> Result<Value, KubernetesError> {
    let impossible = |message: &str| KubernetesError::Pod {
        pod: pod.to_owned(),
        action: "run this program in an ephemeral container",
        message: message.to_owned(),
    };
    let mount = volume_mount_of(server, directory)
        .ok_or_else(|| impossible("the plugin directory is not on a volume"))?;
    if mount.sub_path.is_some() || mount.sub_path_expr.is_some() {
        return Err(impossible(
            "the plugin directory is part of a volume (subPath), which ephemeral containers do not support",
        ));
    }
    Ok(json!({
        "name": container,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": [PROGRAM_PATH, "node", "wait"],
        "targetContainerName": server.name,
        "securityContext": server.security_context,
        "volumeMounts": [{"name": mount.name, "mountPath": mount.mount_path, "readOnly": mount.read_only}],
    }))
}

fn running_helper_container(pod: &Pod) -> Option<String> {
    let statuses = pod.status.as_ref()?.ephemeral_container_statuses.as_ref()?;
    let runs = |it: &&k8s_openapi::api::core::v1::ContainerStatus| {
        it.name.starts_with(HELPER_CONTAINER_PREFIX)
            && it.state.as_ref().is_some_and(|state| state.running.is_some())
    };
    statuses.iter().find(runs).map(|it| it.name.clone())
}

/// Returns why an ephemeral container will not run.
fn start_failure(pod: &Pod, container: &str) -> Option<String> {
    let state = container_state(pod, container)?;
    if let Some(ended) = &state.terminated {
        let why = ended.message.as_ref().or(ended.reason.as_ref());
        return Some(format!("it has ended: {}", why.map_or("unknown reason", String::as_str)));
    }
    let waiting = state.waiting.as_ref()?;
    let reason = waiting.reason.as_deref()?;
    let is_final = IMAGE_PULL_ERRORS.contains(&reason) || CONTAINER_START_ERRORS.contains(&reason);
    is_final.then(|| waiting_message(reason, waiting))
}

/// The state of an ephemeral container.
fn container_state<'a>(pod: &'a Pod, container: &str) -> Option<&'a ContainerState> {
    let statuses = pod.status.as_ref()?.ephemeral_container_statuses.as_ref()?;
    statuses.iter().find(|it| it.name == container)?.state.as_ref()
}

fn waiting_message(reason: &str, waiting: &ContainerStateWaiting) -> String {
    match &waiting.message {
        Some(message) => format!("{reason}: {message}"),
        None => reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt;
    use std::process::{Command, Stdio};

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use rollout::hex_sha256;

    #[test]
    fn an_image_whose_container_cannot_be_started_was_pulled() {
        let of = |state: Value| pull_state(&serde_json::from_value(state).expect("a state"));
        let waiting = |reason: &str| of(json!({"waiting": {"reason": reason, "message": "why"}}));
        assert_eq!(of(json!({"running": {}})), PullState::Pulled);
        assert_eq!(of(json!({"terminated": {"exitCode": 128, "reason": "StartError"}})), PullState::Pulled);
        assert_eq!(waiting("CreateContainerError"), PullState::Pulled);
        assert_eq!(waiting("RunContainerError"), PullState::Pulled);
        assert_eq!(waiting("ErrImagePull"), PullState::Failed { message: "ErrImagePull: why".into() });
        assert_eq!(
            waiting("ErrImageNeverPull"),
            PullState::Failed { message: "ErrImageNeverPull: why".into() }
        );
        for state in [json!({}), json!({"waiting": {"reason": "ContainerCreating"}})] {
            assert_eq!(of(state), PullState::Pending);
        }
    }

    #[test]
    fn a_binary_is_copied_in_parts_also_where_sync_accepts_no_file() {
        let folder = tempfile::tempdir().expect("a directory");
        let (tools, plugins) = (folder.path().join("tools"), folder.path().join("plugins"));
        for directory in [&tools, &plugins] {
            fs::create_dir(directory).expect("it is new");
        }
        let sync = tools.join("sync");
        fs::write(&sync, "#!/bin/sh\nexec test $# = 0\n").expect("written");
        fs::set_permissions(&sync, fs::Permissions::from_mode(0o755)).expect("ours");
        let path = format!("{}:{}", tools.display(), std::env::var("PATH").expect("a path"));

        let content = b"a plugin".repeat(1024 * 1024);
        let mut compressed = GzEncoder::new(Vec::new(), Compression::fast());
        compressed.write_all(&content).expect("memory");
        let compressed = compressed.finish().expect("memory");
        let mut shell = Command::new("sh")
            .args(["-c", COPY_SCRIPT, "copy", plugins.to_str().expect("text"), "custom-1.2.3"])
            .args([&hex_sha256(&content), &compressed.len().to_string(), "755", "", "n1"])
            .env("PATH", path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        shell.stdin.take().expect("piped").write_all(&compressed).expect("taken in");
        let output = shell.wait_with_output().expect("ended");
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(stdout.starts_with("copied ") && output.status.success(), "{stdout}");
        assert!(fs::read(plugins.join("custom-1.2.3")).expect("there") == content);
    }
}
