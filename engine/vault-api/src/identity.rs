//! The entities of the identity store: who logs in.

use bytes::Bytes;
use http::{Method, Request, Response};
use serde::Deserialize;

use crate::ApiError;
use crate::endpoint::{self, Endpoint, Idempotency, encode_path};

/// `GET identity/entity/id/:id`.
#[derive(Clone, Debug)]
pub struct ReadEntity {
    /// Its id.
    pub id: String,
}

/// `DELETE identity/entity/id/:id`: deletes an entity and its aliases.
#[derive(Clone, Debug)]
pub struct DeleteEntity {
    /// Its id.
    pub id: String,
}

/// An entity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Entity {
    /// Its names at auth mounts.
    #[serde(default, deserialize_with = "endpoint::null_as_default")]
    pub aliases: Vec<Alias>,
}

/// A name of an entity at an auth mount.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Alias {
    /// API path of the mount, with a trailing slash; empty if the mount no longer exists.
    #[serde(default, deserialize_with = "endpoint::null_as_default")]
    pub mount_path: String,
}

fn entity_path(id: &str) -> String {
    format!("identity/entity/id/{}", encode_path(id))
}

impl Endpoint for ReadEntity {
    /// `None` if there is no such entity.
    type Response = Option<Entity>;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        endpoint::get(&entity_path(&self.id))
    }

    fn response(reply: Response<Bytes>) -> Result<Self::Response, ApiError> {
        if reply.status().as_u16() == 404 {
            let error = ApiError::from_reply(&reply);
            return if error.is_absent() { Ok(None) } else { Err(error) };
        }
        endpoint::data(reply).map(Some)
    }
}

impl Endpoint for DeleteEntity {
    type Response = Vec<String>;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        endpoint::request_without_body(Method::DELETE, &entity_path(&self.id))
    }

    fn response(reply: Response<Bytes>) -> Result<Vec<String>, ApiError> {
        endpoint::warnings(reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::tests::{reply, request_line};

    #[test]
    fn an_entity_has_the_mounts_of_its_aliases() {
        let delete = DeleteEntity { id: "e-1".into() };
        assert_eq!(request_line(&delete.request()).trim(), "DELETE /v1/identity/entity/id/e-1");
        let read = |status, body| ReadEntity::response(reply(status, body)).expect("an answer");
        let body = r#"{"data":{"id":"e-1","aliases":[{"mount_path":"auth/jwt/","name":"ann"},{"mount_path":null}]}}"#;
        let aliases = read(200, body).expect("an entity").aliases;
        let paths: Vec<&str> = aliases.iter().map(|alias| alias.mount_path.as_str()).collect();
        assert_eq!(paths, ["auth/jwt/", ""]);
        assert_eq!(read(404, r#"{"errors":[]}"#), None);
    }
}
