//! Checks of a plugin binary before it is copied to a server.

use super::finding::{Finding, FindingKind, Severity, VerifiedBy};
use crate::binary::{Architecture, Binary, Format, Linkage, ProbeOutcome};
use crate::shell::shell_quote;
use crate::version::Version;

const NOT_AN_EXECUTABLE: FindingKind = FindingKind {
    id: "VTP-101",
    title: "the file is not a Linux executable",
    severity: Severity::BreaksNow,
    consequence: "No server can start it.",
    remediation: "Use the plugin binary itself, not an archive, a web page or a script.",
    log_patterns: &[],
    verified_by: VerifiedBy::E2eTest("doctor::binary::vtp_101_a_file_is_no_executable"),
};
const MODE_NOT_EXECUTABLE: FindingKind = FindingKind {
    id: "VTP-102",
    title: "the file is not executable",
    severity: Severity::BreaksNow,
    consequence: "The kernel refuses to start it.",
    remediation: "Set its mode to 755.",
    log_patterns: &[],
    verified_by: VerifiedBy::E2eTest("doctor::binary::vtp_102_a_file_is_not_marked_as_executable"),
};
const OTHER_ARCHITECTURE: FindingKind = FindingKind {
    id: "VTP-103",
    title: "the file is built for another architecture than this machine",
    severity: Severity::Note,
    consequence: "The binary was not started here, so its version and type are unknown. Servers of this machine's architecture cannot start it either.",
    remediation: "Use the build for the architecture of the servers.",
    log_patterns: &[],
    verified_by: VerifiedBy::E2eTest("doctor::binary::vtp_103_a_file_is_for_another_machine"),
};
const DYNAMICALLY_LINKED: FindingKind = FindingKind {
    id: "VTP-104",
    title: "the file needs a dynamic linker",
    severity: Severity::Note,
    consequence: "It starts only where that linker is installed. A glibc binary does not start in an image with musl, such as Alpine's.",
    remediation: "Use a static build, or make sure that the servers' image contains the linker.",
    log_patterns: &[],
    verified_by: VerifiedBy::E2eTest("doctor::binary::vtp_104_and_vtp_105_a_program_is_no_plugin"),
};
const NOT_A_PLUGIN: FindingKind = FindingKind {
    id: "VTP-105",
    title: "the file is not a working plugin",
    severity: Severity::BreaksNow,
    consequence: "A server registers it, and then fails to mount it.",
    remediation: "Read the plugin's output. A plugin must print nothing to standard output before its handshake, and must keep running until its host stops it.",
    log_patterns: &["Unrecognized remote plugin message", "Failed to read any lines from plugin's stdout"],
    verified_by: VerifiedBy::E2eTest("doctor::binary::vtp_104_and_vtp_105_a_program_is_no_plugin"),
};
const NO_VERSION: FindingKind = FindingKind {
    id: "VTP-106",
    title: "the plugin reports no version",
    severity: Severity::Note,
    consequence: "Only its registration tells which version it is.",
    remediation: "Make the plugin report a version (RunningVersion in the Go SDK). Until then, pass one with --version.",
    log_patterns: &[],
    verified_by: VerifiedBy::E2eTest(
        "doctor::old_sdk_plugins::vtp_106_and_vtp_108_a_plugin_that_reports_no_version_and_is_not_multiplexed",
    ),
};
const INVALID_VERSION: FindingKind = FindingKind {
    id: "VTP-107",
    title: "the plugin reports an invalid version",
    severity: Severity::BreaksNow,
    consequence: "A server refuses to register it.",
    remediation: "Make the plugin report a semantic version, such as v1.2.3.",
    log_patterns: &["is not a valid semantic version"],
    verified_by: VerifiedBy::E2eTest("doctor::binary::vtp_107_a_plugin_reports_a_version_that_is_none"),
};
const NOT_MULTIPLEXED: FindingKind = FindingKind {
    id: "VTP-108",
    title: "the plugin needs a process for each mount",
    severity: Severity::Note,
    consequence: "It needs more memory, and uses an old plugin protocol.",
    remediation: "Build it with ServeMultiplex.",
    log_patterns: &[],
    verified_by: VerifiedBy::E2eTest(
        "doctor::old_sdk_plugins::vtp_106_and_vtp_108_a_plugin_that_reports_no_version_and_is_not_multiplexed",
    ),
};

pub(super) const ALL: &[&FindingKind] = &[
    &NOT_AN_EXECUTABLE,
    &MODE_NOT_EXECUTABLE,
    &OTHER_ARCHITECTURE,
    &DYNAMICALLY_LINKED,
    &NOT_A_PLUGIN,
    &NO_VERSION,
    &INVALID_VERSION,
    &NOT_MULTIPLEXED,
];

/// Returns the findings for a binary, from its file and from what it reports when it is started.
pub fn diagnose_binary(binary: &Binary, probed: &ProbeOutcome) -> Vec<Finding> {
    let path = binary.path.display().to_string();
    let at = |kind: &FindingKind, evidence: String| kind.finding(path.clone(), evidence);
    let mut findings = Vec::new();
    let Format::Elf(elf) = &binary.format else {
        return vec![at(&NOT_AN_EXECUTABLE, "the file has no ELF header".into())];
    };
    if elf.architecture != Architecture::host() {
        let here = Architecture::host();
        findings.push(at(
            &OTHER_ARCHITECTURE,
            format!("it is built for {}; this machine is {here}", elf.architecture),
        ));
    }
    if !binary.executable {
        let chmod = format!("chmod 755 {}", shell_quote(&path));
        findings
            .push(at(&MODE_NOT_EXECUTABLE, "its mode has no execute permission".into()).with_command(chmod));
    }
    if let Linkage::Dynamic { interpreter } = &elf.linkage {
        findings.push(at(&DYNAMICALLY_LINKED, format!("its interpreter is {}", interpreter.display())));
    }
    match probed {
        ProbeOutcome::NotRun { .. } => {}
        ProbeOutcome::Failed { output } => findings.push(at(&NOT_A_PLUGIN, output.clone())),
        ProbeOutcome::Ran(probe) => {
            match &probe.version {
                None => findings.push(at(&NO_VERSION, "the reported version is empty".into())),
                Some(version) if version.trim_start_matches('v').parse::<Version>().is_err() => {
                    findings.push(at(&INVALID_VERSION, format!("it reports {version:?}")));
                }
                Some(_) => {}
            }
            if !probe.multiplexing {
                findings.push(at(&NOT_MULTIPLEXED, format!("protocol {}", probe.protocol)));
            }
        }
    }
    findings.sort_by_key(|finding| (finding.severity, finding.id));
    findings
}
