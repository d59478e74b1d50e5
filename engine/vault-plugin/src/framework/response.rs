//! The return types of handlers.

mod raw_response;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::raw_response::RawResponse;
pub(crate) use self::raw_response::with_status;
use crate::logical::{Error, Map, Response};

/// A type that a handler can return.
///
/// ```
/// use serde_json::{Value, json};
/// use vault_plugin::framework::{Data, IntoResponse, RawResponse};
/// use vault_plugin::logical::{Error, Response};
///
/// /// The return type of a handler with two kinds of responses.
/// enum Certificate {
///     Described(Value),
///     Pem(String),
/// }
///
/// impl IntoResponse for Certificate {
///     fn into_response(self) -> Result<Option<Response>, Error> {
///         match self {
///             Certificate::Described(data) => Data(data).into_response(),
///             Certificate::Pem(text) => RawResponse::new(200, text).into_response(),
///         }
///     }
/// }
///
/// let described = Certificate::Described(json!({"serial": "7"})).into_response()?;
/// assert_eq!(described.unwrap().data.unwrap()["serial"], "7");
/// let pem = Certificate::Pem("-----BEGIN …".to_owned()).into_response()?;
/// assert_eq!(pem.unwrap().data.unwrap()["http_status_code"], 200);
/// # Ok::<(), Error>(())
/// ```
pub trait IntoResponse {
    /// Converts to a response. `None` means no content, which is 404 for a read.
    ///
    /// # Errors
    /// Fails if the data cannot be represented as a JSON object.
    fn into_response(self) -> Result<Option<Response>, Error>;
}

/// The fields of a handler that needs none.
///
/// ```
/// # use vault_plugin::framework::{Context, Data, Engine, NoFields, Path};
/// # use vault_plugin::{logical::{Error, Operation}, testing::TestMount};
/// async fn status(_: Context<()>, _: NoFields) -> Result<Data<serde_json::Value>, Error> {
///     Ok(Data(serde_json::json!({"healthy": true})))
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let path = Path::new("status").on(Operation::Read, "Return the status.", status);
/// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
/// assert_eq!(mount.read("status").await?.unwrap().data.unwrap()["healthy"], true);
/// # Ok(()) }
/// ```
#[derive(Debug, Deserialize)]
pub struct NoFields {}

/// Data for the caller: any type that serializes to a JSON object.
///
/// ```
/// # use vault_plugin::{framework::{Data, IntoResponse}, logical::Error};
/// #[derive(serde::Serialize)]
/// struct Role {
///     ttl: u64,
/// }
///
/// let response = Data(Role { ttl: 3600 }).into_response()?;
/// assert_eq!(response.unwrap().data.unwrap()["ttl"], 3600);
/// // A number is not an object.
/// assert!(Data(3600).into_response().is_err());
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct Data<T>(pub T);

/// The names in the response to a list.
///
/// ```
/// # use {serde_json::json, vault_plugin::{framework::{IntoResponse, ListResponse}, logical::Error}};
/// let response = ListResponse(vec!["blue".to_owned(), "green".to_owned()]).into_response()?.unwrap();
/// assert_eq!(json!(response.data), json!({"keys": ["blue", "green"]}));
/// // Without `keys` a host returns 404.
/// assert_eq!(json!(ListResponse(Vec::new()).into_response()?.unwrap().data), json!({}));
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct ListResponse(pub Vec<String>);

/// The names in the response to a list, with information about each.
///
/// ```
/// # use {serde_json::json, vault_plugin::{framework::{IntoResponse, ListWithInfo}, logical::Error}};
/// let response = ListWithInfo(vec![("blue".to_owned(), json!({"ttl": 60}))]).into_response()?.unwrap();
/// assert_eq!(json!(response.data), json!({"keys": ["blue"], "key_info": {"blue": {"ttl": 60}}}));
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct ListWithInfo<T>(pub Vec<(String, T)>);

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
        Ok(Some(Response::data(to_object(self.0)?)))
    }
}

impl IntoResponse for ListResponse {
    fn into_response(self) -> Result<Option<Response>, Error> {
        Ok(Some(Response::list(self.0, Map::new())))
    }
}

impl<T: Serialize> IntoResponse for ListWithInfo<T> {
    fn into_response(self) -> Result<Option<Response>, Error> {
        let mut names = Vec::with_capacity(self.0.len());
        let mut info = Map::new();
        for (name, value) in self.0 {
            info.insert(name.clone(), Value::Object(to_object(value)?));
            names.push(name);
        }
        Ok(Some(Response::list(names, info)))
    }
}

impl<R: IntoResponse> IntoResponse for Option<R> {
    fn into_response(self) -> Result<Option<Response>, Error> {
        self.map_or(Ok(None), R::into_response)
    }
}

pub(crate) fn to_object(value: impl Serialize) -> Result<Map, Error> {
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(Error::internal("cannot encode the response of the engine: not a JSON object")),
        Err(_) => Err(Error::internal("cannot encode the response of the engine as JSON")),
    }
}
