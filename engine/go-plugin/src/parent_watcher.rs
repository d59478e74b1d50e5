//! Notices the death of the process that started us, so that no plugin outlives its host.

use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, getppid, pidfd_open};
use tokio::sync::oneshot;

/// The process that started this one.
///
/// It is watched through a pidfd, which becomes readable when the whole process has ended. `PR_SET_PDEATHSIG` would not
/// do: it fires when the parent's *thread* ends that forked us, and Go's runtime ends threads while Vault lives on.
pub(crate) struct ParentWatcher(Option<oneshot::Receiver<()>>);

impl ParentWatcher {
    /// Begins to watch. Where the parent cannot be seen (it is in another PID namespace, it is `init`, or the kernel
    /// has no pidfd) there is nothing to watch, and the host is known only by its connection.
    pub(crate) fn watch() -> Self {
        let pidfd = getppid().filter(|parent| !parent.is_init()).and_then(|parent| {
            let pidfd = pidfd_open(parent, PidfdFlags::empty()).ok()?;
            // Had the parent died in between, its number could be another process's by now.
            (getppid() == Some(parent)).then_some(pidfd)
        });
        Self(pidfd.and_then(|pidfd| {
            let (dead, seen) = oneshot::channel();
            let waiter = std::thread::Builder::new().name("parent".to_owned());
            waiter.spawn(move || wait_for_exit(&pidfd, dead)).ok().map(|_| seen)
        }))
    }

    /// Waits for the death of the parent; for ever when it cannot be seen.
    pub(crate) async fn exited(self) {
        if let Some(seen) = self.0
            && seen.await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}

fn wait_for_exit(pidfd: &OwnedFd, dead: oneshot::Sender<()>) {
    loop {
        match poll(&mut [PollFd::new(pidfd, PollFlags::IN)], None) {
            Err(Errno::INTR) => {}
            Err(_) => return,
            Ok(_) => {
                // Nobody waits any more when the plugin itself has ended.
                let _ = dead.send(());
                return;
            }
        }
    }
}
