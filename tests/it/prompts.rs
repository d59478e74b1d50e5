//! What a person at a terminal is asked, and what an answer does.

use crate::lab::Lab;

/// What the server has mounted.
async fn mounts(lab: &Lab) -> Vec<String> {
    let status = lab.program.run(["status", "-o", "json"]).await.json();
    status["mounts"].as_object().expect("an object").keys().cloned().collect()
}

#[tokio::test]
async fn enter_alone_is_no_consent_to_a_change_that_people_notice() {
    let lab = Lab::new().await;
    let register = ["register", "-f", "plugin.yaml"];
    let mut terminal = lab.program.start_on_terminal(register);
    terminal.wait_for("[y/N]").await;
    terminal.press("\r");
    let ended = terminal.wait().await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.text.contains("nothing was done"), "{ended:?}");
    assert!(!mounts(&lab).await.contains(&"custom/".to_owned()));

    let mut terminal = lab.program.start_on_terminal(register);
    terminal.wait_for("[y/N]").await;
    terminal.press("y");
    let ended = terminal.wait().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(mounts(&lab).await.contains(&"custom/".to_owned()));
}

#[tokio::test]
async fn the_name_of_a_new_plugin_is_asked_for() {
    let lab = Lab::new().await;
    let mut terminal = lab.program.start_on_terminal(["register", "--dry-run", "--type", "auth"]);
    terminal.wait_for("Name of the plugin").await;
    terminal.press("my-plugin\r");
    let ended = terminal.wait().await;
    assert!(ended.text.contains("my-plugin"), "{ended:?}");
}

#[tokio::test]
async fn of_several_mounted_plugins_one_is_asked_for() {
    let lab = Lab::with_registered_plugin().await;
    lab.program.run(["register", "second", "--mount", "second", "--arg", "serve"]).await.success();
    let mut terminal = lab.program.start_on_terminal(["reload"]);
    terminal.wait_for("Name of the plugin (custom-plugin, second)").await;
    terminal.press("second\r");
    terminal.wait_for("reload second/").await;
    terminal.press("\r");
    let ended = terminal.wait().await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
}
