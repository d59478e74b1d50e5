//! The faults as data: the pods, the command, the fault, and the moment.

use std::fmt;

/// One fault of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FaultPoint {
    pub(crate) pods: PodKind,
    pub(crate) what: Fault,
}

/// The kind of pods that it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PodKind {
    /// Vault over plain HTTP, in an image with a shell.
    Usual,
    /// Vault over TLS.
    Tls,
    /// Vault in an image with nothing else.
    WithoutShell,
    /// OpenBao, whose standbys run the plugin too.
    OpenBao,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A fault while a command runs.
    During(Command, InjectionPoint, Disturbance),
    /// The version to install is faulty.
    BadVersion(BadVersion),
    /// An obstacle that exists from the start.
    Obstacle(Obstacle),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Upgrade,
    UpgradeFromImage,
    Rollback,
    Register,
    Reload,
    Gc,
    Deregister,
}

/// The moment of the fault. The command is held there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InjectionPoint {
    /// After this many steps, before the first request of the next one. Zero: when the plan is made.
    After(usize),
    /// While the binary is being copied.
    WhileCopying,
    /// The smoke test of a moved mount has failed, and this many things were undone.
    Undoing(usize),
}

/// The fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disturbance {
    /// The command is killed.
    Killed,
    /// It gets SIGINT.
    Interrupted,
    /// The active Vault steps down.
    SteppedDown,
    /// The pod of the active Vault is killed.
    ActiveKilled,
    /// The same, while issued tokens have no lease yet.
    ActiveKilledWhileIssuing,
    /// A standby's pod is deleted.
    StandbyDeleted,
    /// The API server is killed and restarted.
    ApiServerRestarted,
    /// All connections to the API server break.
    ConnectionsCut,
    /// The active Vault is sealed.
    Sealed,
    /// The token of the command is no longer valid.
    TokenExpired,
    /// Another user pins the plugin to the running version.
    Pinned,
    /// Another user removes a mount of the plugin.
    MountDeleted,
    /// Another user runs the same command.
    SecondOperator,
    /// The role that the smoke test reads is deleted, so that the smoke test fails on every mount.
    RoleRemoved,
    /// A pod is added.
    PodAdded,
}

/// The defect of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadVersion {
    DoesNotStart,
    HangsAtStart,
    CrashesAtSetup,
    CrashesAtTheFirstRequest,
    IsOfAnotherType,
    DoesNotStartInThePod,
    HangsInThePod,
    DiesSoonInThePod,
    LiesAboutItsVersion,
    LiesInThePod,
    DroppedAField,
    OtherArchitecture,
    Dynamic,
    Truncated,
    RegisteredWithAnotherChecksum,
}

/// The obstacle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// A pod that cannot be scheduled.
    PodPending,
    /// No space for the binary in one pod.
    DiskFull,
    /// The version is already running.
    RunsAlready,
    /// The version is older than the running one.
    Downgrade,
    /// A file with other content has its name.
    NameTaken,
    /// Five mounts run two versions.
    TwoVersions,
    /// Twenty moves in a row.
    TwentyInARow,
}

/// The faults that are possible at any step.
const DISTURBANCES_AT_EVERY_STEP: [Disturbance; 6] = [
    Disturbance::Killed,
    Disturbance::Interrupted,
    Disturbance::SteppedDown,
    Disturbance::ActiveKilled,
    Disturbance::StandbyDeleted,
    Disturbance::ApiServerRestarted,
];

/// The steps to which a fault makes a difference.
const DISTURBANCES_AT_ONE_STEP: [(InjectionPoint, Disturbance); 11] = [
    (InjectionPoint::WhileCopying, Disturbance::ConnectionsCut),
    (InjectionPoint::After(2), Disturbance::Sealed),
    (InjectionPoint::After(6), Disturbance::Sealed),
    (InjectionPoint::After(2), Disturbance::TokenExpired),
    (InjectionPoint::After(6), Disturbance::TokenExpired),
    (InjectionPoint::After(2), Disturbance::Pinned),
    (InjectionPoint::After(2), Disturbance::MountDeleted),
    (InjectionPoint::After(1), Disturbance::SecondOperator),
    (InjectionPoint::After(5), Disturbance::RoleRemoved),
    (InjectionPoint::After(9), Disturbance::ActiveKilledWhileIssuing),
    (InjectionPoint::After(1), Disturbance::PodAdded),
];

