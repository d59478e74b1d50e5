//! `doctor`: diagnoses a server, a plugin binary or an error message.

mod finding_page;
#[cfg(test)]
mod generated_docs;
mod log_findings;
mod report_format;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgAction, Args, ValueEnum};
use rollout::{
    Architecture, Binary, Consumer, Environment, Finding, FindingKind, Goal, Observed, ProbeOutcome,
    ReloadGoal, ReloadTarget, RestartConsent, Severity, Unobserved, diagnose, diagnose_binary, diagnose_move,
    explain, is_fixed_by_reload, observe_consumers, observe_deep,
};
use serde::Serialize;
use vault_api::catalog::{self, ListedPlugin};

use self::log_findings::LogFinding;
use crate::commands::connect::connect;
use crate::commands::execute::{Consent, execute};
use crate::commands::interrupts::{Interrupts, unless_interrupted_at};
use crate::commands::plugin_args::{LaunchArgs, PluginDirArgs};
use crate::commands::{mount_data, plugin_dir, probe};
use crate::context::{Context, OutputFormat};
use crate::error::{CommandError, CommandErrorKind};
use crate::ui::{Report, Ui};

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Plugin binary to diagnose in place of a server
    #[arg(long, value_name = "FILE", conflicts_with_all = ["explain", "fix", "plugin_dir"])]
    binary: Option<PathBuf>,
    #[command(flatten)]
    launch: LaunchArgs,
    /// Explain an error, a log or a finding; - for stdin
    ///
    /// The text of an error message, - to read a log from standard input, or the id of a finding, such as VTP-301.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with_all = ["fix", "plugin_dir"])]
    explain: Option<String>,
    /// Check that another server has the plugins of all mounts
    ///
    /// FILE is the catalog of the server to move to, as JSON: `bao read -format=json sys/plugins/catalog`. Use - for standard input.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["binary", "explain", "logs", "fix", "plugin_dir", "installed_on"],
        hide_short_help = true
    )]
    target_catalog: Option<PathBuf>,
    /// Search the logs of the pods for known messages
    #[arg(long, action = ArgAction::SetTrue, conflicts_with_all = ["binary", "explain"])]
    logs: bool,
    #[command(flatten)]
    directory: PluginDirArgs,
    /// Another node that has the registered binaries; repeatable
    ///
    /// Outside of Kubernetes: a host name, HOST:PORT or raft id.
    #[arg(long, value_name = "HOST", conflicts_with_all = ["binary", "explain"], hide_short_help = true)]
    installed_on: Vec<String>,
    /// Fix what is safe to fix, then diagnose again
    #[arg(long, action = ArgAction::SetTrue)]
    fix: bool,
    /// Apply the fix without confirmation
    #[arg(short, long, action = ArgAction::SetTrue, requires = "fix")]
    yes: bool,
    /// Exit with 3 from this severity on
    ///
    /// The severities are breaks-now, breaks-at-restart, risk and note.
    #[arg(long, value_enum, value_name = "SEVERITY", default_value_t = FailOn::Risk, hide_possible_values = true)]
    fail_on: FailOn,
    /// Output format: human, json, yaml, junit or sarif
    ///
    /// `junit` and `sarif` are documents for build servers.
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        value_parser = report_format::every_output_format(),
        hide_possible_values = true
    )]
    output: Option<OutputFormat>,
}

impl DoctorArgs {
    /// The flag of this command, which has more formats than that of other commands.
    #[cfg(test)]
    pub(crate) fn output(&self) -> Option<OutputFormat> {
        self.output
    }
}

/// The lowest severity that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// Requests fail at this moment
    BreaksNow,
    /// It breaks at the next restart
    BreaksAtRestart,
    /// It breaks when something else goes wrong too
    Risk,
    /// Anything
    Note,
}

