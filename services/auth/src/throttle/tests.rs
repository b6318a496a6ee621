//! Who guesses waits, and who logs in rightly from where they did before does not.

use std::time::Duration;

use futures_util::FutureExt as _;
use proto::auth::Subject;
use service_kit::clock::{Clock as _, ManualClock};

use super::{Begun, Network, Throttle, Try, Wait, Who};

fn account(name: &str, from: &str) -> Try {
    let from = from.parse().ok().map(|address: std::net::IpAddr| Network::from(address));
    Try { who: Who::Account(name.parse().ok()), from }
}

fn secret(number: u8, from: &str) -> Try {
    Try { who: Who::Secret([number; 32]), ..account("ann", from) }
}

struct World {
    throttle: Throttle,
    clock: ManualClock,
}

impl World {
    fn new() -> Self {
        Self { throttle: Throttle::new(), clock: ManualClock::default() }
    }

    fn begin<'a>(&'a self, this: &'a Try) -> Result<Begun<'a>, Wait> {
        self.throttle.begin_now(this, self.clock.now())
    }

    /// Seconds to wait; 0: the try was made, and wrong.
    fn wrong(&self, this: &Try) -> u32 {
        self.begin(this).map_or_else(Wait::seconds, |_dropped| 0)
    }

    fn wrong_times(&self, this: &Try, times: usize) -> usize {
        (0..times).filter(|_| self.wrong(this) == 0).count()
    }

    fn right(&self, this: &Try) {
        self.begin(this).unwrap().right(self.clock.now());
    }
}

#[test]
fn ten_wrong_tries_pass_and_then_one_each_half_minute() {
    let world = World::new();
    let ann = account("ann", "192.0.2.1");

    assert_eq!(world.wrong_times(&ann, 1_000), 10);
    assert_eq!(world.wrong(&ann), 30);
    world.clock.advance(Duration::from_millis(29_500));
    assert_eq!(world.wrong(&ann), 1);
    world.clock.advance(Duration::from_millis(500));
    assert_eq!(world.wrong_times(&ann, 1_000), 1);

    world.clock.advance(Duration::from_hours(1));
    assert_eq!(world.wrong_times(&ann, 1_000), 10);
}

#[test]
fn an_address_has_fifty_wrong_tries_over_all_accounts() {
    let world = World::new();
    let passed = (0..1_000).filter(|number| world.wrong(&account(&format!("u{number}"), "192.0.2.1")) == 0);

    assert_eq!(passed.count(), 50);
    assert_eq!(world.wrong(&account("ann", "192.0.2.1")), 5);
    assert_eq!(world.wrong(&account("ann", "192.0.2.2")), 0);
}

#[test]
fn an_ipv6_address_is_its_64_and_a_mapped_one_is_ipv4() {
    let network = |text: &str| Network::from(text.parse::<std::net::IpAddr>().unwrap());
    assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::9"));
    assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
    assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
    assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
}

#[test]
fn an_account_has_a_hundred_wrong_tries_from_strange_addresses() {
    let world = World::new();
    let from = |number: usize| account("ann", &format!("198.51.{}.{}", number / 250, number % 250));
    let passed = (0..1_000).filter(|number| world.wrong(&from(*number)) == 0).count();

    assert_eq!(passed, 100);
    assert_eq!(world.wrong(&account("ann", "192.0.2.1")), 10);
    assert_eq!(world.wrong(&account("bob", "192.0.2.1")), 0);
}

#[test]
fn who_is_known_at_an_address_is_not_held_up_by_others() {
    let world = World::new();
    let home = account("ann", "192.0.2.1");
    world.right(&home);

    for number in 0..1_000 {
        world.wrong(&account("ann", &format!("198.51.{}.{}", number / 250, number % 250)));
        world.wrong(&account(&format!("u{number}"), "192.0.2.1"));
    }
    assert_ne!(world.wrong(&account("ann", "192.0.2.9")), 0, "the account is under attack");
    assert_ne!(world.wrong(&account("bob", "192.0.2.1")), 0, "the address is, too");

    for _ in 0..100 {
        world.right(&home);
    }
    assert_eq!(world.wrong_times(&home, 100), 10, "a known address is no licence to guess");
}

