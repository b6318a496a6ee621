//! All that a hub has, found by its own lists: an index entry is there before what it names, so that whoever follows
//! every list misses nothing that anybody could read. Engines need not know what keys they have.
//!
//! Left out are the office of who reclaims, the lease of a backup, and uploads under way with what they hold: whoever
//! uploads begins again, and reclaim finds the bytes.

use bytes::Bytes;
use oci::{Digest, RepositoryName};
use proto::metadata::outbox::ReaderName;

use super::{
    DumpError,
    format::{Consistency, Entry},
    writing::Writer,
};
use crate::{
    failure::parsed_member,
    keys::{self, Log, RepositoryId, field},
    keyspace::{Direction, Field, Key, Keyspace, MemberRange},
    namespaces::Owner,
};

mod accounts;
mod repositories;

/// Members or fields that are read at once.
const PAGE: usize = 500;

/// A walk, and where it puts what it finds.
pub(super) struct Walk<'k> {
    keyspace: &'k dyn Keyspace,
    consistency: Consistency,
    out: Writer,
}

/// A place in a list or hash that is read page after page.
struct Cursor {
    key: Key,
    last: Option<Bytes>,
    ended: bool,
}

impl Cursor {
    const fn over(key: Key) -> Self {
        Self { key, last: None, ended: false }
    }

    fn moved(&mut self, found: usize, last: Option<Bytes>) {
        self.ended = found < PAGE;
        self.last = last;
    }
}

/// Whether there was anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Yes,
    No,
}

impl<'k> Walk<'k> {
    pub(super) const fn over(keyspace: &'k dyn Keyspace, consistency: Consistency, out: Writer) -> Self {
        Self { keyspace, consistency, out }
    }

    /// Everything. What is deleted while an engine without snapshots is walked must not be found only in part: what
    /// points comes before what it points to, repositories before their namespaces, what is garbage before what could
    /// become it, and what may have lost its last reference after all that has one.
    pub(super) async fn all(mut self) -> Result<Writer, DumpError> {
        self.set(keys::GARBAGE).await?;
        for key in [keys::SIGNING_KEYS, keys::COUNTING, keys::SCHEMA] {
            self.hash(key).await?;
        }
        self.listed().await?;
        for key in [keys::PUBLIC_REPOSITORIES, keys::PUBLIC_WORDS, keys::PRIVATE_WORDS] {
            self.set(key).await?;
        }
        self.old_names().await?;
        self.deleted(keys::PURGE).await?;
        self.deleted(keys::LAST).await?;

        self.accounts().await?;
        for key in [keys::ADMINISTRATORS, keys::EMAILS, keys::REVOKED] {
            self.set(key).await?;
        }
        for key in [keys::audit_marks(&Log::Hub), keys::audit(&Log::Hub)] {
            self.set(key).await?;
        }
        self.readers().await?;
        self.idle().await?;
        Ok(self.out)
    }

    /// Every repository that has a name.
    async fn listed(&mut self) -> Result<(), DumpError> {
        let mut names = Cursor::over(keys::REPOSITORIES);
        while let Some(members) = self.members(&mut names).await? {
            for member in &members {
                let name: RepositoryName = parsed_member(&keys::REPOSITORIES, keys::first_part(member))?;
                let sigil = keys::last_part(member);
                let owner =
                    Owner::ALL.into_iter().find(|owner| owner.sigil().to_string().as_bytes() == sigil);
                let owner =
                    owner.ok_or_else(|| crate::failure::damaged_member(&keys::REPOSITORIES, sigil))?;
                // None: it was deleted or moved meanwhile.
                let _found = self.named(owner, &name).await?;
            }
        }
        Ok(())
    }

    async fn old_names(&mut self) -> Result<(), DumpError> {
        let mut names = Cursor::over(keys::OLD_NAMES);
        while let Some(members) = self.members(&mut names).await? {
            for member in &members {
                let name: RepositoryName = parsed_member(&keys::OLD_NAMES, keys::last_part(member))?;
                self.hash(keys::moved(&name)).await?;
                if self.consistency == Consistency::InMotion {
                    self.moved(&name).await?;
                }
            }
        }
        Ok(())
    }

