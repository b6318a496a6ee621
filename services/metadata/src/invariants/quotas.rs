//! What namespaces use, as their records say it: the sum of what their repositories link, and after a crash never less.
//! The next sweep corrects it.

use std::{collections::BTreeSet, time::Duration};

use oci::{Digest, Namespace, RepositoryName};
use proto::metadata::{
    Quotas as _, Reclaim as _, Repositories as _, UploadError, Uploads as _,
    quotas::ByteLimit,
    repositories::Expected,
    uploads::{Link, Mount},
};

use super::{
    Strictness, check,
    cut::{Cutting, Upload, World, actor, app, cut_everywhere, digest, furnished, held, other, world},
    members,
    reclaim::sweep,
    record,
};
use crate::{
    Service,
    keys::{self, field},
    keyspace::{Commit, Mutation},
    namespaces::Owner,
};

const DAY: Duration = Duration::from_hours(24);

/// 11: the counter of the namespace of each of `names`.
pub(super) async fn namespaces_are_counted(
    service: &Service,
    names: &[RepositoryName],
    strictness: Strictness,
) {
    let namespaces: BTreeSet<Namespace> = names.iter().map(RepositoryName::namespace).collect();
    for namespace in namespaces {
        let (said, sum) = (said(service, &namespace).await, sum(service, &namespace).await);
        match strictness {
            Strictness::Exact | Strictness::Mended => assert_eq!(said, sum, "what {namespace} uses"),
            Strictness::AfterCuts => assert!(said >= sum, "{namespace} uses {sum} and says {said}"),
        }
    }
}

async fn said(service: &Service, namespace: &Namespace) -> i64 {
    let owner = service.claimed(namespace).await.unwrap().unwrap_or(Owner::User);
    let key = keys::namespace(owner, namespace);
    record(service, &key).await.number(field::BYTES).unwrap_or_default()
}

async fn sum(service: &Service, namespace: &Namespace) -> i64 {
    let mut sum = 0;
    for listed in members(service, &keys::REPOSITORIES).await {
        let name = std::str::from_utf8(keys::first_part(&listed)).unwrap();
        let name: RepositoryName = name.parse().unwrap();
        let place = service.placements(std::slice::from_ref(&name)).await.unwrap().pop().flatten();
        let Some(place) = place.filter(|_| name.namespace() == *namespace) else { continue };
        let state = record(service, &keys::state(place.id)).await;
        // What a cut move has left is no repository.
        if state.text(field::NAME) == Some(name.as_str()) {
            sum += state.number(field::BYTES).unwrap();
        }
    }
    sum
}

fn ann() -> Namespace {
    "ann".parse().unwrap()
}

async fn allow(service: &Service, bytes: u64) {
    service.put_quota(&ann(), Some(ByteLimit::Bytes(bytes)), &actor()).await.unwrap();
}

async fn walked(service: &Service) {
    let unlinked = service.unlink(None).await.unwrap();
    assert_eq!(unlinked.next, None);
}

async fn fresh() -> (std::sync::Arc<Cutting>, World) {
    let keyspace = Cutting::new();
    let world = world(keyspace.clone()).await;
    furnished(&world).await;
    (keyspace, world)
}

#[tokio::test]
async fn what_a_crash_has_left_is_corrected_by_the_next_walk() {
    for after in 0.. {
        let (keyspace, world) = fresh().await;
        let link = held(&world, &app(), &digest("layer 3"), Upload::Reused(1)).await;
        keyspace.cut_after(after);
        let outcome = world.link(&link, &actor()).await;
        keyspace.mend();

        walked(&world).await;
        assert_eq!(said(&world, &ann()).await, sum(&world, &ann()).await, "after {after} mutations");
        if outcome.is_ok() {
            assert!(after > 5, "the link has made no commit that could be cut");
            return;
        }
    }
}

