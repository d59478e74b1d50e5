//! The way of the program under test to the API server, which can be cut.

use std::path::{Path, PathBuf};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A port that leads to the API server, and a kubeconfig that names it.
pub(crate) struct Gate {
    kubeconfig: PathBuf,
    /// How often all connections have been cut.
    cuts: watch::Sender<usize>,
    keeper: JoinHandle<()>,
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
        let cuts = watch::Sender::new(0);
        let keeper = tokio::spawn(keep(listener, server, cuts.clone()));
        Gate { kubeconfig: copy, cuts, keeper }
    }

    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Cuts all connections; new ones are taken.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

async fn keep(listener: TcpListener, server: String, cuts: watch::Sender<usize>) {
    while let Ok((mut client, _)) = listener.accept().await {
        let (server, mut cuts) = (server.clone(), cuts.subscribe());
        tokio::spawn(async move {
            let before = *cuts.borrow_and_update();
            let Ok(mut server) = TcpStream::connect(server).await else { return };
            let _quick = client.set_nodelay(true).and(server.set_nodelay(true));
            // Either side may hang up, which is no concern of the gate.
            tokio::select! {
                _ = copy_bidirectional(&mut client, &mut server) => {}
                _ = cuts.wait_for(|cuts| *cuts > before) => {}
            }
        });
    }
}
