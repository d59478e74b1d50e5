//! Extracts files from a layer.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use tar::{Archive, EntryType};

use crate::digest::HashingWriter;

/// The plugin directory of an image.
const PLUGIN_DIR: &str = "plugins";

/// Prefix of a whiteout: an entry with which a layer removes a file of the layers below.
const WHITEOUT_PREFIX: &str = ".wh.";

/// Name of an opaque whiteout, with which a layer removes all content that the layers below have in a directory.
const OPAQUE_MARKER: &str = ".wh..opq";

/// Compression of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LayerCompression {
    None,
    Gzip,
}

impl LayerCompression {
    /// Returns the compression of a media type; `None` if it is not supported.
    pub(super) fn from_media_type(media_type: &str) -> Option<Self> {
        match media_type.rsplit(['.', '+', '-']).next() {
            Some("tar") => Some(Self::None),
            Some("gzip") => Some(Self::Gzip),
            _ => None,
        }
    }
}

/// The effect of a layer entry on the plugin directory.
#[derive(Clone, Debug, PartialEq, Eq)]
enum LayerChange {
    /// Removes all files of the layers below.
    Clear,
    /// Removes a file of the layers below.
    Remove(String),
    /// Adds or replaces an entry.
    Put(String),
}

impl LayerChange {
    fn from_entry(path: &Path, kind: EntryType) -> Option<Self> {
        let path = normalize_path(path);
        if path == Path::new(PLUGIN_DIR) {
            // A link or a file replaces the directory.
            return (kind != EntryType::Directory).then_some(Self::Clear);
        }
        let in_root = path.to_str().filter(|name| !name.contains('/'));
        let whiteout = in_root.and_then(|name| name.strip_prefix(WHITEOUT_PREFIX));
        if whiteout.is_some_and(|name| [PLUGIN_DIR, OPAQUE_MARKER].contains(&name)) {
            return Some(Self::Clear);
        }
        let name = plugin_file_name(&path)?;
        Some(match name.strip_prefix(WHITEOUT_PREFIX) {
            Some(OPAQUE_MARKER) => Self::Clear,
            Some(removed) => Self::Remove(removed.to_owned()),
            None => Self::Put(name),
        })
    }
}

/// Extracts the files in `plugins/` that satisfy `filter` to `target`, over those of the layers below. Reads at most `budget` bytes of
/// uncompressed data and otherwise fails with [`io::ErrorKind::FileTooLarge`]. Returns the remaining budget. Updates `digests`, which
/// has the name and the SHA-256 in hex of every file in the plugin directory, whether it satisfies `filter` or not.
pub(super) fn extract_plugins(
    mut layer: File,
    compression: LayerCompression,
    filter: &dyn Fn(&str) -> bool,
    target_dir: &Path,
    budget: u64,
    digests: &mut BTreeMap<String, String>,
) -> io::Result<u64> {
    let mut links = Vec::new();
    // Whiteouts apply only to the layers below, regardless of the order of the entries.
    let mut added = BTreeMap::new();
    let remaining = Cell::new(budget);
    for entry in open_archive(&layer, compression, &remaining).entries()? {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        let Some(change) = LayerChange::from_entry(&entry.path()?, kind) else { continue };
        let removed: Vec<String> = match &change {
            LayerChange::Clear => digests.keys().cloned().collect(),
            LayerChange::Remove(name) | LayerChange::Put(name) => vec![name.clone()],
        };
        for name in removed {
            if digests.remove(&name).is_some() && filter(&name) && !added.contains_key(&name) {
                std::fs::remove_file(target_dir.join(name))?;
            }
        }
        let LayerChange::Put(name) = change else { continue };
        match (kind, entry.link_name()?) {
            (EntryType::Regular, _) => {
                let sha256 =
                    extract_file(&mut entry, filter(&name).then(|| target_dir.join(&name)).as_deref())?;
                added.insert(name, sha256);
            }
            (EntryType::Link, Some(target)) => links.push((name, normalize_path(&target))),
            _ => {}
        }
    }
    digests.append(&mut added);
    if links.is_empty() {
        return Ok(remaining.get());
    }
    // A hard link has no content; read the content of its target in a second pass.
    layer.seek(SeekFrom::Start(0))?;
    for entry in open_archive(&layer, compression, &remaining).entries()? {
        let mut entry = entry?;
        if entry.header().entry_type() != EntryType::Regular {
            continue;
        }
        let path = normalize_path(&entry.path()?);
        let names = links.extract_if(.., |(_, target)| *target == path).map(|(name, _)| name);
        let names: Vec<String> = names.collect();
        if names.is_empty() {
            continue;
        }
        let mut paths = names.iter().filter(|name| filter(name)).map(|name| target_dir.join(name));
        let first = paths.next();
        let sha256 = extract_file(&mut entry, first.as_deref())?;
        if let Some(first) = first {
            paths.try_for_each(|other| std::fs::copy(&first, other).map(drop))?;
        }
        digests.extend(names.into_iter().map(|name| (name, sha256.clone())));
    }
    match links.into_iter().find(|(name, _)| filter(name)) {
        None => Ok(remaining.get()),
        Some((name, target)) => Err(io::Error::other(format!(
            "{name} is a link to {}, which is not in the layer",
            target.display()
        ))),
    }
}

