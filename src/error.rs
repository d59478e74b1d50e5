//! Errors of commands: message, causes, hints and exit code.

use std::error::Error;
use std::fmt::Write as _;
use std::process::ExitCode;

use rollout::{ObserveError, Outcome, PlanError, Refusal, Step, WaitingOn, explain};
use serde::Serialize;
use vault_api::{CallError, TransportErrorKind};

/// The meaning of an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandErrorKind {
    /// It failed, and nothing is left half done.
    Failed,
    /// The command line or the file is invalid.
    Usage,
    /// `--dry-run` found changes, or `doctor` findings.
    Drift,
    /// It failed, and was rolled back.
    RolledBack,
    /// It failed, and manual intervention is needed.
    ManualIntervention,
    /// It was interrupted, and can be run again.
    Interrupted,
}

impl CommandErrorKind {
    /// The number of the exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Drift => 3,
            Self::RolledBack => 4,
            Self::ManualIntervention => 5,
            Self::Interrupted => 130,
        }
    }

    /// The exit code.
    pub fn exit_code(self) -> ExitCode {
        ExitCode::from(self.code())
    }
}

/// Failure of a command.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CommandError {
    kind: CommandErrorKind,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
    hints: Vec<String>,
}

impl CommandError {
    /// Creates a failure after which nothing is half done.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(CommandErrorKind::Failed, message)
    }

    /// Creates an error for an invalid command line or file.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(CommandErrorKind::Usage, message)
    }

    /// Creates an error for an interrupt; `when` describes what was done before.
    pub fn interrupted(when: &str) -> Self {
        Self::new(CommandErrorKind::Interrupted, format!("interrupted {when}"))
            .hint("Run the same command again to continue.")
    }

    /// Creates a failure of any kind.
    pub fn new(kind: CommandErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None, hints: Vec::new() }
    }

    /// Turns a failure into that of a command that has changed something.
    #[must_use]
    pub fn after_changes(mut self, what: impl Into<String>) -> Self {
        self.kind = CommandErrorKind::ManualIntervention;
        self.hint(what)
    }

    /// Adds the cause. Known hints for a failed call are added too.
    #[must_use]
    pub fn caused_by(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        let call = error_chain(&source).find_map(|cause| cause.downcast_ref::<CallError>());
        match call.and_then(call_error_hint) {
            Some(cure) => self.hints.push(cure.to_owned()),
            None => self.hints.extend(known_finding_hint(&source)),
        }
        self.source = Some(Box::new(source));
        self
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The meaning of the exit code.
    pub fn kind(&self) -> CommandErrorKind {
        self.kind
    }

    /// Renders the message and its causes, one line each, then the hints.
    pub fn render(&self) -> String {
        let mut text = format!("Error: {}\n", self.message);
        for cause in self.causes() {
            let _ = writeln!(text, "  caused by: {cause}");
        }
        for hint in &self.hints {
            let _ = writeln!(text, "\n{hint}");
        }
        text
    }

    /// The document for JSON and YAML.
    pub fn document(&self) -> impl Serialize {
        #[derive(Serialize)]
        struct ErrorDocument {
            error: CommandErrorKind,
            exit_code: u8,
            message: String,
            causes: Vec<String>,
            hints: Vec<String>,
        }
        ErrorDocument {
            error: self.kind,
            exit_code: self.kind.code(),
            message: self.message.clone(),
            causes: self.causes(),
            hints: self.hints.clone(),
        }
    }

    /// Converts an unsuccessful outcome of a plan; `None` if it was successful.
    pub fn from_outcome(outcome: Outcome) -> Option<Self> {
        let at = |step: Option<Step>| match step {
            Some(Step::SmokeTestMount { path, .. }) => format!("the smoke test of {path} failed"),
            Some(step) => format!("could not {step}"),
            None => "could not observe the server".to_owned(),
        };
        match outcome {
            Outcome::Done { done: _, observed: _ } => None,
            Outcome::Refused { refusal } => Some(refusal.into()),
            Outcome::Interrupted { done, remaining: left } => {
                Some(Self::interrupted(&format!("after {} of {} steps", done.len(), done.len() + left.len())))
            }
            Outcome::PlanChanged { done, expected, found, remaining_effects: left } => {
                let expected = expected.map_or_else(|| "the end".to_owned(), |step| format!("to {step}"));
                let kind = if left.is_empty() { CommandErrorKind::Failed } else { CommandErrorKind::ManualIntervention };
                let message = format!(
                    "something changed in between: after {} steps the next was {expected}, now it is to {found}",
                    done.len()
                );
                let error = left.into_iter().fold(Self::new(kind, message), Self::hint);
                Some(error.hint("Run the same command again to see the new plan."))
            }
            Outcome::Failed { done: _, step, error } => {
                Some(Self::failed(at(step)).caused_by(OpaqueError(error)).hint(
                    "Every mount runs the same version as before. Fix the cause, and run the same command again.",
                ))
            }
            Outcome::RolledBack { done: _, step, error, mounts } => {
                let mounts: Vec<String> = mounts.iter().map(ToString::to_string).collect();
                Some(
                    Self::new(CommandErrorKind::RolledBack, at(step))
                        .caused_by(OpaqueError(error))
                        .hint(format!("Moved back to the previous version: {}", mounts.join(", "))),
                )
            }
            Outcome::ManualIntervention { done: _, step, error, remaining_effects: left } => {
                let error = Self::new(CommandErrorKind::ManualIntervention, at(step)).caused_by(OpaqueError(error));
                Some(left.into_iter().fold(error, Self::hint))
            }
        }
    }

    fn causes(&self) -> Vec<String> {
        let first = self.source.as_deref().map(|source| source as &(dyn Error + 'static));
        first.into_iter().flat_map(error_chain).map(ToString::to_string).collect()
    }
}

impl From<Refusal> for CommandError {
    fn from(refusal: Refusal) -> Self {
        Self::failed(refusal.to_string()).hint(refusal.hint())
    }
}

impl From<PlanError> for CommandError {
    fn from(stop: PlanError) -> Self {
        match stop {
            PlanError::Refused(refusal) => refusal.into(),
            PlanError::Waiting(on @ (WaitingOn::RaftServer { .. } | WaitingOn::RaftJoin { .. })) => {
                Self::failed(on.to_string()).hint(
                    "Nothing was changed. Start the server again, or remove it from raft with `vault operator raft remove-peer`, \
                     and run this again.",
                )
            }
            PlanError::Waiting(on) => Self::failed(on.to_string()).hint("Run this again in a moment."),
        }
    }
}

impl From<ObserveError> for CommandError {
    fn from(error: ObserveError) -> Self {
        let text = error.to_string();
        match error {
            ObserveError::Call { subject: _, source } => Self::failed(text).caused_by(source),
            ObserveError::Deployment(source) => Self::failed(text).caused_by(source),
            ObserveError::InvalidToken { address: _ } => Self::failed(text).hint(
                "It is wrong, expired or revoked, or of another server. Log in again with `vault login`. It is taken from \
                 VAULT_TOKEN, or else from ~/.vault-token.",
            ),
            ObserveError::NoNamespaces { address: _, namespace: _ } => Self::failed(text)
                .hint("Leave out --namespace and VAULT_NAMESPACE, or use a Vault Enterprise or OpenBao server.")
                .hint("The Kubernetes namespace of the server's pods is given with -n/--kube-namespace."),
            _ => Self::failed(text),
        }
    }
}

/// A cause of which only the text is known.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct OpaqueError(String);

fn error_chain<'a>(first: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(first), |error| (*error).source())
}

/// The finding that matches the text of an error or of its causes, if they are of a plugin.
fn known_finding_hint(error: &(dyn Error + 'static)) -> Option<String> {
    let finding = error_chain(error).find_map(|cause| {
        let text = cause.to_string();
        let finding = explain(&text).first()?.kind;
        // Without its path, "permission denied" could be about the catalog. A request to another path is not.
        (!text.contains("403 Forbidden") || text.contains("sys/plugins/catalog")).then_some(finding)
    })?;
    Some(format!(
        "{}: {}. {} More: `{}`.",
        finding.id,
        finding.title,
        finding.remediation,
        finding.explain_command()
    ))
}

fn call_error_hint(error: &CallError) -> Option<&'static str> {
    match error {
        CallError::Sealed { .. } => Some("Unseal it with `vault operator unseal`, and run this again."),
        // The credentials are wrong, not the token of this command.
        CallError::Api(api_error)
            if api_error.is_permission_denied() && api_error.path.contains("/login") =>
        {
            None
        }
        CallError::Api(api_error) if api_error.is_permission_denied() => Some(
            "Check that the token is valid, and that its policy permits this path. It is taken from VAULT_TOKEN, or else from ~/.vault-token.",
        ),
        CallError::Api(api_error) if api_error.has_message("namespace not found") => Some(
            "--namespace and VAULT_NAMESPACE name a namespace of Vault or OpenBao, and the server has none of that name. The Kubernetes \
             namespace of the server's pods is given with -n/--kube-namespace.",
        ),
        CallError::Api(api_error) if api_error.is_no_route() => {
            Some("Nothing is mounted there. `vault-token-plugin status` shows what is mounted.")
        }
        CallError::Api(_) => None,
        CallError::Transport { kind: TransportErrorKind::NoConnection, .. } => Some(
            "Check that the server is running, and that the address is right. Set it with --address or VAULT_ADDR.",
        ),
        CallError::Transport { kind: TransportErrorKind::Certificate, .. } => {
            Some("Pass the CA that signed the server's certificate with --ca-cert or VAULT_CACERT.")
        }
        CallError::Transport { kind: TransportErrorKind::NotTls, .. } => {
            Some("Check whether the address must begin with http://. A development server has no TLS.")
        }
        CallError::Transport { kind: TransportErrorKind::TimedOut, .. } => {
            Some("Allow more time with --timeout. The request may have been executed.")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_what_the_manual_says() {
        let kinds = [
            CommandErrorKind::Failed,
            CommandErrorKind::Usage,
            CommandErrorKind::Drift,
            CommandErrorKind::RolledBack,
            CommandErrorKind::ManualIntervention,
            CommandErrorKind::Interrupted,
        ];
        assert_eq!(kinds.map(CommandErrorKind::code), [1, 2, 3, 4, 5, 130]);
    }

    #[test]
    fn a_run_that_needs_a_person_says_what_is_where() {
        let outcome = Outcome::ManualIntervention {
            done: vec![],
            step: None,
            error: "permission denied".into(),
            remaining_effects: vec!["custom/ runs v1.0.0".into()],
        };
        let error = CommandError::from_outcome(outcome).expect("an error");
        assert_eq!(error.kind(), CommandErrorKind::ManualIntervention);
        assert!(error.render().contains("caused by: permission denied"), "{}", error.render());
        assert!(error.render().contains("custom/ runs v1.0.0"), "{}", error.render());
    }

    #[test]
    fn a_denied_request_is_about_the_catalog_only_if_it_was_sent_there() {
        let render = |path: &str| {
            let error =
                format!("PUT v1/{path} returned 403 Forbidden: 1 error occurred: * permission denied");
            let outcome = Outcome::Failed { done: vec![], step: None, error };
            CommandError::from_outcome(outcome).expect("an error").render()
        };
        assert!(render("sys/plugins/catalog/secret/custom").contains("VTP-901"));
        for path in ["auth/door/login", "sys/leases/revoke"] {
            assert!(!render(path).contains("VTP-901"), "{path}");
        }
    }

    #[test]
    fn a_refusal_tells_cause_and_cure() {
        let refusal = Refusal::NoPluginDirectory;
        let error = CommandError::from(refusal.clone());
        assert_eq!(error.kind(), CommandErrorKind::Failed);
        assert!(error.render().contains(&refusal.to_string()));
        assert!(error.render().contains(&refusal.hint()));
    }

    #[test]
    fn a_server_that_is_not_there_is_answered_with_its_cure() {
        let source = CallError::Transport {
            address: "http://127.0.0.1:1".into(),
            kind: TransportErrorKind::NoConnection,
            cause: Some("Connection refused".into()),
        };
        assert_eq!(
            CommandError::failed("could not read creds/a").caused_by(source).render(),
            "Error: could not read creds/a\n  \
             caused by: could not call http://127.0.0.1:1: no connection (Connection refused)\n\n\
             Check that the server is running, and that the address is right. Set it with --address or VAULT_ADDR.\n"
        );
    }
}
