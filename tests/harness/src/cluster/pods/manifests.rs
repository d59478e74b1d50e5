//! The objects for Vaults in pods. The cluster has no name service, so peers find each other by the addresses of their pods, which stay the
//! same.

use std::path::Path;

use k8s_openapi::api::core::v1::{Container, VolumeMount};
use serde_json::{Value, json};

use super::builder::{PluginVolume, RunsAs, Transport, UpdateStrategy, VaultPodsBuilder};
use super::{PLUGIN_DIRECTORY, STATEFUL_SET_NAME, VaultPods};
use crate::tls::ServerCertificate;

/// The persistent volumes of each pod.
pub(super) fn volumes(plugin_volume: PluginVolume) -> &'static [&'static str] {
    match plugin_volume {
        PluginVolume::EmptyDir => &["data", "audit"],
        PluginVolume::Persistent | PluginVolume::ReadOnly => &["data", "audit", "plugins"],
    }
}

/// A volume in a folder of this machine, for one claim of one pod.
pub(super) fn persistent_volume(namespace: &str, pod: &str, volume: &str, folder: &Path) -> Value {
    json!({
        "metadata": {"name": format!("{namespace}-{pod}-{volume}"), "labels": {"pods": namespace}},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "1Gi"},
            "claimRef": {"namespace": namespace, "name": format!("{volume}-{pod}")},
            "hostPath": {"path": folder, "type": "Directory"},
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "",
        },
    })
}

/// The configuration of Vault, except for what differs between pods, which is passed in the environment.
pub(super) async fn vault_config(pods: &VaultPods) -> Value {
    let unsealer = match &pods.own_unsealer {
        Some(own) => own,
        None => pods.cluster.unsealer().await,
    };
    let mut listener = json!({"address": "0.0.0.0:8200", "cluster_address": "0.0.0.0:8201"});
    match pods.transport {
        Transport::Plain => listener["tls_disable"] = json!(true),
        Transport::Tls => {
            listener["tls_cert_file"] = json!("/vault/config/cert.pem");
            listener["tls_key_file"] = json!("/vault/config/key.pem");
        }
    }
    let peers: Vec<Value> = pods
        .names()
        .into_iter()
        .map(|pod| match pods.transport {
            Transport::Plain => json!({"leader_api_addr": pods.url_in_network(pod)}),
            Transport::Tls => json!({
                "leader_api_addr": pods.url_in_network(pod),
                "leader_ca_cert_file": "/vault/config/ca.pem",
            }),
        })
        .collect();
    json!({
        "disable_mlock": true,
        "log_level": "debug",
        "plugin_directory": PLUGIN_DIRECTORY,
        "listener": {"tcp": listener},
        "storage": {"raft": {"path": "/vault/data", "retry_join": peers}},
        "seal": {"transit": {
            "address": unsealer.address_in_network(),
            "token": unsealer.root_token(),
            "key_name": "unseal",
            "mount_path": "transit/",
            "disable_renewal": "true",
        }},
    })
}

/// Port of the recorder of a pod.
const RECORDER_PORT: u16 = 8300;

/// Forwards connections to the server of its pod, and appends the requests to a file beside the audit log.
fn recorder_container() -> Container {
    let pass = "tee -a /vault/audit/heard | nc 127.0.0.1 8200";
    Container {
        name: "recorder".to_owned(),
        // Of the server, set with the rest.
        image: None,
        image_pull_policy: Some("Never".to_owned()),
        command: Some(
            ["/bin/busybox", "nc", "-ll", "-p", &RECORDER_PORT.to_string(), "-e", "/bin/sh", "-c", pass]
                .map(str::to_owned)
                .into(),
        ),
        volume_mounts: Some(vec![VolumeMount {
            name: "audit".to_owned(),
            mount_path: "/vault/audit".to_owned(),
            ..VolumeMount::default()
        }]),
        ..Container::default()
    }
}

/// The files of `/vault/config`.
pub(super) fn config_secret(configuration: &Value, identity: Option<&ServerCertificate>) -> Value {
    let mut files = json!({"vault.json": configuration.to_string()});
    if let Some(identity) = identity {
        files["ca.pem"] = json!(identity.ca_pem);
        files["cert.pem"] = json!(identity.certificate);
        files["key.pem"] = json!(identity.key);
    }
    json!({"metadata": {"name": STATEFUL_SET_NAME}, "stringData": files})
}

/// The headless service that a StatefulSet requires.
pub(super) fn service() -> Value {
    json!({
        "metadata": {"name": STATEFUL_SET_NAME},
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": true,
            "selector": {"app.kubernetes.io/name": STATEFUL_SET_NAME},
            "ports": [{"name": "api", "port": 8200}],
        },
    })
}

