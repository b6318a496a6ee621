//! What goes by mail: addresses that are verified, and passwords that are forgotten.

use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    answer,
    asker::Asking,
    body::Json,
    names,
    openapi::{BodyRefused, Conflicting, Refused},
    problem::Problem,
    texts::NameOrEmail,
};

/// Who wants their address verified.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedVerification {
    #[schema(value_type = names::Password)]
    password: SecretString,
}

/// What a mail said.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FromMail {
    #[schema(value_type = names::MailToken)]
    token: SecretString,
}

/// Who has forgotten a password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Forgotten {
    account: NameOrEmail,
}

/// What a mail said, and another password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reset {
    #[schema(value_type = names::MailToken)]
    token: SecretString,
    #[schema(value_type = names::NewPassword)]
    new: SecretString,
}

/// Ask for a mail to verify your address
///
/// With your password, however you are signed in: whoever reads mails to a verified address can choose another password.
#[utoipa::path(
    post, path = "/api/v1/user/email/verification", tag = "users", request_body = WantedVerification,
    responses(
        (status = 202, description = "A mail is on its way, unless the address is verified already."),
        Refused, BodyRefused, Conflicting
    )
)]
pub(super) async fn ask_verification(
    asking: Asking,
    Json(WantedVerification { password }): Json<WantedVerification>,
) -> Result<Response, Problem> {
    asking.services().self_service.ask_verification(asking.asker(), &password).await?;
    Ok(StatusCode::ACCEPTED.into_response())
}

/// Verify an address
///
/// With what the mail to it said, within 24 hours, once.
#[utoipa::path(
    post, path = "/api/v1/email/verifications", tag = "users", security(()), request_body = FromMail,
    responses((status = 204, description = "The address is verified."), Refused, BodyRefused)
)]
pub(super) async fn verify(
    asking: Asking,
    Json(FromMail { token }): Json<FromMail>,
) -> Result<Response, Problem> {
    asking.services().self_service.confirm_email(asking.asker(), &token).await?;
    Ok(answer::done())
}

/// Ask for another password
///
/// Sends a mail if there is an active user of that name or address whose address is verified. Whether there is one is not
/// told.
#[utoipa::path(
    post, path = "/api/v1/password-resets", tag = "users", security(()), request_body = Forgotten,
    responses(
        (status = 202, description = "If there is such a user, a mail is on its way."),
        Refused, BodyRefused, Conflicting
    )
)]
pub(super) async fn ask_reset(
    asking: Asking,
    Json(Forgotten { account: NameOrEmail(account) }): Json<Forgotten>,
) -> Result<Response, Problem> {
    asking.services().self_service.ask_reset(asking.asker(), &account).await?;
    Ok(StatusCode::ACCEPTED.into_response())
}

/// Choose another password
///
/// With what the mail said, within an hour, once. Ends your sessions and the clients that logged in with the password;
/// the second factor and access tokens stay. Revoke those with `DELETE /api/v1/tokens/{id}`; `GET /api/v1/tokens` lists
/// them.
#[utoipa::path(
    post, path = "/api/v1/password-resets/redemptions", tag = "users", security(()), request_body = Reset,
    responses((status = 204, description = "The password is changed."), Refused, BodyRefused)
)]
pub(super) async fn reset(
    asking: Asking,
    Json(Reset { token, new }): Json<Reset>,
) -> Result<Response, Problem> {
    asking.services().self_service.reset(asking.asker(), &token, &new).await?;
    Ok(answer::done())
}
