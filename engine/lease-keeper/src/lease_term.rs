//! How long something was granted, and when it is to be renewed or replaced.

use std::time::Duration;

/// A point in time, counted from when the keeper began. It never goes back.
pub type Elapsed = Duration;

/// Where in its time something is renewed: early enough for several attempts. A tenth more is drawn by lot, so that a
/// thousand pods that started together do not come back together.
const RENEW_FRACTION: f64 = 0.6;
/// Where in its time something that cannot be renewed is replaced: what is left is for failures, and for those that still
/// use it.
const REPLACE_FRACTION: f64 = 0.75;
const JITTER_FRACTION: f64 = 0.1;
/// A renewal that gave less than this part of the first time ran against the longest time, and another one gives nothing. It
/// is not one, because servers round.
const CAPPED_FRACTION: f64 = 0.9;

/// First pause after a failure; doubled with each further one.
const INITIAL_BACKOFF: Duration = Duration::from_millis(500);
/// Longest pause: a server that comes back is noticed within half a minute.
const MAX_BACKOFF: Duration = Duration::from_secs(30);
/// While something lives, its pauses are no longer than this part of its time.
const MIN_ATTEMPTS_PER_TERM: u32 = 20;
/// Shortest pause: the time of what lives for a second only is no reason to ask without a break.
const MIN_BACKOFF: Duration = Duration::from_millis(100);

/// What was granted, and what came of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LeaseTerm {
    granted_at: Elapsed,
    duration: Duration,
    /// What it was granted at first.
    initial_duration: Duration,
    state: LeaseState,
    /// Between 0 and 1, drawn with each grant.
    jitter: f64,
    failures: u32,
    /// Not before then, after a failure.
    retry_at: Elapsed,
}

/// What can be done for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseState {
    /// It can be renewed.
    Renewable,
    /// It lives to its end, and no longer.
    NotRenewable,
    /// It is no good any more.
    Invalid,
}

/// What comes next for it, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextAction {
    /// Renew it then.
    Renew(Elapsed),
    /// Get another one then.
    Replace(Elapsed),
}

impl LeaseTerm {
    /// What was granted just now. `now` is when it was asked for, as the server may have counted from then.
    pub fn new(now: Elapsed, granted: Duration, renewable: bool, spread: f64) -> LeaseTerm {
        let standing = if renewable { LeaseState::Renewable } else { LeaseState::NotRenewable };
        LeaseTerm {
            granted_at: now,
            duration: granted,
            initial_duration: granted,
            state: standing,
            jitter: spread,
            failures: 0,
            retry_at: now,
        }
    }

    /// When it ends.
    pub fn expires_at(&self) -> Elapsed {
        self.granted_at.saturating_add(self.duration)
    }

    /// What can be done for it.
    pub fn state(&self) -> LeaseState {
        self.state
    }

    /// A renewal gave it more time.
    pub fn record_renewal(&mut self, now: Elapsed, granted: Duration, renewable: bool, spread: f64) {
        let first = self.initial_duration;
        *self = LeaseTerm::new(now, granted, renewable && granted >= first.mul_f64(CAPPED_FRACTION), spread);
        self.initial_duration = first;
    }

    /// A call for it failed, in a way that may pass.
    pub fn record_failure(&mut self, now: Elapsed, spread: f64) {
        let doubled = INITIAL_BACKOFF.saturating_mul(2_u32.saturating_pow(self.failures)).min(MAX_BACKOFF);
        let while_it_lives = (self.duration / MIN_ATTEMPTS_PER_TERM).max(MIN_BACKOFF);
        let pause = if now < self.expires_at() { doubled.min(while_it_lives) } else { doubled };
        self.failures = self.failures.saturating_add(1);
        self.retry_at = now + pause.mul_f64(0.5 + spread / 2.0);
    }

    /// The server does not know it any more, or will not have it renewed.
    pub fn mark_invalid(&mut self) {
        self.state = LeaseState::Invalid;
        self.failures = 0;
        self.retry_at = Duration::ZERO;
    }

    /// What comes next.
    pub fn next_action(&self, now: Elapsed) -> NextAction {
        let at = |part: f64| {
            self.granted_at.saturating_add(self.duration.mul_f64(part + JITTER_FRACTION * self.jitter))
        };
        let replace = |at: Elapsed| NextAction::Replace(at.max(self.retry_at));
        match self.state {
            LeaseState::Invalid => replace(Duration::ZERO),
            // Counted from its end by the first time: what a last renewal gave may be too little for failures.
            LeaseState::NotRenewable => {
                let left =
                    self.initial_duration.mul_f64(1.0 - REPLACE_FRACTION - JITTER_FRACTION * self.jitter);
                replace(self.expires_at().saturating_sub(left))
            }
            LeaseState::Renewable => {
                // What could not be renewed for so long is not waited for until it has ended.
                let latest =
                    self.granted_at.saturating_add(self.duration.mul_f64(REPLACE_FRACTION + JITTER_FRACTION));
                let renew = at(RENEW_FRACTION).max(self.retry_at);
                if renew.max(now) < latest { NextAction::Renew(renew) } else { replace(latest) }
            }
        }
    }
}
