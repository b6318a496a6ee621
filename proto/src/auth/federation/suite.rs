//! What every implementation of `Federation` does, as tests. The harness says what the providers and issuers of elsewhere
//! say: `acme` makes accounts, `corp` lets in who is in the group `devs` and makes none.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this module is a test"
)]

use std::sync::Arc;

use oci::AccountName;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::{
    BegunFlow, Federation, FinishedFlow, FlowOutcome, FlowPurpose, ReturnPath, ReturnedFlow, WantedFlow,
    WantedTrust, Workload,
};
use crate::{
    auth::{
        Credentials, Identities, Subject,
        identities::{Asker, Deed, IdentityError, IssuedCredential, NewAccount},
    },
    metadata::{
        FederatedIdentities, Via,
        accounts::Role,
        credentials::{Credential, Holder, Limits, Permission, Trust},
    },
};

/// What the suite runs on: a hub with one administrator and the providers `acme` and `corp`.
pub struct Harness {
    /// The implementation.
    pub federation: Arc<dyn Federation>,
    /// The same service's.
    pub identities: Arc<dyn Identities>,
    /// What metadata keeps of it.
    pub kept: Arc<dyn FederatedIdentities>,
    /// What others say.
    pub elsewhere: Arc<dyn Elsewhere>,
    /// The administrator's name.
    pub username: String,
    /// The administrator's password.
    pub password: SecretString,
}

/// What is said elsewhere, as a test wants it.
pub trait Elsewhere: Send + Sync {
    /// Both providers give a token of these claims for a code; issuer, audience and times are added.
    fn gives(&self, code: &str, claims: Value);

    /// A token of a workload with these claims; issuer and times are added.
    fn workload(&self, claims: Value) -> SecretString;

    /// Who signs those.
    fn issuer(&self) -> String;
}

impl std::fmt::Debug for Harness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Harness").finish_non_exhaustive()
    }
}

/// Runs every case.
///
/// # Panics
/// If the implementation does not do what the contract says.
pub async fn run(harness: Harness) {
    providers_are_those_that_are_configured(&harness).await;
    the_first_sign_in_makes_a_user_and_the_next_finds_it(&harness).await;
    a_flow_is_finished_by_the_browser_that_began_it(&harness).await;
    what_a_provider_does_not_say_is_not_believed(&harness).await;
    a_name_that_somebody_has_is_not_taken_over(&harness).await;
    who_links_an_identity_signs_in_by_it(&harness).await;
    an_identity_is_linked_in_a_session_that_lasts(&harness).await;
    a_workload_gets_a_secret_for_its_token(&harness).await;
    a_workload_that_no_trust_is_about_gets_none(&harness).await;
    trusts_are_made_by_who_manages_and_in_issuers_that_the_operator_names(&harness).await;
}

const PASSWORD: &str = "a suite of long passwords";

fn nobody() -> Asker {
    Asker { credentials: None, address: None, via: Via::Api }
}

fn as_who(username: &str, password: &str) -> Asker {
    let credentials = Credentials { username: username.to_owned(), password: password.into() };
    Asker { credentials: Some(credentials), address: None, via: Via::Api }
}

fn with(issued: &IssuedCredential) -> Asker {
    as_who("", issued.secret.expose_secret())
}

fn wanted(provider: &str, purpose: FlowPurpose) -> WantedFlow {
    WantedFlow {
        provider: provider.parse().unwrap(),
        purpose,
        redirect_uri: "https://hub.example.com/back".to_owned(),
        return_to: "/x?y".parse().unwrap(),
        password: Some(PASSWORD.into()),
    }
}

/// A parameter of where a browser was sent.
fn parameter(begun: &BegunFlow, name: &str) -> String {
    let query = begun.url.split_once('?').unwrap().1;
    let found = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
    found.unwrap_or_else(|| panic!("no {name} in {}", begun.url)).to_owned()
}

fn returned(provider: &str, begun: &BegunFlow, code: &str) -> ReturnedFlow {
    ReturnedFlow {
        provider: provider.parse().unwrap(),
        sealed: begun.sealed.clone(),
        state: parameter(begun, "state"),
        answer: Ok(code.into()),
        issuer: None,
        address: None,
    }
}

