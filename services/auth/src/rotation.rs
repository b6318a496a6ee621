//! When signing keys take over from each other: pure, so that all replicas come to the same. A key is told before it
//! signs, so that every edge knows it in time, and kept after it has, as long as anything that it has signed counts.

use std::time::Duration;

use jiff::Timestamp;
use proto::{auth::KeyId, metadata::accounts::SigningKey};

/// How long a key is told before it signs: several times as long as edges take to read keys again.
const TOLD_BEFORE: Duration = Duration::from_mins(2);

/// How long it is kept when it signs no more: a day, as long as an upload outlives its token, and what tokens live.
const KEPT_AFTER: Duration = Duration::from_hours(25);

/// From when on the key signs that is to be made now, after `newest`; none: there is no need for one yet.
pub(crate) fn next_from(newest: &SigningKey, rotation: Duration, now: Timestamp) -> Option<Timestamp> {
    if newest.next.is_some() {
        return None;
    }
    if let Some(until) = newest.until {
        return Some(until.max(now));
    }
    let (age_ends, soonest) = (later(newest.from, rotation), later(now, TOLD_BEFORE));
    (age_ends <= soonest).then_some(soonest)
}

/// When a key was made that is to count as newer than `newest`, also where the clock of whoever made that is ahead.
pub(crate) fn made_after(newest: &SigningKey, now: Timestamp) -> Timestamp {
    now.max(later(newest.created, Duration::from_millis(1)))
}

/// The keys whose time is over; they stand in the order in which they were made.
pub(crate) fn over(keys: &[SigningKey], now: Timestamp) -> Vec<KeyId> {
    let followed = |index: usize| keys[index + 1..].iter().any(|newer| later(newer.from, KEPT_AFTER) <= now);
    let over = keys.iter().enumerate().filter(|(index, _)| followed(*index));
    over.map(|(_, key)| key.verification.id.clone()).collect()
}

/// The key that signs now and those that will: of those whose time has come, the one that was made last signs.
pub(crate) fn signing(keys: &[SigningKey], now: Timestamp) -> &[SigningKey] {
    let active = keys.iter().rposition(|key| key.from <= now).unwrap_or(0);
    keys.get(active..).unwrap_or_default()
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    time.saturating_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::{KEPT_AFTER, TOLD_BEFORE, made_after, next_from, over, signing};
    use jiff::Timestamp;
    use proto::{
        auth::{KeyId, PublicKey, VerificationKey},
        metadata::accounts::SigningKey,
    };
    use std::time::Duration;

    const START: Timestamp = Timestamp::constant(1_767_225_600, 0);
    const ROTATION: Duration = Duration::from_hours(90 * 24);

    fn at(seconds: u64) -> Timestamp {
        START + Duration::from_secs(seconds)
    }

    fn key(made: u64, from: u64) -> SigningKey {
        let id = KeyId(format!("made at {made}"));
        SigningKey {
            verification: VerificationKey { id, public_key: PublicKey::Ed25519([0; 32]) },
            sealed_private_key: Vec::<u8>::new().into(),
            created: at(made),
            from: at(from),
            until: None,
            next: None,
        }
    }

    fn ids(keys: &[SigningKey]) -> Vec<&str> {
        keys.iter().map(|key| key.verification.id.0.as_str()).collect()
    }

    #[test]
    fn by_age_the_next_key_is_made_before_it_is_needed() {
        let newest = key(0, 0);
        let due = START + ROTATION - TOLD_BEFORE;
        assert_eq!(next_from(&newest, ROTATION, START), None);
        assert_eq!(next_from(&newest, ROTATION, due - Duration::from_secs(1)), None);
        assert_eq!(next_from(&newest, ROTATION, due), Some(START + ROTATION));
        // Whoever was away for long does not use one that nobody was told of.
        let late = START + 2 * ROTATION;
        assert_eq!(next_from(&newest, ROTATION, late), Some(late + TOLD_BEFORE));
    }

    #[test]
    fn a_retired_key_is_followed_when_it_is_said() {
        let retired = SigningKey { until: Some(at(50)), ..key(0, 0) };
        assert_eq!(next_from(&retired, ROTATION, at(20)), Some(at(50)));
        assert_eq!(next_from(&retired, ROTATION, at(70)), Some(at(70)));
        let followed = SigningKey { next: Some(KeyId("another".to_owned())), ..retired };
        assert_eq!(next_from(&followed, ROTATION, at(70)), None);
    }

    #[test]
    fn the_key_that_was_made_last_signs_once_its_time_has_come() {
        let keys = [key(0, 0), key(10, 130), key(20, 20)];
        assert_eq!(ids(signing(&keys[..2], at(129))), ["made at 0", "made at 10"]);
        assert_eq!(ids(signing(&keys[..2], at(130))), ["made at 10"]);
        // One that was to come, and was followed before: it never signs.
        assert_eq!(ids(signing(&keys, at(25))), ["made at 20"]);
        assert_eq!(ids(signing(&keys, at(500))), ["made at 20"]);
        assert_eq!(ids(signing(&[key(9, 9)], START)), ["made at 9"], "better than none");
        assert!(signing(&[], START).is_empty());
    }

    #[test]
    fn a_key_is_kept_until_all_that_it_has_signed_is_worth_nothing() {
        let keys = [key(0, 0), key(10, 130), key(500, 700)];
        let ended = at(130) + KEPT_AFTER;
        assert!(over(&keys, ended - Duration::from_secs(1)).is_empty());
        assert_eq!(over(&keys, ended), [KeyId("made at 0".to_owned())]);
        assert_eq!(over(&keys, at(700) + KEPT_AFTER).len(), 2, "the newest stays");
    }

    #[test]
    fn a_key_is_newer_than_the_one_it_follows_whatever_the_clocks_say() {
        let newest = key(100, 100);
        assert_eq!(made_after(&newest, at(200)), at(200));
        assert!(made_after(&newest, at(50)) > newest.created);
    }
}
