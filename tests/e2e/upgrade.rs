//! Upgrades and rollbacks under load, killed at any step, and with versions that do not work.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use harness::{Fault, LoadGenerator, Operation, Program, RecordingProxy, Stream, build, eventually};
use serde_json::{Value, json};

use crate::lab::{BINARY, Lab, NAME};
use crate::token_accounting::TokenNames;

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn next() -> String {
    build::highest_version(VERSION)
}

/// Our plugin on two mounts, and the `plugin.yaml` of its next version.
async fn two_mounts() -> (Lab, PathBuf) {
    let lab = Lab::with_registered_plugin(&["first", "second"], "1h").await;
    let description = lab.description_of(
        &build::with_next_version(BINARY.as_ref(), VERSION, lab.folder()),
        &["first", "second"],
        "1h",
    );
    let file = lab.file("next.yaml", &description);
    (lab, file)
}

fn upgrade(file: &Path) -> Vec<&str> {
    vec!["upgrade", "-f", file.to_str().unwrap(), "--output", "json"]
}

/// The events of a run, one per line.
fn events(stdout: &str) -> Vec<Value> {
    stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Configured and running version of each mount.
async fn configured_and_running(lab: &Lab, mounts: &[&str]) -> BTreeSet<String> {
    let all = lab.vault.request("GET", "sys/mounts", None).await.success();
    let text = |mount: &str, field: &str| all[format!("{mount}/")][field].as_str().unwrap().to_owned();
    let of = |mount: &&str| [text(mount, "plugin_version"), text(mount, "running_plugin_version")];
    mounts.iter().flat_map(of).collect()
}

fn only(version: &str) -> BTreeSet<String> {
    BTreeSet::from([format!("v{version}")])
}

/// Everything that a run must not leave behind.
async fn leftovers(lab: &Lab) -> Vec<String> {
    let mounts = lab.vault.request("GET", "sys/mounts", None).await.success();
    let mounts = mounts["data"].as_object().unwrap().keys().filter(|path| path.contains("canary"));
    let mut left: Vec<String> = mounts.cloned().collect();
    left.extend(catalog(lab).await.into_iter().filter(|entry| entry.contains("canary")));
    left.extend(files(lab).into_iter().filter(|file| file.starts_with('.')));
    left
}

async fn catalog(lab: &Lab) -> Vec<String> {
    let listed = lab.vault.request("GET", "sys/plugins/catalog", None).await.success();
    let detailed = listed["data"]["detailed"].as_array().unwrap().clone();
    let own = detailed.iter().filter(|entry| entry["builtin"] == false);
    own.map(|entry| format!("{} {}", entry["name"].as_str().unwrap(), entry["version"].as_str().unwrap()))
        .collect()
}

fn files(lab: &Lab) -> Vec<String> {
    let entries = fs::read_dir(lab.vault.plugin_directory()).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn upgrade_and_rollback_under_load_fail_no_request_and_lose_no_lease() {
    let (lab, file) = two_mounts().await;
    let load = LoadGenerator::on_server(&lab.vault, &lab.upstream, &["first", "second"]);
    load.wait_progress().await;

    let done = lab.program.run(upgrade(&file)).await.success();
    assert_eq!(configured_and_running(&lab, &["first", "second"]).await, only(&next()));
    assert_eq!(events(&done).last().unwrap()["event"], "finished", "{done}");
    load.wait_progress().await;
    lab.program.run(["rollback", NAME, "--smoke", "creds/developer"]).await.success();
    assert_eq!(configured_and_running(&lab, &["first", "second"]).await, only(VERSION));
    load.wait_progress().await;

    let account = load.stop().await;
    account.assert_all_served();
    let (mut leased, mut announced) = (TokenNames::new(), TokenNames::new());
    for mount in ["first", "second"] {
        leased.extend(lab.leased_tokens(mount).await);
        announced.extend(lab.wal_tokens(mount).await);
    }
    let (live, on_record) = (lab.live_tokens(), &leased | &announced);
    assert!(
        leased.is_superset(&lab.token_names(account.open_leases.values())),
        "what a client got and kept is leased"
    );
    assert!(live.is_superset(&leased), "what is leased is live");
    // A request that was cut off by the end of the old process may have a WAL entry but no token.
    assert!(on_record.is_superset(&live), "every live token is on record");
    assert_eq!(leftovers(&lab).await, Vec::<String>::new());
}

#[tokio::test]
async fn an_upgrade_shows_its_plan_does_it_and_finds_nothing_to_do_after_it() {
    let (lab, file) = two_mounts().await;
    let writes = lab.writes();
    let plan = lab.program.run([upgrade(&file), vec!["--dry-run"]].concat()).await;
    assert_eq!((plan.code, lab.writes()), (Some(3), writes), "{plan:?}");
    let planned = events(&plan.stdout)[0]["steps"].as_array().unwrap().clone();

    let done = lab.program.run(upgrade(&file)).await.success();
    let did = events(&done).into_iter().filter(|event| event["event"] == "step_done");
    assert_eq!(did.map(|mut event| event["step"].take()).collect::<Vec<_>>(), planned);

    let writes = lab.writes();
    let again = lab.program.run(upgrade(&file)).await.success();
    assert_eq!(events(&again).last().unwrap()["result"], "nothing_to_do", "{again}");
    assert_eq!(lab.writes(), writes);
}

#[tokio::test]
async fn the_trial_mount_gets_the_configuration_of_the_live_one_unless_it_is_told_otherwise() {
    let (lab, file) = two_mounts().await;
    let canaries = || {
        let log = lab.vault.audit_log();
        let path = |line: &Value| line["request"]["path"].as_str().unwrap_or_default().to_owned();
        let written = log.iter().filter(|line| line["type"] == "request").map(path);
        written.filter(|path| path.starts_with("vault-token-plugin-canary/")).collect::<Vec<_>>()
    };
    let plan = lab.program.run([upgrade(&file), vec!["--dry-run"]].concat()).await;
    let said = "copy config, roles/developer from first/, then smoke-test creds/developer";
    assert!(plan.stderr.contains(said), "{plan:?}");

    let output = lab.program.run([upgrade(&file), vec!["--canary-config", "none"]].concat()).await;
    output.success();
    assert_eq!(canaries(), Vec::<String>::new(), "nothing is written to it or read from it");
}

#[tokio::test]
async fn killed_after_every_step_the_same_command_goes_on() {
    let lab = Lab::new().await;
    kill_after_every_step(&lab, 11).await;
}

#[tokio::test]
async fn killed_after_every_step_under_a_pin_the_same_command_goes_on() {
    let lab = Lab::new().await;
    let pin = json!({"version": "v1.0.0"});
    go_kv_twice(&lab).await;
    lab.vault.request("PUT", "sys/plugins/pins/secret/go-kv", Some(pin)).await.success();
    kill_after_every_step(&lab, 12).await;
}

/// Data in two mounts of a Go plugin.
async fn go_kv_twice(lab: &Lab) {
    let binary = build::go_kv("v1.0.0").await;
    for mount in ["first", "second"] {
        let binary = binary.to_str().unwrap();
        let args = ["register", "go-kv", "--mount", mount, "--binary", binary];
        lab.program.run(args).await.success();
        lab.vault.request("POST", &format!("{mount}/kept"), Some(json!({"a": "b"}))).await.success();
    }
}

/// The run is killed after each step of the plan; in the last round it is not killed.
async fn kill_after_every_step(lab: &Lab, steps: usize) {
    go_kv_twice(lab).await;
    let binary = build::go_kv("v2.0.0").await;
    let command = ["upgrade", "--binary", binary.to_str().unwrap(), "--smoke", "kept", "--output", "json"];
    let plan = lab.program.run([&command[..], &["--dry-run"]].concat()).await;
    assert_eq!(events(&plan.stdout)[0]["steps"].as_array().unwrap().len(), steps, "{plan:?}");
    for step in 0..=steps {
        kill_after(lab, &command, step).await;
        let output = lab.program.run(command).await;
        assert_eq!(output.code, Some(0), "after step {step}: {output:?}");
        assert_eq!(running_versions(lab).await, only("2.0.0"), "after step {step}");
        assert_eq!(leftovers(lab).await, Vec::<String>::new(), "after step {step}");
        for mount in ["first", "second"] {
            let kept = lab.vault.request("GET", &format!("{mount}/kept"), None).await.success();
            assert_eq!(kept["data"]["a"], "b", "after step {step}");
        }
        lab.program.run(["rollback", "--version", "1.0.0"]).await.success();
        assert_eq!(running_versions(lab).await, only("1.0.0"), "after step {step}");
        lab.program.run(["deregister", "go-kv", "--version", "2.0.0"]).await.success();
        assert_eq!(files(lab), ["go-kv-1.0.0"]);
    }
}

async fn running_versions(lab: &Lab) -> BTreeSet<String> {
    let all = lab.vault.request("GET", "sys/mounts", None).await.success();
    let of = |mount: &&str| all[format!("{mount}/")]["running_plugin_version"].as_str().unwrap().to_owned();
    ["first", "second"].iter().map(of).collect()
}

/// Runs the upgrade and kills it after this many steps; with zero, as soon as it reports its plan.
async fn kill_after(lab: &Lab, command: &[&str], steps: usize) {
    let mut run = lab.program.start(command);
    while let Some(line) = run.next_line(Stream::Stdout).await {
        let event: Value = serde_json::from_str(&line).unwrap();
        let done = match event["event"].as_str().unwrap() {
            "planned" => steps == 0,
            "step_done" => event["number"] == steps,
            _ => false,
        };
        if done {
            break;
        }
    }
    run.kill().await;
}

#[tokio::test]
async fn a_version_that_fails_after_the_switch_is_undone_and_leaves_nothing() {
    let (lab, file) = two_mounts().await;
    let (before, there) = (catalog(&lab).await, files(&lab));
    // The canary mount gets its credential; the upstream refuses the first one of a real mount.
    let mut run = lab.program.start(upgrade(&file));
    while let Some(line) = run.next_line(Stream::Stdout).await {
        let event: Value = serde_json::from_str(&line).unwrap();
        if event["event"] == "step_done" && event["step"]["step"] == "remove_canary" {
            lab.upstream.fail(Operation::Mint, Fault::Status(401));
        }
    }
    let output = run.wait().await;
    assert_eq!(output.code, Some(4), "{output:?}");
    assert!(output.stderr.contains("Moved back to the previous version: first/, second/"), "{output:?}");
    lab.upstream.heal();
    assert_eq!(configured_and_running(&lab, &["first", "second"]).await, only(VERSION));
    assert_eq!((catalog(&lab).await, files(&lab)), (before, there));
    assert_eq!(leftovers(&lab).await, Vec::<String>::new());
    lab.read_credential("first").await;
}

#[tokio::test]
async fn a_version_that_fails_on_its_trial_mount_never_reaches_a_real_one() {
    let (lab, file) = two_mounts().await;
    let (before, there) = (catalog(&lab).await, files(&lab));
    lab.upstream.fail(Operation::Mint, Fault::Status(401));
    let output = lab.program.run(upgrade(&file)).await;
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("could not verify vault-token-plugin-canary/"), "{}", output.stderr);
    assert_eq!(events(&output.stdout).last().unwrap()["event"], "failed");
    assert_eq!(configured_and_running(&lab, &["first", "second"]).await, only(VERSION));
    assert_eq!((catalog(&lab).await, files(&lab)), (before, there));
    assert_eq!(leftovers(&lab).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_new_file_that_is_gone_when_the_server_starts_it_is_undone() {
    let (lab, file) = two_mounts().await;
    let recorder = RecordingProxy::start(lab.vault.address()).await;
    let copied = lab.vault.plugin_directory().join(format!("{NAME}-{}", next()));
    recorder.before_next_request("/v1/sys/plugins/reload/backend", move || fs::remove_file(copied).unwrap());
    let program = Program::new(BINARY).vault(&lab.vault).env("VAULT_ADDR", recorder.address());
    let output = program.run(upgrade(&file)).await;
    assert_eq!(output.code, Some(4), "{output:?}");
    assert!(output.stderr.contains("Moved back to the previous version: first/, second/"), "{output:?}");
    assert_eq!(configured_and_running(&lab, &["first", "second"]).await, only(VERSION));
    assert_eq!(leftovers(&lab).await, Vec::<String>::new());
    lab.read_credential("first").await;
}

#[tokio::test]
async fn what_would_break_clients_is_of_another_machine_or_is_older_is_refused_before_anything_changes() {
    let (lab, _) = two_mounts().await;
    let (writes, there) = (lab.writes(), files(&lab));
    let binary = build::with_next_version(BINARY.as_ref(), VERSION, lab.folder());
    let changed = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut content = fs::read(&binary).unwrap();
        change(&mut content);
        let path = lab.folder().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, executable()).unwrap();
        path
    };
    let other_machine = changed("foreign", &|content| build::set_foreign_machine(content));
    let cut = changed("cut", &|content| content.truncate(1000));
    let other_field = build::with_patched_version(&binary, "max_ttl", "max_tll", lab.folder());
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    for (args, words) in [
        (vec![text(&other_machine)], "is built for"),
        (vec![text(&cut)], "is not a working plugin"),
        (vec![text(&other_field)], "clients of custom-plugin would fail with this version"),
        (vec![text(&binary), "--version".into(), "8.0.0".into()], "version mismatch: "),
        (vec![text(&binary), "nothing".into()], "no mount runs the secret plugin nothing"),
        (vec![text(&binary), "--mount".into(), "sys".into()], "nothing is mounted at sys/"),
    ] {
        let args = ["upgrade", "--binary"].map(str::to_owned).into_iter().chain(args);
        let output = lab.program.run(args).await;
        assert_eq!(output.code, Some(1), "{output:?}");
        assert!(output.stderr.contains(words), "{words:?} is not in: {}", output.stderr);
    }
    assert_eq!((lab.writes(), files(&lab)), (writes, there));
}

fn executable() -> fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o755)
}

