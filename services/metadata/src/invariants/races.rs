//! Two operations at once, in the one order that hurts: the rival comes between what an operation has read and
//! its commit. Whoever is second sees the other, and the invariants hold.

use std::sync::Arc;

use oci::{Digest, Needed, Reference};
use proto::{
    blob::{HashState, Part},
    metadata::{
        AccountError, Accounts as _, Repositories as _, RepositoryError, UploadError, Uploads as _,
        accounts::Role,
        repositories::{Expected, Intent, NewManifest},
        uploads::{Advance, Link, Mount, Mounted, UploadAddress},
    },
};

use super::{
    Strictness, check,
    cut::{Cutting, Upload, account, actor, app, digest, furnished, held, locator, manifest, other, service},
};
use crate::Service;

async fn world() -> (Arc<Cutting>, Service) {
    let keyspace = Cutting::new();
    let service = service(keyspace.clone()).await;
    furnished(&service).await;
    (keyspace, service)
}

/// Everything is as it must be, and the rival has really come in between.
async fn holds(keyspace: &Cutting, service: &Service) {
    assert!(!keyspace.is_interposed(), "no commit was made");
    let manifests = ["image 1", "image 2", "image 3", "index"].map(digest);
    check(service, &[app(), other()], &manifests, Strictness::Exact).await;
}

fn by_digest(body: &str) -> Reference {
    Reference::Digest(digest(body))
}

async fn tagged(service: &Service, tag: &str) -> Option<Digest> {
    let reference = Reference::Tag(tag.parse().unwrap());
    service.manifest(&app(), &reference).await.ok().map(|manifest| manifest.digest)
}

fn rival_push(keyspace: &Cutting, service: &Service, manifest: NewManifest) {
    let service = service.clone();
    keyspace.interpose(async move { service.put_manifest(&manifest, &actor()).await.unwrap() });
}

fn rival_delete(keyspace: &Cutting, service: &Service, reference: Reference) {
    let service = service.clone();
    keyspace.interpose(async move {
        service.delete_manifest(&app(), &reference, &Expected::Anything, &actor()).await.unwrap();
    });
}

fn rival_link(keyspace: &Cutting, service: &Service, link: Link) {
    let service = service.clone();
    keyspace.interpose(async move { service.link(&link, &actor()).await.unwrap() });
}

#[tokio::test]
async fn a_manifest_is_tagged_while_it_is_deleted() {
    let (keyspace, service) = world().await;
    let layer = digest("layer 1");
    let again = manifest(&app(), "image 1", &[(Needed::Blob, &layer)], &["new"]);
    rival_push(&keyspace, &service, again);

    service.delete_manifest(&app(), &by_digest("image 1"), &Expected::Anything, &actor()).await.unwrap();
    assert_eq!(tagged(&service, "new").await, None, "the tag came first, and goes with its manifest");
    holds(&keyspace, &service).await;
}

#[tokio::test]
async fn one_tag_comes_and_another_goes_while_their_manifest_is_deleted() {
    let (keyspace, service) = world().await;
    let (one, two) = (digest("layer 1"), digest("layer 2"));
    service.delete_manifest(&app(), &"v1".parse().unwrap(), &Expected::Anything, &actor()).await.unwrap();
    let comes = manifest(&app(), "image 1", &[(Needed::Blob, &one)], &["new"]);
    let goes = manifest(&app(), "image 3", &[(Needed::Blob, &two)], &["latest"]);
    let rival = service.clone();
    keyspace.interpose(async move {
        rival.put_manifest(&comes, &actor()).await.unwrap();
        rival.put_manifest(&goes, &actor()).await.unwrap();
    });

    service.delete_manifest(&app(), &by_digest("image 1"), &Expected::Anything, &actor()).await.unwrap();
    assert_eq!(tagged(&service, "new").await, None);
    assert_eq!(tagged(&service, "latest").await, Some(digest("image 3")));
    holds(&keyspace, &service).await;
}

#[tokio::test]
async fn a_manifest_is_needed_while_it_is_deleted() {
    let (keyspace, service) = world().await;
    let (child, parent) = (digest("image 1"), digest("image 3"));
    rival_push(&keyspace, &service, manifest(&app(), "image 3", &[(Needed::Manifest, &child)], &[]));

    let refused = service
        .delete_manifest(&app(), &by_digest("image 1"), &Expected::Anything, &actor())
        .await
        .unwrap_err();
    assert_eq!(refused, RepositoryError::StillNeeded { digest: child, parent });
    holds(&keyspace, &service).await;
}

