//! The TTL of a lease: `CalculateTTL` of `sdk/framework`. A host decides with it, and an engine can predict the decision.

use std::time::{Duration, SystemTime};

/// The inputs of the calculation. A zero duration is unset.
///
/// ```
/// # use std::time::{Duration, SystemTime};
/// # use vault_plugin::framework::ttl::{TtlLimits, TtlRequest, calculate_ttl};
/// # let hours = Duration::from_hours;
/// let limits = TtlLimits { default: hours(1), max: hours(10) };
/// let request = TtlRequest { ttl: hours(2), increment: hours(3), ..TtlRequest::default() };
/// // The increment of a renewal has precedence over the TTL of the engine.
/// assert_eq!(calculate_ttl(limits, &request, SystemTime::now())?.ttl, hours(3));
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct TtlRequest {
    /// The increment that the caller of a renewal requests.
    pub increment: Duration,
    /// The TTL that the engine requests.
    pub ttl: Duration,
    /// The period of a periodic token.
    pub period: Duration,
    /// The maximum TTL that the engine sets.
    pub max_ttl: Duration,
    /// The maximum lifetime, which applies to periodic tokens too.
    pub explicit_max_ttl: Duration,
    /// When the lease was issued. `None` means now.
    pub issued: Option<SystemTime>,
}

/// The limits of the mount. Never zero.
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
    /// The TTL of a request without one.
    pub default: Duration,
    /// The maximum TTL.
    pub max: Duration,
}

/// The granted TTL, with warnings.
///
/// ```
/// # use std::time::{Duration, SystemTime};
/// # use vault_plugin::framework::ttl::{TtlLimits, TtlRequest, calculate_ttl};
/// # let hours = Duration::from_hours;
/// # let limits = TtlLimits { default: hours(1), max: hours(10) };
/// let request = TtlRequest { ttl: hours(11), ..TtlRequest::default() };
/// let grant = calculate_ttl(limits, &request, SystemTime::now())?;
/// assert_eq!(grant.ttl, hours(10));
/// assert!(grant.warnings[0].starts_with("TTL of \"11h\" exceeded the effective max_ttl of \"10h\""));
/// # Ok::<(), &str>(())
/// ```
#[derive(Debug, PartialEq)]
pub struct TtlGrant {
    /// The TTL, in whole seconds.
    pub ttl: Duration,
    /// The reasons why less was granted than requested.
    pub warnings: Vec<String>,
}

/// Vault's message for a renewal past the maximum TTL.
pub const PAST_MAX_TTL: &str = "past the max TTL, cannot renew";

/// Calculates the TTL of a lease, in whole seconds.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use vault_plugin::framework::ttl::{TtlLimits, PAST_MAX_TTL, TtlRequest, calculate_ttl};
///
/// let hours = Duration::from_hours;
/// let limits = TtlLimits { default: hours(1), max: hours(10) };
/// let issued = SystemTime::now();
/// let request = TtlRequest { ttl: hours(2), issued: Some(issued), ..TtlRequest::default() };
/// assert_eq!(calculate_ttl(limits, &request, issued + hours(9))?.ttl, hours(1));
/// assert_eq!(calculate_ttl(limits, &request, issued + hours(10)), Err(PAST_MAX_TTL));
/// # Ok::<(), &str>(())
/// ```
///
/// # Errors
/// [`PAST_MAX_TTL`] if the maximum TTL has passed.
pub fn calculate_ttl(
    limits: TtlLimits,
    request: &TtlRequest,
    now: SystemTime,
) -> Result<TtlGrant, &'static str> {
    let set = |duration: Duration| (!duration.is_zero()).then_some(duration);
    let now = truncate_to_second(now);
    let issued = request.issued.map_or(now, truncate_to_second);
    let max = [Some(limits.max), set(request.max_ttl), set(request.explicit_max_ttl)];
    let max = max.into_iter().flatten().min().unwrap_or(limits.max);
    let mut warnings = Vec::new();

    let (mut ttl, deadline) = match set(request.period) {
        Some(period) => {
            if period > max {
                warnings.push(format!(
                    "period of \"{}\" exceeded the effective max_ttl of \"{}\"; period value is capped accordingly",
                    format_go_duration(period),
                    format_go_duration(max)
                ));
            }
            (period.min(max), set(request.explicit_max_ttl).map(|max| issued + max))
        }
        None => {
            let ttl = set(request.increment).or(set(request.ttl)).unwrap_or(limits.default);
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

/// Formats a duration like Go, without zero parts: `1h30m`, `1h5s`; 90 seconds are `1m30s`.
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
    fn check(request: TtlRequest, ttl: Duration, warning: Option<&str>) {
        let grant = calculate_ttl(limits(), &request, SystemTime::now()).unwrap();
        assert_eq!(grant.ttl, ttl);
        assert_eq!(grant.warnings.first().map(String::as_str), warning);
    }

    #[test]
    fn an_increment_has_precedence_over_the_engine_and_the_engine_over_the_mount() {
        check(TtlRequest::default(), HOUR, None);
        check(TtlRequest { ttl: 2 * HOUR, ..TtlRequest::default() }, 2 * HOUR, None);
        check(TtlRequest { ttl: 2 * HOUR, increment: 3 * HOUR, ..TtlRequest::default() }, 3 * HOUR, None);
    }

    #[test]
    fn the_smallest_maximum_counts_from_the_issue_and_caps_with_a_warning() {
        check(
            TtlRequest { ttl: 11 * HOUR, ..TtlRequest::default() },
            10 * HOUR,
            Some("TTL of \"11h\" exceeded the effective max_ttl of \"10h\"; TTL value is capped accordingly"),
        );
        let issued = SystemTime::now() - 2 * HOUR;
        let request = TtlRequest { increment: 2 * HOUR, max_ttl: 3 * HOUR, ..TtlRequest::default() };
        check(
            TtlRequest { issued: Some(issued), ..request },
            HOUR,
            Some("TTL of \"2h\" exceeded the effective max_ttl of \"1h\"; TTL value is capped accordingly"),
        );
        let past = TtlRequest { issued: Some(issued - 2 * HOUR), ..request };
        assert_eq!(calculate_ttl(limits(), &past, SystemTime::now()), Err(PAST_MAX_TTL));
    }

    #[test]
    fn a_period_ends_only_with_an_explicit_maximum() {
        let long_ago = Some(SystemTime::now() - 100 * HOUR);
        check(TtlRequest { period: HOUR, issued: long_ago, ..TtlRequest::default() }, HOUR, None);
        let ended = TtlRequest {
            period: HOUR,
            explicit_max_ttl: 5 * HOUR,
            issued: long_ago,
            ..TtlRequest::default()
        };
        assert_eq!(calculate_ttl(limits(), &ended, SystemTime::now()), Err(PAST_MAX_TTL));
    }

    #[test]
    fn durations_are_formatted_like_in_go() {
        for (seconds, text) in
            [(0, "0s"), (59, "59s"), (90, "1m30s"), (3600, "1h"), (5400, "1h30m"), (3601, "1h1s")]
        {
            assert_eq!(format_go_duration(Duration::from_secs(seconds)), text);
        }
    }
}
