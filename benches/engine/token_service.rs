//! A token service with minimal cost: it returns the same response to every mint request.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::BoxError;

/// The argument with which this program runs the service instead of the benchmark. It is a separate process, so that its CPU time
/// does not count for the host or the plugin.
pub(crate) const ARGUMENT: &str = "token-service";

const MINT_RESPONSE: &str = r#"{"id":"5f6e1c3a","token":"tok-7d1b2c9e0f5a4b6c8d7e9f0a1b2c3d4e"}"#;

/// A running service. Dropping it stops it.
pub(crate) struct TokenService {
    process: Child,
    pub(crate) endpoint: String,
    /// Contains `key`, the file with the API key.
    pub(crate) directory: TempDir,
}

impl TokenService {
    pub(crate) fn start() -> Result<TokenService, BoxError> {
        let directory = tempfile::tempdir()?;
        fs::write(directory.path().join("key"), "any-key")?;
        let mut process =
            Command::new(std::env::current_exe()?).arg(ARGUMENT).stdout(Stdio::piped()).spawn()?;
        let output = process.stdout.take().ok_or("the output is piped")?;
        let mut address = String::new();
        BufReader::new(output).read_line(&mut address)?;
        Ok(TokenService { process, endpoint: format!("http://{}", address.trim()), directory })
    }
}

impl Drop for TokenService {
    fn drop(&mut self) {
        // Fails if the process has already exited.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Serves until the process is killed.
pub(crate) async fn serve() -> Result<(), BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    announce(&listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        // The error of a closed connection is not relevant.
        tokio::spawn(async move { serve_connection(stream).await });
    }
}

#[expect(clippy::disallowed_methods, reason = "the benchmark reads the address from here")]
fn announce(listener: &TcpListener) -> Result<(), BoxError> {
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    Ok(())
}

async fn serve_connection(stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = tokio::io::BufStream::new(stream);
    let mut line = String::new();
    let mut body = Vec::new();
    loop {
        let (mut length, mut is_mint) = (0, true);
        for number in 0.. {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            if number == 0 {
                is_mint = line.starts_with("POST");
            } else if line == "\r\n" {
                break;
            } else if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap_or_default();
            }
        }
        body.resize(length, 0);
        stream.read_exact(&mut body).await?;
        let text = if is_mint { MINT_RESPONSE } else { "{}" };
        let response = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        );
        stream.write_all(response.as_bytes()).await?;
        stream.flush().await?;
    }
}
