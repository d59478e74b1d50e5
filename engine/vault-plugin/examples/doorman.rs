//! An auth method as a plugin: an operator hands out tickets, and each lets its holder in once. What the tests of logins
//! start, and something to begin an auth method of one's own with.

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use vault_plugin::framework::{
    AliasName, Context, Data, Engine, Field, Login, Path, ResolvedRole, TokenFields, TokenLifetime,
    TokenSettings, pattern,
};
use vault_plugin::logical::{Error, Operation};

/// What one mount keeps in memory.
#[derive(Default)]
struct Doorman {
    /// Held while a ticket is taken, so that it lets nobody else in.
    ticket_lock: Mutex<()>,
}

#[derive(Default, Deserialize, Serialize)]
struct Role {
    #[serde(flatten)]
    token: TokenSettings,
}

/// Who a ticket is for. Kept under the hash of the ticket, which is known to its holder alone.
#[derive(Deserialize, Serialize)]
struct Guest {
    name: String,
    role: String,
}

fn main() -> Result<(), vault_plugin::ServeError> {
    vault_plugin::serve(engine)
}

fn engine() -> Engine<Doorman> {
    Engine::auth_method(Doorman::default)
        .description("Lets holders of tickets in, once each.")
        .version("1.0.0")
        .unauthenticated_path("login")
        .seal_wrap("tickets/")
        .path(
            Path::new(format!("roles/{}", pattern::generic_name("name")))
                .help("A role.", "What tokens its guests get.")
                .field("name", Field::string().describe("Name of the role."))
                .token_fields()
                .on(Operation::Update, "Store a role.", write_role)
                .on(Operation::Read, "Read a role.", read_role)
                .on(
                    Operation::Delete,
                    "Delete a role. Its guests cannot renew their tokens any more.",
                    delete_role,
                ),
        )
        .path(
            Path::new(format!("tickets/{}", pattern::generic_name("role")))
                .help("A new ticket.", "It lets its holder in once.")
                .field("role", Field::string().describe("The role of the guest."))
                .field("name", Field::string().describe("Who the guest is.").required())
                .on(Operation::Update, "Hand out a ticket.", issue_ticket),
        )
        .path(
            Path::new("login")
                .help("The door.", "A ticket is taken, and a token given for it.")
                .field("ticket", Field::string().describe("The ticket.").required().sensitive())
                .on(Operation::Update, "Log in with a ticket.", login)
                .on(Operation::AliasLookahead, "Tell whose the ticket is.", alias_lookahead)
                .on(Operation::ResolveRole, "Tell the role of the ticket.", resolve_role),
        )
        .on_login_renew(renew)
}

#[derive(Deserialize)]
struct NameField {
    name: String,
}

#[derive(Deserialize)]
struct RoleFields {
    name: String,
    #[serde(flatten)]
    token: TokenFields,
}

fn role_key(name: &str) -> String {
    format!("roles/{name}")
}

async fn role(cx: &Context<Doorman>, name: &str) -> Result<Option<Role>, Error> {
    Ok(cx.storage().read(&role_key(name)).await?)
}

async fn write_role(cx: Context<Doorman>, given: RoleFields) -> Result<(), Error> {
    let mut role = role(&cx, &given.name).await?.unwrap_or_default();
    role.token.update(given.token)?;
    Ok(cx.storage().write(&role_key(&given.name), &role).await?)
}

async fn read_role(cx: Context<Doorman>, wanted: NameField) -> Result<Option<Data<Role>>, Error> {
    Ok(role(&cx, &wanted.name).await?.map(Data))
}

async fn delete_role(cx: Context<Doorman>, unwanted: NameField) -> Result<(), Error> {
    Ok(cx.storage().delete(&role_key(&unwanted.name)).await?)
}

async fn issue_ticket(cx: Context<Doorman>, guest: Guest) -> Result<Data<serde_json::Value>, Error> {
    if role(&cx, &guest.role).await?.is_none() {
        return Err(Error::invalid(format!("there is no role {:?}", guest.role)));
    }
    let ticket = HEXLOWER.encode(&rand::random::<[u8; 32]>());
    cx.storage().write(&ticket_key(&ticket), &guest).await?;
    Ok(Data(json!({"ticket": ticket})))
}

#[derive(Deserialize)]
struct TicketFields {
    ticket: String,
}

/// A ticket is 32 random bytes: nobody finds it from its hash.
fn ticket_key(ticket: &str) -> String {
    format!("tickets/{}", HEXLOWER.encode(&Sha256::digest(ticket)))
}

async fn guest(cx: &Context<Doorman>, held: &TicketFields) -> Result<Guest, Error> {
    cx.storage().read(&ticket_key(&held.ticket)).await?.ok_or(Error::PermissionDenied)
}

async fn login(cx: Context<Doorman>, held: TicketFields) -> Result<Login, Error> {
    cx.require_writable().await?;
    let _taking = cx.state().ticket_lock.lock().await;
    let guest = guest(&cx, &held).await?;
    let role = role(&cx, &guest.role).await?.ok_or(Error::PermissionDenied)?;
    if !role.token.allows_source(cx.request()) {
        return Err(Error::PermissionDenied);
    }
    cx.storage().delete(&ticket_key(&held.ticket)).await?;
    Ok(Login::new(&guest.name).settings(&role.token).metadata("role", &guest.role).internal(guest))
}

async fn alias_lookahead(cx: Context<Doorman>, held: TicketFields) -> Result<AliasName, Error> {
    Ok(AliasName(guest(&cx, &held).await?.name))
}

async fn resolve_role(cx: Context<Doorman>, held: TicketFields) -> Result<ResolvedRole, Error> {
    Ok(ResolvedRole(guest(&cx, &held).await?.role))
}

async fn renew(cx: Context<Doorman>, guest: Guest) -> Result<TokenLifetime, Error> {
    let role = role(&cx, &guest.role).await?.ok_or_else(|| Error::invalid("the role is gone"))?;
    let held = cx.request().auth.as_ref().is_some_and(|auth| role.token.has_same_policies(auth));
    if !held {
        return Err(Error::invalid("the policies of the role have changed: log in again"));
    }
    Ok(role.token.lifetime())
}
