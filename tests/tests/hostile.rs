//! A hundred thousand requests of strangers who mean no good: each is answered with what it deserves, and the
//! hub is as it was before. They follow from a seed, which is printed; `HOSTILE_SEED` sets another.

#[path = "hostile/breaking.rs"]
mod breaking;
#[path = "hostile/generator.rs"]
mod generator;
#[path = "hostile/manifests.rs"]
mod manifests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use breaking::Breaking;
use generator::{Deserved, Ground, Hostile, Seeded};
use reqwest::Method;
use rstest::rstest;
use tests::{
    Hub, Service, Topology, image,
    raw::Answer,
    wire::{Asked, Wire},
};
use tokio::{io::AsyncWriteExt as _, task::JoinSet};

/// Requests to each topology, of which one in a hundred ends its connection.
const REQUESTS: usize = 50_000;
const BREAKING: usize = REQUESTS / 100;
/// Connections at one time.
const CONNECTIONS: usize = 8;
/// Requests that are sent before the first is answered.
const PIPELINED: usize = 50;
/// Requests before memory is measured: what is taken once and kept is no leak.
const WARM_UP: usize = 4_000;
/// Connections with noise to each port.
const NOISES: usize = 20;
/// What each process may grow.
const MOST_KIB: u64 = 64 << 10;

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_thousand_hostile_requests_get_what_they_deserve_and_leave_nothing(#[case] topology: Topology) {
    let seed = std::env::var("HOSTILE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_260_101);
    println!("HOSTILE_SEED={seed}");
    let mut hub = Hub::start(topology);
    let ground = ground(&hub).await;
    attack(&hub, &ground, seed, WARM_UP).await;
    let before = Footprint::of(&mut hub);

    let began = Instant::now();
    attack(&hub, &ground, seed + 1, REQUESTS - BREAKING).await;
    break_connections(&hub, &ground, seed + 2).await;
    bother_inner_ports(&hub, seed + 3).await;
    println!("{REQUESTS} requests in {:?}", began.elapsed());

    before.assert_kept(&mut hub).await;
    assert_eq!(hub.raw().send(Method::DELETE, "team/app", &ground.upload).await.status, 204);
    let layer = image::noise(seed, 100_000);
    let manifest = hub.raw().push_image("team/app", "after", &layer).await;
    assert_eq!(hub.raw().manifest("team/app", "after").await.expect(200).body, manifest);
    assert_eq!(hub.raw().blob("team/app", &image::digest(&layer)).await.expect(200).body, layer);
}

/// A repository with an image and an upload that goes on.
async fn ground(hub: &Hub) -> Ground {
    let raw = hub.raw();
    let layer = image::noise(7, 3_000);
    raw.push_image("team/app", "good", &layer).await;
    let upload = raw.start("team/app").await;
    let _ = raw.patch("team/app", &upload, "ab").await.expect(202);
    let token = raw.token(&["repository:team/app:pull,push,delete"]).await;
    Ground { token, blob: image::digest(&layer), blob_bytes: 3_000, upload }
}

async fn attack(hub: &Hub, ground: &Ground, seed: u64, requests: usize) {
    let edges = hub.edges();
    let mut attackers = JoinSet::new();
    for number in 0..CONNECTIONS {
        let (edge, ground) = (edges[number % edges.len()], ground.clone());
        let seeded = Seeded::new(seed * 1_000 + number as u64);
        attackers.spawn(converse(edge, ground, seeded, requests / CONNECTIONS));
    }
    while let Some(ended) = attackers.join_next().await {
        ended.unwrap();
    }
}

/// Requests on one connection, each answered in its turn.
async fn converse(edge: SocketAddr, ground: Ground, mut seeded: Seeded, requests: usize) {
    let Wire { mut write, mut read } = Wire::connect(edge).await;
    let mut left = requests;
    while left > 0 {
        let batch: Vec<_> = (0..left.min(PIPELINED)).map(|_| generator::next(&mut seeded, &ground)).collect();
        left -= batch.len();
        let bytes: Vec<u8> = batch.iter().flat_map(|hostile| hostile.bytes.iter().copied()).collect();
        let answer = async {
            for hostile in &batch {
                let answer = read.next(hostile.asked).await;
                check(hostile, &answer.unwrap_or_else(|| panic!("no answer to {}", shown(hostile))));
            }
        };
        let (sent, ()) = tokio::join!(write.write_all(&bytes), answer);
        sent.unwrap();
    }
}

fn shown(hostile: &Hostile) -> String {
    let text: String = String::from_utf8_lossy(&hostile.bytes).chars().take(1_500).collect();
    format!("{}, which deserves {:?}: {text}", hostile.kind, hostile.deserved)
}

fn check(hostile: &Hostile, answer: &Answer) {
    let status = answer.status.as_u16();
    let fits = match hostile.deserved {
        Deserved::Error(statuses) if hostile.kind == generator::MANAGEMENT => {
            statuses.contains(&status) && is_problem(answer)
        }
        Deserved::Error(statuses) => statuses.contains(&status) && is_error(hostile, answer),
        Deserved::GrantError => {
            [400, 413].contains(&status)
                && json(answer)["error"].as_str().is_some_and(|code| !code.is_empty())
        }
        Deserved::Status(deserved) => status == deserved,
    };
    let versioned = hostile.kind == generator::MANAGEMENT
        || answer.header("docker-distribution-api-version") == "registry/2.0";
    assert!(fits && versioned, "{answer:?}\nto {}", shown(hostile));
}

/// What HTTP itself refuses has no body.
fn json(answer: &Answer) -> serde_json::Value {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

/// As the specification writes it, with a code of its list and a message that says something.
fn is_error(hostile: &Hostile, answer: &Answer) -> bool {
    if hostile.asked == Asked::Head {
        return answer.header("content-type") == "application/json";
    }
    let document = json(answer);
    let error = &document["errors"][0];
    let code = error["code"].as_str().unwrap_or_default();
    let telling = error["message"].as_str().is_some_and(|message| message.len() > 15);
    let challenges = answer.status != 401 || answer.headers.contains_key("www-authenticate");
    let allows = answer.status != 405 || answer.headers.contains_key("allow");
    !code.is_empty() && code != "UNKNOWN" && telling && challenges && allows
}

/// As the management API says no (RFC 9457).
fn is_problem(answer: &Answer) -> bool {
    let problem = json(answer);
    let says = |member: &str| problem[member].as_str().is_some_and(|text| !text.is_empty());
    answer.header("content-type") == "application/problem+json" && says("title") && says("detail")
}

async fn break_connections(hub: &Hub, ground: &Ground, seed: u64) {
    let edges = hub.edges();
    let mut attackers = JoinSet::new();
    for number in 0..CONNECTIONS {
        let (edge, ground) = (edges[number % edges.len()], ground.clone());
        let mut seeded = Seeded::new(seed * 1_000 + number as u64);
        attackers.spawn(async move {
            for _ in 0..BREAKING.div_ceil(CONNECTIONS) {
                let breaking = breaking::next(&mut seeded, &ground);
                let mut wire = Wire::connect(edge).await;
                check_broken(&breaking, &wire.exchange_last(&breaking.bytes).await);
            }
        });
    }
    while let Some(ended) = attackers.join_next().await {
        ended.unwrap();
    }
}

fn check_broken(breaking: &Breaking, answered: &[u8]) {
    let text = String::from_utf8_lossy(answered);
    let status =
        text.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)).and_then(|code| code.parse().ok());
    let sent: String = String::from_utf8_lossy(&breaking.bytes).chars().take(1_500).collect();
    let answers = text.matches("HTTP/1.1 ").count();
    assert!(
        breaking.deserved.contains(&status.unwrap_or(0)) && answers <= 1,
        "{text}\nto {}, which deserves {:?}: {sent}",
        breaking.kind,
        breaking.deserved
    );
}

