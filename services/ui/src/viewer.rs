//! Who is looking at a page. Until the UI has sessions, the browser signs in with HTTP Basic.

use std::net::IpAddr;

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use oci::{Resource, Scope};
use proto::{
    auth::{AuthError, Credentials, Offline, Subject, TokenRequest},
    metadata::repositories::Viewer,
};

use crate::{Services, html, repositories::Message};

/// A viewer and the name to greet them by.
pub(crate) struct Looking {
    pub(crate) viewer: Viewer,
    pub(crate) subject: Subject,
}

/// Who is looking: whoever may list the whole catalog sees all, others what is public.
pub(crate) async fn looking(
    services: &Services,
    headers: &HeaderMap,
    address: Option<IpAddr>,
) -> Result<Looking, AuthError> {
    let Some(credentials) = credentials(headers) else {
        return Ok(Looking { viewer: Viewer::Outsider, subject: Subject::Anonymous });
    };
    let catalog = Scope::parse_list("registry:catalog:*");
    let request = TokenRequest {
        credentials: Some(credentials),
        service: String::new(),
        scopes: catalog,
        address,
        offline: Offline::Not,
    };
    let issued = services.auth.token(request).await?;

    let sees_all = issued.scopes.iter().any(|scope| scope.resource == Resource::Catalog);
    let viewer = if sees_all { Viewer::Administrator } else { Viewer::Outsider };
    Ok(Looking { viewer, subject: issued.subject })
}

pub(crate) fn credentials(headers: &HeaderMap) -> Option<Credentials> {
    let encoded = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (username, password) = decoded.split_once(':')?;
    Some(Credentials { username: username.to_owned(), password: password.to_owned().into() })
}

/// The page for someone who could not be recognised.
pub(crate) fn refusal(error: &AuthError) -> Response {
    match error {
        AuthError::WrongCredentials => return wrong_credentials(),
        AuthError::AccessTokenNeeded => return access_token_needed(),
        _ => {}
    }
    tracing::warn!(%error, "cannot tell who is looking");
    let text = "Nobody can sign in just now. Try again in a moment.";
    let mut page = html(StatusCode::SERVICE_UNAVAILABLE, &Message { title: "The hub is not ready", text });
    page.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
    page
}

fn access_token_needed() -> Response {
    let text = "Your account has a second factor: sign in with an access token instead of the password.";
    challenged(text)
}

pub(crate) fn wrong_credentials() -> Response {
    challenged("Sign in with the name and the password that you use with docker login.")
}

fn challenged(text: &'static str) -> Response {
    let mut page = html(StatusCode::UNAUTHORIZED, &Message { title: "Not signed in", text });
    let challenge = HeaderValue::from_static("Basic realm=\"Bucket\", charset=\"UTF-8\"");
    page.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    page
}
