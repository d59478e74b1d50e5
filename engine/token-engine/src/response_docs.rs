//! Descriptions of responses that several paths have.

use vault_plugin::framework::{Field, Path, ResponseDoc};

use crate::TokenEngine;

/// The response to a list.
pub(crate) fn names(keys: &str) -> ResponseDoc {
    ResponseDoc::new(200, "The names. Without any, the host responds with 404.")
        .field("keys", Field::strings().describe(keys))
}

/// Responses of the last operation of a path.
pub(crate) trait PathResponses {
    /// Declares the responses to a write: it is stored, stored with warnings, or refused.
    fn write_responses(self) -> Self;
}

impl PathResponses for Path<TokenEngine> {
    fn write_responses(self) -> Self {
        self.response(ResponseDoc::new(204, "The change is stored."))
            .response(ResponseDoc::new(200, "The change is stored, and the response has warnings."))
            .response(ResponseDoc::new(400, "A field is missing or invalid. Nothing is changed."))
    }
}

/// The response to a deletion.
pub(crate) fn deleted() -> ResponseDoc {
    ResponseDoc::new(204, "It is deleted, or did not exist.")
}

/// Adds the errors of a call to the token service.
pub(crate) fn upstream_errors(path: Path<TokenEngine>) -> Path<TokenEngine> {
    path.response(ResponseDoc::new(429, "The token service limits the rate of requests."))
        .response(ResponseDoc::new(
            500,
            "The token service cannot be reached, does not accept the key, or its response is not understood.",
        ))
        .response(ResponseDoc::new(502, "The token service responds with this status."))
        .response(ResponseDoc::new(503, "The token service responds with this status."))
}
