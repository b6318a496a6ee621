//! Pulls that are not written yet, by repository and manifest. A pull holds the lock for as long as it takes to find its
//! manifest and add to two numbers.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use oci::Digest;
use tokio::sync::Notify;
use ulid::Ulid;

use crate::keys::RepositoryId;

/// Manifests whose pulls wait to be written, at most, and as many that are being written: about 2 MiB each. Pulls of
/// further ones are not counted.
const MOST: usize = 10_000;

/// With so many they are written at once.
const MANY: usize = MOST / 2;

/// Pulls of this process that are not written yet.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pulls: Mutex<Pulls>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Pulls {
    fresh: Batch,
    /// They can still be lost or given back.
    writing: Batch,
}

#[derive(Debug, Default)]
struct Batch {
    repositories: HashMap<Ulid, OfRepository>,
    manifests: usize,
}

/// What is not written yet of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OfRepository {
    /// How often images were pulled.
    pub(crate) pulls: u64,
    /// When something was, last.
    pub(crate) last_ms: Option<i64>,
    /// When each manifest was, last.
    pub(crate) manifests: HashMap<Digest, i64>,
}

/// Whether a pull is counted, or only when it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counts {
    Yes,
    No,
}

impl Gathered {
    /// Notes a pull.
    pub(crate) fn note(&self, id: RepositoryId, digest: &Digest, counts: Counts, now: Timestamp) {
        let mut pulls = self.pulls();
        let known = pulls.fresh.manifests;
        if pulls.fresh.has_room_for(id, digest) {
            let pull = OfRepository {
                pulls: u64::from(counts == Counts::Yes),
                last_ms: Some(now.as_millisecond()),
                manifests: HashMap::new(),
            };
            pulls.fresh.add(id.0, &pull, std::iter::once((digest, now.as_millisecond())));
        }

        let grown = pulls.fresh.manifests > known || known == MOST;
        if grown && pulls.fresh.manifests >= MANY {
            self.filled.notify_one();
        }
    }

    /// Waits until there are so many that they are to be written.
    pub(crate) async fn filled(&self) {
        self.filled.notified().await;
    }

    /// What is not written yet of a repository.
    pub(crate) fn waiting(&self, id: RepositoryId) -> OfRepository {
        let pulls = self.pulls();
        let mut waiting = Batch::default();
        for batch in [&pulls.fresh, &pulls.writing] {
            if let Some(of) = batch.repositories.get(&id.0) {
                waiting.add(id.0, &of.counted(), of.manifests.iter().map(|(digest, at)| (digest, *at)));
            }
        }
        waiting.repositories.remove(&id.0).unwrap_or_default()
    }

    /// What is to be written now. Each is then either written or given back.
    pub(crate) fn taken(&self) -> Vec<(RepositoryId, OfRepository)> {
        let mut pulls = self.pulls();
        let fresh = std::mem::take(&mut pulls.fresh);
        // What an earlier write has left, which was cut off.
        for (id, of) in fresh.repositories {
            pulls.writing.add(id, &of.counted(), of.manifests.iter().map(|(digest, at)| (digest, *at)));
        }
        pulls.writing.repositories.iter().map(|(id, of)| (RepositoryId(*id), of.clone())).collect()
    }

    /// Nothing waits any more of what was taken.
    pub(crate) fn written(&self, id: RepositoryId) {
        self.pulls().writing.remove(id.0);
    }

    /// What was taken waits again.
    pub(crate) fn given_back(&self, id: RepositoryId) {
        let mut pulls = self.pulls();
        if let Some(of) = pulls.writing.remove(id.0) {
            pulls.fresh.add(id.0, &of.counted(), of.manifests.iter().map(|(digest, at)| (digest, *at)));
        }
    }

    fn pulls(&self) -> MutexGuard<'_, Pulls> {
        self.pulls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Batch {
    fn has_room_for(&self, id: RepositoryId, digest: &Digest) -> bool {
        let known = self.repositories.get(&id.0).is_some_and(|of| of.manifests.contains_key(digest));
        known || self.manifests < MOST
    }

    fn add<'a>(
        &mut self,
        id: Ulid,
        counted: &OfRepository,
        manifests: impl Iterator<Item = (&'a Digest, i64)>,
    ) {
        let of = self.repositories.entry(id).or_default();
        of.pulls = of.pulls.saturating_add(counted.pulls);
        of.last_ms = of.last_ms.max(counted.last_ms);
        for (digest, at_ms) in manifests {
            if let Some(last_ms) = of.manifests.get_mut(digest) {
                *last_ms = at_ms.max(*last_ms);
            } else {
                of.manifests.insert(digest.clone(), at_ms);
                self.manifests += 1;
            }
        }
    }

    fn remove(&mut self, id: Ulid) -> Option<OfRepository> {
        let of = self.repositories.remove(&id)?;
        self.manifests = self.manifests.saturating_sub(of.manifests.len());
        Some(of)
    }
}

impl OfRepository {
    /// Without the manifests.
    fn counted(&self) -> Self {
        Self { pulls: self.pulls, last_ms: self.last_ms, manifests: HashMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use oci::Digest;
    use ulid::Ulid;

    use super::{Counts, Gathered, MOST, OfRepository};
    use crate::keys::RepositoryId;

    const ID: RepositoryId = RepositoryId(Ulid(7));

    fn note(gathered: &Gathered, number: usize, at_ms: i64) {
        let digest = Digest::of_sha256(number.to_string().as_bytes());
        gathered.note(ID, &digest, Counts::Yes, Timestamp::from_millisecond(at_ms).unwrap());
    }

    #[test]
    fn what_is_being_written_still_waits_until_it_is_written() {
        let gathered = Gathered::default();
        note(&gathered, 1, 5);
        note(&gathered, 1, 9);
        let taken = gathered.taken();
        note(&gathered, 2, 7);

        let both = gathered.waiting(ID);
        assert_eq!((both.pulls, both.last_ms, both.manifests.len()), (3, Some(9), 2));
        assert_eq!(taken[0].1.pulls, 2);

        gathered.written(ID);
        assert_eq!((gathered.waiting(ID).pulls, gathered.waiting(ID).last_ms), (1, Some(7)));
    }

    #[test]
    fn what_was_not_written_is_taken_again() {
        let gathered = Gathered::default();
        note(&gathered, 1, 5);
        let first = gathered.taken();
        gathered.given_back(ID);
        note(&gathered, 1, 6);

        assert_eq!(first[0].1.pulls, 1);
        let again = gathered.taken();
        assert_eq!((again[0].1.pulls, again[0].1.last_ms), (2, Some(6)));
        gathered.written(ID);
        assert_eq!(gathered.waiting(ID), OfRepository::default());
    }

    #[tokio::test]
    async fn memory_is_bounded_and_much_is_written_at_once() {
        let gathered = Gathered::default();
        for number in 0..MOST + 10 {
            note(&gathered, number, 5);
        }
        note(&gathered, 3, 8);

        gathered.filled().await;
        let waiting = gathered.waiting(ID);
        assert_eq!(waiting.manifests.len(), MOST);
        assert_eq!(waiting.pulls, MOST as u64 + 1);
    }
}
