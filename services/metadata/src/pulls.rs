//! Pulls: counted in memory, bounded, and written together now and then, so that no pull waits for it. What is not
//! written yet when a process is killed is lost. Since when all this is done is kept too: what was pulled before that, or
//! while an earlier release ran, nobody knows.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use jiff::Timestamp;
use oci::{Digest, ManifestKind, Needed, Reference, RepositoryName};
use proto::metadata::{RepositoryError, repositories::Manifest};
use service_kit::shutdown::Shutdown;
use tokio::time::timeout;

use crate::{
    ATTEMPTS, Outcome, Service,
    failure::{next, parsed},
    keys::{self, RepositoryId, field},
    keyspace::{Commit, Condition, Error, Field, Key, Mutation},
    manifests::needs_in,
    step,
};
use gathered::OfRepository;

pub(crate) use gathered::{Counts, Gathered};

mod gathered;

/// Between two writes.
const EVERY: Duration = Duration::from_secs(10);

/// Between two notes that pulls are still counted.
const STILL: Duration = Duration::from_mins(10);

/// After a longer time without such a note an earlier release may have run: counting begins anew.
const LONGEST_BREAK: Duration = Duration::from_hours(24);

/// How long the last write may take, so that the end of the process does not wait for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Manifests in one commit.
const AT_ONCE: usize = 500;

impl Service {
    /// Writes now and then, and a last time at the shutdown, what was pulled: a task of the process.
    pub fn write_pulls(&self, shutdown: Shutdown) -> impl Future<Output = ()> + Send + use<> {
        let service = self.clone();
        async move {
            let mut noted = Timestamp::MIN;
            loop {
                tokio::select! {
                    () = shutdown.stopping() => break,
                    () = service.0.pulls.filled() => {}
                    () = tokio::time::sleep(EVERY) => {}
                }
                service.write_gathered().await;
                noted = service.note_counting(noted).await;
            }
            if timeout(PATIENCE, service.write_gathered()).await.is_err() {
                tracing::warn!("the last pulls are not written in time");
            }
        }
    }

    /// A manifest for whoever pulls it.
    pub(crate) async fn pull_manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Manifest, RepositoryError> {
        let (id, manifest) = self.found_manifest(repository, reference).await?;
        // Whoever pulls an index goes on to what it is about, and that counts.
        let is_index =
            ManifestKind::from_media_type(&manifest.media_type).is_some_and(ManifestKind::is_index);
        let counts = if is_index { Counts::No } else { Counts::Yes };

        self.0.pulls.note(id, &manifest.digest, counts, self.now());
        Ok(manifest)
    }

    /// How often a repository was pulled, and when last: the fields as they were read, and what is not written yet.
    pub(crate) fn pulls_of(
        &self,
        id: RepositoryId,
        pulls: Option<&Bytes>,
        last: Option<&Bytes>,
    ) -> Result<(u64, Option<Timestamp>), Error> {
        let key = keys::pulled(id);
        let pulls: u64 = pulls.map_or(Ok(0), |pulls| parsed(&key, &field::PULLS, Some(pulls)))?;
        let last: Option<i64> = last.map(|last| parsed(&key, &field::LAST, Some(last))).transpose()?;
        let waiting = self.0.pulls.waiting(id);

        let last = last.max(waiting.last_ms);
        let last = last.map(|last| Timestamp::from_millisecond(last).unwrap_or(Timestamp::MIN));
        Ok((pulls.saturating_add(waiting.pulls), last))
    }

    /// When each of `manifests`, or a child of it, was pulled last; none before pulls were counted.
    pub(crate) async fn last_pulls(
        &self,
        id: RepositoryId,
        manifests: Vec<Digest>,
    ) -> Result<BTreeMap<Digest, Timestamp>, Error> {
        let since = self.fields(&[(keys::COUNTING, field::SINCE)]).await?.pop().flatten();
        let now_ms = self.now().as_millisecond();
        let since: i64 =
            since.map_or(Ok(now_ms), |since| parsed(&keys::COUNTING, &field::SINCE, Some(&since)))?;

        // First what waits: it may be written meanwhile.
        let waiting = self.0.pulls.waiting(id);
        let families = self.with_children(id, manifests).await?;
        let asked: Vec<_> =
            families.iter().flat_map(|(_, family)| family).map(|digest| pulled(id, digest)).collect();
        let mut values = self.fields(&asked).await?.into_iter();

        let mut latest = BTreeMap::new();
        for (manifest, family) in families {
            let mut last = since;
            for digest in &family {
                let (key, field) = pulled(id, digest);
                let written =
                    next(&mut values).map_or(Ok(since), |read| parsed(&key, &field, Some(&read)))?;
                last = last.max(written).max(waiting.manifests.get(digest).copied().unwrap_or(since));
            }
            latest.insert(manifest, Timestamp::from_millisecond(last).unwrap_or(Timestamp::MAX));
        }
        Ok(latest)
    }

    /// Each with itself and the manifests that it lists.
    async fn with_children(
        &self,
        id: RepositoryId,
        manifests: Vec<Digest>,
    ) -> Result<Vec<(Digest, Vec<Digest>)>, Error> {
        let asked: Vec<_> =
            manifests.iter().map(|digest| (keys::manifest(id, digest), field::NEEDS)).collect();
        let mut values = self.fields(&asked).await?.into_iter();

        let mut families = Vec::with_capacity(manifests.len());
        for (manifest, (key, _)) in manifests.into_iter().zip(&asked) {
            let needs = next(&mut values).map_or(Ok(Vec::new()), |needs| needs_in(key, &needs))?;
            let children = needs.into_iter().filter(|(what, _)| *what == Needed::Manifest);
            let family = std::iter::once(manifest.clone()).chain(children.map(|(_, child)| child)).collect();
            families.push((manifest, family));
        }
        Ok(families)
    }

