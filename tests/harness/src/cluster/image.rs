//! Container images made of a few files, as archives that containerd imports.

use std::collections::BTreeSet;
use std::env::consts::ARCH;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

/// What an image has at a path.
#[derive(Debug, Clone)]
pub enum ImageContent {
    /// A copy of this file, executable for all.
    Program(PathBuf),
    /// A text that all may read.
    Text(String),
    /// A symbolic link to this.
    Link(String),
    /// A directory that all may write to, as /tmp.
    WritableDirectory,
}

/// An archive of one image of one layer, in a folder that goes with it.
pub struct ImageArchive {
    folder: TempDir,
}

impl ImageArchive {
    /// Makes an image called `name` that runs `entrypoint`; paths are relative to its root.
    ///
    /// # Panics
    ///
    /// When a file of its content cannot be read.
    pub fn new(name: &str, entrypoint: &str, content: &[(&str, ImageContent)]) -> ImageArchive {
        let folder = tempfile::tempdir().expect("the temporary directory is writable");
        let layer = folder.path().join("layer.tar");
        write_layer(&layer, content).unwrap_or_else(|error| panic!("cannot make the image {name}: {error}"));
        let written = fs::read(&layer).expect("it was just written");
        let digest = HEXLOWER.encode(&Sha256::digest(written));

        let configuration = json!({
            "architecture": match ARCH { "x86_64" => "amd64", "aarch64" => "arm64", other => other },
            "os": "linux",
            "config": {"Entrypoint": [entrypoint], "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
        });
        let manifest = json!([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]);
        let archive = ImageArchive { folder };
        let mut output = Builder::new(File::create(archive.path()).expect("our own folder is writable"));
        append_json(&mut output, "manifest.json", &manifest)
            .and_then(|()| append_json(&mut output, "config.json", &configuration))
            .and_then(|()| output.append_path_with_name(&layer, "layer.tar"))
            .and_then(|()| output.finish())
            .expect("our own folder is writable");
        archive
    }

    /// Makes an image called `name` of this program alone, which does the work where a server has no shell.
    ///
    /// # Panics
    ///
    /// When `program` cannot be read.
    pub fn of_program(name: &str, program: PathBuf) -> ImageArchive {
        let content = [
            ("vault-token-plugin", ImageContent::Program(program)),
            ("tmp", ImageContent::WritableDirectory),
        ];
        ImageArchive::new(name, "/vault-token-plugin", &content)
    }

    /// The archive's file.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("image.tar")
    }
}

fn write_layer(layer: &Path, content: &[(&str, ImageContent)]) -> io::Result<()> {
    let mut output = Builder::new(File::create(layer)?);
    let mut directories = BTreeSet::new();
    for (path, content) in content {
        let path = Path::new(path);
        let mut above: Vec<&Path> =
            path.ancestors().skip(1).filter(|folder| *folder != Path::new("")).collect();
        above.reverse();
        for folder in above {
            if directories.insert(folder.to_owned()) {
                let mut header = header(EntryType::Directory, 0o755, 0);
                output.append_data(&mut header, folder, io::empty())?;
            }
        }
        match content {
            ImageContent::Program(file) => {
                let mut file = File::open(file)?;
                let mut header = header(EntryType::Regular, 0o755, file.metadata()?.len());
                output.append_data(&mut header, path, &mut file)?;
            }
            ImageContent::Text(text) => {
                let mut header = header(EntryType::Regular, 0o644, text.len() as u64);
                output.append_data(&mut header, path, text.as_bytes())?;
            }
            ImageContent::Link(target) => {
                output.append_link(&mut header(EntryType::Symlink, 0o777, 0), path, target)?;
            }
            ImageContent::WritableDirectory => {
                let mut header = header(EntryType::Directory, 0o1777, 0);
                output.append_data(&mut header, path, io::empty())?;
                directories.insert(path.to_owned());
            }
        }
    }
    output.finish()
}

fn append_json(output: &mut Builder<File>, name: &str, document: &Value) -> io::Result<()> {
    let text = document.to_string();
    let mut header = header(EntryType::Regular, 0o644, text.len() as u64);
    output.append_data(&mut header, name, text.as_bytes())
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}
