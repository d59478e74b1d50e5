//! What only words tell: how a plugin fails to start, to be registered or to be reached.

use super::finding::{Known, Severity, Shown};

const LOCKED_MEMORY: Known = Known {
    id: "VTP-151",
    title: "the plugin may not lock its memory",
    severity: Severity::BreaksNow,
    consequence: "The plugin ends at once.",
    cure: "Give the container the capability IPC_LOCK, or set disable_mlock in the server's configuration.",
    says: &[
        "Failed to lock memory: cannot allocate memory",
        "mlock*cannot allocate memory",
        "cannot allocate memory",
    ],
    shown: Shown::OnSnapshot("the machine of the tests lets every process lock its memory"),
};
const CAPABILITIES: Known = Known {
    id: "VTP-152",
    title: "the file has capabilities that the container may not give",
    severity: Severity::BreaksNow,
    consequence: "The kernel refuses to start it.",
    cure: "Remove them with `setcap -r`, or allow them in the container's securityContext.",
    says: &["fork/exec *: operation not permitted", "unable to set CAP_SETFCAP effective capability"],
    shown: Shown::OnPods("doctor::catalog::vtp_152_a_file_asks_for_capabilities_that_the_container_has_not"),
};
const NO_TMP: Known = Known {
    id: "VTP-153",
    title: "the plugin cannot make its socket",
    severity: Severity::BreaksNow,
    consequence: "The plugin ends at once.",
    cure: "Mount an emptyDir at /tmp, or point TMPDIR of the server to a directory that can be written to.",
    says: &["plugin init error: open *: read-only file system", "plugin init error"],
    shown: Shown::OnServer("doctor::words::vtp_153_a_server_without_a_temporary_directory"),
};
const OLD_TLS: Known = Known {
    id: "VTP-154",
    title: "an old plugin cannot reach the server back",
    severity: Severity::BreaksNow,
    consequence: "Plugins of protocol 3 and 4 unwrap their certificate at the server's api_addr, and this failed.",
    cure: "Build the plugin with a current SDK, which needs none of that; else set api_addr to a name that the server's certificate has.",
    says: &["error during token unwrap request", "no vault api_addr found"],
    shown: Shown::OnSnapshot(
        "plugins of the protocols 3 and 4 that unwrap a certificate are built by no module any more",
    ),
};
const BY_HAND: Known = Known {
    id: "VTP-155",
    title: "a plugin was started by hand",
    severity: Severity::Note,
    consequence: "It does nothing without a host.",
    cure: "Register it; or look at it with `vault-token-plugin inspect`.",
    says: &["This binary is a plugin. These are not meant to be executed directly"],
    shown: Shown::OnServer("doctor::words::vtp_155_a_plugin_is_started_by_hand"),
};
const OLD_PROTOCOL: Known = Known {
    id: "VTP-156",
    title: "the plugin and the server speak different protocols",
    severity: Severity::BreaksNow,
    consequence: "The plugin cannot be mounted.",
    cure: "Build the plugin with an SDK of the server's time.",
    says: &[
        "Incompatible API version with plugin",
        "Incompatible core API version",
        "Unsupported plugin protocol",
    ],
    shown: Shown::OnSnapshot("servers and modules that can still be built speak a common protocol"),
};
const SLOW: Known = Known {
    id: "VTP-157",
    title: "the plugin does not begin in time",
    severity: Severity::BreaksNow,
    consequence: "The server waits a minute for it and gives up.",
    cure: "A plugin serves at once, and connects to what it needs when it is asked.",
    says: &["timeout while waiting for plugin to start"],
    shown: Shown::OnSnapshot("it takes a minute, in which the server waits"),
};
const CRASHED: Known = Known {
    id: "VTP-158",
    title: "the plugin ended before it served",
    severity: Severity::BreaksNow,
    consequence: "The plugin cannot be mounted.",
    cure: "Start it with `vault-token-plugin doctor BINARY`, which shows what it says.",
    says: &["plugin exited before we could connect"],
    shown: Shown::OnSnapshot(
        "a plugin that ends at once is told by the words of VTP-105; this takes one that ends between its first line and its first answer",
    ),
};
const OTHER_VERSION: Known = Known {
    id: "VTP-159",
    title: "the plugin reports another version than it is registered as",
    severity: Severity::BreaksNow,
    consequence: "The server refuses to register it.",
    cure: "Register it as what it reports.",
    says: &["plugin version mismatch"],
    shown: Shown::OnServer("doctor::words::vtp_159_a_version_that_the_plugin_does_not_report"),
};
const UNKNOWN_TYPE: Known = Known {
    id: "VTP-160",
    title: "the server does not know the plugin by that type",
    severity: Severity::BreaksNow,
    consequence: "The plugin cannot be registered or mounted.",
    cure: "Name its type (secret, auth, database) and its name as registered.",
    says: &["unable to determine plugin type", "unknown backend type"],
    shown: Shown::OnSnapshot(
        "Vault 1.21 and OpenBao 2.7 take a type that they do not know; earlier servers do not",
    ),
};
const NOTHING_RELOADED: Known = Known {
    id: "VTP-161",
    title: "a reload found nothing to reload",
    severity: Severity::Note,
    consequence: "Nothing was changed.",
    cure: "Name a mount that is there, or the plugin as registered: `vault-token-plugin status` shows both.",
    says: &["no plugins were reloaded", "cannot fetch mount entry on"],
    shown: Shown::OnServer("doctor::words::vtp_161_a_reload_of_what_is_not_there"),
};
const READ_ONLY_VIEW: Known = Known {
    id: "VTP-162",
    title: "a mount was repaired by a reload and cannot be written to",
    severity: Severity::BreaksNow,
    consequence: "Reads work and every write fails: the plugin could not be started when the server was unsealed, and its storage stayed closed.",
    cure: "Let the node become active anew with `vault operator step-down`, or seal and unseal it.",
    says: &["cannot write to storage during setup"],
    shown: Shown::OnServer("doctor::mounts::vtp_162_a_mount_that_reads_and_does_not_write"),
};
const NO_ROUTE: Known = Known {
    id: "VTP-163",
    title: "nothing is mounted at that path",
    severity: Severity::BreaksNow,
    consequence: "The request is answered with 404.",
    cure: "`vault-token-plugin status` shows what is mounted where. In a namespace, name it with --namespace.",
    says: &["no handler for route", "route entry not found"],
    shown: Shown::OnServer("doctor::words::vtp_163_a_request_below_no_mount"),
};
const BUSY: Known = Known {
    id: "VTP-164",
    title: "a file was to be overwritten that runs",
    severity: Severity::Note,
    consequence: "Nothing was changed.",
    cure: "Write to another name and rename: `vault-token-plugin register` does, under a name of each version's own.",
    says: &["text file busy", "Text file busy"],
    shown: Shown::OnServer("doctor::words::vtp_164_a_running_plugin_is_overwritten"),
};
const BAD_SUM: Known = Known {
    id: "VTP-165",
    title: "a checksum is no sha256",
    severity: Severity::Note,
    consequence: "Nothing was registered.",
    cure: "Give 64 hexadecimal digits, of the binary and not of its archive.",
    says: &["Could not decode SHA256 value from Hex"],
    shown: Shown::OnServer("doctor::words::vtp_165_a_checksum_that_is_none"),
};
const NOT_OFFERED: Known = Known {
    id: "VTP-166",
    title: "the server has no such path",
    severity: Severity::Note,
    consequence: "Nothing was changed.",
    cure: "Pins need Vault 1.16 and its root namespace; OpenBao has none. `vault plugin reload -mounts` asks for a path that no server has: \
           use `vault-token-plugin reload --mount`.",
    says: &["unsupported path"],
    shown: Shown::OnServer("doctor::words::vtp_166_the_official_command_reloads_no_mount_by_path"),
};
const CONTAINER_RUNTIME: Known = Known {
    id: "VTP-167",
    title: "a plugin in a container of its own could not be started",
    severity: Severity::BreaksNow,
    consequence: "The plugin cannot be mounted.",
    cure: "Pull its image on every node, install the runtime that it is registered with, and build it with go-plugin 1.6 or later.",
    says: &[
        "Cannot connect to the Docker daemon",
        "could not find any locally available images named",
        "client requested gRPC broker multiplexing but plugin does not support the feature",
    ],
    shown: Shown::OnServer("doctor::words::vtp_167_an_image_where_none_can_run"),
};
const STORAGE_IN_SETUP: Known = Known {
    id: "VTP-168",
    title: "registration was cut off",
    severity: Severity::BreaksNow,
    consequence: "The version is not registered.",
    cure: "The plugin reads storage, or waits for something, while it is set up, when it has none: let it do so when it is asked.",
    says: &["failed to persist plugin entry: context canceled"],
    shown: Shown::OnSnapshot("it takes a client that gives up while a plugin is set up"),
};
const DECLARED: Known = Known {
    id: "VTP-169",
    title: "OpenBao's own configuration declares the plugin otherwise",
    severity: Severity::BreaksNow,
    consequence: "The declared plugin is not registered, and the server may not start.",
    cure: "Let either the configuration of every node or the catalog speak of a plugin, not both.",
    says: &[
        "conflicts with existing non-declarative plugin",
        "plugin out of date in storage versus standby node configuration",
    ],
    shown: Shown::OnServer("doctor::openbao::vtp_169_a_plugin_is_registered_and_declared"),
};

pub(super) const ALL: &[&Known] = &[
    &LOCKED_MEMORY,
    &CAPABILITIES,
    &NO_TMP,
    &OLD_TLS,
    &BY_HAND,
    &OLD_PROTOCOL,
    &SLOW,
    &CRASHED,
    &OTHER_VERSION,
    &UNKNOWN_TYPE,
    &NOTHING_RELOADED,
    &READ_ONLY_VIEW,
    &NO_ROUTE,
    &BUSY,
    &BAD_SUM,
    &NOT_OFFERED,
    &CONTAINER_RUNTIME,
    &STORAGE_IN_SETUP,
    &DECLARED,
];
