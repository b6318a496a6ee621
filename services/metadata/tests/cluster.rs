//! The keyspace in a real Redis Cluster: the port's suite, and what becomes of commits when a master is killed and while
//! slots are moved. Each test starts its own six servers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    dead_code,
    unreachable_pub,
    reason = "the whole file is a test, and shares modules of which it needs a part"
)]

#[path = "../../../tests/src/address.rs"]
mod address;
#[path = "../../../tests/src/engine.rs"]
mod engine;
#[path = "../../../tests/src/process.rs"]
mod process;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use engine::{Cluster as Servers, Engine, Program};
use metadata::keyspace::{
    Commit, CommitError, Direction, Error, Keyspace, MemberRange, Mutation,
    resp::{
        Keeping, Limits, OpenError, Options, Refusal, Resp, TlsFiles,
        cluster::{Cluster, Nodes},
    },
    sharded::Waits,
    suite::{self, field, key},
};
use service_kit::random;
use tokio::{task::JoinSet, time::timeout};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(1);

fn options(url: &str) -> Options {
    Options {
        url: url.parse().unwrap(),
        keeping: Keeping::Required,
        tls: TlsFiles::default(),
        limits: Limits::default(),
    }
}

async fn open(servers: &Servers) -> Arc<Cluster> {
    let limits = Limits { call: Duration::from_secs(4), ..Limits::default() };
    let nodes = Nodes::open(&Options { limits, ..options(&servers.url()) }).await.unwrap();
    Arc::new(Cluster::new(Arc::new(nodes), random::system(), Waits::default()))
}

/// A member each in three groups, and a sum in two.
fn spread_over(number: usize) -> Commit {
    let member = Bytes::from(format!("{number:05}"));
    let added = ["one:set", "two:set", "three:set"].map(|set| Mutation::AddMember(key(set), member.clone()));
    let summed = ["one:sums", "two:sums"].map(|sums| Mutation::Increment(key(sums), field("Sum"), 1));
    Commit::synced().then_all(added).then_all(summed)
}

/// Every acknowledged commit is there, those that were not are there whole or not at all, and sums are of what is there.
async fn holds_all(cluster: &Cluster, acknowledged: &[usize]) {
    // What was left behind is ended by whoever writes there with conditions.
    for group in ["one", "two", "three"] {
        let touched = Mutation::SetField(key(format!("{group}:end")), field("f"), Bytes::new());
        let ended = async {
            while cluster.commit(Commit::synced().then(touched.clone())).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, ended).await.unwrap();
    }

    let mut sets = Vec::new();
    for set in ["one:set", "two:set", "three:set"] {
        sets.push(cluster.range(&key(set), MemberRange::all(), 1_000, Direction::Forward).await.unwrap());
    }
    assert!(sets[0] == sets[1] && sets[1] == sets[2], "half a commit: {sets:?}");
    for number in acknowledged {
        let member = Bytes::from(format!("{number:05}"));
        assert!(sets[0].contains(&member), "{number} was acknowledged");
    }
    for sums in ["one:sums", "two:sums"] {
        let sum = cluster.record(&key(sums)).await.unwrap().unwrap().number("Sum");
        assert_eq!(sum, i64::try_from(sets[0].len()).ok(), "{sums}");
    }
}

