//! Does what is decided, in a task of its own, so that a call is never cut off by what happens to the user of the credential.

use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use vault_api::leases::Renew;
use vault_api::token::RenewSelf;
use vault_api::{CallError, Client, logical};

use crate::Credential;
use crate::decide::{Action, Decision, Held, Login, decide, patience};
use crate::end::{Leased, LivesOn, Revocation, revoke_all};
use crate::event::{Event, Why, is_refusal};
use crate::login::{Auth, LoginError, OwnToken, callers};
use crate::term::{Moment, Standing, Term};

/// How long the answer to a request for a credential is waited for when everything is to end: a lease that is not known cannot
/// be revoked.
const TIME_FOR_AN_ANSWER: Duration = Duration::from_secs(5);

/// Why there is no credential, or not another one.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// No token.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The server refused, or could not be reached.
    #[error("could not {what}")]
    Call {
        /// What was asked.
        what: String,
        /// Why not.
        #[source]
        source: CallError,
    },
    /// The path has nothing.
    #[error("there is nothing at {path}")]
    NothingThere {
        /// Full path.
        path: String,
    },
    /// No answer for so long that another attempt is better.
    #[error("could not {what}: no answer in time")]
    NoAnswer {
        /// What was asked.
        what: String,
    },
}

/// A credential that is kept. Dropping it leaves everything to its time; [`Keeping::end`] revokes it.
pub struct Keeping {
    events: UnboundedReceiver<Event>,
    orders: UnboundedSender<Order>,
    task: JoinHandle<Vec<LivesOn>>,
}

#[derive(Clone, Copy)]
enum Order {
    /// Nobody uses what came before the newest credential.
    RevokeFormer,
    End,
}

impl Keeping {
    /// Gets a credential from `path`, and keeps it. The first event says whether that worked.
    pub fn start(client: Client, auth: Auth, path: String) -> Keeping {
        let (told, events) = unbounded_channel();
        let (orders, ordered) = unbounded_channel();
        let keeper = Keeper {
            anonymous: client.clone(),
            client,
            auth,
            path,
            began: Instant::now(),
            held: Held::default(),
            own: None,
            lease: None,
            former: Vec::new(),
            former_tokens: Vec::new(),
            login_changed: false,
            told,
        };
        let task = tokio::spawn(keeper.keep(ordered));
        Keeping { events, orders, task }
    }

    /// The next thing that happens; for ever nothing after [`Event::Failed`].
    pub async fn next(&mut self) -> Event {
        match self.events.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }

    /// Revokes what came before the newest credential, in the background: nobody uses it any more.
    pub fn revoke_former(&self) {
        // Fails when the task has ended, and with it all that it held.
        let _ended = self.orders.send(Order::RevokeFormer);
    }

    /// Revokes everything, and says what lives on. Takes no longer than about twenty seconds.
    pub async fn end(self) -> Vec<LivesOn> {
        let _ended = self.orders.send(Order::End);
        self.task.await.unwrap_or_else(|error| {
            let because = format!("an error of this program: {error}");
            vec![LivesOn { what: "everything".to_owned(), revocation: Revocation::Failed, because }]
        })
    }
}

struct Keeper {
    /// Without a token of our own.
    anonymous: Client,
    /// With the token that is used now.
    client: Client,
    auth: Auth,
    path: String,
    began: Instant,
    held: Held,
    own: Option<OwnToken>,
    lease: Option<Leased>,
    former: Vec<(Moment, Leased)>,
    former_tokens: Vec<OwnToken>,
    /// Whether there is another token since the credential was issued.
    login_changed: bool,
    told: UnboundedSender<Event>,
}

/// What was under way when the end came, and was not waited for.
#[derive(Clone, Copy, PartialEq)]
enum CutOff {
    Nothing,
    Issuing,
}

struct Orders {
    orders: UnboundedReceiver<Order>,
    revoke_former: bool,
}

impl Orders {
    /// Waits for an order, and says whether it was the last.
    async fn next(&mut self) -> bool {
        match self.orders.recv().await {
            Some(Order::RevokeFormer) => {
                self.revoke_former = true;
                false
            }
            Some(Order::End) | None => true,
        }
    }

    async fn end(&mut self) {
        while !self.next().await {}
    }

    /// What the work gives, unless the end comes and `grace` after it is over.
    async fn unless_ended<T>(&mut self, grace: Duration, work: impl Future<Output = T>) -> Option<T> {
        let mut work = std::pin::pin!(work);
        tokio::select! {
            biased;
            done = &mut work => return Some(done),
            () = self.end() => {}
        }
        // The order is remembered by the one who closed the queue, or sent it as its last.
        self.orders.close();
        timeout(grace, work).await.ok()
    }
}

