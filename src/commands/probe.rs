//! Starts a binary as Vault does, to examine it before anything is changed.

use std::ffi::OsString;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rollout::{Architecture, Binary, Environment, ProbeOutcome, ProbedPlugin, Refusal, error_chain};
use vault_api::SecretString;
use vault_api::catalog::PluginType;
use vault_plugin::host::{
    self, CallError, InspectError, IsolationGap, LaunchError, NetworkAccess, PluginCommand, PluginStartError,
};
use vault_plugin::logical::BackendType;

use crate::context::Context;
use crate::ui::Ui;

/// Probes a binary for a deployment, if this machine can run it.
///
/// # Errors
/// If the binary could not run in the deployment.
pub(crate) async fn probe_for_deployment(
    environment: &Environment,
    binary: &Binary,
    kind: PluginType,
    plugin: PluginCommand,
) -> Result<ProbeOutcome, Refusal> {
    match binary.check_runs_on(Architecture::host()) {
        Ok(()) if kind == PluginType::Database => Ok(database_outcome(plugin).await),
        Ok(()) => Ok(probe(plugin).await),
        // The nodes of a cluster report their own architecture.
        Err(Refusal::WrongArchitecture { binary, node, .. }) if environment.deployment.is_some() => {
            Ok(ProbeOutcome::NotRun {
                reason: format!("it is built for {binary} and this machine is {node}"),
            })
        }
        Err(refusal) => Err(refusal),
    }
}

/// Launch options for an untrusted binary: it gets `env` and nothing of the caller. Warns once about what it could access nevertheless,
/// except for this program itself.
pub(crate) fn untrusted_launch(
    program: &Path,
    args: &[String],
    env: &[SecretString],
    context: &Context,
    ui: &mut Ui,
) -> PluginCommand {
    static WARNED: AtomicBool = AtomicBool::new(false);
    let same = |own: std::path::PathBuf| own.canonicalize().ok() == program.canonicalize().ok();
    let is_own = std::env::current_exe().is_ok_and(same);
    if !is_own && !WARNED.swap(true, Ordering::Relaxed) {
        IsolationGap::all().into_iter().for_each(|gap| ui.warn(isolation_warning(gap)));
    }
    let variable = |line: &SecretString| {
        line.expose().split_once('=').map(|(key, value)| (OsString::from(key), OsString::from(value)))
    };
    PluginCommand {
        args: args.iter().map(Into::into).collect(),
        env: env.iter().filter_map(variable).collect(),
        isolation: context.isolation(NetworkAccess::Denied),
        ..PluginCommand::new(program)
    }
}

fn isolation_warning(gap: IsolationGap) -> &'static str {
    match gap {
        IsolationGap::Root => {
            "this command runs as root, and a hostile plugin binary that it starts cannot be kept from every secret on this \
             machine. Examine untrusted binaries as another user."
        }
        IsolationGap::NoLandlock => {
            "the kernel has no Landlock, so a hostile plugin binary that this command starts can read your files, such as \
             ~/.vault-token and ~/.kube/config, and the environment of your shell. Examine untrusted binaries as a \
             user without secrets."
        }
    }
}

/// Starts a plugin, queries it, and stops it. A database plugin expects another cookie, so it is started twice.
pub(crate) async fn probe(plugin: PluginCommand) -> ProbeOutcome {
    match vault_plugin::probe(plugin.clone()).await {
        Ok(report) => ProbeOutcome::Ran(ProbedPlugin {
            version: Some(report.version).filter(|version| !version.is_empty()),
            kind: Some(plugin_type(report.kind)),
            protocol: report.protocol_version,
            multiplexing: report.multiplexed,
        }),
        Err(error) => {
            let output = error_chain(&error);
            if is_cookie_mismatch(&output) {
                return database_outcome(plugin).await;
            }
            ProbeOutcome::Failed { output }
        }
    }
}

/// Starts a database plugin, queries it, and stops it.
async fn database_outcome(plugin: PluginCommand) -> ProbeOutcome {
    match host::probe_database(plugin.clone()).await {
        Ok(report) => ProbeOutcome::Ran(ProbedPlugin {
            version: Some(report.version).filter(|version| !version.is_empty()),
            kind: Some(PluginType::Database),
            protocol: report.protocol_version,
            multiplexing: report.multiplexed,
        }),
        Err(error) => ProbeOutcome::Failed { output: explain_cookie_mismatch(error_chain(&error)) },
    }
}

/// The type under which a plugin is registered.
pub(crate) fn plugin_type(kind: BackendType) -> PluginType {
    match kind {
        BackendType::Secrets => PluginType::Secret,
        BackendType::Credential => PluginType::Auth,
    }
}

/// A hint for the author of a plugin that does not start or respond correctly. `None` if the error is sufficient.
pub(crate) fn inspect_error_hint(error: &InspectError) -> Option<&'static str> {
    Some(match error {
        InspectError::Launch(LaunchError::Start(
            PluginStartError::Exited { .. } | PluginStartError::StdoutClosed { .. },
        )) => {
            "Check that it is a plugin, and whether it needs arguments (--arg). A plugin calls plugin.Serve of the Go SDK or \
             vault_plugin::serve, and runs until its host stops it."
        }
        InspectError::Launch(LaunchError::Start(PluginStartError::Handshake { .. })) => {
            "Check that it is a plugin, and whether it needs arguments (--arg). A plugin must not print to standard output before \
             the handshake; its log belongs on standard error."
        }
        InspectError::Launch(
            LaunchError::Start(PluginStartError::Timeout { .. }) | LaunchError::NoResponse { .. },
        ) => {
            "A plugin should serve immediately, and connect to other services when it handles a request. --timeout allows more time."
        }
        InspectError::Exited(_) => {
            "A server would restart it for every request. Return errors instead of exiting. Its last output is above."
        }
        InspectError::Help(CallError::Rpc { .. } | CallError::InvalidResponse(_)) => {
            "Its messages do not match those of Vault's SDK. Build it with the protobuf code of the SDK."
        }
        _ => return None,
    })
}

/// Message of Go plugins that are started without their cookie, which depends on the type of the plugin.
const COOKIE_MISMATCH_MESSAGE: &str = "This binary is a plugin. These are not meant to be executed directly";

/// Whether a plugin that exited has expected another cookie.
pub(crate) fn is_cookie_mismatch(output: &str) -> bool {
    output.contains(COOKIE_MISMATCH_MESSAGE)
}

/// The message claims that the plugin was started by hand.
fn explain_cookie_mismatch(output: String) -> String {
    if is_cookie_mismatch(&output) {
        "it is neither a secrets engine, an auth method nor a database plugin".into()
    } else {
        output
    }
}
