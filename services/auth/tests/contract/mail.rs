//! Letters, and what they are good for: addresses that are verified, passwords that are forgotten, invitations. And
//! what else is done later: better hashes of passwords.

use std::{sync::Arc, time::Duration};

use auth::{
    Service,
    config::SignUp,
    mail::{Busy, Letter, Mail},
};
use oci::AccountName;
use proto::{
    auth::{
        Credentials, Identities as _, IdentityError, SelfService as _,
        identities::{Asker, Deed, NewAccount},
        self_service::WantedInvitation,
    },
    metadata::{Standing, Users as _, Via, accounts::Role, invitations::Joining, organizations::MemberRole},
};
use secrecy::{ExposeSecret as _, SecretString};
use service_kit::shutdown::Shutdown;
use tokio::{
    sync::{
        Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    task::JoinSet,
    time::timeout,
};

use crate::{config, memory::MemoryMetadata, next_code, service_that_writes, service_with};

const PASSWORD: &str = "a long one for tests";
const ANNS: &str = "ann@example.com";

/// Keeps letters instead of delivering them.
struct Postbox(Sender<Letter>);

impl Mail for Postbox {
    fn send(&self, letter: Letter) -> Result<(), Busy> {
        self.0.try_send(letter).map_err(|_| Busy)
    }

    fn base(&self) -> &'static str {
        "https://hub.example.com"
    }
}

/// An open hub with `ann`, whose first letter has arrived.
struct World {
    metadata: Arc<MemoryMetadata>,
    service: Service,
    letters: Mutex<Receiver<Letter>>,
    shutdown: Shutdown,
    tasks: JoinSet<()>,
    first: SecretString,
}

fn name(text: &str) -> AccountName {
    text.parse().unwrap()
}

fn account(name: &str, email: &str) -> NewAccount {
    NewAccount {
        name: name.parse().unwrap(),
        password: PASSWORD.into(),
        email: email.to_owned(),
        role: Role::User,
        invitation: None,
    }
}

fn asker(username: &str, password: &str) -> Asker {
    let credentials = Credentials { username: username.to_owned(), password: password.into() };
    Asker { credentials: Some(credentials), address: None, via: Via::Api }
}

fn nobody() -> Asker {
    Asker { credentials: None, address: "203.0.113.9".parse().ok(), via: Via::Api }
}

/// What the link of a letter says behind `#`.
fn secret(letter: &Letter) -> SecretString {
    let text = letter.text.expose_secret();
    let link = text.lines().find(|line| line.starts_with("https://") && line.contains('#')).unwrap();
    link.split_once('#').unwrap().1.into()
}

async fn world() -> World {
    let metadata: Arc<MemoryMetadata> = Arc::default();
    let (sender, receiver) = channel(100);
    let mut open = config();
    open.accounts.sign_up = SignUp::Open;
    let service = service_that_writes(&metadata, Some(Arc::new(Postbox(sender))), &open);
    let (shutdown, mut tasks) = (Shutdown::new(), JoinSet::new());
    tasks.spawn(service.do_errands(shutdown.clone()));

    let letters = Mutex::new(receiver);
    let mut world = World { metadata, service, letters, shutdown, tasks, first: "".into() };
    world.service.sign_up(&nobody(), &account("ann", ANNS)).await.unwrap();
    world.first = secret(&world.letter(ANNS).await);
    world
}

impl World {
    /// The next letter, which is to that address.
    async fn letter(&self, to: &str) -> Letter {
        let mut letters = self.letters.lock().await;
        let letter = timeout(Duration::from_secs(10), letters.recv()).await.expect("no letter").unwrap();
        assert_eq!(letter.to, to);
        letter
    }

    async fn verified(&self) {
        self.service.confirm_email(&nobody(), &self.first).await.unwrap();
    }

    async fn is_verified(&self, user: &str) -> bool {
        self.metadata.user(&name(user)).await.unwrap().unwrap().email_verified
    }

    async fn is_let_in(&self, password: &str) -> Result<(), IdentityError> {
        self.service.authorize(&asker("ann", password), &Deed::SignedIn).await.map(drop)
    }

    /// Ends the errands after those that wait; no letter is left.
    async fn ends_without_a_letter(mut self) {
        self.shutdown.begin();
        while self.tasks.join_next().await.is_some() {}
        drop(self.service);
        let left = self.letters.lock().await.try_recv();
        assert!(left.is_err(), "{left:?}");
    }
}

