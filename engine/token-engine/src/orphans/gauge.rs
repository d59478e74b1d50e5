//! The number and the age of the orphans of a mount, for its metrics.

use std::collections::HashMap;

use parking_lot::Mutex;
use serde::Deserialize;
use vault_plugin::framework::WAL_PREFIX;
use vault_plugin::logical::{Error, Storage};

use crate::rotation::ROTATION_KIND;
use crate::wal_entry::MINT_KIND;

/// The maximum number of entries that one scrape reads. With more new ones, the next scrapes read the rest.
const MAX_READS: usize = 100;

/// The times of the entries that were read before. The time of an entry never changes, so an entry is read once.
#[derive(Default)]
pub(crate) struct OrphanAges(Mutex<HashMap<String, EntryTime>>);

#[derive(Clone, Copy)]
enum EntryTime {
    /// The entry of a mint or of a rotation, with the time at which its request was first sent, in Unix time.
    Token(i64),
    Other,
}

/// The orphans at the time of a scrape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OrphanSummary {
    pub(crate) count: usize,
    /// Zero without orphans.
    pub(crate) oldest_age_seconds: u64,
}

/// The parts of an entry that determine its age.
#[derive(Deserialize)]
struct TimedEntry {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    data: TimedData,
    created_at: i64,
}

#[derive(Default, Deserialize)]
struct TimedData {
    #[serde(default)]
    planned_at: Option<i64>,
}

impl OrphanAges {
    /// Returns the orphans among the write-ahead log entries with these ids: the entries of mints and rotations that are at least as old as `min_age`.
    /// The request of a younger one may still run.
    pub(crate) async fn summary(
        &self,
        storage: &dyn Storage,
        ids: &[String],
        now: i64,
        min_age: u64,
    ) -> Result<OrphanSummary, Error> {
        let unknown: Vec<&String> = {
            let mut known = self.0.lock();
            let ids: std::collections::HashSet<&String> = ids.iter().collect();
            known.retain(|id, _| ids.contains(id));
            ids.iter().filter(|id| !known.contains_key(**id)).take(MAX_READS).copied().collect()
        };
        for id in unknown {
            let entry: Option<TimedEntry> = storage.read(&format!("{WAL_PREFIX}{id}")).await?;
            // Deleted after it was listed.
            let Some(entry) = entry else { continue };
            let time = match &*entry.kind {
                MINT_KIND | ROTATION_KIND => {
                    EntryTime::Token(entry.data.planned_at.unwrap_or(entry.created_at))
                }
                _ => EntryTime::Other,
            };
            self.0.lock().insert(id.clone(), time);
        }
        let mut summary = OrphanSummary::default();
        for time in self.0.lock().values() {
            let EntryTime::Token(time) = time else { continue };
            let age = u64::try_from(now.saturating_sub(*time)).unwrap_or_default();
            if age >= min_age {
                summary.count += 1;
                summary.oldest_age_seconds = summary.oldest_age_seconds.max(age);
            }
        }
        Ok(summary)
    }
}
