//! The lock that allows one operator at a time: a Lease, renewed while it is held.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use parking_lot::Mutex;
use rollout::{HolderLiveness, LeaseLock, LockHolder, LockLost, Poll};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};

use super::cluster::Cluster;
use super::error::{ApiRequest, KubernetesError};
use crate::processes;

/// The identity of a holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// Readable name, unique for every run.
    name: String,
    /// Shows on the same machine whether the process still runs.
    process: ProcessId,
}

/// A process, unique across machines and restarts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ProcessId {
    /// Boot id of the machine, and its pid namespace.
    machine: String,
    pid: u32,
    /// Start time, because process ids are reused.
    start_time: String,
}

/// How long a Lease is valid without a renewal: longer than a restart of an API server, and short enough to wait for after a machine has failed.
const LEASE_DURATION: Duration = Duration::from_secs(30);

/// How long a holder continues without a renewal. It stops before others may take the Lease, even if their view is older by one request.
const RENEW_DEADLINE: Duration = Duration::from_secs(20);

/// Interval between renewals.
const RETRY_PERIOD: Duration = Duration::from_secs(5);

/// Timeout of a request. A half-open connection never responds.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Interval at which another holder's Lease is read, to see whether it is renewed.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The annotation with a [`ProcessId`].
const PROCESS_ANNOTATION: &str = "vault-token-plugin/process";

/// The state of a Lease for one operator.
#[derive(Debug, PartialEq, Eq)]
enum LockState {
    Free,
    Ours,
    HeldByOther(LockHolder),
}

/// Remembers the last state of a Lease and when it was read, by the clock of this machine. Times in the Lease are from other clocks, and are
/// only compared with each other.
#[derive(Debug, Default)]
pub(super) struct LockObserver(Mutex<Option<LeaseRecord>>);

#[derive(Clone, Debug)]
struct LeaseRecord {
    spec: LeaseSpec,
    /// When this state was first read.
    first_seen: Instant,
    /// Whether its holder has renewed it since the first read.
    renewed: bool,
}

impl LeaseRecord {
    /// Combines a Lease that is read `now` with the previous record.
    fn observe(before: Option<&LeaseRecord>, spec: &LeaseSpec, now: Instant) -> LeaseRecord {
        match before {
            Some(before) if before.spec == *spec => before.clone(),
            before => {
                let renewed =
                    before.is_some_and(|before| before.spec.holder_identity == spec.holder_identity);
                LeaseRecord { spec: spec.clone(), first_seen: now, renewed }
            }
        }
    }

    /// Whether the Lease is free. A running holder renews it before it expires.
    fn lock_state(&self, process: &HolderProcess, own: &Identity, now: Instant) -> LockState {
        let Some(holder) = self.spec.holder_identity.clone().filter(|holder| !holder.is_empty()) else {
            return LockState::Free;
        };
        if holder == own.name {
            return LockState::Ours;
        }
        let seconds = u64::try_from(self.spec.lease_duration_seconds.unwrap_or(0)).unwrap_or(0);
        let duration = Duration::from_secs(seconds);
        let is_expired = now.saturating_duration_since(self.first_seen) >= duration;
        let liveness = match process {
            HolderProcess::Exited => return LockState::Free,
            HolderProcess::Running => HolderLiveness::Confirmed,
            HolderProcess::Unknown if is_expired => return LockState::Free,
            HolderProcess::Unknown if self.renewed || duration > LEASE_DURATION => HolderLiveness::Confirmed,
            HolderProcess::Unknown => HolderLiveness::Unconfirmed,
        };
        LockState::HeldByOther(LockHolder { name: holder, liveness })
    }
}

impl LockObserver {
    /// Returns the state of a Lease that was just read.
    fn lock_state(&self, lease: &Lease, own: &Identity) -> LockState {
        let Some(spec) = &lease.spec else { return LockState::Free };
        let now = Instant::now();
        let mut record = self.0.lock();
        let current = LeaseRecord::observe(record.as_ref(), spec, now);
        let state = current.lock_state(&HolderProcess::of(lease), own, now);
        *record = Some(current);
        state
    }
}

