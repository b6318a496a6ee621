//! A workload's own token for a secret of this hub: nothing is stored at the workload, and nothing of the secret here. It
//! says for which trust it is, so that it ends with that.

use std::time::Duration;

use jiff::Timestamp;
use proto::{
    auth::{
        IdentityError,
        federation::{ExchangedSecret, Workload},
    },
    metadata::{
        AccountError,
        credentials::{Credential, CredentialOwner, Holder},
    },
};
use secrecy::ExposeSecret as _;

use super::{
    issuers::TokenError,
    token::{self, Believed},
};
use crate::{
    Parts,
    authenticate::LoginError,
    identities::refusal,
    secret,
    throttle::{Network, Try, Who},
};

/// How long a secret is good: as long as a build takes, and not longer than a leak goes unnoticed.
const LIFETIME: Duration = Duration::from_hours(1);

impl Parts {
    pub(super) async fn exchange_token(&self, workload: &Workload) -> Result<ExchangedSecret, IdentityError> {
        let who = Who::Secret(secret::hash(workload.token.expose_secret()));
        let this = Try { who, from: workload.address.map(Network::from) };
        self.throttle.look(&this, self.clock.now()).map_err(LoginError::from)?;

        match self.exchanged(workload).await {
            Ok(exchanged) => {
                self.throttle.right(&this, self.clock.now());
                Ok(exchanged)
            }
            Err(error) => {
                if matches!(error, IdentityError::WorkloadRefused { .. }) {
                    self.throttle.wrong(&this, self.clock.now());
                }
                Err(error)
            }
        }
    }

    async fn exchanged(&self, workload: &Workload) -> Result<ExchangedSecret, IdentityError> {
        let claims = self.believed_workload(workload).await?;
        let trusted = self.trusted(workload, &claims).await?;

        let expires = self.clock.now().saturating_add(LIFETIME).unwrap_or(Timestamp::MAX);
        let secret =
            secret::of_workload(&self.federated.workloads, &trusted.id, expires, self.random.as_ref());
        let secret = secret.ok_or(LoginError::Unavailable { attempted: "sealing a secret" })?;
        let (robot, subject) = (&workload.robot, claims.text("sub").unwrap_or_default());
        tracing::info!(%robot, trust = %trusted.id, subject, "gave a workload a secret");
        Ok(ExchangedSecret { secret, expires })
    }

    /// What the token says, before anything is said of trusts: who has none from an issuer of ours learns of no robot.
    async fn believed_workload(&self, workload: &Workload) -> Result<Believed, IdentityError> {
        let disbelieved = |why: token::Disbelief| refused(why.to_string());
        let claimed = token::claimed_issuer(&workload.token).map_err(disbelieved)?;
        let known = self.federated.workload_issuer(&claimed);
        let known = known.ok_or_else(|| refused("this hub takes no tokens of its issuer"))?;

        known.believed(&workload.token, &self.means()).await.map_err(|error| match error {
            TokenError::Disbelieved(why) => disbelieved(why),
            TokenError::Unknown => {
                let attempted = format!("asking {} for its keys", known.issuer);
                IdentityError::Unavailable { attempted: attempted.into() }
            }
        })
    }

    /// The robot whose trust is about this token. Why there is none is for the log alone.
    async fn trusted(&self, workload: &Workload, claims: &Believed) -> Result<Credential, IdentityError> {
        let Workload { robot, .. } = workload;
        let owner = CredentialOwner::Robots(robot.namespace());
        let kept = match self.contracts.credentials.credentials(&owner).await {
            Err(AccountError::OwnerUnknown { .. }) => Vec::new(),
            other => other.map_err(refusal)?,
        };
        let holder = Holder::Robot(robot.clone());
        let now = self.clock.now();
        let named = kept.into_iter().find(|kept| kept.holder == holder && kept.is_good(now));

        let why = match named.as_ref().map(|named| named.trust.as_ref()) {
            None => "there is no such robot",
            Some(None) => "the robot has a secret of its own",
            Some(Some(trust)) if claims.text("iss") != Some(trust.issuer.as_str()) => "the issuer is another",
            Some(Some(trust)) if !claims.is_for(trust.audience.as_str()) => "the audience is another",
            Some(Some(trust)) if !trust.claims.are_said_by(&claims.0) => "a claim says something else",
            Some(Some(_)) => return named.ok_or_else(|| refused("there is no such robot")),
        };
        tracing::info!(%robot, why, "a workload is not trusted");
        Err(refused(format!("no trust of the name {robot} is about it")))
    }
}

fn refused(why: impl Into<std::borrow::Cow<'static, str>>) -> IdentityError {
    IdentityError::WorkloadRefused { why: why.into() }
}
