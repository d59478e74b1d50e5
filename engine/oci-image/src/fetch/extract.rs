//! Files out of a layer.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use tar::{Archive, EntryType};

use crate::digest::HashingWriter;

/// Where an image has its plugins.
const PLUGIN_DIR: &str = "plugins";

/// What a later layer names a file that it takes away.
const WHITEOUT_PREFIX: &str = ".wh.";

/// What follows that where a later layer takes away all that a directory held.
const OPAQUE_MARKER: &str = ".wh..opq";

/// How a layer is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LayerCompression {
    None,
    Gzip,
}

impl LayerCompression {
    /// By the media type; `None` for what is not read here.
    pub(super) fn from_media_type(media_type: &str) -> Option<Self> {
        match media_type.rsplit(['.', '+', '-']).next() {
            Some("tar") => Some(Self::None),
            Some("gzip") => Some(Self::Gzip),
            _ => None,
        }
    }
}

/// What an entry of a layer does to the directory of plugins.
#[derive(Clone, Debug, PartialEq, Eq)]
enum LayerChange {
    /// Everything that layers before have left there is gone.
    Clear,
    /// So is the file of that name.
    Remove(String),
    /// Something of that name is there, in the place of what was.
    Put(String),
}

impl LayerChange {
    fn from_entry(path: &Path, kind: EntryType) -> Option<Self> {
        let path = normalize_path(path);
        if path == Path::new(PLUGIN_DIR) {
            // A link or a file in the place of the directory.
            return (kind != EntryType::Directory).then_some(Self::Clear);
        }
        let in_root = path.to_str().filter(|name| !name.contains('/'));
        let hides = in_root.and_then(|name| name.strip_prefix(WHITEOUT_PREFIX));
        if hides.is_some_and(|name| [PLUGIN_DIR, OPAQUE_MARKER].contains(&name)) {
            return Some(Self::Clear);
        }
        let name = plugin_file_name(&path)?;
        Some(match name.strip_prefix(WHITEOUT_PREFIX) {
            Some(OPAQUE_MARKER) => Self::Clear,
            Some(gone) => Self::Remove(gone.to_owned()),
            None => Self::Put(name),
        })
    }
}

/// Puts the wanted files below `plugins/` into `place`, over those of layers before. Reads at most `budget` bytes of it, unpacked,
/// else fails with [`io::ErrorKind::FileTooLarge`]. Returns what is left of them. `carried` becomes the names of all files that lie there
/// after this layer, wanted or not, each with its hex sha256.
pub(super) fn extract_plugins(
    mut layer: File,
    compression: LayerCompression,
    wanted: &dyn Fn(&str) -> bool,
    place: &Path,
    budget: u64,
    carried: &mut BTreeMap<String, String>,
) -> io::Result<u64> {
    let mut links = Vec::new();
    // A layer takes away only what those before it have left, whichever entry comes first.
    let mut own = BTreeMap::new();
    let left = Cell::new(budget);
    for entry in open_archive(&layer, compression, &left).entries()? {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        let Some(change) = LayerChange::from_entry(&entry.path()?, kind) else { continue };
        let gone: Vec<String> = match &change {
            LayerChange::Clear => carried.keys().cloned().collect(),
            LayerChange::Remove(name) | LayerChange::Put(name) => vec![name.clone()],
        };
        for name in gone {
            if carried.remove(&name).is_some() && wanted(&name) && !own.contains_key(&name) {
                std::fs::remove_file(place.join(name))?;
            }
        }
        let LayerChange::Put(name) = change else { continue };
        match (kind, entry.link_name()?) {
            (EntryType::Regular, _) => {
                let sha256 = extract_file(&mut entry, wanted(&name).then(|| place.join(&name)).as_deref())?;
                own.insert(name, sha256);
            }
            (EntryType::Link, Some(target)) => links.push((name, normalize_path(&target))),
            _ => {}
        }
    }
    carried.append(&mut own);
    if links.is_empty() {
        return Ok(left.get());
    }
    // The same content under two names is in the layer once, under the first.
    layer.seek(SeekFrom::Start(0))?;
    for entry in open_archive(&layer, compression, &left).entries()? {
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
        let mut places = names.iter().filter(|name| wanted(name)).map(|name| place.join(name));
        let first = places.next();
        let sha256 = extract_file(&mut entry, first.as_deref())?;
        if let Some(first) = first {
            places.try_for_each(|other| std::fs::copy(&first, other).map(drop))?;
        }
        carried.extend(names.into_iter().map(|name| (name, sha256.clone())));
    }
    match links.into_iter().find(|(name, _)| wanted(name)) {
        None => Ok(left.get()),
        Some((name, target)) => {
            Err(io::Error::other(format!("{name} is a link to {}, which is not there", target.display())))
        }
    }
}

