//! The way of the program under test to the API server, which can be cut.

use std::path::{Path, PathBuf};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A port that leads to the API server, and a kubeconfig that names it.
pub(crate) struct Gate {
    kubeconfig: PathBuf,
    state: watch::Sender<State>,
    keeper: JoinHandle<()>,
}

#[derive(Clone, Copy, Default)]
struct State {
    /// How often all connections have been cut.
    cuts: usize,
    /// How many new ones are still to be turned away.
    refuse: usize,
}

impl Gate {
    pub(crate) async fn open(kubeconfig: &Path, folder: &Path) -> Gate {
        let text = std::fs::read_to_string(kubeconfig).unwrap();
        let server = text.split("server: https://").nth(1).unwrap();
        let server =
            server.split(|sign: char| sign.is_whitespace() || sign == '"').next().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().to_string();
        let copy = folder.join("kubeconfig");
        std::fs::write(&copy, text.replace(&server, &own)).unwrap();
        let state = watch::Sender::new(State::default());
        let keeper = tokio::spawn(keep(listener, server, state.clone()));
        Gate { kubeconfig: copy, state, keeper }
    }

    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Cuts all connections; new ones are taken.
    pub(crate) fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }

    /// Cuts all connections, and turns away the next ones.
    pub(crate) fn shut_for(&self, connections: usize) {
        self.state.send_modify(|state| {
            state.cuts += 1;
            state.refuse = connections;
        });
    }

    /// Takes connections again.
    pub(crate) fn open_again(&self) {
        self.state.send_modify(|state| state.refuse = 0);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

async fn keep(listener: TcpListener, server: String, state: watch::Sender<State>) {
    while let Ok((mut client, _)) = listener.accept().await {
        let refused = state.send_if_modified(|state| {
            let refused = state.refuse > 0;
            state.refuse = state.refuse.saturating_sub(1);
            refused
        });
        if refused {
            continue;
        }
        let (server, mut state) = (server.clone(), state.subscribe());
        tokio::spawn(async move {
            let cuts = state.borrow_and_update().cuts;
            let Ok(mut server) = TcpStream::connect(server).await else { return };
            let _quick = client.set_nodelay(true).and(server.set_nodelay(true));
            // Either side may hang up, which is no concern of the gate.
            tokio::select! {
                _ = copy_bidirectional(&mut client, &mut server) => {}
                _ = state.wait_for(|state| state.cuts > cuts) => {}
            }
        });
    }
}
