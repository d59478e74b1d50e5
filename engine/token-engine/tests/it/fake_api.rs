//! A fake token API over real HTTP: it records requests and returns the responses of a function.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A received request.
#[derive(Clone, Debug)]
pub(crate) struct ReceivedRequest {
    pub(crate) method: String,
    /// The path and the query.
    pub(crate) target: String,
    /// Headers with lower-case names.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl ReceivedRequest {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// Returns the method and the target.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }
}

/// A response of the fake API.
#[derive(Clone, Debug)]
pub(crate) struct FakeResponse {
    status: u16,
    kind: &'static str,
    headers: Vec<(&'static str, String)>,
    body: String,
    /// Whether the connection is closed without a response.
    lost: bool,
}

impl FakeResponse {
    pub(crate) fn json(status: u16, body: Value) -> FakeResponse {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        FakeResponse { status, kind: "application/json", headers: Vec::new(), body, lost: false }
    }

    pub(crate) fn html(status: u16) -> FakeResponse {
        FakeResponse {
            kind: "text/html",
            body: "<html>no</html>".to_owned(),
            ..FakeResponse::json(status, Value::Null)
        }
    }

    pub(crate) fn lost() -> FakeResponse {
        FakeResponse { lost: true, ..FakeResponse::json(500, Value::Null) }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> FakeResponse {
        self.headers.push((name, value.to_owned()));
        self
    }
}

type Handler = Box<dyn FnMut(&ReceivedRequest) -> FakeResponse + Send>;

/// The HTTP server. Dropping it closes the port.
pub(crate) struct FakeApi {
    state: Arc<Mutex<State>>,
    address: String,
    server: JoinHandle<()>,
}

struct State {
    handler: Handler,
    received: Vec<ReceivedRequest>,
    held: Option<HeldRequests>,
}

/// Requests that arrive late.
struct HeldRequests {
    matches: Box<dyn Fn(&ReceivedRequest) -> bool + Send>,
    /// The number of requests that wait.
    waiting: usize,
    released: watch::Sender<()>,
}

impl FakeApi {
    pub(crate) async fn start(
        handler: impl FnMut(&ReceivedRequest) -> FakeResponse + Send + 'static,
    ) -> FakeApi {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let state =
            Arc::new(Mutex::new(State { handler: Box::new(handler), received: Vec::new(), held: None }));
        let shared = Arc::clone(&state);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        FakeApi { state, address, server }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn received(&self) -> Vec<ReceivedRequest> {
        self.state.lock().received.clone()
    }

    /// Delays the requests that match until [`release`](Self::release).
    pub(crate) fn hold(&self, matches: impl Fn(&ReceivedRequest) -> bool + Send + 'static) {
        let held =
            HeldRequests { matches: Box::new(matches), waiting: 0, released: watch::Sender::default() };
        self.state.lock().held = Some(held);
    }

    /// Waits until a request is held.
    pub(crate) async fn wait_until_held(&self) {
        harness::eventually("a request is held", async || {
            let waiting = self.state.lock().held.as_ref().map(|held| held.waiting);
            (waiting? > 0).then_some(())
        })
        .await;
    }

    /// Lets the held requests arrive, and holds no further ones.
    pub(crate) fn release(&self) {
        self.state.lock().held = None;
    }

    /// Returns the methods and targets of all requests.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.received().iter().map(ReceivedRequest::line).collect()
    }
}

impl Drop for FakeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Responds to one request and closes the connection.
async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut stream = BufReader::new(stream);
    let Some(received) = read(&mut stream).await else { return };
    let released = state.lock().held.as_mut().filter(|held| (held.matches)(&received)).map(|held| {
        held.waiting += 1;
        held.released.subscribe()
    });
    if let Some(mut released) = released {
        // Ends when the sender is dropped.
        let _released = released.changed().await;
    }
    let response = {
        let mut state = state.lock();
        state.received.push(received.clone());
        (state.handler)(&received)
    };
    if response.lost {
        return;
    }
    let mut text = format!(
        "HTTP/1.1 {} X\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: close\r\n",
        response.status,
        response.kind,
        response.body.len()
    );
    for (name, value) in &response.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.push_str(&response.body);
    let _closed_by_the_client = stream.get_mut().write_all(text.as_bytes()).await;
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<ReceivedRequest> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").map_or("0", |(_, value)| value);
    let mut body = vec![0; length.parse().ok()?];
    stream.read_exact(&mut body).await.ok()?;
    Some(ReceivedRequest { method, target, headers, body: String::from_utf8(body).ok()? })
}

/// A model of the token API of JupyterHub, which reuses the id of a deleted token.
#[derive(Default)]
pub(crate) struct HubModel {
    /// The id, the note and the user of each live token.
    pub(crate) tokens: Vec<(String, String, String)>,
    /// The number of next mints whose response is lost after the token was created.
    pub(crate) lose_responses: usize,
    /// The number of next mints whose request is lost.
    pub(crate) drop_requests: usize,
    /// The number of next mints whose request arrives twice, as if something before the API had repeated it.
    pub(crate) repeat_requests: usize,
    /// Whether the API fails every request.
    pub(crate) is_down: bool,
}

pub(crate) const HUB_KEY: &str = "hub-admin-key";

impl HubModel {
    pub(crate) fn respond(&mut self, request: &ReceivedRequest) -> FakeResponse {
        if self.is_down {
            return FakeResponse::json(500, json!({"status": 500}));
        }
        if request.header("authorization") != Some(&format!("token {HUB_KEY}")) {
            return FakeResponse::json(403, json!({"status": 403}));
        }
        let path: Vec<&str> = request.target.trim_start_matches("/hub/api/").split('/').collect();
        match (&*request.method, &path[..]) {
            ("GET", ["user"]) => FakeResponse::json(200, json!({"name": "vault"})),
            ("GET", ["users", user, "tokens"]) => {
                let of_user = self.tokens.iter().filter(|(_, _, owner)| owner == user);
                let listed: Vec<Value> =
                    of_user.map(|(id, note, _)| json!({"id": id, "note": note})).collect();
                FakeResponse::json(200, json!({"api_tokens": listed}))
            }
            ("POST", ["users", user, "tokens"]) => self.mint(user, &request.json()),
            ("DELETE", ["users", user, "tokens", id]) => {
                let before = self.tokens.len();
                self.tokens.retain(|(known, _, owner)| known != id || owner != user);
                let status = if self.tokens.len() < before { 204 } else { 404 };
                FakeResponse::json(status, if status == 404 { json!({"status": 404}) } else { Value::Null })
            }
            _ => FakeResponse::html(404),
        }
    }

    /// Creates a token, and returns its id.
    pub(crate) fn create(&mut self, user: &str, note: &str) -> String {
        let mut free = (1..).map(|number| format!("a{number}"));
        let id = free.find(|id| !self.tokens.iter().any(|(known, _, _)| known == id)).expect("a free id");
        self.tokens.push((id.clone(), note.to_owned(), user.to_owned()));
        id
    }

    fn mint(&mut self, user: &str, body: &Value) -> FakeResponse {
        if self.drop_requests > 0 {
            self.drop_requests -= 1;
            return FakeResponse::lost();
        }
        if self.repeat_requests > 0 {
            self.repeat_requests -= 1;
            self.create(user, body["note"].as_str().unwrap_or_default());
        }
        let id = self.create(user, body["note"].as_str().unwrap_or_default());
        if self.lose_responses > 0 {
            self.lose_responses -= 1;
            return FakeResponse::lost();
        }
        let life = body["expires_in"].as_i64().unwrap_or(3600);
        let end = jiff::Timestamp::now() + std::time::Duration::from_secs(life.unsigned_abs());
        FakeResponse::json(
            201,
            json!({"id": id, "token": format!("secret-of-{id}"), "expires_at": end.to_string()}),
        )
    }
}
