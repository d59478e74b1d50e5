//! The host of a plugin in development: embedded, or a real server in its development mode.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use deployment::LocalDeployment;
use dev_vault::{BindScope, DevVault, LogEvent, ServerOptions, StartError, StoreError};
use tempfile::TempDir;
use tokio::sync::mpsc::UnboundedSender;
use vault_api::{Client, ClientConfig, SecretString, health};
use vault_plugin::host::Isolation;

use super::server_process::ServerProcess;
use crate::error::CommandError;

/// Which server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ServerChoice {
    /// Ours.
    Embedded,
    /// This binary, of Vault or OpenBao: a name to be found in `PATH`, or a path.
    External(PathBuf),
}

impl FromStr for ServerChoice {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "embedded" => ServerChoice::Embedded,
            program => ServerChoice::External(program.into()),
        })
    }
}

/// Where `vault server -dev` listens, so that what people have in their environment or history fits.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8200);
const EPHEMERAL_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A real server unseals itself and mounts its defaults first; on a busy machine that takes seconds.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Where the host listens.
#[derive(Clone, Copy, Debug)]
pub(super) struct ListenAddress {
    listen: SocketAddr,
    reach: BindScope,
}

impl ListenAddress {
    /// As `vault server -dev` does.
    pub(super) fn default_port() -> ListenAddress {
        ListenAddress { listen: DEFAULT_LISTEN, reach: BindScope::Loopback }
    }

    /// On a port of its own, so that several can run at once.
    pub(super) fn any_port() -> ListenAddress {
        ListenAddress { listen: EPHEMERAL_LISTEN, reach: BindScope::Loopback }
    }

    /// Where somebody said, even where others can reach it.
    pub(super) fn explicit(listen: SocketAddr) -> ListenAddress {
        ListenAddress { listen, reach: BindScope::Network }
    }
}

/// A running host; what it holds in memory or in a directory of its own goes with it.
pub(super) struct DevServer {
    kind: ServerKind,
    address: String,
    token: SecretString,
    deployment: LocalDeployment,
    _scratch: Option<TempDir>,
}

enum ServerKind {
    Embedded(DevVault),
    External(ServerProcess),
}

impl DevServer {
    /// Starts one, which logs to `lines`.
    pub(super) async fn start(
        choice: ServerChoice,
        ListenAddress { listen, reach }: ListenAddress,
        data: Option<PathBuf>,
        isolation: Isolation,
        lines: UnboundedSender<String>,
    ) -> Result<DevServer, CommandError> {
        let scratch =
            tempfile::Builder::new().prefix("vault-token-plugin-dev-").tempdir().map_err(|error| {
                CommandError::failed("could not make a directory for plugins").caused_by(error)
            })?;
        // A kept catalog names files that have to be there again tomorrow.
        let plugin_directory = data.as_deref().unwrap_or(scratch.path()).join("plugins");
        // A server refuses a directory that it is given by a relative path or over a link.
        let made = std::fs::create_dir_all(&plugin_directory).and_then(|()| plugin_directory.canonicalize());
        let plugin_directory = made.map_err(|error| {
            CommandError::failed(format!("could not make {}", plugin_directory.display()))
                .caused_by(error)
                .hint("Name a directory of yours with --data; what is not there is made.")
        })?;
        let site = match &data {
            Some(_) => LocalDeployment::for_development(&plugin_directory),
            None => LocalDeployment::scratch(&plugin_directory),
        };
        match choice {
            ServerChoice::Embedded => {
                let options = ServerOptions {
                    listen,
                    bind_scope: reach,
                    data_dir: data,
                    plugin_directory: Some(plugin_directory),
                    isolation,
                    // Fails when nobody listens any more.
                    log: Arc::new(move |event| drop(lines.send(log_line(&event)))),
                    ..ServerOptions::default()
                };
                let vault = DevVault::start(options).await.map_err(start_error)?;
                Ok(DevServer {
                    address: vault.address(),
                    token: SecretString::new(vault.root_token()),
                    kind: ServerKind::Embedded(vault),
                    deployment: site,
                    _scratch: Some(scratch),
                })
            }
            ServerChoice::External(program) => {
                if data.is_some() {
                    return Err(CommandError::usage(format!(
                        "{} forgets everything in its development mode, so --data cannot be kept",
                        program.display()
                    )));
                }
                DevServer::spawn(&program, listen, site, scratch, lines).await
            }
        }
    }

