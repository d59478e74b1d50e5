//! What one mount counts and times while it works: numbers only, and never more series than are written here.
//!
//! Nothing is locked on the way of a request: it adds to a few atomic numbers.

mod histogram;
mod quantiles;
mod text;

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use vault_plugin::framework::Context;
use vault_plugin::logical::Error;

pub(crate) use self::text::{Format, Gauges};

use self::histogram::Histogram;
use self::quantiles::Quantiles;
use crate::TokenEngine;

/// What a host asks a mount for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    CredsRead,
    TokenRenew,
    TokenRevoke,
    Rollback,
    ConfigRead,
    ConfigWrite,
    ConfigPatch,
    ConfigDelete,
    RolesList,
    RoleRead,
    RoleWrite,
    RolePatch,
    RoleDelete,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ok,
    /// The caller was wrong, or the token service refused.
    Refused,
    Failed,
    /// Left to the active node.
    Forwarded,
    /// The host hung up before there was an answer.
    Cancelled,
}

/// What the token service is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Mint,
    Renew,
    Revoke,
}

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    InvalidRequest,
    ReadOnly,
    Storage,
    Host,
    /// The token service, or something inside.
    Failed,
}

/// Why a call to the token service failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UpstreamErrorKind {
    NoConnection,
    Timeout,
    Tls,
    Broken,
    KeyRefused,
    TooManyRequests,
    Refused,
    UnexpectedAnswer,
    Failed,
}

/// A set of values that are labels.
pub(crate) trait Label: Copy + PartialEq + 'static {
    /// All of them, with their texts, in the order of the variants.
    const ALL: &'static [(Self, &'static str)];

    fn index(self) -> usize {
        Self::ALL.iter().position(|(value, _)| *value == self).unwrap_or_default()
    }
}

impl Label for Operation {
    const ALL: &'static [(Operation, &'static str)] = &[
        (Operation::CredsRead, "creds_read"),
        (Operation::TokenRenew, "token_renew"),
        (Operation::TokenRevoke, "token_revoke"),
        (Operation::Rollback, "rollback"),
        (Operation::ConfigRead, "config_read"),
        (Operation::ConfigWrite, "config_write"),
        (Operation::ConfigPatch, "config_patch"),
        (Operation::ConfigDelete, "config_delete"),
        (Operation::RolesList, "roles_list"),
        (Operation::RoleRead, "role_read"),
        (Operation::RoleWrite, "role_write"),
        (Operation::RolePatch, "role_patch"),
        (Operation::RoleDelete, "role_delete"),
    ];
}

impl Label for Outcome {
    const ALL: &'static [(Outcome, &'static str)] = &[
        (Outcome::Ok, "ok"),
        (Outcome::Refused, "refused"),
        (Outcome::Failed, "failed"),
        (Outcome::Forwarded, "forwarded"),
        (Outcome::Cancelled, "cancelled"),
    ];
}

impl Label for Call {
    const ALL: &'static [(Call, &'static str)] =
        &[(Call::Mint, "mint"), (Call::Renew, "renew"), (Call::Revoke, "revoke")];
}

impl Label for ErrorKind {
    const ALL: &'static [(ErrorKind, &'static str)] = &[
        (ErrorKind::InvalidRequest, "invalid_request"),
        (ErrorKind::ReadOnly, "read_only"),
        (ErrorKind::Storage, "storage"),
        (ErrorKind::Host, "host"),
        (ErrorKind::Failed, "failed"),
    ];
}

impl Label for UpstreamErrorKind {
    const ALL: &'static [(UpstreamErrorKind, &'static str)] = &[
        (UpstreamErrorKind::NoConnection, "no_connection"),
        (UpstreamErrorKind::Timeout, "timeout"),
        (UpstreamErrorKind::Tls, "tls"),
        (UpstreamErrorKind::Broken, "broken"),
        (UpstreamErrorKind::KeyRefused, "key_refused"),
        (UpstreamErrorKind::TooManyRequests, "too_many_requests"),
        (UpstreamErrorKind::Refused, "refused"),
        (UpstreamErrorKind::UnexpectedAnswer, "unexpected_answer"),
        (UpstreamErrorKind::Failed, "failed"),
    ];
}

/// The numbers of one mount since its engine started.
pub(crate) struct Measures {
    started: SystemTime,
    requests: Vec<Histogram>,
    upstream: Vec<Histogram>,
    errors: Vec<AtomicU64>,
    upstream_errors: Vec<AtomicU64>,
    upstream_retries: AtomicU64,
    leases_issued: AtomicU64,
    leases_revoked: AtomicU64,
    leases_open: AtomicU64,
    creds_read: Quantiles,
}

impl Default for Measures {
    fn default() -> Measures {
        Measures {
            started: SystemTime::now(),
            requests: many(Operation::ALL.len() * Outcome::ALL.len()),
            upstream: many(Call::ALL.len() * Outcome::ALL.len()),
            errors: many(ErrorKind::ALL.len()),
            upstream_errors: many(Call::ALL.len() * UpstreamErrorKind::ALL.len()),
            upstream_retries: AtomicU64::new(0),
            leases_issued: AtomicU64::new(0),
            leases_revoked: AtomicU64::new(0),
            leases_open: AtomicU64::new(0),
            creds_read: Quantiles::default(),
        }
    }
}

