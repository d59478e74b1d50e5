//! Request processing: authentication, policies, dispatch to the mount, leases, wrapping and audit log.

use std::sync::Arc;

use vault_plugin::logical::{Operation, Request, Response, WrapInfo};

use crate::audit::{AuditEntry, AuditLog};
use crate::authorization::{Caller, PolicyDecision, Refusal, RefusalReason};
use crate::client_request::ClientRequest;
use crate::core::Core;
use crate::log::log_error;
use crate::mounts::backend::MountBackend;
use crate::mounts::{Mount, MountSettings};
use crate::reply::{ErrorReply, HandlerResult, Reply};
use crate::tokens::{Token, TokenUse};
use crate::{auth_token, cubbyhole, identity_api, login, sys};

/// Handles a request.
pub(crate) async fn handle(core: &Arc<Core>, mut request: ClientRequest) -> HandlerResult {
    if core.is_sealed() {
        return Err(ErrorReply::sealed());
    }
    if request.path.split('/').any(|segment| segment == "..") {
        return Err(ErrorReply::bad_request("relative paths not supported"));
    }
    let is_write = matches!(request.operation, Operation::Create | Operation::Update | Operation::Patch);
    if is_write && request.path.ends_with('/') {
        return Err(ErrorReply::bad_request("cannot write to a path ending in '/'"));
    }
    let routed = core.mounts.route(&request.path).map(|(mount, rest)| (mount, rest.to_owned()));
    let (mount, path) = routed.map_or((None, String::new()), |(mount, rest)| (Some(mount), rest));
    core.wrapping.require_wrapping_token(&request)?;

    let access = match &mount {
        Some(mount) if is_unauthenticated_path(mount, &path).await => Access::Unauthenticated,
        _ => Access::Authenticated,
    };
    let handler = RequestHandler { core, mount, path, access };
    let caller = match handler.caller(&request) {
        Ok(caller) => caller,
        Err(failure) => {
            let caller = Caller::anonymous();
            let settings = handler.mount_settings();
            let entry = AuditEntry::new(&request, &caller, settings.as_ref(), PolicyDecision::NotChecked);
            return handler.refuse(&entry, Refusal { failure, reason: RefusalReason::InvalidToken });
        }
    };
    let last_use = handler.consume_token_use(&caller)?;
    let outcome = handler.handle_authenticated(&caller, &mut request).await;
    match last_use {
        Some(token) => handler.finish_last_use(&token, outcome),
        None => outcome,
    }
}

/// Whether a path requires a token.
#[derive(Clone, Copy, PartialEq)]
enum Access {
    Unauthenticated,
    Authenticated,
}

/// Handles requests to one path.
struct RequestHandler<'a> {
    core: &'a Arc<Core>,
    /// `None` if no mount handles the path.
    mount: Option<Arc<Mount>>,
    /// The rest of the path, below the mount.
    path: String,
    access: Access,
}

