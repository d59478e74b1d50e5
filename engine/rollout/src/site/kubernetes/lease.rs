//! One operator at a time: a Lease of the cluster, renewed while it is held.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use tokio::sync::{oneshot, watch};

use super::cluster::Cluster;
use super::error::{Asked, KubernetesError};
use crate::site::held::HeldLease;

/// Who holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// For people, and different for every run.
    name: String,
    /// Tells on the same machine whether the process still lives.
    process: ProcessId,
}

/// A process of a machine that was started once.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ProcessId {
    /// Machine and its start, and the space that process ids are counted in.
    machine: String,
    pid: u32,
    /// When it was started: process ids come again.
    started: String,
}

/// Long enough for an API server that is restarted, short enough to wait for after a machine has died.
const DURATION: Duration = Duration::from_secs(30);
const RENEWAL: Duration = Duration::from_secs(5);

/// The annotation with a [`ProcessId`].
const PROCESS: &str = "vault-token-plugin/process";

/// How a Lease stands to a caller.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    Free,
    Ours,
    Others { holder: String, seconds: u64 },
}

impl Identity {
    /// Of this process.
    pub(super) fn of_this_process() -> Self {
        let process = ProcessId::of_this_process();
        let user =
            std::env::var("USER").ok().filter(|user| !user.is_empty()).unwrap_or_else(|| "somebody".into());
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Self { name: format!("{user}@{} ({}, {})", host.trim(), process.pid, process.started), process }
    }
}

impl ProcessId {
    fn of_this_process() -> Self {
        let pid = std::process::id();
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let space = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        let machine = format!("{} {}", boot.trim(), space.display());
        Self { machine, pid, started: started(pid).unwrap_or_default() }
    }

    /// Machine, process id and start, the last two without blanks.
    fn parse(text: &str) -> Option<Self> {
        let (rest, started) = text.rsplit_once(' ')?;
        let (machine, pid) = rest.rsplit_once(' ')?;
        Some(Self { machine: machine.to_owned(), pid: pid.parse().ok()?, started: started.to_owned() })
    }

    /// True only for a process of this machine that is not there any more.
    fn is_dead(&self) -> bool {
        self.machine == Self::of_this_process().machine && started(self.pid).as_ref() != Some(&self.started)
    }
}

impl std::fmt::Display for ProcessId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.machine, self.pid, self.started)
    }
}

/// The start of a process in ticks since the machine's own. What comes before it, the name, may hold anything.
fn started(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(19).map(str::to_owned)
}

/// Whoever else holds the Lease of a StatefulSet.
pub(super) async fn other(
    cluster: &Cluster,
    statefulset: &str,
    own: &Identity,
) -> Result<Option<String>, KubernetesError> {
    let lease = read(cluster, &name(statefulset)).await?;
    Ok(match lease.map(|lease| standing(&lease, own, Timestamp::now())) {
        Some(Standing::Others { holder, seconds }) => Some(format!("{holder}, last seen {seconds} s ago,")),
        Some(Standing::Free | Standing::Ours) | None => None,
    })
}

/// Holds the Lease of a StatefulSet.
pub(super) async fn hold(
    cluster: &Cluster,
    statefulset: &str,
    own: &Identity,
) -> Result<HeldLease, KubernetesError> {
    let name = name(statefulset);
    let held = take(cluster, &name, own).await?;
    let (stop, stopped) = oneshot::channel();
    let (lose, lost) = watch::channel(None);
    let keeper = keep(cluster.clone(), held, own.clone(), stopped, lose);
    Ok(HeldLease::kept(tokio::spawn(keeper), stop, lost))
}

fn name(statefulset: &str) -> String {
    format!("vault-token-plugin-{statefulset}")
}

async fn read(cluster: &Cluster, name: &str) -> Result<Option<Lease>, KubernetesError> {
    let api = cluster.leases();
    cluster.again(Asked::GET_LEASE, || api.get_opt(name)).await
}

