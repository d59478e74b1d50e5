//! `presets/`: the descriptions of token APIs that ship with the engine.

use serde::{Deserialize, Serialize};
use vault_plugin::framework::{Context, Data, Field, ListResponse, NoFields, Path, ResponseDoc};
use vault_plugin::logical::{Error, Operation};

use crate::TokenEngine;
use crate::response_docs;
use crate::role_name;
use crate::telemetry::{MeasuredOperation as Measured, instrument};
use crate::upstream::{Description, all_presets, find_preset};

pub(crate) fn list_path() -> Path<TokenEngine> {
    Path::new("presets/?")
        .help("List the presets.", "Lists the token APIs whose descriptions ship with the engine.")
        .on(Operation::List, "List the presets.", instrument(Measured::PresetsList, list))
        .response(response_docs::names("Names of the presets."))
}

pub(crate) fn path() -> Path<TokenEngine> {
    Path::new(format!("presets/{}", role_name::PATTERN))
        .help(
            "Show a preset.",
            "Shows the description of a token API: what it asks of a connection and of a role, how it was proven, and its calls.",
        )
        .field("name", Field::string().required().describe("Specifies the name of the preset."))
        .on(Operation::Read, "Show a preset.", instrument(Measured::PresetsRead, read))
        .response(
            ResponseDoc::new(200, "The preset.")
                .field("name", Field::string().describe("Name of the preset."))
                .field("help", Field::string().describe("What the preset issues."))
                .field("evidence", Field::string().describe("How the description was proven."))
                .field("api", Field::map().describe("Description of the API, as the field api of a connection takes it.")),
        )
}

#[derive(Deserialize)]
struct PresetRequest {
    name: String,
}

/// What a read shows.
#[derive(Serialize)]
struct PresetResponse {
    name: &'static str,
    help: String,
    /// How the description was shown to be right.
    evidence: String,
    /// The description, as it can be given to `api`.
    api: Description,
}

async fn list(_: Context<TokenEngine>, _: NoFields) -> Result<ListResponse, Error> {
    Ok(ListResponse(all_presets().iter().map(|preset| preset.name.to_owned()).collect()))
}

async fn read(
    _: Context<TokenEngine>,
    request: PresetRequest,
) -> Result<Option<Data<PresetResponse>>, Error> {
    let Ok(preset) = find_preset(&request.name) else { return Ok(None) };
    let description = (*preset.description()).clone();
    let proven = description.proven.as_ref().map(|server| format!("proven with {server}"));
    let documented = description.documented.as_ref().map(|address| format!("documented at {address}"));
    let validated = description.validated.as_ref().map(|address| format!("validated against {address}"));
    let evidence =
        proven.into_iter().chain(validated).chain(documented).chain(description.unverified.clone());
    let evidence: Vec<String> = evidence.collect();
    Ok(Some(Data(PresetResponse {
        name: preset.name,
        help: description.help.clone(),
        evidence: evidence.join("; "),
        api: description,
    })))
}
