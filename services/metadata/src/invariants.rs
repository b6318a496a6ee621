//! The invariants of `docs/KEYS.md` §5, checked on all that is there. `Strictness::AfterCuts` leaves out what a crash
//! in the middle of a commit may leave behind on an engine that is not atomic.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use oci::{Digest, Needed, RepositoryName, Tag};
use proto::metadata::Visibility;
use ulid::Ulid;

use crate::{
    Service,
    content::{BlobLink, Content},
    keys::{self, RepositoryId, field},
    keyspace::{Direction, Key, MemberRange, Mutation, RANGE_LIMIT, Record},
    manifests::recorded_needs,
    placement::Placement,
    words::{Entry, Words},
};

mod audit;
mod backup;
pub(crate) mod cut;
mod founded;
mod integrity;
mod mended;
mod organizations;
mod outbox;
mod pulls;
mod quotas;
mod races;
mod random;
mod reclaim;
mod rights;
mod sharded;
mod stirred;
mod untagged;

/// What may be expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strictness {
    Exact,
    /// But an entry of words that a crash has left may wait for who finds it.
    Mended,
    AfterCuts,
}

/// Checks all invariants of the given repositories; `manifests` are all that may be stored.
async fn check(service: &Service, names: &[RepositoryName], manifests: &[Digest], strictness: Strictness) {
    let garbage = members(service, &keys::GARBAGE).await;
    let garbage: BTreeSet<&[u8]> = garbage.iter().map(keys::last_part).collect();

    for (name, placement) in names.iter().zip(service.placements(names).await.unwrap()) {
        let Some(placement) = placement else { continue };
        let repository = Repository { service, id: placement.id, strictness };
        if strictness == Strictness::AfterCuts && !repository.is_called(name).await {
            // The record of a move that was cut off: nothing is read or written by it.
            continue;
        }
        repository.is_listed(name, &placement).await;
        repository.links_have_bytes(&garbage).await;
        repository.what_nobody_references_is_listed().await;
        repository.manifests_have_what_they_need(manifests).await;
        repository.tags_agree().await;
        repository.what_has_no_tag_is_listed(manifests).await;
        if strictness != Strictness::AfterCuts {
            repository.counters_are_right().await;
        }
    }
    quotas::namespaces_are_counted(service, names, strictness).await;
}

struct Repository<'a> {
    service: &'a Service,
    id: RepositoryId,
    strictness: Strictness,
}

