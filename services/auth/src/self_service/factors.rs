//! Second factors: started with the password, finished with a code, removed with both.

use proto::{
    auth::{
        IdentityError, Subject,
        identities::{Asker, Deed},
        self_service::{FactorDrop, ProposedFactor, SecondFactorStatus},
    },
    metadata::proofs::{Code, Confirmed},
};
use secrecy::SecretString;

use crate::{
    Parts,
    authenticate::{Authenticated, LoginError, try_of},
    identities::{actor, refusal},
    password::Checked,
    second_factor,
};

const HAVE: &str = "have a second factor";

impl Parts {
    pub(super) async fn factor_status(&self, asker: &Asker) -> Result<SecondFactorStatus, IdentityError> {
        let (name, _) = self.own_account(asker, HAVE).await?;
        let found = self.contracts.proofs.second_factors(&name).await.map_err(refusal)?;
        Ok(SecondFactorStatus { active: found.active.is_some(), recovery_codes: found.recovery_codes })
    }

    // Who finds somebody's session does not lock them out with a second factor of their own.
    pub(super) async fn start_factor(
        &self,
        asker: &Asker,
        password: &SecretString,
    ) -> Result<ProposedFactor, IdentityError> {
        let (name, login) = self.own_account(asker, HAVE).await?;
        self.confirm_password(asker, &login, password).await?;
        if login.facts.second_factor.is_some() {
            return Err(IdentityError::SecondFactorExists);
        }

        let (factor, shown) = self.second_factors.made(&name, self.random.as_ref())?;
        let actor = actor(&login.principal, asker);
        self.contracts.proofs.propose_second_factor(&name, &factor, &actor).await.map_err(refusal)?;
        Ok(shown)
    }

    pub(super) async fn finish_factor(
        &self,
        asker: &Asker,
        code: &SecretString,
    ) -> Result<Vec<SecretString>, IdentityError> {
        let (name, login) = self.own_account(asker, HAVE).await?;
        let found = self.contracts.proofs.second_factors(&name).await.map_err(refusal)?;
        if found.active.is_some() {
            return Err(IdentityError::SecondFactorExists);
        }
        let factor = found.proposed.ok_or(IdentityError::SecondFactorMissing)?;
        let tried = self.try_code(&name, code)?;
        let found = self.second_factors.code(&name, &factor, code, self.clock.now());
        if let Some(tried) = tried
            && found != Ok(None)
        {
            tried.void();
        }
        let Some(Code::Step(step)) = found? else {
            return Err(IdentityError::WrongCode);
        };

        let (codes, recovery_codes) = second_factor::recovery_codes(self.random.as_ref());
        let confirmed = Confirmed { factor, step, recovery_codes };
        let actor = actor(&login.principal, asker);
        self.contracts.proofs.confirm_second_factor(&name, &confirmed, &actor).await.map_err(refusal)?;
        Ok(codes)
    }

    pub(super) async fn drop_factor(&self, asker: &Asker, drop: &FactorDrop) -> Result<(), IdentityError> {
        let login = self.permitted(asker, &Deed::ManageAccount(drop.user.clone())).await?;
        if login.principal.subject() == Subject::User(drop.user.clone()) {
            self.prove(asker, &login, drop).await?;
        }

        let actor = actor(&login.principal, asker);
        self.contracts.proofs.remove_second_factor(&drop.user, &actor).await.map_err(refusal)
    }

    /// Password and code, as for signing in. One that does not count yet goes with the password alone.
    async fn prove(
        &self,
        asker: &Asker,
        login: &Authenticated,
        drop: &FactorDrop,
    ) -> Result<(), IdentityError> {
        let password = drop.password.as_ref().ok_or(IdentityError::WrongCredentials)?;
        let this = try_of(drop.user.as_str(), asker.address);
        self.throttle.look(&this, self.clock.now()).map_err(LoginError::from)?;

        let (checked, begun) = self.compare(&this, password, login.facts.account.as_ref()).await?;
        if checked == Checked::Wrong {
            return Err(IdentityError::WrongCredentials);
        }
        match (&login.facts.second_factor, &drop.code) {
            (None, _) => begun.void(),
            (Some(factor), Some(code)) => self.proven(&drop.user, factor, code, begun).await?,
            (Some(_), None) => {
                begun.void();
                return Err(IdentityError::SecondFactorNeeded);
            }
        }
        Ok(())
    }
}
