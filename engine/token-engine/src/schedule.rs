//! When a credential is rotated: the rotation fields of Vault, and the times that follow from them. Pure: the caller passes the time.
//!
//! The rules are those of Vault's static roles and of its rotation manager: a period or a schedule, not both; a window only with a
//! schedule; a schedule in the five fields of cron, in UTC.

mod cron;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use vault_plugin::framework::{Field, Path};
use vault_plugin::logical::Error;

use self::cron::{CronError, CronSchedule};
use crate::field_update::FieldUpdate;

/// The shortest period. The host's timer, which starts rotations, runs once a minute.
pub(crate) const MIN_ROTATION_PERIOD: u64 = 60;

/// The shortest window, as in Vault. A shorter one could pass between two attempts.
pub(crate) const MIN_ROTATION_WINDOW: u64 = 60 * 60;

/// The rotation fields as they are stored and returned. Durations are in seconds. Zero and the empty string mean unset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RotationSettings {
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) rotation_period: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) rotation_schedule: String,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) rotation_window: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) disable_automated_rotation: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The rotation fields of a write. Flatten it into the fields of a path.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct RotationUpdate {
    #[serde(default)]
    pub(crate) rotation_period: FieldUpdate<u64>,
    #[serde(default)]
    pub(crate) rotation_schedule: FieldUpdate<String>,
    #[serde(default)]
    pub(crate) rotation_window: FieldUpdate<u64>,
    #[serde(default)]
    pub(crate) disable_automated_rotation: FieldUpdate<bool>,
}

/// Rotation fields that contradict each other or that cannot be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RotationError {
    #[error("rotation_period and rotation_schedule exclude each other; set one of them")]
    PeriodAndSchedule,
    #[error("rotation_window applies to rotation_schedule only; with rotation_period, omit it")]
    WindowWithoutSchedule,
    #[error(
        "rotation_period must be at least {MIN_ROTATION_PERIOD}s, not {0}s: the host starts rotations once a minute"
    )]
    PeriodTooShort(u64),
    #[error("rotation_window must be at least {MIN_ROTATION_WINDOW}s, not {0}s")]
    WindowTooShort(u64),
    #[error("rotation_schedule {0:?} is invalid: {1}")]
    Schedule(String, CronError),
    #[error("rotation_schedule {0:?} has no date within four years")]
    NeverOccurs(String),
}

impl From<RotationError> for Error {
    fn from(error: RotationError) -> Error {
        Error::invalid(error.to_string())
    }
}

/// Whether a rotation is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RotationDue {
    Now,
    /// Not before this time. A missed window counts as passed.
    At(Timestamp),
    /// Automatic rotation is disabled or not set.
    Never,
}

/// Adds the rotation fields to a path. `credential` is what is rotated, such as "the token".
pub(crate) fn with_rotation_fields<S: Send + Sync + 'static>(path: Path<S>, credential: &str) -> Path<S> {
    path.field(
        "rotation_period",
        Field::duration().describe(format!(
            "Specifies the time after which {credential} is rotated, at least 1m. It excludes rotation_schedule."
        )),
    )
    .field(
        "rotation_schedule",
        Field::string().describe(format!(
            "Specifies the times at which {credential} is rotated, in the five fields of cron (minute, hour, day of month, month, day of week) in UTC, \
             for example \"0 3 * * SAT\". It excludes rotation_period."
        )),
    )
    .field(
        "rotation_window",
        Field::duration().describe(
            "Specifies the time after a scheduled rotation within which it may start, at least 1h. A rotation that could not start within it waits for \
             the next scheduled time. It requires rotation_schedule. If it is not set, there is no limit.",
        ),
    )
    .field(
        "disable_automated_rotation",
        Field::bool().documented_default(false).describe("Specifies whether the credential is rotated only by request."),
    )
}

impl RotationSettings {
    /// Applies the fields of a write. A period that is set replaces the schedule and its window; a schedule that is set replaces the period.
    pub(crate) fn updated(mut self, update: RotationUpdate) -> Result<RotationSettings, RotationError> {
        let sets_period = matches!(update.rotation_period, FieldUpdate::Set(seconds) if seconds > 0);
        let sets_schedule =
            matches!(&update.rotation_schedule, FieldUpdate::Set(text) if !text.trim().is_empty());
        match (sets_period, sets_schedule) {
            (true, true) => return Err(RotationError::PeriodAndSchedule),
            (true, false) => {
                self.rotation_schedule.clear();
                self.rotation_window = 0;
            }
            (false, true) => self.rotation_period = 0,
            (false, false) => {}
        }
        update.rotation_period.apply(&mut self.rotation_period, 0);
        update.rotation_schedule.apply(&mut self.rotation_schedule, String::new());
        update.rotation_window.apply(&mut self.rotation_window, 0);
        update.disable_automated_rotation.apply(&mut self.disable_automated_rotation, false);
        self.rotation_schedule = self.rotation_schedule.trim().to_owned();
        self.check()?;
        Ok(self)
    }

