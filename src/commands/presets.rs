//! `presets`: shows which token APIs have presets, and what one of them needs.

mod columns;

use std::fmt::Write as _;

use clap::{ArgAction, Args};
use serde::Serialize;
use serde_json::Value;
use token_engine::{FieldInfo, PresetInfo, PresetStatus};

use self::columns::{Column, render_columns};
use crate::commands::preset_data::{self, placeholder};
use crate::error::CommandError;
use crate::ui::Report;

/// Arguments of `presets`.
#[derive(Debug, Args)]
pub struct PresetsArgs {
    /// Preset to show [default: list all]
    #[arg(value_name = "NAME", value_parser = preset_data::names(), hide_possible_values = true, action = ArgAction::Set)]
    name: Option<String>,
}

/// The presets, or one of them.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum PresetsReport {
    /// All of them.
    List(PresetList),
    /// One.
    One(Box<PresetDetails>),
}

/// The presets.
#[derive(Debug, Serialize)]
pub struct PresetList {
    presets: Vec<PresetSummary>,
}

/// What a preset issues, and how it was tested.
#[derive(Debug, Serialize)]
struct PresetSummary {
    name: &'static str,
    issues: String,
    #[serde(flatten)]
    status: StatusFields,
    documentation: Option<String>,
    /// Whether `rotate-root` replaces the key of a connection.
    rotate_root: bool,
}

/// How a preset was tested.
#[derive(Debug, Serialize)]
struct StatusFields {
    status: Status,
    /// Server and version.
    tested_with: Option<String>,
    /// What no test shows.
    unverified_because: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Tested,
    Unverified,
}

/// What a preset needs, and how it is used.
#[derive(Debug, Serialize)]
pub struct PresetDetails {
    #[serde(flatten)]
    summary: PresetSummary,
    /// Fields of `config`.
    config: Vec<FieldReport>,
    /// Fields of a role.
    role: Vec<FieldReport>,
    commands: Commands,
}

/// A field that a preset asks for.
#[derive(Debug, Serialize)]
struct FieldReport {
    name: String,
    r#type: &'static str,
    required: bool,
    default: Option<Value>,
    allowed: Vec<String>,
    secret: bool,
    help: String,
}

/// Commands to paste. Words in upper case stand for values.
#[derive(Debug, Serialize)]
struct Commands {
    /// Configures a mount of the plugin, and issues a credential.
    vault: Vec<String>,
    /// Registers, mounts and configures the plugin.
    register: String,
}

/// The mount and the role of the commands.
const MOUNT: &str = "custom";
const ROLE: &str = "developer";

/// Describes the presets.
///
/// # Errors
/// Never; all commands return a result.
pub fn run(args: PresetsArgs) -> Result<PresetsReport, CommandError> {
    let PresetsArgs { name } = args;
    Ok(match name.and_then(|name| token_engine::preset(&name)) {
        Some(preset) => PresetsReport::One(Box::new(PresetDetails::new(preset))),
        None => {
            let presets = token_engine::preset_names().filter_map(token_engine::preset);
            PresetsReport::List(PresetList {
                presets: presets.map(|preset| PresetSummary::new(&preset)).collect(),
            })
        }
    })
}

impl PresetSummary {
    fn new(preset: &PresetInfo) -> PresetSummary {
        let status = match preset.status.clone() {
            PresetStatus::Tested { with } => {
                StatusFields { status: Status::Tested, tested_with: Some(with), unverified_because: None }
            }
            PresetStatus::Unverified { reason } => StatusFields {
                status: Status::Unverified,
                tested_with: None,
                unverified_because: Some(reason),
            },
        };
        PresetSummary {
            name: preset.name,
            issues: preset.issues.clone(),
            status,
            documentation: preset.documentation.clone(),
            rotate_root: preset.rotates,
        }
    }
}

impl PresetDetails {
    fn new(preset: PresetInfo) -> PresetDetails {
        let summary = PresetSummary::new(&preset);
        let commands = Commands { vault: vault_commands(&preset), register: register_command(&preset) };
        let report = |fields: Vec<FieldInfo>| fields.into_iter().map(FieldReport::from).collect();
        PresetDetails { summary, config: report(preset.config), role: report(preset.role), commands }
    }
}

