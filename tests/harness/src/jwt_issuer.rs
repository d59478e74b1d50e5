//! An issuer of JSON web tokens.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{KeyPair, PKCS_ED25519, SigningKey as _};
use serde_json::{Value, json};

/// A key that signs tokens.
pub struct JwtIssuer {
    key: KeyPair,
}

impl JwtIssuer {
    /// Makes a new key.
    ///
    /// # Panics
    ///
    /// If there is no randomness.
    pub fn new() -> JwtIssuer {
        JwtIssuer { key: KeyPair::generate_for(&PKCS_ED25519).expect("a key can be made") }
    }

    /// The public key, with which tokens are verified.
    pub fn public_key_pem(&self) -> String {
        self.key.public_key_pem()
    }

    /// Signs a token for a subject and an audience, valid for an hour.
    ///
    /// # Panics
    ///
    /// If the clock is before 1970.
    pub fn sign(&self, subject: &str, audience: &str) -> String {
        let now = SystemTime::UNIX_EPOCH.elapsed().expect("the clock is after 1970").as_secs();
        let header = json!({"alg": "EdDSA", "typ": "JWT"});
        let claims = json!({"sub": subject, "aud": audience, "iat": now, "exp": now + 3600});
        let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encoded(&header), encoded(&claims));
        let signature = self.key.sign(signed.as_bytes()).expect("an Ed25519 key signs anything");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

impl Default for JwtIssuer {
    fn default() -> JwtIssuer {
        JwtIssuer::new()
    }
}
