//! Why nothing is done: the cause, and what cures it.

use std::path::PathBuf;

use serde::Serialize;
use vault_api::catalog::PluginType;

use crate::binary::Architecture;
use crate::mount_path::MountPath;
use crate::observed::deployment::{Exposure, NodeName};
use crate::shell::shell_quote;
use crate::version::Version;

/// A goal that is not pursued. `Display` is the cause; [`Refusal::hint`] says what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are the words of the sentence above them")]
#[non_exhaustive]
pub enum Refusal {
    /// Before `operator init`.
    #[error("the server at {address} is not initialized")]
    NotInitialized { address: String },
    /// Sealed.
    #[error("the server at {address} is sealed")]
    Sealed { address: String },
    /// The token lacks something that a planned step needs.
    #[error("the token may not do what this needs: {}", missing.join(", "))]
    NotPermitted { missing: Vec<String>, policy: String },
    /// `plugin_directory` is empty.
    #[error("the server has no plugin directory, so it runs no external plugins")]
    NoPluginDirectory,
    /// Nothing was said about where the server's directory lies.
    #[error("it is not known where the plugin directory of the server lies")]
    PluginDirectoryUnknown,
    /// Other nodes need the binary too.
    #[error("the server has other nodes, whose plugin directories this machine cannot look at: {}", nodes.join(", "))]
    OtherNodes { nodes: Vec<String>, directory: PathBuf, file: String },
    /// Other nodes need the binary too, and nobody knows which these are.
    #[error(
        "the server is one of several nodes, and does not name the others, whose plugin directories this machine cannot look at"
    )]
    UnnamedNodes { directory: PathBuf, file: String },
    /// The directory of that name on this machine is not the server's.
    #[error("the server at {address} runs on another machine, so its plugin directory is not {directory} of this one", directory = directory.display())]
    RemoteServer { address: String, nodes: Vec<String>, directory: PathBuf },
    /// Somebody else is at it.
    #[error("{holder} is changing plugins here at this moment")]
    LockHeld { holder: String },
    /// What is refused on one node.
    #[error("on {node}: {why}")]
    OnNode { node: NodeName, why: Box<Refusal> },
    /// Every node needs the binary, and this one cannot be given it.
    #[error("the node is not ready: {why}")]
    NodeNotReady { why: String },
    /// The server's directory is missing on this machine.
    #[error("the plugin directory {directory} does not exist on this machine")]
    DirectoryMissing { directory: PathBuf },
    /// A file, a socket.
    #[error("{directory} is not a directory")]
    NotADirectory { directory: PathBuf },
    /// Vault compares the real path of a plugin with the configured directory.
    #[error("the server's plugin directory {directory} leads over a symbolic link to {real}")]
    DirectorySymlinked { directory: PathBuf, real: PathBuf },
    /// The server looks elsewhere.
    #[error("the server looks for plugins in {servers}, not in {directory}")]
    DirectoryMismatch { directory: PathBuf, servers: PathBuf },
    /// No write permission.
    #[error("the plugin directory {directory} cannot be written to")]
    DirectoryNotWritable { directory: PathBuf },
    /// Mounted read-only.
    #[error("the plugin directory {directory} is mounted read-only")]
    DirectoryReadOnly { directory: PathBuf },
    /// Mounted without execution.
    #[error("the plugin directory {directory} is mounted noexec, so nothing in it can be started")]
    DirectoryNoExec { directory: PathBuf },
    /// Anybody could exchange a plugin.
    #[error("everybody may write to the plugin directory {directory}")]
    DirectoryWorldWritable { directory: PathBuf },
    /// Others can replace what is placed there.
    #[error("{exposed} {by}, so others than its owner can replace plugins in {directory}", exposed = exposed.display(), directory = directory.display())]
    DirectoryExposed { directory: PathBuf, exposed: PathBuf, by: Exposure },
    /// The disk is full.
    #[error("{directory} has {free_bytes} bytes free and the binary needs {needed_bytes}")]
    InsufficientSpace { directory: PathBuf, free_bytes: u64, needed_bytes: u64 },
    /// Not ELF.
    #[error("{path} is not a Linux executable")]
    NotExecutable { path: PathBuf },
    /// Its owner may not execute it.
    #[error("{path} is not executable")]
    NoExecutePermission { path: PathBuf },
    /// Built for another machine.
    #[error("{path} is built for {binary} and the server runs on {site}")]
    WrongArchitecture { path: PathBuf, binary: Architecture, site: Architecture },
    /// Linked against another libc.
    #[error("{path} needs the dynamic linker {interpreter}, which is not there")]
    InterpreterMissing { path: PathBuf, interpreter: PathBuf },
    /// Started, and no plugin.
    #[error("{path} is not a plugin that works: {said}")]
    ProbeFailed { path: PathBuf, said: String },
    /// Vault refuses to register it.
    #[error("{path} reports version {reported} and not {wanted}")]
    VersionMismatch { path: PathBuf, reported: String, wanted: Version },
    /// A secrets engine as auth method, or the other way round.
    #[error("{path} is of type {reported} and not {wanted}")]
    TypeMismatch { path: PathBuf, reported: PluginType, wanted: PluginType },
    /// Only secrets engines are mounted here.
    #[error("a plugin of type {kind} cannot be mounted at {path}")]
    NotMountable { kind: PluginType, path: MountPath },
    /// The file name is taken by other content.
    #[error("{directory}/{file} exists with another content (sha256 {there}, wanted {wanted})", directory = directory.display())]
    FileConflict { directory: PathBuf, file: String, there: String, wanted: String },
    /// The version is in the catalog with something else.
    #[error("{entry} is already registered with another {what} ({there}, wanted {wanted})")]
    VersionConflict { entry: String, what: &'static str, there: String, wanted: String },
    /// Another plugin is mounted there.
    #[error("{path} is taken by {plugin}")]
    MountConflict { path: MountPath, plugin: String },
    /// Mounts cannot lie in each other.
    #[error("{path} cannot be mounted beside {other}, because one lies in the other")]
    MountsOverlap { path: MountPath, other: String },
    /// A pin overrules everything.
    #[error("{name} is pinned to {pinned}")]
    Pinned { kind: PluginType, name: String, pinned: String, wanted: Version },
    /// Towards an older version.
    #[error("{path} is at {there}, which is newer than {wanted}")]
    Downgrade { path: MountPath, there: String, wanted: Version },
    /// Started anew, and still not what it should be.
    #[error("{path} runs {running:?} after its reload and not {expected:?}")]
    RunningVersionMismatch { path: MountPath, running: String, expected: String },
    /// Nothing is mounted there.
    #[error("nothing is mounted at {path}")]
    MountNotFound { path: MountPath },
    /// No mount of this plugin.
    #[error("no mount runs the {kind} plugin {name}")]
    NoMountOfPlugin { kind: PluginType, name: String },
    /// A version that nobody has registered.
    #[error("{name} {version} is not registered")]
    NotRegistered { name: String, version: Version },
    /// Registered, and a node has not the file.
    #[error("{name} {version} is registered and its file is not in place on {node}")]
    FileMissing { name: String, version: Version, node: NodeName },
    /// Nothing to go back to.
    #[error("there is no version of {name} before {running} that is registered and in place on every node")]
    NoRollbackVersion { name: String, running: String },
    /// Paths or fields are gone.
    #[error("clients of {name} would fail with this version: {}", breaks.join("; "))]
    BreakingChange { name: String, breaks: Vec<String> },
    /// A pin holds every mount of a plugin.
    #[error("{name} is pinned to {pinned}, so that {path} would be moved too")]
    PinAffectsOtherMounts { name: String, pinned: String, path: MountPath },
    /// A pin holds every mount of a plugin, in every namespace.
    #[error(
        "{name} is pinned to {pinned}, so that {path} of another namespace would be moved too, without being proven"
    )]
    PinAffectsOtherNamespaces { name: String, pinned: String, path: String },
    /// The catalog is that of all namespaces.
    #[error(
        "in the namespace {namespace} it cannot be seen what other namespaces run, and all share one catalog"
    )]
    NotRootNamespace { namespace: String },
    /// Nothing can be seen of a sealed server.
    #[error("its server is sealed")]
    NodeSealed,
    /// Somebody has to be there to unseal it.
    #[error("its server does not unseal itself (Shamir seal), so a restart leaves it sealed")]
    StaysSealed,
    /// The other voters are no majority.
    #[error(
        "it is one of {voters} voters of raft, so while it restarts there is no quorum, and nothing can be written"
    )]
    LosesQuorum { voters: usize },
    /// A restart of a node would lose it.
    #[error("{file} would be gone when a node is started anew: {what}")]
    NotDurable { file: String, what: String },
    /// A standby that has to be restarted would come back without it.
    #[error("a restart would lose {file}, which {path} needs: {what}")]
    LostAtRestart { file: String, path: String, what: String },
    /// The next restart of a node would lose other registered versions.
    #[error("{image} does not bring {}", lacks.join(", "))]
    ImageIncomplete { image: String, lacks: Vec<String> },
    /// The next restart of a node would bring a file that the server does not start.
    #[error("{image} brings {file} with the sha256 {there}, and {registered} is registered")]
    ImageChecksumMismatch { image: String, file: String, there: String, registered: String },
    /// Nobody has agreed to restarts.
    #[error(
        "another image of the init container {container} would restart the nodes at once (RollingUpdate)"
    )]
    WouldRestartPods { container: String },
    /// Started anew, and no process of it can be seen.
    #[error("no process of {file} is to be seen, though {path} is said to run it")]
    NoProcess { path: MountPath, file: String },
    /// Nobody can say whether it is in use.
    #[error("it cannot be seen who uses the {kind} plugin {name}")]
    UseUnknown { kind: PluginType, name: String },
    /// In use.
    #[error("{name} {version} is still needed: {need}")]
    InUse { name: String, version: String, need: InUse },
}

