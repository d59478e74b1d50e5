//! A small example engine. Used by the tests of the host side, and a template for new engines.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use vault_plugin::framework::{
    Context, Data, Engine, Field, Lease, LeasedSecret, ListResponse, NoFields, Path, SecretType, pattern,
};
use vault_plugin::logical::{Error, Operation, SpecialPaths};

/// The in-memory state of one mount.
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
        .path(Path::new("greetings/?$").help("The greetings.", "Lists the names of all greetings.").on(
            Operation::List,
            "List the greetings.",
            list,
        ))
        .path(
            Path::new(format!("greetings/{}", pattern::generic_name("name")))
                .help("A greeting.", "Manages stored greetings.")
                .field("name", Field::string().describe("Name of the person."))
                .field("text", Field::string().describe("Text of the greeting.").default("hello"))
                .field("password", Field::string().describe("Password of the greeting.").sensitive())
                .existence_check(exists)
                .on(Operation::Create, "Store a greeting.", write)
                .on(Operation::Update, "Change a greeting.", write)
                .on(Operation::Read, "Read a greeting.", read)
                .on(Operation::Delete, "Delete a greeting.", delete),
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

async fn exists(cx: Context<Greeter>, params: NameField) -> Result<bool, Error> {
    Ok(cx.storage().get(&key(&params.name)).await?.is_some())
}

async fn write(cx: Context<Greeter>, greeting: Greeting) -> Result<(), Error> {
    cx.logger().with("name", greeting.name.as_str()).info("greeting stored");
    Ok(cx.storage().write(&key(&greeting.name), &greeting).await?)
}

async fn read(cx: Context<Greeter>, params: NameField) -> Result<Option<Data<Greeting>>, Error> {
    Ok(cx.storage().read(&key(&params.name)).await?.map(Data))
}

async fn delete(cx: Context<Greeter>, params: NameField) -> Result<(), Error> {
    Ok(cx.storage().delete(&key(&params.name)).await?)
}

async fn issue(cx: Context<Greeter>, params: NameField) -> Result<LeasedSecret, Error> {
    cx.require_writable().await?;
    let found: Option<Greeting> = cx.storage().read(&key(&params.name)).await?;
    let greeting = found.ok_or_else(|| Error::invalid("no such greeting"))?;
    let lease = Lease { ttl: Duration::from_secs(60), max_ttl: Duration::ZERO };
    Ok(LeasedSecret::new("greeting", &greeting, &greeting, lease))
}

async fn revoke(cx: Context<Greeter>, greeting: Greeting) -> Result<(), Error> {
    cx.logger().info(format!("no longer greeting {}", greeting.name));
    Ok(())
}

async fn fail(_cx: Context<Greeter>, params: NameField) -> Result<(), Error> {
    Err(match params.name.as_str() {
        "denied" => Error::PermissionDenied,
        "coded" => Error::Coded { status: 418, message: "a teapot".to_owned() },
        "unrecoverable" => Error::Unrecoverable,
        "invalid" => Error::invalid("invalid input"),
        _ => Error::internal("internal failure"),
    })
}

fn key(name: &str) -> String {
    format!("greetings/{name}")
}
