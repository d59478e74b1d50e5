//! Files out of a layer.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use tar::{Archive, EntryType};

/// Where an image has its plugins.
const PLUGINS: &str = "plugins";

/// What a later layer names a file that it takes away.
const WHITEOUT: &str = ".wh.";

/// How a layer is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
}

impl Compression {
    /// By the media type; `None` for what is not read here.
    pub(super) fn of(media_type: &str) -> Option<Self> {
        match media_type.rsplit(['.', '+', '-']).next() {
            Some("tar") => Some(Self::None),
            Some("gzip") => Some(Self::Gzip),
            _ => None,
        }
    }
}

/// Puts the wanted files below `plugins/` into `place`, over those of layers before. Reads at most `budget` bytes of it, unpacked,
/// else fails with [`io::ErrorKind::FileTooLarge`]. Returns what is left of them. `carried` becomes the names of all files that lie there
/// after this layer, wanted or not.
pub(super) fn take(
    mut layer: File,
    compression: Compression,
    wanted: &dyn Fn(&str) -> bool,
    place: &Path,
    budget: u64,
    carried: &mut BTreeSet<String>,
) -> io::Result<u64> {
    let mut links = Vec::new();
    let left = Cell::new(budget);
    for entry in open(&layer, compression, &left).entries()? {
        let mut entry = entry?;
        let Some(name) = plugin(&entry.path()?) else { continue };
        if let Some(gone) = name.strip_prefix(WHITEOUT) {
            // One that was not wanted is not there.
            let _ = std::fs::remove_file(place.join(gone));
            carried.remove(gone);
            continue;
        }
        let kind = entry.header().entry_type();
        if [EntryType::Regular, EntryType::Link].contains(&kind) {
            carried.insert(name.clone());
        }
        if wanted(&name) {
            match (kind, entry.link_name()?) {
                (EntryType::Regular, _) => write(&mut entry, &place.join(&name))?,
                (EntryType::Link, Some(target)) => links.push((name, normal(&target))),
                _ => {}
            }
        }
    }
    if links.is_empty() {
        return Ok(left.get());
    }
    // The same content under two names is in the layer once, under the first.
    layer.seek(SeekFrom::Start(0))?;
    for entry in open(&layer, compression, &left).entries()? {
        let mut entry = entry?;
        let path = normal(&entry.path()?);
        let names = links.extract_if(.., |(_, target)| *target == path).map(|(name, _)| place.join(name));
        let names: Vec<PathBuf> = names.collect();
        if let Some((first, others)) = names.split_first() {
            write(&mut entry, first)?;
            others.iter().try_for_each(|other| std::fs::copy(first, other).map(drop))?;
        }
    }
    match links.pop() {
        None => Ok(left.get()),
        Some((name, target)) => {
            Err(io::Error::other(format!("{name} is a link to {}, which is not there", target.display())))
        }
    }
}

fn open<'a>(
    layer: &'a File,
    compression: Compression,
    left: &'a Cell<u64>,
) -> Archive<Limited<'a, Box<dyn Read + 'a>>> {
    let inner: Box<dyn Read> = match compression {
        Compression::None => Box::new(layer),
        Compression::Gzip => Box::new(MultiGzDecoder::new(layer)),
    };
    Archive::new(Limited { inner, left })
}

/// Fails where [`Read::take`] would end as if everything had been read.
struct Limited<'a, R> {
    inner: R,
    left: &'a Cell<u64>,
}

impl<R: Read> Read for Limited<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let left = self.left.get().checked_sub(read as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        self.left.set(left);
        Ok(read)
    }
}

/// The name of a file directly below `plugins/`.
fn plugin(path: &Path) -> Option<String> {
    let path = normal(path);
    let name = path.strip_prefix(PLUGINS).ok()?;
    (name.components().count() == 1).then(|| name.to_str().map(str::to_owned)).flatten()
}

/// Without what leads in a circle: some write `./plugins/x`, some `/plugins/x`. What leads upwards is nowhere.
fn normal(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut parts = path.components();
    if parts.any(|part| part == Component::ParentDir) {
        return PathBuf::new();
    }
    path.components().filter(|part| matches!(part, Component::Normal(_))).collect()
}

fn write(content: &mut impl Read, path: &Path) -> io::Result<()> {
    // Not into a file of a layer before, which may be linked to another name.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::create_new(path)?;
    io::copy(content, &mut file)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o755))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_read_by_what_its_type_says() {
        for (media_type, compression) in [
            ("application/vnd.oci.image.layer.v1.tar", Some(Compression::None)),
            ("application/vnd.oci.image.layer.v1.tar+gzip", Some(Compression::Gzip)),
            ("application/vnd.docker.image.rootfs.diff.tar.gzip", Some(Compression::Gzip)),
            ("application/vnd.oci.image.layer.v1.tar+zstd", None),
        ] {
            assert_eq!(Compression::of(media_type), compression, "{media_type}");
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
            take(layer, Compression::Gzip, &|_| true, place.path(), budget, &mut BTreeSet::new())
        };
        assert_eq!(take(1 << 19).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert!(take(2 << 20).unwrap() < 1 << 20);
    }

    #[test]
    fn an_image_carries_what_its_last_layer_leaves_wanted_or_not() {
        let place = tempfile::tempdir().unwrap();
        let mut carried = BTreeSet::new();
        let mut then = |files: &[&str]| {
            let mut archive = tar::Builder::new(tempfile::tempfile().unwrap());
            for file in files {
                let mut header = tar::Header::new_gnu();
                header.set_size(1);
                archive.append_data(&mut header, format!("plugins/{file}"), b"x".as_slice()).unwrap();
            }
            let mut layer = archive.into_inner().unwrap();
            layer.seek(SeekFrom::Start(0)).unwrap();
            let wanted = |file: &str| file == "custom-2.0.0";
            take(layer, Compression::None, &wanted, place.path(), 1 << 20, &mut carried).unwrap();
            carried.iter().cloned().collect::<Vec<_>>()
        };
        assert_eq!(then(&["custom-1.0.0", "other-1.0.0"]), ["custom-1.0.0", "other-1.0.0"]);
        assert_eq!(then(&[".wh.custom-1.0.0", "custom-2.0.0"]), ["custom-2.0.0", "other-1.0.0"]);
        assert!(place.path().join("custom-2.0.0").exists() && !place.path().join("other-1.0.0").exists());
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
            assert_eq!(plugin(Path::new(path)).as_deref(), name, "{path}");
        }
    }
}
