//! `inspect`: shows what a file is by starting it, and rejects other files than plugins.

use std::fs;

use dev_vault::ServerOptions;
use harness::{Program, build};

use crate::lab::{BINARY, Lab, assert_snapshot, executable_script, snapshot_text};

#[tokio::test]
async fn a_plugin_is_shown_with_its_paths_and_fields() {
    let program = Program::new(BINARY);
    assert_snapshot("inspect", &snapshot_text(&program.run(["inspect", BINARY]).await, &[]));
    let json = program.run(["inspect", BINARY, "--output", "json"]).await.json();
    assert_eq!(json["schema_version"], 2);
    assert_eq!(json["kind"], "secret");
    assert_eq!(
        json["paths"]["config"]["operations"]["write"]["fields"]["api_key"]["kind"], "string",
        "{json}"
    );
}

#[tokio::test]
async fn two_plugins_are_compared_and_what_breaks_clients_is_marked() {
    let program = Program::new(BINARY);
    let same = program.run(["inspect", BINARY, BINARY]).await;
    assert_eq!(same.code, Some(0));
    assert!(same.stdout.ends_with("No differences.\n"), "{}", same.stdout);
    let kv = build::go_kv("v0.25.0").await;
    let other = program.run(["inspect", BINARY, kv.to_str().unwrap()]).await;
    assert_eq!(other.code, Some(3), "{}", other.stderr);
    assert!(other.stdout.contains("breaks clients"), "{}", other.stdout);
    let json = program.run(["inspect", BINARY, kv.to_str().unwrap(), "--output", "json"]).await;
    assert!(json.stdout.contains("\"breaks_clients\": true"), "{}", json.stdout);
}

#[tokio::test]
async fn a_file_that_is_no_plugin_is_told_by_what_was_seen_of_it() {
    let program = Program::new(BINARY);
    let home = program.home().to_owned();
    let own = [(home.display().to_string(), "<home>")];
    fs::write(home.join("text"), "hello\n").unwrap();
    executable_script(&home, "silent", "#!/bin/sh\nexit 0\n");
    executable_script(&home, "crashes", "#!/bin/sh\necho 'cannot open the database' >&2\nexit 3\n");
    executable_script(&home, "rubbish", "#!/bin/sh\necho 'Welcome!'\nsleep 60\n");
    executable_script(&home, "hangs", "#!/bin/sh\nexec sleep 60\n");
    executable_script(&home, "floods", "#!/bin/sh\nexec yes\n");
    executable_script(&home, "interpreter", "#!/nowhere/sh\n");
    let mut foreign = fs::read("/bin/true").unwrap();
    // `e_machine` of the ELF header: 0xF3 is RISC-V.
    foreign[18..20].copy_from_slice(&0xF3u16.to_le_bytes());
    executable_script(&home, "foreign", foreign);
    for name in
        ["missing", "text", "silent", "crashes", "rubbish", "hangs", "floods", "interpreter", "foreign"]
    {
        let output = program.run(["inspect", &format!("./{name}"), "--timeout", "2s"]).await;
        assert_snapshot(&format!("inspect of a file that is {name}"), &snapshot_text(&output, &own));
    }
}

/// A plugin of `dbplugin` v4, which offers no other version of the protocol.
const OLD_DATABASE_PLUGIN: &str = r#"#!/bin/sh
if test "$VAULT_DATABASE_PLUGIN" != 926a0820-aea2-be28-51d6-83cdf00e8edb; then
    echo 'This binary is a plugin. These are not meant to be executed directly.' >&2
    exit 1
fi
echo "1|4|unix|$TMPDIR/plugin|grpc|"
exec sleep 60
"#;

#[tokio::test]
async fn a_database_plugin_of_the_old_interface_is_refused_by_its_name() {
    let lab = Lab::with_options(ServerOptions::default()).await;
    executable_script(lab.program.home(), "old-database", OLD_DATABASE_PLUGIN);
    for line in [&["inspect", "./old-database"][..], &["dev", "--binary", "./old-database", "--", "true"]] {
        let refused = lab.program.run(line.iter().copied()).await;
        assert_eq!(refused.code, Some(1), "{line:?}: {refused:?}");
        for seen in ["protocol version 4", "dbplugin v4 or older", "vault/sdk/database/dbplugin/v5"] {
            assert!(refused.stderr.contains(seen), "{line:?}: {}", refused.stderr);
        }
    }
}

/// Text of an untrusted plugin is shown, and cannot control the terminal.
#[tokio::test]
async fn what_a_plugin_says_gives_the_terminal_no_orders() {
    let program = Program::new(BINARY);
    let words = r"#!/bin/sh
printf '\033]52;c;eA==\007\033[2Jgoodbye\302\2332J\r\n' >&2
exit 3
";
    executable_script(program.home(), "hostile", words);
    let commands: [&[&str]; 3] = [
        &["inspect", "./hostile"],
        &["inspect", "./hostile", "--output", "json"],
        &["inspect", "./hostile", "--output", "yaml"],
    ];
    for command in commands {
        let output = program.run(command).await;
        let said = format!("{}{}", output.stdout, output.stderr);
        assert!(said.contains("goodbye"), "{command:?}: {output:?}");
        assert!(!said.contains(|c: char| c.is_control() && c != '\n'), "{command:?}: {output:?}");
    }
}