/// Commits one after the other until there is no more need, and tells which were acknowledged and how many were not.
async fn commits(
    cluster: Arc<Cluster>,
    numbers: std::ops::Range<usize>,
    ended: Arc<AtomicBool>,
) -> (Vec<usize>, usize) {
    let (mut acknowledged, mut refused) = (Vec::new(), 0);
    for number in numbers {
        match cluster.commit(spread_over(number)).await {
            Ok(()) => acknowledged.push(number),
            Err(CommitError::Engine(Error::Unavailable { .. })) => refused += 1,
            Err(error) => panic!("{error}"),
        }
        if ended.load(Ordering::Relaxed) {
            break;
        }
    }
    (acknowledged, refused)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cluster_is_a_keyspace() {
    let servers = Servers::start();
    let cluster = open(&servers).await;

    suite::run(cluster.clone()).await;
    cluster.engine().check().await.unwrap();
    cluster.engine().close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_under_one_name_lies_on_one_server_and_nothing_is_left_of_commits() {
    let servers = Servers::start();
    let cluster = open(&servers).await;
    let written =
        ["@ann", "@ann:audit", "$1:tag"].map(|name| Mutation::SetField(key(name), field("f"), "v".into()));
    cluster.commit(Commit::synced().then_all(written)).await.unwrap();

    let all = |place: usize| servers.nodes[place].cli(&["keys", "*"]);
    let mut keys: Vec<String> =
        (0..3).flat_map(|place| all(place).lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    keys.retain(|key| !key.is_empty());
    keys.sort_unstable();
    assert_eq!(keys, ["@ann", "{$1}:tag", "{@ann}:audit"]);
    assert_eq!(servers.master_of("@ann"), servers.master_of("{@ann}:audit"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_killed_master_costs_seconds_and_nothing_that_was_acknowledged() {
    // given
    let mut servers = Servers::start();
    let cluster = open(&servers).await;
    let ended = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for client in 0..4 {
        clients.spawn(commits(cluster.clone(), client * 200..(client + 1) * 200, ended.clone()));
    }

    // when
    let master = servers.master_of("one");
    servers.nodes[master].kill();
    let again = async {
        // Until the replica has taken over. What was not acknowledged may come to be: each has a number of its own.
        let mut number = 900;
        while cluster.commit(spread_over(number)).await.is_err() {
            number += 1;
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, again).await.expect("the replica takes over");
    ended.store(true, Ordering::Relaxed);

    // then
    let outcomes = timeout(PATIENCE, clients.join_all()).await.unwrap();
    let acknowledged: Vec<usize> = outcomes.into_iter().flat_map(|(acknowledged, _)| acknowledged).collect();
    holds_all(&cluster, &acknowledged).await;
    assert_ne!(servers.master_of("one"), master);
    let ready = async { while cluster.engine().check().await.is_err() {} };
    timeout(PATIENCE, ready).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn slots_are_moved_while_commits_go_on() {
    // given
    let servers = Servers::start();
    let cluster = open(&servers).await;
    let ended = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for client in 0..4 {
        clients.spawn(commits(cluster.clone(), client * 200..(client + 1) * 200, ended.clone()));
    }

    // when: all that the master of one group has goes elsewhere
    let from = servers.master_of("one");
    let to = (0..3).find(|place| *place != from).unwrap();
    let servers = tokio::task::spawn_blocking(move || {
        servers.reshard(from, to, 5_462);
        servers
    });
    let servers = timeout(PATIENCE, servers).await.unwrap().unwrap();
    ended.store(true, Ordering::Relaxed);

    // then
    let outcomes = timeout(PATIENCE, clients.join_all()).await.unwrap();
    assert_eq!(servers.master_of("one"), to);
    let refused: usize = outcomes.iter().map(|(_, refused)| refused).sum();
    let acknowledged: Vec<usize> = outcomes.into_iter().flat_map(|(acknowledged, _)| acknowledged).collect();
    // The server that has nothing left becomes a replica, and waits for none any more.
    assert!(refused * 10 <= acknowledged.len(), "{refused} refused, {} acknowledged", acknowledged.len());
    holds_all(&cluster, &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_and_one_server_are_not_taken_for_each_other() {
    let alone = Engine::start(Program::Redis, "");
    let impatient = Limits { start: (Duration::from_millis(10), 3), ..Limits::default() };
    let url = format!("redis+cluster://{}", alone.address());
    let error = Nodes::open(&Options { limits: impatient, ..options(&url) }).await.unwrap_err();
    assert!(error.to_string().contains("cluster"), "{error}");

    let servers = Servers::start();
    let error = Resp::open(&options(&servers.nodes[0].url())).await.unwrap_err();
    assert!(matches!(error, OpenError::Refused { refusal: Refusal::Cluster, .. }), "{error}");
}
