//! Checks every placeholder: whether it has a value in its scope, and whether the type of the value fits its position.

use std::collections::BTreeSet;

use crate::upstream::description::call::CallParts;
use crate::upstream::description::parameter::ParameterType;
use crate::upstream::description::problem::{Place, Problem};
use crate::upstream::description::{Description, Parameter};
use crate::upstream::suggestion::suggestion;
use crate::upstream::template::{Items, PathTemplate, Placeholder, Slot, TextTemplate};

/// The scope of a template, which determines the allowed placeholders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Only the connection: login, probe, Basic authentication.
    Login,
    /// The headers of the credential.
    Auth,
    Before,
    Mint,
    /// The id of a minted token.
    MintId,
    /// The token, when its id is known.
    MintToken,
    /// Outputs of a minted token.
    Minted,
    Renew,
    /// The revocation, which is stored with a token.
    Stored,
    Find,
    /// The call that creates another key of the connection.
    Rotate,
    /// The id of a new key.
    RotateId,
    /// The new key and its parameters.
    Rotated,
    /// The search for a new key.
    RotateFind,
    /// The revocation of a key of the connection.
    RevokeOld,
}

impl Scope {
    fn allows(self, placeholder: &Placeholder) -> bool {
        let mint =
            matches!(self, Scope::Before | Scope::Mint | Scope::MintId | Scope::MintToken | Scope::Minted);
        let stored = matches!(self, Scope::Renew | Scope::Stored | Scope::Find);
        match placeholder {
            Placeholder::Config(_) => true,
            Placeholder::ApiKey => {
                let in_response = [
                    Scope::MintId,
                    Scope::MintToken,
                    Scope::Minted,
                    Scope::RotateId,
                    Scope::Rotated,
                    Scope::RotateFind,
                ];
                !stored && !in_response.contains(&self)
            }
            Placeholder::KeyOwner => matches!(self, Scope::Rotate | Scope::RotateFind | Scope::RevokeOld),
            Placeholder::LoginToken => self == Scope::Auth,
            Placeholder::Role(_) => mint || stored,
            Placeholder::Name => {
                mint || stored
                    || matches!(self, Scope::Rotate | Scope::RotateId | Scope::Rotated | Scope::RotateFind)
            }
            Placeholder::GeneratedSecret => mint || matches!(self, Scope::Rotate | Scope::Rotated),
            Placeholder::Permissions => mint,
            Placeholder::IdempotencyKey => self == Scope::Mint,
            Placeholder::Before(_) => (mint && self != Scope::Before) || stored,
            Placeholder::Id => {
                let known = [
                    Scope::MintToken,
                    Scope::Minted,
                    Scope::Renew,
                    Scope::Stored,
                    Scope::Rotated,
                    Scope::RevokeOld,
                ];
                known.contains(&self)
            }
            Placeholder::Token => matches!(self, Scope::Minted | Scope::Renew | Scope::Stored),
            Placeholder::TtlSeconds
            | Placeholder::TtlMinutes
            | Placeholder::TtlDays
            | Placeholder::ExpiresRfc3339
            | Placeholder::ExpiresDate
            | Placeholder::ExpiresEpoch
            | Placeholder::ExpiresEpochMs => mint || self == Scope::Renew,
        }
    }

    /// Returns the reason why a placeholder has no value, if it is not obvious.
    fn reason(self, placeholder: &Placeholder) -> &'static str {
        match (self, placeholder) {
            (Scope::Login, Placeholder::LoginToken) => {
                ": this is what the login obtains, or is sent with it already"
            }
            (_, Placeholder::LoginToken) => ": auth sends it with every call",
            (Scope::Renew | Scope::Stored | Scope::Find, Placeholder::ApiKey) => {
                ": the call is stored with each token, and the key is not; auth sends it"
            }
            (Scope::Before | Scope::Mint, Placeholder::Id | Placeholder::Token) => {
                ": the token does not exist yet"
            }
            (Scope::Find, Placeholder::Id | Placeholder::Token) => ": a token is found by its {name}",
            (Scope::Renew | Scope::Stored | Scope::Find, Placeholder::GeneratedSecret) => {
                ": it is not kept after the mint"
            }
            (
                Scope::Login | Scope::Auth | Scope::Rotate | Scope::RotateFind | Scope::RevokeOld,
                Placeholder::Role(_) | Placeholder::Permissions,
            ) => ": this call is about the connection, not about a role",
            (Scope::RevokeOld, Placeholder::Name) => ": the engine does not know the name of the first key",
            _ => "",
        }
    }
}

