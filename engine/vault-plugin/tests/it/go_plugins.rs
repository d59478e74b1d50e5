//! A real Go plugin under our host: version 2 of HashiCorp's key/value engine.

use std::sync::Arc;

use harness::within_timeout;
use serde_json::{Value, json};
use vault_plugin::host::{
    BrokerTransport, CallError, MountConfig, MountError, Plugin, PluginCommand, RemoteMount, ShutdownOutcome,
    Verb, compare, inspect, launch,
};
use vault_plugin::logical::{BackendType, Error, Operation};
use vault_plugin::testing::{MemoryStorage, StaticSystemView};

use crate::host::{ask, data, kill, mount, request};

async fn launch_kv() -> Plugin {
    launch(PluginCommand::new(harness::build::go_kv("v0.25.0").await)).await.unwrap()
}

/// Mounts the engine, and waits until it has set up its storage in the background.
async fn mount_ready(plugin: &Plugin) -> RemoteMount {
    let mount = mount(plugin, &Arc::default()).await;
    let written = async {
        while let Err(error) = ask(&mount, Operation::Update, "config", json!({"max_versions": 4})).await {
            assert!(error.to_string().contains("upgrad"), "{error}");
            tokio::task::yield_now().await;
        }
    };
    within_timeout("the engine has set up its storage", written).await;
    mount
}

#[tokio::test]
async fn a_go_engine_is_written_read_patched_listed_and_deleted() {
    let plugin = launch_kv().await;
    let mount = mount_ready(&plugin).await;
    assert_eq!((mount.version(), mount.kind()), ("v0.25.0", BackendType::Secrets));
    assert!(mount.special_paths().seal_wrap_storage.iter().any(|path| path.contains("policy")));

    let write = request(Operation::Create, "data/app", json!({"data": {"user": "ann", "word": "x"}}));
    assert_eq!(mount.handle_existence_check(write.clone()).await.unwrap(), Some(false));
    let written = mount.handle_request(write.clone()).await;
    assert_eq!(data(written)["version"], 1);
    assert_eq!(mount.handle_existence_check(write).await.unwrap(), Some(true));

    let patched = ask(&mount, Operation::Patch, "data/app", json!({"data": {"word": "y"}})).await;
    assert_eq!(data(patched)["version"], 2);
    let read = data(ask(&mount, Operation::Read, "data/app", Value::Null).await);
    assert_eq!(read["data"], json!({"user": "ann", "word": "y"}));
    let listed = data(ask(&mount, Operation::List, "metadata/", Value::Null).await);
    assert_eq!(listed["keys"], json!(["app"]));

    ask(&mount, Operation::Delete, "metadata/app", Value::Null).await.unwrap();
    assert_eq!(ask(&mount, Operation::Read, "data/app", Value::Null).await.unwrap(), None);
    assert!(matches!(plugin.shutdown().await.unwrap(), ShutdownOutcome::Graceful(_)));
}

#[tokio::test]
async fn an_error_of_a_go_engine_arrives_with_its_response() {
    let plugin = launch_kv().await;
    let mount = mount_ready(&plugin).await;
    let result = ask(&mount, Operation::Update, "data/app", json!({"options": {"cas": 0}})).await;
    let Err(CallError::Backend(error)) = result else { panic!("{result:?}") };
    assert!(matches!(error.error, Error::InvalidRequest), "{error:?}");
    let response = error.response.unwrap();
    assert!(response.error_text().unwrap().contains("no data provided"), "{response:?}");
}

#[tokio::test]
async fn a_go_engine_runs_with_any_release_of_the_sdk() {
    for release in ["v0.7.0", "v0.25.0"] {
        let plugin = launch(PluginCommand::new(harness::build::go_sdk(release).await)).await.unwrap();
        let mount = mount(&plugin, &Arc::default()).await;
        ask(&mount, Operation::Update, "notes/a", json!({"text": "hi"})).await.unwrap();
        assert_eq!(data(ask(&mount, Operation::Read, "notes/a", Value::Null).await)["text"], "hi");
        assert!(matches!(plugin.shutdown().await.unwrap(), ShutdownOutcome::Graceful(_)), "{release}");
    }
}

