//! Undoes a switch: the version before, started again and proven.

use vault_api::Client;
use vault_api::mounts::{Read, TuneVersion};
use vault_api::reload;

use crate::apply::chain;
use crate::event::Event;
use crate::goal::MountPath;
use crate::step::Step;

/// A mount that was moved.
pub(crate) struct Switched {
    pub(crate) path: MountPath,
    /// With its `v`; empty when it had none.
    pub(crate) from: String,
}

/// Moves back every mount that `done` has moved, because a version that runs turned out not to do its work. Returns the
/// mounts, none if none was moved; on failure what is where, a sentence each.
///
/// Do not drop the future before it ends.
pub async fn roll_back(
    client: &Client,
    done: &[Step],
    because: &str,
    listener: &mut dyn FnMut(&Event),
) -> Result<Vec<MountPath>, Vec<String>> {
    let switched: Vec<Switched> = done.iter().filter_map(Switched::by).collect();
    let mounts: Vec<MountPath> = switched.iter().map(|switched| switched.path.clone()).collect();
    if !mounts.is_empty() {
        listener(&Event::RollingBack { mounts: mounts.clone(), because: because.to_owned() });
        switch_back(client, &switched).await?;
    }
    Ok(mounts)
}

impl Switched {
    /// What a step moves.
    pub(crate) fn by(step: &Step) -> Option<Switched> {
        match step {
            Step::TuneMount { path, from, .. } => Some(Switched { path: path.clone(), from: from.clone() }),
            _ => None,
        }
    }
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