/// Whoever writes second learns it from the cluster, which compares what each has seen; the look after that says who was first.
async fn take(cluster: &Cluster, name: &str, own: &Identity) -> Result<Lease, KubernetesError> {
    let (api, params) = (cluster.leases(), PostParams::default());
    loop {
        let there = read(cluster, name).await?;
        let written = match &there {
            None => {
                let fresh = signed(None, name, own);
                cluster.again(Asked::CREATE_LEASE, || api.create(&params, &fresh)).await
            }
            Some(lease) => match standing(lease, own, Timestamp::now()) {
                Standing::Others { holder, seconds } => {
                    return Err(KubernetesError::Held { holder, seconds });
                }
                Standing::Ours | Standing::Free => {
                    let ours = signed(Some(lease), name, own);
                    cluster.again(Asked::UPDATE_LEASE, || write(&api, name, &params, &ours)).await
                }
            },
        };
        match written {
            Err(KubernetesError::Conflict) => {}
            other => return other,
        }
    }
}

async fn write(
    api: &kube::Api<Lease>,
    name: &str,
    params: &PostParams,
    lease: &Lease,
) -> Result<Lease, kube::Error> {
    api.replace(name, params, lease).await
}

/// Renews until it is told to stop, and then gives the Lease back. One that somebody else has taken is lost.
async fn keep(
    cluster: Cluster,
    mut held: Lease,
    own: Identity,
    mut stop: oneshot::Receiver<()>,
    lose: watch::Sender<Option<String>>,
) {
    let (api, params) = (cluster.leases(), PostParams::default());
    let name = held.metadata.name.clone().unwrap_or_default();
    loop {
        tokio::select! {
            _told_or_dropped = &mut stop => break,
            () = tokio::time::sleep(RENEWAL) => {}
        }
        let renewed = signed(Some(&held), &name, &own);
        match write(&api, &name, &params, &renewed).await {
            Ok(lease) => held = lease,
            // An API server that is away is asked again; meanwhile nobody else can take it either.
            Err(_) => match api.get(&name).await {
                Ok(there) => match standing(&there, &own, Timestamp::now()) {
                    Standing::Others { holder, .. } => {
                        lose.send_replace(Some(holder));
                        return;
                    }
                    Standing::Ours | Standing::Free => held = there,
                },
                Err(kube::Error::Api(status)) if status.is_not_found() => {
                    lose.send_replace(Some("nobody (it was deleted)".to_owned()));
                    return;
                }
                Err(_) => {}
            },
        }
    }
    let mut free = held;
    if let Some(spec) = &mut free.spec {
        spec.holder_identity = None;
        spec.renew_time = None;
    }
    // One that cannot be given back ends by itself.
    let _given_back = write(&api, &name, &params, &free).await;
}

/// The Lease as held by `own` from now on.
fn signed(there: Option<&Lease>, name: &str, own: &Identity) -> Lease {
    let now = MicroTime(Timestamp::now());
    let before = there.and_then(|lease| lease.spec.clone()).unwrap_or_default();
    let goes_on = before.holder_identity.as_ref() == Some(&own.name);
    let metadata = there.map(|lease| lease.metadata.clone()).unwrap_or_default();
    let mut annotations: BTreeMap<String, String> = metadata.annotations.clone().unwrap_or_default();
    annotations.insert(PROCESS.to_owned(), own.process.to_string());
    Lease {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            annotations: Some(annotations),
            managed_fields: None,
            ..metadata
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(own.name.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: before.acquire_time.filter(|_| goes_on).or(Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(before.lease_transitions.unwrap_or(0) + i32::from(!goes_on)),
            ..before
        }),
    }
}

