//! What every implementation of `Rules` does, as tests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this module is a test"
)]

use std::time::Duration;

use oci::{Digest, Need, Needed, Reference, RepositoryName, Tag};
use serde_json::json;
use tokio::join;

use super::{Preview, RuleSet, RulesOf};
use crate::metadata::{
    Actor, More, PageRequest, RepositoryError,
    accounts::Role,
    reclaim::{
        Retained,
        suite::{image, put},
    },
    repositories::{Expected, NewManifest, Restore},
    uploads::suite::world::{World, digest, repository},
};

/// All cases.
///
/// # Panics
/// If the implementation does not do what the contract says.
pub async fn run(world: World) {
    rules_are_kept_where_they_were_made(&world).await;
    an_immutable_tag_neither_moves_nor_goes(&world).await;
    one_immutable_tag_among_many_keeps_all(&world).await;
    what_is_excepted_moves(&world).await;
    the_own_rules_hold_instead_of_those_of_the_namespace(&world).await;
    no_push_passes_a_rule_that_was_made_before_it_ended(&world).await;
    tags_go_as_rules_say_and_can_be_brought_back(&world).await;
    what_is_pulled_of_late_stays(&world).await;
    what_is_tagged_otherwise_or_part_of_an_index_stays(&world).await;
    the_walk_over_many_tags_goes_on_where_it_stopped(&world).await;
    a_manifest_without_a_tag_goes_when_its_time_has_come(&world).await;
    the_time_without_a_tag_begins_with_the_last_that_was_lost(&world).await;
    what_a_tag_an_index_or_a_subject_keeps_stays(&world).await;
    what_belongs_to_a_manifest_without_a_tag_follows_it(&world).await;
}

fn rules(value: serde_json::Value) -> RuleSet {
    serde_json::from_value(value).unwrap()
}

