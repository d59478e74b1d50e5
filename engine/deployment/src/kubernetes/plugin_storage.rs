//! Derives from the pod template where the plugins are stored, what a restart keeps, and how the server is reached.

use std::path::Path;

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec};
use k8s_openapi::api::core::v1::{Container, PodSpec, Volume, VolumeMount};
use rollout::{PluginStorage, PodUpdateStrategy};

use super::facts::WriterPolicy;

/// The subcommand of this program that fills a plugin directory.
const LOADER_ARG: &str = "loader";

/// The volume mount of a container that contains a directory.
pub(super) fn volume_mount_of<'a>(container: &'a Container, directory: &Path) -> Option<&'a VolumeMount> {
    let mounts = container.volume_mounts.as_deref().unwrap_or_default();
    let parents = mounts.iter().filter(|mount| directory.starts_with(&mount.mount_path));
    parents.max_by_key(|mount| Path::new(&mount.mount_path).components().count())
}

/// Returns what keeps the files of a directory when a pod is recreated.
pub(super) fn plugin_storage(
    statefulset: &StatefulSetSpec,
    container: &Container,
    directory: &Path,
) -> PluginStorage {
    let Some(pod) = &statefulset.template.spec else {
        return PluginStorage::Unknown { reason: "the StatefulSet has no pod template".into() };
    };
    let Some(mount) = volume_mount_of(container, directory) else {
        return PluginStorage::ContainerImage {
            description: format!("{} of the image", directory.display()),
        };
    };
    let name = &mount.name;
    let claims = statefulset.volume_claim_templates.as_deref().unwrap_or_default();
    if claims.iter().any(|claim| claim.metadata.name.as_ref() == Some(name)) {
        return PluginStorage::PersistentVolume {
            description: format!("persistent volume claim {name} of each pod"),
        };
    }
    let volumes = pod.volumes.as_deref().unwrap_or_default();
    match volumes.iter().find(|volume| volume.name == *name) {
        Some(volume) => storage_of_volume(pod, volume),
        None => PluginStorage::Unknown { reason: format!("the pod has no volume {name}") },
    }
}

fn storage_of_volume(pod: &PodSpec, volume: &Volume) -> PluginStorage {
    let name = &volume.name;
    if let Some(claim) = &volume.persistent_volume_claim {
        return PluginStorage::PersistentVolume {
            description: format!("persistent volume claim {}", claim.claim_name),
        };
    }
    if let Some(path) = &volume.host_path {
        return PluginStorage::PersistentVolume {
            description: format!("directory {} of each machine", path.path),
        };
    }
    if let Some(image) = &volume.image {
        return PluginStorage::ImageVolume { image: image.reference.clone().unwrap_or_default() };
    }
    // A generic ephemeral volume is deleted with the pod.
    if volume.empty_dir.is_some() || volume.ephemeral.is_some() {
        return match populating_init_container(pod, name) {
            Some(container) => PluginStorage::InitContainer {
                name: container.name.clone(),
                image: container.image.clone().unwrap_or_default(),
                files: None,
            },
            None => PluginStorage::Ephemeral { description: format!("emptyDir {name}") },
        };
    }
    if volume.nfs.is_some() || volume.csi.is_some() || volume.iscsi.is_some() {
        return PluginStorage::PersistentVolume { description: format!("volume {name}") };
    }
    PluginStorage::Unknown { reason: format!("the volume {name} has an unknown type") }
}

/// Returns the init container that fills a volume before the server starts: the one that runs this program, or the only one that can write
/// to it.
fn populating_init_container<'a>(pod: &'a PodSpec, volume: &str) -> Option<&'a Container> {
    let can_write = |container: &&Container| {
        let mounts = container.volume_mounts.as_deref().unwrap_or_default();
        mounts.iter().any(|mount| mount.name == volume && mount.read_only != Some(true))
    };
    let candidates: Vec<&Container> = pod.init_containers.iter().flatten().filter(can_write).collect();
    let ours = candidates.iter().find(|container| is_loader(container));
    ours.or(if let [only] = candidates.as_slice() { Some(only) } else { None }).copied()
}

/// Whether a container runs this program to fill a directory.
pub(super) fn is_loader(container: &Container) -> bool {
    let argv = container.command.iter().chain(&container.args).flatten();
    argv.into_iter().any(|arg| arg == LOADER_ARG)
}

