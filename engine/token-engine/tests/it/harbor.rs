//! Robot accounts of a Harbor project, which Harbor lists only for the number of the project.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use token_engine::engine;
use vault_plugin::testing::TestMount;

use crate::fake_api::{FakeApi, FakeResponse, ReceivedRequest};
use crate::{assert_accepted, read_error, wal_entries};

#[tokio::test]
async fn a_robot_account_of_a_project_is_found_after_a_lost_response() {
    let robots: Arc<Mutex<Vec<Value>>> = Arc::default();
    let stored = Arc::clone(&robots);
    let api = FakeApi::start(move |request: &ReceivedRequest| {
        let mut robots = stored.lock();
        match (&*request.method, &*request.target) {
            ("GET", "/api/v2.0/users/current") => FakeResponse::json(200, json!({"user_id": 1})),
            ("POST", _) => {
                let body = request.json();
                assert_eq!(
                    (&body["level"], &body["permissions"][0]["namespace"]),
                    (&json!("project"), &json!("web"))
                );
                robots.push(json!({"id": 42, "name": "robot$web+x", "description": body["description"]}));
                FakeResponse::lost()
            }
            ("GET", target)
                if target.contains("page=1") && target.contains("q=Level%3Dproject%2CProjectID%3D7") =>
            {
                FakeResponse::json(200, Value::Array(robots.clone()))
            }
            ("GET", _) => FakeResponse::json(200, json!([])),
            ("DELETE", "/api/v2.0/robots/42") => {
                robots.clear();
                FakeResponse::json(200, Value::Null)
            }
            (method, target) => panic!("unexpected request: {method} {target}"),
        }
    })
    .await;
    let mount = TestMount::new(engine()).await.unwrap();
    let config = json!({"preset": "harbor-project", "api_endpoint": api.endpoint(), "api_key": "the-key"});
    assert_accepted(mount.write("config", config).await);
    let access = r#"[{"resource": "repository", "action": "pull"}]"#;
    let parameters = json!({"project": "web", "project_id": "7", "access": access});
    assert_accepted(mount.write("roles/developer", json!({"parameters": parameters})).await);
    read_error(&mount, "creds/developer").await;
    assert_eq!((robots.lock().len(), wal_entries(&mount).len()), (1, 1));
    mount.rollback().await.unwrap();
    assert_eq!((robots.lock().len(), wal_entries(&mount).len()), (0, 0));
}
