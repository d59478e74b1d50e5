//! Problems that only messages show: a plugin that fails to start, to be registered or to be reached.

use super::finding::{FindingKind, Severity, VerifiedBy};

const MLOCK_DENIED: FindingKind = FindingKind {
    id: "VTP-151",
    title: "the plugin cannot lock its memory",
    severity: Severity::BreaksNow,
    consequence: "The plugin exits immediately.",
    remediation: "Add the capability IPC_LOCK to the container, or set disable_mlock in the server's configuration.",
    log_patterns: &[
        "Failed to lock memory: cannot allocate memory",
        "mlock*cannot allocate memory",
        "cannot allocate memory",
    ],
    verified_by: VerifiedBy::UnitTest("the test machine lets every process lock its memory"),
};
const FILE_CAPABILITIES: FindingKind = FindingKind {
    id: "VTP-152",
    title: "the file has capabilities that the container does not allow",
    severity: Severity::BreaksNow,
    consequence: "The kernel refuses to start it.",
    remediation: "Remove them with `setcap -r`, or allow them in the container's securityContext.",
    log_patterns: &["fork/exec *: operation not permitted", "unable to set CAP_SETFCAP effective capability"],
    verified_by: VerifiedBy::KubernetesTest(
        "doctor::catalog::vtp_152_a_file_asks_for_capabilities_that_the_container_has_not",
    ),
};
const NO_TEMP_DIR: FindingKind = FindingKind {
    id: "VTP-153",
    title: "the plugin cannot create its socket",
    severity: Severity::BreaksNow,
    consequence: "The plugin exits immediately.",
    remediation: "Mount an emptyDir at /tmp, or set TMPDIR of the server to a writable directory.",
    log_patterns: &["plugin init error: open *: read-only file system", "plugin init error"],
    verified_by: VerifiedBy::E2eTest(
        "doctor::known_messages::vtp_153_a_server_without_a_temporary_directory",
    ),
};
const TLS_UNWRAP_FAILED: FindingKind = FindingKind {
    id: "VTP-154",
    title: "an old plugin cannot connect to the server",
    severity: Severity::BreaksNow,
    consequence: "Plugins of protocol 3 and 4 unwrap their certificate at the server's api_addr, and this failed.",
    remediation: "Build the plugin with a current SDK, which does not need this connection. Or set api_addr to a name that the server's certificate contains.",
    log_patterns: &["error during token unwrap request", "no vault api_addr found"],
    verified_by: VerifiedBy::UnitTest(
        "no Go module that can still be built makes a plugin of protocol 3 or 4 that unwraps a certificate",
    ),
};
const STARTED_BY_HAND: FindingKind = FindingKind {
    id: "VTP-155",
    title: "a plugin was started by hand",
    severity: Severity::Note,
    consequence: "A plugin does nothing without a host.",
    remediation: "Register it, or examine it with `vault-token-plugin inspect`.",
    log_patterns: &["This binary is a plugin. These are not meant to be executed directly"],
    verified_by: VerifiedBy::E2eTest("doctor::known_messages::vtp_155_a_plugin_is_started_by_hand"),
};
const PROTOCOL_MISMATCH: FindingKind = FindingKind {
    id: "VTP-156",
    title: "the plugin and the server have no common protocol version",
    severity: Severity::BreaksNow,
    consequence: "The plugin cannot be mounted.",
    remediation: "Build the plugin with an SDK that matches the server's version.",
    log_patterns: &[
        "Incompatible API version with plugin",
        "Incompatible core API version",
        "Unsupported plugin protocol",
    ],
    verified_by: VerifiedBy::UnitTest(
        "all servers and modules that can still be built have a common protocol version",
    ),
};
const START_TIMEOUT: FindingKind = FindingKind {
    id: "VTP-157",
    title: "the plugin does not start in time",
    severity: Severity::BreaksNow,
    consequence: "The server waits one minute for the plugin and then gives up.",
    remediation: "Make the plugin serve immediately, and connect to other services on the first request.",
    log_patterns: &["timeout while waiting for plugin to start"],
    verified_by: VerifiedBy::UnitTest("the server waits a minute before it reports this"),
};
const EXITED_DURING_START: FindingKind = FindingKind {
    id: "VTP-158",
    title: "the plugin exited before it served requests",
    severity: Severity::BreaksNow,
    consequence: "The plugin cannot be mounted.",
    remediation: "Run `vault-token-plugin doctor --binary FILE`, which starts the plugin and shows its output.",
    log_patterns: &["plugin exited before we could connect"],
    verified_by: VerifiedBy::UnitTest(
        "a plugin that exits immediately produces the messages of VTP-105; this message needs one that exits between its handshake line and its first response",
    ),
};
const VERSION_MISMATCH: FindingKind = FindingKind {
    id: "VTP-159",
    title: "the plugin reports a different version than the one given",
    severity: Severity::BreaksNow,
    consequence: "The server refuses to register it.",
    remediation: "Register it under the version that it reports.",
    log_patterns: &["plugin version mismatch"],
    verified_by: VerifiedBy::E2eTest(
        "doctor::known_messages::vtp_159_a_version_that_the_plugin_does_not_report",
    ),
};
const UNKNOWN_TYPE: FindingKind = FindingKind {
    id: "VTP-160",
    title: "the server does not know a plugin of that name and type",
    severity: Severity::BreaksNow,
    consequence: "The plugin cannot be registered or mounted.",
    remediation: "Pass its type (secret, auth, database) and its registered name.",
    log_patterns: &["unable to determine plugin type", "unknown backend type"],
    verified_by: VerifiedBy::UnitTest(
        "Vault 1.21 and OpenBao 2.7 accept a type that they do not know; earlier servers do not",
    ),
};
const NOTHING_RELOADED: FindingKind = FindingKind {
    id: "VTP-161",
    title: "a reload found nothing to reload",
    severity: Severity::Note,
    consequence: "Nothing was changed.",
    remediation: "Name an existing mount, or the plugin by its registered name: `vault-token-plugin status` shows both.",
    log_patterns: &["no plugins were reloaded", "cannot fetch mount entry on"],
    verified_by: VerifiedBy::E2eTest("doctor::known_messages::vtp_161_a_reload_of_what_is_not_there"),
};
const STORAGE_READ_ONLY_AFTER_RELOAD: FindingKind = FindingKind {
    id: "VTP-162",
    title: "a mount is read-only after a reload",
    severity: Severity::BreaksNow,
    consequence: "Reads work and every write fails. The plugin could not be started when the server was unsealed, so its storage stayed read-only.",
    remediation: "Run `vault operator step-down`, or seal and unseal the server. Either loads the mount again.",
    log_patterns: &["cannot write to storage during setup"],
    verified_by: VerifiedBy::E2eTest("doctor::mounts::vtp_162_a_mount_that_reads_and_does_not_write"),
};
const NO_ROUTE: FindingKind = FindingKind {
    id: "VTP-163",
    title: "nothing is mounted at that path",
    severity: Severity::BreaksNow,
    consequence: "The request returns 404.",
    remediation: "List the mounts with `vault-token-plugin status`. If the mount is in a namespace, add --namespace.",
    log_patterns: &["no handler for route", "route entry not found"],
    verified_by: VerifiedBy::E2eTest("doctor::known_messages::vtp_163_a_request_below_no_mount"),
};
const TEXT_FILE_BUSY: FindingKind = FindingKind {
    id: "VTP-164",
    title: "a write would have overwritten a running file",
    severity: Severity::Note,
    consequence: "Nothing was changed.",
    remediation: "Write to another name and rename the file. `vault-token-plugin register` does this, with a separate file name for each version.",
    log_patterns: &["text file busy", "Text file busy"],
    verified_by: VerifiedBy::E2eTest("doctor::known_messages::vtp_164_a_running_plugin_is_overwritten"),
};
const INVALID_CHECKSUM: FindingKind = FindingKind {
    id: "VTP-165",
    title: "a checksum is not a valid sha256",
    severity: Severity::Note,
    consequence: "Nothing was registered.",
    remediation: "Pass 64 hexadecimal digits: the sha256 of the binary, not of its archive.",
    log_patterns: &["Could not decode SHA256 value from Hex"],
    verified_by: VerifiedBy::E2eTest("doctor::known_messages::vtp_165_a_checksum_that_is_none"),
};
const UNSUPPORTED_PATH: FindingKind = FindingKind {
    id: "VTP-166",
    title: "the server does not support this path",
    severity: Severity::Note,
    consequence: "Nothing was changed.",
    remediation: "The plugin catalog belongs to the root namespace: register without --namespace. Pins need Vault 1.16 or later and its root namespace; OpenBao does not have them. `vault plugin reload -mounts` requests a path that no server has: use `vault-token-plugin reload --mount`.",
    log_patterns: &["unsupported path"],
    verified_by: VerifiedBy::E2eTest(
        "doctor::known_messages::vtp_166_the_official_command_reloads_no_mount_by_path",
    ),
};
const CONTAINER_START_FAILED: FindingKind = FindingKind {
    id: "VTP-167",
    title: "a containerized plugin could not be started",
    severity: Severity::BreaksNow,
    consequence: "The plugin cannot be mounted.",
    remediation: "Pull its image on every node, install the container runtime that it is registered with, and build it with go-plugin 1.6 or later.",
    log_patterns: &[
        "Cannot connect to the Docker daemon",
        "could not find any locally available images named",
        "client requested gRPC broker multiplexing but plugin does not support the feature",
    ],
    verified_by: VerifiedBy::E2eTest("doctor::known_messages::vtp_167_an_image_where_none_can_run"),
};
const REGISTRATION_CANCELED: FindingKind = FindingKind {
    id: "VTP-168",
    title: "registration was canceled",
    severity: Severity::BreaksNow,
    consequence: "The version is not registered.",
    remediation: "Change the plugin: during setup it reads storage or waits, but a server has no storage for it at registration. Do this work on the first request instead.",
    log_patterns: &["failed to persist plugin entry: context canceled"],
    verified_by: VerifiedBy::UnitTest("it needs a client that gives up while a plugin is being set up"),
};
const DECLARED_PLUGIN_CONFLICT: FindingKind = FindingKind {
    id: "VTP-169",
    title: "a plugin is both registered and declared in OpenBao's configuration",
    severity: Severity::BreaksNow,
    consequence: "The declared plugin is not registered, and the server may not start.",
    remediation: "Manage a plugin either in the configuration of every node or in the catalog, not in both.",
    log_patterns: &[
        "conflicts with existing non-declarative plugin",
        "plugin out of date in storage versus standby node configuration",
    ],
    verified_by: VerifiedBy::E2eTest("doctor::openbao::vtp_169_a_plugin_is_registered_and_declared"),
};

pub(super) const ALL: &[&FindingKind] = &[
    &MLOCK_DENIED,
    &FILE_CAPABILITIES,
    &NO_TEMP_DIR,
    &TLS_UNWRAP_FAILED,
    &STARTED_BY_HAND,
    &PROTOCOL_MISMATCH,
    &START_TIMEOUT,
    &EXITED_DURING_START,
    &VERSION_MISMATCH,
    &UNKNOWN_TYPE,
    &NOTHING_RELOADED,
    &STORAGE_READ_ONLY_AFTER_RELOAD,
    &NO_ROUTE,
    &TEXT_FILE_BUSY,
    &INVALID_CHECKSUM,
    &UNSUPPORTED_PATH,
    &CONTAINER_START_FAILED,
    &REGISTRATION_CANCELED,
    &DECLARED_PLUGIN_CONFLICT,
];
