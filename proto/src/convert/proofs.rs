//! Second factors and tickets as messages.

use bytes::Bytes;
use oci::AccountName;

use super::{BadField, Wire, at_most, bytes_32, parsed, read, timestamp};
use crate::{
    metadata::{
        Actor,
        proofs::{Code, Confirmed, MAX_RECOVERY_CODES, Purpose, SecondFactor, SecondFactors, Ticket},
        users::LONGEST_EMAIL,
    },
    wire::{self, spend_code_request},
};

impl Wire for SecondFactors {
    type Message = wire::SecondFactorsResponse;

    fn to_message(&self) -> wire::SecondFactorsResponse {
        let sealed = |factor: &SecondFactor| factor.sealed_secret.clone();
        wire::SecondFactorsResponse {
            active: self.active.as_ref().map(sealed),
            proposed: self.proposed.as_ref().map(sealed),
            recovery_codes: count(self.recovery_codes),
        }
    }

    fn from_message(message: wire::SecondFactorsResponse) -> Result<Self, BadField> {
        let wire::SecondFactorsResponse { active, proposed, recovery_codes } = message;
        let factor = |sealed_secret| SecondFactor { sealed_secret };
        Ok(Self {
            active: active.map(factor),
            proposed: proposed.map(factor),
            recovery_codes: counted(recovery_codes),
        })
    }
}

impl Wire for Code {
    type Message = spend_code_request::Code;

    fn to_message(&self) -> spend_code_request::Code {
        match self {
            Self::Step(step) => spend_code_request::Code::Step(*step),
            Self::Recovery(hash) => spend_code_request::Code::RecoveryCode(Bytes::copy_from_slice(hash)),
        }
    }

    fn from_message(message: spend_code_request::Code) -> Result<Self, BadField> {
        Ok(match message {
            spend_code_request::Code::Step(step) => Self::Step(step),
            spend_code_request::Code::RecoveryCode(hash) => Self::Recovery(bytes_32("recovery_code", &hash)?),
        })
    }
}

pub(crate) fn confirmation(
    user: &AccountName,
    confirmed: &Confirmed,
    actor: &Actor,
) -> wire::ConfirmSecondFactorRequest {
    let Confirmed { factor, step, recovery_codes } = confirmed;
    wire::ConfirmSecondFactorRequest {
        user: user.to_string(),
        sealed_secret: factor.sealed_secret.clone(),
        step: *step,
        recovery_codes: recovery_codes.iter().map(|hash| Bytes::copy_from_slice(hash)).collect(),
        actor: Some(actor.to_message()),
    }
}

pub(crate) fn confirmed(
    message: wire::ConfirmSecondFactorRequest,
) -> Result<(AccountName, Confirmed, Actor), BadField> {
    let wire::ConfirmSecondFactorRequest { user, sealed_secret, step, recovery_codes, actor } = message;
    let found = recovery_codes.len();
    if found > MAX_RECOVERY_CODES {
        let why = format_args!("{found} codes, allowed are {MAX_RECOVERY_CODES}");
        return Err(BadField::unreadable("recovery_codes", why));
    }

    let hashes = recovery_codes.iter().map(|hash| bytes_32("recovery_codes", hash));
    let recovery_codes = hashes.collect::<Result<_, _>>()?;
    let confirmed = Confirmed { factor: SecondFactor { sealed_secret }, step, recovery_codes };
    Ok((parsed("user", &user)?, confirmed, read("actor", actor)?))
}

pub(crate) fn ticket_request(user: &AccountName, ticket: &Ticket) -> wire::PutTicketRequest {
    let (email, reset_email) = match &ticket.purpose {
        Purpose::VerifyEmail(email) => (Some(email.clone()), None),
        Purpose::ResetPassword(email) => (None, Some(email.clone())),
    };
    wire::PutTicketRequest {
        user: user.to_string(),
        hash: Bytes::copy_from_slice(&ticket.hash),
        expires_ms: ticket.expires.as_millisecond(),
        email,
        reset_email,
    }
}

pub(crate) fn ticket(message: wire::PutTicketRequest) -> Result<(AccountName, Ticket), BadField> {
    let wire::PutTicketRequest { user, hash, expires_ms, email, reset_email } = message;
    let purpose = match (email, reset_email) {
        (Some(email), None) => Purpose::VerifyEmail(at_most("email", LONGEST_EMAIL, email)?),
        (None, Some(email)) => Purpose::ResetPassword(at_most("reset_email", LONGEST_EMAIL, email)?),
        _ => return Err(BadField::unreadable("reset_email", "a ticket is for one of two purposes")),
    };
    let (hash, expires) = (bytes_32("hash", &hash)?, timestamp("expires_ms", expires_ms)?);
    Ok((parsed("user", &user)?, Ticket { purpose, hash, expires }))
}

pub(super) fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

pub(super) fn counted(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
