//! Second factors, tickets and sign-ins, cut everywhere and with others between them: nothing counts before what it
//! ends has ended, and no code is good twice.

use std::time::Duration;

use bytes::Bytes;
use oci::AccountName;
use proto::{
    auth::Subject,
    metadata::{
        AccountError, Accounts as _, Actor, Credentials as _, Proofs as _, Users as _,
        accounts::Role,
        credentials::{Holder, NewCredential, Revoked},
        proofs::{Code, Confirmed, Purpose, SecondFactor, Ticket},
        users::{Profile, UserChange},
    },
};
use secrecy::ExposeSecret as _;

use super::{
    Cutting, World, account,
    people::{ann, cut_and_repeated, is_there, is_told, new, put},
    world,
};
use crate::{
    Service, keys,
    keyspace::{Direction, MemberRange},
};

const EMAIL: &str = "ann@example.com";

fn factor() -> SecondFactor {
    SecondFactor { sealed_secret: Bytes::from_static(b"sealed") }
}

fn confirmed() -> Confirmed {
    Confirmed { factor: factor(), step: 100, recovery_codes: vec![[1; 32], [2; 32]] }
}

async fn protect(service: &Service) {
    service.propose_second_factor(&ann(), &factor(), &Actor::service()).await.unwrap();
    service.confirm_second_factor(&ann(), &confirmed(), &Actor::service()).await.unwrap();
}

/// Ann has an address, and a mail for her is on its way.
async fn written_to(world: &World, purpose: Purpose) {
    let profile = Some(Profile { email: EMAIL.to_owned(), ..Profile::default() });
    let change = UserChange { profile, ..UserChange::default() };
    world.change_user(&ann(), &change, &Actor::service()).await.unwrap();
    let expires = world.now() + Duration::from_hours(1);
    let put = async |purpose, hash| {
        world.put_ticket(&ann(), &Ticket { purpose, hash, expires }).await.unwrap();
    };
    if matches!(purpose, Purpose::ResetPassword(_)) {
        put(Purpose::VerifyEmail(EMAIL.to_owned()), [8; 32]).await;
        world.verify_email(&ann(), &[8; 32], &Actor::service()).await.unwrap();
    }
    put(purpose, [7; 32]).await;
}

#[tokio::test]
async fn a_second_factor_that_is_confirmed() {
    let session = new(1, Holder::Session(ann()));
    let prepare = async |world: &World| {
        put(world, &session).await;
        world.propose_second_factor(&ann(), &factor(), &Actor::service()).await.unwrap();
    };
    let confirm = async |service: &Service| {
        match service.confirm_second_factor(&ann(), &confirmed(), &Actor::service()).await {
            // It counted already when it was cut.
            Err(AccountError::SecondFactorExists { .. }) => Ok(()),
            outcome => outcome,
        }
    };
    let whole = async |service: &Service| {
        let (there, told) = (
            is_there(service, &session).await,
            is_told(service, &Revoked::Subject(Subject::User(ann()))).await,
        );
        assert!(told || there, "a session ended untold");
        let found = service.second_factors(&ann()).await.unwrap();
        if found.active.is_some() {
            assert!(told && !there, "the password alone has begun what goes on");
            assert_eq!(found.recovery_codes, 2);
            let spent = service.spend_code(&ann(), &factor(), Code::Step(100)).await;
            assert_eq!(spent, Err(AccountError::CodeSpent { user: ann() }));
        }
    };
    cut_and_repeated(prepare, confirm, whole).await;
}

#[tokio::test]
async fn a_second_factor_that_is_removed() {
    let remove = async |service: &Service| service.remove_second_factor(&ann(), &Actor::service()).await;
    let all_or_less = async |service: &Service| {
        let found = service.second_factors(&ann()).await.unwrap();
        assert!(found.active.is_some() || found.recovery_codes == 0);
    };
    cut_and_repeated(async |world: &World| protect(&world.service).await, remove, all_or_less).await;
}

#[tokio::test]
async fn an_address_that_is_verified() {
    let prepare = async |world: &World| written_to(world, Purpose::VerifyEmail(EMAIL.to_owned())).await;
    let verify = async |service: &Service| service.verify_email(&ann(), &[7; 32], &Actor::service()).await;
    let listed = async |service: &Service| {
        let verified = service.user(&ann()).await.unwrap().unwrap().email_verified;
        let found = service.users_of_email(EMAIL).await.unwrap();
        assert_eq!(found == [ann()], verified, "who has verified an address is found by it");
    };
    cut_and_repeated(prepare, verify, listed).await;
}

#[tokio::test]
async fn an_address_that_changes() {
    let prepare = async |world: &World| {
        written_to(world, Purpose::VerifyEmail(EMAIL.to_owned())).await;
        world.verify_email(&ann(), &[7; 32], &Actor::service()).await.unwrap();
    };
    let profile = Some(Profile { email: "new@example.com".to_owned(), ..Profile::default() });
    let change = UserChange { profile, ..UserChange::default() };
    let move_on = async |service: &Service| service.change_user(&ann(), &change, &Actor::service()).await;
    let unverified = async |service: &Service| {
        let user = service.user(&ann()).await.unwrap().unwrap();
        assert!(!user.email_verified || user.profile.email == EMAIL);
    };
    cut_and_repeated(prepare, move_on, unverified).await;
}