#[tokio::test]
async fn a_go_plugin_with_data_in_it_moves_on_and_back_and_old_versions_are_collected() {
    let lab = Lab::new().await;
    let mut binaries = Vec::new();
    for version in ["v1.0.0", "v2.0.0", "v3.0.0"] {
        binaries.push(build::go_kv(version).await);
    }
    let binary = |number: usize| binaries[number].to_str().unwrap().to_owned();
    let first = ["register", "go-kv", "--mount", "notes", "--binary"].map(str::to_owned);
    lab.program.run(first.into_iter().chain([binary(0)])).await.success();
    lab.vault.request("POST", "notes/kept", Some(json!({"a": "b"}))).await.success();
    for number in [1, 2] {
        lab.program.run(["upgrade", "--binary", &binary(number), "--smoke", "kept"]).await.success();
    }
    assert_eq!(configured_and_running(&lab, &["notes"]).await, only("3.0.0"));
    lab.program.run(["gc"]).await.success();
    assert_eq!(files(&lab), ["go-kv-2.0.0", "go-kv-3.0.0"]);
    assert_eq!(catalog(&lab).await, ["go-kv v2.0.0", "go-kv v3.0.0"]);
    assert!(lab.program.run(["gc"]).await.success().starts_with("Nothing to do"));

    let needed = lab.program.run(["deregister", "go-kv", "--all"]).await;
    assert_eq!(needed.code, Some(1), "{needed:?}");
    assert!(needed.stderr.contains("is in use: notes/ runs it"), "{}", needed.stderr);

    lab.program.run(["rollback", "--smoke", "kept"]).await.success();
    assert_eq!(configured_and_running(&lab, &["notes"]).await, only("2.0.0"));
    let last = lab.program.run(["rollback"]).await;
    assert_eq!(last.code, Some(1), "{last:?}");
    assert!(last.stderr.contains("no version of go-kv before v2.0.0 is registered"), "{}", last.stderr);
    let older = lab.program.run(["upgrade", "--binary", &binary(0)]).await;
    assert!(older.stderr.contains("which is newer than 1.0.0"), "{}", older.stderr);
    lab.program.run(["upgrade", "--binary", &binary(0), "--allow-downgrade"]).await.success();
    let kept = lab.vault.request("GET", "notes/kept", None).await.success();
    assert_eq!(kept["data"]["a"], "b");
}

