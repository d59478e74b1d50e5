//! One operator at a time: a Lease of the cluster, renewed while it is held.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};

use super::cluster::Cluster;
use super::error::{ApiRequest, KubernetesError};
use crate::deployment::lease_lock::{LeaseLock, LockLost};
use crate::deployment::processes;
use crate::observed::deployment::{HolderLiveness, LockHolder};

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
    start_time: String,
}

/// For how long a Lease that is not renewed is still its holder's. Long enough for an API server that is restarted, short
/// enough to wait for after a machine has died.
const LEASE_DURATION: Duration = Duration::from_secs(30);

/// After this time without a renewal the holder stops by itself: before anybody else may take the Lease, also when what
/// others see is older by a request.
const RENEW_DEADLINE: Duration = Duration::from_secs(20);

/// How often it is renewed, or tried to.
const RETRY_PERIOD: Duration = Duration::from_secs(5);

/// How long one request about a Lease may take: a connection that is open on this side alone never answers.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// How often somebody else's Lease is looked at, to see whether it is renewed.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The annotation with a [`ProcessId`].
const PROCESS_ANNOTATION: &str = "vault-token-plugin/process";

/// How a Lease stands to a caller.
#[derive(Debug, PartialEq, Eq)]
enum LockState {
    Free,
    Ours,
    HeldByOther(LockHolder),
}

/// What was seen of a Lease, on the clock of this machine. Times that are written in it are of other clocks, and are only
/// compared with each other.
#[derive(Debug, Default)]
pub(super) struct LockObserver(Mutex<Option<LeaseRecord>>);

#[derive(Clone, Debug)]
struct LeaseRecord {
    spec: LeaseSpec,
    /// When it was first seen as it is.
    first_seen: Instant,
    /// Whether its holder has renewed it while it was looked at.
    renewed: bool,
}

impl LeaseRecord {
    /// What is known of a Lease that is read `now`, when this was known before.
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

    /// Whether it is free, as far as this machine has seen: a holder that lives renews it before its time is over.
    fn lock_state(&self, process: &HolderProcess, own: &Identity, now: Instant) -> LockState {
        let Some(holder) = self.spec.holder_identity.clone().filter(|holder| !holder.is_empty()) else {
            return LockState::Free;
        };
        if holder == own.name {
            return LockState::Ours;
        }
        let lasts = u64::try_from(self.spec.lease_duration_seconds.unwrap_or(0)).unwrap_or(0);
        let lasts = Duration::from_secs(lasts);
        let is_over = now.saturating_duration_since(self.first_seen) >= lasts;
        let evidence = match process {
            HolderProcess::Exited => return LockState::Free,
            HolderProcess::Running => HolderLiveness::Confirmed,
            HolderProcess::Unknown if is_over => return LockState::Free,
            HolderProcess::Unknown if self.renewed || lasts > LEASE_DURATION => HolderLiveness::Confirmed,
            HolderProcess::Unknown => HolderLiveness::Unconfirmed,
        };
        LockState::HeldByOther(LockHolder { name: holder, liveness: evidence })
    }
}

impl LockObserver {
    /// How a Lease stands that was just read.
    fn lock_state(&self, lease: &Lease, own: &Identity) -> LockState {
        let Some(spec) = &lease.spec else { return LockState::Free };
        let now = Instant::now();
        let mut record = self.0.lock();
        let seen = LeaseRecord::observe(record.as_ref(), spec, now);
        let standing = seen.lock_state(&HolderProcess::of(lease), own, now);
        *record = Some(seen);
        standing
    }
}

/// What this machine knows of the process that holds a Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HolderProcess {
    Running,
    Exited,
    /// It is another machine's, or hidden from this user.
    Unknown,
}

impl HolderProcess {
    fn of(lease: &Lease) -> Self {
        let process = lease.metadata.annotations.as_ref().and_then(|all| all.get(PROCESS_ANNOTATION));
        let process = process.and_then(|text| ProcessId::parse(text));
        let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default();
        // Whoever writes no annotation leaves that of the holder before.
        match process.filter(|process| holder.ends_with(&process.identity_suffix())) {
            Some(process) => process.process_state(),
            None => Self::Unknown,
        }
    }
}

impl Identity {
    /// Of this process.
    pub(super) fn of_this_process() -> Self {
        let process = ProcessId::of_this_process();
        let user =
            std::env::var("USER").ok().filter(|user| !user.is_empty()).unwrap_or_else(|| "somebody".into());
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Self { name: format!("{user}@{} {}", host.trim(), process.identity_suffix()), process }
    }
}

impl ProcessId {
    fn of_this_process() -> Self {
        let pid = std::process::id();
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let space = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        let machine = format!("{} {}", boot.trim(), space.display());
        Self { machine, pid, start_time: processes::start_time(pid).unwrap_or_default() }
    }

    /// What the name of a holder ends with.
    fn identity_suffix(&self) -> String {
        format!("({}, {})", self.pid, self.start_time)
    }

