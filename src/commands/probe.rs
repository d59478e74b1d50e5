//! Starts a binary as Vault would, to learn what it is before anything is changed.

use std::ffi::OsString;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rollout::{Architecture, Binary, Environment, ProbeOutcome, ProbedPlugin, Refusal, error_chain};
use vault_api::SecretString;
use vault_api::catalog::PluginType;
use vault_plugin::host::{
    CallError, InspectError, IsolationGap, LaunchError, NetworkAccess, PluginCommand, PluginStartError,
};
use vault_plugin::logical::BackendType;

use crate::context::Context;
use crate::ui::Ui;

/// Starts a binary that is to run at a site, if this machine is one that can.
///
/// # Errors
/// When it could not run at the site either.
pub(crate) async fn probe_for_deployment(
    world: &Environment,
    binary: &Binary,
    kind: PluginType,
    plugin: PluginCommand,
) -> Result<ProbeOutcome, Refusal> {
    match binary.check_runs_on(Architecture::host()) {
        // What it is can only be asked as a database engine of the server asks it.
        Ok(()) if kind == PluginType::Database => {
            Ok(ProbeOutcome::NotRun { reason: "a database plugin answers to database engines only".into() })
        }
        Ok(()) => Ok(probe(plugin).await),
        // The nodes of a cluster say themselves what they are.
        Err(Refusal::WrongArchitecture { binary, node, .. }) if world.deployment.is_some() => {
            Ok(ProbeOutcome::NotRun {
                reason: format!("it is built for {binary} and this machine is {node}"),
            })
        }
        Err(refusal) => Err(refusal),
    }
}

/// How a binary is started that may be hostile: it gets `env` and nothing that is the caller's. Warns, once, of what it could
/// see in spite of that; of this program itself there is nothing to say.
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
             machine. Look at a binary that you do not trust as another user."
        }
        IsolationGap::NoLandlock => {
            "the kernel has no Landlock, so a hostile plugin binary that this command starts can read your files, such as \
             ~/.vault-token and ~/.kube/config, and the environment of your shell. Look at a binary that you do not trust as \
             a user without secrets."
        }
    }
}

/// Starts a plugin, asks what it is, and ends it.
pub(crate) async fn probe(plugin: PluginCommand) -> ProbeOutcome {
    match vault_plugin::probe(plugin).await {
        Ok(report) => ProbeOutcome::Ran(ProbedPlugin {
            version: Some(report.version).filter(|version| !version.is_empty()),
            kind: Some(plugin_type(report.kind)),
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

/// What its author can do about a plugin that does not start, or not as it should. Nothing where the error says it.
pub(crate) fn inspect_error_hint(error: &InspectError) -> Option<&'static str> {
    Some(match error {
        InspectError::Launch(LaunchError::Start(
            PluginStartError::Exited { .. } | PluginStartError::StdoutClosed { .. },
        )) => {
            "Is it a plugin, and does it need arguments (--arg)? A plugin serves, by plugin.Serve of Go's SDK or \
             vault_plugin::serve, and goes on until its host ends it."
        }
        InspectError::Launch(LaunchError::Start(PluginStartError::Handshake { .. })) => {
            "Is it a plugin, and does it need arguments (--arg)? Before it serves, a plugin prints nothing to standard \
             output: its log goes to standard error."
        }
        InspectError::Launch(
            LaunchError::Start(PluginStartError::Timeout { .. }) | LaunchError::NoResponse { .. },
        ) => {
            "A plugin serves at once, and connects to what it needs when it is asked. --timeout waits longer."
        }
        InspectError::Exited(_) => {
            "A server would start it again for every request. Answer what cannot work with an error; what it said last \
             is above."
        }
        InspectError::Help(CallError::Rpc { .. } | CallError::InvalidResponse(_)) => {
            "Its messages are not those of Vault's SDK: build it with the SDK's own protobuf code."
        }
        _ => return None,
    })
}

/// What Go's plugins print without the cookie that they wait for. The cookie of secrets engines and auth methods was there.
const COOKIE_MISMATCH_MESSAGE: &str = "This binary is a plugin. These are not meant to be executed directly";

/// A plugin of another kind takes itself for one that a person has started, which nobody has.
fn explain_cookie_mismatch(said: String) -> String {
    if !said.contains(COOKIE_MISMATCH_MESSAGE) {
        return said;
    }
    "it is a plugin of another kind than secrets engines and auth methods, such as one for databases (--type database)".into()
}
