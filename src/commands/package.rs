//! `package`: plugins into a container image, with the checksums that registration needs.

mod build;
mod inputs;
mod outputs;
mod report;

use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::{ArgAction, ArgGroup, Args};
use deployment::{Owner, Sha256Sums};
use oci_image::{EntryContent, Image, Layer, LayerEntry, Layout, PackError, Platform};
use rollout::{Binary, CancelFlag};

use self::inputs::{PackageInput, PackageInputs};
use self::outputs::{Output, Outputs};
pub use self::report::PackageReport;
use crate::commands::execute::PlanStatus;
use crate::commands::owner;
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::Ui;

/// Checks plugins by starting each as Vault would, writes SHA256SUMS, and makes an image that needs neither a shell nor a libc.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("subject").args(["binaries", "build"]).multiple(true).required(true))]
pub struct PackageArgs {
    /// Plugin binaries: one or several versions, for one or several platforms; called NAME-VERSION, or started to learn the version
    #[arg(value_name = "BINARY")]
    binaries: Vec<PathBuf>,
    /// Build the Rust package in DIR [default: .] as a static release, and take its binary
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true, default_missing_value = ".")]
    build: Option<PathBuf>,
    /// Which binary of the package, if it has several
    #[arg(long, value_name = "BIN", requires = "build")]
    bin: Option<String>,
    /// Name of the plugin [default: that of the file, without its version]
    #[arg(long)]
    name: Option<String>,
    /// Argument of the plugins when they are started to be looked at
    #[arg(long = "arg", value_name = "ARG", allow_hyphen_values = true)]
    args: Vec<String>,
    /// Environment of the plugins when they are started to be looked at; the value can be @FILE or - (standard input)
    #[arg(long, value_name = "KEY=VALUE")]
    env: Vec<String>,
    /// Platform to make an image for [default: those of the binaries that can be started here]
    #[arg(long, value_name = "OS/ARCH")]
    platform: Vec<Platform>,
    /// Static build of this program, which loads the plugins in the image; one for each platform [default: this program]
    #[arg(long, value_name = "FILE")]
    loader: Vec<PathBuf>,
    /// Write the image as an OCI layout
    #[arg(long, value_name = "DIR")]
    layout: Option<PathBuf>,
    /// Write the image as one file, for docker load or ctr images import
    #[arg(long, value_name = "FILE")]
    archive: Option<PathBuf>,
    /// Push the image to a registry, such as registry.example.com/team/custom-plugin:1.2.3
    #[arg(long, value_name = "IMAGE")]
    push: Option<String>,
    /// Tag of the image [default: the highest version in it]
    #[arg(long)]
    tag: Option<String>,
    /// Label of the image
    #[arg(long = "label", value_name = "KEY=VALUE")]
    labels: Vec<String>,
    /// Whom the image runs as; this is Vault's own user in its images
    #[arg(long, value_name = "UID[:GID]", default_value = "100:1000", value_parser = owner::parse_owner)]
    user: Owner,
    /// Where to write the checksums of the binaries
    #[arg(long, value_name = "FILE", default_value = "SHA256SUMS")]
    sums: PathBuf,
    /// PEM file of the authority that signed the registry's certificate, beside those in /etc/docker/certs.d
    #[arg(long, value_name = "FILE", requires = "push")]
    registry_ca: Option<PathBuf>,
    /// Speak to the registry without TLS, as is done anyway where it is on this machine
    #[arg(long, action = ArgAction::SetTrue, requires = "push")]
    plain_http: bool,
    /// Check everything and show what would be made; nothing is written or pushed
    #[arg(long, action = ArgAction::SetTrue)]
    dry_run: bool,
}

/// Where the image holds what it loads.
const PLUGINS_DIR: &str = "plugins";
/// The loader; in the root of the image, where OpenBao looks for the file that its `plugin` stanza names.
const LOADER_FILE: &str = "vault-token-plugin";

/// Checks, packs, writes, pushes, in this order: what fails leaves less done.
///
/// # Errors
/// When a binary would not run where the image runs, or something cannot be written or pushed.
pub async fn run(args: PackageArgs, context: &Context, ui: &mut Ui) -> Result<PackageReport, CommandError> {
    let labels = parse_labels(&args.labels)?;
    let outputs = Outputs::from_args(&args, context)?;
    let built = match &args.build {
        Some(directory) => Some(build::cargo_build(directory, args.bin.as_deref(), ui).await?),
        None => None,
    };
    let inputs = PackageInputs::load(&args, built, !outputs.is_empty(), context, ui).await?;
    let name = outputs.name(inputs.image_name(args.tag.as_deref()))?;
    let sums = inputs.sums();
    let result = if args.dry_run { PlanStatus::DryRun } else { PlanStatus::Done };
    let mut report = PackageReport::new(&inputs, &args.sums);
    if outputs.is_empty() {
        if !args.dry_run {
            outputs::write_sums(&args.sums, &sums)?;
        }
        return Ok(report.with_status(result));
    }
    let images: Vec<Image> = inputs
        .platforms()
        .iter()
        .map(|platform| image_for_platform(&inputs, platform, &args, &labels, &name.tag))
        .collect();
    let layout = pack(&images, &name, &outputs, ui)?;
    report.set_image(&layout);
    if args.dry_run {
        report.set_outputs(outputs.planned(&name)?);
        return Ok(report.with_status(result));
    }
    outputs::write_sums(&args.sums, &sums)?;
    report.set_outputs(outputs.write(layout, ui).await?);
    Ok(report.with_status(result))
}

