//! The credential of a connection: headers that are rendered once, or the cached result of a login.

use std::sync::Arc;

use data_encoding::BASE64;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::description::{Auth, Basic, ClientCredentials, Login, OAuth2};
use super::request::{Request, render_headers};
use super::response::{ResponseClass, ResponseParts, StatusRules, read_login};
use super::template::{HeaderFields, RenderError};
use super::values::Values;

/// The time before the expiry of a credential at which a new login replaces it, so that it does not expire during a request.
const RENEWED_BEFORE: SignedDuration = SignedDuration::from_secs(10);

/// The headers of a request.
pub(super) type Headers = Vec<(HeaderName, HeaderValue)>;

/// The authentication of requests.
pub(super) enum Credential {
    /// The same headers for every request.
    Headers(Headers),
    Login(Box<LoginCache>),
}

/// A login, and the last credential that it has returned.
pub(super) struct LoginCache {
    pub(super) login: Login,
    /// The headers of the login request.
    pub(super) headers: Headers,
    /// The headers of the other requests, which contain {login.token}.
    fields: HeaderFields,
    /// Locked during a login, so that only one runs at a time.
    current: Mutex<Option<Arc<LoginCredential>>>,
}

/// A credential that a login has returned.
pub(super) struct LoginCredential {
    pub(super) headers: Headers,
    until: Option<Timestamp>,
}

impl Credential {
    /// Renders the headers that do not depend on a login. `values` are those of the connection.
    pub(super) fn new(auth: &Auth, values: &Values<'_>) -> Result<Credential, RenderError> {
        if let Some(basic) = &auth.basic {
            let mut headers = render_headers(&auth.headers, values)?;
            headers.push((AUTHORIZATION, basic_header(basic, values)?));
            return Ok(Credential::Headers(headers));
        }
        if let Some(oauth2) = &auth.oauth2 {
            let (login, headers) = client_credentials(oauth2, values)?;
            let fields: HeaderFields = serde_json::from_str(r#"{"authorization": "Bearer {login.token}"}"#)
                .map_err(|_| RenderError::NoMethod)?;
            let fields = HeaderFields(auth.headers.0.iter().cloned().chain(fields.0).collect());
            return Ok(Credential::Login(Box::new(LoginCache {
                login,
                headers,
                fields,
                current: Mutex::default(),
            })));
        }
        match &auth.login {
            None => render_headers(&auth.headers, values).map(Credential::Headers),
            Some(login) => {
                let cache = LoginCache {
                    login: login.clone(),
                    headers: Vec::new(),
                    fields: auth.headers.clone(),
                    current: Mutex::default(),
                };
                Ok(Credential::Login(Box::new(cache)))
            }
        }
    }
}

impl LoginCache {
    /// Returns the cached credential, or that of `log_in`. Of several concurrent callers, one logs in and the others wait.
    pub(super) async fn get_or_log_in<E>(
        &self,
        now: Timestamp,
        log_in: impl Future<Output = Result<LoginCredential, E>>,
    ) -> Result<Arc<LoginCredential>, E> {
        let mut current = self.current.lock().await;
        if let Some(known) = current.as_ref().filter(|known| known.is_valid(now)) {
            return Ok(Arc::clone(known));
        }
        let fresh = Arc::new(log_in.await?);
        *current = Some(Arc::clone(&fresh));
        Ok(fresh)
    }

    /// Drops a rejected credential, unless another one has already replaced it.
    pub(super) async fn invalidate(&self, refused: &Arc<LoginCredential>) {
        let mut current = self.current.lock().await;
        if current.as_ref().is_some_and(|known| Arc::ptr_eq(known, refused)) {
            *current = None;
        }
    }

    /// Renders the request of the login.
    pub(super) fn request(&self, values: &Values<'_>) -> Result<Request, RenderError> {
        let call = self.login.call().ok_or(RenderError::NoMethod)?;
        let mut request = Request::render(&call, values)?;
        request.headers.extend(self.headers.iter().cloned());
        Ok(request)
    }

    /// Reads the response to the login.
    pub(super) fn read(
        &self,
        response: &ResponseParts<'_>,
        values: &Values<'_>,
        now: Timestamp,
    ) -> Result<Result<LoginCredential, RenderError>, ResponseClass> {
        let call = self.login.call().ok_or(ResponseClass::NotFound)?;
        match response.classify(StatusRules::of(&call)) {
            ResponseClass::Success => {}
            other => return Err(other),
        }
        let (token, until) =
            read_login(&self.login, response, values, now).map_err(ResponseClass::Unclear)?;
        let values = Values { login_token: Some(token.expose()), ..*values };
        Ok(render_headers(&self.fields, &values).map(|headers| LoginCredential { headers, until }))
    }
}

impl LoginCredential {
    fn is_valid(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| until.duration_since(now) > RENEWED_BEFORE)
    }
}

fn basic_header(basic: &Basic, values: &Values<'_>) -> Result<HeaderValue, RenderError> {
    let user = basic.user.render(values)?;
    let password = Zeroizing::new(basic.password.render(values)?);
    basic_value(&user, &password)
}

