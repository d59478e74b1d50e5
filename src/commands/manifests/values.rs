//! The names in all manifests. Flags take precedence over the file, and the file over the names of the official charts.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use rollout::Consumer;
use vault_api::catalog::PluginType;

use super::object_name::{ContainerDirectory, ImageRef, MetricsPrefix, ObjectName, PodSelector};
use crate::commands::plugin_inputs::{parse_mount, parse_namespace};
use crate::config::{MountSection, PluginYaml};
use crate::context::KubernetesArgs;
use crate::error::CommandError;

/// The flags of `manifests` for names.
#[derive(Debug, Args)]
pub(super) struct ManifestFlags {
    /// Name of the plugin [default: custom-plugin]
    #[arg(long)]
    name: Option<String>,
    /// Prefix of the names of all objects [default: the plugin's name]
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    prefix: Option<ObjectName>,
    /// Image of the plugin, as made by `package`
    #[arg(long, value_name = "REF")]
    image: Option<ImageRef>,
    /// Server product: vault or openbao
    #[arg(long, value_enum, default_value_t = Product::Vault, hide_possible_values = true)]
    product: Product,
    /// Labels of the servers' pods [default: those of the official chart]
    #[arg(long, value_name = "KEY=VALUE,...", hide_short_help = true)]
    pod_labels: Option<PodSelector>,
    /// Image of the servers, for the part `server` [default: hashicorp/vault:1.21.4, openbao/openbao:2.6.2]
    #[arg(long, value_name = "REF", hide_short_help = true)]
    server_image: Option<ImageRef>,
    /// Plugin directory
    #[arg(long, value_name = "DIR", default_value = "/vault/plugins")]
    plugin_dir: ContainerDirectory,
    /// Path of a mount; repeatable [default: custom]
    #[arg(long, value_name = "PATH")]
    mount: Vec<Consumer>,
    /// Service account of the operator [default: PREFIX-operator]
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    service_account: Option<ObjectName>,
    /// Address of the servers for pods [default: https://STATEFULSET.NAMESPACE.svc:8200]
    #[arg(long, value_name = "URL", hide_short_help = true)]
    server_address: Option<String>,
    /// Secret with the CA of the servers' certificate, key ca.crt, in the application's namespace
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    ca_secret: Option<ObjectName>,
    /// Namespace of Prometheus
    #[arg(long, value_name = "NAME", default_value = "monitoring", hide_short_help = true)]
    monitoring_namespace: ObjectName,
    /// Prefix of the plugin's metrics: the metrics_prefix of its config
    #[arg(long, value_name = "NAME", default_value = "custom_plugin", hide_short_help = true)]
    metrics_prefix: MetricsPrefix,
    #[command(flatten)]
    application: ApplicationFlags,
    /// Read plugin.yaml; flags take precedence
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// The flags for the application that uses credentials.
#[derive(Debug, Args)]
struct ApplicationFlags {
    /// Name of the application
    #[arg(long, value_name = "NAME", default_value = "app", hide_short_help = true)]
    app: ObjectName,
    /// Namespace of the application
    #[arg(long, value_name = "NAME", default_value = "default", hide_short_help = true)]
    app_namespace: ObjectName,
    /// Image of the application [default: busybox:1.37]
    #[arg(long, value_name = "REF", hide_short_help = true)]
    app_image: Option<ImageRef>,
    /// User that the application runs as [default: that of the image; 65532 in the default image]
    #[arg(
        long,
        value_name = "UID",
        value_parser = clap::value_parser!(i64).range(1..=i64::from(u32::MAX)),
        hide_short_help = true
    )]
    app_user: Option<i64>,
    /// Credential of the application [default: MOUNT/creds/developer]
    #[arg(long, value_name = "PATH", hide_short_help = true)]
    creds: Option<String>,
    /// Mount path of the servers' Kubernetes auth method
    #[arg(long, value_name = "PATH", default_value = "kubernetes", hide_short_help = true)]
    auth_mount: Consumer,
    /// Command of the application; it gets the credential
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Product of the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Product {
    /// HashiCorp Vault.
    Vault,
    /// OpenBao.
    #[value(name = "openbao")]
    OpenBao,
}

/// All names in the manifests.
#[derive(Clone, Debug)]
pub(crate) struct ManifestValues {
    pub(crate) product: Product,
    pub(crate) kind: PluginType,
    pub(crate) plugin: String,
    pub(crate) prefix: ObjectName,
    image: Option<ImageRef>,
    pub(crate) namespace: ObjectName,
    pub(crate) statefulset: ObjectName,
    pub(crate) container: ObjectName,
    pub(crate) selector: PodSelector,
    pub(crate) server_image: ImageRef,
    pub(crate) plugin_dir: ContainerDirectory,
    pub(crate) mounts: Vec<Consumer>,
    pub(crate) service_account: ObjectName,
    pub(crate) server_address: ServerAddress,
    pub(crate) ca_secret: Option<ObjectName>,
    pub(crate) monitoring_namespace: ObjectName,
    pub(crate) metrics_prefix: MetricsPrefix,
    pub(crate) application: Application,
}

