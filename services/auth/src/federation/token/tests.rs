//! Which tokens are believed: one rule of the specifications for each case.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use proto::metadata::credentials::Issuer;
use rstest::rstest;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{Believed, Disbelief, Head, Keys, believed, claimed_issuer};

const NOW: i64 = 1_767_225_600;
const ISSUER: &str = "https://id.example.com";

struct Signer {
    key: EncodingKey,
    public: String,
}

impl Signer {
    fn new() -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let private = pair.to_pkcs8v1().unwrap();
        let public = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        Self { key: EncodingKey::from_ed_der(private.as_ref()), public }
    }

    fn public(&self, kid: &str) -> Value {
        json!({ "kty": "OKP", "crv": "Ed25519", "x": self.public, "kid": kid, "use": "sig", "alg": "EdDSA" })
    }

    fn sign(&self, kid: Option<&str>, claims: &Value) -> SecretString {
        let header = Header { kid: kid.map(str::to_owned), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, claims, &self.key).unwrap().into()
    }
}

fn keys(keys: &[Value]) -> Keys {
    Keys::read(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn claims() -> Value {
    json!({ "iss": ISSUER, "sub": "ann", "aud": "hub", "exp": NOW + 300, "iat": NOW, "nonce": "n" })
}

fn with(name: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims();
    claims[name] = value.into();
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

fn reading(token: &SecretString, keys: &Keys) -> Result<Believed, Disbelief> {
    let issuer: Issuer = ISSUER.parse().unwrap();
    let head = Head::read(token)?;
    believed(token, &head, keys, (&issuer, Timestamp::from_second(NOW).unwrap()))
}

#[rstest]
#[case(claims(), None)]
#[case(with("exp", NOW - 59), None)]
#[case(with("exp", NOW - 60), Some(Disbelief::Expired))]
#[case(with("exp", "soon"), Some(Disbelief::Expired))]
#[case(without("exp"), Some(Disbelief::Expired))]
#[case(with("iat", NOW + 61), Some(Disbelief::Early))]
#[case(with("nbf", NOW + 61), Some(Disbelief::Early))]
#[case(with("nbf", NOW + 60), None)]
#[case(with("iss", "https://id.example.com/"), Some(Disbelief::Issuer))]
#[case(without("iss"), Some(Disbelief::Issuer))]
fn a_token_is_of_its_issuer_and_lives_now(#[case] claims: Value, #[case] expected: Option<Disbelief>) {
    let signer = Signer::new();
    let read = reading(&signer.sign(Some("1"), &claims), &keys(&[signer.public("1")]));
    assert_eq!(read.err(), expected);
}

#[rstest]
#[case(claims(), None)]
#[case(with("aud", json!(["hub"])), None)]
#[case(with("aud", "another"), Some(Disbelief::Audience))]
#[case(with("aud", json!(["another"])), Some(Disbelief::Audience))]
#[case(without("aud"), Some(Disbelief::Audience))]
#[case(with("aud", json!(["hub", "another"])), Some(Disbelief::Audience))]
#[case(with("azp", "hub"), None)]
#[case(with("azp", "another"), Some(Disbelief::Audience))]
#[case(with("azp", 7), Some(Disbelief::Audience))]
#[case(with("nonce", "m"), Some(Disbelief::Nonce))]
#[case(without("nonce"), Some(Disbelief::Nonce))]
fn an_identity_is_given_to_this_client_in_this_flow(
    #[case] claims: Value,
    #[case] expected: Option<Disbelief>,
) {
    let signer = Signer::new();
    let read = reading(&signer.sign(Some("1"), &claims), &keys(&[signer.public("1")])).unwrap();
    assert_eq!(read.given_to("hub", "n").err(), expected);
}

#[test]
fn an_audience_is_shared_with_whom_it_says() {
    let signer = Signer::new();
    let mut claims = with("aud", json!(["hub", "another"]));
    claims["azp"] = "hub".into();
    let read = reading(&signer.sign(Some("1"), &claims), &keys(&[signer.public("1")])).unwrap();
    assert!(read.is_for("another"));
    assert!(read.given_to("hub", "n").is_ok());
}

#[test]
fn a_key_is_found_by_its_name_or_by_being_the_only_one() {
    let (one, two) = (Signer::new(), Signer::new());
    let both = keys(&[one.public("1"), two.public("2")]);
    assert!(reading(&one.sign(Some("1"), &claims()), &both).is_ok());
    assert_eq!(reading(&one.sign(Some("2"), &claims()), &both).err(), Some(Disbelief::Signature));
    assert_eq!(reading(&one.sign(Some("3"), &claims()), &both).err(), Some(Disbelief::UnknownKey));
    assert_eq!(reading(&one.sign(None, &claims()), &both).err(), Some(Disbelief::UnknownKey));
    assert!(reading(&one.sign(None, &claims()), &keys(&[one.public("1")])).is_ok());
}

#[test]
fn keys_that_are_not_for_signatures_are_passed_over() {
    let signer = Signer::new();
    let mut encrypting = signer.public("1");
    encrypting["use"] = "enc".into();
    let odd =
        [json!(7), json!({ "kty": "??" }), json!({ "kty": "oct", "k": "AAAA", "kid": "1" }), encrypting];
    let token = signer.sign(Some("1"), &claims());
    assert_eq!(reading(&token, &keys(&odd)).err(), Some(Disbelief::UnknownKey));
    let others = [&odd[..], &[signer.public("1")]].concat();
    assert!(reading(&token, &keys(&others)).is_ok());
    assert!(Keys::read(b"[]").is_none() && Keys::read(b"").is_none());
}

#[test]
fn nobody_chooses_a_weak_algorithm() {
    let signer = Signer::new();
    let public = keys(&[signer.public("1")]);
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());

    for none in ["none", "None", "NONE", ""] {
        let token = format!("{}.{}.", part(&json!({ "alg": none, "kid": "1" })), part(&claims()));
        assert_eq!(reading(&token.into(), &public).err(), Some(Disbelief::Malformed), "{none}");
    }
    // The public key, which everybody knows, as the secret of an HMAC.
    for secret in [signer.public.clone().into_bytes(), URL_SAFE_NO_PAD.decode(&signer.public).unwrap()] {
        let header = Header { kid: Some("1".to_owned()), ..Header::new(Algorithm::HS256) };
        let token = jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(&secret)).unwrap();
        assert_eq!(reading(&token.into(), &public).err(), Some(Disbelief::Algorithm));
    }
    // A good algorithm, but not that of the key.
    let other = Header { kid: Some("1".to_owned()), ..Header::new(Algorithm::ES256) };
    let pair = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    let token = jsonwebtoken::encode(&other, &claims(), &EncodingKey::from_ec_der(pair.as_ref())).unwrap();
    assert_eq!(reading(&token.into(), &public).err(), Some(Disbelief::UnknownKey));
}

#[test]
fn what_is_no_token_is_none() {
    let long = "x".repeat(17 << 10);
    for text in ["", "a", "a.b", "a.b.c", "..", "bucket_pat_00", &long] {
        assert_eq!(Head::read(&text.into()).err(), Some(Disbelief::Malformed), "{text}");
        assert!(claimed_issuer(&text.into()).is_err());
    }
    let signer = Signer::new();
    assert_eq!(claimed_issuer(&signer.sign(None, &claims())).as_deref(), Ok(ISSUER));
    assert_eq!(claimed_issuer(&signer.sign(None, &without("iss"))), Err(Disbelief::Malformed));
}

#[test]
fn what_was_changed_after_it_was_signed_is_not_believed() {
    use secrecy::ExposeSecret as _;
    let signer = Signer::new();
    let token = signer.sign(Some("1"), &claims());
    let parts: Vec<&str> = token.expose_secret().split('.').collect();
    let forged = URL_SAFE_NO_PAD.encode(with("sub", "admin").to_string());
    let token = format!("{}.{forged}.{}", parts[0], parts[2]);
    assert_eq!(reading(&token.into(), &keys(&[signer.public("1")])).err(), Some(Disbelief::Signature));
}
