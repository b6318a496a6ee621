//! Users: who they are, as they themselves and administrators see and change it.

use axum::response::Response;
use jiff::Timestamp;
use oci::AccountName;
use proto::{
    auth::identities::{Deed, NewAccount, PasswordChange},
    metadata::{
        AccountError, Standing,
        accounts::Role,
        users::{self, Profile, UserChange},
    },
};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    answer,
    asker::Asking,
    body::Json,
    names,
    openapi::{BodyRefused, Conflicting, Refused},
    page::{self, Listed, Paging, Part},
    path::At,
    problem::Problem,
    texts::{DisplayName, Email},
};
use crate::{respond, retry};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct OfUser {
    /// The user.
    #[param(value_type = names::AccountName)]
    pub(super) name: AccountName,
}

/// A user.
#[derive(Serialize, ToSchema)]
pub(super) struct User {
    #[schema(value_type = names::AccountName)]
    name: AccountName,
    #[schema(value_type = names::Role)]
    role: Role,
    #[schema(value_type = names::Standing)]
    standing: Standing,
    /// What the user is called among people.
    display_name: String,
    /// Where to write to, or empty.
    email: String,
    /// Whether a mail to the address has reached the user.
    email_verified: bool,
    /// Whether signing in takes a code.
    second_factor: bool,
    /// When the account was made.
    #[schema(value_type = names::Time)]
    created: Timestamp,
}

impl From<users::User> for User {
    fn from(user: users::User) -> Self {
        let users::User { name, role, standing, profile, created, email_verified, second_factor } = user;
        let Profile { display_name, email } = profile;
        Self { name, role, standing, display_name, email, email_verified, second_factor, created }
    }
}

/// An account that somebody wants.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedUser {
    #[schema(value_type = names::AccountName)]
    name: AccountName,
    #[schema(value_type = names::NewPassword)]
    password: SecretString,
    #[serde(default)]
    #[schema(required = false)]
    email: Email,
    /// `user` if it is left out.
    #[schema(value_type = Option<names::Role>)]
    role: Option<Role>,
    /// Lets in who is invited though the hub is closed.
    #[schema(value_type = Option<names::InvitationToken>)]
    invitation: Option<SecretString>,
}

/// What was made.
#[derive(Serialize, ToSchema)]
pub(super) struct MadeUser {
    #[schema(value_type = names::AccountName)]
    name: AccountName,
}

/// What is to be changed; what is left out or null stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangedUser {
    display_name: Option<DisplayName>,
    email: Option<Email>,
    /// For administrators.
    #[schema(value_type = Option<names::Role>)]
    role: Option<Role>,
    /// For administrators.
    #[schema(value_type = Option<names::Standing>)]
    standing: Option<Standing>,
}

/// Another password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangedPassword {
    /// The old one; administrators need not know that of others.
    #[schema(value_type = Option<String>, format = Password)]
    old: Option<SecretString>,
    #[schema(value_type = names::NewPassword)]
    new: SecretString,
}

/// Who asks
#[utoipa::path(
    get, path = "/api/v1/user", tag = "users",
    responses((status = 200, description = "The user who asks.", body = User), Refused)
)]
pub(super) async fn me(asking: Asking) -> Result<Response, Problem> {
    let (name, _) = asking.user().await?;
    user(&asking, &name).await
}

/// List users
///
/// For administrators.
#[utoipa::path(
    get, path = "/api/v1/users", tag = "users",
    params(Paging, ("cursor" = Option<names::AccountName>, Query, description = "`next` of the part before.")),
    responses((status = 200, description = "Users, by name.", body = Listed<User>), Refused)
)]
pub(super) async fn list_users(asking: Asking, part: Part<AccountName>) -> Result<Listed<User>, Problem> {
    asking.permit(&Deed::ManageHub).await?;
    let found = retry::repeated(|| asking.services().users.users(&part.request)).await?;
    Ok(page::listed(&part, found, |user| &user.name, User::from))
}

