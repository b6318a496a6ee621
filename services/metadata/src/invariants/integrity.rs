//! Each kind of finding, planted in a keyspace: it is found, said to be what it is, and mended if it can be; then
//! nothing is found. What somebody changes meanwhile is no finding.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;
use oci::{AccountName, Digest, Namespace, Needed, Reference, RepositoryName, TeamName};
use proto::metadata::{
    Accounts as _, Actor, AuditLog as _, Integrity as _, Organizations as _, Repositories as _, Uploads as _,
    Visibility,
    accounts::Role,
    audit::{Action, WantedEntries},
    credentials::Revoked,
    integrity::{Counts, Finding, Kind, Mending, Outcome},
    organizations::{MemberRole, Membership},
    repositories::Expected,
};

use super::{
    cut::{Cutting, Upload, World, account, actor, app, digest, furnished, held, locator, manifest, world},
    mended::{left, walked},
};
use crate::{
    content::BlobLink,
    keys::{self, RepositoryId, TeamId, field},
    keyspace::{Commit, Keyspace as _, Mutation},
    namespaces::Owner,
};

fn user(name: &str) -> AccountName {
    name.parse().unwrap()
}

fn crew() -> Namespace {
    "crew".parse().unwrap()
}

/// A hub with something of everything.
struct Ground {
    keyspace: Arc<Cutting>,
    world: World,
    id: RepositoryId,
    team: TeamId,
    /// The link of `layer 1`, which is used.
    link: BlobLink,
}

async fn ground() -> Ground {
    let keyspace = Cutting::new();
    let world = world(keyspace.clone()).await;
    furnished(&world).await;
    let link = held(&world, &app(), &digest("layer 3"), Upload::Reused(1)).await;
    world.link(&link, &actor()).await.unwrap();
    let images: [(&str, &[&str]); 2] = [("image 3", &["v3"]), ("image 4", &[])];
    for (body, tags) in images {
        let image = manifest(&app(), body, &[(Needed::Blob, &digest("layer 2"))], tags);
        world.put_manifest(&image, &actor()).await.unwrap();
    }
    let gone = Reference::Digest(digest("image 3"));
    world.delete_manifest(&app(), &gone, &Expected::Anything, &actor()).await.unwrap();

    world.create_account(&account("bob", Role::User), &actor()).await.unwrap();
    world.create_organization(&crew(), &user("ann"), &actor()).await.unwrap();
    world.put_member(&crew(), &user("bob"), MemberRole::Member, &actor()).await.unwrap();
    let devs: TeamName = "devs".parse().unwrap();
    world.put_team(&crew(), &devs, "", &actor()).await.unwrap();
    world.set_team_member(&crew(), &devs, &user("bob"), Membership::In, &actor()).await.unwrap();

    let id = world.placements(&[app()]).await.unwrap().pop().flatten().unwrap().id;
    let team = *world.team_ids(&crew()).await.unwrap().get(&devs).unwrap();
    let layer = digest("layer 1");
    let value = world.fields(&[BlobLink::field(id, &layer)]).await.unwrap().pop().flatten().unwrap();
    let link = BlobLink::read(id, &layer, &value).unwrap();
    world.clock.advance(Duration::from_hours(2));
    Ground { keyspace, world, id, team, link }
}

type Planted = Vec<(Kind, Vec<Mutation>)>;

fn set(key: crate::keyspace::Key, name: impl std::fmt::Display, value: impl Into<Bytes>) -> Mutation {
    Mutation::SetField(key, keys::named(name), value.into())
}