fn signed_in(finished: FinishedFlow) -> (AccountName, IssuedCredential) {
    assert_eq!(finished.return_to, "/x?y".parse::<ReturnPath>().unwrap());
    match finished.outcome {
        FlowOutcome::SignedIn(user, issued) => (user, *issued),
        FlowOutcome::Linked(user) => panic!("{user} was linked"),
    }
}

fn trust(harness: &Harness, claims: &Value) -> Trust {
    let issuer = harness.elsewhere.issuer();
    serde_json::from_value(json!({ "issuer": issuer, "audience": "hub", "claims": claims })).unwrap()
}

fn of_robot(robot: &str, trust: Trust) -> WantedTrust {
    let limits = Limits { repositories: Vec::new(), actions: [Permission::Pull, Permission::Push].into() };
    WantedTrust { robot: robot.parse().unwrap(), label: "deploys".to_owned(), trust, limits }
}

impl Harness {
    async fn user(&self, name: &str) -> Asker {
        let administrator = as_who(&self.username, self.password.expose_secret());
        let account = NewAccount {
            name: name.parse().unwrap(),
            password: PASSWORD.into(),
            email: String::new(),
            role: Role::User,
            invitation: None,
        };
        self.identities.sign_up(&administrator, &account).await.unwrap();
        as_who(name, PASSWORD)
    }

    async fn begun(&self, asker: &Asker, provider: &str, purpose: FlowPurpose) -> BegunFlow {
        self.federation.begin(asker, &wanted(provider, purpose)).await.unwrap()
    }

    /// Goes the way of somebody whom the provider knows.
    async fn over(
        &self,
        provider: &str,
        (asker, purpose): (&Asker, FlowPurpose),
        mut claims: Value,
    ) -> Result<FinishedFlow, IdentityError> {
        let begun = self.begun(asker, provider, purpose).await;
        claims["nonce"] = parameter(&begun, "nonce").into();
        let code = format!("code-{}", parameter(&begun, "state"));
        self.elsewhere.gives(&code, claims);
        self.federation.finish(&returned(provider, &begun, &code)).await
    }

    async fn sign_in(&self, provider: &str, claims: Value) -> Result<FinishedFlow, IdentityError> {
        self.over(provider, (&nobody(), FlowPurpose::SignIn), claims).await
    }

    async fn may(&self, asker: &Asker, deed: &Deed) -> bool {
        self.identities.authorize(asker, deed).await.is_ok()
    }

    async fn exchange(&self, robot: &str, claims: Value) -> Result<SecretString, IdentityError> {
        let token = self.elsewhere.workload(claims);
        let workload = Workload { robot: robot.parse().unwrap(), token, address: None };
        Ok(self.federation.exchange(&workload).await?.secret)
    }
}

async fn providers_are_those_that_are_configured(harness: &Harness) {
    let providers = harness.federation.providers().await.unwrap();
    let told: Vec<_> = providers.iter().map(|it| (it.name.to_string(), it.label.as_str())).collect();
    assert_eq!(told, [("acme".to_owned(), "Acme"), ("corp".to_owned(), "corp")]);

    let unknown = harness.federation.begin(&nobody(), &wanted("nobody", FlowPurpose::SignIn)).await;
    let expected = IdentityError::ProviderUnknown { provider: "nobody".parse().unwrap() };
    assert_eq!(unknown.map(|_| ()), Err(expected.clone()));
    let begun = harness.begun(&nobody(), "acme", FlowPurpose::SignIn).await;
    assert_eq!(parameter(&begun, "response_type"), "code");
    assert_eq!(parameter(&begun, "code_challenge_method"), "S256");
    assert_eq!(parameter(&begun, "redirect_uri"), "https%3A%2F%2Fhub.example.com%2Fback");
    assert!(parameter(&begun, "scope").starts_with("openid"));
    let elsewhere = harness.federation.finish(&returned("nobody", &begun, "code")).await;
    assert_eq!(elsewhere.map(|_| ()), Err(expected));
}

