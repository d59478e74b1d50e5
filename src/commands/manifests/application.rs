//! The other end: an application that has a credential while it runs, and nobody's afterwards.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec};
use k8s_openapi::api::core::v1::{
    Container, EnvVar, KeyToPath, PodSpec, PodTemplateSpec, ProjectedVolumeSource, SecretVolumeSource,
    SecurityContext, ServiceAccount, ServiceAccountTokenProjection, Volume, VolumeProjection,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use rollout::ServerRight;
use serde_json::json;

use super::document::{Content, Document, value};
use super::hcl;
use super::names::{Names, beside};
use super::objects::{empty, loader, metadata, read_only, restricted, variable, with_labels};
use super::part::Part;
use crate::error::CommandError;

/// Where the program lies in the application's container.
const TOOLS: &str = "/opt/vault-token-plugin";
/// Where the token lies that it logs in with.
const IDENTITY: &str = "/var/run/secrets/vault";
const IDENTITY_FILE: &str = "token";
/// For whom that token is: nobody else accepts it.
const AUDIENCE: &str = "vault";
/// The shortest life that a cluster gives such a token; the kubelet exchanges the file in time.
const IDENTITY_SECONDS: i64 = 600;
const AUTHORITY: &str = "/etc/vault-ca";
const AUTHORITY_FILE: &str = "ca.crt";

/// The application, and what the servers have to know of it.
pub(super) fn documents(names: &Names) -> Result<Vec<Document>, CommandError> {
    let application = &names.application;
    let policy = beside(&names.prefix, application.name.as_str())?;
    let account = ServiceAccount {
        metadata: metadata(names, &application.name, &application.namespace),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    };
    let role = json!({
        "bound_service_account_names": [application.name],
        "bound_service_account_namespaces": [application.namespace],
        "audience": AUDIENCE,
        "token_policies": [policy],
        "token_ttl": "1h",
    });
    Ok(vec![
        Document {
            part: Part::Application,
            file: "application.yaml".to_owned(),
            about: "An application whose command has the credential in its environment: `creds exec` logs in with the \
                    service account, renews while the command runs, and revokes when it ends.",
            content: Content::Objects(vec![value(&account)?, value(&deployment(names)?)?]),
        },
        Document {
            part: Part::Application,
            file: "application-policy.hcl".to_owned(),
            about: "For the application's token on the servers: one credential, and the care of its lease.",
            content: Content::Hcl(hcl::policy(&rights(&application.creds))),
        },
        Document {
            part: Part::Application,
            file: "application-role.json".to_owned(),
            about: "",
            content: Content::Data(role),
        },
    ])
}

fn rights(creds: &str) -> Vec<ServerRight> {
    let right =
        |path: &str, capabilities, reason| ServerRight { path: path.to_owned(), capabilities, reason };
    vec![
        right(creds, &["read"], "get the credential"),
        right("sys/leases/renew", &["create", "update"], "keep it"),
        right("sys/leases/revoke", &["create", "update"], "give it back"),
    ]
}

fn deployment(names: &Names) -> Result<Deployment, CommandError> {
    let application = &names.application;
    let labels = BTreeMap::from([("app.kubernetes.io/name".to_owned(), application.name.to_string())]);
    let tools = empty(&beside(&names.prefix, "tools")?);
    let identity = identity(&beside(&names.prefix, "identity")?.to_string());
    let mut volume_mounts = vec![read_only(&tools, TOOLS), read_only(&identity, IDENTITY)];
    let mut env = vec![variable(names.product.variable("ADDR"), names.server_address.to_string())];
    let mut volumes = vec![tools.clone(), identity];
    if let Some(secret) = &names.ca_secret {
        let authority = authority(&beside(&names.prefix, "ca")?.to_string(), secret.as_str());
        volume_mounts.push(read_only(&authority, AUTHORITY));
        volumes.push(authority);
        env.push(variable(names.product.variable("CACERT"), format!("{AUTHORITY}/{AUTHORITY_FILE}")));
    }
    let mut brings = loader(names, &beside(&names.prefix, "tools")?, &tools, TOOLS)?;
    if let Some(command) = &mut brings.command {
        // Of all that the image holds, only the program itself.
        command.push("--itself".to_owned());
    }
    let container = Container {
        name: application.name.to_string(),
        image: Some(application.image.to_string()),
        command: Some(command(names)),
        env: Some(sorted(env)),
        volume_mounts: Some(volume_mounts),
        security_context: Some(SecurityContext { run_as_user: application.user, ..restricted() }),
        ..Container::default()
    };
    Ok(Deployment {
        metadata: metadata(names, &application.name, &application.namespace),
        spec: Some(DeploymentSpec {
            replicas: Some(1),
            selector: with_labels(labels.clone()),
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
fn command(names: &Names) -> Vec<String> {
    let application = &names.application;
    let mut command: Vec<String> = [
        &format!("{TOOLS}/vault-token-plugin"),
        "creds",
        "exec",
        "--auth",
        "kubernetes",
        "--auth-role",
        application.name.as_str(),
        "--auth-mount",
        application.auth_mount.as_str().trim_end_matches('/'),
        "--auth-token-path",
        &format!("{IDENTITY}/{IDENTITY_FILE}"),
        &application.creds,
        "--",
    ]
    .map(str::to_owned)
    .to_vec();
    command.extend(application.command.iter().cloned());
    command
}

fn identity(name: &str) -> Volume {
    let token = ServiceAccountTokenProjection {
        audience: Some(AUDIENCE.to_owned()),
        expiration_seconds: Some(IDENTITY_SECONDS),
        path: IDENTITY_FILE.to_owned(),
    };
    let source = VolumeProjection { service_account_token: Some(token), ..VolumeProjection::default() };
    Volume {
        name: name.to_owned(),
        projected: Some(ProjectedVolumeSource { sources: Some(vec![source]), default_mode: None }),
        ..Volume::default()
    }
}

fn authority(name: &str, secret: &str) -> Volume {
    let file = KeyToPath { key: AUTHORITY_FILE.to_owned(), path: AUTHORITY_FILE.to_owned(), mode: None };
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

fn sorted(mut env: Vec<EnvVar>) -> Vec<EnvVar> {
    env.sort_by(|one, other| one.name.cmp(&other.name));
    env
}
