//! Undoes a switch: the version before, started again and proven.

use vault_api::Client;
use vault_api::mounts::{Read, TuneVersion};
use vault_api::reload;

use crate::apply::chain;
use crate::goal::MountPath;

/// A mount that was moved.
pub(crate) struct Switched {
    pub(crate) path: MountPath,
    /// With its `v`; empty when it had none.
    pub(crate) from: String,
}

/// Moves every mount back, reloads them, and reads back what runs. On failure: what is where, a sentence each.
pub(crate) async fn switch_back(client: &Client, switched: &[Switched]) -> Result<(), Vec<String>> {
    let mut left = Vec::new();
    let mut paths = Vec::new();
    for Switched { path, from } in switched {
        if from.is_empty() {
            left.push(format!(
                "{path} had no version before, and \"no version\" cannot be configured again; \
                 move it to a version that works, and reload it"
            ));
            continue;
        }
        match client.send(&TuneVersion { path: path.to_string(), version: from.clone() }).await {
            Ok(_) => paths.push(path.to_string()),
            Err(error) => left.push(format!("{path} could not be moved back to {from} ({})", chain(&error))),
        }
    }
    if !paths.is_empty()
        && let Err(error) = client.send(&reload::Mounts { paths }).await
    {
        left.push(format!("the mounts could not be reloaded ({})", chain(&error)));
    }
    for Switched { path, from } in switched.iter().filter(|switched| !switched.from.is_empty()) {
        match client.send(&Read { path: path.to_string() }).await {
            Ok(Some(shown)) if shown.mount.running_version == *from => {}
            Ok(Some(shown)) => {
                left.push(format!("{path} runs {:?} and not {from}", shown.mount.running_version));
            }
            Ok(None) => left.push(format!("nothing is mounted at {path} any more")),
            Err(error) => left.push(format!("it is not known what {path} runs ({})", chain(&error))),
        }
    }
    if left.is_empty() { Ok(()) } else { Err(left) }
}
