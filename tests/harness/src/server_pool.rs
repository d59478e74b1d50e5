//! Servers that several tests of one binary use one after the other.

use std::sync::LazyLock;

use parking_lot::{Mutex, MutexGuard};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

/// Connections and processes belong to the runtime in which they were opened, so all of these servers share one.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads can be started")
});

/// Up to `limit` servers, started on demand. A test has one for itself while it runs and leaves it as it was; the server
/// of a test that fails is dropped. When no test uses or waits for one, all are dropped.
pub struct ServerPool<T> {
    places: Semaphore,
    state: Mutex<PoolState<T>>,
}

struct PoolState<T> {
    users: usize,
    idle: Vec<T>,
}

impl<T> ServerPool<T> {
    /// No server is started yet.
    pub const fn new(limit: usize) -> ServerPool<T> {
        ServerPool {
            places: Semaphore::const_new(limit),
            state: Mutex::new(PoolState { users: 0, idle: Vec::new() }),
        }
    }

    /// Runs a test on an idle server, or on one that `start` starts.
    ///
    /// # Panics
    ///
    /// If the test does.
    pub fn run(&'static self, start: impl AsyncFnOnce() -> T, test: impl AsyncFnOnce(&T)) {
        let _user = PoolUser::new(self);
        RUNTIME.block_on(async {
            let _place = self.places.acquire().await.expect("it is never closed");
            let idle = self.state().idle.pop();
            let server = match idle {
                Some(server) => server,
                None => start().await,
            };
            test(&server).await;
            self.state().idle.push(server);
        });
    }

    fn state(&self) -> MutexGuard<'_, PoolState<T>> {
        self.state.lock()
    }
}

/// Counts a test while it uses a server or waits for one.
struct PoolUser<T: 'static>(&'static ServerPool<T>);

impl<T> PoolUser<T> {
    fn new(shared: &'static ServerPool<T>) -> PoolUser<T> {
        shared.state().users += 1;
        PoolUser(shared)
    }
}

impl<T> Drop for PoolUser<T> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.users -= 1;
        if state.users == 0 {
            let idle = std::mem::take(&mut state.idle);
            drop(state);
            let _runtime = RUNTIME.enter();
            drop(idle);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Counts its instances.
    struct Counted(&'static AtomicUsize);

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn counted(live: &'static AtomicUsize, started: &AtomicUsize) -> Counted {
        live.fetch_add(1, Ordering::Relaxed);
        started.fetch_add(1, Ordering::Relaxed);
        Counted(live)
    }

    #[test]
    fn a_server_is_reused_while_tests_wait_and_dropped_with_the_last() {
        static SHARED: ServerPool<Counted> = ServerPool::new(1);
        static LIVE: AtomicUsize = AtomicUsize::new(0);
        let started = AtomicUsize::new(0);
        let waiting = PoolUser::new(&SHARED);
        for _ in 0..3 {
            SHARED.run(async || counted(&LIVE, &started), async |_| ());
        }
        assert_eq!((started.load(Ordering::Relaxed), LIVE.load(Ordering::Relaxed)), (1, 1));
        drop(waiting);
        assert_eq!(LIVE.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn the_server_of_a_test_that_fails_is_not_used_again() {
        static SHARED: ServerPool<Counted> = ServerPool::new(1);
        static LIVE: AtomicUsize = AtomicUsize::new(0);
        let started = AtomicUsize::new(0);
        let _waiting = PoolUser::new(&SHARED);
        let failed = catch_unwind(AssertUnwindSafe(|| {
            SHARED.run(async || counted(&LIVE, &started), async |_| panic!("on purpose"));
        }));
        assert!(failed.is_err());
        SHARED.run(async || counted(&LIVE, &started), async |_| ());
        assert_eq!((started.load(Ordering::Relaxed), LIVE.load(Ordering::Relaxed)), (2, 1));
    }
}
