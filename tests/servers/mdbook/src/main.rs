//! Builds the book of a directory with mdBook, as `mdbook build ROOT --dest-dir OUTPUT` does: `mdbook-build ROOT OUTPUT`.
//! Warnings go to standard error.

use std::path::PathBuf;

use mdbook_driver::MDBook;
use mdbook_driver::errors::{Error, Result};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt;

fn main() -> Result<()> {
    fmt().without_time().with_writer(std::io::stderr).with_max_level(LevelFilter::WARN).init();
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(root), Some(output), None) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err(Error::msg("usage: mdbook-build ROOT OUTPUT"));
    };
    let mut book = MDBook::load(root)?;
    book.config.build.build_dir = output;
    book.build()
}
