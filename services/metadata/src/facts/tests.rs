//! Facts that the suite cannot ask for: of public repositories and of kept credentials; and how many reads they take.

#![allow(clippy::unwrap_used, reason = "helpers of a test")]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use oci::RepositoryName;
use proto::{
    auth::Subject,
    metadata::{
        Accounts as _, Actor, Organizations as _, Standing, Via, Visibility,
        accounts::{AccessFacts, AccessQuestion, Account, FactsOf, Role},
        credentials::{Holder, Limits, SecretHash},
        organizations::{Grantee, Level, MemberRole, Membership},
    },
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
    placement::Target,
};

/// Memory that counts how often it is read.
struct Counting {
    memory: Memory,
    reads: AtomicUsize,
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
        self.counted().range(key, members, limit, to).await
    }

    async fn follow(&self, follow: &Follow) -> Result<Followed, Error> {
        self.counted().follow(follow).await
    }

    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        self.memory.commit(commit).await
    }
}

const SECRET: SecretHash = [0xab; 32];

struct World {
    keyspace: Arc<Counting>,
    service: Service,
}

impl World {
    /// Ann owns `crew`, whose repository `crew/app` is public. Bob is in twelve of its teams, and one may write.
    async fn new() -> Self {
        let keyspace = Arc::new(Counting { memory: Memory::new(), reads: AtomicUsize::new(0) });
        let mut config = Config::new("unused".into(), "a secret for grants".into());
        config.new_repositories = Visibility::Public;
        let (clock, random) = (Arc::new(ManualClock::default()), Arc::new(SeededRandom::new(1)));
        let service = Service::found(keyspace.clone(), &config, clock, random).await.unwrap();
        let world = Self { keyspace, service };

        for name in ["ann", "bob"] {
            let (password_hash, role) = ("$argon2id$v=19$…".into(), Role::User);
            let account =
                Account { name: name.parse().unwrap(), password_hash, role, standing: Standing::Active };
            world.service.create_account(&account, &Actor::service()).await.unwrap();
        }
        world.furnish().await;
        world
    }

    async fn furnish(&self) {
        let (service, actor) = (&self.service, actor());
        let (crew, ann, bob) = ("crew".parse().unwrap(), "ann".parse().unwrap(), "bob".parse().unwrap());
        service.create_organization(&crew, &ann, &actor).await.unwrap();
        service.put_member(&crew, &bob, MemberRole::Member, &actor).await.unwrap();
        self.make(&app()).await;
        for number in 0..12 {
            let team = format!("team-{number}").parse().unwrap();
            service.put_team(&crew, &team, "", &actor).await.unwrap();
            service.set_team_member(&crew, &team, &bob, Membership::In, &actor).await.unwrap();
        }
        let team = Grantee::Team("team-7".parse().unwrap());
        service.grant(&app(), &team, Some(Level::Write), &actor).await.unwrap();
    }

    /// An empty repository.
    async fn make(&self, name: &RepositoryName) {
        let target = self.service.target(name, &actor()).await.unwrap();
        assert!(matches!(target, Target::New(_)));
        let commit = Commit::synced().then_all(target.founding(name, self.service.now()));
        self.keyspace.commit(commit).await.unwrap();
    }

    async fn keep(&self, holder: &Holder, expires: Option<i64>) {
        let key = keys::secret(&keys::hex(&SECRET));
        let set = |field, value: String| Mutation::SetField(key.clone(), field, value.into());
        let commit = Commit::synced()
            .then(set(field::HOLDER, serde_json::to_string(holder).unwrap()))
            .then(set(field::LABEL, "laptop".to_owned()))
            .then(set(field::LIMITS, serde_json::to_string(&Limits::none()).unwrap()))
            .then(set(field::CREATED, "1000".to_owned()))
            .then_all(expires.map(|expires| set(field::EXPIRES, expires.to_string())))
            .then(set(field::ID, "01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned()));
        self.keyspace.commit(commit).await.unwrap();
    }

    async fn facts(&self, asker: FactsOf) -> (AccessFacts, usize) {
        let question = AccessQuestion { asker, repositories: vec![app()], namespaces: Vec::new() };
        let before = self.keyspace.reads.load(Ordering::SeqCst);
        let facts = self.service.access_facts(&question).await.unwrap();
        (facts, self.keyspace.reads.load(Ordering::SeqCst) - before)
    }
}

fn actor() -> Actor {
    Actor { subject: Subject::User("ann".parse().unwrap()), via: Via::Ui, address: None, credential: None }
}

fn app() -> RepositoryName {
    "crew/app".parse().unwrap()
}

#[tokio::test]
async fn a_public_repository_is_told_as_that() {
    let world = World::new().await;

    let (facts, reads) = world.facts(FactsOf::Anonymous).await;
    assert_eq!(facts.repositories[0].visibility, Some(Visibility::Public));
    assert_eq!((facts.repositories[0].level, facts.repositories[0].namespace.role), (None, None));
    assert_eq!(reads, 1);
}

#[tokio::test]
async fn the_number_of_reads_does_not_grow_with_teams() {
    let world = World::new().await;

    let (facts, reads) = world.facts(FactsOf::User("bob".parse().unwrap())).await;
    assert_eq!(facts.repositories[0].level, Some(Level::Write));
    assert_eq!(reads, 4, "account, surroundings, teams, grants");
}

#[tokio::test]
async fn a_credential_of_a_user_is_told_with_what_the_user_has() {
    let world = World::new().await;
    let (facts, _) = world.facts(FactsOf::Credential(SECRET)).await;
    assert!(facts.credential.is_none() && facts.account.is_none());

    for holder in [Holder::User("bob".parse().unwrap()), Holder::Session("bob".parse().unwrap())] {
        world.keep(&holder, None).await;
        let (facts, reads) = world.facts(FactsOf::Credential(SECRET)).await;
        let credential = facts.credential.unwrap();
        assert_eq!((credential.holder, credential.limits), (holder, Limits::none()));
        assert_eq!((credential.expires, credential.used), (None, None));
        assert_eq!(facts.account.unwrap().name.as_str(), "bob");
        assert_eq!(facts.repositories[0].namespace.role, Some(MemberRole::Member));
        assert_eq!(facts.repositories[0].level, Some(Level::Write));
        assert_eq!(reads, 5);
    }
}

#[tokio::test]
async fn a_credential_of_a_robot_has_no_user_and_one_that_has_expired_is_told_all_the_same() {
    let world = World::new().await;
    world.keep(&Holder::Robot("crew+ci".parse().unwrap()), Some(2_000)).await;

    let (facts, _) = world.facts(FactsOf::Credential(SECRET)).await;
    assert_eq!(facts.credential.unwrap().expires.unwrap().as_millisecond(), 2_000);
    assert!(facts.account.is_none());
    assert_eq!((facts.repositories[0].level, facts.repositories[0].namespace.role), (None, None));
}
