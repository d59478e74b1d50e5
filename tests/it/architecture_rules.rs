//! The rules of ARCHITECTURE.md that the compiler cannot check: dependencies between crates, and what a file may use.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, TargetKind};

const ROOT_CRATE: &str = "vault-token-plugin";
const HARNESS_CRATE: &str = "harness";

/// A crate, and the crates of this repository that it may use. A missing crate fails the first test.
const ALLOWED_DEPENDENCIES: &[(&str, &[&str])] = &[
    ("go-plugin", &[]),
    ("vault-plugin", &["go-plugin"]),
    ("token-engine", &["http-proxy", "vault-plugin", "yaml"]),
    ("http-proxy", &[]),
    ("yaml", &[]),
    ("vault-api", &["http-proxy"]),
    ("lease-keeper", &["vault-api"]),
    ("dev-vault", &["go-plugin", "vault-plugin"]),
    ("oci-image", &["http-proxy"]),
    ("rollout", &["vault-api"]),
    ("deployment", &["rollout", "vault-api"]),
    (HARNESS_CRATE, &[]),
    (
        ROOT_CRATE,
        &[
            "deployment",
            "dev-vault",
            "lease-keeper",
            "oci-image",
            "rollout",
            "token-engine",
            "vault-api",
            "vault-plugin",
            "yaml",
        ],
    ),
];

/// A foreign crate, and the crates that may depend on it in any way.
const RESTRICTED_CRATES: &[(&str, &[&str])] = &[
    ("clap", &[ROOT_CRATE]),
    ("clap_complete", &[ROOT_CRATE]),
    ("dialoguer", &[ROOT_CRATE]),
    ("indicatif", &[ROOT_CRATE]),
    ("docker_credential", &["oci-image"]),
    ("landlock", &["go-plugin"]),
    ("kube", &["deployment", HARNESS_CRATE]),
    ("oci-client", &["oci-image"]),
    ("prost", &["go-plugin", "vault-plugin"]),
    ("prost-types", &["go-plugin", "vault-plugin"]),
    ("reqwest", &["vault-api", "token-engine", HARNESS_CRATE]),
    ("serde-saphyr", &["yaml", "token-engine"]),
    ("tonic", &["go-plugin", "vault-plugin"]),
    ("tonic-prost", &["go-plugin", "vault-plugin"]),
];

#[test]
fn crates_use_only_what_the_arrows_allow() {
    let metadata = metadata();
    let ours: BTreeSet<&str> = metadata.workspace_packages().iter().map(|package| name(package)).collect();
    let listed: BTreeSet<&str> = ALLOWED_DEPENDENCIES.iter().map(|(name, _)| *name).collect();
    assert_eq!(ours, listed, "the crates of the workspace and of the table");

    for package in metadata.workspace_packages() {
        let allowed = allowed(ALLOWED_DEPENDENCIES, name(package)).expect("compared above");
        for dependency in package.dependencies.iter().filter(|dependency| ours.contains(&*dependency.name)) {
            let of_its_tests =
                dependency.kind == DependencyKind::Development && dependency.name == HARNESS_CRATE;
            assert!(
                of_its_tests || allowed.contains(&&*dependency.name),
                "{} may not use {}",
                package.name,
                dependency.name,
            );
        }
    }
}

/// The shipped features of an engine contain no plugin host and no in-memory storage.
#[test]
fn the_engine_uses_the_sdk_without_its_host_and_its_test_storage() {
    let metadata = metadata();
    let packages = metadata.workspace_packages();
    let engine =
        packages.iter().find(|package| name(package) == "token-engine").expect("it is a crate of ours");
    let sdk = engine
        .dependencies
        .iter()
        .find(|dependency| dependency.kind == DependencyKind::Normal && &*dependency.name == "vault-plugin");
    let sdk = sdk.expect("the engine is written with the SDK");
    assert!(!sdk.uses_default_features && sdk.features.is_empty(), "{:?}", sdk.features);
}

#[test]
fn foreign_crates_stay_in_their_rooms() {
    for package in metadata().workspace_packages() {
        for dependency in &package.dependencies {
            if let Some(allowed) = allowed(RESTRICTED_CRATES, &dependency.name) {
                assert!(
                    allowed.contains(&name(package)),
                    "{} may not use {}, only {allowed:?} may",
                    package.name,
                    dependency.name,
                );
            }
        }
    }
}

#[test]
fn nothing_is_published_by_accident_and_every_crate_keeps_the_lints() {
    for package in metadata().workspace_packages() {
        assert_eq!(package.publish.as_deref(), Some([].as_slice()), "{} can be published", package.name);
        let manifest = read(package.manifest_path.as_std_path());
        assert!(manifest.contains("\n[lints]\nworkspace = true\n"), "{} has its own lints", package.name);
    }
}

/// `tests/run` selects test binaries by these names; another one would never run.
#[test]
fn every_test_binary_is_one_that_the_test_command_runs() {
    let mut found = 0;
    for package in metadata().workspace_packages() {
        for target in package.targets.iter().filter(|target| target.kind.contains(&TargetKind::Test)) {
            assert!(
                ["it", "e2e", "kubernetes", "faults"].contains(&&*target.name),
                "{} has tests in {}",
                package.name,
                target.name
            );
            found += 1;
        }
    }
    assert!(found > 0);

    let command = read(&repository().join("tests/run"));
    for selection in ["--lib --bins --test it", "test_programs e2e", "test_programs kubernetes"] {
        assert!(command.contains(selection), "tests/run does not say {selection}");
    }
}

