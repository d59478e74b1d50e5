//! A schedule in the five fields of cron, in UTC, as Vault reads it.
//!
//! Vault parses schedules with the package cron of Go. The parser used here knows extensions that Vault rejects (a time zone, `L`, `W`, `#`),
//! and reads a step of days as crontab(5) does. So a schedule is checked, and written in the terms of both, before it is parsed.

use cronexpr::{Crontab, FallbackTimezoneOption, MakeTimestamp, ParseOptions, parse_crontab_with};
use jiff::Timestamp;

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// A text that is not a schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CronError {
    #[error(
        "it must have five fields (minute, hour, day of month, month, day of week), such as \"0 3 * * SAT\""
    )]
    FieldCount,
    #[error("{0:?} is not supported in a field")]
    Unsupported(String),
    #[error("{0}")]
    Parse(String),
}

/// A parsed schedule.
pub(super) struct CronSchedule(Crontab);

/// One of the five fields.
struct CronField {
    names: &'static [&'static str],
    /// The first and the last value, for a field of days. If only one of both such fields is restricted, it alone selects the day.
    days: Option<(u8, u8)>,
}

const FIELDS: [CronField; 5] = [
    CronField { names: &[], days: None },
    CronField { names: &[], days: None },
    CronField { names: &[], days: Some((1, 31)) },
    CronField { names: &MONTHS, days: None },
    CronField { names: &WEEKDAYS, days: Some((0, 6)) },
];

impl CronSchedule {
    pub(super) fn parse(text: &str) -> Result<CronSchedule, CronError> {
        let text = text.to_ascii_uppercase();
        let given: Vec<&str> = text.split_ascii_whitespace().collect();
        let given: [&str; 5] = given.try_into().map_err(|_| CronError::FieldCount)?;
        let fields: Result<Vec<_>, _> =
            FIELDS.iter().zip(given).map(|(field, text)| field.normalize(text)).collect();
        let mut options = ParseOptions::default();
        options.fallback_timezone_option = FallbackTimezoneOption::UTC;
        let parsed = parse_crontab_with(&fields?.join(" "), options);
        parsed.map(CronSchedule).map_err(|error| CronError::Parse(one_line(&error.to_string())))
    }

    /// Returns the first scheduled time after `time`, if there is one within four years.
    pub(super) fn next_after(&self, time: Timestamp) -> Option<Timestamp> {
        self.0.find_next(MakeTimestamp(time)).ok().map(|next| next.timestamp())
    }
}

impl CronField {
    /// Checks a field, and returns it in terms that crontab(5) and Vault read alike.
    fn normalize(&self, text: &str) -> Result<String, CronError> {
        let is_allowed =
            |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '*' | '?' | '/' | ',' | '-');
        if let Some(letter) = text.chars().find(|letter| !is_allowed(*letter)) {
            return Err(CronError::Unsupported(letter.to_string()));
        }
        let words = text.split(|letter: char| !letter.is_ascii_alphabetic()).filter(|word| !word.is_empty());
        if let Some(word) = words.into_iter().find(|word| !self.names.contains(word)) {
            return Err(CronError::Unsupported(word.to_owned()));
        }
        let text = text.replace('?', "*");
        // A list with a star is a star.
        if text.split(',').any(|item| matches!(item, "*" | "*/1")) && !text.split(',').any(str::is_empty) {
            return Ok("*".to_owned());
        }
        let items: Vec<_> = text.split(',').map(|item| self.normalize_item(item)).collect();
        Ok(items.join(","))
    }

    /// Writes the range of a step of days as numbers: for Vault, `*/2` is a restriction of the days, and a week ends on Saturday.
    fn normalize_item(&self, item: &str) -> String {
        let (Some((first, last)), Some((range, step))) = (self.days, item.split_once('/')) else {
            return item.to_owned();
        };
        match range {
            "*" => format!("{first}-{last}/{step}"),
            range if range.contains('-') => item.to_owned(),
            start => format!("{start}-{last}/{step}"),
        }
    }
}

/// Returns the reason of the parser without its picture of the position.
fn one_line(message: &str) -> String {
    message.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares the first times after 2026-01-01, a Thursday, with those of Vault's parser.
    #[track_caller]
    fn check(schedule: &str, expected: &[&str]) {
        let parsed = CronSchedule::parse(schedule).unwrap();
        let mut time: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for expected in expected {
            time = parsed.next_after(time).unwrap();
            assert_eq!(time.to_string(), format!("2026-{expected}:00Z"), "{schedule}");
        }
    }

    #[track_caller]
    fn error(schedule: &str) -> String {
        CronSchedule::parse(schedule).map(drop).unwrap_err().to_string()
    }

    #[test]
    fn a_schedule_is_in_utc_and_names_are_of_any_case() {
        check("0 3 * * SAT", &["01-03T03:00", "01-10T03:00"]);
        check("0 3 * * sat", &["01-03T03:00"]);
        check("*/20 * * * *", &["01-01T00:20", "01-01T00:40", "01-01T01:00"]);
        check("5/25 1 * * *", &["01-01T01:05", "01-01T01:30", "01-01T01:55", "01-02T01:05"]);
        check("0 0 1 feb,Mar *", &["02-01T00:00", "03-01T00:00"]);
        check("0 12 ? * MON-FRI", &["01-01T12:00", "01-02T12:00", "01-05T12:00"]);
    }

    #[test]
    fn a_day_of_the_month_or_of_the_week_is_enough_if_both_are_restricted() {
        check("0 0 2 * SAT", &["01-02T00:00", "01-03T00:00", "01-10T00:00"]);
        // A step restricts the days, so every Saturday is added to the odd days.
        check("0 0 */15 * SAT", &["01-03T00:00", "01-10T00:00", "01-16T00:00", "01-17T00:00"]);
        check("0 0 16 * */3", &["01-03T00:00", "01-04T00:00", "01-07T00:00"]);
        check("0 0 *,5 * SAT", &["01-03T00:00", "01-10T00:00"]);
    }

    #[test]
    fn a_step_of_weekdays_ends_on_saturday() {
        check("0 0 * * 1/2", &["01-02T00:00", "01-05T00:00", "01-07T00:00", "01-09T00:00"]);
    }

    #[test]
    fn what_vault_does_not_read_is_refused() {
        for schedule in
            ["", "* * * *", "0 0 3 * * *", "@daily", "TZ=Asia/Tokyo 0 3 * * *", "0 3 * * * Asia/Tokyo"]
        {
            assert!(error(schedule).contains("five fields"), "{schedule}");
        }
        for (schedule, word) in [
            ("0 0 L * *", "\"L\""),
            ("0 0 15W * *", "\"W\""),
            ("0 0 * * 5L", "\"L\""),
            ("0 0 * * 5#2", "\"#\""),
            ("H 0 * * *", "\"H\""),
            ("0 0 SAT * *", "\"SAT\""),
            ("0 0 * * JAN", "\"JAN\""),
        ] {
            assert!(error(schedule).contains(word), "{schedule}: {}", error(schedule));
        }
        for schedule in [
            "60 0 * * *",
            "0 24 * * *",
            "0 0 0 * *",
            "0 0 * 13 *",
            "0 0 * * 8",
            "5-1 0 * * *",
            "*, 0 * * *",
            "*/0 0 * * *",
        ] {
            assert!(!error(schedule).is_empty(), "{schedule}");
        }
    }
}