async fn the_first_sign_in_makes_a_user_and_the_next_finds_it(harness: &Harness) {
    let claims = json!({ "sub": "1", "preferred_username": "Si.Ann", "email": "ann@example.com" });
    let (user, issued) = signed_in(harness.sign_in("acme", claims).await.unwrap());
    assert_eq!(user.as_str(), "si.ann");
    assert_eq!(issued.credential.holder, Holder::Session(user.clone()));
    assert!(harness.may(&with(&issued), &Deed::ManageAccount(user.clone())).await);
    for password in ["", "!"] {
        assert!(!harness.may(&as_who("si.ann", password), &Deed::SignedIn).await, "it has no password");
    }

    // It is who it is by its issuer's word for it, whatever else changes.
    let renamed = json!({ "sub": "1", "preferred_username": "bob", "email": "ann@example.org" });
    let (again, second) = signed_in(harness.sign_in("acme", renamed).await.unwrap());
    assert_eq!(again, user);
    assert_ne!(second.credential.id, issued.credential.id);
    let other = json!({ "sub": "2", "preferred_username": "si-other", "email": "ann@example.com" });
    let (other, _) = signed_in(harness.sign_in("acme", other).await.unwrap());
    assert_eq!(other.as_str(), "si-other", "an e-mail address is no identity");
}

async fn a_flow_is_finished_by_the_browser_that_began_it(harness: &Harness) {
    let (begun, other) = (
        harness.begun(&nobody(), "acme", FlowPurpose::SignIn).await,
        harness.begun(&nobody(), "acme", FlowPurpose::SignIn).await,
    );
    let claims = json!({ "sub": "fl", "preferred_username": "fl-ann", "nonce": parameter(&begun, "nonce") });
    harness.elsewhere.gives("fl", claims);
    let good = returned("acme", &begun, "fl");
    let state = parameter(&other, "state");
    for bad in [
        ReturnedFlow { sealed: other.sealed.clone(), ..good.clone() },
        ReturnedFlow { sealed: "".into(), ..good.clone() },
        ReturnedFlow { sealed: "not sealed".into(), ..good.clone() },
        ReturnedFlow { state, ..good.clone() },
        ReturnedFlow { state: String::new(), ..good.clone() },
        ReturnedFlow { provider: "corp".parse().unwrap(), ..good.clone() },
        ReturnedFlow { issuer: Some("https://eve.example.com".to_owned()), ..good.clone() },
    ] {
        let refused = harness.federation.finish(&bad).await.map(|_| ());
        assert!(matches!(refused, Err(IdentityError::FlowInvalid { .. })), "{bad:?}: {refused:?}");
    }
    // Its own state, and a code that was given in another flow.
    let mixed = harness.federation.finish(&returned("acme", &other, "fl")).await.map(|_| ());
    assert!(matches!(mixed, Err(IdentityError::ProviderRefused { .. })), "{mixed:?}");
    harness.federation.finish(&good).await.unwrap();
}

async fn what_a_provider_does_not_say_is_not_believed(harness: &Harness) {
    let begun = harness.begun(&nobody(), "acme", FlowPurpose::SignIn).await;
    let denied = ReturnedFlow { answer: Err("access_denied".to_owned()), ..returned("acme", &begun, "") };
    let refused = harness.federation.finish(&denied).await.map(|_| ());
    let why = "access_denied".to_owned();
    assert_eq!(refused, Err(IdentityError::ProviderRefused { provider: "acme".parse().unwrap(), why }));

    let unknown = harness.federation.finish(&returned("acme", &begun, "no such code")).await.map(|_| ());
    assert!(matches!(unknown, Err(IdentityError::ProviderRefused { .. })), "{unknown:?}");
    for claims in [
        json!({ "sub": "be", "aud": "another", "preferred_username": "be-ann" }),
        json!({ "sub": "be", "iss": "https://eve.example.com", "preferred_username": "be-ann" }),
        json!({ "sub": "be", "exp": 1, "preferred_username": "be-ann" }),
        json!({ "sub": "", "preferred_username": "be-ann" }),
        json!({ "preferred_username": "be-ann" }),
    ] {
        let refused = harness.sign_in("acme", claims.clone()).await.map(|_| ());
        assert!(matches!(refused, Err(IdentityError::ProviderRefused { .. })), "{claims}: {refused:?}");
    }
    let outsider = json!({ "sub": "be", "groups": ["ops"] });
    let refused = harness.sign_in("corp", outsider).await.map(|_| ());
    assert!(matches!(refused, Err(IdentityError::ProviderRefused { .. })), "{refused:?}");
}

