//! Determines the plugin that `dev` runs, and its configuration.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use dev_vault::TokenService;
use rollout::{
    Binary, Consumer, DesiredMount, DesiredValue, DesiredWrite, DowngradePolicy, Durability,
    OtherNodesPolicy, Plugin, ProbeOutcome, ProbedPlugin, RegisterGoal, RestartConsent, RewritePolicy,
    Version,
};
use token_engine::PresetInfo;
use vault_api::SecretString;
use vault_api::catalog::PluginType;

use super::login_proof::{LoginArgs, LoginRequest, check_login};
use crate::commands::mount_data::{self, MountWrites};
use crate::commands::plugin_args::LaunchArgs;
use crate::commands::preset_data::{self, ConnectionFields};
use crate::commands::probe::{probe, untrusted_launch};
use crate::commands::sensitive_fields::SensitiveFields;
use crate::commands::smoke_args::{SmokeArgs, check_smoke_data};
use crate::context::Context;
use crate::error::CommandError;
use crate::key_value;
use crate::ui::Ui;

/// The plugin flags of `dev`.
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
    mount: Option<Consumer>,
    #[command(flatten)]
    smoke: SmokeArgs,
    #[command(flatten)]
    login: LoginArgs,
}

/// The plugin to register and, for this program's engine, its sample token service.
pub(super) struct DevPlugin {
    register: RegisterGoal,
    login: Option<LoginRequest>,
    sample_service: Option<TokenService>,
}

/// Mount, role and smoke test of this program's engine.
const SAMPLE_MOUNT: &str = "custom";
const SAMPLE_ROLE: &str = "roles/developer";
const SAMPLE_CREDENTIAL: &str = "creds/developer";

/// The file with the address of the sample token service.
const SAMPLE_SERVICE_FILE: &str = "sample-token-service";

