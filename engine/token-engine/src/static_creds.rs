//! `static-creds/`: the current token of a static role.

use jiff::Timestamp;
use serde_json::Value;
use vault_plugin::framework::{Context, Data, Field, Path, ResponseDoc};
use vault_plugin::logical::{Error, Map, Operation};

use crate::TokenEngine;
use crate::role_name;
use crate::static_roles::{self, StaticRole, StaticRoleRequest, no_such_role};
use crate::telemetry::{MeasuredOperation, instrument};

pub(crate) fn path() -> Path<TokenEngine> {
    Path::new(format!("static-creds/{}", role_name::PATTERN))
        .help(
            "Read the token of a static role.",
            "Returns the current token, without a lease. It stays valid until the rotation after the next one. Read it again after ttl.",
        )
        .field("name", Field::string().required().describe("Specifies the name of the static role."))
        .on(Operation::Read, "Read the current token.", instrument(MeasuredOperation::StaticCredsRead, read))
        .response(
            ResponseDoc::new(200, "The current token, with the other outputs of the API.")
                .field("token", Field::string().sensitive().describe("The token."))
                .field("permissions", Field::strings().describe("Permissions of the token. Omitted if the API does not use permissions."))
                .field("last_vault_rotation", Field::time().describe("Time at which it was minted."))
                .field("rotation_period", Field::int().describe("Period of the rotations in seconds. Omitted if it is not set."))
                .field("rotation_schedule", Field::string().describe("Schedule of the rotations. Omitted if it is not set."))
                .field("rotation_window", Field::int().describe("Window of a scheduled rotation in seconds. Omitted if it is not set."))
                .field("ttl", Field::int().describe("Seconds until the next rotation. Omitted if automatic rotation is disabled."))
                .additional_fields(),
        )
        .response(ResponseDoc::new(400, "The static role does not exist."))
}

async fn read(context: Context<TokenEngine>, request: StaticRoleRequest) -> Result<Data<Map>, Error> {
    let role = static_roles::load(&context, &request.name).await?;
    let role = role.ok_or_else(|| no_such_role(&context, &request.name))?;
    Ok(Data(response(&role, Timestamp::now())))
}

fn response(role: &StaticRole, now: Timestamp) -> Map {
    let (current, rotation) = (&role.current, &role.settings.rotation);
    let outputs = current.outputs.iter();
    let mut data: Map = outputs.map(|(name, value)| (name.clone(), value.0.expose().into())).collect();
    let mut insert = |name: &str, value: Value| data.insert(name.to_owned(), value);
    insert("token", current.token.0.expose().into());
    if current.sends_permissions {
        insert("permissions", current.entry.request.permissions.clone().into());
    }
    insert("last_vault_rotation", current.minted_at().to_string().into());
    if rotation.rotation_period > 0 {
        insert("rotation_period", rotation.rotation_period.into());
    } else {
        insert("rotation_schedule", rotation.rotation_schedule.clone().into());
    }
    if rotation.rotation_window > 0 {
        insert("rotation_window", rotation.rotation_window.into());
    }
    if let Some(left) = role.due(now).time_until(now) {
        insert("ttl", left.as_secs().into());
    }
    data
}
