//! Compares two builds of this engine through a real Vault, by the CPU time of the plugin for each credential.
//!
//! CPU time depends less on other programs than the duration of a request does. Both builds run at the same time, each in its own Vault,
//! and get the same number of requests in turn.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use harness::{Storage, VaultServer};
use tokio::task::JoinSet;

use crate::through_vault::{cpu_time, mounted};
use crate::token_service::TokenService;
use crate::{BoxError, median};

/// The argument before the paths of both builds.
pub(crate) const ARGUMENT: &str = "--versions";

/// The number of concurrent callers of each measurement.
const CALLERS: [usize; 2] = [1, 64];

const PAIRS: usize = 15;

/// The order statistics of 15 ratios that contain their median with a probability of 96 %.
const INTERVAL: [usize; 2] = [3, 11];

/// The number of requests of each turn. The kernel counts CPU time in units of 10 ms, which are 2 % of a turn.
const REQUESTS: usize = 1024;

/// A build in its Vault.
struct Build {
    vault: Arc<VaultServer>,
    plugin: u32,
}

impl Build {
    async fn start(service: &TokenService, binary: &Path) -> Result<Build, BoxError> {
        let vault = Arc::new(mounted(service, binary, Storage::Memory).await?);
        let &[plugin] = vault.child_plugin_pids().as_slice() else {
            return Err("expected one plugin process".into());
        };
        Ok(Build { vault, plugin })
    }

    /// Returns the CPU time of the plugin for each request.
    async fn turn(&self, callers: usize) -> Result<Duration, BoxError> {
        let before = cpu_time(self.plugin)?;
        let mut clients = JoinSet::new();
        for _ in 0..callers {
            let vault = Arc::clone(&self.vault);
            clients.spawn(async move {
                for _ in 0..REQUESTS / callers {
                    vault.request("GET", "custom/creds/developer", None).await.success();
                }
            });
        }
        while let Some(client) = clients.join_next().await {
            client?;
        }
        Ok((cpu_time(self.plugin)? - before) / u32::try_from(REQUESTS)?)
    }
}

/// Measures a former and a later build, and returns the lines of a table.
pub(crate) async fn measure(service: &TokenService, binaries: [PathBuf; 2]) -> Result<String, BoxError> {
    let [former, later] = &binaries;
    let (former, later) = (Build::start(service, former).await?, Build::start(service, later).await?);
    let mut table =
        "| CPU of the plugin per request, us | former | later | later : former |\n|---|---|---|---|\n"
            .to_owned();
    for callers in CALLERS {
        let mut turns = [Vec::new(), Vec::new()];
        let mut ratios = Vec::new();
        // The first pair fills caches and opens connections, and is not counted.
        for pair in 0..=PAIRS {
            let one = former.turn(callers).await?.as_secs_f64() * 1e6;
            let other = later.turn(callers).await?.as_secs_f64() * 1e6;
            if pair > 0 {
                turns[0].push(one);
                turns[1].push(other);
                ratios.push(other / one);
            }
        }
        ratios.sort_by(f64::total_cmp);
        let [low, high] = INTERVAL.map(|rank| ratios[rank]);
        let [one, other] = turns.map(median);
        table.push_str(&format!(
            "| {callers} callers | {one:.0} | {other:.0} | {:.3} ({low:.3} to {high:.3}) |\n",
            ratios[PAIRS / 2]
        ));
    }
    Ok(table)
}
