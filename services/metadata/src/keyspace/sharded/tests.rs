//! Commits that lie in several groups: whoever dies in the middle of one, and whoever comes meanwhile, it happens once and
//! whole, or not at all, and leaves nothing behind.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use service_kit::random::SeededRandom;
use tokio::task::JoinSet;

use super::{Sharded, Waits};
use crate::keyspace::{
    Commit, CommitError, Condition, Direction, Error, Field, Follow, Followed, Key, Keyspace, MemberRange,
    Mutation, Record,
    memory::Memory,
    suite::{self, field, key},
};

/// Looks at once, and takes what it sees to be left behind after so many looks.
fn waits(looks: u32) -> Waits {
    Waits { first: Duration::ZERO, longest: Duration::ZERO, looks, most: 1_000_000 }
}

fn sharded<K: Keyspace>(engine: &Arc<K>, seed: u64, looks: u32) -> Sharded<K> {
    Sharded::new(Arc::clone(engine), Arc::new(SeededRandom::new(seed)), waits(looks))
}

type Rival = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The engine as one process has it, which dies with its n-th write, or is overtaken before it.
struct Process {
    memory: Arc<Memory>,
    writes: AtomicUsize,
    dies_with: usize,
    rival: Mutex<Option<(usize, Rival)>>,
}

impl Process {
    fn new(memory: &Arc<Memory>) -> Self {
        let (memory, writes) = (Arc::clone(memory), AtomicUsize::new(0));
        Self { memory, writes, dies_with: usize::MAX, rival: Mutex::default() }
    }

    fn dying_with(memory: &Arc<Memory>, write: usize) -> Arc<Self> {
        Arc::new(Self { dies_with: write, ..Self::new(memory) })
    }

    fn overtaken_before(memory: &Arc<Memory>, write: usize, rival: Rival) -> Arc<Self> {
        Arc::new(Self { rival: Mutex::new(Some((write, rival))), ..Self::new(memory) })
    }

    fn lives(&self) -> Result<(), Error> {
        let dead = self.writes.load(Ordering::SeqCst) > self.dies_with.saturating_add(1);
        if dead { Err(Error::Unavailable { attempted: "dying" }) } else { Ok(()) }
    }

    fn take_rival(&self, write: usize) -> Option<Rival> {
        let mut rival = self.rival.lock().unwrap();
        let due = rival.as_ref().is_some_and(|(before, _)| *before == write);
        if due { rival.take().map(|(_, rival)| rival) } else { None }
    }
}

#[async_trait]
impl Keyspace for Process {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, Error> {
        self.lives()?;
        self.memory.get(key).await
    }

    async fn get_many(&self, fields: &[(Key, Field)]) -> Result<Vec<Option<Bytes>>, Error> {
        self.lives()?;
        self.memory.get_many(fields).await
    }

    async fn records(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, Error> {
        self.lives()?;
        self.memory.records(keys).await
    }

    async fn range(
        &self,
        key: &Key,
        members: MemberRange,
        limit: usize,
        direction: Direction,
    ) -> Result<Vec<Bytes>, Error> {
        self.lives()?;
        self.memory.range(key, members, limit, direction).await
    }

    async fn follow(&self, follow: &Follow) -> Result<Followed, Error> {
        self.lives()?;
        self.memory.follow(follow).await
    }

    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        let write = self.writes.fetch_add(1, Ordering::SeqCst);
        self.lives()?;
        if let Some(rival) = self.take_rival(write) {
            rival.await;
        }
        let outcome = self.memory.commit(commit).await;
        if write == self.dies_with {
            // It is written, and nobody hears of it.
            return Err(Error::Unavailable { attempted: "dying" }.into());
        }
        outcome
    }
}

/// Five from one account to the other, in the books: three groups, of which one is written to twice.
fn transfer(name: &str) -> Commit {
    let (from, to) = (key("a:account"), key("b:account"));
    let sum = |account: &Key, by| Mutation::Increment(account.clone(), field("Sum"), by);
    let noted = |account: &Key| {
        Mutation::SetField(account.clone(), Field::new(name.to_owned()), Bytes::from_static(b"1"))
    };
    Commit::synced()
        .when(Condition::FieldPresent(from.clone(), field("Sum")))
        .when(Condition::FieldPresent(to.clone(), field("Sum")))
        .then(Mutation::AddMember(key("books:transfers"), name.to_owned().into()))
        .then(noted(&from))
        .then(sum(&from, -5))
        .then(sum(&to, 5))
        .then(noted(&to))
        .then(Mutation::AddMember(key("a:transfers"), name.to_owned().into()))
}

async fn opened() -> Arc<Memory> {
    let memory = Arc::new(Memory::new());
    let sums = ["a:account", "b:account"]
        .map(|account| Mutation::SetField(key(account), field("Sum"), Bytes::from_static(b"100")));
    sharded(&memory, 1, 0).commit(Commit::synced().then_all(sums)).await.unwrap();
    memory
}

/// Whether exactly these transfers have happened, each once and whole, and nobody waits for anything.
async fn has_exactly(memory: &Arc<Memory>, names: &[&str]) {
    let keyspace = sharded(memory, 2, 0);
    for set in ["books:transfers", "a:transfers"] {
        let found = keyspace.range(&key(set), MemberRange::all(), 100, Direction::Forward).await.unwrap();
        assert_eq!(found, names, "{set}");
    }
    let moved = 5 * i64::try_from(names.len()).unwrap();
    for (account, sum) in [("a:account", 100 - moved), ("b:account", 100 + moved)] {
        let account = keyspace.record(&key(account)).await.unwrap().unwrap();
        assert_eq!((account.number("Sum"), account.len()), (Some(sum), 1 + names.len()), "{account:?}");
    }
    let left: Vec<_> = memory.entries().into_iter().filter(|(key, ..)| is_of_a_commit(key)).collect();
    assert!(left.is_empty(), "{left:?}");
}