/// Returns who else can write to the volume of a directory: containers that run beside the server, and everything with access to a host
/// directory. This program is trusted.
pub(super) fn others_on_volume(pod: &PodSpec, server: &Container, directory: &Path) -> Vec<String> {
    let Some(mount) = volume_mount_of(server, directory) else { return Vec::new() };
    let path_in_mount = directory.strip_prefix(&mount.mount_path).unwrap_or(Path::new(""));
    let on_volume = Path::new(mount.sub_path.as_deref().unwrap_or_default()).join(path_in_mount);
    let reaches = |other: &VolumeMount| {
        other.name == mount.name
            && other.read_only != Some(true)
            && other.sub_path_expr == mount.sub_path_expr
            && on_volume.starts_with(other.sub_path.as_deref().unwrap_or_default())
    };
    let sidecars = pod.init_containers.iter().flatten();
    let sidecars = sidecars.filter(|container| container.restart_policy.as_deref() == Some("Always"));
    let others = pod.containers.iter().chain(sidecars);
    let others = others.filter(|container| container.name != server.name && !is_loader(container));
    let writing = others.filter(|container| container.volume_mounts.iter().flatten().any(reaches));
    let writing = writing.map(|container| format!("the container {}", container.name));
    let volume = pod.volumes.iter().flatten().find(|volume| volume.name == mount.name);
    let host_path = volume.and_then(|volume| volume.host_path.as_ref());
    writing.chain(host_path.map(|host| format!("the machine, in its directory {}", host.path))).collect()
}

/// Whether a change of the pod template restarts pods.
pub(super) fn update_strategy(statefulset: &StatefulSet) -> PodUpdateStrategy {
    let Some(spec) = &statefulset.spec else { return PodUpdateStrategy::Unknown };
    let strategy = spec.update_strategy.as_ref();
    match strategy.and_then(|strategy| strategy.type_.as_deref()) {
        Some("OnDelete") => PodUpdateStrategy::OnDelete,
        Some("RollingUpdate") | None => {
            let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
            let partition = rolling.and_then(|rolling| rolling.partition).unwrap_or(0);
            // A partition above the last pod excludes all pods.
            if partition >= spec.replicas.unwrap_or(1) {
                PodUpdateStrategy::OnDelete
            } else {
                PodUpdateStrategy::RollingUpdate
            }
        }
        Some(_) => PodUpdateStrategy::Unknown,
    }
}

/// Whether the server checks the permissions of plugins.
pub(super) fn writer_policy(container: &Container) -> WriterPolicy {
    let checks = ["VAULT_ENABLE_FILE_PERMISSIONS_CHECK", "BAO_ENABLE_FILE_PERMISSIONS_CHECK"];
    let set = container.env.iter().flatten().any(|variable| {
        checks.contains(&&*variable.name)
            && variable
                .value
                .as_deref()
                .is_none_or(|value| ["1", "t", "T", "TRUE", "true", "True"].contains(&value))
    });
    if set { WriterPolicy::OwnerOnly } else { WriterPolicy::Anybody }
}

/// Scheme and port of the server in its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct VaultEndpoint {
    pub(super) scheme: &'static str,
    pub(super) port: u16,
}

/// Default port of Vault and OpenBao.
const DEFAULT_PORT: u16 = 8200;

/// Derives scheme and port of the server from the address for its own command line, else from the readiness probe and the name of its port.
pub(super) fn vault_endpoint(container: &Container) -> VaultEndpoint {
    let variables = container.env.iter().flatten();
    let address = variables
        .filter(|variable| ["BAO_ADDR", "VAULT_ADDR"].contains(&&*variable.name))
        .find_map(|variable| variable.value.as_deref().and_then(parse_endpoint));
    if let Some(endpoint) = address {
        return endpoint;
    }
    let ports = container.ports.as_deref().unwrap_or_default();
    let named = ports.iter().find(|port| {
        port.name.as_deref().is_some_and(|name| ["http", "https", "vault", "openbao", "api"].contains(&name))
    });
    let port = named.and_then(|port| u16::try_from(port.container_port).ok()).unwrap_or(DEFAULT_PORT);
    let probe = container.readiness_probe.as_ref().and_then(|probe| probe.http_get.as_ref());
    let scheme = match probe.map(|get| get.scheme.as_deref()) {
        Some(Some("HTTPS")) => "https",
        Some(_) => "http",
        None if named.is_some_and(|port| port.name.as_deref() == Some("http")) => "http",
        None => "https",
    };
    VaultEndpoint { scheme, port }
}

