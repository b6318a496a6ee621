//! Lists: ten thousand tags in one repository, two thousand repositories, and for Bucket a million tags.

use std::{
    fmt::Write as _,
    io, thread,
    time::{Duration, Instant},
};

use super::{REPOSITORY, Stock};
use crate::{
    http::{Client, Request},
    ledger::{Ledger, Row, Who},
    load::joined,
    registry::Registry,
    servers::{Kind, Server},
};

const TAGS: usize = 10_000;
const REPOSITORIES: usize = 2_000;
const MILLION: usize = 1_000_000;
/// Tags that one request of Bucket's million moves.
const AT_ONCE: usize = 100;
const WORKERS: usize = 8;
const ASKED: usize = 41;

/// Fills `server` with tags and repositories, and asks for lists.
pub(crate) fn lists(server: &Server, stock: &Stock, ledger: &mut Ledger) -> io::Result<()> {
    if !server.kind.takes_pushes() {
        return Ok(());
    }
    fill(server, stock)?;

    let who = Who::Server(server.kind);
    let tags = server.authorization(REPOSITORY)?;
    let middle = format!("/v2/{REPOSITORY}/tags/list?n=100&last=t{:07}", TAGS / 2);
    ledger.add(&millis("tags/list?n=100 of 10,000 tags"), who, asked(server, &middle, &tags)?);
    let all = format!("/v2/{REPOSITORY}/tags/list?n=1000");
    ledger.add(&millis("tags/list?n=1000 of 10,000 tags"), who, asked(server, &all, &tags)?);

    let catalog = server.authorization_for_catalog()?;
    let middle = "/v2/_catalog?n=100&last=bench/many-1000";
    ledger.add(&millis("_catalog?n=100 of 2,000 repositories"), who, asked(server, middle, &catalog)?);
    Ok(())
}

/// Makes a million tags, and asks for pages of them.
pub(crate) fn million(server: &Server, stock: &Stock, ledger: &mut Ledger) -> io::Result<()> {
    // Five services have the same metadata.
    if server.kind != Kind::Bucket {
        return Ok(());
    }
    let mut registry = Registry::new(server, REPOSITORY)?;
    for first in (0..MILLION).step_by(AT_ONCE) {
        // A token lives for five minutes.
        if first % (MILLION / 20) == 0 {
            registry = Registry::new(server, REPOSITORY)?;
        }
        let mut reference = format!("{}?", stock.digest());
        for number in first..first + AT_ONCE {
            let _ = write!(reference, "tag=m{number:07}&");
        }
        registry.push_manifest(reference.trim_end_matches('&'), &stock.manifest)?;
    }

    let tags = server.authorization(REPOSITORY)?;
    for (where_, last) in [("first", "m0000000"), ("middle", "m0500000"), ("last", "m0999800")] {
        let path = format!("/v2/{REPOSITORY}/tags/list?n=100&last={last}");
        let row = millis(format!("tags/list?n=100 of 1,000,000 tags, {where_} page"));
        ledger.add(&row, Who::Server(server.kind), asked(server, &path, &tags)?);
    }
    Ok(())
}

fn millis(what: impl Into<String>) -> Row {
    Row::lower(what, "ms")
}

fn fill(server: &Server, stock: &Stock) -> io::Result<()> {
    let shares = (0..WORKERS).map(|worker| {
        move || -> io::Result<()> {
            let mut registry = Registry::new(server, REPOSITORY)?;
            for number in (worker..TAGS).step_by(WORKERS) {
                registry.push_manifest(&format!("t{number:07}"), &stock.manifest)?;
            }
            for number in (worker..REPOSITORIES).step_by(WORKERS) {
                new_repository(server, &format!("bench/many-{number:04}"), stock)?;
            }
            Ok(())
        }
    });
    thread::scope(|scope| {
        let workers: Vec<_> = shares.map(|share| scope.spawn(share)).collect();
        workers.into_iter().map(joined).collect::<io::Result<Vec<_>>>()
    })?;
    Ok(())
}

fn new_repository(server: &Server, name: &str, stock: &Stock) -> io::Result<()> {
    let mut registry = Registry::new(server, name)?;
    registry.authorization = server.authorization_for_two(name, REPOSITORY)?;
    for blob in [&stock.small, &stock.medium, &stock.large] {
        registry.mount(blob.digest(), REPOSITORY)?;
    }
    registry.push_manifest("latest", &stock.manifest)
}

/// Half of some answers took no longer, in milliseconds.
fn asked(server: &Server, path: &str, headers: &str) -> io::Result<f64> {
    let mut client = Client::connect(server.address)?;
    let mut took = Vec::new();
    for _ in 0..ASKED {
        let began = Instant::now();
        let (head, body) = client.read(&Request::new("GET", path, headers))?;
        took.push(began.elapsed());
        if head.status != 200 {
            let said = String::from_utf8_lossy(&body).into_owned();
            return Err(io::Error::other(format!("{path}: {} {said}", head.status)));
        }
    }
    took.sort_unstable();
    Ok(took.get(ASKED / 2).map_or(0.0, Duration::as_secs_f64) * 1e3)
}
