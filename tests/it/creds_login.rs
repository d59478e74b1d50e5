//! A login of our own: made, renewed, made again, and revoked.

use std::fs;
use std::time::Duration;

use harness::{KubernetesAuthProxy, Program, RunningProgram, eventually};
use rustix::process::Signal;
use serde_json::json;

use crate::lab::{BINARY, CREDENTIAL_PATH, Lab, wait_exited};

const JWT: &str = "eyJhbGciOi.service-account";

struct Pod {
    auth: KubernetesAuthProxy,
    program: Program,
}

impl Pod {
    /// A program with a service account and no token.
    async fn on(lab: &Lab, ttl: u64, max_ttl: u64, policy: &str) -> Pod {
        lab.write("sys/policies/acl/app", json!({"policy": policy})).await;
        let (ttl, max_ttl) = (Duration::from_secs(ttl), Duration::from_secs(max_ttl));
        let auth = KubernetesAuthProxy::start(
            lab.vault.address(),
            lab.vault.root_token(),
            ("app", JWT),
            (ttl, max_ttl),
        )
        .await;
        let program = Program::new(BINARY).env("VAULT_ADDR", auth.address());
        fs::write(program.home().join("jwt"), format!("{JWT}\n")).unwrap();
        Pod { auth, program }
    }

    fn exec(&self, script: &str) -> RunningProgram {
        let login = ["--auth", "kubernetes", "--auth-role", "app", "--auth-token-path", "jwt"];
        let args =
            ["creds", "exec", CREDENTIAL_PATH].into_iter().chain(login).chain(["--", "sh", "-c", script]);
        self.program.start(args)
    }

    fn seen_tokens(&self) -> Vec<String> {
        let text = fs::read_to_string(self.program.home().join("seen")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

const READ_POLICY: &str = r#"path "custom/creds/developer" { capabilities = ["read"] }"#;
const WAIT_SCRIPT: &str = "trap 'exit 3' TERM; echo $TOKEN >> seen; while :; do sleep 0.05; done";

#[tokio::test]
async fn a_login_is_renewed_and_revoked_and_its_leases_with_it() {
    let lab = Lab::with_mounted_plugin("1h", "2h").await;
    // It may not revoke leases; that it may revoke itself is enough.
    let pod = Pod::on(&lab, 3, 3600, READ_POLICY).await;
    let exec = pod.exec(WAIT_SCRIPT);
    eventually("the command runs", async || (!pod.seen_tokens().is_empty()).then_some(())).await;
    // Without that the token would have ended, and the credential with it.
    eventually("the token is renewed", async || (pod.auth.renewals() >= 3).then_some(())).await;
    assert_eq!(lab.upstream.live().len(), 1);
    assert_eq!(pod.auth.logins(), 1);
    exec.signal(Signal::TERM);
    let (code, said) = wait_exited(exec).await;
    assert_eq!(code, Some(3), "{said}");
    lab.upstream.wait_all_revoked().await;
}

#[tokio::test]
async fn a_login_that_ends_is_made_again_and_the_credential_with_it() {
    let lab = Lab::with_mounted_plugin("1h", "2h").await;
    let policy = format!(r#"{READ_POLICY} path "sys/leases/revoke" {{ capabilities = ["update"] }}"#);
    let pod = Pod::on(&lab, 3, 3, &policy).await;
    let exec = pod.exec(WAIT_SCRIPT);
    let seen =
        eventually("a second start", async || Some(pod.seen_tokens()).filter(|seen| seen.len() >= 2)).await;
    assert_ne!(seen[0], seen[1]);
    assert!(pod.auth.logins() >= 2);
    exec.signal(Signal::TERM);
    let (code, said) = wait_exited(exec).await;
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("as the token before comes to its end"), "{said}");
    lab.upstream.wait_all_revoked().await;
}

#[tokio::test]
async fn a_login_that_is_refused_says_where_and_as_whom() {
    let lab = Lab::with_mounted_plugin("1h", "2h").await;
    let pod = Pod::on(&lab, 3, 3, READ_POLICY).await;
    fs::write(pod.program.home().join("jwt"), "another").unwrap();
    let (code, said) = wait_exited(pod.exec("touch ran")).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("auth/kubernetes as app"), "{said}");
    fs::remove_file(pod.program.home().join("jwt")).unwrap();
    let (code, said) = wait_exited(pod.exec("touch ran")).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("service account token jwt"), "{said}");
    assert!(!pod.program.home().join("ran").exists());
}
