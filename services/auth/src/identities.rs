//! What people and programs ask besides tokens: whether they may, and what takes a secret to do.

use async_trait::async_trait;
use oci::EventId;
use proto::{
    auth::{
        Identities, IdentityError,
        identities::{Asker, Deed, IssuedCredential, NewAccount, PasswordChange, Permit, WantedCredential},
    },
    metadata::{AccountError, Actor, credentials::Revocation},
};
use secrecy::SecretString;

use crate::{
    Parts, Service,
    authenticate::{About, Authenticated, Shown, silent},
    policy::{self, Principal},
};

pub(crate) mod accounts;
mod credentials;

#[async_trait]
impl Identities for Service {
    async fn authorize(&self, asker: &Asker, deed: &Deed) -> Result<Permit, IdentityError> {
        let login = self.0.permitted(asker, deed).await?;
        Ok(permit(&login, asker))
    }

    async fn sign_up(&self, asker: &Asker, new: &NewAccount) -> Result<(), IdentityError> {
        self.0.sign_up(asker, new).await
    }

    async fn change_password(&self, asker: &Asker, change: &PasswordChange) -> Result<(), IdentityError> {
        self.0.change_password(asker, change).await
    }

    async fn sign_in(
        &self,
        asker: &Asker,
        code: Option<&SecretString>,
    ) -> Result<IssuedCredential, IdentityError> {
        self.0.sign_in(asker, code).await
    }

    async fn issue_credential(
        &self,
        asker: &Asker,
        wanted: &WantedCredential,
    ) -> Result<IssuedCredential, IdentityError> {
        self.0.issue(asker, wanted, None).await
    }

    async fn revocations(&self, after: Option<&EventId>) -> Result<Vec<Revocation>, IdentityError> {
        self.0.contracts.credentials.revocations(after).await.map_err(refusal)
    }
}

impl Parts {
    /// Who asks, if they may do `deed`.
    pub(crate) async fn permitted(&self, asker: &Asker, deed: &Deed) -> Result<Authenticated, IdentityError> {
        let login = self.authenticate(shown(asker), about(deed)).await?;
        self.authorized(&login, deed)?;
        Ok(login)
    }

    pub(crate) fn authorized(&self, login: &Authenticated, deed: &Deed) -> Result<(), IdentityError> {
        policy::authorized(&login.principal, deed, login.known(), self.rules.organizations)
    }
}

pub(crate) fn shown(asker: &Asker) -> Shown<'_> {
    Shown { credentials: asker.credentials.as_ref(), address: asker.address }
}

/// What the decision about a deed depends on.
fn about(deed: &Deed) -> About {
    match deed {
        Deed::SignedIn | Deed::ManageHub | Deed::ManageAccount(_) | Deed::CreateOrganization => {
            About::default()
        }
        Deed::SeeNamespace(name) | Deed::ManageNamespace(name) | Deed::RemoveMember(name, _) => {
            About { repositories: Vec::new(), namespaces: vec![name.clone()] }
        }
        Deed::ReadRepository(name)
        | Deed::WriteRepository(name)
        | Deed::DeleteFromRepository(name)
        | Deed::ManageRepository(name) => About { repositories: vec![name.clone()], namespaces: Vec::new() },
    }
}

fn permit(login: &Authenticated, asker: &Asker) -> Permit {
    let (principal, credential) = (&login.principal, login.facts.credential.as_ref());
    Permit {
        subject: principal.subject(),
        role: principal.role(),
        credential: credential.map(|credential| credential.id.clone()),
        actor: actor(principal, asker),
        reads: principal.reads(),
    }
}

pub(crate) fn actor(principal: &Principal, asker: &Asker) -> Actor {
    let (subject, credential) = (principal.subject(), principal.credential().cloned());
    Actor { subject, via: asker.via, address: asker.address, credential }
}

/// What metadata refused, as far as whoever asked can do something about it.
pub(crate) fn refusal(error: AccountError) -> IdentityError {
    match error {
        AccountError::NameTaken { name } => IdentityError::NameTaken { name: name.to_string() },
        AccountError::NameReserved { name } => IdentityError::NameReserved { name: name.to_string() },
        AccountError::AccountUnknown { name } => IdentityError::AccountUnknown { name },
        AccountError::OwnerUnknown { name } => {
            IdentityError::Hidden { what: format!("user or organization {name}") }
        }
        AccountError::IdentityTaken => IdentityError::IdentityTaken,
        AccountError::CredentialExists { name } => IdentityError::CredentialExists { name },
        AccountError::TooMany { limit, .. } => IdentityError::TooMany { limit },
        AccountError::OrganizationUnknown { name } => {
            IdentityError::Hidden { what: format!("organization {name}") }
        }
        AccountError::SecondFactorExists { .. } => IdentityError::SecondFactorExists,
        AccountError::SecondFactorUnknown { .. } => IdentityError::SecondFactorMissing,
        AccountError::CodeSpent { .. } => IdentityError::WrongCode,
        AccountError::TicketUnknown => IdentityError::TicketUnknown,
        AccountError::InvitationUnknown => IdentityError::InvitationUnknown,
        // What they have shown is not good any more.
        AccountError::AccountChanged { .. } => IdentityError::WrongCredentials,
        other => silent(&other).into(),
    }
}
