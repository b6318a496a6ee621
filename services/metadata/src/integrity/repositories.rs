//! Repositories: each record is in the lists that it belongs into, each entry of a list has a record, and a repository
//! has as many bytes as it links.

use bytes::Bytes;
use oci::RepositoryName;
use proto::metadata::{Visibility, integrity::Kind};

use super::{Seen, Suspect, lacks, unlisted, words::Kept};
use crate::{
    Service,
    content::BlobLink,
    failure::{damaged_member, next, parsed, parsed_member},
    keys::{self, RepositoryId, field},
    keyspace::{Condition, Error, Key, Mutation},
    namespaces::Owner,
    placement::{DELETING, Placement, Target},
};

/// A repository that is looked at.
#[derive(Debug)]
pub(super) struct Repository {
    pub(super) name: RepositoryName,
    pub(super) place: Placement,
}

impl Repository {
    pub(super) const fn id(&self) -> RepositoryId {
        self.place.id
    }

    /// Something in it, as long as it is there and called so.
    pub(super) fn suspect(&self, kind: Kind, what: impl std::fmt::Display) -> Suspect {
        let there = Target::Existing(self.place).conditions(&self.name);
        Suspect::new(kind, format!("{}{what}", self.name)).when_all(there)
    }
}

/// The name and the kind of namespace that an entry of the lists of repositories has.
fn listed(key: &Key, member: &Bytes) -> Result<(RepositoryName, Owner), Error> {
    let sigil = keys::last_part(member);
    let owner = Owner::ALL.into_iter().find(|owner| owner.sigil().to_string().as_bytes() == sigil);
    let owner = owner.ok_or_else(|| damaged_member(key, member))?;
    Ok((parsed_member(key, keys::first_part(member))?, owner))
}

impl Service {
    /// The repository of that name, unless it is deleted, or called otherwise.
    pub(super) async fn repository_of(&self, name: &str) -> Result<Option<Repository>, Error> {
        let Ok(name) = name.parse::<RepositoryName>() else { return Ok(None) };
        let place = match self.placed(&name).await {
            Ok(place) => place,
            // It was named as a finding where it is listed.
            Err(Error::Damaged { .. }) => None,
            Err(error) => return Err(error),
        };
        Ok(place.map(|place| Repository { name, place }))
    }

    pub(super) async fn inspect_repository(&self, member: &Bytes, seen: &mut Seen) -> Result<(), Error> {
        let list = keys::REPOSITORIES;
        let (name, owner) = listed(&list, member)?;
        let [private, public] = [Visibility::Private, Visibility::Public]
            .map(|visibility| keys::repository(owner, &name, visibility));
        let asked = [&private, &public].map(|record| (record.clone(), field::ID));
        let mut ids = self.fields(&asked).await?.into_iter();
        let (hidden, shown) = (next(&mut ids), next(&mut ids));
        let as_read = [
            Condition::unchanged(private.clone(), field::ID, hidden.clone()),
            Condition::unchanged(public.clone(), field::ID, shown.clone()),
        ];

        let (record, visibility, id) = match (&hidden, &shown) {
            (None, None) => {
                let (has, mended) = unlisted(&list, member);
                let suspect = Suspect::new(Kind::RepositoryListedAlone, &name).when_all(as_read);
                seen.suspect(suspect.when(has).mended_by(mended));
                return Ok(());
            }
            (Some(id), None) => (private, Visibility::Private, id),
            (None, Some(id)) => (public, Visibility::Public, id),
            (Some(id), Some(other)) => {
                let suspect = Suspect::new(Kind::RepositoryTwice, &name).when_all(as_read);
                let mended = [
                    Mutation::RemoveRecord(public),
                    Mutation::RemoveMember(keys::PUBLIC_REPOSITORIES, member.clone()),
                ];
                seen.suspect(if id == other { suspect.mended_by_all(mended) } else { suspect });
                (private, Visibility::Private, id)
            }
        };
        let id = RepositoryId(parsed(&record, &field::ID, Some(id))?);
        self.inspect_record(&name, Placement { id, owner, visibility }, seen).await
    }

