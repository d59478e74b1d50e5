//! Sends each object to the cluster as a dry run.

use std::collections::HashMap;
use std::error::Error;

use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use kube::core::discovery::Scope;
use kube::core::{GroupVersionKind, TypeMeta};
use kube::discovery::{self, ApiCapabilities, ApiResource};
use kube::{Client, ResourceExt};
use serde_json::Value;

use super::field::differences;
use super::{ClusterConnection, Drift, DriftError, ObjectDrift};

/// Field manager of the dry run.
const FIELD_MANAGER: &str = "vault-token-plugin";

/// Metadata that the cluster sets in every object.
const SERVER_SET_METADATA: [&str; 4] =
    ["managedFields", "resourceVersion", "generation", "creationTimestamp"];

/// Compares each object with the one in the cluster. Changes nothing.
///
/// # Errors
/// If the cluster does not respond, does not have a kind, or would reject an object.
pub async fn compare_with_cluster(
    connection: &ClusterConnection,
    objects: Vec<Value>,
) -> Result<Vec<ObjectDrift>, DriftError> {
    let client = connect(connection).await?;
    let mut kinds = HashMap::new();
    let mut compared = Vec::new();
    for object in objects {
        let object: DynamicObject =
            serde_json::from_value(object).map_err(|error| DriftError::Configuration(error.into()))?;
        let types = object.types.clone().unwrap_or_default();
        if !kinds.contains_key(&types) {
            kinds.insert(types.clone(), resolve_resource(&client, &types).await?);
        }
        let (resource, capabilities) = &kinds[&types];
        let next = compare(&client, resource, capabilities, &object).await;
        // A patch cannot be tested without the object that it extends, which would be created with it.
        let is_new = |of: &str| {
            compared.iter().any(|one: &ObjectDrift| one.object == of && one.drift == Drift::Missing)
        };
        match next {
            Err(DriftError::Refused { object, code: 422, .. }) if is_new(&object) => {}
            next => compared.push(next?),
        }
    }
    Ok(compared)
}

async fn connect(connection: &ClusterConnection) -> Result<Client, DriftError> {
    let unusable = |error: Box<dyn Error + Send + Sync>| DriftError::Configuration(error);
    let ClusterConnection { kubeconfig, context } = connection;
    let config = if kubeconfig.is_none() && context.is_none() {
        Config::infer().await.map_err(|error| unusable(error.into()))?
    } else {
        let file = match kubeconfig {
            Some(path) => Kubeconfig::read_from(path),
            None => Kubeconfig::read(),
        };
        let options = KubeConfigOptions { context: context.clone(), ..KubeConfigOptions::default() };
        let file = file.map_err(|error| unusable(error.into()))?;
        Config::from_custom_kubeconfig(file, &options).await.map_err(|error| unusable(error.into()))?
    };
    Client::try_from(config).map_err(|error| unusable(error.into()))
}

async fn resolve_resource(
    client: &Client,
    types: &TypeMeta,
) -> Result<(ApiResource, ApiCapabilities), DriftError> {
    let unknown =
        || DriftError::UnknownKind { api_version: types.api_version.clone(), kind: types.kind.clone() };
    let kind = GroupVersionKind::try_from(types).map_err(|_| unknown())?;
    discovery::pinned_kind(client, &kind).await.map_err(|error| match error {
        kube::Error::Discovery(_) => unknown(),
        kube::Error::Api(status) if status.code == 404 => unknown(),
        error => DriftError::Unreachable { object: types.kind.clone(), source: error.into() },
    })
}

async fn compare(
    client: &Client,
    resource: &ApiResource,
    capabilities: &ApiCapabilities,
    object: &DynamicObject,
) -> Result<ObjectDrift, DriftError> {
    let name = object.name_any();
    let (api, shown): (Api<DynamicObject>, String) = match (&capabilities.scope, object.namespace()) {
        (Scope::Namespaced, Some(namespace)) => (
            Api::namespaced_with(client.clone(), &namespace, resource),
            format!("{} {namespace}/{name}", resource.kind),
        ),
        _ => (Api::all_with(client.clone(), resource), format!("{} {name}", resource.kind)),
    };
    let refused = |error| match error {
        kube::Error::Api(status) => {
            DriftError::Refused { object: shown.clone(), message: status.message.clone(), code: status.code }
        }
        error => DriftError::Unreachable { object: shown.clone(), source: error.into() },
    };
    let current = api.get_opt(&name).await.map_err(refused)?;
    let params = PatchParams::apply(FIELD_MANAGER).force().dry_run();
    let mut after = api.patch(&name, &params, &Patch::Apply(object)).await;
    // Defaults set by the API server have no field manager, so server-side apply does not remove them where an object has `null`; a patch
    // does.
    if current.is_some() && matches!(&after, Err(kube::Error::Api(status)) if status.code == 422) {
        let params = PatchParams { dry_run: true, ..PatchParams::default() };
        after = api.patch(&name, &params, &Patch::Strategic(object)).await.or(after);
    }
    let drift = match (current, after) {
        (None, Ok(_)) => Drift::Missing,
        // The namespace does not exist either, so the object cannot be tested.
        (None, Err(kube::Error::Api(status))) if status.code == 404 => Drift::Missing,
        (_, Err(error)) => return Err(refused(error)),
        (Some(current), Ok(after)) => {
            let fields = differences(&comparable(current), &comparable(after));
            if fields.is_empty() { Drift::None } else { Drift::Different { fields } }
        }
    };
    Ok(ObjectDrift { object: shown, drift })
}

fn comparable(object: DynamicObject) -> Value {
    let DynamicObject { types: _, metadata, mut data } = object;
    if let Some(map) = data.as_object_mut() {
        map.remove("status");
        let mut metadata = serde_json::to_value(metadata).unwrap_or_default();
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.retain(|key, _| !SERVER_SET_METADATA.contains(&key.as_str()));
        }
        map.insert("metadata".to_owned(), metadata);
    }
    data
}