/// During the undo of a failed upgrade: before the mounts are moved back, and after the first action after that.
const DISTURBANCES_DURING_ROLLBACK: [(usize, Disturbance); 5] = [
    (0, Disturbance::Killed),
    (0, Disturbance::Interrupted),
    (0, Disturbance::SteppedDown),
    (0, Disturbance::ActiveKilled),
    (1, Disturbance::Killed),
];

const BAD_VERSIONS: [BadVersion; 15] = [
    BadVersion::DoesNotStart,
    BadVersion::HangsAtStart,
    BadVersion::CrashesAtSetup,
    BadVersion::CrashesAtTheFirstRequest,
    BadVersion::IsOfAnotherType,
    BadVersion::DoesNotStartInThePod,
    BadVersion::HangsInThePod,
    BadVersion::DiesSoonInThePod,
    BadVersion::LiesAboutItsVersion,
    BadVersion::LiesInThePod,
    BadVersion::DroppedAField,
    BadVersion::OtherArchitecture,
    BadVersion::Dynamic,
    BadVersion::Truncated,
    BadVersion::RegisteredWithAnotherChecksum,
];

const OBSTACLES: [Obstacle; 7] = [
    Obstacle::PodPending,
    Obstacle::DiskFull,
    Obstacle::RunsAlready,
    Obstacle::Downgrade,
    Obstacle::NameTaken,
    Obstacle::TwoVersions,
    Obstacle::TwentyInARow,
];

/// The faults on other kinds of pods, and their moments.
const DISTURBANCES_ON_OTHER_PODS: [(PodKind, Command, InjectionPoint, Disturbance); 18] = {
    use {Command as C, Disturbance as D, InjectionPoint as M, PodKind as P};
    [
        (P::Tls, C::Upgrade, M::After(7), D::Killed),
        (P::Tls, C::Upgrade, M::After(7), D::SteppedDown),
        (P::Tls, C::Upgrade, M::After(7), D::ActiveKilled),
        (P::Tls, C::Upgrade, M::After(5), D::RoleRemoved),
        (P::Tls, C::Rollback, M::After(2), D::SteppedDown),
        (P::WithoutShell, C::Upgrade, M::WhileCopying, D::Killed),
        (P::WithoutShell, C::Upgrade, M::After(1), D::StandbyDeleted),
        (P::WithoutShell, C::Upgrade, M::After(5), D::RoleRemoved),
        (P::WithoutShell, C::Upgrade, M::After(7), D::ActiveKilled),
        (P::OpenBao, C::Upgrade, M::After(7), D::Killed),
        (P::OpenBao, C::Upgrade, M::After(7), D::SteppedDown),
        (P::OpenBao, C::Upgrade, M::After(8), D::Killed),
        (P::OpenBao, C::Upgrade, M::After(11), D::Killed),
        (P::OpenBao, C::Upgrade, M::After(12), D::Interrupted),
        (P::OpenBao, C::Upgrade, M::After(5), D::RoleRemoved),
        (P::OpenBao, C::Rollback, M::After(2), D::Killed),
        (P::OpenBao, C::Rollback, M::After(6), D::Killed),
        (P::OpenBao, C::Reload, M::After(2), D::Killed),
    ]
};

/// The whole list. Faults that change the number of pods are last.
pub(crate) fn all() -> Vec<FaultPoint> {
    let usual = |what| FaultPoint { pods: PodKind::Usual, what };
    let mut faults = Vec::new();
    for command in [Command::Upgrade, Command::Rollback] {
        for disturbance in DISTURBANCES_AT_EVERY_STEP {
            let moments = (0..=command.steps(PodKind::Usual).len()).map(InjectionPoint::After);
            let amid = (command == Command::Upgrade).then_some(InjectionPoint::WhileCopying);
            faults.extend(moments.chain(amid).map(|at| Fault::During(command, at, disturbance)));
        }
    }
    for command in [Command::Register, Command::Reload, Command::Gc, Command::Deregister] {
        for disturbance in [Disturbance::Killed, Disturbance::Interrupted] {
            // After the last step they have no effect.
            let moments = (0..command.steps(PodKind::Usual).len()).map(InjectionPoint::After);
            faults.extend(moments.map(|at| Fault::During(command, at, disturbance)));
        }
    }
    for (steps, what) in [(1, Disturbance::Killed), (4, Disturbance::Interrupted), (7, Disturbance::Killed)] {
        faults.push(Fault::During(Command::UpgradeFromImage, InjectionPoint::After(steps), what));
    }
    faults.extend(BAD_VERSIONS.map(Fault::BadVersion));
    faults.extend(OBSTACLES.map(Fault::Obstacle));
    faults.extend(
        DISTURBANCES_DURING_ROLLBACK
            .map(|(undone, what)| Fault::During(Command::Upgrade, InjectionPoint::Undoing(undone), what)),
    );
    faults.extend(DISTURBANCES_AT_ONE_STEP.map(|(at, what)| Fault::During(Command::Upgrade, at, what)));
    let mut points: Vec<FaultPoint> = faults.into_iter().map(usual).collect();
    points.extend(
        DISTURBANCES_ON_OTHER_PODS
            .map(|(pods, command, at, what)| FaultPoint { pods, what: Fault::During(command, at, what) }),
    );
    points
}

