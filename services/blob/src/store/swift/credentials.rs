//! Showing who asks: a password becomes a token for a time, and the address of an account. It speaks Keystone's version 3 and
//! TempAuth's version 1, and keeps nothing.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use service_kit::exchange::{Answer, Exchange, Method, Request};

use super::{
    config::{Address, Interface, Named, SwiftConfig, User},
    failure::Failure,
};

/// Catalogs of large clouds have some hundred kilobytes.
const LONGEST_ANSWER_BYTES: usize = 4 << 20;

/// How long a token is used of which nobody says when it expires. One that expires earlier is refused, and then renewed.
const UNSAID: Duration = Duration::from_hours(1);

/// What opens an account for a time.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) token: SecretString,
    pub(super) account: Address,
    /// From then on it is better to take another.
    pub(super) renew_at: Timestamp,
}

/// What Keystone says of a token.
#[derive(Deserialize)]
struct Issued {
    token: Issue,
}

#[derive(Deserialize)]
struct Issue {
    expires_at: Timestamp,
    #[serde(default)]
    catalog: Vec<Service>,
}

#[derive(Deserialize)]
struct Service {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    endpoints: Vec<Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    interface: String,
    #[serde(default)]
    region: Option<String>,
    #[serde(default)]
    region_id: Option<String>,
    url: String,
}

/// Shows the user of `config`, once.
pub(super) async fn shown(
    config: &SwiftConfig,
    exchange: &Exchange,
    now: Timestamp,
) -> Result<Session, Failure> {
    let request = match &config.user {
        User::TempAuth { name, password } => temp_auth(&config.auth_url, name, password),
        User::Password { user, password, project } => {
            let mut user = described(user, "domain");
            user["password"] = password.expose_secret().into();
            let identity = json!({ "methods": ["password"], "password": { "user": user } });
            let scope = json!({ "project": described(project, "domain") });
            keystone(&config.auth_url, &json!({ "auth": { "identity": identity, "scope": scope } }))
        }
        User::Application { credential, secret } => {
            let mut credential = described(credential, "user");
            credential["secret"] = secret.expose_secret().into();
            let methods = ["application_credential"];
            let identity = json!({ "methods": methods, "application_credential": credential });
            keystone(&config.auth_url, &json!({ "auth": { "identity": identity } }))
        }
    };

    let answer = exchange.ask(request).await?;
    if !(200..=299).contains(&answer.status()) {
        return Err(refused(config, &answer));
    }
    match &config.user {
        User::TempAuth { .. } => by_headers(config, &answer, now),
        User::Password { .. } | User::Application { .. } => by_catalog(config, answer, now).await,
    }
}

fn temp_auth(at: &Address, name: &str, password: &SecretString) -> Request {
    let headers = vec![("x-auth-user", name.to_owned()), ("x-auth-key", password.expose_secret().to_owned())];
    Request { method: Method::Get, url: at.below(""), headers, body: Vec::new() }
}

fn keystone(at: &Address, who: &Value) -> Request {
    // Of version 3, whether the address says so or not.
    let version = if at.path.ends_with("/v3") { "" } else { "/v3" };
    let headers =
        vec![("accept", "application/json".to_owned()), ("content-type", "application/json".to_owned())];
    let body = vec![Bytes::from(who.to_string())];
    Request { method: Method::Post, url: at.below(&format!("{version}/auth/tokens")), headers, body }
}

/// How Keystone is told of `named`, which is unique within its `owner`.
fn described(named: &Named, owner: &str) -> Value {
    match named {
        Named::Id(id) => json!({ "id": id }),
        Named::Called(name, None) => json!({ "name": name }),
        Named::Called(name, Some(within)) => {
            let mut described = json!({ "name": name });
            described[owner] = self::described(within, "domain");
            described
        }
    }
}

