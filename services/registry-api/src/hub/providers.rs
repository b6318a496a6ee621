//! Signing in by a provider of identities: there, and back again.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, State},
    response::{IntoResponse as _, Response},
};
use http::{HeaderValue, StatusCode, header::LOCATION, request::Parts};
use jiff::Timestamp;
use oci::AccountName;
use proto::auth::federation::{
    FinishedFlow, FlowOutcome, FlowPurpose, Provider, ProviderName, ReturnPath, ReturnedFlow, WantedFlow,
};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    asker::Asking,
    browser::Browser,
    names,
    openapi::{Conflicting, Refused},
    page::{self, Listed},
    path::At,
    problem::Problem,
};
use crate::{Registry, asked::Query, respond, retry};

/// A provider that one can sign in with.
#[derive(Serialize, ToSchema)]
pub(super) struct KnownProvider {
    #[schema(value_type = names::ProviderName)]
    name: ProviderName,
    /// What people know it as.
    label: String,
}

impl From<Provider> for KnownProvider {
    fn from(provider: Provider) -> Self {
        Self { name: provider.name, label: provider.label }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct OfProvider {
    /// The provider.
    #[param(value_type = names::ProviderName)]
    name: ProviderName,
}

/// Where a browser wants to go when all is done.
pub(super) struct ReturnTo(ReturnPath);

impl<S: Send + Sync> FromRequestParts<S> for ReturnTo {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = Query::parse(parts.uri.query().unwrap_or_default().as_bytes());
        Ok(Self(page::read(&query, "return_to")?.unwrap_or_default()))
    }
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes what `Returning` reads")]
pub(super) struct Answered {
    /// What the browser was sent away with.
    state: Option<String>,
    /// What the provider gives.
    code: Option<String>,
    /// Why it gives nothing.
    error: Option<String>,
    /// What it calls itself (RFC 9207).
    iss: Option<String>,
}

/// What the provider says by the browser.
pub(super) struct Returning(Query);

impl<S: Send + Sync> FromRequestParts<S> for Returning {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = Query::parse(parts.uri.query().unwrap_or_default().as_bytes());
        for parameter in ["state", "code", "error", "iss"] {
            let _once: Option<String> = page::read(&query, parameter)?;
        }
        Ok(Self(query))
    }
}

impl Returning {
    fn text(&self, parameter: &str) -> String {
        self.0.get(parameter).unwrap_or_default().to_owned()
    }
}

/// What has been done by a provider's word.
#[derive(Serialize, ToSchema)]
pub(super) struct Finished {
    /// Who has signed in, or has the identity from now on.
    #[schema(value_type = names::AccountName)]
    user: AccountName,
    /// Where the browser wanted to go.
    #[schema(value_type = names::ReturnPath)]
    return_to: ReturnPath,
    /// The session that has begun; left out: an identity was linked.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<BegunSession>,
}

/// A session that has begun by a provider's word.
#[derive(Serialize, ToSchema)]
pub(super) struct BegunSession {
    /// To be sent as `Bearer`. It is answered here and never again.
    secret: String,
    /// When the session ends by itself.
    #[schema(value_type = Option<names::Time>)]
    expires: Option<Timestamp>,
}

impl From<FinishedFlow> for Finished {
    fn from(finished: FinishedFlow) -> Self {
        let FinishedFlow { return_to, outcome } = finished;
        match outcome {
            FlowOutcome::Linked(user) => Self { user, return_to, session: None },
            FlowOutcome::SignedIn(user, issued) => {
                let secret = issued.secret.expose_secret().to_owned();
                let session = Some(BegunSession { secret, expires: issued.credential.expires });
                Self { user, return_to, session }
            }
        }
    }
}

/// List providers
///
/// Those that one can sign in with.
#[utoipa::path(
    get, path = "/api/v1/providers", tag = "providers", security(()),
    responses((status = 200, description = "All of them.", body = Listed<KnownProvider>), Refused)
)]
pub(super) async fn list_providers(
    State(registry): State<Arc<Registry>>,
) -> Result<Listed<KnownProvider>, Problem> {
    let found = retry::repeated(|| registry.services.federation.providers()).await?;
    Ok(page::whole(found, KnownProvider::from))
}

/// Sign in by a provider
///
/// For a browser: it is sent to the provider, and comes back to `callback`.
#[utoipa::path(
    get, path = "/api/v1/providers/{name}/login", tag = "providers", security(()),
    params(
        OfProvider,
        ("return_to" = Option<names::ReturnPath>, Query,
            description = "Where to go when all is done: a path of this hub; `/` if it is left out.")
    ),
    responses(
        (status = 302, description = "The provider.", headers(
            ("Location" = String, description = "Where the browser signs in."),
            ("Set-Cookie" = String, description = "What the browser keeps for ten minutes."))),
        Refused
    )
)]
pub(super) async fn log_in(
    asking: Asking,
    browser: Browser,
    At(OfProvider { name }): At<OfProvider>,
    ReturnTo(return_to): ReturnTo,
) -> Result<Response, Problem> {
    let redirect_uri = browser.callback(&name);
    let (purpose, password) = (FlowPurpose::SignIn, None);
    let wanted = WantedFlow { provider: name, purpose, redirect_uri, return_to, password };
    let begun = asking.services().federation.begin(asking.asker(), &wanted).await?;

    let mut response = StatusCode::FOUND.into_response();
    if let Ok(url) = HeaderValue::from_str(&begun.url) {
        response.headers_mut().insert(LOCATION, url);
    }
    Ok(browser.keeping(response, &begun))
}

/// Come back from a provider
///
/// Where a provider sends the browser back to. Signs in who has the identity; if nobody has it, an account is made or not, as the
/// hub is configured. An identity is what the provider calls somebody for good, and no name or e-mail address.
#[utoipa::path(
    get, path = "/api/v1/providers/{name}/callback", tag = "providers", security(()),
    params(OfProvider, Answered),
    responses(
        (status = 200, description = "A user has signed in, or has the identity from now on.", body = Finished),
        Refused,
        Conflicting
    )
)]
pub(super) async fn come_back(
    asking: Asking,
    browser: Browser,
    At(OfProvider { name }): At<OfProvider>,
    returning: Returning,
) -> Result<Response, Problem> {
    let error = returning.0.get("error").map(str::to_owned);
    let returned = ReturnedFlow {
        provider: name,
        sealed: browser.kept.clone(),
        state: returning.text("state"),
        answer: error.map_or_else(|| Ok(returning.text("code").into()), Err),
        issuer: returning.0.get("iss").map(str::to_owned),
        address: asking.asker().address,
    };
    let finished = asking.services().federation.finish(&returned).await?;
    Ok(browser.forgetting(respond::json(&Finished::from(finished))))
}
