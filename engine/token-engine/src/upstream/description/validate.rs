//! Rules that concern several parts of a description. All problems are collected, each with its place.

mod rotate;
mod templates;

use std::collections::BTreeMap;

use self::templates::{Scope, TemplateChecks};
use super::call::{CallParts, Gone, Sources};
use super::parameter::{Parameter, ParameterType};
use super::problem::{Heading, Place, Problem, Problems};
use super::source::Expires;
use super::status::StatusSet;
use super::{Description, MintUses, PermissionUse, Recovery};
use crate::upstream::template::{Placeholder, Slot, TextTemplate, is_name};
use vault_plugin::framework::parse_duration;

/// The minimum of `naming.max_length`, for a readable prefix and the unique part.
const MIN_NAME_LENGTH: usize = 40;

/// The fields that every credential has.
const RESERVED_OUTPUTS: &[&str] = &["token", "permissions"];

/// The minimum of `remembered_for`. A mint takes up to 75 seconds, and a rollback begins after three minutes.
const MIN_REMEMBERED: u64 = 300;

/// Checks all rules that the types do not enforce.
pub(super) fn validate(description: &Description) -> Result<(), Problems> {
    let mut checks =
        Checks { description, templates: TemplateChecks::new(description), problems: Vec::new() };
    checks.head();
    checks.auth();
    checks.mint();
    checks.other_calls();
    checks.recovery();
    checks.rotate();
    let mut problems = checks.problems;
    problems.extend(checks.templates.into_problems());
    problems.sort_by(|one, other| one.place.cmp(&other.place));
    problems.dedup();
    if problems.is_empty() { Ok(()) } else { Err(Problems { heading: Heading::Description, problems }) }
}

/// Returns the use of placeholders in the calls of a mint.
pub(super) fn mint_uses(description: &Description) -> MintUses {
    let mut uses = MintUses::default();
    let mut note = |slot: &Slot| match &slot.placeholder {
        Placeholder::Permissions if slot.optional => {
            uses.permissions = uses.permissions.max(PermissionUse::Optional);
        }
        Placeholder::Permissions => uses.permissions = PermissionUse::Required,
        Placeholder::GeneratedSecret => uses.generated_secret = true,
        lifetime if lifetime.is_lifetime() && !uses.lifetimes.contains(lifetime) => {
            uses.lifetimes.push(lifetime.clone());
        }
        _ => {}
    };
    if let Some(before) = &description.before {
        templates::visit_call(&before.parts(), &mut note);
    }
    templates::visit_call(&description.mint.parts(), &mut note);
    let outputs = description.mint.outputs.0.iter().map(|(_, source)| source);
    for source in outputs.chain([&description.mint.token]) {
        source.text().into_iter().flat_map(|text| text.slots()).for_each(&mut note);
    }
    uses
}

struct Checks<'a> {
    description: &'a Description,
    templates: TemplateChecks<'a>,
    problems: Vec<Problem>,
}

impl<'a> Checks<'a> {
    fn problem(&mut self, place: &Place, message: impl Into<String>) {
        self.problems.push(Problem::new(place, message));
    }

    fn head(&mut self) {
        let description = self.description;
        let root = Place::root();
        let letters = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        let name = &*description.name;
        let is_plain =
            name.chars().all(letters) && name.starts_with(|first: char| first.is_ascii_lowercase());
        if !is_plain || name.ends_with('-') || name.len() > 64 {
            self.problem(
                &root.key("name"),
                "must be 1 to 64 lower-case letters, digits and -, beginning with a letter",
            );
        }
        if description.naming.max_length.is_some_and(|longest| longest < MIN_NAME_LENGTH) {
            let message = format!(
                "must be at least {MIN_NAME_LENGTH}, since the unique part of a name takes 36 characters"
            );
            self.problem(&root.key("naming").key("max_length"), message);
        }
        self.parameters(&root.key("config"), &description.config, ParameterOwner::Connection);
        self.parameters(&root.key("parameters"), &description.parameters, ParameterOwner::Role);
    }

