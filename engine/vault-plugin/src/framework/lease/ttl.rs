//! How long a lease may live: `CalculateTTL` of `sdk/framework`. A host decides with it; an engine can foresee the decision.

use std::time::{Duration, SystemTime};

/// What limits and extends a lease. A zero duration is not set.
///
/// ```
/// # use std::time::{Duration, SystemTime};
/// # use vault_plugin::framework::ttl::{TtlLimits, TtlRequest, calculate_ttl};
/// # let hours = Duration::from_hours;
/// let limits = TtlLimits { default: hours(1), max: hours(10) };
/// let wanted = TtlRequest { ttl: hours(2), increment: hours(3), ..TtlRequest::default() };
/// // The caller of a renewal has the word before the engine.
/// assert_eq!(calculate_ttl(limits, &wanted, SystemTime::now())?.ttl, hours(3));
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct TtlRequest {
    /// What the caller of a renewal asks for.
    pub increment: Duration,
    /// What the engine asks for.
    pub ttl: Duration,
    /// How long each renewal of a periodic token lasts.
    pub period: Duration,
    /// What the engine allows at most.
    pub max_ttl: Duration,
    /// The end that not even a period outlives.
    pub explicit_max_ttl: Duration,
    /// From when the maximum counts; `None` is now.
    pub issued: Option<SystemTime>,
}

/// The mount's own limits, never zero.
///
/// ```
/// # use std::time::{Duration, SystemTime};
/// # use vault_plugin::framework::ttl::{TtlLimits, TtlRequest, calculate_ttl};
/// # let hours = Duration::from_hours;
/// let limits = TtlLimits { default: hours(1), max: hours(10) };
/// assert_eq!(calculate_ttl(limits, &TtlRequest::default(), SystemTime::now())?.ttl, hours(1));
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TtlLimits {
    /// For whoever asks for nothing.
    pub default: Duration,
    /// For whoever asks for more.
    pub max: Duration,
}

/// The duration granted, and what has to be said about it.
///
/// ```
/// # use std::time::{Duration, SystemTime};
/// # use vault_plugin::framework::ttl::{TtlLimits, TtlRequest, calculate_ttl};
/// # let hours = Duration::from_hours;
/// # let limits = TtlLimits { default: hours(1), max: hours(10) };
/// let wanted = TtlRequest { ttl: hours(11), ..TtlRequest::default() };
/// let granted = calculate_ttl(limits, &wanted, SystemTime::now())?;
/// assert_eq!(granted.ttl, hours(10));
/// assert!(granted.warnings[0].starts_with("TTL of \"11h\" exceeded the effective max_ttl of \"10h\""));
/// # Ok::<(), &str>(())
/// ```
#[derive(Debug, PartialEq)]
pub struct TtlGrant {
    /// In whole seconds.
    pub ttl: Duration,
    /// Where less was granted than asked for.
    pub warnings: Vec<String>,
}

/// The text with which Vault refuses a renewal past the maximum.
pub const PAST_MAX_TTL: &str = "past the max TTL, cannot renew";

/// Grants a duration, in whole seconds.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use vault_plugin::framework::ttl::{TtlLimits, PAST_MAX_TTL, TtlRequest, calculate_ttl};
///
/// let hours = Duration::from_hours;
/// let limits = TtlLimits { default: hours(1), max: hours(10) };
/// let issued = SystemTime::now();
/// let wanted = TtlRequest { ttl: hours(2), issued: Some(issued), ..TtlRequest::default() };
/// assert_eq!(calculate_ttl(limits, &wanted, issued + hours(9))?.ttl, hours(1));
/// assert_eq!(calculate_ttl(limits, &wanted, issued + hours(10)), Err(PAST_MAX_TTL));
/// # Ok::<(), &str>(())
/// ```
///
/// # Errors
/// Refuses with [`PAST_MAX_TTL`].
pub fn calculate_ttl(
    limits: TtlLimits,
    wanted: &TtlRequest,
    now: SystemTime,
) -> Result<TtlGrant, &'static str> {
    let set = |duration: Duration| (!duration.is_zero()).then_some(duration);
    let now = truncate_to_second(now);
    let issued = wanted.issued.map_or(now, truncate_to_second);
    let max = [Some(limits.max), set(wanted.max_ttl), set(wanted.explicit_max_ttl)];
    let max = max.into_iter().flatten().min().unwrap_or(limits.max);
    let mut warnings = Vec::new();

    let (mut ttl, deadline) = match set(wanted.period) {
        Some(period) => {
            if period > max {
                warnings.push(format!(
                    "period of \"{}\" exceeded the effective max_ttl of \"{}\"; period value is capped accordingly",
                    format_go_duration(period),
                    format_go_duration(max)
                ));
            }
            (period.min(max), set(wanted.explicit_max_ttl).map(|max| issued + max))
        }
        None => {
            let ttl = set(wanted.increment).or(set(wanted.ttl)).unwrap_or(limits.default);
            (ttl, Some(issued + max))
        }
    };
    if let Some(deadline) = deadline {
        let left = deadline.duration_since(now).unwrap_or_default();
        if left.is_zero() {
            return Err(PAST_MAX_TTL);
        }
        if ttl > left {
            warnings.push(format!(
                "TTL of \"{}\" exceeded the effective max_ttl of \"{}\"; TTL value is capped accordingly",
                format_go_duration(ttl),
                format_go_duration(left)
            ));
            ttl = left;
        }
    }
    Ok(TtlGrant { ttl, warnings })
}

