//! A plugin in an image: of a registry, or of a directory that `package --layout` has written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use deployment::Sha256Sums;
use oci_image::{FetchError, FetchedPlugins, ImageReference, ImageSource, Platform, RegistryProtocol, fetch};
use rollout::{Architecture, Observed, Version, parse_plugin_file_name, shell_quote};

use crate::commands::registry;
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::Ui;

/// An image that contains the plugin.
pub(crate) struct PluginImage {
    source: ImageSource,
    /// Without tag and digest, where it is in a registry.
    repository: Option<String>,
}

/// A version that was taken out of an image. The file is removed with this value.
pub(crate) struct ExtractedBinary {
    fetched: FetchedPlugins,
    file: String,
    bundled_files: BTreeMap<String, String>,
    repository: Option<String>,
}

impl PluginImage {
    /// Reads `--image`: the directory of a layout, or the name of an image with its registry.
    ///
    /// # Errors
    /// For a file, for what is no such name, and when the credentials of the registry cannot be read.
    pub(crate) fn parse(text: &str, context: &Context) -> Result<Self, CommandError> {
        let path = Path::new(text);
        if path.is_dir() {
            return Ok(Self { source: ImageSource::Layout(path.to_owned()), repository: None });
        }
        if path.is_file() {
            return Err(CommandError::usage(format!("{text} is a file, not an image"))
                .hint(format!("Give a plugin binary with --binary {}.", shell_quote(text))));
        }
        let Some(target) = ImageReference::parse_qualified(text) else {
            return Err(CommandError::usage(format!("{text} names no image of a registry"))
                .hint("Write HOST/NAME:TAG, such as registry.example.com/team/custom-plugin:1.2.3, or the directory of an OCI layout."));
        };
        let docker_config = context.docker_config();
        let access =
            registry::registry_access(&target, RegistryProtocol::Https, docker_config.as_deref(), None)?;
        let repository = Some(format!("{}/{}", target.registry(), target.repository()));
        Ok(Self { source: ImageSource::Registry { target, access: Box::new(access) }, repository })
    }

    /// Loads the version of a plugin that is asked for, else the newest one, for the machines of the nodes.
    pub(crate) async fn extract(
        self,
        plugin: &str,
        version: Option<&Version>,
        observed: &Observed,
        ui: &mut Ui,
    ) -> Result<ExtractedBinary, CommandError> {
        let Self { source, repository } = self;
        let machine = observed
            .deployment
            .as_ref()
            .and_then(|site| site.nodes.values().next())
            .map(|node| node.architecture);
        let machine = machine.unwrap_or_else(Architecture::host);
        let (name, only) = (plugin.to_owned(), version.cloned());
        let wanted = move |file: &str| {
            parse_plugin_file_name(file).is_some_and(|(plugin, there)| {
                plugin == name && only.as_ref().is_none_or(|only| *only == there)
            })
        };
        let platform = Platform::linux(&machine.to_string());
        let fetched =
            fetch(&source, &platform, wanted, &mut |done, total| ui.progress("fetching", done, total)).await;
        ui.end_progress();
        let fetched = fetched.map_err(fetch_error)?;
        let version_of = |file: &&String| parse_plugin_file_name(file).map(|(_, version)| version);
        let newest = fetched.files.iter().max_by_key(version_of).cloned();
        let file = newest.ok_or_else(|| {
            let what =
                version.map_or_else(|| format!("no {plugin}"), |version| format!("no {plugin} {version}"));
            CommandError::usage(format!("the image carries {what} for {platform} in /plugins"))
                .hint("Its files are called NAME-VERSION; `package` makes such an image.")
        })?;
        let brings = verified_bundled_files(&fetched)?;
        Ok(ExtractedBinary { fetched, file, bundled_files: brings, repository })
    }
}

impl ExtractedBinary {
    /// Where the binary lies.
    pub(crate) fn path(&self) -> PathBuf {
        self.fetched.path(&self.file)
    }

    /// The files that a node gets from it, each with its hex sha256.
    pub(crate) fn bundled_files(&self) -> &BTreeMap<String, String> {
        &self.bundled_files
    }

    /// The image by its digest, so that what a node is started with later is what was proven.
    pub(crate) fn reference(&self) -> Option<String> {
        self.repository.as_ref().map(|repository| format!("{repository}@{}", self.fetched.digest))
    }
}