/// The application that uses credentials.
#[derive(Clone, Debug)]
pub(crate) struct Application {
    pub(crate) name: ObjectName,
    pub(crate) namespace: ObjectName,
    pub(crate) image: ImageRef,
    /// `None` for the user of the image.
    pub(crate) user: Option<i64>,
    pub(crate) creds: String,
    pub(crate) auth_mount: Consumer,
    pub(crate) command: Vec<String>,
}

/// The address of the servers, in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerAddress {
    pub(crate) scheme: &'static str,
    pub(crate) host_and_port: String,
}

/// The default application. Its image runs as root, which the Pod Security Standard `restricted` refuses, so it gets the user `nonroot` of
/// distroless images.
const DEFAULT_APP_IMAGE: &str = "busybox:1.37";
const DEFAULT_APP_USER: i64 = 65532;
const DEFAULT_PLUGIN: &str = "custom-plugin";
const DEFAULT_MOUNT: &str = "custom";

impl Product {
    /// The object names of the official chart.
    pub(crate) fn chart_name(self) -> &'static str {
        match self {
            Self::Vault => "vault",
            Self::OpenBao => "openbao",
        }
    }

    /// The program in its image.
    pub(crate) fn binary_name(self) -> &'static str {
        match self {
            Self::Vault => "vault",
            Self::OpenBao => "bao",
        }
    }

    /// Prefix of its environment variables.
    pub(crate) fn env_variable(self, name: &str) -> String {
        match self {
            Self::Vault => format!("VAULT_{name}"),
            Self::OpenBao => format!("BAO_{name}"),
        }
    }

    /// The release that this was tested with.
    fn default_server_image(self) -> &'static str {
        match self {
            Self::Vault => "hashicorp/vault:1.21.4",
            Self::OpenBao => "openbao/openbao:2.6.2",
        }
    }
}

impl ManifestValues {
    /// The image of the plugin.
    ///
    /// # Errors
    /// If it was not given.
    pub(crate) fn image(&self) -> Result<&ImageRef, CommandError> {
        self.image.as_ref().ok_or_else(|| {
            CommandError::usage("no image of the plugin given")
                .hint("Pass it with --image; `vault-token-plugin package` builds one.")
        })
    }
}

/// Combines all names.
///
/// Namespace, StatefulSet and container are taken from the cluster flags, or else from the official chart.
pub(super) fn resolve(
    flags: ManifestFlags,
    cluster: &KubernetesArgs,
) -> Result<ManifestValues, CommandError> {
    let yaml = PluginYaml::read_one(flags.file.as_deref(), flags.name.as_deref(), None)?;
    let product = flags.product;
    let plugin = flags.name.or(yaml.plugin.name).unwrap_or_else(|| DEFAULT_PLUGIN.to_owned());
    check_policy_safe("the name of the plugin", &plugin)?;
    let prefix = match flags.prefix {
        Some(prefix) => prefix,
        None => plugin.parse().map_err(|error| {
            CommandError::usage("the name of the plugin is not a valid prefix of object names")
                .caused_by(error)
                .hint("Set the prefix with --prefix.")
        })?,
    };
    let kind = match yaml.plugin.kind {
        Some(text) => text
            .parse()
            .map_err(|error| CommandError::usage("invalid plugin.type in the file").caused_by(error))?,
        None => PluginType::Secret,
    };
    let mounts = resolve_mounts(flags.mount, &yaml.mounts, kind)?;
    let file = yaml.deployment.and_then(|deployment| deployment.kubernetes).unwrap_or_default();
    let word = |flag: &Option<String>, file: Option<String>| -> Result<ObjectName, CommandError> {
        parse_name(flag.as_deref().or(file.as_deref()).unwrap_or(product.chart_name()))
    };
    let namespace = word(&cluster.kube_namespace, file.namespace)?;
    let statefulset = word(&cluster.statefulset, file.statefulset)?;
    let address = match flags.server_address {
        Some(address) => address,
        None => format!("https://{statefulset}.{namespace}.svc:8200"),
    };
    let application = resolve_application(flags.application, &mounts)?;
    Ok(ManifestValues {
        product,
        kind,
        plugin,
        image: match flags.image {
            Some(image) => Some(image),
            None => yaml.plugin.image.as_deref().map(parse_name).transpose()?,
        },
        container: word(&cluster.container, file.container)?,
        selector: match (flags.pod_labels, cluster.selector.as_ref().or(file.selector.as_ref())) {
            (Some(labels), _) => labels,
            (None, Some(selector)) => parse_name(selector)?,
            (None, None) => {
                parse_name(&format!("app.kubernetes.io/name={},component=server", product.chart_name()))?
            }
        },
        server_image: match flags.server_image {
            Some(image) => image,
            None => parse_name(product.default_server_image())?,
        },
        plugin_dir: flags.plugin_dir,
        service_account: match flags.service_account {
            Some(account) => account,
            None => suffixed_name(&prefix, "operator")?,
        },
        server_address: parse_address(&address)?,
        ca_secret: flags.ca_secret,
        monitoring_namespace: flags.monitoring_namespace,
        metrics_prefix: flags.metrics_prefix,
        namespace,
        statefulset,
        mounts,
        application,
        prefix,
    })
}

