//! Starts a binary as Vault would, to learn what it is before anything is changed.

use std::error::Error;
use std::ffi::OsString;
use std::path::Path;

use rollout::{Probe, Probed};
use vault_api::Secret;
use vault_api::catalog::PluginType;
use vault_plugin::logical::BackendType;

/// Starts `program`, asks what it is, and ends it.
pub(crate) async fn probe(program: &Path, args: &[String], env: &[Secret]) -> Probed {
    let variable = |line: &Secret| {
        line.expose().split_once('=').map(|(key, value)| (OsString::from(key), OsString::from(value)))
    };
    let (args, env) = (args.iter().map(Into::into).collect(), env.iter().filter_map(variable).collect());
    match vault_plugin::probe(program, args, env).await {
        Ok(report) => Probed::Ran(Probe {
            version: Some(report.version).filter(|version| !version.is_empty()),
            kind: Some(match report.kind {
                BackendType::Secrets => PluginType::Secret,
                BackendType::Credential => PluginType::Auth,
            }),
            protocol: report.protocol_version,
            multiplexing: report.multiplexed,
        }),
        Err(error) => Probed::Failed { said: sentence(&error) },
    }
}

/// The error and its causes in one line: a refusal has room for one sentence.
fn sentence(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
