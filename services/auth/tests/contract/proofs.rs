//! What auth needs of second factors, tickets and invitations, in memory.

use std::collections::BTreeSet;

use async_trait::async_trait;
use oci::{AccountName, InvitationId, Namespace};
use proto::metadata::{
    AccountError, Accounts as _, Actor, Invitations, Proofs, Standing,
    accounts::Account,
    credentials::SecretHash,
    invitations::{Invitation, NewInvitation},
    proofs::{Code, Confirmed, Purpose, SecondFactor, SecondFactors, Ticket},
};
use secrecy::{ExposeSecret as _, SecretString};
use service_kit::clock::Clock as _;

use crate::memory::MemoryMetadata;

/// What a user proves besides the password.
#[derive(Debug, Clone, Default)]
pub(crate) struct Proven {
    pub(crate) active: Option<SecondFactor>,
    pub(crate) verified: Option<String>,
    pub(crate) revision: i64,
    proposed: Option<SecondFactor>,
    step: u64,
    recovery: BTreeSet<SecretHash>,
    tickets: Vec<Ticket>,
}

impl MemoryMetadata {
    fn proven<T>(
        &self,
        user: &AccountName,
        with: impl FnOnce(&mut Proven) -> Result<T, AccountError>,
    ) -> Result<T, AccountError> {
        let mut state = self.state();
        if !state.accounts.contains_key(user) {
            return Err(AccountError::AccountUnknown { name: user.clone() });
        }
        with(state.proofs.entry(user.clone()).or_default())
    }

    fn taken(&self, user: &AccountName, hash: &SecretHash) -> Result<Purpose, AccountError> {
        let now = self.clock.now();
        let taken = self.proven(user, |proven| {
            let at = proven.tickets.iter().position(|ticket| ticket.hash == *hash && now < ticket.expires);
            Ok(proven.tickets.remove(at.ok_or(AccountError::TicketUnknown)?).purpose)
        });
        taken.map_err(|_| AccountError::TicketUnknown)
    }
}

#[async_trait]
impl Proofs for MemoryMetadata {
    async fn second_factors(&self, user: &AccountName) -> Result<SecondFactors, AccountError> {
        self.proven(user, |proven| {
            let (active, proposed) = (proven.active.clone(), proven.proposed.clone());
            Ok(SecondFactors { active, proposed, recovery_codes: proven.recovery.len() })
        })
    }

    async fn propose_second_factor(
        &self,
        user: &AccountName,
        factor: &SecondFactor,
        _: &Actor,
    ) -> Result<(), AccountError> {
        self.proven(user, |proven| {
            proven.proposed = Some(factor.clone());
            Ok(())
        })
    }

    async fn confirm_second_factor(
        &self,
        user: &AccountName,
        confirmed: &Confirmed,
        _: &Actor,
    ) -> Result<(), AccountError> {
        self.proven(user, |proven| {
            if proven.proposed.take().as_ref() != Some(&confirmed.factor) {
                return Err(AccountError::SecondFactorUnknown { user: user.clone() });
            }
            proven.active = Some(confirmed.factor.clone());
            proven.step = confirmed.step;
            proven.recovery = confirmed.recovery_codes.iter().copied().collect();
            Ok(())
        })?;
        self.state().end_sessions(&self.clock, user);
        Ok(())
    }

    async fn spend_code(
        &self,
        user: &AccountName,
        factor: &SecondFactor,
        code: Code,
    ) -> Result<(), AccountError> {
        self.proven(user, |proven| {
            assert_eq!(proven.active.as_ref(), Some(factor));
            let is_new = match code {
                Code::Step(step) => {
                    let last = proven.step;
                    proven.step = last.max(step);
                    step > last
                }
                Code::Recovery(hash) => proven.recovery.remove(&hash),
            };
            if is_new { Ok(()) } else { Err(AccountError::CodeSpent { user: user.clone() }) }
        })
    }

    async fn remove_second_factor(&self, user: &AccountName, _: &Actor) -> Result<(), AccountError> {
        self.proven(user, |proven| {
            (proven.active, proven.proposed) = (None, None);
            proven.recovery.clear();
            Ok(())
        })
    }

