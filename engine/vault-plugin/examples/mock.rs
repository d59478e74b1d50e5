//! The counterpart of the mock plugin of the Go SDK's own tests. The conformance tests send the same requests to both.

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use vault_plugin::framework::{
    Context, Data, Engine, Field, ListResponse, NoFields, Path, RawResponse, pattern,
};
use vault_plugin::logical::{Error, Operation, SpecialPaths, StorageEntry};

/// A value in memory until it is invalidated.
struct Mock(Mutex<String>);

fn main() -> Result<(), vault_plugin::ServeError> {
    vault_plugin::serve(engine)
}

fn engine() -> Engine<Mock> {
    let special = SpecialPaths {
        unauthenticated: vec!["special".to_owned()],
        allow_snapshot_read: vec!["kv/*".to_owned(), "kv".to_owned()],
        ..SpecialPaths::default()
    };
    Engine::new(|| Mock(Mutex::new("bar".to_owned())))
        .version(std::env::var("MOCK_PLUGIN_VERSION").unwrap_or_else(|_| "v0.0.0+mock".to_owned()))
        .special_paths(special)
        .path(Path::new("errors/(?:rpc|kill)").on(Operation::Read, "Fail.", shut_down))
        .path(Path::new("errors/type").field("err_type", Field::int()).on(Operation::Update, "Fail.", fail))
        .path(Path::new("kv/?").on(Operation::List, "List the keys.", list))
        .path(
            Path::new(format!("kv/{}", pattern::generic_name("key")))
                .field("key", Field::string())
                .field("value", Field::string())
                .field("version", Field::int())
                .existence_check(exists)
                .on(Operation::Create, "Store a value.", write)
                .on(Operation::Update, "Store a value.", write)
                .on(Operation::Read, "Read a value.", read)
                .on(Operation::Delete, "Delete a value.", delete),
        )
        .path(
            Path::new("internal")
                .field("value", Field::string())
                .on(Operation::Update, "Set the value in memory.", set_internal)
                .on(Operation::Read, "Read the value in memory.", read_internal),
        )
        .path(Path::new("special").on(Operation::Read, "Respond without a token.", special_read))
        .path(Path::new("raw").on(Operation::Read, "Respond with plain text.", raw))
        .path(Path::new(format!("env/{}", pattern::generic_name("key"))).field("key", Field::string()).on(
            Operation::Read,
            "Read a variable of the environment.",
            environment,
        ))
        .on_rotate(rotate)
        .on_invalidate(|mock, key| {
            if key == "internal" {
                mock.set(String::new());
            }
        })
}

impl Mock {
    fn set(&self, value: String) {
        *self.0.lock() = value;
    }
}

#[derive(Deserialize)]
struct KeyField {
    key: String,
}

#[derive(Deserialize, Serialize)]
struct Value {
    #[serde(default)]
    value: String,
}

#[derive(Serialize)]
struct Versioned {
    value: String,
    version: i64,
}

#[derive(Deserialize)]
struct VersionField {
    #[serde(default)]
    version: i64,
}

#[derive(Deserialize)]
struct Failure {
    err_type: Option<i64>,
}

async fn shut_down(_: Context<Mock>, _: NoFields) -> Result<(), Error> {
    Err(Error::internal("connection is shut down"))
}

async fn fail(_: Context<Mock>, failure: Failure) -> Result<(), Error> {
    let text = || "test".to_owned();
    // The numbers are those of the wire format.
    Err(match failure.err_type {
        None => Error::internal("connection is shut down"),
        Some(1) => Error::User(text()),
        Some(3) => Error::Coded { status: 403, message: text() },
        Some(4) => Error::BadRequest(text()),
        Some(5) => Error::UnsupportedOperation,
        Some(6) => Error::UnsupportedPath,
        Some(7) => Error::InvalidRequest,
        Some(8) => Error::PermissionDenied,
        Some(10) => Error::Unrecoverable,
        Some(_) => Error::internal(text()),
    })
}

async fn list(cx: Context<Mock>, _: NoFields) -> Result<ListResponse, Error> {
    Ok(ListResponse(cx.storage().list("kv/").await?))
}

async fn exists(cx: Context<Mock>, _: KeyField) -> Result<bool, Error> {
    Ok(cx.storage().get(&cx.request().path).await?.is_some())
}

async fn write(cx: Context<Mock>, fields: Value) -> Result<Data<Value>, Error> {
    let key = cx.request().path.clone();
    cx.logger().with("key", key.as_str()).info("storing value");
    let value = fields.value.clone().into_bytes();
    cx.storage().put(StorageEntry { key, value, seal_wrap: false }).await?;
    Ok(Data(fields))
}

async fn read(cx: Context<Mock>, params: VersionField) -> Result<Option<Data<Versioned>>, Error> {
    let Some(entry) = cx.storage().get(&cx.request().path).await? else { return Ok(None) };
    let value = String::from_utf8_lossy(&entry.value).into_owned();
    Ok(Some(Data(Versioned { value, version: params.version })))
}

async fn delete(cx: Context<Mock>, _: KeyField) -> Result<(), Error> {
    Ok(cx.storage().delete(&cx.request().path).await?)
}

async fn set_internal(cx: Context<Mock>, fields: Value) -> Result<(), Error> {
    cx.state().set(fields.value);
    Ok(())
}

async fn read_internal(cx: Context<Mock>, _: NoFields) -> Result<Data<Value>, Error> {
    let value = cx.state().0.lock().clone();
    Ok(Data(Value { value }))
}

async fn special_read(_: Context<Mock>, _: NoFields) -> Result<Data<serde_json::Value>, Error> {
    Ok(Data(serde_json::json!({"data": "foo"})))
}

async fn raw(_: Context<Mock>, _: NoFields) -> Result<RawResponse, Error> {
    Ok(RawResponse { content_type: "text/plain".to_owned(), ..RawResponse::new(200, "Response") })
}

async fn environment(_: Context<Mock>, params: KeyField) -> Result<Data<serde_json::Value>, Error> {
    Ok(Data(serde_json::json!({"key": std::env::var(&params.key).unwrap_or_default()})))
}

async fn rotate(cx: Context<Mock>) -> Result<(), Error> {
    cx.logger().debug("rotating");
    Ok(())
}
