//! Three servers for tests, for a cluster without any.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec, StatefulSetUpdateStrategy};
use k8s_openapi::api::core::v1::{
    ConfigMap, ConfigMapVolumeSource, Container, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction,
    ObjectFieldSelector, PodSecurityContext, PodSpec, PodTemplateSpec, Probe, Service, ServiceAccount,
    ServicePort, ServiceSpec, TCPSocketAction, Volume,
};
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::hcl;
use super::manifest_file::{FileContent, ManifestFile, to_value};
use super::object_name::ObjectName;
use super::objects::{
    empty_dir_volume, env_var, label_selector, metadata, plugin_volume, read_only_mount,
    read_only_root_security_context, server_labels, volume_mount,
};
use super::part::Part;
use super::stateful_set::plugin_directory_setting;
use super::values::{ManifestValues, Product, suffixed_name};
use crate::error::CommandError;

/// The smallest number of servers that tolerates the loss of one.
const REPLICAS: i32 = 3;
/// User and group of the official images.
const SERVER_UID: i64 = 100;
const SERVER_GID: i64 = 1000;
const API_PORT: i32 = 8200;
const CLUSTER_PORT: i32 = 8201;
const CONFIG_FILE: &str = "server.hcl";
const CONFIG_DIR: &str = "/etc/server";
const DATA_DIR: &str = "/var/lib/server";

/// All objects of the servers.
pub(super) fn files(names: &ManifestValues) -> Result<Vec<ManifestFile>, CommandError> {
    let config = suffixed_name(&names.statefulset, "config")?;
    let internal = suffixed_name(&names.statefulset, "internal")?;
    let account = ServiceAccount {
        metadata: metadata(names, &names.statefulset, &names.namespace),
        ..ServiceAccount::default()
    };
    let settings = ConfigMap {
        metadata: metadata(names, &config, &names.namespace),
        data: Some(BTreeMap::from([(CONFIG_FILE.to_owned(), server_config(names))])),
        ..ConfigMap::default()
    };
    let objects = vec![
        to_value(&account)?,
        to_value(&token_review_binding(names)?)?,
        to_value(&settings)?,
        to_value(&service(names, &internal, ServiceKind::Headless))?,
        to_value(&service(names, &names.statefulset, ServiceKind::ReadyOnly))?,
        to_value(&stateful_set(names, &config, &internal)?)?,
    ];
    Ok(vec![ManifestFile {
        part: Part::Server,
        file: "server.yaml".to_owned(),
        about: "Three servers with raft, for testing only: they use plain HTTP, are unsealed by hand, and lose their data \
                with their pods. For production, use the official Helm chart and the part `helm`.",
        content: FileContent::Objects(objects),
    }])
}

fn server_config(names: &ManifestValues) -> String {
    let listener = format!(
        "listener \"tcp\" {{\n  address = \"0.0.0.0:{API_PORT}\"\n  cluster_address = \"0.0.0.0:{CLUSTER_PORT}\"\n  \
         tls_disable = true\n}}\n"
    );
    let storage = format!("storage \"raft\" {{\n  path = {}\n}}\n", hcl::quoted(DATA_DIR));
    let telemetry = "telemetry {\n  prometheus_retention_time = \"1h\"\n  disable_hostname = true\n}\n";
    // Memory is not locked: pods lack the capability, and raft maps its files into memory. OpenBao never locks memory.
    let lock = match names.product {
        Product::Vault => "disable_mlock = true\n",
        Product::OpenBao => "",
    };
    format!("{lock}{}{listener}{storage}{telemetry}", plugin_directory_setting(names))
}

/// The servers verify the tokens of service accounts with the cluster when an application logs in.
fn token_review_binding(names: &ManifestValues) -> Result<ClusterRoleBinding, CommandError> {
    let name = suffixed_name(&names.namespace, names.statefulset.as_str())?;
    let metadata = metadata(names, &suffixed_name(&name, "token-review")?, &names.namespace);
    Ok(ClusterRoleBinding {
        metadata: ObjectMeta { namespace: None, ..metadata },
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".to_owned(),
            kind: "ClusterRole".to_owned(),
            name: "system:auth-delegator".to_owned(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name: names.statefulset.to_string(),
            namespace: Some(names.namespace.to_string()),
            api_group: None,
        }]),
    })
}

enum ServiceKind {
    /// One name per server, sealed or not, as raft requires.
    Headless,
    /// One name for the servers that respond to requests.
    ReadyOnly,
}

