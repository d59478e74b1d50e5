//! The token settings of a role, with the same names as in every auth method of Vault (`tokenutil` of Go's SDK).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::token_lifetime::TokenLifetime;
use crate::framework::input::{DisplayAttributes, Field};
use crate::framework::response::to_object;
use crate::logical::{Auth, Error, Map, Request, TokenType};

/// The token settings of a role: the ten fields (`token_ttl`, `token_policies`, …) of Vault's own auth
/// methods. [`Path::token_fields`](crate::framework::Path::token_fields) declares them, and a role contains them:
///
/// ```
/// use serde_json::json;
/// use vault_plugin::framework::{Context, Data, Engine, Field, Path, TokenFields, TokenSettings, pattern};
/// use vault_plugin::logical::{Error, Operation};
/// use vault_plugin::testing::TestMount;
///
/// #[derive(Default, serde::Serialize, serde::Deserialize)]
/// struct Role {
///     seats: Vec<String>,
///     #[serde(flatten)]
///     token: TokenSettings,
/// }
///
/// #[derive(serde::Deserialize)]
/// struct RoleFields {
///     name: String,
///     seats: Option<Vec<String>>,
///     #[serde(flatten)]
///     token: TokenFields,
/// }
///
/// async fn write(cx: Context<()>, fields: RoleFields) -> Result<Data<Role>, Error> {
///     let key = format!("roles/{}", fields.name);
///     let mut role: Role = cx.storage().read(&key).await?.unwrap_or_default();
///     role.seats = fields.seats.unwrap_or(role.seats);
///     role.token.update(fields.token)?;
///     cx.storage().write(&key, &role).await?;
///     Ok(Data(role))
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let path = Path::new(format!("roles/{}", pattern::generic_name("name")))
///     .field("name", Field::string())
///     .field("seats", Field::comma_strings())
///     .token_fields()
///     .on(Operation::Update, "Store a role.", write);
/// let mount = TestMount::new(Engine::auth_method(|| ()).path(path)).await?;
///
/// mount.write("roles/ci", json!({"seats": "7", "token_ttl": "1h", "token_policies": "reader,writer"})).await?;
/// let role = mount.write("roles/ci", json!({"token_policies": "reader"})).await?.unwrap().data.unwrap();
/// assert_eq!((&role["seats"], &role["token_ttl"]), (&json!(["7"]), &json!(3600)));
/// assert_eq!((&role["token_policies"], &role["token_type"]), (&json!(["reader"]), &json!("default")));
///
/// let error = mount.write("roles/ci", json!({"token_max_ttl": "1m"})).await?.unwrap();
/// assert_eq!(error.error_text(), Some("'token_ttl' cannot be greater than 'token_max_ttl'"));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenSettings {
    /// The TTL of a token from its login or renewal, in whole seconds. Zero selects the mount's default.
    #[serde(rename = "token_ttl", with = "duration_seconds")]
    pub ttl: Duration,
    /// The maximum TTL from the login, including renewals. Zero selects the mount's.
    #[serde(rename = "token_max_ttl", with = "duration_seconds")]
    pub max_ttl: Duration,
    /// The maximum lifetime, which later changes do not extend.
    #[serde(rename = "token_explicit_max_ttl", with = "duration_seconds")]
    pub explicit_max_ttl: Duration,
    /// The period of a periodic token, which does not expire as long as it is renewed within the period.
    #[serde(rename = "token_period", with = "duration_seconds")]
    pub period: Duration,
    /// The policies of the token.
    #[serde(rename = "token_policies")]
    pub policies: Vec<String>,
    /// Prevents the host from adding the policy `default`.
    #[serde(rename = "token_no_default_policy")]
    pub no_default_policy: bool,
    /// How many times the token can be used. Zero means no limit.
    #[serde(rename = "token_num_uses")]
    pub num_uses: u32,
    /// The type of the token.
    #[serde(rename = "token_type", with = "token_type_serde")]
    pub token_type: TokenType,
    /// The addresses and networks from which the token can be used. An empty list means all.
    #[serde(rename = "token_bound_cidrs")]
    pub bound_cidrs: Vec<String>,
    /// Custom metadata of the alias, unless the login sets the same key. OpenBao does not store it.
    pub alias_metadata: BTreeMap<String, String>,
}