/// Automatic discovery is disabled, so that each rung is one binary. A file without a `mod` declaration would never run.
#[test]
fn no_test_file_is_forgotten() {
    for package in metadata().workspace_packages() {
        for target in package.targets.iter().filter(|target| target.kind.contains(&TargetKind::Test)) {
            let main = target.src_path.as_std_path();
            if main.file_name().is_none_or(|name| name != "main.rs") {
                continue;
            }
            let declared = code(main);
            for file in rust_files_directly_in(main.parent().expect("a file lies in a directory")) {
                let module = file.file_stem().expect("it ends in .rs").to_string_lossy();
                assert!(
                    module == "main" || declared.contains(&format!("mod {module};")),
                    "{} is in no test binary",
                    file.display(),
                );
            }
        }
    }
}

/// A fuzz target is a function, a line in the test that runs it on every build, a binary for libFuzzer, and seeds.
#[test]
fn no_fuzz_target_is_forgotten() {
    let fuzz = repository().join("fuzz");
    let manifest = read(&fuzz.join("Cargo.toml"));
    let targets: BTreeSet<String> = rust_files_directly_in(&fuzz.join("fuzz_targets"))
        .iter()
        .map(|file| file.file_stem().expect("it ends in .rs").to_string_lossy().into_owned())
        .collect();
    let corpora: BTreeSet<String> = fs::read_dir(fuzz.join("corpus"))
        .expect("there are corpora")
        .map(|entry| entry.expect("a directory entry").file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(targets, corpora, "the targets and the corpora");

    let mut replayed = BTreeSet::new();
    for file in rust_files(&repository().join("engine")) {
        let code = if file.ends_with("src/fuzzing.rs") { code(&file) } else { continue };
        for call in code.split("replay(\"").skip(1) {
            replayed.insert(call.split('"').next().expect("a first part").to_owned());
        }
    }
    assert_eq!(targets, replayed, "the targets and those that tests run");
    for target in targets {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")), "{target} is no binary");
    }
}

#[test]
fn only_the_client_of_vault_api_names_reqwest() {
    assert_eq!(files_naming("engine/vault-api/src", "reqwest"), ["client.rs"]);
}

#[test]
fn only_the_wire_room_of_vault_plugin_names_prost() {
    let outside: Vec<String> = files_naming("engine/vault-plugin/src", "prost")
        .into_iter()
        .filter(|file| file != "wire.rs" && !file.starts_with("wire/"))
        .collect();
    assert!(outside.is_empty(), "{outside:?}");
}

/// No clock, no client, no await: decisions depend on observation and goal only.
/// A longer file covers more than one subject.
const MAX_LINES: usize = 700;

#[test]
fn no_source_file_is_too_long_to_read() {
    for root in crate_sources().into_iter().chain([repository().join("tests")]) {
        for file in rust_files(&root) {
            let lines = read(&file).lines().count();
            let is_generated = file.components().any(|part| part.as_os_str() == "generated");
            assert!(lines <= MAX_LINES || is_generated, "{} has {lines} lines", file.display());
        }
    }
}

#[test]
fn deciding_is_pure() {
    let room = repository().join("engine/rollout/src");
    let mut files = rust_files(&room.join("decide"));
    files.push(room.join("decide.rs"));
    files.extend(rust_files(&room.join("diagnose")));
    files.push(room.join("diagnose.rs"));

    let decide = code(&room.join("decide.rs"));
    assert!(
        decide.contains("pub fn decide(observed: &Observed, goal: &Goal, progress: &Progress) -> Decision")
    );

    let room = repository().join("engine/lease-keeper/src");
    files.extend(["decide.rs", "lease_term.rs"].map(|file| room.join(file)));
    assert!(
        code(&room.join("decide.rs")).contains("pub fn decide(held: &HeldTerms, now: Elapsed) -> Decision")
    );
    for file in files {
        let code = code(&file);
        for impure in ["async ", ".await", "Client", "SystemTime", "Instant", "std::env", "std::fs", "rand::"]
        {
            assert!(!code.contains(impure), "{} names {impure}", file.display());
        }
    }
}

fn metadata() -> Metadata {
    // Without dependencies, cargo reads only the manifests: no network, no lock.
    MetadataCommand::new()
        .manifest_path(repository().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata reads the workspace")
}

fn name(package: &Package) -> &str {
    package.name.as_str()
}

fn allowed<'a>(table: &'a [(&str, &'a [&'a str])], name: &str) -> Option<&'a [&'a str]> {
    table.iter().find(|(listed, _)| *listed == name).map(|(_, allowed)| *allowed)
}

/// The files below `room`, relative to it and sorted, whose code contains `word`.
fn files_naming(room: &str, word: &str) -> Vec<String> {
    let room = repository().join(room);
    let mut files: Vec<String> = rust_files(&room)
        .iter()
        .filter(|file| code(file).contains(word))
        .map(|file| file.strip_prefix(&room).expect("below the room").display().to_string())
        .collect();
    files.sort();
    files
}

/// The `src` of the root and of every crate below `engine`.
pub(crate) fn crate_sources() -> Vec<PathBuf> {
    let crates = fs::read_dir(repository().join("engine")).expect("the crates");
    let mut sources: Vec<PathBuf> =
        crates.map(|entry| entry.expect("a directory entry").path().join("src")).collect();
    sources.push(repository().join("src"));
    sources.sort();
    sources
}

pub(crate) fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display())) {
        let path = entry.expect("a directory entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn rust_files_directly_in(directory: &Path) -> Vec<PathBuf> {
    rust_files(directory).into_iter().filter(|file| file.parent() == Some(directory)).collect()
}

/// The code of a file without comment lines, which may mention anything.
fn code(file: &Path) -> String {
    read(file)
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect()
}

pub(crate) fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
