//! Starts a binary as Vault would, to learn what it is before anything is changed.

use std::error::Error;
use std::ffi::OsString;
use std::path::Path;

use rollout::{Binary, Machine, Probe, Probed, Refusal, World};
use vault_api::Secret;
use vault_api::catalog::PluginType;
use vault_plugin::logical::BackendType;

/// Starts a binary that is to run at a site, if this machine is one that can.
///
/// # Errors
/// When it could not run at the site either.
pub(crate) async fn probe_for(
    world: &World,
    binary: &Binary,
    args: &[String],
    env: &[Secret],
) -> Result<Probed, Refusal> {
    match binary.fit_for(Machine::of_this_process()) {
        Ok(()) => Ok(probe(&binary.path, args, env).await),
        // The nodes of a cluster say themselves what they are.
        Err(Refusal::WrongArchitecture { binary, site, .. }) if world.site.is_some() => {
            Ok(Probed::NotRun { why: format!("it is built for {binary} and this machine is {site}") })
        }
        Err(refusal) => Err(refusal),
    }
}

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
