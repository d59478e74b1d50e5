//! Three servers to try things on, for a cluster that has none.

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

use super::document::{Content, Document, value};
use super::hcl;
use super::kubernetes_name::Label;
use super::names::{Names, Product, beside};
use super::objects::{
    confined, empty, metadata, mounted, plugin_volume, read_only, servers, variable, with_labels,
};
use super::part::Part;
use super::stateful_set::plugin_directory;
use crate::error::CommandError;

/// The smallest number of servers that can lose one.
const REPLICAS: i32 = 3;
/// User and group of the official images.
const USER: i64 = 100;
const GROUP: i64 = 1000;
const API: i32 = 8200;
const CLUSTER: i32 = 8201;
const FILE: &str = "server.hcl";
const CONFIG: &str = "/etc/server";
const DATA: &str = "/var/lib/server";

/// Everything that they need.
pub(super) fn documents(names: &Names) -> Result<Vec<Document>, CommandError> {
    let config = beside(&names.statefulset, "config")?;
    let internal = beside(&names.statefulset, "internal")?;
    let account = ServiceAccount {
        metadata: metadata(names, &names.statefulset, &names.namespace),
        ..ServiceAccount::default()
    };
    let settings = ConfigMap {
        metadata: metadata(names, &config, &names.namespace),
        data: Some(BTreeMap::from([(FILE.to_owned(), settings(names))])),
        ..ConfigMap::default()
    };
    let objects = vec![
        value(&account)?,
        value(&reviews_tokens(names)?)?,
        value(&settings)?,
        value(&service(names, &internal, Reached::OneByOne))?,
        value(&service(names, &names.statefulset, Reached::AnyReady))?,
        value(&stateful_set(names, &config, &internal)?)?,
    ];
    Ok(vec![Document {
        part: Part::Server,
        file: "server.yaml".to_owned(),
        about: "Three servers with raft to try things on. They speak plain HTTP, are unsealed by hand, and what they \
                store goes with their pods. For anything else take the official Helm chart and the part `helm`.",
        content: Content::Objects(objects),
    }])
}

fn settings(names: &Names) -> String {
    let listener = format!(
        "listener \"tcp\" {{\n  address = \"0.0.0.0:{API}\"\n  cluster_address = \"0.0.0.0:{CLUSTER}\"\n  \
         tls_disable = true\n}}\n"
    );
    let storage = format!("storage \"raft\" {{\n  path = {}\n}}\n", hcl::quoted(DATA));
    let telemetry = "telemetry {\n  prometheus_retention_time = \"1h\"\n  disable_hostname = true\n}\n";
    // Memory is not locked: a pod may not, and raft maps its files into memory. OpenBao never locks any.
    let lock = match names.product {
        Product::Vault => "disable_mlock = true\n",
        Product::OpenBao => "",
    };
    format!("{lock}{}{listener}{storage}{telemetry}", plugin_directory(names))
}

/// The servers ask the cluster whose a service account's token is, when an application logs in with it.
fn reviews_tokens(names: &Names) -> Result<ClusterRoleBinding, CommandError> {
    let name = beside(&names.namespace, names.statefulset.as_str())?;
    let metadata = metadata(names, &beside(&name, "token-review")?, &names.namespace);
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

enum Reached {
    /// By their own names, sealed or not: raft needs it so.
    OneByOne,
    /// By one name, only those that answer requests.
    AnyReady,
}

fn service(names: &Names, name: &Label, reached: Reached) -> Service {
    let port = |name: &str, number| ServicePort {
        name: Some(name.to_owned()),
        port: number,
        target_port: Some(IntOrString::Int(number)),
        ..ServicePort::default()
    };
    let headless = matches!(reached, Reached::OneByOne);
    Service {
        metadata: metadata(names, name, &names.namespace),
        spec: Some(ServiceSpec {
            cluster_ip: headless.then(|| "None".to_owned()),
            publish_not_ready_addresses: headless.then_some(true),
            selector: Some(servers(names)),
            ports: Some(vec![port("http", API), port("https-internal", CLUSTER)]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

fn stateful_set(names: &Names, config: &Label, internal: &Label) -> Result<StatefulSet, CommandError> {
    let data = empty(&"data".parse().map_err(|error| CommandError::usage("no name").because(error))?);
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
            names.product.program().to_owned(),
            "server".to_owned(),
            format!("-config={CONFIG}/{FILE}"),
        ]),
        env: Some(environment(names)),
        ports: Some(vec![port("http", API), port("https-internal", CLUSTER)]),
        startup_probe: Some(started()),
        readiness_probe: Some(ready()),
        volume_mounts: Some(vec![
            read_only(&settings, CONFIG),
            mounted(&data, DATA),
            mounted(&plugins, names.plugin_dir.as_str()),
            // A plugin's socket lies here.
            mounted(&temporary(), "/tmp"),
        ]),
        security_context: Some(confined()),
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
            selector: with_labels(servers(names)),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta { labels: Some(servers(names)), ..ObjectMeta::default() }),
                spec: Some(PodSpec {
                    service_account_name: Some(names.statefulset.to_string()),
                    security_context: Some(PodSecurityContext {
                        run_as_non_root: Some(true),
                        run_as_user: Some(USER),
                        run_as_group: Some(GROUP),
                        fs_group: Some(GROUP),
                        ..PodSecurityContext::default()
                    }),
                    containers: vec![container],
                    volumes: Some(vec![settings, data, plugins, temporary()]),
                    ..PodSpec::default()
                }),
            },
            ..StatefulSetSpec::default()
        }),
        status: None,
    })
}

fn temporary() -> Volume {
    Volume { name: "tmp".to_owned(), empty_dir: Some(Default::default()), ..Volume::default() }
}

fn port(name: &str, number: i32) -> ContainerPort {
    ContainerPort { name: Some(name.to_owned()), container_port: number, ..ContainerPort::default() }
}

fn environment(names: &Names) -> Vec<EnvVar> {
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
        from_pod(product.variable("RAFT_NODE_ID"), "metadata.name"),
        variable(product.variable("API_ADDR"), format!("http://$(POD_IP):{API}")),
        variable(product.variable("CLUSTER_ADDR"), format!("https://$(POD_IP):{CLUSTER}")),
        // For the program's own command line, by `kubectl exec`.
        variable(product.variable("ADDR"), format!("http://127.0.0.1:{API}")),
        variable("HOME", "/tmp"),
    ]
}

/// It listens, sealed or not: then it can be initialised.
fn started() -> Probe {
    Probe {
        tcp_socket: Some(TCPSocketAction { port: IntOrString::Int(API), host: None }),
        period_seconds: Some(1),
        failure_threshold: Some(60),
        ..Probe::default()
    }
}

fn ready() -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some("/v1/sys/health?standbyok=true".to_owned()),
            port: IntOrString::Int(API),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(5),
        ..Probe::default()
    }
}
