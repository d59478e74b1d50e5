//! What only words tell: how a plugin fails to start, to be registered or to be reached.

use super::finding::{FindingKind, Severity, VerifiedBy};

const MLOCK_DENIED: FindingKind = FindingKind {
    id: "VTP-151",
    title: "the plugin may not lock its memory",
    severity: Severity::BreaksNow,
    consequence: "The plugin ends at once.",
    remediation: "Give the container the capability IPC_LOCK, or set disable_mlock in the server's configuration.",
    log_patterns: &[
        "Failed to lock memory: cannot allocate memory",
        "mlock*cannot allocate memory",
        "cannot allocate memory",
    ],
    verified_by: VerifiedBy::UnitTest("the machine of the tests lets every process lock its memory"),
};
const FILE_CAPABILITIES: FindingKind = FindingKind {
    id: "VTP-152",
    title: "the file has capabilities that the container may not give",
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
    title: "the plugin cannot make its socket",
    severity: Severity::BreaksNow,
    consequence: "The plugin ends at once.",
    remediation: "Mount an emptyDir at /tmp, or point TMPDIR of the server to a directory that can be written to.",
    log_patterns: &["plugin init error: open *: read-only file system", "plugin init error"],
    verified_by: VerifiedBy::E2eTest(
        "doctor::known_messages::vtp_153_a_server_without_a_temporary_directory",
    ),
};
const TLS_UNWRAP_FAILED: FindingKind = FindingKind {
    id: "VTP-154",
    title: "an old plugin cannot reach the server back",
    severity: Severity::BreaksNow,
    consequence: "Plugins of protocol 3 and 4 unwrap their certificate at the server's api_addr, and this failed.",
    remediation: "Build the plugin with a current SDK, which needs none of that; else set api_addr to a name that the server's certificate has.",
    log_patterns: &["error during token unwrap request", "no vault api_addr found"],
    verified_by: VerifiedBy::UnitTest(
        "plugins of the protocols 3 and 4 that unwrap a certificate are built by no module any more",
    ),
};
const STARTED_BY_HAND: FindingKind = FindingKind {
    id: "VTP-155",
    title: "a plugin was started by hand",
    severity: Severity::Note,
    consequence: "It does nothing without a host.",
    remediation: "Register it; or look at it with `vault-token-plugin inspect`.",
    log_patterns: &["This binary is a plugin. These are not meant to be executed directly"],
    verified_by: VerifiedBy::E2eTest("doctor::known_messages::vtp_155_a_plugin_is_started_by_hand"),
};
const PROTOCOL_MISMATCH: FindingKind = FindingKind {
    id: "VTP-156",
    title: "the plugin and the server speak different protocols",
    severity: Severity::BreaksNow,
    consequence: "The plugin cannot be mounted.",
    remediation: "Build the plugin with an SDK of the server's time.",
    log_patterns: &[
        "Incompatible API version with plugin",
        "Incompatible core API version",
        "Unsupported plugin protocol",
    ],
    verified_by: VerifiedBy::UnitTest("servers and modules that can still be built speak a common protocol"),
};
const START_TIMEOUT: FindingKind = FindingKind {
    id: "VTP-157",
    title: "the plugin does not begin in time",
    severity: Severity::BreaksNow,
    consequence: "The server waits a minute for it and gives up.",
    remediation: "A plugin serves at once, and connects to what it needs when it is asked.",
    log_patterns: &["timeout while waiting for plugin to start"],
    verified_by: VerifiedBy::UnitTest("it takes a minute, in which the server waits"),
};
const EXITED_DURING_START: FindingKind = FindingKind {
    id: "VTP-158",
    title: "the plugin ended before it served",
    severity: Severity::BreaksNow,
    consequence: "The plugin cannot be mounted.",
    remediation: "Start it with `vault-token-plugin doctor BINARY`, which shows what it says.",
    log_patterns: &["plugin exited before we could connect"],
    verified_by: VerifiedBy::UnitTest(
        "a plugin that ends at once is told by the words of VTP-105; this takes one that ends between its first line and its first answer",
    ),
};
const VERSION_MISMATCH: FindingKind = FindingKind {
    id: "VTP-159",
    title: "the plugin reports another version than it is registered as",
    severity: Severity::BreaksNow,
    consequence: "The server refuses to register it.",
    remediation: "Register it as what it reports.",
    log_patterns: &["plugin version mismatch"],
    verified_by: VerifiedBy::E2eTest(
        "doctor::known_messages::vtp_159_a_version_that_the_plugin_does_not_report",
    ),
};
const UNKNOWN_TYPE: FindingKind = FindingKind {
    id: "VTP-160",
    title: "the server does not know the plugin by that type",
    severity: Severity::BreaksNow,
    consequence: "The plugin cannot be registered or mounted.",
    remediation: "Name its type (secret, auth, database) and its name as registered.",
    log_patterns: &["unable to determine plugin type", "unknown backend type"],
    verified_by: VerifiedBy::UnitTest(
        "Vault 1.21 and OpenBao 2.7 take a type that they do not know; earlier servers do not",
    ),
};
const NOTHING_RELOADED: FindingKind = FindingKind {
    id: "VTP-161",
    title: "a reload found nothing to reload",
    severity: Severity::Note,
    consequence: "Nothing was changed.",
    remediation: "Name a mount that is there, or the plugin as registered: `vault-token-plugin status` shows both.",
    log_patterns: &["no plugins were reloaded", "cannot fetch mount entry on"],
    verified_by: VerifiedBy::E2eTest("doctor::known_messages::vtp_161_a_reload_of_what_is_not_there"),
};
const STORAGE_READ_ONLY_AFTER_RELOAD: FindingKind = FindingKind {
    id: "VTP-162",
    title: "a mount was repaired by a reload and cannot be written to",
    severity: Severity::BreaksNow,
    consequence: "Reads work and every write fails: the plugin could not be started when the server was unsealed, and its storage stayed closed.",
    remediation: "Let the node become active anew with `vault operator step-down`, or seal and unseal it.",
    log_patterns: &["cannot write to storage during setup"],
    verified_by: VerifiedBy::E2eTest("doctor::mounts::vtp_162_a_mount_that_reads_and_does_not_write"),
};
const NO_ROUTE: FindingKind = FindingKind {
    id: "VTP-163",
    title: "nothing is mounted at that path",
    severity: Severity::BreaksNow,
    consequence: "The request is answered with 404.",
    remediation: "`vault-token-plugin status` shows what is mounted where. In a namespace, name it with --namespace.",
    log_patterns: &["no handler for route", "route entry not found"],
    verified_by: VerifiedBy::E2eTest("doctor::known_messages::vtp_163_a_request_below_no_mount"),
};
const TEXT_FILE_BUSY: FindingKind = FindingKind {
    id: "VTP-164",
    title: "a file was to be overwritten that runs",
    severity: Severity::Note,
    consequence: "Nothing was changed.",
    remediation: "Write to another name and rename: `vault-token-plugin register` does, under a name of each version's own.",
    log_patterns: &["text file busy", "Text file busy"],
    verified_by: VerifiedBy::E2eTest("doctor::known_messages::vtp_164_a_running_plugin_is_overwritten"),
};
const INVALID_CHECKSUM: FindingKind = FindingKind {
    id: "VTP-165",
    title: "a checksum is no sha256",
    severity: Severity::Note,
    consequence: "Nothing was registered.",
    remediation: "Give 64 hexadecimal digits, of the binary and not of its archive.",
    log_patterns: &["Could not decode SHA256 value from Hex"],
    verified_by: VerifiedBy::E2eTest("doctor::known_messages::vtp_165_a_checksum_that_is_none"),
};
const UNSUPPORTED_PATH: FindingKind = FindingKind {
    id: "VTP-166",
    title: "the server has no such path",
    severity: Severity::Note,
    consequence: "Nothing was changed.",
    remediation: "Pins need Vault 1.16 and its root namespace; OpenBao has none. `vault plugin reload -mounts` asks for a path that no server has: \
           use `vault-token-plugin reload --mount`.",
    log_patterns: &["unsupported path"],
    verified_by: VerifiedBy::E2eTest(
        "doctor::known_messages::vtp_166_the_official_command_reloads_no_mount_by_path",
    ),
};
const CONTAINER_START_FAILED: FindingKind = FindingKind {
    id: "VTP-167",
    title: "a plugin in a container of its own could not be started",
    severity: Severity::BreaksNow,
    consequence: "The plugin cannot be mounted.",
    remediation: "Pull its image on every node, install the runtime that it is registered with, and build it with go-plugin 1.6 or later.",
    log_patterns: &[
        "Cannot connect to the Docker daemon",
        "could not find any locally available images named",
        "client requested gRPC broker multiplexing but plugin does not support the feature",
    ],
    verified_by: VerifiedBy::E2eTest("doctor::known_messages::vtp_167_an_image_where_none_can_run"),
};
const REGISTRATION_CANCELED: FindingKind = FindingKind {
    id: "VTP-168",
    title: "registration was cut off",
    severity: Severity::BreaksNow,
    consequence: "The version is not registered.",
    remediation: "The plugin reads storage, or waits for something, while it is set up, when it has none: let it do so when it is asked.",
    log_patterns: &["failed to persist plugin entry: context canceled"],
    verified_by: VerifiedBy::UnitTest("it takes a client that gives up while a plugin is set up"),
};
const DECLARED_PLUGIN_CONFLICT: FindingKind = FindingKind {
    id: "VTP-169",
    title: "OpenBao's own configuration declares the plugin otherwise",
    severity: Severity::BreaksNow,
    consequence: "The declared plugin is not registered, and the server may not start.",
    remediation: "Let either the configuration of every node or the catalog speak of a plugin, not both.",
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
