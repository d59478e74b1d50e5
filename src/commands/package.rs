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
use crate::commands::plugin_args::LaunchArgs;
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::Ui;

/// Checks plugins by starting each as Vault would, writes SHA256SUMS, and makes an image that needs neither a shell nor a libc.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("subject").args(["binaries", "build"]).multiple(true).required(true))]
pub struct PackageArgs {
    /// Plugin binaries, of any number of versions and platforms
    ///
    /// A file is called NAME-VERSION, or it is started to learn the version.
    #[arg(value_name = "BINARY")]
    binaries: Vec<PathBuf>,
    /// Build the Rust package in DIR, statically [default: .]
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true, default_missing_value = ".")]
    build: Option<PathBuf>,
    /// Name of the binary, if the package has several
    #[arg(long, value_name = "BIN", requires = "build", hide_short_help = true)]
    bin: Option<String>,
    /// Name of the plugin [default: from the file name]
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    launch: LaunchArgs,
    /// Platform of the image; repeatable [default: those that can be started here]
    #[arg(long, value_name = "OS/ARCH", hide_short_help = true)]
    platform: Vec<Platform>,
    /// Static build of this program for a platform; repeatable [default: this program]
    ///
    /// It is the loader, which copies the plugins of the image into the plugin directory.
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    loader: Vec<PathBuf>,
    /// Write the image as an OCI layout
    #[arg(long, value_name = "DIR")]
    layout: Option<PathBuf>,
    /// Write the image as one file, as for `docker load`
    #[arg(long, value_name = "FILE")]
    archive: Option<PathBuf>,
    /// Push the image to a registry: HOST/NAME[:TAG]
    #[arg(long, value_name = "REF")]
    push: Option<String>,
    /// Tag of the image [default: the highest version in it]
    #[arg(long)]
    tag: Option<String>,
    /// Label of the image; repeatable
    #[arg(long = "label", value_name = "KEY=VALUE", hide_short_help = true)]
    labels: Vec<String>,
    /// User that the image runs as
    ///
    /// The default is Vault's user in its own images.
    #[arg(
        long,
        value_name = "UID[:GID]",
        default_value = "100:1000",
        value_parser = owner::parse_owner,
        hide_short_help = true
    )]
    user: Owner,
    /// File to write the checksums to
    #[arg(long, value_name = "FILE", default_value = "SHA256SUMS")]
    sums: PathBuf,
    /// PEM file of the CA that signed the registry's certificate
    ///
    /// In addition to those in /etc/docker/certs.d.
    #[arg(long, value_name = "FILE", requires = "push", hide_short_help = true)]
    registry_ca: Option<PathBuf>,
    /// Access the registry without TLS
    ///
    /// A registry on this machine is always accessed without TLS.
    #[arg(long, action = ArgAction::SetTrue, requires = "push", hide_short_help = true)]
    plain_http: bool,
    /// Show what would be made; write and push nothing
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