/// Makes the image beside where it is wanted. An interrupt ends it, and nothing is left.
fn pack(
    images: &[Image],
    name: &oci_image::ImageName,
    outputs: &Outputs,
    ui: &mut Ui,
) -> Result<Layout, CommandError> {
    let cancel = CancelFlag::default();
    let asked = cancel.clone();
    let watching = tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            asked.cancel();
        }
    });
    let packed = tokio::task::block_in_place(|| {
        Layout::pack(images, name, outputs.staging_dir(), &mut |done, total| {
            ui.progress("packing", done, total);
            if cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    });
    watching.abort();
    ui.end_progress();
    packed.map_err(|error| match error {
        PackError::Cancelled => {
            CommandError::interrupted("while the image was packed; nothing is left of it")
        }
        error => outputs::pack_error("the image could not be made", error),
    })
}

fn parse_labels(given: &[String]) -> Result<Vec<(String, String)>, CommandError> {
    let labels = given.iter().map(|text| match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(CommandError::usage(format!("--label {text:?} is not KEY=VALUE"))),
    });
    labels.collect()
}

/// A layer for the loader, which few releases change, one for each version, and the sums. So an image with one version more is
/// one layer more to push and to pull.
fn image_for_platform(
    inputs: &PackageInputs,
    platform: &Platform,
    args: &PackageArgs,
    labels: &[(String, String)],
    tag: &str,
) -> Image {
    let directory = LayerEntry { path: format!("{PLUGINS_DIR}/"), content: EntryContent::Directory };
    let loader = inputs
        .loader(platform)
        .map(|loader| LayerEntry { path: LOADER_FILE.into(), content: executable_content(loader) });
    let first = Layer {
        title: format!("{LOADER_FILE}, the loader"),
        entries: [directory].into_iter().chain(loader).collect(),
    };
    let versions = inputs.for_platform(platform).map(version_layer);
    let sums: Sha256Sums =
        inputs.for_platform(platform).map(|input| (input.file(), input.binary.sha256.clone())).collect();
    let sums = LayerEntry {
        path: format!("{PLUGINS_DIR}/SHA256SUMS"),
        content: EntryContent::Text(sums.to_string()),
    };
    let last = Layer { title: "SHA256SUMS".into(), entries: vec![sums] };
    let own = [
        ("org.opencontainers.image.title".to_owned(), inputs.name().to_owned()),
        ("org.opencontainers.image.version".to_owned(), tag.to_owned()),
    ];
    let Owner { user, group } = args.user;
    Image {
        platform: platform.clone(),
        user: group.map_or_else(|| user.to_string(), |group| format!("{user}:{group}")),
        entrypoint: entrypoint(inputs),
        labels: own.into_iter().chain(labels.iter().cloned()).collect(),
        layers: [first].into_iter().chain(versions).chain([last]).collect(),
    }
}

/// OpenBao takes what an image starts for the plugin, where its stanza does not name one of several. The loader is called by its name
/// then, as `manifests` does.
fn entrypoint(inputs: &PackageInputs) -> Vec<String> {
    match inputs.only_file() {
        Some(file) => vec![format!("/{file}")],
        None => vec![format!("/{LOADER_FILE}"), "loader".into()],
    }
}

/// In the root for OpenBao, and under a second name where the loader looks. The root has the file and the other place the link,
/// because OpenBao takes no link.
fn version_layer(input: &PackageInput) -> Layer {
    let file = input.file();
    let link = EntryContent::Link { to: file.clone() };
    let entries = vec![
        LayerEntry { path: file.clone(), content: executable_content(&input.binary) },
        LayerEntry { path: format!("{PLUGINS_DIR}/{file}"), content: link },
    ];
    Layer { title: file, entries }
}

fn executable_content(binary: &Binary) -> EntryContent {
    let Binary { path, size, sha256, .. } = binary;
    EntryContent::Executable { path: path.clone(), size: *size, sha256: sha256.clone() }
}