/// The fields of [`TokenSettings`] in a request. Use it with `#[serde(flatten)]` in the struct of a handler's fields.
///
/// `Debug` shows the names of the fields only.
#[derive(Clone, Default, Deserialize)]
pub struct TokenFields(Map);

impl std::fmt::Debug for TokenFields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TokenFields").field(&self.0.keys().collect::<Vec<_>>()).finish()
    }
}

impl TokenSettings {
    /// Applies the fields of a request. Other settings are unchanged, and null resets a setting to its default. If a value is
    /// rejected, nothing changes.
    ///
    /// # Errors
    /// [`Error::Invalid`] for invalid settings, with the messages of Go's SDK: a `token_ttl` over the `token_max_ttl`, a batch token with a
    /// period or a number of uses, an invalid address in `token_bound_cidrs`.
    pub fn update(&mut self, fields: TokenFields) -> Result<(), Error> {
        let mut all = to_object(&*self)?;
        for (name, value) in fields.0 {
            if !all.contains_key(&name) {
                continue;
            }
            check_value(&name, &value)?;
            if value.is_null() {
                all.remove(&name);
            } else {
                all.insert(name, value);
            }
        }
        let changed: TokenSettings = serde_json::from_value(Value::Object(all))
            .map_err(|error| Error::invalid(format!("invalid token settings: {error}")))?;
        changed.validate()?;
        *self = changed;
        Ok(())
    }

    fn validate(&self) -> Result<(), Error> {
        let invalid = |text: &str| Err(Error::invalid(text));
        if self.token_type == TokenType::Batch && !self.period.is_zero() {
            return invalid(
                "'token_type' cannot be 'batch' or 'default_batch' when set to generate periodic tokens",
            );
        }
        if self.token_type == TokenType::Batch && self.num_uses != 0 {
            return invalid(
                "'token_type' cannot be 'batch' or 'default_batch' when set to generate tokens with limited use count",
            );
        }
        if !self.max_ttl.is_zero() && self.ttl > self.max_ttl {
            return invalid("'token_ttl' cannot be greater than 'token_max_ttl'");
        }
        match self.bound_cidrs.iter().find(|cidr| parse_cidr(cidr).is_none()) {
            Some(cidr) => Err(Error::invalid(format!(
                "'token_bound_cidrs': {cidr:?} is neither an address nor a network"
            ))),
            None => Ok(()),
        }
    }

    /// Returns the lifetime that these settings give a token.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use vault_plugin::framework::TokenSettings;
    /// let role = TokenSettings { ttl: Duration::from_mins(1), ..TokenSettings::default() };
    /// assert_eq!(role.lifetime().ttl, Duration::from_mins(1));
    /// ```
    #[must_use]
    pub fn lifetime(&self) -> TokenLifetime {
        TokenLifetime { ttl: self.ttl, max_ttl: self.max_ttl, period: self.period }
    }

    /// Whether a token has the policies of these settings. If not, reject the renewal, so that a caller does not keep a policy that
    /// was removed.
    ///
    /// ```
    /// # use vault_plugin::framework::TokenSettings;
    /// # use vault_plugin::logical::Auth;
    /// let role = TokenSettings { policies: vec!["Writer".to_owned(), "reader".to_owned()], ..TokenSettings::default() };
    /// // As normalized by the host.
    /// let token_policies = ["default", "reader", "writer"].map(str::to_owned).to_vec();
    /// assert!(role.has_same_policies(&Auth { token_policies, ..Auth::default() }));
    /// assert!(!role.has_same_policies(&Auth { token_policies: vec!["root".to_owned()], ..Auth::default() }));
    /// ```
    #[must_use]
    pub fn has_same_policies(&self, auth: &Auth) -> bool {
        let set = |policies: &[String]| {
            let mut set: Vec<_> = policies.iter().map(|policy| policy.trim().to_lowercase()).collect();
            set.retain(|policy| !policy.is_empty() && policy != "default");
            set.sort_unstable();
            set.dedup();
            set
        };
        set(&self.policies) == set(&auth.token_policies)
    }

