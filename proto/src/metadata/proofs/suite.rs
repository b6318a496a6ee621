//! What every implementation of `Proofs` does, as tests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this module is a test"
)]

use std::time::Duration;

use bytes::Bytes;
use oci::AccountName;
use secrecy::ExposeSecret as _;
use tokio::join;

use super::{Code, Confirmed, Purpose, SecondFactor, SecondFactors, Ticket};
use crate::{
    auth::Subject,
    metadata::{
        AccountError, Actor, Standing,
        accounts::{AccessFacts, FactsOf, Role, suite::about},
        credentials::{CredentialOwner, Holder, Revoked, suite::new},
        uploads::suite::world::{World, now},
        users::{Profile, UserChange},
    },
};

/// All cases.
///
/// # Panics
/// If the implementation does not do what the contract says.
pub async fn run(world: World) {
    a_second_factor_counts_once_it_is_confirmed(&world).await;
    only_what_was_proposed_last_is_confirmed(&world).await;
    confirming_ends_what_the_password_began(&world).await;
    a_code_is_good_once(&world).await;
    of_many_who_use_one_code_one_succeeds(&world).await;
    a_recovery_code_is_good_once(&world).await;
    what_is_removed_is_gone(&world).await;
    a_session_begun_before_a_change_does_not_come_after_it(&world).await;
    an_address_is_verified_by_its_own_ticket_once(&world).await;
    another_address_is_not_verified(&world).await;
    a_ticket_ends(&world).await;
    users_are_found_by_addresses_that_they_have_verified(&world).await;
    a_password_is_reset_once(&world).await;
    what_changes_an_account_takes_its_reset_away(&world).await;
    a_reset_is_for_the_verified_address_it_was_sent_to(&world).await;
    another_hash_of_the_same_password_ends_nothing(&world).await;
    who_is_not_there_has_nothing(&world).await;
}

fn name(text: &str) -> AccountName {
    text.parse().unwrap()
}

fn factor(text: &'static str) -> SecondFactor {
    SecondFactor { sealed_secret: Bytes::from_static(text.as_bytes()) }
}

fn confirmed(factor: &SecondFactor, step: u64) -> Confirmed {
    Confirmed { factor: factor.clone(), step, recovery_codes: vec![[1; 32], [2; 32]] }
}

async fn facts(world: &World, user: &AccountName) -> AccessFacts {
    world.accounts.access_facts(&about(FactsOf::User(user.clone()))).await.unwrap()
}

/// A user with a second factor, confirmed with a code of step 100.
async fn protected(world: &World, text: &str) -> (AccountName, SecondFactor, Actor) {
    let (user, actor) = (name(text), world.user(text, Role::User).await);
    let factor = factor("sealed");
    world.proofs.propose_second_factor(&user, &factor, &actor).await.unwrap();
    world.proofs.confirm_second_factor(&user, &confirmed(&factor, 100), &actor).await.unwrap();
    (user, factor, actor)
}

fn spent(user: &AccountName) -> Result<(), AccountError> {
    Err(AccountError::CodeSpent { user: user.clone() })
}

async fn told(world: &World, user: &AccountName) -> usize {
    let what = Revoked::Subject(Subject::User(user.clone()));
    let told = world.credentials.revocations(None).await.unwrap();
    told.iter().filter(|revocation| revocation.what == what).count()
}

async fn a_second_factor_counts_once_it_is_confirmed(world: &World) {
    let (user, actor) = (name("pr-ann"), world.user("pr-ann", Role::User).await);
    assert_eq!(world.proofs.second_factors(&user).await.unwrap(), SecondFactors::default());

    let sealed = factor("sealed");
    world.proofs.propose_second_factor(&user, &sealed, &actor).await.unwrap();
    let proposed = SecondFactors { proposed: Some(sealed.clone()), ..SecondFactors::default() };
    assert_eq!(world.proofs.second_factors(&user).await.unwrap(), proposed);
    assert_eq!(facts(world, &user).await.second_factor, None);
    assert!(!world.users.user(&user).await.unwrap().unwrap().second_factor);

    world.proofs.confirm_second_factor(&user, &confirmed(&sealed, 100), &actor).await.unwrap();
    let active = SecondFactors { active: Some(sealed.clone()), proposed: None, recovery_codes: 2 };
    assert_eq!(world.proofs.second_factors(&user).await.unwrap(), active);
    assert_eq!(facts(world, &user).await.second_factor, Some(sealed.clone()));
    assert!(world.users.user(&user).await.unwrap().unwrap().second_factor);

    let exists = Err(AccountError::SecondFactorExists { user: user.clone() });
    let again = world.proofs.propose_second_factor(&user, &factor("other"), &actor).await;
    assert_eq!(again, exists);
    let again = world.proofs.confirm_second_factor(&user, &confirmed(&sealed, 101), &actor).await;
    assert_eq!(again, exists);
}

