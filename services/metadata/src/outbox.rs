//! Readers of the outbox. `^dirty` is what every change writes; from there repositories come into the lists of all
//! readers, and out of one when that reader has acknowledged all. Events are written by ULIDs that were made before
//! their commits: who acknowledges says how many there were, and no commit writes behind what is acknowledged, so that
//! none is passed over.

use std::{net::IpAddr, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use oci::{Digest, EventId, RepositoryName, Tag};
use proto::metadata::{
    More, Outbox, OutboxError, Via,
    outbox::{
        Batch, Batches, EventKind, Gap, MAX_EVENTS, MAX_READERS, OutboxEvent, ReaderName, Receipt,
        WantedEvents,
    },
};
use serde::Deserialize;
use ulid::Ulid;

use crate::{
    ATTEMPTS, Outcome, Service,
    failure::{damaged_member, next, parsed, parsed_member},
    keys::{self, RepositoryId, field},
    keyspace::{Commit, Condition, Direction, Error, MemberRange, Mutation, Record},
    step,
};

mod forgetting;

/// Repositories that one answer looks at.
const REPOSITORIES: usize = 50;

/// Repositories that come into the lists of readers in one commit.
const SPREAD: usize = 200;

/// Entries of a list that one commit drains.
const DRAINED: usize = 500;

/// Events of so long before a reader is added count as after it: clocks of several processes differ.
const BEFORE: Duration = Duration::from_mins(1);

#[async_trait]
impl Outbox for Service {
    async fn add_reader(&self, reader: &ReaderName) -> Result<(), OutboxError> {
        for _ in 0..ATTEMPTS {
            let record = self.reader_records().await?;
            if record.get(keys::named(reader)).is_some() {
                return Ok(());
            }
            if names(&record)?.len() >= MAX_READERS {
                return Err(OutboxError::TooManyReaders { limit: MAX_READERS });
            }
            let since = keys::first_at(self.now() - BEFORE);
            let commit = readers_unchanged(&record)
                // Before it: who has read the others spreads nothing without this one.
                .then(Mutation::Increment(keys::READERS, field::REV, 1))
                .then(Mutation::SetField(keys::READERS, keys::named(reader), since.into()));
            if self.commit(step!("add_reader"), commit).await? == Outcome::Committed {
                return Ok(());
            }
        }

        Err(OutboxError::Conflict { attempted: "adding readers".into() })
    }

    async fn remove_reader(&self, reader: &ReaderName) -> Result<(), OutboxError> {
        let commit = Commit::synced()
            .then(Mutation::Increment(keys::READERS, field::REV, 1))
            .then(Mutation::RemoveField(keys::READERS, keys::named(reader)));
        let _unconditional = self.commit(step!("remove_reader"), commit).await?;

        let list = keys::dirty(reader);
        loop {
            let all = MemberRange::all();
            let members = self.keyspace().range(&list, all, DRAINED, Direction::Forward).await?;
            if members.is_empty() {
                return Ok(());
            }
            let gone = members.into_iter().map(|member| Mutation::RemoveMember(list.clone(), member));
            // Whoever adds it again meanwhile has its list again.
            let commit = Commit::relaxed()
                .when(Condition::FieldAbsent(keys::READERS, keys::named(reader)))
                .then_all(gone);
            if self.commit(step!("drain_reader"), commit).await? == Outcome::Conflicted {
                return Ok(());
            }
        }
    }

    async fn readers(&self) -> Result<Vec<ReaderName>, OutboxError> {
        Ok(names(&self.reader_records().await?)?)
    }

    async fn events(&self, wanted: &WantedEvents) -> Result<Batches, OutboxError> {
        self.batches(wanted).await
    }

    async fn acknowledge(
        &self,
        reader: &ReaderName,
        repository: &oci::RepositoryId,
        receipt: &Receipt,
    ) -> Result<(), OutboxError> {
        let since = self.since(reader).await?;
        let id = RepositoryId(parsed_member(&keys::READERS, repository.as_str().as_bytes())?);
        let places = self.places_of(id, reader).await?;
        let from = furthest(&places, since)?;
        if receipt.through <= from {
            return Ok(());
        }
        let outdated = || OutboxError::Outdated { repository: repository.clone() };
        if !(1..=MAX_EVENTS).contains(&receipt.entries) {
            return Err(outdated());
        }

        let behind = keys::told_after(&receipt.through);
        let rest = self.keyspace().range(&keys::events(id), behind.clone(), 1, Direction::Forward).await?;
        let counted = |members, count| Condition::Members { key: keys::events(id), members, count };
        let commit = Commit::synced()
            .when(Condition::FieldPresent(keys::READERS, keys::named(reader)))
            .when(counted(keys::told_between(&from, &receipt.through), receipt.entries))
            // Up to an event that is there: what comes behind a place that is made up nobody could write any more.
            .when(counted(keys::told_at(&receipt.through), 1))
            .then(Mutation::AddMember(keys::read(id), keys::read_through(&receipt.through, reader)))
            .then_all(places.into_iter().map(|place| Mutation::RemoveMember(keys::read(id), place)));
        if rest.is_empty() {
            let unlisted = Mutation::RemoveMember(keys::dirty(reader), id.to_string().into());
            let all = commit.clone().when(counted(behind, 0)).then(unlisted);
            if self.commit(step!("acknowledge_all"), all).await? == Outcome::Committed {
                return Ok(());
            }
        }
        match self.commit(step!("acknowledge"), commit).await? {
            Outcome::Committed => Ok(()),
            Outcome::Conflicted => Err(outdated()),
        }
    }
}

impl Service {
    async fn reader_records(&self) -> Result<Record, Error> {
        Ok(self.keyspace().record(&keys::READERS).await?.unwrap_or_default())
    }

    /// From where on a reader reads.
    async fn since(&self, reader: &ReaderName) -> Result<EventId, OutboxError> {
        let named = keys::named(reader);
        let since = self.fields(&[(keys::READERS, named.clone())]).await?.pop().flatten();
        let unknown = || OutboxError::ReaderUnknown { reader: reader.clone() };
        Ok(parsed(&keys::READERS, &named, Some(&since.ok_or_else(unknown)?))?)
    }

    /// What says how far a reader has come in a repository; several, if two processes read as one.
    async fn places_of(&self, id: RepositoryId, reader: &ReaderName) -> Result<Vec<Bytes>, Error> {
        let all = MemberRange::all();
        let mut places = self.keyspace().range(&keys::read(id), all, DRAINED, Direction::Backward).await?;
        places.retain(|place| keys::last_part(place) == reader.as_str().as_bytes());
        Ok(places)
    }

    async fn batches(&self, wanted: &WantedEvents) -> Result<Batches, OutboxError> {
        let WantedEvents { reader, after, limit } = wanted;
        let since = self.since(reader).await?;
        self.spread().await?;
        let list = keys::dirty(reader);
        let range = after.as_ref().map_or(MemberRange::all(), |after| MemberRange::after(after.to_string()));
        let members = self.keyspace().range(&list, range, REPOSITORIES, Direction::Forward).await?;

        let mut left = (*limit).clamp(1, MAX_EVENTS);
        let (mut batches, mut next) = (Vec::new(), None);
        for member in &members {
            if left == 0 {
                return Ok(Batches { batches, next });
            }
            let id = RepositoryId(parsed_member(&list, member)?);
            if let Some(batch) = self.batch((id, member), reader, &since, left).await? {
                left = left.saturating_sub(batch.receipt.entries);
                batches.push(batch);
            }
            next = Some(parsed_member(&list, member)?);
        }
        let next = next.filter(|_| members.len() == REPOSITORIES);
        Ok(Batches { batches, next })
    }

    /// None: the reader has all.
    async fn batch(
        &self,
        (id, member): (RepositoryId, &Bytes),
        reader: &ReaderName,
        since: &EventId,
        limit: usize,
    ) -> Result<Option<Batch>, Error> {
        let key = keys::events(id);
        let from = furthest(&self.places_of(id, reader).await?, since.clone())?;
        let behind = keys::told_after(&from);
        let events = self.keyspace().range(&key, behind.clone(), limit, Direction::Forward).await?;
        let Some(through) = events.last() else {
            self.unlist((id, member), reader, behind).await?;
            return Ok(None);
        };

        let asked = [(keys::state(id), field::NAME), (keys::outbox(id), field::DROPPED)];
        let mut values = self.fields(&asked).await?.into_iter();
        let (called, dropped) = (next(&mut values), next(&mut values));
        let name = called.map(|called| parsed(&keys::state(id), &field::NAME, Some(&called))).transpose()?;
        let missed = dropped.is_some_and(|dropped| dropped[..] > *from.as_str().as_bytes());
        let receipt =
            Receipt { through: parsed_member(&key, keys::first_part(through))?, entries: events.len() };
        let more = if events.len() == limit { More::Yes } else { More::No };

        let told: Vec<_> = events.iter().map(told).collect::<Result<_, _>>()?;
        // What a later release has written cannot be read: that is not passed over in silence.
        let gap = if missed || told.iter().any(Option::is_none) { Gap::Lost } else { Gap::None };
        let (repository, events) = (parsed_member(&key, member)?, told.into_iter().flatten().collect());
        Ok(Some(Batch { repository, name, gap, events, more, receipt }))
    }

    /// Places of readers that are not there any more go.
    pub(crate) async fn forget_places(&self, ids: &[RepositoryId]) -> Result<(), Error> {
        let readers = names(&self.reader_records().await?)?;
        for id in ids {
            let (key, all) = (keys::read(*id), MemberRange::all());
            let places = self.keyspace().range(&key, all, DRAINED, Direction::Forward).await?;
            for place in places {
                let reader: ReaderName = parsed_member(&key, keys::last_part(&place))?;
                if readers.contains(&reader) {
                    continue;
                }
                // Whoever adds it again meanwhile goes on from there.
                let commit = Commit::relaxed()
                    .when(Condition::FieldAbsent(keys::READERS, keys::named(&reader)))
                    .then(Mutation::RemoveMember(key.clone(), place));
                let _either_way = self.commit(step!("forget_place"), commit).await?;
            }
        }
        Ok(())
    }

    /// The reader has all, unless something has come since.
    async fn unlist(
        &self,
        (id, member): (RepositoryId, &Bytes),
        reader: &ReaderName,
        behind: MemberRange,
    ) -> Result<(), Error> {
        let commit = Commit::relaxed()
            .when(Condition::Members { key: keys::events(id), members: behind, count: 0 })
            .then(Mutation::RemoveMember(keys::dirty(reader), member.clone()));
        let _either_way = self.commit(step!("read_all"), commit).await?;
        Ok(())
    }

    /// What has changed comes into the lists of all readers. One that is added meanwhile is not passed over.
    pub(crate) async fn spread(&self) -> Result<(), Error> {
        for _ in 0..ATTEMPTS {
            let record = self.reader_records().await?;
            let readers = names(&record)?;
            let all = MemberRange::all();
            let members = self.keyspace().range(&keys::DIRTY, all, SPREAD, Direction::Forward).await?;
            if readers.is_empty() || members.is_empty() {
                return Ok(());
            }
            let mut commit = readers_unchanged(&record);
            for member in members {
                let lists = readers.iter().map(keys::dirty);
                commit = commit
                    .then_all(lists.map(|list| Mutation::AddMember(list, member.clone())))
                    .then(Mutation::RemoveMember(keys::DIRTY, member));
            }
            if self.commit(step!("spread_events"), commit).await? == Outcome::Committed {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// A commit that depends on who reads.
fn readers_unchanged(record: &Record) -> Commit {
    let rev = record.get(field::REV).cloned();
    Commit::synced().when(Condition::unchanged(keys::READERS, field::REV, rev))
}

fn names(record: &Record) -> Result<Vec<ReaderName>, Error> {
    let fields = record.iter().map(|(field, _)| field).filter(|field| *field != field::REV.as_bytes());
    fields.map(|field| parsed_member(&keys::READERS, field)).collect()
}

/// How far somebody has come whose places these are.
fn furthest(places: &[Bytes], since: EventId) -> Result<EventId, Error> {
    let mut furthest = since;
    for place in places {
        let through: EventId = parsed_member(&keys::READERS, keys::first_part(place))?;
        furthest = furthest.max(through);
    }
    Ok(furthest)
}

/// What the payload of an event says.
#[derive(Deserialize)]
struct Told {
    kind: EventKind,
    #[serde(default)]
    tag: Option<Tag>,
    #[serde(default)]
    digest: Option<Digest>,
    #[serde(default)]
    previous: Option<Digest>,
    #[serde(default)]
    repository: Option<RepositoryName>,
    subject: String,
    via: Via,
    #[serde(default)]
    address: Option<IpAddr>,
}

/// None: a later release has written it.
fn told(member: &Bytes) -> Result<Option<OutboxEvent>, Error> {
    let id = keys::first_part(member);
    let ulid: Ulid = parsed_member(&keys::DIRTY, id)?;
    let at =
        i64::try_from(ulid.timestamp_ms()).ok().and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    let at = at.ok_or_else(|| damaged_member(&keys::DIRTY, id))?;
    let Ok(Told { kind, tag, digest, previous, repository, subject, via, address }) =
        serde_json::from_slice(keys::last_part(member))
    else {
        return Ok(None);
    };
    let Ok(subject) = subject.parse() else { return Ok(None) };

    let id = parsed_member(&keys::DIRTY, id)?;
    Ok(Some(OutboxEvent { id, at, kind, tag, digest, previous, repository, subject, via, address }))
}
