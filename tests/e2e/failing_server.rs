//! A proxy that loses the server at a chosen request, and records the requests.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// When the connection is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Never.
    Never,
    /// Before the server gets the request of this number (from 0), and for all later ones.
    Before(usize),
    /// With the response to the request of this number.
    After(usize),
}

/// A port that forwards to a server until the connection is lost.
pub(crate) struct FailingServer {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl FailingServer {
    /// A proxy for `server`, an `http` address.
    pub(crate) async fn new(server: &str, loss: Loss) -> FailingServer {
        let server = server.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (lost, known) = (watch::Sender::new(false), requests.clone());
        tokio::spawn(async move {
            let mut end = lost.subscribe();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let Ok((client, _)) = accepted else { return };
                        tokio::spawn(forward_connection(client, server.clone(), loss, known.clone(), lost.clone()));
                    }
                    // This closes the port.
                    _ = end.wait_for(|lost| *lost) => return,
                }
            }
        });
        FailingServer { address, requests }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The first line of every request so far, up to the path.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// One connection. Requests are sequential, and each starts with a new packet.
async fn forward_connection(
    mut client: TcpStream,
    server: String,
    loss: Loss,
    requests: Arc<Mutex<Vec<String>>>,
    lost: watch::Sender<bool>,
) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let answers_are_lost = watch::Sender::new(false);
    let there = async {
        let mut packet = vec![0; 64 << 10];
        while let Ok(length) = from_client.read(&mut packet).await
            && length > 0
        {
            if let Some(line) = request_line(&packet[..length]) {
                let number = {
                    let mut requests = requests.lock().unwrap();
                    requests.push(line);
                    requests.len() - 1
                };
                match loss {
                    Loss::Before(at) if number >= at => {
                        lost.send_replace(true);
                        return;
                    }
                    Loss::After(at) if number == at => {
                        answers_are_lost.send_replace(true);
                    }
                    Loss::Never | Loss::Before(_) | Loss::After(_) => {}
                }
            }
            if to_server.write_all(&packet[..length]).await.is_err() {
                return;
            }
        }
    };
    let back = async {
        let mut packet = vec![0; 64 << 10];
        while let Ok(length) = from_server.read(&mut packet).await
            && length > 0
        {
            if *answers_are_lost.borrow() {
                lost.send_replace(true);
                return;
            }
            if to_client.write_all(&packet[..length]).await.is_err() {
                return;
            }
        }
    };
    let mut end = lost.subscribe();
    tokio::select! {
        () = there => {}
        () = back => {}
        _ = end.wait_for(|lost| *lost) => {}
    }
}

fn request_line(packet: &[u8]) -> Option<String> {
    let line = String::from_utf8_lossy(packet.split(|byte| *byte == b'\r').next()?).into_owned();
    line.strip_suffix(" HTTP/1.1").map(str::to_owned)
}
