//! `dev`: a running plugin, and no leftovers.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use harness::{Output, Program, RunningProgram, Stream, build, eventually};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::dev_command::DevCommand;
use crate::lab::{BINARY, assert_snapshot, client, executable_script, redact, send_raw};

#[tokio::test]
async fn the_first_minute_looks_like_this() {
    let newcomer = FreshUser::new("target/debug", "");
    let dev = newcomer.dev().await;
    let shown = redact(&dev.shown, &[]);
    assert_snapshot("dev", &shown);
    let output = dev.program.signal_and_wait(Signal::INT).await;
    assert_eq!(output.code, Some(0));
    assert_snapshot("dev, standard error", &redact(&output.stderr, &[]));
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    assert!(redact(&readme, &[]).contains(&shown), "README.md shows something else in the first minute");
}

#[tokio::test]
async fn what_it_prints_can_be_pasted_into_a_shell_that_has_only_coreutils() {
    let newcomer = FreshUser::new("target/debug", "");
    newcomer.dev().await.assert_can_be_pasted("target/debug/vault-token-plugin").await;
}

#[tokio::test]
async fn a_path_with_blanks_and_quotes_can_be_pasted() {
    let newcomer = FreshUser::new("ann's tools", "");
    newcomer.dev().await.assert_can_be_pasted(r"'ann'\''s tools/vault-token-plugin'").await;
}

#[tokio::test]
async fn a_program_in_path_is_called_by_its_name() {
    let newcomer = FreshUser::new("bin", "bin");
    let dev = newcomer.dev().await;
    assert!(dev.shown.contains("Paste into another terminal:"), "{}", dev.shown);
    dev.assert_can_be_pasted("vault-token-plugin").await;
}

#[tokio::test]
async fn variables_that_lead_to_another_server_are_unset_first() {
    let mut newcomer = FreshUser::new("target/debug", "");
    for (variable, value) in [("BAO_ADDR", "http://127.0.0.1:1"), ("BAO_TOKEN", "another")] {
        newcomer.program = newcomer.program.env(variable, value);
        newcomer.environment.push((variable, value.to_owned()));
    }
    let dev = newcomer.dev().await;
    assert!(dev.shown.contains("\n  unset BAO_ADDR BAO_TOKEN\n  export "), "{}", dev.shown);
    dev.assert_can_be_pasted("target/debug/vault-token-plugin").await;
}

#[tokio::test]
async fn the_official_client_is_mentioned_only_if_there_is_one() {
    let commands = async |programs: &[(&str, u32)]| {
        let folder = tempfile::tempdir().unwrap();
        for (name, mode) in programs {
            let file = folder.path().join(name);
            fs::write(&file, "").unwrap();
            fs::set_permissions(&file, Permissions::from_mode(*mode)).unwrap();
        }
        let mut command = DevCommand::new();
        command.program = command.program.env("PATH", folder.path().display().to_string());
        command.start(&[]).await.ready["commands"].to_string()
    };
    assert!(commands(&[("vault", 0o755), ("bao", 0o755)]).await.contains("\"vault path-help custom/\""));
    assert!(commands(&[("bao", 0o755)]).await.contains("\"bao path-help custom/\""));
    assert!(!commands(&[("vault", 0o644)]).await.contains("path-help"));
}

/// A user with few programs in `PATH`, and our program in a folder below the working directory.
struct FreshUser {
    program: Program,
    environment: Vec<(&'static str, String)>,
    _coreutils: TempDir,
}

/// The programs in the `PATH` of a [`FreshUser`].
const COREUTILS: [&str; 6] = ["cat", "env", "ls", "mkdir", "rm", "sleep"];

impl FreshUser {
    /// `folder`, which contains the program, and `in_path` are below the working directory.
    fn new(folder: &str, in_path: &str) -> FreshUser {
        let coreutils = tempfile::tempdir().unwrap();
        for name in COREUTILS {
            symlink(Path::new("/usr/bin").join(name), coreutils.path().join(name)).unwrap();
        }
        // A relative path with a slash is looked up in the working directory of the new process.
        let program = Program::new(Path::new(folder).join("vault-token-plugin"));
        let folder = program.home().join(folder);
        fs::create_dir_all(&folder).unwrap();
        executable_script(&folder, "vault-token-plugin", fs::read(BINARY).unwrap());
        let mut path = coreutils.path().display().to_string();
        if !in_path.is_empty() {
            path = format!("{path}:{}", program.home().join(in_path).display());
        }
        let program = program.env("PATH", &path);
        FreshUser { program, environment: vec![("PATH", path)], _coreutils: coreutils }
    }

