//! One operator at a time: a Lease of the cluster, renewed while it is held.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};

use super::cluster::Cluster;
use super::error::{Asked, KubernetesError};
use crate::observed::site::{Holder, HolderEvidence};
use crate::site::held::{HeldLease, LeaseLost};
use crate::site::processes;

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

/// For how long a Lease that is not renewed is still its holder's. Long enough for an API server that is restarted, short
/// enough to wait for after a machine has died.
const DURATION: Duration = Duration::from_secs(30);

/// After this time without a renewal the holder stops by itself: before anybody else may take the Lease, also when what
/// others see is older by a request.
const RENEW_DEADLINE: Duration = Duration::from_secs(20);

/// How often it is renewed, or tried to.
const RETRY_PERIOD: Duration = Duration::from_secs(5);

/// How long one request about a Lease may take: a connection that is open on this side alone never answers.
const REQUEST: Duration = Duration::from_secs(5);

/// How often somebody else's Lease is looked at, to see whether it is renewed.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The annotation with a [`ProcessId`].
const PROCESS: &str = "vault-token-plugin/process";

/// How a Lease stands to a caller.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    Free,
    Ours,
    Others(Holder),
}

/// What was seen of a Lease, on the clock of this machine. Times that are written in it are of other clocks, and are only
/// compared with each other.
#[derive(Debug, Default)]
pub(super) struct Sight(Mutex<Option<Record>>);

#[derive(Clone, Debug)]
struct Record {
    spec: LeaseSpec,
    /// When it was first seen as it is.
    since: Instant,
    /// Whether its holder has renewed it while it was looked at.
    renewed: bool,
}

impl Record {
    /// What is known of a Lease that is read `now`, when this was known before.
    fn seen(before: Option<&Record>, spec: &LeaseSpec, now: Instant) -> Record {
        match before {
            Some(before) if before.spec == *spec => before.clone(),
            before => {
                let renewed =
                    before.is_some_and(|before| before.spec.holder_identity == spec.holder_identity);
                Record { spec: spec.clone(), since: now, renewed }
            }
        }
    }

    /// Whether it is free, as far as this machine has seen: a holder that lives renews it before its time is over.
    fn standing(&self, process: &Process, own: &Identity, now: Instant) -> Standing {
        let Some(holder) = self.spec.holder_identity.clone().filter(|holder| !holder.is_empty()) else {
            return Standing::Free;
        };
        if holder == own.name {
            return Standing::Ours;
        }
        let lasts = u64::try_from(self.spec.lease_duration_seconds.unwrap_or(0)).unwrap_or(0);
        let lasts = Duration::from_secs(lasts);
        let is_over = now.saturating_duration_since(self.since) >= lasts;
        let evidence = match process {
            Process::Ended => return Standing::Free,
            Process::Lives => HolderEvidence::Proven,
            Process::NotHere if is_over => return Standing::Free,
            Process::NotHere if self.renewed || lasts > DURATION => HolderEvidence::Proven,
            Process::NotHere => HolderEvidence::Written,
        };
        Standing::Others(Holder { name: holder, evidence })
    }
}

impl Sight {
    /// How a Lease stands that was just read.
    fn standing(&self, lease: &Lease, own: &Identity) -> Standing {
        let Some(spec) = &lease.spec else { return Standing::Free };
        let now = Instant::now();
        let mut record = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = Record::seen(record.as_ref(), spec, now);
        let standing = seen.standing(&Process::of(lease), own, now);
        *record = Some(seen);
        standing
    }
}

/// What this machine knows of the process that holds a Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Process {
    Lives,
    Ended,
    /// It is another machine's, or hidden from this user.
    NotHere,
}

impl Process {
    fn of(lease: &Lease) -> Self {
        let process = lease.metadata.annotations.as_ref().and_then(|all| all.get(PROCESS));
        let process = process.and_then(|text| ProcessId::parse(text));
        let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default();
        // Whoever writes no annotation leaves that of the holder before.
        match process.filter(|process| holder.ends_with(&process.in_brackets())) {
            Some(process) => process.state(),
            None => Self::NotHere,
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
        Self { name: format!("{user}@{} {}", host.trim(), process.in_brackets()), process }
    }
}

impl ProcessId {
    fn of_this_process() -> Self {
        let pid = std::process::id();
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let space = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        let machine = format!("{} {}", boot.trim(), space.display());
        Self { machine, pid, started: processes::started(pid).unwrap_or_default() }
    }