/// Sign up
///
/// Makes an account, if the hub is open for it, an administrator asks, or there is an invitation.
#[utoipa::path(
    post, path = "/api/v1/users", tag = "users", security((), ("basic" = []), ("bearer" = [])),
    request_body = WantedUser,
    responses(
        (status = 201, description = "The account is made.", body = MadeUser,
            headers(("Location" = String, description = "Where it is."))),
        Refused, BodyRefused, Conflicting
    )
)]
pub(super) async fn sign_up(asking: Asking, Json(wanted): Json<WantedUser>) -> Result<Response, Problem> {
    let WantedUser { name, password, email: Email(email), role, invitation } = wanted;
    let new = NewAccount { name, password, email, role: role.unwrap_or(Role::User), invitation };
    asking.services().identities.sign_up(asking.asker(), &new).await?;
    Ok(answer::created(&format!("/api/v1/users/{}", new.name), &MadeUser { name: new.name }))
}

/// See a user
///
/// For the user and administrators.
#[utoipa::path(
    get, path = "/api/v1/users/{name}", tag = "users", params(OfUser),
    responses((status = 200, description = "The user.", body = User), Refused)
)]
pub(super) async fn get_user(asking: Asking, At(at): At<OfUser>) -> Result<Response, Problem> {
    asking.permit(&Deed::ManageAccount(at.name.clone())).await?;
    user(&asking, &at.name).await
}

/// Change a user
///
/// Name and address are for the user and administrators, role and standing for administrators.
#[utoipa::path(
    patch, path = "/api/v1/users/{name}", tag = "users", params(OfUser), request_body = ChangedUser,
    responses((status = 204, description = "It is changed."), Refused, BodyRefused, Conflicting)
)]
pub(super) async fn change_user(
    asking: Asking,
    At(OfUser { name }): At<OfUser>,
    Json(wanted): Json<ChangedUser>,
) -> Result<Response, Problem> {
    let mut permit = asking.permit(&Deed::ManageAccount(name.clone())).await?;
    if wanted.role.is_some() || wanted.standing.is_some() {
        permit = asking.permit(&Deed::ManageHub).await?;
    }

    let before = found(&asking, &name).await?;
    let ChangedUser { display_name, email, role, standing } = wanted;
    let profile = (display_name.is_some() || email.is_some()).then(|| Profile {
        display_name: display_name.map_or(before.profile.display_name, |DisplayName(text)| text),
        email: email.map_or(before.profile.email, |Email(text)| text),
    });
    let change = UserChange { profile, role, standing, password_hash: None };
    retry::repeated(|| asking.services().users.change_user(&name, &change, &permit.actor)).await?;
    Ok(answer::done())
}

/// Change a password
///
/// Ends all sessions and tokens of the user; access tokens stay. Users say the old password besides.
#[utoipa::path(
    put, path = "/api/v1/users/{name}/password", tag = "users", params(OfUser), request_body = ChangedPassword,
    responses((status = 204, description = "It is changed."), Refused, BodyRefused)
)]
pub(super) async fn change_password(
    asking: Asking,
    At(OfUser { name }): At<OfUser>,
    Json(ChangedPassword { old, new }): Json<ChangedPassword>,
) -> Result<Response, Problem> {
    let change = PasswordChange { name, old, new };
    asking.services().identities.change_password(asking.asker(), &change).await?;
    Ok(answer::done())
}

async fn user(asking: &Asking, name: &AccountName) -> Result<Response, Problem> {
    Ok(respond::json(&User::from(found(asking, name).await?)))
}

async fn found(asking: &Asking, name: &AccountName) -> Result<users::User, Problem> {
    let found = retry::repeated(|| asking.services().users.user(name)).await?;
    found.ok_or_else(|| AccountError::AccountUnknown { name: name.clone() }.into())
}
