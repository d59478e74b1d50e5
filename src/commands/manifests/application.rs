//! The other end: an application that has a credential while it runs, and nobody's afterwards.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec};
use k8s_openapi::api::core::v1::{
    Container, EnvVar, KeyToPath, PodSpec, PodTemplateSpec, ProjectedVolumeSource, SecretVolumeSource,
    SecurityContext, ServiceAccount, ServiceAccountTokenProjection, Volume, VolumeProjection,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use rollout::PolicyRule;
use serde_json::json;

use super::hcl;
use super::manifest_file::{FileContent, ManifestFile, to_value};
use super::objects::{
    empty_dir_volume, env_var, label_selector, loader_container, metadata, read_only_mount,
    restricted_security_context,
};
use super::part::Part;
use super::values::{ManifestValues, suffixed_name};
use crate::error::CommandError;

/// Where the program lies in the application's container.
const TOOLS_DIR: &str = "/opt/vault-token-plugin";
/// Where the token lies that it logs in with.
const TOKEN_DIR: &str = "/var/run/secrets/vault";
const TOKEN_FILE: &str = "token";
/// For whom that token is: nobody else accepts it.
const TOKEN_AUDIENCE: &str = "vault";
/// The shortest life that a cluster gives such a token; the kubelet exchanges the file in time.
const TOKEN_EXPIRATION_SECONDS: i64 = 600;
const CA_DIR: &str = "/etc/vault-ca";
const CA_FILE: &str = "ca.crt";

/// The application, and what the servers have to know of it.
pub(super) fn files(names: &ManifestValues) -> Result<Vec<ManifestFile>, CommandError> {
    let application = &names.application;
    let policy = suffixed_name(&names.prefix, application.name.as_str())?;
    let account = ServiceAccount {
        metadata: metadata(names, &application.name, &application.namespace),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    };
    let role = json!({
        "bound_service_account_names": [application.name],
        "bound_service_account_namespaces": [application.namespace],
        "audience": TOKEN_AUDIENCE,
        "token_policies": [policy],
        "token_ttl": "1h",
    });
    Ok(vec![
        ManifestFile {
            part: Part::Application,
            file: "application.yaml".to_owned(),
            about: "An application with the credential in its environment. `creds exec` logs in with the service account, \
                    renews the lease while the command runs, and revokes it when the command exits.",
            content: FileContent::Objects(vec![to_value(&account)?, to_value(&deployment(names)?)?]),
        },
        ManifestFile {
            part: Part::Application,
            file: "application-policy.hcl".to_owned(),
            about: "Policy for the application's token: one credential and its lease.",
            content: FileContent::Hcl(hcl::policy(&policy_paths(&application.creds))),
        },
        ManifestFile {
            part: Part::Application,
            file: "application-role.json".to_owned(),
            about: "",
            content: FileContent::Data(role),
        },
    ])
}

fn policy_paths(creds: &str) -> Vec<PolicyRule> {
    let right = |path: &str, capabilities, reason| PolicyRule { path: path.to_owned(), capabilities, reason };
    vec![
        right(creds, &["read"], "read the credential"),
        right("sys/leases/renew", &["create", "update"], "renew its lease"),
        right("sys/leases/revoke", &["create", "update"], "revoke its lease"),
    ]
}

fn deployment(names: &ManifestValues) -> Result<Deployment, CommandError> {
    let application = &names.application;
    let labels = BTreeMap::from([("app.kubernetes.io/name".to_owned(), application.name.to_string())]);
    let tools = empty_dir_volume(&suffixed_name(&names.prefix, "tools")?);
    let identity = token_volume(&suffixed_name(&names.prefix, "identity")?.to_string());
    let mut volume_mounts = vec![read_only_mount(&tools, TOOLS_DIR), read_only_mount(&identity, TOKEN_DIR)];
    let mut env = vec![env_var(names.product.env_variable("ADDR"), names.server_address.to_string())];
    let mut volumes = vec![tools.clone(), identity];
    if let Some(secret) = &names.ca_secret {
        let authority = ca_volume(&suffixed_name(&names.prefix, "ca")?.to_string(), secret.as_str());
        volume_mounts.push(read_only_mount(&authority, CA_DIR));
        volumes.push(authority);
        env.push(env_var(names.product.env_variable("CACERT"), format!("{CA_DIR}/{CA_FILE}")));
    }
    let mut brings = loader_container(names, &suffixed_name(&names.prefix, "tools")?, &tools, TOOLS_DIR)?;
    if let Some(command) = &mut brings.command {
        // Of all that the image holds, only the program itself.
        command.push("--self".to_owned());
    }
    let container = Container {
        name: application.name.to_string(),
        image: Some(application.image.to_string()),
        command: Some(wrapped_command(names)),
        env: Some(sort_env(env)),
        volume_mounts: Some(volume_mounts),
        security_context: Some(SecurityContext {
            run_as_user: application.user,
            ..restricted_security_context()
        }),
        ..Container::default()
    };
    Ok(Deployment {
        metadata: metadata(names, &application.name, &application.namespace),
        spec: Some(DeploymentSpec {
            replicas: Some(1),
            selector: label_selector(labels.clone()),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta { labels: Some(labels), ..ObjectMeta::default() }),
                spec: Some(PodSpec {
                    service_account_name: Some(application.name.to_string()),
                    automount_service_account_token: Some(false),
                    init_containers: Some(vec![brings]),
                    containers: vec![container],
                    volumes: Some(volumes),
                    ..PodSpec::default()
                }),
            },
            ..DeploymentSpec::default()
        }),
        status: None,
    })
}

/// The program around the application's own command.
fn wrapped_command(names: &ManifestValues) -> Vec<String> {
    let application = &names.application;
    let mut command: Vec<String> = [
        &format!("{TOOLS_DIR}/vault-token-plugin"),
        "creds",
        "exec",
        "--auth",
        "kubernetes",
        "--auth-role",
        application.name.as_str(),
        "--auth-mount",
        application.auth_mount.as_str().trim_end_matches('/'),
        "--auth-token-path",
        &format!("{TOKEN_DIR}/{TOKEN_FILE}"),
        &application.creds,
        "--",
    ]
    .map(str::to_owned)
    .to_vec();
    command.extend(application.command.iter().cloned());
    command
}

fn token_volume(name: &str) -> Volume {
    let token = ServiceAccountTokenProjection {
        audience: Some(TOKEN_AUDIENCE.to_owned()),
        expiration_seconds: Some(TOKEN_EXPIRATION_SECONDS),
        path: TOKEN_FILE.to_owned(),
    };
    let source = VolumeProjection { service_account_token: Some(token), ..VolumeProjection::default() };
    Volume {
        name: name.to_owned(),
        projected: Some(ProjectedVolumeSource { sources: Some(vec![source]), default_mode: None }),
        ..Volume::default()
    }
}

fn ca_volume(name: &str, secret: &str) -> Volume {
    let file = KeyToPath { key: CA_FILE.to_owned(), path: CA_FILE.to_owned(), mode: None };
    Volume {
        name: name.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret.to_owned()),
            items: Some(vec![file]),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}

fn sort_env(mut env: Vec<EnvVar>) -> Vec<EnvVar> {
    env.sort_by(|one, other| one.name.cmp(&other.name));
    env
}