    fn parameters(&mut self, place: &Place, declared: &BTreeMap<String, Parameter>, owner: ParameterOwner) {
        for (name, parameter) in declared {
            let place = place.key(name);
            if !is_name(name) {
                self.problem(
                    &place,
                    "the name of a parameter must have lower-case letters, digits and _, and begin with a letter",
                );
            }
            if parameter.kind == ParameterType::Path && owner == ParameterOwner::Role {
                self.problem(&place.key("type"), "a role cannot choose a path; declare it under config");
            }
            if parameter.secret && owner == ParameterOwner::Role {
                self.problem(
                    &place.key("secret"),
                    "a role must not contain a secret, because reads show it; declare the parameter under config",
                );
            }
            if parameter.required && parameter.default.is_some() {
                self.problem(&place, "a parameter with a default cannot be required");
            }
            if parameter.secret && parameter.default.is_some() {
                self.problem(
                    &place.key("default"),
                    "a secret must not have a default, because descriptions are not secret",
                );
            }
            if let Some(default) = parameter.default.as_ref().filter(|default| !default.is_null())
                && let Err(message) = parameter.coerce(default)
            {
                self.problem(&place.key("default"), message);
            }
        }
    }

    fn auth(&mut self) {
        let auth = &self.description.auth;
        let place = Place::root().key("auth");
        let kinds = [
            auth.basic.is_some(),
            auth.oauth2.is_some(),
            !auth.headers.is_empty() && auth.oauth2.is_none() && auth.basic.is_none(),
        ];
        if kinds.iter().filter(|given| **given).count() != 1 {
            self.problem(&place, "needs exactly one of headers, basic, oauth2");
        }
        if auth.login.is_some() && (auth.basic.is_some() || auth.oauth2.is_some()) {
            self.problem(&place.key("login"), "can be combined with headers, but not with basic or oauth2");
        }
        for (name, text) in &auth.headers.0 {
            self.templates.text(&place.key("headers").key(name.as_str()), text, Scope::Auth);
        }
        if let Some(basic) = &auth.basic {
            self.templates.text(&place.key("basic").key("user"), &basic.user, Scope::Login);
            self.templates.text(&place.key("basic").key("password"), &basic.password, Scope::Login);
            self.reject_second_header(&place, "authorization");
        }
        if let Some(oauth2) = &auth.oauth2 {
            let place = place.key("oauth2");
            self.templates.path(&place.key("token_path"), &oauth2.token_path, Scope::Login);
            self.templates.text(&place.key("client_id"), &oauth2.client_id, Scope::Login);
            self.templates.text(&place.key("client_secret"), &oauth2.client_secret, Scope::Login);
            if let Some(scope) = &oauth2.scope {
                self.templates.text(&place.key("scope"), scope, Scope::Login);
            }
            self.reject_second_header(&place, "authorization");
        }
        let uses_login = auth
            .headers
            .0
            .iter()
            .any(|(_, text)| text.slots().any(|slot| slot.placeholder == Placeholder::LoginToken));
        match &auth.login {
            None if uses_login => {
                self.problem(
                    &place.key("headers"),
                    "{login.token} needs the call auth.login, which obtains it",
                );
            }
            Some(_) if !uses_login => {
                self.problem(&place.key("headers"), "no header uses {login.token}, which auth.login obtains");
            }
            _ => {}
        }
        if let Some(login) = &auth.login {
            let place = place.key("login");
            // The login is sent without the headers of auth, because it obtains their credential.
            self.call(&place, login.parts(), Scope::Login, AuthHeaders::Absent);
            self.source(&place.key("token"), &login.token, Scope::Login);
            self.expires(&place.key("expires"), login.expires.as_ref());
        }
    }

    /// Rejects a second header with the name of the header of the credential.
    fn reject_second_header(&mut self, place: &Place, header: &str) {
        if self.description.auth.headers.0.iter().any(|(name, _)| name == header) {
            self.problem(place, format!("header {header} is given twice: headers sets it too"));
        }
    }

