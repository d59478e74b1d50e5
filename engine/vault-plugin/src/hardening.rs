//! Hardens a plugin process: prevents that its memory, which contains secrets, is written to disk.
//!
//! Two restrictions are deliberately not applied. The process stays dumpable, because a host, or an operator with the rights of
//! its user, verifies the running binary by `/proc/PID/exe`. And memory is not locked if the limit would make later allocations fail.

use std::fs;
use std::io;

use go_plugin::Environment;
use go_plugin::log::Logger;
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, Rlimit, dumpable_behavior, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, capabilities, set_no_new_privs};

/// Variables that a host sets if its own memory is locked (`sdk/helper/pluginutil/run_config.go`). OpenBao's variable has precedence,
/// as for all of its variables.
const MLOCK_ENABLED: [&str; 2] = ["BAO_PLUGIN_MLOCK_ENABLED", "VAULT_PLUGIN_MLOCK_ENABLED"];

/// Disables core dumps and new privileges, and locks memory if the host requests it. Failures are logged as warnings, because a
/// plugin that does not start makes its mounts unavailable.
///
/// Must be called before the process has a second thread: `no_new_privs` applies to the calling thread and the threads that it starts.
pub(crate) fn harden(environment: &Environment, logger: &Logger) {
    if let Err(error) = forbid_core_dumps() {
        logger.warn(format!("cannot disable core dumps of this process: {error}"));
    }
    if let Err(error) = set_no_new_privs(true) {
        logger.warn(format!("cannot disable new privileges for this process: {error}"));
    }
    let variable = MLOCK_ENABLED.into_iter().find(|name| environment.has(name));
    if variable.is_some_and(|name| environment.is_true(name))
        && let Err(reason) = lock_memory()
    {
        logger.warn(format!(
            "cannot lock the memory of this plugin, so secrets may be swapped to disk: {reason}. Give the server's process \
             the capability IPC_LOCK or an unlimited RLIMIT_MEMLOCK, or set disable_mlock on hosts without swap"
        ));
    }
}

/// Disables core dumps. The resource limit applies to dumps that the kernel writes to a file. A dump that is piped to a program
/// ignores the limit, so the dump filter excludes every kind of mapping.
fn forbid_core_dumps() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    match fs::write("/proc/self/coredump_filter", "0") {
        // A process whose binary has file capabilities or is not readable by its user is not dumpable, and root owns its
        // files in /proc.
        Err(_) if dumpable_behavior().is_ok_and(|set| set == DumpableBehavior::NotDumpable) => Ok(()),
        result => result,
    }
}

/// Locks current and future mappings when their pages are touched.
fn lock_memory() -> Result<(), String> {
    let limit = getrlimit(Resource::Memlock).current;
    if let Some(bytes) = limit.filter(|_| !has_ipc_lock()) {
        return Err(format!(
            "the limit is {bytes} bytes, and the process does not have the capability IPC_LOCK"
        ));
    }
    let all = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE;
    // Without ONFAULT, every page of every thread's stack would be resident. Kernels before 4.4 do not support it.
    mlockall(all | MlockAllFlags::ONFAULT).or_else(|_| mlockall(all)).map_err(|error| error.to_string())
}

fn has_ipc_lock() -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK))
}
