//! A rollback of many write-ahead log entries, each of which takes as long as a slow service. The clock is that of Tokio, and is
//! paused while work runs.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};
use vault_plugin::framework::{Context, Engine, NoFields, Path};
use vault_plugin::logical::{Error, Operation};
use vault_plugin::testing::TestMount;

/// How long Vault and OpenBao wait for a rollback (`DefaultMaxRequestDuration`).
const HOST_DEADLINE: Duration = Duration::from_secs(90);

/// How long it takes to undo one entry.
const SLOW: Duration = Duration::from_secs(10);

const ENTRIES: usize = 20;

/// The entries that the engine has started to undo.
type Started = Arc<Mutex<BTreeSet<u64>>>;

/// Returns a mount with many entries, with a handler that returns `result`.
async fn mount(started: &Started, result: fn() -> Result<(), Error>) -> TestMount {
    async fn record(cx: Context<()>, _: NoFields) -> Result<(), Error> {
        for number in 0..ENTRIES {
            cx.wal_put("token", &number).await?;
        }
        Ok(())
    }
    let started = Arc::clone(started);
    let engine = Engine::new(|| ())
        .path(Path::new("record").on(Operation::Update, "Record tokens.", record))
        .on_rollback(Duration::ZERO, move |_, _, number: Value| {
            started.lock().unwrap().insert(number.as_u64().unwrap());
            async move {
                sleep(SLOW).await;
                result()
            }
        });
    let mount = TestMount::new(engine).await.unwrap();
    mount.write("record", Value::Null).await.unwrap();
    assert_eq!(mount.storage().keys().len(), ENTRIES);
    mount
}

#[tokio::test(start_paused = true)]
async fn a_rollback_ends_before_the_host_gives_up_and_the_next_ones_do_the_rest() {
    let mount = mount(&Started::default(), || Ok(())).await;
    let mut remaining = ENTRIES;
    while remaining > 0 {
        let started = Instant::now();
        mount.rollback().await.unwrap();
        assert!(started.elapsed() < HOST_DEADLINE, "{:?}", started.elapsed());
        let now = mount.storage().keys().len();
        assert!(now < remaining, "{now} of {remaining}");
        remaining = now;
    }
}

#[tokio::test(start_paused = true)]
async fn entries_that_cannot_be_undone_do_not_starve_the_others() {
    let started = Started::default();
    let mount = mount(&started, || Err(Error::internal("the service is down"))).await;
    for _ in 0..ENTRIES {
        // The host gives up, or gets the response in time.
        let _ = timeout(HOST_DEADLINE, mount.rollback()).await;
    }
    assert_eq!(started.lock().unwrap().len(), ENTRIES);
    assert_eq!(mount.storage().keys().len(), ENTRIES);
}