impl RequestHandler<'_> {
    fn mount_settings(&self) -> Option<MountSettings> {
        self.mount.as_ref().map(|mount| mount.settings())
    }

    async fn handle_authenticated(&self, caller: &Caller, request: &mut ClientRequest) -> HandlerResult {
        let decision = self.authorize(caller, request).await;
        let settings = self.mount_settings();
        let entry = match decision {
            Ok(decision) => AuditEntry::new(request, caller, settings.as_ref(), decision),
            Err(refusal) => {
                let decision = if refusal.reason == RefusalReason::PolicyDenied {
                    PolicyDecision::Denied
                } else {
                    PolicyDecision::NotChecked
                };
                return self.refuse(&AuditEntry::new(request, caller, settings.as_ref(), decision), refusal);
            }
        };
        self.write_audit(|audit| audit.log_request(&entry, None))?;
        let outcome = self.dispatch(caller, request).await;
        let outcome = outcome.and_then(|reply| {
            let Some(mut reply) = reply else { return Ok(None) };
            if reply.mount_type.is_empty()
                && self.access == Access::Authenticated
                && let Some(settings) = &settings
            {
                reply.mount_type.clone_from(&settings.kind);
            }
            match request.wrap_ttl.filter(|_| request.operation != Operation::Help && reply.wrap.is_none()) {
                Some(ttl) => self.core.wrapping.wrap(request, reply, ttl).map(Some),
                None => Ok(Some(reply)),
            }
        });
        self.write_audit(|audit| audit.log_response(&entry, &outcome))?;
        outcome
    }

    /// Refuses a request, and records that in the audit log.
    fn refuse(&self, entry: &AuditEntry<'_>, refusal: Refusal) -> HandlerResult {
        self.write_audit(|audit| audit.log_request(entry, Some(&refusal.failure)))?;
        self.write_audit(|audit| audit.log_refusal(entry, &refusal))?;
        Err(refusal.failure)
    }

    /// Finds the token of the caller. An invalid token is an error, unless the path is unauthenticated.
    fn caller(&self, request: &ClientRequest) -> Result<Caller, ErrorReply> {
        let Some(text) = &request.token else { return Ok(Caller::anonymous()) };
        match self.core.tokens.find(text)? {
            Some(token) => {
                let rights = self.core.identity_store.rights_of(&token.entity_id)?;
                let is_entity_valid = token.entity_id.is_empty() || rights.is_enabled();
                if !is_entity_valid || !token.allows_source(request.connection()) {
                    return match self.access {
                        Access::Unauthenticated => Ok(Caller::anonymous()),
                        Access::Authenticated => Err(ErrorReply::new(403, "permission denied")),
                    };
                }
                let acl = self.core.policies.acl(&token.policies, &rights)?;
                Ok(Caller { acl, identity_policies: rights.policies, token: Some(token) })
            }
            None if self.access == Access::Unauthenticated => Ok(Caller::anonymous()),
            None => Err(ErrorReply::multierror(403, &["permission denied", "invalid token"])),
        }
    }

    fn consume_token_use(&self, caller: &Caller) -> Result<Option<Token>, ErrorReply> {
        if self.access == Access::Unauthenticated {
            return Ok(None);
        }
        let Some(token) = caller.token.as_ref() else { return Ok(None) };
        match self.core.tokens.count_use(token)? {
            TokenUse::Allowed => Ok(None),
            TokenUse::Last => Ok(Some(token.clone())),
            TokenUse::Exhausted => Err(ErrorReply::multierror(403, &["permission denied", "invalid token"])),
        }
    }

    fn finish_last_use(&self, token: &Token, outcome: HandlerResult) -> HandlerResult {
        self.core.tokens.revoke_tree(&token.hash)?;
        match outcome {
            Ok(Some(Reply { lease: Some(lease), .. })) if !lease.id.is_empty() => {
                Err(ErrorReply::bad_request(
                    "Secret cannot be returned; token had one use left, so leased credentials were immediately revoked.",
                ))
            }
            other => other,
        }
    }

    /// Checks the policies of the caller, and turns an update of something that does not exist into a create.
    async fn authorize(
        &self,
        caller: &Caller,
        request: &mut ClientRequest,
    ) -> Result<PolicyDecision, Refusal> {
        if caller.token.is_none()
            && request.operation != Operation::Help
            && self.access == Access::Authenticated
        {
            return Err(Refusal {
                failure: ErrorReply::new(403, "permission denied"),
                reason: RefusalReason::InvalidToken,
            });
        }
        if request.operation == Operation::Update
            && let Some(mount) = &self.mount
        {
            let exists = self.exists(caller, request, mount).await;
            if exists.map_err(|failure| Refusal { failure, reason: RefusalReason::ExistenceCheck })?
                == Some(false)
            {
                request.operation = Operation::Create;
            }
        }
        if self.access == Access::Unauthenticated {
            return Ok(PolicyDecision::NotChecked);
        }
        let denied =
            || Refusal { failure: ErrorReply::permission_denied(), reason: RefusalReason::PolicyDenied };
        if !caller.acl.allows(&request.operation, &request.path) {
            return Err(denied());
        }
        let needs_sudo = match &self.mount {
            Some(mount) => needs_sudo(mount, &self.path).await,
            None => false,
        };
        if needs_sudo
            && request.operation != Operation::Help
            && !caller.acl.allows_sudo(&request.operation, &request.path)
        {
            return Err(denied());
        }
        let granting = caller.acl.granting_policies(&request.operation, &request.path);
        Ok(PolicyDecision::Granted(granting.into_iter().map(str::to_owned).collect()))
    }

    async fn exists(
        &self,
        caller: &Caller,
        request: &ClientRequest,
        mount: &Mount,
    ) -> Result<Option<bool>, ErrorReply> {
        match mount.backend() {
            MountBackend::System | MountBackend::Token | MountBackend::Identity => Ok(None),
            MountBackend::Cubbyhole => Ok(cubbyhole::exists(&self.core.cubbyholes, caller, &self.path)),
            MountBackend::Plugin(engine) => {
                let mut plugin_request = self.plugin_request(request, caller, mount);
                // Vault sets the name and the entity of the caller after the existence check.
                plugin_request.display_name.clear();
                plugin_request.entity_id.clear();
                match engine.existence_check(plugin_request).await {
                    // The request itself then fails, because the path does not exist or supports no writes.
                    Err(ErrorReply { status: 404 | 405, .. }) => Ok(None),
                    Err(failure) if !failure.is_plugin_failure() => {
                        Err(ErrorReply::new(400, failure.inner_message().to_owned()))
                    }
                    other => other,
                }
            }
        }
    }

    async fn dispatch(&self, caller: &Caller, request: &ClientRequest) -> HandlerResult {
        let (core, path) = (self.core, self.path.as_str());
        let Some(mount) = &self.mount else {
            let path = &request.path;
            return Err(ErrorReply::new(
                404,
                format!("no handler for route \"{path}\". route entry not found."),
            ));
        };
        match mount.backend() {
            MountBackend::System => sys::handle(core, caller, request, path).await,
            MountBackend::Token => auth_token::handle(core, caller, request, path).await,
            MountBackend::Cubbyhole => cubbyhole::handle(&core.cubbyholes, caller, request, path),
            MountBackend::Identity => identity_api::handle(core, request, path),
            MountBackend::Plugin(_) => {
                let mut plugin_request = self.plugin_request(request, caller, mount);
                if request.had_existence_check() {
                    plugin_request.mount_accessor = mount.settings().accessor;
                }
                let response = mount.call_backend(plugin_request).await;
                // Vault returns the error of a login without its list format.
                let response = response.map_err(|failure| match self.access {
                    Access::Unauthenticated => failure.without_list_format(),
                    Access::Authenticated => failure,
                })?;
                self.reply_from_plugin(caller, request, mount, response).await
            }
        }
    }

    /// Turns the response of an engine into a reply: an error response into an error, a secret into a lease.
    async fn reply_from_plugin(
        &self,
        caller: &Caller,
        request: &ClientRequest,
        mount: &Mount,
        response: Option<Response>,
    ) -> HandlerResult {
        let Some(mut response) = response else { return Ok(None) };
        if let Some(text) = response.error_text() {
            let data = response.data.as_ref().and_then(|data| data.get("data")).cloned();
            return Err(ErrorReply { status: 400, text: Some(text.to_owned()), data });
        }
        if request.operation == Operation::Help {
            return Ok(Some(Reply::bare(response.data.unwrap_or_default())));
        }
        response.headers = mount.settings().allowed_response_headers(&response.headers);
        let is_login = self.access == Access::Unauthenticated;
        let unexpected = match (&response.auth, &response.secret) {
            (Some(_), _) if !is_login => Some("unexpected Auth response for non-token backend"),
            (_, Some(_)) if is_login => Some("unexpected Secret response for login path"),
            _ => None,
        };
        if let Some(unexpected) = unexpected {
            log_error(&self.core.log, unexpected, Some(&request.path));
            return Err(match is_login {
                true => ErrorReply::new(500, "internal error"),
                false => ErrorReply::multierror(500, &["internal error"]),
            });
        }
        if let Some(auth) = response.auth.take() {
            return login::create_token(self.core, request, mount, auth, response);
        }
        match response.secret.take() {
            Some(secret) => {
                let token = caller.token.as_ref().map(|token| token.hash.as_str());
                self.core.expiration.register(&request.path, token, response, secret).await.map(Some)
            }
            None => Ok(Some(Reply::from_plugin(response))),
        }
    }

    /// The request that is sent to the engine.
    fn plugin_request(&self, request: &ClientRequest, caller: &Caller, mount: &Mount) -> Request {
        let settings = mount.settings();
        let mut plugin_request =
            Request::new(request.operation.clone(), &self.path, request.data.clone().unwrap_or_default());
        plugin_request.id.clone_from(&request.id);
        plugin_request.headers = settings.passthrough_headers(&request.headers);
        if let Some(token) = &caller.token {
            plugin_request.client_token.clone_from(&token.hash);
            plugin_request.client_token_accessor.clone_from(&token.accessor);
            plugin_request.entity_id.clone_from(&token.entity_id);
            if self.access == Access::Authenticated {
                plugin_request.display_name.clone_from(&token.display_name);
            }
        }
        plugin_request.unauthenticated = self.access == Access::Unauthenticated;
        plugin_request.wrap_info =
            request.wrap_ttl.map(|ttl| WrapInfo { ttl, format: String::new(), seal_wrap: false });
        plugin_request.connection = Some(request.connection());
        plugin_request
    }

    /// Writes to the audit log. On failure the request is not handled, or its reply is not sent.
    fn write_audit(
        &self,
        write: impl FnOnce(&AuditLog) -> Result<(), std::io::Error>,
    ) -> Result<(), ErrorReply> {
        let Some(audit) = self.core.audit.as_ref() else { return Ok(()) };
        write(audit).map_err(|error| {
            log_error(&self.core.log, "failed to audit", Some(&error.to_string()));
            ErrorReply::multierror(500, &["internal error"])
        })
    }
}

