//! What a fault that does not hold leaves to be read: where it failed, what programs and servers said.

use std::any::Any;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::timeout;

use crate::lab::Lab;

/// Where the latest panic was.
static LAST_PANIC_LOCATION: Mutex<String> = Mutex::new(String::new());

/// How long a pod may take to give its log.
const LOG_TIMEOUT: Duration = Duration::from_secs(20);

/// Has panics remember where they were, and say nothing: what does not hold is said once, in the list.
pub(crate) fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|place| format!("{}:{}", place.file(), place.line()));
        *LAST_PANIC_LOCATION.lock() = place.unwrap_or_default();
    }));
}

/// What a panic said, and where.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    let place = LAST_PANIC_LOCATION.lock();
    format!("{} ({place})", text.unwrap_or_default())
}

/// A new folder for what is said while a fault runs.
pub(crate) fn fresh_log_folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults").join(name.replace('/', "."));
    // It may be there from a run before.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Keeps the logs of the pods beside it.
pub(crate) async fn save_pod_logs(lab: &Lab, folder: &Path) {
    for pod in lab.pods.names() {
        // A pod that is not there has none.
        if let Ok(Some(text)) = timeout(LOG_TIMEOUT, lab.pods.logs_if_there(pod)).await {
            fs::write(folder.join(format!("{pod}.log")), text).unwrap();
        }
    }
}