    /// Machine, process id and start, the last two without blanks.
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
        let is_there = || processes::exists(self.pid);
        self.process_state_from(start.as_deref(), is_there)
    }

    /// By the start of the process that has its number now, which `/proc` mounted with `hidepid` shows of other users' to nobody.
    fn process_state_from(&self, start: Option<&str>, is_there: impl Fn() -> bool) -> HolderProcess {
        match start {
            Some(start) if start == self.start_time => HolderProcess::Running,
            Some(_) => HolderProcess::Exited,
            None if is_there() => HolderProcess::Unknown,
            None => HolderProcess::Exited,
        }
    }
}

impl std::fmt::Display for ProcessId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.machine, self.pid, self.start_time)
    }
}

/// Whoever else holds the Lease of a StatefulSet.
pub(super) async fn other_holder(
    cluster: &Cluster,
    statefulset: &str,
    own: &Identity,
    sight: &LockObserver,
) -> Result<Option<LockHolder>, KubernetesError> {
    let lease = get_lease(cluster, &lease_name(statefulset)).await?;
    Ok(match lease.map(|lease| sight.lock_state(&lease, own)) {
        Some(LockState::HeldByOther(holder)) => Some(holder),
        Some(LockState::Free | LockState::Ours) | None => None,
    })
}

/// Holds the Lease of a StatefulSet.
pub(super) async fn acquire_lock(
    cluster: &Cluster,
    statefulset: &str,
    own: &Identity,
    sight: &LockObserver,
) -> Result<LeaseLock, KubernetesError> {
    let name = lease_name(statefulset);
    let (held, renewed) = acquire_lease(cluster, &name, own, sight).await?;
    let (stop, stopped) = oneshot::channel();
    let (lose, lost) = watch::channel(None);
    let keeper = LeaseRenewer {
        cluster: cluster.clone(),
        name,
        identity: own.clone(),
        lease: held,
        renewed_at: renewed,
    };
    let keeper = keeper.run(stopped, lose);
    Ok(LeaseLock::with_renew_task(tokio::spawn(keeper), stop, lost))
}

fn lease_name(statefulset: &str) -> String {
    format!("vault-token-plugin-{statefulset}")
}

async fn get_lease(cluster: &Cluster, name: &str) -> Result<Option<Lease>, KubernetesError> {
    let api = cluster.leases();
    cluster.retry(ApiRequest::GET_LEASE, || api.get_opt(name)).await
}