fn parse_endpoint(text: &str) -> Option<VaultEndpoint> {
    let (scheme, rest) = text.split_once("://")?;
    let scheme = ["http", "https"].into_iter().find(|known| *known == scheme)?;
    let authority = rest.split('/').next()?;
    let port = authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    Some(VaultEndpoint { scheme, port: port.unwrap_or(if scheme == "https" { 443 } else { 80 }) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn spec(value: Value) -> StatefulSetSpec {
        let mut whole = json!({"serviceName": "v", "selector": {}, "replicas": 3, "template": {"spec": {}}});
        for (key, part) in value.as_object().expect("an object") {
            whole[key] = part.clone();
        }
        serde_json::from_value(whole).expect("a spec")
    }

    fn server(mounts: Value) -> Container {
        serde_json::from_value(json!({"name": "vault", "volumeMounts": mounts})).expect("a container")
    }

    #[track_caller]
    fn check(volume: Value, init: Value, expected: PluginStorage) {
        let mut volume = volume;
        volume["name"] = json!("plugins");
        let pod = json!({"containers": [], "volumes": [volume], "initContainers": init});
        let spec = spec(json!({"template": {"spec": pod}}));
        let container = server(json!([
            {"name": "data", "mountPath": "/vault"},
            {"name": "plugins", "mountPath": "/vault/plugins"},
            {"name": "more", "mountPath": "/vault/plugins-of-others"},
        ]));
        assert_eq!(plugin_storage(&spec, &container, Path::new("/vault/plugins")), expected);
    }

    fn init_container_json(name: &str, image: &str, args: &[&str]) -> Value {
        let mounts = json!([{"name": "plugins", "mountPath": "/to"}]);
        json!({"name": name, "image": image, "args": args, "volumeMounts": mounts})
    }

    #[test]
    fn what_keeps_the_files_of_a_pod() {
        let none = json!([]);
        let volume = |description: &str| PluginStorage::PersistentVolume { description: description.into() };
        let by = |name: &str, image: &str| PluginStorage::InitContainer {
            name: name.into(),
            image: image.into(),
            files: None,
        };
        let nothing = PluginStorage::Ephemeral { description: "emptyDir plugins".into() };
        let claim = json!({"persistentVolumeClaim": {"claimName": "shared"}});
        check(claim, none.clone(), volume("persistent volume claim shared"));
        check(json!({"hostPath": {"path": "/p"}}), none.clone(), volume("directory /p of each machine"));
        check(
            json!({"image": {"reference": "r/p:1"}}),
            none.clone(),
            PluginStorage::ImageVolume { image: "r/p:1".into() },
        );
        check(json!({"emptyDir": {}}), none.clone(), nothing.clone());
        let (one, loader) =
            (init_container_json("copy", "r/p:1", &[]), init_container_json("plugins", "r/p:2", &["loader"]));
        check(json!({"emptyDir": {}}), json!([one]), by("copy", "r/p:1"));
        check(json!({"emptyDir": {}}), json!([one, loader]), by("plugins", "r/p:2"));
        check(json!({"emptyDir": {}}), json!([one, init_container_json("b", "r/b", &[])]), nothing);
        let why = "the volume plugins has an unknown type".to_owned();
        check(json!({"configMap": {"name": "c"}}), none, PluginStorage::Unknown { reason: why });
    }

    #[test]
    fn a_claim_of_each_pod_and_a_directory_on_no_volume() {
        let spec = spec(json!({"volumeClaimTemplates": [{"metadata": {"name": "plugins"}}]}));
        let on = server(json!([{"name": "plugins", "mountPath": "/vault/plugins/"}]));
        let directory = Path::new("/vault/plugins");
        let description = "persistent volume claim plugins of each pod".to_owned();
        assert_eq!(plugin_storage(&spec, &on, directory), PluginStorage::PersistentVolume { description });
        let description = "/vault/plugins of the image".to_owned();
        assert_eq!(
            plugin_storage(&spec, &server(json!([])), directory),
            PluginStorage::ContainerImage { description }
        );
    }

    #[test]
    fn who_can_write_to_the_volume_of_the_plugins_beside_the_server() {
        let others = |other: Value, volume: Value| {
            let mount = json!({"name": "plugins", "mountPath": "/vault/plugins", "subPath": "of/vault"});
            let vault = json!({"name": "vault", "volumeMounts": [mount]});
            let mut volume = volume;
            volume["name"] = json!("plugins");
            let spec = json!({"containers": [vault, other["container"]], "initContainers": [other["init"]], "volumes": [volume]});
            let mut spec = spec;
            for list in ["containers", "initContainers"] {
                spec[list].as_array_mut().expect("a list").retain(|container| !container.is_null());
            }
            let pod: PodSpec = serde_json::from_value(spec).expect("a pod");
            others_on_volume(&pod, &pod.containers[0].clone(), Path::new("/vault/plugins"))
        };
        let with = |more: Value, args: &[&str]| {
            let mut mount = json!({"name": "plugins", "mountPath": "/elsewhere"});
            for (key, part) in more.as_object().expect("an object") {
                mount[key] = part.clone();
            }
            json!({"name": "audit", "args": args, "volumeMounts": [mount]})
        };
        let beside = |container: Value| others(json!({ "container": container }), json!({"emptyDir": {}}));
        let none: [&str; 0] = [];
        assert_eq!(beside(Value::Null), none);
        assert_eq!(beside(with(json!({}), &[])), ["the container audit"]);
        assert_eq!(beside(with(json!({"subPath": "of"}), &[])), ["the container audit"]);
        assert_eq!(beside(with(json!({"subPath": "of/audit"}), &[])), none);
        assert_eq!(beside(with(json!({"readOnly": true}), &[])), none);
        assert_eq!(beside(with(json!({"name": "logs"}), &[])), none);
        assert_eq!(beside(with(json!({}), &["loader", "--watch"])), none, "it is this program");

        // An init container, and a sidecar.
        let mut init = with(json!({}), &[]);
        assert_eq!(others(json!({"init": init}), json!({"emptyDir": {}})), none);
        init["restartPolicy"] = json!("Always");
        assert_eq!(others(json!({"init": init}), json!({"emptyDir": {}})), ["the container audit"]);
        let machine = others(json!({}), json!({"hostPath": {"path": "/p"}}));
        assert_eq!(machine, ["the machine, in its directory /p"]);
    }

    #[test]
    fn a_change_of_the_template_restarts_pods_or_not() {
        let of = |strategy: Value| {
            let spec = spec(json!({ "updateStrategy": strategy }));
            update_strategy(&StatefulSet { spec: Some(spec), ..StatefulSet::default() })
        };
        assert_eq!(of(json!({"type": "OnDelete"})), PodUpdateStrategy::OnDelete);
        assert_eq!(of(json!({"type": "RollingUpdate"})), PodUpdateStrategy::RollingUpdate);
        assert_eq!(of(json!({})), PodUpdateStrategy::RollingUpdate);
        let held = json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 3}});
        assert_eq!(of(held), PodUpdateStrategy::OnDelete);
        let one = json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 2}});
        assert_eq!(of(one), PodUpdateStrategy::RollingUpdate);
    }

    #[test]
    fn the_server_is_spoken_to_as_the_pod_does() {
        let of = |more: Value| {
            let mut container = json!({"name": "vault"});
            for (key, part) in more.as_object().expect("an object") {
                container[key] = part.clone();
            }
            vault_endpoint(&serde_json::from_value(container).expect("a container"))
        };
        let door = |scheme, port| VaultEndpoint { scheme, port };
        let env = |value: &str| json!({"env": [{"name": "VAULT_ADDR", "value": value}]});
        assert_eq!(of(env("http://127.0.0.1:8200")), door("http", 8200));
        assert_eq!(of(env("https://127.0.0.1:8300/")), door("https", 8300));
        assert_eq!(of(env("https://[::1]:8200")), door("https", 8200));
        assert_eq!(of(env("$(X)")), door("https", 8200));
        assert_eq!(of(json!({"ports": [{"name": "http", "containerPort": 8201}]})), door("http", 8201));
        let probe = json!({"httpGet": {"port": 8200, "scheme": "HTTPS"}});
        let ports = json!([{"name": "api", "containerPort": 8205}, {"containerPort": 8201}]);
        assert_eq!(of(json!({"ports": ports, "readinessProbe": probe})), door("https", 8205));
        assert_eq!(of(json!({})), door("https", 8200));
    }

    #[test]
    fn a_server_that_looks_at_permissions_is_known() {
        let of = |value: &str| {
            let variable = json!({"name": "VAULT_ENABLE_FILE_PERMISSIONS_CHECK", "value": value});
            writer_policy(
                &serde_json::from_value(json!({"name": "vault", "env": [variable]})).expect("a container"),
            )
        };
        assert_eq!(of("true"), WriterPolicy::OwnerOnly);
        assert_eq!(of("0"), WriterPolicy::Anybody);
        assert_eq!(writer_policy(&server(json!([]))), WriterPolicy::Anybody);
    }
}
