//! What is to be done next for a login and a lease. Pure: the time is an argument, nothing is awaited.

use std::time::Duration;

use crate::lease_term::{Elapsed, LeaseTerm, NextAction};

/// What is held. What never ends is not here.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HeldSecrets {
    /// The token that everything is asked with.
    pub login: Option<LoginTerm>,
    /// The credential's lease.
    pub lease: Option<LeaseTerm>,
}

/// A token, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LoginTerm {
    /// From a login of ours, which can be repeated.
    Own(LeaseTerm),
    /// The caller's. When it can no longer be renewed there is no other.
    Caller(LeaseTerm),
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use = "a decision that nobody reads is not taken"]
pub enum Decision {
    /// This, now.
    Do(Action),
    /// Nothing before then.
    Wait(Elapsed),
    /// Nothing at all: nothing that is held ends, or can be kept.
    Idle,
}

/// A call to the server, or several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Have the token live longer.
    RenewLogin,
    /// Get another token; the credential has to be replaced then, as it ends with the token it was made with.
    LogIn,
    /// Have the lease live longer.
    RenewLease,
    /// Get another credential.
    ReplaceCredential,
}

/// The next thing to do. The login comes first where both are due: a lease ends with the token it was made with.
pub fn decide(held: &HeldSecrets, now: Elapsed) -> Decision {
    let login = match held.login {
        None => None,
        Some(LoginTerm::Own(term)) => Some(match term.next_action(now) {
            NextAction::Renew(at) => (at, Action::RenewLogin),
            NextAction::Replace(at) => (at, Action::LogIn),
        }),
        Some(LoginTerm::Caller(term)) => match term.next_action(now) {
            NextAction::Renew(at) => Some((at, Action::RenewLogin)),
            NextAction::Replace(_) => None,
        },
    };
    let lease = held.lease.map(|term| match term.next_action(now) {
        NextAction::Renew(at) => (at, Action::RenewLease),
        NextAction::Replace(at) => (at, Action::ReplaceCredential),
    });
    let due = [login, lease].into_iter().flatten();
    match due.clone().find(|(at, _)| *at <= now) {
        Some((_, action)) => Decision::Do(action),
        None => due.map(|(at, _)| at).min().map_or(Decision::Idle, Decision::Wait),
    }
}

