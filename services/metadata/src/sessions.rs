//! The record of an upload session: what has been uploaded so far, and by whom. How far it has come is one
//! field, so that no crash can separate the offset from the state of the hash.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use oci::{RepositoryName, SessionId};
use proto::{
    auth::Subject,
    blob::{HashState, Part},
    metadata::{
        Actor, Standing, UploadError,
        uploads::{Advance, MAX_PARTS, UploadAddress, UploadSession},
    },
};

use crate::{
    Outcome, Service,
    failure::{damaged, parsed, parsed_member},
    keys::{self, field},
    keyspace::{Commit, Condition, Error, Field, Key, Mutation, Record},
    placement::Target,
    step,
};

/// A part so long is recorded durably before it is acknowledged.
const SYNCED_PART_BYTES: u64 = 8 * 1024 * 1024;

/// How far an upload has come.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Progress {
    offset: u64,
    parts: usize,
    hash: HashState,
}

impl Progress {
    const NONE: Self = Self { offset: 0, parts: 0, hash: HashState(Bytes::new()) };

    fn read(key: &Key, value: Option<&Bytes>) -> Result<Self, Error> {
        value.and_then(Self::parsed).ok_or_else(|| damaged(key, &field::PROGRESS))
    }

    fn parsed(value: &Bytes) -> Option<Self> {
        let first = value.iter().position(|byte| *byte == b' ')?;
        let second = first + 1 + value[first + 1..].iter().position(|byte| *byte == b' ')?;
        let offset = std::str::from_utf8(&value[..first]).ok()?.parse().ok()?;
        let parts = std::str::from_utf8(&value[first + 1..second]).ok()?.parse().ok()?;

        Some(Self { offset, parts, hash: HashState(value.slice(second + 1..)) })
    }

    fn to_bytes(&self) -> Bytes {
        let Self { offset, parts, hash } = self;
        [format!("{offset} {parts} ").as_bytes(), hash.0.as_ref()].concat().into()
    }
}

/// What an operation needs to know of a session before it writes.
struct Head {
    progress: Progress,
    /// As it is stored.
    recorded: Bytes,
    part: Option<Bytes>,
    started: Timestamp,
}

impl Service {
    /// Opens a session, unless its namespace is full.
    pub(crate) async fn start_in(
        &self,
        target: &Target,
        repository: &RepositoryName,
        actor: &Actor,
    ) -> Result<UploadSession, UploadError> {
        match self.full(target.placement().owner, repository).await? {
            Some(refusal) => Err(refusal),
            None => self.open_session(repository, target, actor).await,
        }
    }

    async fn open_session(
        &self,
        repository: &RepositoryName,
        target: &Target,
        actor: &Actor,
    ) -> Result<UploadSession, UploadError> {
        let session = self.new_session_id();
        let now = self.now();
        let key = keys::upload(&session);
        let set = |field, value: Bytes| Mutation::SetField(key.clone(), field, value);

        let commit = Commit::relaxed()
            .then(Mutation::AddMember(keys::UPLOADS, keys::started(now, &session)))
            .then(set(field::REPOSITORY, repository.to_string().into()))
            .then_all(target.is_there().then(|| set(field::ID, target.id().to_string().into())))
            .then(set(field::SUBJECT, written(&actor.subject).into()))
            .then(set(field::STARTED, now.as_millisecond().to_string().into()))
            .then(set(field::PROGRESS, Progress::NONE.to_bytes()));
        let _unconditional = self.commit(step!("start"), commit).await?;

        let address = UploadAddress { repository: repository.clone(), session };
        let standing = self.standing(&actor.subject).await?;
        let (subject, parts) = (actor.subject.clone(), Vec::new());
        Ok(UploadSession {
            address,
            subject,
            standing,
            started: now,
            offset: 0,
            parts,
            hash: HashState::default(),
        })
    }

    /// Reads a session with all its parts.
    pub(crate) async fn read_session(&self, address: &UploadAddress) -> Result<UploadSession, UploadError> {
        let head = keys::upload(&address.session);
        let records = self.keyspace().records(&[head.clone(), keys::parts(&address.session)]).await?;
        let [record, parts] = <[_; 2]>::try_from(records).map_err(|_| damaged(&head, &field::PROGRESS))?;
        let record = record.filter(|record| self.is_open(address, record)).ok_or_else(|| unknown(address))?;

        let Progress { offset, hash, .. } = Progress::read(&head, record.get(field::PROGRESS))?;
        let subject = subject(&head, record.get(field::SUBJECT))?;
        let started = millisecond(&head, &field::STARTED, record.get(field::STARTED))?;
        let parts = counted_parts(address, &parts.unwrap_or_default(), offset)?;
        let standing = self.standing(&subject).await?;
        Ok(UploadSession { address: address.clone(), subject, standing, started, offset, parts, hash })
    }

