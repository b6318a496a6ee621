//! Second factors: started with the password, finished with a code, removed with both.

use axum::response::Response;
use proto::auth::self_service::FactorDrop;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    answer,
    asker::Asking,
    body::Json,
    names,
    openapi::{BodyRefused, Conflicting, Refused},
    path::At,
    problem::Problem,
    users::OfUser,
};
use crate::{respond, retry};

/// What somebody has as a second factor.
#[derive(Serialize, ToSchema)]
pub(super) struct SecondFactor {
    /// Whether signing in takes a code.
    active: bool,
    /// Recovery codes that are left.
    recovery_codes: usize,
}

/// Who wants a second factor.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedFactor {
    #[schema(value_type = names::Password)]
    password: SecretString,
}

/// A second factor that does not count yet.
#[derive(Serialize, ToSchema)]
pub(super) struct StartedFactor {
    /// In base 32, for who types it. It is answered here and never again.
    secret: String,
    /// The same for who scans it as a QR code: `otpauth://…`.
    url: String,
}

/// A code.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ShownCode {
    #[schema(value_type = names::SecondFactorCode)]
    code: SecretString,
}

/// What is needed when the second factor is lost.
#[derive(Serialize, ToSchema)]
pub(super) struct RecoveryCodes {
    /// Each signs in once. They are answered here and never again.
    recovery_codes: Vec<String>,
}

/// What removes one's own second factor.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Removal {
    #[schema(value_type = names::Password)]
    password: SecretString,
    /// Left out or null for one that does not count yet.
    #[schema(value_type = Option<names::SecondFactorCode>)]
    code: Option<SecretString>,
}

/// See your second factor
#[utoipa::path(
    get, path = "/api/v1/user/second-factor", tag = "users",
    responses((status = 200, description = "Whether there is one.", body = SecondFactor), Refused)
)]
pub(super) async fn get_factor(asking: Asking) -> Result<Response, Problem> {
    let self_service = &asking.services().self_service;
    let found = retry::repeated(|| self_service.second_factor(asking.asker())).await?;
    let (active, recovery_codes) = (found.active, found.recovery_codes);
    Ok(respond::json(&SecondFactor { active, recovery_codes }))
}

/// Start a second factor
///
/// It counts once it is confirmed with a code (RFC 6238: SHA-1, 6 digits, 30 seconds). One that was not confirmed is
/// forgotten.
#[utoipa::path(
    post, path = "/api/v1/user/second-factor", tag = "users", request_body = WantedFactor,
    responses(
        (status = 200, description = "What an authenticator app takes.", body = StartedFactor),
        Refused, BodyRefused, Conflicting
    )
)]
pub(super) async fn start_factor(
    asking: Asking,
    Json(WantedFactor { password }): Json<WantedFactor>,
) -> Result<Response, Problem> {
    let started = asking.services().self_service.start_second_factor(asking.asker(), &password).await?;
    let exposed = |secret: &SecretString| secret.expose_secret().to_owned();
    Ok(respond::json(&StartedFactor { secret: exposed(&started.secret), url: exposed(&started.url) }))
}

/// Confirm the second factor
///
/// From now on the password signs in with a code only, and `docker login` takes access tokens. Ends all sessions and
/// tokens of yours; access tokens stay.
#[utoipa::path(
    put, path = "/api/v1/user/second-factor", tag = "users", request_body = ShownCode,
    responses(
        (status = 200, description = "It counts. Keep the recovery codes.", body = RecoveryCodes),
        Refused, BodyRefused, Conflicting
    )
)]
pub(super) async fn finish_factor(
    asking: Asking,
    Json(ShownCode { code }): Json<ShownCode>,
) -> Result<Response, Problem> {
    let codes = asking.services().self_service.finish_second_factor(asking.asker(), &code).await?;
    let recovery_codes = codes.iter().map(|code| code.expose_secret().to_owned()).collect();
    Ok(respond::json(&RecoveryCodes { recovery_codes }))
}

/// Remove your second factor
///
/// Takes the password and a code, which may be a recovery code.
#[utoipa::path(
    post, path = "/api/v1/user/second-factor/removal", tag = "users", request_body = Removal,
    responses((status = 204, description = "There is none any more."), Refused, BodyRefused)
)]
pub(super) async fn remove_factor(
    asking: Asking,
    Json(Removal { password, code }): Json<Removal>,
) -> Result<Response, Problem> {
    let (user, _) = asking.user().await?;
    let drop = FactorDrop { user, password: Some(password), code };
    asking.services().self_service.drop_second_factor(asking.asker(), &drop).await?;
    Ok(answer::done())
}

/// Remove the second factor of somebody
///
/// For administrators, when somebody else has lost it. Your own takes password and code.
#[utoipa::path(
    delete, path = "/api/v1/users/{name}/second-factor", tag = "users", params(OfUser),
    responses((status = 204, description = "There is none any more."), Refused)
)]
pub(super) async fn reset_factor(asking: Asking, At(at): At<OfUser>) -> Result<Response, Problem> {
    let drop = FactorDrop { user: at.name, password: None, code: None };
    asking.services().self_service.drop_second_factor(asking.asker(), &drop).await?;
    Ok(answer::done())
}
