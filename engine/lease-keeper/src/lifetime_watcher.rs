//! Executes the decisions of [`decide()`] in a separate task, so that a request is not cancelled with the future of the caller.

use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use vault_api::leases::Renew;
use vault_api::token::RenewSelf;
use vault_api::{CallError, Client, logical};

use crate::Credential;
use crate::decide::{Action, Decision, HeldTerms, LoginTerm, decide, renewal_timeout};
use crate::error::{CredentialError, is_permanent};
use crate::event::{Event, IssueReason};
use crate::lease_term::{Elapsed, LeaseState, LeaseTerm};
use crate::login::{AuthMethod, OwnToken, lookup_caller_token};
use crate::revoke::{ActiveLease, RevocationStatus, UnrevokedSecret, revoke_all};

/// How long a shutdown waits for the response to a pending request for a credential: a lease whose ID is unknown cannot be
/// revoked.
const ISSUE_GRACE_PERIOD: Duration = Duration::from_secs(5);

/// Keeps one credential valid. [`LifetimeWatcher::shutdown`] revokes it; dropping the watcher lets it expire.
pub struct LifetimeWatcher {
    events: UnboundedReceiver<Event>,
    commands: UnboundedSender<WatcherCommand>,
    task: JoinHandle<Vec<UnrevokedSecret>>,
}

#[derive(Clone, Copy)]
enum WatcherCommand {
    /// Revoke the credentials before the current one.
    RevokePrevious,
    Shutdown,
}

impl LifetimeWatcher {
    /// Requests a credential from `path` and keeps it valid. The first [`Event::Issued`] or [`Event::Failed`] reports the outcome.
    pub fn start(client: Client, auth: AuthMethod, path: String) -> LifetimeWatcher {
        let (event_sender, events) = unbounded_channel();
        let (command_sender, command_receiver) = unbounded_channel();
        let watch = WatchTask {
            anonymous: client.clone(),
            client,
            auth,
            path,
            started_at: Instant::now(),
            held: HeldTerms::default(),
            own_token: None,
            lease: None,
            previous_leases: Vec::new(),
            previous_tokens: Vec::new(),
            login_changed: false,
            event_sender,
        };
        let task = tokio::spawn(watch.run(command_receiver));
        LifetimeWatcher { events, commands: command_sender, task }
    }

    /// Waits for the next event. Never returns after [`Event::Failed`].
    pub async fn next(&mut self) -> Event {
        match self.events.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }

    /// Revokes the credentials before the current one in the background. Call it when nothing uses them any more.
    pub fn revoke_previous(&self) {
        // Fails if the task has ended, which leaves nothing to revoke.
        let _ended = self.commands.send(WatcherCommand::RevokePrevious);
    }

    /// Revokes everything and returns what could not be revoked. Takes about twenty seconds at most.
    pub async fn shutdown(self) -> Vec<UnrevokedSecret> {
        let _ended = self.commands.send(WatcherCommand::Shutdown);
        self.task.await.unwrap_or_else(|error| {
            let cause = format!("internal error: {error}");
            vec![UnrevokedSecret {
                subject: "the credential".to_owned(),
                revocation: RevocationStatus::Failed,
                cause,
            }]
        })
    }
}

struct WatchTask {
    /// The client without the token of the watcher's own login.
    anonymous: Client,
    /// The client with the current token.
    client: Client,
    auth: AuthMethod,
    path: String,
    started_at: Instant,
    held: HeldTerms,
    own_token: Option<OwnToken>,
    lease: Option<ActiveLease>,
    previous_leases: Vec<(Elapsed, ActiveLease)>,
    previous_tokens: Vec<OwnToken>,
    /// Whether the token has changed since the credential was issued.
    login_changed: bool,
    event_sender: UnboundedSender<Event>,
}

/// Whether a shutdown has cancelled a request that may have issued a secret.
#[derive(Clone, Copy, PartialEq)]
enum PendingIssue {
    No,
    Yes,
}

