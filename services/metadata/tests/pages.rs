//! Lists in pages of any size, of any tags and repositories, while others come and go: what is there throughout
//! comes exactly once, in ASCII order.

#![allow(clippy::unwrap_used, reason = "helpers of a test")]

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use metadata::{Service, config::Config, keyspace::memory::Memory};
use oci::{AccountName, Digest, ManifestKind, Reference, RepositoryName, Tag};
use proptest::{collection::btree_set, prelude::*};
use proto::{
    auth::Subject,
    metadata::{
        Accounts, Actor, More, Page, PageRequest, Repositories, Standing, Via, Visibility,
        accounts::{Account, Role},
        repositories::{Expected, NewManifest, Viewer, WantedRepositories},
    },
};
use service_kit::{clock::ManualClock, random::SeededRandom};

/// Owners whose names and separators sort around one another.
const OWNERS: [&str; 4] = ["a", "a-b", "a.b", "a0"];

/// One keyspace, and two services over it: what one makes is public, what the other makes is private.
struct World {
    public: Service,
    private: Service,
}

impl World {
    async fn new() -> Self {
        let keyspace = Arc::new(Memory::new());
        let service = async |visibility, seed| {
            let mut config = Config::new("unused".into(), "a secret for grants".into());
            config.new_repositories = visibility;
            let (clock, random) = (Arc::new(ManualClock::default()), Arc::new(SeededRandom::new(seed)));
            Service::found(keyspace.clone(), &config, clock, random).await.unwrap()
        };
        let public = service(Visibility::Public, 1).await;
        let private = service(Visibility::Private, 2).await;
        for name in OWNERS {
            let name: AccountName = name.parse().unwrap();
            let (password_hash, role) = ("$argon2id$v=19$…".into(), Role::User);
            let account = Account { name, password_hash, role, standing: Standing::Active };
            public.create_account(&account, &Actor::service()).await.unwrap();
        }
        Self { public, private }
    }

    async fn push(&self, service: &Service, name: &RepositoryName, tags: Vec<Tag>) {
        let body = Bytes::from(format!("{tags:?}"));
        let manifest = NewManifest {
            repository: name.clone(),
            digest: Digest::of_sha256(&body),
            media_type: ManifestKind::OciIndex.media_type(),
            body,
            needs: Vec::new(),
            subject: None,
            artifact_type: None,
            annotations: BTreeMap::new(),
            expected: Expected::Anything,
            tags,
        };
        service.put_manifest(&manifest, &actor(name)).await.unwrap();
    }

    async fn make(&self, names: &BTreeSet<RepositoryName>, visibility: Visibility) {
        let service = if visibility == Visibility::Public { &self.public } else { &self.private };
        for name in names {
            self.push(service, name, Vec::new()).await;
        }
    }

    async fn tags(&self, after: Option<Tag>, limit: usize) -> Page<Tag> {
        self.private.tags(&app(), &PageRequest { after, limit }).await.unwrap()
    }

    async fn names(
        &self,
        viewer: Viewer,
        after: Option<RepositoryName>,
        limit: usize,
    ) -> Page<RepositoryName> {
        self.listed(&WantedRepositories::all(viewer, PageRequest { after, limit })).await
    }

    async fn under(
        &self,
        path: &str,
        also: &BTreeSet<RepositoryName>,
        viewer: Viewer,
        page: PageRequest<RepositoryName>,
    ) -> Page<RepositoryName> {
        let (under, also) = (Some(path.parse().unwrap()), also.iter().cloned().collect());
        self.listed(&WantedRepositories { viewer, under, also, page }).await
    }

    async fn listed(&self, wanted: &WantedRepositories) -> Page<RepositoryName> {
        let page = self.private.repositories(wanted).await.unwrap();
        Page { entries: page.entries.into_iter().map(|entry| entry.name).collect(), more: page.more }
    }
}

fn actor(name: &RepositoryName) -> Actor {
    let subject = Subject::User(name.namespace().as_str().parse().unwrap());
    Actor { subject, via: Via::Registry, address: None, credential: None }
}

fn app() -> RepositoryName {
    "a/app".parse().unwrap()
}

/// All pages, one after the other.
async fn walked<T: Clone>(limit: usize, page: impl AsyncFn(Option<T>) -> Page<T>) -> Vec<T> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let Page { entries, more } = page(after).await;
        assert!(
            entries.len() == limit || (more == More::No && entries.len() < limit),
            "not as long as asked"
        );
        after = entries.last().cloned();
        all.extend(entries);
        if more == More::No {
            return all;
        }
    }
}

/// The page of `limit` behind `after` in what is there.
fn expected<T: Ord + Clone>(all: &BTreeSet<T>, after: &T, limit: usize) -> Page<T> {
    let behind: Vec<_> = all.iter().filter(|entry| *entry > after).cloned().collect();
    let more = if behind.len() > limit { More::Yes } else { More::No };
    Page { entries: behind.into_iter().take(limit).collect(), more }
}

fn is_in_ascii_order<T: ToString>(entries: &[T]) -> bool {
    let texts: Vec<_> = entries.iter().map(T::to_string).collect();
    texts.windows(2).all(|pair| pair[0].as_bytes() < pair[1].as_bytes())
}

/// Short, so that one is often the beginning of another.
fn tag() -> impl Strategy<Value = Tag> {
    "[aAb0_][aZ0._-]{0,3}".prop_map(|text| text.parse().unwrap())
}

fn name() -> impl Strategy<Value = RepositoryName> {
    "(a|a-b|a\\.b|a0)/[a0]([._-][a0]|/[a0]){0,3}".prop_map(|text| text.parse().unwrap())
}

