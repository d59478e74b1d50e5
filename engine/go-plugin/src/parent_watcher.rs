//! Detects the exit of the parent process, so that no plugin outlives its host.

use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, getppid, pidfd_open};
use tokio::sync::oneshot;

/// Watches the parent process.
///
/// It uses a pidfd, which becomes readable when the whole process has exited. `PR_SET_PDEATHSIG` is not suitable: it fires when
/// the *thread* ends that forked this process, and Go's runtime ends threads while Vault keeps running.
pub(crate) struct ParentWatcher(Option<oneshot::Receiver<()>>);

impl ParentWatcher {
    /// Starts to watch. If the parent cannot be watched (it is in another PID namespace, it is `init`, or the kernel has no pidfd),
    /// only the end of the connection shows that the host has exited.
    pub(crate) fn watch() -> Self {
        let pidfd = getppid().filter(|parent| !parent.is_init()).and_then(|parent| {
            let pidfd = pidfd_open(parent, PidfdFlags::empty()).ok()?;
            // If the parent exited in between, its process id may have been reused.
            (getppid() == Some(parent)).then_some(pidfd)
        });
        Self(pidfd.and_then(|pidfd| {
            let (exit_sender, exit_receiver) = oneshot::channel();
            let waiter = std::thread::Builder::new().name("parent".to_owned());
            waiter.spawn(move || wait_for_exit(&pidfd, exit_sender)).ok().map(|_| exit_receiver)
        }))
    }

    /// Waits for the exit of the parent. Never resolves if the parent cannot be watched.
    pub(crate) async fn exited(self) {
        if let Some(exit_receiver) = self.0
            && exit_receiver.await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}

fn wait_for_exit(pidfd: &OwnedFd, exit_sender: oneshot::Sender<()>) {
    loop {
        match poll(&mut [PollFd::new(pidfd, PollFlags::IN)], None) {
            Err(Errno::INTR) => {}
            Err(_) => return,
            Ok(_) => {
                // Fails if the plugin itself is exiting.
                let _ = exit_sender.send(());
                return;
            }
        }
    }
}
