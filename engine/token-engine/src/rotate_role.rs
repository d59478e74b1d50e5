//! `rotate-role/`: rotates the token of a static role by request.

use vault_plugin::framework::{Context, Field, Path};
use vault_plugin::logical::{Error, Operation, Response};

use crate::TokenEngine;
use crate::role_name;
use crate::static_roles::{self, StaticRoleRequest};
use crate::telemetry::{MeasuredOperation, instrument};

pub(crate) fn path() -> Path<TokenEngine> {
    Path::new(format!("rotate-role/{}", role_name::PATTERN))
        .help(
            "Rotate the token of a static role.",
            "Mints a new token, which becomes the current one. The one before stays valid until the next rotation. The one before that is \
             revoked. The next rotation by rotation_period counts from now.",
        )
        .field("name", Field::string().required().describe("Name of the static role."))
        .on(Operation::Update, "Rotate the token now.", instrument(MeasuredOperation::RotateRole, rotate))
}

async fn rotate(
    context: Context<TokenEngine>,
    request: StaticRoleRequest,
) -> Result<Option<Response>, Error> {
    static_roles::rotate(&context, request.name).await
}