async fn make(world: &World, of: &str, value: serde_json::Value) {
    world.rules.put_rules(&of.parse().unwrap(), Some(&rules(value)), &Actor::service()).await.unwrap();
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

/// A repository in which `v1` names the first of two images.
struct Two {
    actor: Actor,
    name: RepositoryName,
    old: NewManifest,
    new: NewManifest,
}

async fn two(world: &World, namespace: &str) -> Two {
    let actor = world.user(namespace, Role::User).await;
    let name = repository(&format!("{namespace}/app"));
    let blob = world.push_blob(&name, &format!("{namespace}, content"), &actor).await;
    let [old, new] = [1, 2].map(|number| image(&name, &format!("{namespace} {number}"), &blob, &["v1"]));
    put(world, &old, &actor).await;
    Two { actor, name, old, new }
}

impl Two {
    async fn push(&self, world: &World, manifest: &NewManifest) -> Result<(), RepositoryError> {
        world.repositories.put_manifest(manifest, &self.actor).await
    }

    async fn delete(&self, world: &World, reference: Reference) -> Result<(), RepositoryError> {
        world.repositories.delete_manifest(&self.name, &reference, &Expected::Anything, &self.actor).await
    }

    async fn named(&self, world: &World, text: &str) -> Digest {
        world.repositories.manifest(&self.name, &Reference::Tag(tag(text))).await.unwrap().digest
    }

    fn refusal(&self, rule: &str) -> RepositoryError {
        let current = self.old.digest.clone();
        RepositoryError::TagImmutable { tag: tag("v1"), current, rule: rule.parse().unwrap() }
    }
}

async fn rules_are_kept_where_they_were_made(world: &World) {
    world.user("ru-kept", Role::User).await;
    let of: RulesOf = "ru-kept".parse().unwrap();
    assert_eq!(world.rules.rules(&of).await.unwrap(), None);

    let some = rules(json!({
        "immutable": [{ "tags": "v*", "except": ["*-rc*"] }, { "tags": "stable" }],
        "retain": [{ "tags": "ci-*", "keep_last": 3, "within": "48h", "pulled_within": "30d" }],
    }));
    for _ in 0..2 {
        world.rules.put_rules(&of, Some(&some), &Actor::service()).await.unwrap();
    }
    assert_eq!(world.rules.rules(&of).await.unwrap(), Some(some));
    world.rules.put_rules(&of, None, &Actor::service()).await.unwrap();
    assert_eq!(world.rules.rules(&of).await.unwrap(), None);

    let nobody = world.rules.rules(&"ru-nobody".parse().unwrap()).await.unwrap_err();
    assert_eq!(nobody, RepositoryError::NamespaceUnknown { namespace: "ru-nobody".parse().unwrap() });
    let nowhere =
        world.rules.put_rules(&"ru-kept/none".parse().unwrap(), None, &Actor::service()).await.unwrap_err();
    assert_eq!(nowhere, RepositoryError::NameUnknown { repository: repository("ru-kept/none") });
}

async fn an_immutable_tag_neither_moves_nor_goes(world: &World) {
    let two = two(world, "ru-fixed").await;
    make(world, "ru-fixed/app", json!({ "immutable": [{ "tags": "v*" }] })).await;
    let refusal = two.refusal("v*");

    assert_eq!(two.push(world, &two.new).await.unwrap_err(), refusal);
    assert_eq!(two.delete(world, Reference::Tag(tag("v1"))).await.unwrap_err(), refusal);
    assert_eq!(two.delete(world, Reference::Digest(two.old.digest.clone())).await.unwrap_err(), refusal);
    assert_eq!(two.named(world, "v1").await, two.old.digest);

    // What changes nothing is done, and so is what makes a tag.
    two.push(world, &two.old).await.unwrap();
    two.push(world, &NewManifest { tags: vec![tag("v2"), tag("latest")], ..two.new.clone() }).await.unwrap();
    let back = Restore {
        repository: two.name.clone(),
        what: Reference::Tag(tag("v1")),
        to: Some(digest("ru-fixed 2")),
    };
    assert_eq!(world.repositories.restore(&back, &two.actor).await.unwrap_err(), refusal);
    // All or nothing: a tag that may move does not, when one that may not is moved with it.
    let both = NewManifest { tags: vec![tag("latest"), tag("v2")], ..two.old.clone() };
    two.push(world, &both).await.unwrap_err();
    assert_eq!(two.named(world, "latest").await, two.new.digest);
}

async fn one_immutable_tag_among_many_keeps_all(world: &World) {
    let two = two(world, "ru-last").await;
    make(world, "ru-last/app", json!({ "immutable": [{ "tags": "v*" }] })).await;
    for hundred in 0..6 {
        let tags = (0..100).map(|number| tag(&format!("a-{hundred}{number:02}"))).collect();
        two.push(world, &NewManifest { tags, ..two.old.clone() }).await.unwrap();
    }

    let refused = two.delete(world, Reference::Digest(two.old.digest.clone())).await.unwrap_err();
    assert_eq!(refused, two.refusal("v*"));
    assert_eq!(all_tags(world, &two.name).await.len(), 601, "nothing went before the refusal");
}

async fn what_is_excepted_moves(world: &World) {
    let two = two(world, "ru-except").await;
    let of = "ru-except/app";
    make(world, of, json!({ "immutable": [{ "tags": "*", "except": ["latest", "v?"] }, { "tags": "v2" }] }))
        .await;

    two.push(world, &two.new).await.unwrap();
    assert_eq!(two.named(world, "v1").await, two.new.digest);
    two.delete(world, Reference::Tag(tag("v1"))).await.unwrap();
}

async fn the_own_rules_hold_instead_of_those_of_the_namespace(world: &World) {
    let two = two(world, "ru-inherit").await;
    make(world, "ru-inherit", json!({ "immutable": [{ "tags": "*" }] })).await;
    assert_eq!(two.push(world, &two.new).await.unwrap_err(), two.refusal("*"));

    make(world, "ru-inherit/app", json!({})).await;
    two.push(world, &two.new).await.unwrap();
    world.rules.put_rules(&"ru-inherit/app".parse().unwrap(), None, &Actor::service()).await.unwrap();
    two.push(world, &two.old).await.unwrap_err();
}

async fn no_push_passes_a_rule_that_was_made_before_it_ended(world: &World) {
    let two = two(world, "ru-race").await;
    let of: RulesOf = "ru-race/app".parse().unwrap();
    let fixed = rules(json!({ "immutable": [{ "tags": "v1" }] }));

    for round in 0..16 {
        world.rules.put_rules(&of, None, &Actor::service()).await.unwrap();
        let pushed = if round % 2 == 0 { &two.new } else { &two.old };
        let named_under_the_rule = async {
            world.rules.put_rules(&of, Some(&fixed), &Actor::service()).await.unwrap();
            two.named(world, "v1").await
        };
        let (outcome, named) = join!(two.push(world, pushed), named_under_the_rule);

        assert_eq!(two.named(world, "v1").await, named, "it moved under the rule: {outcome:?}");
    }
}

const DAY: Duration = Duration::from_hours(24);

/// Until nothing is left that rules let go: how many tags and manifests went, and in how many steps.
async fn retain(world: &World) -> (u64, u64, usize) {
    let (retained, steps) = all_retained(world).await;
    (retained.tags, retained.manifests, steps)
}

/// The same: how many manifests went because they had no tag. Nothing else did.
async fn retain_untagged(world: &World) -> u64 {
    let (retained, _) = all_retained(world).await;
    assert_eq!((retained.tags, retained.manifests), (0, retained.untagged));
    retained.untagged
}

async fn all_retained(world: &World) -> (Retained, usize) {
    let (mut all, mut steps) = (Retained::default(), 0);
    loop {
        let retained = world.reclaim.retain(all.next.as_deref()).await.unwrap();
        all.tags += retained.tags;
        all.manifests += retained.manifests;
        all.untagged += retained.untagged;
        all.next = retained.next;
        steps += 1;
        if all.next.is_none() {
            return (all, steps);
        }
    }
}

const fn nothing() -> Preview {
    Preview { tags: Vec::new(), manifests: 0, untagged: 0, size_bytes: 0, more: More::No }
}

async fn all_tags(world: &World, name: &RepositoryName) -> Vec<String> {
    let page = PageRequest { after: None, limit: 1_000 };
    let tags = world.repositories.tags(name, &page).await.unwrap().entries;
    tags.iter().map(ToString::to_string).collect()
}

async fn is_stored(world: &World, name: &RepositoryName, body: &str) -> bool {
    world.repositories.manifest(name, &Reference::Digest(digest(body))).await.is_ok()
}

async fn tags_go_as_rules_say_and_can_be_brought_back(world: &World) {
    let actor = world.user("ru-ci", Role::User).await;
    let name = repository("ru-ci/app");
    for number in 1..=4 {
        world.clock.advance(DAY);
        let blob = world.push_blob(&name, &format!("ru-ci, content {number}"), &actor).await;
        put(world, &image(&name, &format!("ru-ci {number}"), &blob, &[&format!("ci-{number}")]), &actor)
            .await;
    }
    let tried = rules(json!({ "retain": [{ "tags": "ci-*", "keep_last": 2 }] }));
    let preview = world.rules.preview_rules(&name, Some(&tried)).await.unwrap();
    let (tags, size_bytes) = (vec![tag("ci-2"), tag("ci-1")], 2 * "ru-ci, content 1".len() as u64);
    assert_eq!(preview, Preview { tags, manifests: 2, untagged: 0, size_bytes, more: More::No });
    let in_force = world.rules.preview_rules(&name, None).await.unwrap();
    assert_eq!(in_force, nothing());
    assert_eq!(retain(world).await, (0, 0, 1));

    make(world, "ru-ci", json!({ "retain": [{ "tags": "ci-*", "keep_last": 1, "within": "36h" }] })).await;
    assert_eq!(retain(world).await, (2, 2, 1));
    assert_eq!(all_tags(world, &name).await, ["ci-3", "ci-4"]);
    assert!(!is_stored(world, &name, "ru-ci 1").await && is_stored(world, &name, "ru-ci 3").await);
    world.clock.advance(DAY);
    assert_eq!(retain(world).await, (1, 1, 1), "its time has come");

    world.rules.put_rules(&"ru-ci".parse().unwrap(), None, &Actor::service()).await.unwrap();
    let back = Restore { repository: name.clone(), what: Reference::Digest(digest("ru-ci 1")), to: None };
    world.repositories.restore(&back, &actor).await.unwrap();
    assert_eq!(all_tags(world, &name).await, ["ci-1", "ci-4"]);
}

async fn what_is_pulled_of_late_stays(world: &World) {
    let two = two(world, "ru-pulled").await;
    two.push(world, &NewManifest { tags: vec![tag("v2")], ..two.new.clone() }).await.unwrap();
    make(world, "ru-pulled", json!({ "retain": [{ "tags": "*", "pulled_within": "30d" }] })).await;
    world.clock.advance(DAY * 29);
    assert_eq!(retain(world).await.0, 0);
    world.repositories.pull(&two.name, &Reference::Tag(tag("v2"))).await.unwrap();
    world.clock.advance(DAY * 2);

    let preview = world.rules.preview_rules(&two.name, None).await.unwrap();
    assert_eq!((preview.tags, preview.manifests), (vec![tag("v1")], 1));
    assert_eq!(retain(world).await.0, 1);
    assert_eq!(two.named(world, "v2").await, two.new.digest);
    world.clock.advance(DAY * 29);
    assert_eq!(retain(world).await.0, 1);
    world.rules.put_rules(&"ru-pulled".parse().unwrap(), None, &Actor::service()).await.unwrap();
}

async fn what_is_tagged_otherwise_or_part_of_an_index_stays(world: &World) {
    let actor = world.user("ru-index", Role::User).await;
    let name = repository("ru-index/app");
    let blob = world.push_blob(&name, "ru-index, content", &actor).await;
    put(world, &image(&name, "ru-index, both", &blob, &["old-1", "stable"]), &actor).await;
    put(world, &image(&name, "ru-index, child", &blob, &["old-2"]), &actor).await;
    let child = Need { digest: digest("ru-index, child"), size: 1, what: Needed::Manifest };
    let index = image(&name, "ru-index, index", &blob, &["multi"]);
    put(world, &NewManifest { needs: vec![child], ..index }, &actor).await;

    make(world, "ru-index/app", json!({ "retain": [{ "tags": "old-*", "within": "1h" }] })).await;
    world.clock.advance(DAY);
    assert_eq!(retain(world).await, (2, 0, 1));
    assert_eq!(all_tags(world, &name).await, ["multi", "stable"]);
    assert!(
        is_stored(world, &name, "ru-index, both").await && is_stored(world, &name, "ru-index, child").await
    );

    // The index goes, and what only it has used when it cannot be restored any more.
    make(world, "ru-index/app", json!({ "retain": [{ "tags": "multi", "within": "1h" }] })).await;
    let preview = world.rules.preview_rules(&name, None).await.unwrap();
    assert_eq!(
        (preview.manifests, preview.size_bytes),
        (2, 0),
        "the child with it; its content is used by another"
    );
    assert_eq!(retain(world).await, (1, 1, 1));
    assert!(is_stored(world, &name, "ru-index, child").await);
    world.clock.advance(8 * DAY);
    world.reclaim.unlink(None).await.unwrap();
    assert!(!is_stored(world, &name, "ru-index, child").await);
    assert!(is_stored(world, &name, "ru-index, both").await);
}

async fn the_walk_over_many_tags_goes_on_where_it_stopped(world: &World) {
    let actor = world.user("ru-many", Role::User).await;
    let name = repository("ru-many/app");
    let blob = world.push_blob(&name, "ru-many, content", &actor).await;
    let image = image(&name, "ru-many", &blob, &[]);
    for hundred in 0..45 {
        let tags = (0..100).map(|number| tag(&format!("ci-{:04}", hundred * 100 + number))).collect();
        put(world, &NewManifest { tags, ..image.clone() }, &actor).await;
    }

    make(world, "ru-many/app", json!({ "retain": [{ "tags": "*", "keep_last": 3 }] })).await;
    let (tags, manifests, steps) = retain(world).await;

    assert_eq!((tags, manifests), (4_497, 0));
    assert!(steps > 1, "no step does it all");
    assert_eq!(all_tags(world, &name).await, ["ci-4497", "ci-4498", "ci-4499"]);
}

async fn preview_untagged(world: &World, name: &RepositoryName, within: &str) -> Preview {
    let tried = rules(json!({ "untagged": { "within": within } }));
    world.rules.preview_rules(name, Some(&tried)).await.unwrap()
}

async fn restore(world: &World, name: &RepositoryName, body: &str, actor: &Actor) {
    let what = Reference::Digest(digest(body));
    let back = Restore { repository: name.clone(), what, to: None };
    world.repositories.restore(&back, actor).await.unwrap();
}

async fn a_manifest_without_a_tag_goes_when_its_time_has_come(world: &World) {
    let actor = world.user("ru-none", Role::User).await;
    let name = repository("ru-none/app");
    for (body, tags) in
        [("moved", &["latest"][..]), ("deleted", &["v1"]), ("never", &[]), ("new", &["latest"])]
    {
        let blob = world.push_blob(&name, &format!("ru-none, {body}"), &actor).await;
        put(world, &image(&name, &format!("ru-none {body}"), &blob, tags), &actor).await;
    }
    let v1 = Reference::Tag(tag("v1"));
    world.repositories.delete_manifest(&name, &v1, &Expected::Anything, &actor).await.unwrap();

    world.clock.advance(DAY);
    assert_eq!(preview_untagged(world, &name, "25h").await, nothing());
    let size_bytes =
        ["moved", "deleted", "never"].map(|body| "ru-none, ".len() + body.len()).iter().sum::<usize>() as u64;
    let expected = Preview { manifests: 3, untagged: 3, size_bytes, ..nothing() };
    assert_eq!(preview_untagged(world, &name, "24h").await, expected);
    assert_eq!(retain_untagged(world).await, 0, "no rule is in force");

    make(world, "ru-none", json!({ "untagged": { "within": "1d" } })).await;
    assert_eq!(retain_untagged(world).await, 3);
    assert!(!is_stored(world, &name, "ru-none never").await && is_stored(world, &name, "ru-none new").await);

    restore(world, &name, "ru-none never", &actor).await;
    assert_eq!(retain_untagged(world).await, 0, "its time has begun anew");
    assert!(is_stored(world, &name, "ru-none never").await);
    world.clock.advance(DAY);
    assert_eq!(retain_untagged(world).await, 1);
    world.rules.put_rules(&"ru-none".parse().unwrap(), None, &Actor::service()).await.unwrap();
}

async fn the_time_without_a_tag_begins_with_the_last_that_was_lost(world: &World) {
    let actor = world.user("ru-since", Role::User).await;
    let name = repository("ru-since/app");
    let blob = world.push_blob(&name, "ru-since, content", &actor).await;
    let [old, new] = ["old", "new"].map(|body| image(&name, &format!("ru-since {body}"), &blob, &[]));
    let tagged = |manifest: &NewManifest, tags: &[&str]| NewManifest {
        tags: tags.iter().map(|text| tag(text)).collect(),
        ..manifest.clone()
    };
    make(world, "ru-since", json!({ "untagged": { "within": "3d" } })).await;

    put(world, &old, &actor).await;
    world.clock.advance(2 * DAY);
    put(world, &tagged(&old, &["a", "b"]), &actor).await;
    put(world, &tagged(&new, &["a"]), &actor).await;
    world.clock.advance(2 * DAY);
    put(world, &tagged(&new, &["b"]), &actor).await;
    world.clock.advance(2 * DAY);
    assert_eq!(retain_untagged(world).await, 0, "it has had none for two days");

    put(world, &old, &actor).await;
    world.clock.advance(2 * DAY);
    assert_eq!(retain_untagged(world).await, 0, "it has been pushed since");
    world.clock.advance(DAY);
    assert_eq!(retain_untagged(world).await, 1);
    assert!(!is_stored(world, &name, "ru-since old").await && is_stored(world, &name, "ru-since new").await);
}

/// An index with a child and a signature, of which only the index has a tag.
async fn put_signed_index(world: &World, name: &RepositoryName, actor: &Actor) {
    let namespace = name.namespace();
    let blob = world.push_blob(name, &format!("{namespace}, content"), actor).await;
    let [child, index, signature] =
        ["child", "index", "signature"].map(|body| image(name, &format!("{namespace} {body}"), &blob, &[]));
    put(world, &child, actor).await;
    let needs = vec![Need { digest: child.digest, size: 1, what: Needed::Manifest }];
    put(world, &NewManifest { needs, tags: vec![tag("v1"), tag("latest")], ..index.clone() }, actor).await;
    put(world, &NewManifest { subject: Some(index.digest), ..signature }, actor).await;
}

async fn what_a_tag_an_index_or_a_subject_keeps_stays(world: &World) {
    let actor = world.user("ru-kin", Role::User).await;
    let name = repository("ru-kin/app");
    put_signed_index(world, &name, &actor).await;
    let v1 = Reference::Tag(tag("v1"));
    world.repositories.delete_manifest(&name, &v1, &Expected::Anything, &actor).await.unwrap();

    make(world, "ru-kin", json!({ "untagged": { "within": "1h" } })).await;
    for _ in 0..3 {
        world.clock.advance(DAY);
        let in_force = world.rules.preview_rules(&name, None).await.unwrap();
        assert_eq!((in_force, retain_untagged(world).await), (nothing(), 0));
    }
    for body in ["child", "index", "signature"] {
        assert!(is_stored(world, &name, &format!("ru-kin {body}")).await, "{body}");
    }
}

async fn what_belongs_to_a_manifest_without_a_tag_follows_it(world: &World) {
    let actor = world.user("ru-follow", Role::User).await;
    let name = repository("ru-follow/app");
    put_signed_index(world, &name, &actor).await;
    for text in ["v1", "latest"] {
        let reference = Reference::Tag(tag(text));
        world.repositories.delete_manifest(&name, &reference, &Expected::Anything, &actor).await.unwrap();
    }
    let stored = async |body: &str| is_stored(world, &name, &format!("ru-follow {body}")).await;

    make(world, "ru-follow", json!({ "untagged": { "within": "30d" } })).await;
    world.clock.advance(30 * DAY);
    let preview = world.rules.preview_rules(&name, None).await.unwrap();
    assert_eq!((preview.manifests, preview.untagged), (3, 1), "two of them follow");
    assert_eq!(retain_untagged(world).await, 1);
    assert!(!stored("index").await && stored("child").await && stored("signature").await);
    restore(world, &name, "ru-follow index", &actor).await;
    world.clock.advance(30 * DAY);
    assert_eq!(retain_untagged(world).await, 1);

    world.clock.advance(8 * DAY);
    world.reclaim.unlink(None).await.unwrap();
    assert!(!stored("child").await && !stored("signature").await);
}
