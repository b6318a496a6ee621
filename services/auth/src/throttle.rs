//! Who guesses waits. Wrong passwords are counted by account with address, by address, and by account from addresses
//! that have not lately logged in to it rightly (docs/decisions/0006); codes by account alone. It lives in this process,
//! in bounded memory.

use std::{
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use moka::{policy::EvictionPolicy, sync::Cache};
use oci::AccountName;
use proto::{auth::Subject, metadata::credentials::SecretHash};
use tokio::sync::Notify;

use budget::{Allowance, Budget, Counted};

mod budget;

/// What each of them allows.
const OF_BOTH: Allowance = Allowance { at_once: 10, one_more_after: Duration::from_secs(30) };
const OF_ADDRESS: Allowance = Allowance { at_once: 50, one_more_after: Duration::from_secs(5) };
const OF_ACCOUNT: Allowance = Allowance { at_once: 100, one_more_after: Duration::from_secs(10) };

/// Wrong codes of an app for one account, by whoever knows its password: a million codes, of which three are good at a
/// time, are guessed in decades.
const OF_CODES: Allowance = Allowance { at_once: 10, one_more_after: Duration::from_hours(1) };

/// Letters to one user that somebody asks for.
const OF_LETTERS: Allowance = Allowance { at_once: 3, one_more_after: Duration::from_mins(15) };

/// Letters to one address, whoever asks for them and for whatever account.
const OF_ADDRESSEE: Allowance = Allowance { at_once: 10, one_more_after: Duration::from_mins(15) };

/// Letters to whom they like that one inviter has sent.
const OF_INVITER: Allowance = Allowance { at_once: 50, one_more_after: Duration::from_mins(5) };

/// Of each kind, how many are remembered: some 50 MiB in all, when full. Those that were used last stay.
const REMEMBERED: u64 = 50_000;

/// How long it counts that somebody has logged in rightly from an address.
const KNOWN_FOR: Duration = Duration::from_hours(30 * 24);

/// Counts wrong tries.
pub(crate) struct Throttle {
    both: Budget<(Name, Network)>,
    address: Budget<Network>,
    account: Budget<Name>,
    known: Cache<(Who, Network), Timestamp>,
    codes: Budget<AccountName>,
    letters: Budget<AccountName>,
    letters_to: Budget<String>,
    letters_of: Budget<Subject>,
    /// What is being tried. Held while one try looks and counts, so that two do not take the same last place.
    trying: Mutex<Vec<Try>>,
    ended: Notify,
}

/// Whose password is tried; none: a name that no account can have.
pub(crate) type Name = Option<AccountName>;

/// As whom somebody tries to log in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    /// With a password.
    Account(Name),
    /// With a secret: there are too many to guess one, and only addresses are counted.
    Secret(SecretHash),
    /// Nobody yet: whoever makes accounts for themselves, whom only addresses can slow down.
    Newcomer,
}

/// An address, or for IPv6 the /64 that one customer has at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Network(IpAddr);

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
            address @ IpAddr::V4(_) => address,
        })
    }
}

/// Who tries, and from where, if that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Try {
    pub(crate) who: Who,
    pub(crate) from: Option<Network>,
}

/// A try that counts as a wrong one until it turns out to be right.
#[must_use = "a try that is dropped has been a wrong one"]
pub(crate) struct Begun<'a> {
    taken: Taken,
    trying: Trying<'a>,
}

/// A try from its beginning to its end, after which it is among those that are made no more.
struct Trying<'a> {
    throttle: &'a Throttle,
    this: &'a Try,
}

/// What a try has taken of each budget; none: that is not asked. A place that was not taken is not given back.
struct Taken {
    both: Option<Counted>,
    address: Option<Counted>,
    account: Option<Counted>,
}

/// A code that counts as a wrong one until it turns out to be right.
#[must_use = "a code that is dropped has been a wrong one"]
pub(crate) struct BegunCode<'a> {
    throttle: &'a Throttle,
    user: &'a AccountName,
}

/// Whether somebody has lately logged in rightly from where they try now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Familiarity {
    Known,
    Strange,
}

/// Why a try cannot begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    /// Too many were wrong.
    Wait(Wait),
    /// Too many were wrong if those that are made now are.
    Undecided,
}

