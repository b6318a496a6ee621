//! Service accounts: by a token that one of the configured keys has signed, or by a certificate whose name is
//! configured. Nobody is asked, so that a port works whatever else does not.

use std::{fmt, sync::Arc, time::Duration};

use http::HeaderValue;
use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::caller::{Role, ServiceAccount, ServiceName};
use crate::{
    clock::Clock,
    config::GrpcServerConfig,
    jose::{self, KeyError, KeySet, PrivateKey},
    reloaded::{FileError, Reloaded},
    shutdown::Shutdown,
};

/// The audience of service tokens: no token of the registry has it.
pub const AUDIENCE: &str = "bucket-grpc";

/// Longer tokens are not looked at.
const LONGEST_TOKEN_BYTES: usize = 8 * 1024;

/// Clocks of two machines differ; a token that was signed just now must be good at once.
const NOT_BEFORE_LEEWAY_SECONDS: i64 = 5;

/// Who has a service account, and how they show it.
#[derive(Clone)]
pub struct Accounts {
    keys: Option<Arc<Reloaded<KeySet>>>,
    named: Vec<(String, Arc<ServiceAccount>)>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts")
            .field("keys", &self.keys)
            .field("named", &self.named)
            .finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: ServiceName,
    aud: Audience,
    exp: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    roles: Vec<Role>,
    /// A limit that is not enforced must not be believed to be one.
    #[serde(default, skip_serializing)]
    repositories: Option<serde::de::IgnoredAny>,
}

/// RFC 7519 §4.1.3.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn is_ours(&self) -> bool {
        match self {
            Self::One(audience) => audience == AUDIENCE,
            Self::Several(audiences) => audiences.iter().any(|audience| audience == AUDIENCE),
        }
    }
}

/// Signs a token of a service account.
///
/// # Errors
/// The key cannot sign.
pub fn service_token(
    key: &PrivateKey,
    account: &ServiceAccount,
    now: Timestamp,
    lifetime: Duration,
) -> Result<SecretString, KeyError> {
    let issued = now.as_second();
    let claims = Claims {
        sub: account.name.clone(),
        aud: Audience::One(AUDIENCE.to_owned()),
        exp: issued.saturating_add(i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX)),
        nbf: Some(issued),
        iat: Some(issued),
        roles: account.roles.clone(),
        repositories: None,
    };
    key.signed(&key.public().thumbprint(), &claims).map(SecretString::from)
}

impl Accounts {
    /// None: the hub's own services call, and nobody else.
    pub(super) fn none() -> Self {
        Self { keys: None, named: Vec::new(), clock: crate::clock::system() }
    }

    /// Those that are configured.
    ///
    /// # Errors
    /// The file with the keys cannot be used.
    pub async fn open(config: &GrpcServerConfig, clock: Arc<dyn Clock>) -> Result<Self, FileError> {
        let keys = match &config.service_keys_file {
            Some(file) => Some(Arc::new(Reloaded::open(vec![file.clone()], read()).await?)),
            None => None,
        };
        let named = config.callers.iter().map(|caller| {
            let account = ServiceAccount { name: caller.name.clone(), roles: caller.roles.clone() };
            (caller.san.clone(), Arc::new(account))
        });
        Ok(Self { keys, named: named.collect(), clock })
    }

    /// Reads the keys again when they change, until the shutdown.
    pub(super) fn keep_fresh(&self, shutdown: &Shutdown) {
        if let Some(keys) = &self.keys {
            shutdown.spawn(Arc::clone(keys).kept_fresh(shutdown.clone()));
        }
    }

    /// Whose certificate it is that has these names, if it is that of an account. The first that is configured counts.
    pub(super) fn with_names(&self, names: &[String]) -> Option<Arc<ServiceAccount>> {
        let known = self.named.iter().find(|(san, _)| names.contains(san));
        known.map(|(_, account)| Arc::clone(account))
    }

    /// Whose token it is, if it is good now.
    pub(super) fn with_token(&self, shown: &HeaderValue) -> Option<Arc<ServiceAccount>> {
        let token = shown.to_str().ok()?.strip_prefix("Bearer ")?;
        let keys = self.keys.as_ref()?.current();
        if token.len() > LONGEST_TOKEN_BYTES {
            return None;
        }
        let key = keys.find(&jose::named_key(token)?)?;
        let Claims { sub, aud, exp, nbf, roles, repositories, .. } = key.verified(token)?;

        let now = self.clock.now().as_second();
        let in_time = now < exp && nbf.is_none_or(|nbf| nbf <= now + NOT_BEFORE_LEEWAY_SECONDS);
        let good = aud.is_ours() && in_time && repositories.is_none();
        good.then(|| Arc::new(ServiceAccount { name: sub, roles }))
    }
}

fn read() -> crate::reloaded::Read<KeySet> {
    Box::new(|contents| {
        let content = contents.first().map(Vec::as_slice).unwrap_or_default();
        KeySet::read(content).map_err(|error| (0, error.to_string()))
    })
}

#[cfg(test)]
mod tests;
