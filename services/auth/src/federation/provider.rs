//! A provider of identities, as a client of it: where browsers go, what a code is exchanged for, and what that says of
//! somebody (OpenID Connect Core). It knows no users of this hub.

use proto::{
    auth::IdentityError,
    metadata::{
        credentials::RequiredClaims,
        federation::{ForeignIdentity, NewIdentity},
    },
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value};
use service_kit::fetch::{Endpoint, Fetched, Shown};

use super::{
    flow::Flow,
    issuers::{Discovered, Document, KnownIssuer, Means, TokenError},
    token::{Believed, Disbelief},
};
use crate::config::{ProviderConfig, ProviderSignUp};

/// Characters of what a provider says that are told on, at most.
const LONGEST_WORD: usize = 100;

/// A provider, and what is known of its issuer.
pub(crate) struct KnownProvider {
    pub(crate) config: ProviderConfig,
    issuer: KnownIssuer,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: SecretString,
    access_token: Option<SecretString>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl KnownProvider {
    pub(crate) fn new(config: ProviderConfig) -> Self {
        let issuer = KnownIssuer::new(config.issuer.clone());
        Self { config, issuer }
    }

    /// That the provider says no, or what is not believed.
    pub(crate) fn refused(&self, why: &str) -> IdentityError {
        let why = why.chars().filter(|character| !character.is_control()).take(LONGEST_WORD).collect();
        IdentityError::ProviderRefused { provider: self.config.name.clone(), why }
    }

    fn unanswered(&self) -> IdentityError {
        IdentityError::Unavailable { attempted: format!("asking the provider {}", self.config.name).into() }
    }

    async fn discovered(&self, means: &Means<'_>) -> Result<std::sync::Arc<Discovered>, IdentityError> {
        self.issuer.known(None, means).await.map_err(|_| self.unanswered())
    }

    fn endpoint(&self, address: Option<&String>) -> Result<Endpoint, IdentityError> {
        let endpoint = address.and_then(|address| address.parse().ok());
        endpoint.ok_or_else(|| {
            tracing::warn!(provider = %self.config.name, "a provider does not say where it is asked");
            self.unanswered()
        })
    }

    /// Where the browser goes.
    pub(crate) async fn authorization(
        &self,
        flow: &Flow,
        means: &Means<'_>,
    ) -> Result<String, IdentityError> {
        let known = self.discovered(means).await?;
        let endpoint = self.endpoint(known.document.authorization_endpoint.as_ref())?;
        Ok(endpoint.with_parameters(&[
            ("response_type", "code"),
            ("client_id", &self.config.client_id),
            ("redirect_uri", &flow.redirect_uri),
            ("scope", &self.config.scopes.join(" ")),
            ("state", &flow.state),
            ("nonce", &flow.nonce),
            ("code_challenge", &flow.challenge()),
            ("code_challenge_method", "S256"),
        ]))
    }

    /// What the provider says of whoever has brought the code.
    pub(crate) async fn claims(
        &self,
        code: &SecretString,
        flow: &Flow,
        means: &Means<'_>,
    ) -> Result<Believed, IdentityError> {
        let known = self.discovered(means).await?;
        let tokens = self.tokens(code, flow, &known.document, means).await?;
        let believed = self.issuer.believed(&tokens.id_token, means).await.map_err(|error| match error {
            TokenError::Disbelieved(why) => self.disbelieved(why),
            TokenError::Unknown => self.unanswered(),
        })?;
        let claims = believed.given_to(&self.config.client_id, &flow.nonce);
        let claims = claims.map_err(|why| self.disbelieved(why))?;

        Ok(match &tokens.access_token {
            Some(access) if self.lacks(&claims) => self.completed(claims, access, &known, means).await,
            _ => claims,
        })
    }

    fn disbelieved(&self, why: Disbelief) -> IdentityError {
        tracing::warn!(provider = %self.config.name, %why, "an identity token is not believed");
        self.refused(&format!("its token is not accepted: {why}"))
    }

    async fn tokens(
        &self,
        code: &SecretString,
        flow: &Flow,
        document: &Document,
        means: &Means<'_>,
    ) -> Result<Tokens, IdentityError> {
        let endpoint = self.endpoint(document.token_endpoint.as_ref())?;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code.expose_secret()),
            ("redirect_uri", flow.redirect_uri.as_str()),
            ("code_verifier", flow.verifier.as_str()),
        ];
        let methods = &document.token_endpoint_auth_methods_supported;
        // The default, if none is named (OpenID Connect Discovery §3).
        let basic = methods.is_empty() || methods.iter().any(|method| method == "client_secret_basic");
        let shown = match &self.config.client_secret {
            Some(secret) if basic => Shown::Basic(&self.config.client_id, secret),
            secret => {
                form.push(("client_id", &self.config.client_id));
                form.extend(secret.as_ref().map(|secret| ("client_secret", secret.expose_secret())));
                Shown::Nothing
            }
        };