/// Too many wrong tries; there is one more after this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait(pub(crate) Duration);

impl Wait {
    /// In whole seconds, at least one.
    pub(crate) fn seconds(self) -> u32 {
        u32::try_from(self.0.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX).max(1)
    }
}

impl Throttle {
    pub(crate) fn new() -> Self {
        let known = Cache::builder().max_capacity(REMEMBERED).eviction_policy(EvictionPolicy::lru()).build();
        Self {
            both: Budget::new(OF_BOTH, REMEMBERED),
            address: Budget::new(OF_ADDRESS, REMEMBERED),
            account: Budget::new(OF_ACCOUNT, REMEMBERED),
            known,
            codes: Budget::new(OF_CODES, REMEMBERED),
            letters: Budget::new(OF_LETTERS, REMEMBERED),
            letters_to: Budget::new(OF_ADDRESSEE, REMEMBERED),
            letters_of: Budget::new(OF_INVITER, REMEMBERED),
            trying: Mutex::default(),
            ended: Notify::new(),
        }
    }

    /// Whether a try may be made now, or once those that are made now have turned out to be right. It counts nothing.
    pub(crate) fn look(&self, this: &Try, now: Timestamp) -> Result<(), Wait> {
        match self.place_for(this, &self.trying(), now) {
            Err(Refused::Wait(wait)) => Err(wait),
            Ok(()) | Err(Refused::Undecided) => Ok(()),
        }
    }

    /// Begins a try as soon as it may be made. It counts from here on: of many at once, not all may pass before the first
    /// of them has been checked. But who logs in rightly many times at once is not taken for somebody who guesses: what
    /// is undecided is waited for. It ends without us.
    pub(crate) async fn begin<'a>(&'a self, this: &'a Try, now: Timestamp) -> Result<Begun<'a>, Wait> {
        loop {
            let mut ended = pin!(self.ended.notified());
            // From here on no end is missed.
            ended.as_mut().enable();
            match self.begin_or_say(this, now) {
                Ok(begun) => return Ok(begun),
                Err(Refused::Wait(wait)) => return Err(wait),
                Err(Refused::Undecided) => ended.await,
            }
        }
    }

    /// Begins a try that needs no turn at a password, if it may be made now.
    pub(crate) fn begin_now<'a>(&'a self, this: &'a Try, now: Timestamp) -> Result<Begun<'a>, Wait> {
        self.begin_or_say(this, now).map_err(|refused| match refused {
            Refused::Wait(wait) => wait,
            Refused::Undecided => Wait(Duration::ZERO),
        })
    }

    fn begin_or_say<'a>(&'a self, this: &'a Try, now: Timestamp) -> Result<Begun<'a>, Refused> {
        let mut trying = self.trying();
        self.place_for(this, &trying, now)?;

        let familiarity = self.familiarity(this, now);
        let taken = self.count(this, familiarity, now);
        trying.push(this.clone());
        Ok(Begun { taken, trying: Trying { throttle: self, this } })
    }

    fn place_for(&self, this: &Try, trying: &[Try], now: Timestamp) -> Result<(), Refused> {
        let strange = self.familiarity(this, now) == Familiarity::Strange;
        let both = this.both().and_then(|both| self.both.wait(&both, now));
        // Who is known here is not held up by others.
        let address = this.from.filter(|_| strange).and_then(|from| self.address.wait(&from, now));
        let account = this.account().filter(|_| strange).and_then(|name| self.account.wait(name, now));

        match both.max(address).max(account) {
            None => Ok(()),
            Some(_) if trying.iter().any(|other| this.depends_on(other)) => Err(Refused::Undecided),
            Some(wait) => Err(Refused::Wait(Wait(wait))),
        }
    }

    fn trying(&self) -> MutexGuard<'_, Vec<Try>> {
        self.trying.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A try that was not begun was wrong. A secret that was good here and is no more is as strange as any other.
    pub(crate) fn wrong(&self, this: &Try, now: Timestamp) {
        if let Some(from) = this.from {
            self.known.invalidate(&(this.who.clone(), from));
        }
        self.count(this, Familiarity::Strange, now);
    }