fn service(names: &ManifestValues, name: &ObjectName, reached: ServiceKind) -> Service {
    let port = |name: &str, number| ServicePort {
        name: Some(name.to_owned()),
        port: number,
        target_port: Some(IntOrString::Int(number)),
        ..ServicePort::default()
    };
    let headless = matches!(reached, ServiceKind::Headless);
    Service {
        metadata: metadata(names, name, &names.namespace),
        spec: Some(ServiceSpec {
            cluster_ip: headless.then(|| "None".to_owned()),
            publish_not_ready_addresses: headless.then_some(true),
            selector: Some(server_labels(names)),
            ports: Some(vec![port("http", API_PORT), port("https-internal", CLUSTER_PORT)]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

fn stateful_set(
    names: &ManifestValues,
    config: &ObjectName,
    internal: &ObjectName,
) -> Result<StatefulSet, CommandError> {
    let data =
        empty_dir_volume(&"data".parse().map_err(|error| CommandError::usage("no name").caused_by(error))?);
    let settings = Volume {
        name: "config".to_owned(),
        config_map: Some(ConfigMapVolumeSource {
            name: config.to_string(),
            ..ConfigMapVolumeSource::default()
        }),
        ..Volume::default()
    };
    let plugins = plugin_volume(names)?;
    let container = Container {
        name: names.container.to_string(),
        image: Some(names.server_image.to_string()),
        command: Some(vec![
            names.product.binary_name().to_owned(),
            "server".to_owned(),
            format!("-config={CONFIG_DIR}/{CONFIG_FILE}"),
        ]),
        env: Some(env_vars(names)),
        ports: Some(vec![container_port("http", API_PORT), container_port("https-internal", CLUSTER_PORT)]),
        startup_probe: Some(startup_probe()),
        readiness_probe: Some(readiness_probe()),
        volume_mounts: Some(vec![
            read_only_mount(&settings, CONFIG_DIR),
            volume_mount(&data, DATA_DIR),
            volume_mount(&plugins, names.plugin_dir.as_str()),
            // The directory of the plugins' sockets.
            volume_mount(&tmp_volume(), "/tmp"),
        ]),
        security_context: Some(read_only_root_security_context()),
        ..Container::default()
    };
    Ok(StatefulSet {
        metadata: metadata(names, &names.statefulset, &names.namespace),
        spec: Some(StatefulSetSpec {
            replicas: Some(REPLICAS),
            service_name: Some(internal.to_string()),
            pod_management_policy: Some("Parallel".to_owned()),
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("OnDelete".to_owned()),
                ..StatefulSetUpdateStrategy::default()
            }),
            selector: label_selector(server_labels(names)),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta { labels: Some(server_labels(names)), ..ObjectMeta::default() }),
                spec: Some(PodSpec {
                    service_account_name: Some(names.statefulset.to_string()),
                    security_context: Some(PodSecurityContext {
                        run_as_non_root: Some(true),
                        run_as_user: Some(SERVER_UID),
                        run_as_group: Some(SERVER_GID),
                        fs_group: Some(SERVER_GID),
                        ..PodSecurityContext::default()
                    }),
                    containers: vec![container],
                    volumes: Some(vec![settings, data, plugins, tmp_volume()]),
                    ..PodSpec::default()
                }),
            },
            ..StatefulSetSpec::default()
        }),
        status: None,
    })
}

fn tmp_volume() -> Volume {
    Volume { name: "tmp".to_owned(), empty_dir: Some(Default::default()), ..Volume::default() }
}

fn container_port(name: &str, number: i32) -> ContainerPort {
    ContainerPort { name: Some(name.to_owned()), container_port: number, ..ContainerPort::default() }
}

fn env_vars(names: &ManifestValues) -> Vec<EnvVar> {
    let from_pod = |name: String, field: &str| EnvVar {
        name,
        value: None,
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector { field_path: field.to_owned(), api_version: None }),
            ..EnvVarSource::default()
        }),
    };
    let product = names.product;
    vec![
        from_pod("POD_IP".to_owned(), "status.podIP"),
        from_pod(product.env_variable("RAFT_NODE_ID"), "metadata.name"),
        env_var(product.env_variable("API_ADDR"), format!("http://$(POD_IP):{API_PORT}")),
        env_var(product.env_variable("CLUSTER_ADDR"), format!("https://$(POD_IP):{CLUSTER_PORT}")),
        // For the server's own command line, by `kubectl exec`.
        env_var(product.env_variable("ADDR"), format!("http://127.0.0.1:{API_PORT}")),
        env_var("HOME", "/tmp"),
    ]
}

/// Ready when it listens, sealed or not, so that it can be initialized.
fn startup_probe() -> Probe {
    Probe {
        tcp_socket: Some(TCPSocketAction { port: IntOrString::Int(API_PORT), host: None }),
        period_seconds: Some(1),
        failure_threshold: Some(60),
        ..Probe::default()
    }
}

fn readiness_probe() -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some("/v1/sys/health?standbyok=true".to_owned()),
            port: IntOrString::Int(API_PORT),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(5),
        ..Probe::default()
    }
}
