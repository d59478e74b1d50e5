//! What `creds exec` and `creds watch` share.

use std::time::Duration;

use lease_keeper::UnrevokedSecret;
use tokio::time::{Instant, sleep_until};

use crate::commands::exit_report::ExitReport;
use crate::error::{CommandError, CommandErrorKind};

/// Delay before a file that could not be written is tried again.
pub(super) const WRITE_RETRY_DELAY: Duration = Duration::from_secs(5);

/// Returns the report of a command that has ended, or an error if a secret could not be revoked.
pub(super) fn report_with_unrevoked(
    result: Result<u8, CommandError>,
    unrevoked: Vec<UnrevokedSecret>,
) -> Result<ExitReport, CommandError> {
    if unrevoked.is_empty() {
        return result.map(ExitReport::new);
    }
    let error = match result {
        Ok(code) => CommandError::new(
            CommandErrorKind::ManualIntervention,
            format!("the credential could not be revoked (the command exited with {code})"),
        ),
        Err(error) => {
            CommandError::new(CommandErrorKind::ManualIntervention, "the credential could not be revoked")
                .caused_by(error)
        }
    };
    Err(unrevoked.iter().map(|secret| format!("{secret}.")).fold(error, CommandError::hint))
}

/// Sleeps until a time, or forever.
pub(super) async fn sleep_until_or_forever(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use lease_keeper::RevocationStatus;

    use super::*;

    #[test]
    fn what_lives_on_is_named_and_needs_a_person() {
        let left = UnrevokedSecret {
            subject: "lease custom/creds/a/1".into(),
            revocation: RevocationStatus::Failed,
            cause: "no connection".into(),
        };
        let error = report_with_unrevoked(Ok(0), vec![left]).expect_err("it lives on");
        assert_eq!(error.kind(), CommandErrorKind::ManualIntervention);
        assert!(
            error.render().contains("lease custom/creds/a/1 is still valid (no connection)"),
            "{}",
            error.render()
        );
        assert!(report_with_unrevoked(Ok(7), vec![]).is_ok());
    }
}