/// The files that a node gets from an image: where it has a list of sums, its loader copies those, and fails on any that differs.
fn verified_bundled_files(fetched: &FetchedPlugins) -> Result<BTreeMap<String, String>, CommandError> {
    let Some(text) = &fetched.checksums else { return Ok(fetched.plugin_digests.clone()) };
    let refused = |why: String| {
        CommandError::usage(format!("no node could load the image: {why}"))
            .hint("Make the image anew with `package`.")
    };
    let sums: Sha256Sums = text
        .parse()
        .map_err(|error| refused("could not understand its SHA256SUMS".to_owned()).caused_by(error))?;
    // What lies in a folder is no plugin.
    let listed = sums.iter().filter(|(file, _)| !file.contains('/'));
    let verified = listed.map(|(file, wanted)| match fetched.plugin_digests.get(file) {
        Some(there) if there == wanted => Ok((file.to_owned(), there.clone())),
        Some(there) => Err(refused(format!("{file} has sha256 {there} and its SHA256SUMS says {wanted}"))),
        None => Err(refused(format!("it lacks {file}, which its SHA256SUMS names"))),
    });
    verified.collect()
}

fn fetch_error(error: FetchError) -> CommandError {
    let cure = error.hint();
    CommandError::usage("the image could not be used").caused_by(error).hint(cure)
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use oci_image::{Digest, EntryContent, ImageName, Layer, LayerEntry, Layout};

    use super::*;

    /// What an image brings whose plugins are `a-1.0.0`, which is an `A`, and `b-1.0.0`, with these lines of sums.
    async fn brought_by(sums: &[(&str, &str)]) -> Result<BTreeMap<String, String>, CommandError> {
        let place = tempfile::tempdir().expect("a directory");
        let entry = |path: &str, text: &str| LayerEntry {
            path: format!("plugins/{path}"),
            content: EntryContent::Text(text.to_owned()),
        };
        let mut entries = vec![entry("a-1.0.0", "A"), entry("b-1.0.0", "B")];
        if !sums.is_empty() {
            let sums: Vec<String> = sums.iter().map(|(file, sha256)| format!("{sha256}  {file}\n")).collect();
            entries.push(entry("SHA256SUMS", &sums.concat()));
        }
        let image = oci_image::Image {
            platform: Platform::linux("amd64"),
            user: "100:1000".into(),
            entrypoint: vec!["/vault-token-plugin".into()],
            labels: BTreeMap::new(),
            layers: vec![Layer { title: "plugins".into(), entries }],
        };
        let name = ImageName { repository: "registry.example.com/plugins".into(), tag: "1".into() };
        let packed = Layout::pack(&[image], &name, place.path(), &mut |_, _| ControlFlow::Continue(()));
        let layout = place.path().join("layout");
        packed.expect("packed").persist(&layout).expect("kept");
        let source = ImageSource::Layout(layout);
        let fetched =
            fetch(&source, &Platform::linux("amd64"), |file| file == "a-1.0.0", &mut |_, _| ()).await;
        let fetched = fetched.expect("fetched");
        assert_eq!(fetched.files, ["a-1.0.0".to_owned()].into());
        verified_bundled_files(&fetched)
    }

    fn sha256(text: &str) -> String {
        Digest::sha256(text.as_bytes()).hex().to_owned()
    }

    #[tokio::test]
    async fn an_image_brings_what_its_loader_copies() {
        let (a, b) = (sha256("A"), sha256("B"));
        let all = BTreeMap::from(
            [("a-1.0.0", &a), ("b-1.0.0", &b)].map(|(file, sum)| (file.to_owned(), sum.clone())),
        );
        assert_eq!(brought_by(&[]).await.expect("it has no list"), all);
        let listed = brought_by(&[("a-1.0.0", &a)]).await.expect("it lists one");
        assert_eq!(listed.keys().collect::<Vec<_>>(), ["a-1.0.0"]);
        for (sums, said) in [
            (
                [("a-1.0.0", a.as_str()), ("b-1.0.0", a.as_str())],
                format!("b-1.0.0 has sha256 {b} and its SHA256SUMS says {a}"),
            ),
            ([("a-1.0.0", &a), ("c-1.0.0", &a)], "it lacks c-1.0.0, which its SHA256SUMS names".to_owned()),
            ([("a-1.0.0", &a), ("../b-1.0.0", &b)], "could not understand its SHA256SUMS".to_owned()),
        ] {
            let error = brought_by(&sums).await.expect_err("its loader would fail").to_string();
            assert!(error.contains(&said), "{error}");
        }
    }
}