#[tokio::test]
async fn a_needed_manifest_is_deleted_while_its_index_is_pushed() {
    let (keyspace, service) = world().await;
    let child = digest("image 1");
    rival_delete(&keyspace, &service, by_digest("image 1"));

    let index = manifest(&app(), "image 3", &[(Needed::Manifest, &child)], &["multi"]);
    let refused = service.put_manifest(&index, &actor()).await.unwrap_err();
    assert_eq!(refused, RepositoryError::ReferencesMissing { missing: vec![child] });
    holds(&keyspace, &service).await;
}

#[tokio::test]
async fn the_last_other_user_of_a_blob_goes_while_a_new_one_comes() {
    let (keyspace, service) = world().await;
    rival_delete(&keyspace, &service, by_digest("index"));
    service
        .delete_manifest(&app(), &Reference::Tag("v2".parse().unwrap()), &Expected::Anything, &actor())
        .await
        .unwrap();
    holds(&keyspace, &service).await;

    rival_delete(&keyspace, &service, by_digest("image 2"));
    let layer = digest("layer 2");
    let image = manifest(&app(), "image 3", &[(Needed::Blob, &layer)], &["v3"]);
    service.put_manifest(&image, &actor()).await.unwrap();
    holds(&keyspace, &service).await;
}

#[tokio::test]
async fn a_blob_is_needed_linked_or_deleted_while_it_is_deleted() {
    let (keyspace, service) = world().await;
    let (layer, image) = (digest("layer 3"), digest("image 3"));
    let link = async |layer: &Digest| {
        let link = held(&service, &app(), layer, Upload::Reused(1)).await;
        service.link(&link, &actor()).await.unwrap();
    };

    link(&layer).await;
    rival_push(&keyspace, &service, manifest(&app(), "image 3", &[(Needed::Blob, &layer)], &[]));
    let refused = service.delete_blob(&app(), &layer, &actor()).await.unwrap_err();
    assert_eq!(refused, RepositoryError::BlobNeeded { digest: layer.clone(), manifest: image });
    holds(&keyspace, &service).await;

    let layer = digest("layer 4");
    link(&layer).await;
    let again = held(&service, &app(), &layer, Upload::Reused(1)).await;
    rival_link(&keyspace, &service, again);
    service.delete_blob(&app(), &layer, &actor()).await.unwrap();
    holds(&keyspace, &service).await;

    link(&layer).await;
    let (rival, blob) = (service.clone(), layer.clone());
    keyspace.interpose(async move { rival.delete_blob(&app(), &blob, &actor()).await.unwrap() });
    let refused = service.delete_blob(&app(), &layer, &actor()).await.unwrap_err();
    assert_eq!(refused, RepositoryError::BlobUnknown { repository: app(), digest: layer });
    holds(&keyspace, &service).await;
}

#[tokio::test]
async fn a_blob_is_deleted_while_it_is_mounted_or_put_into_a_manifest() {
    let (keyspace, service) = world().await;
    let layer = digest("layer 3");
    let linked = async || {
        let link = held(&service, &app(), &layer, Upload::Reused(1)).await;
        service.link(&link, &actor()).await.unwrap();
        let (rival, blob) = (service.clone(), layer.clone());
        keyspace.interpose(async move { rival.delete_blob(&app(), &blob, &actor()).await.unwrap() });
    };

    linked().await;
    let mount = Mount { repository: other(), digest: layer.clone(), from: vec![app()] };
    let mounted = service.mount(&mount, &actor()).await.unwrap();
    assert!(matches!(mounted, Mounted::Started(_)), "{mounted:?}");
    holds(&keyspace, &service).await;

    linked().await;
    let image = manifest(&app(), "image 3", &[(Needed::Blob, &layer)], &["v3"]);
    let refused = service.put_manifest(&image, &actor()).await.unwrap_err();
    assert_eq!(refused, RepositoryError::ReferencesMissing { missing: vec![layer.clone()] });
    holds(&keyspace, &service).await;
}

#[tokio::test]
async fn a_tag_is_moved_while_it_is_moved_or_deleted() {
    let (keyspace, service) = world().await;
    let layer = digest("layer 2");
    let image = manifest(&app(), "image 3", &[(Needed::Blob, &layer)], &["latest"]);
    let rival = manifest(&app(), "image 2", &[(Needed::Blob, &layer)], &["latest"]);
    rival_push(&keyspace, &service, rival.clone());
    service.put_manifest(&image, &actor()).await.unwrap();
    assert_eq!(tagged(&service, "latest").await, Some(image.digest.clone()));
    holds(&keyspace, &service).await;

    rival_push(&keyspace, &service, rival);
    service
        .delete_manifest(&app(), &Reference::Tag("latest".parse().unwrap()), &Expected::Anything, &actor())
        .await
        .unwrap();
    assert_eq!(tagged(&service, "latest").await, None);
    holds(&keyspace, &service).await;
}