#[tokio::test]
async fn a_password_that_is_reset() {
    let session = new(1, Holder::Session(ann()));
    let prepare = async |world: &World| {
        put(world, &session).await;
        written_to(world, Purpose::ResetPassword(EMAIL.to_owned())).await;
    };
    let password = async |service: &Service| {
        let account = service.account(&ann()).await.unwrap().unwrap();
        account.password_hash.expose_secret().to_owned()
    };
    let reset = async |service: &Service| {
        let reset = service.reset_password(&ann(), &[7; 32], &"another".into(), &Actor::service()).await;
        match reset {
            Err(AccountError::TicketUnknown) if password(service).await == "another" => Ok(()),
            outcome => outcome,
        }
    };
    let ended = async |service: &Service| {
        let told = is_told(service, &Revoked::Subject(Subject::User(ann()))).await;
        let goes_on = is_there(service, &session).await;
        assert!(password(service).await == "hash" || (told && !goes_on));
    };
    cut_and_repeated(prepare, reset, ended).await;
}

/// Ann alone, and the keyspace that others can write to between her reads and her commits.
async fn alone() -> (std::sync::Arc<Cutting>, World) {
    let keyspace = Cutting::new();
    let world = world(keyspace.clone()).await;
    world.create_account(&account("ann", Role::User), &Actor::service()).await.unwrap();
    (keyspace, world)
}

#[tokio::test]
async fn a_code_that_another_replica_uses_first_is_spent() {
    for code in [Code::Step(101), Code::Recovery([1; 32])] {
        let (keyspace, world) = alone().await;
        protect(&world.service).await;
        let rival = world.service.clone();
        keyspace.interpose(async move { rival.spend_code(&ann(), &factor(), code).await.unwrap() });

        let late = world.spend_code(&ann(), &factor(), code).await;
        assert_eq!(late, Err(AccountError::CodeSpent { user: ann() }), "{code:?}");
    }
}

#[tokio::test]
async fn a_session_that_races_what_ends_sessions_does_not_stay() {
    let password = UserChange { password_hash: Some("another".into()), ..UserChange::default() };
    let (keyspace, world) = alone().await;
    let revision = world.kept_account(&ann()).await.unwrap().unwrap().revision;
    let session = NewCredential { revision: Some(revision), ..new(1, Holder::Session(ann())) };

    let rival = world.service.clone();
    keyspace.interpose(async move {
        rival.change_user(&ann(), &password, &Actor::service()).await.unwrap();
    });
    let late = world.put_credential(&session, &Actor::service()).await;
    assert_eq!(late, Err(AccountError::AccountChanged { user: ann() }));
    assert!(!is_there(&world, &session).await);

    let (keyspace, world) = alone().await;
    let rival = world.service.clone();
    keyspace.interpose(async move { protect(&rival).await });
    let late = world.put_credential(&session, &Actor::service()).await;
    assert_eq!(late, Err(AccountError::AccountChanged { user: ann() }));
}

#[tokio::test]
async fn an_address_that_changes_while_it_is_verified_is_not_verified() {
    let (keyspace, world) = alone().await;
    written_to(&world, Purpose::VerifyEmail(EMAIL.to_owned())).await;
    let rival = world.service.clone();
    keyspace.interpose(async move {
        let profile = Some(Profile { email: "new@example.com".to_owned(), ..Profile::default() });
        let change = UserChange { profile, ..UserChange::default() };
        rival.change_user(&ann(), &change, &Actor::service()).await.unwrap();
    });

    let late = world.verify_email(&ann(), &[7; 32], &Actor::service()).await;
    assert_eq!(late, Err(AccountError::TicketUnknown));
    assert!(!world.user(&ann()).await.unwrap().unwrap().email_verified);
}

#[tokio::test]
async fn a_password_is_not_reset_while_the_address_changes() {
    let (keyspace, world) = alone().await;
    written_to(&world, Purpose::ResetPassword(EMAIL.to_owned())).await;
    let rival = world.service.clone();
    keyspace.interpose(async move {
        let profile = Some(Profile { email: "new@example.com".to_owned(), ..Profile::default() });
        let change = UserChange { profile, ..UserChange::default() };
        rival.change_user(&ann(), &change, &Actor::service()).await.unwrap();
    });

    let late = world.reset_password(&ann(), &[7; 32], &"another".into(), &Actor::service()).await;
    assert_eq!(late, Err(AccountError::TicketUnknown));
    let kept = world.account(&ann()).await.unwrap().unwrap().password_hash;
    assert_eq!(kept.expose_secret(), "hash");
}

#[tokio::test]
async fn a_letter_to_reset_that_races_another_address_is_not_written() {
    let (keyspace, world) = alone().await;
    written_to(&world, Purpose::ResetPassword(EMAIL.to_owned())).await;
    let rival = world.service.clone();
    keyspace.interpose(async move {
        let profile = Some(Profile { email: "new@example.com".to_owned(), ..Profile::default() });
        let change = UserChange { profile, ..UserChange::default() };
        rival.change_user(&ann(), &change, &Actor::service()).await.unwrap();
    });

    let expires = world.now() + Duration::from_hours(1);
    let ticket = Ticket { purpose: Purpose::ResetPassword(EMAIL.to_owned()), hash: [9; 32], expires };
    let late = world.put_ticket(&ann(), &ticket).await;
    assert_eq!(late, Err(AccountError::AccountChanged { user: ann() }));
}

#[tokio::test]
async fn entries_of_addresses_without_a_record_are_passed_over() {
    let (_, world) = alone().await;
    let nobody: AccountName = "nobody".parse().unwrap();
    let entry = crate::keyspace::Mutation::AddMember(keys::EMAILS, keys::verified(EMAIL, &nobody));
    world.keyspace().commit(crate::keyspace::Commit::synced().then(entry)).await.unwrap();

    assert_eq!(world.users_of_email(EMAIL).await.unwrap(), []);
    let all = world.keyspace().range(&keys::EMAILS, MemberRange::all(), 10, Direction::Forward).await;
    assert_eq!(all.unwrap().len(), 1);
}
