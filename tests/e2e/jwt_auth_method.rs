//! An auth method that is not ours, HashiCorp's JWT auth method, is operated like every other plugin, while users log in.

use std::fs;
use std::path::{Path, PathBuf};

use harness::{ClientLoad, Credentials, JwtIssuer, Output, Product, VaultServer, build};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::killed_commands::kill_at_every_change;
use crate::operator::{Operator, findings, report_of};

const SERVERS: [Product; 2] = [Product::Vault, Product::OpenBao];

const NAME: &str = "jwt-x";
const OLD: &str = "0.25.0";
const NEW: &str = "0.26.0";

const MOUNT: &str = "auth/jwt/";
const LOGIN: &str = "auth/jwt/login";
const AUDIENCE: &str = "the-server";

#[tokio::test]
async fn a_go_auth_method_is_registered_with_its_configuration_and_operated_like_a_secrets_engine() {
    for product in SERVERS {
        let lab = JwtLab::start(product).await;
        let registered = lab.register(OLD).await.json();
        assert_eq!(registered["mounts"][MOUNT]["running_version"], "v0.25.0", "{registered}");
        let held = lab.log_in().await;
        assert_eq!(held["policies"], json!(["default", "reader"]), "{held}");
        let again = lab.operator.run(&["register", "-f", &lab.description(OLD).await, "--dry-run"]).await;
        assert_eq!(again.code, Some(0), "{again:?}");

        let upgraded = report_of(lab.upgrade().await);
        assert_eq!(upgraded["mounts"][MOUNT]["running_version"], "v0.26.0", "{upgraded}");
        assert_eq!(lab.tokens_of("probe").await, 0, "the tokens of the smoke tests are revoked");
        lab.log_in().await;

        let status = lab.operator.program.run(["status"]).await.success();
        assert!(status.contains(&format!("{NAME} (auth)")), "{status}");
        assert!(status.contains(&format!("v0.26.0: {MOUNT}")), "{status}");
        assert_eq!(lab.operator.doctor().await["findings"], json!([]));

        let rolled_back = report_of(lab.operator.run(&["rollback", NAME]).await);
        assert_eq!(rolled_back["mounts"][MOUNT]["running_version"], "v0.25.0", "{rolled_back}");
        lab.operator.run(&["reload", NAME]).await.success();
        lab.operator.run(&["reload", "--mount", MOUNT]).await.success();
        lab.log_in().await;

        lab.upgrade().await.success();
        let in_use = lab.operator.run(&["deregister", NAME, "--version", NEW]).await;
        assert!(in_use.stderr.contains(&format!("{MOUNT} runs it")), "{}", in_use.stderr);
        lab.operator.run(&["gc", "--keep", "0"]).await.success();
        assert!(!lab.operator.file(NAME, OLD).exists() && lab.operator.file(NAME, NEW).exists());
        lab.log_in().await;
    }
}

#[tokio::test]
async fn no_login_fails_while_a_go_auth_method_moves_on_and_back() {
    for product in SERVERS {
        let lab = JwtLab::start(product).await;
        lab.register(OLD).await.success();
        let data = json!({"role": "reader", "jwt": lab.issuer.sign("ann", AUDIENCE)});
        let users = ClientLoad::logins(&lab.server, LOGIN, Credentials::Data(data));
        users.wait_progress().await;
        lab.upgrade().await.success();
        users.wait_progress().await;
        lab.operator.run(&["rollback", NAME]).await.success();
        users.wait_progress().await;
        lab.operator.run(&["reload", NAME]).await.success();
        users.wait_progress().await;
        let report = users.stop().await;
        // See docs/limits.md.
        let lost_in_reload = ["no backend instance found"];
        report.assert_served(if product == Product::OpenBao { &lost_in_reload } else { &[] });
        report.assert_known(&lab.server, "auth/token/lookup", "token").await;
    }
}

#[tokio::test]
async fn the_logins_of_a_canary_mount_leave_no_entity() {
    for product in SERVERS {
        let lab = JwtLab::start(product).await;
        lab.register(OLD).await.success();
        let before = lab.entities().await;
        lab.upgrade().await.success();
        lab.operator.run(&["rollback", NAME]).await.success();
        lab.upgrade().await.success();
        assert_eq!(lab.entities().await, before, "{product:?}");
    }
}

