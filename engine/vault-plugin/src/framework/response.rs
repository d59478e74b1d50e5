//! What handlers may return.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::secret::Lease;
use crate::logical::{Error, LeaseOptions, Map, Response, Secret};

/// Something that is an answer, or the absence of one.
pub trait IntoResponse {
    /// The answer; `None` is no content, which for a read is 404.
    ///
    /// # Errors
    /// Fails when the data has no JSON form.
    fn into_response(self) -> Result<Option<Response>, Error>;
}

/// The fields of a path whose handler needs none.
#[derive(Debug, Deserialize)]
pub struct NoFields {}

/// Data for the caller: anything that serialises to a JSON object.
#[derive(Debug)]
pub struct Data<T>(pub T);

/// The names that a list answers with.
#[derive(Debug)]
pub struct Names(pub Vec<String>);

/// The names that a list answers with, and what there is to say of each.
#[derive(Debug)]
pub struct NamesWithInfo<T>(pub Vec<(String, T)>);

/// A secret under a lease.
pub struct Issued {
    secret_type: &'static str,
    data: Result<Map, Error>,
    internal: Result<Map, Error>,
    lease: Lease,
}

impl Issued {
    /// A secret of a declared type: what the caller gets, and what renew and revoke will need.
    pub fn new(
        secret_type: &'static str,
        data: impl Serialize,
        internal: impl Serialize,
        lease: Lease,
    ) -> Issued {
        Issued { secret_type, data: object(data), internal: object(internal), lease }
    }
}

impl IntoResponse for () {
    fn into_response(self) -> Result<Option<Response>, Error> {
        Ok(None)
    }
}

impl IntoResponse for Response {
    fn into_response(self) -> Result<Option<Response>, Error> {
        Ok(Some(self))
    }
}

impl<T: Serialize> IntoResponse for Data<T> {
    fn into_response(self) -> Result<Option<Response>, Error> {
        Ok(Some(Response::data(object(self.0)?)))
    }
}

impl IntoResponse for Names {
    fn into_response(self) -> Result<Option<Response>, Error> {
        Ok(Some(Response::list(self.0, Map::new())))
    }
}

impl<T: Serialize> IntoResponse for NamesWithInfo<T> {
    fn into_response(self) -> Result<Option<Response>, Error> {
        let mut names = Vec::with_capacity(self.0.len());
        let mut info = Map::new();
        for (name, about) in self.0 {
            info.insert(name.clone(), Value::Object(object(about)?));
            names.push(name);
        }
        Ok(Some(Response::list(names, info)))
    }
}

impl IntoResponse for Issued {
    fn into_response(self) -> Result<Option<Response>, Error> {
        let mut internal_data = self.internal?;
        internal_data.insert("secret_type".to_owned(), self.secret_type.into());
        let lease = LeaseOptions {
            ttl: self.lease.ttl,
            max_ttl: self.lease.max_ttl,
            renewable: true,
            ..LeaseOptions::default()
        };
        let secret = Secret { lease, internal_data, lease_id: String::new() };
        Ok(Some(Response { secret: Some(secret), ..Response::data(self.data?) }))
    }
}

impl<R: IntoResponse> IntoResponse for Option<R> {
    fn into_response(self) -> Result<Option<Response>, Error> {
        self.map_or(Ok(None), R::into_response)
    }
}

fn object(value: impl Serialize) -> Result<Map, Error> {
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(Error::internal("the engine answered with something that is not a JSON object")),
        Err(_) => Err(Error::internal("the engine answered with something that has no JSON form")),
    }
}
