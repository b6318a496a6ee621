//! Small reads, as many as a server can answer on 16 connections.

use std::io;

use super::{REPOSITORY, Stock};
use crate::{
    ledger::{Ledger, Row, Who},
    load::{self, Rate},
    servers::Server,
};

/// The manifest by tag and by digest, and a blob of 10 KiB.
pub(crate) fn gets(server: &Server, stock: &Stock, ledger: &mut Ledger) -> io::Result<()> {
    let digest = stock.digest();
    let paths = [
        ("manifest GET by tag", "manifests/latest".to_owned()),
        ("manifest GET by digest", format!("manifests/{digest}")),
        ("blob of 10 KiB GET", format!("blobs/{}", stock.small.digest())),
    ];
    for (what, path) in paths {
        let headers = server.authorization(REPOSITORY)?;
        let rate = load::get(server, &format!("/v2/{REPOSITORY}/{path}"), &headers)?;
        record(server, what, &rate, ledger);
    }
    Ok(())
}

/// HEAD of the manifest.
pub(crate) fn heads(server: &Server, ledger: &mut Ledger) -> io::Result<()> {
    let headers = server.authorization(REPOSITORY)?;
    let rate = load::head(server, &format!("/v2/{REPOSITORY}/manifests/latest"), &headers)?;
    record(server, "manifest HEAD by tag", &rate, ledger);
    Ok(())
}

fn record(server: &Server, what: &str, rate: &Rate, ledger: &mut Ledger) {
    let who = Who::Server(server.kind);
    ledger.add(&Row::higher(what, "1/s"), who, rate.per_second);
    ledger.add(&Row::lower(format!("{what}, CPU of the server"), "µs"), who, rate.cpu_micros);
    ledger.add(&Row::lower(format!("{what}, median"), "ms"), who, rate.median_millis);
}
