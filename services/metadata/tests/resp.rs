//! The keyspace in real servers: the port's suite on each, what is refused, and what becomes of commits when a server is
//! killed, hangs, or hands over to its replica. Each test starts its own servers.

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
#[path = "../../../tests/src/certificates.rs"]
mod certificates;
#[path = "../../../tests/src/engine.rs"]
mod engine;
#[path = "../../../tests/src/process.rs"]
mod process;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use engine::{Engine, Program};
use metadata::{
    Service,
    config::Config,
    keyspace::{
        Commit, CommitError, Condition, Direction, Error, Keyspace, MemberRange, Mutation,
        resp::{Keeping, Limits, OpenError, Options, Refusal, Resp, TlsFiles},
        suite::{self, field, key},
    },
};
use proto::metadata::{
    Accounts as _, Actor, RepositoryError, RepositorySettings as _, Standing, Visibility,
    accounts::{Account, Role},
};
use rustix::process::{Pid, Signal, kill_process};
use service_kit::{clock, random};
use tokio::task::JoinSet;

fn options(url: &str) -> Options {
    Options {
        url: url.parse().unwrap(),
        keeping: Keeping::Required,
        tls: TlsFiles::default(),
        limits: Limits::default(),
    }
}

/// Limits that a test can wait for.
fn impatient() -> Limits {
    Limits {
        connect: Duration::from_millis(500),
        answer: Duration::from_secs(2),
        replica: Duration::from_millis(500),
        call: Duration::from_secs(4),
        unreplicated: 6,
        start: (Duration::from_millis(10), 3),
    }
}

async fn open(url: &str) -> Resp {
    Resp::open(&options(url)).await.unwrap()
}

async fn refused(url: &str) -> OpenError {
    Resp::open(&Options { limits: impatient(), ..options(url) }).await.expect_err("it is to be refused")
}

fn set(name: &'static str, value: impl Into<Bytes>) -> Commit {
    Commit::synced().then(Mutation::SetField(key("record"), field(name), value.into()))
}

fn is_unavailable<T>(outcome: &Result<T, CommitError>) -> bool {
    matches!(outcome, Err(CommitError::Engine(Error::Unavailable { .. })))
}