    /// The record leads to an id that is called so, and to its bytes.
    async fn inspect_record(
        &self,
        name: &RepositoryName,
        place: Placement,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let (state, record) = (keys::state(place.id), Target::Existing(place).record(name));
        let asked = [field::NAME, field::STATE, field::WORDS, field::DESCRIPTION];
        let asked = asked.map(|field| (state.clone(), field));
        let mut values = self.fields(&asked).await?.into_iter();
        let (called, is) = (next(&mut values), next(&mut values));
        let kept = Kept { words: next(&mut values), description: next(&mut values) };
        // A deletion that was cut off is completed by what purges.
        if is.is_some_and(|is| is == DELETING) {
            return Ok(());
        }
        if called.as_deref() != Some(name.as_str().as_bytes()) {
            let suspect = Suspect::new(Kind::RepositoryRenamed, name)
                .when(Condition::FieldEquals(record.clone(), field::ID, place.id.to_string().into()))
                .when(Condition::unchanged(state, field::NAME, called))
                .mended_by(Mutation::RemoveRecord(record))
                .mended_by_all(place.unlisted(name));
            seen.suspect(suspect);
            return Ok(());
        }

        seen.counts.repositories += 1;
        let repository = Repository { name: name.clone(), place };
        let (public, listed) = (keys::PUBLIC_REPOSITORIES, keys::listed(name, place.owner));
        if place.visibility == Visibility::Public && !self.contains(&public, listed.clone()).await? {
            let suspect = repository.suspect(Kind::RepositoryUnlisted, "");
            let suspect = suspect.when(lacks(&public, listed.clone()));
            seen.suspect(suspect.mended_by(Mutation::AddMember(public, listed)));
        }
        self.inspect_words(&repository, kept, seen).await?;
        let namespace = keys::namespace(place.owner, &name.namespace());
        if self.fields(&[(namespace.clone(), field::NAME)]).await?.pop().flatten().is_none() {
            let suspect = repository.suspect(Kind::RepositoryOwnerless, "");
            seen.suspect(suspect.when(Condition::FieldAbsent(namespace, field::NAME)));
        }
        self.inspect_bytes(&repository, seen).await
    }

    /// The number and all links are of one moment, and every commit that changes one of them changes both by the same: a
    /// number that is still what it was is still wrong by as much.
    async fn inspect_bytes(&self, repository: &Repository, seen: &mut Seen) -> Result<(), Error> {
        let id = repository.id();
        let (state, blobs) = (keys::state(id), keys::blobs(id));
        let records = match self.keyspace().records(&[state.clone(), blobs.clone()]).await {
            Ok(records) => records,
            // More links than can be read at once.
            Err(Error::Limit { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut records = records.into_iter().map(Option::unwrap_or_default);
        let (record, links) = (records.next().unwrap_or_default(), records.next().unwrap_or_default());

        let read = record.get(field::BYTES).cloned();
        let said: i64 = read.as_ref().map_or(Ok(0), |read| parsed(&state, &field::BYTES, Some(read)))?;
        let mut linked = 0_i64;
        for (digest, value) in links.iter() {
            let link = BlobLink::read(id, &parsed_member(&blobs, digest)?, value)?;
            linked = linked.saturating_add(i64::try_from(link.size_bytes).unwrap_or(i64::MAX));
        }
        if said != linked {
            let suspect = repository.suspect(Kind::BytesMiscounted, "");
            let suspect = suspect.when(Condition::unchanged(state.clone(), field::BYTES, read));
            seen.suspect(suspect.mended_by(Mutation::Increment(
                state,
                field::BYTES,
                linked.saturating_sub(said),
            )));
        }
        Ok(())
    }

    pub(super) async fn inspect_public(&self, member: &Bytes, seen: &mut Seen) -> Result<(), Error> {
        let (list, all) = (keys::PUBLIC_REPOSITORIES, keys::REPOSITORIES);
        let (name, owner) = listed(&list, member)?;
        let record = keys::repository(owner, &name, Visibility::Public);
        let id = self.fields(&[(record.clone(), field::ID)]).await?.pop().flatten();
        let (has, mended) = unlisted(&list, member);
        let as_read = Condition::unchanged(record, field::ID, id.clone());

        if id.is_none() {
            let suspect = Suspect::new(Kind::RepositoryListedAlone, &name).when(as_read).when(has);
            seen.suspect(suspect.mended_by(mended));
        } else if !self.contains(&all, member.clone()).await? {
            let suspect = Suspect::new(Kind::RepositoryUnlisted, &name).when(as_read);
            let suspect = suspect.when(lacks(&all, member.clone()));
            seen.suspect(suspect.mended_by(Mutation::AddMember(all, member.clone())));
        }
        Ok(())
    }
}