#[tokio::test]
async fn a_login_that_the_new_version_refuses_leaves_the_old_one() {
    for product in SERVERS {
        let lab = JwtLab::start(product).await;
        lab.register(OLD).await.success();
        let new = build::go_jwt(&format!("v{NEW}")).await;
        let stranger = lab.file("stranger", &JwtIssuer::new().sign("probe", AUDIENCE));
        let smoke = format!("login:jwt=@{}", stranger.display());
        let line = ["upgrade", NAME, "--binary", new.to_str().unwrap(), "--smoke", "login:role=reader"];
        let failed = lab.operator.run(&[&line[..], &["--smoke", &smoke]].concat()).await;
        assert_eq!(failed.code, Some(4), "{failed:?}");
        assert!(failed.stderr.contains("could not log in at auth/jwt/login"), "{}", failed.stderr);
        assert_eq!(lab.running().await, "v0.25.0");
        assert!(!lab.operator.file(NAME, NEW).exists());
        lab.log_in().await;
    }
}

#[tokio::test]
async fn a_command_on_an_auth_method_that_is_killed_at_any_change_is_completed_by_the_next_run() {
    kill_commands_on(Product::Vault).await;
}

#[tokio::test]
async fn a_command_that_is_killed_at_any_change_is_completed_by_the_next_run_on_openbao() {
    kill_commands_on(Product::OpenBao).await;
}

async fn kill_commands_on(product: Product) {
    let lab = JwtLab::start(product).await;
    let (server, operator) = (&lab.server, &lab.operator);
    let (old, new) = (lab.description(OLD).await, lab.description(NEW).await);

    let register = ["register", "-f", &old];
    let restore = async || {
        lab.assert_runs(OLD).await;
        server.cli(["auth", "disable", "jwt"]).await.success();
        operator.run(&["deregister", NAME, "--version", OLD]).await.success();
    };
    let changes = kill_at_every_change(server, product, &register, restore).await;
    assert!(changes >= 5, "{changes}: the version, the mount, its configuration, its role, and a login");

    operator.run(&register).await.success();
    let upgrade = ["upgrade", "-f", &new];
    let rollback = ["rollback", NAME, "--version", OLD];
    let restore = async || {
        lab.assert_runs(NEW).await;
        operator.run(&rollback).await.success();
        operator.run(&["deregister", NAME, "--version", NEW]).await.success();
    };
    let changes = kill_at_every_change(server, product, &upgrade, restore).await;
    assert!(changes >= 9, "{changes}: the version, the canary mount with its login, the move, and a login");

    operator.run(&upgrade).await.success();
    let restore = async || {
        lab.assert_runs(OLD).await;
        operator.run(&["upgrade", "-f", &new, "--no-canary"]).await.success();
    };
    let changes = kill_at_every_change(server, product, &rollback, restore).await;
    assert!(changes >= 2, "{changes}: the move, and the reload");
}

#[tokio::test]
async fn doctor_finds_the_missing_file_and_the_missing_version_of_a_go_auth_method() {
    for product in SERVERS {
        let lab = JwtLab::start(product).await;
        lab.register(OLD).await.success();
        lab.upgrade().await.success();
        fs::remove_file(lab.operator.file(NAME, NEW)).unwrap();
        let report = lab.operator.doctor().await;
        assert_eq!(findings(&report), [("VTP-301", "breaks_at_restart")], "{report}");
        let entry = format!("sys/plugins/catalog/auth/{NAME}?version=v{NEW}");
        lab.server.request("DELETE", &entry, None).await.success();
        let report = lab.operator.doctor().await;
        assert_eq!(findings(&report), [("VTP-501", "breaks_at_restart")], "{report}");
        assert_eq!(report["findings"][0]["subject"], MOUNT);
    }
}

/// A server, and an issuer of the tokens with which users log in.
struct JwtLab {
    server: VaultServer,
    operator: Operator,
    issuer: JwtIssuer,
    folder: TempDir,
}

