//! A binary that is only looked at learns nothing of whoever looks at it.

use std::fs;

use harness::{Output, Program, SecretScan, build};
use tempfile::TempDir;

use crate::lab::{BINARY, Lab};

/// What the operator has, and a foreign binary must not get.
const SECRETS: [&str; 8] = [
    "s.planted-vault-token",
    "planted-aws-key",
    "s.planted-token-file",
    "planted-kubeconfig",
    "planted-client-key",
    "planted-google-credentials",
    "planted-aws-credentials",
    "planted-api-key",
];

/// Files that lie neither at home nor where a program expects them, by the secret in each.
const FILES: [(&str, usize); 4] =
    [("client.key", 4), ("google.json", 5), ("aws-credentials", 6), ("api-key", 7)];

/// An operator with secrets in the environment and at home, and a plugin that looks for them.
struct OperatorWithSecrets {
    program: Program,
    /// Not in the home: the plugin can write there.
    elsewhere: TempDir,
}

impl OperatorWithSecrets {
    fn new(program: Program) -> OperatorWithSecrets {
        let elsewhere = tempfile::tempdir().unwrap();
        let kubeconfig = elsewhere.path().join("kube").join("config");
        fs::create_dir(kubeconfig.parent().unwrap()).unwrap();
        let text = format!("# {}\nusers: [{{name: me, user: {{client-key: ../client.key}}}}]\n", SECRETS[3]);
        fs::write(&kubeconfig, text).unwrap();
        let file = |name: &str| elsewhere.path().join(name).display().to_string();
        for (name, secret) in FILES {
            fs::write(file(name), SECRETS[secret]).unwrap();
        }
        fs::write(elsewhere.path().join("report"), "").unwrap();
        fs::write(program.home().join(".vault-token"), SECRETS[2]).unwrap();
        let home = program.home().display().to_string();
        let program = program
            .env("AWS_SECRET_ACCESS_KEY", SECRETS[1])
            .env("GOOGLE_APPLICATION_CREDENTIALS", file("google.json"))
            .env("AWS_SHARED_CREDENTIALS_FILE", file("aws-credentials"))
            .env("HOME", home)
            .env("KUBECONFIG", kubeconfig.display().to_string());
        OperatorWithSecrets { program, elsewhere }
    }

    /// Runs a command that looks at the plugin. `flag` gives the plugin an argument.
    async fn run_on_plugin(&self, args: &[&str], flag: &str) -> Output {
        self.run(args, flag, &[]).await
    }

    async fn run(&self, args: &[&str], flag: &str, rest: &[&str]) -> Output {
        let mut files = vec![
            self.elsewhere.path().join("report"),
            self.program.home().join(".vault-token"),
            self.elsewhere.path().join("kube").join("config"),
        ];
        // A command hides the last one if it was told to read it.
        let told = rest.iter().any(|arg| arg.contains("api-key"));
        let planted = FILES.iter().filter(|(name, _)| told || *name != "api-key");
        files.extend(planted.map(|(name, _)| self.elsewhere.path().join(name)));
        let given = files.iter().map(|file| format!("{flag}={}", file.display()));
        let (args, rest) = (args.iter().copied(), rest.iter().copied());
        self.program.run(args.map(str::to_owned).chain(given).chain(rest.map(str::to_owned))).await
    }

    /// What the plugin has seen.
    fn plugin_report(&self) -> String {
        fs::read_to_string(self.elsewhere.path().join("report")).unwrap()
    }

    #[track_caller]
    fn assert_nothing_was_seen(&self, what: &str, output: &Output) {
        let report = self.plugin_report();
        assert!(report.starts_with("started\n"), "{what} has not started the plugin: {output:?}");
        let scan = SECRETS.iter().fold(SecretScan::new(), |scan, secret| scan.add_secret(*secret, *secret));
        scan.assert_no_secret_in(&format!("what the plugin saw in {what}"), report);
        scan.assert_no_secret_in_output(what, output);
        fs::write(self.elsewhere.path().join("report"), "").unwrap();
    }
}

fn snooping_plugin() -> String {
    build::prebuilt_example("snoop").display().to_string()
}

#[tokio::test]
async fn a_binary_that_is_looked_at_sees_no_secret_of_the_operator() {
    let operator = OperatorWithSecrets::new(Program::new(BINARY).env("VAULT_TOKEN", SECRETS[0]));
    let snoop = snooping_plugin();
    let commands: [&[&str]; 2] = [&["inspect", &snoop], &["doctor", "--binary", &snoop]];
    for command in commands {
        let output = operator.run_on_plugin(command, "--arg").await;
        operator.assert_nothing_was_seen(command[0], &output);
    }
}

