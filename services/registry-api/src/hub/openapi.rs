//! The document that describes the management API (`OpenAPI` 3.1), made from the handlers: what is said of all operations,
//! and where it is served.

use std::{collections::BTreeMap, sync::LazyLock};

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use utoipa::{
    IntoResponses, OpenApi as _, ToSchema,
    openapi::{
        Content, HeaderBuilder, Info, OpenApi, Ref, RefOr, ResponseBuilder, response,
        schema::{ObjectBuilder, Type},
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

use super::{names, operations};

const ABOUT: &str = "Users, organizations, teams, repositories and who may use them.

Sign in with `Basic` and a name and a password, or send a secret as `Bearer` (`bucket_pat_…`, `bucket_robot_…`, \
`bucket_session_…`, `bucket_workload_…`) or as the password of `Basic`. Who has a second factor signs in with a code, and sends a secret afterwards. Who may not see something is told what is told of what does not exist: 404.

Lists have parts: `n` says how many items at most, `next` in the answer is the `cursor` of the next part, and `Link` its \
address. A name in a path that cannot be one is a 400 that says why. Fields that an operation does not know are refused. \
PUT and DELETE can be repeated. Errors are problems (RFC 9457); `type` says which, and fields of the error stand beside it.";

/// The document without operations.
pub(super) fn beginning() -> OpenApi {
    let mut document = Common::openapi();
    document.info = Info::builder().title("Bucket").version("1").description(Some(ABOUT)).build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("basic", SecurityScheme::Http(Http::new(HttpAuthScheme::Basic)));
    components.add_security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    document
}

#[derive(utoipa::OpenApi)]
#[openapi(
    security(("basic" = []), ("bearer" = [])),
    tags(
        (name = "sessions", description = "Signing in and out."),
        (name = "users", description = "Accounts of people."),
        (name = "invitations", description = "Who may make an account though the hub is closed."),
        (name = "tokens", description = "Access tokens: secrets that stand for a user in programs."),
        (name = "robots", description = "Secrets that stand for nobody but themselves, in one namespace."),
        (name = "providers", description = "Signing in by the word of others (OpenID Connect)."),
        (name = "trusts", description = "Workloads whose own tokens are as good as the secret of a robot."),
        (name = "organizations", description = "Namespaces with members and teams."),
        (name = "quotas", description = "How many bytes a namespace may use."),
        (name = "repositories", description = "What is pushed and pulled, and who may."),
        (name = "audit", description = "Who did what, to what, when and from where."),
        (name = "document", description = "This document."),
    ),
    components(schemas(
        Problem, names::AccountName, names::NamespaceName, names::TeamName, names::RobotLabel, names::RobotName,
        names::FullRepositoryName, names::RepositoryPath, names::Beginning, names::Pattern, names::SearchQuery, names::RepositoryCursor, names::TagName,
        names::CredentialId, names::Grantee, names::Time, names::NewPassword, names::Password,
        names::SecondFactorCode, names::MailToken, names::InvitationToken, names::Role, names::Standing,
        names::Visibility, names::Level, names::MemberRole, names::Permission, names::EventId, names::ActionFilter, names::ActorName, names::ActionName,
        names::Via, names::Picture,
        names::ProviderName, names::ReturnPath, names::IdentityId, names::Issuer, names::Audience,
        names::ClaimPattern,
    ))
)]
struct Common;

/// Why a request was not done (RFC 9457). Fields of the error stand beside these.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `problem::Problem` writes")]
struct Problem {
    /// Which problem.
    #[schema(value_type = String, format = "uri-reference")]
    r#type: String,
    /// What it is called.
    title: String,
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What was wrong this time.
    detail: String,
    /// What operators find the request by.
    request_id: Option<String>,
}

/// What any operation may answer besides.
pub(super) struct Refused;

impl IntoResponses for Refused {
    fn responses() -> BTreeMap<String, RefOr<response::Response>> {
        problems(&[
            ("400", "A name in the path or a parameter cannot be used."),
            ("401", "Who asks must sign in, or what they presented is not good (any more)."),
            ("403", "Who asks may not do this; `missing` says what."),
            ("404", "There is no such thing, or who asks may not know of it."),
            ("429", "Too many wrong passwords, or too many logins at once."),
            ("500", "The hub has failed."),
            ("503", "The hub cannot do this now."),
        ])
    }
}

/// What an operation with a body may answer besides.
pub(super) struct BodyRefused;

impl IntoResponses for BodyRefused {
    fn responses() -> BTreeMap<String, RefOr<response::Response>> {
        problems(&[
            ("413", "The body has more than 256 KiB."),
            ("415", "The body is not application/json."),
            ("422", "A field is missing, unknown, too long, or cannot be used; `field` says which."),
        ])
    }
}

/// What an operation with a picture may answer besides.
pub(super) struct PictureRefused;

impl IntoResponses for PictureRefused {
    fn responses() -> BTreeMap<String, RefOr<response::Response>> {
        problems(&[
            ("413", "The picture has more than 256 KiB."),
            ("415", "The body is said to be no picture."),
            ("422", "The body begins like none of the pictures that are taken."),
        ])
    }
}

/// What an operation may answer that something stands against.
pub(super) struct Conflicting;

impl IntoResponses for Conflicting {
    fn responses() -> BTreeMap<String, RefOr<response::Response>> {
        problems(&[("409", "What there is stands against it: a name that is taken, a last owner, a limit.")])
    }
}

fn problems(described: &[(&str, &str)]) -> BTreeMap<String, RefOr<response::Response>> {
    let one = |(status, description): &(&str, &str)| {
        let content = Content::new(Some(Ref::from_schema_name("Problem")));
        let mut answer =
            ResponseBuilder::new().description(*description).content("application/problem+json", content);
        match *status {
            "401" => answer = answer.header("WWW-Authenticate", header("How to sign in.", Type::String)),
            "429" | "503" => answer = answer.header("Retry-After", header("In seconds.", Type::Integer)),
            _ => {}
        }
        ((*status).to_owned(), answer.build().into())
    };
    described.iter().map(one).collect()
}

fn header(description: &str, kind: Type) -> utoipa::openapi::Header {
    HeaderBuilder::new()
        .description(Some(description))
        .schema(Some(ObjectBuilder::new().schema_type(kind)))
        .build()
}

// It is the same for everybody.
static DOCUMENT: LazyLock<Bytes> =
    LazyLock::new(|| operations().into_openapi().to_json().unwrap_or_default().into());

/// This document
#[utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "document", security(()),
    responses((status = 200, description = "The document.", content_type = "application/json", body = Object))
)]
pub(super) async fn document() -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "public, max-age=300")];
    (headers, DOCUMENT.clone()).into_response()
}
