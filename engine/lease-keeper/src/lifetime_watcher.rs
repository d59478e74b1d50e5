//! Does what is decided, in a task of its own, so that a call is never cut off by what happens to the user of the credential.

use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use vault_api::leases::Renew;
use vault_api::token::RenewSelf;
use vault_api::{CallError, Client, logical};

use crate::Credential;
use crate::decide::{Action, Decision, HeldSecrets, LoginTerm, decide, renewal_timeout};
use crate::error::{CredentialError, is_permanent};
use crate::event::{Event, IssueReason};
use crate::lease_term::{Elapsed, LeaseState, LeaseTerm};
use crate::login::{AuthMethod, OwnToken, lookup_caller_token};
use crate::revoke::{ActiveLease, RevocationStatus, UnrevokedSecret, revoke_all};

/// How long the answer to a request for a credential is waited for when everything is to end: a lease that is not known cannot
/// be revoked.
const ISSUE_GRACE_PERIOD: Duration = Duration::from_secs(5);

/// A credential that is kept. Dropping it leaves everything to its time; [`LifetimeWatcher::shutdown`] revokes it.
pub struct LifetimeWatcher {
    events: UnboundedReceiver<Event>,
    commands: UnboundedSender<WatcherCommand>,
    task: JoinHandle<Vec<UnrevokedSecret>>,
}

#[derive(Clone, Copy)]
enum WatcherCommand {
    /// Nobody uses what came before the newest credential.
    RevokePrevious,
    Shutdown,
}

impl LifetimeWatcher {
    /// Gets a credential from `path`, and keeps it. The first event says whether that worked.
    pub fn start(client: Client, auth: AuthMethod, path: String) -> LifetimeWatcher {
        let (told, events) = unbounded_channel();
        let (orders, ordered) = unbounded_channel();
        let keeper = WatchTask {
            anonymous: client.clone(),
            client,
            auth,
            path,
            started_at: Instant::now(),
            held: HeldSecrets::default(),
            own_token: None,
            lease: None,
            previous_leases: Vec::new(),
            previous_tokens: Vec::new(),
            login_changed: false,
            event_sender: told,
        };
        let task = tokio::spawn(keeper.run(ordered));
        LifetimeWatcher { events, commands: orders, task }
    }

    /// The next thing that happens; for ever nothing after [`Event::Failed`].
    pub async fn next(&mut self) -> Event {
        match self.events.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }

    /// Revokes what came before the newest credential, in the background: nobody uses it any more.
    pub fn revoke_previous(&self) {
        // Fails when the task has ended, and with it all that it held.
        let _ended = self.commands.send(WatcherCommand::RevokePrevious);
    }

    /// Revokes everything, and says what lives on. Takes no longer than about twenty seconds.
    pub async fn shutdown(self) -> Vec<UnrevokedSecret> {
        let _ended = self.commands.send(WatcherCommand::Shutdown);
        self.task.await.unwrap_or_else(|error| {
            let cause = format!("an error of this program: {error}");
            vec![UnrevokedSecret {
                subject: "everything".to_owned(),
                revocation: RevocationStatus::Failed,
                cause,
            }]
        })
    }
}

struct WatchTask {
    /// Without a token of our own.
    anonymous: Client,
    /// With the token that is used now.
    client: Client,
    auth: AuthMethod,
    path: String,
    started_at: Instant,
    held: HeldSecrets,
    own_token: Option<OwnToken>,
    lease: Option<ActiveLease>,
    previous_leases: Vec<(Elapsed, ActiveLease)>,
    previous_tokens: Vec<OwnToken>,
    /// Whether there is another token since the credential was issued.
    login_changed: bool,
    event_sender: UnboundedSender<Event>,
}

/// What was under way when the end came, and was not waited for.
#[derive(Clone, Copy, PartialEq)]
enum InterruptedCall {
    Nothing,
    Issuing,
}

struct CommandQueue {
    receiver: UnboundedReceiver<WatcherCommand>,
    revoke_former: bool,
}

impl CommandQueue {
    /// Waits for an order, and says whether it was the last.
    async fn next(&mut self) -> bool {
        match self.receiver.recv().await {
            Some(WatcherCommand::RevokePrevious) => {
                self.revoke_former = true;
                false
            }
            Some(WatcherCommand::Shutdown) | None => true,
        }
    }

    async fn wait_for_shutdown(&mut self) {
        while !self.next().await {}
    }

