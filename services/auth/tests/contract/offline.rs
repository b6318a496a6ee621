//! Refresh tokens: who gets one, what it may, and when it ends.

use std::{sync::Arc, time::Duration};

use auth::Service;
use oci::{AccountName, Scope};
use proto::{
    auth::{
        Auth as _, AuthError, Credentials as Given, Identities as _, IdentityError, IssuedToken, Offline,
        TokenRequest,
        identities::{Asker, Deed, IssuedCredential, NewAccount, PasswordChange, WantedCredential},
    },
    metadata::{
        Credentials as _, Standing, Via,
        accounts::Role,
        credentials::{CredentialOwner, Holder, LONGEST_ABSENCE, Limits, Permission, RepositoryPattern},
        organizations::{Level, MemberRole},
    },
};
use secrecy::{ExposeSecret as _, SecretString};
use service_kit::clock::Clock as _;

use crate::{memory::MemoryMetadata, with_administrator};

const PASSWORD: &str = "a long one for tests";
const APP: &str = "repository:team/app:pull,push";

struct World {
    metadata: Arc<MemoryMetadata>,
    service: Service,
}

/// With `ann`, who writes to `team/app`.
async fn world() -> World {
    let metadata: Arc<MemoryMetadata> = Arc::default();
    let (service, administrator) = with_administrator(&metadata).await;
    let (password, email) = (PASSWORD.into(), String::new());
    let account = NewAccount { name: ann(), password, email, role: Role::User, invitation: None };
    service.sign_up(&asker("admin", administrator.expose_secret()), &account).await.unwrap();
    metadata.state().members.insert(("team".to_owned(), ann()), MemberRole::Member);
    metadata.state().levels.insert(("team/app".to_owned(), ann()), Level::Write);
    World { metadata, service }
}

fn ann() -> AccountName {
    "ann".parse().unwrap()
}

fn asker(username: &str, password: &str) -> Asker {
    let credentials = Given { username: username.to_owned(), password: password.into() };
    Asker { credentials: Some(credentials), address: "192.0.2.1".parse().ok(), via: Via::Api }
}

impl World {
    async fn ask(&self, username: &str, password: &str, offline: Offline) -> Result<IssuedToken, AuthError> {
        let Asker { credentials, address, .. } = asker(username, password);
        let (service, scopes) = ("bucket".to_owned(), Scope::parse_list(APP));
        self.service.token(TokenRequest { credentials, service, scopes, address, offline }).await
    }

    async fn log_in(&self, password: &str) -> Option<SecretString> {
        self.ask("ann", password, Offline::Wanted).await.unwrap().refresh_token
    }

    /// What is granted to who comes back with it.
    async fn come_back(&self, refresh_token: &SecretString) -> Result<String, AuthError> {
        let issued = self.ask("", refresh_token.expose_secret(), Offline::Wanted).await?;
        assert!(issued.refresh_token.is_none(), "whoever has one keeps it");
        Ok(issued.scopes.iter().map(Scope::to_string).collect::<Vec<_>>().join(" "))
    }

    async fn access_token(&self, limits: Limits, expires: Option<jiff::Timestamp>) -> IssuedCredential {
        let wanted = WantedCredential { robot: None, label: "laptop".to_owned(), limits, expires };
        self.service.issue_credential(&asker("ann", PASSWORD), &wanted).await.unwrap()
    }

    async fn revoke(&self, issued: &IssuedCredential) {
        let owner = CredentialOwner::User(ann());
        let actor = proto::metadata::Actor::service();
        self.metadata.revoke_credential(&owner, &issued.credential.id, &actor).await.unwrap();
    }
}

fn limited(actions: &[Permission], repositories: &[&str]) -> Limits {
    let pattern = |text: &&str| RepositoryPattern::try_from((*text).to_owned()).unwrap();
    Limits {
        repositories: repositories.iter().map(pattern).collect(),
        actions: actions.iter().copied().collect(),
    }
}

#[tokio::test]
async fn it_stands_for_the_password_and_manages_nothing() {
    let world = world().await;
    assert!(world.ask("ann", PASSWORD, Offline::Not).await.unwrap().refresh_token.is_none());
    let token = world.log_in(PASSWORD).await.unwrap();
    assert!(token.expose_secret().starts_with("bucket_refresh_"));

    assert_eq!(world.come_back(&token).await.unwrap(), APP);
    let named = world.ask("ann", token.expose_secret(), Offline::Not).await.unwrap();
    assert_eq!(named.scopes.len(), 1);
    let other = world.ask("bob", token.expose_secret(), Offline::Not).await.map(drop);
    assert_eq!(other, Err(AuthError::WrongCredentials), "it is ann's");

    let asker = asker("ann", token.expose_secret());
    for deed in [Deed::ManageAccount(ann()), Deed::CreateOrganization] {
        let refused = world.service.authorize(&asker, &deed).await.map(drop);
        assert!(matches!(refused, Err(IdentityError::Forbidden { .. })), "{refused:?}");
    }
    assert!(world.service.sign_in(&asker, None).await.is_err());
}