/// Whoever writes second learns it from the cluster, which compares what each has seen; the look after that says who was
/// first. Returns the Lease, and when it was asked for.
async fn acquire_lease(
    cluster: &Cluster,
    name: &str,
    own: &Identity,
    sight: &LockObserver,
) -> Result<(Lease, Instant), KubernetesError> {
    let (api, params) = (cluster.leases(), PostParams::default());
    let until = Instant::now() + LEASE_DURATION + RETRY_PERIOD;
    loop {
        let there = get_lease(cluster, name).await?;
        let asked = Instant::now();
        let written = match &there {
            None => {
                let fresh = lease_held_by(None, name, own);
                cluster.retry(ApiRequest::CREATE_LEASE, || api.create(&params, &fresh)).await
            }
            Some(lease) => match sight.lock_state(lease, own) {
                // It shows within its time whether it is renewed.
                LockState::HeldByOther(LockHolder { liveness: HolderLiveness::Unconfirmed, .. })
                    if asked < until =>
                {
                    tokio::time::sleep(POLL_INTERVAL).await;
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
            other => return Ok((other?, asked)),
        }
    }
}

/// Renews a Lease that is held.
struct LeaseRenewer {
    cluster: Cluster,
    name: String,
    identity: Identity,
    lease: Lease,
    /// When the latest renewal that was answered was sent: nobody has seen it later than that.
    renewed_at: Instant,
}

impl LeaseRenewer {
    /// Renews until it is told to stop, and then gives the Lease back. One that somebody else has taken is lost, and so is one
    /// that could not be renewed in time: whoever looks may take it.
    async fn run(mut self, mut stop: oneshot::Receiver<()>, lose: watch::Sender<Option<LockLost>>) {
        loop {
            let deadline = self.renewed_at + RENEW_DEADLINE;
            let next = deadline.min(Instant::now() + RETRY_PERIOD);
            tokio::select! {
                _told_or_dropped = &mut stop => break,
                () = tokio::time::sleep_until(next) => {}
            }
            if let Err(lost) = self.renew(deadline).await {
                lose.send_replace(Some(lost));
                return;
            }
        }
        let mut free = self.lease.clone();
        if let Some(spec) = &mut free.spec {
            spec.holder_identity = None;
            spec.renew_time = None;
        }
        let (api, params) = (self.cluster.leases(), PostParams::default());
        // One that cannot be given back ends by itself.
        let _given_back = timeout(REQUEST_TIMEOUT, api.replace(&self.name, &params, &free)).await;
    }

    /// One try. What is not answered is tried again until `deadline`.
    async fn renew(&mut self, deadline: Instant) -> Result<(), LockLost> {
        let (api, params) = (self.cluster.leases(), PostParams::default());
        let renewed = lease_held_by(Some(&self.lease), &self.name, &self.identity);
        let asked = Instant::now();
        let end = deadline.min(asked + REQUEST_TIMEOUT);
        if let Ok(Ok(lease)) = timeout_at(end, api.replace(&self.name, &params, &renewed)).await {
            (self.lease, self.renewed_at) = (lease, asked);
            return Ok(());
        }
        let end = deadline.min(Instant::now() + REQUEST_TIMEOUT);
        match timeout_at(end, api.get(&self.name)).await {
            Ok(Ok(there)) => {
                let holder = there.spec.as_ref().and_then(|spec| spec.holder_identity.clone());
                match holder.filter(|holder| !holder.is_empty()) {
                    // It was renewed though that was not answered, or somebody has labelled it.
                    Some(holder) if holder == self.identity.name => self.lease = there,
                    Some(holder) => return Err(LockLost::Taken { holder }),
                    None => return Err(LockLost::Gone { lease: self.lease_label() }),
                }
            }
            Ok(Err(kube::Error::Api(status))) if status.is_not_found() => {
                return Err(LockLost::Gone { lease: self.lease_label() });
            }
            Ok(Err(_)) | Err(_) => {}
        }
        if Instant::now() < deadline {
            return Ok(());
        }
        Err(LockLost::NotRenewed { lease: self.lease_label(), seconds: self.renewed_at.elapsed().as_secs() })
    }

    fn lease_label(&self) -> String {
        format!("the Lease {}", self.name)
    }
}

/// The Lease as held by `own` from now on.
fn lease_held_by(there: Option<&Lease>, name: &str, own: &Identity) -> Lease {
    let now = MicroTime(Timestamp::now());
    let before = there.and_then(|lease| lease.spec.clone()).unwrap_or_default();
    let goes_on = before.holder_identity.as_ref() == Some(&own.name);
    let metadata = there.map(|lease| lease.metadata.clone()).unwrap_or_default();
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
            acquire_time: before.acquire_time.filter(|_| goes_on).or(Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(before.lease_transitions.unwrap_or(0) + i32::from(!goes_on)),
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

    /// What is known of a Lease that is seen at these seconds, each time as it is written there.
    fn observe_lease(looks: &[(u64, &Lease)], now: u64) -> LockState {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut record: Option<LeaseRecord> = None;
        for (seconds, lease) in looks {
            record = Some(LeaseRecord::observe(
                record.as_ref(),
                lease.spec.as_ref().expect("a spec"),
                at(*seconds),
            ));
        }
        let process = HolderProcess::of(looks.last().expect("a look").1);
        record.expect("a look").lock_state(&process, &Identity::of_this_process(), at(now))
    }

    fn held_by_other(name: &str, evidence: HolderLiveness) -> LockState {
        LockState::HeldByOther(LockHolder { name: name.into(), liveness: evidence })
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
        // Whatever the other clock says.
        for skew in [-86_400, 0, 86_400] {
            let (lease, renewed) = (by_a_clock_ahead(&lease, skew), by_a_clock_ahead(&renewed, skew));
            assert_eq!(observe_lease(&[(0, &lease)], 0), held_by_other("alice", Unconfirmed));
            assert_eq!(observe_lease(&[(0, &lease), (29, &lease)], 29), held_by_other("alice", Unconfirmed));
            assert_eq!(observe_lease(&[(0, &lease), (30, &lease)], 30), LockState::Free);
            assert_eq!(observe_lease(&[(0, &lease), (5, &renewed)], 34), held_by_other("alice", Confirmed));
            assert_eq!(observe_lease(&[(0, &lease), (5, &renewed), (35, &renewed)], 35), LockState::Free);
        }
        // Another holder has shown nothing yet.
        let taken = lease_held_by(Some(&lease), "l", &remote_identity("bob"));
        assert_eq!(observe_lease(&[(0, &lease), (5, &taken)], 5), held_by_other("bob", Unconfirmed));
    }

    #[test]
    fn what_nobody_holds_is_free_and_ones_own_is_ones_own() {
        let own = Identity::of_this_process();
        assert_eq!(observe_lease(&[(0, &lease_held_by(None, "l", &own))], 99), LockState::Ours);
        let mut given_back = lease_held_by(None, "l", &remote_identity("alice"));
        given_back.spec.as_mut().expect("a spec").holder_identity = None;
        assert_eq!(observe_lease(&[(0, &given_back)], 0), LockState::Free);
    }

    #[test]
    fn a_lease_that_lasts_longer_than_is_waited_is_held() {
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
        // The annotation is of the holder before.
        let taken = Identity { name: "alice".into(), ..alive };
        let taken = lease_held_by(None, "l", &taken);
        assert_eq!(observe_lease(&[(0, &taken)], 0), held_by_other("alice", HolderLiveness::Unconfirmed));
    }

    /// A holder stops before anybody else may begin, however late its last renewal arrived.
    #[test]
    fn a_holder_gives_up_before_its_lease_is_over() {
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
