//! The presets as other programs show them: what each asks of a connection and of a role.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::upstream::{
    Description, Parameter, Parameters, PermissionUse, Place, Recovery, all_presets, coerce_given,
    find_preset, is_empty,
};

/// What a field that is a parameter begins with.
const PARAMETERS: &str = "parameters";

/// The names of all presets, in order.
///
/// ```
/// assert!(token_engine::preset_names().any(|name| name == "jupyterhub"));
/// ```
pub fn preset_names() -> impl Iterator<Item = &'static str> {
    all_presets().iter().map(|preset| preset.name)
}

/// The preset of this name.
#[must_use]
pub fn preset(name: &str) -> Option<PresetInfo> {
    let preset = find_preset(name).ok()?;
    Some(PresetInfo::new(preset.name, preset.description()))
}

/// What a preset issues and asks for.
#[derive(Clone)]
pub struct PresetInfo {
    /// Its name.
    pub name: &'static str,
    /// What it issues, in one line.
    pub issues: String,
    /// How it was tested.
    pub status: PresetStatus,
    /// Address of the documentation of the token API.
    pub documentation: Option<String>,
    /// The fields of `config` that it requires, and its parameters.
    pub config: Vec<FieldInfo>,
    /// The fields of a role.
    pub role: Vec<FieldInfo>,
    /// Whether a read of `check` sends a call.
    pub has_probe: bool,
    /// Whether `rotate-root` replaces the key.
    pub rotates: bool,
    description: Arc<Description>,
}

/// How a preset was tested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PresetStatus {
    /// A test issues and revokes tokens of this server.
    Tested {
        /// Server and version.
        with: String,
    },
    /// It was written from the documentation.
    Unverified {
        /// What no test shows.
        reason: String,
    },
}

/// A field of `config` or of a role. A parameter is called `parameters.NAME`.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldInfo {
    /// Its name.
    pub name: String,
    /// Its type: string, int, bool, list, json, duration or path.
    pub kind: &'static str,
    /// Whether it must be given.
    pub required: bool,
    /// The value if it is not given.
    pub default: Option<Value>,
    /// The only values that it can have; empty for any.
    pub allowed: Vec<String>,
    /// Whether it is never shown.
    pub secret: bool,
    /// What it is, in one sentence.
    pub help: String,
}

/// The result of comparing given fields with what a preset asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FieldCheck {
    /// Required fields that are not given.
    pub missing: Vec<FieldInfo>,
    /// One sentence for each given field that the preset does not know or cannot use. Values are not repeated.
    pub invalid: Vec<String>,
}

impl PresetInfo {
    fn new(name: &'static str, description: Arc<Description>) -> PresetInfo {
        let status = match (&description.unverified, &description.proven) {
            (Some(reason), _) => PresetStatus::Unverified { reason: reason.clone() },
            (None, Some(server)) => PresetStatus::Tested { with: server.clone() },
            (None, None) => PresetStatus::Unverified { reason: "no test runs this preset".to_owned() },
        };
        PresetInfo {
            name,
            issues: description.help.clone(),
            status,
            documentation: description.documented.clone(),
            config: config_fields(&description),
            role: role_fields(&description),
            has_probe: description.probe.is_some(),
            rotates: description.rotate.is_some(),
            description,
        }
    }

    /// Compares the given fields of `config` with what the preset asks for.
    #[must_use]
    pub fn check_config(&self, given: &BTreeMap<String, Value>) -> FieldCheck {
        check(&self.config, &self.description.config, given)
    }

    /// Compares the given fields of a role with what the preset asks for.
    #[must_use]
    pub fn check_role(&self, given: &BTreeMap<String, Value>) -> FieldCheck {
        let mut checked = check(&self.role, &self.description.parameters, given);
        let permissions = given.get("permissions").is_some_and(|value| !is_empty(value));
        if permissions && self.description.mint_uses().permissions == PermissionUse::Unused {
            checked.invalid.push(format!("permissions has no effect: {} does not send it", self.name));
        }
        checked
    }
}

fn check(
    fields: &[FieldInfo],
    declared: &BTreeMap<String, Parameter>,
    given: &BTreeMap<String, Value>,
) -> FieldCheck {
    let is_given = |name: &str| given.get(name).is_some_and(|value| !is_empty(value));
    let missing = fields.iter().filter(|field| field.required && !is_given(&field.name)).cloned().collect();
    let parameter_of = |field: &str| Some(field.strip_prefix(PARAMETERS)?.strip_prefix('.')?.to_owned());
    let parameters: Parameters =
        given.iter().filter_map(|(field, value)| Some((parameter_of(field)?, value.clone()))).collect();
    let (_, problems) = coerce_given(declared, &parameters, &Place::root().key(PARAMETERS));
    FieldCheck { missing, invalid: problems.iter().map(ToString::to_string).collect() }
}