/// Whether the environment of a process contains a variable.
fn has_variable(pid: u32, line: &str) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|there| there == line.as_bytes())
}

#[tokio::test]
async fn the_environment_of_the_running_plugin_is_not_forgotten() {
    const ENV_LINES: [&str; 2] = ["ENGINE_PASSWORD=hunter2=a b", "ENGINE_MODE=strict"];
    let lab = Lab::new().await;
    let file = lab.file("plugin.yaml", &lab.description(&["custom"], "1h"));
    let register = ["register", "-f", file.to_str().unwrap(), "--env", ENV_LINES[0], "--env", ENV_LINES[1]];
    lab.program.run(register).await.success();
    let running = async |lines: &[&str]| {
        eventually("the one process of the plugin has its environment", async || {
            match lab.vault.child_plugin_pids()[..] {
                [pid] if lines.iter().all(|line| has_variable(pid, line)) => Ok(()),
                ref pids => Err(format!("{pids:?} have not {lines:?}")),
            }
        })
        .await;
    };
    running(&ENV_LINES).await;

    let next = build::with_next_version(BINARY.as_ref(), VERSION, lab.folder());
    let next = next.to_str().unwrap();
    let output = lab.program.run(["upgrade", NAME, "--binary", next, "--env", "ENGINE_MODE=lax"]).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stderr.contains("gets ENGINE_PASSWORD from"), "{}", output.stderr);
    for shown in [&output.stdout, &output.stderr] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    running(&[ENV_LINES[0], "ENGINE_MODE=lax"]).await;
}