/// The StatefulSet, similar to that of the official chart.
pub(super) fn stateful_set(builder: &VaultPodsBuilder) -> Value {
    let labels = json!({"app.kubernetes.io/name": STATEFUL_SET_NAME});
    let mut containers = vec![server_container(builder)];
    let recorder = builder.record_requests.then(recorder_container);
    containers.extend(builder.sidecars.iter().chain(&recorder).map(|container| {
        let image = container.image.clone().unwrap_or_else(|| builder.image_name().to_owned());
        json!(Container { image: Some(image), ..container.clone() })
    }));
    let mut pod_volumes = vec![
        json!({"name": "config", "secret": {"secretName": STATEFUL_SET_NAME, "defaultMode": 0o444}}),
        json!({"name": "tmp", "emptyDir": {}}),
    ];
    if builder.plugin_volume == PluginVolume::EmptyDir {
        pod_volumes.push(json!({"name": "plugins", "emptyDir": {}}));
    }
    let claims: Vec<Value> = volumes(builder.plugin_volume)
        .iter()
        .map(|volume| {
            json!({
                "metadata": {"name": volume},
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "resources": {"requests": {"storage": "1Gi"}},
                    "storageClassName": "",
                },
            })
        })
        .collect();
    let strategy = match builder.update_strategy {
        UpdateStrategy::OnDelete => "OnDelete",
        UpdateStrategy::RollingUpdate => "RollingUpdate",
    };
    json!({
        "metadata": {"name": STATEFUL_SET_NAME, "labels": labels},
        "spec": {
            "podManagementPolicy": "Parallel",
            "replicas": builder.replicas,
            "selector": {"matchLabels": labels},
            "serviceName": STATEFUL_SET_NAME,
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "containers": containers,
                    "initContainers": init_containers(builder),
                    "securityContext": match builder.runs_as {
                        RunsAs::Root => json!({}),
                        RunsAs::Restricted => json!({
                            "runAsNonRoot": true, "runAsUser": 100, "runAsGroup": 1000, "fsGroup": 1000,
                        }),
                    },
                    "terminationGracePeriodSeconds": 10,
                    "volumes": pod_volumes,
                },
            },
            "updateStrategy": {"type": strategy},
            "volumeClaimTemplates": claims,
        },
    })
}

fn init_containers(builder: &VaultPodsBuilder) -> Vec<Value> {
    let mut containers: Vec<Value> =
        builder.init_containers.iter().map(|container| json!(container)).collect();
    if !builder.restart_delay.is_zero() {
        // The raft storage outlives the pod.
        let script =
            format!("if ls /vault/data/* >/dev/null; then sleep {}; fi", builder.restart_delay.as_secs());
        containers.push(json!({
            "name": "delay",
            "image": builder.image_name(),
            "imagePullPolicy": "Never",
            "command": ["/bin/sh", "-c", script],
            "volumeMounts": [{"name": "data", "mountPath": "/vault/data"}],
        }));
    }
    containers
}

fn server_container(builder: &VaultPodsBuilder) -> Value {
    let scheme = builder.transport.scheme();
    let port = if builder.record_requests { RECORDER_PORT } else { 8200 };
    let mut environment = vec![
        json!({"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}),
        json!({"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}),
        json!({"name": "VAULT_API_ADDR", "value": format!("{scheme}://$(POD_IP):8200")}),
        json!({"name": "VAULT_CLUSTER_ADDR", "value": "https://$(POD_IP):8201"}),
        json!({"name": "VAULT_RAFT_NODE_ID", "value": "$(POD_NAME)"}),
        // For the official CLI in an exec.
        json!({"name": "VAULT_ADDR", "value": format!("{scheme}://127.0.0.1:{port}")}),
        json!({"name": "HOME", "value": "/tmp"}),
        // The same as for a server outside of pods.
        json!({"name": "GOGC", "value": "400"}),
    ];
    if builder.transport == Transport::Tls {
        environment.push(json!({"name": "VAULT_CACERT", "value": "/vault/config/ca.pem"}));
    }
    let read_only = builder.plugin_volume == PluginVolume::ReadOnly;
    json!({
        "name": STATEFUL_SET_NAME,
        "image": builder.image_name(),
        "imagePullPolicy": "Never",
        "args": ["server", "-config=/vault/config/vault.json"],
        "env": environment,
        "ports": [{"name": "api", "containerPort": 8200}],
        "readinessProbe": {
            "httpGet": {
                "path": "/v1/sys/health?standbyok=true", "port": 8200, "scheme": scheme.to_uppercase(),
            },
            "periodSeconds": 1,
            "timeoutSeconds": 5,
        },
        "securityContext": match builder.runs_as {
            RunsAs::Root => json!({}),
            RunsAs::Restricted => json!({
                "allowPrivilegeEscalation": false,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": true,
            }),
        },
        "volumeMounts": [
            {"name": "config", "mountPath": "/vault/config", "readOnly": true},
            {"name": "data", "mountPath": "/vault/data"},
            {"name": "audit", "mountPath": "/vault/audit"},
            {"name": "plugins", "mountPath": PLUGIN_DIRECTORY, "readOnly": read_only},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    })
}
