//! What operators set for the tokens of a role, under the same names at every auth method (`tokenutil` of Go's SDK).

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

/// How the tokens of a role are to be: the ten fields (`token_ttl`, `token_policies`, …) that operators know from
/// Vault's own auth methods. [`Path::token_fields`](crate::framework::Path::token_fields) declares them, a role holds them:
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
/// struct Given {
///     name: String,
///     seats: Option<Vec<String>>,
///     #[serde(flatten)]
///     token: TokenFields,
/// }
///
/// async fn write(cx: Context<()>, given: Given) -> Result<Data<Role>, Error> {
///     let key = format!("roles/{}", given.name);
///     let mut role: Role = cx.storage().read(&key).await?.unwrap_or_default();
///     role.seats = given.seats.unwrap_or(role.seats);
///     role.token.update(given.token)?;
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
/// let refused = mount.write("roles/ci", json!({"token_max_ttl": "1m"})).await?.unwrap();
/// assert_eq!(refused.error_text(), Some("'token_ttl' cannot be greater than 'token_max_ttl'"));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenSettings {
    /// How long a token lives from its login or renewal; whole seconds. Zero is the mount's default.
    #[serde(rename = "token_ttl", with = "duration_seconds")]
    pub ttl: Duration,
    /// How long it can be renewed to, from its login. Zero is the mount's.
    #[serde(rename = "token_max_ttl", with = "duration_seconds")]
    pub max_ttl: Duration,
    /// The longest that it lives whatever is changed later.
    #[serde(rename = "token_explicit_max_ttl", with = "duration_seconds")]
    pub explicit_max_ttl: Duration,
    /// Has it live for ever as long as it is renewed within this time.
    #[serde(rename = "token_period", with = "duration_seconds")]
    pub period: Duration,
    /// Its policies.
    #[serde(rename = "token_policies")]
    pub policies: Vec<String>,
    /// Keeps the host from adding the policy `default`.
    #[serde(rename = "token_no_default_policy")]
    pub no_default_policy: bool,
    /// How many requests it is good for; zero for any number.
    #[serde(rename = "token_num_uses")]
    pub num_uses: u32,
    /// What kind of token it is.
    #[serde(rename = "token_type", with = "token_type_serde")]
    pub token_type: TokenType,
    /// The addresses and networks that it can be used from; none for all.
    #[serde(rename = "token_bound_cidrs")]
    pub bound_cidrs: Vec<String>,
    /// What the host notes of who logs in, unless the login says something else under the same key. OpenBao does not keep it.
    pub alias_metadata: BTreeMap<String, String>,
}

/// Those of the fields of [`TokenSettings`] that a request has. In a struct of a handler's fields: `#[serde(flatten)]`.
///
/// `Debug` shows the names of what was given.
#[derive(Clone, Default, Deserialize)]
pub struct TokenFields(Map);

impl std::fmt::Debug for TokenFields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TokenFields").field(&self.0.keys().collect::<Vec<_>>()).finish()
    }
}

