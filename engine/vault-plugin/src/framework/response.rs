//! What handlers may return.

mod raw_response;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::raw_response::RawResponse;
pub(crate) use self::raw_response::with_status;
use crate::logical::{Error, Map, Response};

/// Something that is an answer, or the absence of one.
///
/// ```
/// use serde_json::{Value, json};
/// use vault_plugin::framework::{Data, IntoResponse, RawResponse};
/// use vault_plugin::logical::{Error, Response};
///
/// /// What a handler returns that has two kinds of answers.
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
    /// The answer; `None` is no content, which for a read is 404.
    ///
    /// # Errors
    /// Fails when the data has no JSON form.
    fn into_response(self) -> Result<Option<Response>, Error>;
}

/// The fields of a path whose handler needs none.
///
/// ```
/// # use vault_plugin::framework::{Context, Data, Engine, NoFields, Path};
/// # use vault_plugin::{logical::{Error, Operation}, testing::TestMount};
/// async fn status(_: Context<()>, _: NoFields) -> Result<Data<serde_json::Value>, Error> {
///     Ok(Data(serde_json::json!({"healthy": true})))
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let path = Path::new("status").on(Operation::Read, "Tell how it goes.", status);
/// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
/// assert_eq!(mount.read("status").await?.unwrap().data.unwrap()["healthy"], true);
/// # Ok(()) }
/// ```
#[derive(Debug, Deserialize)]
pub struct NoFields {}

/// Data for the caller: anything that serialises to a JSON object.
///
/// ```
/// # use vault_plugin::{framework::{Data, IntoResponse}, logical::Error};
/// #[derive(serde::Serialize)]
/// struct Role {
///     ttl: u64,
/// }
///
/// let answer = Data(Role { ttl: 3600 }).into_response()?;
/// assert_eq!(answer.unwrap().data.unwrap()["ttl"], 3600);
/// // A number alone is no object.
/// assert!(Data(3600).into_response().is_err());
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct Data<T>(pub T);

/// The names that a list answers with.
///
/// ```
/// # use {serde_json::json, vault_plugin::{framework::{IntoResponse, ListResponse}, logical::Error}};
/// let answer = ListResponse(vec!["blue".to_owned(), "green".to_owned()]).into_response()?.unwrap();
/// assert_eq!(json!(answer.data), json!({"keys": ["blue", "green"]}));
/// // Without `keys` a host answers 404.
/// assert_eq!(json!(ListResponse(Vec::new()).into_response()?.unwrap().data), json!({}));
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct ListResponse(pub Vec<String>);

/// The names that a list answers with, and what there is to say of each.
///
/// ```
/// # use {serde_json::json, vault_plugin::{framework::{IntoResponse, ListWithInfo}, logical::Error}};
/// let answer = ListWithInfo(vec![("blue".to_owned(), json!({"ttl": 60}))]).into_response()?.unwrap();
/// assert_eq!(json!(answer.data), json!({"keys": ["blue"], "key_info": {"blue": {"ttl": 60}}}));
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
        for (name, about) in self.0 {
            info.insert(name.clone(), Value::Object(to_object(about)?));
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
        Ok(_) => Err(Error::internal("the engine answered with something that is not a JSON object")),
        Err(_) => Err(Error::internal("the engine answered with something that has no JSON form")),
    }
}
