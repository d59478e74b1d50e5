//! Which plugin is brought to work, and with what.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use dev_vault::TokenService;
use rollout::{
    Binary, DesiredMount, DesiredValue, DesiredWrite, DowngradePolicy, Durability, MountPath, Placement,
    Plugin, ProbeOutcome, ProbedPlugin, RegisterGoal, RestartConsent, RewritePolicy, Version,
};
use vault_api::SecretString;
use vault_api::catalog::PluginType;

use crate::commands::mount_data::{self, MountData, MountDataArgs};
use crate::commands::plugin_args::{LaunchArgs, SmokeArgs};
use crate::commands::probe::{probe, untrusted_launch};
use crate::context::Context;
use crate::error::CommandError;
use crate::key_value;
use crate::ui::Ui;

/// The plugin, and what it is given.
#[derive(Debug, Args)]
pub(super) struct DevPluginArgs {
    /// Plugin binary [default: this program]
    ///
    /// A plugin in any language. This program gets a sample token service, and a role to issue tokens.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Name of the plugin [default: the file name]
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    launch: LaunchArgs,
    /// Path to mount the plugin at [default: from the name]
    #[arg(long, value_name = "PATH")]
    mount: Option<MountPath>,
    #[command(flatten)]
    smoke: SmokeArgs,
}

/// What is registered, and the service that it works against if it is our own engine.
pub(super) struct DevPlugin {
    register: RegisterGoal,
    sample_service: Option<TokenService>,
}

/// Where a plugin of ours is mounted, and what is read from it.
const SAMPLE_MOUNT: &str = "custom";
const SAMPLE_ROLE: &str = "roles/developer";
const SAMPLE_CREDENTIAL: &str = "creds/developer";

/// The file with the address of the sample service.
const SAMPLE_SERVICE_FILE: &str = "sample-token-service";

impl DevPlugin {
    /// Reads the binary and starts it once, as Vault would, to learn its version.
    ///
    /// `kept` is the directory in which an earlier one may have left the address of its sample service.
    pub(super) async fn resolve(
        args: DevPluginArgs,
        data: &MountDataArgs,
        kept: Option<&Path>,
        context: &Context,
        ui: &mut Ui,
    ) -> Result<DevPlugin, CommandError> {
        let DevPluginArgs { binary, name, launch, mount, smoke: SmokeArgs { smoke } } = args;
        let LaunchArgs { mut args, env } = launch;
        let own = binary.is_none();
        let program = match binary {
            Some(path) => std::path::absolute(&path).map_err(|error| {
                CommandError::usage(format!("{} is no path of a binary", path.display())).caused_by(error)
            })?,
            None => std::env::current_exe()
                .map_err(|error| CommandError::failed("could not find this program").caused_by(error))?,
        };
        if own && args.is_empty() {
            args.push("serve".to_owned());
        }
        let env = mount_data::parse_env(BTreeMap::new(), &env)?;
        // Before the binary is started, so that it cannot read the files of secrets.
        let MountData { writes: mut data, typed: _ } = data.parse()?;
        // A thread of the runtime starts it while this one reads it.
        let probing = tokio::spawn(probe(untrusted_launch(&program, &args, &env, context, ui)));
        let binary = Binary::read(&program, &mut |done, total| ui.progress("hashing", done, total));
        ui.end_progress();
        // Awaited in any case: it has a temporary directory.
        let probed = probing.await;
        let binary =
            binary.map_err(|error| CommandError::usage("there is no plugin to start").caused_by(error))?;
        let probed = probed.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        let version = probed_version(&probed, &program)?;
        let name = name.unwrap_or_else(|| catalog_name(&program, &version));
        let path = match mount {
            Some(path) => path,
            None => parse_mount(if own { SAMPLE_MOUNT } else { default_mount(&name) })?,
        };

        let sample = if own && data.is_empty() {
            let started = match kept.and_then(saved_sample_address) {
                Some(address) => TokenService::start_at(address).await,
                None => TokenService::start().await,
            };
            let sample = started.map_err(|error| {
                CommandError::failed("could not start the sample token service").caused_by(error)
            })?;
            let config = data.entry("config".to_owned()).or_default();
            config.insert("api_endpoint".to_owned(), DesiredValue::Plain(sample.endpoint().into()));
            config.insert("api_key".to_owned(), DesiredValue::Secret(SecretString::new(sample.api_key())));
            let role = data.entry(SAMPLE_ROLE.to_owned()).or_default();
            role.insert("permissions".to_owned(), key_value::inline_value("permissions", "read,write"));
            role.insert("ttl".to_owned(), key_value::inline_value("ttl", "1h"));
            Some(sample)
        } else {
            None
        };
        let smoke = smoke.or_else(|| sample.as_ref().map(|_| SAMPLE_CREDENTIAL.to_owned()));
        let writes = data.into_iter().map(|(path, data)| DesiredWrite { path, data }).collect();
        let plugin = Plugin { kind: PluginType::Secret, name, version, args, env, binary, probe: probed };
        let register = RegisterGoal {
            plugin,
            mounts: vec![DesiredMount { path, writes, smoke }],
            // With kept data the binary of yesterday may be the newer one: a developer goes back and forth.
            downgrade: DowngradePolicy::Allow,
            rewrite: RewritePolicy::Unreadable,
            durability: Durability::NotRequired,
            restart_consent: RestartConsent::default(),
            placement: Placement::ThisNodeOnly,
        };
        Ok(DevPlugin { register, sample_service: sample })
    }

