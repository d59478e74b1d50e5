//! A login of our own: made, renewed, made again, and revoked.

use std::fs;
use std::time::Duration;

use harness::{KubernetesAuth, Program, RunningProgram, eventually};
use rustix::process::Signal;
use serde_json::json;

use crate::lab::{BINARY, Lab, PATH, ended};

const JWT: &str = "eyJhbGciOi.service-account";

struct Pod {
    auth: KubernetesAuth,
    program: Program,
}

impl Pod {
    /// A program with a service account and no token.
    async fn on(lab: &Lab, ttl: u64, max_ttl: u64, policy: &str) -> Pod {
        lab.write("sys/policies/acl/app", json!({"policy": policy})).await;
        let (ttl, max_ttl) = (Duration::from_secs(ttl), Duration::from_secs(max_ttl));
        let auth =
            KubernetesAuth::before(lab.vault.address(), lab.vault.root_token(), ("app", JWT), (ttl, max_ttl))
                .await;
        let program = Program::new(BINARY).env("VAULT_ADDR", auth.address());
        fs::write(program.home().join("jwt"), format!("{JWT}\n")).unwrap();
        Pod { auth, program }
    }

    fn exec(&self, script: &str) -> RunningProgram {
        let login = ["--auth", "kubernetes", "--auth-role", "app", "--auth-token-path", "jwt"];
        let args = ["creds", "exec", PATH].into_iter().chain(login).chain(["--", "sh", "-c", script]);
        self.program.start(args)
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
    let lab = Lab::mounted("1h", "2h").await;
    // It may not revoke leases; that it may revoke itself is enough.
    let pod = Pod::on(&lab, 3, 3600, READS).await;
    let exec = pod.exec(STAY);
    eventually("the command runs", async || (!pod.seen().is_empty()).then_some(())).await;
    // Without that the token would have ended, and the credential with it.
    eventually("the token is renewed", async || (pod.auth.renewals() >= 3).then_some(())).await;
    assert_eq!(lab.upstream.live().len(), 1);
    assert_eq!(pod.auth.logins(), 1);
    exec.signal(Signal::TERM);
    let (code, said) = ended(exec).await;
    assert_eq!(code, Some(3), "{said}");
    lab.upstream.wait_all_revoked().await;
}

#[tokio::test]
async fn a_login_that_ends_is_made_again_and_the_credential_with_it() {
    let lab = Lab::mounted("1h", "2h").await;
    let policy = format!(r#"{READS} path "sys/leases/revoke" {{ capabilities = ["update"] }}"#);
    let pod = Pod::on(&lab, 3, 3, &policy).await;
    let exec = pod.exec(STAY);
    let seen = eventually("a second start", async || Some(pod.seen()).filter(|seen| seen.len() >= 2)).await;
    assert_ne!(seen[0], seen[1]);
    assert!(pod.auth.logins() >= 2);
    exec.signal(Signal::TERM);
    let (code, said) = ended(exec).await;
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("as the token before comes to its end"), "{said}");
    lab.upstream.wait_all_revoked().await;
}

#[tokio::test]
async fn a_login_that_is_refused_says_where_and_as_whom() {
    let lab = Lab::mounted("1h", "2h").await;
    let pod = Pod::on(&lab, 3, 3, READS).await;
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