    /// What the work gives, unless the end comes and `grace` after it is over.
    async fn until_shutdown<T>(&mut self, grace: Duration, work: impl Future<Output = T>) -> Option<T> {
        let mut work = std::pin::pin!(work);
        tokio::select! {
            biased;
            done = &mut work => return Some(done),
            () = self.wait_for_shutdown() => {}
        }
        // The order is remembered by the one who closed the queue, or sent it as its last.
        self.receiver.close();
        timeout(grace, work).await.ok()
    }
}

impl WatchTask {
    async fn run(mut self, orders: UnboundedReceiver<WatcherCommand>) -> Vec<UnrevokedSecret> {
        let mut orders = CommandQueue { receiver: orders, revoke_former: false };
        match orders.until_shutdown(ISSUE_GRACE_PERIOD, self.issue_first()).await {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                self.emit(Event::Failed { error });
                orders.wait_for_shutdown().await;
                return self.revoke_held(InterruptedCall::Nothing).await;
            }
            None => return self.revoke_held(InterruptedCall::Issuing).await,
        }
        loop {
            if std::mem::take(&mut orders.revoke_former) {
                self.revoke_previous().await;
            }
            match decide(&self.held, self.now()) {
                Decision::Do(action) => {
                    let (grace, cut_off) = match action {
                        Action::LogIn | Action::ReplaceCredential => {
                            (ISSUE_GRACE_PERIOD, InterruptedCall::Issuing)
                        }
                        Action::RenewLogin | Action::RenewLease => (Duration::ZERO, InterruptedCall::Nothing),
                    };
                    if orders.until_shutdown(grace, self.execute(action)).await.is_none() {
                        return self.revoke_held(cut_off).await;
                    }
                }
                Decision::Wait(until) => {
                    tokio::select! {
                        () = sleep_until(self.started_at + until) => {}
                        ended = orders.next() => if ended { return self.revoke_held(InterruptedCall::Nothing).await },
                    }
                }
                Decision::Idle => {
                    if orders.next().await {
                        return self.revoke_held(InterruptedCall::Nothing).await;
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
                let why = self.replace_reason();
                if let Err(error) = self.issue(why).await {
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
        let lasts = granted.duration;
        let term = LeaseTerm::new(now, lasts, granted.renewable, jitter());
        let ends = (!lasts.is_zero()).then(|| term.expires_at());
        self.held.login = ends.map(|_| LoginTerm::Own(term));
        self.client = client.clone();
        self.previous_tokens.retain(|token| token.expires_at.is_none_or(|ends| ends > now));
        self.previous_tokens.extend(self.own_token.replace(OwnToken {
            client,
            kind: granted.kind,
            expires_at: ends,
        }));
        // What the token before has made ends with it.
        if let Some(lease) = &mut self.held.lease {
            lease.mark_invalid();
            self.login_changed = true;
        }
        self.emit(Event::LoggedIn { ttl: lasts });
        Ok(())
    }

    async fn renew_login(&mut self) {
        let now = self.now();
        let Some(LoginTerm::Own(term) | LoginTerm::Caller(term)) = &mut self.held.login else { return };
        let outcome = match timeout(renewal_timeout(term, now), self.client.send(&RenewSelf)).await {
            Ok(Ok(granted)) => {
                term.record_renewal(now, granted.duration, granted.renewable, jitter());
                let ends = term.expires_at();
                if let Some(own) = &mut self.own_token {
                    own.expires_at = Some(ends);
                }
                self.emit(Event::LoginRenewed { ttl: granted.duration });
                return;
            }
            Ok(Err(source)) => failed_renewal(term, now, "renew the token".to_owned(), Some(source)),
            Err(_) => failed_renewal(term, now, "renew the token".to_owned(), None),
        };
        self.emit(Event::RetryableError { operation: "renew the token", error: outcome });
    }

    async fn renew_lease(&mut self) {
        let now = self.now();
        let (Some(term), Some(lease)) = (&mut self.held.lease, &self.lease) else { return };
        let lease_id = lease.lease_id.clone();
        let what = || format!("renew lease {lease_id}");
        let renew = Renew { lease_id: lease_id.clone(), increment: None };
        let error = match timeout(renewal_timeout(term, now), self.client.send(&renew)).await {
            Ok(Ok(renewed)) => {
                let lasts = renewed.lease_duration;
                term.record_renewal(now, lasts, renewed.renewable, jitter());
                self.emit(Event::Renewed { lease_id, ttl: lasts });
                return;
            }
            Ok(Err(source)) => failed_renewal(term, now, what(), Some(source)),
            Err(_) => failed_renewal(term, now, what(), None),
        };
        self.invalidate_login_if_unknown(&error);
        self.emit(Event::RetryableError { operation: "renew the lease", error });
    }

    async fn issue(&mut self, why: IssueReason) -> Result<(), CredentialError> {
        let now = self.now();
        let path = self.path.clone();
        let answer = self.client.send(&logical::Read { path: path.clone() }).await;
        let failed = |source| CredentialError::Call { what: format!("read {path}"), source };
        let reply =
            answer.map_err(failed)?.ok_or_else(|| CredentialError::NotFound { path: path.clone() })?;
        let former_ends = self.held.lease.map(|term| term.expires_at()).unwrap_or_default();
        self.previous_leases.extend(self.lease.take().map(|lease| (former_ends, lease)));
        let lasts = if reply.lease_id.is_empty() { Duration::ZERO } else { reply.lease_duration };
        self.previous_leases.retain(|(ends, _)| *ends > now);
        self.login_changed = false;
        self.held.lease = (!lasts.is_zero()).then(|| LeaseTerm::new(now, lasts, reply.renewable, jitter()));
        let lease_id = reply.lease_id;
        self.lease = (!lease_id.is_empty())
            .then(|| ActiveLease { client: self.client.clone(), lease_id: lease_id.clone() });
        let credential = Credential::new(reply.data);
        self.emit(Event::Issued { credential, lease_id, ttl: lasts, reason: why, warnings: reply.warnings });
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

    /// A token that the server does not know any more is no use; another login gives another one.
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
        for left in revoke_all(leases, tokens).await {
            let source = CredentialError::TimedOut { what: left.to_string() };
            self.emit(Event::RetryableError { operation: "revoke the credential before", error: source });
        }
    }

    /// What came before, as far as it has not ended by itself.
    fn take_previous(&mut self) -> (Vec<ActiveLease>, Vec<OwnToken>) {
        let now = self.now();
        let live = |ends: Elapsed| ends > now;
        let leases = std::mem::take(&mut self.previous_leases).into_iter().filter(|(ends, _)| live(*ends));
        let tokens = std::mem::take(&mut self.previous_tokens).into_iter();
        (
            leases.map(|(_, lease)| lease).collect(),
            tokens.filter(|token| token.expires_at.is_none_or(live)).collect(),
        )
    }

    async fn revoke_held(mut self, cut_off: InterruptedCall) -> Vec<UnrevokedSecret> {
        let now = self.now();
        let (mut leases, mut tokens) = self.take_previous();
        let ended = self.held.lease.is_some_and(|term| term.expires_at() <= now);
        leases.extend(self.lease.take().filter(|_| !ended));
        tokens.extend(self.own_token.take().filter(|token| token.expires_at.is_none_or(|ends| ends > now)));
        let has_login = !tokens.is_empty();
        let mut lives_on = revoke_all(leases, tokens).await;
        // With a login of ours what was issued ends, whatever it was.
        if cut_off == InterruptedCall::Issuing && !(has_login && lives_on.is_empty()) {
            lives_on.push(UnrevokedSecret {
                subject: format!("what was being issued from {}, if it was,", self.path),
                revocation: RevocationStatus::Failed,
                cause: "the answer did not come before the end".to_owned(),
            });
        }
        lives_on
    }

    fn now(&self) -> Elapsed {
        self.started_at.elapsed()
    }

    fn emit(&self, event: Event) {
        // Fails when nobody listens any more, who then ends all this.
        let _nobody = self.event_sender.send(event);
    }
}

/// Records in `term` that a renewal failed with an error, or timed out where there is none.
fn failed_renewal(
    term: &mut LeaseTerm,
    now: Elapsed,
    what: String,
    error: Option<CallError>,
) -> CredentialError {
    if error.as_ref().is_some_and(is_permanent) {
        term.mark_invalid();
    } else {
        term.record_failure(now, jitter());
    }
    match error {
        Some(source) => CredentialError::Call { what, source },
        None => CredentialError::TimedOut { what },
    }
}

/// By how much of the spread something is done later, so that many keepers do not act at once.
fn jitter() -> f64 {
    rand::random_range(0.0..1.0)
}
