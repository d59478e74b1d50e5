//! `inspect`: shows what a plugin is and offers, or the differences between two plugins.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use rollout::{Binary, Format, Linkage, error_chain, printable_line};
use serde::Serialize;
use vault_api::SecretString;
use vault_api::catalog::PluginType;
use vault_plugin::host::{self, DatabaseReport, Difference, Inspection, PathInfo, ShutdownBehavior};

use crate::commands::mount_data;
use crate::commands::plugin_args::LaunchArgs;
use crate::commands::probe::{inspect_error_hint, is_cookie_mismatch, plugin_type, untrusted_launch};
use crate::context::Context;
use crate::error::{CommandError, CommandErrorKind};
use crate::ui::{Report, Ui};

/// Arguments of `inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// Plugin binary
    binary: PathBuf,
    /// Plugin binary to compare with, for example the next version
    other: Option<PathBuf>,
    #[command(flatten)]
    launch: LaunchArgs,
    /// Option of the mount, such as version=2; repeatable
    ///
    /// Some engines choose their paths by such an option.
    #[arg(long = "option", value_name = "KEY=VALUE")]
    options: Vec<String>,
}

/// Result of `inspect`: one plugin, or two and their differences.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum InspectReport {
    /// One plugin.
    Single(Box<InspectedPlugin>),
    /// Two plugins.
    Comparison {
        /// The plugin.
        before: Box<InspectedPlugin>,
        /// Both plugins.
        after: Box<InspectedPlugin>,
        /// All differences between what they offer.
        differences: Vec<DifferenceLine>,
        /// Whether a difference breaks clients of the first plugin.
        breaks_clients: bool,
    },
}

/// A binary and the plugin in it.
#[derive(Debug, Serialize)]
pub struct InspectedPlugin {
    #[serde(flatten)]
    binary: Binary,
    version: String,
    kind: PluginType,
    protocol_version: u32,
    multiplexed: bool,
    handshake_milliseconds: f64,
    shutdown: ShutdownBehavior,
    help: String,
    paths: BTreeMap<String, PathInfo>,
}

/// A difference, as a sentence.
#[derive(Debug, Serialize)]
pub struct DifferenceLine {
    text: String,
    breaks_clients: bool,
}

/// Starts the plugin as Vault does, queries it, and stops it. Needs no server, and leaves no files behind.
///
/// # Errors
/// If a file cannot be read or is not a working plugin.
pub async fn run(args: InspectArgs, context: &Context, ui: &mut Ui) -> Result<InspectReport, CommandError> {
    let InspectArgs { binary, other, launch: LaunchArgs { args, env }, options } = args;
    let start = LaunchOptions {
        args,
        env: mount_data::parse_env(BTreeMap::new(), &env)?,
        context,
        options: options.iter().map(|text| parse_option(text)).collect::<Result<_, _>>()?,
    };
    let (binary, inspection) = start.inspect(&binary, ui).await?;
    let Some(other) = other else {
        return Ok(InspectReport::Single(Box::new(InspectedPlugin::new(binary, inspection))));
    };
    let (other, next) = start.inspect(&other, ui).await?;
    let differences = inspection.compare(&next);
    Ok(InspectReport::Comparison {
        breaks_clients: differences.iter().any(Difference::breaks_clients),
        differences: differences.iter().map(DifferenceLine::from).collect(),
        before: Box::new(InspectedPlugin::new(binary, inspection)),
        after: Box::new(InspectedPlugin::new(other, next)),
    })
}

/// What a plugin has reported.
enum Inspected {
    /// A secrets engine or an auth method.
    Backend(Box<Inspection>),
    /// A database plugin, which describes no paths.
    Database(DatabaseReport),
}

impl Inspected {
    /// The differences between the paths of two plugins.
    fn compare(&self, other: &Inspected) -> Vec<Difference> {
        match (self, other) {
            (Inspected::Backend(before), Inspected::Backend(after)) => host::compare(before, after),
            _ => Vec::new(),
        }
    }
}