/// What this machine knows about the process that holds a Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HolderProcess {
    Running,
    Exited,
    /// The process is on another machine, or hidden from this user.
    Unknown,
}

impl HolderProcess {
    fn of(lease: &Lease) -> Self {
        let process = lease.metadata.annotations.as_ref().and_then(|all| all.get(PROCESS_ANNOTATION));
        let process = process.and_then(|text| ProcessId::parse(text));
        let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default();
        // A client that does not know the annotation leaves that of the previous holder.
        match process.filter(|process| holder.ends_with(&process.identity_suffix())) {
            Some(process) => process.process_state(),
            None => Self::Unknown,
        }
    }
}

impl Identity {
    /// The identity of this process.
    pub(super) fn of_this_process() -> Self {
        let process = ProcessId::of_this_process();
        let user =
            std::env::var("USER").ok().filter(|user| !user.is_empty()).unwrap_or_else(|| "unknown".into());
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Self { name: format!("{user}@{} {}", host.trim(), process.identity_suffix()), process }
    }
}

impl ProcessId {
    fn of_this_process() -> Self {
        let pid = std::process::id();
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        let machine = format!("{} {}", boot.trim(), namespace.display());
        Self { machine, pid, start_time: processes::start_time(pid).unwrap_or_default() }
    }

    /// Suffix of a holder's name.
    fn identity_suffix(&self) -> String {
        format!("({}, {})", self.pid, self.start_time)
    }

    /// Parses machine, process id and start time; the last two contain no spaces.
    fn parse(text: &str) -> Option<Self> {
        let (rest, started) = text.rsplit_once(' ')?;
        let (machine, pid) = rest.rsplit_once(' ')?;
        Some(Self { machine: machine.to_owned(), pid: pid.parse().ok()?, start_time: started.to_owned() })
    }

    fn process_state(&self) -> HolderProcess {
        if self.machine != Self::of_this_process().machine {
            return HolderProcess::Unknown;
        }
        let start = processes::start_time(self.pid);
        self.process_state_from(start.as_deref(), || processes::exists(self.pid))
    }

    /// Compares with the start time of the process that has this id now. With the mount option `hidepid`, `/proc` hides processes of other
    /// users.
    fn process_state_from(&self, start: Option<&str>, exists: impl Fn() -> bool) -> HolderProcess {
        match start {
            Some(start) if start == self.start_time => HolderProcess::Running,
            Some(_) => HolderProcess::Exited,
            None if exists() => HolderProcess::Unknown,
            None => HolderProcess::Exited,
        }
    }
}

impl std::fmt::Display for ProcessId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.machine, self.pid, self.start_time)
    }
}

/// Returns another operator that holds the Lease of a StatefulSet.
pub(super) async fn other_holder(
    cluster: &Cluster,
    statefulset: &str,
    own: &Identity,
    observer: &LockObserver,
) -> Result<Option<LockHolder>, KubernetesError> {
    let lease = get_lease(cluster, &lease_name(statefulset)).await?;
    Ok(match lease.map(|lease| observer.lock_state(&lease, own)) {
        Some(LockState::HeldByOther(holder)) => Some(holder),
        Some(LockState::Free | LockState::Ours) | None => None,
    })
}

/// Acquires the Lease of a StatefulSet.
pub(super) async fn acquire_lock(
    cluster: &Cluster,
    statefulset: &str,
    own: &Identity,
    observer: &LockObserver,
) -> Result<LeaseLock, KubernetesError> {
    let name = lease_name(statefulset);
    let (lease, renewed_at) = acquire_lease(cluster, &name, own, observer).await?;
    let (stop, stopped) = oneshot::channel();
    let (lose, lost) = watch::channel(None);
    let renewer = LeaseRenewer { cluster: cluster.clone(), name, identity: own.clone(), lease, renewed_at };
    Ok(LeaseLock::with_renew_task(tokio::spawn(renewer.run(stopped, lose)), stop, lost))
}

fn lease_name(statefulset: &str) -> String {
    format!("vault-token-plugin-{statefulset}")
}

async fn get_lease(cluster: &Cluster, name: &str) -> Result<Option<Lease>, KubernetesError> {
    let api = cluster.leases();
    cluster.retry(ApiRequest::GET_LEASE, || api.get_opt(name)).await
}