impl TokenSettings {
    /// Takes over what a request gives, and leaves the rest as it is; in a patch, null is the default again. Nothing is
    /// changed when something is refused.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what no token can be, in the words of Go's SDK: a `token_ttl` over the `token_max_ttl`, a batch token with a
    /// period or a number of uses, a `token_bound_cidrs` that is no address.
    pub fn update(&mut self, given: TokenFields) -> Result<(), Error> {
        let mut all = to_object(&*self)?;
        for (name, value) in given.0 {
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
            .map_err(|error| Error::invalid(format!("the settings for tokens: {error}")))?;
        changed.validate()?;
        *self = changed;
        Ok(())
    }

    fn validate(&self) -> Result<(), Error> {
        let refused = |text: &str| Err(Error::invalid(text));
        if self.token_type == TokenType::Batch && !self.period.is_zero() {
            return refused(
                "'token_type' cannot be 'batch' or 'default_batch' when set to generate periodic tokens",
            );
        }
        if self.token_type == TokenType::Batch && self.num_uses != 0 {
            return refused(
                "'token_type' cannot be 'batch' or 'default_batch' when set to generate tokens with limited use count",
            );
        }
        if !self.max_ttl.is_zero() && self.ttl > self.max_ttl {
            return refused("'token_ttl' cannot be greater than 'token_max_ttl'");
        }
        match self.bound_cidrs.iter().find(|cidr| parse_cidr(cidr).is_none()) {
            Some(cidr) => Err(Error::invalid(format!(
                "'token_bound_cidrs': {cidr:?} is neither an address nor a network"
            ))),
            None => Ok(()),
        }
    }

    /// How long a token lives by these settings.
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

    /// Whether a token has the policies that these settings give today. Where it has not, a renewal is best refused, so that
    /// who has lost a policy does not keep it for ever.
    ///
    /// ```
    /// # use vault_plugin::framework::TokenSettings;
    /// # use vault_plugin::logical::Auth;
    /// let role = TokenSettings { policies: vec!["Writer".to_owned(), "reader".to_owned()], ..TokenSettings::default() };
    /// // As the host has written them down.
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

    /// Whether a login may come from where this request does: the host holds the token to `token_bound_cidrs`, the login
    /// itself is for the auth method to refuse. Not where the host does not say where it comes from.
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
        let Some(from) = login.connection.as_ref().and_then(|at| at.remote_addr.parse::<IpAddr>().ok())
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

/// Refuses what the type of a setting cannot hold, in the words of Go's SDK.
fn check_value(name: &str, value: &Value) -> Result<(), Error> {
    if value.as_i64().is_some_and(|number| number < 0) {
        return Err(Error::invalid(format!("'{name}' cannot be negative")));
    }
    match value.as_str() {
        Some(word) if name == "token_type" && parse_token_type(word).is_none() => {
            Err(Error::invalid(format!("invalid 'token_type' value {word:?}")))
        }
        _ => Ok(()),
    }
}

/// A mount alone is tuned to the two defaults; a role is one of the others.
fn parse_token_type(word: &str) -> Option<TokenType> {
    match word {
        "" => Some(TokenType::Default),
        word => TokenType::from_name(word)
            .filter(|kind| !matches!(kind, TokenType::DefaultService | TokenType::DefaultBatch)),
    }
}

/// An address, or `ADDRESS/BITS` by the rules of Go's `net.ParseCIDR`. The parser of `IpNet` would also accept `010.0.0.0/8`,
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

/// The fields, as [`Path::token_fields`](crate::framework::Path::token_fields) declares them.
pub(crate) fn token_fields() -> [(&'static str, Field); 10] {
    let shown = |name: &str| DisplayAttributes {
        name: format!("Generated Token's {name}"),
        group: "Tokens".to_owned(),
        ..DisplayAttributes::default()
    };
    let field = |field: Field, name, text| field.describe(text).display(shown(name));
    [
        (
            "token_ttl",
            field(
                Field::duration(),
                "Initial TTL",
                "How long a token lives from its login or renewal; 0 is the mount's default.",
            ),
        ),
        (
            "token_max_ttl",
            field(
                Field::duration(),
                "Maximum TTL",
                "How long a token can be renewed to, from its login; 0 is the mount's.",
            ),
        ),
        (
            "token_explicit_max_ttl",
            field(
                Field::duration(),
                "Explicit Maximum TTL",
                "The longest that a token lives, whatever is changed after its login.",
            ),
        ),
        (
            "token_period",
            field(
                Field::duration(),
                "Period",
                "A token lives for ever as long as it is renewed within this time.",
            ),
        ),
        ("token_policies", field(Field::comma_strings(), "Policies", "The policies of a token.")),
        (
            "token_no_default_policy",
            field(
                Field::bool(),
                "Lack of Default Policy",
                "Whether a token goes without the policy \"default\".",
            ),
        ),
        (
            "token_num_uses",
            field(Field::int(), "Maximum Uses", "How many requests a token is good for; 0 for any number."),
        ),
        (
            "token_type",
            field(
                Field::string(),
                "Type",
                "The kind of token: service, batch, or default, which is as the mount is tuned.",
            ),
        ),
        (
            "token_bound_cidrs",
            field(
                Field::comma_strings(),
                "Bound CIDRs",
                "Addresses and networks that a token can be used from; none for all.",
            ),
        ),
        (
            "alias_metadata",
            field(Field::kv_pairs(), "Alias Metadata", "What is noted of who logs in, as key=value."),
        ),
    ]
}

/// A duration as operators write and read it.
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

    pub(super) fn serialize<S: Serializer>(kind: &TokenType, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(kind.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TokenType, D::Error> {
        let word = String::deserialize(deserializer)?;
        parse_token_type(&word)
            .ok_or_else(|| serde::de::Error::custom(format!("unknown token type {word:?}")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::logical::{Connection, Operation};

    fn given(fields: Value) -> TokenFields {
        serde_json::from_value(fields).unwrap()
    }

    fn refused(role: &TokenSettings, fields: Value) -> String {
        let before = role.clone();
        let mut role = role.clone();
        let error = role.update(given(fields)).unwrap_err();
        assert_eq!(role, before);
        error.to_string()
    }

    #[test]
    fn what_no_token_can_be_is_refused_in_the_words_that_operators_know_and_changes_nothing() {
        let batch = TokenSettings { token_type: TokenType::Batch, ..TokenSettings::default() };
        assert!(refused(&batch, json!({"token_period": 60})).ends_with("to generate periodic tokens"));
        assert!(refused(&batch, json!({"token_num_uses": 1})).ends_with("tokens with limited use count"));
        let role = TokenSettings { ttl: Duration::from_secs(60), ..TokenSettings::default() };
        let over = refused(&role, json!({"token_max_ttl": 30, "token_policies": ["reader"]}));
        assert_eq!(over, "'token_ttl' cannot be greater than 'token_max_ttl'");
        assert_eq!(refused(&role, json!({"token_num_uses": -1})), "'token_num_uses' cannot be negative");
        for word in ["default-service", "periodic"] {
            let text = format!("invalid 'token_type' value {word:?}");
            assert_eq!(refused(&role, json!({"token_type": word})), text);
        }
        for cidr in ["10.0.0.0/33", "::/129", "example.com", "10.0.0.0/", "10.0.0.0/+8", "010.0.0.0/8", ""] {
            assert!(refused(&role, json!({"token_bound_cidrs": [cidr]})).contains("neither an address nor"));
        }
    }

    #[test]
    fn what_a_request_does_not_name_stays_and_null_is_the_default_again() {
        let mut role = TokenSettings::default();
        role.update(given(json!({"token_ttl": 60, "token_type": "batch", "name": "ci"}))).unwrap();
        role.update(given(json!({"token_policies": ["reader"]}))).unwrap();
        assert_eq!((role.ttl, role.token_type), (Duration::from_secs(60), TokenType::Batch));
        role.update(given(json!({"token_ttl": null, "token_type": ""}))).unwrap();
        let reader = TokenSettings { policies: vec!["reader".to_owned()], ..TokenSettings::default() };
        assert_eq!(role, reader);
    }

    #[test]
    fn every_setting_is_declared_as_a_field_and_read_back_under_its_name() {
        let shown = to_object(TokenSettings::default()).unwrap();
        let mut declared: Vec<_> = token_fields().map(|(name, _)| name.to_owned()).to_vec();
        declared.sort_unstable();
        assert_eq!(shown.keys().cloned().collect::<Vec<_>>(), declared);
        let role: TokenSettings = serde_json::from_value(Value::Object(shown)).unwrap();
        assert_eq!(role, TokenSettings::default());
    }

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        let holds = |cidr: &str, address: &str| {
            let role = TokenSettings { bound_cidrs: vec![cidr.to_owned()], ..TokenSettings::default() };
            let connection =
                Connection { remote_addr: address.to_owned(), remote_port: 0, peer_certificates: Vec::new() };
            let mut login = Request::new(Operation::Update, "login", Map::new());
            login.connection = Some(connection);
            role.allows_source(&login)
        };
        assert!(holds("10.1.2.3", "10.1.2.3") && !holds("10.1.2.3", "10.1.2.4"));
        assert!(holds("10.1.2.3/8", "10.9.9.9") && !holds("10.1.2.3/8", "11.1.2.3"));
        assert!(holds("0.0.0.0/0", "192.0.2.1") && !holds("0.0.0.0/0", "2001:db8::1"));
        assert!(holds("2001:db8::/32", "2001:db8:1::1") && !holds("2001:db8::/32", "2001:db9::1"));
        // An IPv4 caller on a socket for both.
        assert!(holds("10.0.0.0/8", "::ffff:10.1.2.3"));
        // An IPv4 network that is written as one of IPv6.
        assert!(holds("::ffff:10.0.0.0/104", "10.1.2.3") && !holds("::ffff:10.0.0.0/104", "11.1.2.3"));
        assert!(holds("::ffff:10.1.2.3", "10.1.2.3") && !holds("::ffff:10.1.2.3", "10.1.2.4"));
    }
}