impl JwtLab {
    async fn start(product: Product) -> JwtLab {
        let server = VaultServer::builder().product(product).start().await;
        let operator = Operator::of(&server);
        let lab = JwtLab { server, operator, issuer: JwtIssuer::new(), folder: tempfile::tempdir().unwrap() };
        lab.file("issuer.pem", &lab.issuer.public_key_pem());
        lab.file("probe", &lab.issuer.sign("probe", AUDIENCE));
        lab
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// Requires that the mount runs a version, that users can log in, and that there is no canary mount.
    async fn assert_runs(&self, version: &str) {
        assert_eq!(self.running().await, format!("v{version}"));
        self.log_in().await;
        let mounts = self.server.request("GET", "sys/auth", None).await.success();
        let paths: Vec<&String> = mounts["data"].as_object().unwrap().keys().collect();
        assert_eq!(paths, ["jwt/", "token/"]);
    }

    /// The `plugin.yaml` of a version, with the configuration of the mount, a role, and a login as a smoke test.
    async fn description(&self, version: &str) -> String {
        let binary = build::go_jwt(&format!("v{version}")).await;
        let content = format!(
            "plugin: {{name: {NAME}, type: auth, binary: {}}}\n\
             mounts:\n\
             - path: jwt\n  \
               write:\n    \
                 config: {{jwt_validation_pubkeys: {{file: ./issuer.pem}}}}\n    \
                 role/reader: {{role_type: jwt, user_claim: sub, bound_audiences: {AUDIENCE}, \
                 token_policies: reader, token_ttl: 1h}}\n  \
               smoke: {{path: login, data: {{role: reader, jwt: {{file: ./probe}}}}}}\n",
            Path::new(&binary).display(),
        );
        self.file(&format!("plugin-{version}.yaml"), &content).to_str().unwrap().to_owned()
    }

    async fn register(&self, version: &str) -> Output {
        self.operator.run(&["register", "-f", &self.description(version).await]).await
    }

    async fn upgrade(&self) -> Output {
        self.operator.run(&["upgrade", "-f", &self.description(NEW).await]).await
    }

    /// Logs in as a user, and returns what the server knows of the token.
    async fn log_in(&self) -> Value {
        let login = json!({"role": "reader", "jwt": self.issuer.sign("ann", AUDIENCE)});
        let token = self.server.request("POST", LOGIN, Some(login)).await.success();
        let token = json!({"token": token["auth"]["client_token"]});
        self.server.request("POST", "auth/token/lookup", Some(token)).await.success()["data"].clone()
    }

    async fn running(&self) -> String {
        let mounts = self.server.request("GET", "sys/auth", None).await.success();
        mounts["data"]["jwt/"]["running_plugin_version"].as_str().unwrap().to_owned()
    }

    /// Number of valid tokens that a user has.
    async fn tokens_of(&self, user: &str) -> usize {
        let accessors = self.server.request("LIST", "auth/token/accessors", None).await.success();
        let mut found = 0;
        for accessor in accessors["data"]["keys"].as_array().unwrap() {
            let body = json!({"accessor": accessor});
            let token = self.server.request("POST", "auth/token/lookup-accessor", Some(body)).await;
            let name = token.body["data"]["display_name"].as_str().unwrap_or_default();
            found += usize::from(name.ends_with(user));
        }
        found
    }

    /// The users that the server knows, each by the path of its mount and its name there.
    async fn entities(&self) -> Vec<Vec<String>> {
        let listed = self.server.request("LIST", "identity/entity/id", None).await;
        let mut entities = Vec::new();
        for id in listed.body["data"]["keys"].as_array().into_iter().flatten() {
            let path = format!("identity/entity/id/{}", id.as_str().unwrap());
            let entity = self.server.request("GET", &path, None).await.success();
            let aliases = entity["data"]["aliases"].as_array().unwrap().iter();
            let name = |alias: &Value| format!("{} {}", alias["mount_path"], alias["name"]);
            entities.push(aliases.map(name).collect());
        }
        entities
    }
}