    /// Records a part, if the session is where it begins. The last part may be recorded again: the answer to
    /// its first recording may have been lost.
    pub(crate) async fn record_part(&self, advance: &Advance) -> Result<u64, UploadError> {
        let Advance { address, part, hash } = advance;
        let end = part.offset.saturating_add(part.size_bytes);
        let Head { progress, recorded, part: known, started } = self.head(address, part.offset).await?;

        if known.is_some_and(|known| known == written_part(part)) && progress.offset == end {
            return Ok(end);
        }
        if progress.offset != part.offset || end == part.offset {
            return Err(UploadError::OffsetMoved { recorded: progress.offset });
        }
        if progress.parts >= MAX_PARTS {
            return Err(UploadError::TooManyParts { limit: MAX_PARTS });
        }
        if let Some(refusal) = self.too_much_for(&address.repository, end).await? {
            self.give_up_session(address, recorded, started).await?;
            return Err(refusal);
        }

        let next = Progress { offset: end, parts: progress.parts + 1, hash: hash.clone() };
        let key = keys::upload(&address.session);
        // What took long to send is worth a sync; a small part is sent again as fast.
        let commit = if part.size_bytes < SYNCED_PART_BYTES { Commit::relaxed() } else { Commit::synced() };
        let commit = commit
            .when(Condition::FieldEquals(key.clone(), field::PROGRESS, recorded))
            .then(Mutation::SetField(
                keys::parts(&address.session),
                keys::part(part.offset),
                written_part(part),
            ))
            .then(Mutation::SetField(key, field::PROGRESS, next.to_bytes()));
        match self.commit(step!("advance"), commit).await? {
            Outcome::Committed => Ok(end),
            Outcome::Conflicted => {
                let recorded = self.head(address, part.offset).await?.progress.offset;
                Err(UploadError::OffsetMoved { recorded })
            }
        }
    }

    /// Ends a session whose bytes do not fit: nobody need bring more of them.
    async fn give_up_session(
        &self,
        address: &UploadAddress,
        recorded: Bytes,
        started: Timestamp,
    ) -> Result<(), Error> {
        let commit = Commit::relaxed()
            .when(Condition::FieldEquals(keys::upload(&address.session), field::PROGRESS, recorded))
            .then_all(ended(&address.session, started));
        let _either_way = self.commit(step!("refuse_part"), commit).await?;
        Ok(())
    }

    /// Ends a session without a blob.
    pub(crate) async fn cancel_session(&self, address: &UploadAddress) -> Result<(), UploadError> {
        let key = keys::upload(&address.session);
        let record = self.keyspace().record(&key).await?;
        let record = record.filter(|record| self.is_open(address, record)).ok_or_else(|| unknown(address))?;
        let started = millisecond(&key, &field::STARTED, record.get(field::STARTED))?;

        let commit = Commit::synced()
            .when(Condition::FieldPresent(key, field::PROGRESS))
            .then_all(ended(&address.session, started));
        match self.commit(step!("cancel"), commit).await? {
            Outcome::Committed => Ok(()),
            Outcome::Conflicted => Err(unknown(address)),
        }
    }

    /// Whether the record is of an open session at this address.
    fn is_open(&self, address: &UploadAddress, record: &Record) -> bool {
        let started = record.number(field::STARTED).and_then(|ms| Timestamp::from_millisecond(ms).ok());
        record.text(field::REPOSITORY) == Some(address.repository.to_string().as_str())
            && started.is_some_and(|started| self.is_young(started))
    }

    /// Whether a session that was opened then may still be used.
    pub(crate) fn is_young(&self, started: Timestamp) -> bool {
        self.now().duration_since(started).unsigned_abs() < self.0.lifetimes.session
    }

