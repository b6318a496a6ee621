//! Tokens for access tokens, robots and sessions: what they say, and when there are none.

use std::{sync::Arc, time::Duration};

use auth::Service;
use oci::{AccountName, Scope};
use proto::{
    auth::{
        Auth as _, AuthError, Claims, Credentials as Given, Identities as _, IdentityError, IssuedToken,
        Offline, Subject, TokenRequest,
        identities::{Asker, Deed, IssuedCredential, NewAccount, WantedCredential},
    },
    metadata::{
        Credentials as _, Standing, Via,
        accounts::Role,
        credentials::{CredentialOwner, Limits, MAX_CREDENTIALS, Permission},
        organizations::{Level, MemberRole},
    },
};
use secrecy::ExposeSecret as _;
use service_kit::{clock::Clock as _, shutdown::Shutdown};

use crate::{memory::MemoryMetadata, with_administrator};

const PASSWORD: &str = "a long one for tests";

struct World {
    metadata: Arc<MemoryMetadata>,
    service: Service,
}

/// With `ann`, who writes to `team/app`, as a member of `team`.
async fn world() -> World {
    let metadata: Arc<MemoryMetadata> = Arc::default();
    let (service, administrator) = with_administrator(&metadata).await;
    let account = NewAccount {
        name: ann(),
        password: PASSWORD.into(),
        email: String::new(),
        role: Role::User,
        invitation: None,
    };
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

fn wanted(actions: &[Permission]) -> WantedCredential {
    let limits = Limits { repositories: Vec::new(), actions: actions.iter().copied().collect() };
    WantedCredential { robot: None, label: "for the tests".to_owned(), limits, expires: None }
}

impl World {
    async fn issue(&self, wanted: &WantedCredential) -> IssuedCredential {
        self.service.issue_credential(&asker("ann", PASSWORD), wanted).await.unwrap()
    }

    async fn token(&self, username: &str, password: &str, scope: &str) -> Result<IssuedToken, AuthError> {
        let Asker { credentials, address, .. } = asker(username, password);
        let (service, scopes) = ("bucket".to_owned(), Scope::parse_list(scope));
        let offline = Offline::Not;
        self.service.token(TokenRequest { credentials, service, scopes, address, offline }).await
    }

    /// What a token allows that is given for the secret.
    async fn granted(&self, issued: &IssuedCredential, username: &str, scope: &str) -> String {
        let token = self.token(username, issued.secret.expose_secret(), scope).await.unwrap();
        token.scopes.iter().map(Scope::to_string).collect::<Vec<_>>().join(" ")
    }
}

fn claims(token: &IssuedToken) -> Claims {
    jsonwebtoken::dangerous::insecure_decode::<Claims>(token.token.expose_secret()).unwrap().claims
}

#[tokio::test]
async fn a_token_for_an_access_token_says_which_and_allows_what_both_may() {
    let world = world().await;
    let issued = world.issue(&wanted(&[Permission::Pull, Permission::Delete])).await;

    let asked = "repository:team/app:pull,push,delete repository:shut/app:pull repository:open/app:pull,push";
    let token = world.token("ann", issued.secret.expose_secret(), asked).await.unwrap();
    let scopes: Vec<_> = token.scopes.iter().map(Scope::to_string).collect();
    assert_eq!(scopes, ["repository:team/app:pull", "repository:open/app:pull"]);
    assert_eq!(claims(&token).cid, Some(issued.credential.id));
    assert_eq!(claims(&token).sub, "ann");

    let by_password = world.token("ann", PASSWORD, asked).await.unwrap();
    assert_eq!(claims(&by_password).cid, None);
}

#[tokio::test]
async fn rights_that_the_user_has_no_more_are_gone_from_the_access_token() {
    let world = world().await;
    let issued = world.issue(&wanted(&Permission::ALL)).await;
    assert_eq!(world.granted(&issued, "ann", "repository:team/app:push").await, "repository:team/app:push");

    world.metadata.state().levels.clear();
    assert_eq!(world.granted(&issued, "ann", "repository:team/app:push").await, "");
}

#[tokio::test]
async fn a_robot_gets_tokens_in_its_namespace_under_its_own_name() {
    let world = world().await;
    world.metadata.state().members.insert(("team".to_owned(), ann()), MemberRole::Owner);
    let robot =
        WantedCredential { robot: "team+ci".parse().ok(), ..wanted(&[Permission::Pull, Permission::Push]) };
    let issued = world.issue(&robot).await;

    let asked = "repository:team/app:pull,push,delete repository:team/new:pull,push repository:ann/app:pull";
    let token = world.token("team+ci", issued.secret.expose_secret(), asked).await.unwrap();
    let scopes: Vec<_> = token.scopes.iter().map(Scope::to_string).collect();
    assert_eq!(scopes, ["repository:team/app:pull,push", "repository:team/new:pull,push"]);
    assert_eq!(token.subject, Subject::Robot("team+ci".parse().unwrap()));
    assert_eq!((claims(&token).sub.as_str(), claims(&token).cid), ("team+ci", Some(issued.credential.id)));
}

#[tokio::test]
async fn the_robots_of_a_disabled_user_are_let_in_no_more() {
    let world = world().await;
    let robot = WantedCredential { robot: "ann+ci".parse().ok(), ..wanted(&[Permission::Pull]) };
    let issued = world.issue(&robot).await;
    let stand = |standing| world.metadata.state().accounts.get_mut(&ann()).unwrap().standing = standing;
    let log_in = async || world.token("ann+ci", issued.secret.expose_secret(), "").await.map(drop);
    assert_eq!(log_in().await, Ok(()));

    stand(Standing::Disabled);
    assert_eq!(log_in().await, Err(AuthError::WrongCredentials));
    stand(Standing::Active);
    assert_eq!(log_in().await, Ok(()));
}

#[tokio::test]
async fn a_session_gets_tokens_until_it_ends() {
    let world = world().await;
    let session = world.service.sign_in(&asker("ann", PASSWORD), None).await.unwrap();
    let asked = "repository:ann/app:pull,push,delete";
    assert_eq!(world.granted(&session, "", asked).await, asked);

    world.metadata.clock.advance(Duration::from_hours(12));
    let ended = world.token("", session.secret.expose_secret(), asked).await.map(drop);
    assert_eq!(ended, Err(AuthError::WrongCredentials));
}

#[tokio::test]
async fn a_secret_that_has_ended_or_is_revoked_or_another_users_is_wrong() {
    let world = world().await;
    let expires = Some(world.metadata.clock.now() + Duration::from_mins(1));
    let ending = world.issue(&WantedCredential { expires, ..wanted(&[Permission::Pull]) }).await;
    let revoked = world.issue(&wanted(&[Permission::Pull])).await;
    let lasting = world.issue(&wanted(&[Permission::Pull])).await;
    let owner = CredentialOwner::User(ann());
    let actor = proto::metadata::Actor::service();
    world.metadata.revoke_credential(&owner, &revoked.credential.id, &actor).await.unwrap();
    world.metadata.clock.advance(Duration::from_mins(1));

    let refused = async |username: &str, issued: &IssuedCredential| {
        world.token(username, issued.secret.expose_secret(), "").await.map(drop)
    };
    for (username, issued) in
        [("ann", &ending), ("ann", &revoked), ("bob", &lasting), ("Ann", &lasting), ("ann+", &lasting)]
    {
        assert_eq!(refused(username, issued).await, Err(AuthError::WrongCredentials), "{username}");
    }
    assert_eq!(refused("ann", &lasting).await, Ok(()));
    assert_eq!(refused("", &lasting).await, Ok(()));

    world.metadata.state().accounts.get_mut(&ann()).unwrap().standing = Standing::Disabled;
    assert_eq!(refused("ann", &lasting).await, Err(AuthError::WrongCredentials));
}

#[tokio::test]
async fn uses_are_noted_together_once_a_minute_and_at_the_end() {
    let world = world().await;
    let issued = world.issue(&wanted(&[Permission::Pull])).await;
    for _ in 0..3 {
        world.granted(&issued, "ann", "").await;
    }
    assert!(world.metadata.state().uses.is_empty(), "no login waits for it");

    let shutdown = Shutdown::new();
    shutdown.begin();
    world.service.note_uses(shutdown.clone()).await;
    let uses = world.metadata.state().uses.clone();
    assert_eq!(uses.len(), 1);
    assert_eq!((&uses[0].id, &uses[0].owner), (&issued.credential.id, &CredentialOwner::User(ann())));

    world.metadata.state().credentials[0].1.used = Some(uses[0].at);
    world.granted(&issued, "ann", "").await;
    world.service.note_uses(shutdown.clone()).await;
    assert_eq!(world.metadata.state().uses.len(), 1, "the same minute");

    world.metadata.clock.advance(Duration::from_mins(1));
    world.granted(&issued, "ann", "").await;
    world.service.note_uses(shutdown).await;
    assert_eq!(world.metadata.state().uses.len(), 2);
}

#[tokio::test]
async fn of_too_many_sessions_the_oldest_ends_and_access_tokens_stay() {
    let world = world().await;
    let pat = world.issue(&wanted(&[Permission::Pull])).await;
    let mut sessions = Vec::new();
    for _ in 0..MAX_CREDENTIALS {
        sessions.push(world.service.sign_in(&asker("ann", PASSWORD), None).await.unwrap());
    }

    let may = async |issued: &IssuedCredential| {
        world.service.authorize(&asker("", issued.secret.expose_secret()), &Deed::SignedIn).await.map(drop)
    };
    assert_eq!(may(&sessions[0]).await, Err(IdentityError::WrongCredentials));
    assert_eq!(may(&sessions[1]).await, Ok(()));
    assert_eq!(may(&pat).await, Ok(()));

    let refused = world.service.issue_credential(&asker("ann", PASSWORD), &wanted(&[Permission::Pull])).await;
    assert_eq!(refused.map(drop), Err(IdentityError::TooMany { limit: MAX_CREDENTIALS }));
}

#[tokio::test]
async fn a_robot_of_nobodys_namespace_is_not_made() {
    let metadata: Arc<MemoryMetadata> = Arc::default();
    let (service, administrator) = with_administrator(&metadata).await;
    let robot = WantedCredential { robot: "none+ci".parse().ok(), ..wanted(&[Permission::Pull]) };
    let refused = service.issue_credential(&asker("admin", administrator.expose_secret()), &robot).await;
    let hidden = IdentityError::Hidden { what: "user or organization none".to_owned() };
    assert_eq!(refused.map(drop), Err(hidden));
}

#[tokio::test]
async fn writes_are_made_in_the_name_of_who_asked_and_from_where() {
    let world = world().await;
    world.issue(&wanted(&[Permission::Pull])).await;
    let permit = world.service.authorize(&asker("ann", PASSWORD), &Deed::SignedIn).await.unwrap();

    assert_eq!(permit.actor.subject, Subject::User(ann()));
    assert_eq!((permit.actor.via, permit.actor.address), (Via::Api, "192.0.2.1".parse().ok()));
    assert_eq!(permit.actor.credential, None, "a password");
    assert_eq!(world.metadata.state().actors.last(), Some(&permit.actor));
    assert_eq!(world.metadata.state().actors[1].subject, Subject::User("admin".parse().unwrap()));

    let issued = world.issue(&wanted(&Permission::ALL)).await;
    let with = asker("", issued.secret.expose_secret());
    let permit = world.service.authorize(&with, &Deed::SignedIn).await.unwrap();
    assert_eq!(permit.actor.credential, Some(issued.credential.id));
    let from_the_pages = Asker { via: Via::Ui, ..with };
    let permit = world.service.authorize(&from_the_pages, &Deed::SignedIn).await.unwrap();
    assert_eq!(permit.actor.via, Via::Ui);
}
