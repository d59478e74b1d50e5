//! Forwards a loopback port of this machine to the server in a pod.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use rollout::Poll;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use super::cluster::{Cluster, with_timeout};
use super::error::KubernetesError;

/// A forwarded port; closed on drop. The pod can be changed, which closes the connections to the previous pod.
#[derive(Debug)]
pub(super) struct PortForward {
    address: SocketAddr,
    target: watch::Sender<Option<String>>,
    task: AbortHandle,
}

/// How long a client's connection waits for a pod that is being replaced.
const POD_WAIT_TIMEOUT: Duration = Duration::from_secs(20);
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Timeout of opening a connection to a pod.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

impl PortForward {
    /// Opens a local port. Connects to the pod only when a client connects.
    pub(super) async fn open(
        cluster: Cluster,
        port: u16,
        pod: Option<String>,
    ) -> Result<Self, KubernetesError> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(KubernetesError::Loopback)?;
        let address = listener.local_addr().map_err(KubernetesError::Loopback)?;
        let (target, _) = watch::channel(pod);
        let task = tokio::spawn(serve(listener, cluster, port, target.clone())).abort_handle();
        Ok(Self { address, target, task })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets the pod for new connections.
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

/// Accepts connections. They end with this task.
async fn serve(listener: TcpListener, cluster: Cluster, port: u16, target: watch::Sender<Option<String>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((local, _)) = accepted {
                    // Only an optimization.
                    let _set = local.set_nodelay(true);
                    connections.spawn(bridge(local, cluster.clone(), port, target.subscribe()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Connects a client to the pod. Closes the client's connection if the pod cannot be reached, or its connection breaks.
async fn bridge(
    mut local: TcpStream,
    cluster: Cluster,
    port: u16,
    mut target: watch::Receiver<Option<String>>,
) {
    let mut poll = Poll::every(POLL_INTERVAL, POD_WAIT_TIMEOUT);
    let (mut forwarder, mut remote) = loop {
        let pod = target.borrow_and_update().clone();
        if let Some(pod) = pod
            && let Ok(mut forwarder) =
                with_timeout(CONNECT_TIMEOUT, cluster.pods().portforward(&pod, &[port])).await
            && let Some(remote) = forwarder.take_stream(port)
        {
            break (forwarder, remote);
        }
        if poll.timed_out() {
            return;
        }
        poll.pause_unless(target.changed()).await;
    };
    let refused = forwarder.take_error(port);
    let refused = async {
        match refused {
            // Without an error, the end of this channel is the end of the connection, which the copy detects.
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
        _retargeted = target.changed() => {}
    }
    forwarder.abort();
}
