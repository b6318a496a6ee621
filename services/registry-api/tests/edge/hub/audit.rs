//! The audit log: who may see it, what is asked of metadata, and how an entry is told.

use oci::EventId;
use proto::{
    auth::{IdentityError, Subject},
    metadata::{
        AccountError, Actor, Via,
        audit::{Action, Entries, Entry, Target},
    },
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::{accounts::ID, services::When, world::World};

const EVENT: &str = "01JH3KBBBBBBBBBBBBBBBBBBBB";

fn event() -> EventId {
    EVENT.parse().unwrap()
}

fn by_ann() -> Actor {
    Actor {
        subject: Subject::User("ann".parse().unwrap()),
        via: Via::Api,
        address: "192.0.2.7".parse().ok(),
        credential: ID.parse().ok(),
    }
}

fn entry() -> Entry {
    let (namespace, user) = ("devs".parse().ok(), "bob".parse().ok());
    Entry {
        id: event(),
        at: "2030-01-31T12:00:00Z".parse().unwrap(),
        actor: by_ann(),
        action: Action::MemberPut.into(),
        target: Target { namespace, user, to: Some("owner".to_owned()), ..Target::default() },
    }
}

fn deeds(world: &World) -> String {
    let deeds = std::mem::take(&mut *world.identities.deeds.lock().unwrap());
    deeds.iter().map(|deed| format!("{deed:?}")).collect::<Vec<_>>().join(" ")
}

#[rstest]
#[case("/audit", "ManageHub", None)]
#[case("/namespaces/devs/audit", r#"ManageNamespace("devs")"#, Some("devs"))]
#[tokio::test]
async fn a_log_is_for_who_manages_what_it_is_about(
    #[case] path: &str,
    #[case] deed: &str,
    #[case] of: Option<&str>,
) {
    let world = World::new();
    let _ = world.ask("GET", path, "").await.expect_of_hub(200);
    assert_eq!(deeds(&world), deed);
    let asked = world.accounts.asked.lock().unwrap().pop().unwrap();
    assert_eq!((asked.of, asked.limit, asked.after), (of.map(|of| of.parse().unwrap()), 100, None));
    assert_eq!(asked.filter, proto::metadata::audit::Filter::default());

    let hidden = IdentityError::Hidden { what: "user or organization devs".to_owned() };
    world.identities.faults.add("authorize", When::Before, hidden);
    assert_eq!(world.ask("GET", path, "").await.status, 404);
    assert!(world.accounts.asked.lock().unwrap().is_empty(), "nothing is read for who may not see it");
}

#[tokio::test]
async fn an_entry_says_who_did_what_from_where_and_by_which_secret() {
    let world = World::new();
    let nobody = Entry { actor: Actor::operator(), ..entry() };
    let entries = vec![entry(), nobody];
    *world.accounts.log.lock().unwrap() = Entries { entries, next: Some(event()) };

    let answer = world.ask("GET", "/audit?action=member&n=2", "").await.expect_of_hub(200);
    let listed = answer.json();
    let expected = json!({
        "id": EVENT,
        "time": "2030-01-31T12:00:00Z",
        "action": "member.put",
        "actor": { "name": "ann", "via": "api", "address": "192.0.2.7", "credential": ID },
        "target": { "namespace": "devs", "user": "bob", "to": "owner" },
    });
    assert_eq!(listed["items"][0], expected);
    let actor = &listed["items"][1]["actor"];
    assert_eq!(*actor, json!({ "name": null, "via": "operator", "address": null, "credential": null }));

    assert_eq!(listed["next"], EVENT);
    let next = format!("</api/v1/audit?action=member&n=2&cursor={EVENT}>; rel=\"next\"");
    assert_eq!(answer.header("link"), next);
}

#[tokio::test]
async fn filters_and_a_cursor_are_passed_on() {
    let world = World::new();
    let query = format!(
        "action=member.put&actor=devs%2Bci&since=2030-01-31T12:00:00.0004Z&before=2030-02-01T00:00:00Z&cursor={EVENT}&n=7"
    );
    let _ = world.ask("GET", &format!("/namespaces/devs/audit?{query}"), "").await.expect_of_hub(200);
    let asked = world.accounts.asked.lock().unwrap().pop().unwrap();
    assert_eq!((asked.after, asked.limit), (Some(event()), 7));
    assert_eq!(asked.filter.actor, Some(Subject::Robot("devs+ci".parse().unwrap())));
    assert_eq!(asked.filter.action, "member.put".parse().ok());
    // Entries know milliseconds: from a part of one on is from the next one on.
    assert_eq!(asked.filter.since, "2030-01-31T12:00:00.001Z".parse().ok());
    assert_eq!(asked.filter.before, "2030-02-01T00:00:00Z".parse().ok());
}

#[rstest]
#[case("action=Member", "action")]
#[case("action=", "action")]
#[case("action=a.b.c", "action")]
#[case("actor=", "actor")]
#[case("actor=No+Body", "actor")]
#[case("actor=ann&actor=bob", "actor")]
#[case("since=yesterday", "since")]
#[case("before=", "before")]
#[case("cursor=ann", "cursor")]
#[tokio::test]
async fn what_cannot_be_a_filter_is_named(#[case] query: &str, #[case] parameter: &str) {
    let world = World::new();
    let answer = world.ask("GET", &format!("/audit?{query}"), "").await;
    assert_eq!(answer.expect_problem(400, "parameter-invalid").json()["parameter"], Value::from(parameter));
}

#[tokio::test]
async fn there_is_no_log_of_nobody() {
    let world = World::new();
    let unknown = AccountError::OwnerUnknown { name: "devs".parse().unwrap() };
    world.accounts.faults.add("audit_entries", When::Before, unknown);
    assert_eq!(world.ask("GET", "/namespaces/devs/audit", "").await.status, 404);
}
