//! The committed protobuf code is what the `.proto` files say.

use std::fs;
use std::path::Path;

#[test]
fn the_committed_code_is_what_the_proto_files_generate() {
    check("proto/plugin.proto", "src/generated/plugin.rs");
    check("examples/relay/relay.proto", "examples/relay/generated.rs");
    check("examples/official/official.proto", "examples/official/generated.rs");
}

/// Compares, or rewrites when `UPDATE_GENERATED` is set.
fn check(proto: &str, committed: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let proto = root.join(proto);
    let descriptors = protox::compile([&proto], [proto.parent().unwrap()]).unwrap();
    let package = descriptors.file.last().unwrap().package().to_owned();

    let out = tempfile::tempdir().unwrap();
    tonic_prost_build::configure()
        .build_transport(false)
        .out_dir(out.path())
        .compile_fds(descriptors)
        .unwrap();
    let fresh = fs::read_to_string(out.path().join(format!("{package}.rs"))).unwrap();

    let committed = root.join(committed);
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        fs::write(&committed, fresh).unwrap();
    } else {
        let held = fs::read_to_string(&committed).unwrap_or_default();
        assert!(held == fresh, "{} is stale: run with UPDATE_GENERATED=1", committed.display());
    }
}
