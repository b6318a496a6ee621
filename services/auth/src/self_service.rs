//! What people do about their own accounts, and whom they invite.

use async_trait::async_trait;
use oci::{AccountName, InvitationId, Namespace};
use proto::{
    auth::{
        IdentityError, SelfService,
        identities::{Asker, Deed},
        self_service::{FactorDrop, MadeInvitation, ProposedFactor, SecondFactorStatus, WantedInvitation},
    },
    metadata::invitations::Invitation,
};
use secrecy::SecretString;

use crate::{
    Parts, Service,
    authenticate::{About, Authenticated},
    identities::shown,
    policy::Principal,
};

mod addresses;
mod factors;
mod invitations;

#[async_trait]
impl SelfService for Service {
    async fn second_factor(&self, asker: &Asker) -> Result<SecondFactorStatus, IdentityError> {
        self.0.factor_status(asker).await
    }

    async fn start_second_factor(
        &self,
        asker: &Asker,
        password: &SecretString,
    ) -> Result<ProposedFactor, IdentityError> {
        self.0.start_factor(asker, password).await
    }

    async fn finish_second_factor(
        &self,
        asker: &Asker,
        code: &SecretString,
    ) -> Result<Vec<SecretString>, IdentityError> {
        self.0.finish_factor(asker, code).await
    }

    async fn drop_second_factor(&self, asker: &Asker, drop: &FactorDrop) -> Result<(), IdentityError> {
        self.0.drop_factor(asker, drop).await
    }

    async fn ask_verification(&self, asker: &Asker, password: &SecretString) -> Result<(), IdentityError> {
        self.0.ask_verification(asker, password).await
    }

    async fn confirm_email(&self, asker: &Asker, secret: &SecretString) -> Result<(), IdentityError> {
        self.0.confirm_email(asker, secret).await
    }

    async fn ask_reset(&self, asker: &Asker, of: &str) -> Result<(), IdentityError> {
        self.0.ask_reset(asker, of)
    }

    async fn reset(
        &self,
        asker: &Asker,
        secret: &SecretString,
        new: &SecretString,
    ) -> Result<(), IdentityError> {
        self.0.reset(asker, secret, new).await
    }

    async fn invite(
        &self,
        asker: &Asker,
        wanted: &WantedInvitation,
    ) -> Result<MadeInvitation, IdentityError> {
        self.0.invite(asker, wanted).await
    }

    async fn invited(
        &self,
        asker: &Asker,
        organization: Option<&Namespace>,
    ) -> Result<Vec<Invitation>, IdentityError> {
        self.0.invited(asker, organization).await
    }

    async fn uninvite(
        &self,
        asker: &Asker,
        organization: Option<&Namespace>,
        id: &InvitationId,
    ) -> Result<(), IdentityError> {
        self.0.uninvite(asker, organization, id).await
    }
}

impl Parts {
    /// The user who asks, and may see and change what is their own.
    async fn own_account(
        &self,
        asker: &Asker,
        missing: &str,
    ) -> Result<(AccountName, Authenticated), IdentityError> {
        let login = self.authenticate(shown(asker), About::default()).await?;
        let missing = missing.to_owned();
        let name = match &login.principal {
            Principal::Anonymous => return Err(IdentityError::SignInNeeded { missing }),
            Principal::Robot { name, .. } => {
                return Err(IdentityError::Forbidden { subject: name.to_string(), missing });
            }
            Principal::User { name, .. } => name.clone(),
        };
        self.authorized(&login, &Deed::ManageAccount(name.clone()))?;
        Ok((name, login))
    }
}
