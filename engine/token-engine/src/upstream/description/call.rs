//! Calls of an API: method, path, query, headers, body, and the meaning of status codes.

use http::Method;
use serde::{Deserialize, Serialize};

use super::source::{Expires, Pointer, Source};
use super::status::StatusSet;
use crate::upstream::template::{Fields, HeaderFields, JsonTemplate, PathTemplate, RenderError, ValueSource};

/// Responses that mean that a token no longer exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Gone {
    /// The status codes.
    pub(crate) status: StatusSet,
    /// Whether the response must be JSON. A page of HTML may come from a proxy, so set this to false only if the API itself returns another
    /// content type.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub(crate) json: bool,
}

impl Gone {
    /// Returns the rule of the default description, for stored records without a call.
    pub(crate) fn of_default_contract() -> Gone {
        Gone { status: StatusSet::codes(&[404, 410]), json: true }
    }
}

fn yes() -> bool {
    true
}

/// The common parts of all calls.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a PathTemplate,
    pub(crate) query: &'a Fields,
    pub(crate) headers: &'a HeaderFields,
    pub(crate) body: Body<'a>,
    /// Empty for 2xx.
    pub(crate) success: &'a StatusSet,
    pub(crate) error: Option<&'a Pointer>,
}

/// The body of a call.
#[derive(Clone, Copy)]
pub(crate) enum Body<'a> {
    None,
    Json(&'a JsonTemplate),
    Form(&'a Fields),
}

/// The parts of a call before validation.
pub(super) struct CallParts<'a> {
    pub(super) paths: [(&'static str, Method, Option<&'a PathTemplate>); 5],
    pub(super) query: &'a Fields,
    pub(super) headers: &'a HeaderFields,
    pub(super) json: Option<&'a JsonTemplate>,
    pub(super) form: Option<&'a Fields>,
    pub(super) success: &'a StatusSet,
    pub(super) error: Option<&'a Pointer>,
}

impl<'a> CallParts<'a> {
    /// Returns the call, if it has exactly one method and at most one body.
    pub(super) fn into_call(self) -> Option<Call<'a>> {
        let mut given = self.paths.iter().filter_map(|(_, method, path)| Some((method, (*path)?)));
        let (method, path) = given.next().filter(|_| given.next().is_none())?;
        let body = match (self.json, self.form) {
            (None, None) => Body::None,
            (Some(json), None) => Body::Json(json),
            (None, Some(form)) => Body::Form(form),
            (Some(_), Some(_)) => return None,
        };
        Some(Call {
            method: method.clone(),
            path,
            query: self.query,
            headers: self.headers,
            body,
            success: self.success,
            error: self.error,
        })
    }
}

/// Declares a call with its own keys and the common keys of all calls.
///
/// serde cannot flatten a struct into one with `deny_unknown_fields`, so the macro adds the common fields to each.
macro_rules! call {
    ($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $kind:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(test, derive(Debug, schemars::JsonSchema))]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            /// Path of a GET request, below api_endpoint.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            get: Option<PathTemplate>,
            /// Path of a POST request, below api_endpoint.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            post: Option<PathTemplate>,
            /// Path of a PUT request, below api_endpoint.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            put: Option<PathTemplate>,
            /// Path of a PATCH request, below api_endpoint.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            patch: Option<PathTemplate>,
            /// Path of a DELETE request, below api_endpoint.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            delete: Option<PathTemplate>,
            /// Query parameters.
            #[serde(default, skip_serializing_if = "Fields::is_empty")]
            query: Fields,
            /// Headers in addition to those of auth.
            #[serde(default, skip_serializing_if = "HeaderFields::is_empty")]
            headers: HeaderFields,
            /// JSON body.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            json: Option<JsonTemplate>,
            /// Body as a form (application/x-www-form-urlencoded).
            #[serde(default, skip_serializing_if = "Option::is_none")]
            form: Option<Fields>,
            /// Status codes that mean success. Default 2xx.
            #[serde(default, skip_serializing_if = "StatusSet::is_empty")]
            success: StatusSet,
            /// Pointer to an error in a response with a success status. If the value exists, the call has failed.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            error: Option<Pointer>,
            $($(#[$field_meta])* pub(crate) $field: $kind,)*
        }

        impl $name {
            pub(super) fn parts(&self) -> CallParts<'_> {
                CallParts {
                    paths: [
                        ("get", Method::GET, self.get.as_ref()),
                        ("post", Method::POST, self.post.as_ref()),
                        ("put", Method::PUT, self.put.as_ref()),
                        ("patch", Method::PATCH, self.patch.as_ref()),
                        ("delete", Method::DELETE, self.delete.as_ref()),
                    ],
                    query: &self.query,
                    headers: &self.headers,
                    json: self.json.as_ref(),
                    form: self.form.as_ref(),
                    success: &self.success,
                    error: self.error.as_ref(),
                }
            }
        }
    };
}