fn open_archive<'a>(
    layer: &'a File,
    compression: LayerCompression,
    left: &'a Cell<u64>,
) -> Archive<LimitedReader<'a, Box<dyn Read + 'a>>> {
    let inner: Box<dyn Read> = match compression {
        LayerCompression::None => Box::new(layer),
        LayerCompression::Gzip => Box::new(MultiGzDecoder::new(layer)),
    };
    Archive::new(LimitedReader { inner, left })
}

/// Fails where [`Read::take`] would end as if everything had been read.
struct LimitedReader<'a, R> {
    inner: R,
    left: &'a Cell<u64>,
}

impl<R: Read> Read for LimitedReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let left = self.left.get().checked_sub(read as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        self.left.set(left);
        Ok(read)
    }
}

/// The name of a file directly below `plugins/`.
fn plugin_file_name(path: &Path) -> Option<String> {
    let path = normalize_path(path);
    let name = path.strip_prefix(PLUGIN_DIR).ok()?;
    (name.components().count() == 1).then(|| name.to_str().map(str::to_owned)).flatten()
}

/// Without what leads in a circle: some write `./plugins/x`, some `/plugins/x`. What leads upwards is nowhere.
fn normalize_path(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut parts = path.components();
    if parts.any(|part| part == Component::ParentDir) {
        return PathBuf::new();
    }
    path.components().filter(|part| matches!(part, Component::Normal(_))).collect()
}

/// Reads a file to its end, into a new one where there is a place for it. Returns its hex sha256.
fn extract_file(content: &mut impl Read, place: Option<&Path>) -> io::Result<String> {
    let Some(place) = place else { return copy_hashed(content, io::sink()) };
    // Not into a file of a layer before, which may be linked to another name.
    match std::fs::remove_file(place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = File::create_new(place)?;
    let sha256 = copy_hashed(content, &file)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o755))?;
    Ok(sha256)
}