async fn is_unauthenticated_path(mount: &Mount, path: &str) -> bool {
    match mount.backend() {
        MountBackend::System => {
            sys::UNAUTHENTICATED_PATHS.iter().any(|pattern| matches_special_path(pattern, path))
        }
        MountBackend::Token | MountBackend::Cubbyhole | MountBackend::Identity => false,
        MountBackend::Plugin(engine) => {
            let special = engine.special_paths().await;
            special.unauthenticated.iter().any(|pattern| matches_special_path(pattern, path))
        }
    }
}

async fn needs_sudo(mount: &Mount, path: &str) -> bool {
    match mount.backend() {
        MountBackend::System => sys::SUDO_PATHS.iter().any(|pattern| matches_special_path(pattern, path)),
        MountBackend::Token => {
            auth_token::SUDO_PATHS.iter().any(|pattern| matches_special_path(pattern, path))
        }
        MountBackend::Cubbyhole | MountBackend::Identity => false,
        MountBackend::Plugin(engine) => {
            engine.special_paths().await.root.iter().any(|pattern| matches_special_path(pattern, path))
        }
    }
}

/// Whether a special path matches `path`: `*` at its end matches any suffix, `+` matches one segment.
fn matches_special_path(pattern: &str, path: &str) -> bool {
    let (pattern, is_prefix) = pattern.strip_suffix('*').map_or((pattern, false), |prefix| (prefix, true));
    if !pattern.split('/').any(|segment| segment == "+") {
        return if is_prefix { path.starts_with(pattern) } else { path == pattern };
    }
    let mut segments = path.split('/');
    let expected: Vec<&str> = pattern.split('/').collect();
    for (at, segment) in expected.iter().enumerate() {
        let Some(actual) = segments.next() else { return false };
        let last = is_prefix && at + 1 == expected.len();
        if !(*segment == "+" || *segment == actual || last && actual.starts_with(segment)) {
            return false;
        }
    }
    is_prefix || segments.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_paths_match_exactly_as_prefixes_and_by_segments() {
        assert!(matches_special_path("info", "info"));
        assert!(!matches_special_path("info", "info/x"));
        assert!(matches_special_path("public/*", "public/a/b"));
        assert!(matches_special_path("login/+/start", "login/x/start"));
        assert!(!matches_special_path("login/+/start", "login/x/y/start"));
        assert!(matches_special_path("login/+/s*", "login/x/start"));
    }
}
