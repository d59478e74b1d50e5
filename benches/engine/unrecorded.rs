//! Measures how long a token is recorded nowhere: from the deletion of its write-ahead log entry until its lease is stored, both in
//! the Raft log of a real Vault. An entry in that log survives the end of the process.
//!
//! The Raft log is a bbolt file, whose header counts transactions. An undisturbed read of `creds/` results in five, one for each entry
//! of the log: the write-ahead log entry is stored, stored again with the data for the revocation, and deleted; then the lease and its
//! index by token are stored.

use std::fmt;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use harness::Storage;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{CreateFlags, Reader, WatchFlags, add_watch, init};
use rustix::io::Errno;

use crate::through_vault::mounted;
use crate::token_service::TokenService;
use crate::{BoxError, format_figure};

const WARM_UP: usize = 50;

const READS: usize = 1000;

/// Number of transactions of a read, and number up to the deletion.
const TRANSACTIONS_PER_READ: u64 = 5;
const TRANSACTIONS_TO_DELETION: u64 = 3;

/// The result of the measurement.
pub(crate) struct Unrecorded {
    /// Sorted durations.
    windows: Vec<Duration>,
    /// Sorted durations.
    requests: Vec<Duration>,
}

pub(crate) async fn measure(service: &TokenService, plugin: &Path) -> Result<Unrecorded, BoxError> {
    let vault = mounted(service, plugin, Storage::Raft).await?;
    let log = Arc::new(Log::open(&vault.directory().join("data/raft/raft.db"))?);
    let stop = Arc::new(AtomicBool::new(false));
    let watcher = thread::spawn({
        let (log, stop) = (Arc::clone(&log), Arc::clone(&stop));
        move || log.watch(&stop)
    });
    let mut reads = Vec::new();
    for number in 0..WARM_UP + READS {
        let (before, started) = (log.transactions()?, Instant::now());
        vault.request("GET", "custom/creds/developer", None).await.success();
        let duration = started.elapsed();
        if number >= WARM_UP && log.transactions()? == before + TRANSACTIONS_PER_READ {
            reads.push((before, duration));
        }
    }
    stop.store(true, Ordering::Relaxed);
    let observed = watcher.join().map_err(|_| "the watcher thread panicked")??;

    let at = |transaction: u64| {
        let index = observed.binary_search_by_key(&transaction, |(number, _)| *number).ok()?;
        Some(observed[index].1)
    };
    let mut windows = Vec::new();
    let mut requests = Vec::new();
    for (before, duration) in reads {
        let deleted = before + TRANSACTIONS_TO_DELETION;
        // A transaction that was observed only together with the next one has no time.
        if let (Some(from), Some(until)) = (at(deleted), at(deleted + 1)) {
            windows.push(until - from);
            requests.push(duration);
        }
    }
    windows.sort_unstable();
    requests.sort_unstable();
    Ok(Unrecorded { windows, requests })
}

impl fmt::Display for Unrecorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| {} of {READS} reads | median, ms | p99, ms | longest, ms |\n|---|---|---|---|",
            self.windows.len()
        )?;
        for (title, times) in [("without record", &self.windows), ("the request", &self.requests)] {
            let at = |percent: usize| {
                let index = (times.len() * percent / 100).min(times.len().saturating_sub(1));
                times.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
            };
            writeln!(
                f,
                "| {title} | {} | {} | {} |",
                format_figure(at(50)),
                format_figure(at(99)),
                format_figure(at(100))
            )?;
        }
        Ok(())
    }
}

/// The log of a Raft storage.
struct Log {
    file: File,
    events: OwnedFd,
}

impl Log {
    fn open(path: &Path) -> io::Result<Log> {
        let events = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        add_watch(&events, path, WatchFlags::MODIFY)?;
        Ok(Log { file: File::open(path)?, events })
    }

    /// Returns the number of committed transactions, from the newer one of the two headers (bbolt's `internal/common/meta.go`).
    fn transactions(&self) -> io::Result<u64> {
        const MAGIC: u32 = 0xED0C_DAED;
        const PAGE: u64 = 4096;
        const MAGIC_IN_PAGE: u64 = 16;
        const COUNT_IN_PAGE: u64 = 64;

        let mut latest = 0;
        for page in [0, PAGE] {
            let (mut magic, mut count) = ([0; 4], [0; 8]);
            self.file.read_exact_at(&mut magic, page + MAGIC_IN_PAGE)?;
            self.file.read_exact_at(&mut count, page + COUNT_IN_PAGE)?;
            if u32::from_le_bytes(magic) != MAGIC {
                return Err(io::Error::other("the Raft log has no bbolt header"));
            }
            latest = latest.max(u64::from_le_bytes(count));
        }
        Ok(latest)
    }

    /// Returns each observed transaction with its time.
    fn watch(&self, stop: &AtomicBool) -> io::Result<Vec<(u64, Instant)>> {
        const TIMEOUT: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

        let mut observed = vec![(self.transactions()?, Instant::now())];
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = Reader::new(&self.events, &mut buffer);
        while !stop.load(Ordering::Relaxed) {
            poll(&mut [PollFd::new(&self.events, PollFlags::IN)], Some(&TIMEOUT))?;
            // Drain the events first, so that a later write wakes the poll again.
            loop {
                match events.next() {
                    Ok(_) => {}
                    Err(Errno::AGAIN) => break,
                    Err(error) => return Err(error.into()),
                }
            }
            let latest = self.transactions()?;
            if observed.last().is_some_and(|(last, _)| *last < latest) {
                observed.push((latest, Instant::now()));
            }
        }
        Ok(observed)
    }
}