async fn only_what_was_proposed_last_is_confirmed(world: &World) {
    let (user, actor) = (name("pr-last"), world.user("pr-last", Role::User).await);
    let (first, last) = (factor("first"), factor("last"));
    let unknown = Err(AccountError::SecondFactorUnknown { user: user.clone() });
    let early = world.proofs.confirm_second_factor(&user, &confirmed(&first, 1), &actor).await;
    assert_eq!(early, unknown);

    for factor in [&first, &last] {
        world.proofs.propose_second_factor(&user, factor, &actor).await.unwrap();
    }
    let late = world.proofs.confirm_second_factor(&user, &confirmed(&first, 1), &actor).await;
    assert_eq!(late, unknown);
    world.proofs.confirm_second_factor(&user, &confirmed(&last, 1), &actor).await.unwrap();
}

async fn confirming_ends_what_the_password_began(world: &World) {
    let (user, actor) = (name("pr-ends"), world.user("pr-ends", Role::User).await);
    for holder in [Holder::Session(user.clone()), Holder::User(user.clone())] {
        world.credentials.put_credential(&new(holder), &actor).await.unwrap();
    }
    let before = facts(world, &user).await.revision;
    let sealed = factor("sealed");
    world.proofs.propose_second_factor(&user, &sealed, &actor).await.unwrap();
    assert_eq!((told(world, &user).await, facts(world, &user).await.revision), (0, before));

    world.proofs.confirm_second_factor(&user, &confirmed(&sealed, 1), &actor).await.unwrap();
    let left = world.credentials.credentials(&CredentialOwner::User(user.clone())).await.unwrap();
    assert_eq!(left.len(), 1, "access tokens stay");
    assert_eq!(left[0].holder, Holder::User(user.clone()));
    assert_eq!(told(world, &user).await, 1);
    assert_ne!(facts(world, &user).await.revision, before);
}

async fn a_code_is_good_once(world: &World) {
    let (user, factor, _) = protected(world, "pr-once").await;
    let spend = async |step| world.proofs.spend_code(&user, &factor, Code::Step(step)).await;

    assert_eq!(spend(100).await, spent(&user), "it has confirmed the second factor");
    assert_eq!(spend(101).await, Ok(()));
    for step in [101, 100, 0] {
        assert_eq!(spend(step).await, spent(&user), "{step}");
    }
    assert_eq!(spend(103).await, Ok(()));
    assert_eq!(spend(102).await, spent(&user), "a later one was used");

    let other = world.proofs.spend_code(&user, &self::factor("other"), Code::Step(200)).await;
    assert_eq!(other, Err(AccountError::SecondFactorUnknown { user }));
}

async fn of_many_who_use_one_code_one_succeeds(world: &World) {
    let (user, factor, _) = protected(world, "pr-race").await;
    for round in 0..8_u64 {
        let code = Code::Step(101 + round);
        let spend = || world.proofs.spend_code(&user, &factor, code);
        let (one, two, three) = join!(spend(), spend(), spend());
        let good = [&one, &two, &three].iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(good, 1, "{one:?} {two:?} {three:?}");
    }
}

async fn a_recovery_code_is_good_once(world: &World) {
    let (user, factor, _) = protected(world, "pr-recover").await;
    let spend = || world.proofs.spend_code(&user, &factor, Code::Recovery([1; 32]));
    let (one, two) = join!(spend(), spend());
    assert_ne!(one.is_ok(), two.is_ok(), "{one:?} {two:?}");

    assert_eq!(spend().await, spent(&user));
    let never = world.proofs.spend_code(&user, &factor, Code::Recovery([3; 32])).await;
    assert_eq!(never, spent(&user));
    assert_eq!(world.proofs.second_factors(&user).await.unwrap().recovery_codes, 1);
}

