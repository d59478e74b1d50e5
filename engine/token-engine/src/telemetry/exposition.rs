//! Encodes the metrics in the text format of Prometheus or OpenMetrics.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use super::histogram::{BOUNDS, Histogram};
use super::quantiles::WINDOW_MINUTES;
use super::{ErrorLabel, Label, MeasuredOperation, Metrics, Outcome, UpstreamErrorLabel, UpstreamOperation};

/// The format. It is a parameter of the request, because hosts do not forward the `Accept` header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// Text format 0.0.4, which every scraper supports.
    #[default]
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

/// The values that are determined for each scrape.
pub(crate) struct ScrapeGauges {
    pub(crate) wal_entries: usize,
    pub(crate) orphans: usize,
    pub(crate) oldest_orphan_age_seconds: u64,
    pub(crate) version: &'static str,
}

const QUANTILES: [(f64, &str); 3] = [(0.5, "0.5"), (0.9, "0.9"), (0.99, "0.99")];

impl Format {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

impl Metrics {
    /// Encodes all metrics, with this prefix of their names.
    pub(crate) fn encode(&self, prefix: &str, format: Format, gauges: &ScrapeGauges) -> String {
        let mut page = TextEncoder { prefix, format, text: String::with_capacity(8 * 1024) };
        page.requests(self);
        page.upstream(self);
        page.leases(self);
        page.rotations(self);
        page.gauge("wal_entries", WAL_HELP, gauges.wal_entries as u64);
        page.gauge("orphans", ORPHANS_HELP, gauges.orphans as u64);
        page.gauge("oldest_orphan_age_seconds", OLDEST_ORPHAN_HELP, gauges.oldest_orphan_age_seconds);
        page.summary(self);
        let started = self.started.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        page.gauge(
            "start_time_seconds",
            "Time at which the counters of this mount started at 0, in Unix time.",
            started,
        );
        page.family("build", "gauge", "Always 1. The label is the version of the engine.");
        page.sample("build", "", &format!("version=\"{}\"", gauges.version), "1");
        if format == Format::OpenMetrics {
            page.text.push_str("# EOF\n");
        }
        page.text
    }
}

const WAL_HELP: &str = "Entries in the write-ahead log of this mount at the time of the scrape. Each token that is being created has one, and each \
                   orphan. Returns to 0.";
const ORPHANS_HELP: &str = "Tokens that may be live at the token service without a lease, because the response to their creation was lost more than \
                   three minutes ago. Vault revokes them every minute. List them: vault list -detailed MOUNT/orphans.";
const OLDEST_ORPHAN_HELP: &str = "Time since the oldest orphan was requested. 0 without orphans. If it grows for an hour, a person is needed.";
const LEASES_OPEN_HELP: &str = "Leases that this process has issued for this mount and that are not revoked. It does not count the leases of other \
                   processes and of other nodes. A lease that the host did not store counts until the process ends.";

struct TextEncoder<'a> {
    prefix: &'a str,
    format: Format,
    text: String,
}

