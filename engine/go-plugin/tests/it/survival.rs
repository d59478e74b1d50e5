//! When a plugin exits, and when it keeps running.

use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::Arc;

use go_plugin::host::{LaunchOptions, ShutdownOutcome, launch};
use go_plugin::{Address, parse_handshake_line};
use harness::build::go_host;
use harness::{Program, RunningProgram, Stream, eventually, within_timeout};
use hyper_util::rt::TokioIo;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process, pidfd_open, waitid};
use tokio::net::UnixStream;
use tokio::sync::{Notify, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;
use tonic::{Request, Response, Status};

use crate::relay::{HANDSHAKE, Oracle, ask, binary, client, connect_to, launch_connected, options};

#[expect(unreachable_pub, unused_qualifications, clippy::allow_attributes, reason = "generated code")]
#[rustfmt::skip]
#[path = "../../src/generated/plugin.rs"]
mod wire;

use wire::grpc_broker_client::GrpcBrokerClient;

#[tokio::test]
async fn a_plugin_exits_on_shutdown_even_with_a_request_in_flight_and_leaves_no_socket() {
    let directory = tempfile::tempdir().unwrap();
    let env = vec![("TMPDIR".into(), directory.path().into())];
    let running = launch(LaunchOptions { env, ..options() }).await.unwrap();
    assert_eq!(entries(directory.path()), 1);

    let mut hanging = client(&running);
    let hanging = tokio::spawn(async move { hanging.hang(()).await });
    let exit = running.shutdown().await.unwrap();
    assert!(matches!(exit, ShutdownOutcome::Graceful(status) if status.success()), "{exit:?}");
    assert!(hanging.await.unwrap().is_err());
    assert_eq!(entries(directory.path()), 0);
}

#[tokio::test]
async fn a_request_in_flight_is_answered_before_the_plugin_exits() {
    let (asked, answer) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let running = launch(options()).await.unwrap();
    let oracle = DelayedOracle { asked: Arc::clone(&asked), answer: Arc::clone(&answer) };
    connect_to(&running, oracle).await;

    let mut relay = client(&running);
    let question = tokio::spawn(async move { relay.ask(b"why".to_vec()).await });
    within_timeout("the question arrives", asked.notified()).await;
    let mut output = running.stdout();
    let shutdown = tokio::spawn(async move { running.shutdown().await });
    // The stream of the output ends when the plugin begins to stop.
    within_timeout("the plugin begins to stop", async { while output.next().await.is_some() {} }).await;
    answer.notify_one();

    assert_eq!(question.await.unwrap().unwrap().into_inner(), b"because");
    assert!(matches!(shutdown.await.unwrap().unwrap(), ShutdownOutcome::Graceful(_)));
}

/// Answers `why` only after it is notified.
struct DelayedOracle {
    asked: Arc<Notify>,
    answer: Arc<Notify>,
}

#[tonic::async_trait]
impl Oracle for DelayedOracle {
    async fn answer(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Status> {
        if request.get_ref() == b"why" {
            self.asked.notify_one();
            self.answer.notified().await;
        }
        Ok(Response::new(b"because".to_vec()))
    }
}

#[tokio::test]
async fn a_plugin_ignores_an_interrupt() {
    let running = launch_connected(options(), "host").await;
    signal(running.pid(), Signal::INT);
    assert_eq!(ask(&running, "hello").await.unwrap(), "host: hello");
    assert!(matches!(running.shutdown().await.unwrap(), ShutdownOutcome::Graceful(_)));
}

#[tokio::test]
async fn a_plugin_that_its_launcher_drops_is_killed_and_leaves_no_socket() {
    let directory = tempfile::tempdir().unwrap();
    let env = vec![("TMPDIR".into(), directory.path().into())];
    let running = launch(LaunchOptions { env, ..options() }).await.unwrap();
    assert_eq!(entries(directory.path()), 1);
    let ended = Pidfd::of(running.pid());
    drop(running);
    assert_eq!(entries(directory.path()), 0);
    ended.wait().await;
}

/// Go plugins do not detect the exit of their host, so the kernel has to kill them.
#[tokio::test]
async fn a_go_plugin_is_killed_with_its_host() {
    const PLUGIN: &str = "RELAY_TEST_PLUGIN";
    if let Some(plugin) = std::env::var_os(PLUGIN) {
        // This process is the host: it prints the plugin's id and waits to be killed.
        let running = launch(LaunchOptions::new(plugin, HANDSHAKE)).await.unwrap();
        println!("plugin {}", running.pid());
        std::future::pending::<()>().await;
    }
    let directory = tempfile::tempdir().unwrap();
    let host = Program::new(std::env::current_exe().unwrap())
        .env(PLUGIN, go_host().await.to_str().unwrap())
        .env("TMPDIR", directory.path().to_str().unwrap());
    let this = "survival::a_go_plugin_is_killed_with_its_host";
    let mut host = host.start([this, "--exact", "--nocapture"]);
    let line = host.wait_for(Stream::Stdout, "plugin ").await;
    let plugin = line.rsplit(' ').next().unwrap().parse().unwrap();
    let ended = Pidfd::of(plugin);
    assert_eq!(host.signal_and_wait(Signal::KILL).await.code, None);
    ended.wait().await;
}

#[tokio::test]
async fn a_child_of_a_plugin_does_not_outlive_it() {
    let directory = tempfile::tempdir().unwrap();
    let child = directory.path().join("child");
    let script = format!("sleep 600 & echo $! > {}; exit 3", child.display());
    let options =
        LaunchOptions { args: vec!["-c".into(), script.into()], ..LaunchOptions::new("/bin/sh", HANDSHAKE) };
    let error = launch(options).await.unwrap_err();
    assert!(error.to_string().contains("exit status: 3"), "{error}");
    let child = std::fs::read_to_string(child).unwrap().trim().parse().unwrap();
    // The child may have exited already.
    if let Some(ended) = Pidfd::open(child) {
        ended.wait().await;
    }
}

#[tokio::test]
async fn the_exit_of_a_plugin_is_reported_to_all_waiters() {
    let running = launch(options()).await.unwrap();
    let (one, two) = (running.exited(), running.exited());
    signal(running.pid(), Signal::KILL);
    let all = async { [one.await, two.await, running.exited().await] };
    for exited in within_timeout("all waiters resolve", all).await {
        assert_eq!(exited.status.and_then(|status| status.signal()), Some(Signal::KILL.as_raw()));
        assert!(exited.stderr.contains("starting"), "{}", exited.stderr);
    }
    assert!(!running.is_running());
}

#[tokio::test]
async fn a_plugin_that_does_not_exit_is_killed() {
    let running = launch(LaunchOptions::new(go_host().await, HANDSHAKE)).await.unwrap();
    signal(running.pid(), Signal::STOP);
    let plugin = Pid::from_raw(running.pid().cast_signed()).unwrap();
    let options = WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    eventually("the process has stopped", async || waitid(WaitId::Pid(plugin), options).unwrap()).await;
    assert_eq!(running.shutdown().await.unwrap(), ShutdownOutcome::Killed);
    assert!(!running.is_running());
}

#[tokio::test]
async fn a_terminated_plugin_exits_and_leaves_no_socket() {
    let directory = tempfile::tempdir().unwrap();
    let parent = ParentShell::start(directory.path()).await;
    signal(parent.plugin, Signal::TERM);
    assert!(parent.wait_stderr().await.contains("stopped: Shutdown"));
    assert_eq!(entries(directory.path()), 0);
}

#[tokio::test]
async fn a_plugin_exits_when_its_host_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let parent = ParentShell::start(directory.path()).await;
    parent.process.signal(Signal::KILL);
    assert!(parent.wait_stderr().await.contains("stopped: HostDisconnected"));
    assert_eq!(entries(directory.path()), 0);
}

#[tokio::test]
async fn a_plugin_exits_when_the_brokers_stream_ends_though_its_parent_runs() {
    let directory = tempfile::tempdir().unwrap();
    let parent = ParentShell::start(directory.path()).await;
    let Address::Unix(path) = parent.address.clone() else { panic!("{:?}", parent.address) };
    let channel = Endpoint::from_static("http://localhost")
        .connect_with_connector(tower::service_fn(move |_| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        }))
        .await
        .unwrap();
    let (announcements, outgoing) = mpsc::channel(1);
    let request = ReceiverStream::new(outgoing);
    let stream = GrpcBrokerClient::new(channel).start_stream(request).await.unwrap();
    drop(announcements);
    drop(stream);
    assert!(parent.wait_stderr().await.contains("stopped: HostDisconnected"));
}

