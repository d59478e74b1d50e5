//! Chooses the next action for a login and a lease. Pure functions: the time is an argument, and nothing is awaited.

use std::time::Duration;

use crate::lease_term::{Elapsed, LeaseTerm, NextAction};

/// The login and the lease that the watcher holds. A field is `None` if it does not exist, or if it never expires.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HeldTerms {
    /// The token that sends the requests.
    pub login: Option<LoginTerm>,
    /// The lease of the credential.
    pub lease: Option<LeaseTerm>,
}

/// A token and its owner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LoginTerm {
    /// The token of the watcher's own login, which can be repeated.
    Own(LeaseTerm),
    /// The caller's token. It cannot be replaced once it can no longer be renewed.
    Caller(LeaseTerm),
}

/// The next step of the watcher.
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use = "a decision has no effect until it is executed"]
pub enum Decision {
    /// Execute this action now.
    Do(Action),
    /// Wait until then.
    Wait(Elapsed),
    /// Wait for a command: nothing expires, or nothing can be renewed.
    Idle,
}

/// One or more requests to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Renew the token.
    RenewLogin,
    /// Log in again. The credential is replaced afterwards, because its lease ends with the token that created it.
    LogIn,
    /// Renew the lease.
    RenewLease,
    /// Request a new credential.
    ReplaceCredential,
}

/// Returns the next step. If both are due the login comes first, because a lease ends with the token that created it.
pub fn decide(held: &HeldTerms, now: Elapsed) -> Decision {
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

/// The timeout of a renewal: a third of the remaining time, which leaves time for another attempt and for a replacement.
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
    fn check(held: HeldTerms, now: u64, expected: Decision) {
        assert_eq!(decide(&held, seconds(now)), expected, "{held:?} at {now}");
    }

    #[test]
    fn a_lease_is_renewed_at_three_fifths_and_replaced_when_it_cannot_be() {
        let lease = |term| HeldTerms { lease: Some(term), login: None };
        check(lease(term(100, true)), 0, Decision::Wait(seconds(60)));
        check(lease(term(100, true)), 60, Decision::Do(Action::RenewLease));
        check(lease(term(100, true)), 90, Decision::Do(Action::ReplaceCredential));
        check(lease(term(100, false)), 60, Decision::Wait(seconds(75)));
        check(lease(term(100, false)), 75, Decision::Do(Action::ReplaceCredential));
        check(HeldTerms::default(), 1000, Decision::Idle);
    }

    #[test]
    fn a_renewal_that_granted_less_was_the_last() {
        let mut near_max = term(100, true);
        near_max.record_renewal(seconds(60), seconds(40), true, 0.0);
        let held = HeldTerms { lease: Some(near_max), login: None };
        // The reserve for failures is a quarter of the initial TTL, not of the shorter TTL that the last renewal granted.
        check(held, 60, Decision::Wait(seconds(75)));
        check(held, 75, Decision::Do(Action::ReplaceCredential));

        let mut rounded = term(100, true);
        rounded.record_renewal(seconds(60), seconds(99), true, 0.0);
        let held = HeldTerms { lease: Some(rounded), login: None };
        assert!(matches!(decide(&held, seconds(120)), Decision::Do(Action::RenewLease)));
    }

    #[test]
    fn a_failed_renewal_is_retried_and_a_refused_one_is_not() {
        let mut failing = term(100, true);
        failing.record_failure(seconds(60), 1.0);
        check(
            HeldTerms { lease: Some(failing), login: None },
            60,
            Decision::Wait(Duration::from_millis(60_500)),
        );
        check(HeldTerms { lease: Some(failing), login: None }, 61, Decision::Do(Action::RenewLease));
        failing.mark_invalid();
        assert_eq!(failing.state(), LeaseState::Invalid);
        check(HeldTerms { lease: Some(failing), login: None }, 61, Decision::Do(Action::ReplaceCredential));
    }

    #[test]
    fn an_own_login_is_repeated_and_the_callers_is_not() {
        check(
            HeldTerms { login: Some(LoginTerm::Own(term(50, false))), lease: None },
            40,
            Decision::Do(Action::LogIn),
        );
        check(HeldTerms { login: Some(LoginTerm::Caller(term(50, false))), lease: None }, 40, Decision::Idle);
        let both = HeldTerms { login: Some(LoginTerm::Caller(term(50, true))), lease: Some(term(50, true)) };
        check(both, 30, Decision::Do(Action::RenewLogin));
    }

    proptest! {
        #[test]
        fn a_wait_ends_in_the_future_and_a_due_action_is_executed(
            granted in 1_u64..100_000, renewable: bool, at in 0_u64..200_000, spread in 0.0..1.0_f64, failures in 0_u32..50,
        ) {
            let mut lease = LeaseTerm::new(Duration::ZERO, seconds(granted), renewable, spread);
            for _ in 0..failures {
                lease.record_failure(seconds(at), spread);
            }
            let now = seconds(at);
            match decide(&HeldTerms { lease: Some(lease), login: None }, now) {
                Decision::Wait(until) => {
                    prop_assert!(until > now);
                    prop_assert!(until - now <= seconds(30).max(seconds(granted)));
                }
                Decision::Do(Action::RenewLease) => prop_assert!(renewable && now < lease.expires_at()),
                Decision::Do(action) => prop_assert_eq!(action, Action::ReplaceCredential),
                Decision::Idle => prop_assert!(false, "a held lease always has a next action"),
            }
        }

        /// A server outage shorter than a tenth of the TTL never lets a credential expire.
        #[test]
        fn a_credential_stays_valid_during_a_short_server_outage(
            ttl in 2_u64..5_000, max_ttl in 2_u64..20_000, outage_start in 0_u64..20_000, outage_share in 0.0..1.0_f64, spread in 0.0..1.0_f64,
        ) {
            let ttl = ttl.min(max_ttl);
            let outage = outage_start..outage_start + (ttl as f64 / 10.0 * outage_share) as u64;
            let (mut now, mut issued) = (Duration::ZERO, Duration::ZERO);
            let mut lease = LeaseTerm::new(now, seconds(ttl), true, spread);
            let mut actions = 0;
            while now < seconds(20_000) && actions < 2_000 {
                match decide(&HeldTerms { lease: Some(lease), login: None }, now) {
                    Decision::Wait(until) => now = until,
                    Decision::Idle => prop_assert!(false),
                    Decision::Do(action) => {
                        actions += 1;
                        let unreachable = outage.contains(&now.as_secs());
                        if unreachable {
                            lease.record_failure(now, spread);
                            continue;
                        }
                        prop_assert!(now <= lease.expires_at(), "renewed at {:?}, expired at {:?}", now, lease.expires_at());
                        if action == Action::RenewLease {
                            let remaining = (issued + seconds(max_ttl)).saturating_sub(now);
                            lease.record_renewal(now, seconds(ttl.min(remaining.as_secs())), true, spread);
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