const UPGRADE_STEPS: [&str; 11] = [
    "copy_binary",
    "register_version",
    "mount_canary",
    "verify_canary",
    "remove_canary",
    "tune_mount",
    "tune_mount",
    "reload_mount",
    "reload_mount",
    "smoke_test_mount",
    "smoke_test_mount",
];
const ROLLBACK_STEPS: [&str; 6] =
    ["tune_mount", "tune_mount", "reload_mount", "reload_mount", "smoke_test_mount", "smoke_test_mount"];
const REGISTER_STEPS: [&str; 8] = [
    "copy_binary",
    "register_version",
    "tune_mount",
    "tune_mount",
    "reload_mount",
    "reload_mount",
    "smoke_test_mount",
    "smoke_test_mount",
];
const REMOVAL_STEPS: [&str; 2] = ["deregister_version", "remove_binary"];

impl Command {
    /// The steps between which faults are injected, as the command's plan names them. A plan with other steps is an error, because the list
    /// of faults is then incomplete.
    pub(crate) fn steps(self, pods: PodKind) -> Vec<&'static str> {
        let steps: &[&str] = match self {
            Self::Upgrade | Self::UpgradeFromImage => &UPGRADE_STEPS,
            Self::Rollback => &ROLLBACK_STEPS,
            Self::Register => &REGISTER_STEPS,
            Self::Reload => &["reload_mount", "reload_mount"],
            Self::Gc | Self::Deregister => &REMOVAL_STEPS,
        };
        // Its standbys keep running the previous version until they are restarted.
        let restarts_standbys =
            pods == PodKind::OpenBao && matches!(self, Self::Upgrade | Self::Rollback | Self::Reload);
        let restarts: &[&str] = if restarts_standbys { &["restart_node", "restart_node"] } else { &[] };
        [steps, restarts].concat()
    }
}

impl FaultPoint {
    pub(crate) fn command(self) -> Command {
        match self.what {
            Fault::During(command, _, _) => command,
            Fault::BadVersion(_) | Fault::Obstacle(_) => Command::Upgrade,
        }
    }

    /// Whether the set of pods is different afterwards.
    pub(crate) fn changes_pod_count(self) -> bool {
        matches!(self.what, Fault::During(_, _, Disturbance::PodAdded))
    }
}

impl fmt::Display for FaultPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pods {
            PodKind::Usual => {}
            other => write!(f, "{}/", to_kebab_case(&format!("{other:?}")))?,
        }
        match self.what {
            Fault::During(command, at, what) => {
                let steps = command.steps(self.pods);
                let at = match at {
                    InjectionPoint::After(0) => "0-planned".to_owned(),
                    InjectionPoint::After(step) => format!("{step}-{}", steps[step - 1].replace('_', "-")),
                    InjectionPoint::WhileCopying => "amid-placing".to_owned(),
                    InjectionPoint::Undoing(undone) => format!("undoing-{undone}"),
                };
                write!(
                    f,
                    "{}/{}/{at}",
                    to_kebab_case(&format!("{command:?}")),
                    to_kebab_case(&format!("{what:?}"))
                )
            }
            Fault::BadVersion(what) => write!(f, "upgrade/version/{}", to_kebab_case(&format!("{what:?}"))),
            Fault::Obstacle(what) => write!(f, "upgrade/obstacle/{}", to_kebab_case(&format!("{what:?}"))),
        }
    }
}

fn to_kebab_case(name: &str) -> String {
    let mut text = String::new();
    for sign in name.chars() {
        if sign.is_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.extend(sign.to_lowercase());
    }
    text
}
