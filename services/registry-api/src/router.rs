//! From method and path to a handler, and what a token must allow for it: the API on one screen. Repository
//! names contain slashes, so paths are read by `oci::Target` and not by the framework.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
    routing::any,
};
use http::{HeaderValue, Method};
use oci::{Action, RepositoryName, Resource, Scope, Target};
use proto::metadata::{RepositoryError, uploads::UploadAddress};

use crate::{
    Registry,
    access::{Caller, Wanted},
    asked::Asked,
    error::{ApiError, ErrorContext},
    handlers::{
        base, blobs, catalog, extensions, history, keys, manifests, referrers, repositories, tags, token,
        uploads,
    },
    headers, hub,
    urls::TOKEN_PATH,
};

/// Where those who verify tokens themselves find the keys (RFC 8615; the name is the usual one).
const KEYS_PATH: &str = "/.well-known/jwks.json";

/// The paths that are the registry API's, with all below them.
const ROOTS: [&str; 2] = ["/v2", "/v1"];

/// All routes of the edge.
pub(crate) fn routes(registry: Arc<Registry>) -> Router {
    let mut router = hub::routes(&registry).route(TOKEN_PATH, any(dispatch)).route(KEYS_PATH, any(dispatch));
    for root in ROOTS {
        router = router
            .route(root, any(dispatch))
            .route(&format!("{root}/"), any(dispatch))
            .route(&format!("{root}/{{*rest}}"), any(dispatch));
    }
    router.with_state(registry)
}

/// The answer for a path that is nobody's, for a process in which the edge is alone.
pub async fn nothing_here(request: Request) -> Response {
    let config = crate::config::Config::default();
    let (parts, _) = request.into_parts();
    let context =
        ErrorContext { urls: &crate::urls::Urls::of(&parts, None, &config), service: &config.service };
    marked(no_route(parts.uri.path()).answer(&context))
}

async fn dispatch(State(registry): State<Arc<Registry>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let asked = registry.asked(&parts);
    let answered = answer(&registry, &parts.method, parts.uri.path(), &asked, body).await;

    let context = ErrorContext { urls: &asked.urls, service: &registry.config.service };
    marked(answered.unwrap_or_else(|error| error.answer(&context)))
}

fn marked(mut response: Response) -> Response {
    let value = HeaderValue::from_static(headers::API_VERSION_2);
    response.headers_mut().insert(headers::API_VERSION.clone(), value);
    response
}

async fn answer(
    registry: &Registry,
    method: &Method,
    path: &str,
    asked: &Asked,
    body: Body,
) -> Result<Response, ApiError> {
    match path {
        TOKEN_PATH => self::token(registry, method, asked, body).await,
        KEYS_PATH if [Method::GET, Method::HEAD].contains(method) => keys::get(registry),
        KEYS_PATH => Err(not_allowed(method, "GET, HEAD")),
        path if path == "/v2" || path.starts_with("/v2/") => {
            let target = Target::parse(path)?;
            let wanted =
                wanted(&target, method, asked).ok_or_else(|| not_allowed(method, allowed(&target)))?;
            let caller = registry.access.check(&asked.headers, &wanted).await?;
            let answered = self::target(registry, method, target.clone(), (asked, &caller), body).await;
            match answered {
                Err(error) => followed(registry, method, &target, (asked, &caller), error).await,
                answered => answered,
            }
        }
        path => Err(no_route(path)),
    }
}

/// What is answered by an old name of a repository, to who may pull from it: what is read, as by its name of now; and for
/// what is written, that name. Others are told what is told of a name that no repository has.
async fn followed(
    registry: &Registry,
    method: &Method,
    target: &Target,
    (asked, caller): (&Asked, &Caller),
    error: ApiError,
) -> Result<Response, ApiError> {
    let (Some(to), Some(old)) = (error.moved_to(), target.repository()) else { return Err(error) };
    let unknown = || ApiError::from(RepositoryError::NameUnknown { repository: old.clone() });
    match (is_read(method), caller.may_pull(to), target.in_repository(to.clone())) {
        (true, true, Some(there)) => {
            let answered = self::target(registry, method, there, (asked, caller), Body::empty()).await;
            answered.map_err(|error| if error.moved_to().is_some() { unknown() } else { error })
        }
        (false, true, _) => Err(error),
        (true, ..) => Err(unknown()),
        (false, false, _) => Err(RepositoryError::NameLeadsElsewhere { repository: old.clone() }.into()),
    }
}

fn is_read(method: &Method) -> bool {
    [Method::GET, Method::HEAD].contains(method)
}

async fn token(
    registry: &Registry,
    method: &Method,
    asked: &Asked,
    body: Body,
) -> Result<Response, ApiError> {
    match *method {
        Method::GET => token::get(&registry.services, asked).await,
        Method::POST => token::post(&registry.services, asked, body).await,
        _ => Err(not_allowed(method, "GET, POST")),
    }
}

