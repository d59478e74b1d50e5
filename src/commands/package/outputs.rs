//! Where the image goes.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use deployment::Sha256Sums;
use oci_image::{
    Digest, ImageName, ImageReference, Layout, PackError, RegistryError, RegistryProtocol, push,
};
use serde::Serialize;
use tempfile::NamedTempFile;

use super::PackageArgs;
use crate::commands::interrupts::unless_interrupted;
use crate::commands::registry;
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::Ui;

/// A place where the image is, or would be.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Output {
    Layout {
        path: PathBuf,
    },
    Archive {
        path: PathBuf,
    },
    Registry {
        image: String,
        #[serde(flatten)]
        pushed: Option<PushResult>,
    },
}

/// What a push came to.
#[derive(Debug, Serialize)]
pub(super) struct PushResult {
    pub(super) reference: String,
    pub(super) digest: Digest,
    pub(super) blobs_sent: usize,
    pub(super) blobs_present: usize,
    pub(super) replaced: Option<String>,
}

/// What was asked for.
pub(super) struct Outputs {
    layout: Option<PathBuf>,
    archive: Option<PathBuf>,
    push: Option<PushTarget>,
    staging_dir: PathBuf,
}

struct PushTarget {
    image: String,
    transport: RegistryProtocol,
    docker_config: Option<PathBuf>,
    registry_ca: Option<PathBuf>,
}

impl Outputs {
    pub(super) fn from_args(args: &PackageArgs, context: &Context) -> Result<Self, CommandError> {
        let absolute = |path: &PathBuf| {
            std::path::absolute(path).map_err(|error| {
                CommandError::usage(format!("{} is no path", path.display())).caused_by(error)
            })
        };
        let layout = args.layout.as_ref().map(absolute).transpose()?;
        let archive = args.archive.as_ref().map(absolute).transpose()?;
        let push = match &args.push {
            // Said before anything is built or packed.
            Some(image) => parse_target(image, "latest").map(|_| {
                Some(PushTarget {
                    image: image.clone(),
                    transport: if args.plain_http { RegistryProtocol::Http } else { RegistryProtocol::Https },
                    docker_config: context.docker_config(),
                    registry_ca: args.registry_ca.clone(),
                })
            })?,
            None => None,
        };
        let beside = |path: &PathBuf| path.parent().unwrap_or(Path::new("/")).to_owned();
        // Beside the layout it can be renamed; beside the archive there is room for it, as far as anybody knows.
        let place = layout.as_ref().or(archive.as_ref()).map_or_else(std::env::temp_dir, beside);
        Ok(Self { layout, archive, push, staging_dir: place })
    }

    /// Whether only the checksums are wanted.
    pub(super) fn is_empty(&self) -> bool {
        self.layout.is_none() && self.archive.is_none() && self.push.is_none()
    }

    /// Where the image is made.
    pub(super) fn staging_dir(&self) -> &Path {
        &self.staging_dir
    }

    /// What the image is called: as in the registry if it goes there.
    pub(super) fn name(&self, usual: ImageName) -> Result<ImageName, CommandError> {
        let image = self.push.as_ref().map_or_else(|| usual.repository.clone(), |push| push.image.clone());
        parse_target(&image, &usual.tag)
            .map(|target| if self.push.is_some() { target.image_name() } else { usual })
    }

    /// What [`Outputs::write`] would write.
    pub(super) fn planned(&self, name: &ImageName) -> Result<Vec<Output>, CommandError> {
        let mut planned = self.file_outputs();
        if let Some(push) = &self.push {
            let image = parse_target(&push.image, &name.tag)?.to_string();
            planned.push(Output::Registry { image, pushed: None });
        }
        Ok(planned)
    }

    /// The push comes before the layout is moved to its place, so that a run that fails leaves the layout of before.
    pub(super) async fn write(&self, layout: Layout, ui: &mut Ui) -> Result<Vec<Output>, CommandError> {
        let mut written = self.file_outputs();
        if let Some(push) = &self.push {
            written.push(push.push_image(&layout, ui).await?);
        }
        if let Some(archive) = &self.archive {
            layout
                .write_archive(archive)
                .map_err(|error| pack_error("the archive could not be written", error))?;
        }
        if let Some(directory) = &self.layout {
            layout
                .persist(directory)
                .map_err(|error| pack_error("the layout could not be written", error))?;
        }
        Ok(written)
    }

    fn file_outputs(&self) -> Vec<Output> {
        let layout = self.layout.iter().map(|path| Output::Layout { path: path.clone() });
        layout.chain(self.archive.iter().map(|path| Output::Archive { path: path.clone() })).collect()
    }
}

impl PushTarget {
    async fn push_image(&self, layout: &Layout, ui: &mut Ui) -> Result<Output, CommandError> {
        let target = parse_target(&self.image, &layout.name().tag)?;
        let access = registry::registry_access(
            &target,
            self.transport,
            self.docker_config.as_deref(),
            self.registry_ca.clone(),
        )?;
        let sent = unless_interrupted(async {
            push(layout, &target, &access, &mut |done, total| ui.progress("pushing", done, total))
                .await
                .map_err(push_error)
        })
        .await;
        ui.end_progress();
        let sent = sent?;
        if let Some(before) = &sent.replaced {
            ui.warn(&format!("{target} was {before} before; nodes that have pulled it keep that"));
        }
        let reference = format!("{}/{}@{}", target.registry(), target.repository(), sent.digest);
        let pushed = PushResult {
            reference,
            digest: sent.digest,
            blobs_sent: sent.sent,
            blobs_present: sent.present,
            replaced: sent.replaced,
        };
        Ok(Output::Registry { image: sent.image, pushed: Some(pushed) })
    }
}

/// Writes the checksums: under a temporary name, then renamed.
pub(super) fn write_sums(path: &Path, sums: &Sha256Sums) -> Result<(), CommandError> {
    let place = path.parent().filter(|place| !place.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || {
        let mut file = NamedTempFile::new_in(place)?;
        file.write_all(sums.to_string().as_bytes())?;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
        file.as_file().sync_all()?;
        file.persist(path).map(drop).map_err(|error| error.error)
    };
    write().map_err(|source| {
        pack_error(
            "the checksums could not be written",
            PackError::Io { action: "write", path: path.to_owned(), source },
        )
    })
}

pub(super) fn pack_error(what: &str, error: PackError) -> CommandError {
    let cure = error.hint();
    CommandError::failed(what).caused_by(error).hint(cure)
}

fn push_error(error: RegistryError) -> CommandError {
    let cure = error.hint();
    CommandError::failed("the image was not pushed").caused_by(error).hint(cure)
}

fn parse_target(image: &str, tag: &str) -> Result<ImageReference, CommandError> {
    ImageReference::parse(image, tag)
        .map_err(|error| CommandError::usage("the image cannot have that name").caused_by(error))
}