fn open_archive<'a>(
    layer: &'a File,
    compression: LayerCompression,
    remaining: &'a Cell<u64>,
) -> Archive<LimitedReader<'a, Box<dyn Read + 'a>>> {
    let inner: Box<dyn Read> = match compression {
        LayerCompression::None => Box::new(layer),
        LayerCompression::Gzip => Box::new(MultiGzDecoder::new(layer)),
    };
    Archive::new(LimitedReader { inner, remaining })
}

/// Fails at the limit, where [`Read::take`] would signal the end of the data.
struct LimitedReader<'a, R> {
    inner: R,
    remaining: &'a Cell<u64>,
}

impl<R: Read> Read for LimitedReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let remaining = self.remaining.get().checked_sub(read as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        self.remaining.set(remaining);
        Ok(read)
    }
}

/// Returns the name of a file directly in `plugins/`.
fn plugin_file_name(path: &Path) -> Option<String> {
    let path = normalize_path(path);
    let name = path.strip_prefix(PLUGIN_DIR).ok()?;
    (name.components().count() == 1).then(|| name.to_str().map(str::to_owned)).flatten()
}

/// Normalizes `./plugins/x` and `/plugins/x` to `plugins/x`. Returns an empty path if it contains `..`.
fn normalize_path(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut parts = path.components();
    if parts.any(|part| part == Component::ParentDir) {
        return PathBuf::new();
    }
    path.components().filter(|part| matches!(part, Component::Normal(_))).collect()
}

/// Reads an entry to its end and writes it to `target`, if there is one. Returns its SHA-256 in hex.
fn extract_file(content: &mut impl Read, target: Option<&Path>) -> io::Result<String> {
    let Some(target) = target else { return copy_hashed(content, io::sink()) };
    // Do not overwrite a file of a layer below, which may have other hard links.
    match std::fs::remove_file(target) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = File::create_new(target)?;
    let sha256 = copy_hashed(content, &file)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o755))?;
    Ok(sha256)
}