    /// Starts `dev`, and reads its ready message.
    async fn dev(&self) -> FreshUserDev<'_> {
        let mut program = self.program.start(["dev", "--listen", "127.0.0.1:0"]);
        program.wait_for(Stream::Stdout, "Ctrl-C").await;
        let shown = program.output_so_far(Stream::Stdout);
        FreshUserDev { user: self, program, shown }
    }
}

struct FreshUserDev<'a> {
    user: &'a FreshUser,
    program: RunningProgram,
    shown: String,
}

impl FreshUserDev<'_> {
    /// Runs the printed commands, which start our program as `program`, in a shell in the same directory.
    async fn assert_can_be_pasted(&self, program: &str) {
        let commands: Vec<&str> = self.shown.lines().filter(|line| line.starts_with("  ")).collect();
        assert!(
            commands.contains(&&*format!("  {program} creds get custom/creds/developer")),
            "{commands:#?}"
        );
        // The shell has another working directory.
        let folder = self.user.program.home().to_str().unwrap();
        let mut shell = Program::new("/bin/sh");
        for (name, value) in &self.user.environment {
            shell = shell.env(*name, value);
        }
        let pasted = commands.join("\n") + "\n";
        let enter = ["-euc", r#"cd "$0" && exec /bin/sh -eu"#, folder];
        let Output { code, stdout, stderr } = shell.run_with_input(enter, &pasted).await;
        assert!(code == Some(0) && stderr.is_empty(), "{pasted}\n{stdout}\n{stderr}");
        // A credential, and the status.
        assert!(stdout.contains("tok_") && stdout.contains("custom/"), "{pasted}\n{stdout}");
    }
}

#[tokio::test]
async fn an_interrupt_and_a_termination_leave_nothing_behind() {
    for signal in [Signal::INT, Signal::TERM] {
        let command = DevCommand::new();
        let dev = command.start(&[]).await;
        assert_eq!(dev.ready["schema_version"], 2);
        assert_eq!(command.plugin_pids().len(), 1);
        dev.client().run(["creds", "get", "custom/creds/developer"]).await.success();
        let (code, said) = dev.signal_and_wait(signal).await;
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(command.plugin_pids(), []);
        assert_eq!(command.leftovers(), [""; 0]);
    }
}

#[tokio::test]
async fn a_killed_host_takes_its_plugin_with_it() {
    let command = DevCommand::new();
    let dev = command.start(&[]).await;
    assert_eq!(dev.signal_and_wait(Signal::KILL).await.0, None);
    eventually("the plugin is gone", async || command.plugin_pids().is_empty().then_some(())).await;
}

/// Runs the example of an auth method with one role and one ticket, which is in the file `ticket`.
fn auth_method_args() -> Vec<String> {
    let doorman = build::prebuilt_example("doorman");
    let mut args = vec!["--binary".to_owned(), doorman.display().to_string()];
    let writes = [
        ("roles/guest", "token_policies=reader"),
        ("roles/guest", "token_ttl=1h"),
        ("tickets/guest", "name=ann"),
        ("tickets/guest", "groups=staff"),
        ("tickets/guest", "ticket=@ticket"),
    ];
    for (path, pair) in writes {
        args.extend(["--write", path, pair].map(str::to_owned));
    }
    args
}

#[tokio::test]
async fn a_login_at_an_auth_method_is_tried_and_its_token_is_revoked() {
    let command = DevCommand::new();
    fs::write(command.program.home().join("ticket"), "open sesame\n").unwrap();
    let args = auth_method_args();
    let args: Vec<&str> =
        args.iter().map(String::as_str).chain(["--login", "login", "ticket=@ticket"]).collect();
    let dev = command.start(&args).await;
    assert_eq!(dev.field("mount"), "auth/doorman/");
    let login = &dev.ready["login"];
    assert_eq!(login["path"], "auth/doorman/login");
    assert_eq!(login["display_name"], "doorman-ann");
    assert_eq!(login["policies"], json!(["default", "reader"]));
    assert_eq!(login["metadata"], json!({"role": "guest"}));
    assert_eq!(login["entity"]["aliases"], json!(["ann"]));
    assert_eq!((&login["token_type"], &login["ttl_seconds"]), (&json!("service"), &json!(3600)));
    assert_eq!(login["revoked"], true);
    let client = client(dev.field("address"), dev.field("token"));
    let (_, accessors) = send_raw(&client, "LIST", "auth/token/accessors", Value::Null).await;
    assert_eq!(accessors["data"]["keys"].as_array().map(Vec::len), Some(1), "only the root token is left");
    let status = dev.client().run(["status"]).await.success();
    assert!(status.contains("doorman (auth)"), "{status}");
    let (code, stderr) = dev.signal_and_wait(Signal::INT).await;
    assert_eq!(code, Some(0));
    assert!(!stderr.contains("open sesame"), "{stderr}");
}

