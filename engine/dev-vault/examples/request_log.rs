//! A secrets engine, or an auth method, that logs every request it receives. The differential test with a real Vault runs it on both hosts.

use std::fs::File;
use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};
use vault_plugin::framework::{
    Context, Data, Engine, Field, Lease, LeasedSecret, Login, NoFields, Path, SecretType, TokenLifetime,
};
use vault_plugin::logical::{Error, Operation, Request, SpecialPaths, SystemViewError};

/// Environment variable with the path of the log file, to which each request appends one line of JSON.
const FILE: &str = "REQUEST_LOG";

/// Environment variable that makes it an auth method.
const AUTH_METHOD: &str = "REQUEST_LOG_AUTH";

fn main() -> Result<(), vault_plugin::ServeError> {
    vault_plugin::serve(engine)
}

fn engine() -> Engine<()> {
    let special = SpecialPaths {
        root: vec!["guarded".to_owned()],
        unauthenticated: vec!["open".to_owned(), "login".to_owned()],
        ..SpecialPaths::default()
    };
    let paths = ["plain", "guarded", "open"].map(|name| {
        Path::new(name)
            .field("text", Field::string())
            .existence_check(exists)
            .on(Operation::Read, "Log the request.", log)
            .on(Operation::Update, "Log the request.", log)
            .on(Operation::Create, "Log the request.", log)
            .on(Operation::Delete, "Log the request.", log)
    });
    let engine = if std::env::var_os(AUTH_METHOD).is_some() {
        Engine::auth_method(|| ())
            .path(Path::new("login").field("text", Field::string()).on(Operation::Update, "Log in.", log_in))
            .on_login_renew(renew_login)
    } else {
        Engine::new(|| ())
    };
    let engine = engine
        .version("1.0.0")
        .special_paths(special)
        .path(Path::new("lease").on(Operation::Read, "Issue a lease.", issue))
        .path(Path::new("system").on(Operation::Read, "Show the system view of the host.", system))
        .secret(SecretType::new("logged").on_renew(renew).on_revoke(revoke))
        .periodic(|cx| async move { append_request(&cx).await });
    paths.into_iter().fold(engine, Engine::path)
}

async fn exists(cx: Context<()>, _: NoFields) -> Result<bool, Error> {
    append_request(&cx).await?;
    Ok(false)
}

async fn log(cx: Context<()>, _: NoFields) -> Result<(), Error> {
    append_request(&cx).await
}

async fn issue(cx: Context<()>, _: NoFields) -> Result<LeasedSecret, Error> {
    append_request(&cx).await?;
    let lease = Lease { ttl: Duration::from_hours(1), max_ttl: Duration::from_hours(2) };
    Ok(LeasedSecret::new("logged", json!({"shown": "text"}), json!({"kept": "text"}), lease))
}

async fn renew(cx: Context<()>, _: Value) -> Result<Lease, Error> {
    append_request(&cx).await?;
    Ok(Lease { ttl: Duration::from_hours(1), max_ttl: Duration::from_hours(2) })
}

async fn revoke(cx: Context<()>, _: Value) -> Result<(), Error> {
    append_request(&cx).await
}

async fn log_in(cx: Context<()>, _: NoFields) -> Result<Login, Error> {
    append_request(&cx).await?;
    let lifetime = TokenLifetime { ttl: Duration::from_hours(1), ..TokenLifetime::default() };
    Ok(Login::new("ann")
        .policies(["user"])
        .lifetime(lifetime)
        .metadata("shown", "text")
        .group("staff")
        .internal(json!({"kept": "text"})))
}

async fn renew_login(cx: Context<()>, _: Value) -> Result<TokenLifetime, Error> {
    append_request(&cx).await?;
    Ok(TokenLifetime { ttl: Duration::from_hours(1), ..TokenLifetime::default() })
}