    /// What the name of a holder ends with.
    fn in_brackets(&self) -> String {
        format!("({}, {})", self.pid, self.started)
    }

    /// Machine, process id and start, the last two without blanks.
    fn parse(text: &str) -> Option<Self> {
        let (rest, started) = text.rsplit_once(' ')?;
        let (machine, pid) = rest.rsplit_once(' ')?;
        Some(Self { machine: machine.to_owned(), pid: pid.parse().ok()?, started: started.to_owned() })
    }

    fn state(&self) -> Process {
        if self.machine != Self::of_this_process().machine {
            return Process::NotHere;
        }
        let start = processes::started(self.pid);
        let is_there = || processes::is_there(self.pid);
        self.state_by(start.as_deref(), is_there)
    }

    /// By the start of the process that has its number now, which `/proc` mounted with `hidepid` shows of other users' to nobody.
    fn state_by(&self, start: Option<&str>, is_there: impl Fn() -> bool) -> Process {
        match start {
            Some(start) if start == self.started => Process::Lives,
            Some(_) => Process::Ended,
            None if is_there() => Process::NotHere,
            None => Process::Ended,
        }
    }
}

impl std::fmt::Display for ProcessId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.machine, self.pid, self.started)
    }
}

/// Whoever else holds the Lease of a StatefulSet.
pub(super) async fn other(
    cluster: &Cluster,
    statefulset: &str,
    own: &Identity,
    sight: &Sight,
) -> Result<Option<Holder>, KubernetesError> {
    let lease = read(cluster, &name(statefulset)).await?;
    Ok(match lease.map(|lease| sight.standing(&lease, own)) {
        Some(Standing::Others(holder)) => Some(holder),
        Some(Standing::Free | Standing::Ours) | None => None,
    })
}

/// Holds the Lease of a StatefulSet.
pub(super) async fn hold(
    cluster: &Cluster,
    statefulset: &str,
    own: &Identity,
    sight: &Sight,
) -> Result<HeldLease, KubernetesError> {
    let name = name(statefulset);
    let (held, renewed) = take(cluster, &name, own, sight).await?;
    let (stop, stopped) = oneshot::channel();
    let (lose, lost) = watch::channel(None);
    let keeper = Keeper { cluster: cluster.clone(), name, own: own.clone(), held, renewed };
    let keeper = keeper.keep(stopped, lose);
    Ok(HeldLease::kept(tokio::spawn(keeper), stop, lost))
}

fn name(statefulset: &str) -> String {
    format!("vault-token-plugin-{statefulset}")
}

async fn read(cluster: &Cluster, name: &str) -> Result<Option<Lease>, KubernetesError> {
    let api = cluster.leases();
    cluster.again(Asked::GET_LEASE, || api.get_opt(name)).await
}

