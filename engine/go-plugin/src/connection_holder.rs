//! Keeps the connections of an exited plugin open until its host has been notified of the exit.
//!
//! Vault and OpenBao send a request again, to the next process, if they know at the time of its failure that the process has exited
//! (`doneCtx` in `backend_client.go` of Vault's SDK). The kernel closes the connections of a process before it reports the exit to the
//! parent. A request that is on its way at that moment fails with `connection reset by peer`, and its client receives the error. While a
//! copy of the process holds the connections, such a request stays unanswered until the host knows.

use std::fs;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::socket_acceptconn;
use rustix::net::{SocketAddrUnix, getsockname};
use rustix::process::Pid;

/// Forks a process that holds the connections to the socket, and nothing else, until they are closed by the host, for at most
/// `max_hold`. The caller exits right after.
///
/// Returns the id of that process, or `None` if it cannot be forked. Nothing is held then.
#[expect(unsafe_code, reason = "the standard library cannot fork without executing a program")]
pub(crate) fn hold_connections(socket: &Path, max_hold: Duration) -> Option<Pid> {
    let files = OpenFiles::list(socket);
    let mut connections: Vec<PollFd<'_>> = Vec::with_capacity(files.connections.len());
    // SAFETY: the descriptors are only polled, and a closed one is reported as such.
    let borrowed = files.connections.iter().map(|&number| unsafe { BorrowedFd::borrow_raw(number) });
    // A hangup is always reported.
    connections.extend(borrowed.map(|file| PollFd::from_borrowed_fd(file, PollFlags::empty())));

    // SAFETY: the child only makes system calls and uses memory that was allocated before. It takes no lock.
    let forked = unsafe { libc::fork() };
    if forked == 0 {
        for &number in &files.others {
            // SAFETY: the child does not use these descriptors, and runs no destructor that would close them again.
            unsafe { libc::close(number) };
        }
        wait_for_hangup(&mut connections, max_hold);
        // SAFETY: ends the child without running the handlers and destructors of its parent.
        unsafe { libc::_exit(0) };
    }
    // -1 is an error.
    (forked > 0).then(|| Pid::from_raw(forked)).flatten()
}

/// Waits until every peer has closed its connection, for at most `max_hold`.
fn wait_for_hangup(connections: &mut Vec<PollFd<'_>>, max_hold: Duration) {
    let start = Instant::now();
    while !connections.is_empty() {
        let Ok(timeout) = Timespec::try_from(max_hold.saturating_sub(start.elapsed())) else { return };
        match poll(connections, Some(&timeout)) {
            Ok(0) => return,
            Ok(_) => connections.retain(|connection| connection.revents().is_empty()),
            Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// The file descriptors of this process. The listener is in neither list: while it is open, a new connection waits in its backlog.
#[derive(Default)]
struct OpenFiles {
    connections: Vec<RawFd>,
    others: Vec<RawFd>,
}

impl OpenFiles {
    fn list(socket: &Path) -> OpenFiles {
        let number =
            |entry: io::Result<fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse::<RawFd>().ok();
        let mut files = OpenFiles::default();
        for number in fs::read_dir("/proc/self/fd").into_iter().flatten().filter_map(number) {
            match is_listener(number, socket) {
                Some(true) => {}
                Some(false) => files.connections.push(number),
                None => files.others.push(number),
            }
        }
        files
    }
}

/// Whether the descriptor is the listener at `socket`, or a connection that it has accepted. `None` if it is neither.
#[expect(unsafe_code, reason = "the descriptors of the connections belong to the gRPC server")]
fn is_listener(number: RawFd, socket: &Path) -> Option<bool> {
    // SAFETY: the descriptor is neither read nor closed, and the calls fail if it is not open any more.
    let file = unsafe { BorrowedFd::borrow_raw(number) };
    let address = SocketAddrUnix::try_from(getsockname(file).ok()?).ok()?;
    if address.path_bytes() != Some(socket.as_os_str().as_bytes()) {
        return None;
    }
    socket_acceptconn(file).ok()
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::os::unix::net::{UnixListener, UnixStream};

    use rustix::process::{WaitOptions, waitpid};

    use super::*;

    /// A plugin's socket with a connection, and its peer.
    struct Connected {
        directory: tempfile::TempDir,
        listener: UnixListener,
        accepted: UnixStream,
        peer: UnixStream,
    }

    impl Connected {
        fn new() -> Connected {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("plugin");
            let listener = UnixListener::bind(&path).unwrap();
            let peer = UnixStream::connect(&path).unwrap();
            let (accepted, _) = listener.accept().unwrap();
            Connected { directory, listener, accepted, peer }
        }

        /// Holds the connection, and closes it in this process, as an exit does. Returns the peer and the process that holds it.
        fn exit(self, max_hold: Duration) -> (UnixStream, Pid) {
            let holder = hold_connections(&self.directory.path().join("plugin"), max_hold).unwrap();
            drop((self.listener, self.accepted));
            (self.peer, holder)
        }
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_request_that_is_not_read_before_the_exit_stays_unanswered_until_the_host_closes_the_connection() {
        let (mut peer, holder) = Connected::new().exit(LONG);
        peer.write_all(b"request").unwrap();
        peer.set_nonblocking(true).unwrap();
        assert_eq!(peer.read(&mut [0]).map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));

        let closed = Instant::now();
        drop(peer);
        waitpid(Some(holder), WaitOptions::empty()).unwrap();
        assert!(closed.elapsed() < LONG);
    }

    #[test]
    fn a_connection_that_the_host_keeps_is_held_for_a_limited_time() {
        let (mut peer, holder) = Connected::new().exit(Duration::from_millis(10));
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
        waitpid(Some(holder), WaitOptions::empty()).unwrap();
    }

    #[test]
    fn nothing_but_the_connections_of_the_socket_is_held() {
        let (mut reader, writer) = io::pipe().unwrap();
        let (peer, holder) = Connected::new().exit(LONG);
        drop(writer);
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
        drop(peer);
        waitpid(Some(holder), WaitOptions::empty()).unwrap();
    }
}
