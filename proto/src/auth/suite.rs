//! The contract of [`Auth`] as tests, for every implementation and across gRPC.

// This is test code in a library: a broken expectation ends the test.
#![allow(clippy::expect_used)]

use std::sync::Arc;

use oci::Scope;
use secrecy::SecretString;

use super::{Auth, AuthError, Credentials, IssuedToken, Subject, TokenRequest};

/// What the suite runs on: an administrator and nobody else, a public repository `open/app` and a private one,
/// `shut/app`.
#[derive(Clone)]
pub struct Harness {
    /// The implementation.
    pub auth: Arc<dyn Auth>,
    /// The name of its service.
    pub service: String,
    /// The administrator's name.
    pub username: String,
    /// The administrator's password.
    pub password: SecretString,
}

impl std::fmt::Debug for Harness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Harness").finish_non_exhaustive()
    }
}

/// Runs every case.
pub async fn run(harness: Harness) {
    an_administrator_gets_what_was_asked(&harness).await;
    anonymous_gets_what_is_public(&harness).await;
    less_than_was_asked_is_no_error(&harness).await;
    wrong_credentials_are_refused_alike(&harness).await;
    another_registry_is_refused(&harness).await;
    the_keys_verify_what_was_signed(&harness).await;
}

impl Harness {
    async fn ask(&self, credentials: Option<(&str, &str)>, scopes: &str) -> Result<IssuedToken, AuthError> {
        let credentials = credentials.map(|(username, password)| Credentials {
            username: username.to_owned(),
            password: SecretString::from(password),
        });
        let scopes = Scope::parse_list(scopes);
        let request = TokenRequest { credentials, service: self.service.clone(), scopes, address: None };
        self.auth.token(request).await
    }

    async fn ask_as_administrator(&self, scopes: &str) -> IssuedToken {
        use secrecy::ExposeSecret as _;
        let credentials = Some((self.username.as_str(), self.password.expose_secret()));
        self.ask(credentials, scopes).await.expect("the administrator is let in")
    }
}

fn written(issued: &IssuedToken) -> String {
    issued.scopes.iter().map(Scope::to_string).collect::<Vec<_>>().join(" ")
}

async fn an_administrator_gets_what_was_asked(harness: &Harness) {
    let asked = "repository:shut/app:pull,push repository:new/app:push registry:catalog:*";
    let issued = harness.ask_as_administrator(asked).await;

    assert_eq!(written(&issued), asked);
    assert_eq!(issued.subject, Subject::User(harness.username.parse().expect("a name")));
    assert!((60..=300).contains(&issued.expires_in.as_secs()));
}

async fn anonymous_gets_what_is_public(harness: &Harness) {
    let asked = "repository:open/app:pull,push repository:shut/app:pull repository:none/app:pull";
    let issued = harness.ask(None, asked).await.expect("anonymous is a subject");

    assert_eq!(written(&issued), "repository:open/app:pull");
    assert_eq!(issued.subject, Subject::Anonymous);
}

async fn less_than_was_asked_is_no_error(harness: &Harness) {
    let issued = harness.ask(None, "repository:shut/app:pull").await.expect("a token without rights");
    assert_eq!(written(&issued), "");
}

async fn wrong_credentials_are_refused_alike(harness: &Harness) {
    for (username, password) in [
        (harness.username.as_str(), "wrong"),
        (harness.username.as_str(), ""),
        ("nobody", "wrong"),
        ("No Name At All", "wrong"),
        ("", ""),
    ] {
        let refused = harness.ask(Some((username, password)), "repository:open/app:pull").await;
        assert_eq!(refused.map(|_| ()), Err(AuthError::WrongCredentials), "{username}");
    }
}

async fn another_registry_is_refused(harness: &Harness) {
    let request =
        TokenRequest { credentials: None, service: "elsewhere".to_owned(), scopes: vec![], address: None };
    let refused = harness.auth.token(request).await.map(|_| ());
    assert_eq!(
        refused,
        Err(AuthError::UnknownService { asked: "elsewhere".into(), known: harness.service.clone() })
    );
}

async fn the_keys_verify_what_was_signed(harness: &Harness) {
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
    use secrecy::ExposeSecret as _;

    let issued = harness.ask_as_administrator("repository:shut/app:pull").await;
    let keys = harness.auth.keys().await.expect("keys");

    let token = issued.token.expose_secret();
    let (signed, signature) = token.rsplit_once('.').expect("a signature");
    let signature = decoded(signature);
    let verified = keys.iter().any(|key| {
        UnparsedPublicKey::new(&ED25519, key.public_key).verify(signed.as_bytes(), &signature).is_ok()
    });
    assert!(verified, "none of {} keys verifies the token", keys.len());
}

/// RFC 4648 §5, without padding. Written out because no other part of this crate needs it.
fn decoded(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for character in text.bytes() {
        let value = ALPHABET.iter().position(|other| *other == character).expect("base64url");
        bits = (bits << 6) | u32::try_from(value).expect("six bits");
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xff).expect("eight bits"));
        }
    }
    bytes
}