/// How the plugins are started.
struct LaunchOptions<'a> {
    args: Vec<String>,
    env: Vec<SecretString>,
    options: BTreeMap<String, String>,
    context: &'a Context,
}

impl LaunchOptions<'_> {
    async fn inspect(&self, path: &Path, ui: &mut Ui) -> Result<(Binary, Inspected), CommandError> {
        let path = std::path::absolute(path).map_err(|error| {
            CommandError::usage(format!("{} is not a valid path", path.display())).caused_by(error)
        })?;
        let binary = Binary::read(&path, &mut |done, total| ui.progress("hashing", done, total));
        ui.end_progress();
        let binary = binary.map_err(|error| CommandError::usage("invalid plugin binary").caused_by(error))?;
        let mut launch = untrusted_launch(&path, &self.args, &self.env, self.context, ui);
        launch.start_timeout = self.context.timeout().unwrap_or(launch.start_timeout);
        match host::inspect(launch.clone(), self.options.clone()).await {
            Ok(inspection) => Ok((binary, Inspected::Backend(Box::new(inspection)))),
            // A database plugin expects another cookie.
            Err(error) if is_cookie_mismatch(&error_chain(&error)) => {
                match host::probe_database(launch).await {
                    Ok(report) => Ok((binary, Inspected::Database(report))),
                    Err(error) => {
                        Err(CommandError::failed(format!("{} could not be inspected", path.display()))
                            .caused_by(error))
                    }
                }
            }
            Err(error) => {
                let hint = inspect_error_hint(&error);
                let failed = CommandError::failed(format!("{} could not be inspected", path.display()))
                    .caused_by(error);
                Err(hint.into_iter().fold(failed, CommandError::hint))
            }
        }
    }
}

fn parse_option(text: &str) -> Result<(String, String), CommandError> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(CommandError::usage(format!("--option {text:?} is not KEY=VALUE"))),
    }
}

impl InspectedPlugin {
    fn new(binary: Binary, inspected: Inspected) -> InspectedPlugin {
        match inspected {
            Inspected::Backend(inspection) => InspectedPlugin::backend(binary, *inspection),
            Inspected::Database(report) => InspectedPlugin::database(binary, report),
        }
    }

    fn database(binary: Binary, report: DatabaseReport) -> InspectedPlugin {
        let DatabaseReport { version, multiplexed, protocol_version, handshake_time, shutdown } = report;
        InspectedPlugin {
            binary,
            version,
            kind: PluginType::Database,
            protocol_version,
            multiplexed,
            handshake_milliseconds: milliseconds(handshake_time),
            shutdown,
            help: String::new(),
            paths: BTreeMap::new(),
        }
    }

    fn backend(binary: Binary, inspection: Inspection) -> InspectedPlugin {
        let Inspection {
            version,
            kind,
            multiplexed,
            protocol_version,
            handshake_time,
            shutdown,
            special_paths: _,
            help,
            paths,
        } = inspection;
        let handshake_milliseconds = milliseconds(handshake_time);
        InspectedPlugin {
            binary,
            version,
            kind: plugin_type(kind),
            protocol_version,
            multiplexed,
            handshake_milliseconds,
            shutdown,
            help,
            paths,
        }
    }