/// Result of `doctor`.
#[derive(Debug, Serialize)]
pub struct DoctorReport {
    healthy: bool,
    findings: Vec<Finding>,
    unobserved: Vec<Unobserved>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explained: Option<Vec<ExplainedLine>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logs: Option<Vec<LogFinding>>,
    #[serde(skip)]
    output: Option<OutputFormat>,
    /// The page of the finding that was requested by its id.
    #[serde(skip)]
    page: Option<String>,
    #[serde(skip)]
    fails: bool,
}

/// A line that matches a known finding.
#[derive(Debug, Serialize)]
struct ExplainedLine {
    line: String,
    #[serde(flatten)]
    known: &'static FindingKind,
}

/// Diagnoses. Changes nothing without `--fix`.
///
/// # Errors
/// If the server, the cluster or the binary cannot be observed, or a fix fails.
pub async fn run(args: DoctorArgs, context: &Context, ui: &mut Ui) -> Result<DoctorReport, CommandError> {
    let DoctorArgs {
        binary,
        launch,
        explain,
        target_catalog,
        logs,
        directory,
        installed_on,
        fix,
        yes,
        fail_on,
        output,
    } = args;
    let PluginDirArgs { plugin_dir } = directory;
    let LaunchArgs { args, env } = launch;
    if binary.is_none() && !(args.is_empty() && env.is_empty()) {
        return Err(CommandError::usage("--arg and --env say how a plugin binary is started")
            .hint("Name the binary with --binary."));
    }
    let report = if let Some(text) = explain {
        let text = read_explain_input(text)?;
        match finding_page::finding_by_id(&text)? {
            Some(known) => DoctorReport::for_finding(known),
            None => DoctorReport::for_text(&text),
        }
    } else if let Some(binary) = binary {
        DoctorReport::new(diagnose_file(&binary, &args, &env, context, ui).await?, Vec::new())
    } else if let Some(file) = target_catalog {
        let target = read_catalog(&file)?;
        let environment = connect(context, None, None).await?;
        let (findings, unobserved) = diagnose_move(&observe_consumers(&environment).await?, &target);
        DoctorReport::new(findings, unobserved)
    } else {
        let environment = plugin_dir::connect_with_plugin_dir(context, plugin_dir).await?;
        let observed = exclude_confirmed_nodes(observe_deep(&environment).await?, &installed_on);
        let reloadable = if fix { reloadable_mounts(&diagnose(&observed).0) } else { Vec::new() };
        if !reloadable.is_empty() {
            reload_mounts(&environment, reloadable, if yes { Consent::Given } else { Consent::Ask }, ui)
                .await?;
            // The run of the fix has replaced the signal handlers.
            unless_interrupted_at(AFTER_RELOAD, async {
                let again = async {
                    diagnose_server(
                        &environment,
                        exclude_confirmed_nodes(observe_deep(&environment).await?, &installed_on),
                        logs,
                    )
                    .await
                };
                again.await.map_err(|error| {
                    error.after_changes(
                        "The mounts that needed a reload were reloaded. Run doctor again to see the remaining findings.",
                    )
                })
            })
            .await?
        } else {
            diagnose_server(&environment, observed, logs).await?
        }
    };
    let worst = report.findings.first().map(|finding| finding.severity);
    let fails = worst.is_some_and(|worst| worst <= fail_on.severity());
    Ok(DoctorReport { output, fails, ..report })
}

/// When an interrupt after the reload comes.
const AFTER_RELOAD: &str =
    "after the mounts that needed a reload were reloaded, before the new findings were read";

/// Diagnoses a server, and searches its logs if requested.
async fn diagnose_server(
    environment: &Environment,
    observed: Observed,
    logs: bool,
) -> Result<DoctorReport, CommandError> {
    let (findings, mut unobserved) = diagnose(&observed);
    let found_in_logs =
        if logs { Some(log_findings::read_logs(environment, &mut unobserved).await?) } else { None };
    Ok(DoctorReport { logs: found_in_logs, ..DoctorReport::new(findings, unobserved) })
}

/// Removes the nodes of `--installed-on` from the unobserved ones.
fn exclude_confirmed_nodes(mut observed: Observed, installed_on: &[String]) -> Observed {
    observed.other_nodes = std::mem::take(&mut observed.other_nodes).without(installed_on);
    observed
}