impl Keeper {
    async fn keep(mut self, orders: UnboundedReceiver<Order>) -> Vec<LivesOn> {
        let mut orders = Orders { orders, revoke_former: false };
        match orders.unless_ended(TIME_FOR_AN_ANSWER, self.begin()).await {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                self.tell(Event::Failed { error });
                orders.end().await;
                return self.end(CutOff::Nothing).await;
            }
            None => return self.end(CutOff::Issuing).await,
        }
        loop {
            if std::mem::take(&mut orders.revoke_former) {
                self.revoke_former().await;
            }
            match decide(&self.held, self.now()) {
                Decision::Do(action) => {
                    let (grace, cut_off) = match action {
                        Action::LogIn | Action::Replace => (TIME_FOR_AN_ANSWER, CutOff::Issuing),
                        Action::RenewLogin | Action::RenewLease => (Duration::ZERO, CutOff::Nothing),
                    };
                    if orders.unless_ended(grace, self.act(action)).await.is_none() {
                        return self.end(cut_off).await;
                    }
                }
                Decision::Wait(until) => {
                    tokio::select! {
                        () = sleep_until(self.began + until) => {}
                        ended = orders.next() => if ended { return self.end(CutOff::Nothing).await },
                    }
                }
                Decision::Rest => {
                    if orders.next().await {
                        return self.end(CutOff::Nothing).await;
                    }
                }
            }
        }
    }

    async fn begin(&mut self) -> Result<(), KeepError> {
        self.log_in().await?;
        if matches!(self.auth, Auth::Callers) {
            self.held.login = callers(&self.client, self.now(), spread()).await;
        }
        self.issue(Why::First).await
    }

    async fn act(&mut self, action: Action) {
        match action {
            Action::RenewLogin => self.renew_login().await,
            Action::LogIn => {
                if let Err(error) = self.log_in().await {
                    self.fail_login();
                    self.tell(Event::Trouble { what: "log in again", error });
                }
            }
            Action::RenewLease => self.renew_lease().await,
            Action::Replace => {
                let why = self.why_replaced();
                if let Err(error) = self.issue(why).await {
                    let now = self.now();
                    if let Some(term) = &mut self.held.lease {
                        term.failed(now, spread());
                    }
                    self.lose_login_if_unknown(&error);
                    self.tell(Event::Trouble { what: "get another credential", error });
                }
            }
        }
    }

    async fn log_in(&mut self) -> Result<(), KeepError> {
        let now = self.now();
        let Some((client, granted)) = self.auth.log_in(&self.anonymous).await? else { return Ok(()) };
        let lasts = granted.duration;
        let term = Term::new(now, lasts, granted.renewable, spread());
        let ends = (!lasts.is_zero()).then(|| term.ends());
        self.held.login = ends.map(|_| Login::Ours(term));
        self.client = client.clone();
        self.former_tokens.retain(|token| token.ends.is_none_or(|ends| ends > now));
        self.former_tokens.extend(self.own.replace(OwnToken { client, kind: granted.kind, ends }));
        // What the token before has made ends with it.
        if let Some(lease) = &mut self.held.lease {
            lease.refused();
            self.login_changed = true;
        }
        self.tell(Event::LoggedIn { lasts });
        Ok(())
    }

    async fn renew_login(&mut self) {
        let now = self.now();
        let Some(Login::Ours(term) | Login::Callers(term)) = &mut self.held.login else { return };
        let outcome = match timeout(patience(term, now), self.client.send(&RenewSelf)).await {
            Ok(Ok(granted)) => {
                term.renewed(now, granted.duration, granted.renewable, spread());
                let ends = term.ends();
                if let Some(own) = &mut self.own {
                    own.ends = Some(ends);
                }
                self.tell(Event::LoginRenewed { lasts: granted.duration });
                return;
            }
            Ok(Err(source)) => {
                if is_refusal(&source) {
                    term.refused();
                } else {
                    term.failed(now, spread());
                }
                KeepError::Call { what: "renew the token".to_owned(), source }
            }
            Err(_) => {
                term.failed(now, spread());
                KeepError::NoAnswer { what: "renew the token".to_owned() }
            }
        };
        self.tell(Event::Trouble { what: "renew the token", error: outcome });
    }

    async fn renew_lease(&mut self) {
        let now = self.now();
        let (Some(term), Some(lease)) = (&mut self.held.lease, &self.lease) else { return };
        let lease_id = lease.lease_id.clone();
        let what = || format!("renew lease {lease_id}");
        let renew = Renew { lease_id: lease_id.clone(), increment: None };
        let error = match timeout(patience(term, now), self.client.send(&renew)).await {
            Ok(Ok(renewed)) => {
                let lasts = renewed.lease_duration;
                term.renewed(now, lasts, renewed.renewable, spread());
                self.tell(Event::Renewed { lease_id, lasts });
                return;
            }
            Ok(Err(source)) => {
                if is_refusal(&source) {
                    term.refused();
                } else {
                    term.failed(now, spread());
                }
                KeepError::Call { what: what(), source }
            }
            Err(_) => {
                term.failed(now, spread());
                KeepError::NoAnswer { what: what() }
            }
        };
        self.lose_login_if_unknown(&error);
        self.tell(Event::Trouble { what: "renew the lease", error });
    }

    async fn issue(&mut self, why: Why) -> Result<(), KeepError> {
        let now = self.now();
        let path = self.path.clone();
        let answer = self.client.send(&logical::Read { path: path.clone() }).await;
        let failed = |source| KeepError::Call { what: format!("read {path}"), source };
        let reply = answer.map_err(failed)?.ok_or_else(|| KeepError::NothingThere { path: path.clone() })?;
        let former_ends = self.held.lease.map(|term| term.ends()).unwrap_or_default();
        self.former.extend(self.lease.take().map(|lease| (former_ends, lease)));
        let lasts = if reply.lease_id.is_empty() { Duration::ZERO } else { reply.lease_duration };
        self.former.retain(|(ends, _)| *ends > now);
        self.login_changed = false;
        self.held.lease = (!lasts.is_zero()).then(|| Term::new(now, lasts, reply.renewable, spread()));
        let lease_id = reply.lease_id;
        self.lease = (!lease_id.is_empty())
            .then(|| Leased { client: self.client.clone(), lease_id: lease_id.clone() });
        let credential = Credential::new(reply.data);
        self.tell(Event::Issued { credential, lease_id, lasts, why, warnings: reply.warnings });
        Ok(())
    }

    fn why_replaced(&self) -> Why {
        match self.held.lease.map(|term| term.standing()) {
            Some(Standing::Gone) if self.login_changed => Why::EndOfLogin,
            Some(Standing::Gone) => Why::Refused,
            Some(Standing::Renewable) => Why::NotRenewed,
            Some(Standing::Final) | None => Why::EndOfLease,
        }
    }

    /// A token that the server does not know any more is no use; another login gives another one.
    fn lose_login_if_unknown(&mut self, error: &KeepError) {
        if let (KeepError::Call { source, .. }, Some(Login::Ours(term))) = (error, &mut self.held.login)
            && source.is(vault_api::ApiError::is_invalid_token)
        {
            term.refused();
        }
    }

    fn fail_login(&mut self) {
        let now = self.now();
        if let Some(Login::Ours(term)) = &mut self.held.login {
            term.failed(now, spread());
        }
    }

    async fn revoke_former(&mut self) {
        let (leases, tokens) = self.former();
        for left in revoke_all(leases, tokens).await {
            let source = KeepError::NoAnswer { what: left.to_string() };
            self.tell(Event::Trouble { what: "revoke the credential before", error: source });
        }
    }

    /// What came before, as far as it has not ended by itself.
    fn former(&mut self) -> (Vec<Leased>, Vec<OwnToken>) {
        let now = self.now();
        let live = |ends: Moment| ends > now;
        let leases = std::mem::take(&mut self.former).into_iter().filter(|(ends, _)| live(*ends));
        let tokens = std::mem::take(&mut self.former_tokens).into_iter();
        (
            leases.map(|(_, lease)| lease).collect(),
            tokens.filter(|token| token.ends.is_none_or(live)).collect(),
        )
    }

    async fn end(mut self, cut_off: CutOff) -> Vec<LivesOn> {
        let now = self.now();
        let (mut leases, mut tokens) = self.former();
        let ended = self.held.lease.is_some_and(|term| term.ends() <= now);
        leases.extend(self.lease.take().filter(|_| !ended));
        tokens.extend(self.own.take().filter(|token| token.ends.is_none_or(|ends| ends > now)));
        let has_login = !tokens.is_empty();
        let mut lives_on = revoke_all(leases, tokens).await;
        // With a login of ours what was issued ends, whatever it was.
        if cut_off == CutOff::Issuing && !(has_login && lives_on.is_empty()) {
            lives_on.push(LivesOn {
                what: format!("what was being issued from {}, if it was,", self.path),
                revocation: Revocation::Failed,
                because: "the answer did not come before the end".to_owned(),
            });
        }
        lives_on
    }

    fn now(&self) -> Moment {
        self.began.elapsed()
    }

    fn tell(&self, event: Event) {
        // Fails when nobody listens any more, who then ends all this.
        let _nobody = self.told.send(event);
    }
}

/// By how much of the spread something is done later, so that many keepers do not act at once.
fn spread() -> f64 {
    rand::random_range(0.0..1.0)
}