async fn what_is_removed_is_gone(world: &World) {
    let (user, sealed, actor) = protected(world, "pr-gone").await;
    for _ in 0..2 {
        world.proofs.remove_second_factor(&user, &actor).await.unwrap();
    }
    assert_eq!(world.proofs.second_factors(&user).await.unwrap(), SecondFactors::default());
    assert_eq!(facts(world, &user).await.second_factor, None);
    let gone = world.proofs.spend_code(&user, &sealed, Code::Step(101)).await;
    assert_eq!(gone, Err(AccountError::SecondFactorUnknown { user: user.clone() }));

    // A new one begins anew: its steps and recovery codes have nothing to do with those of before.
    let next = factor("next");
    world.proofs.propose_second_factor(&user, &next, &actor).await.unwrap();
    let confirmed = Confirmed { recovery_codes: vec![[9; 32]], ..confirmed(&next, 7) };
    world.proofs.confirm_second_factor(&user, &confirmed, &actor).await.unwrap();
    assert_eq!(world.proofs.second_factors(&user).await.unwrap().recovery_codes, 1);
    assert_eq!(world.proofs.spend_code(&user, &next, Code::Step(8)).await, Ok(()));
    assert_eq!(world.proofs.spend_code(&user, &next, Code::Recovery([2; 32])).await, spent(&user));
}

async fn a_session_begun_before_a_change_does_not_come_after_it(world: &World) {
    let (user, actor) = (name("pr-late"), world.user("pr-late", Role::User).await);
    let begin = async |revision| {
        let session = new(Holder::Session(user.clone()));
        let session = super::super::credentials::NewCredential { revision: Some(revision), ..session };
        world.credentials.put_credential(&session, &actor).await
    };
    let before = facts(world, &user).await.revision;
    assert_eq!(begin(before).await, Ok(()));

    let change = UserChange { password_hash: Some("$new$".into()), ..UserChange::default() };
    world.users.change_user(&user, &change, &actor).await.unwrap();
    assert_eq!(begin(before).await, Err(AccountError::AccountChanged { user: user.clone() }));
    let owner = CredentialOwner::User(user.clone());
    assert_eq!(world.credentials.credentials(&owner).await.unwrap(), []);
    assert_eq!(begin(facts(world, &user).await.revision).await, Ok(()));
}

/// Gives the user an address, which is not verified by that.
async fn at(world: &World, user: &AccountName, email: &str) {
    let profile = Some(Profile { email: email.to_owned(), ..Profile::default() });
    let change = UserChange { profile, ..UserChange::default() };
    world.users.change_user(user, &change, &Actor::service()).await.unwrap();
}

fn ticket(world: &World, purpose: Purpose, number: u8) -> Ticket {
    let expires = now(world).saturating_add(Duration::from_hours(1)).unwrap();
    Ticket { purpose, hash: [number; 32], expires }
}

fn verifying(world: &World, email: &str, number: u8) -> Ticket {
    ticket(world, Purpose::VerifyEmail(email.to_owned()), number)
}

fn resetting(world: &World, email: &str, number: u8) -> Ticket {
    ticket(world, Purpose::ResetPassword(email.to_owned()), number)
}

async fn verify(world: &World, user: &AccountName, number: u8) -> Result<(), AccountError> {
    world.proofs.verify_email(user, &[number; 32], &Actor::service()).await
}

async fn is_verified(world: &World, user: &AccountName) -> bool {
    world.users.user(user).await.unwrap().unwrap().email_verified
}

/// A user whose address is verified.
async fn reachable(world: &World, text: &str, email: &str) -> AccountName {
    let (user, _) = (name(text), world.user(text, Role::User).await);
    at(world, &user, email).await;
    world.proofs.put_ticket(&user, &verifying(world, email, 9)).await.unwrap();
    verify(world, &user, 9).await.unwrap();
    user
}