    fn mint(&mut self) {
        let description = self.description;
        let root = Place::root();
        if let Some(before) = &description.before {
            let place = root.key("before");
            self.call(&place, before.parts(), Scope::Before, AuthHeaders::Sent);
            self.sources(&place.key("values"), &before.values, Scope::Before, &[]);
        }
        let (mint, place) = (&description.mint, root.key("mint"));
        self.call(&place, mint.parts(), Scope::Mint, AuthHeaders::Sent);
        self.error_statuses(&place.key("exists"), &mint.exists);
        self.error_statuses(&place.key("refused"), &mint.refused);
        if let Some(id) = &mint.id {
            self.source(&place.key("id"), id, Scope::MintId);
        }
        self.source(&place.key("token"), &mint.token, Scope::MintToken);
        self.sources(&place.key("outputs"), &mint.outputs, Scope::Minted, RESERVED_OUTPUTS);
        self.expires(&place.key("expires"), mint.expires.as_ref());
        self.longest_life(&place.key("longest_life"));
    }

    fn longest_life(&mut self, place: &Place) {
        let Some(text) = &self.description.mint.longest_life else { return };
        let requests_lifetime = !mint_uses(self.description).lifetimes.is_empty();
        if requests_lifetime {
            self.problem(place, "has no effect: the call requests a lifetime with {ttl.…} or {expires.…}");
        }
        self.duration(place, text);
    }

    /// Checks a duration, or a parameter of the connection that is one.
    fn duration(&mut self, place: &Place, text: &'a TextTemplate) {
        self.templates.text(place, text, Scope::Login);
        match text.sole().map(|slot| &slot.placeholder) {
            Some(Placeholder::Config(name)) => {
                let parameter = self.description.config.get(name);
                if parameter.is_some_and(|parameter| parameter.kind != ParameterType::Duration) {
                    self.problem(place, format!("config.{name} must be of type duration"));
                }
            }
            Some(_) => self.problem(place, "must be a duration, or {config.NAME}"),
            None => {
                let text = text.to_string();
                if !parse_duration(&text).is_ok_and(|seconds| seconds > 0) {
                    self.problem(place, "must be a duration such as 1h or 30d, or {config.NAME}");
                }
            }
        }
    }

    fn other_calls(&mut self) {
        let description = self.description;
        let root = Place::root();
        if let Some(renew) = &description.renew {
            let place = root.key("renew");
            self.call(&place, renew.parts(), Scope::Renew, AuthHeaders::Sent);
            self.expires(&place.key("expires"), renew.expires.as_ref());
            self.identifies(&place, renew.parts());
            if mint_uses(description).lifetimes.is_empty() {
                self.problem(&place, "needs a mint that requests a lifetime with {ttl.…} or {expires.…}");
            }
        }
        let place = root.key("revoke");
        self.call(&place, description.revoke.parts(), Scope::Stored, AuthHeaders::Sent);
        self.identifies(&place, description.revoke.parts());
        self.gone(&place, description.revoke.gone.as_ref());
        if let Some(find) = &description.find {
            let place = root.key("find");
            self.call(&place, find.parts(), Scope::Find, AuthHeaders::Sent);
            self.gone(&place, find.gone.as_ref());
            if find.pages.is_some() && find.items.is_none() {
                self.problem(&place.key("pages"), "needs items, because only a list has pages");
            }
            if find.items.is_none() && !uses(&find.parts(), &[Placeholder::Name]) {
                self.problem(
                    &place,
                    "needs items, or {name} in the call, so that the response is the token with this name",
                );
            }
        }
        if let Some(probe) = &description.probe {
            let place = root.key("probe");
            self.call(&place, probe.parts(), Scope::Login, AuthHeaders::Sent);
            if let Some(account) = &probe.account {
                self.source(&place.key("account"), account, Scope::Login);
            }
            for (key, source) in [("key_owner", &probe.key_owner), ("key_id", &probe.key_id)] {
                if let Some(source) = source {
                    self.source(&place.key(key), source, Scope::Login);
                }
            }
        }
        if description.reused_ids {
            let place = root.key("reused_ids");
            let by_id = description.find.as_ref().is_some_and(|find| find.id.is_some());
            if !by_id || description.mint.id.is_none() {
                self.problem(&place, "needs mint.id, and find with id, because the name of an id is compared before its revocation");
            }
        }
    }

