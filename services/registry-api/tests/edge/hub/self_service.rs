//! Second factors, addresses, forgotten passwords and invitations: what auth is told, and what is answered.

use proto::auth::IdentityError;
use rstest::rstest;
use serde_json::json;

use crate::{
    accounts::ID,
    self_service::{FACTOR, INVITATION, RECOVERY},
    services::When,
    world::{World, on},
};

fn done(world: &World) -> String {
    std::mem::take(&mut *world.self_service.done.lock().unwrap()).join(", ")
}

#[rstest]
#[case(
    "POST",
    "/user/second-factor/removal",
    r#"{"password":"p","code":"123456"}"#,
    204,
    r#"drop_second_factor ann Some("p") Some("123456")"#
)]
#[case(
    "POST",
    "/user/second-factor/removal",
    r#"{"password":"p"}"#,
    204,
    r#"drop_second_factor ann Some("p") None"#
)]
#[case("DELETE", "/users/bob/second-factor", "", 204, "drop_second_factor bob None None")]
#[case("POST", "/user/email/verification", r#"{"password":"p"}"#, 202, "ask_verification p")]
#[case("POST", "/email/verifications", r#"{"token":"t"}"#, 204, "confirm_email t")]
#[case("POST", "/password-resets", r#"{"account":"ann"}"#, 202, "ask_reset ann")]
#[case("POST", "/password-resets", r#"{"account":"a@x"}"#, 202, "ask_reset a@x")]
#[case(
    "POST",
    "/password-resets/redemptions",
    r#"{"token":"t","new":"good-password"}"#,
    204,
    "reset t good-password"
)]
#[case("DELETE", "/invitations/ID", "", 204, "uninvite None ID")]
#[case("DELETE", "/organizations/devs/invitations/ID", "", 204, r#"uninvite Some("devs") ID"#)]
#[tokio::test]
async fn what_is_done_is_told_to_auth_and_answered_without_a_body(
    #[case] method: &str,
    #[case] path: &str,
    #[case] body: &str,
    #[case] status: u16,
    #[case] expected: &str,
) {
    let world = World::new();
    let answer = world.ask(method, &path.replace("ID", ID), body).await.expect_of_hub(status);
    assert!(answer.body().is_empty());
    assert_eq!(done(&world), expected.replace("ID", ID));
}

