//! Secrets: in the one answer that gives them, and nowhere else.

use std::{
    io,
    sync::{Arc, Mutex},
};

use proto::{
    auth::IdentityError,
    metadata::{AccountError, credentials::Holder},
};
use tracing_subscriber::fmt::MakeWriter;

use crate::{
    accounts::{SECRET, credential},
    self_service::{FACTOR, RECOVERY},
    services::When,
    world::World,
};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

const PASSWORDS: [&str; 7] =
    ["secret-password", "old-password", "new-password", SECRET, FACTOR, RECOVERY, "987654"];

#[tokio::test]
async fn what_is_logged_and_what_is_refused_has_no_secrets() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone());
    let _guard = tracing::subscriber::set_default(subscriber.finish());

    let world = World::new();
    let damaged = IdentityError::Unavailable { attempted: "signing in".into() };
    world.identities.faults.add("sign_in", When::Before, damaged.clone());
    let _ = world.ask("POST", "/sessions", "").await.expect_problem(503, "unavailable");
    world.identities.faults.add("change_password", When::Before, damaged);
    let body = r#"{"old":"old-password","new":"new-password"}"#;
    let refused = world.ask("PUT", "/users/ann/password", body).await.expect_problem(503, "unavailable");
    let body = r#"{"old":"old-password","new":"new-password","newer":"x"}"#;
    let unknown = world.ask("PUT", "/users/ann/password", body).await.expect_problem(422, "field-invalid");
    world.accounts.faults.add("user", When::Before, AccountError::Damaged { what: "x".to_owned() });
    let _ = world.ask("GET", "/user", "").await.expect_problem(500, "internal");
    let _ = world.ask("POST", "/tokens", r#"{"label":"ci","actions":["pull"]}"#).await.expect_of_hub(201);

    let _ =
        world.ask("POST", "/user/second-factor", r#"{"password":"old-password"}"#).await.expect_of_hub(200);
    let _ = world.ask("PUT", "/user/second-factor", r#"{"code":"987654"}"#).await.expect_of_hub(200);

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("a request failed"), "nothing was logged: {log}");
    for secret in PASSWORDS {
        assert!(!log.contains(secret), "{secret} in {log}");
        assert!(!format!("{refused:?} {unknown:?}").contains(secret), "{secret} in {refused:?} {unknown:?}");
    }
}

#[tokio::test]
async fn lists_have_no_secrets_and_locations_neither() {
    let world = World::new();
    *world.accounts.kept.lock().unwrap() = vec![credential(Holder::User("ann".parse().unwrap()))];
    let listed = world.ask("GET", "/tokens", "").await.expect_of_hub(200).json();
    assert!(listed["items"][0].get("secret").is_none(), "{listed}");
    for path in ["/sessions", "/tokens"] {
        let body = if path == "/tokens" { r#"{"label":"ci","actions":["pull"]}"# } else { "" };
        let made = world.ask("POST", path, body).await.expect_of_hub(201);
        assert!(!format!("{:?}", made.headers).contains(SECRET));
    }
}
