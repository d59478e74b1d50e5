//! The committed protobuf code equals the output of its generator.

use std::fs;
use std::path::Path;

#[test]
fn the_committed_code_is_what_the_proto_files_generate() {
    for name in ["pb", "logical", "multiplexing"] {
        check(&format!("proto/{name}.proto"), &format!("src/wire/generated/{name}.rs"));
    }
}

/// Compares the code, or rewrites it if `UPDATE_GENERATED` is set.
fn check(proto: &str, committed: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let descriptors = protox::compile([root.join(proto)], [root.join("proto")]).unwrap();
    let package = descriptors.file.last().unwrap().package().to_owned();
    let out = tempfile::tempdir().unwrap();
    tonic_prost_build::configure()
        .build_transport(false)
        // A host that does not implement a call responds like one that was built before the call was added.
        .generate_default_stubs(true)
        .out_dir(out.path())
        .compile_fds(descriptors)
        .unwrap();
    let fresh = fs::read_to_string(out.path().join(format!("{package}.rs"))).unwrap();
    let committed = root.join(committed);
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        fs::write(&committed, fresh).unwrap();
    } else {
        let current = fs::read_to_string(&committed).unwrap_or_default();
        assert!(current == fresh, "{} is stale: run with UPDATE_GENERATED=1", committed.display());
    }
}