/// A shell that has started the relay without TLS and waits for it.
struct ParentShell {
    process: RunningProgram,
    plugin: u32,
    address: Address,
}

impl ParentShell {
    async fn start(temporary: &Path) -> Self {
        let shell = Program::new("/bin/sh")
            .env(HANDSHAKE.cookie_key, HANDSHAKE.cookie_value)
            .env("PLUGIN_PROTOCOL_VERSIONS", "5")
            .env("TMPDIR", temporary.to_str().unwrap());
        let script = r#""$0" & echo "plugin $!" >&2; wait"#;
        let mut process = shell.start(["-c", script, binary().to_str().unwrap()]);
        let plugin = process.wait_for(Stream::Stderr, "plugin ").await;
        let plugin = plugin.strip_prefix("plugin ").unwrap().parse().unwrap();
        let line = process.wait_for(Stream::Stdout, "|").await;
        Self { process, plugin, address: parse_handshake_line(&line).unwrap().address }
    }

    /// Returns the standard error up to the exit of the plugin, which is the last process that has it open.
    async fn wait_stderr(self) -> String {
        self.process.wait().await.stderr
    }
}

/// A pidfd, which identifies the process even after it was reaped.
struct Pidfd(OwnedFd);

impl Pidfd {
    fn of(pid: u32) -> Self {
        Self::open(pid).unwrap()
    }

    fn open(pid: u32) -> Option<Self> {
        let pid = Pid::from_raw(pid.cast_signed()).unwrap();
        pidfd_open(pid, PidfdFlags::empty()).ok().map(Self)
    }

    /// Waits until the process has ended.
    async fn wait(self) {
        let no_wait = Timespec { tv_sec: 0, tv_nsec: 0 };
        let has_ended = || poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&no_wait)).unwrap() == 1;
        eventually("the process has ended", async || has_ended().then_some(())).await;
    }
}

fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid.cast_signed()).unwrap();
    kill_process(pid, signal).unwrap();
}

fn entries(directory: &Path) -> usize {
    std::fs::read_dir(directory).unwrap().count()
}