#[tokio::test]
async fn a_second_factor_is_shown_once_and_its_recovery_codes_too() {
    let world = World::new();
    let seen = world.ask("GET", "/user/second-factor", "").await.expect_of_hub(200).json();
    assert_eq!(seen, json!({ "active": true, "recovery_codes": 7 }));

    let body = r#"{"password":"good-password"}"#;
    let started = world.ask("POST", "/user/second-factor", body).await.expect_of_hub(200).json();
    assert_eq!(started, json!({ "secret": FACTOR, "url": format!("otpauth://totp/{FACTOR}") }));
    let finished = world.ask("PUT", "/user/second-factor", r#"{"code":"123456"}"#).await;
    assert_eq!(finished.expect_of_hub(200).json(), json!({ "recovery_codes": [RECOVERY] }));
    let expected = "second_factor, start_second_factor good-password, finish_second_factor 123456";
    assert_eq!(done(&world), expected);
}

#[rstest]
#[case("", "sign_in None")]
#[case("{}", "sign_in None")]
#[case(r#"{"code":null}"#, "sign_in None")]
#[case(r#"{"code":"123 456"}"#, r#"sign_in Some("123 456")"#)]
#[tokio::test]
async fn a_code_signs_in_besides(#[case] body: &str, #[case] expected: &str) {
    let world = World::new();
    let _ = world.ask("POST", "/sessions", body).await.expect_of_hub(201);
    assert_eq!(world.identities.done.lock().unwrap().join(", "), expected);
}

#[rstest]
#[case(r#"{"code":1}"#, 422, "field-invalid")]
#[case(r#"{"kode":"123456"}"#, 422, "field-invalid")]
#[case("[]", 422, "field-invalid")]
#[case("{", 400, "no-json")]
#[tokio::test]
async fn what_signs_in_besides_is_read_like_any_body(
    #[case] body: &str,
    #[case] status: u16,
    #[case] kind: &str,
) {
    let world = World::new();
    let _ = world.ask("POST", "/sessions", body).await.expect_problem(status, kind);
    let request = on("POST".parse().unwrap(), "/api/v1/sessions")
        .header("authorization", "Basic YW5uOnNlY3JldC1wYXNzd29yZA==");
    let answer = world.send_as_it_is(request, body.to_owned()).await;
    let _ = answer.expect_problem(415, "media-type");
}

#[rstest]
#[case(IdentityError::SecondFactorNeeded, 401, "second-factor-needed")]
#[case(IdentityError::WrongCode, 401, "wrong-code")]
#[case(IdentityError::AccessTokenNeeded, 401, "access-token-needed")]
#[case(IdentityError::SecondFactorExists, 409, "second-factor-exists")]
#[case(IdentityError::SecondFactorMissing, 409, "second-factor-missing")]
#[case(IdentityError::TicketUnknown, 404, "ticket-unknown")]
#[case(IdentityError::InvitationUnknown, 404, "invitation-unknown")]
#[case(IdentityError::NoMail, 409, "no-mail")]
#[case(IdentityError::NoEmail, 409, "no-email")]
#[case(IdentityError::EmailRefused { why: "it has spaces".to_owned() }, 422, "email-refused")]
#[tokio::test]
async fn what_auth_refuses_is_told(#[case] error: IdentityError, #[case] status: u16, #[case] kind: &str) {
    let world = World::new();
    world.self_service.faults.add("ask_verification", When::Before, error);
    let body = r#"{"password":"p"}"#;
    let answer = world.ask("POST", "/user/email/verification", body).await.expect_problem(status, kind);
    let challenge = if status == 401 { "Basic realm=\"bucket\"" } else { "" };
    assert_eq!(answer.header("www-authenticate"), challenge);
}

#[tokio::test]
async fn a_mail_to_verify_is_not_asked_for_without_the_password() {
    let world = World::new();
    let path = "/user/email/verification";
    let _ = world.ask("POST", path, "{}").await.expect_problem(422, "field-invalid");
    assert_eq!(done(&world), "");
}

#[tokio::test]
async fn an_invitation_says_its_token_once_or_goes_by_mail() {
    let world = World::new();
    let made = world.ask("POST", "/invitations", "{}").await.expect_of_hub(201);
    assert_eq!(made.header("location"), format!("/api/v1/invitations/{ID}"));
    let document = made.json();
    assert_eq!((&document["token"], &document["by"]), (&INVITATION.into(), &"ann".into()));
    assert_eq!((&document["organization"], &document["role"]), (&json!(null), &json!(null)));

    let body = r#"{"email":"bob@example.com","role":"owner"}"#;
    let made = world.ask("POST", "/organizations/devs/invitations", body).await.expect_of_hub(201);
    assert_eq!(made.header("location"), format!("/api/v1/organizations/devs/invitations/{ID}"));
    let document = made.json();
    assert_eq!(document["token"], json!(null));
    assert_eq!((&document["organization"], &document["role"]), (&"devs".into(), &"owner".into()));

    for path in ["/invitations", "/organizations/devs/invitations"] {
        let listed = world.ask("GET", path, "").await.expect_of_hub(200).json();
        assert_eq!(listed["items"][0]["email"], "bob@example.com");
        assert!(listed["items"][0].get("token").is_none(), "{listed}");
    }
}

#[tokio::test]
async fn an_invitation_signs_up() {
    let world = World::new();
    let body = r#"{"name":"bob","password":"good-password","invitation":"bucket_invitation_00"}"#;
    let _ = world.ask("POST", "/users", body).await.expect_of_hub(201);
    let expected = "sign_up bob good-password  User by bucket_invitation_00";
    assert_eq!(world.identities.done.lock().unwrap().join(", "), expected);
}
