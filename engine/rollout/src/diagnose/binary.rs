//! A binary before it goes anywhere.

use super::finding::{Finding, Known, Severity, Shown, quoted};
use crate::binary::{Binary, Format, Linkage, Machine, Probed};
use crate::version::Version;

const NO_PROGRAM: Known = Known {
    id: "VTP-101",
    title: "the file is no Linux program",
    severity: Severity::BreaksNow,
    consequence: "No server can start it.",
    cure: "Take the plugin's binary itself, not an archive, a page or a script.",
    says: &[],
    shown: Shown::OnServer("doctor::binary::vtp_101_a_file_is_no_executable"),
};
const NOT_EXECUTABLE: Known = Known {
    id: "VTP-102",
    title: "the file may not be executed",
    severity: Severity::BreaksNow,
    consequence: "The kernel refuses to start it.",
    cure: "Set its mode to 755.",
    says: &[],
    shown: Shown::OnServer("doctor::binary::vtp_102_a_file_is_not_marked_as_executable"),
};
const OTHER_MACHINE: Known = Known {
    id: "VTP-103",
    title: "the file is built for another architecture than this machine",
    severity: Severity::Note,
    consequence: "It was not started here, so that no more is known of it. Servers of this machine's architecture cannot start it either.",
    cure: "Take the build for the architecture of the servers.",
    says: &[],
    shown: Shown::OnServer("doctor::binary::vtp_103_a_file_is_for_another_machine"),
};
const DYNAMIC: Known = Known {
    id: "VTP-104",
    title: "the file needs a dynamic linker",
    severity: Severity::Note,
    consequence: "It starts only where that linker is: a glibc binary does not start in an image with musl, such as Alpine's.",
    cure: "Take a static build, or make sure that the servers' image has the linker.",
    says: &[],
    shown: Shown::OnServer("doctor::binary::vtp_104_and_vtp_105_a_program_is_no_plugin"),
};
const NO_PLUGIN: Known = Known {
    id: "VTP-105",
    title: "the file is no plugin that works",
    severity: Severity::BreaksNow,
    consequence: "A server registers it all the same, and fails when it is mounted.",
    cure: "Read what it said. A plugin prints nothing to standard output before its handshake, and serves until its host ends it.",
    says: &["Unrecognized remote plugin message", "Failed to read any lines from plugin's stdout"],
    shown: Shown::OnServer("doctor::binary::vtp_104_and_vtp_105_a_program_is_no_plugin"),
};
const NO_VERSION: Known = Known {
    id: "VTP-106",
    title: "the plugin reports no version",
    severity: Severity::Note,
    consequence: "Nothing but its registration says which version it is.",
    cure: "Let it report one (RunningVersion in Go's SDK); until then name one with --version.",
    says: &[],
    shown: Shown::OnServer(
        "doctor::old::vtp_106_and_vtp_108_a_plugin_that_reports_no_version_and_is_not_multiplexed",
    ),
};
const BAD_VERSION: Known = Known {
    id: "VTP-107",
    title: "the plugin reports a version that is none",
    severity: Severity::BreaksNow,
    consequence: "A server refuses to register it.",
    cure: "Let it report a semantic version, such as v1.2.3.",
    says: &["is not a valid semantic version"],
    shown: Shown::OnServer("doctor::binary::vtp_107_a_plugin_reports_a_version_that_is_none"),
};
const NOT_SHARED: Known = Known {
    id: "VTP-108",
    title: "the plugin needs a process for each mount",
    severity: Severity::Note,
    consequence: "It takes more memory, and speaks an old protocol.",
    cure: "Build it with ServeMultiplex.",
    says: &[],
    shown: Shown::OnServer(
        "doctor::old::vtp_106_and_vtp_108_a_plugin_that_reports_no_version_and_is_not_multiplexed",
    ),
};

pub(super) const ALL: &[&Known] = &[
    &NO_PROGRAM,
    &NOT_EXECUTABLE,
    &OTHER_MACHINE,
    &DYNAMIC,
    &NO_PLUGIN,
    &NO_VERSION,
    &BAD_VERSION,
    &NOT_SHARED,
];

/// What is wrong with a binary, as its file and its answers tell.
pub fn diagnose_binary(binary: &Binary, probed: &Probed) -> Vec<Finding> {
    let path = binary.path.display().to_string();
    let at = |known: &Known, evidence: String| known.at(path.clone(), evidence);
    let mut findings = Vec::new();
    let Format::Elf(elf) = &binary.format else {
        return vec![at(&NO_PROGRAM, "it does not begin as an ELF file does".into())];
    };
    if elf.machine != Machine::of_this_process() {
        let here = Machine::of_this_process();
        findings.push(at(&OTHER_MACHINE, format!("it is for {}, and this machine is {here}", elf.machine)));
    }
    if !binary.executable {
        let chmod = format!("chmod 755 {}", quoted(&path));
        findings.push(at(&NOT_EXECUTABLE, "its mode does not allow it".into()).run(chmod));
    }
    if let Linkage::Dynamic { interpreter } = &elf.linkage {
        findings.push(at(&DYNAMIC, format!("it names {}", interpreter.display())));
    }
    match probed {
        Probed::NotRun { .. } => {}
        Probed::Failed { said } => findings.push(at(&NO_PLUGIN, said.clone())),
        Probed::Ran(probe) => {
            match &probe.version {
                None => findings.push(at(&NO_VERSION, "its answer is empty".into())),
                Some(version) if version.trim_start_matches('v').parse::<Version>().is_err() => {
                    findings.push(at(&BAD_VERSION, format!("it reports {version:?}")));
                }
                Some(_) => {}
            }
            if !probe.multiplexing {
                findings.push(at(&NOT_SHARED, format!("protocol {}", probe.protocol)));
            }
        }
    }
    findings.sort_by_key(|finding| (finding.severity, finding.id));
    findings
}
