//! What stands in the way from the start: refused, with nothing changed, until it is gone.

use std::fs;

use harness::build;

use super::bad_version::upgrade;
use super::{Ended, args};
use crate::lab::{Lab, NAME, OLD, new};
use crate::point::{Command, Obstacle};

/// Runs the upgrade into it, and takes it away.
pub(super) async fn meet(lab: &Lab, what: Obstacle) -> Ended {
    match what {
        Obstacle::PodPending => {
            lab.pods.cordon().await;
            let pod = lab.pods.standbys().await[0].to_owned();
            lab.pods.delete(&pod).await;
            let ended = refused(lab).await;
            lab.pods.uncordon().await;
            lab.pods.wait_ready(&pod).await;
            ended
        }
        Obstacle::DiskFull => {
            let pod = lab.pods.standbys().await[0].to_owned();
            lab.pods.fill_plugin_directory(&pod).await;
            let ended = refused(lab).await;
            lab.pods.free_plugin_directory(&pod).await;
            ended
        }
        Obstacle::RunsAlready => {
            lab.reset(&new()).await;
            let output = lab.program().run(args(lab, Command::Upgrade)).await;
            assert!(output.stdout.contains("\"nothing_to_do\""), "{output:?}");
            Ended { code: output.code, said: output.stderr }
        }
        Obstacle::Downgrade => {
            let older: String =
                OLD.chars().map(|sign| if sign.is_ascii_digit() { '0' } else { sign }).collect();
            let binary = build::another_version(&lab.old, OLD, &older, lab.folder.path());
            let ended = upgrade(lab, &binary, &["serve".to_owned()], Vec::new()).await;
            assert_eq!(ended.code, Some(1), "{}", ended.said);
            assert!(ended.said.contains("which is newer than"), "{}", ended.said);
            unchanged(lab).await;
            ended
        }
        Obstacle::NameTaken => {
            let pod = lab.pods.names()[1].to_owned();
            let name = format!("{NAME}-{}", new());
            lab.pods.place(&pod, &lab.old, &name).await;
            let output = lab.program().run(args(lab, Command::Upgrade)).await;
            assert_eq!(output.code, Some(1), "{output:?}");
            fs::remove_file(lab.pods.plugin_directory(&pod).await.join(name)).unwrap();
            unchanged(lab).await;
            Ended { code: output.code, said: output.stderr }
        }
    }
}

async fn refused(lab: &Lab) -> Ended {
    let output = lab.program().run(args(lab, Command::Upgrade)).await;
    assert_eq!(output.code, Some(1), "{output:?}");
    unchanged(lab).await;
    Ended { code: output.code, said: output.stderr }
}

async fn unchanged(lab: &Lab) {
    lab.assert_all_on(OLD).await;
    lab.assert_nothing_is_left_but(&[OLD]).await;
}
