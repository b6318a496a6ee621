//! What was revoked, and the tokens that it ends before their time.

use std::time::Duration;

use axum::body::Body;
use http::{Method, header};
use oci::EventId;
use proto::{
    auth::{Claims, IdentityError, Subject},
    metadata::credentials::{Revocation, Revoked},
};
use rstest::rstest;
use service_kit::clock::Clock as _;

use crate::{
    accounts::id,
    services::When,
    world::{Answer, PULL, PUSH, World, get, on},
};

const TAGS: &str = "/v2/ann/app/tags/list";

fn event(number: usize) -> EventId {
    format!("{number:026}").parse().unwrap()
}

impl World {
    /// Revokes now, without telling anybody.
    fn revoke(&self, what: Revoked) {
        let mut revoked = self.identities.revoked.lock().unwrap();
        let id = event(revoked.len());
        revoked.push(Revocation { id, at: self.clock.now(), what });
    }

    async fn tags(&self, token: &str) -> Answer {
        self.bearing(Method::GET, TAGS, token).await
    }

    async fn bearing(&self, method: Method, path: &str, token: &str) -> Answer {
        let request = on(method, path).header(header::AUTHORIZATION, format!("Bearer {token}"));
        self.send_as_it_is(request, Body::empty()).await
    }
}

/// As much time as there is between two reads.
async fn a_read() {
    tokio::time::sleep(Duration::from_secs(5)).await;
    tokio::task::yield_now().await;
}

fn ann() -> Revoked {
    Revoked::Subject(Subject::User("ann".parse().unwrap()))
}

#[tokio::test(start_paused = true)]
async fn a_subject_that_is_revoked_ends_its_tokens_and_no_others() {
    let world = World::new();
    let (token, of_bob) = (world.token(&[PULL]), world.signer.sign(&world.claims("bob", &[PULL])));
    let nobodys = world.signer.sign(&world.claims("", &[PULL]));
    let _ = world.tags(&token).await.expect(200);

    world.revoke(ann());
    a_read().await;

    let refused = world.tags(&token).await.expect_error(401, "UNAUTHORIZED");
    assert!(refused.header("www-authenticate").ends_with("error=\"invalid_token\""));
    let _ = world.tags(&of_bob).await.expect(200);
    let _ = world.tags(&nobodys).await.expect(200);
}

#[tokio::test(start_paused = true)]
async fn a_credential_that_is_revoked_ends_the_tokens_that_were_given_for_it() {
    let world = World::new();
    let by_password = world.token(&[PULL]);
    let claims = Claims { cid: Some(id()), ..world.claims("ann", &[PULL]) };
    let by_credential = world.signer.sign(&claims);
    let _ = world.tags(&by_credential).await.expect(200);

    world.revoke(Revoked::Credential(id()));
    a_read().await;

    let _ = world.tags(&by_credential).await.expect_error(401, "UNAUTHORIZED");
    let _ = world.tags(&by_password).await.expect(200);
}

#[rstest]
#[case(0, 401)]
#[case(1, 200)]
#[tokio::test(start_paused = true)]
async fn a_token_of_the_same_second_is_refused_and_one_of_the_next_is_not(
    #[case] seconds: u64,
    #[case] status: u16,
) {
    let world = World::new();
    world.clock.advance(Duration::from_millis(900));
    world.revoke(ann());
    a_read().await;

    world.pass(seconds);
    let token = world.token(&[PULL]);
    let _ = world.tags(&token).await.expect(status);
}

#[tokio::test(start_paused = true)]
async fn the_latest_of_several_revocations_counts() {
    let world = World::new();
    let revocation = |at, number| {
        world.identities.revoked.lock().unwrap().push(Revocation { id: event(number), at, what: ann() });
    };
    let now = world.clock.now();
    revocation(now + Duration::from_secs(10), 1);
    revocation(now + Duration::from_secs(2), 2);
    world.pass(5);
    let token = world.token(&[PULL]);
    a_read().await;
    let _ = world.tags(&token).await.expect(401);
}

#[tokio::test(start_paused = true)]
async fn a_session_does_not_outlive_a_token_that_was_revoked() {
    let world = World::new();
    let location = world.open_upload(b"").await;
    let token = world.token(&[PUSH]);
    world.revoke(ann());
    a_read().await;

    world.pass(3_600);
    let _ = world.bearing(Method::GET, &location, &token).await.expect_error(401, "UNAUTHORIZED");
    // Nor when everybody else has forgotten the revocation.
    world.identities.revoked.lock().unwrap().clear();
    a_read().await;
    world.pass(3_600);
    a_read().await;
    let _ = world.bearing(Method::GET, &location, &token).await.expect_error(401, "UNAUTHORIZED");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_has_expired_a_day_ago_goes_on_with_no_session_however_new() {
    let world = World::new();
    let old = world.token(&[PUSH]);
    world.pass(24 * 3_600);
    *world.uploads.session.lock().unwrap() = None;
    let location = world.open_upload(b"").await;
    world.uploads.session.lock().unwrap().as_mut().unwrap().started = world.clock.now();

    let _ = world.bearing(Method::GET, &location, &old).await.expect(204);
    world.pass(300);
    let _ = world.bearing(Method::GET, &location, &old).await.expect_error(401, "UNAUTHORIZED");
}

#[tokio::test(start_paused = true)]
async fn a_read_that_fails_keeps_what_is_known_and_the_next_goes_on() {
    let world = World::new();
    let (token, of_bob) = (world.token(&[PULL]), world.signer.sign(&world.claims("bob", &[PULL])));
    world.revoke(ann());
    a_read().await;

    let down = IdentityError::Unavailable { attempted: "reading".into() };
    world.identities.faults.add("revocations", When::Before, down);
    world.revoke(Revoked::Subject(Subject::User("bob".parse().unwrap())));
    a_read().await;
    let _ = world.tags(&token).await.expect(401);
    let _ = world.tags(&of_bob).await.expect(200);

    a_read().await;
    let _ = world.tags(&token).await.expect(401);
    let _ = world.tags(&of_bob).await.expect(401);
}

#[tokio::test(start_paused = true)]
async fn what_may_still_become_visible_is_read_again_and_what_is_old_is_not() {
    let world = World::new();
    world.revoke(ann());
    world.pass(29);
    a_read().await;
    world.identities.read_after.lock().unwrap().clear();
    a_read().await;
    assert_eq!(*world.identities.read_after.lock().unwrap(), [None]);

    world.pass(1);
    a_read().await;
    world.identities.read_after.lock().unwrap().clear();
    a_read().await;
    assert_eq!(*world.identities.read_after.lock().unwrap(), [Some(event(0))]);
}

#[tokio::test(start_paused = true)]
async fn more_than_one_answer_tells_is_read_at_once() {
    let world = World::new();
    for _ in 0..1_000 {
        world.revoke(Revoked::Credential(id()));
    }
    world.revoke(ann());
    let token = world.token(&[PULL]);
    a_read().await;
    let _ = world.tags(&token).await.expect(401);
}

#[tokio::test(start_paused = true)]
async fn without_revocations_the_edge_serves_as_before() {
    let world = World::new();
    let down = IdentityError::Unavailable { attempted: "reading".into() };
    world.identities.faults.add("revocations", When::Before, down);
    let _ = world.send(&[PULL], get(TAGS), Body::empty()).await.expect(200);
    assert!(world.process.readiness.ready());
}
