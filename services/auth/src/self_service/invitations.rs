//! Invitations: to the hub by administrators, into an organization by its owners, too, unless administrators alone let
//! people in.

use oci::{InvitationId, Namespace};
use proto::{
    auth::{
        IdentityError,
        identities::{Asker, Deed},
        self_service::{MadeInvitation, WantedInvitation},
    },
    metadata::{
        AccountError, Actor,
        accounts::Role,
        invitations::{INVITATION_LIFETIME, Invitation, NewInvitation},
    },
};
use secrecy::SecretString;

use crate::{
    Parts,
    authenticate::LoginError,
    config::SignUp,
    identities::{accounts::check_email, actor, refusal},
    mail::{Shortened, letters},
    secret,
};

/// What decides who may invite.
fn deed(organization: Option<&Namespace>) -> Deed {
    match organization {
        Some(organization) => Deed::ManageNamespace(organization.clone()),
        None => Deed::ManageHub,
    }
}

impl Parts {
    pub(super) async fn invite(
        &self,
        asker: &Asker,
        wanted: &WantedInvitation,
    ) -> Result<MadeInvitation, IdentityError> {
        let organization = wanted.joining.as_ref().map(|joining| &joining.organization);
        let login = self.permitted(asker, &deed(organization)).await?;
        if self.rules.sign_up == SignUp::Closed && login.principal.role() != Role::Administrator {
            return Err(IdentityError::SignUpClosed);
        }
        check_email(&wanted.email)?;
        let actor = actor(&login.principal, asker);
        if self.mail.is_some() && !wanted.email.is_empty() {
            self.throttle.letter_of(&actor.subject, self.clock.now()).map_err(LoginError::from)?;
        }

        let (secret, hash) = secret::invitation(self.random.as_ref());
        let unnamed = |_| LoginError::Unavailable { attempted: "naming an invitation" };
        let id: InvitationId = self.ulids.next().parse().map_err(unnamed)?;
        let created = self.clock.now();
        let late = |_| LoginError::Unavailable { attempted: "reading the clock" };
        let expires = created.saturating_add(INVITATION_LIFETIME).map_err(late)?;
        let WantedInvitation { email, joining } = wanted.clone();
        let new = NewInvitation { id, hash, email, joining, expires };
        self.contracts.invitations.put_invitation(&new, &actor).await.map_err(refusal)?;
        tracing::info!(id = %new.id, "made an invitation");

        let secret = self.posted(&new, &actor, secret);
        let NewInvitation { id, email, joining, expires, .. } = new;
        let invitation = Invitation { id, email, joining, by: actor.subject, created, expires };
        Ok(MadeInvitation { invitation, secret })
    }

    /// The secret, unless it is on its way by mail.
    fn posted(&self, new: &NewInvitation, actor: &Actor, secret: SecretString) -> Option<SecretString> {
        let Some(mail) = self.mail.as_ref().filter(|_| !new.email.is_empty()) else {
            return Some(secret);
        };
        if self.is_flooded(&new.email) {
            return Some(secret);
        }
        let (by, joining) = (actor.subject.to_string(), new.joining.as_ref());
        let letter = letters::invitation(&new.email, mail.base(), &by, joining, &secret);
        match mail.send(letter) {
            Ok(()) => None,
            Err(error) => {
                tracing::warn!(%error, to = %Shortened(&new.email), "an invitation is not sent");
                Some(secret)
            }
        }
    }

    pub(super) async fn invited(
        &self,
        asker: &Asker,
        organization: Option<&Namespace>,
    ) -> Result<Vec<Invitation>, IdentityError> {
        self.permitted(asker, &deed(organization)).await?;
        self.contracts.invitations.invitations(organization).await.map_err(refusal)
    }

    pub(super) async fn uninvite(
        &self,
        asker: &Asker,
        organization: Option<&Namespace>,
        id: &InvitationId,
    ) -> Result<(), IdentityError> {
        let login = self.permitted(asker, &deed(organization)).await?;
        let actor = actor(&login.principal, asker);
        match self.contracts.invitations.revoke_invitation(organization, id, &actor).await {
            // Gone already: it is as it was asked to be.
            Ok(()) | Err(AccountError::InvitationUnknown) => Ok(()),
            Err(error) => Err(refusal(error)),
        }
    }
}
