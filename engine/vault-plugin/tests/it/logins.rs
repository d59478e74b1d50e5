//! Auth methods: what their roles take, what their logins say and what their renewals keep.

use harness::Program;
use harness::build::{go_driver, prebuilt_example};
use serde_json::{Value, json};
use vault_plugin::framework::{BuildError, Context, Engine, Login, NoFields, Path, TokenLifetime};
use vault_plugin::logical::{Error, Operation};
use vault_plugin::testing::TestMount;

/// Go's own helpers for tokens are given the same fields.
#[tokio::test]
async fn the_official_client_finds_a_login_as_gos_helpers_would_have_made_it() {
    let doorman = prebuilt_example("doorman");
    Program::new(go_driver().await).run(["logins".as_ref(), doorman.as_os_str()]).await.success();
}

async fn login(_: Context<()>, _: NoFields) -> Result<Login, Error> {
    Ok(Login::new("ann").internal(json!({"badge": 7})))
}

fn with_login(engine: Engine<()>) -> Engine<()> {
    engine.unauthenticated_path("login").path(Path::new("login").on(Operation::Update, "Log in.", login))
}

#[tokio::test]
async fn a_login_is_renewable_only_where_something_renews_it() {
    let mount = TestMount::new(with_login(Engine::auth_method(|| ()))).await.unwrap();
    let answer = mount.login("login", json!({})).await.unwrap().unwrap();
    assert!(!answer.auth.as_ref().unwrap().lease.renewable);
    let renewed = mount.renew(&answer).await.unwrap().unwrap();
    assert_eq!(renewed.error_text(), Some("this auth type doesn't support renew"));

    let renew = |_: Context<()>, _: Value| async { Ok(TokenLifetime::default()) };
    let mount = TestMount::new(with_login(Engine::auth_method(|| ())).on_login_renew(renew)).await.unwrap();
    assert!(mount.login("login", json!({})).await.unwrap().unwrap().auth.unwrap().lease.renewable);
}

#[tokio::test]
async fn a_renewal_that_cannot_read_what_an_older_version_kept_says_so() {
    let renew = |_: Context<()>, _: Vec<String>| async { Ok(TokenLifetime::default()) };
    let mount = TestMount::new(with_login(Engine::auth_method(|| ())).on_login_renew(renew)).await.unwrap();
    let answer = mount.login("login", json!({})).await.unwrap().unwrap();
    let error = mount.renew(&answer).await.unwrap_err().to_string();
    assert!(error.contains("internal data that this version cannot read"), "{error}");
}

#[tokio::test]
async fn a_secrets_engine_has_no_logins() {
    let mount = TestMount::new(with_login(Engine::new(|| ()))).await.unwrap();
    let error = mount.login("login", json!({})).await.unwrap_err().to_string();
    assert!(error.contains("which only an auth method can"), "{error}");

    let renew = |_: Context<()>, _: Value| async { Ok(TokenLifetime::default()) };
    let refused = Engine::new(|| ()).on_login_renew(renew).build();
    assert!(matches!(refused, Err(BuildError::LoginRenewOnSecretsEngine)));
}