fn copy_hashed(content: &mut impl Read, writer: impl Write) -> io::Result<String> {
    let mut writer = HashingWriter::new(writer);
    io::copy(content, &mut writer)?;
    let (_, digest, _) = writer.finish();
    Ok(digest.hex().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_media_type_determines_the_compression() {
        for (media_type, compression) in [
            ("application/vnd.oci.image.layer.v1.tar", Some(LayerCompression::None)),
            ("application/vnd.oci.image.layer.v1.tar+gzip", Some(LayerCompression::Gzip)),
            ("application/vnd.docker.image.rootfs.diff.tar.gzip", Some(LayerCompression::Gzip)),
            ("application/vnd.oci.image.layer.v1.tar+zstd", None),
        ] {
            assert_eq!(LayerCompression::from_media_type(media_type), compression, "{media_type}");
        }
    }

    /// A megabyte of zeros compresses to a kilobyte.
    #[test]
    fn a_layer_that_exceeds_the_budget_after_decompression_is_an_error() {
        let (directory, content) = (tempfile::tempdir().unwrap(), vec![0; 1 << 20]);
        let mut packed =
            flate2::write::GzEncoder::new(tempfile::tempfile().unwrap(), flate2::Compression::fast());
        let mut archive = tar::Builder::new(&mut packed);
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        archive.append_data(&mut header, "plugins/custom-1.0.0", content.as_slice()).unwrap();
        archive.into_inner().unwrap();
        let layer = packed.finish().unwrap();
        let extract = |budget| {
            let mut layer = layer.try_clone().unwrap();
            layer.seek(SeekFrom::Start(0)).unwrap();
            extract_plugins(
                layer,
                LayerCompression::Gzip,
                &|_| true,
                directory.path(),
                budget,
                &mut BTreeMap::new(),
            )
        };
        assert_eq!(extract(1 << 19).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert!(extract(2 << 20).unwrap() < 1 << 20);
    }

    /// The layers of an image, from bottom to top.
    struct Layers {
        directory: tempfile::TempDir,
        digests: BTreeMap<String, String>,
    }

    impl Layers {
        fn new() -> Self {
            Self { directory: tempfile::tempdir().unwrap(), digests: BTreeMap::new() }
        }

        /// Adds a layer with these entries and returns the resulting file names. The content of a file is its path.
        fn add(&mut self, entries: &[(&str, Entry)]) -> Vec<String> {
            let mut archive = tar::Builder::new(tempfile::tempfile().unwrap());
            for (path, entry) in entries {
                let mut header = tar::Header::new_gnu();
                match entry {
                    Regular => {
                        header.set_size(path.len() as u64);
                        archive.append_data(&mut header, path, path.as_bytes()).unwrap();
                    }
                    Link(kind, target) => {
                        header.set_entry_type(*kind);
                        header.set_size(0);
                        archive.append_link(&mut header, path, target).unwrap();
                    }
                }
            }
            let mut layer = archive.into_inner().unwrap();
            layer.seek(SeekFrom::Start(0)).unwrap();
            let filter = |file: &str| file == "custom-2.0.0";
            extract_plugins(
                layer,
                LayerCompression::None,
                &filter,
                self.directory.path(),
                1 << 20,
                &mut self.digests,
            )
            .unwrap();
            self.digests.keys().cloned().collect()
        }
    }

    enum Entry {
        File,
        Link(EntryType, &'static str),
    }

    use Entry::{File as Regular, Link};

    #[test]
    fn all_files_of_the_last_layer_are_listed_and_the_selected_ones_are_extracted() {
        let mut layers = Layers::new();
        let first = [("plugins/custom-1.0.0", Regular), ("plugins/other-1.0.0", Regular)];
        assert_eq!(layers.add(&first), ["custom-1.0.0", "other-1.0.0"]);
        let second = [("plugins/.wh.custom-1.0.0", Regular), ("plugins/custom-2.0.0", Regular)];
        assert_eq!(layers.add(&second), ["custom-2.0.0", "other-1.0.0"]);
        let directory = layers.directory.path();
        assert!(directory.join("custom-2.0.0").exists() && !directory.join("other-1.0.0").exists());
    }

    #[test]
    fn every_file_is_listed_with_its_digest() {
        let digest = |path: &str| crate::Digest::sha256(path.as_bytes()).hex().to_owned();
        let mut layers = Layers::new();
        layers.add(&[
            ("opt/other", Regular),
            ("plugins/custom-1.0.0", Regular),
            ("plugins/custom-2.0.0", Link(EntryType::Link, "plugins/custom-1.0.0")),
            ("plugins/other-1.0.0", Link(EntryType::Link, "opt/other")),
        ]);
        let expected = [
            ("custom-1.0.0", "plugins/custom-1.0.0"),
            ("custom-2.0.0", "plugins/custom-1.0.0"),
            ("other-1.0.0", "opt/other"),
        ];
        let expected = expected.map(|(name, content)| (name.to_owned(), digest(content)));
        assert_eq!(layers.digests, BTreeMap::from(expected));
        assert!(layers.directory.path().join("custom-2.0.0").exists());
    }

    /// Covers each kind of whiteout. A whiteout never removes a file of its own layer.
    #[test]
    fn a_layer_can_remove_the_whole_directory() {
        for (path, entry) in [
            ("plugins/.wh..wh..opq", Regular),
            (".wh.plugins", Regular),
            (".wh..wh..opq", Regular),
            ("./.wh.plugins", Regular),
            ("plugins", Link(EntryType::Symlink, "opt")),
        ] {
            let mut layers = Layers::new();
            let first = [("plugins/custom-1.0.0", Regular), ("plugins/custom-2.0.0", Regular)];
            assert_eq!(layers.add(&first).len(), 2);
            assert_eq!(layers.add(&[(path, entry)]), Vec::<String>::new(), "{path}");
            assert!(!layers.directory.path().join("custom-2.0.0").exists(), "{path}");
        }
        for marker in ["plugins/.wh..wh..opq", "plugins/.wh.custom-2.0.0"] {
            for at in [0, 1] {
                let mut layers = Layers::new();
                layers.add(&[("plugins/custom-2.0.0", Regular)]);
                let mut second = vec![("plugins/custom-2.0.0", Regular)];
                second.insert(at, (marker, Regular));
                assert_eq!(layers.add(&second), ["custom-2.0.0"], "{marker} at {at}");
                assert!(layers.directory.path().join("custom-2.0.0").exists(), "{marker} at {at}");
            }
        }
    }

    #[test]
    fn a_file_that_is_replaced_by_a_link_is_not_listed() {
        let mut layers = Layers::new();
        layers.add(&[("plugins/custom-2.0.0", Regular)]);
        let link = Link(EntryType::Symlink, "../opt/custom");
        assert_eq!(layers.add(&[("plugins/custom-2.0.0", link)]), Vec::<String>::new());
        assert!(!layers.directory.path().join("custom-2.0.0").exists());
    }

    #[test]
    fn only_files_directly_below_the_plugins_are_plugins() {
        for (path, name) in [
            ("plugins/custom-1.0.0", Some("custom-1.0.0")),
            ("./plugins/custom-1.0.0", Some("custom-1.0.0")),
            ("/plugins/custom-1.0.0", Some("custom-1.0.0")),
            ("plugins/a/custom-1.0.0", None),
            ("plugins", None),
            ("plugins/../etc/passwd", None),
            ("etc/plugins/custom-1.0.0", None),
        ] {
            assert_eq!(plugin_file_name(Path::new(path)).as_deref(), name, "{path}");
        }
    }
}