    /// Begins a try of a code of an app, wherever it comes from, if it may be made now.
    pub(crate) fn code<'a>(&'a self, user: &'a AccountName, now: Timestamp) -> Result<BegunCode<'a>, Wait> {
        self.take(&self.codes, user, now)?;
        Ok(BegunCode { throttle: self, user })
    }

    /// Counts a letter to a user, if there have not been too many.
    pub(crate) fn letter(&self, user: &AccountName, now: Timestamp) -> Result<(), Wait> {
        self.take(&self.letters, user, now)
    }

    /// Counts a letter to an address, in small letters, if there have not been too many.
    pub(crate) fn letter_to(&self, address: &str, now: Timestamp) -> Result<(), Wait> {
        self.take(&self.letters_to, &address.to_owned(), now)
    }

    /// Counts a letter that somebody has sent to whom they like, if there have not been too many.
    pub(crate) fn letter_of(&self, inviter: &Subject, now: Timestamp) -> Result<(), Wait> {
        self.take(&self.letters_of, inviter, now)
    }

    fn take<K>(&self, budget: &Budget<K>, key: &K, now: Timestamp) -> Result<(), Wait>
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
    {
        let _one_at_a_time = self.trying();
        if let Some(wait) = budget.wait(key, now) {
            return Err(Wait(wait));
        }
        budget.count(key, now);
        Ok(())
    }

    /// A try was right: who made it is known there from now on. What was counted before still counts.
    pub(crate) fn right(&self, this: &Try, now: Timestamp) {
        if let Some(from) = this.from {
            self.known.insert((this.who.clone(), from), now);
        }
    }

    fn count(&self, this: &Try, familiarity: Familiarity, now: Timestamp) -> Taken {
        let account = this.account().filter(|_| familiarity == Familiarity::Strange);
        Taken {
            both: this.both().map(|both| self.both.count(&both, now)),
            address: this.from.map(|from| self.address.count(&from, now)),
            account: account.map(|name| self.account.count(name, now)),
        }
    }

    fn familiarity(&self, this: &Try, now: Timestamp) -> Familiarity {
        let since = this.from.and_then(|from| self.known.get(&(this.who.clone(), from)));
        match since {
            Some(since) if now.duration_since(since).unsigned_abs() < KNOWN_FOR => Familiarity::Known,
            _ => Familiarity::Strange,
        }
    }
}

impl Begun<'_> {
    /// It was right.
    pub(crate) fn right(self, now: Timestamp) {
        self.trying.throttle.right(self.trying.this, now);
        self.void();
    }

    /// Nothing came of it, right or wrong: it does not count.
    pub(crate) fn void(self) {
        let Self { taken, trying: Trying { throttle, this } } = &self;
        if let (Some(both), Some(Counted::Whole)) = (this.both(), taken.both) {
            throttle.both.take_back(&both);
        }
        if let (Some(from), Some(Counted::Whole)) = (this.from, taken.address) {
            throttle.address.take_back(&from);
        }
        if let (Some(name), Some(Counted::Whole)) = (this.account(), taken.account) {
            throttle.account.take_back(name);
        }
    }
}

impl Drop for Trying<'_> {
    fn drop(&mut self) {
        let mut trying = self.throttle.trying();
        if let Some(ours) = trying.iter().position(|one| one == self.this) {
            trying.swap_remove(ours);
        }
        drop(trying);
        self.throttle.ended.notify_waiters();
    }
}

impl BegunCode<'_> {
    /// It was right, or nothing came of it: it does not count.
    pub(crate) fn void(self) {
        self.throttle.codes.take_back(self.user);
    }
}

impl Try {
    fn account(&self) -> Option<&Name> {
        match &self.who {
            Who::Account(name) => Some(name),
            Who::Secret(_) | Who::Newcomer => None,
        }
    }

    /// Whether it may be that there is a place for this one if the other is right. Only passwords take that long, and all
    /// that try one have a turn: nobody waits here for somebody who waits for a turn.
    fn depends_on(&self, other: &Self) -> bool {
        let same_address = self.from.is_some() && self.from == other.from;
        other.account().is_some_and(|name| same_address || self.account() == Some(name))
    }

    fn both(&self) -> Option<(Name, Network)> {
        Some((self.account()?.clone(), self.from?))
    }
}

#[cfg(test)]
mod tests;
