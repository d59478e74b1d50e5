//! Our example plugin under our own host.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use harness::build::prebuilt_example;
use harness::within_timeout;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use vault_plugin::host::{
    BrokerTransport, CallError, Level, LogLine, LogSource, MountConfig, Plugin, PluginCommand, RemoteMount,
    ShutdownOutcome, Verb, compare, inspect, launch, probe,
};
use vault_plugin::logical::{BackendType, Error, Map, Operation, Request, Response, Storage, StorageEntry};
use vault_plugin::testing::{MemoryStorage, StaticSystemView, StorageCall};

/// Returns the example that Cargo has built beside this test.
pub(crate) fn greeter() -> PathBuf {
    prebuilt_example("greeter")
}

/// Mounts the engine of `plugin` on `storage`, and initializes it.
pub(crate) async fn mount(plugin: &Plugin, storage: &Arc<MemoryStorage>) -> RemoteMount {
    let storage: Arc<dyn Storage> = storage.clone();
    let mut config = MountConfig::new(storage, Arc::new(StaticSystemView::default()));
    config.options.insert("version".to_owned(), "2".to_owned());
    let mount = within_timeout("the plugin mounts", plugin.mount(config)).await.unwrap();
    within_timeout("the plugin initializes", mount.initialize()).await.unwrap();
    mount
}

pub(crate) async fn ask(
    mount: &RemoteMount,
    operation: Operation,
    path: &str,
    data: Value,
) -> Result<Option<Response>, CallError> {
    let what = format!("the response to {operation:?} of {path}");
    within_timeout(&what, mount.handle_request(request(operation, path, data))).await
}

pub(crate) fn request(operation: Operation, path: &str, data: Value) -> Request {
    Request::new(operation, path, data.as_object().cloned().unwrap_or_default())
}

/// Returns the data of a response.
pub(crate) fn data(response: Result<Option<Response>, CallError>) -> Map {
    response.unwrap().expect("a response").data.expect("data")
}

#[tokio::test]
async fn an_engine_is_mounted_written_read_listed_and_deleted() {
    let plugin = launch(PluginCommand::new(greeter())).await.unwrap();
    let storage = Arc::default();
    let mount = mount(&plugin, &storage).await;
    assert_eq!((mount.version(), mount.kind()), ("v1.2.3", BackendType::Secrets));
    assert_eq!(mount.special_paths().root, ["errors/*"]);
    assert!(plugin.is_multiplexed() && plugin.protocol_version() == 5);

    let write = request(Operation::Create, "greetings/ann", json!({"text": "hi"}));
    assert_eq!(mount.handle_existence_check(write.clone()).await.unwrap(), Some(false));
    assert_eq!(mount.handle_request(write.clone()).await.unwrap(), None);
    assert_eq!(mount.handle_existence_check(write).await.unwrap(), Some(true));
    assert_eq!(storage.keys(), ["greetings/ann"]);

    let read = data(ask(&mount, Operation::Read, "greetings/ann", Value::Null).await);
    assert_eq!(read["text"], "hi");
    let listed = data(ask(&mount, Operation::List, "greetings/", Value::Null).await);
    assert_eq!(listed["keys"], json!(["ann"]));
    assert_eq!(ask(&mount, Operation::Delete, "greetings/ann", Value::Null).await.unwrap(), None);
    assert_eq!(ask(&mount, Operation::Read, "greetings/ann", Value::Null).await.unwrap(), None);
}

#[tokio::test]
async fn a_lease_contains_the_data_to_revoke_it() {
    let plugin = launch(PluginCommand::new(greeter())).await.unwrap();
    let mount = mount(&plugin, &Arc::default()).await;
    ask(&mount, Operation::Update, "greetings/ann", json!({"text": "hi"})).await.unwrap();
    let leased = ask(&mount, Operation::Read, "issue/ann", Value::Null).await.unwrap().unwrap();
    let secret = leased.secret.unwrap();
    assert_eq!(secret.lease.ttl.as_secs(), 60);
    assert_eq!(secret.internal_data["secret_type"], "greeting");

    let mut revoke = Request::new(Operation::Revoke, "issue/ann", leased.data.unwrap());
    revoke.secret = Some(secret);
    mount.handle_request(revoke).await.unwrap();
}

