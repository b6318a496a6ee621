//! Purging: what deleted repositories held goes, page after page, and each page is found again by what is removed last of
//! it. Nobody writes under the id of such a repository any more, so that nothing here need be compared but that.

use std::collections::BTreeSet;

use bytes::Bytes;
use oci::{Digest, RepositoryName};
use proto::metadata::{More, reclaim::Purged};

use crate::{
    Outcome, Service,
    content::BlobLink,
    failure::{next, parsed, parsed_member},
    keys::{self, RepositoryId, field},
    keyspace::{Commit, Condition, Direction, Error, Key, MemberRange, Mutation},
    placement::{DELETING, Placement},
    pulls::forgotten,
    removal::nameless,
    step,
    words::Words,
};

/// Members of a list that one commit removes, at most: a manifest that goes with one may have 4 MiB.
const MEMBERS: usize = 100;

/// Commits in one step, about.
const COMMITS: usize = 40;

/// Old names that one commit removes, at most.
const OLD_NAMES: usize = 500;

/// A list under the id of a repository, by what goes with its members.
#[derive(Debug, Clone, Copy)]
enum List {
    /// `digest tag`: tags, and the manifests that they name.
    Tagged,
    /// Tags, should an index have missed one.
    Tags,
    /// Manifests without a tag.
    Untagged,
    /// Deleted manifests.
    Trash,
    /// `blob manifest`: links.
    Uses,
    /// Links that no manifest uses.
    Unused,
    /// What leads to nothing that is not in another list.
    Other,
}

fn lists(id: RepositoryId) -> [(List, Key); 9] {
    [
        (List::Tagged, keys::tagged(id)),
        (List::Tags, keys::tags(id)),
        (List::Untagged, keys::untagged(id)),
        (List::Trash, keys::trash(id)),
        (List::Uses, keys::uses(id)),
        (List::Unused, keys::unused(id)),
        (List::Other, keys::referrers(id)),
        (List::Other, keys::recent(id)),
        (List::Other, keys::history(id)),
    ]
}

impl Service {
    pub(super) async fn purge_deleted(&self) -> Result<Purged, Error> {
        let mut purged = Purged { repositories: 0, links: 0, more: self.end_old_names().await? };
        let mut done = false;
        for _ in 0..COMMITS {
            let all = MemberRange::all();
            let first = self.keyspace().range(&keys::PURGE, all, 1, Direction::Forward).await?;
            let Some(member) = first.first() else {
                done = true;
                break;
            };
            let id = RepositoryId(parsed_member(&keys::PURGE, member)?);
            self.purge_on(id, &mut purged).await?;
        }

        self.forget_last_events().await?;
        if !done {
            purged.more = More::Yes;
        }
        Ok(purged)
    }

    /// Removes a page, or what is left when there is none.
    async fn purge_on(&self, id: RepositoryId, purged: &mut Purged) -> Result<(), Error> {
        let state = self.keyspace().record(&keys::state(id)).await?.unwrap_or_default();
        if state.text(field::STATE) != Some(DELETING) {
            return self.not_deleted(id, state.get(field::STATE).cloned()).await;
        }
        if let Some(name) = state.get(field::NAME) {
            let name = parsed(&keys::state(id), &field::NAME, Some(name))?;
            return self.take_name(id, &name, &Words::read(state.get(field::WORDS))).await;
        }
        for (list, key) in lists(id) {
            let members =
                self.keyspace().range(&key, MemberRange::all(), MEMBERS, Direction::Forward).await?;
            if !members.is_empty() {
                return self.purge_members(id, (list, &key), &members, purged).await;
            }
        }
        self.purge_rest(id, purged).await
    }

    /// A deletion that was cut off before it began, or one that is complete.
    async fn not_deleted(&self, id: RepositoryId, state: Option<Bytes>) -> Result<(), Error> {
        let unlisted = Mutation::RemoveMember(keys::PURGE, id.to_string().into());
        let as_it_was = Condition::unchanged(keys::state(id), field::STATE, state);
        let commit = Commit::synced().when(as_it_was).then(unlisted);
        let _either_way = self.commit(step!("not_purged"), commit).await?;
        Ok(())
    }

