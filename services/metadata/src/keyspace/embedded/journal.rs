//! What relaxed commits have changed since the last sync, in a file that is written and not synced: it outlives the
//! process, and costs a push no wait for the disk. The file is never trusted: what is torn is as if it had not been.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::Path,
};

use bytes::{Buf as _, BufMut as _, Bytes};
use oci::Digest;
use redb::{Database, Durability, ReadableDatabase as _, TableDefinition, TableError, WriteTransaction};

use super::tables::{Failure, Writing};
use crate::keyspace::{
    Commit, CommitError, Mutation,
    apply::apply,
    encoding::{parse, write},
};

// epoch (8 bytes), length of the payload (4), checksum (16), payload. Records follow one another from the beginning of
// the file, and end with the first that is not of the epoch that the database is in, or does not follow the one before:
// the checksum covers that of the former record, because behind a torn record there may be others, and one that is
// written over it later may end where they begin.
const HEAD: usize = 8 + 4 + CHECKSUM;
const CHECKSUM: usize = 16;

/// As soon as it is so long, the next batch is synced.
const LONGEST_BYTES: u64 = 4 * 1024 * 1024;

/// Name → number. A synced commit that takes the journal over puts the database into the next epoch.
const COUNTERS: TableDefinition<&str, u64> = TableDefinition::new("counters");
const EPOCH: &str = "epoch";

/// The journal of one database.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    epoch: u64,
    length: u64,
    last: Checksum,
}

type Checksum = [u8; CHECKSUM];

/// Before the first record.
const NONE: Checksum = [0; CHECKSUM];

impl Journal {
    /// Opens the file, and makes it the first time.
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(directory.join("metadata.journal"))?;
        Ok(Self { file, epoch: 0, length: 0, last: NONE })
    }

    /// Whether nothing waits for a sync.
    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(super) fn has_room(&self) -> bool {
        self.length < LONGEST_BYTES
    }

    /// Brings into a database that was just opened what the process before has not synced. It is not synced now
    /// either: a disk that is full must not keep anyone from reading.
    pub(super) fn recover(&mut self, database: &Database) -> Result<(), Failure> {
        self.epoch = epoch(database)?;
        let mutations = self.read()?;
        if mutations.is_empty() {
            return Ok(());
        }

        tracing::info!(changes = mutations.len(), "relaxed commits are taken from the journal");
        let mut transaction = database.begin_write()?;
        transaction.set_durability(Durability::None)?;
        let commit = mutations.into_iter().fold(Commit::relaxed(), Commit::then);
        let applied = apply(&commit, &mut Writing::open(&transaction)?)?;
        match applied {
            Ok(()) => Ok(transaction.commit()?),
            // They were applied once before, to the very same state.
            Err(CommitError::Conflict { .. } | CommitError::Engine(_)) => {
                Err(Failure::Corrupted("the journal does not fit the database".to_owned()))
            }
        }
    }

    /// Adds what a batch has changed.
    pub(super) fn append<'a>(&mut self, mutations: impl Iterator<Item = &'a Mutation>) -> io::Result<()> {
        let mut payload = Vec::new();
        mutations.for_each(|mutation| write(&mut payload, mutation));
        let length = u32::try_from(payload.len()).map_err(io::Error::other)?;

        let mut record = Vec::with_capacity(HEAD + payload.len());
        record.put_u64(self.epoch);
        record.put_u32(length);
        let checksum = checksum(self.epoch, &self.last, &payload);
        record.put_slice(&checksum);
        record.put_slice(&payload);
        self.file.write_all_at(&record, self.length)?;
        self.length += record.len() as u64;
        self.last = checksum;
        Ok(())
    }

    /// The commit of `transaction`, which must be synced, takes over what the journal says.
    pub(super) fn supersede(&self, transaction: &WriteTransaction) -> Result<(), Failure> {
        transaction.open_table(COUNTERS)?.insert(EPOCH, self.epoch + 1)?;
        Ok(())
    }

    /// That commit is done.
    pub(super) fn superseded(&mut self) {
        self.epoch += 1;
        (self.length, self.last) = (0, NONE);
    }

    /// All changes of this epoch, as far as they are whole. What is appended next comes behind them.
    fn read(&mut self) -> io::Result<Vec<Mutation>> {
        (self.length, self.last) = (0, NONE);
        let (mut mutations, end) = (Vec::new(), self.file.metadata()?.len());
        while let Some((payload, checksum)) = self.record(end)? {
            let length = (HEAD + payload.len()) as u64;
            let Some(changes) = parse(payload) else { break };
            mutations.extend(changes);
            (self.length, self.last) = (self.length + length, checksum);
        }
        Ok(mutations)
    }

    /// The record behind those that were read.
    fn record(&self, end: u64) -> io::Result<Option<(Bytes, Checksum)>> {
        let (mut head, at) = ([0; HEAD], self.length);
        if at + HEAD as u64 > end {
            return Ok(None);
        }
        self.file.read_exact_at(&mut head, at)?;
        let mut rest = &head[..];
        let (epoch, length) = (rest.get_u64(), rest.get_u32());
        if epoch != self.epoch || at + HEAD as u64 + u64::from(length) > end {
            return Ok(None);
        }

        let mut payload = vec![0; length as usize];
        self.file.read_exact_at(&mut payload, at + HEAD as u64)?;
        let checksum = checksum(epoch, &self.last, &payload);
        Ok((checksum == *rest).then(|| (payload.into(), checksum)))
    }
}

