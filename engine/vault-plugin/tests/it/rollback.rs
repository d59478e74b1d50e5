//! A rollback of many write-ahead entries, of which each takes as long as a slow service. The clock is tokio's, and stands still while
//! something works.

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

/// How long undoing one entry takes.
const SLOW: Duration = Duration::from_secs(10);

const ENTRIES: usize = 20;

/// The entries whose undoing has begun.
type Begun = Arc<Mutex<BTreeSet<u64>>>;

/// A mount with many entries, which its service undoes, or refuses to.
async fn mount(begun: &Begun, undone: fn() -> Result<(), Error>) -> TestMount {
    async fn announce(cx: Context<()>, _: NoFields) -> Result<(), Error> {
        for number in 0..ENTRIES {
            cx.wal_put("token", &number).await?;
        }
        Ok(())
    }
    let begun = Arc::clone(begun);
    let engine = Engine::new(|| ())
        .path(Path::new("announce").on(Operation::Update, "Announce tokens.", announce))
        .on_rollback(Duration::ZERO, move |_, _, number: Value| {
            begun.lock().unwrap().insert(number.as_u64().unwrap());
            async move {
                sleep(SLOW).await;
                undone()
            }
        });
    let mount = TestMount::new(engine).await.unwrap();
    mount.write("announce", Value::Null).await.unwrap();
    assert_eq!(mount.storage().keys().len(), ENTRIES);
    mount
}

#[tokio::test(start_paused = true)]
async fn a_pass_ends_before_the_host_gives_up_and_the_next_ones_do_the_rest() {
    let mount = mount(&Begun::default(), || Ok(())).await;
    let mut left = ENTRIES;
    while left > 0 {
        let started = Instant::now();
        mount.rollback().await.unwrap();
        assert!(started.elapsed() < HOST_DEADLINE, "{:?}", started.elapsed());
        let now = mount.storage().keys().len();
        assert!(now < left, "{now} of {left}");
        left = now;
    }
}

#[tokio::test(start_paused = true)]
async fn entries_that_cannot_be_undone_do_not_keep_the_others_from_their_turn() {
    let begun = Begun::default();
    let mount = mount(&begun, || Err(Error::internal("the service is down"))).await;
    for _ in 0..ENTRIES {
        // A host that gives up, or one whose mount answers in time.
        let _ = timeout(HOST_DEADLINE, mount.rollback()).await;
    }
    assert_eq!(begun.lock().unwrap().len(), ENTRIES);
    assert_eq!(mount.storage().keys().len(), ENTRIES);
}
