//! What logging in costs, and what it gives away: tokens beside the hash of a password, wrong passwords of users that
//! there are and that there are not, and requests that bring a token which was verified before.

use std::{
    io,
    path::Path,
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Value;

use crate::{
    http::{Body, Client, Request},
    load,
    servers::{PASSWORD, PasswordCost, Server},
};

/// Users whose passwords are guessed, each so often that nobody is throttled.
const USERS: usize = 50;
const GUESSES: usize = 8;
const TOKENS: usize = 501;
const LOGINS: usize = 51;
const LOADS: usize = 5;
const JSON: &str = "application/json";

/// Measures, and prints.
pub(crate) fn measure(under: &Path) -> io::Result<()> {
    let server = Server::start_bucket(under, PasswordCost::AsShipped)?;
    let mut client = Client::connect(server.address)?;

    let hash = median((0..LOGINS).map(|_| token(&mut client, &basic("admin", PASSWORD))).collect())?;
    let secret = access_token(&mut client)?;
    let issued = median((0..TOKENS).map(|_| token(&mut client, &basic("admin", &secret))).collect())?;
    println!("token for a password            {:8.2} ms", millis(hash));
    println!("token for an access token       {:8.2} ms", millis(issued));

    let (known, unknown) = guessed(&mut client)?;
    let apart = 100.0 * (millis(known) - millis(unknown)).abs() / millis(hash);
    println!("wrong password, user known      {:8.2} ms", millis(known));
    println!("wrong password, user unknown    {:8.2} ms", millis(unknown));
    println!("the difference                  {apart:8.2} % of a login ({} pairs)", USERS * GUESSES);

    let (known, without) = requests(&server)?;
    println!("GET /v2/ with a known token     {known:8.1} µs of CPU, all of the request");
    println!("GET of the keys, without one    {without:8.1} µs of CPU, all of the request");
    println!("what the token adds             {:8.1} µs of CPU", known - without);
    Ok(())
}

/// What a request costs that brings a token which was verified before, and one that needs none and is answered from
/// memory too (µs of CPU, medians of alternating loads).
fn requests(server: &Server) -> io::Result<(f64, f64)> {
    let bearer = server.authorization(crate::scenarios::REPOSITORY)?;
    let (mut known, mut without) = (Vec::new(), Vec::new());
    for _ in 0..LOADS {
        known.push(load::get(server, "/v2/", &bearer)?.cpu_micros);
        without.push(load::get(server, "/.well-known/jwks.json", "")?.cpu_micros);
    }
    let [known, without] = [known, without].map(|mut costs| {
        costs.sort_unstable_by(f64::total_cmp);
        costs.get(costs.len() / 2).copied().unwrap_or_default()
    });
    Ok((known, without))
}

/// How long a token takes.
fn token(client: &mut Client, authorization: &str) -> io::Result<Duration> {
    let began = Instant::now();
    client.expect(200, &Request::new("GET", "/token?service=bucket", authorization))?;
    Ok(began.elapsed())
}

fn access_token(client: &mut Client) -> io::Result<String> {
    let wanted = br#"{"label":"bench","actions":["pull"]}"#;
    let request = Request::new("POST", "/api/v1/tokens", &basic("admin", PASSWORD));
    let (_, body) = client.read(&request.with(JSON, Body::Bytes(wanted)))?;
    let answer: Value = serde_json::from_slice(&body)?;
    let secret = answer["secret"].as_str().ok_or_else(|| io::Error::other(format!("no secret: {answer}")))?;
    Ok(secret.to_owned())
}

/// How long wrong passwords take: of users that there are, and of users that there are not, in turn.
fn guessed(client: &mut Client) -> io::Result<(Duration, Duration)> {
    for user in 0..USERS {
        let wanted = format!(r#"{{"name":"user-{user:03}","password":"a long password of a benchmark"}}"#);
        let request = Request::new("POST", "/api/v1/users", &basic("admin", PASSWORD));
        client.expect(201, &request.with(JSON, Body::Bytes(wanted.as_bytes())))?;
    }

    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for pair in 0..USERS * GUESSES {
        let user = pair % USERS;
        known.push(refused(client, &format!("user-{user:03}"), pair));
        unknown.push(refused(client, &format!("none-{user:03}"), pair));
    }
    Ok((median(known)?, median(unknown)?))
}

fn refused(client: &mut Client, user: &str, number: usize) -> io::Result<Duration> {
    // Each from an address of its own, which a proxy on this machine is believed.
    let from = format!("X-Forwarded-For: 10.{}.{}.{}\r\n", number / 200, number % 200, 1 + user.len());
    let headers = format!("{}{from}", basic(user, "a wrong password of a benchmark"));
    let began = Instant::now();
    client.expect(401, &Request::new("GET", "/token?service=bucket", &headers))?;
    Ok(began.elapsed())
}

fn basic(user: &str, password: &str) -> String {
    format!("Authorization: Basic {}\r\n", BASE64_STANDARD.encode(format!("{user}:{password}")))
}

fn median(took: Vec<io::Result<Duration>>) -> io::Result<Duration> {
    let mut took = took.into_iter().collect::<io::Result<Vec<_>>>()?;
    took.sort_unstable();
    Ok(took.get(took.len() / 2).copied().unwrap_or_default())
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