async fn target(
    registry: &Registry,
    method: &Method,
    target: Target,
    (asked, caller): (&Asked, &Caller),
    body: Body,
) -> Result<Response, ApiError> {
    let services = &registry.services;
    match (&target, method) {
        (Target::Base, _) => Ok(base::get()),
        (Target::RegistryExtensions, _) => Ok(extensions::of_registry()),
        (Target::Extensions(name), _) => Ok(extensions::of_repository(name)),
        (Target::Catalog, _) => catalog::list(services, asked).await,
        (Target::Repositories(path), _) => repositories::list(services, asked, caller, path.as_ref()).await,
        (Target::Tags(name), _) => tags::list(services, asked, name).await,
        (Target::TagHistory(name, tag), _) => history::list(services, asked, name, tag).await,

        (Target::Blob(name, digest), &Method::HEAD) => {
            blobs::head(services, asked, caller, name, digest).await
        }
        (Target::Blob(name, digest), &Method::DELETE) => {
            blobs::delete(services, asked, caller, name, digest).await
        }
        (Target::Blob(name, digest), _) => blobs::get(registry, asked, name, digest).await,

        (Target::Manifest(name, reference), &Method::HEAD) => {
            manifests::head(services, asked, name, reference).await
        }
        (Target::Manifest(name, reference), &Method::PUT) => {
            manifests::put(services, asked, caller, name, reference.clone(), body).await
        }
        (Target::Manifest(name, reference), &Method::DELETE) => {
            manifests::delete(services, asked, caller, name, reference).await
        }
        (Target::Manifest(name, reference), _) => manifests::get(services, asked, name, reference).await,

        (Target::Referrers(name, subject), _) => referrers::list(services, asked, name, subject).await,

        (Target::Uploads(name), _) => uploads::start(registry, asked, caller, name, body).await,
        (Target::Upload(name, session), _) => {
            let address = UploadAddress { repository: name.clone(), session: *session };
            upload(registry, method, &address, (asked, caller), body).await
        }
    }
}

async fn upload(
    registry: &Registry,
    method: &Method,
    address: &UploadAddress,
    (asked, caller): (&Asked, &Caller),
    body: Body,
) -> Result<Response, ApiError> {
    match *method {
        Method::PATCH => uploads::patch(registry, asked, caller, address, body).await,
        Method::PUT => uploads::put(registry, asked, caller, address, body).await,
        Method::DELETE => uploads::cancel(registry, asked, caller, address).await,
        _ => uploads::status(registry, asked, caller, address).await,
    }
}

/// What a token must allow for `method` on `target`; none: the method is not possible there.
fn wanted(target: &Target, method: &Method, asked: &Asked) -> Option<Wanted> {
    let scope = |name: &RepositoryName, actions: &[Action]| {
        Wanted::Scope(Scope {
            resource: Resource::Repository(name.clone()),
            actions: actions.iter().copied().collect(),
        })
    };
    let reads = is_read(method);

    match (target, method) {
        // A list has what the token covers.
        (Target::Base | Target::RegistryExtensions | Target::Repositories(_), _) if reads => {
            Some(Wanted::AnyToken)
        }
        (Target::Catalog, _) if reads => {
            Some(Wanted::Scope(Scope { resource: Resource::Catalog, actions: [Action::All].into() }))
        }
        (
            Target::Tags(name)
            | Target::Extensions(name)
            | Target::TagHistory(name, _)
            | Target::Blob(name, _)
            | Target::Manifest(name, _)
            | Target::Referrers(name, _),
            _,
        ) if reads => Some(scope(name, &[Action::Pull])),
        (Target::Manifest(name, _), &Method::PUT) => Some(scope(name, &[Action::Pull, Action::Push])),
        (Target::Uploads(name), &Method::POST) => {
            Some(Wanted::NewUpload { into: name.clone(), from: uploads::mount_source(asked) })
        }
        (Target::Blob(name, _) | Target::Manifest(name, _), &Method::DELETE) => {
            Some(scope(name, &[Action::Delete]))
        }
        (Target::Upload(name, _), _) if reads => Some(Wanted::Upload(name.clone())),
        (Target::Upload(name, _), &Method::PATCH | &Method::PUT | &Method::DELETE) => {
            Some(Wanted::Upload(name.clone()))
        }
        _ => None,
    }
}

/// `Allow` of a target.
const fn allowed(target: &Target) -> &'static str {
    match target {
        Target::Base
        | Target::Catalog
        | Target::RegistryExtensions
        | Target::Extensions(_)
        | Target::Repositories(_)
        | Target::Tags(_)
        | Target::TagHistory(..)
        | Target::Referrers(..) => "GET, HEAD",
        Target::Blob(..) => "GET, HEAD, DELETE",
        Target::Manifest(..) => "GET, HEAD, PUT, DELETE",
        Target::Uploads(_) => "POST",
        Target::Upload(..) => "GET, HEAD, PATCH, PUT, DELETE",
    }
}

fn not_allowed(method: &Method, allow: &'static str) -> ApiError {
    ApiError::MethodNotAllowed { method: method.to_string(), allow }
}

fn no_route(path: &str) -> ApiError {
    ApiError::NoRoute { path: path.chars().take(256).collect() }
}
