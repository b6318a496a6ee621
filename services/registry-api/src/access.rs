//! Who asks, and whether they may: the bearer token of a request against what the request needs. Verified
//! here, without a call; a token that was verified once is remembered, but not beyond its time.

use std::sync::Arc;

use http::HeaderMap;
use oci::{Action, CredentialId, RepositoryName, Resource, Scope};
use proto::{
    auth::Subject,
    metadata::{Standing, UploadError, uploads::UploadSession},
};
use service_kit::{clock::Clock, jose::KeySet};

use crate::{
    Process, Services,
    config::Config,
    error::ApiError,
    headers::{self, Authorization},
};
use keys::Keys;
use remembered::Remembered;
use revoked::Revocations;
use token::Token;

mod keys;
mod remembered;
mod revoked;
mod token;

/// Longer tokens are not looked at.
const LONGEST_TOKEN_BYTES: usize = 16 * 1024;

/// Clocks of two machines differ; a token that was signed just now must be good at once.
const NOT_BEFORE_LEEWAY_SECONDS: i64 = 5;

/// How long an upload session outlives the tokens it was begun with.
const SESSION_SECONDS: i64 = 24 * 60 * 60;

/// What a request needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// A token, whatever it allows.
    AnyToken,
    /// All of this.
    Scope(Scope),
    /// To begin an upload, and if possible to mount from elsewhere.
    NewUpload { into: RepositoryName, from: Option<RepositoryName> },
    /// To go on with an upload in this repository: push, which may have expired since.
    Upload(RepositoryName),
}

/// Why there is no access, as far as a client is told (RFC 6750 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There was no token.
    NoToken,
    /// It is not a token of ours, or is not valid now.
    InvalidToken,
    /// It does not allow this.
    InsufficientScope,
}

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    token: Arc<Token>,
    life: Life,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Alive,
    Expired,
}

/// Checks tokens.
pub(crate) struct Access {
    keys: Keys,
    revocations: Revocations,
    remembered: Remembered,
    issuer: String,
    audience: String,
    clock: Arc<dyn Clock>,
}

impl Access {
    pub(crate) fn new(services: &Services, config: &Config, process: &Process) -> Self {
        Self {
            keys: Keys::new(Arc::clone(&services.auth), process),
            revocations: Revocations::new(Arc::clone(&services.identities), process),
            remembered: Remembered::new(),
            issuer: config.issuer.clone(),
            audience: config.service.clone(),
            clock: Arc::clone(&process.clock),
        }
    }

    /// Who asks, if the token in `headers` allows what is `wanted`.
    pub(crate) async fn check(&self, headers: &HeaderMap, wanted: &Wanted) -> Result<Caller, ApiError> {
        let refused = |refusal| ApiError::Unauthorized { wanted: wanted.scopes(), refusal };
        let text = match headers::authorization(headers) {
            Authorization::Bearer(text) if text.len() <= LONGEST_TOKEN_BYTES => text,
            Authorization::Bearer(_) | Authorization::Unreadable => {
                return Err(refused(Refusal::InvalidToken));
            }
            // Clients send the password before they have seen the challenge.
            Authorization::None | Authorization::Basic(_) => return Err(refused(Refusal::NoToken)),
        };

        let token = self.token(text).await?.ok_or_else(|| refused(Refusal::InvalidToken))?;
        let life = self.life(&token).ok_or_else(|| refused(Refusal::InvalidToken))?;
        let caller = Caller { token, life };
        caller.checked(wanted).map_err(refused)
    }

    /// The keys that verify tokens.
    ///
    /// # Errors
    /// `NoKeys` while none is known.
    pub(crate) fn keys(&self) -> Result<Arc<KeySet>, ApiError> {
        let known = self.keys.known();
        if known.is_empty() { Err(ApiError::NoKeys) } else { Ok(known) }
    }

    /// Whether `session` is `caller`'s to go on with (ARCHITECTURE.md §4, "A session outlives its token").
    /// To others it does not exist.
    pub(crate) fn check_session(&self, caller: &Caller, session: &UploadSession) -> Result<(), ApiError> {
        let age = self.clock.now().as_second() - session.started.as_second();
        let theirs = caller.token.subject == session.subject && session.standing == Standing::Active;
        let in_time = caller.life == Life::Alive || age < SESSION_SECONDS;
        if theirs && in_time {
            return Ok(());
        }
        Err(UploadError::UploadUnknown { session: session.address.session }.into())
    }