/// Acquires the Lease with optimistic concurrency: of two operators, the second gets a conflict, and reads the Lease again. Returns the Lease
/// and the time of the request.
async fn acquire_lease(
    cluster: &Cluster,
    name: &str,
    own: &Identity,
    observer: &LockObserver,
) -> Result<(Lease, Instant), KubernetesError> {
    let (api, params) = (cluster.leases(), PostParams::default());
    let mut poll = Poll::every(POLL_INTERVAL, LEASE_DURATION + RETRY_PERIOD);
    loop {
        let current = get_lease(cluster, name).await?;
        let requested_at = Instant::now();
        let written = match &current {
            None => {
                let new = lease_held_by(None, name, own);
                cluster.retry(ApiRequest::CREATE_LEASE, || api.create(&params, &new)).await
            }
            Some(lease) => match observer.lock_state(lease, own) {
                // A running holder renews it before it expires.
                LockState::HeldByOther(LockHolder { liveness: HolderLiveness::Unconfirmed, .. })
                    if !poll.timed_out() =>
                {
                    poll.pause().await;
                    continue;
                }
                LockState::HeldByOther(LockHolder { name: holder, .. }) => {
                    return Err(KubernetesError::LockHeld { holder, lease: name.to_owned() });
                }
                LockState::Ours | LockState::Free => {
                    let ours = lease_held_by(Some(lease), name, own);
                    cluster.retry(ApiRequest::UPDATE_LEASE, || api.replace(name, &params, &ours)).await
                }
            },
        };
        match written {
            Err(KubernetesError::Conflict) => {}
            other => return Ok((other?, requested_at)),
        }
    }
}

/// Renews a Lease that is held.
struct LeaseRenewer {
    cluster: Cluster,
    name: String,
    identity: Identity,
    lease: Lease,
    /// Send time of the last successful renewal. Other clients have read it after that.
    renewed_at: Instant,
}

impl LeaseRenewer {
    /// Renews the Lease until it is stopped, and then releases it. The lock is lost if another holder has taken the Lease, or if it could not be
    /// renewed in time.
    async fn run(mut self, mut stop: oneshot::Receiver<()>, lose: watch::Sender<Option<LockLost>>) {
        loop {
            let deadline = self.renewed_at + RENEW_DEADLINE;
            let next = deadline.min(Instant::now() + RETRY_PERIOD);
            tokio::select! {
                _stopped_or_dropped = &mut stop => break,
                () = tokio::time::sleep_until(next) => {}
            }
            if let Err(lost) = self.renew(deadline).await {
                lose.send_replace(Some(lost));
                return;
            }
        }
        let mut released = self.lease.clone();
        if let Some(spec) = &mut released.spec {
            spec.holder_identity = None;
            spec.renew_time = None;
        }
        let (api, params) = (self.cluster.leases(), PostParams::default());
        // If this fails, the Lease expires.
        let _released = timeout(REQUEST_TIMEOUT, api.replace(&self.name, &params, &released)).await;
    }

    /// One attempt. A request without a response is repeated until `deadline`.
    async fn renew(&mut self, deadline: Instant) -> Result<(), LockLost> {
        let (api, params) = (self.cluster.leases(), PostParams::default());
        let renewed = lease_held_by(Some(&self.lease), &self.name, &self.identity);
        let requested_at = Instant::now();
        let end = deadline.min(requested_at + REQUEST_TIMEOUT);
        if let Ok(Ok(lease)) = timeout_at(end, api.replace(&self.name, &params, &renewed)).await {
            (self.lease, self.renewed_at) = (lease, requested_at);
            return Ok(());
        }
        let end = deadline.min(Instant::now() + REQUEST_TIMEOUT);
        match timeout_at(end, api.get(&self.name)).await {
            Ok(Ok(current)) => {
                let holder = current.spec.as_ref().and_then(|spec| spec.holder_identity.clone());
                match holder.filter(|holder| !holder.is_empty()) {
                    // The response of the renewal was lost, or another client has changed its metadata.
                    Some(holder) if holder == self.identity.name => self.lease = current,
                    Some(holder) => return Err(LockLost::Taken { holder }),
                    None => return Err(LockLost::Gone { lease: self.name.clone() }),
                }
            }
            Ok(Err(kube::Error::Api(status))) if status.is_not_found() => {
                return Err(LockLost::Gone { lease: self.name.clone() });
            }
            Ok(Err(_)) | Err(_) => {}
        }
        if Instant::now() < deadline {
            return Ok(());
        }
        Err(LockLost::NotRenewed { lease: self.name.clone(), seconds: self.renewed_at.elapsed().as_secs() })
    }
}