/// One or two parts, as they are in the names.
fn path() -> impl Strategy<Value = String> {
    "(a|a-b|a\\.b|a0)(/[a0]([.-][a0])?){0,2}"
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn tags_come_once_each_in_ascii_order(
        tags in btree_set(tag(), 1..30),
        pushes in 1..4_usize,
        limit in 1..33_usize,
        nowhere in tag(),
    ) {
        run(async {
            let world = World::new().await;
            let shuffled: Vec<_> = tags.iter().rev().cloned().collect();
            for chunk in shuffled.chunks(shuffled.len().div_ceil(pushes)) {
                world.push(&world.private, &app(), chunk.to_vec()).await;
            }

            let all = walked(limit, async |after| world.tags(after, limit).await).await;
            assert!(is_in_ascii_order(&all), "{all:?}");
            assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), tags);
            assert_eq!(world.tags(Some(nowhere.clone()), limit).await, expected(&tags, &nowhere, limit));
        });
    }

    #[test]
    fn tags_that_stay_are_listed_once_while_others_come_and_go(
        stay in btree_set(tag(), 1..20),
        others in btree_set(tag(), 1..20),
        limit in 1..6_usize,
    ) {
        run(async {
            let world = World::new().await;
            let others: Vec<_> = others.difference(&stay).cloned().collect();
            world.push(&world.private, &app(), stay.iter().cloned().collect()).await;

            let mut all = walked_while_changing(&world, limit, &others).await;
            assert!(is_in_ascii_order(&all), "{all:?}");
            all.retain(|tag| stay.contains(tag));
            assert_eq!(all, stay.into_iter().collect::<Vec<_>>());
        });
    }

    #[test]
    fn repositories_come_once_each_and_outsiders_see_the_public_ones(
        public in btree_set(name(), 0..15),
        private in btree_set(name(), 0..15),
        limit in 1..33_usize,
        nowhere in name(),
    ) {
        run(async {
            let world = World::new().await;
            let private: BTreeSet<_> = private.difference(&public).cloned().collect();
            world.make(&private, Visibility::Private).await;
            world.make(&public, Visibility::Public).await;

            let every: BTreeSet<_> = public.union(&private).cloned().collect();
            for (viewer, visible) in [(Viewer::Outsider, &public), (Viewer::Administrator, &every)] {
                let all = walked(limit, async |after| world.names(viewer, after, limit).await).await;
                assert!(is_in_ascii_order(&all), "{all:?}");
                assert_eq!(all.iter().collect::<BTreeSet<_>>(), visible.iter().collect());
                let page = world.names(viewer, Some(nowhere.clone()), limit).await;
                assert_eq!(page, expected(visible, &nowhere, limit));
            }
        });
    }

    #[test]
    fn under_a_path_is_what_begins_with_its_parts_and_may_be_seen(
        public in btree_set(name(), 0..15),
        private in btree_set(name(), 0..15),
        also in btree_set(name(), 0..10),
        under in path(),
        limit in 1..33_usize,
        nowhere in name(),
    ) {
        run(async {
            let world = World::new().await;
            let private: BTreeSet<_> = private.difference(&public).cloned().collect();
            world.make(&private, Visibility::Private).await;
            world.make(&public, Visibility::Public).await;

            let every: BTreeSet<_> = public.union(&private).cloned().collect();
            let allowed: BTreeSet<_> = every.iter().filter(|name| public.contains(name) || also.contains(name)).cloned().collect();
            for (viewer, visible) in [(Viewer::Outsider, allowed), (Viewer::Administrator, every)] {
                let page = async |after| world.under(&under, &also, viewer, PageRequest { after, limit }).await;
                let begins = |name: &RepositoryName| name.as_str() == under || name.as_str().starts_with(&format!("{under}/"));
                let visible: BTreeSet<_> = visible.into_iter().filter(begins).collect();
                let all = walked(limit, page).await;
                assert_eq!(all, visible.iter().cloned().collect::<Vec<_>>(), "under {under}");
                assert_eq!(page(Some(nowhere.clone())).await, expected(&visible, &nowhere, limit));
            }
        });
    }

    #[test]
    fn repositories_that_were_there_are_listed_once_while_others_come(
        there in btree_set(name(), 1..15),
        come in btree_set(name(), 1..15),
        limit in 1..6_usize,
    ) {
        run(async {
            let world = World::new().await;
            world.make(&there, Visibility::Public).await;
            let come: Vec<_> = come.difference(&there).cloned().collect();

            let next = Cell::new(0);
            let mut all = walked(limit, async |after| {
                let new = come.iter().skip(next.replace(next.get() + 1)).take(1).cloned().collect();
                world.make(&new, Visibility::Public).await;
                world.names(Viewer::Outsider, after, limit).await
            }).await;
            assert!(is_in_ascii_order(&all), "{all:?}");
            all.retain(|name| there.contains(name));
            assert_eq!(all, there.into_iter().collect::<Vec<_>>());
        });
    }
}

/// Before each page two of the others come, and one that has come goes again.
async fn walked_while_changing(world: &World, limit: usize, others: &[Tag]) -> Vec<Tag> {
    let turn = Cell::new(0);
    walked(limit, async |after| {
        let now = turn.replace(turn.get() + 1);
        let come: Vec<_> = others.iter().skip(2 * now).take(2).cloned().collect();
        if let [first, ..] = come.as_slice() {
            world.push(&world.private, &app(), come.clone()).await;
            let gone = Reference::Tag(first.clone());
            world.private.delete_manifest(&app(), &gone, &Expected::Anything, &actor(&app())).await.unwrap();
        }
        world.tags(after, limit).await
    })
    .await
}
