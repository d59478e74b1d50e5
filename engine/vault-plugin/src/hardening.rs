//! Keeps the memory of a plugin process, which holds secrets, off every disk.
//!
//! Two things are left alone on purpose. The process stays dumpable: a host, or an operator with the rights of its user, proves by
//! `/proc/PID/exe` which binary runs. And nothing is locked that the limit on locked memory would turn into failed allocations later.

use std::fs;
use std::io;

use go_plugin::Environment;
use go_plugin::log::Logger;
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, Rlimit, dumpable_behavior, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, capabilities, set_no_new_privs};

/// What a host sets where its own memory is locked (`sdk/helper/pluginutil/run_config.go`); OpenBao's word comes first, as for all of
/// its variables.
const MLOCK_ENABLED: [&str; 2] = ["BAO_PLUGIN_MLOCK_ENABLED", "VAULT_PLUGIN_MLOCK_ENABLED"];

/// Forbids core dumps and new privileges, and locks memory if the host asks for it. What the kernel refuses is logged as a warning: a
/// plugin that does not start would take its mounts down.
///
/// To be called before the process has a second thread: new privileges are forbidden to the calling thread and to those that it starts.
pub(crate) fn harden(environment: &Environment, logger: &Logger) {
    if let Err(error) = forbid_core_dumps() {
        logger.warn(format!("core dumps of this process cannot be forbidden: {error}"));
    }
    if let Err(error) = set_no_new_privs(true) {
        logger.warn(format!("new privileges cannot be forbidden to this process: {error}"));
    }
    let asked = MLOCK_ENABLED.into_iter().find(|name| environment.has(name));
    if asked.is_some_and(|name| environment.is_true(name))
        && let Err(why) = lock_memory()
    {
        logger.warn(format!(
            "the memory of this plugin is not locked, and may be swapped to disk with secrets in it: {why}. Give the server's process \
             the capability IPC_LOCK or an unlimited RLIMIT_MEMLOCK, or set disable_mlock on hosts without swap"
        ));
    }
}

/// The limit stops the kernel from writing a file. A dump that is piped to a program ignores the limit, and is empty without any
/// kind of mapping in it.
fn forbid_core_dumps() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    match fs::write("/proc/self/coredump_filter", "0") {
        // The kernel dumps nothing of a process whose binary has file capabilities or cannot be read by its user, and gives its
        // files in /proc to root.
        Err(_) if dumpable_behavior().is_ok_and(|set| set == DumpableBehavior::NotDumpable) => Ok(()),
        written => written,
    }
}

/// Locks what is mapped, and what will be, once it is touched.
fn lock_memory() -> Result<(), String> {
    let limit = getrlimit(Resource::Memlock).current;
    if let Some(bytes) = limit.filter(|_| !has_ipc_lock()) {
        return Err(format!("it may lock {bytes} bytes and lacks the capability IPC_LOCK"));
    }
    let all = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE;
    // Without ONFAULT the stacks of all threads would be resident to their last page. Kernels before 4.4 do not know it.
    mlockall(all | MlockAllFlags::ONFAULT).or_else(|_| mlockall(all)).map_err(|error| error.to_string())
}

fn has_ipc_lock() -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK))
}