#[test]
fn who_was_known_is_strange_again_after_thirty_days() {
    let world = World::new();
    let home = account("ann", "192.0.2.1");
    world.right(&home);
    world.clock.advance(Duration::from_hours(30 * 24));

    for number in 0..200 {
        world.wrong(&account("ann", &format!("198.51.100.{number}")));
    }
    assert_ne!(world.wrong(&home), 0);
}

#[test]
fn a_right_try_does_not_count_and_forgives_none_before_it() {
    let world = World::new();
    let ann = account("ann", "192.0.2.1");
    assert_eq!(world.wrong_times(&ann, 9), 9);

    for _ in 0..100 {
        world.right(&ann);
    }
    assert_eq!(world.wrong_times(&ann, 100), 1);
}

#[test]
fn the_right_tries_of_one_known_do_not_forgive_what_strangers_owe() {
    let world = World::new();
    let home = account("ann", "192.0.2.1");
    world.right(&home);
    let stranger = |number: usize| account("ann", &format!("198.51.100.{number}"));
    assert_eq!((0..100).filter(|number| world.wrong(&stranger(*number)) == 0).count(), 100);

    for _ in 0..50 {
        world.right(&home);
    }
    assert_ne!(world.wrong(&stranger(200)), 0);
}

#[test]
fn tries_count_while_they_are_checked() {
    let world = World::new();
    let ann = account("ann", "192.0.2.1");
    let mut begun: Vec<_> = (0..20).filter_map(|_| world.begin(&ann).ok()).collect();
    assert_eq!(begun.len(), 10);

    begun.pop().unwrap().void();
    assert_eq!(world.wrong_times(&ann, 10), 1);
}

#[tokio::test]
async fn who_logs_in_rightly_many_times_at_once_is_waited_for() {
    let world = World::new();
    let (ann, now) = (account("ann", "192.0.2.1"), world.clock.now());
    let mut begun: Vec<_> = (0..10).map(|_| world.begin(&ann).unwrap()).collect();
    assert_eq!(world.throttle.look(&ann, now), Ok(()));
    let mut eleventh = Box::pin(world.throttle.begin(&ann, now));
    assert!(eleventh.as_mut().now_or_never().is_none(), "ten may all turn out to be wrong");

    begun.pop().unwrap().right(now);

    eleventh.await.unwrap().right(now);
    assert_eq!(world.wrong_times(&account("bob", "192.0.2.1"), 10), 10, "others have their own");
}

#[tokio::test]
async fn who_guesses_many_times_at_once_has_no_more_tries() {
    let world = World::new();
    let (ann, now) = (account("ann", "192.0.2.1"), world.clock.now());
    let begun: Vec<_> = (0..10).map(|_| world.begin(&ann).unwrap()).collect();
    let mut eleventh = Box::pin(world.throttle.begin(&ann, now));
    assert!(eleventh.as_mut().now_or_never().is_none(), "ten may all turn out to be right");

    drop(begun);

    assert_eq!(eleventh.await.map(drop), Err(Wait(Duration::from_secs(30))));
    assert_eq!(world.throttle.look(&ann, now), Err(Wait(Duration::from_secs(30))));
}

#[test]
fn without_an_address_the_account_counts_alone() {
    let world = World::new();
    assert_eq!(world.wrong_times(&account("ann", ""), 1_000), 100);
    assert_eq!(world.wrong(&account("bob", "")), 0);
}

