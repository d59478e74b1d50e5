//! Compares this engine with its Go twin. Each measurement runs on both, one directly after the other.
//!
//! `cargo bench --bench engine` takes about fifteen minutes; `-- --alone` skips the measurements through a real Vault. It repeats each
//! measurement [`ROUNDS`] times and prints medians, so that a short load on the machine does not affect the result.
//! `-- --unrecorded` runs another measurement of this engine alone, in about a minute: see [`unrecorded`]. `-- --versions FORMER LATER`
//! compares two builds of this engine: see [`versions`].

mod standalone;
mod through_vault;
mod token_service;
mod unrecorded;
mod versions;

use std::io::Write as _;
use std::path::PathBuf;

use harness::{Storage, build};

use self::standalone::{DriverReport, LoadResult, MemoryUsage, TlsMode};
use self::through_vault::VaultReport;
use self::token_service::TokenService;

type BoxError = Box<dyn std::error::Error>;

const ROUNDS: usize = 3;

/// The results of one measurement: of this engine, and of the Go twin.
struct Pair<T>([Vec<T>; 2]);

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|argument| argument == token_service::ARGUMENT) {
        return token_service::serve().await;
    }
    if arguments.iter().any(|argument| argument == "--unrecorded") {
        let plugin: PathBuf = env!("CARGO_BIN_EXE_vault-token-plugin").into();
        return print_line(unrecorded::measure(&TokenService::start()?, &plugin).await?)
            .map_err(BoxError::from);
    }
    // Cargo appends its own argument.
    let versions = arguments.iter().skip_while(|argument| *argument != versions::ARGUMENT).skip(1);
    if let [former, later, ..] = &versions.collect::<Vec<_>>()[..] {
        let table = versions::measure(&TokenService::start()?, [former.into(), later.into()]).await?;
        return print_line(table).map_err(BoxError::from);
    }
    let with_vault = !arguments.iter().any(|argument| argument == "--alone");
    let engines: [PathBuf; 2] = [env!("CARGO_BIN_EXE_vault-token-plugin").into(), build::go_twin().await];
    let driver = build::go_driver().await;
    let echo = build::example("go-plugin", "echo").await;
    let service = TokenService::start()?;

    let mut runs = Pair::new();
    let mut rejected = Pair::new();
    let mut baselines = Pair::new();
    let mut in_memory = Pair::new();
    let mut on_raft = Pair::new();
    for _ in 0..ROUNDS {
        for (engine, plugin) in engines.iter().enumerate() {
            runs.0[engine].push(standalone::measure(&driver, &service, plugin)?);
            rejected.0[engine].push(standalone::measure_rejected(&driver, &service, plugin)?);
        }
        baselines.0[0].push(standalone::measure_grpc_baseline(&driver, &echo, TlsMode::Tls)?);
        baselines.0[1].push(standalone::measure_grpc_baseline(&driver, &echo, TlsMode::Plain)?);
        if with_vault {
            for (engine, plugin) in engines.iter().enumerate() {
                in_memory.0[engine].push(through_vault::measure(&service, plugin, Storage::Memory).await?);
                on_raft.0[engine].push(through_vault::measure(&service, plugin, Storage::Raft).await?);
            }
        }
    }

    print_line("| | Rust | Go | Rust : Go |\n|---|---|---|---|")?;
    runs.row("handshake, ms", |run: &DriverReport| run.handshake_ms)?;
    let [rust, go] = engines.map(|file| std::fs::metadata(file).map(|facts| facts.len() as f64 / 1e6));
    let (rust, go) = (rust?, go?);
    print_line(format!(
        "| size of the binary, stripped, MB | {} | {} | {:.2} |",
        format_figure(rust),
        format_figure(go),
        rust / go
    ))?;
    runs.memory("idle", |run| &run.idle)?;
    runs.memory("with 50 mounts", |run| &run.many_mounts)?;
    runs.memory("after 100,000 creds", |run| &run.loaded)?;
    for callers in ["1", "8", "64"] {
        let title = |what: &str| format!("{what}, {callers} callers");
        runs.load(&title("creds per second"), callers, |load| load.per_second)?;
        runs.load(&title("p50, us"), callers, |load| load.p50_us)?;
        runs.load(&title("p99, us"), callers, |load| load.p99_us)?;
        runs.load(&title("p99.9, us"), callers, |load| load.p999_us)?;
        runs.load(&title("CPU of the plugin per request, us"), callers, |load| load.plugin_us)?;
        runs.load(&title("CPU of the host per request, us"), callers, |load| load.host_us)?;
    }
    runs.load("calls to the host per request", "64", |load| load.host_calls)?;
    runs.row("4 MiB written and read, ms", |run| run.large_ms)?;
    runs.row("4 MiB written and read, CPU of the plugin, ms", |run| run.large_plugin_ms)?;
    rejected.row("a request without storage, 64 callers, CPU of the plugin, us", |load: &LoadResult| {
        load.plugin_us
    })?;
    for (pair, storage) in [(&in_memory, "in memory"), (&on_raft, "on raft")] {
        let title = |what: &str| format!("{what} through Vault {storage}, 8 clients");
        pair.row(&title("creds per second"), |run: &VaultReport| run.per_second)?;
        pair.row(&title("p50, us"), |run| run.p50_us)?;
        pair.row(&title("p99, us"), |run| run.p99_us)?;
        pair.row(&title("CPU of Vault per request, us"), |run| run.vault_us)?;
        pair.row(&title("CPU of the plugin per request, us"), |run| run.plugin_us)?;
    }
    print_line(
        "\n| baseline: a gRPC server without an engine, 64 callers | with TLS | without TLS | |\n|---|---|---|---|",
    )?;
    baselines.row("calls per second", |load: &LoadResult| load.per_second)?;
    baselines.row("CPU of the server per call, us", |load| load.plugin_us)?;
    baselines.row("CPU of the client per call, us", |load| load.host_us)?;
    Ok(())
}