impl DevPlugin {
    /// Reads the binary and starts it once, as Vault does, to read its version.
    ///
    /// `kept` is the data directory, in which an earlier run may have saved the address of its sample service.
    pub(super) async fn resolve(
        args: DevPluginArgs,
        mut data: MountWrites,
        preset: Option<PresetInfo>,
        data_dir: Option<&Path>,
        context: &Context,
        ui: &mut Ui,
    ) -> Result<DevPlugin, CommandError> {
        let DevPluginArgs { binary, name, launch, mount, smoke, login } = args;
        let (smoke, login) = (smoke.parse()?, login.parse()?);
        let LaunchArgs { mut args, env } = launch;
        let own = binary.is_none();
        let program = match binary {
            Some(path) => std::path::absolute(&path).map_err(|error| {
                CommandError::usage(format!("{} is not a valid path", path.display())).caused_by(error)
            })?,
            None => std::env::current_exe()
                .map_err(|error| CommandError::failed("could not find this program").caused_by(error))?,
        };
        if own && args.is_empty() {
            args.push("serve".to_owned());
        }
        let env = mount_data::parse_env(BTreeMap::new(), &env)?;
        // The probe runs in another task while the binary is read here.
        let launch = untrusted_launch(&program, &args, &env, context, ui);
        let probing = tokio::spawn(probe(launch.clone()));
        let binary = Binary::read(&program, &mut |done, total| ui.progress("hashing", done, total));
        ui.end_progress();
        // Awaited before any return, because it owns a temporary directory.
        let probed = probing.await;
        let binary = binary.map_err(|error| CommandError::usage("invalid plugin binary").caused_by(error))?;
        let probed = probed.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        let (kind, version) = probed_plugin(&probed, &program)?;
        check_smoke_data(kind, smoke.as_ref())?;
        check_login(kind, login.as_ref())?;
        let name = name.unwrap_or_else(|| catalog_name(&program, &version));
        if let Some(preset) = &preset {
            if !own {
                let described = SensitiveFields::query_binary(&name, &binary, launch).await;
                preset_data::check_plugin(preset, &name, described.has_presets())?;
            }
            let writes = data.iter().map(|(path, data)| (path.as_str(), data));
            preset_data::check_complete(preset, writes, ConnectionFields::Required)?;
        }
        let path = match mount {
            Some(path) => path,
            None => parse_mount(if own { SAMPLE_MOUNT } else { default_mount(&name) })?,
        }
        .of_kind(kind);

        let sample = if own && data.is_empty() {
            let started = match data_dir.and_then(saved_sample_address) {
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
        let smoke = smoke.or_else(|| sample.as_ref().map(|_| SAMPLE_CREDENTIAL.into()));
        let writes = data.into_iter().map(|(path, data)| DesiredWrite { path, data }).collect();
        let plugin = Plugin { kind, name, version, args, env, binary, probe: probed };
        let register = RegisterGoal {
            plugin,
            mounts: vec![DesiredMount { path, writes, smoke }],
            // The data directory may contain a newer version, because a developer switches between builds.
            downgrade: DowngradePolicy::Allow,
            rewrite: RewritePolicy::Unreadable,
            durability: Durability::NotRequired,
            restart_consent: RestartConsent::default(),
            other_nodes_policy: OtherNodesPolicy::ThisNodeOnly,
        };
        Ok(DevPlugin { register, login, sample_service: sample })
    }

    pub(super) fn register(&self) -> &RegisterGoal {
        &self.register
    }

    /// The login to try.
    pub(super) fn login(&self) -> Option<&LoginRequest> {
        self.login.as_ref()
    }

    /// Saves the address of the sample service in the data directory, because the stored leases refer to it.
    pub(super) fn save_sample_address(&self, data: &Path) -> Result<(), CommandError> {
        let Some(sample) = &self.sample_service else { return Ok(()) };
        let path = data.join(SAMPLE_SERVICE_FILE);
        std::fs::write(&path, format!("{}\n", sample.address())).map_err(|error| {
            CommandError::failed(format!("could not write {}", path.display())).caused_by(error)
        })
    }

    /// Address of the sample token service, if the plugin uses it.
    pub(super) fn sample_endpoint(&self) -> Option<String> {
        self.sample_service.as_ref().map(TokenService::endpoint)
    }
}

fn saved_sample_address(data_dir: &Path) -> Option<SocketAddr> {
    std::fs::read_to_string(data_dir.join(SAMPLE_SERVICE_FILE)).ok()?.trim().parse().ok()
}

/// The type and the version of the plugin.
fn probed_plugin(probed: &ProbeOutcome, program: &Path) -> Result<(PluginType, Version), CommandError> {
    let (kind, reported) = match probed {
        ProbeOutcome::Ran(ProbedPlugin { kind: Some(PluginType::Database), .. }) => {
            return Err(CommandError::failed(format!(
                "{} is a database plugin, and `dev` runs secrets engines and auth methods",
                program.display()
            ))
            .hint("A database plugin needs the database engine of a real server. Start one with `vault server -dev -dev-root-token-id=root`.")
            .hint("Then run `vault-token-plugin register --type database --binary FILE` with its VAULT_ADDR and VAULT_TOKEN."));
        }
        ProbeOutcome::Ran(probe) => (probe.kind.unwrap_or_default(), probe.version.as_deref()),
        ProbeOutcome::Failed { output } => {
            return Err(CommandError::failed(format!(
                "{} is not a working plugin: {output}",
                program.display()
            ))
            .hint("`vault-token-plugin inspect FILE` shows details."));
        }
        ProbeOutcome::NotRun { reason: why } => return Err(CommandError::failed(why.clone())),
    };
    // A plugin may report no version; Vault permits that.
    let text = reported.unwrap_or("0.0.0");
    let version = text.parse().map_err(|error| {
        CommandError::failed(format!("{} reports the invalid version {text:?}", program.display()))
            .caused_by(error)
    })?;
    Ok((kind, version))
}

/// `kv-1.2.3` and `kv` are files of the plugin `kv`.
fn catalog_name(program: &Path, version: &Version) -> String {
    let file = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match file.strip_suffix(&format!("-{version}")) {
        Some(name) if !name.is_empty() => name.to_owned(),
        // Vault reserves the mount type `plugin` for a legacy way of naming a plugin.
        _ if file == "plugin" => "dev-plugin".to_owned(),
        _ => file,
    }
}

/// The usual mount path: `kv` for `vault-plugin-secrets-kv`.
fn default_mount(name: &str) -> &str {
    [
        "vault-plugin-secrets-",
        "vault-plugin-auth-",
        "openbao-plugin-secrets-",
        "openbao-plugin-auth-",
        "vault-plugin-",
    ]
    .iter()
    .find_map(|prefix| name.strip_prefix(prefix))
    .filter(|rest| !rest.is_empty())
    .unwrap_or(name)
}

fn parse_mount(text: &str) -> Result<Consumer, CommandError> {
    text.parse().map_err(|error| {
        CommandError::usage("invalid mount path").caused_by(error).hint("Set it with --mount.")
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
        assert_eq!(default_mount("vault-plugin-auth-jwt"), "jwt");
        assert_eq!(default_mount("vault-plugin-"), "vault-plugin-");
        assert_eq!(default_mount("engine"), "engine");
    }
}