    /// Checks that a call on a token identifies the token, so that it cannot apply to all tokens.
    fn identifies(&mut self, place: &Place, parts: CallParts<'a>) {
        let used = [Placeholder::Id, Placeholder::Token, Placeholder::Name];
        if !uses(&parts, &used) {
            self.problem(place, "does not identify the token: use {id}, {token} or {name}");
        }
        if uses(&parts, &[Placeholder::Id]) && self.description.mint.id.is_none() {
            self.problem(place, "uses {id}, which needs mint.id, the id in the response");
        }
    }

    fn recovery(&mut self) {
        let description = self.description;
        let root = Place::root();
        let place = root.key("recovery");
        let mint = description.mint.parts();
        let names_token = uses(&mint, &[Placeholder::Name])
            || description.before.as_ref().is_some_and(|before| uses(&before.parts(), &[Placeholder::Name]));
        let sends_key = uses(&mint, &[Placeholder::IdempotencyKey]);
        if sends_key && !matches!(description.recovery, Recovery::Replay { .. }) {
            self.problem(
                &place,
                "{idempotency_key} needs replay with the time for which the API recognizes the key",
            );
        }
        if matches!(description.recovery, Recovery::Find { .. } | Recovery::DeleteByName { .. }) {
            let find = description.find.as_ref().map(|find| find.parts());
            let calls = find.into_iter().chain([description.revoke.parts()]);
            let mut uses_before = false;
            for parts in calls {
                templates::visit_call(&parts, &mut |slot| {
                    uses_before |= matches!(slot.placeholder, Placeholder::Before(_));
                });
            }
            if uses_before {
                self.problem(&place, "cannot use {before.…}, whose values are unknown after a lost response");
            }
        }
        match &description.recovery {
            Recovery::Replay { remembered_for } => {
                let place = place.key("replay");
                if !sends_key {
                    self.problem(&place, "needs {idempotency_key} in mint, because an API without such keys would create another token");
                }
                if remembered_for.0 < MIN_REMEMBERED {
                    self.problem(
                        &place.key("remembered_for"),
                        "must be at least 5m, because a rollback begins after three minutes",
                    );
                }
                if description.before.is_some() {
                    self.problem(&place, "cannot be used with before, because only the mint is repeated");
                }
                if mint_uses(description).generated_secret {
                    self.problem(
                        &place,
                        "cannot be used with {generated.secret}, because the response to the repeated call must contain the token",
                    );
                }
                self.templates.refuse_secrets(&root.key("mint"), &mint, "the call is stored to be repeated");
            }
            Recovery::Find { .. } => {
                let place = place.key("find");
                match &description.find {
                    None => self.problem(&place, "needs the call find"),
                    Some(find)
                        if find.id.is_none() && uses(&description.revoke.parts(), &[Placeholder::Id]) =>
                    {
                        self.problem(&place, "needs find.id: revoke uses {id}");
                    }
                    Some(_) => {}
                }
                if uses(&description.revoke.parts(), &[Placeholder::Token]) {
                    self.problem(
                        &place,
                        "cannot be used, because revoke uses {token}, which no search returns",
                    );
                }
                if !names_token {
                    self.problem(&place, "needs {name} in mint, because a token is found by its name");
                }
            }
            Recovery::DeleteByName { .. } => {
                let place = place.key("delete_by_name");
                let revoke = description.revoke.parts();
                if !uses(&revoke, &[Placeholder::Name])
                    || uses(&revoke, &[Placeholder::Id, Placeholder::Token])
                {
                    self.problem(&place, "needs a revoke that uses {name}, and neither {id} nor {token}");
                }
                if !names_token {
                    self.problem(&place, "needs {name} in mint");
                }
            }
            Recovery::None => {
                let ends =
                    !mint_uses(description).lifetimes.is_empty() || description.mint.longest_life.is_some();
                if !ends {
                    self.problem(&place, "none needs tokens that expire: request a lifetime with {ttl.…} or {expires.…}, or set mint.longest_life");
                }
            }
        }
    }