impl Repository<'_> {
    async fn is_called(&self, name: &RepositoryName) -> bool {
        record(self.service, &keys::state(self.id)).await.text(field::NAME) == Some(name.as_str())
    }

    /// 6: a record has its index entry.
    async fn is_listed(&self, name: &RepositoryName, placement: &Placement) {
        let listed = keys::listed(name, placement.owner);
        assert!(members(self.service, &keys::REPOSITORIES).await.contains(&listed), "{name} is not listed");
        let public = members(self.service, &keys::PUBLIC_REPOSITORIES).await.contains(&listed);
        match (self.strictness, placement.visibility) {
            (_, Visibility::Public) => assert!(public, "{name} is not listed where everybody looks"),
            // An entry too many is harmless: who may see a repository is where its record is.
            (Strictness::AfterCuts, Visibility::Private) => {}
            (Strictness::Exact | Strictness::Mended, Visibility::Private) => assert!(!public),
        }

        assert!(self.is_called(name).await);
        self.is_found_by_its_words(name, placement).await;
    }

    /// 13: what its name and description say leads to it.
    async fn is_found_by_its_words(&self, name: &RepositoryName, placement: &Placement) {
        let state = record(self.service, &keys::state(self.id)).await;
        let (kept, said) = (Words::read(state.get(field::WORDS)), state.text(field::DESCRIPTION));
        let expected = Words::of(name, said.unwrap_or_default());
        assert!(expected.iter().all(|word| kept.iter().any(|other| other == word)), "{name}: {kept:?}");
        let mut found = BTreeSet::new();
        for mutation in (Entry { name, place: *placement }).found_by(&kept) {
            let Mutation::AddMember(set, member) = mutation else { panic!("an entry is a member") };
            assert!(
                members(self.service, &set).await.contains(&member),
                "{name} is not in {set}: {member:?}"
            );
            found.insert((set, member));
        }
        if self.strictness == Strictness::AfterCuts {
            return;
        }

        assert_eq!(kept, expected);
        if self.strictness == Strictness::Mended {
            return;
        }
        let private = keys::words_in(placement.owner, &name.namespace());
        for set in [keys::PUBLIC_WORDS, keys::PRIVATE_WORDS, private] {
            let all = members(self.service, &set).await;
            let ours = all.iter().filter(|member| keys::last_part(member) == name.as_str().as_bytes());
            for member in ours {
                assert!(found.contains(&(set.clone(), member.clone())), "{member:?} in {set}");
            }
        }
    }

    /// 1: what is linked has bytes: its locator has not been queued for deletion. 5: both ends have one token.
    async fn links_have_bytes(&self, garbage: &BTreeSet<&[u8]>) {
        for (digest, link) in self.links().await {
            let refs = record(self.service, &keys::refs(&digest)).await;
            let token: Option<Ulid> = refs.text(keys::named(self.id)).and_then(|token| token.parse().ok());
            assert_eq!(token, Some(link.token), "the reference of {digest}");

            let values = self.service.keyspace().get_many(&Content::fields(&digest)).await.unwrap();
            let content = Content::read(&digest, &mut values.into_iter()).unwrap();
            if let Some(locator) = content.live() {
                assert!(!garbage.contains(locator.to_string().as_bytes()), "{locator} is linked and garbage");
                assert_eq!(content.size_bytes(), Some(link.size_bytes));
            }
        }
    }

    /// 7: the reaper finds content that was unlinked: what has bytes, but neither references nor holds, is idle.
    async fn what_nobody_references_is_listed(&self) {
        let idle = members(self.service, &keys::IDLE).await;
        let idle: BTreeSet<&[u8]> = idle.iter().map(keys::last_part).collect();
        for digest in (0..6).map(|number| cut::digest(&format!("layer {number}"))) {
            let content = record(self.service, &keys::image(&digest)).await;
            let refs = record(self.service, &keys::refs(&digest)).await;
            let holds = record(self.service, &keys::holds(&digest)).await;
            let idles = content.get(field::LOCATOR).is_some() && refs.is_empty() && holds.is_empty();
            assert!(!idles || idle.contains(digest.to_string().as_bytes()), "{digest} is nobody's");
        }
    }

    /// 2: a manifest has all that it needs, and says so where reclaim looks.
    async fn manifests_have_what_they_need(&self, manifests: &[Digest]) {
        let links = self.links().await;
        let uses = members(self.service, &keys::uses(self.id)).await;
        for digest in manifests {
            let (stored, trashed) = (keys::manifest(self.id, digest), keys::trashed(self.id, digest));
            let (manifest, deleted) =
                (record(self.service, &stored).await, record(self.service, &trashed).await);
            let (key, manifest) = match (manifest.get(field::TYPE), deleted.get(field::DELETED)) {
                (Some(_), _) => (stored, manifest),
                // What can be restored has its blobs, too. Its children may be in the trash themselves.
                (None, Some(_)) => (trashed, deleted),
                (None, None) => continue,
            };

            for (what, needed) in recorded_needs(&key, &manifest).unwrap() {
                let here = match what {
                    Needed::Blob => links.contains_key(&needed),
                    Needed::Manifest => self.is_stored(&needed).await || self.is_trashed(&needed).await,
                };
                assert!(here, "{digest} needs {needed}");
                assert!(
                    uses.contains(&keys::use_of(&needed, digest)),
                    "{needed} is not marked as used by {digest}"
                );
            }
        }
    }

    /// 3: a tag names a manifest. 4: the tag and its indexes agree.
    async fn tags_agree(&self) {
        let tags: BTreeMap<Tag, Digest> = fields(&record(self.service, &keys::tag(self.id)).await);
        let tagged = members(self.service, &keys::tagged(self.id)).await;
        for (tag, digest) in &tags {
            assert!(self.is_stored(digest).await, "{tag} names {digest}, which is not there");
            assert!(tagged.contains(&keys::tagged_by(digest, tag)), "{digest} does not know {tag}");
        }
        let named: BTreeSet<Bytes> = tags.keys().map(|tag| tag.to_string().into()).collect();
        let listed = members(self.service, &keys::tags(self.id)).await;
        assert!(listed.is_subset(&named), "a tag that does not exist is listed");

        if self.strictness != Strictness::AfterCuts {
            assert_eq!(listed, named);
            assert_eq!(tagged.len(), tags.len());
            let recent = members(self.service, &keys::recent(self.id)).await;
            let recent: Vec<&[u8]> = recent.iter().map(keys::last_part).collect();
            assert_eq!(recent.len(), tags.len());
            assert!(named.iter().all(|tag| recent.contains(&&tag[..])));
        }
    }

    /// 8: a manifest without a tag is listed, and says since when it is.
    async fn what_has_no_tag_is_listed(&self, manifests: &[Digest]) {
        let tags: BTreeMap<Tag, Digest> = fields(&record(self.service, &keys::tag(self.id)).await);
        let tagged: BTreeSet<&Digest> = tags.values().collect();
        let listed = members(self.service, &keys::untagged(self.id)).await;
        for digest in manifests {
            let stored = self.is_stored(digest).await;
            let is_listed = listed.contains(&keys::without_tag(digest));
            if stored && !tagged.contains(digest) {
                assert!(is_listed, "{digest} has no tag");
                let since = record(self.service, &keys::manifest(self.id, digest)).await;
                assert!(since.number(field::UNTAGGED).is_some(), "{digest} has no tag since when");
            }
            if self.strictness != Strictness::AfterCuts {
                assert!(stored || !is_listed, "{digest} is listed and not there");
                let ghost = record(self.service, &keys::manifest(self.id, digest)).await;
                assert!(stored || ghost.is_empty(), "something is left of {digest}");
            }
        }
    }

    /// What repair would mend after a crash.
    async fn counters_are_right(&self) {
        let links = self.links().await;
        let state = record(self.service, &keys::state(self.id)).await;
        let sum: u64 = links.values().map(|link| link.size_bytes).sum();
        assert_eq!(state.number(field::BYTES), i64::try_from(sum).ok());

        let edges = members(self.service, &keys::uses(self.id)).await;
        let used: BTreeSet<&[u8]> = edges.iter().map(keys::first_part).collect();
        let unused = members(self.service, &keys::unused(self.id)).await;
        for (digest, link) in &links {
            assert_eq!(
                link.unused_since_ms.is_none(),
                used.contains(digest.to_string().as_bytes()),
                "{digest}"
            );
        }
        let expected =
            links.iter().filter_map(|(digest, link)| Some(keys::unused_since(link.unused_since_ms?, digest)));
        assert_eq!(unused, expected.collect());
    }

    async fn links(&self) -> BTreeMap<Digest, BlobLink> {
        let blobs = record(self.service, &keys::blobs(self.id)).await;
        let parsed = blobs.iter().map(|(digest, value)| {
            let digest: Digest = std::str::from_utf8(digest).unwrap().parse().unwrap();
            let link = BlobLink::read(self.id, &digest, value).unwrap();
            (digest, link)
        });
        parsed.collect()
    }

    async fn is_trashed(&self, digest: &Digest) -> bool {
        record(self.service, &keys::trashed(self.id, digest)).await.get(field::DELETED).is_some()
    }

    async fn is_stored(&self, digest: &Digest) -> bool {
        record(self.service, &keys::manifest(self.id, digest)).await.get(field::TYPE).is_some()
    }
}

async fn record(service: &Service, key: &Key) -> Record {
    service.keyspace().record(key).await.unwrap().unwrap_or_default()
}

async fn members(service: &Service, key: &Key) -> BTreeSet<Bytes> {
    let found =
        service.keyspace().range(key, MemberRange::all(), RANGE_LIMIT, Direction::Forward).await.unwrap();
    assert!(found.len() < RANGE_LIMIT, "the check reads one page");
    found.into_iter().collect()
}

fn fields<K: std::str::FromStr + Ord, V: std::str::FromStr>(record: &Record) -> BTreeMap<K, V> {
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    let parsed = record.iter().map(|(field, value)| (text(field).parse().ok(), text(value).parse().ok()));
    parsed.map(|(field, value)| field.zip(value).unwrap()).collect()
}