    async fn put_ticket(&self, user: &AccountName, ticket: &Ticket) -> Result<(), AccountError> {
        self.proven(user, |proven| {
            proven.tickets.push(ticket.clone());
            Ok(())
        })
    }

    async fn verify_email(
        &self,
        user: &AccountName,
        hash: &SecretHash,
        _: &Actor,
    ) -> Result<(), AccountError> {
        let Purpose::VerifyEmail(email) = self.taken(user, hash)? else {
            return Err(AccountError::TicketUnknown);
        };
        self.proven(user, |proven| {
            proven.verified = Some(email);
            Ok(())
        })
    }

    async fn reset_password(
        &self,
        user: &AccountName,
        hash: &SecretHash,
        password_hash: &SecretString,
        _: &Actor,
    ) -> Result<(), AccountError> {
        let Purpose::ResetPassword(email) = self.taken(user, hash)? else {
            return Err(AccountError::TicketUnknown);
        };
        let mut state = self.state();
        let verified = state.proofs.get(user).and_then(|proven| proven.verified.clone());
        if verified.as_ref() != Some(&email) || state.emails.get(user) != Some(&email) {
            return Err(AccountError::TicketUnknown);
        }
        state.accounts.get_mut(user).unwrap().password_hash = password_hash.clone();
        state.end_sessions(&self.clock, user);
        Ok(())
    }

    async fn users_of_email(&self, email: &str) -> Result<Vec<AccountName>, AccountError> {
        let state = self.state();
        let verified = state.proofs.iter().filter(|(_, proven)| proven.verified.as_deref() == Some(email));
        let active = verified.filter(|(name, _)| state.accounts[*name].standing == Standing::Active);
        Ok(active.map(|(name, _)| name.clone()).collect())
    }

    async fn rehash_password(
        &self,
        user: &AccountName,
        from: &SecretString,
        to: &SecretString,
    ) -> Result<(), AccountError> {
        let mut state = self.state();
        let account = state.accounts.get_mut(user).unwrap();
        if account.password_hash.expose_secret() == from.expose_secret() {
            account.password_hash = to.clone();
        }
        Ok(())
    }
}

#[async_trait]
impl Invitations for MemoryMetadata {
    async fn put_invitation(&self, new: &NewInvitation, actor: &Actor) -> Result<(), AccountError> {
        let NewInvitation { id, hash, email, joining, expires } = new.clone();
        let (by, created) = (actor.subject.clone(), self.clock.now());
        let invitation = Invitation { id, email, joining, by, created, expires };
        self.state().invitations.push((hash, invitation));
        Ok(())
    }

    async fn invitations(&self, organization: Option<&Namespace>) -> Result<Vec<Invitation>, AccountError> {
        let state = self.state();
        let of = |kept: &Invitation| kept.joining.as_ref().map(|joining| joining.organization.clone());
        let kept = state.invitations.iter().filter(|(_, kept)| of(kept).as_ref() == organization);
        Ok(kept.map(|(_, kept)| kept.clone()).collect())
    }

    async fn revoke_invitation(
        &self,
        _: Option<&Namespace>,
        id: &InvitationId,
        _: &Actor,
    ) -> Result<(), AccountError> {
        let mut state = self.state();
        let at = state.invitations.iter().position(|(_, kept)| kept.id == *id);
        state.invitations.remove(at.ok_or(AccountError::InvitationUnknown)?);
        Ok(())
    }

    async fn redeem_invitation(
        &self,
        hash: &SecretHash,
        account: &Account,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        let at = self.state().invitations.iter().position(|(kept, _)| kept == hash);
        let at = at.ok_or(AccountError::InvitationUnknown)?;
        self.create_account(account, actor).await?;
        let (_, taken) = self.state().invitations.remove(at);
        if let Some(joining) = taken.joining {
            let place = (joining.organization.to_string(), account.name.clone());
            self.state().members.insert(place, joining.role);
        }
        Ok(())
    }
}
