//! A secrets engine that is not ours, HashiCorp's LDAP secrets engine, is operated while clients get credentials of a real OpenLDAP server.

use std::fs;
use std::path::PathBuf;

use harness::{ClientLoad, Program, RunningProgram, VaultServer, build, eventually, free_port};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::operator::{Operator, findings, report_of};

const NAME: &str = "openldap-x";
const OLD: &str = "0.17.0";
const NEW: &str = "0.18.0";

const CREDENTIALS: &str = "ldap/creds/app";

/// Not on OpenBao: this engine requires rotation jobs of its host ("unknown method DeregisterRotationJob").
#[tokio::test]
async fn clients_get_credentials_of_a_directory_while_its_engine_moves_on_and_back() {
    let lab = LdapLab::start().await;
    lab.operator.run(&["register", "-f", &lab.description(OLD).await]).await.success();
    let held = lab.server.request("GET", CREDENTIALS, None).await.success()["lease_id"].clone();
    assert_eq!(lab.directory.users().await, 1, "the credential of the smoke test is revoked");
    let again = lab.operator.run(&["register", "-f", &lab.description(OLD).await, "--dry-run"]).await;
    assert_eq!(again.code, Some(0), "{again:?}");

    let clients = ClientLoad::reads(&lab.server, CREDENTIALS);
    clients.wait_progress().await;
    let upgrade = ["upgrade", "-f", &lab.description(NEW).await];
    let upgraded = report_of(lab.operator.run(&upgrade).await);
    assert_eq!(upgraded["mounts"]["ldap/"]["running_version"], "v0.18.0", "{upgraded}");
    clients.wait_progress().await;
    let status = lab.operator.program.run(["status"]).await.success();
    assert!(status.contains("v0.18.0: ldap/"), "{status}");
    lab.operator.run(&["rollback", NAME, "--smoke", "creds/app"]).await.success();
    clients.wait_progress().await;
    lab.operator.run(&["reload", NAME]).await.success();
    clients.wait_progress().await;
    let report = clients.stop().await;
    report.assert_served(&[]);
    report.assert_known(&lab.server, "sys/leases/lookup", "lease_id").await;
    assert_eq!(lab.operator.doctor().await["findings"], json!([]));

    lab.operator.run(&upgrade).await.success();
    lab.operator.run(&["gc", "--keep", "0"]).await.success();
    assert!(!lab.operator.file(NAME, OLD).exists() && lab.operator.file(NAME, NEW).exists());
    lab.revoke("sys/leases/revoke", json!({"lease_id": held, "sync": true})).await;
    lab.revoke("sys/leases/revoke-prefix/ldap", json!({"sync": true})).await;
    assert_eq!(lab.directory.users().await, 0);

    fs::remove_file(lab.operator.file(NAME, NEW)).unwrap();
    let report = lab.operator.doctor().await;
    assert_eq!(findings(&report), [("VTP-301", "breaks_at_restart")], "{report}");
}

/// A server, and a directory whose users its engine creates.
struct LdapLab {
    server: VaultServer,
    operator: Operator,
    directory: Directory,
}

impl LdapLab {
    async fn start() -> LdapLab {
        let server = VaultServer::builder().start().await;
        LdapLab { operator: Operator::of(&server), server, directory: Directory::start().await }
    }

    /// The `plugin.yaml` of a version, with the configuration of the mount, a role, and a credential as a smoke test.
    async fn description(&self, version: &str) -> String {
        let binary = build::go_openldap(&format!("v{version}")).await;
        let folder = self.directory.folder.path();
        fs::write(folder.join("bindpass"), PASSWORD).unwrap();
        let user = format!("cn={{{{.Username}}}},ou=users,{SUFFIX}");
        let creation = format!(
            "dn: {user}\nobjectClass: person\ncn: {{{{.Username}}}}\nsn: {{{{.Username}}}}\nuserPassword: {{{{.Password}}}}\n"
        );
        let deletion = format!("dn: {user}\nchangetype: delete\n");
        let file = json!({
            "plugin": {"name": NAME, "binary": binary},
            "mounts": [{
                "path": "ldap",
                "write": {
                    "config": {
                        "binddn": format!("cn=admin,{SUFFIX}"),
                        "bindpass": {"file": "./bindpass"},
                        "url": format!("ldap://127.0.0.1:{}", self.directory.port),
                    },
                    "role/app": {
                        "creation_ldif": creation,
                        "deletion_ldif": deletion,
                        "default_ttl": "1h",
                    },
                },
                "smoke": "creds/app",
            }],
        });
        let path = folder.join(format!("plugin-{version}.yaml"));
        fs::write(&path, file.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    }

    async fn revoke(&self, path: &str, body: Value) {
        self.server.request("PUT", path, Some(body)).await.success();
    }
}

const SUFFIX: &str = "dc=example,dc=com";
const PASSWORD: &str = "ldap-admin-password";

/// An OpenLDAP server on a port of this machine, with an empty unit for users.
struct Directory {
    program: PathBuf,
    folder: TempDir,
    port: u16,
    _running: RunningProgram,
}

impl Directory {
    async fn start() -> Directory {
        let program = build::slapd().await;
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let root = Program::new(&program).run(["root"]).await.success();
        let (root, directory) = (root.trim(), folder.path().display());
        let schemas = ["core", "cosine", "inetorgperson"];
        let schemas: String =
            schemas.iter().map(|name| format!("include {root}/etc/ldap/schema/{name}.schema\n")).collect();
        let configuration = format!(
            "{schemas}pidfile {directory}/pid\nmodulepath {root}/usr/lib/ldap\nmoduleload back_mdb.la\ndatabase mdb\n\
             suffix {SUFFIX}\nrootdn cn=admin,{SUFFIX}\nrootpw {PASSWORD}\ndirectory {directory}\n"
        );
        let configuration_file = folder.path().join("slapd.conf");
        fs::write(&configuration_file, configuration).unwrap();
        let entries = format!(
            "dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\no: example\ndc: example\n\n\
             dn: ou=users,{SUFFIX}\nobjectClass: organizationalUnit\nou: users\n"
        );
        let entries_file = folder.path().join("entries.ldif");
        fs::write(&entries_file, entries).unwrap();
        let (configuration, entries) = (configuration_file.to_str().unwrap(), entries_file.to_str().unwrap());
        Program::new(&program).run(["slapadd", "-f", configuration, "-l", entries]).await.success();
        let address = format!("ldap://127.0.0.1:{port}");
        let running = Program::new(&program).start(["slapd", "-d", "0", "-f", configuration, "-h", &address]);
        eventually("OpenLDAP listens", async || {
            std::net::TcpStream::connect(("127.0.0.1", port)).ok().map(drop)
        })
        .await;
        Directory { program, folder, port, _running: running }
    }

    /// Number of users in the directory.
    async fn users(&self) -> usize {
        let configuration = self.folder.path().join("slapd.conf");
        let entries = Program::new(&self.program)
            .run(["slapcat", "-f", configuration.to_str().unwrap()])
            .await
            .success();
        entries.lines().filter(|line| line.starts_with("dn: cn=v_")).count()
    }
}
