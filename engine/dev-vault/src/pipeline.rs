//! The way of a request through the server: who asks, may they, who answers, what is leased and wrapped, what is noted.

use std::sync::Arc;

use vault_plugin::logical::{Connection, Operation, Request, Response, WrapInfo};

use crate::audit::Entry;
use crate::call::Call;
use crate::core::Core;
use crate::mount::Mount;
use crate::mount::engine::Engine;
use crate::policy::Acl;
use crate::reply::{Failure, Outcome, Reply};
use crate::token::{Token, Use};
use crate::{cubbyhole, sys, token, wrapping};

/// Who asks. Without a token nothing is allowed but what is open to all.
pub(crate) struct Caller {
    pub(crate) token: Option<Token>,
    pub(crate) acl: Acl,
}

impl Caller {
    pub(crate) fn is_root(&self) -> bool {
        matches!(self.acl, Acl::Root)
    }
}

/// Result of checking the policies of the caller.
pub(crate) enum Decision {
    /// They were not checked.
    NotMade,
    Denied,
    /// Allowed by these policies.
    Granted(Vec<String>),
}

/// A request that is refused before a mount handles it.
pub(crate) struct Refusal {
    pub(crate) failure: Failure,
    pub(crate) why: Why,
}

/// Why a request is refused.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Why {
    /// The token is missing or not valid.
    Token,
    Policy,
    /// The engine could not say whether something exists at the path.
    Existence,
}

impl Core {
    /// Answers a request.
    pub(crate) async fn handle(self: &Arc<Core>, mut call: Call) -> Outcome {
        if self.is_sealed() {
            return Err(Failure::sealed());
        }
        if call.path.split('/').any(|segment| segment == "..") {
            return Err(Failure::invalid("relative paths not supported"));
        }
        let writes = matches!(call.operation, Operation::Create | Operation::Update | Operation::Patch);
        if writes && call.path.ends_with('/') {
            return Err(Failure::invalid("cannot write to a path ending in '/'"));
        }
        let found = self.mount_of(&call.path).map(|(mount, rest)| (mount, rest.to_owned()));
        let (mount, path) = found.map_or((None, String::new()), |(mount, rest)| (Some(mount), rest));
        wrapping::check(self, &call)?;

        let open = match &mount {
            Some(mount) => self.is_open_to_all(mount, &path).await,
            None => false,
        };
        let caller = match self.caller(&call, open) {
            Ok(caller) => caller,
            Err(failure) => {
                let caller = Caller { token: None, acl: Acl::Rules(Vec::new()) };
                let settings = mount.map(|mount| mount.settings());
                let entry = Entry::new(&call, &caller, settings.as_ref(), Decision::NotMade);
                return self.refuse(&entry, Refusal { failure, why: Why::Token });
            }
        };
        let last_use = self.take_a_use(&caller, open)?;
        let outcome = self.handle_for(&caller, &mut call, mount.as_ref(), &path, open).await;
        match last_use {
            Some(token) => self.after_the_last_use(&token, outcome),
            None => outcome,
        }
    }

    async fn handle_for(
        self: &Arc<Core>,
        caller: &Caller,
        call: &mut Call,
        mount: Option<&Arc<Mount>>,
        path: &str,
        open: bool,
    ) -> Outcome {
        let decision = self.authorise(caller, call, mount, path, open).await;
        let settings = mount.map(|mount| mount.settings());
        let entry = match decision {
            Ok(decision) => Entry::new(call, caller, settings.as_ref(), decision),
            Err(refusal) => {
                let decision = if refusal.why == Why::Policy { Decision::Denied } else { Decision::NotMade };
                return self.refuse(&Entry::new(call, caller, settings.as_ref(), decision), refusal);
            }
        };
        self.note(|audit| audit.request(&entry, None))?;
        let outcome = self.answer(caller, call, mount, path, open).await;
        let outcome = outcome.and_then(|reply| {
            let Some(mut reply) = reply else { return Ok(None) };
            if reply.mount_type.is_empty()
                && !open
                && let Some(settings) = &settings
            {
                reply.mount_type.clone_from(&settings.kind);
            }
            match call.wrap_ttl.filter(|_| call.operation != Operation::Help && reply.wrap.is_none()) {
                Some(ttl) => wrapping::wrap(self, call, reply, ttl).map(Some),
                None => Ok(Some(reply)),
            }
        });
        self.note(|audit| audit.response(&entry, &outcome))?;
        outcome
    }

    /// Refuses a request, and notes that.
    fn refuse(&self, entry: &Entry<'_>, refusal: Refusal) -> Outcome {
        self.note(|audit| audit.request(entry, Some(&refusal.failure)))?;
        self.note(|audit| audit.refused(entry, &refusal))?;
        Err(refusal.failure)
    }

