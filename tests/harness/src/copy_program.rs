//! Copies of programs that a server starts.

use std::path::Path;
use std::process::Command;

/// Copies a program that is started afterwards.
///
/// The copy is written by another process. A test that writes it has it open for writing, and so has each child that another test starts in
/// that moment, until it executes its program. Meanwhile the copy cannot be executed (`ETXTBSY`, "Text file busy").
///
/// # Panics
///
/// If it cannot be copied.
pub fn copy_program(from: impl AsRef<Path>, to: impl AsRef<Path>) {
    let (from, to) = (from.as_ref(), to.as_ref());
    let copied = Command::new("cp").arg("--").args([from, to]).status().expect("cp is part of every system");
    assert!(copied.success(), "cannot copy {} to {}", from.display(), to.display());
}
