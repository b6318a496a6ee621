//! Randomness, as an argument: nothing else in the workspace asks the system for it.

use std::{
    fmt::{self, Debug},
    sync::{Arc, Mutex, PoisonError},
};

use rand::{
    RngCore, SeedableRng, TryRngCore,
    rngs::{OsRng, StdRng},
};
use ulid::Ulid;

use crate::clock::{self, Clock};

/// A source of random bytes.
pub trait Random: Debug + Send + Sync {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// The operating system's randomness, fit for keys.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) {
        OsRng.unwrap_err().fill_bytes(bytes);
    }
}

/// The operating system's randomness, as most parts take it.
pub fn system() -> Arc<dyn Random> {
    Arc::new(SystemRandom)
}

/// The same bytes for the same seed, for tests.
pub struct SeededRandom(Mutex<StdRng>);

impl SeededRandom {
    /// The sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }
}

impl Debug for SeededRandom {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SeededRandom")
    }
}

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(bytes);
    }
}

/// Makes ULIDs. Each is greater than the one before, within a millisecond and when the clock goes back.
#[derive(Debug)]
pub struct Ulids {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    previous: Mutex<Ulid>,
}

impl Ulids {
    /// ULIDs from this time and this randomness.
    pub fn new(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self { clock, random, previous: Mutex::new(Ulid::nil()) }
    }

    /// ULIDs from the machine's clock and randomness.
    pub fn system() -> Self {
        Self::new(clock::system(), system())
    }

    /// The next one, 26 characters of Crockford's base 32.
    #[allow(clippy::should_implement_trait, reason = "an endless source, not a sequence to adapt")]
    pub fn next(&self) -> String {
        let now = u64::try_from(self.clock.now().as_millisecond()).unwrap_or(0);
        let mut random = [0; 16];
        self.random.fill(&mut random);
        let fresh = |millisecond| Ulid::from_parts(millisecond, u128::from_be_bytes(random));

        let mut previous = self.previous.lock().unwrap_or_else(PoisonError::into_inner);
        *previous = if now > previous.timestamp_ms() {
            fresh(now)
        } else {
            // A full millisecond borrows from the next one, to stay in order.
            previous.increment().unwrap_or_else(|| fresh(previous.timestamp_ms() + 1))
        };
        previous.to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let bytes = |seed| {
            let mut bytes = [0; 32];
            SeededRandom::new(seed).fill(&mut bytes);
            bytes
        };
        assert_eq!(bytes(1), bytes(1));
        assert_ne!(bytes(1), bytes(2));
    }

    #[test]
    fn the_system_gives_other_bytes_each_time() {
        let (mut a, mut b) = ([0; 32], [0; 32]);
        SystemRandom.fill(&mut a);
        SystemRandom.fill(&mut b);
        assert_ne!(a, b);
    }

    #[test]
    fn ulids_rise_within_a_millisecond_and_when_the_clock_goes_back() {
        let clock = Arc::new(ManualClock::default());
        let ulids = Ulids::new(clock.clone(), Arc::new(SeededRandom::new(7)));
        let start = clock.now();

        let mut made: Vec<String> = (0..1000).map(|_| ulids.next()).collect();
        clock.advance(Duration::from_secs(1));
        made.push(ulids.next());
        clock.set(start);
        made.push(ulids.next());

        assert!(made.iter().all(|ulid| ulid.len() == 26));
        assert!(made.is_sorted_by(|a, b| a < b), "{made:?}");
    }

    #[test]
    fn ulids_carry_the_time_of_the_clock() {
        let clock = Arc::new(ManualClock::default());
        let ulid = Ulids::new(clock.clone(), Arc::new(SeededRandom::new(7))).next();
        let millisecond = Ulid::from_string(&ulid).unwrap().timestamp_ms();
        assert_eq!(i64::try_from(millisecond).unwrap(), clock.now().as_millisecond());
    }
}
