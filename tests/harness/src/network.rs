//! A network namespace that this process is not in, reached from inside it.

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

/// A thread of ours in the namespace. A socket belongs for good to the namespace in which it was made, whichever thread
/// uses it later; so whatever is to happen there is begun on that thread.
pub(crate) struct NetworkNamespace {
    namespace: PathBuf,
    runtime: Handle,
    /// Dropped, it ends the thread, and lets go of the namespace.
    _end: oneshot::Sender<()>,
}

/// A port on this machine's loopback that leads into a network. It closes when it is dropped.
pub struct PortForward {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl NetworkNamespace {
    /// Enters a namespace, by a path as `/proc/<pid>/ns/net`.
    ///
    /// # Panics
    ///
    /// When there is none, or we may not enter it.
    pub(crate) fn enter(namespace: &Path) -> NetworkNamespace {
        let file = File::open(namespace).expect("the namespace has a process");
        let (end, ended) = oneshot::channel::<()>();
        let (send_inside, inside) = mpsc::channel();
        thread::spawn(move || {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("root may enter a namespace");
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
            send_inside.send(runtime.handle().clone()).expect("it is waited for below");
            // An error says that the other end was dropped, which is what is waited for.
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
    /// When the address is taken.
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

    /// Leads a free port on this machine's loopback to `target` inside.
    pub(crate) fn forward(&self, target: SocketAddr) -> PortForward {
        self.forward_from(port::listener(), target)
    }

    /// Leads what arrives at `listener` to `target` inside.
    pub(crate) fn forward_from(&self, listener: std::net::TcpListener, target: SocketAddr) -> PortForward {
        listener.set_nonblocking(true).expect("a socket can be set up");
        let address = listener.local_addr().expect("a bound socket has an address");
        let task = self.runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("the runtime takes sockets");
            let mut connections = JoinSet::new();
            loop {
                // Accepting fails for a client that is gone again; the next one is not concerned.
                let Ok((mut client, _)) = listener.accept().await else { continue };
                connections.spawn(async move {
                    // Whoever is refused inside sees a connection that closes at once. Either side may break off.
                    if let Ok(mut server) = TcpStream::connect(target).await {
                        // As if it were not there: it holds nothing back, and takes in what a socket does.
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

/// What goes through at once.
const BUFFER_SIZE: usize = 128 * 1024;

impl PortForward {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for PortForward {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A command that runs `program` with its arguments in a namespace. It keeps the process id.
pub(crate) fn command(namespace: &Path, program: &Command) -> Command {
    let mut option = OsString::from("--net=");
    option.push(namespace);
    let mut command = Command::new("/usr/bin/nsenter");
    command.arg(option).arg("--").arg(program.as_std().get_program()).args(program.as_std().get_args());
    command
}