    /// Whether the source address of a login is in `token_bound_cidrs`. The host checks the address of the token, but the auth method
    /// has to check that of the login. Returns false if the host does not report the address.
    ///
    /// ```
    /// # use vault_plugin::framework::TokenSettings;
    /// # use vault_plugin::logical::{Connection, Map, Operation, Request};
    /// let role = TokenSettings { bound_cidrs: vec!["10.1.0.0/16".to_owned()], ..TokenSettings::default() };
    /// let mut login = Request::new(Operation::Update, "login", Map::new());
    /// assert!(!role.allows_source(&login));
    /// # let from = |address: &str| {
    /// #     Some(Connection { remote_addr: address.to_owned(), remote_port: 0, peer_certificates: Vec::new() })
    /// # };
    /// login.connection = from("10.1.2.3");
    /// assert!(role.allows_source(&login));
    /// login.connection = from("10.2.2.3");
    /// assert!(!role.allows_source(&login));
    /// ```
    #[must_use]
    pub fn allows_source(&self, login: &Request) -> bool {
        if self.bound_cidrs.is_empty() {
            return true;
        }
        let Some(from) =
            login.connection.as_ref().and_then(|connection| connection.remote_addr.parse::<IpAddr>().ok())
        else {
            return false;
        };
        // An IPv4 caller on a socket for both has an address of IPv6.
        let from = from.to_canonical();
        self.bound_cidrs.iter().filter_map(|cidr| parse_cidr(cidr)).any(|network| network.contains(&from))
    }

