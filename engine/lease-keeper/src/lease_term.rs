//! The term of a lease or token: how long it is valid, and when to renew or replace it.

use std::time::Duration;

/// A point in time, measured from the start of the watcher. It is monotonic.
pub type Elapsed = Duration;

/// The fraction of the TTL after which a lease is renewed: early enough for several attempts. A random tenth is added, so that a
/// thousand pods that started together do not renew together.
const RENEW_FRACTION: f64 = 0.6;
/// The fraction of the TTL after which a lease that cannot be renewed is replaced. The rest is a reserve for failures, and for
/// clients that still use the old credential.
const REPLACE_FRACTION: f64 = 0.75;
const JITTER_FRACTION: f64 = 0.1;
/// A renewal that grants less than this fraction of the initial TTL was limited by the maximum TTL; another one would grant
/// nothing. It is less than 1 because servers round.
const CAPPED_FRACTION: f64 = 0.9;

/// The pause after the first failure. Each further failure doubles it.
const INITIAL_BACKOFF: Duration = Duration::from_millis(500);
/// The longest pause: a server that is back is noticed within half a minute.
const MAX_BACKOFF: Duration = Duration::from_secs(30);
/// A pause before the expiry is no longer than the TTL divided by this.
const MIN_ATTEMPTS_PER_TERM: u32 = 20;
/// The shortest pause, so that a TTL of a second does not lead to a busy loop.
const MIN_BACKOFF: Duration = Duration::from_millis(100);

/// The term of one lease or token, with the outcome of its renewals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LeaseTerm {
    granted_at: Elapsed,
    duration: Duration,
    /// The TTL before any renewal.
    initial_duration: Duration,
    state: LeaseState,
    /// A random number between 0 and 1, new with each grant.
    jitter: f64,
    failures: u32,
    /// The earliest time of the next attempt after a failure.
    retry_at: Elapsed,
}

/// Whether a lease can be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseState {
    /// The lease can be renewed.
    Renewable,
    /// The lease is valid until it expires and cannot be renewed.
    NotRenewable,
    /// The server no longer knows the lease, or refuses to renew it.
    Invalid,
}

/// The next action for a lease, and its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextAction {
    /// Renew it at this time.
    Renew(Elapsed),
    /// Replace it at this time.
    Replace(Elapsed),
}

impl LeaseTerm {
    /// A term that the server has just granted. `now` is the time of the request, because the server may count from then.
    pub fn new(now: Elapsed, granted: Duration, renewable: bool, jitter: f64) -> LeaseTerm {
        let state = if renewable { LeaseState::Renewable } else { LeaseState::NotRenewable };
        LeaseTerm {
            granted_at: now,
            duration: granted,
            initial_duration: granted,
            state,
            jitter,
            failures: 0,
            retry_at: now,
        }
    }

    /// The time at which it expires.
    pub fn expires_at(&self) -> Elapsed {
        self.granted_at.saturating_add(self.duration)
    }

    /// Whether it can be renewed.
    pub fn state(&self) -> LeaseState {
        self.state
    }

    /// Records a successful renewal.
    pub fn record_renewal(&mut self, now: Elapsed, granted: Duration, renewable: bool, jitter: f64) {
        let first = self.initial_duration;
        *self = LeaseTerm::new(now, granted, renewable && granted >= first.mul_f64(CAPPED_FRACTION), jitter);
        self.initial_duration = first;
    }

    /// Records a failure that may be transient, and delays the next attempt.
    pub fn record_failure(&mut self, now: Elapsed, jitter: f64) {
        let doubled = INITIAL_BACKOFF.saturating_mul(2_u32.saturating_pow(self.failures)).min(MAX_BACKOFF);
        let max_pause = (self.duration / MIN_ATTEMPTS_PER_TERM).max(MIN_BACKOFF);
        let pause = if now < self.expires_at() { doubled.min(max_pause) } else { doubled };
        self.failures = self.failures.saturating_add(1);
        self.retry_at = now + pause.mul_f64(0.5 + jitter / 2.0);
    }

    /// Records that the server no longer knows the lease, or refuses to renew it.
    pub fn mark_invalid(&mut self) {
        self.state = LeaseState::Invalid;
        self.failures = 0;
        self.retry_at = Duration::ZERO;
    }

    /// Returns the next action and its time.
    pub fn next_action(&self, now: Elapsed) -> NextAction {
        let at = |fraction: f64| {
            self.granted_at.saturating_add(self.duration.mul_f64(fraction + JITTER_FRACTION * self.jitter))
        };
        let replace = |at: Elapsed| NextAction::Replace(at.max(self.retry_at));
        match self.state {
            LeaseState::Invalid => replace(Duration::ZERO),
            // The reserve is a fraction of the initial TTL: a fraction of a short last renewal may be too little for retries.
            LeaseState::NotRenewable => {
                let reserve =
                    self.initial_duration.mul_f64(1.0 - REPLACE_FRACTION - JITTER_FRACTION * self.jitter);
                replace(self.expires_at().saturating_sub(reserve))
            }
            LeaseState::Renewable => {
                // A lease that could not be renewed for so long is replaced before it expires.
                let latest =
                    self.granted_at.saturating_add(self.duration.mul_f64(REPLACE_FRACTION + JITTER_FRACTION));
                let renew = at(RENEW_FRACTION).max(self.retry_at);
                if renew.max(now) < latest { NextAction::Renew(renew) } else { replace(latest) }
            }
        }
    }
}
