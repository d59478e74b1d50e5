//! The logs of a fault whose assertions failed: the place of the panic, and the output of programs and servers.

use std::any::Any;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::timeout;

use crate::lab::Lab;

/// The place of the latest panic.
static LAST_PANIC_LOCATION: Mutex<String> = Mutex::new(String::new());

/// Timeout for the log of a pod.
const LOG_TIMEOUT: Duration = Duration::from_secs(20);

/// Records the place of panics and prints nothing, because each failure is printed once in the list.
pub(crate) fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|place| format!("{}:{}", place.file(), place.line()));
        *LAST_PANIC_LOCATION.lock() = place.unwrap_or_default();
    }));
}

/// Message and place of a panic.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    let place = LAST_PANIC_LOCATION.lock();
    format!("{} ({place})", text.unwrap_or_default())
}

/// A new folder for the output during a fault.
pub(crate) fn fresh_log_folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults").join(name.replace('/', "."));
    // It may exist from an earlier run.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Adds the logs of the pods.
pub(crate) async fn save_pod_logs(lab: &Lab, folder: &Path) {
    for pod in lab.pods.names() {
        // A missing pod has none.
        if let Ok(Some(text)) = timeout(LOG_TIMEOUT, lab.pods.logs_if_there(pod)).await {
            fs::write(folder.join(format!("{pod}.log")), text).unwrap();
        }
    }
}
