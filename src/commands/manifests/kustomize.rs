//! A directory for kustomize. What it holds and did not make is never overwritten, nor is what was changed since.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::manifest_file::{FileContent, ManifestFile, to_yaml};
use super::part::Part;
use crate::error::CommandError;

/// What becomes of files that are in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConflictPolicy {
    /// They are somebody's work.
    Keep,
    /// They may go.
    Replace,
}

/// Names every file and its checksum, as `sha256sum --check` reads it.
const CHECKSUMS_FILE: &str = ".manifests.sha256";
const KUSTOMIZATION: &str = "kustomization.yaml";

/// What was written where.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub struct WrittenDirectory {
    pub(crate) directory: PathBuf,
    pub(crate) files: Vec<String>,
    pub(crate) removed: Vec<String>,
    #[serde(skip)]
    pub(crate) component: bool,
}

/// Writes the documents and the kustomization that names them.
///
/// File by file, each whole or not at all, the kustomization last: it never names a file that is not there. The list of
/// checksums comes first and holds the old sums too, so that a run that was cut off is continued by the next.
pub(super) fn write(
    directory: &Path,
    bases: &[String],
    documents: &[ManifestFile],
    existing: ConflictPolicy,
) -> Result<WrittenDirectory, CommandError> {
    let mut files = BTreeMap::new();
    for document in documents {
        files.insert(document.file.clone(), document.text()?);
    }
    let kustomization = kustomization(bases, documents);
    let component = kustomization["kind"] == "Component";
    let kustomization = to_yaml(&kustomization)?;

    fs::create_dir_all(directory).map_err(|error| io_error("make the directory", directory, error))?;
    let listed = read_checksums(directory)?;
    let mut wanted: BTreeMap<String, String> =
        files.iter().map(|(file, text)| (file.clone(), sha256(text.as_bytes()))).collect();
    wanted.insert(KUSTOMIZATION.to_owned(), sha256(kustomization.as_bytes()));
    let stale: Vec<String> = listed
        .iter()
        .map(|(file, _)| file.clone())
        .filter(|file| !wanted.contains_key(file))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    if existing == ConflictPolicy::Keep {
        refuse_modified_files(directory, wanted.keys().chain(&stale), &listed, &wanted)?;
    }

    let both: BTreeSet<(String, String)> = listed.into_iter().chain(wanted.clone()).collect();
    write_file(directory, CHECKSUMS_FILE, &format_checksums(&both))?;
    for (file, text) in &files {
        write_file(directory, file, text)?;
    }
    write_file(directory, KUSTOMIZATION, &kustomization)?;
    let mut removed = Vec::new();
    for file in stale {
        match fs::remove_file(directory.join(&file)) {
            Ok(()) => removed.push(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io_error("remove", &directory.join(file), error)),
        }
    }
    let files: Vec<String> = wanted.keys().cloned().collect();
    write_file(directory, CHECKSUMS_FILE, &format_checksums(&wanted.into_iter().collect()))?;
    Ok(WrittenDirectory { directory: directory.to_owned(), files, removed, component })
}

/// It stands alone unless it patches something that it does not have: then it is a component of the kustomization that does.
fn kustomization(bases: &[String], documents: &[ManifestFile]) -> Value {
    let patches_only = documents.iter().any(|document| matches!(document.content, FileContent::Patch(_)))
        && !documents.iter().any(|document| document.part == Part::Server);
    let alone = !bases.is_empty() || !patches_only;
    let (version, kind) = match alone {
        true => ("kustomize.config.k8s.io/v1beta1", "Kustomization"),
        false => ("kustomize.config.k8s.io/v1alpha1", "Component"),
    };
    let mut kustomization = json!({"apiVersion": version, "kind": kind});
    let own = documents.iter().filter(|document| matches!(document.content, FileContent::Objects(_)));
    let resources: Vec<&str> =
        bases.iter().map(String::as_str).chain(own.map(|document| document.file.as_str())).collect();
    let patches: Vec<Value> = documents
        .iter()
        .filter(|document| matches!(document.content, FileContent::Patch(_)))
        .map(|document| json!({"path": document.file}))
        .collect();
    if !resources.is_empty() {
        kustomization["resources"] = json!(resources);
    }
    if !patches.is_empty() {
        kustomization["patches"] = json!(patches);
    }
    kustomization
}

/// Files that are neither as we left them nor as they will be are somebody's work.
fn refuse_modified_files<'a>(
    directory: &Path,
    files: impl Iterator<Item = &'a String>,
    listed: &BTreeSet<(String, String)>,
    wanted: &BTreeMap<String, String>,
) -> Result<(), CommandError> {
    let mut foreign = Vec::new();
    for file in files {
        let path = directory.join(file);
        let there = match fs::read(&path) {
            Ok(content) => sha256(&content),
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(io_error("read", &path, error)),
        };
        if wanted.get(file) != Some(&there) && !listed.contains(&(file.clone(), there)) {
            foreign.push(file.as_str());
        }
    }
    if foreign.is_empty() {
        return Ok(());
    }
    Err(CommandError::failed(format!(
        "{} holds files that were not made by this command, or were changed since: {}",
        directory.display(),
        foreign.join(", ")
    ))
    .hint("Choose another directory, or give --overwrite to replace them. Put your own changes into a kustomization above it."))
}