fn truncate_to_second(time: SystemTime) -> SystemTime {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

/// Go's text of a duration without the parts that are zero: `1h30m`, `1h5s`; 90 seconds are `1m30s`.
fn format_go_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds == 0 {
        return "0s".to_owned();
    }
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut text = String::new();
    if hours > 0 {
        text.push_str(&format!("{hours}h"));
    }
    if minutes > 0 {
        text.push_str(&format!("{minutes}m"));
    }
    if seconds > 0 {
        text.push_str(&format!("{seconds}s"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn limits() -> TtlLimits {
        TtlLimits { default: HOUR, max: 10 * HOUR }
    }

    #[track_caller]
    fn granted(wanted: TtlRequest, ttl: Duration, warning: Option<&str>) {
        let granted = calculate_ttl(limits(), &wanted, SystemTime::now()).unwrap();
        assert_eq!(granted.ttl, ttl);
        assert_eq!(granted.warnings.first().map(String::as_str), warning);
    }

    #[test]
    fn an_increment_wins_over_the_engine_and_the_engine_over_the_mount() {
        granted(TtlRequest::default(), HOUR, None);
        granted(TtlRequest { ttl: 2 * HOUR, ..TtlRequest::default() }, 2 * HOUR, None);
        granted(TtlRequest { ttl: 2 * HOUR, increment: 3 * HOUR, ..TtlRequest::default() }, 3 * HOUR, None);
    }

    #[test]
    fn the_smallest_maximum_counts_from_the_issue_and_caps_with_a_warning() {
        granted(
            TtlRequest { ttl: 11 * HOUR, ..TtlRequest::default() },
            10 * HOUR,
            Some("TTL of \"11h\" exceeded the effective max_ttl of \"10h\"; TTL value is capped accordingly"),
        );
        let issued = SystemTime::now() - 2 * HOUR;
        let wanted = TtlRequest { increment: 2 * HOUR, max_ttl: 3 * HOUR, ..TtlRequest::default() };
        granted(
            TtlRequest { issued: Some(issued), ..wanted },
            HOUR,
            Some("TTL of \"2h\" exceeded the effective max_ttl of \"1h\"; TTL value is capped accordingly"),
        );
        let past = TtlRequest { issued: Some(issued - 2 * HOUR), ..wanted };
        assert_eq!(calculate_ttl(limits(), &past, SystemTime::now()), Err(PAST_MAX_TTL));
    }

    #[test]
    fn a_period_ends_only_with_an_explicit_maximum() {
        let long_ago = Some(SystemTime::now() - 100 * HOUR);
        granted(TtlRequest { period: HOUR, issued: long_ago, ..TtlRequest::default() }, HOUR, None);
        let ended = TtlRequest {
            period: HOUR,
            explicit_max_ttl: 5 * HOUR,
            issued: long_ago,
            ..TtlRequest::default()
        };
        assert_eq!(calculate_ttl(limits(), &ended, SystemTime::now()), Err(PAST_MAX_TTL));
    }

    #[test]
    fn durations_are_written_as_go_writes_them() {
        for (seconds, text) in
            [(0, "0s"), (59, "59s"), (90, "1m30s"), (3600, "1h"), (5400, "1h30m"), (3601, "1h1s")]
        {
            assert_eq!(format_go_duration(Duration::from_secs(seconds)), text);
        }
    }
}