    fn render(&self) -> String {
        let InspectedPlugin {
            binary,
            version,
            kind,
            protocol_version,
            multiplexed,
            handshake_milliseconds,
            shutdown,
            help: _,
            paths,
        } = self;
        let mut text = format!("{}\n", binary.path.display());
        let mut row = |name: &str, value: &dyn std::fmt::Display| {
            let _ = writeln!(text, "  {name:<10} {value}");
        };
        let version = if version.is_empty() { "reports none" } else { version };
        row("version", &one_line(version));
        row("type", kind);
        let sharing = match (kind, multiplexed) {
            (PluginType::Database, true) => "many connections in one process",
            (PluginType::Database, false) => "one process per connection",
            (_, true) => "many mounts in one process",
            (_, false) => "one process per mount",
        };
        row("protocol", &format_args!("{protocol_version}, {sharing}"));
        row("handshake", &format_args!("{handshake_milliseconds} ms"));
        if *shutdown == ShutdownBehavior::Killed {
            row(
                "end",
                &"does not exit when its host stops it, and was killed: main must return when serving has ended",
            );
        }
        if let Format::Elf(elf) = &binary.format {
            match &elf.linkage {
                Linkage::Static => row("runs on", &format_args!("{}, static: any image", elf.architecture)),
                Linkage::Dynamic { interpreter } => {
                    row("runs on", &format_args!("{}, needs {}", elf.architecture, interpreter.display()));
                }
            }
        }
        row("size", &indicatif::HumanBytes(binary.size));
        row("sha256", &binary.sha256);
        if *kind == PluginType::Database {
            return text;
        }
        text.push_str("  paths\n");
        for (path, info) in paths {
            let verbs: Vec<String> = info.operations.keys().map(ToString::to_string).collect();
            let path = if path.is_empty() { "(the mount itself)" } else { path };
            let _ = writeln!(text, "    {:<28} {}", one_line(path), verbs.join(", "));
            let fields: Vec<String> = info
                .operations
                .values()
                .flat_map(|operation| operation.fields.keys())
                .collect::<std::collections::BTreeSet<_>>()
                .into_iter()
                .map(|field| one_line(field))
                .collect();
            if !fields.is_empty() {
                let _ = writeln!(text, "      fields: {}", fields.join(", "));
            }
        }
        text
    }
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e4).round() / 10.0
}

/// Text from a plugin. It must not control the terminal or add lines to the report.
fn one_line(text: &str) -> String {
    printable_line(text, 300)
}

impl From<&Difference> for DifferenceLine {
    fn from(difference: &Difference) -> DifferenceLine {
        DifferenceLine { text: difference.to_string(), breaks_clients: difference.breaks_clients() }
    }
}

impl Report for InspectReport {
    fn render(&self) -> String {
        match self {
            InspectReport::Single(seen) => seen.render(),
            InspectReport::Comparison { before, after, differences, breaks_clients } => {
                let mut text = before.render() + &after.render();
                if differences.is_empty() {
                    return text + "No differences.\n";
                }
                text.push_str("What differs\n");
                for line in differences {
                    let mark = if line.breaks_clients { "breaks clients" } else { "" };
                    let _ = writeln!(text, "  {mark:<14}  {}", one_line(&line.text));
                }
                if *breaks_clients {
                    text.push_str("Clients of the first would fail with the second.\n");
                }
                text
            }
        }
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            InspectReport::Comparison { breaks_clients: true, .. } => CommandErrorKind::Drift.exit_code(),
            InspectReport::Single(_) | InspectReport::Comparison { .. } => ExitCode::SUCCESS,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_of_a_hostile_plugin_stay_in_their_line() {
        let (path, field) = ("a\u{1b}[2J\n  sha256     0", "b\u{1b}]52;c;eA==\u{7}\n  size       0");
        let fields = json!({"properties": {field: {"type": "string"}}});
        let body = json!({"requestBody": {"content": {"application/json": {"schema": fields}}}});
        let document = json!({"paths": {format!("/{path}"): {"post": body}}});
        let elf = rollout::Elf { architecture: rollout::Architecture::X86_64, linkage: Linkage::Static };
        let seen = InspectedPlugin {
            binary: Binary {
                path: "hostile".into(),
                size: 1,
                sha256: "1".into(),
                executable: true,
                format: Format::Elf(elf),
            },
            version: "v1\n  type       auth".into(),
            kind: PluginType::Secret,
            protocol_version: 5,
            multiplexed: true,
            handshake_milliseconds: 1.0,
            shutdown: ShutdownBehavior::Graceful,
            help: String::new(),
            paths: host::documented_paths(&document),
        };
        let text = seen.render();
        assert!(!text.contains(|letter: char| letter.is_control() && letter != '\n'), "{text:?}");
        // The heading of the plugin, six rows, the heading of the paths, one path and its fields.
        assert_eq!(text.lines().count(), 11, "{text}");
    }
}
