//! The new version out of an image: of a registry, or of a directory that `package --layout` has written.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use oci_image::{FetchError, Fetched, Platform, Source, Target, Transport, fetch};
use rollout::{Machine, Observed, Version, file_version};

use crate::commands::registry;
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::Ui;

/// An image that is brought.
pub(super) struct Image {
    source: Source,
    /// Without tag and digest, where it is in a registry.
    repository: Option<String>,
}

/// A version that was taken out of an image. The file goes with this value.
pub(super) struct Taken {
    fetched: Fetched,
    file: String,
    repository: Option<String>,
}

impl Image {
    /// `None` for what is a file, or would be one. A name of Docker Hub has to be written out, as it could be a path.
    pub(super) fn named(text: &Path, context: &Context) -> Result<Option<Self>, CommandError> {
        if text.is_dir() {
            return Ok(Some(Self { source: Source::Layout(text.to_owned()), repository: None }));
        }
        let Some(target) = text.to_str().filter(|_| !text.exists()).and_then(Target::of_registry) else {
            return Ok(None);
        };
        let docker_config = context.docker_config();
        let access = registry::access(&target, Transport::Https, docker_config.as_deref(), None)?;
        let repository = Some(format!("{}/{}", target.registry(), target.repository()));
        Ok(Some(Self { source: Source::Registry { target, access: Box::new(access) }, repository }))
    }

    /// Loads the version of a plugin that is asked for, else the newest one, for the machines of the nodes.
    pub(super) async fn take(
        self,
        plugin: &str,
        version: Option<&Version>,
        observed: &Observed,
        ui: &mut Ui,
    ) -> Result<Taken, CommandError> {
        let Self { source, repository } = self;
        let machine =
            observed.site.as_ref().and_then(|site| site.nodes.values().next()).map(|node| node.machine);
        let machine = machine.unwrap_or_else(Machine::of_this_process);
        let (name, only) = (plugin.to_owned(), version.cloned());
        let wanted = move |file: &str| {
            file_version(file).is_some_and(|(plugin, there)| {
                plugin == name && only.as_ref().is_none_or(|only| *only == there)
            })
        };
        let platform = Platform::linux(&machine.to_string());
        let fetched =
            fetch(&source, &platform, wanted, &mut |done, total| ui.progress("fetching", done, total)).await;
        ui.end_progress();
        let fetched = fetched.map_err(unfetched)?;
        let version_of = |file: &&String| file_version(file).map(|(_, version)| version);
        let newest = fetched.files.iter().max_by_key(version_of).cloned();
        let file = newest.ok_or_else(|| {
            let what =
                version.map_or_else(|| format!("no {plugin}"), |version| format!("no {plugin} {version}"));
            CommandError::usage(format!("the image carries {what} for {platform} in /plugins"))
                .hint("Its files are called NAME-VERSION; `package` makes such an image.")
        })?;
        Ok(Taken { fetched, file, repository })
    }
}

impl Taken {
    /// Where the binary lies.
    pub(super) fn path(&self) -> PathBuf {
        self.fetched.path(&self.file)
    }

    /// The names of all files that it carries.
    pub(super) fn brings(&self) -> &BTreeSet<String> {
        &self.fetched.carried
    }

    /// The image by its digest, so that what a node is started with later is what was proven.
    pub(super) fn reference(&self) -> Option<String> {
        self.repository.as_ref().map(|repository| format!("{repository}@{}", self.fetched.digest))
    }
}

fn unfetched(error: FetchError) -> CommandError {
    let cure = error.cure();
    CommandError::usage("the image could not be used").because(error).hint(cure)
}