impl TextEncoder<'_> {
    fn requests(&mut self, metrics: &Metrics) {
        const NAME: &str = "request_duration_seconds";
        self.family(
            NAME,
            "histogram",
            "Time that the plugin needed for a request of Vault, in seconds, by operation and result.",
        );
        for (operation, operation_text) in MeasuredOperation::ALL {
            for (outcome, outcome_text) in Outcome::ALL {
                let always = *operation == MeasuredOperation::CredsRead
                    && matches!(outcome, Outcome::Ok | Outcome::Failed);
                let labels = format!("operation=\"{operation_text}\",result=\"{outcome_text}\"");
                self.histogram(NAME, &labels, metrics.request_histogram(*operation, *outcome), always);
            }
        }
        self.counter(
            "errors",
            "Failed requests by kind of error. invalid_request is an error of the caller, and failed an error of the token service or of the engine.",
        );
        for (kind, text) in ErrorLabel::ALL {
            self.count("errors", &format!("kind=\"{text}\""), &metrics.errors[kind.index()]);
        }
    }

    fn upstream(&mut self, metrics: &Metrics) {
        const NAME: &str = "upstream_duration_seconds";
        self.family(
            NAME,
            "histogram",
            "Time that the token service needed for a call, in seconds, including retries, by operation and result.",
        );
        for (call, call_text) in UpstreamOperation::ALL {
            for (outcome, outcome_text) in Outcome::ALL {
                let always =
                    *call == UpstreamOperation::Mint && matches!(outcome, Outcome::Ok | Outcome::Failed);
                let labels = format!("operation=\"{call_text}\",result=\"{outcome_text}\"");
                self.histogram(NAME, &labels, metrics.upstream_histogram(*call, *outcome), always);
            }
        }
        self.counter("upstream_errors", "Failed calls to the token service, by operation and kind of error.");
        for (call, call_text) in UpstreamOperation::ALL {
            for (kind, kind_text) in UpstreamErrorLabel::ALL {
                let labels = format!("operation=\"{call_text}\",kind=\"{kind_text}\"");
                self.count("upstream_errors", &labels, metrics.upstream_error(*call, *kind));
            }
        }
        self.counter(
            "upstream_retries",
            "Requests to the token service that were sent again after a failure.",
        );
        self.count("upstream_retries", "", &metrics.upstream_retries);
    }

    fn leases(&mut self, metrics: &Metrics) {
        self.counter("leases_issued", "Tokens that this process has issued for this mount.");
        self.count("leases_issued", "", &metrics.leases_issued);
        self.counter(
            "leases_revoked",
            "Tokens that this process has revoked for this mount, including those that another process issued.",
        );
        self.count("leases_revoked", "", &metrics.leases_revoked);
        self.gauge("leases_open", LEASES_OPEN_HELP, metrics.leases_open.load(Ordering::Relaxed));
    }

    fn rotations(&mut self, metrics: &Metrics) {
        self.counter(
            "rotations",
            "Rotations of the key of a connection, by request and by schedule, by result.",
        );
        self.count("rotations", "result=\"ok\"", &metrics.rotations);
        self.count("rotations", "result=\"failed\"", &metrics.failed_rotations);
    }

    /// Writes the summary of credential reads. Its name and unit are those of the program that this plugin replaces.
    fn summary(&mut self, metrics: &Metrics) {
        let parts = QUANTILES.map(|(part, _)| part);
        let (count, sum) = metrics.creds_read.total();
        let help = format!(
            "Time that the plugin needed to issue a token, in milliseconds. The quantiles are those of the last {WINDOW_MINUTES} minutes, \
             accurate to 3 percent."
        );
        self.family("creds_read", "summary", &help);
        for ((_, text), value) in QUANTILES.iter().zip(metrics.creds_read.quantiles(&parts)) {
            let value =
                value.map_or_else(|| "NaN".to_owned(), |value| (value.as_secs_f64() * 1000.0).to_string());
            self.sample("creds_read", "", &format!("quantile=\"{text}\""), &value);
        }
        self.sample("creds_read", "_sum", "", &(sum.as_secs_f64() * 1000.0).to_string());
        self.sample("creds_read", "_count", "", &count.to_string());
    }

    fn histogram(&mut self, name: &str, labels: &str, histogram: &Histogram, always: bool) {
        let snapshot = histogram.snapshot();
        if snapshot.count() == 0 && !always {
            return;
        }
        let bounds = BOUNDS.iter().map(|(_, text)| *text).chain(["+Inf"]);
        for (bound, count) in bounds.zip(snapshot.cumulative) {
            self.sample(name, "_bucket", &format!("{labels},le=\"{bound}\""), &count.to_string());
        }
        self.sample(name, "_sum", labels, &snapshot.sum.as_secs_f64().to_string());
        self.sample(name, "_count", labels, &snapshot.count().to_string());
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "gauge", help);
        self.sample(name, "", "", &value.to_string());
    }

    /// Writes the header of a counter. In OpenMetrics, the name of the family does not have the suffix of its samples.
    fn counter(&mut self, name: &str, help: &str) {
        match self.format {
            Format::Prometheus => self.family(&format!("{name}_total"), "counter", help),
            Format::OpenMetrics => self.family(name, "counter", help),
        }
    }

    fn count(&mut self, name: &str, labels: &str, count: &AtomicU64) {
        self.sample(name, "_total", labels, &count.load(Ordering::Relaxed).to_string());
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let prefix = self.prefix;
        let _ = writeln!(self.text, "# HELP {prefix}_{name} {help}\n# TYPE {prefix}_{name} {kind}");
    }

    fn sample(&mut self, name: &str, suffix: &str, labels: &str, value: &str) {
        let prefix = self.prefix;
        let (open, close) = if labels.is_empty() { ("", "") } else { ("{", "}") };
        let _ = writeln!(self.text, "{prefix}_{name}{suffix}{open}{labels}{close} {value}");
    }
}
