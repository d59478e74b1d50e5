//! The parts of `manifests`, and which of them are made when none is named.

use std::fmt::Write as _;

use clap::ValueEnum;
use serde::Serialize;

/// A part that `manifests` can make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Part {
    /// Three servers for tests (only if named)
    Server,
    /// Patch of your StatefulSet: the plugin directory, and the init container that fills it
    Statefulset,
    /// Setting of the plugin directory in the servers' configuration
    Config,
    /// The statefulset and config parts as values of the official Helm chart (only if named)
    Helm,
    /// Service account, role and binding of the operator
    Rbac,
    /// Policy of the operator's token
    Policy,
    /// NetworkPolicy of the servers
    NetworkPolicy,
    /// PodDisruptionBudget of the servers
    DisruptionBudget,
    /// Alerts, as a ConfigMap for Prometheus
    Rules,
    /// Alerts, as a PrometheusRule for the Prometheus operator (only if named)
    PrometheusRule,
    /// Scrape jobs of Prometheus, and the policy of its token
    Scrape,
    /// Application that gets a credential with `creds exec`
    Application,
    /// All parts
    All,
}

/// What is made when nothing is named: everything that fits every cluster with servers in it.
const DEFAULT_PARTS: [Part; 9] = [
    Part::Statefulset,
    Part::Config,
    Part::Rbac,
    Part::Policy,
    Part::NetworkPolicy,
    Part::DisruptionBudget,
    Part::Rules,
    Part::Scrape,
    Part::Application,
];

impl Part {
    /// The help of the argument: each part in a line.
    pub(crate) fn long_help() -> String {
        let mut text = "Parts to print [default: those that any cluster with servers can use]\n".to_owned();
        for value in Part::value_variants().iter().filter_map(Part::to_possible_value) {
            let help = value.get_help().map(ToString::to_string).unwrap_or_default();
            let _ = write!(text, "\n- {}: {help}", value.get_name());
        }
        text
    }

    /// The parts that are meant, each once, in a fixed order.
    pub(crate) fn select(named: &[Part]) -> Vec<Part> {
        let mut parts = match named {
            [] => DEFAULT_PARTS.to_vec(),
            named if named.contains(&Part::All) => Part::value_variants().to_vec(),
            named => named.to_vec(),
        };
        parts.retain(|part| *part != Part::All);
        parts.sort_unstable();
        parts.dedup();
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_once_and_in_a_fixed_order() {
        assert_eq!(Part::select(&[Part::Rules, Part::Rbac, Part::Rules]), [Part::Rbac, Part::Rules]);
        assert_eq!(Part::select(&[Part::All]).len(), Part::value_variants().len() - 1);
        assert_eq!(Part::select(&[]), DEFAULT_PARTS);
    }
}
