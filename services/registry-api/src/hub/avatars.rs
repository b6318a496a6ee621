//! Pictures of users and organizations. Everybody may see them: they stand beside names in public pages. A browser takes
//! them for nothing but pictures.

use axum::{
    body::Body,
    extract::Request,
    response::{IntoResponse as _, Response},
};
use http::{
    HeaderMap, StatusCode,
    header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, X_CONTENT_TYPE_OPTIONS},
};
use oci::{AccountName, Digest, Namespace};
use proto::{
    auth::identities::Deed,
    metadata::{
        accounts::NamespaceKind,
        avatars::{Avatar, AvatarError, AvatarOf, LARGEST_AVATAR_BYTES},
    },
};

use super::{
    answer,
    asker::Asking,
    body, names,
    openapi::{PictureRefused, Refused},
    organizations::OfOrganization,
    path::At,
    problem::{Problem, RequestError},
    users::OfUser,
};
use crate::{headers, retry};

/// What the types of a picture may be said to be. What it is, its first bytes say.
const TYPES: [&str; 4] = ["image/png", "image/jpeg", "image/webp", "application/octet-stream"];

fn user(name: &AccountName) -> AvatarOf {
    AvatarOf { kind: NamespaceKind::User, name: name.namespace() }
}

const fn organization(name: Namespace) -> AvatarOf {
    AvatarOf { kind: NamespaceKind::Organization, name }
}

/// See the picture of a user
#[utoipa::path(
    get, path = "/api/v1/users/{name}/avatar", tag = "users", params(OfUser), security(()),
    responses(
        (status = 200, description = "The picture.", headers(("ETag" = String)),
            content((names::Picture = "image/png"), (names::Picture = "image/jpeg"), (names::Picture = "image/webp"))),
        (status = 304, description = "It is the one that `If-None-Match` names."),
        Refused
    )
)]
pub(super) async fn get_user_avatar(
    asking: Asking,
    At(at): At<OfUser>,
    request: HeaderMap,
) -> Result<Response, Problem> {
    get(&asking, &user(&at.name), &request).await
}

/// Put a picture of a user
///
/// For the user and administrators. PNG, JPEG or WebP.
#[utoipa::path(
    put, path = "/api/v1/users/{name}/avatar", tag = "users", params(OfUser),
    request_body(description = "At most 256 KiB.", content(
        (names::Picture = "image/png"), (names::Picture = "image/jpeg"), (names::Picture = "image/webp"),
        (names::Picture = "application/octet-stream")
    )),
    responses((status = 204, description = "It is the picture from now on."), Refused, PictureRefused)
)]
pub(super) async fn put_user_avatar(
    asking: Asking,
    At(at): At<OfUser>,
    request: Request,
) -> Result<Response, Problem> {
    let picture = picture(request).await?;
    put(&asking, &Deed::ManageAccount(at.name.clone()), &user(&at.name), Some(&picture)).await
}

/// Remove the picture of a user
///
/// For the user and administrators.
#[utoipa::path(
    delete, path = "/api/v1/users/{name}/avatar", tag = "users", params(OfUser),
    responses((status = 204, description = "There is no picture (any more)."), Refused)
)]
pub(super) async fn remove_user_avatar(asking: Asking, At(at): At<OfUser>) -> Result<Response, Problem> {
    put(&asking, &Deed::ManageAccount(at.name.clone()), &user(&at.name), None).await
}

/// See the picture of an organization
#[utoipa::path(
    get, path = "/api/v1/organizations/{name}/avatar", tag = "organizations", params(OfOrganization),
    security(()),
    responses(
        (status = 200, description = "The picture.", headers(("ETag" = String)),
            content((names::Picture = "image/png"), (names::Picture = "image/jpeg"), (names::Picture = "image/webp"))),
        (status = 304, description = "It is the one that `If-None-Match` names."),
        Refused
    )
)]
pub(super) async fn get_organization_avatar(
    asking: Asking,
    At(at): At<OfOrganization>,
    request: HeaderMap,
) -> Result<Response, Problem> {
    get(&asking, &organization(at.name), &request).await
}

/// Put a picture of an organization
///
/// For its owners. PNG, JPEG or WebP.
#[utoipa::path(
    put, path = "/api/v1/organizations/{name}/avatar", tag = "organizations", params(OfOrganization),
    request_body(description = "At most 256 KiB.", content(
        (names::Picture = "image/png"), (names::Picture = "image/jpeg"), (names::Picture = "image/webp"),
        (names::Picture = "application/octet-stream")
    )),
    responses((status = 204, description = "It is the picture from now on."), Refused, PictureRefused)
)]
pub(super) async fn put_organization_avatar(
    asking: Asking,
    At(at): At<OfOrganization>,
    request: Request,
) -> Result<Response, Problem> {
    let picture = picture(request).await?;
    put(&asking, &Deed::ManageNamespace(at.name.clone()), &organization(at.name), Some(&picture)).await
}

/// Remove the picture of an organization
///
/// For its owners.
#[utoipa::path(
    delete, path = "/api/v1/organizations/{name}/avatar", tag = "organizations", params(OfOrganization),
    responses((status = 204, description = "There is no picture (any more)."), Refused)
)]
pub(super) async fn remove_organization_avatar(
    asking: Asking,
    At(at): At<OfOrganization>,
) -> Result<Response, Problem> {
    put(&asking, &Deed::ManageNamespace(at.name.clone()), &organization(at.name), None).await
}

async fn get(asking: &Asking, of: &AvatarOf, request: &HeaderMap) -> Result<Response, Problem> {
    let found = retry::repeated(|| asking.services().avatars.avatar(of)).await?;
    // Whether there is such a user is not said.
    let avatar = found.ok_or_else(|| RequestError::NoPicture { of: of.name.clone() })?;

    let digest = Digest::of_sha256(avatar.body());
    let known = [(ETAG, format!("\"{digest}\"")), (CACHE_CONTROL, "public, max-age=300".to_owned())];
    Ok(if headers::has_already(request, &digest) {
        (StatusCode::NOT_MODIFIED, known).into_response()
    } else {
        (known, shown(&avatar)).into_response()
    })
}

/// Uploaded by somebody, and shown under the hub's own name: it must not run there, whatever is in it.
fn shown(avatar: &Avatar) -> Response {
    let headers = [
        (CONTENT_TYPE, avatar.kind().media_type()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
    ];
    (headers, Body::from(avatar.body().clone())).into_response()
}

async fn put(
    asking: &Asking,
    deed: &Deed,
    of: &AvatarOf,
    avatar: Option<&Avatar>,
) -> Result<Response, Problem> {
    let permit = asking.permit(deed).await?;
    let avatars = &asking.services().avatars;
    retry::repeated(|| avatars.put_avatar(of, avatar, &permit.actor)).await?;
    Ok(answer::done())
}

async fn picture(request: Request) -> Result<Avatar, RequestError> {
    let (parts, body) = request.into_parts();
    if !TYPES.contains(&body::essence(&parts.headers).to_ascii_lowercase().as_str()) {
        return Err(RequestError::PictureType);
    }
    Avatar::new(body::read(body).await?).map_err(|error| match error {
        AvatarError::UnknownKind => RequestError::field("", error),
        AvatarError::TooLarge { .. } => RequestError::BodyTooLong { limit_bytes: LARGEST_AVATAR_BYTES },
    })
}
