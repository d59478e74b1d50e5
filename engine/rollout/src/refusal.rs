//! Reasons for which a goal is refused, each with its fix.

use std::path::PathBuf;

use serde::Serialize;
use vault_api::catalog::PluginType;

use crate::binary::Architecture;
use crate::consumer::Consumer;
use crate::observed::deployment::{Exposure, NodeName};
use crate::shell::shell_quote;
use crate::version::Version;

/// A goal that is refused. `Display` is the reason; [`Refusal::hint`] is the fix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are named in the message above them")]
#[non_exhaustive]
pub enum Refusal {
    /// The server is not initialized.
    #[error("the server at {address} is not initialized")]
    NotInitialized { address: String },
    /// The server is sealed.
    #[error("the server at {address} is sealed")]
    Sealed { address: String },
    /// The token has no permission for a planned step.
    #[error("the token does not have the required permissions: {}", missing.join(", "))]
    NotPermitted { missing: Vec<String>, policy: String },
    /// `plugin_directory` is not configured.
    #[error("the server has no plugin directory configured, so it runs no external plugins")]
    NoPluginDirectory,
    /// The plugin directory is unknown.
    #[error("the plugin directory of the server is unknown")]
    PluginDirectoryUnknown,
    /// Other nodes need the binary too.
    #[error("the server has other nodes, whose plugin directories this machine cannot inspect: {}", nodes.join(", "))]
    OtherNodes { nodes: Vec<String>, directory: PathBuf, file: String },
    /// Other nodes need the binary too, and the server does not list them.
    #[error(
        "the server has other nodes, which it does not list, and whose plugin directories this machine cannot inspect"
    )]
    UnnamedNodes { directory: PathBuf, file: String },
    /// The directory on this machine is not that of the server.
    #[error("the server at {address} runs on another machine, so {directory} on this machine is not its plugin directory", directory = directory.display())]
    RemoteServer { address: String, nodes: Vec<String>, directory: PathBuf },
    /// Another operator holds the lock.
    #[error("{holder} is changing plugins of this deployment")]
    LockHeld { holder: String },
    /// The reason is on one node.
    #[error("on {node}: {reason}")]
    OnNode { node: NodeName, reason: Box<Refusal> },
    /// A node cannot get the binary.
    #[error("the node is not ready: {reason}")]
    NodeNotReady { reason: String },
    /// The plugin directory does not exist.
    #[error("the plugin directory {directory} does not exist on this machine")]
    DirectoryMissing { directory: PathBuf },
    /// The plugin directory is a file.
    #[error("{directory} is not a directory")]
    NotADirectory { directory: PathBuf },
    /// The configured path contains a symbolic link. Servers compare the real path of a plugin with the configured directory.
    #[error("the path of the plugin directory {directory} contains a symbolic link; its real path is {real}")]
    DirectorySymlinked { directory: PathBuf, real: PathBuf },
    /// The server has another plugin directory.
    #[error("the plugin directory of the server is {server_directory}, not {directory}")]
    DirectoryMismatch { directory: PathBuf, server_directory: PathBuf },
    /// This user has no write permission.
    #[error("the plugin directory {directory} is not writable")]
    DirectoryNotWritable { directory: PathBuf },
    /// The volume is read-only.
    #[error("the plugin directory {directory} is mounted read-only")]
    DirectoryReadOnly { directory: PathBuf },
    /// The volume does not allow execution.
    #[error("the plugin directory {directory} is mounted noexec, so plugins in it cannot be started")]
    DirectoryNoExec { directory: PathBuf },
    /// Any user can replace a plugin.
    #[error("the plugin directory {directory} is world-writable")]
    DirectoryWorldWritable { directory: PathBuf },
    /// Other users can replace a plugin.
    #[error("{exposed} {by}, so other users can replace plugins in {directory}", exposed = exposed.display(), directory = directory.display())]
    DirectoryExposed { directory: PathBuf, exposed: PathBuf, by: Exposure },
    /// The volume is full.
    #[error("{directory} has {free_bytes} bytes free, the binary requires {needed_bytes}")]
    InsufficientSpace { directory: PathBuf, free_bytes: u64, needed_bytes: u64 },
    /// The file is not an ELF file.
    #[error("{path} is not a Linux executable")]
    NotExecutable { path: PathBuf },
    /// The file has no execute permission.
    #[error("{path} is not executable")]
    NoExecutePermission { path: PathBuf },
    /// The binary is built for another architecture.
    #[error("{path} is built for {binary}, but the server runs on {node}")]
    WrongArchitecture { path: PathBuf, binary: Architecture, node: Architecture },
    /// The binary is linked against another libc.
    #[error("{path} requires the dynamic linker {interpreter}, which is not installed")]
    InterpreterMissing { path: PathBuf, interpreter: PathBuf },
    /// The binary was started and is not a plugin.
    #[error("{path} is not a working plugin: {output}")]
    ProbeFailed { path: PathBuf, output: String },
    /// The plugin reports another version, so Vault refuses to register it.
    #[error("version mismatch: {path} reports {reported}, expected {expected}")]
    VersionMismatch { path: PathBuf, reported: String, expected: Version },
    /// The plugin reports another type.
    #[error("type mismatch: {path} is a plugin of type {reported}, expected {expected}")]
    TypeMismatch { path: PathBuf, reported: PluginType, expected: PluginType },
    /// Plugins of this type have no mounts.
    #[error("a plugin of type {kind} cannot be mounted at {path}")]
    NotMountable { kind: PluginType, path: Consumer },
    /// Another build has the file name.
    #[error("{directory}/{file} exists with a different content (sha256 {found}, expected {expected})", directory = directory.display())]
    FileConflict { directory: PathBuf, file: String, found: String, expected: String },
    /// The version is registered with another value.
    #[error("{entry} is already registered with a different {property} ({found}, expected {expected})")]
    VersionConflict { entry: String, property: &'static str, found: String, expected: String },
    /// Another plugin is mounted at the path.
    #[error("{path} is a mount of the plugin {plugin}")]
    MountConflict { path: Consumer, plugin: String },
    /// Mount paths must not overlap.
    #[error("{path} cannot be mounted, because it overlaps with the mount {other}")]
    MountsOverlap { path: Consumer, other: String },
    /// A pin overrides the version of mounts.
    #[error("{name} is pinned to {pinned}")]
    Pinned { kind: PluginType, name: String, pinned: String, version: Version },
    /// The mount has a newer version.
    #[error("{path} has version {current}, which is newer than {target}")]
    Downgrade { path: Consumer, current: String, target: Version },
    /// A reloaded mount does not run its configured version.
    #[error("{path} runs {running:?} after its reload, expected {expected:?}")]
    RunningVersionMismatch { path: Consumer, running: String, expected: String },
    /// Nothing is mounted at the path.
    #[error("nothing is mounted at {path}")]
    MountNotFound { path: Consumer },
    /// No mount runs the plugin.
    #[error("no mount runs the {kind} plugin {name}")]
    NoMountOfPlugin { kind: PluginType, name: String },
    /// The version is not registered.
    #[error("{name} {version} is not registered")]
    NotRegistered { name: String, version: Version },
    /// The file of a registered version is missing on a node.
    #[error("{name} {version} is registered, but its file is missing on {node}")]
    FileMissing { name: String, version: Version, node: NodeName },
    /// There is no older version for a rollback.
    #[error("no version of {name} before {running} is registered and installed on every node")]
    NoRollbackVersion { name: String, running: String },
    /// Paths or fields of the API have been removed.
    #[error("clients of {name} would fail with this version: {}", breaks.join("; "))]
    BreakingChange { name: String, breaks: Vec<String> },
    /// A pin applies to every mount of a plugin.
    #[error("{name} is pinned to {pinned}, so {path} would be moved too")]
    PinAffectsOtherMounts { name: String, pinned: String, path: Consumer },
    /// All namespaces share one catalog.
    #[error("all namespaces share one catalog, and the namespace {namespace} cannot see what the others run")]
    NotRootNamespace { namespace: String },
    /// A mount is in a namespace that does not exist.
    #[error("there is no namespace {namespace}")]
    NamespaceNotFound { namespace: String },
    /// Only the root namespace has a plugin catalog.
    #[error(
        "{name} {version} cannot be registered in the namespace {namespace}: the plugin catalog belongs to the root namespace"
    )]
    CatalogOfRootNamespace { name: String, version: Version, namespace: String },
    /// The server of a node is sealed.
    #[error("its server is sealed")]
    NodeSealed,
    /// A restarted node would have to be unsealed manually.
    #[error("its server does not unseal itself (Shamir seal), so a restart leaves it sealed")]
    StaysSealed,
    /// The other voters are not a majority.
    #[error("it is one of {voters} raft voters, so while it restarts there is no quorum, and writes fail")]
    LosesQuorum { voters: usize },
    /// A restart of a node would remove the file.
    #[error("a restart of a node would remove {file}: {reason}")]
    NotDurable { file: String, reason: String },
    /// A standby that must be restarted would lose the file.
    #[error("a restart would remove {file}, which {path} requires: {reason}")]
    LostAtRestart { file: String, path: String, reason: String },
    /// With the image, a restart would remove registered versions.
    #[error("{image} does not contain {}", missing_files.join(", "))]
    ImageIncomplete { image: String, missing_files: Vec<String> },
    /// With the image, a restart would install a file that the server does not start.
    #[error("sha256 mismatch: {image} contains {file} with {found}, registered is {registered}")]
    ImageChecksumMismatch { image: String, file: String, found: String, registered: String },
    /// Setting the image would restart all nodes.
    #[error(
        "setting the image of the init container {container} would restart the nodes immediately (RollingUpdate)"
    )]
    WouldRestartPods { container: String },
    /// A reloaded mount has no process.
    #[error("no process runs {file}, although the server reports it for {path}")]
    NoProcess { path: Consumer, file: String },
    /// The version is in use.
    #[error("{name} {version} is in use: {usage}")]
    InUse { name: String, version: String, usage: InUse },
}

