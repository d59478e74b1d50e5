//! `rotate-root`: replaces the key of a connection on request.

use serde::Deserialize;
use vault_plugin::framework::{Context, Field, Path, ResponseDoc};
use vault_plugin::logical::{Error, Operation};

use super::start::rotate;
use crate::TokenEngine;
use crate::config;
use crate::role_name::{self, RoleName};
use crate::telemetry::{MeasuredOperation, instrument};

pub(crate) fn path() -> Path<TokenEngine> {
    with_update(Path::new("rotate-root"))
}

pub(crate) fn named_path() -> Path<TokenEngine> {
    let path = Path::new(format!("rotate-root/{}", role_name::PATTERN));
    with_update(
        path.field("name", Field::string().required().describe("Specifies the name of the connection.")),
    )
}

fn with_update(path: Path<TokenEngine>) -> Path<TokenEngine> {
    path.help(
        "Rotate the key of a connection.",
        "Creates another api_key with the present one, proves it, stores it, and revokes the old one. Leases stay valid. Only the mount \
         knows the new key. The preset of the connection must have the call rotate (vault read PATH/presets/NAME).",
    )
    .on(Operation::Update, "Rotate the key.", instrument(MeasuredOperation::RotateRoot, update))
    .response(ResponseDoc::new(204, "The key is rotated."))
    .response(ResponseDoc::new(400, "The connection does not exist, or its key cannot be rotated. Nothing is changed."))
    .response(ResponseDoc::new(500, "The rotation has failed. The connection has a key that works."))
    .response(ResponseDoc::new(503, "Another rotation is not finished yet."))
    .forward_performance_standby()
    .forward_performance_secondary()
}

#[derive(Deserialize)]
struct RotateRequest {
    #[serde(default)]
    name: Option<RoleName>,
}

async fn update(context: Context<TokenEngine>, request: RotateRequest) -> Result<(), Error> {
    let name = request.name.map_or_else(|| config::DEFAULT_NAME.to_owned(), |name| name.to_string());
    rotate(&context, &name).await
}
