//! Second factors: one that is proposed, and one that counts, with its last time step and its recovery codes. The
//! field `Factor` is what makes it count. Their secrets are sealed by a key that is not here.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use oci::AccountName;
use proto::metadata::{
    AccountError, Actor,
    audit::Action,
    proofs::{Code, Confirmed, SecondFactor, SecondFactors},
};

use crate::{
    ATTEMPTS, Outcome, Service,
    audit::Audit,
    failure::damaged,
    keys::{self, field},
    keyspace::{Commit, Condition, Error, Field, Key, Mutation, Record},
    step,
};

/// What is kept of a recovery code that was not used.
const UNUSED: &str = "unused";

/// The second factor that a field of a user's record keeps.
pub(crate) fn kept_factor(key: &Key, field: &Field, record: &Record) -> Result<Option<SecondFactor>, Error> {
    let Some(text) = record.get(field) else {
        return Ok(None);
    };
    let sealed = STANDARD.decode(text).map_err(|_| damaged(key, field))?;
    Ok(Some(SecondFactor { sealed_secret: sealed.into() }))
}

fn written(factor: &SecondFactor) -> Bytes {
    STANDARD.encode(&factor.sealed_secret).into()
}

fn exists(user: &AccountName) -> AccountError {
    AccountError::SecondFactorExists { user: user.clone() }
}

fn unknown(user: &AccountName) -> AccountError {
    AccountError::SecondFactorUnknown { user: user.clone() }
}

fn spent(user: &AccountName) -> AccountError {
    AccountError::CodeSpent { user: user.clone() }
}

fn contended(user: &AccountName) -> AccountError {
    AccountError::Conflict { attempted: format!("changing the second factor of {user}").into() }
}

impl Service {
    pub(crate) async fn kept_factors(&self, user: &AccountName) -> Result<SecondFactors, AccountError> {
        let (key, record) = (keys::user(user), self.record_of(user).await?);
        let codes = self.keyspace().record(&keys::recovery(user)).await?.unwrap_or_default();
        let active = kept_factor(&key, &field::FACTOR, &record)?;

        Ok(SecondFactors {
            recovery_codes: if active.is_some() { codes.len() } else { 0 },
            active,
            proposed: kept_factor(&key, &field::PROPOSED, &record)?,
        })
    }

    pub(crate) async fn propose_factor(
        &self,
        user: &AccountName,
        factor: &SecondFactor,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        let key = keys::user(user);
        for _ in 0..ATTEMPTS {
            if self.record_of(user).await?.get(field::FACTOR).is_some() {
                return Err(exists(user));
            }
            let commit = Commit::synced()
                .when(Condition::FieldPresent(key.clone(), field::NAME))
                .when(Condition::FieldAbsent(key.clone(), field::FACTOR))
                .then_all(self.audited(actor, &Audit::of_user(Action::SecondFactorPropose, user)).await?)
                .then(Mutation::SetField(key.clone(), field::PROPOSED, written(factor)));
            if self.commit(step!("propose_second_factor"), commit).await? == Outcome::Committed {
                return Ok(());
            }
        }

        Err(contended(user))
    }

    pub(crate) async fn confirm_factor(
        &self,
        user: &AccountName,
        confirmed: &Confirmed,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        for _ in 0..ATTEMPTS {
            let record = self.record_of(user).await?;
            if record.get(field::FACTOR).is_some() {
                return Err(exists(user));
            }
            if record.get(field::PROPOSED) != Some(&written(&confirmed.factor)) {
                return Err(unknown(user));
            }

            let audited = self.audited(actor, &Audit::of_user(Action::SecondFactorPut, user)).await?;
            let commit = self.confirming(user, confirmed).await?.beginning_with(audited);
            if self.commit(step!("confirm_second_factor"), commit).await? == Outcome::Committed {
                return Ok(());
            }
        }

        Err(contended(user))
    }

