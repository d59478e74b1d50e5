//! Errors of a call.

use crate::ApiError;

/// An error of a call.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The server responded with an error.
    #[error(transparent)]
    Api(ApiError),
    /// The server is sealed.
    #[error("the server at {address} is sealed")]
    Sealed {
        /// Address of the server.
        address: String,
        /// The response of the server.
        #[source]
        source: Box<ApiError>,
    },
    /// The server did not respond.
    #[error("could not call {address}: {kind}{}", parenthesized(cause.as_deref()))]
    Transport {
        /// Address of the server.
        address: String,
        /// The kind of failure.
        kind: TransportErrorKind,
        /// Message of the innermost cause, if there is one. The layers above it add no information, and would show the URL.
        cause: Option<String>,
    },
}

/// Why a server did not respond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The connection failed: wrong address or port, no listener, or a firewall.
    #[error("no connection")]
    NoConnection,
    /// The certificate is not trusted or is for another name, or the server requires a client certificate.
    #[error("TLS certificate not accepted")]
    Certificate,
    /// The server speaks plain HTTP at an `https` address, or TLS failed in another way.
    #[error("the server does not speak TLS as expected")]
    NotTls,
    /// The timeout passed. The server may have processed the request.
    #[error("the request timed out")]
    TimedOut,
    /// The connection was closed before the response was complete. The server may have processed the request.
    #[error("the connection was closed before the response was complete")]
    ConnectionLost,
    /// The server redirects from https to http. The client does not follow, because the token would be sent in plain text.
    #[error("the server redirects to an address without TLS")]
    InsecureRedirect,
    /// The server redirects, and [`RedirectPolicy::Refuse`](crate::RedirectPolicy::Refuse) is set. The request was not processed.
    #[error("the server is a standby and cannot forward requests to the active node")]
    Standby,
    /// The server redirects too often, or to an invalid address.
    #[error("the server redirects in a loop or to an invalid address")]
    RedirectLoop,
}

impl CallError {
    /// Returns the error response of the server, if it responded.
    pub fn api_error(&self) -> Option<&ApiError> {
        match self {
            Self::Api(error) => Some(error),
            Self::Sealed { source, .. } => Some(source),
            Self::Transport { .. } => None,
        }
    }

    /// Whether the server responded with an error that satisfies `test`, for example [`ApiError::is_not_found`].
    pub fn api_error_is(&self, test: impl FnOnce(&ApiError) -> bool) -> bool {
        self.api_error().is_some_and(test)
    }
}

fn parenthesized(cause: Option<&str>) -> String {
    cause.map(|cause| format!(" ({cause})")).unwrap_or_default()
}