#[tokio::test]
async fn a_binary_that_is_packaged_sees_no_secret_of_the_operator() {
    let operator = OperatorWithSecrets::new(Program::new(BINARY).env("VAULT_TOKEN", SECRETS[0]));
    let output = operator
        .run_on_plugin(&["package", "--dry-run", "--name", "snoop", &snooping_plugin()], "--arg")
        .await;
    if cfg!(target_feature = "crt-static") {
        operator.assert_nothing_was_seen("package", &output);
    } else {
        // The plugin is linked as this test is, and no image can start it then.
        assert!(output.stderr.contains("needs the dynamic linker"), "{output:?}");
        assert_eq!(operator.plugin_report(), "", "what cannot be packaged is not started");
    }
}

#[tokio::test]
async fn a_binary_that_is_to_be_registered_sees_no_secret_of_the_operator() {
    let Lab { vault, upstream: _upstream, program, plugins: _plugins } = Lab::with_registered_plugin().await;
    // The token of this host is the operator's.
    let operator = OperatorWithSecrets::new(program);
    let snoop = snooping_plugin();
    let scan = SecretScan::new().add_secret("the operator's token", vault.root_token());
    let commands: [&[&str]; 2] = [
        &["register", "--dry-run", "snoop", "--binary", &snoop],
        &["upgrade", "--dry-run", "custom-plugin", "--binary", &snoop],
    ];
    for command in commands {
        let output = operator.run_on_plugin(command, "--arg").await;
        scan.assert_no_secret_in(command[0], operator.plugin_report());
        operator.assert_nothing_was_seen(command[0], &output);
    }
}

/// Files that a command is told are secrets lie anywhere.
#[tokio::test]
async fn a_binary_that_is_to_be_registered_cannot_read_the_files_of_its_secrets() {
    let Lab { vault: _vault, upstream: _upstream, program, plugins: _plugins } = Lab::new().await;
    let operator = OperatorWithSecrets::new(program);
    let snoop = snooping_plugin();
    let register = ["register", "--dry-run", "snoop", "--mount", "a", "--binary", &snoop];
    let key = format!("api_key=@{}", operator.elsewhere.path().join("api-key").display());
    for data in [["--config", &key], ["--role", &format!("dev:{key}")]] {
        let output = operator.run(&register, "--arg", &data).await;
        operator.assert_nothing_was_seen(data[0], &output);
    }
    let file = operator.elsewhere.path().join("with-api-key.yaml");
    fs::write(&file, "mounts: [{path: a, write: {config: {api_key: {file: ./api-key}}}}]\n").unwrap();
    let register = ["register", "--dry-run", "snoop", "--binary", &snoop];
    let output = operator.run(&register, "--arg", &["-f", &file.display().to_string()]).await;
    operator.assert_nothing_was_seen("a reference in the file", &output);
}

/// The home that the system's table of users knows is hidden with any `HOME`, and without one.
#[tokio::test]
async fn a_binary_that_is_looked_at_cannot_look_into_the_home_of_its_user() {
    let home = home_of_this_user();
    let report = tempfile::tempdir().unwrap();
    let snoop = snooping_plugin();
    for variable in ["HOME=/nonexistent", "--unset=HOME"] {
        let path = report.path().join(variable.replace('/', ""));
        fs::write(&path, "").unwrap();
        let (path, read) = (format!("--arg={}", path.display()), format!("--arg={home}"));
        let program = Program::new("/usr/bin/env");
        let output = program.run([variable, BINARY, "inspect", &snoop, &path, &read]).await;
        let seen = fs::read_to_string(&path["--arg=".len()..]).unwrap();
        assert!(seen.contains(&format!("{home}: Permission denied")), "{variable} {seen} {output:?}");
    }
}

/// As the system's table of users has it.
fn home_of_this_user() -> String {
    let user = std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").unwrap()).to_string();
    let table = fs::read_to_string("/etc/passwd").unwrap();
    let lines = table.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines.filter(|line| line[2] == user).map(|line| line[5].to_owned()).next().unwrap()
}

#[tokio::test]
async fn a_plugin_in_development_sees_what_it_is_given_and_no_secret() {
    let operator = OperatorWithSecrets::new(Program::new(BINARY).env("VAULT_TOKEN", SECRETS[0]));
    let command =
        ["dev", "--listen", "127.0.0.1:0", "--binary", &snooping_plugin(), "--env", "GIVEN=by-the-caller"];
    let output = operator.run(&command, "--arg", &["--", "true"]).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(operator.plugin_report().contains("own GIVEN=by-the-caller\n"), "{}", operator.plugin_report());
    operator.assert_nothing_was_seen("dev", &output);
    let key = format!("api_key=@{}", operator.elsewhere.path().join("api-key").display());
    let output = operator.run(&command, "--arg", &["--write", "nothing", &key, "--", "true"]).await;
    operator.assert_nothing_was_seen("dev --write", &output);
}