    fn call(&mut self, place: &Place, parts: CallParts<'a>, scope: Scope, auth: AuthHeaders) {
        let given: Vec<_> = parts.paths.iter().filter(|(_, _, path)| path.is_some()).collect();
        if given.len() != 1 {
            self.problem(place, "needs exactly one of get, post, put, patch, delete, with a path");
        }
        if parts.json.is_some() && parts.form.is_some() {
            self.problem(place, "must not have both json and form");
        }
        if given.iter().any(|(key, _, _)| *key == "get") && (parts.json.is_some() || parts.form.is_some()) {
            self.problem(place, "get must not have a body; put parameters into query");
        }
        if parts.success.classes().any(|class| class != 2) {
            self.problem(
                &place.key("success"),
                "only a 2xx status means success; see exists, refused and gone",
            );
        }
        if parts.error.is_some_and(|pointer| pointer.is_whole()) {
            self.problem(&place.key("error"), "must point to a part of the response");
        }
        if auth == AuthHeaders::Sent {
            let auth = &self.description.auth;
            let basic = auth.basic.is_some() || auth.oauth2.is_some();
            for (name, _) in &parts.headers.0 {
                let sets = auth.headers.0.iter().any(|(known, _)| known == name);
                if sets || (basic && name == "authorization") {
                    self.problem(
                        &place.key("headers").key(name.as_str()),
                        "this header is given twice: auth sets it too",
                    );
                }
            }
        }
        self.templates.call(place, &parts, scope);
    }

    fn error_statuses(&mut self, place: &Place, statuses: &StatusSet) {
        if statuses.classes().any(|class| class == 2) {
            self.problem(place, "a 2xx status means success; use error for an error in such a response");
        }
    }

    fn gone(&mut self, place: &Place, gone: Option<&Gone>) {
        if let Some(gone) = gone {
            self.error_statuses(&place.key("gone").key("status"), &gone.status);
        }
    }

    fn expires(&mut self, place: &Place, expires: Option<&Expires>) {
        if expires.is_some_and(|expires| expires.unit().is_none()) {
            let units = "rfc3339, epoch, epoch_ms, date, in_seconds, in_minutes, in_days, jwt";
            self.problem(place, format!("needs exactly one of {units}"));
        }
    }

    fn sources(&mut self, place: &Place, sources: &'a Sources, scope: Scope, reserved: &[&str]) {
        for (name, source) in &sources.0 {
            let place = place.key(name);
            if !is_name(name) {
                self.problem(
                    &place,
                    "the name of a value must have lower-case letters, digits and _, and begin with a letter",
                );
            }
            if reserved.contains(&&**name) {
                self.problem(&place, "every credential has this field already");
            }
            self.source(&place, source, scope);
        }
    }

    fn source(&mut self, place: &Place, source: &'a super::Source, scope: Scope) {
        if let super::Origin::Pointer(pointer) = &source.origin
            && pointer.is_whole()
        {
            self.problem(place, "must point to a part of the response");
        }
        if let Some(text) = source.text() {
            if text.slots().next().is_none() && scope != Scope::Minted {
                self.problem(
                    place,
                    "must be a JSON pointer (which begins with /), or text with a placeholder",
                );
            }
            self.templates.text(place, text, scope);
        }
    }
}

/// The owner of the checked parameters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ParameterOwner {
    Connection,
    Role,
}

/// Whether a call is sent with the headers of `auth`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AuthHeaders {
    Sent,
    Absent,
}

/// Returns whether a call uses one of these placeholders.
fn uses(parts: &CallParts<'_>, wanted: &[Placeholder]) -> bool {
    let mut found = false;
    templates::visit_call(parts, &mut |slot| found |= wanted.contains(&slot.placeholder));
    found
}

#[cfg(test)]
mod tests;