impl Pair<DriverReport> {
    fn memory(&self, moment: &str, usage: impl Fn(&DriverReport) -> &MemoryUsage) -> std::io::Result<()> {
        self.row(&format!("resident memory {moment}, MB"), |run| usage(run).resident_kb / 1e3)?;
        self.row(&format!("anonymous memory {moment}, MB"), |run| usage(run).anonymous_kb / 1e3)
    }

    fn load(&self, title: &str, callers: &str, figure: impl Fn(&LoadResult) -> f64) -> std::io::Result<()> {
        self.row(title, |run| run.loads.get(callers).map_or(f64::NAN, &figure))
    }
}

impl<T> Pair<T> {
    fn new() -> Pair<T> {
        Pair([Vec::new(), Vec::new()])
    }

    /// Prints a row with the medians, and the median, minimum and maximum of the ratio.
    fn row(&self, title: &str, figure: impl Fn(&T) -> f64) -> std::io::Result<()> {
        let [rust, go] = self.0.each_ref().map(|runs| runs.iter().map(&figure).collect::<Vec<_>>());
        if rust.is_empty() {
            return Ok(());
        }
        let mut ratios: Vec<f64> = rust.iter().zip(&go).map(|(rust, go)| rust / go).collect();
        ratios.sort_by(f64::total_cmp);
        let (min, max) = (ratios[0], ratios[ratios.len() - 1]);
        print_line(format!(
            "| {title} | {} | {} | {:.2} ({min:.2} to {max:.2}) |",
            format_figure(median(rust)),
            format_figure(median(go)),
            median(ratios)
        ))
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn format_figure(figure: f64) -> String {
    if figure < 100.0 { format!("{figure:.1}") } else { format!("{figure:.0}") }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark prints its result")]
fn print_line(line: impl std::fmt::Display) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{line}")
}
