//! `metrics`: the metrics of this mount, for a scraper with a token.

use serde::Deserialize;
use vault_plugin::framework::{Context, Field, Path, RawResponse, WAL_PREFIX};
use vault_plugin::logical::{Error, Operation};

use crate::TokenEngine;
use crate::config;
use crate::telemetry::{Format, ScrapeGauges};

pub(crate) fn path() -> Path<TokenEngine> {
    Path::new("metrics")
        .help(
            "Read the metrics of this mount.",
            "Returns the text format of Prometheus, or of OpenMetrics (format=openmetrics): durations of the requests to this mount \
             by operation (credentials, renewals, revocations, rollbacks, and the paths of the configuration), durations of the calls to \
             the token service by operation (mint, renew, revoke, find, probe, login), errors by kind, write-ahead log entries and open \
             leases. The values are those of this mount in the responding process since it started. They contain no secret, no role and \
             no caller.",
        )
        .field(
            "format",
            Field::string().query().describe("prometheus or openmetrics. Default prometheus."),
        )
        .on(Operation::Read, "Read the metrics.", read)
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
    let wal_entries = context.storage().list(WAL_PREFIX).await?.len();
    let gauges = ScrapeGauges { wal_entries, version: env!("CARGO_PKG_VERSION") };
    let text = context.state().metrics().encode(&prefix, format, &gauges);
    Ok(RawResponse { content_type: format.content_type().to_owned(), ..RawResponse::new(200, text) })
}
