//! A layer that is far larger than any service may grow: 2 GiB go in and out, and nobody holds them.

use std::fs;

use bytes::Bytes;
use futures_util::stream;
use oci::{Algorithm, Digest};
use reqwest::{Body, Method, Response, header};
use rstest::rstest;
use sha2::Digest as _;
use tests::{
    Hub, Service, Topology, image,
    raw::{Raw, read},
};

const MIB: u64 = 1 << 20;
const LAYER_BYTES: u64 = 2 << 30;
const PIECE_BYTES: usize = 1 << 20;

/// What a service may grow above what it had when idle.
const MOST_KIB: u64 = 64 << 10;

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn a_layer_of_2_gib_goes_in_and_out_within_64_mib(#[case] topology: Topology) {
    let mut hub = Hub::start(topology);
    let raws = hub.raws();
    let (push, pull) = (&raws[0], &raws[raws.len() - 1]);
    // Idle is a service that nobody has used yet: what it takes once and keeps counts as growth.
    let idle = measured(&mut hub, resident_kib);

    let streamed = Layer { seed: 90 };
    forget_peaks(&mut hub);
    push_streamed(push, &streamed).await;
    assert_small(&mut hub, &idle, "one streamed PATCH");
    forget_peaks(&mut hub);
    assert_eq!(pulled(pull, &streamed.digest()).await, streamed.digest());
    assert_small(&mut hub, &idle, "a pull");

    let monolithic = Layer { seed: 91 };
    forget_peaks(&mut hub);
    push_monolithic(push, &monolithic).await;
    assert_small(&mut hub, &idle, "one PUT");
    forget_peaks(&mut hub);
    assert_eq!(pulled(pull, &monolithic.digest()).await, monolithic.digest());
    assert_small(&mut hub, &idle, "a pull of what one PUT brought");
}

/// 2 GiB that nobody has in memory: pieces of noise, each with its number in front.
struct Layer {
    seed: u64,
}

impl Layer {
    fn pieces(&self) -> impl Iterator<Item = Bytes> + Send + use<> {
        let noise = image::noise(self.seed, PIECE_BYTES);
        (0..LAYER_BYTES / MIB).map(move |number| {
            let mut piece = noise.clone();
            piece[..8].copy_from_slice(&number.to_le_bytes());
            Bytes::from(piece)
        })
    }

    fn body(&self) -> Body {
        Body::wrap_stream(stream::iter(self.pieces().map(Ok::<_, std::io::Error>)))
    }

    fn digest(&self) -> Digest {
        let mut hash = sha2::Sha256::new();
        for piece in self.pieces() {
            hash.update(&piece);
        }
        Digest::new(Algorithm::Sha256, &hash.finalize()).unwrap()
    }
}

/// As docker does it: one PATCH of unknown length, then an empty PUT.
async fn push_streamed(raw: &Raw, layer: &Layer) {
    let location = raw.start("team/large").await;
    let request = raw.request(Method::PATCH, "team/large", &location).await;
    let answer = read(request.body(layer.body()).send().await.unwrap()).await.expect(202);
    assert_eq!(answer.header("range"), format!("0-{}", LAYER_BYTES - 1));
    let _ = raw.put("team/large", &location, &layer.digest(), "").await.expect(201);
}

/// As containerd does it: one PUT with its length.
async fn push_monolithic(raw: &Raw, layer: &Layer) {
    let location = raw.start("team/large").await;
    let request = raw.request(Method::PUT, "team/large", &location).await;
    let request = request.query(&[("digest", layer.digest().to_string())]);
    let request = request.header(header::CONTENT_LENGTH, LAYER_BYTES).body(layer.body());
    let _ = read(request.send().await.unwrap()).await.expect(201);
}

/// The digest of what comes back.
async fn pulled(raw: &Raw, digest: &Digest) -> Digest {
    let request = raw.request(Method::GET, "team/large", &format!("/v2/team/large/blobs/{digest}")).await;
    let mut answer: Response = request.send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    assert_eq!(answer.content_length(), Some(LAYER_BYTES));

    let mut hash = sha2::Sha256::new();
    while let Some(piece) = answer.chunk().await.unwrap() {
        hash.update(&piece);
    }
    Digest::new(Algorithm::Sha256, &hash.finalize()).unwrap()
}

fn measured(hub: &mut Hub, measure: fn(u32) -> u64) -> Vec<(Service, u64)> {
    hub.services().iter().map(|service| (*service, measure(hub.process(*service).id()))).collect()
}

/// Begins the peaks anew at what is resident now (proc(5), `clear_refs`).
fn forget_peaks(hub: &mut Hub) {
    for service in hub.services() {
        fs::write(format!("/proc/{}/clear_refs", hub.process(*service).id()), "5").unwrap();
    }
}

#[track_caller]
fn assert_small(hub: &mut Hub, idle: &[(Service, u64)], during: &str) {
    let peaks = measured(hub, peak_kib);
    let grown = |((service, idle), (_, peak)): (&(Service, u64), &(Service, u64))| {
        (peak.saturating_sub(*idle) > MOST_KIB)
            .then(|| format!("{service:?}: {idle} KiB idle, {peak} KiB at most"))
    };
    let large: Vec<String> = idle.iter().zip(&peaks).filter_map(grown).collect();
    assert!(large.is_empty(), "{during} took more than {MOST_KIB} KiB above idle in {large:?}");
}

fn resident_kib(process: u32) -> u64 {
    status_kib(process, "VmRSS:")
}

fn peak_kib(process: u32) -> u64 {
    status_kib(process, "VmHWM:")
}

fn status_kib(process: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.unwrap_or_else(|| panic!("no {field} in {status}")).trim().trim_end_matches(" kB").parse().unwrap()
}