/// What uses a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "by", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are named in the message above them")]
pub enum InUse {
    /// A mount runs it.
    #[error("{path} runs it")]
    RunningAt { path: String },
    /// A mount runs it after the next restart.
    #[error("{path} is configured to run it")]
    ConfiguredAt { path: String },
    /// It is pinned.
    #[error("it is pinned")]
    Pinned,
    /// A process runs it.
    #[error("process {pid} on {node} runs it")]
    Process { node: NodeName, pid: u32 },
}

impl Refusal {
    /// Adds the node, unless it is this machine.
    pub(crate) fn on_node(self, node: &NodeName) -> Self {
        if node.is_local() { self } else { Self::OnNode { node: node.clone(), reason: Box::new(self) } }
    }

    /// The fix, in one or two sentences.
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
            Self::PluginDirectoryUnknown => "Set the directory on this machine, for example with --plugin-dir.".into(),
            Self::OtherNodes { nodes, directory, file } => format!(
                "Copy the same binary to {}/{file} (mode 755) on each, then add {}. With --this-node-only it is installed on this node only: after a failover the plugin's mounts fail.",
                directory.display(),
                placed_on_flags(nodes)
            ),
            Self::UnnamedNodes { directory, file } => format!(
                "Copy the same binary to {}/{file} (mode 755) on each, then add --installed-on HOST for each. With --this-node-only it is installed on this node only: after a failover the plugin's mounts fail.",
                directory.display()
            ),
            Self::RemoteServer { nodes, .. } => format!(
                "Run this on the machine of the server, with an address of that machine (VAULT_ADDR=https://127.0.0.1:8200), or select its pods with -n. If every node has the binary already, or shares this directory, add {}.",
                placed_on_flags(nodes)
            ),
            Self::LockHeld { .. } => "Wait until that run has ended, and run this again.".into(),
            Self::OnNode { reason, .. } => reason.hint(),
            Self::NodeNotReady { .. } => {
                "Every node that can become active needs the binary: wait until this one is ready, or remove it.".into()
            }
            Self::DirectoryMissing { directory } => {
                format!("Create it (`mkdir -m 755 {}`), or run this on the machine of the server.", directory.display())
            }
            Self::NotADirectory { .. } => "Set the directory, not a file in it.".into(),
            Self::DirectorySymlinked { real, .. } => {
                format!("Set plugin_directory in the server's configuration to {} and restart the server.", real.display())
            }
            Self::DirectoryMismatch { server_directory, .. } => {
                format!("Set the directory {}, or run this on the machine of the server.", server_directory.display())
            }
            Self::DirectoryNotWritable { .. } => {
                "Run this as the owner of the directory, or mount it writable.".into()
            }
            Self::DirectoryReadOnly { .. } => {
                "Mount it writable, or add the binary to the image that fills it.".into()
            }
            Self::DirectoryNoExec { .. } => "Mount it without noexec.".into(),
            Self::DirectoryWorldWritable { directory } => format!("chmod go-w {}", directory.display()),
            Self::DirectoryExposed { exposed, by, .. } => match by {
                Exposure::Mode { .. } => format!("chmod go-w {}", exposed.display()),
                Exposure::Owner { .. } => format!(
                    "chown root {} (or to the user of the server; this command also trusts its own user)",
                    exposed.display()
                ),
            },
            Self::InsufficientSpace { directory, .. } => {
                format!("Free space in {}, for example with `vault-token-plugin gc`, which removes unused versions.", directory.display())
            }
            Self::NotExecutable { .. } => {
                "Use the binary of the plugin itself: not an archive, a script, or a build for another system.".into()
            }
            Self::NoExecutePermission { path } => format!("chmod +x {}", path.display()),
            Self::WrongArchitecture { node, .. } => format!("Use the build for linux/{node}."),
            Self::InterpreterMissing { .. } => {
                "Build a static binary (Go: CGO_ENABLED=0; Rust: a musl target), or build for the libc of the node.".into()
            }
            Self::ProbeFailed { path, .. } => format!(
                "Start it as a server does: `vault-token-plugin inspect {}`, with the plugin's arguments (--arg). It must print nothing before its handshake line.",
                shell_quote(&path.display().to_string())
            ),
            Self::VersionMismatch { reported, .. } => {
                format!("Register it as {reported}, or use the right binary.")
            }
            Self::TypeMismatch { reported, .. } => format!("Register it as type {reported}."),
            Self::NotMountable { kind: PluginType::Database, .. } => {
                "Register it without mounts, and create the connection with `vault write database/config/NAME plugin_name=PLUGIN ...`.".into()
            }
            Self::NotMountable { .. } => "Choose a path of its type: auth mounts are below auth/.".into(),
            Self::FileConflict { file, .. } => {
                format!("The content of a version must not change: use the existing build, give this build another version, or remove {file} if nothing runs it.")
            }
            Self::VersionConflict { entry, .. } => {
                format!("A registered version must not change: use the registered build, give this build another version, or deregister {entry} if nothing runs it.")
            }
            Self::MountConflict { .. } | Self::MountsOverlap { .. } => "Choose another path.".into(),
            Self::Pinned { kind, name, version, .. } => format!(
                "A pin overrides the version of every mount. Delete it with `vault delete sys/plugins/pins/{kind}/{name}`, or pin {version} with `vault write sys/plugins/pins/{kind}/{name} version={version}` once it is registered.",
                version = version.v_prefixed()
            ),
            Self::Downgrade { .. } => {
                "Allow it with --allow-downgrade, if the older version can read the data of the newer one.".into()
            }
            Self::RunningVersionMismatch { .. } => {
                "The version did not start: read the output of the plugin in the server's log.".into()
            }
            Self::NotRegistered { .. } => {
                "`vault-token-plugin status` shows the registered versions; `upgrade --binary FILE` installs another one.".into()
            }
            Self::FileMissing { .. } => {
                "Install it with `upgrade --binary FILE` or `register --binary FILE`, or select another version with --version.".into()
            }
            Self::NoRollbackVersion { .. } => {
                "Install the older version with `vault-token-plugin upgrade --binary FILE --allow-downgrade`.".into()
            }
            Self::BreakingChange { .. } => {
                "Change the clients first, then allow it with --allow-breaking.".into()
            }
            Self::PinAffectsOtherMounts { name, path, .. } => format!(
                "Omit --mount, or delete the pin with `vault delete sys/plugins/pins/{}/{name}`.",
                path.kind()
            ),
            Self::StaysSealed => {
                "Allow it with --allow-sealed-restart, and have the key shares ready (`reload` has this flag, `doctor --fix` does not): \
                 one node is restarted at a time, and the next one after you have unsealed it (`bao operator unseal`), for which this \
                 command waits five minutes.".into()
            }
            Self::LosesQuorum { .. } => {
                "Add a third voter, or accept the interruption with --allow-quorum-loss (`reload` has this flag, `doctor --fix` does not).".into()
            }
            Self::NotRootNamespace { .. } => {
                "Run this in the root namespace, without --namespace and VAULT_NAMESPACE, and with a token of it.".into()
            }
            Self::CatalogOfRootNamespace { namespace, .. } => format!(
                "Run this in the root namespace, without --namespace and VAULT_NAMESPACE, and put the namespace before the path of each mount: \
                 {namespace}/PATH."
            ),
            Self::NamespaceNotFound { namespace } => {
                format!(
                    "Create it with `bao namespace create {namespace}`, or correct the path. Vault's community edition has no namespaces."
                )
            }
            Self::NodeSealed => "Unseal it, or remove the node.".into(),
            Self::NotDurable { .. } => {
                "Build an image of the init container that contains it, and set the image with --image; use a persistent volume; or accept the loss with --allow-ephemeral.".into()
            }
            Self::LostAtRestart { .. } => {
                "OpenBao's standbys must be restarted to run another version: build an image of an init container that contains the file, and set \
                 it with --image, or use a persistent volume.".into()
            }
            Self::ImageIncomplete { missing_files, .. } => format!(
                "A restarted node would not have them. Build an image of all of them with `vault-token-plugin package`, or first deregister those that are not needed: {}.",
                missing_files.join(", ")
            ),
            Self::ImageChecksumMismatch { .. } => {
                "A registered version must not change: build the image with the registered build, or give the other build another version.".into()
            }
            Self::WouldRestartPods { .. } => {
                "Set updateStrategy.type of the StatefulSet to OnDelete first, so that nodes restart only on request.".into()
            }
            Self::NoProcess { .. } => "Read the output of the plugin in the server's log.".into(),
            Self::InUse { .. } => {
                "Move the mounts to another version first (`upgrade`, `rollback`), or disable them.".into()
            }
            Self::MountNotFound { .. } | Self::NoMountOfPlugin { .. } => {
                "`vault-token-plugin status` shows what each mount runs.".into()
            }
        }
    }
}

/// The flags that confirm nodes.
fn placed_on_flags(nodes: &[String]) -> String {
    let flags: Vec<String> = nodes.iter().map(|node| format!("--installed-on {node}")).collect();
    flags.join(" ")
}