async fn an_address_is_verified_by_its_own_ticket_once(world: &World) {
    let (user, _) = (name("pr-mail"), world.user("pr-mail", Role::User).await);
    at(world, &user, "ann@example.com").await;
    let elsewhere = world.proofs.put_ticket(&user, &verifying(world, "eve@example.com", 1)).await;
    assert_eq!(elsewhere, Err(AccountError::AccountChanged { user: user.clone() }));

    world.proofs.put_ticket(&user, &verifying(world, "ann@example.com", 1)).await.unwrap();
    world.proofs.put_ticket(&user, &verifying(world, "ann@example.com", 2)).await.unwrap();
    for unknown in [1, 3] {
        assert_eq!(verify(world, &user, unknown).await, Err(AccountError::TicketUnknown), "{unknown}");
    }
    assert!(!is_verified(world, &user).await);
    let (one, two) = join!(verify(world, &user, 2), verify(world, &user, 2));
    assert_ne!(one.is_ok(), two.is_ok(), "{one:?} {two:?}");
    assert!(is_verified(world, &user).await);
}

async fn another_address_is_not_verified(world: &World) {
    let user = reachable(world, "pr-moves", "old@example.com").await;
    world.proofs.put_ticket(&user, &verifying(world, "old@example.com", 4)).await.unwrap();

    at(world, &user, "new@example.com").await;
    assert!(!is_verified(world, &user).await);
    assert_eq!(verify(world, &user, 4).await, Err(AccountError::TicketUnknown));
    assert_eq!(world.proofs.users_of_email("old@example.com").await.unwrap(), []);
    at(world, &user, "old@example.com").await;
    assert!(!is_verified(world, &user).await, "it is to be verified again");
}

async fn a_ticket_ends(world: &World) {
    let user = reachable(world, "pr-ticket", "ticket@example.com").await;
    world.proofs.put_ticket(&user, &verifying(world, "ticket@example.com", 5)).await.unwrap();
    world.proofs.put_ticket(&user, &resetting(world, "ticket@example.com", 6)).await.unwrap();
    world.clock.advance(Duration::from_hours(1));

    assert_eq!(verify(world, &user, 5).await, Err(AccountError::TicketUnknown));
    assert_eq!(reset(world, &user, 6).await, Err(AccountError::TicketUnknown));
}

async fn users_are_found_by_addresses_that_they_have_verified(world: &World) {
    let found = async |email: &str| world.proofs.users_of_email(email).await.unwrap();
    let one = reachable(world, "pr-find-a", "Shared@Example.com").await;
    let two = reachable(world, "pr-find-b", "shared@example.com").await;
    let (claims, _) = (name("pr-find-c"), world.user("pr-find-c", Role::User).await);
    at(world, &claims, "shared@example.com").await;

    assert_eq!(found("SHARED@example.com").await, [one.clone(), two.clone()]);
    assert_eq!(found("shared@example.co").await, []);
    let disabled = UserChange { standing: Some(Standing::Disabled), ..UserChange::default() };
    world.users.change_user(&one, &disabled, &Actor::service()).await.unwrap();
    assert_eq!(found("shared@example.com").await, [two]);
}

async fn reset(world: &World, user: &AccountName, number: u8) -> Result<(), AccountError> {
    world.proofs.reset_password(user, &[number; 32], &"$reset$".into(), &Actor::service()).await
}

async fn hash(world: &World, user: &AccountName) -> String {
    facts(world, user).await.account.unwrap().password_hash.expose_secret().to_owned()
}

async fn a_password_is_reset_once(world: &World) {
    let (user, sealed, actor) = protected(world, "pr-reset").await;
    world.credentials.put_credential(&new(Holder::Session(user.clone())), &actor).await.unwrap();
    at(world, &user, "reset@example.com").await;
    let resetting = resetting(world, "reset@example.com", 1);
    let unverified = world.proofs.put_ticket(&user, &resetting).await;
    assert_eq!(unverified, Err(AccountError::AccountChanged { user: user.clone() }));
    world.proofs.put_ticket(&user, &verifying(world, "reset@example.com", 9)).await.unwrap();
    verify(world, &user, 9).await.unwrap();
    let before = told(world, &user).await;
    world.proofs.put_ticket(&user, &resetting).await.unwrap();

    assert_eq!(reset(world, &user, 2).await, Err(AccountError::TicketUnknown));
    assert_eq!(verify(world, &user, 1).await, Err(AccountError::TicketUnknown), "it is for something else");
    let (one, two) = join!(reset(world, &user, 1), reset(world, &user, 1));
    assert_ne!(one.is_ok(), two.is_ok(), "{one:?} {two:?}");
    assert_eq!(hash(world, &user).await, "$reset$");
    assert_eq!(told(world, &user).await, before + 1);
    let owner = CredentialOwner::User(user.clone());
    assert_eq!(world.credentials.credentials(&owner).await.unwrap(), []);
    assert_eq!(facts(world, &user).await.second_factor, Some(sealed), "the second factor stays");
}