#[tokio::test]
async fn the_same_content_is_linked_meanwhile() {
    for name in [app(), other()] {
        let (keyspace, service) = world().await;
        let content = digest("layer 3");
        let second = held(&service, &name, &content, Upload::Written(2)).await;
        let first = held(&service, &name, &content, Upload::Written(3)).await;
        rival_link(&keyspace, &service, first);

        service.link(&second, &actor()).await.unwrap();
        assert_eq!(service.blob(&name, &content, Intent::Read).await.unwrap().locator, locator(&content, 3));
        holds(&keyspace, &service).await;
    }
}

#[tokio::test]
async fn the_bytes_turn_out_missing_while_they_are_linked() {
    let (keyspace, service) = world().await;
    let content = digest("layer 1");
    let link = held(&service, &other(), &content, Upload::Reused(1)).await;
    let quarantine = || {
        let (service, gone) = (service.clone(), locator(&content, 1));
        async move { service.quarantine(&gone).await.unwrap() }
    };

    keyspace.interpose(quarantine());
    let lost = UploadError::HoldLost { digest: content.clone() };
    assert_eq!(service.link(&link, &actor()).await.unwrap_err(), lost);
    holds(&keyspace, &service).await;
}

#[tokio::test]
async fn the_bytes_turn_out_missing_while_they_are_mounted() {
    let (keyspace, service) = world().await;
    let content = digest("layer 1");
    let (rival, gone) = (service.clone(), locator(&content, 1));
    keyspace.interpose(async move { rival.quarantine(&gone).await.unwrap() });

    let mount = Mount { repository: other(), digest: content, from: vec![app()] };
    let mounted = service.mount(&mount, &actor()).await.unwrap();
    assert!(matches!(mounted, Mounted::Started(_)), "{mounted:?}");
    holds(&keyspace, &service).await;
}

#[tokio::test]
async fn a_session_is_cancelled_while_it_links_or_holds() {
    let (keyspace, service) = world().await;
    let content = digest("layer 3");
    let link = held(&service, &app(), &content, Upload::Written(2)).await;
    let unknown = UploadError::UploadUnknown { session: link.address.session };
    let cancel = |address: UploadAddress| {
        let rival = service.clone();
        async move { rival.cancel(&address, &actor()).await.unwrap() }
    };

    keyspace.interpose(cancel(link.address.clone()));
    assert_eq!(service.link(&link, &actor()).await.unwrap_err(), unknown);
    holds(&keyspace, &service).await;

    let address = service.start(&app(), &actor()).await.unwrap().address;
    keyspace.interpose(cancel(address.clone()));
    let refused = service.hold(&address, &content).await.unwrap_err();
    assert_eq!(refused, UploadError::UploadUnknown { session: address.session });
}

#[tokio::test]
async fn a_part_is_recorded_while_another_one_is() {
    let (keyspace, service) = world().await;
    let address = service.start(&app(), &actor()).await.unwrap().address;
    let advance = |size_bytes, number| {
        let generation = locator(&digest("part"), number).generation;
        let part = Part { offset: 0, size_bytes, generation };
        Advance { address: address.clone(), part, hash: HashState::default() }
    };

    let (rival, first) = (service.clone(), advance(5, 1));
    keyspace.interpose(async move { assert_eq!(rival.advance(&first).await.unwrap(), 5) });
    let moved = service.advance(&advance(9, 2)).await.unwrap_err();
    assert_eq!(moved, UploadError::OffsetMoved { recorded: 5 });
    assert_eq!(service.session(&address).await.unwrap().offset, 5);
}

#[tokio::test]
async fn a_name_is_taken_while_it_is_taken() {
    let (keyspace, service) = world().await;
    let rival = service.clone();
    keyspace
        .interpose(async move { rival.create_account(&account("bob", Role::User), &actor()).await.unwrap() });
    let refused = service.create_account(&account("bob", Role::User), &actor()).await.unwrap_err();
    assert_eq!(refused, AccountError::NameTaken { name: "bob".parse().unwrap() });

    let rival = service.clone();
    keyspace.interpose(
        async move { rival.create_account(&account("orga", Role::User), &actor()).await.unwrap() },
    );
    service.start(&"orga/app".parse().unwrap(), &actor()).await.unwrap();
    service.create_account(&account("orga", Role::User), &actor()).await.unwrap_err();
}