/// The position of a placeholder in a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    /// The whole value of a JSON key or item.
    JsonValue,
    /// The whole value of a query or form field.
    Field,
    /// The beginning of a path.
    PathPrefix,
    /// A part of a text.
    Text,
}

/// The problems of the templates of one description, and the parameters that they use.
pub(super) struct TemplateChecks<'a> {
    description: &'a Description,
    used_config: BTreeSet<&'a str>,
    used_role: BTreeSet<&'a str>,
    problems: Vec<Problem>,
}

impl<'a> TemplateChecks<'a> {
    pub(super) fn new(description: &'a Description) -> TemplateChecks<'a> {
        TemplateChecks {
            description,
            used_config: BTreeSet::new(),
            used_role: BTreeSet::new(),
            problems: Vec::new(),
        }
    }

    /// Returns all problems, including unused parameters.
    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        let (config, role) = (Place::root().key("config"), Place::root().key("parameters"));
        let declared = [
            (&config, &self.description.config, &self.used_config),
            (&role, &self.description.parameters, &self.used_role),
        ];
        for (place, parameters, used) in declared {
            for name in parameters.keys().filter(|name| !used.contains(&***name)) {
                self.problems.push(Problem::new(&place.key(name), "no call uses this parameter"));
            }
        }
        self.problems
    }

    pub(super) fn call(&mut self, place: &Place, parts: &CallParts<'a>, scope: Scope) {
        for (key, _, path) in &parts.paths {
            if let Some(path) = path {
                self.path(&place.key(key), path, scope);
            }
        }
        for (key, fields) in [("query", Some(parts.query)), ("form", parts.form)] {
            for (name, items) in fields.into_iter().flat_map(|fields| &fields.0) {
                let place = place.key(key).key(name);
                match items {
                    Items::One(text) => self.template(&place, text, scope, Position::Field),
                    Items::Many(texts) => {
                        for (at, text) in texts.iter().enumerate() {
                            self.template(&place.index(at), text, scope, Position::Text);
                        }
                    }
                }
            }
        }
        for (name, text) in &parts.headers.0 {
            self.template(&place.key("headers").key(name.as_str()), text, scope, Position::Text);
        }
        if let Some(json) = parts.json {
            json.visit(&place.key("json"), &Place::key, &Place::index, &mut |place, text| {
                self.template(place, text, scope, Position::JsonValue);
            });
        }
    }

    pub(super) fn path(&mut self, place: &Place, path: &'a PathTemplate, scope: Scope) {
        let prefix = path.prefix();
        for slot in path.slots() {
            let position = if prefix.is_some_and(|prefix| std::ptr::eq(prefix, slot)) {
                Position::PathPrefix
            } else {
                Position::Text
            };
            self.slot(place, slot, scope, position, IsWholeTemplate::No);
        }
    }

    pub(super) fn text(&mut self, place: &Place, text: &'a TextTemplate, scope: Scope) {
        self.template(place, text, scope, Position::Text);
    }

    fn template(&mut self, place: &Place, text: &'a TextTemplate, scope: Scope, position: Position) {
        match text.sole() {
            Some(slot) => self.slot(place, slot, scope, position, IsWholeTemplate::Yes),
            None => {
                for slot in text.slots() {
                    self.slot(place, slot, scope, Position::Text, IsWholeTemplate::No);
                }
            }
        }
    }

    fn slot(
        &mut self,
        place: &Place,
        slot: &'a Slot,
        scope: Scope,
        position: Position,
        whole: IsWholeTemplate,
    ) {
        let placeholder = &slot.placeholder;
        if !scope.allows(placeholder) {
            let reason = scope.reason(placeholder);
            self.problem(place, format!("{{{placeholder}}} has no value here{reason}"));
            return;
        }
        let description = self.description;
        let kind = match placeholder {
            Placeholder::Permissions => ParameterType::List,
            Placeholder::Config(name) => {
                let Some(parameter) = self.declared(place, "config", &description.config, name) else {
                    return;
                };
                self.used_config.insert(name);
                if parameter.secret && matches!(scope, Scope::Renew | Scope::Stored | Scope::Find) {
                    self.problem(place, format!("{slot} is secret, and this call is stored with each token"));
                }
                self.emptiness(place, slot, parameter, whole);
                parameter.kind
            }
            Placeholder::Role(name) => {
                let Some(parameter) = self.declared(place, "parameters", &description.parameters, name)
                else {
                    return;
                };
                self.used_role.insert(name);
                self.emptiness(place, slot, parameter, whole);
                parameter.kind
            }
            Placeholder::Before(name) => {
                let values = description.before.iter().flat_map(|before| &before.values.0);
                let names: Vec<&str> = values.map(|(name, _)| &**name).collect();
                if !names.contains(&&**name) {
                    let suggestion = suggestion(name, names);
                    self.problem(place, format!("before.values has no {name}{suggestion}"));
                }
                ParameterType::String
            }
            _ => ParameterType::String,
        };
        self.fits(place, slot, kind, position);
    }

