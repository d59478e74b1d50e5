//! The host of a plugin in development: embedded, or a real server in its development mode.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use dev_vault::{DevVault, LogEvent, Options, Reach, StartError, StoreError};
use rollout::LocalSite;
use tempfile::TempDir;
use tokio::sync::mpsc::UnboundedSender;
use vault_api::{Client, ClientConfig, Secret, health};
use vault_plugin::host::Isolation;

use super::program::Program;
use crate::error::CommandError;

/// Which server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ServerChoice {
    /// Ours.
    Embedded,
    /// This binary, of Vault or OpenBao: a name to be found in `PATH`, or a path.
    Program(PathBuf),
}

impl FromStr for ServerChoice {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "embedded" => ServerChoice::Embedded,
            program => ServerChoice::Program(program.into()),
        })
    }
}

/// Where `vault server -dev` listens, so that what people have in their environment or history fits.
const USUAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8200);
const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A real server unseals itself and mounts its defaults first; on a busy machine that takes seconds.
const START_TIME: Duration = Duration::from_secs(60);

/// Where the host listens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Door {
    listen: SocketAddr,
    reach: Reach,
}

impl Door {
    /// As `vault server -dev` does.
    pub(super) fn usual() -> Door {
        Door { listen: USUAL, reach: Reach::Loopback }
    }

    /// On a port of its own, so that several can run at once.
    pub(super) fn any_port() -> Door {
        Door { listen: ANY_PORT, reach: Reach::Loopback }
    }

    /// Where somebody said, even where others can reach it.
    pub(super) fn at(listen: SocketAddr) -> Door {
        Door { listen, reach: Reach::Network }
    }
}

/// A running host; what it holds in memory or in a directory of its own goes with it.
pub(super) struct Server {
    kind: Kind,
    address: String,
    token: Secret,
    site: LocalSite,
    _scratch: Option<TempDir>,
}

enum Kind {
    Embedded(DevVault),
    Program(Program),
}

impl Server {
    /// Starts one, which logs to `lines`.
    pub(super) async fn start(
        choice: ServerChoice,
        Door { listen, reach }: Door,
        data: Option<PathBuf>,
        isolation: Isolation,
        lines: UnboundedSender<String>,
    ) -> Result<Server, CommandError> {
        let scratch = tempfile::Builder::new()
            .prefix("vault-token-plugin-dev-")
            .tempdir()
            .map_err(|error| CommandError::failed("could not make a directory for plugins").because(error))?;
        // A kept catalog names files that have to be there again tomorrow.
        let plugin_directory = data.as_deref().unwrap_or(scratch.path()).join("plugins");
        // A server refuses a directory that it is given by a relative path or over a link.
        let made = std::fs::create_dir_all(&plugin_directory).and_then(|()| plugin_directory.canonicalize());
        let plugin_directory = made.map_err(|error| {
            CommandError::failed(format!("could not make {}", plugin_directory.display()))
                .because(error)
                .hint("Name a directory of yours with --data; what is not there is made.")
        })?;
        let site = match &data {
            Some(_) => LocalSite::of_developer(&plugin_directory),
            None => LocalSite::scratch(&plugin_directory),
        };
        match choice {
            ServerChoice::Embedded => {
                let options = Options {
                    listen,
                    reach,
                    data,
                    plugin_directory: Some(plugin_directory),
                    isolation,
                    // Fails when nobody listens any more.
                    log: Arc::new(move |event| drop(lines.send(log_line(&event)))),
                    ..Options::default()
                };
                let vault = DevVault::start(options).await.map_err(not_started)?;
                Ok(Server {
                    address: vault.address(),
                    token: Secret::new(vault.root_token()),
                    kind: Kind::Embedded(vault),
                    site,
                    _scratch: Some(scratch),
                })
            }
            ServerChoice::Program(program) => {
                if data.is_some() {
                    return Err(CommandError::usage(format!(
                        "{} forgets everything in its development mode, so --data cannot be kept",
                        program.display()
                    )));
                }
                Server::spawn(&program, listen, site, scratch, lines).await
            }
        }
    }

    async fn spawn(
        program: &Path,
        listen: SocketAddr,
        site: LocalSite,
        scratch: TempDir,
        lines: UnboundedSender<String>,
    ) -> Result<Server, CommandError> {
        let listen = if listen.port() == 0 { free(listen)? } else { listen };
        let token = Secret::new(format!("dev-{}", uuid::Uuid::new_v4().simple()));
        // By `-dev-plugin-dir` it would use the directory too, and not tell anybody that it does.
        let configuration = scratch.path().join("server.json");
        let content = serde_json::json!({"plugin_directory": site.directory()}).to_string();
        std::fs::write(&configuration, content).map_err(|error| {
            CommandError::failed(format!("could not write {}", configuration.display())).because(error)
        })?;
        let program = Program::start(program, listen, &configuration, &token, lines)?;
        let mut server = Server {
            kind: Kind::Program(program),
            address: format!("http://{listen}"),
            token,
            site,
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
    pub(super) fn token(&self) -> &Secret {
        &self.token
    }

    /// Path or name of the server's binary, which is a command-line client as well; `None` for the embedded host.
    pub(super) fn program(&self) -> Option<&Path> {
        match &self.kind {
            Kind::Program(program) => Some(program.path()),
            Kind::Embedded(_) => None,
        }
    }

    /// Where it takes plugins from.
    pub(super) fn site(&self) -> &LocalSite {
        &self.site
    }

    /// Waits until it ends by itself, which only a real server does.
    pub(super) async fn ended(&mut self) -> CommandError {
        match &mut self.kind {
            Kind::Embedded(_) => std::future::pending().await,
            Kind::Program(program) => program.ended().await,
        }
    }

    /// Ends it, and its plugins with it.
    pub(super) async fn stop(self) -> Result<(), CommandError> {
        match self.kind {
            Kind::Embedded(vault) => vault.stop().await.map_err(|error| {
                CommandError::failed("not everything that was stored is safe on the disk").because(error)
            }),
            Kind::Program(program) => {
                program.stop().await;
                Ok(())
            }
        }
    }

    async fn wait_active(&mut self) -> Result<(), CommandError> {
        let mut config = ClientConfig::new(self.address.clone());
        config.token = Some(self.token.clone());
        let client = Client::new(&config)
            .map_err(|error| CommandError::usage("could not set up the connection").because(error))?;
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
                if let Kind::Program(program) = &self.kind {
                    program.is_up();
                }
                Ok(())
            }
            gone = self.ended() => Err(gone),
            () = tokio::time::sleep(START_TIME) => Err(CommandError::failed(format!(
                "the server does not answer at {} after {} s", self.address, START_TIME.as_secs()
            ))),
        }
    }
}

fn not_started(error: StartError) -> CommandError {
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
    let failed = CommandError::failed("could not start the development host").because(error);
    hint.into_iter().fold(failed, CommandError::hint)
}

/// One line of what the host and its plugins say, for people.
fn log_line(event: &LogEvent) -> String {
    match event {
        LogEvent::Plugin { plugin, line } => format!("{plugin}: {line}"),
        LogEvent::Started { plugin, version, pid } => format!("started {plugin} {version} as process {pid}"),
        LogEvent::Trouble { message, detail } => format!("Warning: {message}: {detail}"),
    }
}

/// A port that was free a moment ago.
fn free(listen: SocketAddr) -> Result<SocketAddr, CommandError> {
    std::net::TcpListener::bind(listen)
        .and_then(|listener| listener.local_addr())
        .map_err(|error| CommandError::failed(format!("could not listen on {listen}")).because(error))
}
