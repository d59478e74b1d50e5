//! The part of [`crate::fuzzing`] that parses what nodes report.

use std::path::Path;

use super::facts::{self, ContentCache, WriterPolicy};

/// The output of the script in a node: file names are safe in a shell command, and only complete checksums are remembered.
pub fn node_facts(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let mut known = ContentCache::default();
    let mut facts = match facts::parse(text) {
        Ok(facts) => facts,
        Err(error) => {
            // The output can be megabytes; its error is one line.
            assert!(error.to_string().len() < 2000);
            return;
        }
    };
    facts.update_cache(&mut known);
    assert!(known.values().all(|content| content.sha256.len() == 64));
    let node = facts.into_node(Path::new("/plugins"), true, WriterPolicy::OwnerOnly, |_| true);
    assert!(node.files.iter().all(|file| facts::safe_file_name(&file.name).is_some()));
}