#[tokio::test]
async fn two_mounts_share_a_go_process_and_are_removed_separately() {
    let plugin = launch_kv().await;
    assert!(plugin.is_multiplexed());
    let (one, two) = tokio::join!(mount_ready(&plugin), mount_ready(&plugin));
    ask(&one, Operation::Update, "data/app", json!({"data": {"a": 1}})).await.unwrap();
    assert_eq!(ask(&two, Operation::Read, "data/app", Value::Null).await.unwrap(), None);
    one.cleanup().await.unwrap();
    ask(&two, Operation::Update, "data/app", json!({"data": {"a": 2}})).await.unwrap();
}

#[tokio::test]
async fn a_go_engine_reaches_its_storage_through_the_single_connection_of_a_container() {
    let program = harness::build::go_kv("v0.25.0").await;
    let plugin = launch(PluginCommand {
        broker_transport: BrokerTransport::Multiplexed,
        ..PluginCommand::new(program)
    })
    .await
    .unwrap();
    let (one, _two) = tokio::join!(mount_ready(&plugin), mount_ready(&plugin));
    let written = ask(&one, Operation::Update, "data/app", json!({"data": {"a": 1}})).await;
    assert_eq!(data(written)["version"], 1);
}

#[tokio::test]
async fn a_plugin_without_multiplexing_has_one_mount_at_a_time() {
    let program = harness::build::go_kv("v0.25.0").await;
    let env = vec![("GO_KV_MULTIPLEXED".into(), "false".into())];
    let plugin = launch(PluginCommand { env, ..PluginCommand::new(program) }).await.unwrap();
    assert!(!plugin.is_multiplexed());
    let first = mount_ready(&plugin).await;
    let config = MountConfig::new(Arc::new(MemoryStorage::default()), Arc::new(StaticSystemView::default()));
    let error = plugin.mount(config).await.unwrap_err();
    assert!(matches!(error, MountError::AlreadyMounted), "{error}");
    ask(&first, Operation::Update, "data/app", json!({"data": {"a": 1}})).await.unwrap();

    first.cleanup().await.unwrap();
    let second = mount_ready(&plugin).await;
    assert_eq!(ask(&second, Operation::Read, "data/app", Value::Null).await.unwrap(), None);
}

#[tokio::test]
async fn the_exit_of_a_killed_go_plugin_is_detected() {
    let plugin = launch_kv().await;
    let mount = mount_ready(&plugin).await;
    kill(&plugin);
    within_timeout("the exit is detected", plugin.exited()).await;
    let lost = ask(&mount, Operation::Read, "data/app", Value::Null).await.unwrap_err();
    assert!(matches!(lost, CallError::ConnectionLost), "{lost:?}");
}

#[tokio::test]
async fn both_versions_of_a_go_plugin_are_inspected_and_differ() {
    let inspect_version = async |version: &str| {
        let options = [("version".to_owned(), version.to_owned())].into();
        inspect(PluginCommand::new(harness::build::go_kv("v0.25.0").await), options).await.unwrap()
    };
    let (first, second) = (inspect_version("1").await, inspect_version("2").await);
    let verbs: Vec<_> = second.paths["data/{path}"].operations.keys().copied().collect();
    assert_eq!(verbs, [Verb::Read, Verb::Write, Verb::Patch, Verb::Delete]);
    let config = &second.paths["config"].operations[&Verb::Write].fields;
    assert_eq!(config["max_versions"].kind, "integer");
    assert!(second.paths["data/{path}"].operations[&Verb::Read].response_fields.contains_key("metadata"));

    let differences = compare(&first, &second);
    let broken: Vec<_> = differences.iter().filter(|difference| difference.breaks_clients()).collect();
    assert!(broken.iter().any(|difference| difference.to_string() == "{path}: removed"), "{broken:?}");
    assert!(compare(&second, &second).is_empty());
}
