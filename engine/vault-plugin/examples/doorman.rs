//! An example auth method: an operator issues tickets, and each ticket permits one login. Used by the tests of logins, and a template
//! for new auth methods.

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

/// The in-memory state of one mount.
#[derive(Default)]
struct Doorman {
    /// Held while a ticket is redeemed, so that it can be used only once.
    ticket_lock: Mutex<()>,
}

#[derive(Default, Deserialize, Serialize)]
struct Role {
    #[serde(flatten)]
    token: TokenSettings,
}

/// The holder of a ticket. Stored under the hash of the ticket.
#[derive(Deserialize, Serialize)]
struct Guest {
    name: String,
    role: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
}

/// The fields of a new ticket.
#[derive(Deserialize)]
struct NewTicket {
    #[serde(flatten)]
    guest: Guest,
    #[serde(default)]
    ticket: Option<String>,
}

fn main() -> Result<(), vault_plugin::ServeError> {
    vault_plugin::serve(engine)
}

fn engine() -> Engine<Doorman> {
    Engine::auth_method(Doorman::default)
        .description("Logs in holders of single-use tickets.")
        .version("1.0.0")
        .unauthenticated_path("login")
        .seal_wrap("tickets/")
        .path(
            Path::new(format!("roles/{}", pattern::generic_name("name")))
                .help("A role.", "Settings of the tokens of its guests.")
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
                .help("A new ticket.", "Creates a single-use ticket.")
                .field("role", Field::string().describe("Role of the guest."))
                .field("name", Field::string().describe("Name of the guest.").required())
                .field("groups", Field::comma_strings().describe("Groups of the guest."))
                .field("ticket", Field::string().describe("The ticket. By default it is random.").sensitive())
                .on(Operation::Update, "Issue a ticket.", issue_ticket),
        )
        .path(
            Path::new("login")
                .help("Log in.", "Redeems a ticket for a token.")
                .field("ticket", Field::string().describe("The ticket.").required().sensitive())
                .on(Operation::Update, "Log in with a ticket.", login)
                .on(Operation::AliasLookahead, "Return the alias of the ticket's holder.", alias_lookahead)
                .on(Operation::ResolveRole, "Return the role of the ticket.", resolve_role),
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

async fn write_role(cx: Context<Doorman>, fields: RoleFields) -> Result<(), Error> {
    let mut role = role(&cx, &fields.name).await?.unwrap_or_default();
    role.token.update(fields.token)?;
    Ok(cx.storage().write(&role_key(&fields.name), &role).await?)
}

async fn read_role(cx: Context<Doorman>, params: NameField) -> Result<Option<Data<Role>>, Error> {
    Ok(role(&cx, &params.name).await?.map(Data))
}

async fn delete_role(cx: Context<Doorman>, params: NameField) -> Result<(), Error> {
    Ok(cx.storage().delete(&role_key(&params.name)).await?)
}

async fn issue_ticket(cx: Context<Doorman>, new: NewTicket) -> Result<Data<serde_json::Value>, Error> {
    let NewTicket { guest, ticket } = new;
    if role(&cx, &guest.role).await?.is_none() {
        return Err(Error::invalid(format!("role {:?} does not exist", guest.role)));
    }
    let ticket = ticket.unwrap_or_else(|| HEXLOWER.encode(&rand::random::<[u8; 32]>()));
    cx.storage().write(&ticket_key(&ticket), &guest).await?;
    Ok(Data(json!({"ticket": ticket})))
}

#[derive(Deserialize)]
struct TicketFields {
    ticket: String,
}

/// Returns the storage key of a ticket. The ticket, 32 random bytes, cannot be derived from its hash.
fn ticket_key(ticket: &str) -> String {
    format!("tickets/{}", HEXLOWER.encode(&Sha256::digest(ticket)))
}

async fn guest(cx: &Context<Doorman>, ticket: &TicketFields) -> Result<Guest, Error> {
    cx.storage().read(&ticket_key(&ticket.ticket)).await?.ok_or(Error::PermissionDenied)
}

async fn login(cx: Context<Doorman>, ticket: TicketFields) -> Result<Login, Error> {
    cx.require_writable().await?;
    let _guard = cx.state().ticket_lock.lock().await;
    let guest = guest(&cx, &ticket).await?;
    let role = role(&cx, &guest.role).await?.ok_or(Error::PermissionDenied)?;
    if !role.token.allows_source(cx.request()) {
        return Err(Error::PermissionDenied);
    }
    cx.storage().delete(&ticket_key(&ticket.ticket)).await?;
    let login = Login::new(&guest.name).settings(&role.token).metadata("role", &guest.role);
    Ok(guest.groups.iter().fold(login, Login::group).internal(guest))
}

async fn alias_lookahead(cx: Context<Doorman>, ticket: TicketFields) -> Result<AliasName, Error> {
    Ok(AliasName(guest(&cx, &ticket).await?.name))
}

async fn resolve_role(cx: Context<Doorman>, ticket: TicketFields) -> Result<ResolvedRole, Error> {
    Ok(ResolvedRole(guest(&cx, &ticket).await?.role))
}

async fn renew(cx: Context<Doorman>, guest: Guest) -> Result<TokenLifetime, Error> {
    let role = role(&cx, &guest.role).await?.ok_or_else(|| Error::invalid("the role is gone"))?;
    let same_policies = cx.request().auth.as_ref().is_some_and(|auth| role.token.has_same_policies(auth));
    if !same_policies {
        return Err(Error::invalid("the policies of the role have changed: log in again"));
    }
    Ok(role.token.lifetime())
}
