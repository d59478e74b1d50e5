//! The part of [`crate::fuzzing`] that reads what nodes say.

use std::path::Path;

use super::facts::{self, ContentCache, WriterPolicy};

/// The answer of a node: names of files mean nothing to a shell, and what is remembered is what was told.
pub fn node_facts(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let mut known = ContentCache::default();
    let mut facts = match facts::parse(text) {
        Ok(facts) => facts,
        Err(error) => {
            // An answer is megabytes, and its reason one line.
            assert!(error.to_string().len() < 2000);
            return;
        }
    };
    facts.update_cache(&mut known);
    assert!(known.values().all(|content| content.sha256.len() == 64));
    let node = facts.into_node(Path::new("/plugins"), true, WriterPolicy::OwnerOnly, |_| true);
    assert!(node.files.iter().all(|file| facts::safe_file_name(&file.name).is_some()));
}
