//! Unlinking what no manifest uses: repository after repository, in the order of their names, so that a walk goes
//! on where another one stopped.

use bytes::Bytes;
use futures_util::future::try_join_all;
use oci::{Digest, RepositoryName};
use proto::metadata::{More, reclaim::Unlinked, repositories::Viewer};
use ulid::Ulid;

use crate::{
    Outcome, Service,
    content::BlobLink,
    failure::{parsed, parsed_member},
    keys,
    keyspace::{Commit, Condition, Direction, Error, Mutation},
    placement::{Placement, Target},
    step,
    unlinking::unlinkable,
};

/// Repositories in one step.
const REPOSITORIES: usize = 50;

/// Links and deleted manifests of one repository in one step, each.
const ENTRIES: usize = 500;

/// Commits at one time: they share one sync.
const AT_ONCE: usize = 64;

impl Service {
    pub(super) async fn unlink_unused(&self, after: Option<&RepositoryName>) -> Result<Unlinked, Error> {
        let (names, next) = self.listed_behind(after, REPOSITORIES).await?;
        let repositories = self.placed_of(&names).await?;
        self.mend_names(&repositories).await?;
        self.index(&repositories).await?;
        let ids: Vec<_> = repositories.iter().map(|(_, place)| place.id).collect();
        self.forget_places(&ids).await?;
        let mut unlinked = Unlinked { links: 0, size_bytes: 0, manifests: 0, more: More::No, next };
        for (name, place) in &repositories {
            self.empty_trash(name, *place, &mut unlinked).await?;
            self.unlink_in(name, *place, &mut unlinked).await?;
        }
        // Also of names that a crash has left listed alone.
        self.recount_of(&names, after).await?;

        Ok(unlinked)
    }

    /// A page of all repositories, and where to go on.
    pub(super) async fn walked(
        &self,
        after: Option<&RepositoryName>,
        limit: usize,
    ) -> Result<(Vec<(RepositoryName, Placement)>, Option<RepositoryName>), Error> {
        let (names, next) = self.listed_behind(after, limit).await?;
        Ok((self.placed_of(&names).await?, next))
    }

    async fn listed_behind(
        &self,
        after: Option<&RepositoryName>,
        limit: usize,
    ) -> Result<(Vec<RepositoryName>, Option<RepositoryName>), Error> {
        let names = self.names_behind(Viewer::Administrator, after, limit).await?;
        let next = names.last().filter(|_| names.len() == limit).cloned();
        Ok((names, next))
    }

    async fn placed_of(&self, names: &[RepositoryName]) -> Result<Vec<(RepositoryName, Placement)>, Error> {
        let placements = self.placements(names).await?;
        let placed = names.iter().cloned().zip(placements);
        Ok(placed.filter_map(|(name, place)| Some((name, place?))).collect())
    }

    /// Gives up deleted manifests whose time to be restored has passed.
    async fn empty_trash(
        &self,
        name: &RepositoryName,
        place: Placement,
        unlinked: &mut Unlinked,
    ) -> Result<(), Error> {
        let due = keys::before(self.now() - self.0.reclaim.undo_window);
        let members = self.keyspace().range(&keys::trash(place.id), due, ENTRIES, Direction::Forward).await?;
        for member in &members {
            // One after the other: two that share a blob would be in each other's way.
            if self.give_up(name, place, member).await? == Outcome::Committed {
                unlinked.manifests += 1;
            }
        }

        if members.len() == ENTRIES {
            unlinked.more = More::Yes;
        }
        Ok(())
    }

    async fn unlink_in(
        &self,
        name: &RepositoryName,
        place: Placement,
        unlinked: &mut Unlinked,
    ) -> Result<(), Error> {
        let key = keys::unused(place.id);
        let due = keys::before(self.now() - self.0.reclaim.unused_grace);
        let members = self.keyspace().range(&key, due, ENTRIES, Direction::Forward).await?;

        for some in members.chunks(AT_ONCE) {
            let attempts = some.iter().map(|member| self.unlink_one(name, place, member));
            for size_bytes in try_join_all(attempts).await?.into_iter().flatten() {
                unlinked.links += 1;
                unlinked.size_bytes += size_bytes;
            }
        }
        if members.len() == ENTRIES {
            unlinked.more = More::Yes;
        }
        Ok(())
    }

    /// The bytes of the link, if it went. What changes meanwhile is looked at the next time.
    async fn unlink_one(
        &self,
        name: &RepositoryName,
        place: Placement,
        member: &Bytes,
    ) -> Result<Option<u64>, Error> {
        let (id, key) = (place.id, keys::unused(place.id));
        let digest: Digest = parsed_member(&key, keys::last_part(member))?;
        let since: i64 = parsed_member(&key, keys::first_part(member))?;
        let asked = [BlobLink::field(id, &digest), (keys::refs(&digest), keys::named(id))];
        let [link, reference] = self.two_fields(asked).await?;
        let link = link.map(|link| BlobLink::read(id, &digest, &link)).transpose()?;

        let target = Target::Existing(place);
        let commit = Commit::synced().when_all(target.conditions(name));
        let commit = match &link {
            Some(link) if link.unused_since_ms == Some(since) => commit
                .when_all(unlinkable(id, &digest, link))
                .then_all(link.removed((&target, name), &digest, self.ulid())),
            // It was taken into use, or its grace has begun anew: only the entry is left of what it was.
            Some(link) => commit.when(link.unchanged(id, &digest)).then(forgotten(place, member)),
            None => self.completed(commit, place, (member, &digest), reference)?,
        };
        let outcome = self.commit(step!("unlink"), commit).await?;
        let went = link.filter(|link| outcome == Outcome::Committed && link.unused_since_ms == Some(since));
        Ok(went.map(|link| link.size_bytes))
    }

    /// What a crash has left of an unlinking, or of a linking that had not come as far as the link.
    fn completed(
        &self,
        commit: Commit,
        place: Placement,
        (member, digest): (&Bytes, &Digest),
        reference: Option<Bytes>,
    ) -> Result<Commit, Error> {
        let commit = commit.when(BlobLink::absent(place.id, digest));
        let (refs, by) = (keys::refs(digest), keys::named(place.id));
        let Some(token) = reference else {
            return Ok(commit.when(Condition::FieldAbsent(refs, by)).then(forgotten(place, member)));
        };

        let _readable: Ulid = parsed(&refs, &by, Some(&token))?;
        Ok(commit
            .when(Condition::FieldEquals(refs.clone(), by.clone(), token))
            .then(Mutation::AddMember(keys::IDLE, keys::idle(self.ulid(), digest)))
            .then(Mutation::RemoveField(refs, by))
            .then(forgotten(place, member)))
    }

    async fn two_fields(
        &self,
        asked: [(crate::keyspace::Key, crate::keyspace::Field); 2],
    ) -> Result<[Option<Bytes>; 2], Error> {
        let values = self.keyspace().get_many(&asked).await?;
        <[_; 2]>::try_from(values)
            .map_err(|_| Error::Damaged { what: "the engine did not answer what was asked".to_owned() })
    }
}

fn forgotten(place: Placement, member: &Bytes) -> Mutation {
    Mutation::RemoveMember(keys::unused(place.id), member.clone())
}