    async fn spawn(
        program: &Path,
        listen: SocketAddr,
        site: LocalDeployment,
        scratch: TempDir,
        lines: UnboundedSender<String>,
    ) -> Result<DevServer, CommandError> {
        let listen = if listen.port() == 0 { find_free_port(listen)? } else { listen };
        let token = SecretString::new(format!("dev-{}", uuid::Uuid::new_v4().simple()));
        // By `-dev-plugin-dir` it would use the directory too, and not tell anybody that it does.
        let configuration = scratch.path().join("server.json");
        let content = serde_json::json!({"plugin_directory": site.directory()}).to_string();
        std::fs::write(&configuration, content).map_err(|error| {
            CommandError::failed(format!("could not write {}", configuration.display())).caused_by(error)
        })?;
        let program = ServerProcess::start(program, listen, &configuration, &token, lines)?;
        let mut server = DevServer {
            kind: ServerKind::External(program),
            address: format!("http://{listen}"),
            token,
            deployment: site,
            _scratch: Some(scratch),
        };
        server.wait_active().await?;
        Ok(server)
    }

    /// Its URL.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Its root token.
    pub(super) fn token(&self) -> &SecretString {
        &self.token
    }

    /// Path or name of the server's binary, which is a command-line client as well; `None` for the embedded host.
    pub(super) fn binary(&self) -> Option<&Path> {
        match &self.kind {
            ServerKind::External(program) => Some(program.path()),
            ServerKind::Embedded(_) => None,
        }
    }

    /// Where it takes plugins from.
    pub(super) fn deployment(&self) -> &LocalDeployment {
        &self.deployment
    }

    /// Waits until it ends by itself, which only a real server does.
    pub(super) async fn wait_exited(&mut self) -> CommandError {
        match &mut self.kind {
            ServerKind::Embedded(_) => std::future::pending().await,
            ServerKind::External(program) => program.wait_exited().await,
        }
    }

    /// Ends it, and its plugins with it.
    pub(super) async fn stop(self) -> Result<(), CommandError> {
        match self.kind {
            ServerKind::Embedded(vault) => vault.stop().await.map_err(|error| {
                CommandError::failed("not everything that was stored is safe on the disk").caused_by(error)
            }),
            ServerKind::External(program) => {
                program.stop().await;
                Ok(())
            }
        }
    }

    async fn wait_active(&mut self) -> Result<(), CommandError> {
        let mut config = ClientConfig::new(self.address.clone());
        config.token = Some(self.token.clone());
        let client = Client::new(&config)
            .map_err(|error| CommandError::usage("could not set up the connection").caused_by(error))?;
        let active = async {
            loop {
                if let Ok(health) = client.send(&health::Read).await
                    && !health.sealed
                {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            () = active => {
                if let ServerKind::External(program) = &self.kind {
                    program.mark_ready();
                }
                Ok(())
            }
            gone = self.wait_exited() => Err(gone),
            () = tokio::time::sleep(START_TIMEOUT) => Err(CommandError::failed(format!(
                "the server does not answer at {} after {} s", self.address, START_TIMEOUT.as_secs()
            ))),
        }
    }
}

fn start_error(error: StartError) -> CommandError {
    let hint = match &error {
        StartError::Listen { .. } => {
            Some("Is another one running? `--listen 127.0.0.1:0` takes any free port.")
        }
        StartError::Data(StoreError::InUse { .. }) => {
            Some("End the other one, or name another directory with --data.")
        }
        StartError::Data(StoreError::File { .. }) => {
            Some("Name a directory of yours with --data; what is not there is made.")
        }
        _ => None,
    };
    let failed = CommandError::failed("could not start the development host").caused_by(error);
    hint.into_iter().fold(failed, CommandError::hint)
}

/// One line of what the host and its plugins say, for people.
fn log_line(event: &LogEvent) -> String {
    match event {
        LogEvent::Plugin { plugin, line } => format!("{plugin}: {line}"),
        LogEvent::PluginStarted { plugin, version, pid } => {
            format!("started {plugin} {version} as process {pid}")
        }
        LogEvent::ServerError { message, detail } => format!("Warning: {message}: {detail}"),
    }
}

/// A port that was free a moment ago.
fn find_free_port(listen: SocketAddr) -> Result<SocketAddr, CommandError> {
    std::net::TcpListener::bind(listen)
        .and_then(|listener| listener.local_addr())
        .map_err(|error| CommandError::failed(format!("could not listen on {listen}")).caused_by(error))
}
