//! The management API, `/api/v1`: its operations on one screen. What a path takes and answers stands at its handler, from
//! which the `OpenAPI` document is made. Who may do what is decided by auth.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::any,
};
use http::{HeaderValue, StatusCode, header};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::Registry;
use problem::{Problem, RequestError};

mod answer;
mod asker;
mod audit;
mod avatars;
mod body;
mod browser;
mod credentials;
mod email;
mod grants;
mod identities;
mod invitations;
mod members;
mod names;
mod openapi;
mod organizations;
mod page;
mod path;
mod problem;
mod providers;
mod quotas;
mod repositories;
mod robots;
mod second_factor;
mod sessions;
mod tags;
mod teams;
mod texts;
mod trusts;
mod users;

/// All routes of `/api`.
pub(crate) fn routes(registry: &Arc<Registry>) -> Router<Arc<Registry>> {
    let (router, _) = operations().split_for_parts();
    router
        .route("/api", any(nothing_here))
        .route("/api/", any(nothing_here))
        .route("/api/{*rest}", any(nothing_here))
        .method_not_allowed_fallback(not_allowed)
        .layer(middleware::from_fn_with_state(Arc::clone(registry), finished))
}

/// The routes, with the document that describes them.
fn operations() -> OpenApiRouter<Arc<Registry>> {
    let router = OpenApiRouter::with_openapi(openapi::beginning()).routes(routes!(openapi::document));
    router.merge(people()).merge(organizations()).merge(holdings())
}

/// Users, and what is a user's own.
fn people() -> OpenApiRouter<Arc<Registry>> {
    OpenApiRouter::new()
        .routes(routes!(sessions::list_sessions, sessions::sign_in))
        .routes(routes!(sessions::sign_out))
        .routes(routes!(sessions::end_session))
        .routes(routes!(users::me))
        .routes(routes!(users::list_users, users::sign_up))
        .routes(routes!(users::get_user, users::change_user))
        .routes(routes!(users::change_password))
        .routes(routes!(avatars::get_user_avatar, avatars::put_user_avatar, avatars::remove_user_avatar))
        .routes(routes!(second_factor::get_factor, second_factor::start_factor, second_factor::finish_factor))
        .routes(routes!(second_factor::remove_factor))
        .routes(routes!(second_factor::reset_factor))
        .routes(routes!(email::ask_verification))
        .routes(routes!(email::verify))
        .routes(routes!(email::ask_reset))
        .routes(routes!(email::reset))
        .routes(routes!(invitations::list_invitations, invitations::invite))
        .routes(routes!(invitations::uninvite))
        .routes(routes!(invitations::list_organization_invitations, invitations::invite_member))
        .routes(routes!(invitations::uninvite_member))
        .routes(routes!(credentials::list_tokens, credentials::make_token))
        .routes(routes!(credentials::revoke_token))
        .routes(routes!(robots::list_robots, robots::make_robot))
        .routes(routes!(robots::revoke_robot))
        .routes(routes!(providers::list_providers))
        .routes(routes!(providers::log_in))
        .routes(routes!(providers::come_back))
        .routes(routes!(identities::list_identities, identities::link_identity))
        .routes(routes!(identities::unlink_identity))
        .routes(routes!(trusts::list_trusts, trusts::make_trust))
        .routes(routes!(trusts::end_trust))
        .routes(routes!(trusts::exchange_token))
}

/// Organizations, and who belongs to them.
fn organizations() -> OpenApiRouter<Arc<Registry>> {
    OpenApiRouter::new()
        .routes(routes!(organizations::list_organizations, organizations::make_organization))
        .routes(routes!(organizations::get_organization, organizations::change_organization))
        .routes(routes!(
            avatars::get_organization_avatar,
            avatars::put_organization_avatar,
            avatars::remove_organization_avatar
        ))
        .routes(routes!(quotas::get_quota, quotas::put_quota, quotas::remove_quota))
        .routes(routes!(members::list_members))
        .routes(routes!(members::put_member, members::remove_member))
        .routes(routes!(teams::list_teams))
        .routes(routes!(teams::put_team, teams::remove_team))
        .routes(routes!(teams::list_team_members))
        .routes(routes!(teams::put_team_member, teams::remove_team_member))
}

/// Repositories, and what was done.
fn holdings() -> OpenApiRouter<Arc<Registry>> {
    OpenApiRouter::new()
        .routes(routes!(repositories::list_repositories, repositories::make_repository))
        .routes(routes!(
            repositories::get_repository,
            repositories::change_repository,
            repositories::delete_repository
        ))
        .routes(routes!(repositories::move_repository))
        .routes(routes!(tags::list_tags))
        .routes(routes!(tags::delete_tag))
        .routes(routes!(grants::list_grants))
        .routes(routes!(grants::put_grant, grants::remove_grant))
        .routes(routes!(audit::list_all))
        .routes(routes!(audit::list_of_namespace))
}

async fn nothing_here(request: Request) -> Response {
    Problem::from(RequestError::no_route(request.uri().path())).into_response()
}

async fn not_allowed(request: Request) -> Response {
    Problem::from(RequestError::MethodNotAllowed { method: request.method().to_string() }).into_response()
}

/// What all answers have in common.
async fn finished(State(registry): State<Arc<Registry>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let challenge = response.status() == StatusCode::UNAUTHORIZED;

    let headers = response.headers_mut();
    // RFC 9110 §11.6.1: a 401 says how to sign in.
    if challenge && let Ok(value) = format!("Basic realm=\"{}\"", registry.config.service).parse() {
        headers.insert(header::WWW_AUTHENTICATE, value);
    }
    // They depend on who asks, and some have secrets.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
