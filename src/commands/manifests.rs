//! `manifests`: what a cluster needs so that the plugin is on every node, may be operated, is watched, and is used.

mod access;
mod application;
mod hcl;
mod helm;
mod kustomize;
mod manifest_file;
mod monitoring;
mod network;
mod object_name;
mod objects;
mod part;
mod server;
mod stateful_set;
mod values;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgAction, Args};
use deployment::{ClusterConnection, Drift, ObjectDrift, compare_with_cluster};
use serde::Serialize;

use crate::context::Context;
use crate::error::{CommandError, CommandErrorKind};
use crate::ui::Report;
use kustomize::{ConflictPolicy, WrittenDirectory};
use manifest_file::ManifestFile;
use part::Part;
use values::ManifestValues;

/// Which parts, for which names.
#[derive(Debug, Args)]
pub struct ManifestsArgs {
    /// Parts to print [default: those that any cluster can use]
    #[arg(value_enum, value_name = "PART", hide_possible_values = true, long_help = Part::long_help())]
    parts: Vec<Part>,
    #[command(flatten)]
    names: values::ManifestFlags,
    /// Write a directory for kustomize instead
    #[arg(long, value_name = "DIR", conflicts_with = "diff")]
    kustomize: Option<PathBuf>,
    /// Resource that the kustomization builds on; repeatable
    ///
    /// A path as in kustomization.yaml, such as ../vault.
    #[arg(long, value_name = "PATH", requires = "kustomize", hide_short_help = true)]
    base: Vec<String>,
    /// Overwrite files of that directory that others have changed
    #[arg(long, action = ArgAction::SetTrue, requires = "kustomize", hide_short_help = true)]
    overwrite: bool,
    /// Show cluster changes; exit with 3 if there are any
    #[arg(long, action = ArgAction::SetTrue)]
    diff: bool,
}

/// What was made of it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum ManifestsReport {
    /// The files themselves.
    Files {
        /// Each of them.
        documents: Vec<ManifestFile>,
        /// The same as text.
        #[serde(skip)]
        text: String,
    },
    /// Where they are.
    Written(WrittenDirectory),
    /// How the cluster differs.
    Diff {
        /// Each object.
        objects: Vec<ObjectDrift>,
    },
}

/// Makes them. Nothing in the cluster is changed, and without --diff none is asked.
///
/// # Errors
/// When a name cannot be used, a file is in the way, or the cluster does not answer.
pub async fn run(args: ManifestsArgs, context: &Context) -> Result<ManifestsReport, CommandError> {
    let ManifestsArgs { parts, names, kustomize, base, overwrite, diff } = args;
    let cluster = context.kubernetes();
    let names = values::resolve(names, cluster)?;
    let mut documents = Vec::new();
    for part in Part::select(&parts) {
        documents.extend(part_files(part, &names)?);
    }
    if let Some(directory) = kustomize {
        let existing = if overwrite { ConflictPolicy::Replace } else { ConflictPolicy::Keep };
        return Ok(ManifestsReport::Written(kustomize::write(&directory, &base, &documents, existing)?));
    }
    if diff {
        let objects: Vec<_> = documents.iter().flat_map(ManifestFile::objects).cloned().collect();
        let connection =
            ClusterConnection { kubeconfig: cluster.kubeconfig.clone(), context: cluster.context.clone() };
        let objects = compare_with_cluster(&connection, objects).await.map_err(|error| {
            let hint = error.hint();
            CommandError::failed("could not compare with the cluster").caused_by(error).hint(hint)
        })?;
        return Ok(ManifestsReport::Diff { objects });
    }
    let text = match documents.as_slice() {
        // Alone it is what its reader takes.
        [document] => document.text()?,
        documents => documents.iter().map(ManifestFile::as_stream_document).collect::<Result<String, _>>()?,
    };
    Ok(ManifestsReport::Files { documents, text })
}

/// The files of a part.
///
/// # Errors
/// When a name is missing or too long.
fn part_files(part: Part, names: &ManifestValues) -> Result<Vec<ManifestFile>, CommandError> {
    match part {
        Part::Server => server::files(names),
        Part::Statefulset => stateful_set::patch(names),
        Part::Config => Ok(stateful_set::config_snippet(names)),
        Part::Helm => helm::files(names),
        Part::Rbac => access::rbac(names),
        Part::Policy => Ok(access::operator_policy(names)),
        Part::NetworkPolicy => network::network_policy(names),
        Part::DisruptionBudget => network::disruption_budget(names),
        Part::Rules => monitoring::rules(names),
        Part::PrometheusRule => monitoring::prometheus_rule(names),
        Part::Scrape => monitoring::scrape(names),
        Part::Application => application::files(names),
        Part::All => Ok(Vec::new()),
    }
}

impl Report for ManifestsReport {
    fn render(&self) -> String {
        match self {
            Self::Files { documents: _, text } => text.clone(),
            Self::Written(written) => render_written(written),
            Self::Diff { objects } => render_diff(objects),
        }
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Diff { objects } if objects.iter().any(|object| object.drift != Drift::None) => {
                CommandErrorKind::Drift.exit_code()
            }
            _ => ExitCode::SUCCESS,
        }
    }
}

fn render_written(written: &WrittenDirectory) -> String {
    let WrittenDirectory { directory, files, removed, component } = written;
    let mut text = String::new();
    for file in files {
        let _ = writeln!(text, "Wrote {}", directory.join(file).display());
    }
    for file in removed {
        let _ = writeln!(text, "Removed {}, which is not made any more", directory.join(file).display());
    }
    let directory = directory.display();
    let _ = match component {
        true => {
            writeln!(text, "Name {directory} under `components` of the kustomization that has the servers.")
        }
        false => writeln!(text, "Apply it with `kubectl apply -k {directory}`."),
    };
    text
}

fn render_diff(objects: &[ObjectDrift]) -> String {
    let mut text = String::new();
    for ObjectDrift { object, drift } in objects {
        let _ = match drift {
            Drift::None => writeln!(text, "{object}: as it should be"),
            Drift::Missing => writeln!(text, "{object}: is not there, would be created"),
            Drift::Different { fields } => {
                let _ = writeln!(text, "{object}: would change");
                for field in fields {
                    let _ = writeln!(text, "  {field}");
                }
                Ok(())
            }
        };
    }
    text
}