#[tokio::test]
async fn whoever_signs_up_verifies_their_address_by_the_first_letter() {
    let world = world().await;
    assert!(!world.is_verified("ann").await);
    world.verified().await;
    assert!(world.is_verified("ann").await);
    let again = world.service.confirm_email(&nobody(), &world.first).await;
    assert_eq!(again, Err(IdentityError::TicketUnknown));

    let asked = world.service.ask_verification(&asker("ann", PASSWORD), &PASSWORD.into()).await;
    assert_eq!(asked, Ok(()), "there is nothing to do");
    world.ends_without_a_letter().await;
}

#[tokio::test]
async fn a_letter_is_asked_for_by_who_has_an_address_and_not_without_end() {
    let world = world().await;
    let ann = asker("ann", PASSWORD);
    for _ in 0..3 {
        world.service.ask_verification(&ann, &PASSWORD.into()).await.unwrap();
        let _ = world.letter(ANNS).await;
    }
    let late = world.service.ask_verification(&ann, &PASSWORD.into()).await;
    assert_eq!(late, Err(IdentityError::Throttled { retry_after_seconds: 900 }));

    world.service.sign_up(&nobody(), &account("bob", "")).await.unwrap();
    let nowhere = world.service.ask_verification(&asker("bob", PASSWORD), &PASSWORD.into()).await;
    assert_eq!(nowhere, Err(IdentityError::NoEmail));
    let nobodys = world.service.ask_verification(&nobody(), &PASSWORD.into()).await;
    assert!(matches!(nobodys, Err(IdentityError::SignInNeeded { .. })), "{nobodys:?}");
    world.ends_without_a_letter().await;
}

#[tokio::test]
async fn whoever_finds_a_session_verifies_no_address_of_their_own() {
    let world = world().await;
    let session = world.service.sign_in(&asker("ann", PASSWORD), None).await.unwrap();
    let found = asker("", session.secret.expose_secret());
    world.metadata.state().emails.insert(name("ann"), "eve@example.com".to_owned());
    for wrong in ["wrong", "", session.secret.expose_secret()] {
        let refused = world.service.ask_verification(&found, &wrong.into()).await;
        assert_eq!(refused, Err(IdentityError::WrongCredentials));
    }
    world.ends_without_a_letter().await;
}

#[tokio::test]
async fn a_letter_that_was_asked_for_before_the_address_changed_is_not_written() {
    let world = world().await;
    // Nothing runs between the answer and the change: the errand waits still.
    let ann = asker("ann", PASSWORD);
    world.service.ask_verification(&ann, &PASSWORD.into()).await.unwrap();
    world.metadata.state().emails.insert(name("ann"), "eve@example.com".to_owned());
    world.ends_without_a_letter().await;
}

