//! What the suite cannot see: how many reads a page takes, entries that lead nowhere, repositories of earlier releases;
//! and any repositories and queries, beside a model that knows no index.

#![allow(clippy::unwrap_used, reason = "helpers of a test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use oci::{AccountName, Namespace, RepositoryName, TeamName};
use proptest::{
    collection::btree_map,
    prelude::{ProptestConfig, Strategy, proptest},
    sample::select,
};
use proto::metadata::{
    Accounts as _, Actor, Organizations as _, Repositories as _, RepositorySettings as _, Standing,
    Visibility,
    accounts::{Account, Role},
    credentials::RepositoryPattern,
    organizations::{Grantee, Level, MemberRole, Membership},
    repositories::{Found, Reader, WantedSearch},
};
use service_kit::{clock::ManualClock, random::SeededRandom};

use crate::{
    Service,
    config::Config,
    keys::{self, field},
    keyspace::{
        Commit, CommitError, Direction, Error, Field, Follow, Followed, Key, Keyspace, MemberRange, Mutation,
        Record, memory::Memory,
    },
    namespaces::Owner,
};

/// Memory that counts how often it is read, and of which ordered sets.
#[derive(Default)]
struct Counting {
    memory: Memory,
    reads: AtomicUsize,
    private: AtomicUsize,
}

impl Counting {
    fn counted(&self) -> &Memory {
        self.reads.fetch_add(1, Ordering::SeqCst);
        &self.memory
    }
}

#[async_trait]
impl Keyspace for Counting {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, Error> {
        self.counted().get(key).await
    }

    async fn get_many(&self, fields: &[(Key, Field)]) -> Result<Vec<Option<Bytes>>, Error> {
        self.counted().get_many(fields).await
    }

    async fn records(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, Error> {
        self.counted().records(keys).await
    }

    async fn range(
        &self,
        key: &Key,
        members: MemberRange,
        limit: usize,
        to: Direction,
    ) -> Result<Vec<Bytes>, Error> {
        if *key != keys::PUBLIC_WORDS && *key != keys::PUBLIC_REPOSITORIES {
            self.private.fetch_add(1, Ordering::SeqCst);
        }
        self.counted().range(key, members, limit, to).await
    }

    async fn follow(&self, follow: &Follow) -> Result<Followed, Error> {
        self.counted().follow(follow).await
    }

    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        self.memory.commit(commit).await
    }
}

struct World {
    keyspace: Arc<Counting>,
    service: Service,
}

async fn service(keyspace: &Arc<Counting>) -> Service {
    let config = Config::new("unused".into(), "a secret for grants".into());
    let (clock, random) = (Arc::new(ManualClock::default()), Arc::new(SeededRandom::new(1)));
    Service::found(keyspace.clone(), &config, clock, random).await.unwrap()
}

impl World {
    async fn new() -> Self {
        let keyspace = Arc::new(Counting::default());
        let service = service(&keyspace).await;
        for name in ["ann", "bob"] {
            let (password_hash, role) = ("$argon2id$v=19$…".into(), Role::User);
            let account =
                Account { name: name.parse().unwrap(), password_hash, role, standing: Standing::Active };
            service.create_account(&account, &Actor::service()).await.unwrap();
        }
        Self { keyspace, service }
    }

    async fn create(&self, name: &RepositoryName, visibility: Visibility, description: &str) {
        self.service.create_repository(name, visibility, description, &Actor::service()).await.unwrap();
    }

    /// Many at once, without anything else that a repository comes with.
    async fn fill(&self, names: impl Iterator<Item = RepositoryName>, visibility: Visibility) {
        let names: Vec<_> = names.collect();
        for some in names.chunks(500) {
            let founding = some.iter().flat_map(|name| {
                self.service
                    .new_repository_seen_by(Owner::User, visibility)
                    .founding(name, self.service.now())
            });
            self.keyspace.commit(Commit::synced().then_all(founding)).await.unwrap();
        }
    }

    /// A page, how many reads it took, and of how many ordered sets that are not public.
    async fn page(&self, wanted: &WantedSearch) -> (Found, usize, usize) {
        let counts =
            || [&self.keyspace.reads, &self.keyspace.private].map(|count| count.load(Ordering::SeqCst));
        let before = counts();
        let found = self.service.search(wanted).await.unwrap();
        let after = counts();
        (found, after[0] - before[0], after[1] - before[1])
    }

    async fn names(&self, mut wanted: WantedSearch) -> Vec<RepositoryName> {
        let mut names = Vec::new();
        loop {
            let (found, ..) = self.page(&wanted).await;
            names.extend(found.repositories.into_iter().map(|found| found.entry.name));
            wanted.after = found.next;
            if wanted.after.is_none() {
                return names;
            }
        }
    }
}