fn copy_hashed(content: &mut impl Read, to: impl Write) -> io::Result<String> {
    let mut hashing = HashingWriter::new(to);
    io::copy(content, &mut hashing)?;
    let (_, digest, _) = hashing.finish();
    Ok(digest.hex().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_read_by_what_its_type_says() {
        for (media_type, compression) in [
            ("application/vnd.oci.image.layer.v1.tar", Some(LayerCompression::None)),
            ("application/vnd.oci.image.layer.v1.tar+gzip", Some(LayerCompression::Gzip)),
            ("application/vnd.docker.image.rootfs.diff.tar.gzip", Some(LayerCompression::Gzip)),
            ("application/vnd.oci.image.layer.v1.tar+zstd", None),
        ] {
            assert_eq!(LayerCompression::from_media_type(media_type), compression, "{media_type}");
        }
    }

    /// A megabyte of zeros is a kilobyte when it is compressed.
    #[test]
    fn a_layer_that_grows_without_end_when_it_is_unpacked_is_given_up() {
        let (place, content) = (tempfile::tempdir().unwrap(), vec![0; 1 << 20]);
        let mut packed =
            flate2::write::GzEncoder::new(tempfile::tempfile().unwrap(), flate2::Compression::fast());
        let mut archive = tar::Builder::new(&mut packed);
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        archive.append_data(&mut header, "plugins/custom-1.0.0", content.as_slice()).unwrap();
        archive.into_inner().unwrap();
        let layer = packed.finish().unwrap();
        let take = |budget| {
            let mut layer = layer.try_clone().unwrap();
            layer.seek(SeekFrom::Start(0)).unwrap();
            extract_plugins(
                layer,
                LayerCompression::Gzip,
                &|_| true,
                place.path(),
                budget,
                &mut BTreeMap::new(),
            )
        };
        assert_eq!(take(1 << 19).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert!(take(2 << 20).unwrap() < 1 << 20);
    }

    /// The layers of an image, one over the other.
    struct Layers {
        place: tempfile::TempDir,
        carried: BTreeMap<String, String>,
    }

    impl Layers {
        fn new() -> Self {
            Self { place: tempfile::tempdir().unwrap(), carried: BTreeMap::new() }
        }

        /// The names that are carried after a layer of these paths, each with its path as content or a link to another one.
        fn then(&mut self, entries: &[(&str, Entry)]) -> Vec<String> {
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
            let wanted = |file: &str| file == "custom-2.0.0";
            extract_plugins(
                layer,
                LayerCompression::None,
                &wanted,
                self.place.path(),
                1 << 20,
                &mut self.carried,
            )
            .unwrap();
            self.carried.keys().cloned().collect()
        }
    }

    enum Entry {
        File,
        Link(EntryType, &'static str),
    }

    use Entry::{File as Regular, Link};

    #[test]
    fn an_image_carries_what_its_last_layer_leaves_wanted_or_not() {
        let mut layers = Layers::new();
        let first = [("plugins/custom-1.0.0", Regular), ("plugins/other-1.0.0", Regular)];
        assert_eq!(layers.then(&first), ["custom-1.0.0", "other-1.0.0"]);
        let second = [("plugins/.wh.custom-1.0.0", Regular), ("plugins/custom-2.0.0", Regular)];
        assert_eq!(layers.then(&second), ["custom-2.0.0", "other-1.0.0"]);
        let place = layers.place.path();
        assert!(place.join("custom-2.0.0").exists() && !place.join("other-1.0.0").exists());
    }

    #[test]
    fn every_file_is_known_with_its_digest_wanted_or_not() {
        let digest = |path: &str| crate::Digest::sha256(path.as_bytes()).hex().to_owned();
        let mut layers = Layers::new();
        layers.then(&[
            ("opt/other", Regular),
            ("plugins/custom-1.0.0", Regular),
            ("plugins/custom-2.0.0", Link(EntryType::Link, "plugins/custom-1.0.0")),
            ("plugins/other-1.0.0", Link(EntryType::Link, "opt/other")),
        ]);
        let known = [
            ("custom-1.0.0", "plugins/custom-1.0.0"),
            ("custom-2.0.0", "plugins/custom-1.0.0"),
            ("other-1.0.0", "opt/other"),
        ];
        let known = known.map(|(name, content)| (name.to_owned(), digest(content)));
        assert_eq!(layers.carried, BTreeMap::from(known));
        assert!(layers.place.path().join("custom-2.0.0").exists());
    }

    /// Each way in which a layer takes away what those before it have left, and never what it brings itself.
    #[test]
    fn a_layer_can_take_the_whole_directory_away() {
        for (path, entry) in [
            ("plugins/.wh..wh..opq", Regular),
            (".wh.plugins", Regular),
            (".wh..wh..opq", Regular),
            ("./.wh.plugins", Regular),
            ("plugins", Link(EntryType::Symlink, "opt")),
        ] {
            let mut layers = Layers::new();
            let first = [("plugins/custom-1.0.0", Regular), ("plugins/custom-2.0.0", Regular)];
            assert_eq!(layers.then(&first).len(), 2);
            assert_eq!(layers.then(&[(path, entry)]), Vec::<String>::new(), "{path}");
            assert!(!layers.place.path().join("custom-2.0.0").exists(), "{path}");
        }
        for marker in ["plugins/.wh..wh..opq", "plugins/.wh.custom-2.0.0"] {
            for at in [0, 1] {
                let mut layers = Layers::new();
                layers.then(&[("plugins/custom-2.0.0", Regular)]);
                let mut second = vec![("plugins/custom-2.0.0", Regular)];
                second.insert(at, (marker, Regular));
                assert_eq!(layers.then(&second), ["custom-2.0.0"], "{marker} at {at}");
                assert!(layers.place.path().join("custom-2.0.0").exists(), "{marker} at {at}");
            }
        }
    }

    #[test]
    fn what_is_no_file_any_more_is_not_carried() {
        let mut layers = Layers::new();
        layers.then(&[("plugins/custom-2.0.0", Regular)]);
        let link = Link(EntryType::Symlink, "../opt/custom");
        assert_eq!(layers.then(&[("plugins/custom-2.0.0", link)]), Vec::<String>::new());
        assert!(!layers.place.path().join("custom-2.0.0").exists());
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
