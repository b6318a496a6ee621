//! Public keys: what they verify, and how they are named.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{DecodingKey, Validation};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// What an uncompressed point begins with (SEC 1, 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// How tokens are signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// Ed25519: small and fast.
    #[default]
    EdDsa,
    /// ECDSA on P-256 with SHA-256: for verifiers that know no Ed25519.
    Es256,
}

/// A public key. What kind it is says how its tokens are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublicKey {
    /// Of Ed25519.
    Ed25519([u8; 32]),
    /// A point of P-256.
    P256 {
        /// Its first coordinate.
        x: [u8; 32],
        /// Its second one.
        y: [u8; 32],
    },
}

/// The `kid` of a token that is signed in one of our ways. Nothing of it is believed yet.
pub fn named_key(token: &str) -> Option<String> {
    use jsonwebtoken::Algorithm::{ES256, EdDSA};
    let header = jsonwebtoken::decode_header(token).ok()?;
    if matches!(header.alg, EdDSA | ES256) { header.kid } else { None }
}

impl PublicKey {
    /// A point of P-256 as SEC 1 writes it, uncompressed; none if it is written otherwise.
    pub fn of_point(point: &[u8]) -> Option<Self> {
        let (first, coordinates) = point.split_first()?;
        let (x, y) = coordinates.split_at_checked(32)?;
        let (x, y) = (x.try_into().ok()?, y.try_into().ok()?);
        (*first == UNCOMPRESSED).then_some(Self::P256 { x, y })
    }

    /// The bytes of an Ed25519 key, or of the uncompressed point.
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(bytes) => bytes.to_vec(),
            Self::P256 { x, y } => [&[UNCOMPRESSED][..], x, y].concat(),
        }
    }

    /// How tokens are signed that it verifies.
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ed25519(_) => Algorithm::EdDsa,
            Self::P256 { .. } => Algorithm::Es256,
        }
    }

    /// RFC 7638.
    pub fn thumbprint(&self) -> String {
        // The members that identify the key, in order, without spaces (RFC 7638 §3.2, RFC 8037 §2).
        let members = match self {
            Self::Ed25519(x) => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, text(x)),
            Self::P256 { x, y } => {
                format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, text(x), text(y))
            }
        };
        text(digest(&SHA256, members.as_bytes()).as_ref())
    }

    /// What `token` says, if this key has signed it in the one way that is this key's. Times, issuer and audience are
    /// for the caller to check.
    pub fn verified<C: DeserializeOwned>(&self, token: &str) -> Option<C> {
        let key = match self {
            Self::Ed25519(bytes) => DecodingKey::from_ed_der(bytes),
            Self::P256 { .. } => DecodingKey::from_ec_der(&self.bytes()),
        };
        let verified = jsonwebtoken::decode::<C>(token, &key, &signature_only(self.algorithm()));
        verified.ok().map(|token| token.claims)
    }
}

impl From<Algorithm> for jsonwebtoken::Algorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::EdDsa => Self::EdDSA,
            Algorithm::Es256 => Self::ES256,
        }
    }
}

pub(super) fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn coordinate(text: &str) -> Option<[u8; 32]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

fn signature_only(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm.into());
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}

#[cfg(test)]
mod tests {
    use super::{Algorithm, PublicKey, coordinate, named_key};
    use crate::jose::PrivateKey;
    use serde_json::{Value, json};

    #[test]
    fn the_thumbprint_of_ed25519_is_that_of_rfc_8037_appendix_a() {
        let x = coordinate("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        assert_eq!(PublicKey::Ed25519(x).thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn the_thumbprint_of_p_256_names_curve_kind_and_coordinates() {
        // printf '{"crv":"P-256","kty":"EC","x":"…","y":"…"}' | openssl dgst -sha256 -binary | basenc --base64url
        let x = coordinate("MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4").unwrap();
        let y = coordinate("4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM").unwrap();
        let key = PublicKey::P256 { x, y };
        assert_eq!(key.thumbprint(), "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s");
        assert_eq!(PublicKey::of_point(&key.bytes()), Some(key));
        assert_eq!(PublicKey::of_point(&key.bytes()[..64]), None);
        assert_eq!(PublicKey::of_point(&[&[2][..], &key.bytes()[1..]].concat()), None);
    }

    #[test]
    fn a_key_verifies_what_it_has_signed_and_nothing_else() {
        for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
            let [key, other] = [(); 2].map(|()| PrivateKey::generate(algorithm).unwrap());
            let claims = json!({ "sub": "ann", "exp": 1 });
            let token = key.signed("one", &claims).unwrap();

            assert_eq!(named_key(&token).as_deref(), Some("one"));
            assert_eq!(key.public().verified::<Value>(&token), Some(claims));
            assert_eq!(other.public().verified::<Value>(&token), None);
            let (unsigned, _) = token.rsplit_once('.').unwrap();
            assert_eq!(key.public().verified::<Value>(&format!("{unsigned}.")), None);
        }
    }

    #[test]
    fn a_key_verifies_in_its_own_way_alone() {
        let [ed, ec] =
            [Algorithm::EdDsa, Algorithm::Es256].map(|algorithm| PrivateKey::generate(algorithm).unwrap());
        let signed_by_ed = ed.signed("key", &json!({})).unwrap();
        let of_the_other = ec.signed("key", &json!({})).unwrap();

        assert_eq!(ec.public().verified::<Value>(&signed_by_ed), None);
        assert_eq!(ed.public().verified::<Value>(&of_the_other), None);
    }
}