#[tokio::test]
async fn the_kinds_of_errors_of_an_engine_arrive() {
    let plugin = launch(PluginCommand::new(greeter())).await.unwrap();
    let storage: Arc<MemoryStorage> = Arc::default();
    let mount = mount(&plugin, &storage).await;
    let error_of =
        async |operation: Operation, path: &str| match ask(&mount, operation, path, json!({})).await {
            Err(CallError::Backend(failed)) => failed.error,
            other => panic!("{other:?}"),
        };
    assert!(matches!(error_of(Operation::Read, "errors/denied").await, Error::PermissionDenied));
    assert!(matches!(error_of(Operation::Read, "errors/unrecoverable").await, Error::Unrecoverable));
    let coded = error_of(Operation::Read, "errors/coded").await;
    assert!(matches!(coded, Error::Coded { status: 418, message } if message == "a teapot"));
    let internal = error_of(Operation::Read, "errors/other").await;
    assert!(matches!(internal, Error::Internal(text) if text == "internal failure"));
    assert!(matches!(error_of(Operation::Read, "nowhere").await, Error::UnsupportedPath));
    assert!(matches!(error_of(Operation::Patch, "greetings/ann").await, Error::UnsupportedOperation));
    let invalid = ask(&mount, Operation::Read, "errors/invalid", Value::Null).await.unwrap().unwrap();
    assert_eq!(invalid.error_text(), Some("invalid input"));

    storage.fail_on(StorageCall::Put, "", vault_plugin::logical::READ_ONLY);
    assert!(matches!(error_of(Operation::Update, "greetings/ann").await, Error::ReadOnly));
}

#[tokio::test]
async fn two_mounts_of_one_process_have_separate_storage() {
    let plugin = launch(PluginCommand::new(greeter())).await.unwrap();
    let (first, second) = (Arc::default(), Arc::default());
    let (one, two) = (mount(&plugin, &first).await, mount(&plugin, &second).await);
    ask(&one, Operation::Update, "greetings/ann", json!({"text": "hi"})).await.unwrap();
    assert_eq!(ask(&two, Operation::Read, "greetings/ann", Value::Null).await.unwrap(), None);
    assert_eq!((first.keys().len(), second.keys().len()), (1, 0));

    one.cleanup().await.unwrap();
    ask(&two, Operation::Update, "greetings/bob", json!({"text": "hi"})).await.unwrap();
    assert_eq!(second.keys(), ["greetings/bob"]);
}

#[tokio::test]
async fn the_storage_is_reached_through_the_single_connection_of_a_container() {
    let launched =
        PluginCommand { broker_transport: BrokerTransport::Multiplexed, ..PluginCommand::new(greeter()) };
    let plugin = launch(launched).await.unwrap();
    let (first, second) = (Arc::default(), Arc::default());
    let (one, two) = tokio::join!(mount(&plugin, &first), mount(&plugin, &second));
    ask(&one, Operation::Update, "greetings/ann", json!({"text": "hi"})).await.unwrap();
    ask(&two, Operation::Update, "greetings/bob", json!({"text": "hi"})).await.unwrap();
    assert_eq!((first.keys(), second.keys()), (vec!["greetings/ann".into()], vec!["greetings/bob".into()]));
}

#[tokio::test]
async fn a_value_larger_than_four_mebibytes_is_sent_in_both_directions() {
    let plugin = launch(PluginCommand::new(greeter())).await.unwrap();
    let mount = mount(&plugin, &Arc::default()).await;
    let text = "x".repeat(6 << 20);
    ask(&mount, Operation::Update, "greetings/ann", json!({"text": text})).await.unwrap();
    let read = data(ask(&mount, Operation::Read, "greetings/ann", Value::Null).await);
    assert_eq!(read["text"].as_str().unwrap().len(), text.len());
}

#[tokio::test]
async fn the_plugins_log_arrives_line_by_line_with_level_and_fields() {
    let (lines, mut lines_received) = mpsc::unbounded_channel();
    let log = Arc::new(move |line: LogLine| drop(lines.send(line)));
    let plugin = launch(PluginCommand { log, ..PluginCommand::new(greeter()) }).await.unwrap();
    let mount = mount(&plugin, &Arc::default()).await;
    ask(&mount, Operation::Update, "greetings/ann", json!({"text": "hi"})).await.unwrap();
    let line = loop {
        let line = within_timeout("the plugin logs it", lines_received.recv()).await.unwrap();
        if line.message == "greeting stored" {
            break line;
        }
    };
    assert_eq!((line.source, line.level), (LogSource::Log, Level::Info));
    assert_eq!(line.fields["name"], "ann");
}

