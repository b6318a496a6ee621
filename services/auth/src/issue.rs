//! From a token request to a signed token (distribution `auth/token.md`): facts, password, policy, signature.

use std::time::Duration;

use jsonwebtoken::{Algorithm, Header};
use oci::{AccountName, Resource, Scope};
use proto::{
    auth::{AccessEntry, AuthError, Claims, IssuedToken, TokenRequest},
    metadata::{
        Accounts, Standing,
        accounts::{AccessFacts, AccessQuestion, Account, Role},
    },
};
use secrecy::SecretString;
use service_kit::random::Random;

use crate::{
    config::Config,
    password::{Checked, Passwords},
    policy::Principal,
    signer::ActiveKey,
    unavailable,
};

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
        let header = Header { kid: Some(key.id.0.clone()), ..Header::new(Algorithm::EdDSA) };
        let token = jsonwebtoken::encode(&header, &claims, &key.encoding).map_err(|error| {
            tracing::error!(%error, "signing a token");
            AuthError::Unavailable { attempted: "signing a token".into() }
        })?;

        Ok(IssuedToken {
            token: SecretString::from(token),
            subject: principal.subject(),
            scopes,
            issued_at: now,
            expires_in: self.lifetime,
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
        }
    }
}

fn token_name(random: &dyn Random) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    let mut name = [0; 16];
    random.fill(&mut name);
    URL_SAFE_NO_PAD.encode(name)
}

/// All that the decision depends on, in one call. A name that cannot be one is asked for as nobody.
pub(crate) async fn facts(accounts: &dyn Accounts, request: &TokenRequest) -> Result<AccessFacts, AuthError> {
    let account = request.credentials.as_ref().and_then(|given| given.username.parse::<AccountName>().ok());
    let mut repositories: Vec<_> = request
        .scopes
        .iter()
        .filter_map(|scope| match &scope.resource {
            Resource::Repository(name) => Some(name.clone()),
            Resource::Catalog => None,
        })
        .collect();
    repositories.sort();
    repositories.dedup();

    let question = AccessQuestion { account, repositories };
    accounts.access_facts(&question).await.map_err(|error| unavailable(&error))
}

/// Who asks. No such user, a wrong password and a disabled account take the same time and get the same answer.
pub(crate) async fn principal(
    passwords: &Passwords,
    request: &TokenRequest,
    account: Option<&Account>,
) -> Result<Principal, AuthError> {
    let Some(given) = &request.credentials else {
        return Ok(Principal::Anonymous);
    };
    let kept = account.map(|account| &account.password_hash);
    let checked = passwords.check(&given.password, kept).await?;

    match (account, checked) {
        (Some(account), Checked::Right) if account.standing == Standing::Active => Ok(match account.role {
            Role::Administrator => Principal::Administrator(account.name.clone()),
            Role::User => Principal::User(account.name.clone()),
        }),
        _ => Err(AuthError::WrongCredentials),
    }
}