    /// Says since when pulls are counted, unless they were all the time until now.
    pub(crate) async fn prepare_counting(&self) -> Result<(), Error> {
        let record = self.keyspace().record(&keys::COUNTING).await?.unwrap_or_default();
        let now_ms = self.now().as_millisecond();
        let until = record.number(field::UNTIL).filter(|_| record.number(field::SINCE).is_some());
        let longest_ms = i64::try_from(LONGEST_BREAK.as_millis()).unwrap_or(i64::MAX);
        let goes_on = until.is_some_and(|until| now_ms.saturating_sub(until) <= longest_ms);

        let set = |field| Mutation::SetField(keys::COUNTING, field, now_ms.to_string().into());
        let commit = Commit::synced().then_all((!goes_on).then(|| set(field::SINCE))).then(set(field::UNTIL));
        let _unconditional = self.commit(step!("prepare_counting"), commit).await?;
        Ok(())
    }

    /// Says that pulls are still counted, if that was said long ago; answers when it was said last.
    async fn note_counting(&self, noted: Timestamp) -> Timestamp {
        let now = self.now();
        if now.duration_since(noted).unsigned_abs() < STILL {
            return noted;
        }
        let now_ms = now.as_millisecond().to_string();
        let commit = Commit::relaxed().then(Mutation::SetField(keys::COUNTING, field::UNTIL, now_ms.into()));
        match self.commit(step!("note_counting"), commit).await {
            Ok(_) => now,
            Err(error) => {
                tracing::warn!(%error, "that pulls are counted is not noted");
                noted
            }
        }
    }

    /// Writes what waits.
    pub(crate) async fn write_gathered(&self) {
        for (id, of) in self.0.pulls.taken() {
            match self.write_pulls_of(id, of).await {
                Ok(()) => self.0.pulls.written(id),
                Err(error) => {
                    tracing::warn!(%error, repository = %id, "pulls are not written yet");
                    self.0.pulls.given_back(id);
                }
            }
        }
    }

    async fn write_pulls_of(&self, id: RepositoryId, of: OfRepository) -> Result<(), Error> {
        let OfRepository { pulls, last_ms, manifests } = of;
        let mut manifests: Vec<_> = manifests.into_iter().collect();
        let last = manifests.split_off(manifests.len().saturating_sub(AT_ONCE));
        while !manifests.is_empty() {
            let some = manifests.split_off(manifests.len().saturating_sub(AT_ONCE));
            self.write_some(id, Vec::new(), some).await?;
        }

        // With the last of them: until then all of it can be done again.
        let set = |field, value: Bytes| Mutation::SetField(keys::pulled(id), field, value);
        let pulls = i64::try_from(pulls).unwrap_or(i64::MAX);
        let mut counted = vec![Mutation::Increment(keys::pulled(id), field::PULLS, pulls)];
        counted.extend(last_ms.map(|last_ms| set(field::LAST, last_ms.to_string().into())));
        self.write_some(id, counted, last).await
    }

    /// Manifests that are gone by now have nothing to be remembered.
    async fn write_some(
        &self,
        id: RepositoryId,
        counted: Vec<Mutation>,
        mut manifests: Vec<(Digest, i64)>,
    ) -> Result<(), Error> {
        let state = keys::state(id);
        for _ in 0..ATTEMPTS {
            let there = manifests.iter().map(|(digest, _)| {
                let (key, field) = stored(id, digest);
                Condition::FieldPresent(key, field)
            });
            let commit = Commit::relaxed()
                .when(Condition::FieldPresent(state.clone(), field::NAME))
                .when_all(there)
                .then_all(counted.iter().cloned())
                .then_all(manifests.iter().map(|(digest, at_ms)| last_pulled(id, digest, *at_ms)));
            if self.commit(step!("write_pulls"), commit).await? == Outcome::Committed {
                return Ok(());
            }

            let mut asked = vec![(state.clone(), field::NAME)];
            asked.extend(manifests.iter().map(|(digest, _)| stored(id, digest)));
            let mut found = self.fields(&asked).await?.into_iter();
            if next(&mut found).is_none() {
                return Ok(());
            }
            manifests.retain(|_| next(&mut found).is_some());
        }
        Ok(())
    }
}

/// What is there as long as a manifest is.
fn stored(id: RepositoryId, digest: &Digest) -> (Key, Field) {
    (keys::manifest(id, digest), field::TYPE)
}

/// When a manifest was pulled last.
fn pulled(id: RepositoryId, digest: &Digest) -> (Key, Field) {
    (keys::pulled(id), keys::named(digest))
}

fn last_pulled(id: RepositoryId, digest: &Digest, at_ms: i64) -> Mutation {
    let (key, field) = pulled(id, digest);
    Mutation::SetField(key, field, at_ms.to_string().into())
}

/// The manifest is gone.
pub(crate) fn forgotten(id: RepositoryId, digest: &Digest) -> Mutation {
    let (key, field) = pulled(id, digest);
    Mutation::RemoveField(key, field)
}
