//! A plugin of ours under our own host.

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

/// The example that Cargo has built beside this test.
pub(crate) fn greeter() -> PathBuf {
    prebuilt_example("greeter")
}

/// Mounts the engine of `plugin` on `storage`, initialised.
pub(crate) async fn mount(plugin: &Plugin, storage: &Arc<MemoryStorage>) -> RemoteMount {
    let storage: Arc<dyn Storage> = storage.clone();
    let mut config = MountConfig::new(storage, Arc::new(StaticSystemView::default()));
    config.options.insert("version".to_owned(), "2".to_owned());
    let mount = within_timeout("the plugin mounts", plugin.mount(config)).await.unwrap();
    within_timeout("the plugin initialises", mount.initialize()).await.unwrap();
    mount
}

pub(crate) async fn ask(
    mount: &RemoteMount,
    operation: Operation,
    path: &str,
    data: Value,
) -> Result<Option<Response>, CallError> {
    let what = format!("an answer to {operation:?} of {path}");
    within_timeout(&what, mount.handle_request(request(operation, path, data))).await
}

pub(crate) fn request(operation: Operation, path: &str, data: Value) -> Request {
    Request::new(operation, path, data.as_object().cloned().unwrap_or_default())
}

/// The data of an answer that has some.
pub(crate) fn data(answer: Result<Option<Response>, CallError>) -> Map {
    answer.unwrap().expect("an answer").data.expect("data")
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
async fn a_lease_comes_with_what_revokes_it() {
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
async fn the_kinds_of_an_engines_errors_arrive() {
    let plugin = launch(PluginCommand::new(greeter())).await.unwrap();
    let storage: Arc<MemoryStorage> = Arc::default();
    let mount = mount(&plugin, &storage).await;
    let refused = async |operation: Operation, path: &str| match ask(&mount, operation, path, json!({})).await
    {
        Err(CallError::Backend(refusal)) => refusal.error,
        other => panic!("{other:?}"),
    };
    assert!(matches!(refused(Operation::Read, "errors/denied").await, Error::PermissionDenied));
    assert!(matches!(refused(Operation::Read, "errors/unrecoverable").await, Error::Unrecoverable));
    let coded = refused(Operation::Read, "errors/coded").await;
    assert!(matches!(coded, Error::Coded { status: 418, message } if message == "a teapot"));
    let internal = refused(Operation::Read, "errors/other").await;
    assert!(matches!(internal, Error::Internal(text) if text == "it broke"));
    assert!(matches!(refused(Operation::Read, "nowhere").await, Error::UnsupportedPath));
    assert!(matches!(refused(Operation::Patch, "greetings/ann").await, Error::UnsupportedOperation));
    let invalid = ask(&mount, Operation::Read, "errors/invalid", Value::Null).await.unwrap().unwrap();
    assert_eq!(invalid.error_text(), Some("wrong input"));

    storage.fail_on(StorageCall::Put, "", vault_plugin::logical::READ_ONLY);
    assert!(matches!(refused(Operation::Update, "greetings/ann").await, Error::ReadOnly));
}

#[tokio::test]
async fn two_mounts_of_one_process_see_their_own_storage_only() {
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
async fn the_storage_is_reached_through_the_one_connection_of_a_container_too() {
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
async fn a_value_larger_than_four_mebibytes_goes_both_ways() {
    let plugin = launch(PluginCommand::new(greeter())).await.unwrap();
    let mount = mount(&plugin, &Arc::default()).await;
    let text = "x".repeat(6 << 20);
    ask(&mount, Operation::Update, "greetings/ann", json!({"text": text})).await.unwrap();
    let read = data(ask(&mount, Operation::Read, "greetings/ann", Value::Null).await);
    assert_eq!(read["text"].as_str().unwrap().len(), text.len());
}

#[tokio::test]
async fn the_plugins_log_arrives_line_by_line_with_level_and_fields() {
    let (lines, mut seen) = mpsc::unbounded_channel();
    let log = Arc::new(move |line: LogLine| drop(lines.send(line)));
    let plugin = launch(PluginCommand { log, ..PluginCommand::new(greeter()) }).await.unwrap();
    let mount = mount(&plugin, &Arc::default()).await;
    ask(&mount, Operation::Update, "greetings/ann", json!({"text": "hi"})).await.unwrap();
    let line = loop {
        let line = within_timeout("the plugin logs it", seen.recv()).await.unwrap();
        if line.message == "greeting stored" {
            break line;
        }
    };
    assert_eq!((line.source, line.level), (LogSource::Log, Level::Info));
    assert_eq!(line.fields["name"], "ann");
}

#[tokio::test]
async fn a_killed_plugin_is_noticed_and_its_calls_say_so() {
    let plugin = launch(PluginCommand::new(greeter())).await.unwrap();
    let storage = Arc::default();
    let mount = mount(&plugin, &storage).await;
    let exited = plugin.exited();
    kill(&plugin);
    let exited = within_timeout("its end is noticed", exited).await;
    assert_eq!(
        exited.status.and_then(|status| std::os::unix::process::ExitStatusExt::signal(&status)),
        Some(9)
    );
    assert!(!plugin.is_running());
    let lost = ask(&mount, Operation::Read, "greetings/ann", Value::Null).await.unwrap_err();
    assert!(matches!(lost, CallError::ConnectionLost), "{lost:?}");
}

#[tokio::test]
async fn a_request_in_flight_says_that_the_plugin_is_gone() {
    let plugin = launch(PluginCommand::new(greeter())).await.unwrap();
    let storage = Arc::new(StuckStorage::default());
    let config = MountConfig::new(storage.clone(), Arc::new(StaticSystemView::default()));
    let mount = plugin.mount(config).await.unwrap();
    let asked = storage.asked.lock().unwrap().take().unwrap();
    let waiting =
        tokio::spawn(async move { ask(&mount, Operation::Read, "greetings/ann", Value::Null).await });
    within_timeout("the plugin asks its storage", asked).await.unwrap();
    kill(&plugin);
    assert!(matches!(waiting.await.unwrap(), Err(CallError::ConnectionLost)));
}

#[tokio::test]
async fn a_plugin_ends_when_told_to() {
    let plugin = launch(PluginCommand::new(greeter())).await.unwrap();
    let exit = plugin.shutdown().await.unwrap();
    assert!(matches!(exit, ShutdownOutcome::Graceful(status) if status.success()), "{exit:?}");
    assert!(matches!(plugin.shutdown().await.unwrap(), ShutdownOutcome::Graceful(_)), "the second time");
}

#[tokio::test]
async fn a_plugin_is_asked_what_it_is_without_storage() {
    let report = probe(PluginCommand::new(greeter())).await.unwrap();
    assert_eq!((report.version.as_str(), report.kind), ("v1.2.3", BackendType::Secrets));
    assert!(report.multiplexed);
}

#[tokio::test]
async fn a_plugin_is_inspected_with_its_paths_and_fields() {
    let seen = inspect(PluginCommand::new(greeter()), BTreeMap::new()).await.unwrap();
    assert_eq!(
        (seen.version.as_str(), seen.kind, seen.protocol_version),
        ("v1.2.3", BackendType::Secrets, 5)
    );
    assert!(seen.help.contains("Greets people."), "{}", seen.help);
    let paths: Vec<_> = seen.paths.keys().map(String::as_str).collect();
    assert_eq!(paths, ["errors/{name}", "greetings", "greetings/{name}", "issue/{name}"]);
    assert!(seen.paths["errors/{name}"].sudo);
    assert!(seen.paths["greetings"].operations.contains_key(&Verb::List));
    let greeting = &seen.paths["greetings/{name}"];
    let verbs: Vec<_> = greeting.operations.keys().copied().collect();
    assert_eq!(verbs, [Verb::Read, Verb::Write, Verb::Delete]);
    assert_eq!(greeting.operations[&Verb::Write].fields["text"].kind, "string");
    assert_eq!(compare(&seen, &seen), []);
}

pub(crate) fn kill(plugin: &Plugin) {
    let pid = rustix::process::Pid::from_raw(plugin.pid().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

/// Storage that says when it is asked, and never answers.
struct StuckStorage {
    tell: Mutex<Option<tokio::sync::oneshot::Sender<()>>>,
    asked: Mutex<Option<tokio::sync::oneshot::Receiver<()>>>,
}

impl Default for StuckStorage {
    fn default() -> Self {
        let (tell, asked) = tokio::sync::oneshot::channel();
        StuckStorage { tell: Mutex::new(Some(tell)), asked: Mutex::new(Some(asked)) }
    }
}

#[async_trait::async_trait]
impl Storage for StuckStorage {
    async fn get(&self, _key: &str) -> Result<Option<StorageEntry>, vault_plugin::logical::StorageError> {
        let tell = self.tell.lock().unwrap().take();
        tell.unwrap().send(()).unwrap();
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
