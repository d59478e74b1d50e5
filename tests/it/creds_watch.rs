//! `creds watch`: a file that is always fresh.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use harness::{Output, SecretScan, eventually};
use rustix::process::Signal;
use serde_json::Value;

use crate::lab::{CREDENTIAL_PATH, Lab};

#[tokio::test]
async fn a_file_holds_a_live_credential_until_an_interrupt_and_events_are_lines() {
    let lab = Lab::with_mounted_plugin("3s", "4s").await;
    let watch = lab.program.start([
        "creds",
        "watch",
        CREDENTIAL_PATH,
        "--write-file",
        "now=token",
        "--output",
        "json",
    ]);
    let first = lab.text("now").await;
    assert_eq!(fs::metadata(lab.file("now")).unwrap().permissions().mode() & 0o777, 0o600);
    let second = eventually("another credential", async || {
        let text = fs::read_to_string(lab.file("now")).expect("it is there at every moment");
        (text != first).then_some(text)
    })
    .await;
    assert!(lab.upstream.live().iter().any(|issued| issued.token == second));

    watch.signal(Signal::TERM);
    let Output { code, stdout, stderr } = watch.wait().await;
    assert_eq!(code, Some(0), "{stderr}");
    assert!(!lab.file("now").exists());
    assert!(lab.upstream.live().is_empty());
    let events: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names.first(), Some(&"issued"));
    assert_eq!(names.last(), Some(&"revoked"));
    assert!(names.contains(&"renewed"), "{names:?}");
    assert_eq!(events[0]["schema_version"], 2);
    assert!(events.iter().any(|event| event["reason"] == "end_of_lease"), "{stdout}");
    let scan = SecretScan::new().add_secret("the first token", first).add_secret("the second token", second);
    scan.assert_no_secret_in("stdout", stdout);
    scan.assert_no_secret_in("stderr", stderr.as_bytes());
}

#[tokio::test]
async fn a_file_that_cannot_be_written_ends_it_and_leaves_no_lease() {
    let lab = Lab::with_mounted_plugin("1h", "2h").await;
    let output = lab
        .program
        .run(["creds", "watch", CREDENTIAL_PATH, "--write-file", "/nonexistent/directory/now=token"])
        .await;
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    assert!(output.stderr.contains("/nonexistent/directory/now"), "{}", output.stderr);
    assert_eq!(lab.upstream.issued().len(), 1);
    assert!(lab.upstream.live().is_empty());
}
