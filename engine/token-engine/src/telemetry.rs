//! The metrics of one mount: a fixed number of series.
//!
//! Recording takes no lock: a request increments a few atomic counters.

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

/// A type whose values are values of a metric label.
pub(crate) trait Label: Copy + 'static {
    /// All values with their texts, in the order of the variants.
    const ALL: &'static [(Self, &'static str)];

    /// The position of the value in [`Label::ALL`].
    fn index(self) -> usize;
}

/// Declares an enum of label values. The list of all values comes from the same declaration, so no variant can be missing in it.
macro_rules! labels {
    ($($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)* })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name {
            $($(#[$variant_meta])* $variant,)*
        }

        impl Label for $name {
            const ALL: &'static [($name, &'static str)] = &[$(($name::$variant, $text),)*];

            fn index(self) -> usize {
                self as usize
            }
        }
    )*};
}

labels! {
    /// A measured operation of a mount.
    MeasuredOperation {
        CredsRead = "creds_read",
        TokenRenew = "token_renew",
        TokenRevoke = "token_revoke",
        Rollback = "rollback",
        ConfigList = "config_list",
        ConfigRead = "config_read",
        ConfigWrite = "config_write",
        ConfigPatch = "config_patch",
        ConfigDelete = "config_delete",
        RolesList = "roles_list",
        RoleRead = "role_read",
        RoleWrite = "role_write",
        RolePatch = "role_patch",
        RoleDelete = "role_delete",
        StaticRolesList = "static_roles_list",
        StaticRoleRead = "static_role_read",
        StaticRoleWrite = "static_role_write",
        StaticRolePatch = "static_role_patch",
        StaticRoleDelete = "static_role_delete",
        StaticCredsRead = "static_creds_read",
        RotateRole = "rotate_role",
        /// A rotation of a static role on the host's timer.
        StaticRotation = "static_rotation",
        Check = "check",
        RotateRoot = "rotate_root",
        PresetsList = "presets_list",
        PresetsRead = "presets_read",
        OrphansList = "orphans_list",
        OrphansRead = "orphans_read",
        OrphansDelete = "orphans_delete",
        Info = "info",
    }

    /// The outcome of a request.
    Outcome {
        Ok = "ok",
        /// The request was invalid, or the token service rejected it.
        Refused = "refused",
        Failed = "failed",
        /// Forwarded to the active node.
        Forwarded = "forwarded",
        /// The host cancelled the request before the response.
        Cancelled = "cancelled",
    }

    /// An operation of the token service.
    UpstreamOperation {
        Mint = "mint",
        Renew = "renew",
        Revoke = "revoke",
        /// A search for a token by its name.
        Find = "find",
        Probe = "probe",
        Login = "login",
        /// The creation of another key for the connection.
        Rotate = "rotate",
    }

    /// The kind of error of a request.
    ErrorLabel {
        InvalidRequest = "invalid_request",
        ReadOnly = "read_only",
        Storage = "storage",
        Host = "host",
        /// The token service failed, or the engine itself.
        Failed = "failed",
    }

    /// The kind of error of a call to the token service.
    UpstreamErrorLabel {
        NoConnection = "no_connection",
        Timeout = "timeout",
        Tls = "tls",
        ConnectionLost = "connection_lost",
        Unauthorized = "unauthorized",
        TooManyRequests = "too_many_requests",
        Refused = "refused",
        UnexpectedResponse = "unexpected_response",
        Failed = "failed",
    }
}

/// The metrics of one mount since its engine started.
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
    rotations: AtomicU64,
    failed_rotations: AtomicU64,
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
            rotations: AtomicU64::new(0),
            failed_rotations: AtomicU64::new(0),
            creds_read: Quantiles::default(),
        }
    }
}

