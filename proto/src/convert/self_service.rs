//! What people do about their own accounts as messages.

use secrecy::{ExposeSecret as _, SecretString};

use super::{
    BadField, Wire, at_most, parsed,
    proofs::{count, counted},
    read,
};
use crate::{
    auth::{
        identities::Asker,
        self_service::{FactorDrop, MadeInvitation, ProposedFactor, SecondFactorStatus, WantedInvitation},
    },
    metadata::{
        invitations::{Invitation, Joining},
        users::LONGEST_EMAIL,
    },
    wire,
};

impl Wire for SecondFactorStatus {
    type Message = wire::SecondFactorResponse;

    fn to_message(&self) -> wire::SecondFactorResponse {
        wire::SecondFactorResponse { active: self.active, recovery_codes: count(self.recovery_codes) }
    }

    fn from_message(message: wire::SecondFactorResponse) -> Result<Self, BadField> {
        Ok(Self { active: message.active, recovery_codes: counted(message.recovery_codes) })
    }
}

impl Wire for ProposedFactor {
    type Message = wire::StartSecondFactorResponse;

    fn to_message(&self) -> wire::StartSecondFactorResponse {
        wire::StartSecondFactorResponse {
            secret: self.secret.expose_secret().to_owned(),
            url: self.url.expose_secret().to_owned(),
        }
    }

    fn from_message(message: wire::StartSecondFactorResponse) -> Result<Self, BadField> {
        Ok(Self { secret: SecretString::from(message.secret), url: SecretString::from(message.url) })
    }
}

impl Wire for MadeInvitation {
    type Message = wire::InviteResponse;

    fn to_message(&self) -> wire::InviteResponse {
        wire::InviteResponse {
            invitation: Some(self.invitation.to_message()),
            secret: self.secret.as_ref().map(|secret| secret.expose_secret().to_owned()),
        }
    }

    fn from_message(message: wire::InviteResponse) -> Result<Self, BadField> {
        let wire::InviteResponse { invitation, secret } = message;
        let invitation = read::<Invitation>("invitation", invitation)?;
        Ok(Self { invitation, secret: secret.map(SecretString::from) })
    }
}

pub(crate) fn drop_request(asker: &Asker, drop: &FactorDrop) -> wire::DropSecondFactorRequest {
    let exposed = |secret: &SecretString| secret.expose_secret().to_owned();
    wire::DropSecondFactorRequest {
        asker: Some(asker.to_message()),
        user: drop.user.to_string(),
        password: drop.password.as_ref().map(exposed),
        code: drop.code.as_ref().map(exposed),
    }
}

pub(crate) fn drop(message: wire::DropSecondFactorRequest) -> Result<(Asker, FactorDrop), BadField> {
    let wire::DropSecondFactorRequest { asker, user, password, code } = message;
    let (password, code) = (password.map(SecretString::from), code.map(SecretString::from));
    Ok((read("asker", asker)?, FactorDrop { user: parsed("user", &user)?, password, code }))
}

pub(crate) fn invite_request(asker: &Asker, wanted: &WantedInvitation) -> wire::InviteRequest {
    wire::InviteRequest {
        asker: Some(asker.to_message()),
        email: wanted.email.clone(),
        joining: wanted.joining.as_ref().map(Joining::to_message),
    }
}

pub(crate) fn invite(message: wire::InviteRequest) -> Result<(Asker, WantedInvitation), BadField> {
    let wire::InviteRequest { asker, email, joining } = message;
    let joining = joining.map(Joining::from_message).transpose()?;
    let wanted = WantedInvitation { email: at_most("email", LONGEST_EMAIL, email)?, joining };
    Ok((read("asker", asker)?, wanted))
}