fn read_checksums(directory: &Path) -> Result<BTreeSet<(String, String)>, CommandError> {
    let path = directory.join(CHECKSUMS_FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(io_error("read", &path, error)),
    };
    let line = |line: &str| {
        let (sum, file) = line.split_once("  ")?;
        // Whoever wrote the list, nothing outside of the directory is touched.
        (!file.is_empty() && !file.contains('/')).then(|| (file.to_owned(), sum.to_owned()))
    };
    Ok(text.lines().filter_map(line).collect())
}

fn format_checksums(files: &BTreeSet<(String, String)>) -> String {
    files.iter().map(|(file, sum)| format!("{sum}  {file}\n")).collect()
}

fn write_file(directory: &Path, file: &str, text: &str) -> Result<(), CommandError> {
    let path = directory.join(file);
    let write = || -> io::Result<()> {
        let mut temporary = NamedTempFile::new_in(directory)?;
        temporary.write_all(text.as_bytes())?;
        temporary.as_file().sync_all()?;
        // They are read by others: by the pipeline that applies them.
        rustix::fs::fchmod(temporary.as_file(), rustix::fs::Mode::from_raw_mode(0o644))?;
        temporary.persist(&path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|error| io_error("write", &path, error))
}

fn sha256(content: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(content))
}

fn io_error(what: &str, path: &Path, error: io::Error) -> CommandError {
    CommandError::failed(format!("could not {what} {}", path.display())).caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(file: &str, text: &str) -> ManifestFile {
        let content = FileContent::Objects(vec![json!({"kind": text})]);
        ManifestFile { part: Part::Rules, file: file.into(), about: "", content }
    }

    fn run(
        directory: &Path,
        documents: &[ManifestFile],
        existing: ConflictPolicy,
    ) -> Result<WrittenDirectory, CommandError> {
        write(directory, &[], documents, existing)
    }

    #[test]
    fn what_was_made_is_made_again_and_what_is_not_made_any_more_goes() {
        let room = tempfile::tempdir().expect("a directory");
        let directory = room.path().join("a/b");
        let two = [document("a.yaml", "A"), document("b.yaml", "B")];
        let written = run(&directory, &two, ConflictPolicy::Keep).expect("written");
        assert_eq!(written.files, ["a.yaml", "b.yaml", "kustomization.yaml"]);
        fs::write(directory.join("mine.yaml"), "mine").expect("a file");

        let written =
            run(&directory, &[document("a.yaml", "C")], ConflictPolicy::Keep).expect("written again");
        assert_eq!(written.removed, ["b.yaml"]);
        assert!(directory.join("mine.yaml").exists());
        let text = fs::read_to_string(directory.join("a.yaml")).expect("the file");
        assert!(text.ends_with("kind: C\n"), "{text}");
        let names: BTreeSet<String> = fs::read_dir(&directory)
            .expect("the directory")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        assert_eq!(
            names.into_iter().collect::<Vec<_>>(),
            [CHECKSUMS_FILE, "a.yaml", KUSTOMIZATION, "mine.yaml"]
        );
    }

    #[test]
    fn a_changed_or_foreign_file_is_kept_unless_it_may_go() {
        let room = tempfile::tempdir().expect("a directory");
        fs::write(room.path().join("a.yaml"), "mine").expect("a file");
        let refused =
            run(room.path(), &[document("a.yaml", "A")], ConflictPolicy::Keep).expect_err("refused");
        assert!(refused.render().contains("a.yaml"), "{}", refused.render());
        assert_eq!(fs::read_to_string(room.path().join("a.yaml")).expect("the file"), "mine");
        assert!(!room.path().join(KUSTOMIZATION).exists());

        run(room.path(), &[document("a.yaml", "A")], ConflictPolicy::Replace).expect("replaced");
        run(room.path(), &[document("a.yaml", "B")], ConflictPolicy::Keep).expect("ours now");
        fs::write(room.path().join("a.yaml"), "changed").expect("a file");
        assert!(run(room.path(), &[document("a.yaml", "C")], ConflictPolicy::Keep).is_err());
        // Not even when it would only be removed.
        assert!(run(room.path(), &[document("b.yaml", "B")], ConflictPolicy::Keep).is_err());
    }

    #[test]
    fn a_run_that_was_cut_off_is_continued() {
        let room = tempfile::tempdir().expect("a directory");
        let two = [document("a.yaml", "A"), document("b.yaml", "B")];
        run(room.path(), &two, ConflictPolicy::Keep).expect("written");
        // As after a kill between the first file and the second: the list names old and new.
        let next = [document("a.yaml", "A2"), document("b.yaml", "B2")];
        let mut sums = read_checksums(room.path()).expect("the list of the first run");
        sums.extend(
            next.iter()
                .map(|document| (document.file.clone(), sha256(document.text().expect("text").as_bytes()))),
        );
        write_file(room.path(), CHECKSUMS_FILE, &format_checksums(&sums)).expect("a list");
        write_file(room.path(), "a.yaml", &next[0].text().expect("text")).expect("the first file");
        run(room.path(), &[document("a.yaml", "A3")], ConflictPolicy::Keep).expect("continued");
    }

    #[test]
    fn a_patch_without_servers_makes_it_a_component() {
        let mut documents = vec![document("a.yaml", "A")];
        assert_eq!(kustomization(&[], &documents)["kind"], "Kustomization");
        documents.push(ManifestFile { content: FileContent::Patch(json!({})), ..document("b.yaml", "B") });
        assert_eq!(kustomization(&[], &documents)["kind"], "Component");
        let on_a_base = kustomization(&["../vault".to_owned()], &documents);
        assert_eq!(on_a_base["kind"], "Kustomization");
        assert_eq!(on_a_base["resources"], json!(["../vault", "a.yaml"]));
    }
}