/// The Lease with `own` as its holder.
fn lease_held_by(current: Option<&Lease>, name: &str, own: &Identity) -> Lease {
    let now = MicroTime(Timestamp::now());
    let before = current.and_then(|lease| lease.spec.clone()).unwrap_or_default();
    let is_renewal = before.holder_identity.as_ref() == Some(&own.name);
    let metadata = current.map(|lease| lease.metadata.clone()).unwrap_or_default();
    let mut annotations: BTreeMap<String, String> = metadata.annotations.clone().unwrap_or_default();
    annotations.insert(PROCESS_ANNOTATION.to_owned(), own.process.to_string());
    Lease {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            annotations: Some(annotations),
            managed_fields: None,
            ..metadata
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(own.name.clone()),
            lease_duration_seconds: i32::try_from(LEASE_DURATION.as_secs()).ok(),
            acquire_time: before.acquire_time.filter(|_| is_renewal).or(Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(before.lease_transitions.unwrap_or(0) + i32::from(!is_renewal)),
            ..before
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local_identity(name: &str, pid: u32, started: &str) -> Identity {
        let machine = ProcessId::of_this_process().machine;
        let process = ProcessId { machine, pid, start_time: started.into() };
        Identity { name: format!("{name} {}", process.identity_suffix()), process }
    }

    fn remote_identity(name: &str) -> Identity {
        let process = ProcessId { machine: "another machine".into(), pid: 1, start_time: "1".into() };
        Identity { name: name.into(), process }
    }

    /// The state of a Lease that was read at these times, in seconds.
    fn observe_lease(reads: &[(u64, &Lease)], now: u64) -> LockState {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut record: Option<LeaseRecord> = None;
        for (seconds, lease) in reads {
            record = Some(LeaseRecord::observe(
                record.as_ref(),
                lease.spec.as_ref().expect("a spec"),
                at(*seconds),
            ));
        }
        let process = HolderProcess::of(reads.last().expect("a read").1);
        record.expect("a read").lock_state(&process, &Identity::of_this_process(), at(now))
    }

    fn held_by_other(name: &str, liveness: HolderLiveness) -> LockState {
        LockState::HeldByOther(LockHolder { name: name.into(), liveness })
    }

    /// As `lease`, written by a clock that is so many seconds ahead.
    fn by_a_clock_ahead(lease: &Lease, seconds: i64) -> Lease {
        let mut lease = lease.clone();
        if let Some(MicroTime(time)) = lease.spec.as_mut().and_then(|spec| spec.renew_time.as_mut()) {
            *time = time.checked_add(jiff::SignedDuration::from_secs(seconds)).expect("a time");
        }
        lease
    }

    #[test]
    fn a_process_that_is_hidden_from_this_user_has_not_ended() {
        let process = ProcessId { start_time: "7".into(), ..ProcessId::of_this_process() };
        assert_eq!(process.process_state_from(Some("7"), || true), HolderProcess::Running);
        assert_eq!(process.process_state_from(Some("8"), || true), HolderProcess::Exited);
        assert_eq!(process.process_state_from(None, || true), HolderProcess::Unknown);
        assert_eq!(process.process_state_from(None, || false), HolderProcess::Exited);
    }

    #[test]
    fn a_lease_is_free_when_it_was_not_renewed_for_its_time_on_this_clock() {
        use HolderLiveness::{Confirmed, Unconfirmed};
        let lease = lease_held_by(None, "l", &remote_identity("alice"));
        let renewed = by_a_clock_ahead(&lease, 5);
        // The clock of the holder makes no difference.
        for skew in [-86_400, 0, 86_400] {
            let (lease, renewed) = (by_a_clock_ahead(&lease, skew), by_a_clock_ahead(&renewed, skew));
            assert_eq!(observe_lease(&[(0, &lease)], 0), held_by_other("alice", Unconfirmed));
            assert_eq!(observe_lease(&[(0, &lease), (29, &lease)], 29), held_by_other("alice", Unconfirmed));
            assert_eq!(observe_lease(&[(0, &lease), (30, &lease)], 30), LockState::Free);
            assert_eq!(observe_lease(&[(0, &lease), (5, &renewed)], 34), held_by_other("alice", Confirmed));
            assert_eq!(observe_lease(&[(0, &lease), (5, &renewed), (35, &renewed)], 35), LockState::Free);
        }
        // A new holder has not renewed it yet.
        let taken = lease_held_by(Some(&lease), "l", &remote_identity("bob"));
        assert_eq!(observe_lease(&[(0, &lease), (5, &taken)], 5), held_by_other("bob", Unconfirmed));
    }

    #[test]
    fn a_lease_without_a_holder_is_free_and_the_own_lease_is_held() {
        let own = Identity::of_this_process();
        assert_eq!(observe_lease(&[(0, &lease_held_by(None, "l", &own))], 99), LockState::Ours);
        let mut released = lease_held_by(None, "l", &remote_identity("alice"));
        released.spec.as_mut().expect("a spec").holder_identity = None;
        assert_eq!(observe_lease(&[(0, &released)], 0), LockState::Free);
    }

    #[test]
    fn a_lease_with_a_long_duration_is_held() {
        let mut lease = lease_held_by(None, "l", &remote_identity("alice"));
        lease.spec.as_mut().expect("a spec").lease_duration_seconds = Some(3600);
        assert_eq!(observe_lease(&[(0, &lease)], 0), held_by_other("alice", HolderLiveness::Confirmed));
    }

    #[test]
    fn a_holder_that_died_on_this_machine_holds_nothing() {
        let own = Identity::of_this_process();
        let gone = lease_held_by(None, "l", &local_identity("me", std::process::id(), "0"));
        assert_eq!(observe_lease(&[(0, &gone)], 1), LockState::Free);
        let alive = Identity { name: format!("me too {}", own.process.identity_suffix()), ..own };
        let lease = lease_held_by(None, "l", &alive);
        assert_eq!(observe_lease(&[(0, &lease)], 99), held_by_other(&alive.name, HolderLiveness::Confirmed));
        // The annotation is of the previous holder.
        let taken = Identity { name: "alice".into(), ..alive };
        let taken = lease_held_by(None, "l", &taken);
        assert_eq!(observe_lease(&[(0, &taken)], 0), held_by_other("alice", HolderLiveness::Unconfirmed));
    }

    /// A holder stops before another one may start, even if its last renewal was delayed.
    #[test]
    fn a_holder_stops_before_its_lease_expires() {
        assert!(RENEW_DEADLINE + REQUEST_TIMEOUT < LEASE_DURATION);
        assert!(RETRY_PERIOD * 2 < RENEW_DEADLINE);
    }

    #[test]
    fn a_process_is_written_and_read_the_same() {
        let process = ProcessId::of_this_process();
        assert!(!process.start_time.is_empty());
        assert_eq!(ProcessId::parse(&process.to_string()), Some(process));
        for text in ["", "x", "a b", "a b c d x"] {
            assert!(
                ProcessId::parse(text).is_none_or(|process| process.process_state() != HolderProcess::Exited),
                "{text}"
            );
        }
    }

    #[test]
    fn a_takeover_is_counted_and_a_renewal_is_not() {
        let first = lease_held_by(None, "l", &remote_identity("alice"));
        let renewed = lease_held_by(Some(&first), "l", &remote_identity("alice"));
        let taken = lease_held_by(Some(&renewed), "l", &remote_identity("bob"));
        let transitions = |lease: &Lease| lease.spec.as_ref().and_then(|spec| spec.lease_transitions);
        assert_eq!(
            (transitions(&first), transitions(&renewed), transitions(&taken)),
            (Some(1), Some(1), Some(2))
        );
    }
}
