//! Rolls plugins out: what is observed, what is wanted, the next step, and doing it.
//!
//! [`decide`] is the only place with rules. The plan that is shown is its simulated run, and [`apply`] asks it again
//! before each step, so what is done is what was shown or nothing.

mod apply;
mod binary;
mod carried;
mod compare;
mod decide;
mod drift;
mod event;
mod goal;
mod observe;
mod observed;
mod refusal;
mod rights;
mod site;
mod smoke;
mod step;
mod sums;
mod switch_back;
mod version;

pub use apply::{CancelFlag, Outcome, apply};
pub use binary::{Binary, BinaryError, Elf, Format, Linkage, Machine, Probe, Probed};
pub use carried::{Carried, Did, Existing, LoadError, Loaded};
pub use compare::Comparison;
pub use decide::{Decision, Notice, Plan, Stop, WaitingOn, decide, plan};
pub use drift::{
    ClusterConnection, ClusterError, Drift, FieldDrift, ObjectDrift, compare_with_cluster,
};
pub use event::Event;
pub use goal::{
    Downgrade, Goal, MountGoal, MountPath, MountPathError, Plugin, Register, Reload, ReloadTarget, Rewrite,
    Wanted, WriteGoal,
};
pub use observe::{ObserveError, World, observe};
pub use observed::{
    Caller, CatalogEntry, MountObserved, Observed, Pins, PluginDirectory, PluginFile, Process, ReadBack,
    Server, SiteObserved, SiteState, ThisRun, WriteObserved,
};
pub use refusal::Refusal;
pub use rights::{CLUSTER_RIGHTS, ClusterRight, Objects, ServerRight, server_rights};
pub use site::local::{LocalSite, Owner, SiteError, file_version};
pub use smoke::{SmokeError, SmokeLease, SmokeReport, smoke};
pub use step::Step;
pub use sums::{Sums, SumsError};
pub use switch_back::roll_back;
pub use version::{Version, VersionError};