    /// What was called so, by the name that it has now: that was perhaps listed behind the page that was read, when the
    /// old one was gone already.
    async fn moved(&mut self, old: &RepositoryName) -> Result<(), DumpError> {
        let key = keys::moved(old);
        let Some(id) = self.field(key.clone(), field::ID).await? else { return Ok(()) };
        let state = keys::state(RepositoryId(parsed_member(&key, &id)?));
        let Some(name) = self.field(state.clone(), field::NAME).await? else { return Ok(()) };
        let name: RepositoryName = parsed_member(&state, &name)?;
        for owner in Owner::ALL {
            if self.named(owner, &name).await? == Found::Yes {
                let listed = keys::listed(&name, owner);
                self.out.put(&Entry::Member(keys::REPOSITORIES, listed)).await?;
            }
        }
        Ok(())
    }

    async fn field(&self, key: Key, field: Field) -> Result<Option<Bytes>, DumpError> {
        Ok(self.keyspace.get_many(&[(key, field)]).await?.pop().flatten())
    }

    /// Repositories that have lost their name, until nothing is left of them, or nothing but their last events.
    async fn deleted(&mut self, list: Key) -> Result<(), DumpError> {
        let mut ids = Cursor::over(list.clone());
        while let Some(members) = self.members(&mut ids).await? {
            for member in &members {
                self.repository(RepositoryId(parsed_member(&list, member)?)).await?;
            }
        }
        Ok(())
    }

    /// Who reads events, and where there may be some that they have not read: from the list of all they come into those of
    /// readers.
    async fn readers(&mut self) -> Result<(), DumpError> {
        self.set(keys::DIRTY).await?;
        let mut readers = Cursor::over(keys::READERS);
        while let Some(fields) = self.fields(&mut readers).await? {
            for (name, _) in fields.iter().filter(|(name, _)| name != field::REV.as_bytes()) {
                let reader: ReaderName = parsed_member(&keys::READERS, name)?;
                self.set(keys::dirty(&reader)).await?;
            }
        }
        Ok(())
    }

    /// Content that perhaps nobody references.
    async fn idle(&mut self) -> Result<(), DumpError> {
        let mut entries = Cursor::over(keys::IDLE);
        while let Some(members) = self.members(&mut entries).await? {
            for member in &members {
                let digest: Digest = parsed_member(&keys::IDLE, keys::last_part(member))?;
                self.hash(keys::image(&digest)).await?;
            }
        }
        Ok(())
    }

    /// The next members of an ordered set, which are put out; none at its end.
    async fn members(&mut self, cursor: &mut Cursor) -> Result<Option<Vec<Bytes>>, DumpError> {
        if cursor.ended {
            return Ok(None);
        }
        let behind = cursor.last.clone().map_or(MemberRange::all(), MemberRange::after);
        let members = self.keyspace.range(&cursor.key, behind, PAGE, Direction::Forward).await?;
        for member in &members {
            self.out.put(&Entry::Member(cursor.key.clone(), member.clone())).await?;
        }

        cursor.moved(members.len(), members.last().cloned());
        Ok(Some(members))
    }

    /// The next fields of a hash, which are put out; none at its end.
    async fn fields(&mut self, cursor: &mut Cursor) -> Result<Option<Vec<(Bytes, Bytes)>>, DumpError> {
        if cursor.ended {
            return Ok(None);
        }
        let fields = self.keyspace.fields(&cursor.key, cursor.last.as_ref(), PAGE).await?;
        for (name, value) in &fields {
            // Only a keyspace that is being loaded has it: it is the loading's, and not the dump's.
            let loading = cursor.key == keys::SCHEMA && name == field::LOADING.as_bytes();
            if !loading {
                let name = Field::new(name.clone());
                self.out.put(&Entry::Field(cursor.key.clone(), name, value.clone())).await?;
            }
        }

        cursor.moved(fields.len(), fields.last().map(|(name, _)| name.clone()));
        Ok(Some(fields))
    }

    async fn set(&mut self, key: Key) -> Result<(), DumpError> {
        let mut cursor = Cursor::over(key);
        while self.members(&mut cursor).await?.is_some() {}
        Ok(())
    }

    async fn hash(&mut self, key: Key) -> Result<Found, DumpError> {
        let (mut cursor, mut found) = (Cursor::over(key), Found::No);
        while let Some(fields) = self.fields(&mut cursor).await? {
            if !fields.is_empty() {
                found = Found::Yes;
            }
        }
        Ok(found)
    }

    async fn leaves(&mut self, leaves: keys::Leaves) -> Result<(), DumpError> {
        for key in leaves.sets {
            self.set(key).await?;
        }
        for key in leaves.hashes {
            self.hash(key).await?;
        }
        Ok(())
    }

    async fn value(&mut self, key: Key) -> Result<(), DumpError> {
        if let Some(value) = self.keyspace.get(&key).await? {
            self.out.put(&Entry::Value(key, value)).await?;
        }
        Ok(())
    }
}
