//! Which server is meant and who asks: flags, then the environment, then the token file.

mod kubernetes_args;
mod output_format;
mod private_paths;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};
use vault_api::{Client, ClientConfig, Proxies, SecretString, TlsVerification};
use vault_plugin::host::{Isolation, NetworkAccess};

pub use self::kubernetes_args::KubernetesArgs;
pub use self::output_format::OutputFormat;

use self::private_paths::{passwd_home, private_paths};
use crate::duration;
use crate::error::CommandError;
use crate::key_value;
use crate::ui::Verbosity;

/// Flags of every command. The names are those of Vault's own command line.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Address of the server [env: VAULT_ADDR]
    ///
    /// BAO_ADDR takes precedence over VAULT_ADDR; so does each BAO_ variable over the VAULT_ variable of the same name.
    #[arg(long, global = true, value_name = "URL")]
    pub address: Option<String>,
    /// Vault namespace [env: VAULT_NAMESPACE]
    #[arg(long, global = true, value_name = "NAME")]
    pub namespace: Option<String>,
    /// PEM file of the CA that signed the server's certificate [env: VAULT_CACERT]
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub ca_cert: Option<PathBuf>,
    /// Directory of PEM files of CAs [env: VAULT_CAPATH]
    #[arg(long, global = true, value_name = "DIR", hide_short_help = true)]
    pub ca_path: Option<PathBuf>,
    /// PEM file of the client certificate [env: VAULT_CLIENT_CERT]
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub client_cert: Option<PathBuf>,
    /// PEM file of the client key [env: VAULT_CLIENT_KEY]
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub client_key: Option<PathBuf>,
    /// Name to expect in the server's certificate [env: VAULT_TLS_SERVER_NAME]
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    pub tls_server_name: Option<String>,
    /// Accept any server certificate [env: VAULT_SKIP_VERIFY]
    #[arg(long, global = true, action = ArgAction::SetTrue, hide_short_help = true)]
    pub tls_skip_verify: bool,
    /// Timeout of one request [default: 60s] [env: VAULT_CLIENT_TIMEOUT]
    #[arg(long, global = true, value_name = "DURATION", value_parser = duration::parse, hide_short_help = true)]
    pub timeout: Option<Duration>,
    /// Output format: human, json or yaml [env: VAULT_FORMAT]
    #[arg(short, long, global = true, value_enum, value_name = "FORMAT", hide_possible_values = true)]
    pub output: Option<OutputFormat>,
    /// Print only warnings and errors
    #[arg(short, long, global = true, action = ArgAction::SetTrue)]
    pub quiet: bool,
    /// Pods of a cluster.
    #[command(flatten)]
    pub kubernetes: KubernetesArgs,
}

impl GlobalArgs {
    /// How much is said on standard error.
    pub fn verbosity(&self) -> Verbosity {
        if self.quiet { Verbosity::Quiet } else { Verbosity::Normal }
    }

    /// How data is printed on standard output.
    ///
    /// # Errors
    /// For a value of `VAULT_FORMAT` or `BAO_FORMAT` that is not supported.
    pub fn output_format(&self) -> Result<OutputFormat, CommandError> {
        OutputFormat::resolve(self.output, &|name| std::env::var(name).ok())
    }
}

/// What every command knows.
#[derive(Debug)]
pub struct Context {
    global: GlobalArgs,
}

const DEFAULT_ADDRESS: &str = "https://127.0.0.1:8200";

impl Context {
    /// From the flags; the environment is read when a client is asked for.
    pub fn new(global: GlobalArgs) -> Self {
        Self { global }
    }

    /// What was said about pods of a cluster.
    pub fn kubernetes(&self) -> &KubernetesArgs {
        &self.global.kubernetes
    }

    /// Vault's namespace that was given by a flag.
    pub fn namespace(&self) -> Option<&str> {
        self.global.namespace.as_deref()
    }

    /// Whether an address was given, by a flag or the environment.
    pub fn has_address(&self) -> bool {
        self.global.address.is_some() || env_setting(&|name| std::env::var(name).ok(), "ADDR").is_some()
    }

    /// A client with the caller's token.
    ///
    /// # Errors
    /// When a setting cannot be used, and when there is no token.
    pub fn client(&self) -> Result<Client, CommandError> {
        Client::new(&self.client_config()?)
            .map_err(|error| CommandError::usage("could not set up the connection").caused_by(error))
    }

    /// How to talk to the server, with the caller's token.
    ///
    /// # Errors
    /// When a setting cannot be read, and when there is no token.
    pub fn client_config(&self) -> Result<ClientConfig, CommandError> {
        let variable = |name: &str| std::env::var(name).ok();
        let mut config = self.configure(&variable)?;
        if config.token.is_none() {
            config.token = token_file(&variable)?;
        }
        if config.token.is_none() {
            return Err(CommandError::usage("there is no token to ask the server with")
                .hint("Set VAULT_TOKEN, or log in with `vault login`, which writes ~/.vault-token."));
        }
        Ok(config)
    }

    /// A client without a token, for a login.
    ///
    /// # Errors
    /// When a setting cannot be used.
    pub fn client_without_token(&self) -> Result<Client, CommandError> {
        let mut config = self.configure(&|name: &str| std::env::var(name).ok())?;
        config.token = None;
        Client::new(&config)
            .map_err(|error| CommandError::usage("could not set up the connection").caused_by(error))
    }

    /// How long one request may take, if the caller has said.
    pub fn timeout(&self) -> Option<Duration> {
        self.global.timeout
    }