struct CommandQueue {
    receiver: UnboundedReceiver<WatcherCommand>,
    revoke_previous_requested: bool,
}

impl CommandQueue {
    /// Waits for a command. Returns true if it was the shutdown.
    async fn next(&mut self) -> bool {
        match self.receiver.recv().await {
            Some(WatcherCommand::RevokePrevious) => {
                self.revoke_previous_requested = true;
                false
            }
            Some(WatcherCommand::Shutdown) | None => true,
        }
    }

    async fn wait_for_shutdown(&mut self) {
        while !self.next().await {}
    }

    /// Returns the output of `work`, or `None` if the shutdown comes first and `work` then takes longer than `grace`.
    async fn until_shutdown<T>(&mut self, grace: Duration, work: impl Future<Output = T>) -> Option<T> {
        let mut work = std::pin::pin!(work);
        tokio::select! {
            biased;
            done = &mut work => return Some(done),
            () = self.wait_for_shutdown() => {}
        }
        // A closed queue makes each later `next` return true, so that the caller stops too.
        self.receiver.close();
        timeout(grace, work).await.ok()
    }
}

impl WatchTask {
    async fn run(mut self, receiver: UnboundedReceiver<WatcherCommand>) -> Vec<UnrevokedSecret> {
        let mut commands = CommandQueue { receiver, revoke_previous_requested: false };
        match commands.until_shutdown(ISSUE_GRACE_PERIOD, self.issue_first()).await {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                self.emit(Event::Failed { error });
                commands.wait_for_shutdown().await;
                return self.revoke_held(PendingIssue::No).await;
            }
            None => return self.revoke_held(PendingIssue::Yes).await,
        }
        loop {
            if std::mem::take(&mut commands.revoke_previous_requested) {
                self.revoke_previous().await;
            }
            match decide(&self.held, self.now()) {
                Decision::Do(action) => {
                    let (grace, pending) = match action {
                        Action::LogIn | Action::ReplaceCredential => (ISSUE_GRACE_PERIOD, PendingIssue::Yes),
                        Action::RenewLogin | Action::RenewLease => (Duration::ZERO, PendingIssue::No),
                    };
                    if commands.until_shutdown(grace, self.execute(action)).await.is_none() {
                        return self.revoke_held(pending).await;
                    }
                }
                Decision::Wait(until) => {
                    tokio::select! {
                        () = sleep_until(self.started_at + until) => {}
                        shutdown = commands.next() => if shutdown { return self.revoke_held(PendingIssue::No).await },
                    }
                }
                Decision::Idle => {
                    if commands.next().await {
                        return self.revoke_held(PendingIssue::No).await;
                    }
                }
            }
        }
    }

    async fn issue_first(&mut self) -> Result<(), CredentialError> {
        self.log_in().await?;
        if matches!(self.auth, AuthMethod::CallerToken) {
            self.held.login = lookup_caller_token(&self.client, self.now(), jitter()).await;
        }
        self.issue(IssueReason::First).await
    }

    async fn execute(&mut self, action: Action) {
        match action {
            Action::RenewLogin => self.renew_login().await,
            Action::LogIn => {
                if let Err(error) = self.log_in().await {
                    self.record_login_failure();
                    self.emit(Event::RetryableError { operation: "log in again", error });
                }
            }
            Action::RenewLease => self.renew_lease().await,
            Action::ReplaceCredential => {
                let reason = self.replace_reason();
                if let Err(error) = self.issue(reason).await {
                    let now = self.now();
                    if let Some(term) = &mut self.held.lease {
                        term.record_failure(now, jitter());
                    }
                    self.invalidate_login_if_unknown(&error);
                    self.emit(Event::RetryableError { operation: "get another credential", error });
                }
            }
        }
    }

    async fn log_in(&mut self) -> Result<(), CredentialError> {
        let now = self.now();
        let Some((client, granted)) = self.auth.log_in(&self.anonymous).await? else { return Ok(()) };
        let ttl = granted.duration;
        let term = LeaseTerm::new(now, ttl, granted.renewable, jitter());
        let expires_at = (!ttl.is_zero()).then(|| term.expires_at());
        self.held.login = expires_at.map(|_| LoginTerm::Own(term));
        self.client = client.clone();
        self.previous_tokens.retain(|token| token.expires_at.is_none_or(|expires_at| expires_at > now));
        self.previous_tokens.extend(self.own_token.replace(OwnToken {
            client,
            kind: granted.kind,
            expires_at,
        }));
        // The leases of the previous token end with it.
        if let Some(lease) = &mut self.held.lease {
            lease.mark_invalid();
            self.login_changed = true;
        }
        self.emit(Event::LoggedIn { ttl });
        Ok(())
    }

    async fn renew_login(&mut self) {
        let now = self.now();
        let Some(LoginTerm::Own(term) | LoginTerm::Caller(term)) = &mut self.held.login else { return };
        let error = match timeout(renewal_timeout(term, now), self.client.send(&RenewSelf)).await {
            Ok(Ok(granted)) => {
                term.record_renewal(now, granted.duration, granted.renewable, jitter());
                let expires_at = term.expires_at();
                if let Some(own) = &mut self.own_token {
                    own.expires_at = Some(expires_at);
                }
                self.emit(Event::LoginRenewed { ttl: granted.duration });
                return;
            }
            Ok(Err(source)) => record_failed_renewal(term, now, "renew the token".to_owned(), Some(source)),
            Err(_) => record_failed_renewal(term, now, "renew the token".to_owned(), None),
        };
        self.emit(Event::RetryableError { operation: "renew the token", error });
    }

    async fn renew_lease(&mut self) {
        let now = self.now();
        let (Some(term), Some(lease)) = (&mut self.held.lease, &self.lease) else { return };
        let lease_id = lease.lease_id.clone();
        let operation = || format!("renew lease {lease_id}");
        let renew = Renew { lease_id: lease_id.clone(), increment: None };
        let error = match timeout(renewal_timeout(term, now), self.client.send(&renew)).await {
            Ok(Ok(renewed)) => {
                let ttl = renewed.lease_duration;
                term.record_renewal(now, ttl, renewed.renewable, jitter());
                self.emit(Event::Renewed { lease_id, ttl });
                return;
            }
            Ok(Err(source)) => record_failed_renewal(term, now, operation(), Some(source)),
            Err(_) => record_failed_renewal(term, now, operation(), None),
        };
        self.invalidate_login_if_unknown(&error);
        self.emit(Event::RetryableError { operation: "renew the lease", error });
    }

    async fn issue(&mut self, reason: IssueReason) -> Result<(), CredentialError> {
        let now = self.now();
        let path = self.path.clone();
        let response = self.client.send(&logical::Read { path: path.clone() }).await;
        let failed = |source| CredentialError::Call { operation: format!("read {path}"), source };
        let reply =
            response.map_err(failed)?.ok_or_else(|| CredentialError::NotFound { path: path.clone() })?;
        let previous_expiry = self.held.lease.map(|term| term.expires_at()).unwrap_or_default();
        self.previous_leases.extend(self.lease.take().map(|lease| (previous_expiry, lease)));
        let ttl = if reply.lease_id.is_empty() { Duration::ZERO } else { reply.lease_duration };
        self.previous_leases.retain(|(expires_at, _)| *expires_at > now);
        self.login_changed = false;
        self.held.lease = (!ttl.is_zero()).then(|| LeaseTerm::new(now, ttl, reply.renewable, jitter()));
        let lease_id = reply.lease_id;
        self.lease = (!lease_id.is_empty())
            .then(|| ActiveLease { client: self.client.clone(), lease_id: lease_id.clone() });
        let credential = Credential::new(reply.data);
        self.emit(Event::Issued { credential, lease_id, ttl, reason, warnings: reply.warnings });
        Ok(())
    }

    fn replace_reason(&self) -> IssueReason {
        match self.held.lease.map(|term| term.state()) {
            Some(LeaseState::Invalid) if self.login_changed => IssueReason::EndOfLogin,
            Some(LeaseState::Invalid) => IssueReason::Refused,
            Some(LeaseState::Renewable) => IssueReason::NotRenewed,
            Some(LeaseState::NotRenewable) | None => IssueReason::EndOfLease,
        }
    }

    /// Marks the login as invalid if the server no longer knows its token, so that the next step logs in again.
    fn invalidate_login_if_unknown(&mut self, error: &CredentialError) {
        if let (CredentialError::Call { source, .. }, Some(LoginTerm::Own(term))) =
            (error, &mut self.held.login)
            && source.api_error_is(vault_api::ApiError::is_invalid_token)
        {
            term.mark_invalid();
        }
    }

    fn record_login_failure(&mut self) {
        let now = self.now();
        if let Some(LoginTerm::Own(term)) = &mut self.held.login {
            term.record_failure(now, jitter());
        }
    }

    async fn revoke_previous(&mut self) {
        let (leases, tokens) = self.take_previous();
        for secret in revoke_all(leases, tokens).await {
            let error = CredentialError::NotRevoked(secret);
            self.emit(Event::RetryableError { operation: "revoke the previous credential", error });
        }
    }

    /// Takes the previous leases and tokens that have not expired.
    fn take_previous(&mut self) -> (Vec<ActiveLease>, Vec<OwnToken>) {
        let now = self.now();
        let is_valid = |expires_at: Elapsed| expires_at > now;
        let leases = std::mem::take(&mut self.previous_leases)
            .into_iter()
            .filter(|(expires_at, _)| is_valid(*expires_at));
        let tokens = std::mem::take(&mut self.previous_tokens).into_iter();
        (
            leases.map(|(_, lease)| lease).collect(),
            tokens.filter(|token| token.expires_at.is_none_or(is_valid)).collect(),
        )
    }

    async fn revoke_held(mut self, pending: PendingIssue) -> Vec<UnrevokedSecret> {
        let now = self.now();
        let (mut leases, mut tokens) = self.take_previous();
        let expired = self.held.lease.is_some_and(|term| term.expires_at() <= now);
        leases.extend(self.lease.take().filter(|_| !expired));
        tokens.extend(
            self.own_token.take().filter(|token| token.expires_at.is_none_or(|expires_at| expires_at > now)),
        );
        let has_login = !tokens.is_empty();
        let mut unrevoked = revoke_all(leases, tokens).await;
        // Revoking the watcher's own login ends a lease with an unknown ID too.
        if pending == PendingIssue::Yes && !(has_login && unrevoked.is_empty()) {
            unrevoked.push(UnrevokedSecret {
                subject: format!("a credential that {} may have issued", self.path),
                revocation: RevocationStatus::Failed,
                cause: "the response did not arrive before the shutdown".to_owned(),
            });
        }
        unrevoked
    }

    fn now(&self) -> Elapsed {
        self.started_at.elapsed()
    }

    fn emit(&self, event: Event) {
        // Fails if the watcher was dropped; the task then ends with its next command.
        let _closed = self.event_sender.send(event);
    }
}

/// Records a failed renewal in `term`. Without an `error` the renewal timed out.
fn record_failed_renewal(
    term: &mut LeaseTerm,
    now: Elapsed,
    operation: String,
    error: Option<CallError>,
) -> CredentialError {
    if error.as_ref().is_some_and(is_permanent) {
        term.mark_invalid();
    } else {
        term.record_failure(now, jitter());
    }
    match error {
        Some(source) => CredentialError::Call { operation, source },
        None => CredentialError::TimedOut { operation },
    }
}

/// The random fraction that spreads the renewals of many watchers over time.
fn jitter() -> f64 {
    rand::random_range(0.0..1.0)
}

#[cfg(test)]
mod tests;
