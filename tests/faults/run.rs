//! One fault: the load, the command, what happens to it, and what must hold afterwards.

mod bad_version;
mod obstacle;
mod strike;

use std::collections::{BTreeMap, BTreeSet};

use harness::{Account, Retries};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use self::strike::Struck;
use crate::lab::{Lab, MOUNTS, NAME, OLD, new};
use crate::point::{Command, Disturbance, FaultPoint, Moment, ROLLBACK, UPGRADE};

/// How a command has ended; a signal has no code.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) said: String,
}

/// What a fault has shown.
pub(crate) enum Shown {
    /// All that it has to.
    Whole(String),
    /// Nothing of the requests: raft has elected another leader, which nobody had asked for. A machine that is too slow
    /// does that, and what failed then.
    Disturbed(String),
}

/// Runs a fault on pods that run the old version, which they do again afterwards.
pub(crate) async fn run(lab: &mut Lab, point: FaultPoint) -> Shown {
    let command = match point {
        FaultPoint::During(command, _, _) => command,
        FaultPoint::BadVersion(_) | FaultPoint::Obstacle(_) => Command::Upgrade,
    };
    if command == Command::Rollback {
        lab.reset(&new()).await;
    }
    let load = lab.load();
    load.goes_on().await;
    let leadership = lab.leadership().await;
    let ended = match point {
        FaultPoint::During(command, at, what) => during(lab, command, at, what).await,
        FaultPoint::BadVersion(what) => bad_version::bring(lab, what).await,
        FaultPoint::Obstacle(what) => obstacle::meet(lab, what).await,
    };
    lab.upstream.heal();
    lab.pods.wait_whole().await;
    lab.assert_old_or_new().await;
    load.goes_on().await;

    finish(lab, command, &ended).await;
    let version = if command == Command::Upgrade { new() } else { OLD.to_owned() };
    lab.assert_all_on(&version).await;
    lab.assert_nothing_is_left_but(&[OLD, &new()]).await;
    load.goes_on().await;
    let account = load.stop().await;
    let moved = lab.leadership().await != leadership;
    assert!(account.wrong.is_empty(), "wrong answers: {:?}", account.wrong);
    let uncalled_for = !point.is_noticed() && !account.failed.is_empty();
    assert!(moved || !uncalled_for, "failed requests: {:?}", kinds(&account));
    lab.settle(&account).await;
    if !point.spends_the_pods() {
        lab.reset(OLD).await;
    }
    if uncalled_for {
        return Shown::Disturbed(format!("{:?}", kinds(&account)));
    }
    let code = ended.code.map_or("killed".to_owned(), |code| format!("exit {code}"));
    Shown::Whole(format!("{code}, then 0; {}", told(&account)))
}

/// The same command again finishes. Where raft has elected another leader meanwhile, which a busy machine makes it do, that
/// was one more fault, and it is given again.
async fn finish(lab: &Lab, command: Command, first: &Ended) {
    loop {
        let leadership = lab.leadership().await;
        let again = lab.program().run(args(lab, command)).await;
        if again.code == Some(0) {
            return;
        }
        lab.pods.wait_whole().await;
        assert!(
            [Some(1), Some(4)].contains(&again.code) && lab.leadership().await != leadership,
            "the same command again: {again:?}\nat first: {}",
            first.said
        );
    }
}

/// What a person types.
fn args(lab: &Lab, command: Command) -> Vec<String> {
    let line = match command {
        Command::Upgrade => {
            let file = lab.description(&lab.new, &MOUNTS);
            format!("upgrade -f {} --output json", file.display())
        }
        Command::Rollback => {
            let namespace = lab.pods.namespace();
            format!("rollback {NAME} --to {OLD} -n {namespace} --smoke creds/developer --output json")
        }
    };
    line.split(' ').map(str::to_owned).collect()
}

/// What failed requests got, and how many did.
fn kinds(account: &Account) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for failed in &account.failed {
        *kinds.entry(format!("{:?} {}: {}", failed.retries, failed.request, failed.got)).or_default() += 1;
    }
    kinds
}

fn told(account: &Account) -> String {
    let of = |retries| account.failed.iter().filter(|failed| failed.retries == retries).count();
    format!(
        "{} requests, failed {} without and {} with retries, longest {} ms",
        account.requests,
        of(Retries::Never),
        of(Retries::Official),
        account.longest.as_millis()
    )
}

/// The command, and what happens to it once that moment has come.
async fn during(lab: &mut Lab, command: Command, at: Moment, what: Disturbance) -> Ended {
    let prepared = strike::prepare(lab, what).await;
    let mut child = lab.program_with(&prepared.token).spawn(args(lab, command));
    let mut stderr = child.stderr.take().unwrap();
    let listening = tokio::spawn(async move {
        let mut said = String::new();
        // What was read until it was killed is enough.
        let _ = stderr.read_to_string(&mut said).await;
        said
    });
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut struck: Option<Struck> = None;
    let mut heard = String::new();
    let mut tried = BTreeSet::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        let event: Value = serde_json::from_str(&line).unwrap();
        if event["event"] == "planned" && prepared.plan_is_usual {
            assert_plan(&event, command);
        }
        if struck.is_none() && has_come(at, &event) {
            struck = Some({
                let args = args(lab, command);
                strike::strike(lab, &mut child, what, &prepared, &args).await
            });
        }
        // As a person does who reads it.
        if let Some(Struck::Sealed(pod)) = &struck
            && event["on"]["node"]["node"] == **pod
        {
            lab.pods.delete(pod).await;
            struck = Some(Struck::Nothing);
        }
        if event["event"] == "step_done" && event["step"]["step"] == "try_mount" {
            tried.insert(event["step"]["path"].as_str().unwrap().to_owned());
        }
        if event["event"] != "bytes" {
            heard = format!("{heard}{line}\n");
        }
    }
    let status = child.wait().await.unwrap();
    let said = listening.await.unwrap();
    let struck = struck.unwrap_or_else(|| panic!("that moment never came: {said}"));
    let code = status.code();
    strike::cure(lab, struck).await;
    let safe = match what {
        // Whoever may do nothing any more can undo nothing either.
        Disturbance::TokenExpired => &[0, 1, 4, 5][..],
        _ => &[0, 1, 4, 130],
    };
    assert!(code.is_none_or(|code| safe.contains(&code)), "exit code {code:?}: {said}\n{heard}");
    if code == Some(0) {
        let all = MOUNTS.map(|mount| format!("{mount}/creds/developer"));
        assert_eq!(tried, BTreeSet::from(all), "ended well without every trial: {said}\n{heard}");
    }
    Ended { code, said }
}

fn has_come(at: Moment, event: &Value) -> bool {
    match at {
        Moment::After(0) => event["event"] == "planned",
        Moment::After(steps) => event["event"] == "step_done" && event["number"] == steps,
        Moment::AmidPlacing => event["event"] == "bytes",
    }
}

/// The list of faults is made from these steps.
fn assert_plan(event: &Value, command: Command) {
    let planned: Vec<&str> =
        event["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect();
    let known = match command {
        Command::Upgrade => &UPGRADE[..],
        Command::Rollback => &ROLLBACK,
    };
    assert_eq!(planned, known, "a plan has other steps than the list of faults: bring point.rs up to date");
}
