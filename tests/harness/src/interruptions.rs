//! Interrupts reads of a plugin at each request that it sends to its upstream.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use crate::vault::VaultServer;
use crate::{HoldPoint, HoldingProxy, eventually};

/// How a read is interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interruption {
    /// The plugin process is killed with SIGKILL while it waits for the upstream.
    Kill,
    /// The plugin process is killed after it has received the response, while Vault does not respond to its storage calls.
    KillWhileStoring,
    /// The client closes its connection, so that Vault cancels the request.
    Disconnect,
}

/// Reads `path` again and again. Each read is interrupted at another point: before or after the upstream has received one of the requests
/// that the plugin sends during the read. A held request reaches the upstream after the interruption. Returns the number of points.
///
/// # Panics
///
/// If a read that is not interrupted fails, or the plugin is not started again.
pub async fn interrupt_at_every_request(vault: &VaultServer, proxy: &HoldingProxy, path: &str) -> usize {
    let mut points = 0;
    for (interruption, point) in [
        (Interruption::Kill, HoldPoint::Request),
        (Interruption::Kill, HoldPoint::Response),
        (Interruption::KillWhileStoring, HoldPoint::Response),
        (Interruption::Disconnect, HoldPoint::Request),
        (Interruption::Disconnect, HoldPoint::Response),
    ] {
        for passing in 0.. {
            if interruption != Interruption::Disconnect {
                // A new process has nothing cached, so it sends every request.
                kill_plugins(vault, path).await;
            }
            proxy.hold(passing, point);
            let mut read = Box::pin(vault.request("GET", path, None));
            let uninterrupted = tokio::select! {
                response = &mut read => Some(response),
                () = proxy.wait_held() => None,
            };
            if let Some(response) = uninterrupted {
                proxy.release();
                response.success();
                break;
            }
            match interruption {
                Interruption::Disconnect => drop(read),
                Interruption::Kill => {
                    // Vault repeats the read with a new process if it has noticed the end of this one before it sees the error.
                    let _ = tokio::join!(read, kill_running_plugins(vault));
                }
                Interruption::KillWhileStoring => {
                    let server = process(vault.pid());
                    kill_process(server, Signal::STOP).expect("Vault is running");
                    proxy.release();
                    proxy.wait_idle().await;
                    wait_sleeping(vault).await;
                    for plugin in vault.child_plugin_pids() {
                        kill_process(process(plugin), Signal::KILL).expect("the plugin is running");
                    }
                    kill_process(server, Signal::CONT).expect("Vault is stopped");
                    // Vault may have received the whole response before.
                    let _ = read.await;
                }
            }
            proxy.release();
            proxy.wait_idle().await;
            points += 1;
        }
    }
    points
}

fn process(pid: u32) -> Pid {
    Pid::from_raw(pid.cast_signed()).expect("a process has an id")
}

/// Kills the plugin, and waits until Vault has started it again.
async fn kill_plugins(vault: &VaultServer, path: &str) {
    kill_running_plugins(vault).await;
    let mount = path.split('/').next().unwrap_or_default();
    eventually("the plugin is started again", async || {
        let reply = vault.request("GET", &format!("{mount}/config"), None).await;
        if reply.status == 200 { Ok(()) } else { Err(reply.body.to_string()) }
    })
    .await;
}

async fn kill_running_plugins(vault: &VaultServer) {
    let killed = vault.child_plugin_pids();
    for plugin in &killed {
        // Fails if the process has ended.
        let _ = kill_process(process(*plugin), Signal::KILL);
    }
    eventually("the killed plugin is gone", async || {
        (!vault.child_plugin_pids().iter().any(|running| killed.contains(running))).then_some(())
    })
    .await;
}

/// Waits until all threads of the plugin wait for something, such as for the response of Vault.
async fn wait_sleeping(vault: &VaultServer) {
    eventually("the plugin waits", async || {
        let threads = vault
            .child_plugin_pids()
            .into_iter()
            .filter_map(|pid| fs::read_dir(format!("/proc/{pid}/task")).ok());
        let stats = threads
            .flatten()
            .flatten()
            .filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok());
        // The state follows the name, which may contain any characters.
        let busy = stats
            .into_iter()
            .filter(|stat| !stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S')));
        let busy = busy.count();
        if busy == 0 { Ok(()) } else { Err(format!("{busy} threads run")) }
    })
    .await;
}
