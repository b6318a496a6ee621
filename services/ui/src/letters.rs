//! The pages that links in letters lead to: to verify an address, to choose another password, to sign up. The secret of
//! a link stands behind `#`, where no server sees it: a script, or the reader, puts it into the form.

use askama::Template;
use axum::{
    Extension, Form,
    extract::{State, rejection::FormRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use oci::AccountName;
use proto::{
    auth::{
        IdentityError,
        identities::{Asker, NewAccount},
    },
    metadata::{Via, accounts::Role},
};
use secrecy::SecretString;
use serde::Deserialize;

use crate::{
    Hub, html,
    repositories::{Address, Message},
};

/// As everywhere, but the script that reads the link may run.
const WITH_SCRIPT: &str = "default-src 'none'; style-src 'self'; script-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// What a page asks for besides the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Nothing,
    Password,
    NameAndPassword,
}

/// A page with a form.
#[derive(Debug, Clone, Copy, Template)]
#[template(path = "letter.html")]
struct Page<'a> {
    title: &'static str,
    text: &'static str,
    action: &'static str,
    asked: Asked,
    button: &'static str,
    refused: &'a str,
}

const VERIFY: Page<'static> = Page {
    title: "Confirm your e-mail address",
    text: "The field has what the mail says. If it is empty, copy the long line of the mail into it.",
    action: "/verify-email",
    asked: Asked::Nothing,
    button: "Confirm",
    refused: "",
};

const RESET: Page<'static> = Page {
    title: "Choose another password",
    text: "All your sessions end; access tokens stay. \
           If the first field is empty, copy the long line of the mail into it.",
    action: "/reset-password",
    asked: Asked::Password,
    button: "Change the password",
    refused: "",
};

const SIGN_UP: Page<'static> = Page {
    title: "Make an account",
    text: "The first field has your invitation. If it is empty, copy the long line of the mail into it.",
    action: "/sign-up",
    asked: Asked::NameAndPassword,
    button: "Make the account",
    refused: "",
};

/// What a form says.
#[derive(Deserialize)]
pub(crate) struct Said {
    token: SecretString,
    #[serde(default)]
    name: String,
    password: Option<SecretString>,
}

type Given = Result<Form<Said>, FormRejection>;

pub(crate) async fn verify_page() -> Response {
    shown(StatusCode::OK, &VERIFY)
}

pub(crate) async fn reset_page() -> Response {
    shown(StatusCode::OK, &RESET)
}

pub(crate) async fn sign_up_page() -> Response {
    shown(StatusCode::OK, &SIGN_UP)
}

pub(crate) async fn verify(State(hub): State<Hub>, address: Address, given: Given) -> Response {
    let Ok(Form(said)) = given else { return unreadable(&VERIFY) };
    let done = hub.services.self_service.confirm_email(&asker(address), &said.token).await;
    concluded(done, &VERIFY, "Your e-mail address is confirmed.")
}

pub(crate) async fn reset(State(hub): State<Hub>, address: Address, given: Given) -> Response {
    let Ok(Form(said)) = given else { return unreadable(&RESET) };
    let new = said.password.unwrap_or_default();
    let done = hub.services.self_service.reset(&asker(address), &said.token, &new).await;
    concluded(done, &RESET, "Your password is changed. Sign in with the new one.")
}

pub(crate) async fn sign_up(State(hub): State<Hub>, address: Address, given: Given) -> Response {
    let Ok(Form(said)) = given else { return unreadable(&SIGN_UP) };
    let name: AccountName = match said.name.trim().parse() {
        Ok(name) => name,
        Err(error) => {
            let refused = format!("the name cannot be used: {error}");
            return shown(StatusCode::UNPROCESSABLE_ENTITY, &Page { refused: &refused, ..SIGN_UP });
        }
    };
    let (password, email) = (said.password.unwrap_or_default(), String::new());
    let new = NewAccount { name, password, email, role: Role::User, invitation: Some(said.token) };
    let done = hub.services.identities.sign_up(&asker(address), &new).await;
    concluded(done, &SIGN_UP, "Your account is made. Sign in with its name and password.")
}

// Who holds the secret may do it: who they are does not matter.
fn asker(address: Address) -> Asker {
    Asker { credentials: None, address: address.map(|Extension(client)| client.0), via: Via::Ui }
}

fn concluded(done: Result<(), IdentityError>, page: &Page<'static>, text: &'static str) -> Response {
    match done {
        Ok(()) => html(StatusCode::OK, &Message { title: page.title, text }),
        Err(error) => {
            let refused = error.to_string();
            shown(status(&error), &Page { refused: &refused, ..*page })
        }
    }
}

fn status(error: &IdentityError) -> StatusCode {
    match error {
        IdentityError::Throttled { .. } | IdentityError::Overloaded { .. } => StatusCode::TOO_MANY_REQUESTS,
        IdentityError::Unavailable { .. } => {
            tracing::warn!(%error, "what a letter is for is not done");
            StatusCode::SERVICE_UNAVAILABLE
        }
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

fn unreadable(page: &Page<'static>) -> Response {
    shown(StatusCode::BAD_REQUEST, &Page { refused: "the form could not be read; fill it in again", ..*page })
}

fn shown(status: StatusCode, page: &Page<'_>) -> Response {
    let mut response = html(status, page);
    let policy = HeaderValue::from_static(WITH_SCRIPT);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

pub(crate) async fn script() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=3600"),
    ];
    (headers, include_str!("../assets/letter.js")).into_response()
}
