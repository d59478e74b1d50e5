//! Quantiles of the last minutes, from a histogram with an error of up to three percent.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The window of the quantiles: this many minutes, and the current one.
pub(super) const WINDOW_MINUTES: usize = 5;
const SLOTS: usize = WINDOW_MINUTES + 1;
const SLOT: Duration = Duration::from_secs(60);

/// The number of buckets per doubling, as a power of two. A bucket is six percent wide, so its midpoint has an error of three percent.
const STEPS_LOG: u32 = 4;
const STEPS: u64 = 1 << STEPS_LOG;
/// The range: from 16 microseconds to about 90 seconds. Values outside are counted in the first or the last bucket.
const DOUBLINGS: usize = 23;
const BUCKETS: usize = (DOUBLINGS + 1) * STEPS as usize;

pub(super) struct Quantiles {
    start_time: Instant,
    slots: [Slot; SLOTS],
    count: AtomicU64,
    sum_nanos: AtomicU64,
    /// Held once a minute while the first recorder of the minute clears a slot.
    rotation_lock: Mutex<()>,
}

struct Slot {
    /// The minute of the slot, counted from 1. 0 if it is unused.
    minute: AtomicU64,
    buckets: Vec<AtomicU32>,
}

impl Default for Quantiles {
    fn default() -> Quantiles {
        let slot = |_| Slot {
            minute: AtomicU64::new(0),
            buckets: std::iter::repeat_with(AtomicU32::default).take(BUCKETS).collect(),
        };
        Quantiles {
            start_time: Instant::now(),
            slots: std::array::from_fn(slot),
            count: AtomicU64::new(0),
            sum_nanos: AtomicU64::new(0),
            rotation_lock: Mutex::new(()),
        }
    }
}

impl Quantiles {
    pub(super) fn record(&self, duration: Duration) {
        self.record_at(self.start_time.elapsed(), duration);
    }

    /// Returns the quantiles of the last minutes. `None` if nothing was recorded.
    pub(super) fn quantiles(&self, parts: &[f64]) -> Vec<Option<Duration>> {
        self.quantiles_at(self.start_time.elapsed(), parts)
    }

    /// Returns the number and the sum of all values since the start.
    pub(super) fn total(&self) -> (u64, Duration) {
        let sum = Duration::from_nanos(self.sum_nanos.load(Ordering::Relaxed));
        (self.count.load(Ordering::Relaxed), sum)
    }

    fn record_at(&self, now: Duration, duration: Duration) {
        let minute = minute(now);
        let slot = &self.slots[(minute % SLOTS as u64) as usize];
        if slot.minute.load(Ordering::Acquire) != minute {
            let _guard = self.rotation_lock.lock();
            if slot.minute.load(Ordering::Acquire) < minute {
                slot.buckets.iter().for_each(|bucket| bucket.store(0, Ordering::Relaxed));
                slot.minute.store(minute, Ordering::Release);
            }
        }
        slot.buckets[bucket_index(duration)].fetch_add(1, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum_nanos.fetch_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn quantiles_at(&self, now: Duration, parts: &[f64]) -> Vec<Option<Duration>> {
        let newest = minute(now);
        let mut counts = vec![0_u64; BUCKETS];
        for slot in &self.slots {
            let minute = slot.minute.load(Ordering::Acquire);
            if minute == 0 || minute + (WINDOW_MINUTES as u64) < newest {
                continue;
            }
            for (sum, bucket) in counts.iter_mut().zip(&slot.buckets) {
                *sum += u64::from(bucket.load(Ordering::Relaxed));
            }
        }
        let all: u64 = counts.iter().sum();
        let quantile = |part: &f64| {
            let rank = ((all as f64 * part).ceil() as u64).max(1);
            let mut seen = 0;
            let bucket_index = counts.iter().position(|count| {
                seen += count;
                seen >= rank
            });
            bucket_index.filter(|_| all > 0).map(bucket_midpoint)
        };
        parts.iter().map(quantile).collect()
    }
}

fn minute(now: Duration) -> u64 {
    now.as_secs() / SLOT.as_secs() + 1
}

/// Returns the bucket of a duration.
fn bucket_index(duration: Duration) -> usize {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).max(STEPS);
    let doubling = micros.ilog2() - STEPS_LOG;
    let step = (micros >> doubling) - STEPS;
    ((doubling as usize) * STEPS as usize + step as usize).min(BUCKETS - 1)
}

/// Returns the midpoint of a bucket.
fn bucket_midpoint(bucket: usize) -> Duration {
    let (doubling, step) = (bucket / STEPS as usize, (bucket % STEPS as usize) as u64);
    let low = (STEPS + step) << doubling;
    Duration::from_micros(low + (1_u64 << doubling) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_quantile_has_an_error_of_a_few_percent() {
        let quantiles = Quantiles::default();
        for millis in 1..=1000 {
            quantiles.record_at(seconds(1), Duration::from_millis(millis));
        }
        let found = quantiles.quantiles_at(seconds(2), &[0.5, 0.9, 0.99]);
        for (found, expected) in found.into_iter().zip([0.5, 0.9, 0.99]) {
            let error = (found.unwrap().as_secs_f64() - expected).abs() / expected;
            assert!(error < 0.035, "{found:?} differs from {expected}");
        }
        assert_eq!(quantiles.total().0, 1000);
    }

    #[test]
    fn values_older_than_the_window_are_not_included() {
        let quantiles = Quantiles::default();
        quantiles.record_at(seconds(1), seconds(10));
        quantiles.record_at(seconds(200), Duration::from_millis(1));
        let longest = |now| quantiles.quantiles_at(seconds(now), &[1.0])[0].unwrap();
        assert!(longest(200) > seconds(9));
        assert!(longest(400) < Duration::from_millis(2));
        assert_eq!(quantiles.quantiles_at(seconds(4000), &[0.5]), [None]);
        quantiles.record_at(seconds(361), Duration::from_millis(1));
        assert!(longest(361) < Duration::from_millis(2), "the slot was used before");
    }

    #[test]
    fn every_duration_has_a_bucket() {
        for micros in [0, 1, 16, 17, 31, 32, 1_000_000, u64::MAX] {
            assert!(bucket_index(Duration::from_micros(micros)) < BUCKETS);
        }
        assert!(
            bucket_midpoint(bucket_index(Duration::from_millis(100))).abs_diff(Duration::from_millis(100))
                < Duration::from_millis(4)
        );
    }
}
