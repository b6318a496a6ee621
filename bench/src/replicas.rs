//! What a second replica of the blob service is good for: 64 readers at one edge, which calls one replica or two over
//! gRPC, each held to a small share of a core, so that neither client nor edge is what is measured.

use std::{
    io,
    net::SocketAddr,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use crate::{
    content::Content,
    http::{Client, Request},
    load,
    registry::{Registry, Upload},
    scenarios::{REPOSITORY, mebibytes},
    servers::{Replica, Server},
    throttle::Throttle,
};

const STREAMS: usize = 64;
const BLOBS: usize = 32;
const BLOB_BYTES: u64 = 4 << 20;
const LASTS: Duration = Duration::from_secs(10);

/// Hundredths of a core.
const SHARE: u32 = 15;

/// Measures, and prints.
pub(crate) fn measure(under: &Path) -> io::Result<()> {
    let mut alone = None;
    for count in [1, 2] {
        let rate = of(count, under)?;
        let times = rate / *alone.get_or_insert(rate);
        println!("{count} replicas, {STREAMS} streams      {rate:10.1} MiB/s, {times:.2} times one");
    }
    Ok(())
}

/// Mebibytes in a second that so many replicas give.
fn of(count: usize, under: &Path) -> io::Result<f64> {
    let (server, replicas) = Server::start_replicas(under, count)?;
    let mut registry = Registry::new(&server, REPOSITORY)?;
    let blobs: Vec<Content> = (0..BLOBS).map(|_| Content::new(BLOB_BYTES)).collect();
    for blob in &blobs {
        registry.push_blob(blob, Upload::Monolithic)?;
    }
    let paths: Vec<String> =
        blobs.iter().map(|blob| registry.path(&format!("blobs/{}", blob.digest()))).collect();

    let held: io::Result<Vec<Throttle>> =
        replicas.iter().map(|replica| Throttle::hold(replica.id, SHARE)).collect();
    if let Err(error) = &held {
        println!("the replicas have all the cores, because no control group could be made: {error}");
    }
    let before = opened(&replicas)?;
    let (bytes, took) = read(server.address, &paths, &registry.authorization)?;
    let after = opened(&replicas)?;

    let each: Vec<u64> = after.iter().zip(&before).map(|(after, before)| after - before).collect();
    println!("blobs read at each of {count} replicas: {each:?}");
    // A group can only be removed when nobody is in it any more.
    drop(server);
    drop(held);
    Ok(mebibytes(bytes) / took.as_secs_f64())
}

/// Reads with all streams until the time is over; bytes, and how long the last one took.
fn read(address: SocketAddr, paths: &[String], authorization: &str) -> io::Result<(u64, Duration)> {
    let began = Instant::now();
    let read = thread::scope(|scope| {
        let stream = move |first: usize| -> io::Result<u64> {
            let mut client = Client::connect(address)?;
            let mut bytes = 0;
            for path in paths.iter().cycle().skip(first) {
                if began.elapsed() > LASTS {
                    break;
                }
                bytes += client.download(&Request::new("GET", path, authorization))?;
            }
            Ok(bytes)
        };
        let threads: Vec<_> = (0..STREAMS).map(|first| scope.spawn(move || stream(first))).collect();
        threads.into_iter().map(load::joined).collect::<io::Result<Vec<u64>>>()
    })?;
    Ok((read.into_iter().sum(), began.elapsed()))
}

/// Blobs that each replica has been asked for.
fn opened(replicas: &[Replica]) -> io::Result<Vec<u64>> {
    replicas.iter().map(|replica| opened_at(replica.metrics)).collect()
}

fn opened_at(metrics: SocketAddr) -> io::Result<u64> {
    let (_, body) = Client::connect(metrics)?.read(&Request::new("GET", "/metrics", ""))?;
    let text = String::from_utf8_lossy(&body).into_owned();
    let of_open =
        |line: &&str| line.starts_with("rpc_server_calls_total{") && line.contains("rpc_method=\"Open\"");
    let counts = text.lines().filter(of_open).filter_map(|line| line.rsplit(' ').next());
    Ok(counts.filter_map(|count| count.parse::<u64>().ok()).sum())
}
