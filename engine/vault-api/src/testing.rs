//! Reads requests of this client in unit tests of the crates that use it.

use std::io::{BufRead, BufReader, Read};

use serde_json::Value;

/// A request as a simulated server receives it.
#[derive(Debug)]
pub struct ReceivedRequest {
    /// The method.
    pub method: String,
    /// The path with its query, without `/v1/`.
    pub path: String,
    /// The JSON body, or null.
    pub body: Value,
}

impl ReceivedRequest {
    /// Reads one request of HTTP/1.1.
    ///
    /// # Panics
    /// If the connection ends before the request does.
    pub fn read(stream: impl Read) -> Self {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).expect("a request");
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).expect("a header");
            if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            if header.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a body");
        let mut parts = line.split(' ');
        let (method, path) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        Self {
            method: method.to_owned(),
            path: path.strip_prefix("/v1/").unwrap_or(path).to_owned(),
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        }
    }
}