#[tokio::test]
async fn nobody_in_particular_and_who_is_no_user_gets_none() {
    let world = world().await;
    let scopes = Vec::new();
    let request = TokenRequest {
        credentials: None,
        service: String::new(),
        scopes,
        address: None,
        offline: Offline::Wanted,
    };
    assert!(world.service.token(request).await.unwrap().refresh_token.is_none());

    let session = world.service.sign_in(&asker("ann", PASSWORD), None).await.unwrap();
    assert!(world.log_in(session.secret.expose_secret()).await.is_none());
    let managing = world.access_token(limited(&[Permission::Manage], &[]), None).await;
    assert!(world.log_in(managing.secret.expose_secret()).await.is_none(), "it would be good for nothing");
    let wrong = world.ask("ann", "not the password", Offline::Wanted).await.map(drop);
    assert_eq!(wrong, Err(AuthError::WrongCredentials));
    assert!(world.metadata.state().credentials.iter().all(|(_, kept)| !is_client(&kept.holder)));
}

fn is_client(holder: &Holder) -> bool {
    matches!(holder, Holder::Offline { .. })
}

#[tokio::test]
async fn through_an_access_token_it_may_no_more_and_lives_no_longer() {
    let world = world().await;
    let ends = world.metadata.clock.now() + Duration::from_hours(1);
    let limits = limited(&[Permission::Pull, Permission::Manage], &["team/*"]);
    let access_token = world.access_token(limits, Some(ends)).await;
    let token = world.log_in(access_token.secret.expose_secret()).await.unwrap();

    assert_eq!(world.come_back(&token).await.unwrap(), "repository:team/app:pull");
    let kept = world.metadata.state().credentials.last().unwrap().1.clone();
    assert_eq!(kept.limits, limited(&[Permission::Pull], &["team/*"]));
    assert_eq!(kept.expires, Some(ends));

    let changed = PasswordChange { name: ann(), old: Some(PASSWORD.into()), new: "another long one".into() };
    world.service.change_password(&asker("ann", PASSWORD), &changed).await.unwrap();
    assert!(world.come_back(&token).await.is_ok(), "an access token outlives a password");
    world.revoke(&access_token).await;
    assert_eq!(world.come_back(&token).await, Err(AuthError::WrongCredentials));
}

#[tokio::test]
async fn it_ends_with_the_password_with_the_account_and_when_nobody_comes_back() {
    let world = world().await;
    let token = world.log_in(PASSWORD).await.unwrap();
    world.metadata.clock.advance(LONGEST_ABSENCE.saturating_sub(Duration::from_secs(1)));
    assert!(world.come_back(&token).await.is_ok());
    world.metadata.clock.advance(Duration::from_secs(1));
    assert_eq!(world.come_back(&token).await, Err(AuthError::WrongCredentials));

    let token = world.log_in(PASSWORD).await.unwrap();
    let stand = |standing| {
        world.metadata.state().accounts.get_mut(&ann()).unwrap().standing = standing;
    };
    stand(Standing::Disabled);
    assert_eq!(world.come_back(&token).await, Err(AuthError::WrongCredentials));
    stand(Standing::Active);
    assert!(world.come_back(&token).await.is_ok());

    let changed = PasswordChange { name: ann(), old: Some(PASSWORD.into()), new: "another long one".into() };
    world.service.change_password(&asker("ann", PASSWORD), &changed).await.unwrap();
    assert_eq!(world.come_back(&token).await, Err(AuthError::WrongCredentials));
}

#[tokio::test]
async fn who_guesses_refresh_tokens_is_slowed_down() {
    let world = world().await;
    let mut wrong = 0;
    for number in 0..100 {
        let guess = SecretString::from(format!("bucket_refresh_{number:064}"));
        match world.come_back(&guess).await {
            Err(AuthError::WrongCredentials) => wrong += 1,
            Err(AuthError::Throttled { .. }) => break,
            other => panic!("{other:?}"),
        }
    }
    assert!((10..100).contains(&wrong), "{wrong} guesses were looked at");
}
