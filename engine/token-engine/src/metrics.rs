//! `metrics`: what this mount measures of itself, for a scraper that has a token.

use serde::Deserialize;
use vault_plugin::framework::{Context, Field, Path, RawResponse};
use vault_plugin::logical::{Error, Operation};

use crate::TokenEngine;
use crate::config;
use crate::telemetry::{Format, ScrapeGauges};

/// Where write-ahead entries lie in storage.
const WAL_PREFIX: &str = "wal/";

pub(crate) fn path() -> Path<TokenEngine> {
    Path::new("metrics")
        .help(
            "Read what this mount measures of itself.",
            "Answers in the text format of Prometheus, or of OpenMetrics (format=openmetrics): times of every operation and of \
             every call to the token service, errors by kind, write-ahead entries, open leases. Numbers are of this mount in the \
             process that answers, since it started. No secret, no role and no caller is in them.",
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

async fn read(context: Context<TokenEngine>, wanted: MetricsRequest) -> Result<RawResponse, Error> {
    let format = match wanted.format.as_deref() {
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