    /// Completes a deletion that was cut off. Another repository may have the name by now.
    async fn take_name(&self, id: RepositoryId, name: &RepositoryName, words: &Words) -> Result<(), Error> {
        let commit = deleting(id);
        let commit = match self.placed(name).await? {
            Some(place) if place.id == id => {
                let record = keys::repository(place.owner, name, place.visibility);
                let ours = Condition::FieldEquals(record, field::ID, id.to_string().into());
                commit.when(ours).then_all(nameless(place, name, words, None))
            }
            Some(_) => commit.then(Mutation::RemoveField(keys::state(id), field::NAME)),
            None => self.unfound(commit, id, (name, words)).await?,
        };
        let _either_way = self.commit(step!("take_name"), commit).await?;
        // Whether the namespace counts what it held, the crash has not left to be seen.
        self.recount(&name.namespace()).await
    }

    async fn unfound(
        &self,
        commit: Commit,
        id: RepositoryId,
        (name, words): (&RepositoryName, &Words),
    ) -> Result<Commit, Error> {
        let Some(owner) = self.claimed(&name.namespace()).await? else {
            return Ok(commit.then(Mutation::RemoveField(keys::state(id), field::NAME)));
        };
        let target = self.new_repository(owner);
        let place = Placement { id, ..*target.placement() };
        Ok(commit.when_all(target.unplaced(name)).then_all(nameless(place, name, words, None)))
    }

    async fn purge_members(
        &self,
        id: RepositoryId,
        (list, key): (List, &Key),
        members: &[Bytes],
        purged: &mut Purged,
    ) -> Result<(), Error> {
        let (unlinked, links) = match list {
            List::Uses => self.unlinking(id, digests(key, members, keys::first_part)?).await?,
            List::Unused => self.unlinking(id, digests(key, members, keys::last_part)?).await?,
            _ => (Vec::new(), 0),
        };
        let mut commit = deleting(id).then_all(unlinked);
        for member in members {
            commit = commit
                .then_all(going(id, (list, key), member)?)
                .then(Mutation::RemoveMember(key.clone(), member.clone()));
        }
        if self.commit(step!("purge"), commit).await? == Outcome::Committed {
            purged.links += links;
        }
        Ok(())
    }

    /// What unlinks these, and how many are linked. The content may lose its last reference, which is said first. Also a
    /// reference whose link a crash has kept from being made goes: nobody will make it.
    async fn unlinking(
        &self,
        id: RepositoryId,
        digests: BTreeSet<Digest>,
    ) -> Result<(Vec<Mutation>, u64), Error> {
        let of = |digest: &Digest| [BlobLink::field(id, digest), (keys::refs(digest), keys::named(id))];
        let asked: Vec<_> = digests.iter().flat_map(of).collect();
        let mut values = self.fields(&asked).await?.into_iter();

        let (mut mutations, mut links) = (Vec::new(), 0);
        for digest in &digests {
            let (link, reference) = (next(&mut values), next(&mut values));
            if link.is_none() && reference.is_none() {
                continue;
            }
            mutations.push(Mutation::AddMember(keys::IDLE, keys::idle(self.ulid(), digest)));
            mutations.push(Mutation::RemoveField(keys::blobs(id), keys::named(digest)));
            mutations.push(Mutation::RemoveField(keys::refs(digest), keys::named(id)));
            links += u64::from(link.is_some());
        }
        Ok((mutations, links))
    }

    /// What is in no list: the hashes, and links that a crash has left alone.
    async fn purge_rest(&self, id: RepositoryId, purged: &mut Purged) -> Result<(), Error> {
        let blobs = keys::blobs(id);
        let left = self.keyspace().fields(&blobs, None, MEMBERS).await?;
        let left = left.iter().map(|(digest, _)| parsed_member(&blobs, digest));
        let left: BTreeSet<Digest> = left.collect::<Result<_, _>>()?;
        if !left.is_empty() {
            let (unlinked, links) = self.unlinking(id, left).await?;
            let commit = deleting(id).then_all(unlinked);
            if self.commit(step!("purge"), commit).await? == Outcome::Committed {
                purged.links += links;
            }
            return Ok(());
        }

        let hashes = [keys::tag(id), keys::pushed(id), keys::pulled(id), keys::grants(id), keys::state(id)];
        let commit = deleting(id)
            .when(Condition::RecordAbsent(blobs))
            // Its last events stay until they are read.
            .then(Mutation::AddMember(keys::LAST, id.to_string().into()))
            .then_all(hashes.map(Mutation::RemoveRecord))
            .then(Mutation::RemoveMember(keys::PURGE, id.to_string().into()));
        if self.commit(step!("purged"), commit).await? == Outcome::Committed {
            purged.repositories += 1;
        }
        Ok(())
    }

