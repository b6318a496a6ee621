//! What a token says, and its signature (distribution `auth/token.md`).

use std::{collections::BTreeSet, time::Duration};

use oci::{RepositoryName, Resource, Scope};
use proto::auth::{AccessEntry, AuthError, Claims, IssuedToken};
use secrecy::SecretString;
use service_kit::random::Random;

use crate::{config::Config, policy::Principal, signer::ActiveKey};

/// What every token of this service says.
#[derive(Debug)]
pub(crate) struct Issuer {
    name: String,
    service: String,
    lifetime: Duration,
}

impl Issuer {
    pub(crate) fn new(config: &Config) -> Self {
        Self { name: config.issuer.clone(), service: config.service.clone(), lifetime: config.token_lifetime }
    }

    /// A token names the one registry it is for; a client that leaves it out means this one.
    pub(crate) fn check_service(&self, asked: &str) -> Result<(), AuthError> {
        if asked.is_empty() || asked == self.service {
            return Ok(());
        }
        Err(AuthError::UnknownService {
            asked: asked.chars().take(128).collect(),
            known: self.service.clone(),
        })
    }

    pub(crate) fn sign(
        &self,
        key: &ActiveKey,
        principal: &Principal,
        scopes: Vec<Scope>,
        now: jiff::Timestamp,
        random: &dyn Random,
    ) -> Result<IssuedToken, AuthError> {
        let claims = self.claims(principal, &scopes, now, random);
        let token = key.key.signed(&key.id.0, &claims).map_err(|error| {
            tracing::error!(%error, "signing a token");
            AuthError::Unavailable { attempted: "signing a token".into() }
        })?;

        Ok(IssuedToken {
            token: SecretString::from(token),
            subject: principal.subject(),
            scopes,
            issued_at: now,
            expires_in: self.lifetime,
            refresh_token: None,
        })
    }

    fn claims(
        &self,
        principal: &Principal,
        scopes: &[Scope],
        now: jiff::Timestamp,
        random: &dyn Random,
    ) -> Claims {
        let issued = now.as_second();
        Claims {
            iss: self.name.clone(),
            sub: principal.subject().to_string(),
            aud: self.service.clone(),
            exp: issued.saturating_add(i64::try_from(self.lifetime.as_secs()).unwrap_or(i64::MAX)),
            nbf: issued,
            iat: issued,
            jti: token_name(random),
            access: scopes.iter().map(AccessEntry::of).collect(),
            cid: principal.credential().cloned(),
        }
    }
}

fn token_name(random: &dyn Random) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    let mut name = [0; 16];
    random.fill(&mut name);
    URL_SAFE_NO_PAD.encode(name)
}

/// The repositories that the scopes are about, each once.
pub(crate) fn repositories(scopes: &[Scope]) -> Vec<RepositoryName> {
    let named = scopes.iter().filter_map(|scope| match &scope.resource {
        Resource::Repository(name) => Some(name.clone()),
        Resource::Catalog => None,
    });
    let distinct: BTreeSet<RepositoryName> = named.collect();
    distinct.into_iter().collect()
}
