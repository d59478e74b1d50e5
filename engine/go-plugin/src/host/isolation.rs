//! What a plugin inherits from its host, and the sandbox of an untrusted plugin.
//!
//! A child process of the same user can read its parent's environment and memory in `/proc`, and every file of that user.
//! Therefore the host is not dumpable while an untrusted plugin may run, and the child has no capability that overrides this.
//! Landlock hides the files, and all processes that the child has not started.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, dumpable_behavior, geteuid, set_dumpable_behavior};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs};

/// What a plugin inherits from its host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// The environment of the host and access to everything that its user can access, as Vault starts plugins.
    #[default]
    Inherit,
    /// Only the variables of [`LaunchOptions::env`](super::LaunchOptions::env) and of the protocol, and a new temporary directory,
    /// in which the plugin has to listen. It has no terminal, and none of the host's open files. The host is not dumpable while
    /// it runs. If the kernel supports Landlock, the plugin can neither inspect other processes nor open files at or below the
    /// `hidden` paths, except its own binary. It can connect to local services over their sockets.
    Untrusted {
        /// Paths that the plugin must not open. Paths that do not exist are ignored.
        hidden: Vec<PathBuf>,
        /// Whether the plugin may use TCP.
        network: NetworkAccess,
    },
}

/// Whether a plugin may use TCP. Denying it requires Landlock of Linux 6.7 or later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkAccess {
    /// TCP is allowed, for a plugin that has to serve requests.
    Allowed,
    /// TCP is denied, for a plugin that is only inspected.
    Denied,
}

/// A reason why [`Isolation::Untrusted`] is not complete on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IsolationGap {
    /// The host runs as root. Even without capabilities, root can take over many machines, for example through the socket of a
    /// container engine.
    Root,
    /// The kernel has no Landlock, or it is disabled: files and processes of the user cannot be hidden.
    NoLandlock,
}

impl IsolationGap {
    /// Returns the gaps that apply to this process on this kernel.
    ///
    /// ```
    /// use go_plugin::host::IsolationGap;
    ///
    /// for gap in IsolationGap::all() {
    ///     assert!(matches!(gap, IsolationGap::Root | IsolationGap::NoLandlock));
    /// }
    /// ```
    #[must_use]
    pub fn all() -> Vec<IsolationGap> {
        let mut gaps = Vec::new();
        if geteuid().is_root() {
            gaps.push(IsolationGap::Root);
        }
        // Only a restricted thread shows whether Landlock is enforced, so this one is used for nothing else.
        let restricted =
            thread::spawn(|| ruleset(NetworkAccess::Denied).and_then(RulesetCreated::restrict_self)).join();
        if !restricted
            .is_ok_and(|status| status.is_ok_and(|status| status.ruleset != RulesetStatus::NotEnforced))
        {
            gaps.push(IsolationGap::NoLandlock);
        }
        gaps
    }
}

/// The newest Landlock version that is used. The kernel enforces the part that it supports.
const LANDLOCK_ABI: ABI = ABI::V6;

/// The capabilities that a plugin of root keeps. `DAC_OVERRIDE` lets it start from a directory of another user. Vault recommends
/// `IPC_LOCK` for plugins.
const KEPT_CAPABILITIES: CapabilitySet = CapabilitySet::DAC_OVERRIDE.union(CapabilitySet::IPC_LOCK);

/// The restrictions of an untrusted plugin. Kept until its process has exited.
pub(super) struct Sandbox {
    hidden: Vec<PathBuf>,
    program: PathBuf,
    temp_dir: PathBuf,
    network: NetworkAccess,
    non_dumpable: NonDumpableGuard,
}

impl Sandbox {
    /// Prepares the restrictions, and makes the host not dumpable.
    pub(super) fn new(
        program: &Path,
        hidden: &[PathBuf],
        network: NetworkAccess,
        temp_dir: &Path,
    ) -> Sandbox {
        Sandbox {
            hidden: hidden.iter().filter_map(|path| path.canonicalize().ok()).collect(),
            program: program.canonicalize().unwrap_or_else(|_| program.to_owned()),
            temp_dir: temp_dir.to_owned(),
            network,
            non_dumpable: NonDumpableGuard::acquire(),
        }
    }

