//! Who asks: name and password, or a secret. Who that is and what they may do is found out by auth, in one call.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::{HeaderMap, request::Parts};
use oci::AccountName;
use proto::{
    auth::{
        Credentials, Subject,
        identities::{Asker, Deed, Permit},
    },
    metadata::Via,
};
use secrecy::ExposeSecret as _;

use super::problem::{Problem, RequestError};
use crate::{
    Registry, Services,
    headers::{self, Authorization},
    retry,
};

/// How the secrets of this hub begin; the registry's tokens do not.
const SECRET: &str = "bucket_";
const SESSION: &str = "bucket_session_";

/// Somebody who asks, and whom to ask about them.
pub(super) struct Asking {
    registry: Arc<Registry>,
    asker: Asker,
}

impl FromRequestParts<Arc<Registry>> for Asking {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, registry: &Arc<Registry>) -> Result<Self, Problem> {
        let credentials = presented(&parts.headers)?;
        let address = registry.asked(parts).address;
        Ok(Self { registry: Arc::clone(registry), asker: Asker { credentials, address, via: Via::Api } })
    }
}

fn presented(headers: &HeaderMap) -> Result<Option<Credentials>, RequestError> {
    match headers::authorization(headers) {
        Authorization::None => Ok(None),
        Authorization::Basic(encoded) => {
            headers::credentials(encoded).map(Some).ok_or(RequestError::MalformedLogin)
        }
        Authorization::Bearer(text) if text.starts_with(SECRET) => {
            Ok(Some(Credentials { username: String::new(), password: text.into() }))
        }
        Authorization::Bearer(_) => Err(RequestError::ForeignBearer),
        Authorization::Unreadable => Err(RequestError::MalformedLogin),
    }
}

impl Asking {
    pub(super) fn services(&self) -> &Services {
        &self.registry.services
    }

    pub(super) fn asker(&self) -> &Asker {
        &self.asker
    }

    /// Whether nobody in particular asks.
    pub(super) fn is_anonymous(&self) -> bool {
        self.asker.credentials.is_none()
    }

    /// Whether a secret came alone, without a name.
    pub(super) fn is_bearer(&self) -> bool {
        self.asker.credentials.as_ref().is_some_and(|given| given.username.is_empty())
    }

    /// Whether the secret of a session was presented.
    pub(super) fn is_session(&self) -> bool {
        let given = self.asker.credentials.as_ref();
        given.is_some_and(|given| given.password.expose_secret().starts_with(SESSION))
    }

    /// The permit for `deed`.
    ///
    /// # Errors
    /// What auth says of who may not.
    pub(super) async fn permit(&self, deed: &Deed) -> Result<Permit, Problem> {
        Ok(retry::repeated(|| self.services().identities.authorize(&self.asker, deed)).await?)
    }

    /// The user who asks.
    ///
    /// # Errors
    /// As `permit`; a robot is no user.
    pub(super) async fn user(&self) -> Result<(AccountName, Permit), Problem> {
        self.user_who_may(&Deed::SignedIn).await
    }

    /// The user who asks, with the permit for `deed`.
    ///
    /// # Errors
    /// As `user`.
    pub(super) async fn user_who_may(&self, deed: &Deed) -> Result<(AccountName, Permit), Problem> {
        let permit = self.permit(deed).await?;
        match &permit.subject {
            Subject::User(name) => Ok((name.clone(), permit)),
            _ => Err(RequestError::NoUser.into()),
        }
    }

    /// The user who asks, and may see and change what is their own.
    ///
    /// # Errors
    /// As `user`.
    pub(super) async fn account(&self) -> Result<(AccountName, Permit), Problem> {
        let (name, _) = self.user().await?;
        let permit = self.permit(&Deed::ManageAccount(name.clone())).await?;
        Ok((name, permit))
    }
}
