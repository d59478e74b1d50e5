//! Requests to a service, and helpers for its responses.

use std::pin::Pin;

use reqwest::{Client, RequestBuilder};
use serde_json::Value;

use crate::http_client;
use crate::vault::ApiResponse;

pub(super) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A client of one endpoint.
#[derive(Clone)]
pub(super) struct ApiClient {
    endpoint: String,
    client: Client,
}

/// A request to a [`crate::TokenServer`] that has not been sent.
#[must_use = "send it"]
pub struct ApiRequest(RequestBuilder);

impl ApiClient {
    pub(super) fn new(port: u16) -> ApiClient {
        let client = http_client::builder().build().expect("a client without settings can be built");
        ApiClient { endpoint: format!("http://127.0.0.1:{port}"), client }
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(super) fn request(&self, method: &str, path: &str) -> ApiRequest {
        let method = method.parse().expect("tests use valid methods");
        ApiRequest(self.client.request(method, format!("{}{path}", self.endpoint)))
    }
}

impl ApiRequest {
    /// Adds a header.
    pub fn header(self, name: &str, value: &str) -> ApiRequest {
        ApiRequest(self.0.header(name, value))
    }

    /// Authenticates the request with a bearer token.
    pub fn bearer(self, token: &str) -> ApiRequest {
        ApiRequest(self.0.bearer_auth(token))
    }

    /// Authenticates the request with a user and a password, or a client and its secret.
    pub fn basic(self, user: &str, password: &str) -> ApiRequest {
        ApiRequest(self.0.basic_auth(user, Some(password)))
    }

    /// Sets a JSON body.
    pub fn json(self, body: &Value) -> ApiRequest {
        ApiRequest(self.0.json(body))
    }

    /// Sets a form body.
    pub fn form(self, fields: &[(&str, &str)]) -> ApiRequest {
        let fields = fields.iter().map(|(name, value)| format!("{name}={}", percent_encoded(value)));
        let body = fields.collect::<Vec<_>>().join("&");
        let request = self.0.header("Content-Type", "application/x-www-form-urlencoded");
        ApiRequest(request.body(body))
    }

    /// Sends the request.
    ///
    /// # Panics
    ///
    /// If no response is received.
    pub async fn send(self) -> ApiResponse {
        self.read().await.unwrap_or_else(|error| panic!("no response: {error:?}")).0
    }

    /// Sends the request, and returns the response and one of its headers.
    ///
    /// # Panics
    ///
    /// If no response is received, or it does not have the header.
    pub async fn send_for_header(self, name: &str) -> (ApiResponse, String) {
        let (response, headers) = self.read().await.unwrap_or_else(|error| panic!("no response: {error:?}"));
        let header = headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let header = header.unwrap_or_else(|| panic!("no header {name} in {response:?}"));
        (response, header)
    }

    /// Sends the request, and returns the status of the response.
    pub(super) async fn status(self) -> Result<u16, String> {
        self.read().await.map(|(response, _)| response.status).map_err(|error| error.to_string())
    }

    /// Sends the request, and returns the body of the response, which must be a success.
    pub(super) async fn success(self) -> Value {
        self.send().await.success()
    }

    async fn read(self) -> reqwest::Result<(ApiResponse, reqwest::header::HeaderMap)> {
        let response = self.0.send().await?;
        let headers = response.headers().clone();
        Ok((ApiResponse::read(response).await?, headers))
    }
}

fn percent_encoded(value: &str) -> String {
    value.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Returns a string in a document, which must exist.
#[track_caller]
pub(super) fn text(document: &Value, pointer: &str) -> String {
    let text = document.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_else(|| panic!("no text at {pointer} in {document}")).to_owned()
}

/// Returns the elements of an array.
#[track_caller]
pub(super) fn elements(array: &Value) -> &[Value] {
    array.as_array().unwrap_or_else(|| panic!("not an array: {array}"))
}

/// Returns whether a credential was accepted (any success) or rejected (one of these statuses).
#[track_caller]
pub(super) fn is_accepted(response: &ApiResponse, refused: &[u16]) -> bool {
    let accepted = (200..300).contains(&response.status);
    assert!(accepted || refused.contains(&response.status), "neither accepted nor refused: {response:?}");
    accepted
}
