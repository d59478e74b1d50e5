//! `metrics`: the metrics of this mount, for a scraper with a token.

use jiff::Timestamp;
use serde::Deserialize;
use vault_plugin::framework::{Context, Field, Path, RawResponse, ResponseDoc, WAL_PREFIX};
use vault_plugin::logical::{Error, Operation};

use crate::TokenEngine;
use crate::config;
use crate::orphans::OrphanSummary;
use crate::telemetry::{Format, ScrapeGauges};

pub(crate) fn path() -> Path<TokenEngine> {
    Path::new("metrics")
        .help(
            "Read the metrics of this mount.",
            "Returns the text format of Prometheus, or of OpenMetrics (format=openmetrics): durations of the requests to this mount \
             by operation (credentials, renewals, revocations, rollbacks, and the paths of the configuration), durations of the calls to \
             the token service by operation (mint, renew, revoke, find, probe, login), errors by kind, write-ahead log entries, orphans and \
             open leases. The values are those of this mount in the responding process since it started. They contain no secret, no role and \
             no caller.",
        )
        .field(
            "format",
            Field::string()
                .query()
                .allowed(["prometheus", "openmetrics"])
                .documented_default("prometheus")
                .describe("Specifies the format of the response."),
        )
        .on(Operation::Read, "Read the metrics.", read)
        .response(ResponseDoc::new(200, "The metrics as text."))
        .response(ResponseDoc::new(400, "The format is not known."))
}

#[derive(Deserialize)]
struct MetricsRequest {
    #[serde(default)]
    format: Option<String>,
}

async fn read(context: Context<TokenEngine>, params: MetricsRequest) -> Result<RawResponse, Error> {
    let format = match params.format.as_deref() {
        None | Some("" | "prometheus") => Format::Prometheus,
        Some("openmetrics") => Format::OpenMetrics,
        Some(_) => return Err(Error::invalid("format must be prometheus or openmetrics")),
    };
    let config = config::load(context.storage(), config::DEFAULT_NAME).await?;
    let prefix = config.map_or_else(config::default_metrics_prefix, |config| config.metrics_prefix);
    let wal_ids = context.storage().list(WAL_PREFIX).await?;
    let (now, min_age) = (Timestamp::now().as_second(), crate::ROLLBACK_MIN_AGE.as_secs());
    let ages = &context.state().orphan_ages;
    let OrphanSummary { count, oldest_age_seconds } =
        ages.summary(context.storage(), &wal_ids, now, min_age).await?;
    let gauges = ScrapeGauges {
        wal_entries: wal_ids.len(),
        orphans: count,
        oldest_orphan_age_seconds: oldest_age_seconds,
        version: env!("CARGO_PKG_VERSION"),
    };
    let text = context.state().metrics().encode(&prefix, format, &gauges);
    Ok(RawResponse { content_type: format.content_type().to_owned(), ..RawResponse::new(200, text) })
}
