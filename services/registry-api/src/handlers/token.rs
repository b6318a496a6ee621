//! The token endpoint: GET with Basic and POST with a form (distribution `docs/content/spec/auth/token.md` and
//! `oauth.md`). Who asks for more than they have gets a token for less. A client that wants to come back without the
//! password gets a refresh token, which `docker login` keeps as its `identitytoken`.

use axum::{body::Body, response::Response};
use http::{
    HeaderValue,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use jiff::Timestamp;
use oci::Scope;
use proto::auth::{Credentials, IssuedToken, Offline, TokenRequest};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use crate::{
    Services,
    asked::{Asked, Query},
    error::{ApiError, GrantError},
    headers::{self, Authorization},
    respond,
};

const LONGEST_FORM_BYTES: usize = 64 * 1024;
const FORM: &str = "application/x-www-form-urlencoded";

#[derive(Serialize)]
struct Answer<'a> {
    // Some clients read the one, some the other.
    token: &'a str,
    access_token: &'a str,
    expires_in: u64,
    issued_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
}

/// A token for who logs in with Basic, or for nobody in particular.
pub(crate) async fn get(services: &Services, asked: &Asked) -> Result<Response, ApiError> {
    let credentials = match headers::authorization(&asked.headers) {
        Authorization::None => None,
        Authorization::Basic(encoded) => Some(headers::credentials(encoded).ok_or(ApiError::MalformedLogin)?),
        Authorization::Bearer(_) | Authorization::Unreadable => return Err(ApiError::MalformedLogin),
    };

    let offline = wanted(asked.query.get("offline_token"), "true");
    let issued = services.auth.token(request(asked, &asked.query, credentials, offline)).await?;
    Ok(answer(&issued, None))
}

/// A token for who logs in with a form.
pub(crate) async fn post(services: &Services, asked: &Asked, body: Body) -> Result<Response, ApiError> {
    let form = read(asked, body).await.map_err(ApiError::Grant)?;
    let (credentials, refresh_token) = granted(&form).map_err(ApiError::Grant)?;

    let offline = wanted(form.get("access_type"), "offline");
    let request = request(asked, &form, Some(credentials), offline);
    let mut issued = services.auth.token(request).await?;
    if offline == Offline::Wanted {
        // Whoever comes back with one keeps it.
        issued.refresh_token = issued.refresh_token.or(refresh_token);
    }
    Ok(answer(&issued, Some(list(&issued.scopes))))
}

fn wanted(given: Option<&str>, word: &str) -> Offline {
    if given == Some(word) { Offline::Wanted } else { Offline::Not }
}

fn request(asked: &Asked, given: &Query, credentials: Option<Credentials>, offline: Offline) -> TokenRequest {
    TokenRequest {
        credentials,
        service: given.get("service").unwrap_or_default().to_owned(),
        scopes: given.all("scope").flat_map(Scope::parse_list).collect(),
        address: asked.address,
        offline,
    }
}

async fn read(asked: &Asked, body: Body) -> Result<Query, GrantError> {
    let given = asked.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !given.split(';').next().is_some_and(|given| given.trim().eq_ignore_ascii_case(FORM)) {
        return Err(GrantError::NoForm);
    }
    match Limited::new(body, LONGEST_FORM_BYTES).collect().await {
        Ok(read) => Ok(Query::parse(&read.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(GrantError::TooLong { limit_bytes: LONGEST_FORM_BYTES })
        }
        Err(_) => Err(GrantError::Cut),
    }
}

/// What was shown, and the refresh token if it is one.
fn granted(form: &Query) -> Result<(Credentials, Option<SecretString>), GrantError> {
    let field = |name: &'static str| form.get(name).ok_or(GrantError::Missing(name));
    match field("grant_type")? {
        "password" => {
            let (username, password) = (field("username")?.to_owned(), field("password")?.into());
            Ok((Credentials { username, password }, None))
        }
        "refresh_token" => {
            // It says itself whose it is.
            let (username, token) = (String::new(), SecretString::from(field("refresh_token")?));
            Ok((Credentials { username, password: token.clone() }, Some(token)))
        }
        other => Err(GrantError::Unsupported(other.chars().take(64).collect())),
    }
}

fn list(scopes: &[Scope]) -> String {
    scopes.iter().map(Scope::to_string).collect::<Vec<_>>().join(" ")
}

fn answer(issued: &IssuedToken, scope: Option<String>) -> Response {
    let token = issued.token.expose_secret();
    let mut response = respond::json(&Answer {
        token,
        access_token: token,
        expires_in: issued.expires_in.as_secs(),
        issued_at: issued.issued_at,
        refresh_token: issued.refresh_token.as_ref().map(SecretString::expose_secret),
        scope,
    });
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