impl Measures {
    /// The token service was asked once more.
    pub(crate) fn retried(&self) {
        self.upstream_retries.fetch_add(1, Ordering::Relaxed);
    }

    /// A token was handed out.
    pub(crate) fn issued(&self) {
        self.leases_issued.fetch_add(1, Ordering::Relaxed);
        self.leases_open.fetch_add(1, Ordering::Relaxed);
    }

    /// A token was revoked, one that was handed out by this very engine or by another before it.
    pub(crate) fn revoked(&self, by: Issuer) {
        self.leases_revoked.fetch_add(1, Ordering::Relaxed);
        if by == Issuer::ThisEngine {
            let less = |open: u64| open.checked_sub(1);
            // A host may ask twice for the same one.
            let _none_left = self.leases_open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }

    /// Times a call to the token service.
    pub(crate) async fn upstream<T, E>(
        &self,
        call: Call,
        kind: impl FnOnce(&E) -> UpstreamErrorKind,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut running = Running::of(|took, outcome| self.upstream_histogram(call, outcome).record(took));
        let ended = work.await;
        match &ended {
            Ok(_) => running.end(Outcome::Ok),
            Err(error) => {
                let kind = kind(error);
                let refused = matches!(kind, UpstreamErrorKind::Refused | UpstreamErrorKind::KeyRefused);
                running.end(if refused { Outcome::Refused } else { Outcome::Failed });
                self.upstream_error(call, kind).fetch_add(1, Ordering::Relaxed);
            }
        }
        ended
    }

    fn request(&self, operation: Operation, outcome: Outcome) -> &Histogram {
        &self.requests[operation.index() * Outcome::ALL.len() + outcome.index()]
    }

    fn upstream_histogram(&self, call: Call, outcome: Outcome) -> &Histogram {
        &self.upstream[call.index() * Outcome::ALL.len() + outcome.index()]
    }

    fn upstream_error(&self, call: Call, kind: UpstreamErrorKind) -> &AtomicU64 {
        &self.upstream_errors[call.index() * UpstreamErrorKind::ALL.len() + kind.index()]
    }

    fn record(&self, operation: Operation, outcome: Outcome, took: Duration) {
        self.request(operation, outcome).record(took);
        if operation == Operation::CredsRead && outcome == Outcome::Ok {
            self.creds_read.record(took);
        }
    }

    fn fail(&self, error: &Error) {
        self.errors[kind_of(error).index()].fetch_add(1, Ordering::Relaxed);
    }
}

/// Who handed a token out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Issuer {
    ThisEngine,
    Another,
}

/// A handler that is timed.
type Handled<R> = Pin<Box<dyn Future<Output = Result<R, Error>> + Send>>;

/// The handler with a clock around it.
pub(crate) fn measured<T, R, F>(
    operation: Operation,
    handler: impl Fn(Context<TokenEngine>, T) -> F + Send + Sync + 'static,
) -> impl Fn(Context<TokenEngine>, T) -> Handled<R> + Send + Sync + 'static
where
    T: 'static,
    R: 'static,
    F: Future<Output = Result<R, Error>> + Send + 'static,
{
    move |context, fields| {
        let work = handler(context.clone(), fields);
        Box::pin(timed(context, operation, work))
    }
}

/// The work with a clock around it.
pub(crate) async fn timed<R>(
    context: Context<TokenEngine>,
    operation: Operation,
    work: impl Future<Output = Result<R, Error>>,
) -> Result<R, Error> {
    let measures = context.engine().measures();
    let mut running = Running::of(|took, outcome| measures.record(operation, outcome, took));
    let ended = work.await;
    match &ended {
        Ok(_) => running.end(Outcome::Ok),
        Err(error) => {
            measures.fail(error);
            running.end(match kind_of(error) {
                ErrorKind::InvalidRequest => Outcome::Refused,
                ErrorKind::ReadOnly => Outcome::Forwarded,
                ErrorKind::Storage | ErrorKind::Host | ErrorKind::Failed => Outcome::Failed,
            });
        }
    }
    ended
}

/// Something that is timed; dropped before its end it was cancelled.
struct Running<R: FnMut(Duration, Outcome)> {
    began: Instant,
    record: R,
    ended: bool,
}

impl<R: FnMut(Duration, Outcome)> Running<R> {
    fn of(record: R) -> Running<R> {
        Running { began: Instant::now(), record, ended: false }
    }

    fn end(&mut self, outcome: Outcome) {
        self.ended = true;
        (self.record)(self.began.elapsed(), outcome);
    }
}

impl<R: FnMut(Duration, Outcome)> Drop for Running<R> {
    fn drop(&mut self) {
        if !self.ended {
            self.end(Outcome::Cancelled);
        }
    }
}

fn kind_of(error: &Error) -> ErrorKind {
    match error {
        error if error.is_read_only() => ErrorKind::ReadOnly,
        Error::Storage(_) => ErrorKind::Storage,
        Error::System(_) | Error::Event(_) => ErrorKind::Host,
        Error::Coded { status, .. } if *status >= 500 => ErrorKind::Failed,
        Error::Internal(_) | Error::Unrecoverable => ErrorKind::Failed,
        _ => ErrorKind::InvalidRequest,
    }
}

fn many<T: Default>(count: usize) -> Vec<T> {
    std::iter::repeat_with(T::default).take(count).collect()
}
