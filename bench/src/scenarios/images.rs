//! Two hundred small images, pushed by eight workers as docker does: ask for each blob, stream it, and then the
//! manifest.

use std::{io, thread, time::Instant};

use crate::{
    content::Content,
    ledger::{Ledger, Row, Who},
    load::joined,
    registry::{Registry, Upload, manifest},
    servers::Server,
    usage,
};

const WORKERS: usize = 8;
const IMAGES: usize = 200;

/// A config and two layers.
struct Image([Content; 3]);

impl Image {
    fn new() -> Self {
        Self([Content::new(1 << 10), Content::new(4 << 10), Content::new(16 << 10)])
    }
}

/// Pushes them into a repository for each worker.
pub(crate) fn push(server: &Server, round: usize, ledger: &mut Ledger) -> io::Result<()> {
    if !server.kind.takes_pushes() {
        return Ok(());
    }
    // Made and hashed before, so that the client is not what is measured.
    let images: Vec<Image> = (0..IMAGES).map(|_| Image::new()).collect();
    let registries: io::Result<Vec<_>> =
        (0..WORKERS).map(|worker| Registry::new(server, &format!("bench/small-{round}-{worker}"))).collect();

    let (cpu, began) = (usage::cpu(&server.ids())?, Instant::now());
    thread::scope(|scope| {
        let shares = images.chunks(IMAGES / WORKERS);
        let workers: Vec<_> = registries?
            .into_iter()
            .zip(shares)
            .map(|(registry, share)| scope.spawn(move || push_all(registry, share)))
            .collect();
        workers.into_iter().map(joined).collect::<io::Result<Vec<_>>>()
    })?;
    let took = began.elapsed().as_secs_f64();
    let cpu = usage::cpu(&server.ids())?.saturating_sub(cpu).as_secs_f64();

    let who = Who::Server(server.kind);
    let images = f64::from(u32::try_from(IMAGES).map_err(io::Error::other)?);
    ledger.add(&Row::higher("200 small images by 8 workers", "1/s"), who, images / took);
    ledger.add(&Row::lower("the same, CPU of the server", "ms/image"), who, cpu * 1e3 / images);
    Ok(())
}

fn push_all(mut registry: Registry, images: &[Image]) -> io::Result<()> {
    for (number, Image([config, lower, upper])) in images.iter().enumerate() {
        for blob in [lower, upper, config] {
            registry.asks_for_blob(blob)?;
            registry.push_blob(blob, Upload::Streamed)?;
        }
        registry.push_manifest(&format!("build-{number}"), &manifest(config, &[lower, upper]))?;
    }
    Ok(())
}
