//! How long something was granted, and when it is to be renewed or replaced.

use std::time::Duration;

/// A point in time, counted from when the keeper began. It never goes back.
pub type Moment = Duration;

/// Where in its time something is renewed: early enough for several attempts. A tenth more is drawn by lot, so that a
/// thousand pods that started together do not come back together.
const RENEW_AT: f64 = 0.6;
/// Where in its time something that cannot be renewed is replaced: what is left is for failures, and for those that still
/// use it.
const REPLACE_AT: f64 = 0.75;
const SPREAD: f64 = 0.1;
/// A renewal that gave less than this part of the first time ran against the longest time, and another one gives nothing. It
/// is not one, because servers round.
const CAPPED: f64 = 0.9;

/// First pause after a failure; doubled with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause: a server that comes back is noticed within half a minute.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// While something lives, its pauses are no longer than this part of its time.
const PAUSES: u32 = 20;
/// Shortest pause: the time of what lives for a second only is no reason to ask without a break.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

/// What was granted, and what came of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Term {
    granted_at: Moment,
    granted: Duration,
    /// What it was granted at first.
    first: Duration,
    standing: Standing,
    /// Between 0 and 1, drawn with each grant.
    spread: f64,
    failures: u32,
    /// Not before then, after a failure.
    again_at: Moment,
}

/// What can be done for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It can be renewed.
    Renewable,
    /// It lives to its end, and no longer.
    Final,
    /// It is no good any more.
    Gone,
}

/// What comes next for it, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Renew it then.
    Renew(Moment),
    /// Get another one then.
    Replace(Moment),
}

impl Term {
    /// What was granted just now. `now` is when it was asked for, as the server may have counted from then.
    pub fn new(now: Moment, granted: Duration, renewable: bool, spread: f64) -> Term {
        let standing = if renewable { Standing::Renewable } else { Standing::Final };
        Term { granted_at: now, granted, first: granted, standing, spread, failures: 0, again_at: now }
    }

    /// When it ends.
    pub fn ends(&self) -> Moment {
        self.granted_at.saturating_add(self.granted)
    }

    /// What can be done for it.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// A renewal gave it more time.
    pub fn renewed(&mut self, now: Moment, granted: Duration, renewable: bool, spread: f64) {
        let first = self.first;
        *self = Term::new(now, granted, renewable && granted >= first.mul_f64(CAPPED), spread);
        self.first = first;
    }

    /// A call for it failed, in a way that may pass.
    pub fn failed(&mut self, now: Moment, spread: f64) {
        let doubled = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(self.failures)).min(LONGEST_PAUSE);
        let while_it_lives = (self.granted / PAUSES).max(SHORTEST_PAUSE);
        let pause = if now < self.ends() { doubled.min(while_it_lives) } else { doubled };
        self.failures = self.failures.saturating_add(1);
        self.again_at = now + pause.mul_f64(0.5 + spread / 2.0);
    }

    /// The server does not know it any more, or will not have it renewed.
    pub fn refused(&mut self) {
        self.standing = Standing::Gone;
        self.failures = 0;
        self.again_at = Duration::ZERO;
    }

    /// What comes next.
    pub fn due(&self, now: Moment) -> Due {
        let at =
            |part: f64| self.granted_at.saturating_add(self.granted.mul_f64(part + SPREAD * self.spread));
        let replace = |at: Moment| Due::Replace(at.max(self.again_at));
        match self.standing {
            Standing::Gone => replace(Duration::ZERO),
            // Counted from its end by the first time: what a last renewal gave may be too little for failures.
            Standing::Final => {
                let left = self.first.mul_f64(1.0 - REPLACE_AT - SPREAD * self.spread);
                replace(self.ends().saturating_sub(left))
            }
            Standing::Renewable => {
                // What could not be renewed for so long is not waited for until it has ended.
                let latest = self.granted_at.saturating_add(self.granted.mul_f64(REPLACE_AT + SPREAD));
                let renew = at(RENEW_AT).max(self.again_at);
                if renew.max(now) < latest { Due::Renew(renew) } else { replace(latest) }
            }
        }
    }
}