#[tokio::test]
async fn what_a_login_gives_is_shown_in_words() {
    let command = DevCommand::new();
    fs::write(command.program.home().join("ticket"), "open sesame\n").unwrap();
    let args = [&auth_method_args()[..], &["--login", "login", "ticket=@ticket"].map(str::to_owned)].concat();
    let all = ["dev", "--listen", "127.0.0.1:0"].iter().map(|&arg| arg.to_owned()).chain(args);
    let mut program = command.program.start(all);
    program.wait_for(Stream::Stdout, "Ctrl-C").await;
    let shown = program.output_so_far(Stream::Stdout);
    for expected in [
        "auth/doorman/login works: logged in as doorman-ann",
        "token     service, 3600 s, renewed to",
        "policies  default, reader",
        "metadata  role=guest",
        "alias ann",
    ] {
        assert!(shown.contains(expected), "{expected} is not in\n{shown}");
    }
    assert_eq!(program.signal_and_wait(Signal::INT).await.code, Some(0));
}

#[tokio::test]
async fn a_login_that_is_refused_ends_dev_with_the_words_of_the_server() {
    let command = DevCommand::new();
    let doorman = build::prebuilt_example("doorman");
    let doorman = doorman.to_str().unwrap();
    let refused = command.run(&["--binary", doorman, "--login", "login", "ticket=wrong", "--", "true"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    for seen in ["could not log in at auth/doorman/login", "permission denied"] {
        assert!(refused.stderr.contains(seen), "{}", refused.stderr);
    }
    let without = command.run(&["--login", "login", "a=b", "--", "true"]).await;
    assert_eq!(without.code, Some(2), "{without:?}");
    assert!(without.stderr.contains("--login is for auth methods"), "{}", without.stderr);
    assert_eq!(command.plugin_pids(), []);
}

#[tokio::test]
async fn a_command_finds_the_host_in_its_environment_and_its_exit_code_is_passed_on() {
    let command = DevCommand::new();
    let show = "echo \"$VAULT_ADDR $VAULT_TOKEN\"; echo problem >&2; exit 7";
    assert_snapshot(
        "dev -- COMMAND",
        &command.snapshot_text(&command.run(&["-q", "--", "sh", "-c", show]).await),
    );
    let get =
        command.run(&["-q", "--", BINARY, "creds", "get", "custom/creds/developer", "--field", "token"]);
    assert!(get.await.success().starts_with("tok_"));
    assert_eq!(command.run(&["-q", "--", "sh", "-c", "kill -TERM $$"]).await.code, Some(143));
    assert_snapshot(
        "dev -- a command that is missing",
        &command.snapshot_text(&command.run(&["-q", "--", "./missing"]).await),
    );
    assert_eq!(command.leftovers(), [""; 0]);
}

#[tokio::test]
async fn two_of_them_run_at_once_but_not_at_one_address() {
    let command = DevCommand::new();
    let first = command.start(&[]).await;
    let second = DevCommand::new().start(&[]).await;
    assert_ne!(first.field("address"), second.field("address"));
    let address = first.field("address").trim_start_matches("http://").to_owned();
    assert_snapshot(
        "dev at a taken address",
        &command.snapshot_text(&command.run(&["--listen", &address]).await),
    );
}

#[tokio::test]
async fn a_plugin_that_does_not_work_is_told_before_anything_else() {
    let command = DevCommand::new();
    let crashes = "#!/bin/sh\necho 'cannot open the database' >&2\nexit 3\n";
    executable_script(command.program.home(), "crashes", crashes);
    assert_snapshot(
        "dev --binary that crashes",
        &command.snapshot_text(&command.run(&["--binary", "./crashes"]).await),
    );
    assert_snapshot(
        "dev --binary that is missing",
        &command.snapshot_text(&command.run(&["--binary", "./missing"]).await),
    );
    let refused =
        command.run(&["--binary", BINARY, "--arg", "serve", "--smoke", "creds/developer", "--", "true"]);
    let output = refused.await;
    assert_snapshot("dev --smoke of what does not work", &command.snapshot_text(&output));
    assert_eq!(command.leftovers(), [""; 0]);
}

#[tokio::test]
async fn what_was_kept_is_there_again_after_a_kill() {
    let command = DevCommand::new();
    let data = command.program.home().join("data");
    let data = data.to_str().unwrap();
    let dev = command.start(&["--data", data]).await;
    let client = dev.client();
    let got = client.run(["creds", "get", "custom/creds/developer", "--output", "json"]).await.json();
    let second = command.run(&["--listen", "127.0.0.1:0", "--data", data]).await;
    assert_snapshot("dev --data of one that runs", &command.snapshot_text(&second));
    dev.signal_and_wait(Signal::KILL).await;

    let dev = command.start(&["--data", data]).await;
    let lease = got["lease_id"].as_str().unwrap();
    dev.client().run(["creds", "revoke", lease]).await.success();
    assert_eq!(dev.signal_and_wait(Signal::INT).await.0, Some(0));
}

#[tokio::test]
async fn data_that_cannot_be_used_is_named_and_left_alone() {
    let command = DevCommand::new();
    let data = command.program.home().join("data");
    let kept = data.join("dev-vault.data");
    assert_eq!(command.run(&["-q", "--data", data.to_str().unwrap(), "--", "true"]).await.code, Some(0));
    let mut content = fs::read(&kept).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 0xFF;
    fs::write(&kept, &content).unwrap();
    let damaged = command.run(&["-q", "--data", data.to_str().unwrap(), "--", "true"]).await;
    assert_eq!(damaged.code, Some(1), "{}", damaged.stderr);
    assert!(damaged.stderr.contains(kept.to_str().unwrap()), "{}", damaged.stderr);
    assert_eq!(fs::read(&kept).unwrap(), content);
    let unwritable = command.run(&["-q", "--data", "/proc/nowhere", "--", "true"]).await;
    assert_snapshot("dev --data that cannot be written", &command.snapshot_text(&unwritable));
}

#[tokio::test]
async fn a_changed_binary_is_put_to_work_and_a_broken_one_is_not() {
    let command = DevCommand::new();
    let plugin = command.program.home().join("engine");
    let replace = |content: &[u8]| {
        fs::rename(executable_script(command.program.home(), "engine.new", content), &plugin).unwrap();
    };
    let mut binary = fs::read(BINARY).unwrap();
    replace(&binary);
    let args = ["--binary", "./engine", "--arg", "serve", "--watch"];
    let mut dev = command.start(&args).await;
    // Bytes after the sections of an ELF file are ignored, but change the checksum.
    binary.push(0);
    replace(&binary);
    dev.program.wait_for(Stream::Stderr, "Reloaded: the binary has changed").await;
    let next = build::with_next_version(Path::new(BINARY), env!("CARGO_PKG_VERSION"), command.program.home());
    fs::rename(next, &plugin).unwrap();
    let changed = concat!("version v", env!("CARGO_PKG_VERSION"), " becomes v");
    dev.program.wait_for(Stream::Stderr, changed).await;
    replace(b"#!/bin/sh\nexit 3\n");
    dev.program.wait_for(Stream::Stderr, "The binary has changed, but was not reloaded").await;
    let config = ["status", "--output", "json"];
    let status = dev.client().run(config).await.json();
    assert_eq!(
        status["mounts"]["engine/"]["running_version"],
        format!("v{}", build::highest_version(env!("CARGO_PKG_VERSION")))
    );
    assert_eq!(dev.signal_and_wait(Signal::INT).await.0, Some(0));
}

#[tokio::test]
async fn a_go_engine_is_at_work_as_ours_is() {
    let command = DevCommand::new();
    let kv = build::go_kv("v0.25.0").await;
    // Version 1, which is the default of a mount.
    let args = ["--binary", kv.to_str().unwrap(), "--name", "kv", "--mount", "one"];
    let dev = command.start(&[&args[..], &["--write", "app", "user=ann", "--smoke", "app"]].concat()).await;
    let client = client(dev.field("address"), dev.field("token"));
    let ask = async |method, path: &str, body| send_raw(&client, method, path, body).await;
    let (status, read) = ask("GET", "one/app", Value::Null).await;
    assert_eq!((status, &read["data"]), (200, &json!({"user": "ann"})));

    let second = json!({"type": "kv", "options": {"version": "2"}, "config": {"plugin_version": "v0.25.0"}});
    assert_eq!(ask("POST", "sys/mounts/two", second).await.0, 204);
    // It initializes its storage in the background.
    eventually("the engine is ready", async || {
        let (status, answer) = ask("POST", "two/config", json!({"max_versions": 4})).await;
        assert!(status == 204 || answer["errors"][0].as_str().unwrap().contains("pgrad"), "{answer}");
        (status == 204).then_some(())
    })
    .await;
    let created = ask("POST", "two/data/app", json!({"data": {"user": "ann", "word": "x"}})).await;
    assert_eq!((created.0, &created.1["data"]["version"]), (200, &json!(1)), "{}", created.1);
    let patched = ask("PATCH", "two/data/app", json!({"data": {"word": "y"}})).await;
    assert_eq!((patched.0, &patched.1["data"]["version"]), (200, &json!(2)), "{}", patched.1);
    let (_, read) = ask("GET", "two/data/app", Value::Null).await;
    assert_eq!(read["data"]["data"], json!({"user": "ann", "word": "y"}));
    let (_, old) = ask("GET", "two/data/app?version=1", Value::Null).await;
    assert_eq!(old["data"]["data"]["word"], "x");
    for list in ["LIST", "GET"] {
        let path = if list == "GET" { "two/metadata/?list=true" } else { "two/metadata" };
        assert_eq!(ask(list, path, Value::Null).await.1["data"]["keys"], json!(["app"]));
    }
    let described = json!({"custom_metadata": {"owner": "ann"}});
    assert_eq!(ask("POST", "two/metadata/app", described).await.0, 204);
    let (_, metadata) = ask("GET", "two/metadata/app", Value::Null).await;
    assert_eq!(metadata["data"]["current_version"], 2);
    assert_eq!(metadata["data"]["custom_metadata"], json!({"owner": "ann"}));
    assert_eq!(ask("DELETE", "two/data/app", Value::Null).await.0, 204);
    let (status, deleted) = ask("GET", "two/data/app", Value::Null).await;
    assert_eq!(status, 404);
    assert_ne!(deleted["data"]["metadata"]["deletion_time"], "");
    assert_eq!(ask("DELETE", "two/metadata/app", Value::Null).await.0, 204);
    assert_eq!(ask("LIST", "two/metadata", Value::Null).await.0, 404);
    assert_eq!(dev.signal_and_wait(Signal::INT).await.0, Some(0));
    assert_eq!(command.plugin_pids(), []);
}

#[tokio::test]
async fn a_plugin_that_is_a_bad_one_after_its_handshake_is_told_by_what_it_did() {
    let command = DevCommand::new();
    let sdk = build::go_sdk("v0.25.0").await;
    let sdk = sdk.to_str().unwrap();
    let faulty = async |fault: &str| {
        let fault = format!("GO_SDK_FAULT={fault}");
        command.run(&["--binary", sdk, "--env", &fault, "--write", "notes/a", "text=b", "--", "true"]).await
    };
    let crashed = faulty("crash").await;
    assert_eq!(crashed.code, Some(1));
    for seen in ["while its type and version were read: exit status: 2;", "panic: cannot open the database"] {
        assert!(crashed.stderr.contains(seen), "{}", crashed.stderr);
    }
    let deaf = faulty("deaf").await;
    assert_eq!(deaf.code, Some(0), "{}", deaf.stderr);
    let seen = "a plugin did not exit after the shutdown request, and was killed: go-sdk";
    assert!(deaf.stderr.contains(seen), "{}", deaf.stderr);
    let old = build::go_sdk("v0.1.13").await;
    let old = command.run(&["--binary", old.to_str().unwrap(), "--", "true"]).await;
    assert_eq!(old.code, Some(1));
    assert!(old.stderr.contains("rebuild it with vault/sdk 0.7 or later"), "{}", old.stderr);
    assert_eq!(command.plugin_pids(), []);
    assert_eq!(command.leftovers(), [""; 0]);
}
