//! E-mail addresses that are verified, and passwords that are forgotten. Whoever reads a mail to an address has its
//! secret: who asks besides does not matter.

use oci::AccountName;
use proto::{
    auth::{IdentityError, Subject, identities::Asker},
    metadata::{AccountError, Actor, credentials::SecretHash},
};
use secrecy::SecretString;

use crate::{
    Parts,
    authenticate::LoginError,
    errands::Errand,
    identities::{accounts::check_password, refusal},
    mail::Busy,
    secret,
    throttle::{Network, Try, Who},
};

impl From<Busy> for LoginError {
    fn from(_: Busy) -> Self {
        Self::Overloaded { retry_after_seconds: 5 }
    }
}

impl Parts {
    // Whoever finds somebody's session or access token does not get the account with a verified address of their own.
    pub(super) async fn ask_verification(
        &self,
        asker: &Asker,
        password: &SecretString,
    ) -> Result<(), IdentityError> {
        let (name, login) = self.own_account(asker, "verify an e-mail address").await?;
        self.has_mail()?;
        self.confirm_password(asker, &login, password).await?;
        let found = self.contracts.users.user(&name).await.map_err(refusal)?;
        let found = found.ok_or(IdentityError::WrongCredentials)?;
        if found.profile.email.is_empty() {
            return Err(IdentityError::NoEmail);
        }
        if found.email_verified {
            return Ok(());
        }

        self.throttle.letter(&name, self.clock.now()).map_err(LoginError::from)?;
        let errand = Errand::Verification { user: name, email: found.profile.email };
        Ok(self.errands.accept(errand).map_err(LoginError::from)?)
    }

    pub(super) async fn confirm_email(
        &self,
        asker: &Asker,
        secret: &SecretString,
    ) -> Result<(), IdentityError> {
        let (user, hash) = self.of_mail(asker, secret)?;
        let verified = self.contracts.proofs.verify_email(&user, &hash, &on_behalf(&user, asker)).await;
        self.concluded(asker, hash, verified)
    }

    /// Nothing is looked up before the answer: it is the same for everybody, and as fast.
    pub(super) fn ask_reset(&self, asker: &Asker, of: &str) -> Result<(), IdentityError> {
        self.has_mail()?;
        self.slow_down(asker)?;
        let of = of.trim().to_owned();
        Ok(self.errands.accept(Errand::Reset { of }).map_err(LoginError::from)?)
    }

    pub(super) async fn reset(
        &self,
        asker: &Asker,
        secret: &SecretString,
        new: &SecretString,
    ) -> Result<(), IdentityError> {
        let (user, hash) = self.of_mail(asker, secret)?;
        check_password(&user, new)?;
        // It counts before it is hashed: of many at once, not all may cost a hash.
        let this = try_at(asker, hash);
        let begun = self.throttle.begin_now(&this, self.clock.now()).map_err(LoginError::from)?;
        let reset = self.redeemed(asker, (&user, &hash), new).await;
        match reset {
            Err(IdentityError::TicketUnknown) => drop(begun),
            _ => begun.void(),
        }
        reset
    }

    async fn redeemed(
        &self,
        asker: &Asker,
        (user, hash): (&AccountName, &SecretHash),
        new: &SecretString,
    ) -> Result<(), IdentityError> {
        let (password_hash, actor) = (self.hash(new).await?, on_behalf(user, asker));
        self.contracts.proofs.reset_password(user, hash, &password_hash, &actor).await.map_err(refusal)
    }

    fn has_mail(&self) -> Result<(), IdentityError> {
        self.mail.as_ref().map(drop).ok_or(IdentityError::NoMail)
    }

    /// Whose secret it is. Wrong ones are counted by address, as all secrets are.
    fn of_mail(
        &self,
        asker: &Asker,
        secret: &SecretString,
    ) -> Result<(AccountName, SecretHash), IdentityError> {
        let mailed = secret::of_mail(secret);
        let this = try_at(asker, mailed.as_ref().map_or([0; 32], |(_, hash)| *hash));
        self.throttle.look(&this, self.clock.now()).map_err(LoginError::from)?;

        mailed.ok_or_else(|| {
            self.throttle.wrong(&this, self.clock.now());
            IdentityError::TicketUnknown
        })
    }

    fn concluded(
        &self,
        asker: &Asker,
        hash: SecretHash,
        taken: Result<(), AccountError>,
    ) -> Result<(), IdentityError> {
        if taken == Err(AccountError::TicketUnknown) {
            self.throttle.wrong(&try_at(asker, hash), self.clock.now());
        }
        taken.map_err(refusal)
    }
}

fn try_at(asker: &Asker, hash: SecretHash) -> Try {
    Try { who: Who::Secret(hash), from: asker.address.map(Network::from) }
}

fn on_behalf(user: &AccountName, asker: &Asker) -> Actor {
    Actor { subject: Subject::User(user.clone()), via: asker.via, address: asker.address, credential: None }
}