    fn declared(
        &mut self,
        place: &Place,
        section: &str,
        declared: &'a std::collections::BTreeMap<String, Parameter>,
        name: &str,
    ) -> Option<&'a Parameter> {
        let parameter = declared.get(name);
        if parameter.is_none() {
            let suggestion = suggestion(name, declared.keys().map(String::as_str));
            self.problem(place, format!("{section} declares no parameter {name}{suggestion}"));
        }
        parameter
    }

    /// Checks that a parameter that can be empty is optional in its template.
    fn emptiness(&mut self, place: &Place, slot: &Slot, parameter: &Parameter, whole: IsWholeTemplate) {
        if parameter.can_be_empty() && !slot.optional {
            let cure = match whole {
                IsWholeTemplate::Yes => {
                    format!("write {{{}?}} to omit the key then, or make it required", slot.placeholder)
                }
                IsWholeTemplate::No => "make it required, or give it a default".to_owned(),
            };
            self.problem(place, format!("{slot} can be empty: {cure}"));
        }
    }

    fn fits(&mut self, place: &Place, slot: &Slot, kind: ParameterType, position: Position) {
        let message = match (kind, position) {
            (ParameterType::Path, Position::PathPrefix) => return,
            (ParameterType::Path, _) => "is a path, and must be at the beginning of a path",
            (_, Position::PathPrefix) => "a path begins with /, or with a parameter of type path",
            (ParameterType::List, Position::JsonValue | Position::Field) => return,
            (ParameterType::List, Position::Text) if slot.join.is_none() => {
                "is a list: write :space or :comma before the closing brace"
            }
            (ParameterType::Json, Position::JsonValue) if slot.join.is_none() => return,
            (ParameterType::Json, _) => "is a JSON value, and must be the whole value of a JSON key",
            (ParameterType::List, _) => return,
            (_, _) if slot.join.is_some() => "is not a list, and cannot be joined",
            _ => return,
        };
        self.problem(place, format!("{slot} {message}"));
    }

    /// Rejects the credential and secret parameters in a call that is stored.
    pub(super) fn refuse_secrets(&mut self, place: &Place, parts: &CallParts<'a>, why: &str) {
        let config = &self.description.config;
        let mut secrets = Vec::new();
        visit_call(parts, &mut |slot| {
            let is_secret = match &slot.placeholder {
                Placeholder::ApiKey => true,
                Placeholder::Config(name) => config.get(name).is_some_and(|parameter| parameter.secret),
                _ => false,
            };
            if is_secret {
                secrets.push(format!("{slot} cannot be used: {why}; auth sends credentials"));
            }
        });
        for message in secrets {
            self.problem(place, message);
        }
    }

    fn problem(&mut self, place: &Place, message: String) {
        self.problems.push(Problem { place: place.clone(), message });
    }
}

/// Whether a placeholder is the whole template.
#[derive(Clone, Copy, PartialEq, Eq)]
enum IsWholeTemplate {
    Yes,
    No,
}

/// Visits every placeholder of a call.
pub(super) fn visit_call(parts: &CallParts<'_>, visit: &mut impl FnMut(&Slot)) {
    for path in parts.paths.iter().filter_map(|(_, _, path)| *path) {
        path.slots().for_each(&mut *visit);
    }
    let fields = parts.query.0.iter().chain(parts.form.into_iter().flat_map(|form| &form.0));
    for text in
        fields.flat_map(|(_, items)| items.templates()).chain(parts.headers.0.iter().map(|(_, text)| text))
    {
        text.slots().for_each(&mut *visit);
    }
    if let Some(json) = parts.json {
        json.visit(&(), &|(), _| (), &|(), _| (), &mut |(), text| text.slots().for_each(&mut *visit));
    }
}
