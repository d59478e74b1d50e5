//! Properties that hold for every observed state.

use proptest::prelude::*;
use vault_api::catalog::PluginType;
use vault_api::pins::Pin;

use super::samples::{SHA, bare_server, decide, goal, plan, register, server_with, simulate};
use super::*;
use crate::goal::{DowngradePolicy, RegisterGoal};
use crate::observed::{CatalogEntry, Pins};
use crate::version::Version;

const VERSIONS: [&str; 4] = ["1.0.0", "1.2.3", "1.3.0-rc.1", "2.0.0"];

fn version() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(&VERSIONS[..])
}

fn comparison() -> impl Strategy<Value = Comparison> {
    prop_oneof![Just(Comparison::Equal), Just(Comparison::Differs), Just(Comparison::Unreadable)]
}

fn read_state() -> impl Strategy<Value = ReadState> {
    prop_oneof![Just(ReadState::Absent), Just(ReadState::Present), Just(ReadState::Unreadable)]
}

/// A server with any mixture of file, catalog, pin, mount and configuration.
fn any_observed() -> impl Strategy<Value = Observed> {
    let mount = proptest::option::of((version(), version(), any::<bool>()));
    let catalog = proptest::collection::btree_set(version(), 0..4);
    (mount, catalog, proptest::option::of(version()), any::<bool>(), read_state(), comparison()).prop_map(
        |(mount, catalog, pin, copied, read_state, comparison)| {
            let sha =
                |version: &str| if version == "1.2.3" { SHA.to_owned() } else { format!("sha-{version}") };
            let mut observed = if copied { server_with("1.2.3", SHA) } else { bare_server() };
            observed.catalog = catalog
                .iter()
                .map(|version| CatalogEntry {
                    kind: PluginType::Secret,
                    name: "custom".into(),
                    version: format!("v{version}"),
                    sha256: sha(version),
                    command: None,
                    args: None,
                })
                .collect();
            observed.consumers.clear();
            if let Some((configured, running, other_binary)) = mount {
                let mount = ConsumerObserved {
                    plugin: "custom".into(),
                    configured_version: format!("v{configured}"),
                    running_version: format!("v{running}"),
                    running_sha256: if other_binary { "other".into() } else { sha(running) },
                    ..ConsumerObserved::default()
                };
                observed.consumers.insert("custom/".parse().expect("a path"), mount);
                observed.writes[0].read_state = read_state;
                observed.writes[0].fields.values_mut().for_each(|field| *field = comparison);
            }
            if let Some(version) = pin {
                let pin =
                    Pin { kind: PluginType::Secret, name: "custom".into(), version: format!("v{version}") };
                observed.pins = Pins::Set(vec![pin]);
            }
            observed
        },
    )
}

fn any_register_goal() -> impl Strategy<Value = RegisterGoal> {
    (any::<bool>(), any::<bool>()).prop_map(|(downgrade, rewrite)| RegisterGoal {
        downgrade: if downgrade { DowngradePolicy::Allow } else { DowngradePolicy::Refuse },
        rewrite: if rewrite { RewritePolicy::Unreadable } else { RewritePolicy::Never },
        ..register()
    })
}

/// Maximum number of steps of a goal with one mount and one write.
const MAX_STEPS: usize = 6;

proptest! {
    #[test]
    fn steps_end_and_lead_to_what_is_wanted(observed in any_observed(), register in any_register_goal()) {
        let goal = goal(register);
        let mut then = simulate(&observed, []);
        for _ in 0..=MAX_STEPS {
            match decide(&then, &goal) {
                Decision::Do(step) => then = simulate(&then, [&step]),
                Decision::Done => {
                    let mount = &then.observed.consumers["custom/"];
                    prop_assert_eq!(mount.running_version.as_str(), "v1.2.3");
                    prop_assert_eq!(mount.running_sha256.as_str(), SHA);
                    return Ok(());
                }
                Decision::Refuse(_) => return Ok(()),
                Decision::Wait(on) => prop_assert!(false, "waits for {on}"),
            }
        }
        prop_assert!(false, "no end");
    }

    #[test]
    fn a_second_run_has_nothing_to_do(observed in any_observed(), register in any_register_goal()) {
        let rewrites = register.rewrite == RewritePolicy::Unreadable;
        let goal = goal(register);
        if let Ok(made) = plan(&observed, &goal) {
            let then = simulate(&observed, &made.steps).observed;
            let again = plan(&then, &goal).expect("what was possible stays possible");
            prop_assert!(again.is_empty() || rewrites, "{again:?}");
        }
    }

    #[test]
    fn what_is_refused_is_refused_before_anything_is_done(observed in any_observed(), register in any_register_goal()) {
        let goal = goal(register);
        if let Ok(made) = plan(&observed, &goal) {
            let mut then = simulate(&observed, []);
            for step in made.steps {
                prop_assert_eq!(decide(&then, &goal), Decision::Do(step.clone()));
                then = simulate(&then, [&step]);
            }
        }
    }

    #[test]
    fn no_mount_goes_to_an_older_version_unless_allowed(observed in any_observed()) {
        if let Ok(made) = plan(&observed, &goal(register())) {
            for step in made.steps {
                if let Step::TuneMount { from, to, .. } = step {
                    prop_assert!(from.parse::<Version>().expect("a version") <= to);
                }
            }
        }
    }
}