    pub(super) fn apply(&self, auth: &mut Auth) {
        self.lifetime().apply_to(auth);
        auth.explicit_max_ttl = self.explicit_max_ttl;
        auth.policies.clone_from(&self.policies);
        auth.no_default_policy = self.no_default_policy;
        auth.num_uses = self.num_uses;
        auth.token_type = self.token_type;
        auth.bound_cidrs.clone_from(&self.bound_cidrs);
        if let Some(alias) = &mut auth.alias {
            for (key, value) in &self.alias_metadata {
                alias.custom_metadata.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
    }
}

/// Rejects a value that the type of the setting does not allow, with the messages of Go's SDK.
fn check_value(name: &str, value: &Value) -> Result<(), Error> {
    if value.as_i64().is_some_and(|number| number < 0) {
        return Err(Error::invalid(format!("'{name}' cannot be negative")));
    }
    match value.as_str() {
        Some(text) if name == "token_type" && parse_token_type(text).is_none() => {
            Err(Error::invalid(format!("invalid 'token_type' value {text:?}")))
        }
        _ => Ok(()),
    }
}

/// Parses the token type of a role. The two `default-` types are only valid for a mount.
fn parse_token_type(name: &str) -> Option<TokenType> {
    match name {
        "" => Some(TokenType::Default),
        name => TokenType::from_name(name)
            .filter(|token_type| !matches!(token_type, TokenType::DefaultService | TokenType::DefaultBatch)),
    }
}

/// Parses an address, or a network by the rules of Go's `net.ParseCIDR`. The parser of `IpNet` would also accept `010.0.0.0/8`,
/// which some programs read as octal.
fn parse_cidr(cidr: &str) -> Option<IpNet> {
    let Some((address, prefix)) = cidr.split_once('/') else {
        return Some(IpNet::from(cidr.parse::<IpAddr>().ok()?.to_canonical()));
    };
    let is_number = prefix.bytes().all(|digit| digit.is_ascii_digit());
    let prefix: u8 = prefix.parse().ok().filter(|_| is_number)?;
    let network = IpNet::new(address.parse().ok()?, prefix).ok()?;
    // As the host understands an IPv4 network that is written as one of IPv6.
    match (network, network.addr().to_canonical()) {
        (IpNet::V6(_), address @ IpAddr::V4(_)) if prefix >= 96 => IpNet::new(address, prefix - 96).ok(),
        _ => Some(network),
    }
}

/// Returns the fields that [`Path::token_fields`](crate::framework::Path::token_fields) declares.
pub(crate) fn token_fields() -> [(&'static str, Field); 10] {
    let display = |name: &str| DisplayAttributes {
        name: format!("Generated Token's {name}"),
        group: "Tokens".to_owned(),
        ..DisplayAttributes::default()
    };
    let field = |field: Field, name, text| field.describe(text).display(display(name));
    [
        (
            "token_ttl",
            field(
                Field::duration(),
                "Initial TTL",
                "TTL of a token from its login or renewal. 0 selects the mount's default.",
            ),
        ),
        (
            "token_max_ttl",
            field(
                Field::duration(),
                "Maximum TTL",
                "Maximum TTL of a token from its login, including renewals. 0 selects the mount's.",
            ),
        ),
        (
            "token_explicit_max_ttl",
            field(
                Field::duration(),
                "Explicit Maximum TTL",
                "Maximum lifetime of a token, which later changes do not extend.",
            ),
        ),
        (
            "token_period",
            field(
                Field::duration(),
                "Period",
                "Period of a periodic token, which does not expire as long as it is renewed within the period.",
            ),
        ),
        ("token_policies", field(Field::comma_strings(), "Policies", "Policies of a token.")),
        (
            "token_no_default_policy",
            field(
                Field::bool(),
                "Lack of Default Policy",
                "Whether a token does not get the policy \"default\".",
            ),
        ),
        (
            "token_num_uses",
            field(Field::int(), "Maximum Uses", "How many times a token can be used. 0 means no limit."),
        ),
        (
            "token_type",
            field(
                Field::string(),
                "Type",
                "Type of the token: service, batch, or default, which selects the type in the mount's tuning.",
            ),
        ),
        (
            "token_bound_cidrs",
            field(
                Field::comma_strings(),
                "Bound CIDRs",
                "Addresses and networks from which a token can be used. An empty list means all.",
            ),
        ),
        (
            "alias_metadata",
            field(
                Field::kv_pairs(),
                "Alias Metadata",
                "Custom metadata of the alias of a login, as key=value.",
            ),
        ),
    ]
}

/// Serializes a duration as a number of seconds.
mod duration_seconds {
    use super::{Deserialize, Deserializer, Duration, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(duration.as_secs())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_secs)
    }
}

mod token_type_serde {
    use super::{Deserialize, Deserializer, Serializer, TokenType, parse_token_type};

    pub(super) fn serialize<S: Serializer>(token_type: &TokenType, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(token_type.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TokenType, D::Error> {
        let name = String::deserialize(deserializer)?;
        parse_token_type(&name)
            .ok_or_else(|| serde::de::Error::custom(format!("unknown token type {name:?}")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::logical::{Connection, Operation};

    fn parse_fields(fields: Value) -> TokenFields {
        serde_json::from_value(fields).unwrap()
    }

    fn update_error(role: &TokenSettings, fields: Value) -> String {
        let before = role.clone();
        let mut role = role.clone();
        let error = role.update(parse_fields(fields)).unwrap_err();
        assert_eq!(role, before);
        error.to_string()
    }

    #[test]
    fn invalid_token_settings_are_rejected_with_the_messages_of_vault_and_change_nothing() {
        let batch = TokenSettings { token_type: TokenType::Batch, ..TokenSettings::default() };
        assert!(update_error(&batch, json!({"token_period": 60})).ends_with("to generate periodic tokens"));
        assert!(
            update_error(&batch, json!({"token_num_uses": 1})).ends_with("tokens with limited use count")
        );
        let role = TokenSettings { ttl: Duration::from_secs(60), ..TokenSettings::default() };
        let over = update_error(&role, json!({"token_max_ttl": 30, "token_policies": ["reader"]}));
        assert_eq!(over, "'token_ttl' cannot be greater than 'token_max_ttl'");
        assert_eq!(update_error(&role, json!({"token_num_uses": -1})), "'token_num_uses' cannot be negative");
        for name in ["default-service", "periodic"] {
            let text = format!("invalid 'token_type' value {name:?}");
            assert_eq!(update_error(&role, json!({"token_type": name})), text);
        }
        for cidr in ["10.0.0.0/33", "::/129", "example.com", "10.0.0.0/", "10.0.0.0/+8", "010.0.0.0/8", ""] {
            assert!(
                update_error(&role, json!({"token_bound_cidrs": [cidr]})).contains("neither an address nor")
            );
        }
    }

    #[test]
    fn a_setting_that_a_request_omits_is_unchanged_and_null_resets_it() {
        let mut role = TokenSettings::default();
        role.update(parse_fields(json!({"token_ttl": 60, "token_type": "batch", "name": "ci"}))).unwrap();
        role.update(parse_fields(json!({"token_policies": ["reader"]}))).unwrap();
        assert_eq!((role.ttl, role.token_type), (Duration::from_secs(60), TokenType::Batch));
        role.update(parse_fields(json!({"token_ttl": null, "token_type": ""}))).unwrap();
        let reader = TokenSettings { policies: vec!["reader".to_owned()], ..TokenSettings::default() };
        assert_eq!(role, reader);
    }

    #[test]
    fn every_setting_is_declared_as_a_field_with_the_same_name() {
        let settings = to_object(TokenSettings::default()).unwrap();
        let mut declared: Vec<_> = token_fields().map(|(name, _)| name.to_owned()).to_vec();
        declared.sort_unstable();
        assert_eq!(settings.keys().cloned().collect::<Vec<_>>(), declared);
        let role: TokenSettings = serde_json::from_value(Value::Object(settings)).unwrap();
        assert_eq!(role, TokenSettings::default());
    }

    #[test]
    fn a_network_contains_its_addresses_and_no_others() {
        let contains = |cidr: &str, address: &str| {
            let role = TokenSettings { bound_cidrs: vec![cidr.to_owned()], ..TokenSettings::default() };
            let connection =
                Connection { remote_addr: address.to_owned(), remote_port: 0, peer_certificates: Vec::new() };
            let mut login = Request::new(Operation::Update, "login", Map::new());
            login.connection = Some(connection);
            role.allows_source(&login)
        };
        assert!(contains("10.1.2.3", "10.1.2.3") && !contains("10.1.2.3", "10.1.2.4"));
        assert!(contains("10.1.2.3/8", "10.9.9.9") && !contains("10.1.2.3/8", "11.1.2.3"));
        assert!(contains("0.0.0.0/0", "192.0.2.1") && !contains("0.0.0.0/0", "2001:db8::1"));
        assert!(contains("2001:db8::/32", "2001:db8:1::1") && !contains("2001:db8::/32", "2001:db9::1"));
        // An IPv4 caller on a dual-stack socket.
        assert!(contains("10.0.0.0/8", "::ffff:10.1.2.3"));
        // An IPv4 network that is written as one of IPv6.
        assert!(contains("::ffff:10.0.0.0/104", "10.1.2.3") && !contains("::ffff:10.0.0.0/104", "11.1.2.3"));
        assert!(contains("::ffff:10.1.2.3", "10.1.2.3") && !contains("::ffff:10.1.2.3", "10.1.2.4"));
    }
}
