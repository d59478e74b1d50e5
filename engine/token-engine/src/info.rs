//! `info`: what runs here, and how much it is used.

use std::collections::BTreeSet;

use serde::Serialize;
use vault_plugin::framework::{Context, Data, Field, NoFields, Path, ResponseDoc};
use vault_plugin::logical::{Error, Operation, Product, SystemViewError};

use crate::TokenEngine;
use crate::config;
use crate::roles;
use crate::telemetry::{MeasuredOperation, instrument};

pub(crate) fn path() -> Path<TokenEngine> {
    Path::new("info")
        .help(
            "Show what runs on this mount.",
            "Shows the versions of the engine, of its SDK and of the host, the number of connections and roles, and the presets that the \
             connections use. It contains no secret and no address.",
        )
        .on(Operation::Read, "Show the versions and the counts.", instrument(MeasuredOperation::Info, read))
        .response(
            ResponseDoc::new(200, "The versions and the counts.")
                .field("version", Field::string().describe("Version of the engine."))
                .field("sdk_version", Field::string().describe("Version of the plugin SDK that the engine is built with."))
                .field(
                    "plugin_protocol_version",
                    Field::int().describe("Version of the protocol between host and plugin."),
                )
                .field("host_product", Field::string().allowed(["vault", "openbao"]).describe("Product of the host."))
                .field(
                    "host_version",
                    Field::string().describe("Version of the host. Omitted if the host does not report it."),
                )
                .field("connections", Field::int().describe("Number of connections."))
                .field("roles", Field::int().describe("Number of roles."))
                .field("presets", Field::strings().describe("Presets that the connections use, sorted."))
                .field(
                    "described_connections",
                    Field::int().describe("Number of connections with a description of their own (api) instead of a preset."),
                ),
        )
}

/// The response to a read.
#[derive(Serialize)]
struct InfoResponse {
    version: &'static str,
    sdk_version: &'static str,
    plugin_protocol_version: u32,
    host_product: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    host_version: Option<String>,
    connections: usize,
    roles: usize,
    presets: BTreeSet<String>,
    described_connections: usize,
}

async fn read(context: Context<TokenEngine>, _: NoFields) -> Result<Data<InfoResponse>, Error> {
    let storage = context.storage();
    let names = config::names(storage).await?;
    let (mut presets, mut described_connections) = (BTreeSet::new(), 0);
    for name in &names {
        match config::load(storage, name).await? {
            Some(config) if config.api.is_some() => described_connections += 1,
            Some(config) => drop(presets.insert(config.preset)),
            // Deleted after it was listed.
            None => {}
        }
    }
    let host_version = match context.system().plugin_env().await {
        Ok(host) => Some(host.version).filter(|version| !version.is_empty()),
        Err(SystemViewError::Unsupported(_)) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(Data(InfoResponse {
        version: env!("CARGO_PKG_VERSION"),
        sdk_version: vault_plugin::VERSION,
        plugin_protocol_version: vault_plugin::PROTOCOL_VERSION,
        host_product: match context.product() {
            Product::Vault => "vault",
            Product::OpenBao => "openbao",
        },
        host_version,
        connections: names.len(),
        roles: roles::count(storage).await?,
        presets,
        described_connections,
    }))
}
