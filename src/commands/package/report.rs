//! The report of `package`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use oci_image::{Digest, Layout, PackedImage};
use serde::Serialize;

use super::Output;
use super::inputs::{PackageInput, PackageInputs};
use super::outputs::PushResult;
use crate::commands::execute::PlanStatus;
use crate::error::CommandErrorKind;
use crate::ui::Report;

/// Binaries, image, and destinations.
#[derive(Debug, Serialize)]
pub struct PackageReport {
    result: PlanStatus,
    binaries: Vec<BinaryReport>,
    sums: PathBuf,
    image: Option<ImageReport>,
    outputs: Vec<Output>,
}

/// A binary in the image.
#[derive(Debug, Serialize)]
struct BinaryReport {
    file: String,
    name: String,
    version: String,
    platform: String,
    sha256: String,
    size: u64,
    started: bool,
}

/// The image.
#[derive(Debug, Serialize)]
struct ImageReport {
    name: String,
    digest: Digest,
    platforms: Vec<PackedImage>,
}

impl PackageReport {
    pub(super) fn new(inputs: &PackageInputs, sums: &Path) -> Self {
        let binaries = inputs.all().iter().map(BinaryReport::from).collect();
        Self { result: PlanStatus::Done, binaries, sums: sums.to_owned(), image: None, outputs: Vec::new() }
    }

    pub(super) fn set_image(&mut self, layout: &Layout) {
        self.image = Some(ImageReport {
            name: layout.name().to_string(),
            digest: layout.digest().clone(),
            platforms: layout.images(),
        });
    }

    pub(super) fn set_outputs(&mut self, outputs: Vec<Output>) {
        self.outputs = outputs;
    }

    pub(super) fn with_status(self, result: PlanStatus) -> Self {
        Self { result, ..self }
    }
}

impl From<&PackageInput> for BinaryReport {
    fn from(input: &PackageInput) -> Self {
        Self {
            file: input.file(),
            name: input.name.clone(),
            version: input.version.to_string(),
            platform: input.platform.to_string(),
            sha256: input.binary.sha256.clone(),
            size: input.binary.size,
            started: input.started,
        }
    }
}

impl Report for PackageReport {
    fn render(&self) -> String {
        let Self { result, binaries, sums, image, outputs } = self;
        let mut text = String::new();
        for BinaryReport { file, platform, sha256, size, .. } in binaries {
            let size = indicatif::HumanBytes(*size);
            let _ = writeln!(text, "{file}  {platform}, {size}, sha256 {sha256}");
        }
        if let Some(ImageReport { name, digest, platforms }) = image {
            let _ = writeln!(text, "{name}  {digest}");
            for PackedImage { platform, digest } in platforms.iter().filter(|_| platforms.len() > 1) {
                let _ = writeln!(text, "  {platform}  {digest}");
            }
        }
        let files: BTreeSet<&str> = binaries.iter().map(|binary| binary.file.as_str()).collect();
        if image.is_some() && files.len() > 1 {
            text.push_str("OpenBao's plugin stanza must name one of the files:\n");
            for file in files {
                let _ = writeln!(text, "  binary_name = \"{file}\"");
            }
        }
        let (would, was) = match result {
            PlanStatus::DryRun => ("would be ", "would be"),
            PlanStatus::Done | PlanStatus::NothingToDo => ("", "is"),
        };
        let _ = writeln!(text, "{} {was} written", sums.display());
        for output in outputs {
            let _ = match output {
                Output::Layout { path } => writeln!(text, "{would}an OCI layout in {}", path.display()),
                Output::Archive { path } => writeln!(text, "{would}an archive in {}", path.display()),
                Output::Registry { image, pushed: None } => writeln!(text, "{would}pushed to {image}"),
                Output::Registry {
                    image,
                    pushed: Some(PushResult { reference, blobs_sent, blobs_present, .. }),
                } => {
                    writeln!(
                        text,
                        "pushed to {image}: {blobs_sent} blobs sent, {blobs_present} already present\n{reference}"
                    )
                }
            };
        }
        text
    }

    fn exit_code(&self) -> ExitCode {
        match self.result {
            PlanStatus::DryRun => CommandErrorKind::Drift.exit_code(),
            PlanStatus::Done | PlanStatus::NothingToDo => ExitCode::SUCCESS,
        }
    }
}