    fn check(&self) -> Result<(), RotationError> {
        if (1..MIN_ROTATION_PERIOD).contains(&self.rotation_period) {
            return Err(RotationError::PeriodTooShort(self.rotation_period));
        }
        if let Some(schedule) = self.schedule()?
            // The day does not matter: every schedule with a date has one within any four years but those around the year 2100.
            && schedule.next_after(Timestamp::UNIX_EPOCH).is_none()
        {
            return Err(RotationError::NeverOccurs(self.rotation_schedule.clone()));
        }
        if self.rotation_window > 0 && self.rotation_schedule.is_empty() {
            return Err(RotationError::WindowWithoutSchedule);
        }
        if (1..MIN_ROTATION_WINDOW).contains(&self.rotation_window) {
            return Err(RotationError::WindowTooShort(self.rotation_window));
        }
        Ok(())
    }

    /// Returns whether a period or a schedule is set.
    pub(crate) fn is_set(&self) -> bool {
        self.rotation_period > 0 || !self.rotation_schedule.is_empty()
    }

    /// Returns whether a rotation is due at `now`, after the last one at `last`.
    pub(crate) fn due(&self, last: Timestamp, now: Timestamp) -> RotationDue {
        if self.disable_automated_rotation {
            return RotationDue::Never;
        }
        // A scheduled time whose window is over is skipped.
        let last = match now.checked_sub(self.window()) {
            Ok(oldest) if self.rotation_window > 0 => last.max(oldest),
            _ => last,
        };
        match self.next_after(last) {
            Some(next) if next <= now => RotationDue::Now,
            Some(next) => RotationDue::At(next),
            None => RotationDue::Never,
        }
    }

    /// Returns the first rotation after a time: one period later, or at the next scheduled time. Automatic rotation may be disabled.
    pub(crate) fn next_after(&self, time: Timestamp) -> Option<Timestamp> {
        if self.rotation_period > 0 {
            return time.checked_add(seconds(self.rotation_period)).ok();
        }
        self.schedule().ok().flatten()?.next_after(time)
    }

    /// Returns the time until the next rotation after the last one: zero if it is due. `None` if there is none.
    pub(crate) fn time_until_next(&self, last: Timestamp, now: Timestamp) -> Option<Duration> {
        match self.due(last, now) {
            RotationDue::Now => Some(Duration::ZERO),
            RotationDue::At(next) => Some(next.duration_since(now).try_into().unwrap_or_default()),
            RotationDue::Never => None,
        }
    }

    fn window(&self) -> SignedDuration {
        seconds(self.rotation_window)
    }

    /// Returns the parsed schedule, if there is one.
    fn schedule(&self) -> Result<Option<CronSchedule>, RotationError> {
        if self.rotation_schedule.is_empty() {
            return Ok(None);
        }
        CronSchedule::parse(&self.rotation_schedule)
            .map(Some)
            .map_err(|error| RotationError::Schedule(self.rotation_schedule.clone(), error))
    }
}