async fn system(cx: Context<()>, _: NoFields) -> Result<Data<Value>, Error> {
    let (host, host_error) = (cx.system(), |error: SystemViewError| Error::internal(error.to_string()));
    let environment = host.plugin_env().await.map_err(host_error)?;
    Ok(Data(json!({
        "default_lease_ttl": host.default_lease_ttl().await.map_err(host_error)?.as_secs(),
        "max_lease_ttl": host.max_lease_ttl().await.map_err(host_error)?.as_secs(),
        "tainted": host.tainted().await.map_err(host_error)?,
        "caching_disabled": host.caching_disabled().await.map_err(host_error)?,
        "replication_state": format!("{:?}", host.replication_state().await.map_err(host_error)?),
        "local_mount": host.local_mount().await.map_err(host_error)?,
        "environment": format!("{environment:?}"),
        "by_policy": host.generate_password("four").await.ok().map(|password| password.expose().to_owned()),
        "password": host.generate_password("unknown").await.err().map(|error| error.to_string()),
        "entity": host.entity("unknown").await.map(|entity| entity.is_some()).map_err(|error| error.to_string()),
        "groups": host.groups_of_entity("unknown").await.map(|groups| groups.len()).map_err(|error| error.to_string()),
        "cluster": host.cluster().await.map(|cluster| format!("{cluster:?}")).map_err(|error| error.to_string()),
        "mlock": host.mlock_enabled().await.map_err(|error| error.to_string()),
    })))
}

async fn append_request(cx: &Context<()>) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::internal(error.to_string());
    let Some(path) = std::env::var_os(FILE) else { return Ok(()) };
    let mut line = describe(cx.request());
    line["tainted"] = json!(cx.system().tainted().await.map_err(|error| error.to_string()));
    let mut file = File::options().create(true).append(true).open(path).map_err(failed)?;
    file.write_all(format!("{line}\n").as_bytes()).map_err(failed)
}

fn describe(request: &Request) -> Value {
    let secret = request.secret.as_ref().map(|secret| {
        json!({
            "ttl": secret.lease.ttl.as_secs(),
            "max_ttl": secret.lease.max_ttl.as_secs(),
            "renewable": secret.lease.renewable,
            "increment": secret.lease.increment.as_secs(),
            "has_issue_time": secret.lease.issue_time.is_some(),
            "internal_data": secret.internal_data,
            "lease_id": secret.lease_id,
        })
    });
    let auth = request.auth.as_ref().map(|auth| {
        json!({
            "ttl": auth.lease.ttl.as_secs(),
            "max_ttl": auth.lease.max_ttl.as_secs(),
            "renewable": auth.lease.renewable,
            "increment": auth.lease.increment.as_secs(),
            "has_issue_time": auth.lease.issue_time.is_some(),
            "internal_data": auth.internal_data,
            "display_name": auth.display_name,
            "policies": auth.policies,
            "token_policies": auth.token_policies,
            "identity_policies": auth.identity_policies,
            "metadata": auth.metadata,
            "period": auth.period.as_secs(),
            "explicit_max_ttl": auth.explicit_max_ttl.as_secs(),
            "num_uses": auth.num_uses,
            "token_type": auth.token_type.as_str(),
            "bound_cidrs": auth.bound_cidrs,
            "alias": auth.alias.as_ref().map(|alias| [&alias.name, &alias.mount_type, &alias.mount_accessor]),
            "groups": auth.group_aliases.iter().map(|alias| [&alias.name, &alias.mount_accessor]).collect::<Vec<_>>(),
            "client_token": auth.client_token.expose().len(),
            "accessor": auth.accessor.len(),
            "entity_id": auth.entity_id,
        })
    });
    let connection = request.connection.as_ref().map(|connection| {
        json!({
            "remote_addr": connection.remote_addr,
            "remote_port": connection.remote_port,
            "certificates": connection.peer_certificates.len(),
        })
    });
    json!({
        "operation": request.operation.as_str(),
        "path": request.path,
        "data": request.data,
        "secret": secret,
        "auth": auth,
        "headers": request.headers,
        // These fields are random or hashed, so only their length can be compared.
        "id": request.id.len(),
        "client_token": request.client_token.len(),
        "client_token_accessor": request.client_token_accessor.len(),
        "display_name": request.display_name,
        "mount_point": request.mount_point,
        "mount_type": request.mount_type,
        "mount_accessor": request.mount_accessor,
        "wrap_ttl": request.wrap_info.as_ref().map(|wrap| wrap.ttl.as_secs()),
        "entity_id": request.entity_id,
        "policy_override": request.policy_override,
        "unauthenticated": request.unauthenticated,
        "connection": connection,
    })
}