/// Commits until one is acknowledged, and says how often that failed before.
async fn committed(engine: &Resp, name: &'static str) -> usize {
    let mut failed = 0;
    let acknowledged = async {
        while let Err(error) = engine.commit(set(name, "1")).await {
            assert!(matches!(error, CommitError::Engine(Error::Unavailable { .. })), "{error:?}");
            failed += 1;
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(40), acknowledged).await.expect("commits go on");
    failed
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_a_keyspace() {
    let server = Engine::start(Program::Redis, "");

    suite::run(Arc::new(open(&server.url()).await)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn valkey_is_a_keyspace() {
    let server = Engine::start(Program::Valkey, "");

    suite::run(Arc::new(open(&server.url()).await)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ledisdb_has_is_enough_for_a_keyspace() {
    let server = Engine::start(Program::LedisStandIn, "");

    let options = Options { keeping: Keeping::Volatile, ..options(&server.url()) };
    suite::run(Arc::new(Resp::open(&options).await.unwrap())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_over_tls_with_a_user_in_a_database_is_a_keyspace() {
    // given
    let certificates = certificates::Certificates::new();
    certificates.issue("client", "DNS:metadata");
    let at = |name: &str| certificates.at(name).display().to_string();
    let (authority, certificate, private) = (at("ca.pem"), at("port.pem"), at("port.key"));
    let tls = format!(
        "port 0\ntls-port {{port}}\ntls-cert-file {certificate}\ntls-key-file {private}\ntls-ca-cert-file {authority}\n\
         tls-auth-clients yes\nuser default off\nuser bucket on >p@ss:w/rd ~* &* +@all"
    );
    let server = Engine::start(Program::Redis, &tls);
    let url = format!("rediss://bucket:p%40ss%3Aw%2Frd@{}/3", server.address());
    let tls = TlsFiles {
        ca: Some(certificates.at("ca.pem")),
        certificate: Some(certificates.at("client.pem")),
        key: Some(certificates.at("client.key")),
    };

    // when
    let engine = Resp::open(&Options { tls, ..options(&url) }).await.unwrap();

    // then
    suite::run(Arc::new(engine)).await;
    let unknown = url.replace("p%40ss", "wrong");
    let files = TlsFiles { ca: Some(certificates.at("ca.pem")), ..TlsFiles::default() };
    let error = Resp::open(&Options { tls: files, limits: impatient(), ..options(&unknown) }).await;
    assert!(!error.unwrap_err().to_string().contains("wrong"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_on_one_server_lose_no_update() {
    let server = Engine::start(Program::Redis, "");
    let engines = [Arc::new(open(&server.url()).await), Arc::new(open(&server.url()).await)];
    engines[0].commit(set("n", "0")).await.unwrap();

    let mut tasks = JoinSet::new();
    for task in 0..8 {
        let engine = engines[task % 2].clone();
        tasks.spawn(async move {
            let mut done = 0;
            while done < 20 {
                let read = engine.get_many(&[(key("record"), field("n"))]).await.unwrap().remove(0).unwrap();
                let number: u32 = std::str::from_utf8(&read).unwrap().parse().unwrap();
                let commit = set("n", (number + 1).to_string());
                match engine
                    .commit(commit.when(Condition::FieldEquals(key("record"), field("n"), read)))
                    .await
                {
                    Ok(()) => done += 1,
                    Err(error) => assert_eq!(error, CommitError::Conflict { condition: 0 }),
                }
            }
        });
    }
    tasks.join_all().await;

    assert_eq!(engines[1].record(&key("record")).await.unwrap().unwrap().number("n"), Some(160));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_killed_is_used_again_with_all_that_was_acknowledged() {
    // given
    let mut server = Engine::start(Program::Redis, "");
    let engine = Resp::open(&Options { limits: impatient(), ..options(&server.url()) }).await.unwrap();
    engine.commit(set("before", "1")).await.unwrap();

    // when
    server.kill();
    let commit = engine.commit(set("meanwhile", "1")).await;
    let read = engine.record(&key("record")).await;

    // then
    assert!(is_unavailable(&commit), "{commit:?}");
    assert!(matches!(read, Err(Error::Unavailable { .. })), "{read:?}");
    assert!(engine.check().await.is_err());
    server.start_again();
    assert_eq!(engine.record(&key("record")).await.unwrap().unwrap().get("before"), Some(&"1".into()));
    committed(&engine, "after").await;
    assert_eq!(engine.check().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_costs_each_call_no_more_than_its_limit() {
    let server = Engine::start(Program::Redis, "");
    let engine = Resp::open(&Options { limits: impatient(), ..options(&server.url()) }).await.unwrap();
    let id = Pid::from_raw(i32::try_from(server.id()).unwrap()).unwrap();

    kill_process(id, Signal::STOP).unwrap();
    let record = key("record");
    let calls = async { tokio::join!(engine.commit(set("f", "1")), engine.record(&record)) };
    let within = tokio::time::timeout(Duration::from_secs(10), calls).await;
    kill_process(id, Signal::CONT).unwrap();

    let (commit, read) = within.expect("calls have limits");
    assert!(is_unavailable(&commit), "{commit:?}");
    assert!(matches!(read, Err(Error::Unavailable { .. })), "{read:?}");
    committed(&engine, "after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_that_the_server_has_forgotten_are_sent_again() {
    let server = Engine::start(Program::Redis, "");
    let engine = open(&server.url()).await;
    engine.commit(set("f", "1")).await.unwrap();

    server.cli(&["script", "flush"]);

    engine.commit(set("g", "1")).await.unwrap();
    server.cli(&["script", "flush"]);
    let read = engine.records(&[key("record"), key("none")]).await.unwrap();
    assert_eq!(read[0].as_ref().unwrap().len(), 2);
}

type IsExpected = fn(&Refusal) -> bool;

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_lose_metadata_are_refused_and_say_what_helps() {
    let server = Engine::start(Program::Redis, "");
    let replica = format!("replicaof {} {}", server.address().ip(), server.address().port());
    let cases: [(&str, IsExpected, &str); 3] = [
        ("appendonly no", |refusal| *refusal == Refusal::Forgets, "volatile"),
        (
            "maxmemory 100mb\nmaxmemory-policy allkeys-lru",
            |refusal| matches!(refusal, Refusal::Evicts { .. }),
            "noeviction",
        ),
        ("cluster-enabled yes", |refusal| *refusal == Refusal::Cluster, "redis+cluster://"),
    ];
    for (lines, expected, help) in cases {
        let bad = Engine::start(Program::Redis, lines);
        let error = refused(&bad.url()).await;
        assert!(error.to_string().contains(help), "{error}");
        assert!(matches!(&error, OpenError::Refused { refusal, .. } if expected(refusal)), "{error}");
    }

    let replica = Engine::start(Program::Redis, &replica);
    let error = refused(&replica.url()).await.to_string();
    assert!(error.contains("replica"), "{error}");

    let closed = Engine::start(Program::Redis, "requirepass secret");
    let error = refused(&closed.url()).await.to_string();
    assert!(error.contains("password"), "{error}");
    let error = refused(&format!("redis://:guess@{}", closed.address())).await.to_string();
    assert!(error.contains("password") && !error.contains("guess"), "{error}");

    let mut gone = Engine::start(Program::Redis, "");
    gone.kill();
    let error = refused(&gone.url()).await;
    assert!(matches!(error, OpenError::Away { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_keeps_config_for_itself_is_used() {
    let server = Engine::start(Program::Redis, "rename-command CONFIG \"\"");

    open(&server.url()).await.commit(set("f", "1")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_memory_refuses_what_needs_more_and_takes_what_frees_some() {
    let server = Engine::start(Program::Redis, "maxmemory 8mb");
    let engine = open(&server.url()).await;
    let full = async {
        for number in 0..100_usize {
            let set = Mutation::SetValue(key(format!("full:{number}")), vec![7; 1 << 20].into());
            if let Err(error) = engine.commit(Commit::synced().then(set)).await {
                return error;
            }
        }
        panic!("there is room for 100 MiB in 8");
    };
    assert!(matches!(full.await, CommitError::Engine(Error::NoSpace { .. })));

    let removals = (0..100_usize).map(|number| Mutation::RemoveValue(key(format!("full:{number}"))));
    engine.commit(Commit::synced().then_all(removals)).await.unwrap();
    engine.commit(set("f", "1")).await.unwrap();
}

/// Waits until a replica copies what comes.
fn wait_for_link(replica: &Engine) {
    let up = (0..20_000).any(|_| replica.cli(&["info", "replication"]).contains("master_link_status:up"));
    assert!(up, "the replica has no link to its master");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_no_replica_has_is_not_acknowledged() {
    let server = Engine::start(Program::Redis, "");
    let replica = format!("replicaof {} {}", server.address().ip(), server.address().port());
    let replica = Engine::start(Program::Redis, &replica);
    wait_for_link(&replica);
    let engine = Resp::open(&Options { limits: impatient(), ..options(&server.url()) }).await.unwrap();
    engine.commit(set("f", "1")).await.unwrap();

    let id = Pid::from_raw(i32::try_from(replica.id()).unwrap()).unwrap();
    kill_process(id, Signal::STOP).unwrap();
    let synced = engine.commit(set("f", "2")).await;
    let conflict = engine.commit(set("f", "3").when(Condition::RecordAbsent(key("record")))).await;
    let relaxed = Commit::relaxed().then(Mutation::AddMember(key("set"), "m".into()));
    let relaxed = engine.commit(relaxed).await;
    kill_process(id, Signal::CONT).unwrap();

    assert!(is_unavailable(&synced), "{synced:?}");
    assert_eq!(conflict, Err(CommitError::Conflict { condition: 0 }));
    assert_eq!(relaxed, Ok(()));
    committed(&engine, "after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_replica_has_is_not_acknowledged_to_whoever_repeats_it() {
    // given
    let server = Engine::start(Program::Redis, "");
    let replica = format!("replicaof {} {}", server.address().ip(), server.address().port());
    let replica = Engine::start(Program::Redis, &replica);
    wait_for_link(&replica);
    let engine = Resp::open(&Options { limits: impatient(), ..options(&server.url()) }).await.unwrap();
    let config = Config::new("unused".into(), "a secret for grants".into());
    let service = Service::found(Arc::new(engine), &config, clock::system(), random::system()).await.unwrap();
    let (name, password_hash) = ("ann".parse().unwrap(), "hash".to_owned().into());
    let ann = Account { name, password_hash, role: Role::User, standing: Standing::Active };
    let (actor, from, to) = (Actor::service(), "ann/app".parse().unwrap(), "ann/other".parse().unwrap());
    service.create_account(&ann, &actor).await.unwrap();
    service.create_repository(&from, Visibility::Private, "", &actor).await.unwrap();

    // when: the first one is applied, and the others find that it was
    let id = Pid::from_raw(i32::try_from(replica.id()).unwrap()).unwrap();
    kill_process(id, Signal::STOP).unwrap();
    let mut outcomes = Vec::new();
    for _ in 0..3 {
        outcomes.push(service.move_repository(&from, &to, &actor).await);
    }
    kill_process(id, Signal::CONT).unwrap();

    // then
    let unavailable = |outcome: &Result<(), _>| matches!(outcome, Err(RepositoryError::Unavailable { .. }));
    assert!(outcomes.iter().all(unavailable), "{outcomes:?}");
    let moved = async { while service.move_repository(&from, &to, &actor).await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(20), moved).await.expect("it is acknowledged in the end");
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_lead_to_the_new_master_with_all_that_was_acknowledged() {
    // given: after the failover there must be a replica that acknowledges
    let mut master = Engine::start(Program::Redis, "");
    let (ip, port) = (master.address().ip(), master.address().port());
    let replicas = [(); 2].map(|()| Engine::start(Program::Redis, &format!("replicaof {ip} {port}")));
    for replica in &replicas {
        wait_for_link(replica);
    }
    let watched = format!(
        "sentinel monitor hub {ip} {port} 1\nsentinel down-after-milliseconds hub 500\nsentinel failover-timeout hub 3000"
    );
    let sentinel = Engine::start(Program::Sentinel, &watched);
    let known = (0..20_000).any(|_| sentinel.cli(&["sentinel", "master", "hub"]).contains("num-slaves\n2\n"));
    assert!(known, "the sentinel does not know the replicas");
    let url = format!("redis+sentinel://{}/hub/0", sentinel.address());
    let engine = Resp::open(&Options { limits: impatient(), ..options(&url) }).await.unwrap();
    for number in 0..100_usize {
        let add = Mutation::AddMember(key("acknowledged"), format!("{number:03}").into());
        engine.commit(Commit::synced().then(add)).await.unwrap();
    }

    // when
    master.kill();
    let failed = committed(&engine, "after").await;

    // then
    assert!(failed > 0, "a commit was acknowledged before the failover");
    let found = engine.range(&key("acknowledged"), MemberRange::all(), 1_000, Direction::Forward).await;
    assert_eq!(found.unwrap().len(), 100);
}

/// Whether the first replica that is told of has acknowledged a part of what there is to copy.
fn has_acknowledged(replication: &str) -> bool {
    replication.lines().any(|line| line.starts_with("slave0:") && !line.contains("offset=0,"))
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_wait_no_more_for_a_replica_that_does_not_come_back() {
    for (needed, ends) in [("0", true), ("1", false)] {
        // given
        let server = Engine::start(Program::Redis, "");
        let replica = format!("replicaof {} {}", server.address().ip(), server.address().port());
        let mut replica = Engine::start(Program::Redis, &replica);
        wait_for_link(&replica);
        let engine = Resp::open(&Options { limits: impatient(), ..options(&server.url()) }).await.unwrap();
        engine.commit(set("f", "1")).await.unwrap();
        let seen = (0..20_000).any(|_| has_acknowledged(&server.cli(&["info", "replication"])));
        assert!(seen, "the replica acknowledges nothing");
        engine.check().await.unwrap();

        // when
        replica.kill();
        let gone = (0..20_000).any(|_| server.cli(&["info", "replication"]).contains("connected_slaves:0"));
        assert!(gone, "the server does not notice that its replica has gone");
        let meanwhile = engine.commit(set("f", "2")).await;
        server.cli(&["config", "set", "min-replicas-to-write", needed]);
        for _ in 0..4 {
            engine.check().await.unwrap();
        }

        // then
        assert!(is_unavailable(&meanwhile), "{meanwhile:?}");
        let later = engine.commit(set("f", "3")).await;
        assert_eq!(later.is_ok(), ends, "min-replicas-to-write {needed}: {later:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_master_that_may_lose_metadata_is_not_used() {
    // given
    let mut master = Engine::start(Program::Redis, "");
    let (ip, port) = (master.address().ip(), master.address().port());
    let lines = format!("replicaof {ip} {port}\nmaxmemory 100mb\nmaxmemory-policy allkeys-lru");
    let replica = Engine::start(Program::Redis, &lines);
    wait_for_link(&replica);
    let watched = format!(
        "sentinel monitor hub {ip} {port} 1\nsentinel down-after-milliseconds hub 500\nsentinel failover-timeout hub 3000"
    );
    let sentinel = Engine::start(Program::Sentinel, &watched);
    let known = (0..20_000).any(|_| sentinel.cli(&["sentinel", "master", "hub"]).contains("num-slaves\n1\n"));
    assert!(known, "the sentinel does not know the replica");
    let url = format!("redis+sentinel://{}/hub/0", sentinel.address());
    let engine = Resp::open(&Options { limits: impatient(), ..options(&url) }).await.unwrap();
    engine.check().await.unwrap();

    // when
    master.kill();
    let port = format!("\n{}\n", replica.address().port());
    let asked = ["sentinel", "get-master-addr-by-name", "hub"];
    let led = (0..200_000).any(|_| sentinel.cli(&asked).contains(&port));
    let promoted = (0..20_000).any(|_| replica.cli(&["info", "replication"]).contains("role:master"));
    assert!(led && promoted, "there is no new master");

    // then
    for _ in 0..3 {
        assert!(engine.check().await.is_err());
        assert!(is_unavailable(&engine.commit(set("f", "1")).await));
    }
    replica.cli(&["config", "set", "maxmemory-policy", "noeviction"]);
    let used = async { while engine.check().await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(20), used).await.expect("it is used once it may be");
}
