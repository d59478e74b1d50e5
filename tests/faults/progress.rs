//! What the reader sees while faults run: each start and each end, and a sign of life between them.

use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Nothing is silent for longer.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(20);

struct ProgressState {
    name: String,
    step: String,
    started: Instant,
    said: Instant,
}

static STATE: Mutex<Option<ProgressState>> = Mutex::new(None);

/// Has a sign of life printed whenever it was silent for too long.
pub(crate) fn spawn_heartbeat() {
    thread::spawn(|| {
        loop {
            thread::sleep(Duration::from_secs(1));
            let mut state = STATE.lock();
            let Some(state) = state.as_mut().filter(|state| state.said.elapsed() >= HEARTBEAT_INTERVAL)
            else {
                continue;
            };
            state.said = Instant::now();
            println!("still  {}: {}, for {} s", state.name, state.step, state.started.elapsed().as_secs());
        }
    });
}

/// A fault begins.
pub(crate) fn begin(name: &str) {
    println!("start  {name}");
    let now = Instant::now();
    *STATE.lock() =
        Some(ProgressState { name: name.to_owned(), step: "preparing".to_owned(), started: now, said: now });
}

/// What it is at, for the sign of life.
pub(crate) fn step(what: &str) {
    if let (Some(state), false) = (STATE.lock().as_mut(), what.is_empty()) {
        let line = what.lines().last().unwrap_or_default();
        state.step = line.chars().take(100).collect();
    }
}

/// It has ended, and how.
pub(crate) fn end(result: &str) {
    let state = STATE.lock().take();
    let seconds = state.map_or(0.0, |state| state.started.elapsed().as_secs_f64());
    println!("{result} ({seconds:.1} s)");
}
