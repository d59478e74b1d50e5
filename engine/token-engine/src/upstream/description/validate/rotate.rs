//! Rules of the call that replaces the key of a connection.

use super::templates::Scope;
use super::{AuthHeaders, Checks, uses};
use crate::upstream::description::RevokedBy;
use crate::upstream::description::parameter::ParameterType;
use crate::upstream::description::problem::Place;
use crate::upstream::template::Placeholder;

impl Checks<'_> {
    pub(super) fn rotate(&mut self) {
        let description = self.description;
        let Some(rotate) = &description.rotate else { return };
        let place = Place::root().key("rotate");
        self.call(&place, rotate.parts(), Scope::Rotate, AuthHeaders::Sent);
        if let Some(id) = &rotate.id {
            self.source(&place.key("id"), id, Scope::RotateId);
        }
        self.source(&place.key("api_key"), &rotate.api_key, Scope::Rotated);
        for (name, source) in &rotate.config.0 {
            let place = place.key("config").key(name);
            match description.config.get(name) {
                None => self.problem(&place, format!("config declares no parameter {name}")),
                Some(parameter) if parameter.kind != ParameterType::String => {
                    self.problem(&place, format!("config.{name} must be of type string"));
                }
                Some(_) => {}
            }
            self.source(&place, source, Scope::Rotated);
        }
        if let Some(text) = &rotate.longest_life {
            let place = place.key("longest_life");
            self.duration(&place, text);
            if rotate.find.is_some() {
                self.problem(&place, "has no effect: find finds the key");
            }
        }
        let probe = description.probe.as_ref();
        if probe.is_none() {
            self.problem(
                &place,
                "needs the call probe, which proves a new key before the old one is revoked",
            );
        }

        let revoke_place = place.key("revoke_old");
        let revoke = rotate.revoke_old.parts();
        self.call(&revoke_place, rotate.revoke_old.parts(), Scope::RevokeOld, AuthHeaders::Sent);
        self.gone(&revoke_place, rotate.revoke_old.gone.as_ref());
        let uses_id = uses(&revoke, &[Placeholder::Id]);
        if uses_id && (rotate.id.is_none() || probe.is_none_or(|probe| probe.key_id.is_none())) {
            self.problem(
                &revoke_place,
                "uses {id}, which needs rotate.id for the new key and probe.key_id for the old one",
            );
        }
        let parameters = rotate.config.0.iter().map(|(name, _)| Placeholder::Config(name.clone()));
        let identifying: Vec<Placeholder> =
            parameters.chain([Placeholder::Id, Placeholder::ApiKey]).collect();
        let by_itself = rotate.revoke_old.auth == RevokedBy::Old;
        if !by_itself && !uses(&revoke, &identifying) {
            self.problem(
                &revoke_place,
                "does not identify the key: use {id}, {api_key} or a parameter of rotate.config, or auth: old",
            );
        }

        let calls = [rotate.parts(), rotate.revoke_old.parts()];
        let mut calls = calls.into_iter().chain(rotate.find.as_ref().map(|find| find.parts()));
        let uses_owner = calls.any(|parts| uses(&parts, &[Placeholder::KeyOwner]));
        if uses_owner && probe.is_none_or(|probe| probe.key_owner.is_none()) {
            self.problem(&place, "uses {key.owner}, which needs probe.key_owner");
        }

        if let Some(find) = &rotate.find {
            let place = place.key("find");
            self.call(&place, find.parts(), Scope::RotateFind, AuthHeaders::Sent);
            self.gone(&place, find.gone.as_ref());
            if !uses(&rotate.parts(), &[Placeholder::Name]) {
                self.problem(&place, "needs {name} in rotate, because the key is found by its name");
            }
            if find.id.is_none() {
                self.problem(&place, "needs id, the id by which a found key is revoked");
            }
            let by_id = uses(&revoke, &[Placeholder::Id])
                || rotate.config.0.iter().any(|(name, source)| {
                    // The id is a parameter too.
                    Some(source) == rotate.id.as_ref() && uses(&revoke, &[Placeholder::Config(name.clone())])
                });
            if by_itself || !by_id {
                self.problem(&place, "needs a revoke_old with {id} and without auth: old, because a found key is known by its id only");
            }
        }
    }
}