async fn what_changes_an_account_takes_its_reset_away(world: &World) {
    let user = reachable(world, "pr-takes", "takes@example.com").await;
    let changes = [
        UserChange { password_hash: Some("$new$".into()), ..UserChange::default() },
        UserChange { profile: Some(Profile::default()), ..UserChange::default() },
        UserChange { standing: Some(Standing::Disabled), ..UserChange::default() },
    ];
    for change in changes {
        at(world, &user, "takes@example.com").await;
        world.proofs.put_ticket(&user, &verifying(world, "takes@example.com", 9)).await.unwrap();
        verify(world, &user, 9).await.unwrap();
        world.proofs.put_ticket(&user, &resetting(world, "takes@example.com", 7)).await.unwrap();
        world.users.change_user(&user, &change, &Actor::service()).await.unwrap();
        assert_eq!(reset(world, &user, 7).await, Err(AccountError::TicketUnknown), "{change:?}");
    }
}

async fn a_reset_is_for_the_verified_address_it_was_sent_to(world: &World) {
    let user = reachable(world, "pr-sent", "sent@example.com").await;
    let elsewhere = world.proofs.put_ticket(&user, &resetting(world, "eve@example.com", 8)).await;
    assert_eq!(elsewhere, Err(AccountError::AccountChanged { user: user.clone() }));

    at(world, &user, "moved@example.com").await;
    for email in ["sent@example.com", "moved@example.com"] {
        let late = world.proofs.put_ticket(&user, &resetting(world, email, 8)).await;
        assert_eq!(late, Err(AccountError::AccountChanged { user: user.clone() }), "{email}");
    }
    assert_eq!(reset(world, &user, 8).await, Err(AccountError::TicketUnknown));
}

async fn another_hash_of_the_same_password_ends_nothing(world: &World) {
    let (user, actor) = (name("pr-rehash"), world.user("pr-rehash", Role::User).await);
    let session = new(Holder::Session(user.clone()));
    world.credentials.put_credential(&session, &actor).await.unwrap();
    let (before, old) = (facts(world, &user).await.revision, hash(world, &user).await);

    world.proofs.rehash_password(&user, &old.as_str().into(), &"$rehashed$".into()).await.unwrap();
    assert_eq!(hash(world, &user).await, "$rehashed$");
    world.proofs.rehash_password(&user, &old.into(), &"$late$".into()).await.unwrap();
    assert_eq!(hash(world, &user).await, "$rehashed$", "it was another one by then");
    assert_eq!((told(world, &user).await, facts(world, &user).await.revision), (0, before));
    let owner = CredentialOwner::User(user.clone());
    assert_eq!(world.credentials.credentials(&owner).await.unwrap().len(), 1);
}

async fn who_is_not_there_has_nothing(world: &World) {
    let (nobody, actor) = (name("pr-nobody"), Actor::service());
    let unknown = AccountError::AccountUnknown { name: nobody.clone() };
    assert_eq!(world.proofs.second_factors(&nobody).await, Err(unknown.clone()));
    let proposed = world.proofs.propose_second_factor(&nobody, &factor("sealed"), &actor).await;
    assert_eq!(proposed, Err(unknown.clone()));
    assert_eq!(world.proofs.remove_second_factor(&nobody, &actor).await, Err(unknown.clone()));
    let reset_of_nobody = resetting(world, "nobody@example.com", 1);
    assert_eq!(world.proofs.put_ticket(&nobody, &reset_of_nobody).await, Err(unknown));
    assert_eq!(reset(world, &nobody, 1).await, Err(AccountError::TicketUnknown));
    world.proofs.rehash_password(&nobody, &"$from$".into(), &"$to$".into()).await.unwrap();
    assert_eq!(world.users.user(&nobody).await.unwrap(), None);
}
