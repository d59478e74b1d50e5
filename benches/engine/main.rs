//! This engine and its Go twin side by side: every figure is taken of both, one right after the other, in one run.
//!
//! `cargo bench --bench engine` takes about fifteen minutes; `-- --alone` leaves the real Vault out. It runs
//! [`ROUNDS`] times over and shows medians, so that a busy moment of the machine does not decide. `-- --unrecorded` measures something
//! else, of this engine alone, in a minute: see [`unrecorded`].

mod standalone;
mod through_vault;
mod token_service;
mod unrecorded;

use std::io::Write as _;
use std::path::PathBuf;

use harness::{Storage, build};

use self::standalone::{DriverReport, LoadResult, MemoryUsage, TlsMode};
use self::through_vault::VaultReport;
use self::token_service::TokenService;

type BoxError = Box<dyn std::error::Error>;

const ROUNDS: usize = 3;

/// One measurement of both engines: ours, Go's.
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
    let with_vault = !arguments.iter().any(|argument| argument == "--alone");
    let engines: [PathBuf; 2] = [env!("CARGO_BIN_EXE_vault-token-plugin").into(), build::go_twin().await];
    let driver = build::go_driver().await;
    let echo = build::example("go-plugin", "echo").await;
    let service = TokenService::start()?;

    let mut runs = Pair::new();
    let mut refused = Pair::new();
    let mut floors = Pair::new();
    let mut in_memory = Pair::new();
    let mut on_raft = Pair::new();
    for _ in 0..ROUNDS {
        for (engine, plugin) in engines.iter().enumerate() {
            runs.0[engine].push(standalone::measure(&driver, &service, plugin)?);
            refused.0[engine].push(standalone::measure_rejected(&driver, &service, plugin)?);
        }
        floors.0[0].push(standalone::measure_grpc_baseline(&driver, &echo, TlsMode::Tls)?);
        floors.0[1].push(standalone::measure_grpc_baseline(&driver, &echo, TlsMode::Plain)?);
        if with_vault {
            for (engine, plugin) in engines.iter().enumerate() {
                in_memory.0[engine].push(through_vault::measure(&service, plugin, Storage::Memory).await?);
                on_raft.0[engine].push(through_vault::measure(&service, plugin, Storage::Raft).await?);
            }
        }
    }

    print_line("| | ours | Go | ours : Go |\n|---|---|---|---|")?;
    runs.row("handshake, ms", |run: &DriverReport| run.handshake_ms)?;
    let [ours, go] = engines.map(|file| std::fs::metadata(file).map(|facts| facts.len() as f64 / 1e6));
    let (ours, go) = (ours?, go?);
    print_line(format!(
        "| size of the binary, stripped, MB | {} | {} | {:.2} |",
        format_figure(ours),
        format_figure(go),
        ours / go
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
    refused.row("a request without storage, 64 callers, CPU of the plugin, us", |load: &LoadResult| {
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
        "\n| the floor: a bare gRPC server, 64 callers | with TLS | in the clear | |\n|---|---|---|---|",
    )?;
    floors.row("calls per second", |load: &LoadResult| load.per_second)?;
    floors.row("CPU of the server per call, us", |load| load.plugin_us)?;
    floors.row("CPU of the client per call, us", |load| load.host_us)?;
    Ok(())
}

impl Pair<DriverReport> {
    fn memory(&self, moment: &str, of: impl Fn(&DriverReport) -> &MemoryUsage) -> std::io::Result<()> {
        self.row(&format!("resident memory {moment}, MB"), |run| of(run).resident_kb / 1e3)?;
        self.row(&format!("of it in no file, {moment}, MB"), |run| of(run).anonymous_kb / 1e3)
    }

    fn load(&self, title: &str, callers: &str, figure: impl Fn(&LoadResult) -> f64) -> std::io::Result<()> {
        self.row(title, |run| run.loads.get(callers).map_or(f64::NAN, &figure))
    }
}

impl<T> Pair<T> {
    fn new() -> Pair<T> {
        Pair([Vec::new(), Vec::new()])
    }

    /// The medians, and the ratio's median with the least and the greatest of the rounds.
    fn row(&self, title: &str, figure: impl Fn(&T) -> f64) -> std::io::Result<()> {
        let [ours, go] = self.0.each_ref().map(|runs| runs.iter().map(&figure).collect::<Vec<_>>());
        if ours.is_empty() {
            return Ok(());
        }
        let mut ratios: Vec<f64> = ours.iter().zip(&go).map(|(ours, go)| ours / go).collect();
        ratios.sort_by(f64::total_cmp);
        let (least, greatest) = (ratios[0], ratios[ratios.len() - 1]);
        print_line(format!(
            "| {title} | {} | {} | {:.2} ({least:.2} to {greatest:.2}) |",
            format_figure(median(ours)),
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

#[expect(clippy::disallowed_methods, reason = "a benchmark talks to the person who runs it")]
fn print_line(line: impl std::fmt::Display) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{line}")
}
