//! The prompts on a terminal, and the effect of an answer.

use regex::Regex;

use crate::lab::Lab;

/// The mounts of the server.
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
    assert!(ended.text.contains("the plan was declined"), "{ended:?}");
    assert!(!mounts(&lab).await.contains(&"custom/".to_owned()));

    let mut terminal = lab.program.start_on_terminal(register);
    terminal.wait_for("[y/N]").await;
    terminal.press("y");
    let ended = terminal.wait().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(mounts(&lab).await.contains(&"custom/".to_owned()));
}

#[tokio::test]
async fn a_change_that_needs_no_answer_shows_each_step_once_and_one_sentence() {
    let lab = Lab::with_registered_plugin().await;
    let ended = lab.program.start_on_terminal(["reload", "--yes"]).wait().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!ended.text.contains("Plan:"), "{ended:?}");
    let finished_step = Regex::new(r"\[1/1\] reload custom/ \(\d+\.\d s\)").unwrap();
    assert_eq!(finished_step.find_iter(&ended.text).count(), 1, "{ended:?}");
    assert!(ended.text.contains("Reloaded custom/ (1 step, "), "{ended:?}");
}

#[tokio::test]
async fn the_name_of_a_new_plugin_is_asked_for() {
    let lab = Lab::new().await;
    let mut terminal = lab.program.start_on_terminal(["register", "--dry-run", "--type", "auth"]);
    terminal.wait_for("Name of the plugin").await;
    terminal.press("my-plugin\r");
    terminal.wait_for("Mount path [my-plugin]").await;
    terminal.press("\r");
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

#[tokio::test]
async fn what_a_preset_requires_and_no_prompt_asks_for_is_named_before_the_first_prompt() {
    let lab = Lab::new().await;
    let register = ["register", "custom-plugin", "--mount", "custom", "--preset", "keystone"];
    let ended = lab.program.start_on_terminal(register).wait().await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.text.contains("--config parameters.user_id=USER_ID"), "{ended:?}");
    assert!(!ended.text.contains("api_endpoint"), "{ended:?}");

    let complete = ["--config", "parameters.user_id=ada", "--config", "parameters.project_id=web"];
    let mut terminal = lab.program.start_on_terminal([&register[..], &complete].concat());
    terminal.wait_for("Address of the upstream API (api_endpoint)").await;
    terminal.press("http://127.0.0.1:1\r");
    terminal.wait_for("Key of the upstream API (api_key)").await;
    terminal.press("hunter2\r");
    terminal.wait_for("[y/N]").await;
    terminal.press("\r");
    let ended = terminal.wait().await;
    assert!(
        ended.text.contains("write custom/config (api_endpoint, api_key, parameters, preset)"),
        "{ended:?}"
    );
    assert!(!ended.text.contains("hunter2"), "{ended:?}");
}