        let answer = means.fetcher.post_form(&endpoint, &form, shown).await.map_err(|error| {
            tracing::warn!(provider = %self.config.name, %error, "a provider does not answer");
            self.unanswered()
        })?;
        self.given(&answer)
    }

    fn given(&self, answer: &Fetched) -> Result<Tokens, IdentityError> {
        match answer.status {
            200 => serde_json::from_slice(&answer.body).map_err(|_| self.disbelieved(Disbelief::Malformed)),
            status @ 400..=499 => {
                let said: Option<Refusal> = serde_json::from_slice(&answer.body).ok();
                let why = said.map_or_else(|| format!("it answers {status}"), |refusal| refusal.error);
                tracing::warn!(provider = %self.config.name, %why, "a provider gives no tokens for a code");
                Err(self.refused(&why))
            }
            status => {
                tracing::warn!(provider = %self.config.name, status, "a provider fails");
                Err(self.unanswered())
            }
        }
    }

    /// Whether more must be known than the identity token says.
    fn lacks(&self, claims: &Believed) -> bool {
        let required = self.config.required_claims.iter().flat_map(RequiredClaims::iter);
        let mut names = required.map(|(name, _)| name);
        let absent = |name: &str| !claims.0.contains_key(name);
        (self.config.sign_up == ProviderSignUp::Create && absent(&self.config.username_claim))
            || names.any(absent)
    }

    /// With what the provider says besides of the same user (OpenID Connect Core §5.3). What the token says counts.
    async fn completed(
        &self,
        mut claims: Believed,
        access: &SecretString,
        known: &Discovered,
        means: &Means<'_>,
    ) -> Believed {
        let endpoint = known.document.userinfo_endpoint.as_ref().and_then(|address| address.parse().ok());
        let Some(endpoint): Option<Endpoint> = endpoint else {
            return claims;
        };
        let more = match means.fetcher.get(&endpoint, Shown::Bearer(access)).await {
            Ok(fetched) if fetched.status == 200 => serde_json::from_slice(&fetched.body).ok(),
            _ => None,
        };
        let more: Map<String, Value> = more.unwrap_or_default();
        if more.get("sub").is_some() && more.get("sub") == claims.0.get("sub") {
            for (name, value) in more {
                claims.0.entry(name).or_insert(value);
            }
        }
        claims
    }

    /// Who somebody is by what is said of them, if that is somebody whom this hub lets in.
    pub(crate) fn identity(&self, claims: &Believed) -> Result<NewIdentity, IdentityError> {
        let subject = claims.text("sub").and_then(|subject| subject.parse().ok());
        let subject = subject.ok_or_else(|| self.disbelieved(Disbelief::Subject))?;
        let required = self.config.required_claims.as_ref();
        if required.is_some_and(|required| !required.are_said_by(&claims.0)) {
            return Err(self.refused("it does not say of you what this hub requires of its users"));
        }

        let label = claims.text(&self.config.username_claim).unwrap_or_default();
        let identity = ForeignIdentity { issuer: self.config.issuer.clone(), subject };
        Ok(NewIdentity::new(identity, label))
    }
}
