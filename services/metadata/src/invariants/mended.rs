//! What a check finds after whatever may have happened, and that it mends what a cut commit has left.

use std::time::Duration;

use proto::metadata::{
    Actor, Integrity as _,
    integrity::{Counts, Finding, Kind, Mending, Outcome},
};

use super::{
    Strictness, check,
    cut::{Cutting, World, app, digest, furnished, other, world},
};
use crate::Service;

/// All that a walk finds, and how much it has looked at.
pub(super) async fn walked(service: &Service, mending: Mending) -> (Vec<Finding>, Counts) {
    let (mut findings, mut counts, mut cursor) = (Vec::new(), Counts::default(), None);
    loop {
        let step = service.check(cursor.as_deref(), mending, &Actor::operator()).await.unwrap();
        findings.extend(step.findings);
        counts.add(&step.counts);
        cursor = step.next;
        if cursor.is_none() {
            return (findings, counts);
        }
    }
}

/// What is left when all that can be mended is.
pub(super) async fn left(service: &Service) -> Vec<Finding> {
    for _ in 0..4 {
        let (findings, _) = walked(service, Mending::Repair).await;
        if findings.iter().all(|finding| finding.outcome != Outcome::Mended) {
            return walked(service, Mending::Report).await.0;
        }
    }
    panic!("what is mended does not stay so: {:?}", walked(service, Mending::Report).await.0)
}

/// Whether nothing is wrong but that bytes are gone, which only a push heals.
fn only_bytes_are_gone(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.kind == Kind::BlobWithoutBytes)
}

/// Nothing is found while everything is used as it should be.
pub(super) async fn agrees(service: &Service) {
    let (findings, _) = walked(service, Mending::Report).await;
    assert!(only_bytes_are_gone(&findings), "{findings:?}");
}

/// Whatever a crash has left is mended.
pub(super) async fn is_mended(service: &Service) {
    let left = left(service).await;
    assert!(only_bytes_are_gone(&left), "{left:?}");
}

/// The same cut, but nobody does it again: a check mends what it has left, and all is as it should be.
pub(super) async fn cut_and_mended<T, E: std::fmt::Debug>(
    operation: &impl AsyncFn(&Service, &T) -> Result<(), E>,
    prepare: &impl AsyncFn(&World) -> T,
    after: usize,
) {
    let keyspace = Cutting::new();
    let world = world(keyspace.clone()).await;
    furnished(&world.service).await;
    let prepared = prepare(&world).await;
    keyspace.cut_after(after);
    let _cut = operation(&world.service, &prepared).await;
    keyspace.mend();

    // Until then a reference might be that of a link under way.
    world.clock.advance(Duration::from_hours(2));
    is_mended(&world.service).await;
    let manifests = ["image 1", "image 2", "image 3", "index"].map(digest);
    check(&world.service, &[app(), other()], &manifests, Strictness::Mended).await;
}