#[tokio::test]
async fn the_exit_of_a_killed_plugin_is_detected_and_its_calls_fail() {
    let plugin = launch(PluginCommand::new(greeter())).await.unwrap();
    let storage = Arc::default();
    let mount = mount(&plugin, &storage).await;
    let exited = plugin.exited();
    kill(&plugin);
    let exited = within_timeout("the exit is detected", exited).await;
    assert_eq!(
        exited.status.and_then(|status| std::os::unix::process::ExitStatusExt::signal(&status)),
        Some(9)
    );
    assert!(!plugin.is_running());
    let lost = ask(&mount, Operation::Read, "greetings/ann", Value::Null).await.unwrap_err();
    assert!(matches!(lost, CallError::ConnectionLost), "{lost:?}");
}

#[tokio::test]
async fn a_request_in_flight_reports_a_lost_connection() {
    let plugin = launch(PluginCommand::new(greeter())).await.unwrap();
    let storage = Arc::new(StuckStorage::default());
    let config = MountConfig::new(storage.clone(), Arc::new(StaticSystemView::default()));
    let mount = plugin.mount(config).await.unwrap();
    let called = storage.called.lock().unwrap().take().unwrap();
    let waiting =
        tokio::spawn(async move { ask(&mount, Operation::Read, "greetings/ann", Value::Null).await });
    within_timeout("the plugin calls its storage", called).await.unwrap();
    kill(&plugin);
    assert!(matches!(waiting.await.unwrap(), Err(CallError::ConnectionLost)));
}

#[tokio::test]
async fn a_plugin_exits_on_shutdown() {
    let plugin = launch(PluginCommand::new(greeter())).await.unwrap();
    let exit = plugin.shutdown().await.unwrap();
    assert!(matches!(exit, ShutdownOutcome::Graceful(status) if status.success()), "{exit:?}");
    assert!(matches!(plugin.shutdown().await.unwrap(), ShutdownOutcome::Graceful(_)), "the second time");
}

#[tokio::test]
async fn a_plugin_is_probed_without_storage() {
    let report = probe(PluginCommand::new(greeter())).await.unwrap();
    assert_eq!((report.version.as_str(), report.kind), ("v1.2.3", BackendType::Secrets));
    assert!(report.multiplexed);
}

#[tokio::test]
async fn a_plugin_is_inspected_with_its_paths_and_fields() {
    let inspection = inspect(PluginCommand::new(greeter()), BTreeMap::new()).await.unwrap();
    assert_eq!(
        (inspection.version.as_str(), inspection.kind, inspection.protocol_version),
        ("v1.2.3", BackendType::Secrets, 5)
    );
    assert!(inspection.help.contains("Greets people."), "{}", inspection.help);
    let paths: Vec<_> = inspection.paths.keys().map(String::as_str).collect();
    assert_eq!(paths, ["errors/{name}", "greetings", "greetings/{name}", "issue/{name}"]);
    assert!(inspection.paths["errors/{name}"].sudo);
    assert!(inspection.paths["greetings"].operations.contains_key(&Verb::List));
    let greeting = &inspection.paths["greetings/{name}"];
    let verbs: Vec<_> = greeting.operations.keys().copied().collect();
    assert_eq!(verbs, [Verb::Read, Verb::Write, Verb::Delete]);
    assert_eq!(greeting.operations[&Verb::Write].fields["text"].kind, "string");
    assert_eq!(compare(&inspection, &inspection), []);
}

pub(crate) fn kill(plugin: &Plugin) {
    let pid = rustix::process::Pid::from_raw(plugin.pid().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

/// Storage that signals its first call and never responds.
struct StuckStorage {
    call_sender: Mutex<Option<tokio::sync::oneshot::Sender<()>>>,
    called: Mutex<Option<tokio::sync::oneshot::Receiver<()>>>,
}

impl Default for StuckStorage {
    fn default() -> Self {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        StuckStorage { call_sender: Mutex::new(Some(sender)), called: Mutex::new(Some(receiver)) }
    }
}

#[async_trait::async_trait]
impl Storage for StuckStorage {
    async fn get(&self, _key: &str) -> Result<Option<StorageEntry>, vault_plugin::logical::StorageError> {
        let sender = self.call_sender.lock().unwrap().take();
        sender.unwrap().send(()).unwrap();
        std::future::pending().await
    }

    async fn put(&self, _entry: StorageEntry) -> Result<(), vault_plugin::logical::StorageError> {
        Ok(())
    }

    async fn delete(&self, _key: &str) -> Result<(), vault_plugin::logical::StorageError> {
        Ok(())
    }

    async fn list(&self, _prefix: &str) -> Result<Vec<String>, vault_plugin::logical::StorageError> {
        Ok(Vec::new())
    }

    async fn begin(
        &self,
        _access: vault_plugin::logical::Access,
    ) -> Result<Option<Box<dyn vault_plugin::logical::Transaction>>, vault_plugin::logical::StorageError>
    {
        Ok(None)
    }
}
