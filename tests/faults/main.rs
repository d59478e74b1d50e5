//! Every fault of the list, one after the other, on three real pods under load. Each has to end in a cluster that serves
//! the old or the new version, on which the same command finishes, with nothing left over and every lease accounted for.

#![expect(clippy::unwrap_used, reason = "a test ends where something does not hold")]
#![expect(clippy::print_stdout, reason = "the list with its results is what this program is for")]

mod gate;
mod lab;
mod point;
mod run;

use std::any::Any;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use tokio::task::LocalSet;

use crate::lab::Lab;
use crate::point::FaultPoint;
use crate::run::Shown;

const USAGE: &str = "\
Usage: cargo test --test faults -- [--list | --all | --for SECONDS | FILTER...]

Runs faults on a real Kubernetes, needs root. Without an argument: those that are next in turn, for 45 seconds.

  --list         only print the list
  --all          run the whole list
  --for SECONDS  run those that are next in turn, and begin none after so long; the next run goes on behind them
  FILTER         run those whose names contain one of these
";

/// After so long no further fault is begun when nothing was asked for.
const TURN: Duration = Duration::from_secs(45);

/// As often a fault is run, when raft disturbs it.
const TRIES: usize = 3;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let all = point::all();
    if args.iter().any(|arg| ["-h", "--help"].contains(&arg.as_str())) {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    if args.iter().any(|arg| arg == "--list") {
        all.iter().for_each(|point| println!("{point}"));
        println!("{} faults", all.len());
        return ExitCode::SUCCESS;
    }
    // What does not hold is said once, in the list.
    std::panic::set_hook(Box::new(|_| {}));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let time = match args.as_slice() {
        [] => Some(TURN),
        [option, seconds] if option == "--for" => {
            Some(Duration::from_secs(seconds.parse().expect("--for takes seconds")))
        }
        _ => None,
    };
    let failed = if let Some(time) = time {
        let turn = Turn::next(all.len());
        println!("from fault {} of {}, for {time:?}", turn.first + 1, all.len());
        let mut points = all;
        points.rotate_left(turn.first);
        let (done, failed) = runtime.block_on(LocalSet::new().run_until(run_all(&points, Some(time))));
        turn.ended(done);
        failed
    } else {
        let wanted = |point: &&FaultPoint| {
            args.iter().any(|arg| arg == "--all" || point.to_string().contains(arg.as_str()))
        };
        let points: Vec<FaultPoint> = all.iter().filter(wanted).copied().collect();
        assert!(!points.is_empty(), "no fault has a name with {args:?}");
        runtime.block_on(LocalSet::new().run_until(run_all(&points, None))).1
    };
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs faults, prints each with its result; how many were run, and how many of them failed.
async fn run_all(points: &[FaultPoint], turn: Option<Duration>) -> (usize, usize) {
    let started = Instant::now();
    let mut lab = None;
    let (mut done, mut failed) = (0, 0);
    for point in points.iter().copied() {
        if turn.is_some_and(|turn| done > 0 && started.elapsed() >= turn) {
            break;
        }
        done += 1;
        if !has_held(&mut lab, point).await {
            failed += 1;
        }
    }
    println!(
        "{done} of {} faults run, {failed} failed, {:.0} s",
        points.len(),
        started.elapsed().as_secs_f64()
    );
    (done, failed)
}

/// Runs a fault, on the pods of the one before if there are any, and prints its result.
async fn has_held(lab: &mut Option<Lab>, point: FaultPoint) -> bool {
    for number in 1..=TRIES {
        let begun = Instant::now();
        let there = lab.take();
        // In a task of its own, so that one that does not hold does not end the others; it takes its pods with it.
        let ended = tokio::task::spawn_local(async move {
            let mut lab = match there {
                Some(lab) => lab,
                None => Lab::start().await,
            };
            let shown = run::run(&mut lab, point).await;
            (lab, shown)
        });
        let ended = ended.await;
        let seconds = begun.elapsed().as_secs_f64();
        match ended {
            Ok((there, shown)) => {
                *lab = Some(there).filter(|_| !point.spends_the_pods());
                match shown {
                    Shown::Whole(result) => {
                        println!("ok     {point}: {result} ({seconds:.1} s)");
                        return true;
                    }
                    Shown::Disturbed(failed) if number < TRIES => {
                        println!(
                            "again  {point}: another Vault became active by itself: {failed} ({seconds:.1} s)"
                        );
                    }
                    Shown::Disturbed(failed) => {
                        println!(
                            "FAILED {point}: this machine is too slow for raft: {failed} ({seconds:.1} s)"
                        );
                    }
                }
            }
            Err(error) => {
                let why = error.try_into_panic().map(|panic| said(&*panic)).unwrap_or_default();
                println!("FAILED {point}: {why} ({seconds:.1} s)");
                return false;
            }
        }
    }
    false
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// Whose turn it is: where the run before has stopped, which a file of the cache knows; where there is none, by the date.
struct Turn {
    file: PathBuf,
    first: usize,
    of: usize,
}

impl Turn {
    fn next(of: usize) -> Turn {
        let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home).unwrap_or_default();
        let file = cache.join("vault-token-plugin/next-fault");
        let hours = || SystemTime::UNIX_EPOCH.elapsed().map_or(0, |elapsed| elapsed.as_secs() / 3600);
        let known = std::fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok());
        // A few faults a run: the date moves on by as many each hour.
        let first = known.unwrap_or_else(|| hours() as usize * 5) % of;
        Turn { file, first, of }
    }

    fn ended(self, done: usize) {
        // A machine that keeps nothing goes by the date.
        let _ = std::fs::write(&self.file, ((self.first + done) % self.of).to_string());
    }
}
