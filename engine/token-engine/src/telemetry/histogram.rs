//! A histogram of durations with fixed bounds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper bounds in microseconds, and as text in seconds: from the duration of a storage access to the longest time that a
/// host waits.
pub(super) const BOUNDS: [(u64, &str); 15] = [
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (5_000_000, "5"),
    (10_000_000, "10"),
    (30_000_000, "30"),
    (90_000_000, "90"),
];

#[derive(Default)]
pub(super) struct Histogram {
    /// One per bound, and one for longer durations.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    sum_nanos: AtomicU64,
}

/// The state of a histogram at one time.
pub(super) struct Snapshot {
    /// The number of values up to each bound. The last is the total.
    pub(super) cumulative: [u64; BOUNDS.len() + 1],
    pub(super) sum: Duration,
}

impl Histogram {
    pub(super) fn record(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|(bound, _)| *bound < micros);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        // Overflows after five hundred years in total.
        self.sum_nanos.fetch_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Returns a snapshot. The count is the sum of the buckets, so both are consistent while values are recorded.
    pub(super) fn snapshot(&self) -> Snapshot {
        let mut cumulative = [0; BOUNDS.len() + 1];
        let mut total = 0;
        for (sum, bucket) in cumulative.iter_mut().zip(&self.buckets) {
            total += bucket.load(Ordering::Relaxed);
            *sum = total;
        }
        Snapshot { cumulative, sum: Duration::from_nanos(self.sum_nanos.load(Ordering::Relaxed)) }
    }
}

impl Snapshot {
    pub(super) fn count(&self) -> u64 {
        self.cumulative[BOUNDS.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_includes_equal_durations_and_no_longer_ones() {
        let histogram = Histogram::default();
        for micros in [1, 1_000, 1_001, 90_000_000, 90_000_001] {
            histogram.record(Duration::from_micros(micros));
        }
        let snapshot = histogram.snapshot();
        assert_eq!(snapshot.cumulative[0], 2);
        assert_eq!(snapshot.cumulative[1], 3);
        assert_eq!((snapshot.cumulative[14], snapshot.count()), (4, 5));
        assert_eq!(snapshot.sum, Duration::from_micros(180_002_003));
    }
}