async fn a_name_that_somebody_has_is_not_taken_over(harness: &Harness) {
    let ann = harness.user("ta-ann").await;
    for name in ["ta-ann", "users", "", "日本"] {
        let claims = json!({ "sub": "ta", "preferred_username": name });
        let refused = harness.sign_in("acme", claims).await.map(|_| ());
        assert!(matches!(refused, Err(IdentityError::LinkNeeded { .. })), "{name}: {refused:?}");
    }
    let none_made = json!({ "sub": "ta", "groups": ["devs"], "preferred_username": "ta-new" });
    let refused = harness.sign_in("corp", none_made).await.map(|_| ());
    assert!(matches!(refused, Err(IdentityError::LinkNeeded { .. })), "{refused:?}");
    assert!(harness.may(&ann, &Deed::SignedIn).await);
}

async fn who_links_an_identity_signs_in_by_it(harness: &Harness) {
    let ann = harness.user("li-ann").await;
    let session = harness.identities.sign_in(&ann, None).await.unwrap();
    let claims = json!({ "sub": "li", "groups": ["ops", "devs"], "preferred_username": "Ann of Corp" });
    let link = (&with(&session), FlowPurpose::Link);
    let linked = harness.over("corp", link, claims.clone()).await.unwrap();
    let name: AccountName = "li-ann".parse().unwrap();
    assert!(matches!(linked.outcome, FlowOutcome::Linked(user) if user == name));

    let kept = harness.kept.identities(&name).await.unwrap();
    assert_eq!((kept.len(), kept[0].label.as_str()), (1, "Ann of Corp"));
    assert_eq!(signed_in(harness.sign_in("corp", claims.clone()).await.unwrap()).0, name);
    let bob = harness.user("li-bob").await;
    let bob = harness.identities.sign_in(&bob, None).await.unwrap();
    let taken = harness.over("corp", (&with(&bob), FlowPurpose::Link), claims).await.map(|_| ());
    assert_eq!(taken, Err(IdentityError::IdentityTaken));
}

async fn an_identity_is_linked_in_a_session_that_lasts(harness: &Harness) {
    let ann = harness.user("ls-ann").await;
    let attempt = async |asker: &Asker| {
        harness.federation.begin(asker, &wanted("acme", FlowPurpose::Link)).await.map(|_| ())
    };
    assert!(matches!(attempt(&nobody()).await, Err(IdentityError::SignInNeeded { .. })));
    assert!(matches!(attempt(&ann).await, Err(IdentityError::Forbidden { .. })), "a password is no session");
    assert_eq!(attempt(&as_who("ls-ann", "wrong")).await, Err(IdentityError::WrongCredentials));

    let session = harness.identities.sign_in(&ann, None).await.unwrap();
    let begun = harness.begun(&with(&session), "acme", FlowPurpose::Link).await;
    harness.elsewhere.gives("ls", json!({ "sub": "ls", "nonce": parameter(&begun, "nonce") }));
    let change = crate::auth::identities::PasswordChange {
        name: "ls-ann".parse().unwrap(),
        old: Some(PASSWORD.into()),
        new: "another long one".into(),
    };
    harness.identities.change_password(&ann, &change).await.unwrap();
    let ended = harness.federation.finish(&returned("acme", &begun, "ls")).await.map(|_| ());
    assert!(matches!(ended, Err(IdentityError::FlowInvalid { .. })), "{ended:?}");
    assert_eq!(harness.kept.identities(&"ls-ann".parse().unwrap()).await.unwrap(), []);
}

async fn made(harness: &Harness, asker: &Asker, robot: &str, claims: &Value) -> Credential {
    let wanted = of_robot(robot, trust(harness, claims));
    harness.federation.trust(asker, &wanted).await.unwrap()
}

