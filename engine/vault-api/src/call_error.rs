//! Why a call brought no answer.

use crate::ApiError;

/// A call that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The server answered, and the answer is an error.
    #[error(transparent)]
    Api(ApiError),
    /// The server answered that it is sealed.
    #[error("the server at {address} is sealed")]
    Sealed {
        /// Address that was called.
        address: String,
        /// Its words.
        #[source]
        source: Box<ApiError>,
    },
    /// There was no answer.
    #[error("could not call {address}: {kind}{}", in_brackets(cause.as_deref()))]
    Transport {
        /// Address that was called.
        address: String,
        /// What happened.
        kind: TransportErrorKind,
        /// The innermost cause in the transport's words, where there is one: the layers above it say nothing more.
        cause: Option<String>,
    },
}

/// What happened on the way to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// No connection: wrong address or port, nobody listens, a firewall.
    #[error("no connection")]
    NoConnection,
    /// The certificate is not trusted, is for another name, or the server wants a client certificate.
    #[error("the TLS certificate was not accepted")]
    Certificate,
    /// An `https` address at which plain HTTP is spoken, or TLS failed otherwise.
    #[error("the server does not speak TLS as expected")]
    NotTls,
    /// No answer in time. A request that changes something may have been carried out.
    #[error("no answer in time")]
    TimedOut,
    /// The connection broke before the answer was complete. The request may have been carried out.
    #[error("the connection broke before the answer was complete")]
    ConnectionLost,
    /// Redirected from https to plain http; not followed, because the token would be readable on the way.
    #[error("the server redirects to an address that is not protected by TLS")]
    InsecureRedirect,
    /// Redirected to another server, which is not known by that address here; not followed. Nothing was carried out.
    #[error("it stands by and cannot pass requests on to the active one")]
    Standby,
    /// Redirected too often, or to something that is no address.
    #[error("the server redirects in a circle or to no address")]
    RedirectLoop,
}

impl CallError {
    /// The server's answer, where there was one.
    pub fn api_error(&self) -> Option<&ApiError> {
        match self {
            Self::Api(answer) => Some(answer),
            Self::Sealed { source: answer, .. } => Some(answer),
            Self::Transport { .. } => None,
        }
    }

    /// True when the answer satisfies `test`, for example [`ApiError::is_not_found`].
    pub fn api_error_is(&self, test: impl FnOnce(&ApiError) -> bool) -> bool {
        self.api_error().is_some_and(test)
    }
}

fn in_brackets(cause: Option<&str>) -> String {
    cause.map(|cause| format!(" ({cause})")).unwrap_or_default()
}