    /// The token, if its signature is right.
    async fn token(&self, text: &str) -> Result<Option<Arc<Token>>, ApiError> {
        if let Some(token) = self.remembered.find(text) {
            return Ok(Some(token));
        }
        let Some(id) = token::named_key(text) else { return Ok(None) };
        let Some(key) = self.keys.find(&id).await else {
            return if self.keys.are_absent() { Err(ApiError::NoKeys) } else { Ok(None) };
        };

        let token = token::verified(text, id, &key).map(Arc::new);
        if let Some(token) = &token {
            self.remembered.insert(text, token);
        }
        Ok(token)
    }

    /// Whether it is valid now, or was; at each use, however it was found.
    fn life(&self, token: &Token) -> Option<Life> {
        let now = self.clock.now().as_second();
        let ours =
            token.issuer == self.issuer && token.audience == self.audience && self.keys.has(&token.key);
        if !ours || token.not_before > now + NOT_BEFORE_LEEWAY_SECONDS || self.revocations.end(token) {
            return None;
        }
        match now - token.expires {
            ..0 => Some(Life::Alive),
            // No session that it began lives on, and what was revoked so long ago is forgotten.
            SESSION_SECONDS.. => None,
            _ => Some(Life::Expired),
        }
    }
}

impl Wanted {
    /// As a challenge names it.
    fn scopes(&self) -> Vec<Scope> {
        match self {
            Self::AnyToken => Vec::new(),
            Self::Scope(scope) => vec![scope.clone()],
            Self::Upload(repository) => vec![to_push(repository)],
            Self::NewUpload { into, from } => {
                let to_pull =
                    |from: &RepositoryName| Scope { actions: [Action::Pull].into(), ..to_push(from) };
                std::iter::once(to_push(into)).chain(from.as_ref().map(to_pull)).collect()
            }
        }
    }
}

fn to_push(repository: &RepositoryName) -> Scope {
    Scope { resource: Resource::Repository(repository.clone()), actions: [Action::Pull, Action::Push].into() }
}

impl Caller {
    /// On whose behalf.
    pub(crate) fn subject(&self) -> &Subject {
        &self.token.subject
    }

    /// By which credential; none: a password, or nobody's.
    pub(crate) fn credential(&self) -> Option<&CredentialId> {
        self.token.credential.as_ref()
    }

    /// Whether the token allows to read `repository`.
    pub(crate) fn may_pull(&self, repository: &RepositoryName) -> bool {
        self.life == Life::Alive && self.token.allows(&Resource::Repository(repository.clone()), Action::Pull)
    }

    /// Whether the token allows to push to `repository`.
    pub(crate) fn may_push(&self, repository: &RepositoryName) -> bool {
        self.token.allows(&Resource::Repository(repository.clone()), Action::Push)
    }

    /// Whether the token allows to list every repository.
    pub(crate) fn may_list_all(&self) -> bool {
        self.life == Life::Alive && self.token.allows(&Resource::Catalog, Action::All)
    }

    /// The repositories that the token allows to read.
    pub(crate) fn pullable(&self) -> impl Iterator<Item = &RepositoryName> {
        let names = self.token.scopes.iter().filter_map(|scope| match &scope.resource {
            Resource::Repository(name) => Some(name),
            Resource::Catalog => None,
        });
        names.filter(move |name| self.may_pull(name))
    }

    fn checked(self, wanted: &Wanted) -> Result<Self, Refusal> {
        let outlived = matches!(wanted, Wanted::Upload(_)) && self.token.subject != Subject::Anonymous;
        if self.life == Life::Expired && !outlived {
            return Err(Refusal::InvalidToken);
        }

        let allowed = match wanted {
            Wanted::AnyToken => true,
            Wanted::Scope(scope) => self.token.allows_all(scope),
            Wanted::NewUpload { into, from: _ } => self.token.allows_all(&to_push(into)),
            Wanted::Upload(repository) => {
                self.token.allows(&Resource::Repository(repository.clone()), Action::Push)
            }
        };
        match (allowed, self.life) {
            (true, _) => Ok(self),
            (false, Life::Alive) => Err(Refusal::InsufficientScope),
            (false, Life::Expired) => Err(Refusal::InvalidToken),
        }
    }
}
