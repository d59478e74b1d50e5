//! The server's timer: every mount is asked to roll back what was left half done, as Vault asks every minute.

use std::sync::Weak;

use vault_plugin::logical::{Map, Operation, Request};

use crate::core::Core;
use crate::mount::Mount;
use crate::mount::backend::MountBackend;

/// Asks all mounts again and again for as long as the server lives.
pub(crate) async fn run(core: Weak<Core>) {
    loop {
        let Some(period) = core.upgrade().map(|core| core.config.rollback_period) else { return };
        tokio::time::sleep(period).await;
        let Some(core) = core.upgrade() else { return };
        for mount in core.all_mounts() {
            roll_back(&core, &mount).await;
        }
    }
}

/// Asks one mount. That it does not know how is no trouble. Which entries failed is in the plugin's own log: as in Vault, an error response
/// is not looked at.
pub(crate) async fn roll_back(core: &Core, mount: &Mount) {
    if !matches!(mount.backend(), MountBackend::Plugin(_)) {
        return;
    }
    let request = Request::new(Operation::Rollback, "", Map::new());
    if let Err(failure) = mount.call_backend(core, request).await
        && failure.status != 405
        && let Some(trouble) = failure.text
    {
        core.log_error("error rolling back", Some(&format!("{}: {trouble}", mount.settings().path)));
    }
}
