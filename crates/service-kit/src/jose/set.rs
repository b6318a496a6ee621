//! Sets of public keys, as RFC 7517 writes them: keys of kinds that are not known here are passed over, as it says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};

use super::{
    Algorithm, PublicKey,
    public::{coordinate, text},
};

/// Public keys by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeySet(BTreeMap<String, PublicKey>);

/// Why a text is no set of keys.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    /// It is not what RFC 7517 describes.
    #[error("it is no JSON Web Key Set: {0}")]
    Syntax(#[from] serde_json::Error),
    /// There are keys, and none of them can be used.
    #[error("it has no key of Ed25519 or P-256 for signatures")]
    NoKeys,
}

#[derive(Serialize, Deserialize)]
struct Written {
    keys: Vec<Jwk>,
}

#[derive(Serialize, Deserialize)]
struct Jwk {
    kty: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crv: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    y: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alg: Option<String>,
    #[serde(rename = "use", default, skip_serializing_if = "Option::is_none")]
    purpose: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
}

impl KeySet {
    /// Reads a set. A key without a name has its thumbprint for one. A set may be empty: then nothing is verified.
    ///
    /// # Errors
    /// All of [`KeySetError`].
    pub fn read(text: &[u8]) -> Result<Self, KeySetError> {
        let written: Written = serde_json::from_slice(text)?;
        let meant_to_be_empty = written.keys.is_empty();
        let named = written.keys.into_iter().filter_map(|jwk| {
            let key = jwk.key()?;
            Some((jwk.kid.unwrap_or_else(|| key.thumbprint()), key))
        });
        let set = Self(named.collect());
        if set.is_empty() && !meant_to_be_empty { Err(KeySetError::NoKeys) } else { Ok(set) }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key of that name.
    pub fn find(&self, id: &str) -> Option<&PublicKey> {
        self.0.get(id)
    }

    /// Adds a key, in place of another one of its name.
    pub fn insert(&mut self, id: String, key: PublicKey) {
        self.0.insert(id, key);
    }
}

impl FromIterator<(String, PublicKey)> for KeySet {
    fn from_iter<T: IntoIterator<Item = (String, PublicKey)>>(keys: T) -> Self {
        Self(keys.into_iter().collect())
    }
}

impl Serialize for KeySet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let keys = self.0.iter().map(|(id, key)| Jwk::of(id, key)).collect();
        Written { keys }.serialize(serializer)
    }
}

impl Jwk {
    fn of(id: &str, key: &PublicKey) -> Self {
        let (kty, crv, x, y) = match key {
            PublicKey::Ed25519(x) => ("OKP", "Ed25519", text(x), None),
            PublicKey::P256 { x, y } => ("EC", "P-256", text(x), Some(text(y))),
        };
        Self {
            kty: kty.to_owned(),
            crv: Some(crv.to_owned()),
            x: Some(x),
            y,
            alg: Some(name_of(key.algorithm()).to_owned()),
            purpose: Some("sig".to_owned()),
            kid: Some(id.to_owned()),
        }
    }

    /// The key, if it is of a kind that is known and not for another algorithm or purpose.
    fn key(&self) -> Option<PublicKey> {
        let x = coordinate(self.x.as_deref()?)?;
        let key = match (self.kty.as_str(), self.crv.as_deref()?) {
            ("OKP", "Ed25519") => PublicKey::Ed25519(x),
            ("EC", "P-256") => PublicKey::P256 { x, y: coordinate(self.y.as_deref()?)? },
            _ => return None,
        };
        let meant = self.alg.as_deref().is_none_or(|alg| alg == name_of(key.algorithm()));
        (meant && self.purpose.as_deref().is_none_or(|purpose| purpose == "sig")).then_some(key)
    }
}

const fn name_of(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::EdDsa => "EdDSA",
        Algorithm::Es256 => "ES256",
    }
}

#[cfg(test)]
mod tests {
    use super::{KeySet, KeySetError};
    use crate::jose::{Algorithm, PrivateKey, PublicKey};

    #[test]
    fn a_set_comes_back_as_it_was_written() {
        let keys = [Algorithm::EdDsa, Algorithm::Es256].map(|algorithm| {
            let key = *PrivateKey::generate(algorithm).unwrap().public();
            (key.thumbprint(), key)
        });
        let set: KeySet = keys.into_iter().collect();
        let text = serde_json::to_vec(&set).unwrap();
        assert_eq!(KeySet::read(&text).unwrap(), set);
    }

    #[test]
    fn what_others_write_is_read_and_what_is_not_known_is_passed_over() {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let text = format!(
            r#"{{"keys":[
                {{"kty":"RSA","n":"AQAB","e":"AQAB","kid":"rsa"}},
                {{"kty":"oct","k":"c2VjcmV0","kid":"shared"}},
                {{"kty":"OKP","crv":"X25519","x":"{x}","kid":"other-curve"}},
                {{"kty":"OKP","crv":"Ed25519","x":"{x}","kid":"other-purpose","use":"enc"}},
                {{"kty":"OKP","crv":"Ed25519","x":"{x}","kid":"other-algorithm","alg":"ES256"}},
                {{"kty":"OKP","crv":"Ed25519","x":"AAAA","kid":"short"}},
                {{"kty":"OKP","crv":"Ed25519","x":"{x}","more":1}}
            ]}}"#
        );
        let set = KeySet::read(text.as_bytes()).unwrap();
        let found = set.find("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert!(matches!(found, Some(PublicKey::Ed25519(_))));
        assert_eq!(set.0.len(), 1);
    }

    #[test]
    fn a_set_without_a_usable_key_is_refused() {
        assert!(matches!(KeySet::read(br#"{"keys":[{"kty":"RSA"}]}"#), Err(KeySetError::NoKeys)));
        assert!(KeySet::read(br#"{"keys":[]}"#).unwrap().is_empty());
        assert!(matches!(KeySet::read(b"{}"), Err(KeySetError::Syntax(_))));
        assert!(matches!(KeySet::read(b"-----BEGIN"), Err(KeySetError::Syntax(_))));
    }
}
