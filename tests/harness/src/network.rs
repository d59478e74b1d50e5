//! Access to a network namespace from outside.

use std::ffi::OsString;
use std::fs::File;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::port;

/// A thread in the namespace. A socket belongs to the namespace in which it was created, whichever thread uses it later, so sockets are
/// created on this thread.
pub(crate) struct NetworkNamespace {
    namespace: PathBuf,
    runtime: Handle,
    /// Dropping it stops the thread and releases the namespace.
    _end: oneshot::Sender<()>,
}

/// A port on this machine's loopback that forwards into a network. It closes when it is dropped.
pub struct PortForward {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl NetworkNamespace {
    /// Enters a namespace, given as a path like `/proc/<pid>/ns/net`.
    ///
    /// # Panics
    ///
    /// If it does not exist, or this process may not enter it.
    pub(crate) fn enter(namespace: &Path) -> NetworkNamespace {
        let file = File::open(namespace).expect("the namespace has a process");
        let (end, ended) = oneshot::channel::<()>();
        let (send_inside, inside) = mpsc::channel();
        thread::spawn(move || {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("root may enter a namespace");
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
            send_inside.send(runtime.handle().clone()).expect("it is waited for below");
            // Receiving fails when the sender was dropped, which is the signal to stop.
            let _ = runtime.block_on(ended);
        });
        let inside = inside.recv().expect("the thread has entered");
        NetworkNamespace { namespace: namespace.to_owned(), runtime: inside, _end: end }
    }

    /// The namespace, for `nsenter`.
    pub(crate) fn namespace(&self) -> &Path {
        &self.namespace
    }

    /// Listens inside.
    ///
    /// # Panics
    ///
    /// If the address is in use.
    pub(crate) async fn listen(&self, address: SocketAddr) -> TcpListener {
        let bind = async move {
            let listener = std::net::TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        self.run_inside(bind)
            .await
            .and_then(TcpListener::from_std)
            .unwrap_or_else(|error| panic!("cannot listen on {address} in the cluster: {error}"))
    }

    /// Forwards a free port on this machine's loopback to `target` inside.
    pub(crate) fn forward(&self, target: SocketAddr) -> PortForward {
        self.forward_from(port::listener(), target)
    }

    /// Forwards the connections of `listener` to `target` inside.
    pub(crate) fn forward_from(&self, listener: std::net::TcpListener, target: SocketAddr) -> PortForward {
        listener.set_nonblocking(true).expect("a socket can be set up");
        let address = listener.local_addr().expect("a bound socket has an address");
        let task = self.runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("the runtime takes sockets");
            let mut connections = JoinSet::new();
            loop {
                // Accepting fails if the client has disconnected; others are not affected.
                let Ok((mut client, _)) = listener.accept().await else { continue };
                connections.spawn(async move {
                    // If the target refuses the connection, the client sees that it closes immediately. Either side may close it.
                    if let Ok(mut server) = TcpStream::connect(target).await {
                        // The proxy adds no delay, and buffers as much as a socket.
                        let _quick = client.set_nodelay(true).and(server.set_nodelay(true));
                        let _ =
                            copy_bidirectional_with_sizes(&mut client, &mut server, BUFFER_SIZE, BUFFER_SIZE)
                                .await;
                    }
                });
                while connections.try_join_next().is_some() {}
            }
        });
        PortForward { address, task }
    }

    async fn run_inside<T: Send + 'static>(
        &self,
        action: impl Future<Output = io::Result<T>> + Send + 'static,
    ) -> io::Result<T> {
        self.runtime.spawn(action).await.expect("what runs inside does not panic")
    }
}

/// Size of the copy buffer.
const BUFFER_SIZE: usize = 128 * 1024;

impl PortForward {
    /// Its listen address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for PortForward {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A command that runs `program` with its arguments in a namespace, with the same process id.
pub(crate) fn command(namespace: &Path, program: &Command) -> Command {
    let mut option = OsString::from("--net=");
    option.push(namespace);
    let mut command = Command::new("/usr/bin/nsenter");
    command.arg(option).arg("--").arg(program.as_std().get_program()).args(program.as_std().get_args());
    command
}
