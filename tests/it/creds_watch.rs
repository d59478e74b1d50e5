//! `creds watch`: a file that is always fresh.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use harness::{SecretScan, eventually};
use rustix::process::Signal;
use serde_json::Value;

use crate::creds_stage::{PATH, Stage, send};

#[tokio::test]
async fn a_file_holds_a_live_credential_until_an_interrupt_and_events_are_lines() {
    let stage = Stage::new("3s", "4s").await;
    let watch = stage.program.spawn(["creds", "watch", PATH, "--file", "now=token", "--output", "json"]);
    let first = stage.text("now").await;
    assert_eq!(fs::metadata(stage.file("now")).unwrap().permissions().mode() & 0o777, 0o600);
    let second = eventually("another credential", async || {
        let text = fs::read_to_string(stage.file("now")).expect("it is there at every moment");
        (text != first).then_some(text)
    })
    .await;
    assert!(stage.upstream.live().iter().any(|issued| issued.token == second));

    send(&watch, Signal::TERM);
    let output = watch.wait_with_output().await.unwrap();
    let (stdout, stderr) =
        (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(!stage.file("now").exists());
    assert!(stage.upstream.live().is_empty());
    let events: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names.first(), Some(&"issued"));
    assert_eq!(names.last(), Some(&"revoked"));
    assert!(names.contains(&"renewed"), "{names:?}");
    assert_eq!(events[0]["schema_version"], 1);
    assert!(events.iter().any(|event| event["why"] == "end_of_lease"), "{stdout}");
    let scan = SecretScan::new().secret("the first token", first).secret("the second token", second);
    scan.content("stdout", stdout);
    scan.content("stderr", stderr.as_bytes());
}

#[tokio::test]
async fn a_file_that_cannot_be_written_ends_it_and_leaves_no_lease() {
    let stage = Stage::new("1h", "2h").await;
    let output =
        stage.program.run(["creds", "watch", PATH, "--file", "/nonexistent/directory/now=token"]).await;
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    assert!(output.stderr.contains("/nonexistent/directory/now"), "{}", output.stderr);
    assert_eq!(stage.upstream.issued().len(), 1);
    assert!(stage.upstream.live().is_empty());
}