fn refused(config: &SwiftConfig, answer: &Answer) -> Failure {
    let temp_auth = matches!(config.user, User::TempAuth { .. });
    let said = match answer.status() {
        401 | 403 if temp_auth => {
            "Swift refuses the user: see whether the account, the name and the password are right"
        }
        401 | 403 => {
            "Keystone refuses the user: see whether its name, its domain, its password and the project with its domain \
             are right, and whether it has a role in the project"
        }
        404 | 405 if temp_auth => "there is nobody to ask at `auth_url`; of TempAuth it ends with /auth/v1.0",
        404 | 405 => "there is no Keystone of version 3 at `auth_url`",
        _ => return Failure::answered(answer),
    };
    Failure::Refused(said.to_owned())
}

fn by_headers(config: &SwiftConfig, answer: &Answer, now: Timestamp) -> Result<Session, Failure> {
    let token = required(answer, "x-auth-token")?;
    let account = match &config.storage_url {
        Some(account) => account.clone(),
        None => address(required(answer, "x-storage-url")?)?,
    };
    let lifetime = answer.header("x-auth-token-expires").and_then(|text| text.parse().ok());
    let lifetime = lifetime.map_or(UNSAID, Duration::from_secs);
    let expires = now.saturating_add(lifetime).unwrap_or(now);
    Ok(Session { token: token.into(), account, renew_at: renewal(now, expires) })
}

async fn by_catalog(config: &SwiftConfig, answer: Answer, now: Timestamp) -> Result<Session, Failure> {
    let token = SecretString::from(required(&answer, "x-subject-token")?);
    let body = answer.body(LONGEST_ANSWER_BYTES).await?;
    let issued: Issued = serde_json::from_slice(&body).map_err(|_| {
        Failure::Refused("Keystone answered something that is no token of version 3".to_owned())
    })?;

    let account = match &config.storage_url {
        Some(account) => account.clone(),
        None => address(found(config, &issued.token.catalog)?)?,
    };
    Ok(Session { token, account, renew_at: renewal(now, issued.token.expires_at) })
}

/// The address of the account in the catalog.
fn found<'a>(config: &SwiftConfig, catalog: &'a [Service]) -> Result<&'a str, Failure> {
    let interface = match config.interface {
        Interface::Public => "public",
        Interface::Internal => "internal",
        Interface::Admin => "admin",
    };
    let stores = catalog.iter().filter(|service| service.kind == "object-store");
    let endpoints: Vec<&Endpoint> = stores.flat_map(|service| &service.endpoints).collect();
    let wanted = |endpoint: &&&Endpoint| {
        let regions = [&endpoint.region_id, &endpoint.region];
        let here = config.region.is_none() || regions.contains(&&config.region);
        endpoint.interface == interface && here
    };
    if let Some(endpoint) = endpoints.iter().find(wanted) {
        return Ok(&endpoint.url);
    }

    let known: Vec<String> = endpoints
        .iter()
        .map(|endpoint| {
            format!("{} in {}", endpoint.interface, endpoint.region.as_deref().unwrap_or("no region"))
        })
        .collect();
    let known = if known.is_empty() { "no object store at all".to_owned() } else { known.join(", ") };
    let region = config.region.as_deref().unwrap_or("any region");
    Err(Failure::Refused(format!(
        "the catalog of Keystone has no {interface} object store in {region}, but {known}; see `region` and `interface`, \
         or say `storage_url`"
    )))
}

fn address(text: &str) -> Result<Address, Failure> {
    let address = Address::try_from(text.to_owned());
    address.map_err(|error| Failure::Refused(format!("the address of the account cannot be used: {error}")))
}

fn required<'a>(answer: &'a Answer, header: &'static str) -> Result<&'a str, Failure> {
    let found = answer.header(header);
    found.ok_or_else(|| Failure::Refused(format!("whoever answers at `auth_url` gives no {header}")))
}

/// When three quarters of what is left have passed: early enough for the longest request, of tokens that live for hours.
fn renewal(now: Timestamp, expires: Timestamp) -> Timestamp {
    let left = expires.duration_since(now);
    expires.saturating_sub(left / 4).unwrap_or(now)
}