    /// Removes old names whose time is over. One that was lost again, or led on, since is in the list once more.
    async fn end_old_names(&self) -> Result<More, Error> {
        let due = keys::before(self.now());
        let members = self.keyspace().range(&keys::OLD_NAMES, due, OLD_NAMES, Direction::Forward).await?;
        for member in &members {
            let name: RepositoryName = parsed_member(&keys::OLD_NAMES, keys::last_part(member))?;
            let until_ms: i64 = parsed_member(&keys::OLD_NAMES, keys::first_part(member))?;
            let unlisted = Mutation::RemoveMember(keys::OLD_NAMES, member.clone());
            let over = Condition::FieldEquals(keys::moved(&name), field::UNTIL, until_ms.to_string().into());
            let ended = Commit::relaxed().when(over).then(Mutation::RemoveRecord(keys::moved(&name)));
            if self.commit(step!("end_name"), ended.then(unlisted.clone())).await? == Outcome::Conflicted {
                let _unconditional = self.commit(step!("end_name"), Commit::relaxed().then(unlisted)).await?;
            }
        }

        Ok(if members.len() == OLD_NAMES { More::Yes } else { More::No })
    }

    /// Removes records that a crash in the middle of a move has left: the repository is called otherwise.
    pub(super) async fn mend_names(&self, walked: &[(RepositoryName, Placement)]) -> Result<(), Error> {
        let guards: Vec<_> = walked.iter().map(|(_, place)| (keys::state(place.id), field::NAME)).collect();
        for ((name, place), called) in walked.iter().zip(self.fields(&guards).await?) {
            if called.as_deref() == Some(name.as_str().as_bytes()) {
                continue;
            }
            let (state, record) =
                (keys::state(place.id), keys::repository(place.owner, name, place.visibility));
            let commit = Commit::synced()
                .when(Condition::FieldEquals(record.clone(), field::ID, place.id.to_string().into()))
                .when(Condition::unchanged(state, field::NAME, called))
                .then(Mutation::RemoveRecord(record))
                .then_all(place.unlisted(name));
            let _either_way = self.commit(step!("mend_name"), commit).await?;
            self.forget(name);
        }
        Ok(())
    }
}

/// A commit for as long as the repository is deleted, and something is left of it.
fn deleting(id: RepositoryId) -> Commit {
    Commit::relaxed().when(Condition::FieldEquals(keys::state(id), field::STATE, DELETING.into()))
}

fn digests(key: &Key, members: &[Bytes], part: fn(&Bytes) -> &[u8]) -> Result<BTreeSet<Digest>, Error> {
    members.iter().map(|member| parsed_member(key, part(member))).collect()
}

/// What goes with a member of a list, before itself.
fn going(id: RepositoryId, (list, key): (List, &Key), member: &Bytes) -> Result<Vec<Mutation>, Error> {
    let digest = |part: &[u8]| parsed_member::<Digest>(key, part);
    let tag = |name: &[u8]| {
        let name = Bytes::copy_from_slice(name);
        [
            Mutation::RemoveMember(keys::tags(id), name.clone()),
            Mutation::RemoveField(keys::tag(id), keys::named_by(&name)),
            Mutation::RemoveField(keys::pushed(id), keys::named_by(&name)),
        ]
    };
    let manifest =
        |digest: &Digest| [Mutation::RemoveRecord(keys::manifest(id, digest)), forgotten(id, digest)];

    Ok(match list {
        List::Tagged => {
            let named = manifest(&digest(keys::first_part(member))?);
            tag(keys::last_part(member)).into_iter().chain(named).collect()
        }
        List::Tags => tag(member).into(),
        List::Untagged => manifest(&digest(member)?).into(),
        List::Trash => {
            vec![Mutation::RemoveRecord(keys::trashed(id, &digest(keys::last_part(member))?))]
        }
        List::Uses => manifest(&digest(keys::last_part(member))?).into(),
        List::Unused | List::Other => Vec::new(),
    })
}