fn epoch(database: &Database) -> Result<u64, Failure> {
    match database.begin_read()?.open_table(COUNTERS) {
        Ok(counters) => Ok(counters.get(EPOCH)?.map_or(0, |epoch| epoch.value())),
        Err(TableError::TableDoesNotExist(_)) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// The beginning of a digest, in hex.
fn checksum(epoch: u64, last: &Checksum, payload: &[u8]) -> Checksum {
    let whole = Digest::of_sha256(&[&epoch.to_be_bytes(), &last[..], payload].concat());
    std::array::from_fn(|at| whole.hex().as_bytes()[at])
}

#[cfg(test)]
mod tests {
    use super::{HEAD, Journal, Mutation};
    use crate::keyspace::{Field, Key};

    fn mutations() -> Vec<Mutation> {
        let (key, field) = (Key::new("key"), Field::new("field"));
        vec![
            Mutation::SetValue(key.clone(), "value".into()),
            Mutation::RemoveValue(key.clone()),
            Mutation::SetField(key.clone(), field.clone(), vec![0, 255].into()),
            Mutation::RemoveField(key.clone(), field.clone()),
            Mutation::RemoveRecord(key.clone()),
            Mutation::Increment(key.clone(), field, -7),
            Mutation::AddMember(key.clone(), "member".into()),
            Mutation::RemoveMember(key.clone(), "member".into()),
            Mutation::RemoveSet(key),
        ]
    }

    fn text(mutations: &[Mutation]) -> Vec<String> {
        mutations.iter().map(|mutation| format!("{mutation:?}")).collect()
    }

    #[test]
    fn what_was_appended_is_read_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(directory.path()).unwrap();
        journal.append(mutations()[..4].iter()).unwrap();
        journal.append(mutations()[4..].iter()).unwrap();

        let mut journal = Journal::open(directory.path()).unwrap();

        assert_eq!(text(&journal.read().unwrap()), text(&mutations()));
    }

    #[test]
    fn what_a_synced_commit_has_taken_over_is_not_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(directory.path()).unwrap();
        journal.append(mutations().iter()).unwrap();
        journal.append(mutations().iter()).unwrap();

        journal.superseded();
        assert_eq!(text(&journal.read().unwrap()), Vec::<String>::new());
        // Behind it there is what the epoch before has left.
        journal.append(mutations().iter()).unwrap();

        assert_eq!(text(&journal.read().unwrap()), text(&mutations()));
    }

    #[test]
    fn what_is_torn_never_follows_what_is_written_after_a_start() {
        let directory = tempfile::tempdir().unwrap();
        let database = redb::Database::create(directory.path().join("database")).unwrap();
        let mut journal = Journal::open(directory.path()).unwrap();
        journal.append(mutations().iter()).unwrap();
        journal.append(mutations().iter()).unwrap();
        let path = directory.path().join("metadata.journal");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[HEAD] ^= 1;
        std::fs::write(&path, bytes).unwrap();

        let mut journal = Journal::open(directory.path()).unwrap();
        journal.recover(&database).unwrap();
        let mut others = mutations();
        others[1] = Mutation::RemoveValue(Key::new("yek"));
        journal.append(others.iter()).unwrap();

        assert_eq!(text(&journal.read().unwrap()), text(&others));
    }

    #[test]
    fn a_torn_record_ends_the_journal_wherever_it_is_torn() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(directory.path()).unwrap();
        journal.append(mutations().iter()).unwrap();
        let whole = journal.length;
        journal.append(mutations().iter()).unwrap();
        let path = directory.path().join("metadata.journal");
        let bytes = std::fs::read(&path).unwrap();

        for cut in whole..journal.length {
            std::fs::write(&path, &bytes[..usize::try_from(cut).unwrap()]).unwrap();
            let mut journal = Journal::open(directory.path()).unwrap();
            assert_eq!(text(&journal.read().unwrap()), text(&mutations()), "cut at {cut}");
        }
        for broken in usize::try_from(whole).unwrap()..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[broken] ^= 1;
            std::fs::write(&path, bytes).unwrap();
            let mut journal = Journal::open(directory.path()).unwrap();
            assert_eq!(text(&journal.read().unwrap()), text(&mutations()), "broken at {broken}");
        }
    }
}
