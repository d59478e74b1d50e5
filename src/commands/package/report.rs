//! What was made.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use oci_image::{Digest, Layout, PackedImage};
use serde::Serialize;

use super::Output;
use super::inputs::{Input, Inputs};
use super::outputs::Sent;
use crate::commands::carry_out::Ended;
use crate::error::Kind;
use crate::ui::Report;

/// Binaries, image, and where it is.
#[derive(Debug, Serialize)]
pub struct PackageReport {
    result: Ended,
    binaries: Vec<Packed>,
    sums: PathBuf,
    image: Option<Made>,
    outputs: Vec<Output>,
}

/// A binary in the image.
#[derive(Debug, Serialize)]
struct Packed {
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
struct Made {
    name: String,
    digest: Digest,
    platforms: Vec<PackedImage>,
}

impl PackageReport {
    pub(super) fn new(inputs: &Inputs, sums: &Path) -> Self {
        let binaries = inputs.all().iter().map(Packed::from).collect();
        Self { result: Ended::Done, binaries, sums: sums.to_owned(), image: None, outputs: Vec::new() }
    }

    pub(super) fn packed(&mut self, layout: &Layout) {
        self.image = Some(Made {
            name: layout.name().to_string(),
            digest: layout.digest().clone(),
            platforms: layout.images(),
        });
    }

    pub(super) fn planned(&mut self, outputs: Vec<Output>) {
        self.outputs = outputs;
    }

    pub(super) fn ended(self, result: Ended) -> Self {
        Self { result, ..self }
    }
}

impl From<&Input> for Packed {
    fn from(input: &Input) -> Self {
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
        for Packed { file, platform, sha256, size, .. } in binaries {
            let size = indicatif::HumanBytes(*size);
            let _ = writeln!(text, "{file}  {platform}, {size}, sha256 {sha256}");
        }
        if let Some(Made { name, digest, platforms }) = image {
            let _ = writeln!(text, "{name}  {digest}");
            for PackedImage { platform, digest } in platforms.iter().filter(|_| platforms.len() > 1) {
                let _ = writeln!(text, "  {platform}  {digest}");
            }
        }
        let files: BTreeSet<&str> = binaries.iter().map(|binary| binary.file.as_str()).collect();
        if image.is_some() && files.len() > 1 {
            text.push_str("OpenBao's plugin stanza has to name one of the files:\n");
            for file in files {
                let _ = writeln!(text, "  binary_name = \"{file}\"");
            }
        }
        let (would, was) = match result {
            Ended::DryRun => ("would be ", "would be"),
            Ended::Done | Ended::NothingToDo => ("", "is"),
        };
        let _ = writeln!(text, "{} {was} written", sums.display());
        for output in outputs {
            let _ = match output {
                Output::Layout { path } => writeln!(text, "{would}an OCI layout in {}", path.display()),
                Output::Archive { path } => writeln!(text, "{would}an archive in {}", path.display()),
                Output::Registry { image, pushed: None } => writeln!(text, "{would}pushed to {image}"),
                Output::Registry {
                    image,
                    pushed: Some(Sent { reference, blobs_sent, blobs_present, .. }),
                } => {
                    writeln!(
                        text,
                        "pushed to {image}: {blobs_sent} blobs sent, {blobs_present} were there\n{reference}"
                    )
                }
            };
        }
        text
    }

    fn exit_code(&self) -> ExitCode {
        match self.result {
            Ended::DryRun => Kind::Drift.exit_code(),
            Ended::Done | Ended::NothingToDo => ExitCode::SUCCESS,
        }
    }
}