    pub(super) fn register(&self) -> &RegisterGoal {
        &self.register
    }

    /// Notes beside kept data where the sample service was: the leases that are kept name that address.
    pub(super) fn save_sample_address(&self, data: &Path) -> Result<(), CommandError> {
        let Some(sample) = &self.sample_service else { return Ok(()) };
        let path = data.join(SAMPLE_SERVICE_FILE);
        std::fs::write(&path, format!("{}\n", sample.address())).map_err(|error| {
            CommandError::failed(format!("could not write {}", path.display())).caused_by(error)
        })
    }

    /// Where the sample token service is, if the plugin works against it.
    pub(super) fn sample_endpoint(&self) -> Option<String> {
        self.sample_service.as_ref().map(TokenService::endpoint)
    }
}

fn saved_sample_address(kept: &Path) -> Option<SocketAddr> {
    std::fs::read_to_string(kept.join(SAMPLE_SERVICE_FILE)).ok()?.trim().parse().ok()
}

fn probed_version(probed: &ProbeOutcome, program: &Path) -> Result<Version, CommandError> {
    let reported = match probed {
        ProbeOutcome::Ran(ProbedPlugin { kind: Some(PluginType::Auth), .. }) => {
            return Err(CommandError::failed(format!(
                "{} is an auth method, and `dev` works on secrets engines",
                program.display()
            ))
            .hint(
                "On a server, `vault-token-plugin register` registers it with type: auth, and `vault auth enable` mounts it.",
            ));
        }
        ProbeOutcome::Ran(probe) => probe.version.as_deref(),
        ProbeOutcome::Failed { output: said } => {
            return Err(CommandError::failed(format!(
                "{} is no plugin that works: {said}",
                program.display()
            ))
            .hint("`vault-token-plugin inspect FILE` shows what was seen of it."));
        }
        ProbeOutcome::NotRun { reason: why } => return Err(CommandError::failed(why.clone())),
    };
    // A plugin may report none: Vault takes that too.
    let text = reported.unwrap_or("0.0.0");
    text.parse().map_err(|error| {
        CommandError::failed(format!("{} reports the version {text:?}", program.display())).caused_by(error)
    })
}

/// `kv-1.2.3` and `kv` are files of the plugin `kv`.
fn catalog_name(program: &Path, version: &Version) -> String {
    let file = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match file.strip_suffix(&format!("-{version}")) {
        Some(name) if !name.is_empty() => name.to_owned(),
        // A mount of the type `plugin` is an old way of Vault to name the plugin elsewhere.
        _ if file == "plugin" => "dev-plugin".to_owned(),
        _ => file,
    }
}

/// The part that people mount it by: `kv` for `vault-plugin-secrets-kv`.
fn default_mount(name: &str) -> &str {
    ["vault-plugin-secrets-", "openbao-plugin-secrets-", "vault-plugin-"]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .filter(|rest| !rest.is_empty())
        .unwrap_or(name)
}

fn parse_mount(text: &str) -> Result<MountPath, CommandError> {
    text.parse().map_err(|error| {
        CommandError::usage("could not use a mount").caused_by(error).hint("Name one with --mount.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_called_and_mounted_as_people_call_it() {
        let version: Version = "0.25.0".parse().expect("a version");
        let name = |file: &str| catalog_name(Path::new(file), &version);
        assert_eq!(name("/tmp/vault-plugin-secrets-kv-0.25.0"), "vault-plugin-secrets-kv");
        assert_eq!(name("/tmp/engine"), "engine");
        assert_eq!(name("./plugin"), "dev-plugin");
        assert_eq!(default_mount("vault-plugin-secrets-kv"), "kv");
        assert_eq!(default_mount("vault-plugin-"), "vault-plugin-");
        assert_eq!(default_mount("engine"), "engine");
    }
}
