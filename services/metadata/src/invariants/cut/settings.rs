//! Making repositories, and changing who may see them, cut everywhere: what is to be hidden is never shown, and a push
//! that was decided before finds the record again.

use oci::{Needed, RepositoryName};
use proto::metadata::{
    Repositories as _, RepositoryError, RepositorySettings as _, Visibility,
    settings::{RepositoryChange, RepositoryDetails},
};

use super::{
    super::{Strictness, check},
    Cutting, World, actor, app, cut_everywhere, digest, furnished, manifest, other, service, world,
};
use crate::{
    Service,
    keys::{self, field},
    keyspace::{Commit, Condition, Mutation},
};

const BOTH: [Visibility; 2] = [Visibility::Public, Visibility::Private];

fn to(visibility: Visibility) -> RepositoryChange {
    RepositoryChange { visibility: Some(visibility), description: Some("described".to_owned()) }
}

async fn show(service: &Service, visibility: Visibility) {
    service.change_repository(&app(), &to(visibility), &actor()).await.unwrap();
}

async fn details(service: &Service) -> RepositoryDetails {
    service.repository(&app()).await.unwrap()
}

#[tokio::test]
async fn a_created_repository() {
    for visibility in BOTH {
        let create = async |service: &Service, (): &()| {
            match service.create_repository(&other(), visibility, "described", &actor()).await {
                // A cut creation may have come to its end.
                Err(RepositoryError::RepositoryExists { .. }) => Ok(()),
                outcome => outcome,
            }?;
            let made = service.repository(&other()).await?;
            assert_eq!((made.visibility, made.description.as_str()), (visibility, "described"));
            Ok::<(), RepositoryError>(())
        };
        cut_everywhere(create, async |_: &World| ()).await;
    }
}

#[tokio::test]
async fn a_repository_that_is_shown_or_hidden() {
    for visibility in BOTH {
        let change = async |service: &Service, change: &RepositoryChange| {
            service.change_repository(&app(), change, &actor()).await
        };
        let prepare = async |world: &World| {
            show(
                world,
                if visibility == Visibility::Public { Visibility::Private } else { Visibility::Public },
            )
            .await;
            to(visibility)
        };
        cut_everywhere(change, prepare).await;
    }
}

#[tokio::test]
async fn where_a_crash_left_two_records_the_private_one_counts() {
    for (from, until) in [BOTH, [Visibility::Private, Visibility::Public]].map(|[from, until]| (from, until))
    {
        let mut both = 0;
        for after in 0.. {
            let keyspace = Cutting::new();
            let world = world(keyspace.clone()).await;
            furnished(&world).await;
            show(&world, from).await;
            let before = details(&world).await;

            keyspace.cut_after(after);
            let outcome = world.change_repository(&app(), &to(until), &actor()).await;
            keyspace.mend();
            let seen = details(&world).await;
            let records = records_of(&world).await;
            assert!(!records.is_empty(), "the repository is lost after {after} mutations");
            if records.len() == 2 {
                both += 1;
                assert_eq!(seen.visibility, Visibility::Private, "after {after} mutations");
            }
            assert_eq!(RepositoryDetails { visibility: from, ..seen }, before, "nothing else changes");

            let pushed = manifest(&app(), "image 3", &[], &["v3"]);
            world.put_manifest(&pushed, &actor()).await.unwrap();
            show(&world, until).await;
            assert_eq!(records_of(&world).await, [until], "what the crash has left goes");
            if outcome.is_ok() {
                break;
            }
        }
        assert!(both > 0, "no cut leaves both records");
    }
}

/// The visibilities under which there is a record.
async fn records_of(service: &Service) -> Vec<Visibility> {
    let owner = crate::namespaces::Owner::User;
    let mut found = Vec::new();
    for visibility in BOTH {
        let key = keys::repository(owner, &app(), visibility);
        let absent = Commit::synced().when(Condition::FieldPresent(key, field::ID));
        found.extend(service.keyspace().commit(absent).await.is_ok().then_some(visibility));
    }
    found
}

#[tokio::test]
async fn a_push_that_was_decided_before_who_may_see_it_changed_is_done_again() {
    let keyspace = Cutting::new();
    let service = service(keyspace.clone()).await;
    furnished(&service).await;
    let rival = service.clone();
    keyspace.interpose(async move { show(&rival, Visibility::Public).await });

    let layer = digest("layer 1");
    let pushed = manifest(&app(), "image 3", &[(Needed::Blob, &layer)], &["v3"]);
    service.put_manifest(&pushed, &actor()).await.unwrap();
    assert!(!keyspace.is_interposed());
    assert_eq!(details(&service).await.visibility, Visibility::Public);
    assert_eq!(records_of(&service).await, [Visibility::Public]);
    let manifests = ["image 1", "image 2", "image 3", "index"].map(digest);
    check(&service, &[app()], &manifests, Strictness::Exact).await;
}

#[tokio::test]
async fn a_push_between_reading_and_moving_a_record_is_not_forgotten() {
    let keyspace = Cutting::new();
    let world = world(keyspace.clone()).await;
    furnished(&world).await;
    let (rival, clock) = (world.service.clone(), world.clock.clone());
    keyspace.interpose(async move {
        clock.advance(std::time::Duration::from_secs(5));
        rival.put_manifest(&manifest(&app(), "image 3", &[], &["v3"]), &actor()).await.unwrap();
    });

    show(&world, Visibility::Public).await;
    assert_eq!(details(&world).await.updated, world.now());
}

#[tokio::test]
async fn a_repository_is_not_made_twice_by_a_push_and_a_creator() {
    let keyspace = Cutting::new();
    let service = service(keyspace.clone()).await;
    furnished(&service).await;
    let rival = service.clone();
    keyspace.interpose(async move {
        rival.put_manifest(&manifest(&other(), "image 3", &[], &["v3"]), &actor()).await.unwrap();
    });

    let created = service.create_repository(&other(), Visibility::Public, "", &actor()).await.unwrap_err();
    assert_eq!(created, RepositoryError::RepositoryExists { repository: other() });
    check(&service, &[app(), other()], &[digest("image 3")], Strictness::Exact).await;
}

#[tokio::test]
async fn a_claim_without_a_namespace_takes_no_repository() {
    let service = service(Cutting::new()).await;
    let name: RepositoryName = "bob/app".parse().unwrap();
    let claim = Mutation::SetValue(keys::claim(name.namespace()), "user".into());
    service.keyspace().commit(Commit::synced().then(claim)).await.unwrap();

    let refused = service.create_repository(&name, Visibility::Public, "", &actor()).await.unwrap_err();
    assert_eq!(refused, RepositoryError::NamespaceUnknown { namespace: name.namespace() });
}
