//! A way to the API server that can be cut, or fall silent.

use std::path::{Path, PathBuf};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A port that leads to the API server, and a kubeconfig that names it.
#[derive(Debug)]
pub struct FaultyProxy {
    kubeconfig: PathBuf,
    state: watch::Sender<ProxyState>,
    task: JoinHandle<()>,
}

#[derive(Clone, Copy, Debug, Default)]
struct ProxyState {
    /// How often all connections have been cut.
    cuts: usize,
    /// Whether nothing passes any more.
    black_holed: bool,
}

impl FaultyProxy {
    /// A gate before the API server that `kubeconfig` names. Its own kubeconfig is written to `folder`.
    ///
    /// # Panics
    ///
    /// If the kubeconfig names no server, and when there is no port.
    pub async fn start(kubeconfig: &Path, folder: &Path) -> FaultyProxy {
        let text = std::fs::read_to_string(kubeconfig).expect("the kubeconfig is there");
        let server = text.split("server: https://").nth(1).expect("it names a server");
        let server = server.split(|sign: char| sign.is_whitespace() || sign == '"').next().unwrap_or(server);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let own = listener.local_addr().expect("it has an address").to_string();
        let copy = folder.join("kubeconfig");
        std::fs::write(&copy, text.replace(server, &own)).expect("the folder is writable");
        let state = watch::Sender::new(ProxyState::default());
        let keeper = tokio::spawn(accept_connections(listener, server.to_owned(), state.clone()));
        FaultyProxy { kubeconfig: copy, state, task: keeper }
    }

    /// The kubeconfig that leads through the gate.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Cuts all connections; new ones are taken.
    pub fn drop_connections(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }

    /// Nothing passes any more, and all connections stay open, as after a firewall has forgotten them. New ones are taken too.
    pub fn black_hole(&self) {
        self.state.send_modify(|state| state.black_holed = true);
    }
}

impl Drop for FaultyProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept_connections(listener: TcpListener, server: String, state: watch::Sender<ProxyState>) {
    while let Ok((mut client, _)) = listener.accept().await {
        let (server, mut state, mut silence) = (server.clone(), state.subscribe(), state.subscribe());
        tokio::spawn(async move {
            let before = state.borrow_and_update().cuts;
            let Ok(mut server) = TcpStream::connect(server).await else { return };
            let _quick = client.set_nodelay(true).and(server.set_nodelay(true));
            let falls_silent = async { silence.wait_for(|state| state.black_holed).await.map(drop) };
            let pass = async {
                // Either side may hang up, which is no concern of the gate.
                tokio::select! {
                    biased;
                    Ok(()) = falls_silent => std::future::pending().await,
                    _ = copy_bidirectional(&mut client, &mut server) => {}
                }
            };
            tokio::select! {
                () = pass => {}
                _ = state.wait_for(|state| state.cuts > before) => {}
            }
        });
    }
}
