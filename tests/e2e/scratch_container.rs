//! A server in an otherwise empty root, as in a container image without a libc.

use std::fs;

use harness::{Program, Upstream, VaultServer, build, copy_program};

#[tokio::test]
async fn the_static_binary_needs_nothing_but_itself() {
    let vault = VaultServer::builder().chroot().start().await;
    let upstream = Upstream::start().await;
    let root = vault.directory();
    copy_program(build::static_binary("vault-token-plugin").await, root.join("vault-token-plugin"));
    fs::write(root.join("api-key"), upstream.api_key()).unwrap();

    // Both halves of the binary run there: the tool that registers, and the plugin.
    let program = Program::new("/vault-token-plugin").chroot(root).vault(&vault);
    let endpoint = format!("api_endpoint={}", upstream.endpoint());
    let plugin = ["register", "custom-plugin", "--mount", "custom", "--smoke", "creds/developer"];
    // Without /proc a program cannot find its own path.
    let binary = ["--binary", "/vault-token-plugin"];
    let config = ["--config", &endpoint, "--config", "api_key=@/api-key"];
    let role = ["--role", "developer:permissions=read"];
    program.run(plugin.iter().chain(&binary).chain(&config).chain(&role)).await.success();

    let token = program.run(["creds", "get", "custom/creds/developer", "--field", "token"]).await.success();
    assert_eq!(upstream.live()[0].token, token.trim());
}