/// Who needs a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "by", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are the words of the sentence above them")]
pub enum InUse {
    /// It serves.
    #[error("{path} runs it")]
    RunningAt { path: String },
    /// It will serve after the next restart.
    #[error("{path} is configured to run it")]
    ConfiguredAt { path: String },
    /// It is pinned.
    #[error("it is pinned")]
    Pinned,
    /// It runs, for whomever.
    #[error("process {pid} on {node} runs it")]
    Process { node: NodeName, pid: u32 },
}

impl Refusal {
    /// The same, said of one node. This machine needs no name.
    pub(crate) fn on_node(self, node: &NodeName) -> Self {
        if node.is_local() { self } else { Self::OnNode { node: node.clone(), why: Box::new(self) } }
    }

    /// What to do about it, in one or two sentences.
    pub fn hint(&self) -> String {
        match self {
            Self::NotInitialized { .. } => {
                "Initialize it with `vault operator init`, unseal it, and run this again.".into()
            }
            Self::Sealed { .. } => "Unseal it with `vault operator unseal`, and run this again.".into(),
            Self::NotPermitted { policy, .. } => format!("Use a token with this policy:\n{policy}"),
            Self::NoPluginDirectory => {
                "Set plugin_directory in the server's configuration to a real directory and restart the server.".into()
            }
            Self::PluginDirectoryUnknown => "Name the directory on this machine, for example with --plugin-dir.".into(),
            Self::OtherNodes { nodes, directory, file } => format!(
                "Put the same binary there as {}/{file} (mode 755), then add {}. With --this-node-only it stays on this node: after a failover the plugin's mounts fail.",
                directory.display(),
                placed_on_flags(nodes)
            ),
            Self::UnnamedNodes { directory, file } => format!(
                "Put the same binary on each as {}/{file} (mode 755), then add --placed-on HOST for each. With --this-node-only it stays on this node: after a failover the plugin's mounts fail.",
                directory.display()
            ),
            Self::RemoteServer { nodes, .. } => format!(
                "Run this on the server's own machine, with an address of that machine (VAULT_ADDR=https://127.0.0.1:8200), or name its pods with -n. If every node has the binary already, or shares this directory, add {}.",
                placed_on_flags(nodes)
            ),
            Self::LockHeld { .. } => "Wait until that is done, and run this again.".into(),
            Self::OnNode { why, .. } => why.hint(),
            Self::NodeNotReady { .. } => {
                "Every node that may become active needs the binary: wait until this one is ready, or remove it.".into()
            }
            Self::DirectoryMissing { directory } => {
                format!("Create it (`mkdir -m 755 {}`), or run this where the server runs.", directory.display())
            }
            Self::NotADirectory { .. } => "Name the directory, not a file in it.".into(),
            Self::DirectorySymlinked { real, .. } => {
                format!("Set plugin_directory in the server's configuration to {} and restart the server.", real.display())
            }
            Self::DirectoryMismatch { servers, .. } => {
                format!("Name {}, or run this where the server runs.", servers.display())
            }
            Self::DirectoryNotWritable { .. } => {
                "Run this as the directory's owner, or mount it writable.".into()
            }
            Self::DirectoryReadOnly { .. } => {
                "Mount it writable, or bring the binary with the image that fills it.".into()
            }
            Self::DirectoryNoExec { .. } => "Mount it without noexec.".into(),
            Self::DirectoryWorldWritable { directory } => format!("chmod go-w {}", directory.display()),
            Self::DirectoryExposed { exposed, by, .. } => match by {
                Exposure::Mode { .. } => format!("chmod go-w {}", exposed.display()),
                Exposure::Owner { .. } => format!(
                    "chown root {} (or to the user that the server runs as; this command trusts its own user, too)",
                    exposed.display()
                ),
            },
            Self::InsufficientSpace { directory, .. } => {
                format!("Free some space in {}; versions that nothing runs can go.", directory.display())
            }
            Self::NotExecutable { .. } => {
                "Name the plugin's binary itself: no archive, no script, no build for another system.".into()
            }
            Self::NoExecutePermission { path } => format!("chmod +x {}", path.display()),
            Self::WrongArchitecture { site, .. } => format!("Take the build for linux/{site}."),
            Self::InterpreterMissing { .. } => {
                "Build it static (Go: CGO_ENABLED=0; Rust: a musl target), or for the libc of this machine.".into()
            }
            Self::ProbeFailed { path, .. } => format!(
                "Look at it as a server would start it: `vault-token-plugin inspect {}`, with the plugin's arguments (--arg). It must print nothing before its handshake line.",
                shell_quote(&path.display().to_string())
            ),
            Self::VersionMismatch { reported, .. } => {
                format!("Register it as {reported}, or take the right binary.")
            }
            Self::TypeMismatch { reported, .. } => format!("Register it as type {reported}."),
            Self::NotMountable { .. } => "Leave the mounts out, and enable it with the server's own command.".into(),
            Self::FileConflict { file, .. } => {
                format!("A version never changes its content: bring the build that is there, give this build another version, or remove {file} if nothing runs it.")
            }
            Self::VersionConflict { entry, .. } => {
                format!("A registered version never changes: bring what was registered, give this build another version, or deregister {entry} if nothing runs it.")
            }
            Self::MountConflict { .. } | Self::MountsOverlap { .. } => "Choose another path.".into(),
            Self::Pinned { kind, name, wanted, .. } => format!(
                "A pin overrules every mount. Delete it with `vault delete sys/plugins/pins/{kind}/{name}`, or pin {version} with `vault write sys/plugins/pins/{kind}/{name} version={version}` once that is registered.",
                version = wanted.v_prefixed()
            ),
            Self::Downgrade { .. } => {
                "Allow it with --allow-downgrade, if the older version can read what the newer one has stored.".into()
            }
            Self::RunningVersionMismatch { .. } => {
                "The wanted version did not start: look in the server's log for the plugin's own words.".into()
            }
            Self::NotRegistered { .. } => {
                "`vault-token-plugin status` shows what is registered; `upgrade --binary FILE` installs another version.".into()
            }
            Self::FileMissing { .. } => {
                "Put it there with `upgrade --binary FILE` or `register --binary FILE`, or name another version with --version.".into()
            }
            Self::NoRollbackVersion { .. } => {
                "Bring the version to go to: `vault-token-plugin upgrade --binary FILE --allow-downgrade`.".into()
            }
            Self::BreakingChange { .. } => {
                "Change the clients first; then do it with --allow-breaking.".into()
            }
            Self::PinAffectsOtherMounts { name, .. } => format!(
                "Leave --mount out, or delete the pin with `vault delete sys/plugins/pins/secret/{name}`."
            ),
            Self::StaysSealed => {
                "Have the key shares at hand and allow it with --allow-sealed-restart (`doctor --fix` has no such flag, `reload` \
                 has): one node is restarted at a time, and the next only once somebody has unsealed it (`bao operator unseal`), \
                 for which this waits five minutes.".into()
            }
            Self::LosesQuorum { .. } => {
                "Add a third voter, or accept the pause with --allow-quorum-loss (`doctor --fix` has no such flag, `reload` has).".into()
            }
            Self::PinAffectsOtherNamespaces { name, .. } => format!(
                "Delete the pin with `vault delete sys/plugins/pins/secret/{name}`: then each namespace is moved by a run of its own (--namespace)."
            ),
            Self::NotRootNamespace { .. } => {
                "Run this in the root namespace, without --namespace and VAULT_NAMESPACE, with a token of it.".into()
            }
            Self::NodeSealed => "Unseal it, or take the node away.".into(),
            Self::NotDurable { .. } => {
                "Bring it in an image of the init container and name that with --image, use a volume, or accept the loss with --allow-ephemeral.".into()
            }
            Self::LostAtRestart { .. } => {
                "OpenBao's standbys are restarted to run another version: bring it in an image of an init container and name that with \
                 --image, or use a volume.".into()
            }
            Self::ImageIncomplete { lacks, .. } => format!(
                "A node that is started anew would lose them. Make an image of all of them with `vault-token-plugin package`, or deregister first what nothing needs of: {}.",
                lacks.join(", ")
            ),
            Self::ImageChecksumMismatch { .. } => {
                "A registered version never changes: put the build that is registered into the image, or give the other build another version.".into()
            }
            Self::WouldRestartPods { .. } => {
                "Set updateStrategy.type of the StatefulSet to OnDelete first; then nodes are started anew when you say so.".into()
            }
            Self::NoProcess { .. } => "Look in the server's log for the plugin's own words.".into(),
            Self::UseUnknown { kind, name } => {
                format!("Make sure that nothing uses it, then: `vault plugin deregister {kind} {name}`.")
            }
            Self::InUse { .. } => {
                "Move the mounts to another version first (`upgrade`, `rollback`), or disable them.".into()
            }
            Self::MountNotFound { .. } | Self::NoMountOfPlugin { .. } => {
                "`vault secrets list -detailed` shows what is mounted.".into()
            }
        }
    }
}

/// The flags that vouch for nodes.
fn placed_on_flags(nodes: &[String]) -> String {
    let flags: Vec<String> = nodes.iter().map(|node| format!("--placed-on {node}")).collect();
    flags.join(" ")
}