    async fn head(&self, address: &UploadAddress, offset: u64) -> Result<Head, UploadError> {
        let key = keys::upload(&address.session);
        let asked = [field::REPOSITORY, field::STARTED, field::PROGRESS].map(|field| (key.clone(), field));
        let asked = [asked.as_slice(), &[(keys::parts(&address.session), keys::part(offset))]].concat();
        let values = self.keyspace().get_many(&asked).await?;
        let [repository, started, recorded, part] =
            <[_; 4]>::try_from(values).map_err(|_| damaged(&key, &field::PROGRESS))?;

        let here = repository.is_some_and(|found| found == address.repository.to_string().as_bytes());
        let Some(recorded) = recorded.filter(|_| here) else {
            return Err(unknown(address));
        };
        let started = millisecond(&key, &field::STARTED, started.as_ref())?;
        if !self.is_young(started) {
            return Err(unknown(address));
        }
        Ok(Head { progress: Progress::read(&key, Some(&recorded))?, recorded, part, started })
    }

    /// Whether the account of `subject` may be used, or its credential if it is a robot.
    async fn standing(&self, subject: &Subject) -> Result<Standing, Error> {
        Ok(match subject {
            // A service account is known by whoever lets it call, and by nobody here.
            Subject::Anonymous | Subject::Service(_) => Standing::Active,
            Subject::User(name) => {
                self.account(name).await?.map_or(Standing::Disabled, |account| account.standing)
            }
            Subject::Robot(name) => match self.robot(name).await? {
                Some(robot) if robot.is_good(self.now()) => Standing::Active,
                _ => Standing::Disabled,
            },
        })
    }

    fn new_session_id(&self) -> SessionId {
        let mut bytes = [0; 16];
        self.0.random.fill(&mut bytes);
        SessionId::from_uuid(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }
}

pub(crate) fn unknown(address: &UploadAddress) -> UploadError {
    UploadError::UploadUnknown { session: address.session }
}

/// Removes a session: first what makes it one, then its index entry.
pub(crate) fn ended(session: &SessionId, started: Timestamp) -> [Mutation; 3] {
    [
        Mutation::RemoveRecord(keys::upload(session)),
        Mutation::RemoveRecord(keys::parts(session)),
        Mutation::RemoveMember(keys::UPLOADS, keys::started(started, session)),
    ]
}

pub(crate) fn millisecond(key: &Key, field: &Field, value: Option<&Bytes>) -> Result<Timestamp, Error> {
    Timestamp::from_millisecond(parsed(key, field, value)?).map_err(|_| damaged(key, field))
}

/// Whoever has a name, as keys begin with it; `-` is nobody in particular.
fn written(subject: &Subject) -> String {
    match subject {
        Subject::Anonymous => "-".to_owned(),
        Subject::User(_) | Subject::Robot(_) | Subject::Service(_) => {
            format!("{}{subject}", keys::USER_SIGIL)
        }
    }
}

fn subject(key: &Key, value: Option<&Bytes>) -> Result<Subject, Error> {
    let text = value.and_then(|value| std::str::from_utf8(value).ok());
    match text.map(|text| text.strip_prefix(keys::USER_SIGIL).ok_or(text)) {
        Some(Err("-")) => Ok(Subject::Anonymous),
        Some(Ok(name)) => parsed_member(key, name.as_bytes()),
        _ => Err(damaged(key, &field::SUBJECT)),
    }
}

fn written_part(part: &Part) -> Bytes {
    format!("{} {}", part.size_bytes, part.generation).into()
}

/// The parts that count: without gaps up to `offset`. What a crash has left behind it does not count.
fn counted_parts(address: &UploadAddress, record: &Record, offset: u64) -> Result<Vec<Part>, Error> {
    let key = keys::parts(&address.session);
    let mut found = BTreeMap::new();
    for (field, value) in record.iter() {
        let at: u64 = parsed_member(&key, field)?;
        let (size, generation) = split(value).ok_or_else(|| damaged(&key, &Field::new(field.clone())))?;
        let part = Part {
            offset: at,
            size_bytes: parsed_member(&key, size)?,
            generation: parsed_member(&key, generation)?,
        };
        found.insert(at, part);
    }

    let mut parts = Vec::with_capacity(found.len());
    let mut end = 0;
    while end < offset {
        let part = found.remove(&end).ok_or_else(|| damaged(&key, &keys::part(end)))?;
        end = end.saturating_add(part.size_bytes.max(1));
        parts.push(part);
    }
    Ok(parts)
}

fn split(value: &Bytes) -> Option<(&[u8], &[u8])> {
    let space = value.iter().position(|byte| *byte == b' ')?;
    Some((&value[..space], &value[space + 1..]))
}