    /// Revocation, revision and sessions; recovery codes and the step; the second factor counts last.
    async fn confirming(&self, user: &AccountName, confirmed: &Confirmed) -> Result<Commit, AccountError> {
        let (key, codes) = (keys::user(user), keys::recovery(user));
        let value = written(&confirmed.factor);
        let set = |field, value: Bytes| Mutation::SetField(key.clone(), field, value);
        let kept = confirmed.recovery_codes.iter().map(|hash| {
            let field = keys::named(keys::hex(hash));
            Mutation::SetField(codes.clone(), field, Bytes::from_static(UNUSED.as_bytes()))
        });

        let commit = Commit::synced()
            .when(Condition::FieldPresent(key.clone(), field::NAME))
            .when(Condition::FieldAbsent(key.clone(), field::FACTOR))
            .when(Condition::FieldEquals(key.clone(), field::PROPOSED, value.clone()))
            .telling(self.user_revoked(user).await?)
            .then(Mutation::Increment(key.clone(), field::REV, 1));
        let commit = self.without_sessions(user, commit).await?;
        Ok(commit
            .then(Mutation::RemoveRecord(codes.clone()))
            .then_all(kept)
            .then(set(field::STEP, confirmed.step.to_string().into()))
            .then(set(field::FACTOR, value))
            .then(Mutation::RemoveField(key.clone(), field::PROPOSED)))
    }

    pub(crate) async fn spend(
        &self,
        user: &AccountName,
        factor: &SecondFactor,
        code: Code,
    ) -> Result<(), AccountError> {
        for _ in 0..ATTEMPTS {
            let record = self.record_of(user).await?;
            if record.get(field::FACTOR) != Some(&written(factor)) {
                return Err(unknown(user));
            }

            let commit = self.spending(user, &record, factor, code).await?;
            if self.commit(step!("spend_code"), commit).await? == Outcome::Committed {
                return Ok(());
            }
        }

        Err(contended(user))
    }

    async fn spending(
        &self,
        user: &AccountName,
        record: &Record,
        factor: &SecondFactor,
        code: Code,
    ) -> Result<Commit, AccountError> {
        let key = keys::user(user);
        let commit =
            Commit::synced().when(Condition::FieldEquals(key.clone(), field::FACTOR, written(factor)));
        match code {
            Code::Step(step) => {
                let last: Option<u64> = record.text(field::STEP).and_then(|last| last.parse().ok());
                if last.is_some_and(|last| step <= last) {
                    return Err(spent(user));
                }
                let read = record.get(field::STEP).cloned();
                Ok(commit
                    .when(Condition::unchanged(key.clone(), field::STEP, read))
                    .then(Mutation::SetField(key, field::STEP, step.to_string().into())))
            }
            Code::Recovery(hash) => {
                let (codes, field) = (keys::recovery(user), keys::named(keys::hex(&hash)));
                let kept = self.fields(&[(codes.clone(), field.clone())]).await?.pop().flatten();
                let _unused = kept.ok_or_else(|| spent(user))?;
                Ok(commit
                    .when(Condition::FieldPresent(codes.clone(), field.clone()))
                    .then(Mutation::RemoveField(codes, field)))
            }
        }
    }

    /// The recovery codes first: while the second factor counts, it can be removed again.
    pub(crate) async fn remove_factor(&self, user: &AccountName, actor: &Actor) -> Result<(), AccountError> {
        let key = keys::user(user);
        let remove = |field| Mutation::RemoveField(key.clone(), field);
        let commit = Commit::synced()
            .when(Condition::FieldPresent(key.clone(), field::NAME))
            .then_all(self.audited(actor, &Audit::of_user(Action::SecondFactorRemove, user)).await?)
            .then(Mutation::RemoveRecord(keys::recovery(user)))
            .then_all([field::PROPOSED, field::FACTOR, field::STEP].map(remove));

        match self.commit(step!("remove_second_factor"), commit).await? {
            Outcome::Committed => Ok(()),
            Outcome::Conflicted => Err(AccountError::AccountUnknown { name: user.clone() }),
        }
    }
}