impl From<FieldInfo> for FieldReport {
    fn from(field: FieldInfo) -> FieldReport {
        let FieldInfo { name, kind, required, default, allowed, secret, help } = field;
        FieldReport { name, r#type: kind, required, default, allowed, secret, help }
    }
}

fn vault_commands(preset: &PresetInfo) -> Vec<String> {
    // Vault's command line repeats the field for each of its parameters.
    let pair =
        |field: &FieldInfo| format!(" {}", assignment(field).replacen("parameters.", "parameters=", 1));
    let fields = |fields: &[FieldInfo]| required(fields).map(pair).collect::<String>();
    let mut commands =
        vec![format!("vault write {MOUNT}/config preset={}{}", preset.name, fields(&preset.config))];
    if preset.has_probe {
        commands.push(format!("vault read {MOUNT}/check"));
    }
    commands.push(format!("vault write {MOUNT}/roles/{ROLE}{} ttl=1h", fields(&preset.role)));
    commands.push(format!("vault read {MOUNT}/creds/{ROLE}"));
    commands
}

fn register_command(preset: &PresetInfo) -> String {
    let mut lines =
        vec![format!("vault-token-plugin register custom-plugin --mount {MOUNT} --preset {}", preset.name)];
    lines.extend(required(&preset.config).map(|field| format!("--config {}", assignment(field))));
    lines.extend(required(&preset.role).map(|field| format!("--role {ROLE}:{}", assignment(field))));
    lines.push(format!("--role {ROLE}:ttl=1h --smoke creds/{ROLE}"));
    lines.join(" \\\n    ")
}

fn required(fields: &[FieldInfo]) -> impl Iterator<Item = &FieldInfo> {
    fields.iter().filter(|field| field.required)
}

fn assignment(field: &FieldInfo) -> String {
    format!("{}={}", field.name, placeholder(field))
}

impl StatusFields {
    fn in_words(&self) -> String {
        match &self.tested_with {
            Some(server) => format!("tested with {server}"),
            None => "unverified".to_owned(),
        }
    }
}

impl Report for PresetsReport {
    fn render(&self) -> String {
        match self {
            PresetsReport::List(list) => list.render(),
            PresetsReport::One(details) => details.render(),
        }
    }
}

impl PresetList {
    fn render(&self) -> String {
        let row = |preset: &PresetSummary| {
            [preset.name.to_owned(), preset.issues.clone(), preset.status.in_words()]
        };
        let heading = ["NAME", "ISSUES", "STATUS"].map(str::to_owned);
        let rows: Vec<_> = std::iter::once(heading).chain(self.presets.iter().map(row)).collect();
        let mut text =
            render_columns([Column { width: 19 }, Column { width: 34 }, Column { width: 23 }], &rows);
        text.push_str("\n`vault-token-plugin presets NAME` shows what a preset needs.\n");
        text
    }
}

impl PresetDetails {
    fn render(&self) -> String {
        let PresetDetails { summary, config, role, commands } = self;
        let mut text = format!("{}: {}\n\n", summary.name, summary.issues);
        let reason = summary.status.unverified_because.iter().map(|reason| format!(": {reason}"));
        let _ = writeln!(text, "Status         {}{}", summary.status.in_words(), reason.collect::<String>());
        if let Some(address) = &summary.documentation {
            let _ = writeln!(text, "Documentation  {address}");
        }
        let rotation = if summary.rotate_root { "rotate-root replaces the key" } else { "not supported" };
        let _ = writeln!(text, "Rotation       {rotation}");
        for (heading, fields) in [("Connection (config)", config), ("Role (roles/NAME)", role)] {
            let _ = writeln!(text, "\n{heading}");
            let rows: Vec<_> = fields.iter().map(FieldReport::row).collect();
            let width = |column: usize| {
                rows.iter().map(|row: &[String; 3]| row[column].chars().count()).max().unwrap_or_default()
            };
            let (name, kind) = (width(0), width(1));
            let help = 80_usize.saturating_sub(name + kind + 6).max(30);
            let columns = [Column { width: name }, Column { width: kind }, Column { width: help }];
            for line in render_columns(columns, &rows).lines() {
                let _ = writeln!(text, "  {line}");
            }
        }
        text.push_str("\nConfigure a mount, and read a credential. Replace the words in upper case:\n\n");
        for command in &commands.vault {
            let _ = writeln!(text, "  {command}");
        }
        text.push_str("\nOr register, mount and configure the plugin with one command:\n\n");
        for line in commands.register.lines() {
            let _ = writeln!(text, "  {line}");
        }
        text
    }
}

impl FieldReport {
    fn row(&self) -> [String; 3] {
        let mut help = self.help.clone();
        if let Some(default) = &self.default {
            let default = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
            let _ = write!(help, " [default: {default}]");
        }
        if !self.allowed.is_empty() {
            let _ = write!(help, " [allowed: {}]", self.allowed.join(", "));
        }
        let required = if self.required { ", required" } else { "" };
        let secret = if self.secret { ", secret" } else { "" };
        [self.name.clone(), format!("{}{required}{secret}", self.r#type), help]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_set_everything_that_a_preset_requires() {
        for name in token_engine::preset_names() {
            let preset = token_engine::preset(name).expect("a preset");
            let (vault, register) = (vault_commands(&preset), register_command(&preset));
            for field in required(&preset.config).chain(required(&preset.role)) {
                let parameter = field.name.replacen("parameters.", "parameters=", 1);
                assert!(
                    vault.iter().any(|command| command.contains(&format!(" {parameter}="))),
                    "{name}: {vault:?}"
                );
                assert!(register.contains(&format!("{}=", field.name)), "{name}: {register}");
            }
        }
    }
}
