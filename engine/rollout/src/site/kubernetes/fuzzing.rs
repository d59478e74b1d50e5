//! The part of [`crate::fuzzing`] that reads what nodes say.

use std::path::Path;

use super::facts::{self, Known, Writers};

/// The answer of a node: names of files mean nothing to a shell, and what is remembered is what was told.
pub fn node_facts(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let mut known = Known::default();
    let mut facts = match facts::parse(text) {
        Ok(facts) => facts,
        Err(error) => {
            // An answer is megabytes, and its reason one line.
            assert!(error.to_string().len() < 2000);
            return;
        }
    };
    facts.learn(&mut known);
    assert!(known.values().all(|content| content.sha256.len() == 64));
    let node = facts.into_node(Path::new("/plugins"), true, Writers::OwnerOnly, |_| true);
    assert!(node.files.iter().all(|file| facts::plain(&file.name).is_some()));
}