    /// Restricts this thread and the processes that it starts, as far as the kernel supports it.
    pub(super) fn restrict_this_thread(&mut self) -> io::Result<()> {
        let (all, on_files) = (AccessFs::from_all(LANDLOCK_ABI), AccessFs::from_file(LANDLOCK_ABI));
        let restrict = || {
            let mut rules = LandlockRules { ruleset: ruleset(self.network)?, hidden: &self.hidden };
            rules.allow_siblings(Path::new("/"))?;
            rules.allow(&self.temp_dir, all)?;
            rules.allow(&self.program, on_files & (AccessFs::Execute | AccessFs::ReadFile))?;
            rules.ruleset.restrict_self()
        };
        let status = restrict().map_err(io::Error::other)?;
        self.non_dumpable.restore_on_drop = status.ruleset != RulesetStatus::NotEnforced;
        Ok(drop_capabilities()?)
    }
}

/// Drops capabilities. `no_new_privs` prevents a program of root from regaining them at exec.
fn drop_capabilities() -> Result<(), Errno> {
    set_no_new_privs(true)?;
    let CapabilitySets { effective, permitted, .. } = capabilities(None)?;
    set_capabilities(
        None,
        CapabilitySets {
            effective: effective & KEPT_CAPABILITIES,
            permitted: permitted & KEPT_CAPABILITIES,
            inheritable: CapabilitySet::empty(),
        },
    )
}

fn ruleset(network: NetworkAccess) -> Result<RulesetCreated, RulesetError> {
    let ruleset = Ruleset::default().handle_access(AccessFs::from_all(LANDLOCK_ABI))?;
    let ruleset = match network {
        NetworkAccess::Allowed => ruleset,
        // No rule allows any port.
        NetworkAccess::Denied => ruleset.handle_access(AccessNet::from_all(LANDLOCK_ABI))?,
    };
    ruleset.scope(Scope::from_all(LANDLOCK_ABI))?.create()
}

/// Landlock has no deny rules, so everything except the hidden paths and their parent directories is allowed.
struct LandlockRules<'a> {
    ruleset: RulesetCreated,
    hidden: &'a [PathBuf],
}

impl LandlockRules<'_> {
    fn allow_siblings(&mut self, directory: &Path) -> Result<(), RulesetError> {
        // A directory that the host cannot list is not readable for the plugin either.
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            // Landlock applies to the target of a link.
            let Some(kind) = entry.file_type().ok().filter(|kind| !kind.is_symlink()) else { continue };
            if self.hidden.contains(&path) {
                continue;
            }
            if self.hidden.iter().any(|hidden| hidden.starts_with(&path)) {
                self.allow_siblings(&path)?;
            } else if kind.is_dir() {
                self.allow(&path, AccessFs::from_all(LANDLOCK_ABI))?;
            } else {
                self.allow(&path, AccessFs::from_file(LANDLOCK_ABI))?;
            }
        }
        Ok(())
    }

    fn allow(&mut self, path: &Path, access: BitFlags<AccessFs>) -> Result<(), RulesetError> {
        // A path that was removed since it was listed needs no rule.
        if let Ok(opened) = PathFd::new(path) {
            (&mut self.ruleset).add_rule(PathBeneath::new(opened, access))?;
        }
        Ok(())
    }
}

/// The number of plugins that require this process to be not dumpable, and its state before the first.
static NON_DUMPABLE_USERS: Mutex<Option<(usize, DumpableBehavior)>> = Mutex::new(None);

/// Prevents other processes of the same user from reading the memory and the environment of this one.
struct NonDumpableGuard {
    /// False without Landlock, because a process that the plugin leaves behind could read this one's environment later.
    restore_on_drop: bool,
}

impl NonDumpableGuard {
    fn acquire() -> NonDumpableGuard {
        let mut users = NON_DUMPABLE_USERS.lock();
        match &mut *users {
            Some((count, _)) => *count += 1,
            None => {
                // Neither call fails for these values.
                let before = dumpable_behavior().unwrap_or(DumpableBehavior::Dumpable);
                let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
                *users = Some((1, before));
            }
        }
        NonDumpableGuard { restore_on_drop: false }
    }
}

impl Drop for NonDumpableGuard {
    fn drop(&mut self) {
        let mut users = NON_DUMPABLE_USERS.lock();
        if !self.restore_on_drop {
            return;
        }
        match &mut *users {
            Some((1, before)) => {
                let _ = set_dumpable_behavior(*before);
                *users = None;
            }
            Some((count, _)) => *count -= 1,
            None => {}
        }
    }
}
