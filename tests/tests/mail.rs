//! Mail through a real SMTP server: addresses that are verified, passwords that are forgotten, invitations.

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use tests::{
    Hub, Service, Topology,
    api::Api,
    hub::Options,
    mailbox::Mailbox,
    raw::{Answer, Raw, read},
};

const PASSWORD: &str = "another long password";

fn hub(topology: Topology) -> Hub {
    Hub::start_with(topology, Options { mail: Some(Mailbox::listens_at()), ..Options::default() })
}

/// Asks on behalf of nobody.
async fn post(hub: &Hub, path: &str, body: Value) -> Answer {
    let request = hub.raw().anonymous(Method::POST, &format!("/api/v1{path}"));
    read(request.json(&body).send().await.unwrap()).await
}

/// A user whom the administrator has made with an address, and the first letter to it.
async fn ann(hub: &Hub, mailbox: &mut Mailbox) -> (Api, String) {
    let account = json!({ "name": "ann", "password": "the first long password", "email": "ann@example.com" });
    let _ = Api::administrator(hub).post("/users", account).await.expect(201);
    let letter = mailbox.next("ann@example.com").await;
    assert!(letter.text.contains("Auto-Submitted: auto-generated"), "{}", letter.text);
    assert!(letter.text.contains("From: Bucket <bucket@example.com>"), "{}", letter.text);
    let api = Api::administrator(hub).as_somebody("ann", "the first long password");
    (api, letter.token().to_owned())
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn an_address_is_verified_and_a_password_forgotten(#[case] topology: Topology) {
    let (mut mailbox, hub) = (Mailbox::start(), hub(topology));
    let (ann, token) = ann(&hub, &mut mailbox).await;
    assert_eq!(ann.get("/user").await.expect(200).json()["email_verified"], false);
    // Nobody has verified the address: nobody is written to.
    for account in ["ann", "ann@example.com", "nobody", "nobody@example.com"] {
        let answer = post(&hub, "/password-resets", json!({ "account": account })).await.expect(202);
        assert_eq!(answer.body.len(), 0);
    }

    let _ = post(&hub, "/email/verifications", json!({ "token": token })).await.expect(204);
    assert_eq!(ann.get("/user").await.expect(200).json()["email_verified"], true);
    let again = post(&hub, "/email/verifications", json!({ "token": token })).await.expect(404);
    assert_eq!(again.json()["type"], "urn:bucket:problem:ticket-unknown");

    let session = ann.post("/sessions", json!({})).await.expect(201).json();
    let session = ann.as_somebody("", session["secret"].as_str().unwrap());
    let _ = post(&hub, "/password-resets", json!({ "account": "ANN@example.com" })).await.expect(202);
    let letter = mailbox.next("ann@example.com").await;
    assert!(letter.text.contains("Subject: Choose another password"), "{}", letter.text);
    let reset = json!({ "token": letter.token(), "new": PASSWORD });
    let _ = post(&hub, "/password-resets/redemptions", reset.clone()).await.expect(204);

    let _ = session.get("/user").await.expect(401);
    let _ = ann.get("/user").await.expect(401);
    let _ = ann.as_somebody("ann", PASSWORD).get("/user").await.expect(200);
    let _ = post(&hub, "/password-resets/redemptions", reset).await.expect(404);
    assert_eq!(mailbox.unread(), 0);
}

#[tokio::test]
async fn another_address_is_to_be_verified_again() {
    let (mut mailbox, hub) = (Mailbox::start(), hub(Topology::OneProcess));
    let (ann, token) = ann(&hub, &mut mailbox).await;
    let _ = post(&hub, "/email/verifications", json!({ "token": token })).await.expect(204);

    let _ = ann.patch("/users/ann", json!({ "email": "ann@example.org" })).await.expect(204);
    assert_eq!(ann.get("/user").await.expect(200).json()["email_verified"], false);
    let wrong = ann.post("/user/email/verification", json!({ "password": PASSWORD })).await.expect(401);
    assert_eq!(wrong.json()["type"], "urn:bucket:problem:wrong-credentials");
    let asked = json!({ "password": ann.secret() });
    let _ = ann.post("/user/email/verification", asked).await.expect(202);
    let letter = mailbox.next("ann@example.org").await;
    let _ = post(&hub, "/email/verifications", json!({ "token": letter.token() })).await.expect(204);
    assert_eq!(ann.get("/user").await.expect(200).json()["email_verified"], true);
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn who_is_invited_by_mail_signs_up_though_the_hub_is_closed(#[case] topology: Topology) {
    let (mut mailbox, hub) = (Mailbox::start(), hub(topology));
    let administrator = Api::administrator(&hub);
    let made = administrator.post("/invitations", json!({ "email": "bob@example.com" })).await.expect(201);
    assert_eq!(made.json()["token"], Value::Null);
    let token = mailbox.next("bob@example.com").await.token().to_owned();

    let account = json!({ "name": "bob", "password": PASSWORD });
    let closed = post(&hub, "/users", account.clone()).await.expect(403);
    assert_eq!(closed.json()["type"], "urn:bucket:problem:sign-up-closed");
    let mut invited = account;
    invited["invitation"] = token.into();
    let _ = post(&hub, "/users", invited.clone()).await.expect(201);
    invited["name"] = "cid".into();
    let _ = post(&hub, "/users", invited).await.expect(404);
    assert_eq!(administrator.get("/invitations").await.expect(200).json()["items"], json!([]));
    let _ = administrator.as_somebody("bob", PASSWORD).get("/user").await.expect(200);
}

#[tokio::test]
async fn owners_invite_into_their_organization_where_the_hub_lets_them() {
    let environment = vec![("BUCKET_ACCOUNTS__SIGN_UP".to_owned(), "invitation".to_owned())];
    let hub = Hub::start_with(Topology::OneProcess, Options { environment, ..Options::default() });
    let ann = Api::new_user(&hub, "ann").await;
    let _ = ann.post("/organizations", json!({ "name": "acme" })).await.expect(201);
    let _ = ann.post("/invitations", json!({})).await.expect(403);

    let made = ann.post("/organizations/acme/invitations", json!({})).await.expect(201).json();
    let listed = ann.get("/organizations/acme/invitations").await.expect(200).json();
    assert_eq!(listed["items"][0]["id"], made["id"]);
    let account = |name: &str| json!({ "name": name, "password": PASSWORD, "invitation": made["token"] });
    // Of two who try at once, one is let in.
    let (bob, cid) = tokio::join!(post(&hub, "/users", account("bob")), post(&hub, "/users", account("cid")));
    let mut statuses = [bob.status.as_u16(), cid.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 404]);
    let members = ann.get("/organizations/acme/members").await.expect(200).json();
    assert_eq!(members["items"].as_array().unwrap().len(), 2, "{members}");

    let late =
        ann.post("/organizations/acme/invitations", json!({ "role": "owner" })).await.expect(201).json();
    let id = late["id"].as_str().unwrap();
    let _ = ann.delete(&format!("/organizations/acme/invitations/{id}")).await.expect(204);
    let account = json!({ "name": "dan", "password": PASSWORD, "invitation": late["token"] });
    let _ = post(&hub, "/users", account).await.expect(404);
}

/// Sends the form of a page, as a browser does.
async fn form(raw: &Raw, path: &str, fields: &[(&str, &str)]) -> String {
    let page = read(raw.anonymous(Method::GET, path).send().await.unwrap()).await.expect(200);
    assert!(page.header("content-security-policy").contains("script-src 'self'"), "{page:?}");
    let answer = read(raw.anonymous(Method::POST, path).form(fields).send().await.unwrap()).await;
    assert!(answer.header("content-type").starts_with("text/html"), "{answer:?}");
    String::from_utf8(answer.body.to_vec()).unwrap()
}

#[tokio::test]
async fn the_links_in_mails_lead_to_pages_that_do_it() {
    for (topology, ui) in [(Topology::OneProcess, Service::Bucket), (Topology::FiveServices, Service::Ui)] {
        let (mut mailbox, hub) = (Mailbox::start(), hub(topology));
        let browser = Raw::new(&format!("http://{}", ui.listens_at()));
        let script = read(browser.anonymous(Method::GET, "/assets/letter.js").send().await.unwrap()).await;
        assert!(script.expect(200).header("content-type").starts_with("text/javascript"));
        let (ann, token) = ann(&hub, &mut mailbox).await;

        let page = form(&browser, "/verify-email", &[("token", &token)]).await;
        assert!(page.contains("Your e-mail address is confirmed"), "{page}");
        let page = form(&browser, "/verify-email", &[("token", &token)]).await;
        assert!(page.contains("this link was used"), "{page}");
        let page = form(&browser, "/verify-email", &[("tocken", &token)]).await;
        assert!(page.contains("could not be read"), "{page}");

        let _ = post(&hub, "/password-resets", json!({ "account": "ann" })).await.expect(202);
        let token = mailbox.next("ann@example.com").await.token().to_owned();
        let page = form(&browser, "/reset-password", &[("token", &token), ("password", "short")]).await;
        assert!(page.contains("fewer than 10 characters"), "{page}");
        let page = form(&browser, "/reset-password", &[("token", &token), ("password", PASSWORD)]).await;
        assert!(page.contains("Your password is changed"), "{page}");
        let _ = ann.as_somebody("ann", PASSWORD).get("/user").await.expect(200);

        let invitation = json!({ "email": "bob@example.com" });
        let _ = Api::administrator(&hub).post("/invitations", invitation).await.expect(201);
        let token = mailbox.next("bob@example.com").await.token().to_owned();
        let fields = [("token", token.as_str()), ("name", "bob"), ("password", PASSWORD)];
        assert!(form(&browser, "/sign-up", &fields).await.contains("Your account is made"));
        assert!(form(&browser, "/sign-up", &fields).await.contains("this invitation was used"));
        let _ = ann.as_somebody("bob", PASSWORD).get("/user").await.expect(200);
    }
}

#[tokio::test]
async fn without_a_server_no_mail_is_promised() {
    let hub = Hub::start(Topology::OneProcess);
    let refused = post(&hub, "/password-resets", json!({ "account": "ann" })).await.expect(409);
    assert_eq!(refused.json()["type"], "urn:bucket:problem:no-mail");
}