fn read_explain_input(text: String) -> Result<String, CommandError> {
    if text != "-" {
        return Ok(text);
    }
    Ok(String::from_utf8_lossy(&read_stdin()?).into_owned())
}

fn read_stdin() -> Result<Vec<u8>, CommandError> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .read_to_end(&mut bytes)
        .map_err(|error| CommandError::usage("could not read standard input").caused_by(error))?;
    Ok(bytes)
}

/// Reads the catalog of another server.
fn read_catalog(file: &Path) -> Result<Vec<ListedPlugin>, CommandError> {
    let (name, bytes) = if file == Path::new("-") {
        ("standard input".to_owned(), read_stdin()?)
    } else {
        let unreadable =
            |error| CommandError::usage(format!("could not read {}", file.display())).caused_by(error);
        (file.display().to_string(), std::fs::read(file).map_err(unreadable)?)
    };
    catalog::parse_saved(&bytes).map_err(|error| {
        CommandError::usage(format!("{name} is not a plugin catalog"))
            .caused_by(error)
            .hint("Save it on the server to move to: `bao read -format=json sys/plugins/catalog` or `vault read …`.")
    })
}

async fn diagnose_file(
    path: &Path,
    args: &[String],
    env: &[String],
    context: &Context,
    ui: &mut Ui,
) -> Result<Vec<Finding>, CommandError> {
    let env = mount_data::parse_env(BTreeMap::new(), env)?;
    let unusable = |error: std::io::Error| {
        CommandError::usage(format!("{} is not a valid path", path.display())).caused_by(error)
    };
    let path = std::path::absolute(path).map_err(unusable)?;
    let binary = Binary::read(&path, &mut |done, total| ui.progress("hashing", done, total));
    ui.end_progress();
    let binary = binary.map_err(|error| CommandError::usage("invalid plugin binary").caused_by(error))?;
    let probed = match binary.check_runs_on(Architecture::host()) {
        Ok(()) => probe::probe(probe::untrusted_launch(&path, args, &env, context, ui)).await,
        Err(refusal) => ProbeOutcome::NotRun { reason: refusal.to_string() },
    };
    Ok(diagnose_binary(&binary, &probed))
}

/// The mounts that only need a reload: the version that they will run is registered, and was configured by a user.
fn reloadable_mounts(findings: &[Finding]) -> Vec<Consumer> {
    let by_reload = findings.iter().filter(|finding| is_fixed_by_reload(finding));
    by_reload.filter_map(|finding| finding.subject.parse().ok()).collect()
}

async fn reload_mounts(
    environment: &Environment,
    mounts: Vec<Consumer>,
    consent: Consent,
    ui: &mut Ui,
) -> Result<(), CommandError> {
    // Restarts that need consent are left to `reload`.
    let restarts = RestartConsent::default();
    let goal = Goal::Reload(ReloadGoal { target: ReloadTarget::Mounts(mounts), restart_consent: restarts });
    execute(environment, &goal, consent, &mut Interrupts::default(), ui).await.map(drop)
}

impl FailOn {
    fn severity(self) -> Severity {
        match self {
            Self::BreaksNow => Severity::BreaksNow,
            Self::BreaksAtRestart => Severity::BreaksAtRestart,
            Self::Risk => Severity::Risk,
            Self::Note => Severity::Note,
        }
    }
}

impl DoctorReport {
    fn new(findings: Vec<Finding>, unobserved: Vec<Unobserved>) -> Self {
        let healthy = findings.is_empty() && unobserved.is_empty();
        Self {
            healthy,
            findings,
            unobserved,
            explained: None,
            logs: None,
            output: None,
            page: None,
            fails: false,
        }
    }

    fn for_text(text: &str) -> Self {
        let mut lines: Vec<ExplainedLine> = Vec::new();
        for explained_line in explain(text) {
            // A log contains the same message many times.
            if lines.iter().all(|line| line.known.id != explained_line.kind.id) {
                lines.push(ExplainedLine {
                    line: explained_line.line.trim().to_owned(),
                    known: explained_line.kind,
                });
            }
        }
        Self { explained: Some(lines), ..Self::new(Vec::new(), Vec::new()) }
    }