fn blobs(ground: &Ground) -> Planted {
    let (id, layer, nothing) = (ground.id, digest("layer 1"), digest("nothing"));
    let image = keys::image(&layer);
    let in_use = BlobLink { unused_since_ms: Some(5), ..ground.link };
    let now = ground.world.now();
    vec![
        (Kind::Unreadable, vec![set(keys::blobs(id), &nothing, "what is this")]),
        (Kind::BlobWithoutBytes, vec![Mutation::RemoveField(image.clone(), field::LOCATOR)]),
        (Kind::BlobSize, vec![Mutation::SetField(image, field::SIZE, "8".into())]),
        (Kind::BlobUnreferenced, vec![Mutation::RemoveField(keys::refs(&layer), keys::named(id))]),
        (
            Kind::BlobReferencedAlone,
            vec![set(keys::refs(&layer), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ", "00000000000000000000000001")],
        ),
        (Kind::BlobUnlisted, vec![Mutation::RemoveSet(keys::unused(id))]),
        (Kind::BlobInUse, vec![set(keys::blobs(id), &layer, in_use.to_string())]),
        (Kind::BlobListedAlone, vec![Mutation::AddMember(keys::unused(id), keys::unused_since(5, &nothing))]),
        (Kind::BytesMiscounted, vec![Mutation::Increment(keys::state(id), field::BYTES, 7)]),
        (
            Kind::GarbageInUse,
            vec![Mutation::AddMember(keys::GARBAGE, keys::garbage(now, &locator(&layer, 1)))],
        ),
    ]
}

fn manifests(ground: &Ground) -> Planted {
    let (id, layer, nothing) = (ground.id, digest("layer 1"), digest("nothing"));
    let (untagged, subject) = (digest("image 4"), digest("subject"));
    vec![
        (Kind::ManifestIncomplete, vec![Mutation::RemoveField(keys::blobs(id), keys::named(&layer))]),
        (
            Kind::ManifestEdge,
            vec![Mutation::RemoveMember(keys::uses(id), keys::use_of(&layer, &digest("image 1")))],
        ),
        (
            Kind::ManifestEdgeAlone,
            vec![Mutation::AddMember(keys::uses(id), keys::use_of(&digest("layer 3"), &nothing))],
        ),
        (
            Kind::ManifestUnlisted,
            vec![Mutation::RemoveMember(keys::untagged(id), keys::without_tag(&untagged))],
        ),
        (Kind::ManifestUntimed, vec![Mutation::RemoveField(keys::manifest(id, &untagged), field::UNTAGGED)]),
        (Kind::ManifestPart, vec![Mutation::AddMember(keys::untagged(id), keys::without_tag(&nothing))]),
        (Kind::ReferrerUnlisted, vec![Mutation::RemoveSet(keys::referrers(id))]),
        (
            Kind::ReferrerListedAlone,
            vec![Mutation::AddMember(keys::referrers(id), keys::referrer(&subject, "", &nothing))],
        ),
        (Kind::TrashListedAlone, vec![Mutation::AddMember(keys::trash(id), keys::trashed_at(5, &nothing))]),
        (
            Kind::TrashUnreleased,
            vec![Mutation::RemoveField(keys::trashed(id, &digest("image 3")), field::DELETED)],
        ),
    ]
}

fn tags_and_names(ground: &Ground) -> Planted {
    let id = ground.id;
    let record = |name: &RepositoryName, visibility| keys::repository(Owner::User, name, visibility);
    let listed =
        |name: &RepositoryName| Mutation::AddMember(keys::REPOSITORIES, keys::listed(name, Owner::User));
    let here = |name: &RepositoryName, visibility| {
        Mutation::SetField(record(name, visibility), field::ID, id.to_string().into())
    };
    let (ghost, old) = ("ann/ghost".parse().unwrap(), "ann/old".parse().unwrap());
    let (nobodys, other) = ("nobody/app".parse().unwrap(), RepositoryId(ulid::Ulid(7)));
    let (private, public) = (Visibility::Private, Visibility::Public);
    vec![
        (Kind::TagWithoutManifest, vec![Mutation::RemoveRecord(keys::manifest(id, &digest("image 1")))]),
        (Kind::TagUnlisted, vec![Mutation::RemoveMember(keys::tags(id), "v1".into())]),
        (Kind::TagUntimed, vec![Mutation::RemoveField(keys::pushed(id), keys::named("v1"))]),
        (Kind::TagListedAlone, vec![Mutation::AddMember(keys::tags(id), "ghost".into())]),
        (
            Kind::RepositoryUnlisted,
            vec![here(&app(), public), Mutation::RemoveRecord(record(&app(), private))],
        ),
        (
            Kind::RepositoryWords,
            vec![Mutation::RemoveMember(keys::PRIVATE_WORDS, keys::word_of(b"app", 1, "ann/app"))],
        ),
        (Kind::RepositoryListedAlone, vec![listed(&ghost)]),
        (Kind::RepositoryTwice, vec![here(&app(), public)]),
        (Kind::RepositoryRenamed, vec![listed(&old), here(&old, private)]),
        (
            Kind::RepositoryOwnerless,
            vec![
                listed(&nobodys),
                set(record(&nobodys, private), "Id", other.to_string()),
                set(keys::state(other), "State", "live"),
                set(keys::state(other), "Name", "nobody/app"),
            ],
        ),
        (Kind::NameUnclaimed, vec![Mutation::RemoveValue(keys::claim("ann"))]),
        (Kind::NameClaimedOtherwise, vec![Mutation::SetValue(keys::claim("bob"), "organization".into())]),
        (Kind::NamespaceListedAlone, vec![Mutation::AddMember(keys::USERS, "ghost".into())]),
        (Kind::PurgeListedAlone, vec![Mutation::AddMember(keys::PURGE, id.to_string().into())]),
    ]
}

fn people(ground: &Ground) -> Planted {
    let (bob, crew, session) = (user("bob"), crew(), "6ba7b810-9dad-11d1-80b4-00c04fd430c8".parse().unwrap());
    let (ulid, hash) = ("01JD0000000000000000000007", "ab".repeat(32));
    let invited = keys::invited(&ulid.parse().unwrap(), &hash);
    let add = |key, member: &str| Mutation::AddMember(key, member.to_owned().into());
    let remove = |key, member: &str| Mutation::RemoveMember(key, member.to_owned().into());
    vec![
        (Kind::AdministratorUnlisted, vec![remove(keys::ADMINISTRATORS, "ann")]),
        (Kind::AdministratorListedAlone, vec![add(keys::ADMINISTRATORS, "bob")]),
        (Kind::EmailUnlisted, vec![set(keys::user(&bob), "Verified", "bob@example.com")]),
        (
            Kind::EmailListedAlone,
            vec![Mutation::AddMember(keys::EMAILS, keys::verified("bob@example.com", &bob))],
        ),
        (Kind::CredentialListedAlone, vec![set(keys::secrets(&bob), ulid, hash.clone())]),
        (Kind::RecoveryCodesAlone, vec![set(keys::recovery(&bob), &hash, "unused")]),
        (Kind::IdentityListedAlone, vec![set(keys::identities(&bob), &hash, "{}")]),
        (Kind::MemberUnlisted, vec![remove(keys::members(&crew), "bob")]),
        (Kind::MemberListedAlone, vec![add(keys::members(&crew), "cid")]),
        (
            Kind::OrganizationOwnerless,
            vec![set(keys::roles(&crew), "ann", "member"), remove(keys::owners(&crew), "ann")],
        ),
        (Kind::TeamUnnamed, vec![Mutation::RemoveRecord(keys::team(&crew, ground.team))]),
        (Kind::TeamMemberUnlisted, vec![remove(keys::team_members(&crew, ground.team), "bob")]),
        (Kind::TeamMemberAlone, vec![Mutation::RemoveField(keys::roles(&crew), keys::named("bob"))]),
        (Kind::InvitationListedAlone, vec![Mutation::AddMember(keys::invitations(None), invited)]),
        (
            Kind::UploadListedAlone,
            vec![Mutation::AddMember(keys::UPLOADS, keys::started(ground.world.now(), &session))],
        ),
    ]
}

fn planted(ground: &Ground) -> Planted {
    [blobs(ground), manifests(ground), tags_and_names(ground), people(ground)].concat()
}

async fn damaged(ground: &Ground, mutations: &[Mutation]) {
    let commit = Commit::synced().then_all(mutations.iter().cloned());
    ground.keyspace.commit(commit).await.unwrap();
}

#[tokio::test]
async fn nothing_is_found_where_nothing_is_wrong() {
    let ground = ground().await;
    let (findings, counts) = walked(&ground.world, Mending::Repair).await;
    assert_eq!(findings, []);
    let expected = Counts { repositories: 1, tags: 4, manifests: 5, blobs: 3, users: 2, organizations: 2 };
    assert_eq!(counts, expected);
}

#[tokio::test]
async fn each_kind_is_found_and_what_can_be_mended_is() {
    const UNMENDABLE: [Kind; 8] = [
        Kind::Unreadable,
        Kind::BlobWithoutBytes,
        Kind::BlobSize,
        Kind::ManifestIncomplete,
        Kind::TagWithoutManifest,
        Kind::RepositoryOwnerless,
        Kind::NameClaimedOtherwise,
        Kind::OrganizationOwnerless,
    ];
    for (kind, mutations) in planted(&ground().await) {
        let ground = ground().await;
        damaged(&ground, &mutations).await;
        let (found, _) = walked(&ground.world, Mending::Report).await;
        let stays = UNMENDABLE.contains(&kind);
        let expected = if stays { Outcome::Unmendable } else { Outcome::Mendable };
        let is_found = |finding: &Finding| finding.kind == kind && finding.outcome == expected;
        assert!(found.iter().any(is_found), "{kind}: {found:?}");
        assert_eq!(walked(&ground.world, Mending::Report).await.0, found, "{kind}: a report changes nothing");

        let left = left(&ground.world).await;
        if stays {
            assert!(left.iter().any(|finding| finding.kind == kind), "{kind} is left alone: {left:?}");
            let unmendable = |finding: &Finding| finding.outcome == Outcome::Unmendable;
            assert!(left.iter().all(unmendable), "{kind}: {left:?}");
        } else {
            assert_eq!(left, [], "{kind}");
        }
    }
}

#[tokio::test]
async fn every_kind_is_planted() {
    let kinds: BTreeSet<Kind> = planted(&ground().await).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, Kind::ALL.iter().copied().collect());
}

#[tokio::test]
async fn what_is_mended_is_written_down_with_what_it_was() {
    let ground = ground().await;
    damaged(&ground, &[Mutation::RemoveMember(keys::tags(ground.id), "v1".into())]).await;
    walked(&ground.world, Mending::Report).await;
    let told = async || {
        let wanted = WantedEntries { limit: 100, ..WantedEntries::default() };
        let mut entries = ground.world.audit_entries(&wanted).await.unwrap().entries;
        entries.retain(|entry| entry.action.as_str() == Action::MetadataRepair.name());
        entries
    };
    assert!(told().await.is_empty(), "a report changes nothing");

    walked(&ground.world, Mending::Repair).await;
    let entries = told().await;
    assert_eq!(entries.len(), 1);
    let target = &entries[0].target;
    assert_eq!((target.label.as_deref(), target.to.as_deref()), (Some("ann/app:v1"), Some("tag.unlisted")));
}

#[tokio::test]
async fn who_leaves_a_team_by_a_repair_is_told_of() {
    let ground = ground().await;
    damaged(&ground, &[Mutation::RemoveField(keys::roles(&crew()), keys::named("bob"))]).await;
    assert_eq!(left(&ground.world).await, []);

    let told = ground.world.told_revocations(None).await.unwrap();
    let bob = Revoked::Subject(proto::auth::Subject::User(user("bob")));
    assert!(told.iter().any(|revocation| revocation.what == bob));
}

#[tokio::test]
async fn what_changes_while_it_is_looked_at_is_no_finding() {
    let ground = ground().await;
    let layer: Digest = digest("layer 1");
    let unreferenced = Mutation::RemoveField(keys::refs(&layer), keys::named(ground.id));
    damaged(&ground, &[unreferenced]).await;
    // Somebody else is first: the commit that would mend finds that it is so no more.
    let (rival, id, token) = (ground.keyspace.clone(), ground.id, ground.link.token);
    let again = set(keys::refs(&layer), id, token.to_string());
    ground.keyspace.interpose(async move {
        rival.commit(Commit::synced().then(again)).await.unwrap();
    });

    assert_eq!(walked(&ground.world, Mending::Repair).await.0, []);
    assert!(!ground.keyspace.is_interposed(), "no commit was made");
}

#[tokio::test]
async fn a_reference_of_a_link_that_may_still_come_stays() {
    let ground = ground().await;
    let (layer, young) = (digest("layer 1"), ground.world.ulid());
    let reference = set(keys::refs(&layer), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ", young.to_string());
    damaged(&ground, &[reference]).await;
    assert_eq!(walked(&ground.world, Mending::Repair).await.0, []);

    ground.world.clock.advance(Duration::from_hours(2));
    let (found, _) = walked(&ground.world, Mending::Repair).await;
    assert_eq!(found.iter().map(|finding| finding.kind).collect::<Vec<_>>(), [Kind::BlobReferencedAlone]);
}

#[tokio::test]
async fn references_that_were_left_over_are_found_wherever_they_stand() {
    let ground = ground().await;
    let (layer, token) = (digest("layer 1"), ground.link.token.to_string());
    let others = ["00000000000000000000000000", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"];
    damaged(&ground, &others.map(|other| set(keys::refs(&layer), other, token.clone()))).await;

    ground.world.clock.advance(Duration::from_hours(2));
    let (found, _) = walked(&ground.world, Mending::Report).await;
    let kinds: Vec<_> = found.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, [Kind::BlobReferencedAlone; 2]);
    assert_eq!(left(&ground.world).await, []);
}

#[tokio::test]
async fn a_long_list_is_walked_step_by_step() {
    let ground = ground().await;
    let ghosts = (0..2_000).map(|number| format!("ghost-{number:04}"));
    let listed: Vec<_> = ghosts.map(|tag| Mutation::AddMember(keys::tags(ground.id), tag.into())).collect();
    damaged(&ground, &listed).await;

    let step = ground.world.check(None, Mending::Report, &Actor::operator()).await.unwrap();
    assert!(step.next.is_some() && step.findings.len() < 1_000, "no step says it all");
    assert_eq!(walked(&ground.world, Mending::Report).await.0.len(), 2_000);
    assert_eq!(left(&ground.world).await, []);
}
