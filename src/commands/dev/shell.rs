//! Commands that a reader can paste into a shell.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use rollout::shell_quote;

/// A shell with this `PATH` and working directory.
#[derive(Debug)]
pub(super) struct Shell {
    path: OsString,
    directory: PathBuf,
}

/// How a shell starts a program.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Invocation {
    /// One shell word.
    pub(super) word: String,
    pub(super) valid_in: ValidIn,
}

/// Where an [`Invocation`] finds its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValidIn {
    AnyDirectory,
    /// The path is relative to the working directory.
    ThisDirectory,
}

impl Shell {
    /// The shell that started this process.
    pub(super) fn current() -> Shell {
        Shell {
            path: env::var_os("PATH").unwrap_or_default(),
            // Unknown if it was removed; then paths stay absolute.
            directory: env::current_dir().unwrap_or_default(),
        }
    }

    /// The file that the shell would execute for the command `word`: a name in `PATH`, or a path.
    pub(super) fn which(&self, word: impl AsRef<Path>) -> Option<PathBuf> {
        let word = word.as_ref();
        if word.components().count() > 1 {
            return Some(self.directory.join(word)).filter(|file| is_executable(file));
        }
        let mut files = env::split_paths(&self.path).map(|folder| self.directory.join(folder).join(word));
        files.find(|file| is_executable(file))
    }

    /// How to start this program.
    pub(super) fn own_invocation(&self) -> Invocation {
        let program = env::current_exe().unwrap_or_else(|_| env!("CARGO_PKG_NAME").into());
        self.invocation(&program)
    }

    /// The shortest way to start `program`, which is an absolute path: its name if that is found in `PATH`, or a path.
    pub(super) fn invocation(&self, program: &Path) -> Invocation {
        let anywhere = |word: &Path| Invocation {
            word: shell_quote(&word.to_string_lossy()),
            valid_in: ValidIn::AnyDirectory,
        };
        if let Some(name) = program.file_name()
            && let Some(found) = self.which(name)
            && is_same_file(&found, program)
        {
            return anywhere(Path::new(name));
        }
        match self.relative(program) {
            Some(relative) if relative.as_os_str().len() < program.as_os_str().len() => {
                Invocation { valid_in: ValidIn::ThisDirectory, ..anywhere(&relative) }
            }
            _ => anywhere(program),
        }
    }

    /// The path of `program` relative to the working directory; `None` if the directory is unknown.
    fn relative(&self, program: &Path) -> Option<PathBuf> {
        if !self.directory.is_absolute() {
            return None;
        }
        let (from, to): (Vec<_>, Vec<_>) =
            (self.directory.components().collect(), program.components().collect());
        let common = from.iter().zip(&to).take_while(|(from, to)| from == to).count();
        let up = from[common..].iter().map(|_| Component::ParentDir);
        let relative: PathBuf = up.chain(to[common..].iter().copied()).collect();
        // A shell searches `PATH` for a word without a slash.
        let is_bare = relative.components().count() == 1;
        Some(if is_bare { Path::new(".").join(relative) } else { relative })
    }
}

fn is_executable(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(directory: &str, program: &str, expected: &str, valid_in: ValidIn) {
        let shell = Shell { path: OsString::new(), directory: directory.into() };
        let invocation = shell.invocation(Path::new(program));
        assert_eq!(invocation, Invocation { word: expected.to_owned(), valid_in });
    }

    #[test]
    fn a_program_outside_of_path_is_named_by_its_shorter_path() {
        use ValidIn::{AnyDirectory, ThisDirectory};
        check("/home/ann/tool", "/home/ann/tool/target/debug/x", "target/debug/x", ThisDirectory);
        check("/home/ann/tool/src", "/home/ann/tool/target/debug/x", "../target/debug/x", ThisDirectory);
        check("/home/ann/tool", "/home/ann/tool/x", "./x", ThisDirectory);
        check("/home/ann/a/b/c", "/opt/x", "/opt/x", AnyDirectory);
        check("/", "/opt/x", "opt/x", ThisDirectory);
        check("", "/opt/x", "/opt/x", AnyDirectory);
        check("/home/ann", "/home/ann/it's here/x", r"'it'\''s here/x'", ThisDirectory);
    }
}
