//! An auth method is installed, upgraded, rolled back, diagnosed and removed like a secrets engine, on real servers.

use std::path::PathBuf;

use harness::{ClientLoad, Credentials, Output, Product, TicketRequest, VaultServer, build};
use serde_json::json;
use tempfile::TempDir;

use crate::operator::{Operator, findings, report_of};

const SERVERS: [Product; 2] = [Product::Vault, Product::OpenBao];

const OLD: &str = "1.0.0";
const NEW: &str = "9.9.9";

const TICKETS: &str = "auth/door/tickets/guest";
const LOGIN: &str = "auth/door/login";

#[tokio::test]
async fn an_auth_method_is_registered_upgraded_rolled_back_and_collected_like_a_secrets_engine() {
    for product in SERVERS {
        let door = Door::start(product).await;
        let registered = door.register(OLD, &["--mount", "door"]).await.json();
        assert_eq!(registered["mounts"]["auth/door/"]["running_version"], "v1.0.0", "{registered}");
        let again = door.register(OLD, &["--mount", "auth/door", "--dry-run"]).await;
        assert_eq!(again.json()["result"], "nothing_to_do");
        door.set_role().await;
        door.log_in().await;

        let ticket = door.ticket_file().await;
        let smoke = format!("login:ticket=@{}", ticket.display());
        let new = door.binary(NEW);
        let line = ["upgrade", "doorman", "--binary", new.to_str().unwrap(), "--smoke", &smoke];
        let upgraded = report_of(door.run(&line).await);
        assert_eq!(upgraded["mounts"]["auth/door/"]["running_version"], "v9.9.9", "{upgraded}");
        door.log_in().await;
        assert_eq!(door.tokens_of_tests().await, 0);
        let status = door.operator.program.run(["status"]).await.success();
        assert!(status.contains("doorman (auth)") && status.contains("v9.9.9: auth/door/"), "{status}");
        assert_eq!(door.operator.program.run(["doctor"]).await.code, Some(0));

        let rolled_back = report_of(door.run(&["rollback", "doorman"]).await);
        assert_eq!(rolled_back["mounts"]["auth/door/"]["running_version"], "v1.0.0", "{rolled_back}");
        door.run(&["reload", "doorman"]).await.success();
        door.log_in().await;

        let new = door.binary(NEW);
        door.run(&["upgrade", "doorman", "--binary", new.to_str().unwrap()]).await.success();
        let in_use = door.run(&["deregister", "doorman", "--version", NEW]).await;
        assert_eq!(in_use.code, Some(1), "{in_use:?}");
        assert!(in_use.stderr.contains("auth/door/ runs it"), "{}", in_use.stderr);
        let collected = door.run(&["gc", "--keep", "0"]).await.json();
        assert_eq!(collected["done"][0]["version"], "v1.0.0", "{collected}");
        assert!(!door.file(OLD).exists() && door.file(NEW).exists());
        door.log_in().await;
    }
}

#[tokio::test]
async fn a_login_that_fails_undoes_the_upgrade_of_an_auth_method() {
    for product in SERVERS {
        let door = Door::start(product).await;
        door.register(OLD, &["--mount", "door"]).await.success();
        door.set_role().await;
        let new = door.binary(NEW);
        let smoke = "login:ticket=wrong";
        let failed =
            door.run(&["upgrade", "doorman", "--binary", new.to_str().unwrap(), "--smoke", smoke]).await;
        assert_eq!(failed.code, Some(4), "{failed:?}");
        assert!(failed.stderr.contains("could not log in at auth/door/login"), "{}", failed.stderr);
        assert_eq!(door.running().await, "v1.0.0");
        assert!(!door.file(NEW).exists());
        door.log_in().await;
    }
}

#[tokio::test]
async fn the_canary_mount_of_an_auth_method_grants_nothing_and_is_removed() {
    for product in SERVERS {
        let door = Door::start(product).await;
        door.register(OLD, &["--mount", "door"]).await.success();
        let new = door.binary(NEW);
        let role = "guest:token_policies=root-like";
        let line = [
            "upgrade",
            "doorman",
            "--binary",
            new.to_str().unwrap(),
            "--role",
            role,
            "--role",
            "guest:token_ttl=1h",
        ];
        let planned = door.run(&[&line[..], &["--dry-run"]].concat()).await;
        assert_eq!(planned.code, Some(3), "{planned:?}");
        let upgraded = report_of(door.run(&line).await);
        let steps = upgraded["done"].as_array().unwrap();
        let canary = "auth/vault-token-plugin-canary/doorman-9.9.9/";
        let touched: Vec<&str> = steps
            .iter()
            .filter(|step| step["path"] == canary)
            .map(|step| step["step"].as_str().unwrap())
            .collect();
        assert_eq!(touched, ["mount_canary", "verify_canary", "remove_canary"], "{upgraded}");
        let mounts = door.server.request("GET", "sys/auth", None).await.success();
        assert_eq!(mounts["data"].as_object().unwrap().len(), 2, "{mounts}");
    }
}