/// The parent of such a process is not its server, so the whole environment of the server would count as that of the plugin.
#[tokio::test]
async fn the_environment_of_a_process_that_has_outlived_its_server_is_not_taken() {
    let lab = Lab::with_registered_plugin(&["custom"], "1h").await;
    let copied = lab.vault.plugin_directory().join(format!("{NAME}-{VERSION}"));
    let [hosted] = lab.vault.child_plugin_pids()[..] else { panic!("one process serves the mount") };
    let orphan = Program::new(&copied).env("SERVERS_SECRET", "hunter3").start(["dev", "--", "sleep", "1000"]);
    // The server's own process is started later, and has a higher number.
    lab.kill_plugin_process(hosted).await;
    lab.read_credential("custom").await;

    let next = build::with_next_version(BINARY.as_ref(), VERSION, lab.folder());
    let output = lab.program.run(["upgrade", NAME, "--binary", next.to_str().unwrap()]).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(!output.stderr.contains("SERVERS_SECRET"), "{}", output.stderr);
    assert!(!output.stderr.contains("different environments"), "it is passed over: {}", output.stderr);
    drop(orphan);
}

#[tokio::test]
async fn where_the_environment_cannot_be_seen_that_is_said() {
    let lab = Lab::with_registered_plugin(&["custom"], "1h").await;
    lab.kill_plugin().await;
    let next = build::with_next_version(BINARY.as_ref(), VERSION, lab.folder());
    let output = lab.program.run(["upgrade", NAME, "--binary", next.to_str().unwrap()]).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stderr.contains("--env"), "{}", output.stderr);
    assert!(output.stderr.contains("no server on this machine runs custom-plugin-"), "{}", output.stderr);
}