    /// Finds the caller's token. One that is wrong is refused even where none is needed, but for what is open to all.
    fn caller(&self, call: &Call, open: bool) -> Result<Caller, Failure> {
        let nobody = Caller { token: None, acl: Acl::Rules(Vec::new()) };
        let Some(text) = &call.token else { return Ok(nobody) };
        match self.find_token(text)? {
            Some(token) => Ok(Caller { acl: self.acl(&token)?, token: Some(token) }),
            None if open => Ok(nobody),
            None => Err(Failure::listed(403, &["permission denied", "invalid token"])),
        }
    }

    fn take_a_use(&self, caller: &Caller, open: bool) -> Result<Option<Token>, Failure> {
        let Some(token) = caller.token.as_ref().filter(|_| !open) else { return Ok(None) };
        match self.use_token(token)? {
            Use::Allowed => Ok(None),
            Use::Last => Ok(Some(token.clone())),
            Use::Refused => Err(Failure::listed(403, &["permission denied", "invalid token"])),
        }
    }

    fn after_the_last_use(&self, token: &Token, outcome: Outcome) -> Outcome {
        self.revoke_token_tree(&token.hash)?;
        match outcome {
            Ok(Some(Reply { lease: Some(lease), .. })) if !lease.id.is_empty() => Err(Failure::invalid(
                "Secret cannot be returned; token had one use left, so leased credentials were immediately revoked.",
            )),
            other => other,
        }
    }

    /// Refuses what the caller may not do, and finds out whether a write creates.
    async fn authorise(
        self: &Arc<Core>,
        caller: &Caller,
        call: &mut Call,
        mount: Option<&Arc<Mount>>,
        path: &str,
        open: bool,
    ) -> Result<Decision, Refusal> {
        if caller.token.is_none() && call.operation != Operation::Help && !open {
            return Err(Refusal { failure: Failure::new(403, "permission denied"), why: Why::Token });
        }
        if call.operation == Operation::Update
            && let Some(mount) = mount
        {
            let exists = self.exists(caller, call, mount, path, open).await;
            if exists.map_err(|failure| Refusal { failure, why: Why::Existence })? == Some(false) {
                call.operation = Operation::Create;
            }
        }
        if open {
            return Ok(Decision::NotMade);
        }
        let denied = || Refusal { failure: Failure::permission_denied(), why: Why::Policy };
        if !caller.acl.allows(&call.operation, &call.path) {
            return Err(denied());
        }
        let needs_sudo = match mount {
            Some(mount) => self.needs_sudo(mount, path).await,
            None => false,
        };
        if needs_sudo
            && call.operation != Operation::Help
            && !caller.acl.allows_sudo(&call.operation, &call.path)
        {
            return Err(denied());
        }
        let granting = caller.acl.granting(&call.operation, &call.path);
        Ok(Decision::Granted(granting.into_iter().map(str::to_owned).collect()))
    }

    async fn exists(
        &self,
        caller: &Caller,
        call: &Call,
        mount: &Mount,
        path: &str,
        open: bool,
    ) -> Result<Option<bool>, Failure> {
        match mount.engine() {
            Engine::System | Engine::Token => Ok(None),
            Engine::Cubbyhole => Ok(cubbyhole::exists(self, caller, path)),
            Engine::Plugin(engine) => {
                let mut request = self.request(call, caller, mount, path, open);
                // Vault names the caller from the request itself on.
                request.display_name.clear();
                let request = mount.routed(self, request);
                match engine.exists(self, mount, request).await {
                    // The request itself will say that there is no such path, or that it takes no writes.
                    Err(Failure { status: 404 | 405, .. }) => Ok(None),
                    Err(failure) if !failure.is_about_plugins() => {
                        Err(Failure::new(400, failure.plain().to_owned()))
                    }
                    other => other,
                }
            }
        }
    }

    async fn answer(
        self: &Arc<Core>,
        caller: &Caller,
        call: &Call,
        mount: Option<&Arc<Mount>>,
        path: &str,
        open: bool,
    ) -> Outcome {
        let Some(mount) = mount else {
            let path = &call.path;
            return Err(Failure::new(
                404,
                format!("no handler for route \"{path}\". route entry not found."),
            ));
        };
        match mount.engine() {
            Engine::System => sys::handle(self, caller, call, path).await,
            Engine::Token => token::api::handle(self, caller, call, path).await,
            Engine::Cubbyhole => cubbyhole::handle(self, caller, call, path),
            Engine::Plugin(_) => {
                let mut request = self.request(call, caller, mount, path, open);
                if was_routed_before(call) {
                    request.mount_accessor = mount.settings().accessor;
                }
                let response = mount.ask_engine(self, request).await?;
                self.of_engine(caller, call, mount, response).await
            }
        }
    }

