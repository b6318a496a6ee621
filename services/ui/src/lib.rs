//! The web UI: server-rendered pages over the same contracts as the registry API, one file per page.
//! For now these are the list of repositories, and what links in letters lead to.

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use proto::{
    auth::{Auth, Identities, SelfService},
    metadata::Repositories,
};

use crate::config::Config;

pub mod config;
mod letters;
mod repositories;
mod viewer;

/// Longer forms are refused.
const LONGEST_FORM_BYTES: usize = 16 << 10;

/// What the pages are made from.
#[derive(Clone)]
pub struct Services {
    /// Who is looking.
    pub auth: Arc<dyn Auth>,
    /// Who signs up.
    pub identities: Arc<dyn Identities>,
    /// What letters are good for.
    pub self_service: Arc<dyn SelfService>,
    /// What there is to see.
    pub repositories: Arc<dyn Repositories>,
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ui::Services").finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct Hub {
    services: Services,
    config: Arc<Config>,
}

/// Every page and asset.
pub fn router(services: Services, config: Config) -> Router {
    let hub = Hub { services, config: Arc::new(config) };
    Router::new()
        .route("/", get(repositories::page))
        .route("/sign-in", get(repositories::signed_in))
        .route("/verify-email", get(letters::verify_page).post(letters::verify))
        .route("/reset-password", get(letters::reset_page).post(letters::reset))
        .route("/sign-up", get(letters::sign_up_page).post(letters::sign_up))
        .route("/assets/bucket.css", get(style))
        .route("/assets/letter.js", get(letters::script))
        .fallback(not_found)
        .layer(DefaultBodyLimit::max(LONGEST_FORM_BYTES))
        .with_state(hub)
}

async fn style() -> Response {
    let headers =
        [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "public, max-age=3600")];
    (headers, include_str!("../assets/bucket.css")).into_response()
}

async fn not_found() -> Response {
    let page = repositories::Message {
        title: "There is no such page",
        text: "The list of repositories is the main page; images are pushed and pulled with docker.",
    };
    html(StatusCode::NOT_FOUND, &page)
}

/// A page that nothing may frame, script or cache: what it shows depends on who is looking.
fn html<T: askama::Template>(status: StatusCode, page: &T) -> Response {
    match page.render() {
        Ok(text) => {
            let headers = [
                (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
                (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
                (
                    header::CONTENT_SECURITY_POLICY,
                    HeaderValue::from_static(
                        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
                    ),
                ),
                (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
                (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
                (
                    HeaderName::from_static("cross-origin-opener-policy"),
                    HeaderValue::from_static("same-origin"),
                ),
            ];
            (status, headers, text).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "rendering a page");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
