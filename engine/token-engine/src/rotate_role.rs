//! `rotate-role/`: rotates the token of a static role by request.

use vault_plugin::framework::{Context, Field, Path, ResponseDoc};
use vault_plugin::logical::{Error, Operation, Response};

use crate::TokenEngine;
use crate::response_docs;
use crate::role_name;
use crate::static_roles::{self, StaticRoleRequest};
use crate::telemetry::{MeasuredOperation, instrument};

pub(crate) fn path() -> Path<TokenEngine> {
    let path = Path::new(format!("rotate-role/{}", role_name::PATTERN))
        .help(
            "Rotate the token of a static role.",
            "Mints a new token, which becomes the current one. The one before stays valid until the next rotation. The one before that is \
             revoked. The next rotation by rotation_period counts from now.",
        )
        .field("name", Field::string().required().describe("Specifies the name of the static role."))
        .on(Operation::Update, "Rotate the token now.", instrument(MeasuredOperation::RotateRole, rotate))
        .response(ResponseDoc::new(204, "The static role has a new token."))
        .response(ResponseDoc::new(200, "The static role has a new token, and the response has warnings."))
        .response(ResponseDoc::new(400, "The static role does not exist, or must be changed. Its token stays."));
    response_docs::upstream_errors(path)
}

async fn rotate(
    context: Context<TokenEngine>,
    request: StaticRoleRequest,
) -> Result<Option<Response>, Error> {
    static_roles::rotate(&context, request.name).await
}