    fn for_finding(known: &'static FindingKind) -> Self {
        let line = ExplainedLine { line: known.id.to_owned(), known };
        Self {
            explained: Some(vec![line]),
            page: Some(finding_page::render_page(known)),
            ..Self::new(Vec::new(), Vec::new())
        }
    }

    fn summary_line(&self) -> &'static str {
        match (self.findings.is_empty(), self.unobserved.is_empty()) {
            (true, true) => "Healthy: no findings.\n",
            (true, false) => "No findings in what was observed.\n",
            (false, _) => "",
        }
    }
}

impl Report for DoctorReport {
    fn render(&self) -> String {
        if let Some(page) = &self.page {
            return page.clone();
        }
        match (self.output, &self.explained) {
            (Some(OutputFormat::Junit), _) => return report_format::junit(&self.findings),
            (Some(OutputFormat::Sarif), _) => return report_format::sarif(&self.findings),
            (_, Some(lines)) => return render_explanations(lines),
            (_, None) => {}
        }
        let mut text = self.summary_line().to_owned();
        for finding in &self.findings {
            let Finding {
                id,
                title,
                severity,
                subject,
                evidence,
                consequence,
                remediation,
                commands,
                explain,
            } = finding;
            let _ = writeln!(text, "{id}  {severity}: {subject}: {title}");
            let _ = writeln!(
                text,
                "  evidence     {evidence}\n  consequence  {consequence}\n  remediation  {remediation}"
            );
            for command in commands {
                let _ = writeln!(text, "               {command}");
            }
            let _ = writeln!(text, "  more         {explain}\n");
        }
        if let Some(logs) = &self.logs {
            text += &log_findings::render(logs);
        }
        if !self.unobserved.is_empty() {
            let _ = writeln!(text, "Not observed:");
            for Unobserved { subject: what, reason: why } in &self.unobserved {
                let _ = writeln!(text, "  {what}: {why}");
            }
        }
        text
    }

    fn exit_code(&self) -> ExitCode {
        if self.fails { CommandErrorKind::Drift.exit_code() } else { ExitCode::SUCCESS }
    }

    fn is_raw(&self) -> bool {
        self.output.is_some_and(OutputFormat::is_for_build_servers)
    }
}

fn render_explanations(lines: &[ExplainedLine]) -> String {
    if lines.is_empty() {
        return "No known message found.\n".to_owned();
    }
    let mut text = String::new();
    for ExplainedLine { line, known } in lines {
        let _ = writeln!(text, "{}\n  {}: {}", line, known.id, known.title);
        let _ = writeln!(
            text,
            "  consequence  {}\n  remediation  {}\n  more         {}\n",
            known.consequence,
            known.remediation,
            known.explain_command()
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_explained_once_a_meaning() {
        let log = "x [ERROR] core: checksums did not match\ny [INFO] fine\nz checksums did not match\n";
        let report = DoctorReport::for_text(log);
        let ids: Vec<&str> = report.explained.iter().flatten().map(|line| line.known.id).collect();
        assert_eq!(ids, ["VTP-303"]);
        assert!(
            report.render().contains("vault-token-plugin doctor --explain VTP-303"),
            "{}",
            report.render()
        );
        assert_eq!(DoctorReport::for_text("all is well").render(), "No known message found.\n");
    }

    #[test]
    fn what_was_unobserved_is_not_called_healthy() {
        let unseen = Unobserved { subject: "files".into(), reason: "no directory".into() };
        let report = DoctorReport::new(Vec::new(), vec![unseen]);
        assert!(!report.healthy);
        assert!(report.render().starts_with("No findings in what was observed.\n"), "{}", report.render());
        assert_eq!(DoctorReport::new(Vec::new(), Vec::new()).render(), "Healthy: no findings.\n");
    }
}