#[tokio::test]
async fn a_letter_to_verify_is_good_for_a_day() {
    let world = world().await;
    world.metadata.clock.advance(Duration::from_hours(24));
    let late = world.service.confirm_email(&nobody(), &world.first).await;
    assert_eq!(late, Err(IdentityError::TicketUnknown));
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_by_whoever_reads_the_letter() {
    for of in ["ann", ANNS, " ann@example.com "] {
        let world = world().await;
        world.verified().await;
        let session = world.service.sign_in(&asker("ann", PASSWORD), None).await.unwrap();
        world.service.ask_reset(&nobody(), of).await.unwrap();
        let secret = secret(&world.letter(ANNS).await);

        let weak = world.service.reset(&nobody(), &secret, &"weak".into()).await;
        assert!(matches!(weak, Err(IdentityError::PasswordRefused { .. })), "{weak:?}");
        world.service.reset(&nobody(), &secret, &"another long one".into()).await.unwrap();
        assert_eq!(world.is_let_in("another long one").await, Ok(()));
        let wrong = Err(IdentityError::WrongCredentials);
        assert_eq!(world.is_let_in(PASSWORD).await, wrong);
        let with = asker("", session.secret.expose_secret());
        assert_eq!(world.service.authorize(&with, &Deed::SignedIn).await.map(drop), wrong);
        let again = world.service.reset(&nobody(), &secret, &"a third long one".into()).await;
        assert_eq!(again, Err(IdentityError::TicketUnknown));
    }
}

#[tokio::test]
async fn whoever_may_not_have_a_letter_has_none_and_is_answered_alike() {
    let world = world().await;
    let ask = async |of: &str| world.service.ask_reset(&nobody(), of).await;
    // Not verified; nobody; no name; nobody's address.
    for of in ["ann", ANNS, "nobody", "No Name", "", "nobody@example.com"] {
        assert_eq!(ask(of).await, Ok(()), "{of}");
    }
    world.service.sign_up(&nobody(), &account("bob", "bob@example.com")).await.unwrap();
    // Errands are done one after the other: those before have come to nothing.
    let bobs = secret(&world.letter("bob@example.com").await);
    world.verified().await;
    world.service.confirm_email(&nobody(), &bobs).await.unwrap();
    world.metadata.state().accounts.get_mut(&name("bob")).unwrap().standing = Standing::Disabled;
    assert_eq!(ask("bob").await, Ok(()));
    assert_eq!(ask("bob@example.com").await, Ok(()));

    for _ in 0..5 {
        assert_eq!(ask("ann").await, Ok(()));
    }
    for _ in 0..3 {
        let _ = world.letter(ANNS).await;
    }
    world.ends_without_a_letter().await;
}

#[tokio::test]
async fn whoever_asks_again_and_again_from_one_address_waits() {
    let world = world().await;
    let mut asked = 0;
    for _ in 0..200 {
        asked += usize::from(world.service.ask_reset(&nobody(), "nobody").await.is_ok());
    }
    assert!((1..=50).contains(&asked), "{asked}");
}

#[tokio::test]
async fn whoever_is_signed_in_makes_no_more_accounts_than_anybody() {
    let world = world().await;
    let ann = Asker { address: nobody().address, ..asker("ann", PASSWORD) };
    let mut made = 0;
    for number in 0..100 {
        match world.service.sign_up(&ann, &account(&format!("made-{number}"), "")).await {
            Ok(()) => made += 1,
            Err(IdentityError::Throttled { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!((1..=50).contains(&made), "{made}");
}

#[tokio::test]
async fn of_many_made_up_letters_at_once_not_all_cost_a_hash() {
    let world = Arc::new(world().await);
    let mut tries = JoinSet::new();
    for number in 0..200 {
        let (world, made_up) = (Arc::clone(&world), format!("{number:064x}.ann"));
        let from = Asker { address: "198.51.100.7".parse().ok(), ..nobody() };
        tries.spawn(
            async move { world.service.reset(&from, &made_up.into(), &"another long one".into()).await },
        );
    }
    let outcomes = tries.join_all().await;
    let unknown = outcomes.iter().filter(|outcome| **outcome == Err(IdentityError::TicketUnknown)).count();
    let throttled = |outcome: &&Result<(), IdentityError>| {
        matches!(outcome, Err(IdentityError::Throttled { retry_after_seconds: 5 }))
    };
    assert_eq!((unknown, outcomes.iter().filter(throttled).count()), (50, 150));
}

#[tokio::test]
async fn a_letter_to_reset_is_good_for_an_hour_and_leaves_the_second_factor() {
    let world = world().await;
    world.verified().await;
    let ann = asker("ann", PASSWORD);
    let started = world.service.start_second_factor(&ann, &PASSWORD.into()).await.unwrap();
    let code = next_code(&world.metadata, &started.secret);
    world.service.finish_second_factor(&ann, &code).await.unwrap();
    for _ in 0..2 {
        world.service.ask_reset(&nobody(), "ann").await.unwrap();
    }
    let (first, second) = (secret(&world.letter(ANNS).await), secret(&world.letter(ANNS).await));

    world.service.reset(&nobody(), &first, &"another long one".into()).await.unwrap();
    let needed = world.service.sign_in(&asker("ann", "another long one"), None).await.map(drop);
    assert_eq!(needed, Err(IdentityError::SecondFactorNeeded));
    world.metadata.clock.advance(Duration::from_hours(1));
    let late = world.service.reset(&nobody(), &second, &"a third long one".into()).await;
    assert_eq!(late, Err(IdentityError::TicketUnknown));
}

#[tokio::test]
async fn a_letter_to_reset_is_good_while_the_address_is_the_users() {
    let world = world().await;
    world.verified().await;
    world.service.ask_reset(&nobody(), "ann").await.unwrap();
    let secret = secret(&world.letter(ANNS).await);
    world.metadata.state().emails.insert(name("ann"), "ann@example.org".to_owned());
    let late = world.service.reset(&nobody(), &secret, &"another long one".into()).await;
    assert_eq!(late, Err(IdentityError::TicketUnknown));
    assert_eq!(world.is_let_in(PASSWORD).await, Ok(()));
}

#[tokio::test]
async fn an_invitation_with_an_address_goes_by_mail_alone() {
    let world = world().await;
    let members = [("team".to_owned(), name("ann"))].map(|place| (place, MemberRole::Owner));
    world.metadata.state().members.extend(members);
    let joining = Some(Joining { organization: "team".parse().unwrap(), role: MemberRole::Member });
    let wanted = WantedInvitation { email: "cid@example.com".to_owned(), joining };

    let made = world.service.invite(&asker("ann", PASSWORD), &wanted).await.unwrap();
    assert!(made.secret.is_none());
    let letter = world.letter("cid@example.com").await;
    assert!(letter.text.expose_secret().contains("ann invites you"), "{}", letter.text.expose_secret());
    let invited = NewAccount { invitation: Some(secret(&letter)), ..account("cid", "") };
    world.service.sign_up(&nobody(), &invited).await.unwrap();
    let place = ("team".to_owned(), name("cid"));
    assert_eq!(world.metadata.state().members.get(&place), Some(&MemberRole::Member));
}

#[tokio::test]
async fn nobody_is_flooded_with_letters_and_no_inviter_writes_without_end() {
    let mut world = world().await;
    let members = [("team".to_owned(), name("ann"))].map(|place| (place, MemberRole::Owner));
    world.metadata.state().members.extend(members);
    let wanted = |email: String| {
        let joining = Joining { organization: "team".parse().unwrap(), role: MemberRole::Member };
        WantedInvitation { email, joining: Some(joining) }
    };
    let ann = asker("ann", PASSWORD);

    let mut by_mail = 0;
    for number in 0..20 {
        let email = if number % 2 == 0 { "cid@example.com" } else { "CID@example.com" };
        let made = world.service.invite(&ann, &wanted(email.to_owned())).await.unwrap();
        by_mail += usize::from(made.secret.is_none());
    }
    assert_eq!(by_mail, 10, "the others go by hand");
    world.service.sign_up(&nobody(), &account("cid", "cid@example.com")).await.unwrap();

    for number in 0..30 {
        world.service.invite(&ann, &wanted(format!("u{number}@example.com"))).await.unwrap();
    }
    let made = world.metadata.state().invitations.len();
    let late = world.service.invite(&ann, &wanted("late@example.com".to_owned())).await.map(drop);
    assert_eq!(late, Err(IdentityError::Throttled { retry_after_seconds: 300 }));
    assert_eq!(world.metadata.state().invitations.len(), made);
    assert!(world.service.invite(&ann, &wanted(String::new())).await.is_ok(), "nobody is written to");

    world.shutdown.begin();
    while world.tasks.join_next().await.is_some() {}
    let mut letters = world.letters.lock().await;
    let mut written = Vec::new();
    while let Ok(letter) = letters.try_recv() {
        written.push(letter.to.to_lowercase());
    }
    assert_eq!(written.iter().filter(|to| *to == "cid@example.com").count(), 10);
}

#[tokio::test]
async fn a_login_renews_a_hash_of_other_parameters_and_ends_nothing() {
    let world = world().await;
    let kept = || world.metadata.state().accounts[&name("ann")].password_hash.expose_secret().to_owned();
    let before = kept();
    let session = world.service.sign_in(&asker("ann", PASSWORD), None).await.unwrap();
    let mut dearer = config();
    dearer.password.iterations += 1;
    let dearer = service_with(&world.metadata, &dearer);

    let wrong = dearer.sign_in(&asker("ann", "wrong"), None).await.map(drop);
    assert_eq!(wrong, Err(IdentityError::WrongCredentials));
    for _ in 0..3 {
        dearer.sign_in(&asker("ann", PASSWORD), None).await.unwrap();
    }
    assert_eq!(kept(), before, "nobody waits for it");
    let shutdown = Shutdown::new();
    shutdown.begin();
    dearer.do_errands(shutdown).await;

    assert_ne!(kept(), before);
    assert!(kept().contains("t=2"), "{}", kept());
    assert_eq!(world.is_let_in(PASSWORD).await, Ok(()));
    let with = asker("", session.secret.expose_secret());
    assert!(world.service.authorize(&with, &Deed::SignedIn).await.is_ok());
}
