//! What a plugin inherits from its host, and how one that is not trusted is kept from the rest.
//!
//! A child of the same user can read the environment and the memory of its parent in `/proc`, and every file of that user. So
//! the host is not dumpable while such a child may run, and the child has no capability to read it all the same. Landlock
//! hides the files, and every process that is not the child's own.

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
    /// The host's environment and everything that its user can read, as Vault starts plugins.
    #[default]
    Inherit,
    /// Nothing but the variables of [`LaunchOptions::env`](super::LaunchOptions::env) and of the protocol, and a temporary
    /// directory of its own, in which it has to listen. It has no terminal and none of the files that the host has open. The host
    /// is not dumpable meanwhile. Where the kernel has Landlock, the plugin can neither look into other processes nor open what
    /// lies at or below these paths, except for its own binary. It can connect to the sockets of this machine's services.
    Untrusted {
        /// Paths that are not for the plugin; one that does not exist is passed over.
        hidden: Vec<PathBuf>,
        /// Whether it may use TCP.
        network: NetworkAccess,
    },
}

/// Whether a plugin may use TCP. It is kept from it by Landlock, from Linux 6.7 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkAccess {
    /// As a plugin that is to do its work has to.
    Allowed,
    /// As for one that is only asked what it is.
    Denied,
}

/// Why a plugin that is started with [`Isolation::Untrusted`] may still see what it should not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IsolationGap {
    /// The host runs as root. What root may do without capabilities is enough to take over many a machine, such as to talk to a
    /// container engine.
    Root,
    /// The kernel has no Landlock, or it is switched off: neither files nor other processes of the user can be hidden.
    NoLandlock,
}

impl IsolationGap {
    /// The gaps of this process on this kernel.
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
        // The kernel tells only by restricting a thread, so this is one of no further use.
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

/// The newest accesses that are known here; the kernel enforces those that it knows.
const LANDLOCK_ABI: ABI = ABI::V6;

/// What a plugin of root keeps: without the first it could not start from a directory of another user, and the second is
/// Vault's advice for plugins.
const KEPT_CAPABILITIES: CapabilitySet = CapabilitySet::DAC_OVERRIDE.union(CapabilitySet::IPC_LOCK);

/// What is kept for as long as an untrusted plugin may run.
pub(super) struct Sandbox {
    hidden: Vec<PathBuf>,
    program: PathBuf,
    scratch: PathBuf,
    network: NetworkAccess,
    non_dumpable: NonDumpableGuard,
}

impl Sandbox {
    /// Makes the host not dumpable, before the plugin is started.
    pub(super) fn new(program: &Path, hidden: &[PathBuf], network: NetworkAccess, scratch: &Path) -> Sandbox {
        Sandbox {
            hidden: hidden.iter().filter_map(|path| path.canonicalize().ok()).collect(),
            program: program.canonicalize().unwrap_or_else(|_| program.to_owned()),
            scratch: scratch.to_owned(),
            network,
            non_dumpable: NonDumpableGuard::acquire(),
        }
    }

    /// Restricts this thread, and what it starts from now on, by as much as the kernel knows.
    pub(super) fn restrict_this_thread(&mut self) -> io::Result<()> {
        let (all, on_files) = (AccessFs::from_all(LANDLOCK_ABI), AccessFs::from_file(LANDLOCK_ABI));
        let restrict = || {
            let mut rules = LandlockRules { ruleset: ruleset(self.network)?, hidden: &self.hidden };
            rules.allow_siblings(Path::new("/"))?;
            rules.allow(&self.scratch, all)?;
            rules.allow(&self.program, on_files & (AccessFs::Execute | AccessFs::ReadFile))?;
            rules.ruleset.restrict_self()
        };
        let status = restrict().map_err(io::Error::other)?;
        self.non_dumpable.restore_on_drop = status.ruleset != RulesetStatus::NotEnforced;
        Ok(drop_capabilities()?)
    }
}

/// Root would get all of them again with a new program, were it not for `no_new_privs`.
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

/// Landlock knows only what is allowed, so everything is that lies beside the way to a hidden path.
struct LandlockRules<'a> {
    ruleset: RulesetCreated,
    hidden: &'a [PathBuf],
}

impl LandlockRules<'_> {
    fn allow_siblings(&mut self, directory: &Path) -> Result<(), RulesetError> {
        // One that cannot be listed cannot be read by the plugin either.
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            // A link is judged by where it leads.
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
        // What is gone meanwhile needs no rule.
        if let Ok(opened) = PathFd::new(path) {
            (&mut self.ruleset).add_rule(PathBeneath::new(opened, access))?;
        }
        Ok(())
    }
}

/// How many plugins need this process to be not dumpable, and what it was before the first.
static NON_DUMPABLE_USERS: Mutex<Option<(usize, DumpableBehavior)>> = Mutex::new(None);

/// Keeps other processes of the same user from reading the memory and the environment of this one.
struct NonDumpableGuard {
    /// Without Landlock a process that the plugin has left behind reads this one's environment as soon as it can.
    restore_on_drop: bool,
}

impl NonDumpableGuard {
    fn acquire() -> NonDumpableGuard {
        let mut held = NON_DUMPABLE_USERS.lock();
        match &mut *held {
            Some((users, _)) => *users += 1,
            None => {
                // Neither fails for the values that are used here.
                let before = dumpable_behavior().unwrap_or(DumpableBehavior::Dumpable);
                let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
                *held = Some((1, before));
            }
        }
        NonDumpableGuard { restore_on_drop: false }
    }
}

impl Drop for NonDumpableGuard {
    fn drop(&mut self) {
        let mut held = NON_DUMPABLE_USERS.lock();
        if !self.restore_on_drop {
            return;
        }
        match &mut *held {
            Some((1, before)) => {
                let _ = set_dumpable_behavior(*before);
                *held = None;
            }
            Some((users, _)) => *users -= 1,
            None => {}
        }
    }
}