#[test]
fn wrong_secrets_count_by_address_and_a_right_one_is_known_there() {
    let world = World::new();
    let (ours, theirs) = (secret(1, "192.0.2.1"), secret(2, "192.0.2.1"));
    world.throttle.right(&ours, world.clock.now());
    for _ in 0..50 {
        assert_eq!(world.throttle.look(&theirs, world.clock.now()), Ok(()));
        world.throttle.wrong(&theirs, world.clock.now());
    }

    assert_eq!(world.throttle.look(&theirs, world.clock.now()), Err(Wait(Duration::from_secs(5))));
    assert_eq!(world.throttle.look(&ours, world.clock.now()), Ok(()));
    assert_eq!(world.throttle.look(&secret(2, "192.0.2.2"), world.clock.now()), Ok(()));
    assert_eq!(world.throttle.look(&secret(2, ""), world.clock.now()), Ok(()));
}

#[test]
fn a_secret_that_was_good_and_is_no_more_is_slowed_down_too() {
    let world = World::new();
    let (revoked, now) = (secret(1, "192.0.2.1"), world.clock.now());
    world.throttle.right(&revoked, now);

    let passed = (0..1_000).filter(|_| {
        let looked = world.throttle.look(&revoked, now);
        looked.is_ok().then(|| world.throttle.wrong(&revoked, now)).is_some()
    });
    assert_eq!(passed.count(), 50);
}

#[test]
fn names_that_nobody_can_have_are_counted_like_an_account() {
    let world = World::new();
    let passed = (0..1_000).filter(|number| {
        world.wrong(&account(
            &format!("No Name {number}"),
            &format!("198.51.{}.{}", number / 250, number % 250),
        )) == 0
    });
    assert_eq!(passed.count(), 100);
}

#[test]
fn three_letters_at_once_and_then_one_each_quarter_of_an_hour() {
    let world = World::new();
    let (ann, bob) = ("ann".parse().unwrap(), "bob".parse().unwrap());
    let send = |user| world.throttle.letter(user, world.clock.now());

    assert_eq!((0..10).filter(|_| send(&ann).is_ok()).count(), 3);
    assert_eq!(send(&ann).map_err(Wait::seconds), Err(900));
    assert_eq!(send(&bob), Ok(()));
    world.clock.advance(Duration::from_mins(15));
    assert_eq!((0..10).filter(|_| send(&ann).is_ok()).count(), 1);
}

#[test]
fn an_account_has_ten_wrong_codes_and_then_one_each_hour() {
    let world = World::new();
    let (ann, bob) = ("ann".parse().unwrap(), "bob".parse().unwrap());
    let wrong = |user| world.throttle.code(user, world.clock.now()).map(drop).map_err(Wait::seconds);
    for _ in 0..100 {
        world.throttle.code(&ann, world.clock.now()).unwrap().void();
    }

    assert_eq!((0..100).filter(|_| wrong(&ann).is_ok()).count(), 10);
    assert_eq!(wrong(&ann), Err(3_600));
    assert_eq!(wrong(&bob), Ok(()));
    world.clock.advance(Duration::from_hours(1));
    assert_eq!((0..100).filter(|_| wrong(&ann).is_ok()).count(), 1);
}

#[test]
fn an_address_and_an_inviter_have_budgets_of_letters_of_their_own() {
    let world = World::new();
    let to = |address: &str| world.throttle.letter_to(address, world.clock.now()).map_err(Wait::seconds);
    assert_eq!((0..100).filter(|_| to("ann@example.com").is_ok()).count(), 10);
    assert_eq!(to("ann@example.com"), Err(900));
    assert_eq!(to("bob@example.com"), Ok(()));

    let of = |user: &str| {
        let inviter = Subject::User(user.parse().unwrap());
        world.throttle.letter_of(&inviter, world.clock.now()).map_err(Wait::seconds)
    };
    assert_eq!((0..100).filter(|_| of("ann").is_ok()).count(), 50);
    assert_eq!(of("ann"), Err(300));
    assert_eq!(of("bob"), Ok(()));
}
