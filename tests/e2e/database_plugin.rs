//! A database plugin is installed, upgraded, rolled back, diagnosed and removed, with a real Redis, on real servers.

use std::path::PathBuf;

use harness::{
    ClientLoad, Output, Product, Program, RunningProgram, VaultServer, build, eventually, free_port,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::killed_commands::kill_at_every_change;
use crate::lab::BINARY;
use crate::operator::{Operator, report_of};

const SERVERS: [Product; 2] = [Product::Vault, Product::OpenBao];

const OLD: &str = "0.7.0";
const NEW: &str = "0.8.0";

/// The response to a request under which the server has closed the connection of the plugin. See docs/limits.md.
const CLOSED_UNDER_REQUEST: &str = ": 500 ";

const CONNECTION: &str = "database/config/orders";

#[tokio::test]
async fn a_database_plugin_is_registered_upgraded_rolled_back_and_collected_like_a_secrets_engine() {
    for product in SERVERS {
        let lab = DatabaseLab::with_connection(product).await;
        let lease = lab.credential().await["lease_id"].clone();

        let new = build::go_redis(&format!("v{NEW}")).await;
        let line = ["upgrade", "redis-x", "--binary", new.to_str().unwrap(), "--smoke", "creds/app"];
        let upgraded = report_of(lab.run(&line).await);
        assert_eq!(upgraded["mounts"][CONNECTION]["running_version"], "v0.8.0", "{upgraded}");
        assert_eq!(lab.configured().await, "v0.8.0");
        assert_eq!(lab.users(), 1, "the credential of the smoke test is revoked");
        lab.credential().await;
        let revoked = json!({"lease_id": lease, "sync": true});
        lab.server.request("PUT", "sys/leases/revoke", Some(revoked)).await.success();
        assert_eq!(lab.users(), 1);

        let status = lab.operator.program.run(["status"]).await.success();
        assert!(status.contains("redis-x (database)"), "{status}");
        assert!(status.contains(&format!("v0.8.0: {CONNECTION}")), "{status}");
        let doctor = lab.operator.doctor().await;
        assert_eq!(doctor["findings"], json!([]), "{doctor}");

        let again = lab.run(&[&line[..4], &["--dry-run"]].concat()).await;
        assert_eq!(again.code, Some(0), "{again:?}");
        let rolled_back = report_of(lab.run(&["rollback", "redis-x"]).await);
        assert_eq!(rolled_back["mounts"][CONNECTION]["running_version"], "v0.7.0", "{rolled_back}");
        lab.run(&["reload", "redis-x"]).await.success();
        lab.run(&["reload", "--mount", CONNECTION]).await.success();
        lab.credential().await;

        lab.run(&line).await.success();
        let in_use = lab.run(&["deregister", "redis-x", "--version", NEW]).await;
        assert!(in_use.stderr.contains(&format!("{CONNECTION} runs it")), "{}", in_use.stderr);
        lab.run(&["gc", "--keep", "0"]).await.success();
        assert!(!lab.file(OLD).exists() && lab.file(NEW).exists());
        lab.credential().await;
    }
}

#[tokio::test]
async fn clients_that_retry_get_credentials_while_a_database_plugin_moves_on_and_back() {
    for product in SERVERS {
        let lab = DatabaseLab::with_connection(product).await;
        let clients = ClientLoad::reads(&lab.server, "database/creds/app");
        clients.wait_progress().await;
        let new = build::go_redis(&format!("v{NEW}")).await;
        let line = ["upgrade", "redis-x", "--binary", new.to_str().unwrap(), "--smoke", "creds/app"];
        lab.run(&line).await.success();
        clients.wait_progress().await;
        lab.run(&["rollback", "redis-x"]).await.success();
        clients.wait_progress().await;
        lab.run(&["reload", "redis-x"]).await.success();
        clients.wait_progress().await;
        let report = clients.stop().await;
        report.assert_served(&[CLOSED_UNDER_REQUEST]);
        report.assert_known(&lab.server, "sys/leases/renew", "lease_id").await;

        // Not all of them: the plugin takes a fifth of a second for each.
        let users = lab.users();
        let revoked: Vec<&String> = report.issued.iter().step_by(report.issued.len() / 8).collect();
        for lease in &revoked {
            let lease = json!({"lease_id": lease, "sync": true});
            lab.server.request("PUT", "sys/leases/revoke", Some(lease)).await.success();
        }
        assert_eq!(lab.users(), users - revoked.len());
    }
}

#[tokio::test]
async fn a_command_on_a_database_plugin_that_is_killed_at_any_change_is_completed_by_the_next_run() {
    for product in SERVERS {
        let lab = DatabaseLab::with_connection(product).await;
        let new = build::go_redis(&format!("v{NEW}")).await;
        let new = new.to_str().unwrap();
        let upgrade = ["upgrade", "redis-x", "--binary", new, "--smoke", "creds/app"];
        let rollback = ["rollback", "redis-x", "--version", OLD, "--smoke", "creds/app"];
        let register = ["register", "redis-x", "--type", "database", "--binary", new];
        let deregister = ["deregister", "redis-x", "--version", NEW];

        let restore = async || drop(lab.run(&deregister).await.success());
        let changes = kill_at_every_change(&lab.server, product, &register, restore).await;
        assert_eq!(changes, 1, "the version");

        let restore = async || {
            lab.assert_runs(NEW).await;
            lab.run(&rollback).await.success();
            lab.run(&deregister).await.success();
        };
        let changes = kill_at_every_change(&lab.server, product, &upgrade, restore).await;
        assert!(changes >= 4, "{changes}: the version, the connection, a credential and its end");

        lab.run(&upgrade).await.success();
        let restore = async || {
            lab.assert_runs(OLD).await;
            lab.run(&upgrade).await.success();
        };
        let changes = kill_at_every_change(&lab.server, product, &rollback, restore).await;
        assert!(changes >= 3, "{changes}: the connection, a credential and its end");
    }
}

#[tokio::test]
async fn a_connection_that_the_new_version_cannot_open_keeps_the_old_one() {
    for product in SERVERS {
        let mut lab = DatabaseLab::with_connection(product).await;
        lab.redis.stop().await;
        let new = build::go_redis(&format!("v{NEW}")).await;
        let failed = lab.run(&["upgrade", "redis-x", "--binary", new.to_str().unwrap()]).await;
        assert_eq!(failed.code, Some(4), "{failed:?}");
        assert_eq!(lab.configured().await, "v0.7.0");
        assert!(!lab.file(NEW).exists());
        lab.redis.start().await;
        eventually("the plugin has a working connection again", async || {
            let reply = lab.server.request("GET", "database/creds/app", None).await;
            (reply.status == 200).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_pinned_database_plugin_moves_with_its_pin() {
    let lab = DatabaseLab::with_connection(Product::Vault).await;
    let pin = json!({"version": format!("v{OLD}")});
    lab.server.request("POST", "sys/plugins/pins/database/redis-x", Some(pin)).await.success();
    let new = build::go_redis(&format!("v{NEW}")).await;
    let line = ["upgrade", "redis-x", "--binary", new.to_str().unwrap(), "--smoke", "creds/app"];
    let upgraded = report_of(lab.run(&line).await);
    assert_eq!(upgraded["mounts"][CONNECTION]["running_version"], "v0.8.0", "{upgraded}");
    let shown = lab.server.request("GET", CONNECTION, None).await.success();
    assert_eq!(shown["data"]["running_plugin_version"], "v0.8.0", "{shown}");
    lab.credential().await;
}

#[tokio::test]
async fn doctor_reports_a_connection_whose_version_is_missing() {
    for product in SERVERS {
        let lab = DatabaseLab::with_connection(product).await;
        let new = build::go_redis(&format!("v{NEW}")).await;
        lab.run(&["upgrade", "redis-x", "--binary", new.to_str().unwrap()]).await.success();
        let entry = format!("sys/plugins/catalog/database/redis-x?version=v{NEW}");
        lab.server.request("DELETE", &entry, None).await.success();
        let report = lab.operator.doctor().await;
        let found: Vec<_> = report["findings"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
        assert_eq!(found, ["VTP-501"], "{report}");
        assert_eq!(report["findings"][0]["subject"], CONNECTION);
    }
}

#[tokio::test]
async fn a_database_plugin_is_recognized_whether_it_shares_a_process_or_not() {
    let binary = build::go_redis(&format!("v{OLD}")).await;
    let inspect = async |more: &[&str]| {
        let line = ["inspect", binary.to_str().unwrap(), "--output", "json"];
        Program::new(BINARY).run([&line[..], more].concat()).await.json()
    };
    let seen = inspect(&[]).await;
    assert_eq!((&seen["kind"], &seen["version"]), (&json!("database"), &json!("v0.7.0")), "{seen}");
    assert_eq!((&seen["protocol_version"], &seen["multiplexed"]), (&json!(6), &json!(true)), "{seen}");
    let alone = inspect(&["--env", "GO_REDIS_MULTIPLEXED=false"]).await;
    assert_eq!((&alone["protocol_version"], &alone["multiplexed"]), (&json!(5), &json!(false)), "{alone}");
}

#[tokio::test]
async fn a_database_plugin_is_not_registered_as_a_secrets_engine() {
    let lab = DatabaseLab::start(Product::Vault).await;
    let binary = build::go_redis(&format!("v{OLD}")).await;
    let refused = lab.run(&["register", "redis-x", "--binary", binary.to_str().unwrap()]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("is a plugin of type database, expected secret"), "{}", refused.stderr);
}

/// A Redis with a password. It listens on a port of this machine.
pub(crate) struct Redis {
    server: PathBuf,
    folder: TempDir,
    pub(crate) port: u16,
    running: Option<RunningProgram>,
}

pub(crate) const PASSWORD: &str = "redis-root-password";

impl Redis {
    pub(crate) async fn new() -> Redis {
        let port = free_port();
        let (server, folder) = (build::redis_server().await, tempfile::tempdir().unwrap());
        let mut redis = Redis { server, folder, port, running: None };
        redis.start().await;
        redis
    }

    async fn start(&mut self) {
        let (port, folder) = (self.port.to_string(), self.folder.path().to_str().unwrap());
        let line = [
            "--bind",
            "127.0.0.1",
            "--port",
            &port,
            "--dir",
            folder,
            "--requirepass",
            PASSWORD,
            "--save",
            "",
        ];
        self.running = Some(Program::new(&self.server).start(line));
        eventually("Redis listens", async || {
            std::net::TcpStream::connect(("127.0.0.1", self.port)).ok().map(drop)
        })
        .await;
    }

    async fn stop(&mut self) {
        self.running.take().unwrap().kill().await;
    }

    /// Sends a command, and returns the response.
    fn command(&self, command: &str) -> String {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(stream, "AUTH {PASSWORD}\r\n{command}\r\nQUIT\r\n").unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply
    }
}

/// A server, and a Redis.
struct DatabaseLab {
    server: VaultServer,
    operator: Operator,
    redis: Redis,
}

impl DatabaseLab {
    async fn start(product: Product) -> DatabaseLab {
        let server = VaultServer::builder().product(product).start().await;
        let operator = Operator::of(&server);
        DatabaseLab { server, operator, redis: Redis::new().await }
    }

    /// With a connection that runs the registered plugin.
    async fn with_connection(product: Product) -> DatabaseLab {
        let lab = DatabaseLab::start(product).await;
        let binary = build::go_redis(&format!("v{OLD}")).await;
        let line = ["register", "redis-x", "--type", "database", "--binary", binary.to_str().unwrap()];
        lab.run(&line).await.success();
        lab.server.cli(["secrets", "enable", "database"]).await.success();
        let connection = json!({
            "plugin_name": "redis-x",
            "plugin_version": format!("v{OLD}"),
            "host": "127.0.0.1",
            "port": lab.redis.port,
            "username": "default",
            "password": PASSWORD,
            "allowed_roles": "*",
        });
        lab.server.request("POST", CONNECTION, Some(connection)).await.success();
        let role = json!({"db_name": "orders", "creation_statements": r#"["+@read"]"#, "default_ttl": "1h"});
        lab.server.request("POST", "database/roles/app", Some(role)).await.success();
        lab
    }

    /// Requires that the connection is of a version, and that it has credentials.
    async fn assert_runs(&self, version: &str) {
        assert_eq!(self.configured().await, format!("v{version}"));
        self.credential().await;
    }

    fn file(&self, version: &str) -> PathBuf {
        self.operator.file("redis-x", version)
    }

    async fn run(&self, line: &[&str]) -> Output {
        self.operator.run(line).await
    }

    async fn credential(&self) -> Value {
        self.server.request("GET", "database/creds/app", None).await.success()
    }

    async fn configured(&self) -> String {
        let shown = self.server.request("GET", CONNECTION, None).await.success();
        shown["data"]["plugin_version"].as_str().unwrap().to_owned()
    }

    /// Number of users that the database engine has created.
    fn users(&self) -> usize {
        let users = self.redis.command("ACL USERS");
        users.lines().filter(|line| line.starts_with("V_")).count()
    }
}