/// How long a renewal may take: so long that there is time for another attempt, and for a replacement.
pub fn renewal_timeout(term: &LeaseTerm, now: Elapsed) -> Duration {
    (term.expires_at().saturating_sub(now) / 3).max(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::lease_term::LeaseState;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn term(granted: u64, renewable: bool) -> LeaseTerm {
        LeaseTerm::new(Duration::ZERO, seconds(granted), renewable, 0.0)
    }

    #[track_caller]
    fn check(held: HeldSecrets, now: u64, expected: Decision) {
        assert_eq!(decide(&held, seconds(now)), expected, "{held:?} at {now}");
    }

    #[test]
    fn a_lease_is_renewed_at_three_fifths_and_replaced_when_it_cannot_be() {
        let lease = |term| HeldSecrets { lease: Some(term), login: None };
        check(lease(term(100, true)), 0, Decision::Wait(seconds(60)));
        check(lease(term(100, true)), 60, Decision::Do(Action::RenewLease));
        check(lease(term(100, true)), 90, Decision::Do(Action::ReplaceCredential));
        check(lease(term(100, false)), 60, Decision::Wait(seconds(75)));
        check(lease(term(100, false)), 75, Decision::Do(Action::ReplaceCredential));
        check(HeldSecrets::default(), 1000, Decision::Idle);
    }

    #[test]
    fn a_renewal_that_gave_less_was_the_last() {
        let mut near_max = term(100, true);
        near_max.record_renewal(seconds(60), seconds(40), true, 0.0);
        let held = HeldSecrets { lease: Some(near_max), login: None };
        // A quarter of the first time is left for failures, not of what the last renewal gave.
        check(held, 60, Decision::Wait(seconds(75)));
        check(held, 75, Decision::Do(Action::ReplaceCredential));

        let mut rounded = term(100, true);
        rounded.record_renewal(seconds(60), seconds(99), true, 0.0);
        let held = HeldSecrets { lease: Some(rounded), login: None };
        assert!(matches!(decide(&held, seconds(120)), Decision::Do(Action::RenewLease)));
    }

    #[test]
    fn a_failed_renewal_is_tried_again_and_a_refused_one_is_not() {
        let mut failing = term(100, true);
        failing.record_failure(seconds(60), 1.0);
        check(
            HeldSecrets { lease: Some(failing), login: None },
            60,
            Decision::Wait(Duration::from_millis(60_500)),
        );
        check(HeldSecrets { lease: Some(failing), login: None }, 61, Decision::Do(Action::RenewLease));
        failing.mark_invalid();
        assert_eq!(failing.state(), LeaseState::Invalid);
        check(HeldSecrets { lease: Some(failing), login: None }, 61, Decision::Do(Action::ReplaceCredential));
    }

    #[test]
    fn a_login_of_ours_is_repeated_and_the_callers_is_not() {
        check(
            HeldSecrets { login: Some(LoginTerm::Own(term(50, false))), lease: None },
            40,
            Decision::Do(Action::LogIn),
        );
        check(
            HeldSecrets { login: Some(LoginTerm::Caller(term(50, false))), lease: None },
            40,
            Decision::Idle,
        );
        let both =
            HeldSecrets { login: Some(LoginTerm::Caller(term(50, true))), lease: Some(term(50, true)) };
        check(both, 30, Decision::Do(Action::RenewLogin));
    }

    proptest! {
        #[test]
        fn waiting_is_for_the_future_and_what_is_due_is_done(
            granted in 1_u64..100_000, renewable: bool, at in 0_u64..200_000, spread in 0.0..1.0_f64, failures in 0_u32..50,
        ) {
            let mut lease = LeaseTerm::new(Duration::ZERO, seconds(granted), renewable, spread);
            for _ in 0..failures {
                lease.record_failure(seconds(at), spread);
            }
            let now = seconds(at);
            match decide(&HeldSecrets { lease: Some(lease), login: None }, now) {
                Decision::Wait(until) => {
                    prop_assert!(until > now);
                    prop_assert!(until - now <= seconds(30).max(seconds(granted)));
                }
                Decision::Do(Action::RenewLease) => prop_assert!(renewable && now < lease.expires_at()),
                Decision::Do(action) => prop_assert_eq!(action, Action::ReplaceCredential),
                Decision::Idle => prop_assert!(false, "a lease is never forgotten"),
            }
        }

        /// A server that is away for less than a tenth of a lease costs nobody a credential.
        #[test]
        fn a_credential_is_there_at_every_moment_though_the_server_is_away_for_a_while(
            ttl in 2_u64..5_000, max_ttl in 2_u64..20_000, away_from in 0_u64..20_000, away_tenth in 0.0..1.0_f64, spread in 0.0..1.0_f64,
        ) {
            let ttl = ttl.min(max_ttl);
            let outage = away_from..away_from + (ttl as f64 / 10.0 * away_tenth) as u64;
            let (mut now, mut issued) = (Duration::ZERO, Duration::ZERO);
            let mut lease = LeaseTerm::new(now, seconds(ttl), true, spread);
            let mut acts = 0;
            while now < seconds(20_000) && acts < 2_000 {
                match decide(&HeldSecrets { lease: Some(lease), login: None }, now) {
                    Decision::Wait(until) => now = until,
                    Decision::Idle => prop_assert!(false),
                    Decision::Do(action) => {
                        acts += 1;
                        let away = outage.contains(&now.as_secs());
                        if away {
                            lease.record_failure(now, spread);
                            continue;
                        }
                        prop_assert!(now <= lease.expires_at(), "lapsed at {:?}, ended at {:?}", now, lease.expires_at());
                        if action == Action::RenewLease {
                            let left = (issued + seconds(max_ttl)).saturating_sub(now);
                            lease.record_renewal(now, seconds(ttl.min(left.as_secs())), true, spread);
                        } else {
                            issued = now;
                            lease = LeaseTerm::new(now, seconds(ttl), true, spread);
                        }
                    }
                }
            }
        }
    }
}
