//! What a signed token says, once it is believed: its signature is good by a key of its issuer and an algorithm that
//! nobody can choose to be weak, it is of that issuer, and it lives now. Pure: keys and the time are given.

use jiff::Timestamp;
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation,
    jwk::{Jwk, PublicKeyUse},
};
use proto::metadata::credentials::Issuer;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Longer tokens are not read.
const LONGEST_TOKEN_BYTES: usize = 16 << 10;

/// Keys of one issuer that are looked at.
const MOST_KEYS: usize = 100;

/// How far the clocks of two machines may differ (seconds).
const SKEW_SECONDS: i64 = 60;

/// Signatures by public keys only: who knows a public key could make one of the others, or none at all.
const GOOD: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Why a token is not believed, in words that follow "this token is not accepted:".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Disbelief {
    #[error("it is no signed token (a JWT)")]
    Malformed,
    #[error("it is signed by an algorithm that is not accepted")]
    Algorithm,
    #[error("its issuer has no such key")]
    UnknownKey,
    #[error("its signature is wrong")]
    Signature,
    #[error("it is of another issuer")]
    Issuer,
    #[error("it is for somebody else")]
    Audience,
    #[error("it has expired, or does not say when it does")]
    Expired,
    #[error("it is from the future; compare the clocks")]
    Early,
    #[error("it belongs to another sign-in")]
    Nonce,
    #[error("it does not say who it is about")]
    Subject,
}

/// The part of a header that says how to check a signature.
#[derive(Debug)]
pub(crate) struct Head {
    algorithm: Algorithm,
    pub(crate) key: Option<String>,
}

impl Head {
    pub(crate) fn read(token: &SecretString) -> Result<Self, Disbelief> {
        let text = token.expose_secret();
        if text.len() > LONGEST_TOKEN_BYTES {
            return Err(Disbelief::Malformed);
        }
        // `none` is not among those that the library knows, and reads as no header.
        let header = jsonwebtoken::decode_header(text).map_err(|_| Disbelief::Malformed)?;
        if !GOOD.contains(&header.alg) {
            return Err(Disbelief::Algorithm);
        }
        Ok(Self { algorithm: header.alg, key: header.kid })
    }
}

/// Who has signed a token, as it says itself.
pub(crate) fn claimed_issuer(token: &SecretString) -> Result<String, Disbelief> {
    #[derive(Deserialize)]
    struct Claimed {
        iss: String,
    }
    let _short = Head::read(token)?;
    let claimed = jsonwebtoken::dangerous::insecure_decode::<Claimed>(token.expose_secret());
    claimed.map(|claimed| claimed.claims.iss).map_err(|_| Disbelief::Malformed)
}

/// The public keys of an issuer.
#[derive(Clone)]
pub(crate) struct Keys(Vec<(Jwk, DecodingKey)>);

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

impl Keys {
    /// Reads a key set (RFC 7517), passing over what this cannot use.
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        let set: KeySet = serde_json::from_slice(body).ok()?;
        let keys = set.keys.into_iter().take(MOST_KEYS).filter_map(|key| {
            let key: Jwk = serde_json::from_value(key).ok()?;
            let signs = key.common.public_key_use != Some(PublicKeyUse::Encryption);
            let decoding = DecodingKey::from_jwk(&key).ok()?;
            signs.then_some((key, decoding))
        });
        Some(Self(keys.collect()))
    }

    /// Whether there is a key for the token.
    pub(crate) fn have(&self, head: &Head) -> bool {
        self.find(head).is_some()
    }

    /// By its name, or the only one that fits if none is named.
    fn find(&self, head: &Head) -> Option<&DecodingKey> {
        let fits = |key: &Jwk| {
            let meant = key.common.key_algorithm.map(|meant| meant.to_string().parse::<Algorithm>());
            meant.is_none_or(|meant| meant.is_ok_and(|meant| meant == head.algorithm))
        };
        let mut fitting = self
            .0
            .iter()
            .filter(|(key, decoding)| fits(key) && decoding.family() == head.algorithm.family())
            .filter(|(key, _)| head.key.is_none() || key.common.key_id == head.key);
        let (_, first) = fitting.next()?;
        (head.key.is_some() || fitting.next().is_none()).then_some(first)
    }
}

/// What a token says that is believed.
#[derive(Debug, Clone)]
pub(crate) struct Believed(pub(crate) Map<String, Value>);

/// Reads a token of `issuer`.
pub(crate) fn believed(
    token: &SecretString,
    head: &Head,
    keys: &Keys,
    (issuer, now): (&Issuer, Timestamp),
) -> Result<Believed, Disbelief> {
    let key = keys.find(head).ok_or(Disbelief::UnknownKey)?;
    let mut validation = Validation::new(head.algorithm);
    // The time is the caller's, and so is the rest; here only the signature is checked.
    validation.required_spec_claims.clear();
    (validation.validate_exp, validation.validate_nbf, validation.validate_aud) = (false, false, false);
    let read = jsonwebtoken::decode::<Map<String, Value>>(token.expose_secret(), key, &validation);
    let claims = Believed(read.map_err(|_| Disbelief::Signature)?.claims);

    if claims.text("iss") != Some(issuer.as_str()) {
        return Err(Disbelief::Issuer);
    }
    let now = now.as_second();
    match claims.seconds("exp") {
        Some(expires) if now < expires.saturating_add(SKEW_SECONDS) => {}
        _ => return Err(Disbelief::Expired),
    }
    let early = |claim| claims.seconds(claim).is_some_and(|at| at > now.saturating_add(SKEW_SECONDS));
    if early("nbf") || early("iat") {
        return Err(Disbelief::Early);
    }
    Ok(claims)
}

impl Believed {
    pub(crate) fn text(&self, claim: &str) -> Option<&str> {
        self.0.get(claim)?.as_str()
    }

    #[expect(clippy::cast_possible_truncation, reason = "it saturates, and no time is so late")]
    fn seconds(&self, claim: &str) -> Option<i64> {
        let value = self.0.get(claim)?;
        value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds as i64))
    }

    /// Whether the token is for `audience`, perhaps among others.
    pub(crate) fn is_for(&self, audience: &str) -> bool {
        match self.0.get("aud") {
            Some(Value::String(one)) => one == audience,
            Some(Value::Array(many)) => many.iter().any(|one| one.as_str() == Some(audience)),
            _ => false,
        }
    }

    /// That it is an identity given to this client in this flow (OpenID Connect Core §3.1.3.7).
    pub(crate) fn given_to(self, client: &str, nonce: &str) -> Result<Self, Disbelief> {
        let shared = matches!(self.0.get("aud"), Some(Value::Array(many)) if many.len() > 1);
        let party = self.0.get("azp").map(Value::as_str);
        let ours = match party {
            None => !shared,
            Some(party) => party == Some(client),
        };
        if !self.is_for(client) || !ours {
            return Err(Disbelief::Audience);
        }
        if self.text("nonce") != Some(nonce) {
            return Err(Disbelief::Nonce);
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests;
