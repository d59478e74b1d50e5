//! What one mount counts and times while it works: numbers only, and never more series than are written here.
//!
//! Nothing is locked on the way of a request: it adds to a few atomic numbers.

mod exposition;
mod histogram;
mod quantiles;

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use vault_plugin::framework::Context;
use vault_plugin::logical::Error;

pub(crate) use self::exposition::{Format, ScrapeGauges};

use self::histogram::Histogram;
use self::quantiles::Quantiles;
use crate::TokenEngine;

/// What a host asks a mount for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MeasuredOperation {
    CredsRead,
    TokenRenew,
    TokenRevoke,
    Rollback,
    ConfigList,
    ConfigRead,
    ConfigWrite,
    ConfigPatch,
    ConfigDelete,
    RolesList,
    RoleRead,
    RoleWrite,
    RolePatch,
    RoleDelete,
    Check,
    PresetsList,
    PresetsRead,
    OrphansList,
    OrphansRead,
    OrphansDelete,
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
pub(crate) enum UpstreamOperation {
    Mint,
    Renew,
    Revoke,
    /// A search for a token by its name.
    Find,
    Probe,
    Login,
}

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorLabel {
    InvalidRequest,
    ReadOnly,
    Storage,
    Host,
    /// The token service, or something inside.
    Failed,
}

/// Why a call to the token service failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UpstreamErrorLabel {
    NoConnection,
    Timeout,
    Tls,
    ConnectionLost,
    Unauthorized,
    TooManyRequests,
    Refused,
    UnexpectedResponse,
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

impl Label for MeasuredOperation {
    const ALL: &'static [(MeasuredOperation, &'static str)] = &[
        (MeasuredOperation::CredsRead, "creds_read"),
        (MeasuredOperation::TokenRenew, "token_renew"),
        (MeasuredOperation::TokenRevoke, "token_revoke"),
        (MeasuredOperation::Rollback, "rollback"),
        (MeasuredOperation::ConfigList, "config_list"),
        (MeasuredOperation::ConfigRead, "config_read"),
        (MeasuredOperation::ConfigWrite, "config_write"),
        (MeasuredOperation::ConfigPatch, "config_patch"),
        (MeasuredOperation::ConfigDelete, "config_delete"),
        (MeasuredOperation::RolesList, "roles_list"),
        (MeasuredOperation::RoleRead, "role_read"),
        (MeasuredOperation::RoleWrite, "role_write"),
        (MeasuredOperation::RolePatch, "role_patch"),
        (MeasuredOperation::RoleDelete, "role_delete"),
        (MeasuredOperation::Check, "check"),
        (MeasuredOperation::PresetsList, "presets_list"),
        (MeasuredOperation::PresetsRead, "presets_read"),
        (MeasuredOperation::OrphansList, "orphans_list"),
        (MeasuredOperation::OrphansRead, "orphans_read"),
        (MeasuredOperation::OrphansDelete, "orphans_delete"),
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

impl Label for UpstreamOperation {
    const ALL: &'static [(UpstreamOperation, &'static str)] = &[
        (UpstreamOperation::Mint, "mint"),
        (UpstreamOperation::Renew, "renew"),
        (UpstreamOperation::Revoke, "revoke"),
        (UpstreamOperation::Find, "find"),
        (UpstreamOperation::Probe, "probe"),
        (UpstreamOperation::Login, "login"),
    ];
}

impl Label for ErrorLabel {
    const ALL: &'static [(ErrorLabel, &'static str)] = &[
        (ErrorLabel::InvalidRequest, "invalid_request"),
        (ErrorLabel::ReadOnly, "read_only"),
        (ErrorLabel::Storage, "storage"),
        (ErrorLabel::Host, "host"),
        (ErrorLabel::Failed, "failed"),
    ];
}

impl Label for UpstreamErrorLabel {
    const ALL: &'static [(UpstreamErrorLabel, &'static str)] = &[
        (UpstreamErrorLabel::NoConnection, "no_connection"),
        (UpstreamErrorLabel::Timeout, "timeout"),
        (UpstreamErrorLabel::Tls, "tls"),
        (UpstreamErrorLabel::ConnectionLost, "broken"),
        (UpstreamErrorLabel::Unauthorized, "key_refused"),
        (UpstreamErrorLabel::TooManyRequests, "too_many_requests"),
        (UpstreamErrorLabel::Refused, "refused"),
        (UpstreamErrorLabel::UnexpectedResponse, "unexpected_answer"),
        (UpstreamErrorLabel::Failed, "failed"),
    ];
}

/// The numbers of one mount since its engine started.
pub(crate) struct Metrics {
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

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics {
            started: SystemTime::now(),
            requests: default_vec(MeasuredOperation::ALL.len() * Outcome::ALL.len()),
            upstream: default_vec(UpstreamOperation::ALL.len() * Outcome::ALL.len()),
            errors: default_vec(ErrorLabel::ALL.len()),
            upstream_errors: default_vec(UpstreamOperation::ALL.len() * UpstreamErrorLabel::ALL.len()),
            upstream_retries: AtomicU64::new(0),
            leases_issued: AtomicU64::new(0),
            leases_revoked: AtomicU64::new(0),
            leases_open: AtomicU64::new(0),
            creds_read: Quantiles::default(),
        }
    }
}

impl Metrics {
    /// The token service was asked once more.
    pub(crate) fn count_retry(&self) {
        self.upstream_retries.fetch_add(1, Ordering::Relaxed);
    }