fn basic_value(user: &str, password: &str) -> Result<HeaderValue, RenderError> {
    let invalid = || RenderError::Header(AUTHORIZATION.to_string());
    // The user must not contain a colon (RFC 7617).
    if user.contains(':') {
        return Err(invalid());
    }
    let pair = Zeroizing::new(format!("{user}:{password}"));
    let text = Zeroizing::new(format!("Basic {}", BASE64.encode(pair.as_bytes())));
    let mut value = HeaderValue::from_str(&text).map_err(|_| invalid())?;
    value.set_sensitive(true);
    Ok(value)
}

/// Returns the login of an OAuth 2.0 client, with its headers.
fn client_credentials(oauth2: &OAuth2, values: &Values<'_>) -> Result<(Login, Headers), RenderError> {
    let mut form = serde_json::Map::new();
    form.insert("grant_type".to_owned(), "client_credentials".into());
    if let Some(scope) = &oauth2.scope {
        form.insert("scope".to_owned(), scope.to_string().into());
    }
    let mut headers = Vec::new();
    match oauth2.credentials {
        ClientCredentials::Basic => {
            // RFC 6749, section 2.3.1: both are form-encoded first.
            let encode = |text: String| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let user = encode(oauth2.client_id.render(values)?);
            let secret = Zeroizing::new(encode(oauth2.client_secret.render(values)?));
            headers.push((AUTHORIZATION, basic_value(&user, &secret)?));
        }
        ClientCredentials::Form => {
            form.insert("client_id".to_owned(), oauth2.client_id.to_string().into());
            form.insert("client_secret".to_owned(), oauth2.client_secret.to_string().into());
        }
    }
    let login = serde_json::json!({
        "post": oauth2.token_path.to_string(),
        "form": form,
        "token": "/access_token",
        "expires": {"in_seconds": "/expires_in", "optional": true},
    });
    let login = serde_json::from_value(login).map_err(|_| RenderError::NoMethod)?;
    Ok((login, headers))
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    fn auth(value: serde_json::Value) -> Auth {
        serde_json::from_value(value).unwrap()
    }

    fn values() -> Values<'static> {
        Values { api_key: Some("k&y"), ..Values::default() }
    }

    fn header(headers: &Headers) -> String {
        headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn basic_and_headers_are_rendered_once() {
        let basic = auth(serde_json::json!({"basic": {"user": "admin", "password": "{api_key}"}}));
        let Credential::Headers(headers) = Credential::new(&basic, &values()).unwrap() else {
            panic!("headers")
        };
        assert_eq!(header(&headers), format!("authorization: Basic {}", BASE64.encode(b"admin:k&y")));
        assert!(headers.iter().all(|(_, value)| value.is_sensitive()));
        let colon = auth(serde_json::json!({"basic": {"user": "a:b", "password": "{api_key}"}}));
        assert!(Credential::new(&colon, &values()).is_err());
    }

    #[test]
    fn an_oauth2_client_is_a_login() {
        for (credentials, body, sent) in [
            (
                "basic",
                "grant_type=client_credentials&scope=a+b",
                format!("authorization: Basic {}", BASE64.encode(b"app:k%26y")),
            ),
            (
                "form",
                "client_id=app&client_secret=k%26y&grant_type=client_credentials&scope=a+b",
                String::new(),
            ),
        ] {
            let auth = auth(serde_json::json!({"oauth2": {
                "token_path": "/token", "client_id": "app", "client_secret": "{api_key}", "scope": "a b", "credentials": credentials,
            }}));
            let Credential::Login(login) = Credential::new(&auth, &values()).unwrap() else {
                panic!("a login")
            };
            let request = login.request(&values()).unwrap();
            assert_eq!((request.method, &*request.target), (Method::POST, "/token"));
            assert_eq!(String::from_utf8_lossy(&request.body.unwrap().bytes), body);
            assert_eq!(header(&request.headers), sent);
        }
    }

    #[tokio::test]
    async fn one_of_many_callers_logs_in_and_a_refused_credential_is_dropped_once() {
        let auth = auth(serde_json::json!({
            "login": {"post": "/l", "token": "/t"}, "headers": {"Authorization": "Bearer {login.token}"},
        }));
        let Credential::Login(cache) = Credential::new(&auth, &values()).unwrap() else { panic!("a login") };
        let now = Timestamp::now();
        let logins = std::cell::Cell::new(0);
        let log_in = async |until: Option<Timestamp>| {
            logins.set(logins.get() + 1);
            tokio::task::yield_now().await;
            Ok::<_, ()>(LoginCredential { headers: Vec::new(), until })
        };
        let (one, other) =
            tokio::join!(cache.get_or_log_in(now, log_in(None)), cache.get_or_log_in(now, log_in(None)));
        let (one, other) = (one.unwrap(), other.unwrap());
        assert!(Arc::ptr_eq(&one, &other) && logins.get() == 1);

        cache.invalidate(&one).await;
        let soon = now + SignedDuration::from_secs(5);
        let second = cache.get_or_log_in(now, log_in(Some(soon))).await.unwrap();
        cache.invalidate(&one).await;
        let third = cache.get_or_log_in(now, log_in(None)).await.unwrap();
        assert!(!Arc::ptr_eq(&second, &third), "a credential that expires soon is replaced");
        cache.invalidate(&one).await;
        assert!(
            Arc::ptr_eq(&third, &cache.get_or_log_in(now, log_in(None)).await.unwrap()),
            "the rejected credential is not the current one"
        );
        assert_eq!(logins.get(), 3);
    }
}
