//! Who does the work in a pod: its own shell, or this program in a container beside it.

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
const PLACE_SCRIPT: &str = include_str!("place.sh");
const REMOVE_SCRIPT: &str = "rm -f \"$1/$2\" && echo removed";

/// Names of the containers that we put beside a server begin so.
const HELPER_CONTAINER_PREFIX: &str = "vault-token-plugin-";

/// Names of the containers that only pull an image begin so.
const PULL_CONTAINER_PREFIX: &str = "pull-for-vault-token-plugin-";

/// What the kubelet says of an image that it does not have.
const IMAGE_PULL_ERRORS: [&str; 6] = [
    "ErrImagePull",
    "ErrImageNeverPull",
    "ImagePullBackOff",
    "ImageInspectError",
    "InvalidImageName",
    "RegistryUnavailable",
];

/// What it says of a container that it cannot start from an image that it has.
const CONTAINER_START_ERRORS: [&str; 3] =
    ["CreateContainerError", "CreateContainerConfigError", "RunContainerError"];

/// An image is pulled first.
const CONTAINER_START_TIMEOUT: Duration = Duration::from_secs(120);
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Who does the work in a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NodeExecutor {
    /// The shell of the server's image.
    Shell { container: String },
    /// This program, in a container beside the server.
    Program { container: String },
}

/// What a node is asked about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FactsRequest {
    pub(super) directory: String,
    /// A dynamic linker that is needed, or nothing.
    pub(super) linker: String,
    /// Or nothing, for all.
    pub(super) plugin: String,
    /// Files whose content matters, with blanks between them; or nothing, for all.
    pub(super) needed: String,
}

/// What is put onto a node.
pub(super) struct Upload<'a> {
    pub(super) directory: &'a Path,
    pub(super) file: &'a str,
    pub(super) sha256: &'a str,
    /// Compressed.
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

    /// The container in which this program does the work.
    pub(super) fn helper_container(&self) -> Option<&str> {
        match self {
            Self::Shell { .. } => None,
            Self::Program { container } => Some(container),
        }
    }

    fn argv(&self, word: &str, script: &str, args: &[String]) -> Vec<String> {
        let first: Vec<&str> = match self {
            Self::Shell { .. } => vec!["sh", "-c", script, "sh"],
            Self::Program { .. } => vec![PROGRAM_PATH, "node", word, "--"],
        };
        first.into_iter().map(str::to_owned).chain(args.iter().cloned()).collect()
    }

    /// Asks what the node is. `None` when there is nobody who could answer.
    pub(super) async fn facts(
        &self,
        cluster: &Cluster,
        pod: &str,
        asking: &FactsRequest,
        known: &str,
    ) -> Result<Option<Facts>, KubernetesError> {
        let FactsRequest { directory, linker, plugin, needed } = asking;
        let mut args: Vec<String> = [directory, linker, plugin, known].map(str::to_owned).into();
        // Our own program may be older than we are. It hashes quickly, and hashes all.
        if let Self::Shell { .. } = self {
            args.push(needed.clone());
        }
        let said =
            exec(cluster, pod, self.container(), &self.argv("facts", FACTS_SCRIPT, &args), None).await?;
        match said.exit {
            ExitKind::NoSuchProgram => Ok(None),
            ExitKind::Failure => Err(pod_error(pod, "say what it is", &said)),
            ExitKind::Success => {
                let answer = facts::parse(&said.stdout)
                    .map_err(|source| KubernetesError::invalid_answer(pod, source))?;
                Ok(Some(answer))
            }
        }
    }

    /// Puts a file onto the node, verified there. Returns what cannot stay the same when its content changes,
    /// where that is said.
    pub(super) async fn place(
        &self,
        cluster: &Cluster,
        pod: &str,
        parcel: &Upload<'_>,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Option<String>, KubernetesError> {
        let args = [
            parcel.directory.display().to_string(),
            parcel.file.to_owned(),
            parcel.sha256.to_owned(),
            parcel.bytes.len().to_string(),
            format!("{:o}", parcel.mode),
            parcel.owner.map(|owner| owner.to_string()).unwrap_or_default(),
            format!("{:016x}", rand::random::<u64>()),
        ];
        let input = Input { bytes: parcel.bytes, progress };
        let said =
            exec(cluster, pod, self.container(), &self.argv("place", PLACE_SCRIPT, &args), Some(input))
                .await?;
        let last = said.stdout.lines().last().unwrap_or_default();
        let (word, there) = last.split_once(' ').unwrap_or((last, ""));
        let (pod, file, there) = (pod.to_owned(), parcel.file.to_owned(), there.to_owned());
        match (&said.exit, word) {
            (ExitKind::Success, "placed") => Ok(Some(there).filter(|key| facts::is_cache_key(key, &file))),
            (ExitKind::Success, "taken") => Err(KubernetesError::FileConflict { pod, file, there }),
            (ExitKind::Success, "corrupt") => {
                Err(KubernetesError::Corrupt { pod, file, there, wanted: parcel.sha256.to_owned() })
            }
            _ => Err(pod_error(&pod, "take the file", &said)),
        }
    }

    /// Takes a file away from the node.
    pub(super) async fn remove(
        &self,
        cluster: &Cluster,
        pod: &str,
        directory: &Path,
        file: &str,
    ) -> Result<(), KubernetesError> {
        let args = [directory.display().to_string(), file.to_owned()];
        let said =
            exec(cluster, pod, self.container(), &self.argv("remove", REMOVE_SCRIPT, &args), None).await?;
        if said.exit == ExitKind::Success { Ok(()) } else { Err(pod_error(pod, "remove the file", &said)) }
    }
}

