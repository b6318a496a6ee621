//! Which of several replicas a call goes to. Pure: it sees how busy they are, and not who they are.

/// A replica of one key takes no more calls than this many beyond 5/4 of what the least busy one has.
const MORE_THAN_LEAST: usize = 2;

/// What a call is about: calls about the same go to the same replica, as long as it is one of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placement(u64);

impl Placement {
    pub(super) fn of(key: &str) -> Self {
        Self(hashed(key))
    }

    /// How much the replica at a place that hashes to `place` is the one for this. Highest random weight, Thaler and
    /// Ravishankar: a replica that comes or goes moves only what it takes or leaves.
    pub(super) fn weight(self, place: u64) -> u64 {
        mixed(self.0 ^ place)
    }
}

/// Of two that chance names, the one with fewer calls. `turn` is the chance; `loads` has one number or more.
pub(super) fn by_load(loads: &[usize], turn: u64) -> usize {
    let count = loads.len();
    if count < 2 {
        return 0;
    }
    let chance = mixed(turn);
    let first = below(chance, count);
    let second = (first + 1 + below(chance.rotate_left(32), count - 1)) % count;
    if loads[second] < loads[first] { second } else { first }
}

/// The one with the highest weight of those that are not much busier than the least busy one. Of each it gets the calls
/// in flight and the weight.
pub(super) fn by_place(candidates: &[(usize, u64)]) -> usize {
    let least = candidates.iter().map(|(load, _)| *load).min().unwrap_or_default();
    let bound = least + least / 4 + MORE_THAN_LEAST;
    let fitting = candidates.iter().enumerate().filter(|(_, (load, _))| *load < bound);
    fitting.max_by_key(|(_, (_, weight))| *weight).map_or(0, |(index, _)| index)
}

/// The same number for the same text, in every process and every release (FNV-1a, then mixed).
pub(super) fn hashed(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    mixed(text.bytes().fold(0xcbf2_9ce4_8422_2325, step))
}

/// Every bit of the result depends on every bit of the number (splitmix64).
fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

fn below(chance: u64, bound: usize) -> usize {
    usize::try_from(chance % bound as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// Places as many streams, none of which ends, as `choose` says of the loads and the number of the stream.
    fn spread(replicas: usize, streams: usize, choose: impl Fn(&[usize], u64) -> usize) -> Vec<usize> {
        let mut loads = vec![0; replicas];
        for stream in 0..streams {
            let chosen = choose(&loads, stream as u64);
            loads[chosen] += 1;
        }
        loads
    }

    fn placed(loads: &[usize], key: &str) -> usize {
        let weight = |index: usize| Placement::of(key).weight(hashed(&format!("http://10.0.0.{index}:7003")));
        let candidates: Vec<_> =
            loads.iter().enumerate().map(|(index, load)| (*load, weight(index))).collect();
        by_place(&candidates)
    }

    #[rstest]
    #[case(2)]
    #[case(3)]
    #[case(5)]
    fn the_busiest_has_little_more_than_the_others(#[case] replicas: usize) {
        for turn in 0..100 {
            let loads =
                spread(replicas, 32 * replicas, |loads, stream| by_load(loads, turn * 1_000 + stream));
            let (most, least) = (loads.iter().max().unwrap(), loads.iter().min().unwrap());
            assert!(10 * most <= 13 * least, "{loads:?}");
        }
    }

    #[test]
    fn a_key_has_one_place_while_that_is_not_busy() {
        for key in 0..100 {
            let key = format!("sha256:{key}");
            let first = placed(&[0, 0, 0, 0], &key);
            assert!((0..10).all(|load| placed(&[load; 4], &key) == first));
        }
    }

    #[test]
    fn even_streams_of_one_key_leave_nobody_much_busier() {
        for key in 0..100 {
            let loads = spread(2, 64, |loads, _| placed(loads, &format!("sha256:{key}")));
            let (most, least) = (loads.iter().max().unwrap(), loads.iter().min().unwrap());
            assert!(10 * most <= 13 * least, "{loads:?}");
        }
    }

    #[test]
    fn keys_are_spread_and_a_new_replica_takes_only_its_share() {
        let place = |replicas: usize, key: usize| placed(&vec![0; replicas], &format!("sha256:{key}"));
        let mut counts = [0_usize; 4];
        let mut moved = 0;
        for key in 0..4_000 {
            counts[place(4, key)] += 1;
            let (before, after) = (place(4, key), place(5, key));
            assert!(after == before || after == 4, "a key went to a replica that was there before");
            moved += usize::from(after != before);
        }
        assert!(counts.iter().all(|count| (850..1_150).contains(count)), "{counts:?}");
        assert!((650..950).contains(&moved), "{moved} of 4000 keys moved to the fifth");
    }
}
