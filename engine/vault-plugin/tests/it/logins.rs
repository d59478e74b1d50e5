//! Auth methods: the settings of roles, logins and renewals.

use harness::Program;
use harness::build::{go_driver, prebuilt_example};
use serde_json::{Value, json};
use vault_plugin::framework::{BuildError, Context, Engine, Login, NoFields, Path, TokenLifetime};
use vault_plugin::logical::{Error, Operation};
use vault_plugin::testing::TestMount;

/// Compares with Go's own helpers for tokens on the same fields.
#[tokio::test]
async fn a_login_equals_one_of_gos_helpers_for_the_official_client() {
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
async fn a_login_is_renewable_only_with_a_renew_handler() {
    let mount = TestMount::new(with_login(Engine::auth_method(|| ()))).await.unwrap();
    let response = mount.login("login", json!({})).await.unwrap().unwrap();
    assert!(!response.auth.as_ref().unwrap().lease.renewable);
    let renewed = mount.renew(&response).await.unwrap().unwrap();
    assert_eq!(renewed.error_text(), Some("this auth type doesn't support renew"));

    let renew = |_: Context<()>, _: Value| async { Ok(TokenLifetime::default()) };
    let mount = TestMount::new(with_login(Engine::auth_method(|| ())).on_login_renew(renew)).await.unwrap();
    assert!(mount.login("login", json!({})).await.unwrap().unwrap().auth.unwrap().lease.renewable);
}

#[tokio::test]
async fn a_renewal_with_unreadable_data_of_an_older_version_is_an_error() {
    let renew = |_: Context<()>, _: Vec<String>| async { Ok(TokenLifetime::default()) };
    let mount = TestMount::new(with_login(Engine::auth_method(|| ())).on_login_renew(renew)).await.unwrap();
    let response = mount.login("login", json!({})).await.unwrap().unwrap();
    let error = mount.renew(&response).await.unwrap_err().to_string();
    assert!(error.contains("internal data that this version cannot read"), "{error}");
}

#[tokio::test]
async fn a_secrets_engine_has_no_logins() {
    let mount = TestMount::new(with_login(Engine::new(|| ()))).await.unwrap();
    let error = mount.login("login", json!({})).await.unwrap_err().to_string();
    assert!(error.contains("only an auth method can"), "{error}");

    let renew = |_: Context<()>, _: Value| async { Ok(TokenLifetime::default()) };
    let result = Engine::new(|| ()).on_login_renew(renew).build();
    assert!(matches!(result, Err(BuildError::LoginRenewOnSecretsEngine)));
}