/// How much of a program's words is shown.
const MAX_MESSAGE_LENGTH: usize = 200;

/// The last words of a program.
fn pod_error(pod: &str, what: &'static str, said: &ExecOutput) -> KubernetesError {
    let words = said.stderr.trim().lines().last().or(said.stdout.lines().last()).unwrap_or("it said nothing");
    KubernetesError::Pod { pod: pod.to_owned(), what, said: printable_line(words, MAX_MESSAGE_LENGTH) }
}

/// This program in a container beside the server, on the same volume: one that runs already, or a new one.
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
    let poll = Poll::every(POLL_INTERVAL, CONTAINER_START_TIMEOUT);
    loop {
        let now = cluster.pod(&name).await?;
        if now.as_ref().and_then(running_helper_container).is_some_and(|running| running == container) {
            return Ok(NodeExecutor::Program { container });
        }
        let stuck = now.as_ref().and_then(|pod| start_failure(pod, &container));
        if stuck.is_some() || poll.timed_out() {
            let said = stuck.unwrap_or_else(|| format!("the container {container} does not start"));
            return Err(KubernetesError::Pod { pod: name, what: "run this program", said });
        }
        poll.pause().await;
    }
}

/// Has the node of a pod pull an image as the init container `filler` would, in an ephemeral container that ends at once. Returns why that
/// could not be tried; `None` when it is proven.
pub(super) async fn verify_image_pull(
    cluster: &Cluster,
    pod: &str,
    filler: &Container,
    image: &str,
) -> Result<Option<String>, KubernetesError> {
    let container = format!("{PULL_CONTAINER_PREFIX}{:08x}", rand::random::<u32>());
    // Whether the image has this program does not matter: what cannot be started was pulled.
    let described = json!({
        "name": container,
        "image": image,
        "imagePullPolicy": filler.image_pull_policy,
        "command": [PROGRAM_PATH, "version"],
        "securityContext": filler.security_context,
    });
    match add_ephemeral_container(cluster, pod, described).await {
        Err(error @ KubernetesError::Forbidden { .. }) => return Ok(Some(error.to_string())),
        added => added?,
    }
    let poll = Poll::every(POLL_INTERVAL, CONTAINER_START_TIMEOUT);
    loop {
        let now = cluster.pod(pod).await?;
        match now.as_ref().and_then(|pod| container_state(pod, &container)).map(pull_state) {
            Some(PullState::Pulled) => return Ok(None),
            Some(PullState::Failed { said }) => {
                let said = format!("{image}: {said}");
                return Err(KubernetesError::Pod { pod: pod.to_owned(), what: "pull the image", said });
            }
            Some(PullState::Pending) | None if !poll.timed_out() => {
                poll.pause().await;
            }
            Some(PullState::Pending) | None => {
                return Ok(Some(format!(
                    "{pod} has not pulled it in {} seconds",
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
    Failed { said: String },
}

/// What the state of a container says of its image.
fn pull_state(state: &ContainerState) -> PullState {
    let Some(waiting) = &state.waiting else {
        let has_begun = state.running.is_some() || state.terminated.is_some();
        return if has_begun { PullState::Pulled } else { PullState::Pending };
    };
    match waiting.reason.as_deref() {
        Some(reason) if IMAGE_PULL_ERRORS.contains(&reason) => {
            PullState::Failed { said: waiting_message(reason, waiting) }
        }
        Some(reason) if CONTAINER_START_ERRORS.contains(&reason) => PullState::Pulled,
        Some(_) | None => PullState::Pending,
    }
}

/// Puts an ephemeral container into a pod.
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

/// It runs as the server's user, so that it may do what that may and no more.
fn helper_container_spec(
    container: &str,
    pod: &str,
    server: &Container,
    directory: &Path,
    image: &str,
) -> Result<Value, KubernetesError> {
    let impossible = |said: &str| KubernetesError::Pod {
        pod: pod.to_owned(),
        what: "run this program beside its server",
        said: said.to_owned(),
    };
    let mount = volume_mount_of(server, directory)
        .ok_or_else(|| impossible("the plugin directory lies on no volume"))?;
    if mount.sub_path.is_some() || mount.sub_path_expr.is_some() {
        return Err(impossible(
            "the plugin directory is a part of a volume (subPath), which is not possible there",
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

/// Why a container beside the server will not run.
fn start_failure(pod: &Pod, container: &str) -> Option<String> {
    let state = container_state(pod, container)?;
    if let Some(ended) = &state.terminated {
        let why = ended.message.as_ref().or(ended.reason.as_ref());
        return Some(format!("it has ended: {}", why.map_or("no reason is known", String::as_str)));
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
    fn what_cannot_be_started_was_pulled_all_the_same() {
        let of = |state: Value| pull_state(&serde_json::from_value(state).expect("a state"));
        let waits = |reason: &str| of(json!({"waiting": {"reason": reason, "message": "why"}}));
        assert_eq!(of(json!({"running": {}})), PullState::Pulled);
        assert_eq!(of(json!({"terminated": {"exitCode": 128, "reason": "StartError"}})), PullState::Pulled);
        assert_eq!(waits("CreateContainerError"), PullState::Pulled);
        assert_eq!(waits("RunContainerError"), PullState::Pulled);
        assert_eq!(waits("ErrImagePull"), PullState::Failed { said: "ErrImagePull: why".into() });
        assert_eq!(waits("ErrImageNeverPull"), PullState::Failed { said: "ErrImageNeverPull: why".into() });
        for state in [json!({}), json!({"waiting": {"reason": "ContainerCreating"}})] {
            assert_eq!(of(state), PullState::Pending);
        }
    }

    #[test]
    fn a_binary_is_placed_piece_by_piece_also_where_sync_takes_no_file() {
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
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(&content).expect("memory");
        let packed = packed.finish().expect("memory");
        let mut shell = Command::new("sh")
            .args(["-c", PLACE_SCRIPT, "place", plugins.to_str().expect("text"), "custom-1.2.3"])
            .args([&hex_sha256(&content), &packed.len().to_string(), "755", "", "n1"])
            .env("PATH", path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        shell.stdin.take().expect("piped").write_all(&packed).expect("taken in");
        let output = shell.wait_with_output().expect("ended");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.starts_with("placed ") && output.status.success(), "{said}");
        assert!(fs::read(plugins.join("custom-1.2.3")).expect("there") == content);
    }
}