fn seconds(count: u64) -> SignedDuration {
    i64::try_from(count).map_or(SignedDuration::MAX, SignedDuration::from_secs)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn updated(before: &RotationSettings, fields: Value) -> Result<RotationSettings, RotationError> {
        before.clone().updated(serde_json::from_value(fields).unwrap())
    }

    fn settings(fields: Value) -> RotationSettings {
        updated(&RotationSettings::default(), fields).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        format!("2026-{text}:00Z").parse().unwrap()
    }

    #[track_caller]
    fn check_due(settings: &RotationSettings, last: &str, now: &str, expected: RotationDue) {
        assert_eq!(settings.due(at(last), at(now)), expected);
    }

    #[test]
    fn a_period_and_a_schedule_exclude_each_other_in_one_write() {
        let both = json!({"rotation_period": 3600, "rotation_schedule": "0 3 * * SAT"});
        assert_eq!(updated(&RotationSettings::default(), both), Err(RotationError::PeriodAndSchedule));
        let unset = settings(json!({"rotation_period": 0, "rotation_schedule": " 0 3 * * SAT "}));
        assert_eq!(unset.rotation_schedule, "0 3 * * SAT");
    }

    #[test]
    fn a_period_replaces_the_schedule_with_its_window_and_the_other_way_round() {
        let scheduled = settings(json!({"rotation_schedule": "0 3 * * SAT", "rotation_window": 7200}));
        let period = updated(&scheduled, json!({"rotation_period": 3600})).unwrap();
        assert_eq!(period, RotationSettings { rotation_period: 3600, ..RotationSettings::default() });
        let again =
            updated(&period, json!({"rotation_schedule": "0 3 * * SAT", "rotation_window": 7200})).unwrap();
        assert_eq!(again, scheduled);
    }

    #[test]
    fn a_window_needs_a_schedule_and_an_hour() {
        let error = |fields| updated(&RotationSettings::default(), fields).unwrap_err();
        assert_eq!(
            error(json!({"rotation_period": 3600, "rotation_window": 7200})),
            RotationError::WindowWithoutSchedule
        );
        assert_eq!(
            error(json!({"rotation_schedule": "0 3 * * *", "rotation_window": 3599})),
            RotationError::WindowTooShort(3599)
        );
        let scheduled = settings(json!({"rotation_schedule": "0 3 * * *", "rotation_window": 3600}));
        assert_eq!(
            updated(&scheduled, json!({"rotation_schedule": null})),
            Err(RotationError::WindowWithoutSchedule)
        );
    }

    #[test]
    fn a_period_lasts_a_minute_at_least() {
        let period = |seconds: u64| {
            updated(&RotationSettings::default(), json!({"rotation_period": seconds})).map(drop)
        };
        assert_eq!(period(59), Err(RotationError::PeriodTooShort(59)));
        assert_eq!(period(60), Ok(()));
    }

    #[test]
    fn a_schedule_without_a_date_is_refused() {
        let error =
            updated(&RotationSettings::default(), json!({"rotation_schedule": "0 0 30 2 *"})).unwrap_err();
        assert_eq!(error, RotationError::NeverOccurs("0 0 30 2 *".to_owned()));
        settings(json!({"rotation_schedule": "0 0 29 2 *"}));
    }

    #[test]
    fn null_resets_the_fields_and_omitted_ones_stay() {
        let before = settings(json!({"rotation_period": 3600, "disable_automated_rotation": true}));
        let enabled = updated(&before, json!({"disable_automated_rotation": null})).unwrap();
        assert_eq!(enabled, settings(json!({"rotation_period": 3600})));
        assert!(!updated(&before, json!({"rotation_period": null})).unwrap().is_set());
        assert_eq!(updated(&before, json!({})).unwrap(), before);
    }

    #[test]
    fn a_period_counts_from_the_last_rotation() {
        let hourly = settings(json!({"rotation_period": 3600}));
        check_due(&hourly, "01-01T10:00", "01-01T10:59", RotationDue::At(at("01-01T11:00")));
        check_due(&hourly, "01-01T10:00", "01-01T11:00", RotationDue::Now);
        check_due(&hourly, "01-01T10:00", "02-01T00:00", RotationDue::Now);
        let left = |now| hourly.time_until_next(at("01-01T10:00"), at(now));
        assert_eq!(left("01-01T10:15"), Some(Duration::from_secs(45 * 60)));
        assert_eq!(left("01-01T12:00"), Some(Duration::ZERO));
    }

    #[test]
    fn a_schedule_without_a_window_is_made_up_for_at_any_time() {
        let saturdays = settings(json!({"rotation_schedule": "0 3 * * SAT"}));
        // 2026-01-03 is a Saturday.
        check_due(&saturdays, "01-01T10:00", "01-03T02:59", RotationDue::At(at("01-03T03:00")));
        check_due(&saturdays, "01-01T10:00", "01-03T03:00", RotationDue::Now);
        check_due(&saturdays, "01-01T10:00", "01-09T12:00", RotationDue::Now);
        check_due(&saturdays, "01-03T03:00", "01-03T03:01", RotationDue::At(at("01-10T03:00")));
    }

    #[test]
    fn a_rotation_outside_its_window_waits_for_the_next_scheduled_time() {
        let settings = settings(json!({"rotation_schedule": "0 3 * * SAT", "rotation_window": 3600}));
        check_due(&settings, "01-01T10:00", "01-03T03:59", RotationDue::Now);
        check_due(&settings, "01-01T10:00", "01-03T04:00", RotationDue::At(at("01-10T03:00")));
        check_due(&settings, "01-01T10:00", "01-20T00:00", RotationDue::At(at("01-24T03:00")));
        // Rotated in the window, so not twice in it.
        check_due(&settings, "01-03T03:10", "01-03T03:20", RotationDue::At(at("01-10T03:00")));
    }

    #[test]
    fn disabled_rotation_is_never_due_but_its_fields_stay() {
        let disabled = settings(json!({"rotation_period": 3600, "disable_automated_rotation": true}));
        check_due(&disabled, "01-01T10:00", "01-09T10:00", RotationDue::Never);
        assert_eq!(disabled.time_until_next(at("01-01T10:00"), at("01-01T10:00")), None);
        assert_eq!(disabled.next_after(at("01-01T10:00")), Some(at("01-01T11:00")));
        check_due(&RotationSettings::default(), "01-01T10:00", "01-09T10:00", RotationDue::Never);
    }

    #[test]
    fn unset_fields_are_not_stored() {
        assert_eq!(serde_json::to_value(RotationSettings::default()).unwrap(), json!({}));
        let hourly = settings(json!({"rotation_period": 3600}));
        assert_eq!(serde_json::to_value(&hourly).unwrap(), json!({"rotation_period": 3600}));
    }
}