/// The ports that no client talks to: they end what is no HTTP too.
async fn bother_inner_ports(hub: &Hub, seed: u64) {
    let mut seeded = Seeded::new(seed);
    for service in hub.services() {
        for port in [service.listens_at(), service.admin_at()] {
            for _ in 0..NOISES {
                Wire::connect(port).await.exchange_last(&breaking::no_http(&mut seeded).bytes).await;
            }
        }
    }
}

/// What a hub holds on to.
struct Footprint {
    resident_kib: BTreeMap<Service, u64>,
    descriptors: BTreeMap<Service, usize>,
    files: BTreeSet<PathBuf>,
}

impl Footprint {
    fn of(hub: &mut Hub) -> Self {
        let ids: Vec<_> =
            hub.services().iter().map(|service| (*service, hub.process(*service).id())).collect();
        Self {
            resident_kib: ids.iter().map(|(service, id)| (*service, resident_kib(*id))).collect(),
            descriptors: ids.iter().map(|(service, id)| (*service, descriptors(*id))).collect(),
            files: files(&hub.data()),
        }
    }

    /// The same processes live, and hold no more than they did.
    async fn assert_kept(&self, hub: &mut Hub) {
        for service in hub.services() {
            assert!(hub.process(*service).is_alive(), "{service:?} has ended");
            self.assert_descriptors_kept(hub, *service).await;
        }
        let after = Self::of(hub);
        for (service, before) in &self.resident_kib {
            let now = after.resident_kib[service];
            println!("{service:?}: {before} KiB before, {now} KiB after");
            assert!(now.saturating_sub(*before) < MOST_KIB, "{service:?}: {before} KiB before, {now} after");
        }
        assert_eq!(after.files, self.files);
    }

    /// A connection that this side has closed is soon closed by the other: each request gives it time.
    async fn assert_descriptors_kept(&self, hub: &mut Hub, service: Service) {
        let (id, began) = (hub.process(service).id(), Instant::now());
        let before = self.descriptors[&service];
        while descriptors(id) > before {
            let now = descriptors(id);
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "{service:?}: {before} descriptors before, {now} after"
            );
            let _ = hub.metrics(service).await;
        }
    }
}

fn resident_kib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn descriptors(process: u32) -> usize {
    fs::read_dir(format!("/proc/{process}/fd")).unwrap().count()
}

fn files(directory: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { [path].into() }).collect()
}
