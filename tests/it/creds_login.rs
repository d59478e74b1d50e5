//! A login of our own: made, renewed, made again, and revoked.

use std::fs;
use std::time::Duration;

use harness::{KubernetesAuth, Program, eventually};
use rustix::process::Signal;
use serde_json::json;
use tokio::process::Child;

use crate::creds_stage::{BINARY, PATH, Stage, ended, send};

const JWT: &str = "eyJhbGciOi.service-account";

struct Pod {
    auth: KubernetesAuth,
    program: Program,
}

impl Pod {
    /// A program with a service account and no token.
    async fn on(stage: &Stage, ttl: u64, max_ttl: u64, policy: &str) -> Pod {
        stage.write("sys/policies/acl/app", json!({"policy": policy})).await;
        let (ttl, max_ttl) = (Duration::from_secs(ttl), Duration::from_secs(max_ttl));
        let auth = KubernetesAuth::before(
            stage.vault.address(),
            stage.vault.root_token(),
            ("app", JWT),
            (ttl, max_ttl),
        )
        .await;
        let program = Program::new(BINARY).env("VAULT_ADDR", auth.address());
        fs::write(program.home().join("jwt"), format!("{JWT}\n")).unwrap();
        Pod { auth, program }
    }

    fn exec(&self, script: &str) -> Child {
        let login = ["--auth", "kubernetes", "--auth-role", "app", "--auth-token-path", "jwt"];
        let args = ["creds", "exec", PATH].into_iter().chain(login).chain(["--", "sh", "-c", script]);
        self.program.spawn(args)
    }

    fn seen(&self) -> Vec<String> {
        let text = fs::read_to_string(self.program.home().join("seen")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

const READS: &str = r#"path "custom/creds/developer" { capabilities = ["read"] }"#;
const STAY: &str = "trap 'exit 3' TERM; echo $TOKEN >> seen; while :; do sleep 0.05; done";

#[tokio::test]
async fn a_login_is_renewed_and_revoked_and_its_leases_with_it() {
    let stage = Stage::new("1h", "2h").await;
    // It may not revoke leases; that it may revoke itself is enough.
    let pod = Pod::on(&stage, 3, 3600, READS).await;
    let exec = pod.exec(STAY);
    eventually("the command runs", async || (!pod.seen().is_empty()).then_some(())).await;
    // Without that the token would have ended, and the credential with it.
    eventually("the token is renewed", async || (pod.auth.renewals() >= 3).then_some(())).await;
    assert_eq!(stage.upstream.live().len(), 1);
    assert_eq!(pod.auth.logins(), 1);
    send(&exec, Signal::TERM);
    let (code, said) = ended(exec).await;
    assert_eq!(code, Some(3), "{said}");
    stage.upstream.wait_all_revoked().await;
}

#[tokio::test]
async fn a_login_that_ends_is_made_again_and_the_credential_with_it() {
    let stage = Stage::new("1h", "2h").await;
    let policy = format!(r#"{READS} path "sys/leases/revoke" {{ capabilities = ["update"] }}"#);
    let pod = Pod::on(&stage, 3, 3, &policy).await;
    let exec = pod.exec(STAY);
    let seen = eventually("a second start", async || Some(pod.seen()).filter(|seen| seen.len() >= 2)).await;
    assert_ne!(seen[0], seen[1]);
    assert!(pod.auth.logins() >= 2);
    send(&exec, Signal::TERM);
    let (code, said) = ended(exec).await;
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("as the token before comes to its end"), "{said}");
    stage.upstream.wait_all_revoked().await;
}

#[tokio::test]
async fn a_login_that_is_refused_says_where_and_as_whom() {
    let stage = Stage::new("1h", "2h").await;
    let pod = Pod::on(&stage, 3, 3, READS).await;
    fs::write(pod.program.home().join("jwt"), "another").unwrap();
    let (code, said) = ended(pod.exec("touch ran")).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("auth/kubernetes as app"), "{said}");
    fs::remove_file(pod.program.home().join("jwt")).unwrap();
    let (code, said) = ended(pod.exec("touch ran")).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("service account's token jwt"), "{said}");
    assert!(!pod.program.home().join("ran").exists());
}
