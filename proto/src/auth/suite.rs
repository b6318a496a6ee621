//! The contract of [`Auth`] as tests, for every implementation and across gRPC.

// This is test code in a library: a broken expectation ends the test.
#![allow(clippy::expect_used)]

use std::sync::Arc;

use oci::Scope;
use secrecy::SecretString;

use super::{Auth, AuthError, Claims, Credentials, IssuedToken, Offline, Subject, TokenRequest};

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
    who_wants_to_come_back_can_and_others_cannot(&harness).await;
}

impl Harness {
    async fn ask(&self, credentials: Option<(&str, &str)>, scopes: &str) -> Result<IssuedToken, AuthError> {
        let credentials = credentials.map(|(username, password)| Credentials {
            username: username.to_owned(),
            password: SecretString::from(password),
        });
        let scopes = Scope::parse_list(scopes);
        let (service, offline) = (self.service.clone(), Offline::Not);
        let request = TokenRequest { credentials, service, scopes, address: None, offline };
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
    let (service, offline) = ("elsewhere".to_owned(), Offline::Not);
    let request = TokenRequest { credentials: None, service, scopes: vec![], address: None, offline };
    let refused = harness.auth.token(request).await.map(|_| ());
    assert_eq!(
        refused,
        Err(AuthError::UnknownService { asked: "elsewhere".into(), known: harness.service.clone() })
    );
}

async fn the_keys_verify_what_was_signed(harness: &Harness) {
    use secrecy::ExposeSecret as _;

    let issued = harness.ask_as_administrator("repository:shut/app:pull").await;
    let keys = harness.auth.keys().await.expect("keys");

    let token = issued.token.expose_secret();
    let named = service_kit::jose::named_key(token).expect("a token names its key");
    let key = keys.iter().find(|key| key.id.0 == named).expect("it is told");
    assert!(key.public_key.verified::<Claims>(token).is_some(), "the key does not verify the token");
}

async fn who_wants_to_come_back_can_and_others_cannot(harness: &Harness) {
    use secrecy::ExposeSecret as _;

    let shown = Credentials { username: harness.username.clone(), password: harness.password.clone() };
    let ask = async |credentials: Option<Credentials>, offline| {
        let scopes = Scope::parse_list("repository:shut/app:pull");
        let service = harness.service.clone();
        let request = TokenRequest { credentials, service, scopes, address: None, offline };
        harness.auth.token(request).await.expect("a token")
    };
    assert!(ask(Some(shown.clone()), Offline::Not).await.refresh_token.is_none());
    assert!(ask(None, Offline::Wanted).await.refresh_token.is_none());

    let refresh_token = ask(Some(shown), Offline::Wanted).await.refresh_token.expect("a refresh token");
    assert_ne!(refresh_token.expose_secret(), harness.password.expose_secret());
    let back =
        ask(Some(Credentials { username: String::new(), password: refresh_token }), Offline::Not).await;
    assert_eq!(written(&back), "repository:shut/app:pull");
    assert_eq!(back.subject.to_string(), harness.username);
}