fn is_of_a_commit(key: &Key) -> bool {
    let key = key.to_string();
    key.ends_with("}:locks") || key.contains("}:commit:")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sharded_keyspace_is_a_keyspace() {
    suite::run(Arc::new(sharded(&Arc::new(Memory::new()), 1, 2))).await;
}

#[tokio::test]
async fn a_commit_that_dies_anywhere_happens_whole_or_not_at_all() {
    let (mut whole, mut nothing) = (0, 0);
    for write in 0.. {
        // given
        let memory = opened().await;
        let process = Process::dying_with(&memory, write);
        let outcome = sharded(&process, 3, 0).commit(transfer("1")).await;
        if outcome.is_ok() {
            has_exactly(&memory, &["1"]).await;
            assert!(whole > 4 && nothing > 2, "{whole} and {nothing} of {write}");
            return;
        }

        // when: two who come later find it at once
        let (second, third) = (sharded(&memory, 4, 0), sharded(&memory, 5, 1));
        let outcomes = tokio::join!(second.commit(transfer("2")), third.commit(transfer("3")));

        // then
        assert_eq!(outcomes, (Ok(()), Ok(())), "after write {write}");
        let books = sharded(&memory, 6, 0);
        let found = books.range(&key("books:transfers"), MemberRange::all(), 9, Direction::Forward).await;
        if found.unwrap().len() == 3 {
            whole += 1;
            has_exactly(&memory, &["1", "2", "3"]).await;
        } else {
            nothing += 1;
            has_exactly(&memory, &["2", "3"]).await;
        }
    }
}

#[tokio::test]
async fn whoever_is_overtaken_anywhere_still_commits_once() {
    for write in 0.. {
        let memory = opened().await;
        let rival = {
            let rival = sharded(&memory, 4, 0);
            Box::pin(async move { rival.commit(transfer("2")).await.unwrap() })
        };
        let process = Process::overtaken_before(&memory, write, rival);
        let outcome = sharded(&process, 3, 0).commit(transfer("1")).await;

        assert_eq!(outcome, Ok(()), "overtaken before write {write}");
        if process.rival.lock().unwrap().is_some() {
            assert!(write > 9, "a transfer has {write} writes");
            return;
        }
        has_exactly(&memory, &["1", "2"]).await;
    }
}

#[tokio::test]
async fn a_conflict_anywhere_changes_nothing_and_names_the_first() {
    let memory = opened().await;
    let keyspace = sharded(&memory, 3, 0);
    let before = memory.entries();
    let absent = |account| Condition::FieldPresent(key(account), field("Nothing"));

    // The groups are taken in another order than the conditions are written in.
    let commit = transfer("1").when(absent("z:account")).when(absent("a:account")).when(absent("b:account"));
    assert_eq!(keyspace.commit(commit).await, Err(CommitError::Conflict { condition: 2 }));
    let commit = transfer("1").when(absent("b:account"));
    assert_eq!(keyspace.commit(commit).await, Err(CommitError::Conflict { condition: 2 }));
    assert_eq!(memory.entries(), before);
}

#[tokio::test]
async fn what_cannot_be_added_to_is_found_before_anything_is_written() {
    let memory = opened().await;
    let keyspace = sharded(&memory, 3, 0);
    let set = Mutation::SetField(key("b:account"), field("Sum"), Bytes::from_static(b"much"));
    keyspace.commit(Commit::synced().then(set)).await.unwrap();
    let before = memory.entries();

    let outcome = keyspace.commit(transfer("1")).await;
    assert!(matches!(outcome, Err(CommitError::Engine(Error::Damaged { .. }))), "{outcome:?}");
    assert_eq!(memory.entries(), before);
}

#[tokio::test]
async fn a_commit_in_one_group_waits_for_one_that_is_under_way_there() {
    // given: decided, and nothing done
    let memory = opened().await;
    let process = Process::dying_with(&memory, 3);
    sharded(&process, 3, 0).commit(transfer("1")).await.unwrap_err();

    // when
    let as_read = Condition::FieldEquals(key("b:account"), field("Sum"), Bytes::from_static(b"100"));
    let emptied = Mutation::SetField(key("b:account"), field("Sum"), Bytes::from_static(b"0"));
    let outcome = sharded(&memory, 4, 0).commit(Commit::synced().when(as_read).then(emptied)).await;

    // then: what it has read was of before
    assert_eq!(outcome, Err(CommitError::Conflict { condition: 0 }));
    has_exactly(&memory, &["1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn contenders_over_several_groups_lose_nothing() {
    let memory = opened().await;
    let mut tasks = JoinSet::new();
    for task in 0..8_u64 {
        let keyspace = sharded(&memory, 10 + task, 50);
        tasks.spawn(async move {
            for round in 0..10 {
                keyspace.commit(transfer(&format!("{task}-{round}"))).await.unwrap();
            }
        });
    }
    tasks.join_all().await;

    let names: Vec<String> =
        (0..8).flat_map(|task| (0..10).map(move |round| format!("{task}-{round}"))).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    has_exactly(&memory, &names).await;
}