#[tokio::test]
async fn doctor_reports_an_auth_mount_whose_version_is_missing() {
    for product in SERVERS {
        let door = Door::start(product).await;
        door.register(OLD, &["--mount", "door"]).await.success();
        let new = door.binary(NEW);
        door.run(&["upgrade", "doorman", "--binary", new.to_str().unwrap()]).await.success();

        std::fs::remove_file(door.file(NEW)).unwrap();
        let report = door.operator.doctor().await;
        assert_eq!(findings(&report), [("VTP-301", "breaks_at_restart")], "{report}");

        let entry = format!("sys/plugins/catalog/auth/doorman?version=v{NEW}");
        door.server.request("DELETE", &entry, None).await.success();
        let report = door.operator.doctor().await;
        assert_eq!(findings(&report), [("VTP-501", "breaks_at_restart")], "{report}");
        assert_eq!(report["findings"][0]["subject"], "auth/door/");
    }
}

#[tokio::test]
async fn no_login_fails_during_the_upgrade_of_an_auth_method() {
    for product in SERVERS {
        let door = Door::start(product).await;
        door.register(OLD, &["--mount", "door"]).await.success();
        door.set_role().await;
        let ticket = TicketRequest { path: TICKETS.to_owned(), body: json!({"name": "ann"}) };
        let visitors = ClientLoad::logins(&door.server, LOGIN, Credentials::Ticket(ticket));
        visitors.wait_progress().await;
        let new = door.binary(NEW);
        door.run(&["upgrade", "doorman", "--binary", new.to_str().unwrap()]).await.success();
        visitors.wait_progress().await;
        door.run(&["rollback", "doorman"]).await.success();
        visitors.wait_progress().await;
        let report = visitors.stop().await;
        report.assert_served(&[]);
        report.assert_known(&door.server, "auth/token/lookup", "token").await;
    }
}

/// A server, and two versions of the SDK's example of an auth method.
struct Door {
    server: VaultServer,
    operator: Operator,
    folder: TempDir,
}

impl Door {
    async fn start(product: Product) -> Door {
        let server = VaultServer::builder().product(product).start().await;
        let operator = Operator::of(&server);
        Door { server, operator, folder: tempfile::tempdir().unwrap() }
    }

    fn binary(&self, version: &str) -> PathBuf {
        let example = build::prebuilt_example("doorman");
        build::with_patched_version(&example, OLD, version, self.folder.path())
    }

    fn file(&self, version: &str) -> PathBuf {
        self.operator.file("doorman", version)
    }

    async fn register(&self, version: &str, more: &[&str]) -> Output {
        let binary = self.binary(version);
        let line = ["register", "doorman", "--type", "auth", "--binary", binary.to_str().unwrap()];
        self.run(&[&line[..], more].concat()).await
    }

    async fn run(&self, line: &[&str]) -> Output {
        self.operator.run(line).await
    }

    async fn set_role(&self) {
        self.server
            .cli(["write", "auth/door/roles/guest", "token_ttl=1h", "token_num_uses=0"])
            .await
            .success();
    }

    async fn ticket_file(&self) -> PathBuf {
        let ticket = self.server.cli(["write", "-field=ticket", "auth/door/tickets/guest", "name=test"]);
        let path = self.folder.path().join("ticket");
        std::fs::write(&path, ticket.await.success()).unwrap();
        path
    }

    async fn log_in(&self) {
        let ticket = self.server.request("POST", TICKETS, Some(json!({"name": "ann"}))).await.success();
        let login = json!({"ticket": ticket["data"]["ticket"]});
        self.server.request("POST", LOGIN, Some(login)).await.success();
    }

    async fn running(&self) -> String {
        let mounts = self.server.request("GET", "sys/auth", None).await.success();
        mounts["data"]["door/"]["running_plugin_version"].as_str().unwrap().to_owned()
    }

    /// Number of valid tokens of smoke tests.
    async fn tokens_of_tests(&self) -> usize {
        let accessors = self.server.request("LIST", "auth/token/accessors", None).await.success();
        let mut found = 0;
        for accessor in accessors["data"]["keys"].as_array().unwrap() {
            let body = json!({"accessor": accessor});
            let token = self.server.request("POST", "auth/token/lookup-accessor", Some(body)).await;
            found += usize::from(token.body["data"]["display_name"] == "door-test");
        }
        found
    }
}
