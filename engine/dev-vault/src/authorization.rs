//! The caller of a request, and the outcome of the policy check.

use crate::policy::Acl;
use crate::reply::ErrorReply;
use crate::tokens::Token;

/// The sender of a request. Without a token only unauthenticated paths are allowed.
pub(crate) struct Caller {
    pub(crate) token: Option<Token>,
    pub(crate) acl: Acl,
    /// The policies of its entity and the groups of that.
    pub(crate) identity_policies: Vec<String>,
}

impl Caller {
    /// A caller without a token.
    pub(crate) fn anonymous() -> Caller {
        Caller { token: None, acl: Acl::Rules(Vec::new()), identity_policies: Vec::new() }
    }

    pub(crate) fn is_root(&self) -> bool {
        matches!(self.acl, Acl::Root)
    }
}

/// Result of checking the policies of the caller.
pub(crate) enum PolicyDecision {
    /// They were not checked.
    NotChecked,
    Denied,
    /// Allowed by these policies.
    Granted(Vec<String>),
}

/// A request that is refused before a mount handles it.
pub(crate) struct Refusal {
    pub(crate) failure: ErrorReply,
    pub(crate) reason: RefusalReason,
}

/// Why a request is refused.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum RefusalReason {
    /// The token is missing or not valid.
    InvalidToken,
    PolicyDenied,
    /// The existence check of the engine failed.
    ExistenceCheck,
}
