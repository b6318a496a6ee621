//! Large blobs: one alone, and 32 of a medium size at once.

use std::{io, thread, time::Instant};

use super::{REPOSITORY, Stock, gibibytes, mebibytes};
use crate::{
    content::Content,
    http::{Client, Request},
    ledger::{Ledger, Row, Who},
    load::joined,
    registry::{Registry, Upload},
    servers::Server,
    usage,
};

const PULLS: u32 = 32;

/// Pushes a blob that nobody has.
pub(crate) fn push(server: &Server, size_bytes: u64, upload: Upload, ledger: &mut Ledger) -> io::Result<()> {
    if !server.kind.takes_pushes() {
        return Ok(());
    }
    let content = Content::new(size_bytes);
    let mut registry = Registry::new(server, "bench/pushed")?;
    let what = match upload {
        Upload::Monolithic => "push, monolithic PUT",
        Upload::Streamed => "push, streamed PATCH",
    };
    usage::settle();
    measured(server, size_bytes, what, ledger, || registry.push_blob(&content, upload))
}

/// Pulls the large blob.
pub(crate) fn pull(server: &Server, stock: &Stock, ledger: &mut Ledger) -> io::Result<()> {
    let path = format!("/v2/{REPOSITORY}/blobs/{}", stock.large.digest());
    let headers = server.authorization(REPOSITORY)?;
    let mut client = Client::connect(server.address)?;
    let size_bytes = stock.large.size_bytes();
    measured(server, size_bytes, "pull", ledger, || {
        let got = client.download(&Request::new("GET", &path, &headers))?;
        if got == size_bytes { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    })
}

/// Pulls the medium blob 32 times at once, and looks at the server's memory.
pub(crate) fn pulls(server: &Server, stock: &Stock, ledger: &mut Ledger) -> io::Result<()> {
    let path = format!("/v2/{REPOSITORY}/blobs/{}", stock.medium.digest());
    let headers = server.authorization(REPOSITORY)?;
    usage::forget_peak(&server.ids())?;

    let began = Instant::now();
    thread::scope(|scope| {
        let one = || Client::connect(server.address)?.download(&Request::new("GET", &path, &headers));
        let threads: Vec<_> = (0..PULLS).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(joined).collect::<io::Result<Vec<_>>>()
    })?;
    let took = began.elapsed().as_secs_f64();

    let rate = mebibytes(stock.medium.size_bytes()) * f64::from(PULLS) / took;
    let who = Who::Server(server.kind);
    ledger.add(&Row::higher("32 pulls of 16 MiB at once", "MiB/s"), who, rate);
    let peak = mebibytes(usage::peak(&server.ids())?);
    ledger.add(&Row::lower("memory, at most during these", "MiB"), who, peak);
    Ok(())
}

fn measured(
    server: &Server,
    size_bytes: u64,
    what: &str,
    ledger: &mut Ledger,
    work: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    let size = gibibytes(size_bytes);
    let (before, began) = (usage::cpu(&server.ids())?, Instant::now());
    work()?;
    let took = began.elapsed().as_secs_f64();
    let cpu = usage::cpu(&server.ids())?.saturating_sub(before).as_secs_f64();

    let who = Who::Server(server.kind);
    ledger.add(&Row::lower(format!("{what}, time"), "s/GiB"), who, took / size);
    ledger.add(&Row::lower(format!("{what}, CPU of the server"), "s/GiB"), who, cpu / size);
    Ok(())
}