/// A Lease whose time is over is free, and so is one whose holder died on this machine. A clock that goes before another's
/// makes a Lease seem younger, never older than its holder's patience, unless it is wrong by as much as that.
fn standing(lease: &Lease, own: &Identity, now: Timestamp) -> Standing {
    let Some(spec) = &lease.spec else { return Standing::Free };
    let Some(holder) = spec.holder_identity.clone().filter(|holder| !holder.is_empty()) else {
        return Standing::Free;
    };
    if holder == own.name {
        return Standing::Ours;
    }
    let Some(MicroTime(renewed)) = &spec.renew_time else { return Standing::Free };
    let seconds = now.duration_since(*renewed).as_secs();
    let lasts = i64::from(spec.lease_duration_seconds.unwrap_or(0));
    let process = lease.metadata.annotations.as_ref().and_then(|all| all.get(PROCESS));
    let is_dead = process.and_then(|text| ProcessId::parse(text)).is_some_and(|process| process.is_dead());
    if is_dead || seconds > lasts {
        return Standing::Free;
    }
    Standing::Others { holder, seconds: u64::try_from(seconds).unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn somebody(name: &str, pid: u32, started: &str) -> Identity {
        let machine = ProcessId::of_this_process().machine;
        Identity { name: name.into(), process: ProcessId { machine, pid, started: started.into() } }
    }

    fn elsewhere(name: &str) -> Identity {
        let process = ProcessId { machine: "another machine".into(), pid: 1, started: "1".into() };
        Identity { name: name.into(), process }
    }

    fn later(lease: &Lease, seconds: i64) -> Timestamp {
        let MicroTime(renewed) =
            lease.spec.as_ref().and_then(|spec| spec.renew_time.clone()).expect("a time");
        renewed.checked_add(jiff::SignedDuration::from_secs(seconds)).expect("a time")
    }

    #[test]
    fn a_lease_is_others_until_its_time_is_over() {
        let lease = signed(None, "l", &elsewhere("alice"));
        let own = Identity::of_this_process();
        let held = Standing::Others { holder: "alice".into(), seconds: 12 };
        assert_eq!(standing(&lease, &own, later(&lease, 12)), held);
        assert_eq!(standing(&lease, &own, later(&lease, 31)), Standing::Free);
        let behind = Standing::Others { holder: "alice".into(), seconds: 0 };
        assert_eq!(standing(&lease, &own, later(&lease, -3)), behind);
        assert_eq!(standing(&lease, &elsewhere("alice"), later(&lease, 12)), Standing::Ours);
        assert_eq!(standing(&Lease::default(), &own, Timestamp::now()), Standing::Free);
    }

    #[test]
    fn a_holder_that_died_on_this_machine_holds_nothing() {
        let own = Identity::of_this_process();
        let gone = signed(None, "l", &somebody("me", std::process::id(), "0"));
        assert_eq!(standing(&gone, &own, later(&gone, 1)), Standing::Free);
        let alive = Identity { name: "me too".into(), ..own.clone() };
        let alive = signed(None, "l", &alive);
        assert!(matches!(standing(&alive, &own, later(&alive, 1)), Standing::Others { .. }));
    }

    #[test]
    fn a_process_is_written_and_read_the_same() {
        let process = ProcessId::of_this_process();
        assert!(!process.started.is_empty());
        assert_eq!(ProcessId::parse(&process.to_string()), Some(process));
        for text in ["", "x", "a b", "a b c d x"] {
            assert!(ProcessId::parse(text).is_none_or(|process| !process.is_dead()), "{text}");
        }
    }

    #[test]
    fn a_takeover_is_counted_and_a_renewal_is_not() {
        let first = signed(None, "l", &elsewhere("alice"));
        let renewed = signed(Some(&first), "l", &elsewhere("alice"));
        let taken = signed(Some(&renewed), "l", &elsewhere("bob"));
        let transitions = |lease: &Lease| lease.spec.as_ref().and_then(|spec| spec.lease_transitions);
        assert_eq!(
            (transitions(&first), transitions(&renewed), transitions(&taken)),
            (Some(1), Some(1), Some(2))
        );
    }
}