impl Metrics {
    /// Counts a retry of a call to the token service.
    pub(crate) fn count_retry(&self) {
        self.upstream_retries.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an issued token.
    pub(crate) fn count_issued(&self) {
        self.leases_issued.fetch_add(1, Ordering::Relaxed);
        self.leases_open.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a revoked token.
    pub(crate) fn count_revoked(&self, by: LeaseIssuer) {
        self.leases_revoked.fetch_add(1, Ordering::Relaxed);
        if by == LeaseIssuer::ThisInstance {
            let decrement = |open: u64| open.checked_sub(1);
            // A host may revoke the same token twice.
            let _zero = self.leases_open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, decrement);
        }
    }

    /// Counts a rotation of the key of a connection.
    pub(crate) fn count_rotation(&self, succeeded: bool) {
        let counter = if succeeded { &self.rotations } else { &self.failed_rotations };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Measures a call to the token service.
    pub(crate) async fn time_upstream<T, E>(
        &self,
        call: UpstreamOperation,
        kind: impl FnOnce(&E) -> UpstreamErrorLabel,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut timer =
            RequestTimer::start(|duration, outcome| self.upstream_histogram(call, outcome).record(duration));
        let result = work.await;
        match &result {
            Ok(_) => timer.stop(Outcome::Ok),
            Err(error) => {
                let kind = kind(error);
                let refused = matches!(kind, UpstreamErrorLabel::Refused | UpstreamErrorLabel::Unauthorized);
                timer.stop(if refused { Outcome::Refused } else { Outcome::Failed });
                self.upstream_error(call, kind).fetch_add(1, Ordering::Relaxed);
            }
        }
        result
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

    fn record(&self, operation: MeasuredOperation, outcome: Outcome, duration: Duration) {
        self.request_histogram(operation, outcome).record(duration);
        if operation == MeasuredOperation::CredsRead && outcome == Outcome::Ok {
            self.creds_read.record(duration);
        }
    }

    fn count_error(&self, error: &Error) {
        self.errors[error_label(error).index()].fetch_add(1, Ordering::Relaxed);
    }
}

/// The process that issued a token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeaseIssuer {
    ThisInstance,
    OtherInstance,
}

/// The future of a measured handler.
type BoxFuture<R> = Pin<Box<dyn Future<Output = Result<R, Error>> + Send>>;

/// Wraps a handler so that it is measured.
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
        // Boxed, so that only a pointer is moved into the futures around it.
        let work = Box::pin(handler(context.clone(), fields));
        Box::pin(time_request(context, operation, work))
    }
}

/// Measures a request.
pub(crate) async fn time_request<R>(
    context: Context<TokenEngine>,
    operation: MeasuredOperation,
    work: impl Future<Output = Result<R, Error>>,
) -> Result<R, Error> {
    let metrics = context.state().metrics();
    let mut timer = RequestTimer::start(|duration, outcome| metrics.record(operation, outcome, duration));
    let result = work.await;
    match &result {
        Ok(_) => timer.stop(Outcome::Ok),
        Err(error) => {
            metrics.count_error(error);
            timer.stop(match error_label(error) {
                ErrorLabel::InvalidRequest => Outcome::Refused,
                ErrorLabel::ReadOnly => Outcome::Forwarded,
                ErrorLabel::Storage | ErrorLabel::Host | ErrorLabel::Failed => Outcome::Failed,
            });
        }
    }
    result
}

/// Measures one request. If it is dropped before `stop`, the request counts as cancelled.
struct RequestTimer<R: FnMut(Duration, Outcome)> {
    start_time: Instant,
    record: R,
    stopped: bool,
}

impl<R: FnMut(Duration, Outcome)> RequestTimer<R> {
    fn start(record: R) -> RequestTimer<R> {
        RequestTimer { start_time: Instant::now(), record, stopped: false }
    }

    fn stop(&mut self, outcome: Outcome) {
        self.stopped = true;
        (self.record)(self.start_time.elapsed(), outcome);
    }
}

impl<R: FnMut(Duration, Outcome)> Drop for RequestTimer<R> {
    fn drop(&mut self) {
        if !self.stopped {
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
