//! The faults as data: what goes wrong, and when.

use std::fmt;

/// The steps of the upgrade that every fault is put into, as its own plan names them. A plan with other steps is an error:
/// then this list, and with it the list of faults, is not whole.
pub(crate) const UPGRADE: [&str; 10] = [
    "place_binary",
    "register_version",
    "mount_canary",
    "try_canary",
    "remove_canary",
    "tune_mount",
    "tune_mount",
    "reload_mounts",
    "try_mount",
    "try_mount",
];

/// Those of the rollback.
pub(crate) const ROLLBACK: [&str; 5] =
    ["tune_mount", "tune_mount", "reload_mounts", "try_mount", "try_mount"];

/// One fault of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultPoint {
    /// Something happens while a command is at work.
    During(Command, Moment, Disturbance),
    /// The version that is brought is a bad one.
    BadVersion(BadVersion),
    /// The command meets something that stands in its way from the start.
    Obstacle(Obstacle),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Upgrade,
    Rollback,
}

/// When something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// After this many steps; after none: when the plan is there.
    After(usize),
    /// While the binary is on its way.
    AmidPlacing,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disturbance {
    /// The command is killed.
    Killed,
    /// It is asked to stop.
    Interrupted,
    /// The active Vault steps down.
    SteppedDown,
    /// The pod of the active Vault is gone without a word.
    ActiveKilled,
    /// A pod that stands by is deleted.
    StandbyDeleted,
    /// The API server is killed and started anew.
    ApiServerRestarted,
    /// All connections to the API server break.
    ConnectionsCut,
    /// The active Vault is sealed.
    Sealed,
    /// The token of the command is no longer valid.
    TokenExpired,
    /// Somebody pins the plugin to the version that runs.
    Pinned,
    /// Somebody removes a mount of the plugin.
    MountDeleted,
    /// Somebody runs the same command.
    SecondOperator,
    /// The upstream refuses every credential from now on, so that no mount works.
    UpstreamRefuses,
    /// There is one more pod.
    PodAdded,
}

/// What is wrong with a version.
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

/// What stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// A pod that no node takes.
    PodPending,
    /// No room for the binary in one pod.
    DiskFull,
    /// The version runs already.
    RunsAlready,
    /// It is older than the one that runs.
    Downgrade,
    /// Another file is there under its name.
    NameTaken,
    /// Five mounts run two versions.
    TwoVersions,
    /// Twenty moves, one after the other.
    TwentyInARow,
}

/// What can happen at any step.
const AT_EVERY_STEP: [Disturbance; 6] = [
    Disturbance::Killed,
    Disturbance::Interrupted,
    Disturbance::SteppedDown,
    Disturbance::ActiveKilled,
    Disturbance::StandbyDeleted,
    Disturbance::ApiServerRestarted,
];

/// What a step makes a difference to, and after which it is shown.
const AT_ONE_STEP: [(usize, Disturbance); 9] = [
    (2, Disturbance::Sealed),
    (6, Disturbance::Sealed),
    (2, Disturbance::TokenExpired),
    (6, Disturbance::TokenExpired),
    (2, Disturbance::Pinned),
    (2, Disturbance::MountDeleted),
    (1, Disturbance::SecondOperator),
    (5, Disturbance::UpstreamRefuses),
    (1, Disturbance::PodAdded),
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

/// The whole list. What changes the number of pods comes last.
pub(crate) fn all() -> Vec<FaultPoint> {
    let mut points = Vec::new();
    for (command, steps) in [(Command::Upgrade, UPGRADE.len()), (Command::Rollback, ROLLBACK.len())] {
        for disturbance in AT_EVERY_STEP {
            let moments = (0..=steps).map(Moment::After);
            let amid = (command == Command::Upgrade).then_some(Moment::AmidPlacing);
            points.extend(moments.chain(amid).map(|at| FaultPoint::During(command, at, disturbance)));
        }
    }
    points.extend(BAD_VERSIONS.map(FaultPoint::BadVersion));
    points.extend(OBSTACLES.map(FaultPoint::Obstacle));
    points.push(FaultPoint::During(Command::Upgrade, Moment::AmidPlacing, Disturbance::ConnectionsCut));
    let of_upgrade = |(steps, what)| FaultPoint::During(Command::Upgrade, Moment::After(steps), what);
    points.extend(AT_ONE_STEP.map(of_upgrade));
    points
}

impl Disturbance {
    /// Whether a Vault has to be taken over by another, which no client without retries is spared.
    pub(crate) fn moves_the_active_node(self) -> bool {
        matches!(self, Self::SteppedDown | Self::ActiveKilled | Self::StandbyDeleted | Self::Sealed)
    }
}

impl FaultPoint {
    /// Whether the pods are others afterwards.
    pub(crate) fn spends_the_pods(self) -> bool {
        matches!(self, Self::During(_, _, Disturbance::PodAdded))
    }

    /// Whether clients may notice the fault itself.
    pub(crate) fn is_noticed(self) -> bool {
        match self {
            Self::During(_, _, what) => {
                what.moves_the_active_node()
                    || matches!(what, Disturbance::UpstreamRefuses | Disturbance::PodAdded)
            }
            Self::Obstacle(Obstacle::PodPending) => true,
            Self::BadVersion(_) | Self::Obstacle(_) => false,
        }
    }
}

impl fmt::Display for FaultPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::During(command, at, what) => {
                let (command, steps) = match command {
                    Command::Upgrade => ("upgrade", &UPGRADE[..]),
                    Command::Rollback => ("rollback", &ROLLBACK[..]),
                };
                let at = match at {
                    Moment::After(0) => "0-planned".to_owned(),
                    Moment::After(step) => format!("{step}-{}", steps[step - 1].replace('_', "-")),
                    Moment::AmidPlacing => "amid-placing".to_owned(),
                };
                write!(f, "{command}/{}/{at}", kebab(&format!("{what:?}")))
            }
            Self::BadVersion(what) => write!(f, "upgrade/version/{}", kebab(&format!("{what:?}"))),
            Self::Obstacle(what) => write!(f, "upgrade/obstacle/{}", kebab(&format!("{what:?}"))),
        }
    }
}

fn kebab(name: &str) -> String {
    let mut text = String::new();
    for sign in name.chars() {
        if sign.is_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.extend(sign.to_lowercase());
    }
    text
}