/// Implements `call` for the calls that the engine sends.
macro_rules! callable {
    ($($name:ident),*) => {$(
        impl $name {
            /// Returns the parts of the request. `None` only if the call was not validated.
            pub(crate) fn call(&self) -> Option<Call<'_>> {
                self.parts().into_call()
            }
        }
    )*};
}

callable!(Login, PreMint, Mint, Renew, Revoke, Find, Probe, Rotate, RevokeOld);

/// Implements `bind` for a call that is stored with a token.
macro_rules! bind {
    ($name:ident) => {
        impl $name {
            /// Returns the call with known placeholders replaced by literals.
            pub(crate) fn bind(&self, values: &impl ValueSource) -> Result<$name, RenderError> {
                let path =
                    |path: &Option<PathTemplate>| path.as_ref().map(|path| path.bind(values)).transpose();
                Ok($name {
                    get: path(&self.get)?,
                    post: path(&self.post)?,
                    put: path(&self.put)?,
                    patch: path(&self.patch)?,
                    delete: path(&self.delete)?,
                    query: self.query.bind(values)?,
                    headers: self.headers.bind(values)?,
                    json: self.json.as_ref().map(|json| json.bind(values)).transpose()?.flatten(),
                    form: self.form.as_ref().map(|form| form.bind(values)).transpose()?,
                    ..self.clone()
                })
            }
        }
    };
}

call! {
    /// Obtains the credential of the other calls.
    Login {
        /// The credential in the response.
        token: Source,
        /// Expiry of the credential. Default: the credential is used until it is rejected.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires: Option<Expires>,
    }
}

call! {
    /// A call before the mint, for APIs that create an object and then a token of it.
    PreMint {
        /// Values of the response, which the following calls use as {before.NAME}.
        #[serde(default, skip_serializing_if = "Sources::is_empty")]
        values: Sources,
    }
}

call! {
    /// Creates a token.
    Mint {
        /// Status codes that mean that the name or the id already exists.
        #[serde(default, skip_serializing_if = "StatusSet::is_empty")]
        exists: StatusSet,
        /// Status codes that mean that nothing was created. Default 4xx without 408.
        #[serde(default, skip_serializing_if = "StatusSet::is_empty")]
        refused: StatusSet,
        /// The id of the token in the response, if it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<Source>,
        /// The token in the response.
        token: Source,
        /// Additional fields of the credential, by name.
        #[serde(default, skip_serializing_if = "Sources::is_empty")]
        outputs: Sources,
        /// Expiry of the token in the response. Default: the requested one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires: Option<Expires>,
        /// Maximum lifetime of a token, if the call cannot request a lifetime: a duration such as 1h, or {config.NAME}. Default: such tokens
        /// never expire.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        longest_life: Option<crate::upstream::template::TextTemplate>,
    }
}

bind!(Mint);

