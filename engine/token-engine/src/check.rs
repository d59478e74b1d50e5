//! `check`: tests a connection without issuing a token.

use serde::{Deserialize, Serialize};
use vault_plugin::framework::{Context, Data, Field, Path, ResponseDoc};
use vault_plugin::logical::{Error, Operation};

use crate::TokenEngine;
use crate::config;
use crate::response_docs;
use crate::role_name::{self, RoleName};
use crate::telemetry::{MeasuredOperation, instrument};

pub(crate) fn path() -> Path<TokenEngine> {
    with_read(Path::new("check"))
}

pub(crate) fn named_path() -> Path<TokenEngine> {
    let path = Path::new(format!("check/{}", role_name::PATTERN));
    with_read(
        path.field("name", Field::string().required().describe("Specifies the name of the connection.")),
    )
}

fn with_read(path: Path<TokenEngine>) -> Path<TokenEngine> {
    let path = path.help(
        "Check a connection.",
        "Sends the call of the preset that creates nothing. This checks the address, TLS and the credential. No token is issued.",
    )
    .on(Operation::Read, "Check the connection.", instrument(MeasuredOperation::Check, read))
    .response(
        ResponseDoc::new(200, "The connection works.")
            .field("api_endpoint", Field::string().describe("URL of the token service."))
            .field("preset", Field::string().describe("Name of the preset, or of the description of the API."))
            .field(
                "checked",
                Field::bool().describe("Whether a call was sent. False if the description has no call that creates nothing."),
            )
            .field("account", Field::string().describe("Account that the API reports. Omitted if it reports none.")),
    )
    .response(ResponseDoc::new(400, "The connection does not exist."));
    response_docs::upstream_errors(path)
}

#[derive(Deserialize)]
struct CheckRequest {
    #[serde(default)]
    name: Option<RoleName>,
}

/// The response to a read.
#[derive(Serialize)]
struct CheckResponse {
    api_endpoint: String,
    preset: String,
    /// Whether a call was sent. A description without the call `probe` has none that creates nothing.
    checked: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
}

async fn read(context: Context<TokenEngine>, request: CheckRequest) -> Result<Data<CheckResponse>, Error> {
    let name = request.name.map_or_else(|| config::DEFAULT_NAME.to_owned(), |name| name.to_string());
    let Some(client) = config::load_client(&context, &name).await? else {
        return Err(config::not_configured(&context, &name));
    };
    let account = client.upstream.probe().await?.account;
    let description = &client.upstream.api.description;
    Ok(Data(CheckResponse {
        api_endpoint: client.config.api_endpoint.to_string(),
        preset: description.name.clone(),
        checked: description.probe.is_some(),
        account: account.filter(|account| !account.is_empty()),
    }))
}
