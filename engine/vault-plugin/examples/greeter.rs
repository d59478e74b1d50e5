//! A small engine as a plugin: what the tests of the host's side start, and something to begin an engine of one's own with.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use vault_plugin::framework::{
    Context, Data, Engine, Field, Lease, LeasedSecret, ListResponse, NoFields, Path, SecretType, pattern,
};
use vault_plugin::logical::{Error, Operation, SpecialPaths};

/// What one mount keeps in memory.
#[derive(Default)]
struct Greeter;

#[derive(Deserialize, Serialize)]
struct Greeting {
    name: String,
    text: String,
}

#[derive(Deserialize)]
struct NameField {
    name: String,
}

fn main() -> Result<(), vault_plugin::ServeError> {
    vault_plugin::serve(engine)
}

fn engine() -> Engine<Greeter> {
    Engine::new(Greeter::default)
        .description("Greets people.")
        .version("1.2.3")
        .special_paths(SpecialPaths { root: vec!["errors/*".to_owned()], ..SpecialPaths::default() })
        .path(
            Path::new("greetings/?$")
                .help("The greetings.", "Everybody to whom there is something to say.")
                .on(Operation::List, "Name everybody.", list),
        )
        .path(
            Path::new(format!("greetings/{}", pattern::generic_name("name")))
                .help("A greeting.", "What to say to somebody.")
                .field("name", Field::string().describe("Whom to greet."))
                .field("text", Field::string().describe("What to say.").default("hello"))
                .field("password", Field::string().describe("By which the greeting is known.").sensitive())
                .existence_check(exists)
                .on(Operation::Create, "Store a greeting.", write)
                .on(Operation::Update, "Change a greeting.", write)
                .on(Operation::Read, "Read a greeting.", read)
                .on(Operation::Delete, "Forget a greeting.", delete),
        )
        .path(
            Path::new(format!("issue/{}", pattern::generic_name("name"))).field("name", Field::string()).on(
                Operation::Read,
                "Lease a greeting.",
                issue,
            ),
        )
        .path(
            Path::new(format!("errors/{}", pattern::generic_name("name")))
                .field("name", Field::string().describe("The kind of error."))
                .on(Operation::Read, "Fail.", fail),
        )
        .secret(SecretType::new("greeting").on_revoke(revoke))
}

async fn list(cx: Context<Greeter>, _: NoFields) -> Result<ListResponse, Error> {
    Ok(ListResponse(cx.storage().list("greetings/").await?))
}

async fn exists(cx: Context<Greeter>, wanted: NameField) -> Result<bool, Error> {
    Ok(cx.storage().get(&key(&wanted.name)).await?.is_some())
}

async fn write(cx: Context<Greeter>, greeting: Greeting) -> Result<(), Error> {
    cx.logger().with("name", greeting.name.as_str()).info("greeting stored");
    Ok(cx.storage().write(&key(&greeting.name), &greeting).await?)
}

async fn read(cx: Context<Greeter>, wanted: NameField) -> Result<Option<Data<Greeting>>, Error> {
    Ok(cx.storage().read(&key(&wanted.name)).await?.map(Data))
}

async fn delete(cx: Context<Greeter>, wanted: NameField) -> Result<(), Error> {
    Ok(cx.storage().delete(&key(&wanted.name)).await?)
}

async fn issue(cx: Context<Greeter>, wanted: NameField) -> Result<LeasedSecret, Error> {
    cx.require_writable().await?;
    let found: Option<Greeting> = cx.storage().read(&key(&wanted.name)).await?;
    let greeting = found.ok_or_else(|| Error::invalid("nobody of that name"))?;
    let lease = Lease { ttl: Duration::from_secs(60), max_ttl: Duration::ZERO };
    Ok(LeasedSecret::new("greeting", &greeting, &greeting, lease))
}

async fn revoke(cx: Context<Greeter>, greeting: Greeting) -> Result<(), Error> {
    cx.logger().info(format!("no longer greeting {}", greeting.name));
    Ok(())
}

async fn fail(_cx: Context<Greeter>, wanted: NameField) -> Result<(), Error> {
    Err(match wanted.name.as_str() {
        "denied" => Error::PermissionDenied,
        "coded" => Error::Coded { status: 418, message: "a teapot".to_owned() },
        "unrecoverable" => Error::Unrecoverable,
        "invalid" => Error::invalid("wrong input"),
        _ => Error::internal("it broke"),
    })
}

fn key(name: &str) -> String {
    format!("greetings/{name}")
}