#[tokio::test]
async fn a_correction_does_not_take_back_what_is_linked_meanwhile() {
    let (keyspace, world) = fresh().await;
    let key = keys::namespace(Owner::User, &ann());
    let wrong = Mutation::SetField(key, field::BYTES, "-5".into());
    world.keyspace().commit(Commit::synced().then(wrong)).await.unwrap();
    let link = held(&world, &app(), &digest("layer 3"), Upload::Reused(1)).await;
    let rival = world.service.clone();
    keyspace.interpose(async move { rival.link(&link, &actor()).await.unwrap() });

    world.recount(&ann()).await.unwrap();
    assert!(!keyspace.is_interposed());
    assert_eq!(said(&world, &ann()).await, 21);
    assert_eq!(sum(&world, &ann()).await, 21);
}

#[tokio::test]
async fn what_an_earlier_release_has_left_is_counted_at_the_first_start() {
    let (keyspace, world) = fresh().await;
    let mount = Mount { repository: other(), digest: digest("layer 1"), from: vec![app()] };
    world.mount(&mount, &actor()).await.unwrap();
    let forget = Commit::synced()
        .then(Mutation::RemoveField(keys::namespace(Owner::User, &ann()), field::BYTES))
        .then(Mutation::RemoveField(keys::SCHEMA, field::COUNTED));
    world.keyspace().commit(forget).await.unwrap();
    assert_eq!(said(&world, &ann()).await, 0);

    let restarted = super::cut::world(keyspace).await;
    assert_eq!(said(&restarted, &ann()).await, 21, "each repository counts for itself");
}

#[tokio::test]
async fn a_refused_link_leaves_nothing_that_could_be_linked() {
    let link_refused = async |service: &Service, link: &Link| match service.link(link, &actor()).await {
        // What a cut refusal has begun is done again by nobody: the session is gone.
        Err(UploadError::QuotaExceeded { .. } | UploadError::UploadUnknown { .. }) => Ok(()),
        outcome => outcome,
    };
    for upload in [Upload::Written(4), Upload::Reused(5)] {
        cut_everywhere(link_refused, async |service: &World| {
            let link = held(service, &other(), &digest("layer 1"), upload).await;
            allow(service, 20).await;
            link
        })
        .await;
    }

    let (_keyspace, world) = fresh().await;
    allow(&world, 20).await;
    let link = held(&world, &app(), &digest("layer 3"), Upload::Written(4)).await;
    let refused = world.link(&link, &actor()).await.unwrap_err();
    let (limit_bytes, size_bytes) = (20, Some(7));
    assert_eq!(
        refused,
        UploadError::QuotaExceeded { namespace: ann(), used_bytes: 14, limit_bytes, size_bytes }
    );
    let garbage = members(&world, &keys::GARBAGE).await;
    assert!(garbage.iter().any(|entry| keys::last_part(entry) == link.locator.to_string().as_bytes()));
    let session = link.address.session;
    assert_eq!(world.link(&link, &actor()).await.unwrap_err(), UploadError::UploadUnknown { session });
    sweep(&world, DAY * 2).await;
    check(&world, &[app(), other()], &manifests(), Strictness::Exact).await;
}

#[tokio::test]
async fn what_is_deleted_and_reclaimed_makes_room() {
    let (_keyspace, world) = fresh().await;
    allow(&world, 14).await;
    assert!(world.start(&app(), &actor()).await.is_err(), "nothing fits any more");
    for body in ["index", "image 2"] {
        let manifest = digest(body).to_string().parse().unwrap();
        world.delete_manifest(&app(), &manifest, &Expected::Anything, &actor()).await.unwrap();
    }
    assert!(world.start(&app(), &actor()).await.is_err(), "it can still be restored");

    for _ in 0..2 {
        sweep(&world, DAY * 10).await;
    }
    assert_eq!(said(&world, &ann()).await, 7);
    let link = held(&world, &app(), &digest("layer 3"), Upload::Reused(9)).await;
    world.link(&link, &actor()).await.unwrap();
    check(&world, &[app(), other()], &manifests(), Strictness::Exact).await;
}

fn manifests() -> [Digest; 4] {
    ["image 1", "image 2", "image 3", "index"].map(digest)
}