/// The name of an object with a suffix.
pub(super) fn suffixed_name(name: &ObjectName, ending: &str) -> Result<ObjectName, CommandError> {
    name.with_suffix(ending).map_err(|error| {
        CommandError::usage(format!("{name} cannot be part of an object name"))
            .caused_by(error)
            .hint("Set a shorter prefix with --prefix.")
    })
}

fn resolve_mounts(
    flags: Vec<Consumer>,
    file: &[MountSection],
    kind: PluginType,
) -> Result<Vec<Consumer>, CommandError> {
    let mut mounts = flags;
    if mounts.is_empty() {
        let mount = |section: &MountSection| -> Result<Consumer, CommandError> {
            let namespace = parse_namespace(section.namespace.as_deref().unwrap_or_default())?;
            Ok(parse_mount(&section.path)?.of_kind(kind).in_namespace(namespace))
        };
        mounts = file.iter().map(mount).collect::<Result<_, _>>()?;
    }
    if mounts.is_empty() {
        mounts = vec![parse_mount(DEFAULT_MOUNT)?];
    }
    for mount in &mounts {
        check_policy_safe("a mount", mount.as_str())?;
    }
    Ok(mounts)
}

fn resolve_application(flags: ApplicationFlags, mounts: &[Consumer]) -> Result<Application, CommandError> {
    let ApplicationFlags { app, app_namespace, app_image, app_user, creds, auth_mount, command } = flags;
    let (image, user) = match app_image {
        Some(image) => (image, app_user),
        None => (parse_name(DEFAULT_APP_IMAGE)?, app_user.or(Some(DEFAULT_APP_USER))),
    };
    let creds = match (creds, mounts.first()) {
        (Some(creds), _) => creds.trim_matches('/').to_owned(),
        (None, Some(mount)) => mount.join("creds/developer"),
        (None, None) => format!("{DEFAULT_MOUNT}/creds/developer"),
    };
    check_policy_safe("the path of a credential", &creds)?;
    let command = match command.is_empty() {
        // The simplest application that shows whether it has its credential.
        true => ["sh", "-c", "echo \"the token is $TOKEN\"; exec sleep 86400"].map(str::to_owned).to_vec(),
        false => command,
    };
    Ok(Application { name: app, namespace: app_namespace, image, user, creds, auth_mount, command })
}

/// A policy path must not contain special characters: a star would grant more than intended.
fn check_policy_safe(what: &str, text: &str) -> Result<(), CommandError> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '@');
    if text.is_empty() || !text.chars().all(plain) {
        return Err(CommandError::usage(format!(
            "{what}, {text:?}, contains characters that are not permitted in a policy"
        ))
        .hint("Permitted are letters, digits and -_./@."));
    }
    Ok(())
}

fn parse_address(text: &str) -> Result<ServerAddress, CommandError> {
    let wrong =
        || CommandError::usage(format!("{text:?} is not an address such as https://vault.example.com:8200"));
    let (scheme, rest) = match text.split_once("://").ok_or_else(wrong)? {
        ("https", rest) => ("https", rest),
        ("http", rest) => ("http", rest),
        _ => return Err(wrong()),
    };
    let host_and_port = rest.strip_suffix('/').unwrap_or(rest);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':' | '[' | ']');
    if host_and_port.is_empty() || !host_and_port.chars().all(plain) {
        return Err(wrong());
    }
    Ok(ServerAddress { scheme, host_and_port: host_and_port.to_owned() })
}

fn parse_name<T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>>(
    text: &str,
) -> Result<T, CommandError> {
    text.parse().map_err(|error| CommandError::usage("invalid name").caused_by(error))
}

impl std::fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host_and_port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_in_a_policy_is_refused() {
        for text in ["custom", "team/custom", "custom_2.a@b"] {
            assert!(check_policy_safe("a mount", text).is_ok(), "{text}");
        }
        for text in ["", "custom*", "custom/+", "a\"b", "a\\b", "a${b}", "a b", "a\nb"] {
            assert!(check_policy_safe("a mount", text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_address_is_taken_apart() {
        let address = parse_address("https://vault.vault.svc:8200/").expect("an address");
        assert_eq!((address.scheme, address.host_and_port.as_str()), ("https", "vault.vault.svc:8200"));
        for text in ["", "vault:8200", "ftp://a", "https://", "https://a/b", "https://a b", "https://u@a"] {
            assert!(parse_address(text).is_err(), "{text:?}");
        }
    }
}
