//! What mails say, and is taken once: to verify an address, or to choose another password. A user has one of each at
//! most, in their record, so that none pile up. `Verified` is the address that was verified: it counts while it is the
//! user's.

use bytes::Bytes;
use jiff::Timestamp;
use oci::AccountName;
use proto::metadata::{
    AccountError, Actor, Standing,
    audit::Action,
    credentials::SecretHash,
    proofs::{MAX_USERS_OF_EMAIL, Purpose, Ticket},
    users::UserChange,
};
use secrecy::SecretString;

use crate::{
    ATTEMPTS, Outcome, Service,
    accounts::Word as _,
    audit::Audit,
    failure::parsed_member,
    keys::{self, field},
    keyspace::{Commit, Condition, Direction, Error, Field, Key, Mutation, Record},
    step,
};

/// Entries of one address that are looked at, at most.
const LOOKED_AT: usize = 100;

/// Whether the user's address is verified.
pub(crate) fn is_verified(record: &Record) -> bool {
    let email = record.text(field::EMAIL).filter(|email| !email.is_empty());
    email.is_some() && email == record.text(field::VERIFIED)
}

fn written(ticket: &Ticket) -> String {
    let (hash, expires) = (keys::hex(&ticket.hash), ticket.expires.as_millisecond());
    let (Purpose::VerifyEmail(email) | Purpose::ResetPassword(email)) = &ticket.purpose;
    format!("{hash} {expires} {email}")
}

/// A ticket that is good now, as it is kept, and the address that it is for.
fn good(record: &Record, field: &Field, hash: &SecretHash, now: Timestamp) -> Option<(Bytes, String)> {
    let mut parts = record.text(field)?.splitn(3, ' ');
    let (kept, expires, email) = (parts.next()?, parts.next()?, parts.next()?);
    let is_good = kept == keys::hex(hash) && now.as_millisecond() < expires.parse().ok()?;

    is_good.then(|| Some((record.get(field)?.clone(), email.to_owned()))).flatten()
}

/// That these fields of a user have the address that a mail is sent to, if they have it now.
fn sent_to(key: &Key, record: &Record, email: &str, fields: &[Field]) -> Option<Vec<Condition>> {
    let all = fields.iter().all(|field| record.text(field) == Some(email));
    let value = Bytes::from(email.to_owned());
    all.then(|| {
        fields.iter().map(|field| Condition::FieldEquals(key.clone(), field.clone(), value.clone())).collect()
    })
}

/// Nobody who has a ticket that is not good is told more.
fn untold(error: AccountError) -> AccountError {
    match error {
        AccountError::AccountUnknown { .. } => AccountError::TicketUnknown,
        other => other,
    }
}

impl Service {
    pub(crate) async fn keep_ticket(&self, user: &AccountName, ticket: &Ticket) -> Result<(), AccountError> {
        let key = keys::user(user);
        for _ in 0..ATTEMPTS {
            let record = self.record_of(user).await?;
            let (place, email, fields) = match &ticket.purpose {
                Purpose::VerifyEmail(email) => (field::VERIFY, email, vec![field::EMAIL]),
                Purpose::ResetPassword(email) => (field::RESET, email, vec![field::EMAIL, field::VERIFIED]),
            };
            let same = sent_to(&key, &record, email, &fields);
            let same = same.ok_or_else(|| AccountError::AccountChanged { user: user.clone() })?;
            let commit = Commit::synced()
                .when(Condition::FieldPresent(key.clone(), field::NAME))
                .when_all(same)
                .then(Mutation::SetField(key.clone(), place, written(ticket).into()));
            if self.commit(step!("put_ticket"), commit).await? == Outcome::Committed {
                return Ok(());
            }
        }

        Err(AccountError::Conflict { attempted: format!("keeping a ticket of {user}").into() })
    }

    pub(crate) async fn take_verification(
        &self,
        user: &AccountName,
        hash: &SecretHash,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        let key = keys::user(user);
        for _ in 0..ATTEMPTS {
            let record = self.record_of(user).await.map_err(untold)?;
            let found = good(&record, &field::VERIFY, hash, self.now());
            let same = |(_, email): &(Bytes, String)| record.text(field::EMAIL) == Some(email);
            let (ticket, email) = found.filter(same).ok_or(AccountError::TicketUnknown)?;

            let audited = self.audited(actor, &Audit::of_user(Action::EmailVerify, user)).await?;
            let commit = verifying(&key, user, ticket, &email).beginning_with(audited);
            if self.commit(step!("verify_email"), commit).await? == Outcome::Committed {
                return Ok(());
            }
        }

        Err(AccountError::Conflict { attempted: format!("verifying the address of {user}").into() })
    }

    pub(crate) async fn take_reset(
        &self,
        user: &AccountName,
        hash: &SecretHash,
        password_hash: &SecretString,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        let (key, now) = (keys::user(user), self.now());
        let change = UserChange { password_hash: Some(password_hash.clone()), ..UserChange::default() };
        // The change itself takes the ticket away, after the password: cut in between, it can be taken again.
        let requires = |record: &Record| -> Result<Vec<Condition>, AccountError> {
            let active = record.text(field::STANDING) == Some(Standing::Active.word());
            let found = good(record, &field::RESET, hash, now).filter(|_| active);
            let (ticket, email) = found.ok_or(AccountError::TicketUnknown)?;
            let same = sent_to(&key, record, &email, &[field::EMAIL, field::VERIFIED]);
            let mut conditions = same.ok_or(AccountError::TicketUnknown)?;
            conditions.push(Condition::FieldEquals(key.clone(), field::RESET, ticket));
            Ok(conditions)
        };

        self.change(user, &change, &requires, actor).await.map_err(untold)
    }

    /// Index entries may be too many: the records say who has verified what.
    pub(crate) async fn verified_users(&self, email: &str) -> Result<Vec<AccountName>, Error> {
        let within = keys::of_email(email);
        let found = self.keyspace().range(&keys::EMAILS, within, LOOKED_AT, Direction::Forward).await?;
        let parts = found.iter().map(|entry| parsed_member(&keys::EMAILS, keys::last_part(entry)));
        let names: Vec<AccountName> = parts.collect::<Result<_, _>>()?;
        let places: Vec<Key> = names.iter().map(keys::user).collect();
        let records = self.keyspace().records(&places).await?;

        let reached = names.into_iter().zip(records).filter(|(_, record)| {
            record.as_ref().is_some_and(|record| {
                let same = record.text(field::EMAIL).map(str::to_lowercase) == Some(email.to_lowercase());
                let active = record.text(field::STANDING) == Some(Standing::Active.word());
                record.get(field::NAME).is_some() && active && same && is_verified(record)
            })
        });
        Ok(reached.map(|(name, _)| name).take(MAX_USERS_OF_EMAIL).collect())
    }
}

/// The index entry, then what counts, then the ticket goes.
fn verifying(key: &Key, user: &AccountName, ticket: Bytes, email: &str) -> Commit {
    let value = Bytes::from(email.to_owned());
    Commit::synced()
        .when(Condition::FieldEquals(key.clone(), field::VERIFY, ticket))
        .when(Condition::FieldEquals(key.clone(), field::EMAIL, value.clone()))
        .then(Mutation::AddMember(keys::EMAILS, keys::verified(email, user)))
        .then(Mutation::SetField(key.clone(), field::VERIFIED, value))
        .then(Mutation::RemoveField(key.clone(), field::VERIFY))
}
