//! The environment in a catalog entry. Servers do not show it, so it is read from a running process of the plugin.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use vault_api::SecretString;
use zeroize::Zeroizing;

use crate::processes;

/// An environment that could not be read, or cannot be registered with another version.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the message above them")]
#[non_exhaustive]
pub enum PluginEnvError {
    /// The plugin does not run on this machine.
    #[error("no server on this machine runs {file}")]
    NoProcess { file: String },
    /// Two catalog entries run the same file with different environments.
    #[error("the processes {one} and {other} of {file} have different environments")]
    Ambiguous { file: String, one: u32, other: u32 },
    /// The process belongs to another user, or has ended.
    #[error("could not read the environment of process {pid}")]
    NotReadable {
        pid: u32,
        #[source]
        source: std::io::Error,
    },
    /// A registration is JSON, which cannot contain other bytes.
    #[error("process {pid} has environment variables that are not UTF-8: {}", names.join(", "))]
    NotText { pid: u32, names: Vec<String> },
}

/// Returns the variables of a running plugin that its server does not have: those of its catalog entry.
///
/// # Errors
/// If no server runs `file`, if its environment cannot be read, or if two processes have different environments.
pub fn read_plugin_env(
    directory: &Path,
    file: &str,
) -> Result<BTreeMap<String, SecretString>, PluginEnvError> {
    let no_process = || PluginEnvError::NoProcess { file: file.to_owned() };
    let program = fs::canonicalize(directory.join(file)).map_err(|_| no_process())?;
    let mut last = no_process();
    let mut found: Option<(u32, BTreeMap<String, SecretString>)> = None;
    for (pid, process) in processes::list() {
        // Processes of other users cannot be read.
        let is_of_file = fs::read_link(process.join("exe")).is_ok_and(|executable| executable == program);
        if !is_of_file || processes::has_plugin_host(pid) != Some(true) {
            continue;
        }
        match (env_of_process(pid), &found) {
            (Err(error @ PluginEnvError::NotReadable { .. }), _) => last = error,
            (Err(error), _) => return Err(error),
            (Ok(environment), None) => found = Some((pid, environment)),
            (Ok(environment), Some((one, first))) if environment != *first => {
                return Err(PluginEnvError::Ambiguous { file: file.to_owned(), one: *one, other: pid });
            }
            (Ok(_), Some(_)) => {}
        }
    }
    found.map(|(_, environment)| environment).ok_or(last)
}

fn env_of_process(pid: u32) -> Result<BTreeMap<String, SecretString>, PluginEnvError> {
    let environment = |pid: u32| fs::read(format!("/proc/{pid}/environ")).map(Zeroizing::new);
    let unreadable = |source| PluginEnvError::NotReadable { pid, source };
    let own = environment(pid).map_err(unreadable)?;
    let parent = processes::parent(pid).map_err(unreadable)?;
    let servers = parent.map_or_else(|| Ok(Zeroizing::default()), environment);
    let not_text = |names| PluginEnvError::NotText { pid, names };
    match servers {
        Ok(servers) => added_variables(&own, &servers).map_err(not_text),
        // `dev` is not dumpable, so another process of the same user cannot read its environment.
        Err(source) => match added_variables(&own, &[]) {
            Ok(upper_bound) if upper_bound.is_empty() => Ok(upper_bound),
            _ => Err(unreadable(source)),
        },
    }
}

/// Returns the variables of `own` that `servers` does not have, or has with another value, except those that a server sets for every plugin.
/// The error contains the names of variables that are not UTF-8.
fn added_variables(own: &[u8], servers: &[u8]) -> Result<BTreeMap<String, SecretString>, Vec<String>> {
    let servers: BTreeSet<&[u8]> = servers.split(|byte| *byte == 0).collect();
    let (mut added, mut not_text) = (BTreeMap::new(), Vec::new());
    for line in own.split(|byte| *byte == 0).filter(|line| !servers.contains(line)) {
        let Some(at) = line.iter().position(|byte| *byte == b'=') else { continue };
        let name = String::from_utf8_lossy(&line[..at]).into_owned();
        if is_protocol_variable(&name) {
            continue;
        }
        match std::str::from_utf8(line) {
            Ok(text) => {
                added.insert(name, SecretString::new(&text[at + 1..]));
            }
            Err(_) => not_text.push(name),
        }
    }
    if not_text.is_empty() { Ok(added) } else { Err(not_text) }
}

/// Whether go-plugin or the server sets a variable for every plugin. `TMPDIR` is the server's directory for the socket of this process.
fn is_protocol_variable(name: &str) -> bool {
    let of_go_plugin = [
        "PLUGIN_CLIENT_CERT",
        "PLUGIN_MAX_PORT",
        "PLUGIN_MIN_PORT",
        "PLUGIN_MULTIPLEX_GRPC",
        "PLUGIN_PROTOCOL_VERSIONS",
        "PLUGIN_UNIX_SOCKET_DIR",
        "PLUGIN_UNIX_SOCKET_GROUP",
        "TMPDIR",
    ];
    let of_server = [
        "BACKEND_PLUGIN",
        "DATABASE_PLUGIN",
        "PLUGIN_AUTOMTLS_ENABLED",
        "PLUGIN_METADATA_MODE",
        "PLUGIN_MLOCK_ENABLED",
        "PLUGIN_MULTIPLEXING_OPT_OUT",
        "UNWRAP_TOKEN",
        "VERSION",
    ];
    let servers = name.strip_prefix("VAULT_").or_else(|| name.strip_prefix("BAO_"));
    of_go_plugin.contains(&name) || servers.is_some_and(|name| of_server.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(own: &[u8], servers: &[u8]) -> Vec<String> {
        let added = added_variables(own, servers).expect("all text");
        added.iter().map(|(name, value)| format!("{name}={}", value.expose())).collect()
    }

    #[test]
    fn what_the_server_has_too_is_not_of_the_entry() {
        let servers = b"PATH=/bin\0HOME=/root\0EMPTY=\0";
        let own =
            b"PATH=/bin\0HOME=/srv\0EMPTY=\0KEY=a=b\0PLUGIN_MIN_PORT=1\0TMPDIR=/run/1\0VAULT_VERSION=1\0BAO_VERSION=2\0\
                    VAULT_ADDR=http://a\0";
        assert_eq!(shown(own, servers), ["HOME=/srv", "KEY=a=b", "VAULT_ADDR=http://a"]);
        assert_eq!(shown(servers, servers), Vec::<String>::new());
    }

    #[test]
    fn what_is_no_text_is_named_without_its_value() {
        assert_eq!(added_variables(b"A=1\0B=\xff\xfe\0", b"").expect_err("no text"), ["B"]);
    }
}