    /// A token was handed out.
    pub(crate) fn count_issued(&self) {
        self.leases_issued.fetch_add(1, Ordering::Relaxed);
        self.leases_open.fetch_add(1, Ordering::Relaxed);
    }

    /// A token was revoked, one that was handed out by this very engine or by another before it.
    pub(crate) fn count_revoked(&self, by: LeaseIssuer) {
        self.leases_revoked.fetch_add(1, Ordering::Relaxed);
        if by == LeaseIssuer::ThisInstance {
            let less = |open: u64| open.checked_sub(1);
            // A host may ask twice for the same one.
            let _none_left = self.leases_open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }

    /// Times a call to the token service.
    pub(crate) async fn time_upstream<T, E>(
        &self,
        call: UpstreamOperation,
        kind: impl FnOnce(&E) -> UpstreamErrorLabel,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut running =
            RequestTimer::start(|took, outcome| self.upstream_histogram(call, outcome).record(took));
        let ended = work.await;
        match &ended {
            Ok(_) => running.stop(Outcome::Ok),
            Err(error) => {
                let kind = kind(error);
                let refused = matches!(kind, UpstreamErrorLabel::Refused | UpstreamErrorLabel::Unauthorized);
                running.stop(if refused { Outcome::Refused } else { Outcome::Failed });
                self.upstream_error(call, kind).fetch_add(1, Ordering::Relaxed);
            }
        }
        ended
    }

    fn request_histogram(&self, operation: MeasuredOperation, outcome: Outcome) -> &Histogram {
        &self.requests[operation.index() * Outcome::ALL.len() + outcome.index()]
    }

    fn upstream_histogram(&self, call: UpstreamOperation, outcome: Outcome) -> &Histogram {
        &self.upstream[call.index() * Outcome::ALL.len() + outcome.index()]
    }

    fn upstream_error(&self, call: UpstreamOperation, kind: UpstreamErrorLabel) -> &AtomicU64 {
        &self.upstream_errors[call.index() * UpstreamErrorLabel::ALL.len() + kind.index()]
    }

    fn record(&self, operation: MeasuredOperation, outcome: Outcome, took: Duration) {
        self.request_histogram(operation, outcome).record(took);
        if operation == MeasuredOperation::CredsRead && outcome == Outcome::Ok {
            self.creds_read.record(took);
        }
    }

    fn count_error(&self, error: &Error) {
        self.errors[error_label(error).index()].fetch_add(1, Ordering::Relaxed);
    }
}

/// Who handed a token out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeaseIssuer {
    ThisInstance,
    OtherInstance,
}

/// A handler that is timed.
type BoxFuture<R> = Pin<Box<dyn Future<Output = Result<R, Error>> + Send>>;

/// The handler with a clock around it.
pub(crate) fn instrument<T, R, F>(
    operation: MeasuredOperation,
    handler: impl Fn(Context<TokenEngine>, T) -> F + Send + Sync + 'static,
) -> impl Fn(Context<TokenEngine>, T) -> BoxFuture<R> + Send + Sync + 'static
where
    T: 'static,
    R: 'static,
    F: Future<Output = Result<R, Error>> + Send + 'static,
{
    move |context, fields| {
        let work = handler(context.clone(), fields);
        Box::pin(time_request(context, operation, work))
    }
}

/// The work with a clock around it.
pub(crate) async fn time_request<R>(
    context: Context<TokenEngine>,
    operation: MeasuredOperation,
    work: impl Future<Output = Result<R, Error>>,
) -> Result<R, Error> {
    let measures = context.state().metrics();
    let mut running = RequestTimer::start(|took, outcome| measures.record(operation, outcome, took));
    let ended = work.await;
    match &ended {
        Ok(_) => running.stop(Outcome::Ok),
        Err(error) => {
            measures.count_error(error);
            running.stop(match error_label(error) {
                ErrorLabel::InvalidRequest => Outcome::Refused,
                ErrorLabel::ReadOnly => Outcome::Forwarded,
                ErrorLabel::Storage | ErrorLabel::Host | ErrorLabel::Failed => Outcome::Failed,
            });
        }
    }
    ended
}

/// Something that is timed; dropped before its end it was cancelled.
struct RequestTimer<R: FnMut(Duration, Outcome)> {
    began: Instant,
    record: R,
    ended: bool,
}

impl<R: FnMut(Duration, Outcome)> RequestTimer<R> {
    fn start(record: R) -> RequestTimer<R> {
        RequestTimer { began: Instant::now(), record, ended: false }
    }

    fn stop(&mut self, outcome: Outcome) {
        self.ended = true;
        (self.record)(self.began.elapsed(), outcome);
    }
}

impl<R: FnMut(Duration, Outcome)> Drop for RequestTimer<R> {
    fn drop(&mut self) {
        if !self.ended {
            self.stop(Outcome::Cancelled);
        }
    }
}

fn error_label(error: &Error) -> ErrorLabel {
    match error {
        error if error.is_read_only() => ErrorLabel::ReadOnly,
        Error::Storage(_) => ErrorLabel::Storage,
        Error::System(_) | Error::Event(_) => ErrorLabel::Host,
        Error::Coded { status, .. } if *status >= 500 => ErrorLabel::Failed,
        Error::Internal(_) | Error::Unrecoverable => ErrorLabel::Failed,
        _ => ErrorLabel::InvalidRequest,
    }
}

fn default_vec<T: Default>(count: usize) -> Vec<T> {
    std::iter::repeat_with(T::default).take(count).collect()
}
