//! What rules would let go, found without doing it: the tags, then the manifests that would lose their last one or
//! have none, then what only those use.

use std::collections::{BTreeMap, BTreeSet};

use oci::{Digest, Needed};
use proto::metadata::{
    More,
    rules::{Preview, RuleSet},
};

use super::{Verdict, Walk};
use crate::{
    Service,
    content::BlobLink,
    failure::parsed_member,
    keys::{self, RepositoryId, field},
    keyspace::{Direction, Error, RANGE_LIMIT},
    manifests::recorded_needs,
};

/// Tags and manifests without one that are looked at together, each.
const TOGETHER: usize = 10_000;

/// Manifests that are to go, and what each needs.
type Going = BTreeMap<Digest, Vec<(Needed, Digest)>>;

impl Service {
    pub(crate) async fn preview(&self, id: RepositoryId, rules: &RuleSet) -> Result<Preview, Error> {
        let mut more = if rules.retain().is_empty() { More::No } else { More::Yes };
        let (mut walk, mut tags, mut lost) = (Walk::default(), Vec::new(), BTreeMap::<Digest, usize>::new());
        while more == More::Yes && tags.len() < TOGETHER {
            let going;
            (going, more) = self.tags_to_go(id, rules, &mut walk).await?;
            for (tag, digest) in going.iter().filter_map(|tag| Some((tag.tag(), tag.digest.as_ref()?))) {
                tags.push(tag.clone());
                *lost.entry(digest.clone()).or_default() += 1;
            }
        }
        let (untagged, more_untagged) = self.untagged_to_go(id, rules).await?;

        let going = self.manifests_to_go(id, &lost, &untagged).await?;
        let size_bytes = self.bytes_to_go(id, &going).await?;
        let more = if more_untagged == More::Yes { More::Yes } else { more };
        let untagged = untagged.iter().filter(|digest| going.contains_key(digest)).count() as u64;
        Ok(Preview { tags, manifests: going.len() as u64, untagged, size_bytes, more })
    }

    /// Those that have had no tag for too long and belong to nothing, and whether there are more to look at.
    async fn untagged_to_go(&self, id: RepositoryId, rules: &RuleSet) -> Result<(Vec<Digest>, More), Error> {
        let (mut going, mut after) = (Vec::new(), None);
        let Some(rule) = rules.untagged() else { return Ok((going, More::No)) };
        while going.len() < TOGETHER {
            let (due, next) = self.untagged_page(id, rule, after.as_ref()).await?;
            for digest in due {
                if matches!(self.verdict(id, &digest, rule).await?, Verdict::Goes { .. }) {
                    going.push(digest);
                }
            }
            after = next;
            if after.is_none() {
                return Ok((going, More::No));
            }
        }
        Ok((going, More::Yes))
    }

    /// Those that lose all their tags and are part of nothing that stays, and those that have none, all with their
    /// children and referrers.
    async fn manifests_to_go(
        &self,
        id: RepositoryId,
        lost: &BTreeMap<Digest, usize>,
        untagged: &[Digest],
    ) -> Result<Going, Error> {
        let mut going = Going::new();
        // Indexes may be met behind what is part of them.
        let (mut wanted, mut waiting): (Vec<Digest>, Vec<Digest>) =
            (lost.keys().chain(untagged).cloned().collect(), Vec::new());
        loop {
            let before = going.len();
            for digest in std::mem::take(&mut wanted) {
                let Some(needs) = self.needs_of(id, &digest).await? else { continue };
                let tags = self.tags_of(id, &digest).await?.len();
                if tags > lost.get(&digest).copied().unwrap_or_default() {
                    continue;
                }
                if self.users_that_stay(id, &digest, &going).await? {
                    waiting.push(digest);
                    continue;
                }
                wanted.extend(self.dependants_of(id, &digest, &needs).await?);
                going.insert(digest, needs);
            }
            if going.len() == before {
                return Ok(going);
            }
            wanted.append(&mut waiting);
            wanted.retain(|digest| !going.contains_key(digest));
        }
    }

    async fn needs_of(
        &self,
        id: RepositoryId,
        digest: &Digest,
    ) -> Result<Option<Vec<(Needed, Digest)>>, Error> {
        let key = keys::manifest(id, digest);
        let record = self.keyspace().record(&key).await?.filter(|record| record.get(field::TYPE).is_some());
        record.map(|record| recorded_needs(&key, &record)).transpose()
    }

    /// Whether a live manifest that is not in `going` needs it.
    async fn users_that_stay(&self, id: RepositoryId, needed: &Digest, going: &Going) -> Result<bool, Error> {
        let key = keys::uses(id);
        let users =
            self.keyspace().range(&key, keys::of_digest(needed), RANGE_LIMIT, Direction::Forward).await?;
        let mut others = Vec::new();
        for user in &users {
            let user: Digest = parsed_member(&key, keys::last_part(user))?;
            if !going.contains_key(&user) {
                others.push((keys::manifest(id, &user), field::TYPE));
            }
        }
        let live = self.fields(&others).await?.iter().any(Option::is_some);
        Ok(live || users.len() == RANGE_LIMIT)
    }

    /// Bytes of the blobs that only those use.
    async fn bytes_to_go(&self, id: RepositoryId, going: &Going) -> Result<u64, Error> {
        let needs = going.values().flatten().filter(|(what, _)| *what == Needed::Blob);
        let blobs: BTreeSet<&Digest> = needs.map(|(_, blob)| blob).collect();
        let mut size_bytes = 0;
        for blob in blobs {
            if !self.users_that_stay(id, blob, going).await? {
                let link = self.keyspace().get_many(&[BlobLink::field(id, blob)]).await?.pop().flatten();
                let link = link.map(|link| BlobLink::read(id, blob, &link)).transpose()?;
                size_bytes += link.map_or(0, |link| link.size_bytes);
            }
        }
        Ok(size_bytes)
    }
}