    /// A client of a server that this process has started, whatever the environment says.
    ///
    /// # Errors
    /// When a setting cannot be used.
    pub fn client_for(&self, address: &str, token: &SecretString) -> Result<Client, CommandError> {
        let mut config = ClientConfig::new(address);
        config.token = Some(token.clone());
        config.timeout = self.global.timeout.unwrap_or(config.timeout);
        Client::new(&config)
            .map_err(|error| CommandError::usage("could not set up the connection").caused_by(error))
    }

    /// How a plugin is started that is not trusted: with the caller's environment, home and credentials hidden from it, and
    /// every file that a secret was read from before.
    pub fn isolation(&self, network: NetworkAccess) -> Isolation {
        let variable = |name: &str| std::env::var(name).ok();
        let key = self.global.client_key.clone();
        let key = key.or_else(|| env_setting(&variable, "CLIENT_KEY").map(|(_, path)| PathBuf::from(path)));
        let named = key.into_iter().chain(key_value::secret_files());
        let kubeconfig = self.global.kubernetes.kubeconfig.clone();
        Isolation::Untrusted { hidden: private_paths(&variable, passwd_home(), kubeconfig, named), network }
    }

    /// Where `docker login` keeps the credentials of registries, if anything says so.
    pub fn docker_config(&self) -> Option<PathBuf> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        set("DOCKER_CONFIG").or_else(|| set("HOME").map(|home| home.join(".docker")))
    }

    fn configure(&self, variable: &dyn Fn(&str) -> Option<String>) -> Result<ClientConfig, CommandError> {
        let GlobalArgs {
            address,
            namespace,
            ca_cert,
            ca_path,
            client_cert,
            client_key,
            tls_server_name,
            tls_skip_verify,
            timeout,
            output: _,
            quiet: _,
            kubernetes: _,
        } = self.global.clone();
        let setting = |name: &str| env_setting(variable, name).map(|(_, value)| value);
        let path = |name: &str| setting(name).map(PathBuf::from);
        let address = address.or_else(|| setting("ADDR")).unwrap_or_else(|| DEFAULT_ADDRESS.to_owned());
        let mut config = ClientConfig::new(address);
        config.token = setting("TOKEN").map(SecretString::new);
        config.namespace = namespace.or_else(|| setting("NAMESPACE"));
        config.ca_cert = ca_cert.or_else(|| path("CACERT"));
        config.ca_path = ca_path.or_else(|| path("CAPATH"));
        config.client_cert = client_cert.or_else(|| path("CLIENT_CERT"));
        config.client_key = client_key.or_else(|| path("CLIENT_KEY"));
        config.tls_server_name = tls_server_name.or_else(|| setting("TLS_SERVER_NAME"));
        if tls_skip_verify || setting("SKIP_VERIFY").is_some_and(|text| parse_go_bool(&text)) {
            config.verification = TlsVerification::Skip;
        }
        if let Some(text) = setting("CLIENT_TIMEOUT") {
            config.timeout = duration::parse(&text).map_err(|error| {
                CommandError::usage("could not read VAULT_CLIENT_TIMEOUT").caused_by(error)
            })?;
        }
        config.timeout = timeout.unwrap_or(config.timeout);
        config.proxies = match setting("PROXY_ADDR").or_else(|| setting("HTTP_PROXY")) {
            Some(address) => Proxies::explicit(&address),
            None => Proxies::from_env(variable),
        };
        Ok(config)
    }
}

/// The variable that is set, and its value. OpenBao's name comes first, as in its own command line. Empty is unset.
fn env_setting(variable: &dyn Fn(&str) -> Option<String>, name: &str) -> Option<(String, String)> {
    let named = ["BAO", "VAULT"].iter().map(|product| format!("{product}_{name}"));
    named.filter_map(|name| variable(&name).map(|value| (name, value))).find(|(_, value)| !value.is_empty())
}

/// As Go's `strconv.ParseBool`, which Vault reads it with.
fn parse_go_bool(text: &str) -> bool {
    ["1", "t", "T", "TRUE", "true", "True"].contains(&text)
}

fn token_file(variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<SecretString>, CommandError> {
    let Some(home) = variable("HOME") else { return Ok(None) };
    let path = PathBuf::from(home).join(".vault-token");
    match fs::read_to_string(&path) {
        Ok(text) if text.trim().is_empty() => Ok(None),
        Ok(text) => Ok(Some(SecretString::new(text.trim()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            Err(CommandError::failed(format!("could not read {}", path.display())).caused_by(error))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        let value = match name {
            "BAO_ADDR" => "http://bao:8200",
            "VAULT_ADDR" => "http://vault:8200",
            "VAULT_NAMESPACE" => "team",
            "VAULT_SKIP_VERIFY" => "true",
            "VAULT_CACERT" => "",
            _ => return None,
        };
        Some(value.to_owned())
    }

    #[test]
    fn a_flag_wins_over_the_environment() {
        let global = GlobalArgs { address: Some("http://flag:8200".into()), ..GlobalArgs::default() };
        let config = Context::new(global).configure(&environment).expect("a configuration");
        assert_eq!(config.address, "http://flag:8200");
        assert_eq!(config.namespace.as_deref(), Some("team"));
    }

    #[test]
    fn openbaos_variables_come_first_and_empty_is_unset() {
        let config = Context::new(GlobalArgs::default()).configure(&environment).expect("a configuration");
        assert_eq!(config.address, "http://bao:8200");
        assert_eq!(config.ca_cert, None);
        assert_eq!(config.verification, TlsVerification::Skip);
    }

    #[test]
    fn a_token_is_read_from_the_home_directory() {
        let home = tempfile::tempdir().expect("a directory");
        fs::write(home.path().join(".vault-token"), "s.abc\n").expect("a file");
        let variable = |_: &str| Some(home.path().display().to_string());
        let token = token_file(&variable).expect("readable").expect("a token");
        assert_eq!(token.expose(), "s.abc");
    }
}