/// Whoever writes second learns it from the cluster, which compares what each has seen; the look after that says who was
/// first. Returns the Lease, and when it was asked for.
async fn take(
    cluster: &Cluster,
    name: &str,
    own: &Identity,
    sight: &Sight,
) -> Result<(Lease, Instant), KubernetesError> {
    let (api, params) = (cluster.leases(), PostParams::default());
    let until = Instant::now() + DURATION + RETRY_PERIOD;
    loop {
        let there = read(cluster, name).await?;
        let asked = Instant::now();
        let written = match &there {
            None => {
                let fresh = signed(None, name, own);
                cluster.again(Asked::CREATE_LEASE, || api.create(&params, &fresh)).await
            }
            Some(lease) => match sight.standing(lease, own) {
                // It shows within its time whether it is renewed.
                Standing::Others(Holder { evidence: HolderEvidence::Written, .. }) if asked < until => {
                    tokio::time::sleep(LOOK_AGAIN).await;
                    continue;
                }
                Standing::Others(Holder { name: holder, .. }) => {
                    return Err(KubernetesError::Held { holder, lease: name.to_owned() });
                }
                Standing::Ours | Standing::Free => {
                    let ours = signed(Some(lease), name, own);
                    cluster.again(Asked::UPDATE_LEASE, || api.replace(name, &params, &ours)).await
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
struct Keeper {
    cluster: Cluster,
    name: String,
    own: Identity,
    held: Lease,
    /// When the latest renewal that was answered was sent: nobody has seen it later than that.
    renewed: Instant,
}

impl Keeper {
    /// Renews until it is told to stop, and then gives the Lease back. One that somebody else has taken is lost, and so is one
    /// that could not be renewed in time: whoever looks may take it.
    async fn keep(mut self, mut stop: oneshot::Receiver<()>, lose: watch::Sender<Option<LeaseLost>>) {
        loop {
            let deadline = self.renewed + RENEW_DEADLINE;
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
        let mut free = self.held.clone();
        if let Some(spec) = &mut free.spec {
            spec.holder_identity = None;
            spec.renew_time = None;
        }
        let (api, params) = (self.cluster.leases(), PostParams::default());
        // One that cannot be given back ends by itself.
        let _given_back = timeout(REQUEST, api.replace(&self.name, &params, &free)).await;
    }

    /// One try. What is not answered is tried again until `deadline`.
    async fn renew(&mut self, deadline: Instant) -> Result<(), LeaseLost> {
        let (api, params) = (self.cluster.leases(), PostParams::default());
        let renewed = signed(Some(&self.held), &self.name, &self.own);
        let asked = Instant::now();
        let end = deadline.min(asked + REQUEST);
        if let Ok(Ok(lease)) = timeout_at(end, api.replace(&self.name, &params, &renewed)).await {
            (self.held, self.renewed) = (lease, asked);
            return Ok(());
        }
        let end = deadline.min(Instant::now() + REQUEST);
        match timeout_at(end, api.get(&self.name)).await {
            Ok(Ok(there)) => {
                let holder = there.spec.as_ref().and_then(|spec| spec.holder_identity.clone());
                match holder.filter(|holder| !holder.is_empty()) {
                    // It was renewed though that was not answered, or somebody has labelled it.
                    Some(holder) if holder == self.own.name => self.held = there,
                    Some(holder) => return Err(LeaseLost::Taken { holder }),
                    None => return Err(LeaseLost::Gone { lease: self.lease() }),
                }
            }
            Ok(Err(kube::Error::Api(status))) if status.is_not_found() => {
                return Err(LeaseLost::Gone { lease: self.lease() });
            }
            Ok(Err(_)) | Err(_) => {}
        }
        if Instant::now() < deadline {
            return Ok(());
        }
        Err(LeaseLost::NotRenewed { lease: self.lease(), seconds: self.renewed.elapsed().as_secs() })
    }

    fn lease(&self) -> String {
        format!("the Lease {}", self.name)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn somebody(name: &str, pid: u32, started: &str) -> Identity {
        let machine = ProcessId::of_this_process().machine;
        let process = ProcessId { machine, pid, started: started.into() };
        Identity { name: format!("{name} {}", process.in_brackets()), process }
    }

    fn elsewhere(name: &str) -> Identity {
        let process = ProcessId { machine: "another machine".into(), pid: 1, started: "1".into() };
        Identity { name: name.into(), process }
    }

    /// What is known of a Lease that is seen at these seconds, each time as it is written there.
    fn watched(looks: &[(u64, &Lease)], now: u64) -> Standing {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut record: Option<Record> = None;
        for (seconds, lease) in looks {
            record = Some(Record::seen(record.as_ref(), lease.spec.as_ref().expect("a spec"), at(*seconds)));
        }
        let process = Process::of(looks.last().expect("a look").1);
        record.expect("a look").standing(&process, &Identity::of_this_process(), at(now))
    }

    fn others(name: &str, evidence: HolderEvidence) -> Standing {
        Standing::Others(Holder { name: name.into(), evidence })
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
        let process = ProcessId { started: "7".into(), ..ProcessId::of_this_process() };
        assert_eq!(process.state_by(Some("7"), || true), Process::Lives);
        assert_eq!(process.state_by(Some("8"), || true), Process::Ended);
        assert_eq!(process.state_by(None, || true), Process::NotHere);
        assert_eq!(process.state_by(None, || false), Process::Ended);
    }

    #[test]
    fn a_lease_is_free_when_it_was_not_renewed_for_its_time_on_this_clock() {
        use HolderEvidence::{Proven, Written};
        let lease = signed(None, "l", &elsewhere("alice"));
        let renewed = by_a_clock_ahead(&lease, 5);
        // Whatever the other clock says.
        for skew in [-86_400, 0, 86_400] {
            let (lease, renewed) = (by_a_clock_ahead(&lease, skew), by_a_clock_ahead(&renewed, skew));
            assert_eq!(watched(&[(0, &lease)], 0), others("alice", Written));
            assert_eq!(watched(&[(0, &lease), (29, &lease)], 29), others("alice", Written));
            assert_eq!(watched(&[(0, &lease), (30, &lease)], 30), Standing::Free);
            assert_eq!(watched(&[(0, &lease), (5, &renewed)], 34), others("alice", Proven));
            assert_eq!(watched(&[(0, &lease), (5, &renewed), (35, &renewed)], 35), Standing::Free);
        }
        // Another holder has shown nothing yet.
        let taken = signed(Some(&lease), "l", &elsewhere("bob"));
        assert_eq!(watched(&[(0, &lease), (5, &taken)], 5), others("bob", Written));
    }

    #[test]
    fn what_nobody_holds_is_free_and_ones_own_is_ones_own() {
        let own = Identity::of_this_process();
        assert_eq!(watched(&[(0, &signed(None, "l", &own))], 99), Standing::Ours);
        let mut given_back = signed(None, "l", &elsewhere("alice"));
        given_back.spec.as_mut().expect("a spec").holder_identity = None;
        assert_eq!(watched(&[(0, &given_back)], 0), Standing::Free);
    }

    #[test]
    fn a_lease_that_lasts_longer_than_is_waited_is_held() {
        let mut lease = signed(None, "l", &elsewhere("alice"));
        lease.spec.as_mut().expect("a spec").lease_duration_seconds = Some(3600);
        assert_eq!(watched(&[(0, &lease)], 0), others("alice", HolderEvidence::Proven));
    }

    #[test]
    fn a_holder_that_died_on_this_machine_holds_nothing() {
        let own = Identity::of_this_process();
        let gone = signed(None, "l", &somebody("me", std::process::id(), "0"));
        assert_eq!(watched(&[(0, &gone)], 1), Standing::Free);
        let alive = Identity { name: format!("me too {}", own.process.in_brackets()), ..own };
        let lease = signed(None, "l", &alive);
        assert_eq!(watched(&[(0, &lease)], 99), others(&alive.name, HolderEvidence::Proven));
        // The annotation is of the holder before.
        let taken = Identity { name: "alice".into(), ..alive };
        let taken = signed(None, "l", &taken);
        assert_eq!(watched(&[(0, &taken)], 0), others("alice", HolderEvidence::Written));
    }

    /// A holder stops before anybody else may begin, however late its last renewal arrived.
    #[test]
    fn a_holder_gives_up_before_its_lease_is_over() {
        assert!(RENEW_DEADLINE + REQUEST < DURATION);
        assert!(RETRY_PERIOD * 2 < RENEW_DEADLINE);
    }

    #[test]
    fn a_process_is_written_and_read_the_same() {
        let process = ProcessId::of_this_process();
        assert!(!process.started.is_empty());
        assert_eq!(ProcessId::parse(&process.to_string()), Some(process));
        for text in ["", "x", "a b", "a b c d x"] {
            assert!(ProcessId::parse(text).is_none_or(|process| process.state() != Process::Ended), "{text}");
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
