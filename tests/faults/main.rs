//! Injects every fault of the list, one after the other, into commands on three real pods under load. A command is held at a step while the
//! fault happens. Then the state must match its exit code, the clients of every mount must be served, and the same command must finish,
//! with nothing left over and every lease accounted for.

#![expect(clippy::unwrap_used, reason = "a test ends where something does not hold")]
#![expect(clippy::print_stdout, reason = "the list with its results is what this program is for")]

mod allowed_exits;
mod assertions;
mod failure_logs;
mod fault_point;
mod lab;
mod paused_process;
mod progress;
mod results;
mod run;
mod schedule;
mod snapshot;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::task::LocalSet;
use tokio::time::timeout;

use crate::fault_point::FaultPoint;
use crate::lab::Lab;
use crate::results::{FaultResult, MAX_VOID_RUNS, ResultEntry, Results};
use crate::run::FaultOutcome;

const USAGE: &str = "\
Usage: cargo test --test faults -- [--record] [--list | --all | --for SECONDS | FILTER...]

Runs faults on a real Kubernetes, needs root. Without an argument: those that are next in turn, for 45 seconds.

  --list         only print the list, each with its latest result
  --all          run the whole list
  --for SECONDS  run those that are next in turn, and begin none after so long
  FILTER         run the fault with this name, or those whose names contain it
  --record       write what each did to tests/faults/results.txt, which is committed
";

/// Without a selection, no further fault is started after this time.
const DEFAULT_BUDGET: Duration = Duration::from_secs(45);

/// The longest fault, with twenty moves or a missing pod, takes less on a busy machine.
const FAULT_TIMEOUT: Duration = Duration::from_secs(900);

fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    if args.iter().any(|arg| ["-h", "--help"].contains(&arg.as_str())) {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let (all, mut results) = (fault_point::all(), Results::read());
    let record = args.iter().any(|arg| arg == "--record");
    args.retain(|arg| arg != "--record");
    if args == ["--list"] {
        for name in all.iter().map(ToString::to_string) {
            let latest = results.get(&name).map_or("never".to_owned(), ToString::to_string);
            println!("{name} {latest}");
        }
        println!("{} faults", all.len());
        return ExitCode::SUCCESS;
    }
    let names: Vec<String> = all.iter().map(ToString::to_string).collect();
    let commit = schedule::commit();
    let in_turn = schedule::next_points(&all, &results, &commit);
    let (points, time) = match args.as_slice() {
        [] => (in_turn, Some(DEFAULT_BUDGET)),
        [option, seconds] if option == "--for" => {
            (in_turn, Some(Duration::from_secs(seconds.parse().expect("--for takes seconds"))))
        }
        [option] if option == "--all" => (in_turn, None),
        filters => {
            let wanted = |point: &FaultPoint| {
                let name = point.to_string();
                // A complete name selects only that fault, not the ones on other pods.
                filters
                    .iter()
                    .any(|text| name == *text || name.contains(text.as_str()) && !names.contains(text))
            };
            let points: Vec<FaultPoint> = in_turn.into_iter().filter(wanted).collect();
            assert!(!points.is_empty(), "no fault has a name with {filters:?}");
            (points, None)
        }
    };
    failure_logs::install_panic_hook();
    progress::spawn_heartbeat();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let keep = |name: &str, entry: ResultEntry| {
        results.set(name, entry);
        if record {
            results.write(&names);
        }
    };
    let voids = |name: &str| Results::read().void_runs(name);
    let failed = runtime.block_on(LocalSet::new().run_until(run_all(&points, time, &commit, voids, keep)));
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs faults and prints the result of each. Returns the number of failures.
async fn run_all(
    points: &[FaultPoint],
    turn: Option<Duration>,
    commit: &str,
    voids_before: impl Fn(&str) -> u32,
    mut keep: impl FnMut(&str, ResultEntry),
) -> usize {
    let started = Instant::now();
    let mut lab = None;
    let (mut done, mut failed, mut void) = (0, 0, 0);
    for point in points.iter().copied() {
        if turn.is_some_and(|turn| done > 0 && started.elapsed() >= turn) {
            break;
        }
        done += 1;
        let name = point.to_string();
        let mut entry = run_once(&mut lab, point, commit, voids_before(&name)).await;
        // Only a void run is repeated, never a failed one.
        while let FaultResult::Void(times) = entry.result
            && times < MAX_VOID_RUNS
        {
            entry = run_once(&mut lab, point, commit, times).await;
        }
        match entry.result {
            FaultResult::Held => {}
            FaultResult::Failed => failed += 1,
            FaultResult::Void(_) => void += 1,
        }
        keep(&name, entry);
    }
    println!(
        "{done} of {} faults run, {failed} failed, {void} void {MAX_VOID_RUNS} times in a row, {:.0} s",
        points.len(),
        started.elapsed().as_secs_f64()
    );
    failed + void
}

/// Runs a fault, on the pods of the previous one if the kind matches, and prints its result.
async fn run_once(
    lab: &mut Option<Arc<Mutex<Lab>>>,
    point: FaultPoint,
    commit: &str,
    voids: u32,
) -> ResultEntry {
    let name = point.to_string();
    progress::begin(&name);
    let folder = failure_logs::fresh_log_folder(&name);
    let log = folder.join("program.log");
    if let Some(there) = lab.take() {
        // Delete the pods of another kind before new ones start.
        if there.lock().await.kind == point.pods {
            *lab = Some(there);
        }
    }
    let ended = match lab {
        Some(_) => Ok(()),
        None => start(lab, point, &log).await,
    };
    let ended = match (ended, lab.clone()) {
        (Ok(()), Some(lab)) => {
            run_with_timeout(FAULT_TIMEOUT, async move {
                let mut lab = lab.lock_owned().await;
                lab.log = log;
                run::run(&mut lab, point).await
            })
            .await
        }
        (ended, _) => Err(ended.err().unwrap_or_default()),
    };
    let entry = |result, shown: Option<&FaultOutcome>| ResultEntry {
        result,
        commit: commit.to_owned(),
        failed_requests: shown.map_or(0, |shown| shown.failed_requests),
        longest_ms: shown.map_or(0, |shown| shown.max_latency.as_millis()),
    };
    match ended {
        Ok(shown) => {
            if point.changes_pod_count() {
                *lab = None;
            }
            match &shown.void {
                None => {
                    // Logs are only kept for failures.
                    let _ = std::fs::remove_dir_all(&folder);
                    progress::end(&format!("held   {name}: {}", shown.summary));
                    entry(FaultResult::Held, Some(&shown))
                }
                Some(why) => {
                    progress::end(&format!("void   {name}: {why}; {}", shown.summary));
                    entry(FaultResult::Void(voids + 1), Some(&shown))
                }
            }
        }
        Err(why) => {
            save_failure_logs(lab, &folder).await;
            *lab = None;
            progress::end(&format!("FAILED {name}: {why}\n       logs are in {}", folder.display()));
            entry(FaultResult::Failed, None)
        }
    }
}

async fn start(lab: &mut Option<Arc<Mutex<Lab>>>, point: FaultPoint, log: &Path) -> Result<(), String> {
    progress::step("starting three pods");
    let log = log.to_owned();
    let started = run_with_timeout(FAULT_TIMEOUT, async move { Lab::start(point.pods, log).await }).await?;
    *lab = Some(Arc::new(Mutex::new(started)));
    Ok(())
}

/// Runs work in its own task, so that a panic does not stop the other faults.
async fn run_with_timeout<T: 'static>(
    time: Duration,
    work: impl Future<Output = T> + 'static,
) -> Result<T, String> {
    let mut task = tokio::task::spawn_local(work);
    match timeout(time, &mut task).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error
            .try_into_panic()
            .map_or_else(|error| error.to_string(), |panic| failure_logs::panic_text(&*panic))),
        Err(_) => {
            task.abort();
            // Aborting it stops its clients and programs.
            let _ = task.await;
            Err(format!("it has not ended after {time:?}"))
        }
    }
}

async fn save_failure_logs(lab: &Option<Arc<Mutex<Lab>>>, folder: &Path) {
    if let Some(lab) = lab {
        progress::step("keeping the logs of the pods");
        failure_logs::save_pod_logs(&*lab.lock().await, folder).await;
    }
}