call! {
    /// Extends the lifetime of a token.
    Renew {
        /// New expiry of the token in the response. Default: the requested one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires: Option<Expires>,
    }
}
bind!(Renew);

call! {
    /// Revokes a token.
    Revoke {
        /// Responses that mean that the token no longer exists.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gone: Option<Gone>,
    }
}
bind!(Revoke);

call! {
    /// Searches for a token by its name.
    Find {
        /// Pointer to the list of tokens in the response. Empty if the whole response is the list. Default: the response is a single token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        items: Option<Pointer>,
        /// Pointer to the name, relative to a token.
        name: Pointer,
        /// Pointer to the id, relative to a token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<Pointer>,
        /// Query parameter that selects a page of the list. Pages are read until one is empty.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pages: Option<Pages>,
        /// Responses that mean that the token does not exist, for an API that returns a single token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gone: Option<Gone>,
    }
}
bind!(Find);

call! {
    /// Checks the connection without creating anything.
    Probe {
        /// The account in the response. A lease stores it, and its token is never renewed or revoked with another account.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<Source>,
        /// The owner of api_key in the response, for the calls of rotate. A response without it is a success too.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key_owner: Option<Source>,
        /// The id of api_key in the response, for the calls of rotate. A response without it is a success too.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key_id: Option<Source>,
    }
}

call! {
    /// Creates another key for the connection. The present key must stay valid until it is revoked.
    Rotate {
        /// The new api_key in the response, or {generated.secret}.
        api_key: Source,
        /// The id of the new key in the response, if it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<Source>,
        /// Parameters of the connection that belong to the new key, by name: their values in the response.
        #[serde(default, skip_serializing_if = "Sources::is_empty")]
        config: Sources,
        /// Maximum lifetime of a new key that no search finds: a duration such as 768h, or {config.NAME}. Default: it lives until it is revoked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        longest_life: Option<crate::upstream::template::TextTemplate>,
        /// Revokes a key: the old one after the new one is proven, or a new one that is not valid.
        revoke_old: RevokeOld,
        /// Searches for the new key by its {name} after a lost response.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        find: Option<Find>,
        /// How long after the call a search may not find the key yet.
        #[serde(default, skip_serializing_if = "is_zero")]
        settle: super::Seconds,
    }
}

call! {
    /// Revokes a key of the connection. {id}, {api_key} and {config.NAME} belong to the revoked key.
    RevokeOld {
        /// The key that the call is sent with. Default new.
        #[serde(default, skip_serializing_if = "RevokedBy::is_default")]
        auth: RevokedBy,
        /// Responses that mean that the key no longer exists.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gone: Option<Gone>,
    }
}

fn is_zero(seconds: &super::Seconds) -> bool {
    seconds.0 == 0
}

/// The key that a revocation is sent with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum RevokedBy {
    /// The key that stays. An invalid new key is revoked with the old one.
    #[default]
    New,
    /// The revoked key itself.
    Old,
}

impl RevokedBy {
    fn is_default(&self) -> bool {
        *self == RevokedBy::default()
    }
}

/// Paging of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Pages {
    /// Name of the query parameter.
    pub(crate) query: String,
    /// Value of the parameter for the first page. Default 1.
    #[serde(default = "one")]
    pub(crate) first: u32,
}

fn one() -> u32 {
    1
}

/// Named values of a response. The order is kept.
#[derive(Clone, Default, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Sources(pub(crate) Vec<(String, Source)>);

impl Sources {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Sources {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, source)| (name, source)))
    }
}

impl<'de> Deserialize<'de> for Sources {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Sources, D::Error> {
        struct SourcesVisitor;
        impl<'de> serde::de::Visitor<'de> for SourcesVisitor {
            type Value = Sources;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map of names to values of the response")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Sources, A::Error> {
                let mut sources = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    sources.push(entry);
                }
                Ok(Sources(sources))
            }
        }
        deserializer.deserialize_map(SourcesVisitor)
    }
}