fn looking(reader: Reader, query: Option<&str>, limit: usize) -> WantedSearch {
    let query = query.map(|query| query.parse().unwrap());
    WantedSearch { reader, within: Vec::new(), under: None, query, after: None, limit }
}

fn ann() -> Reader {
    Reader::User("ann".parse().unwrap())
}

fn name(text: &str) -> RepositoryName {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_page_of_twenty_thousand_takes_as_many_reads_as_one_of_few() {
    let world = World::new().await;
    let numbered =
        |user: &'static str| (0..10_000).map(move |number| name(&format!("{user}/app-{number:05}")));
    world.fill(numbered("ann"), Visibility::Private).await;
    world.fill(numbered("bob"), Visibility::Public).await;

    for (reader, query, most) in [
        (Reader::Outsider, Some("app"), 8),
        (Reader::Outsider, None, 8),
        (Reader::Administrator, Some("app"), 9),
        (ann(), Some("app"), 14),
        (ann(), None, 14),
        // Found in none of them: a page ends all the same.
        (Reader::Outsider, Some("application app"), 8),
        (Reader::Outsider, Some("bob zzz"), 80),
    ] {
        let (mut wanted, mut pages) = (looking(reader, query, 100), 0);
        loop {
            let (found, reads, private) = world.page(&wanted).await;
            assert!(reads <= most, "{wanted:?} took {reads} reads");
            assert!(private == 0 || wanted.reader != Reader::Outsider, "an outsider walks what is private");
            (wanted.after, pages) = (found.next, pages + 1);
            if wanted.after.is_none() || pages == 5 {
                break;
            }
        }
    }
    assert_eq!(world.names(looking(Reader::Outsider, Some("app"), 1_000)).await.len(), 10_000);
    assert_eq!(world.names(looking(ann(), None, 1_000)).await.len(), 20_000);
}

#[tokio::test]
async fn what_others_give_does_not_keep_out_what_a_team_has() {
    let world = World::new().await;
    let (crew, devs): (Namespace, TeamName) = ("crew".parse().unwrap(), "devs".parse().unwrap());
    let (owner, member): (AccountName, AccountName) = ("bob".parse().unwrap(), "ann".parse().unwrap());
    let (service, actor, secret) = (&world.service, Actor::service(), name("crew/secret"));
    service.create_organization(&crew, &owner, &actor).await.unwrap();
    service.put_member(&crew, &member, MemberRole::Member, &actor).await.unwrap();
    service.put_team(&crew, &devs, "", &actor).await.unwrap();
    service.set_team_member(&crew, &devs, &member, Membership::In, &actor).await.unwrap();
    world.create(&secret, Visibility::Private, "").await;
    service.grant(&secret, &Grantee::Team(devs), Some(Level::Read), &actor).await.unwrap();

    let gifts = (0..5_000).map(|number| {
        Mutation::AddMember(keys::user_granted(&member), ulid::Ulid(number).to_string().into())
    });
    world.keyspace.commit(Commit::synced().then_all(gifts)).await.unwrap();
    for query in [None, Some("secret")] {
        assert_eq!(world.names(looking(ann(), query, 10)).await, std::slice::from_ref(&secret), "{query:?}");
    }
}

#[tokio::test]
async fn what_a_credential_is_good_for_is_found_behind_all_that_it_is_not() {
    let world = World::new().await;
    let others = (0..7_000).map(|number| name(&format!("ann/app-{number:04}")));
    world.fill(others, Visibility::Private).await;
    let shown = ["ann/tool-1", "ann/web/front"].map(name);
    world.fill(shown.iter().cloned(), Visibility::Private).await;

    let pattern = |text: &str| RepositoryPattern::try_from(text.to_owned()).unwrap();
    let within = vec![pattern("ann/tool-*"), pattern("ann/web/front")];
    let wanted = WantedSearch { within, ..looking(ann(), None, 1) };
    assert_eq!(world.names(wanted).await, shown);
}

#[tokio::test]
async fn an_entry_that_leads_nowhere_is_passed_over_and_removed() {
    let world = World::new().await;
    let hidden = name("bob/secret");
    world.create(&hidden, Visibility::Private, "plan").await;
    world.create(&name("ann/open"), Visibility::Public, "plan").await;
    let left = [
        // It was public once, it was described otherwise, and it is gone.
        (keys::PUBLIC_WORDS, keys::word_of(b"plan", 3, "bob/secret")),
        (keys::PUBLIC_WORDS, keys::word_of(b"planet", 3, "ann/open")),
        (keys::PUBLIC_WORDS, keys::word_of(b"plane", 1, "ann/plane")),
    ];
    let entries = left.iter().map(|(set, member)| Mutation::AddMember(set.clone(), member.clone()));
    world.keyspace.commit(Commit::synced().then_all(entries)).await.unwrap();

    assert_eq!(world.names(looking(Reader::Outsider, Some("plan"), 1)).await, [name("ann/open")]);
    for (set, member) in left {
        let range = MemberRange::starting_at(member.clone()).through(member.clone());
        let found = world.keyspace.range(&set, range, 1, Direction::Forward).await.unwrap();
        assert!(found.is_empty(), "{member:?} is there still");
    }
    let found = world.names(looking(Reader::Administrator, Some("plan"), 10)).await;
    assert_eq!(found, [name("ann/open"), hidden]);
}

#[tokio::test]
async fn repositories_of_an_earlier_release_are_indexed_when_a_later_one_starts() {
    let world = World::new().await;
    let old = name("bob/old-app");
    world.create(&old, Visibility::Private, "an oak").await;
    let grantee = Grantee::User("ann".parse().unwrap());
    world.service.grant(&old, &grantee, Some(Level::Read), &Actor::service()).await.unwrap();
    let id = world.service.placed(&old).await.unwrap().unwrap().id;
    let unknown = Commit::synced()
        .then(Mutation::RemoveField(keys::state(id), field::WORDS))
        .then(Mutation::RemoveSet(keys::PRIVATE_WORDS))
        .then(Mutation::RemoveSet(keys::words_in(Owner::User, &"bob".parse::<Namespace>().unwrap())))
        .then(Mutation::RemoveSet(keys::user_granted(&"ann".parse().unwrap())))
        .then(Mutation::RemoveField(keys::SCHEMA, field::INDEXED));
    world.keyspace.commit(unknown).await.unwrap();
    assert!(world.names(looking(ann(), Some("oak"), 10)).await.is_empty());

    let later = World { service: service(&world.keyspace).await, keyspace: world.keyspace.clone() };
    for reader in [ann(), Reader::User("bob".parse().unwrap()), Reader::Administrator] {
        assert_eq!(later.names(looking(reader, Some("oak old"), 10)).await, std::slice::from_ref(&old));
    }
}

const WORDS: [&str; 6] = ["a", "ab", "abc", "b", "ba", "x"];

/// Of a repository in the model.
type Described = (Visibility, Vec<&'static str>);

/// How `word` is one of a repository's; none: it is none.
fn rank(name: &RepositoryName, described: &[&str], word: &str) -> Option<usize> {
    let last = name.repository();
    if last.replace('-', "") == word {
        return Some(1);
    }
    let in_name = last
        .split('-')
        .chain([name.namespace().as_str().to_owned()].iter().map(String::as_str))
        .any(|part| part == word);
    if in_name { Some(2) } else { described.contains(&word).then_some(3) }
}

/// All words that any repository can have.
fn possible(name: &RepositoryName) -> BTreeSet<String> {
    let whole = name.repository().replace('-', "");
    WORDS.iter().map(|word| (*word).to_owned()).chain([whole, name.namespace().to_string()]).collect()
}

fn expected(
    all: &BTreeMap<RepositoryName, Described>,
    reads_private: bool,
    query: &[&str],
) -> Vec<RepositoryName> {
    // The longest is walked; of two, the first.
    let walked = query.iter().rev().max_by_key(|word| word.len()).unwrap();
    let mut found = BTreeSet::new();
    for (name, (visibility, described)) in all {
        let first = |beginning: &str| {
            let words = possible(name).into_iter().filter(|word| word.starts_with(beginning));
            words
                .filter_map(|word| Some((rank(name, described, &word)?, word)))
                .map(|(rank, word)| (word, rank))
                .min()
        };
        let seen = *visibility == Visibility::Public || (reads_private && name.namespace().as_str() == "ann");
        if seen && query.iter().all(|word| first(word).is_some()) {
            found.insert((first(walked).unwrap(), name.clone()));
        }
    }
    found.into_iter().map(|(_, name)| name).collect()
}

fn any_name() -> impl Strategy<Value = RepositoryName> {
    let owner = select(vec!["ann", "bob"]);
    let parts = proptest::collection::vec(select(WORDS.to_vec()), 1..4);
    (owner, parts).prop_map(|(owner, parts)| name(&format!("{owner}/{}", parts.join("-"))))
}

fn any_description() -> impl Strategy<Value = Described> {
    let visibility = select(vec![Visibility::Public, Visibility::Private]);
    (visibility, proptest::collection::vec(select(WORDS.to_vec()), 0..4))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn what_is_found_is_what_a_walk_over_all_finds(
        all in btree_map(any_name(), any_description(), 0..20),
        query in proptest::collection::vec(select(vec!["a", "ab", "abc", "b", "x", "an"]), 1..3),
        limit in 1..5_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new().await;
            for (name, (visibility, described)) in &all {
                world.create(name, *visibility, &described.join(", ")).await;
            }
            for (reader, reads_private) in [(Reader::Outsider, false), (ann(), true)] {
                let found = world.names(looking(reader, Some(&query.join(" ")), limit)).await;
                assert_eq!(found, expected(&all, reads_private, &query));
            }
        });
    }
}