fn config_fields(description: &Description) -> Vec<FieldInfo> {
    let mut fields = vec![
        FieldInfo { required: true, ..field("api_endpoint", "string", "Address of the API, http or https") },
        FieldInfo {
            required: true,
            secret: true,
            ..field("api_key", "string", "Key that the engine sends to the API")
        },
    ];
    fields.extend(description.config.iter().map(parameter_field));
    if description.recovery == Recovery::None {
        let help = "The API cannot find a token whose creation was not answered. Such a token lives until it expires";
        fields.push(FieldInfo {
            required: true,
            allowed: vec!["true".to_owned()],
            ..field("accept_orphans", "bool", help)
        });
    }
    fields
}

fn role_fields(description: &Description) -> Vec<FieldInfo> {
    let permissions = field("permissions", "list", "Permissions of the tokens");
    let mut fields = match description.mint_uses().permissions {
        PermissionUse::Unused => Vec::new(),
        PermissionUse::Optional => vec![permissions],
        PermissionUse::Required => vec![FieldInfo { required: true, ..permissions }],
    };
    fields.extend(description.parameters.iter().map(parameter_field));
    let ttl = field("ttl", "duration", "How long a lease runs until it is renewed");
    fields.push(FieldInfo { default: Some(json!("1h")), ..ttl });
    fields.push(field(
        "max_ttl",
        "duration",
        "How long a lease can be renewed to. Default that of the mount",
    ));
    fields
}

fn field(name: &str, kind: &'static str, help: &str) -> FieldInfo {
    FieldInfo {
        name: name.to_owned(),
        kind,
        required: false,
        default: None,
        allowed: Vec::new(),
        secret: false,
        help: help.to_owned(),
    }
}

fn parameter_field((name, parameter): (&String, &Parameter)) -> FieldInfo {
    FieldInfo {
        required: parameter.required,
        default: parameter.default.clone(),
        allowed: parameter.allowed.clone(),
        secret: parameter.secret,
        ..field(&format!("{PARAMETERS}.{name}"), parameter.kind.name(), &parameter.help)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(fields: &[(&str, Value)]) -> BTreeMap<String, Value> {
        fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    fn names(fields: &[FieldInfo]) -> Vec<&str> {
        fields.iter().map(|field| field.name.as_str()).collect()
    }

    #[test]
    fn a_preset_names_what_it_asks_of_a_connection_and_of_a_role() {
        let keystone = preset("keystone").unwrap();
        let fields = ["api_endpoint", "api_key", "parameters.project_id", "parameters.user_id"];
        assert_eq!(names(&keystone.config), fields);
        assert_eq!(names(&keystone.role), ["parameters.roles", "ttl", "max_ttl"]);
        let oauth2 = preset("oauth2").unwrap();
        assert!(oauth2.config.iter().any(|field| field.name == "accept_orphans" && field.required));
        assert_eq!(oauth2.role[0], field("permissions", "list", "Permissions of the tokens"));
        assert!(preset("tokens").unwrap().role[0].required);
        assert!(preset("nothing").is_none());
        assert!(preset("vault-token").unwrap().rotates && !keystone.rotates);
    }

    #[test]
    fn what_is_missing_or_misspelt_is_named_and_no_value_is_repeated() {
        let jupyterhub = preset("jupyterhub").unwrap();
        let role = [("parameters.usr", json!("hunter2")), ("permissions", json!("hunter2"))];
        let checked = jupyterhub.check_role(&given(&role));
        assert_eq!(names(&checked.missing), ["parameters.user"]);
        assert_eq!(
            checked.invalid,
            [
                "parameters.usr: the API has no such parameter; did you mean user?",
                "permissions has no effect: jupyterhub does not send it"
            ]
        );
        let complete = given(&[("parameters.user", json!("ada")), ("ttl", json!("1h"))]);
        assert_eq!(jupyterhub.check_role(&complete), FieldCheck::default());

        let oauth2 = preset("oauth2").unwrap();
        let config = [
            ("api_endpoint", json!("https://a.example")),
            ("api_key", json!("")),
            ("parameters.client_id", json!("app")),
            ("parameters.longest_life", json!("hunter2")),
        ];
        let checked = oauth2.check_config(&given(&config));
        assert_eq!(names(&checked.missing), ["api_key", "accept_orphans"]);
        let [invalid] = &checked.invalid[..] else { panic!("{:?}", checked.invalid) };
        assert!(invalid.starts_with("parameters.longest_life: must be a duration"), "{invalid}");
    }

    #[test]
    fn a_preset_is_tested_with_a_server_or_unverified() {
        let status = |name| preset(name).unwrap().status;
        let with = "a real OpenStack Keystone 30.0.0".to_owned();
        assert_eq!(status("keystone"), PresetStatus::Tested { with });
        assert!(matches!(status("sentry"), PresetStatus::Unverified { .. }));
    }
}