async fn a_workload_gets_a_secret_for_its_token(harness: &Harness) {
    let ann = harness.user("wo-ann").await;
    let made = made(harness, &ann, "wo-ann+ci", &json!({ "sub": "repo:acme/*", "ref": "main" })).await;
    assert!(made.trust.is_some() && made.expires.is_none());

    let claims = json!({ "aud": ["hub", "others"], "sub": "repo:acme/app", "ref": "main" });
    let secret = harness.exchange("wo-ann+ci", claims.clone()).await.unwrap();
    assert!(secret.expose_secret().starts_with("bucket_workload_"));
    harness.exchange("wo-ann+ci", claims).await.unwrap();

    let ci = as_who("wo-ann+ci", secret.expose_secret());
    let write = |repository: &str| Deed::WriteRepository(repository.parse().unwrap());
    let permit = harness.identities.authorize(&ci, &write("wo-ann/app")).await.unwrap();
    assert_eq!(permit.subject, Subject::Robot("wo-ann+ci".parse().unwrap()));
    assert_eq!(permit.credential, Some(made.id), "it ends with its trust");
    assert!(!harness.may(&ci, &write("open/app")).await);
    assert!(!harness.may(&ci, &Deed::ManageNamespace("wo-ann".parse().unwrap())).await);
    assert!(!harness.may(&as_who("wo-ann+other", secret.expose_secret()), &Deed::SignedIn).await);
    let mut forged = secret.expose_secret().to_owned();
    forged.replace_range(30..31, if &forged[30..31] == "A" { "B" } else { "A" });
    assert!(!harness.may(&as_who("wo-ann+ci", &forged), &Deed::SignedIn).await);
}

async fn a_workload_that_no_trust_is_about_gets_none(harness: &Harness) {
    let ann = harness.user("no-ann").await;
    let _ = made(harness, &ann, "no-ann+ci", &json!({ "sub": "repo:acme/app" })).await;
    let good = json!({ "aud": "hub", "sub": "repo:acme/app" });
    harness.exchange("no-ann+ci", good.clone()).await.unwrap();

    let mut told = Vec::new();
    for (robot, claims) in [
        ("no-ann+ci", json!({ "aud": "another", "sub": "repo:acme/app" })),
        ("no-ann+ci", json!({ "aud": "hub", "sub": "repo:acme/app2" })),
        ("no-ann+ci", json!({ "aud": "hub" })),
        ("no-ann+ci2", good.clone()),
        ("no-eve+ci", good.clone()),
    ] {
        let refused = harness.exchange(robot, claims.clone()).await.map(|_| ());
        let Err(IdentityError::WorkloadRefused { why }) = refused else { panic!("{claims}: {refused:?}") };
        told.push(why.replace(robot, "ROBOT"));
    }
    told.dedup();
    assert_eq!(told.len(), 1, "whether there is such a robot is not told: {told:?}");

    for claims in [
        json!({ "aud": "hub", "sub": "repo:acme/app", "exp": 1 }),
        json!({ "aud": "hub", "sub": "repo:acme/app", "iss": "https://eve.example.com" }),
    ] {
        let refused = harness.exchange("no-ann+ci", claims.clone()).await.map(|_| ());
        assert!(matches!(refused, Err(IdentityError::WorkloadRefused { .. })), "{claims}: {refused:?}");
    }
    let none = Workload { robot: "no-ann+ci".parse().unwrap(), token: "no token".into(), address: None };
    let refused = harness.federation.exchange(&none).await.map(|_| ());
    assert!(matches!(refused, Err(IdentityError::WorkloadRefused { .. })), "{refused:?}");
}

async fn trusts_are_made_by_who_manages_and_in_issuers_that_the_operator_names(harness: &Harness) {
    let (ann, bob) = (harness.user("tr-ann").await, harness.user("tr-bob").await);
    let ours = of_robot("tr-ann+ci", trust(harness, &json!({ "sub": "x" })));
    let make =
        async |asker: &Asker, wanted: &WantedTrust| harness.federation.trust(asker, wanted).await.map(|_| ());
    assert!(matches!(make(&nobody(), &ours).await, Err(IdentityError::SignInNeeded { .. })));
    assert!(matches!(make(&bob, &ours).await, Err(IdentityError::Hidden { .. })));

    let issuer = "https://eve.example.com".parse().unwrap();
    let foreign = WantedTrust { trust: Trust { issuer, ..ours.trust.clone() }, ..ours.clone() };
    let managing = Limits { actions: [Permission::Manage].into(), ..ours.limits.clone() };
    for bad in [foreign, WantedTrust { limits: managing, ..ours.clone() }] {
        let refused = make(&ann, &bad).await;
        assert!(matches!(refused, Err(IdentityError::CredentialRefused { .. })), "{bad:?}: {refused:?}");
    }
    make(&ann, &ours).await.unwrap();
    let exists = IdentityError::CredentialExists { name: "tr-ann+ci".parse().unwrap() };
    assert_eq!(make(&ann, &ours).await, Err(exists));
}
