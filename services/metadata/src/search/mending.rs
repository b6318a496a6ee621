//! Entries of the index of words that lead nowhere: what a crash has left on an engine that is not atomic. Whoever finds
//! one removes it, unless it has come to lead somewhere since.

use bytes::Bytes;

use super::sources::Candidate;
use crate::{
    Service,
    keys::{self, field},
    keyspace::{Commit, Condition, Error, Key, Mutation},
    placement::{Placement, Target},
    step,
};

/// Entries that one page removes, at most.
const AT_ONCE: usize = 20;

/// An entry that leads nowhere, and what must be so still.
pub(super) struct Stale {
    conditions: Vec<Condition>,
    removed: Vec<Mutation>,
}

impl Stale {
    /// An entry that leads nowhere: those sets have it that are `wrong`. None: it is not in the index of words; what is
    /// in the lists of names, reclaim mends.
    pub(super) fn of(
        candidate: &Candidate,
        place: Option<Placement>,
        words: Option<Bytes>,
        wrong: impl Fn(&Key) -> bool,
    ) -> Option<Self> {
        let _word = candidate.found.as_ref()?;
        let name = &candidate.name;
        let conditions = match place {
            Some(place) => vec![
                Condition::FieldEquals(
                    Target::Existing(place).record(name),
                    field::ID,
                    place.id.to_string().into(),
                ),
                Condition::unchanged(keys::state(place.id), field::WORDS, words),
            ],
            None => Placement::fields(name).map(|(key, field)| Condition::FieldAbsent(key, field)).into(),
        };
        let removed = candidate.sets.iter().filter(|&set| wrong(set)).cloned();
        let removed = removed.map(|set| Mutation::RemoveMember(set, candidate.member.clone()));
        let removed: Vec<_> = removed.collect();
        (!removed.is_empty()).then_some(Self { conditions, removed })
    }
}

impl Service {
    pub(super) async fn mend(&self, stale: Vec<Stale>) -> Result<(), Error> {
        for Stale { conditions, removed } in stale.into_iter().take(AT_ONCE) {
            let commit = Commit::relaxed().when_all(conditions).then_all(removed);
            let _either_way = self.commit(step!("mend_words"), commit).await?;
        }
        Ok(())
    }
}
