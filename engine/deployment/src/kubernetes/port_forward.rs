//! A port of this machine's loopback that leads to a server in a pod.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use super::cluster::{Cluster, with_timeout};
use super::error::KubernetesError;

/// A port that leads to a pod for as long as it lives. Which pod can be changed; connections to the one before then end.
#[derive(Debug)]
pub(super) struct PortForward {
    address: SocketAddr,
    target: watch::Sender<Option<String>>,
    task: AbortHandle,
}

/// How long a caller's connection waits for a pod that is being replaced.
const POD_WAIT_TIMEOUT: Duration = Duration::from_secs(20);
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// How long a way to a pod may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

impl PortForward {
    /// Opens a port. Nothing is connected to before somebody connects to it.
    pub(super) async fn open(
        cluster: Cluster,
        port: u16,
        pod: Option<String>,
    ) -> Result<Self, KubernetesError> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(KubernetesError::Loopback)?;
        let address = listener.local_addr().map_err(KubernetesError::Loopback)?;
        let (target, _) = watch::channel(pod);
        let serving = tokio::spawn(serve(listener, cluster, port, target.clone())).abort_handle();
        Ok(Self { address, target, task: serving })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads to another pod from now on.
    pub(super) fn retarget(&self, pod: &str) {
        self.target.send_if_modified(|target| {
            let changes = target.as_deref() != Some(pod);
            if changes {
                *target = Some(pod.to_owned());
            }
            changes
        });
    }
}

impl Drop for PortForward {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Its connections end with it.
async fn serve(listener: TcpListener, cluster: Cluster, port: u16, target: watch::Sender<Option<String>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((local, _)) = accepted {
                    // Slower without, and no worse.
                    let _quick = local.set_nodelay(true);
                    connections.spawn(bridge(local, cluster.clone(), port, target.subscribe()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// A connection that cannot be made, or that breaks, is closed: that is what its caller understands.
async fn bridge(
    mut local: TcpStream,
    cluster: Cluster,
    port: u16,
    mut target: watch::Receiver<Option<String>>,
) {
    let until = Instant::now() + POD_WAIT_TIMEOUT;
    let (mut forwarder, mut remote) = loop {
        let pod = target.borrow_and_update().clone();
        if let Some(pod) = pod
            && let Ok(mut forwarder) =
                with_timeout(CONNECT_TIMEOUT, cluster.pods().portforward(&pod, &[port])).await
            && let Some(remote) = forwarder.take_stream(port)
        {
            break (forwarder, remote);
        }
        if Instant::now() >= until {
            return;
        }
        let _led_elsewhere = tokio::time::timeout(POLL_INTERVAL, target.changed()).await;
    };
    let refused = forwarder.take_error(port);
    let refused = async {
        match refused {
            // The end of the channel without a word is the end of the connection, which the copy sees.
            Some(refused) => {
                if refused.await.is_none() {
                    std::future::pending::<()>().await;
                }
            }
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ended = copy_bidirectional(&mut local, &mut remote) => {}
        () = refused => {}
        _led_elsewhere = target.changed() => {}
    }
    forwarder.abort();
}