    /// The answer of an engine: its error as a failure, its secret under a lease.
    async fn of_engine(
        &self,
        caller: &Caller,
        call: &Call,
        mount: &Mount,
        response: Option<Response>,
    ) -> Outcome {
        let Some(mut response) = response else { return Ok(None) };
        if let Some(text) = response.error_text() {
            let data = response.data.as_ref().and_then(|data| data.get("data")).cloned();
            return Err(Failure { status: 400, text: Some(text.to_owned()), data });
        }
        if call.operation == Operation::Help {
            return Ok(Some(Reply::bare(response.data.unwrap_or_default())));
        }
        response.headers = mount.settings().let_out(&response.headers);
        match response.secret.take() {
            Some(secret) => {
                self.lease_secret(&call.path, caller.token.as_ref(), response, secret).await.map(Some)
            }
            None => Ok(Some(Reply::of_engine(response))),
        }
    }

    /// The request as the engine gets it.
    fn request(&self, call: &Call, caller: &Caller, mount: &Mount, path: &str, open: bool) -> Request {
        let settings = mount.settings();
        let mut request = Request::new(call.operation.clone(), path, call.data.clone().unwrap_or_default());
        request.id.clone_from(&call.id);
        request.headers = settings.pass_through(&call.headers);
        if let Some(token) = &caller.token {
            request.client_token.clone_from(&token.hash);
            request.client_token_accessor.clone_from(&token.accessor);
            if !open {
                request.display_name.clone_from(&token.display_name);
            }
        }
        request.unauthenticated = open;
        request.wrap_info =
            call.wrap_ttl.map(|ttl| WrapInfo { ttl, format: String::new(), seal_wrap: false });
        request.connection = Some(Connection {
            remote_addr: call.remote.ip().to_string(),
            // Vault knows it, and does not hand it on to plugins (`sdk/plugin/pb/translation.go`).
            remote_port: 0,
            peer_certificates: Vec::new(),
        });
        request
    }

    async fn is_open_to_all(&self, mount: &Mount, path: &str) -> bool {
        match mount.engine() {
            Engine::System => sys::OPEN_TO_ALL.iter().any(|pattern| matches(pattern, path)),
            Engine::Token | Engine::Cubbyhole => false,
            Engine::Plugin(engine) => {
                let special = engine.special_paths().await;
                special.unauthenticated.iter().any(|pattern| matches(pattern, path))
            }
        }
    }

    async fn needs_sudo(&self, mount: &Mount, path: &str) -> bool {
        match mount.engine() {
            Engine::System => sys::NEEDS_SUDO.iter().any(|pattern| matches(pattern, path)),
            Engine::Token => token::api::NEEDS_SUDO.iter().any(|pattern| matches(pattern, path)),
            Engine::Cubbyhole => false,
            Engine::Plugin(engine) => {
                engine.special_paths().await.root.iter().any(|pattern| matches(pattern, path))
            }
        }
    }

    /// Writes to the audit log. What cannot be noted is not done, or not answered.
    fn note(
        &self,
        write: impl FnOnce(&crate::audit::Audit) -> Result<(), std::io::Error>,
    ) -> Result<(), Failure> {
        let Some(audit) = self.audit() else { return Ok(()) };
        write(audit).map_err(|error| {
            self.log_error("failed to audit", Some(&error.to_string()));
            Failure::listed(500, &["internal error"])
        })
    }
}

/// Whether the mount was asked already whether something exists there. Vault's router tells the accessor of a mount from the
/// second request on.
pub(crate) fn was_routed_before(call: &Call) -> bool {
    matches!(call.operation, Operation::Create | Operation::Update)
}

/// Whether a special path covers `path`: exactly, as a prefix with `*` at its end, with `+` for a segment.
fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, is_prefix) = pattern.strip_suffix('*').map_or((pattern, false), |prefix| (prefix, true));
    if !pattern.split('/').any(|segment| segment == "+") {
        return if is_prefix { path.starts_with(pattern) } else { path == pattern };
    }
    let mut given = path.split('/');
    let wanted: Vec<&str> = pattern.split('/').collect();
    for (at, segment) in wanted.iter().enumerate() {
        let Some(found) = given.next() else { return false };
        let last = is_prefix && at + 1 == wanted.len();
        if !(*segment == "+" || *segment == found || last && found.starts_with(segment)) {
            return false;
        }
    }
    is_prefix || given.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_paths_match_exactly_as_prefixes_and_by_segments() {
        assert!(matches("info", "info"));
        assert!(!matches("info", "info/x"));
        assert!(matches("public/*", "public/a/b"));
        assert!(matches("login/+/start", "login/x/start"));
        assert!(!matches("login/+/start", "login/x/y/start"));
        assert!(matches("login/+/s*", "login/x/start"));
    }
}
