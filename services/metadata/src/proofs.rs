//! The contract `Proofs`: what users prove besides their passwords.

use async_trait::async_trait;
use oci::AccountName;
use proto::metadata::{
    AccountError, Actor, Proofs,
    credentials::SecretHash,
    proofs::{Code, Confirmed, SecondFactor, SecondFactors, Ticket},
};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    Service,
    keys::{self, field},
    keyspace::{Commit, Condition, Mutation, Record},
    step,
};

#[async_trait]
impl Proofs for Service {
    async fn second_factors(&self, user: &AccountName) -> Result<SecondFactors, AccountError> {
        self.kept_factors(user).await
    }

    async fn propose_second_factor(
        &self,
        user: &AccountName,
        factor: &SecondFactor,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        self.propose_factor(user, factor, actor).await
    }

    async fn confirm_second_factor(
        &self,
        user: &AccountName,
        confirmed: &Confirmed,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        self.confirm_factor(user, confirmed, actor).await
    }

    async fn spend_code(
        &self,
        user: &AccountName,
        factor: &SecondFactor,
        code: Code,
    ) -> Result<(), AccountError> {
        self.spend(user, factor, code).await
    }

    async fn remove_second_factor(&self, user: &AccountName, actor: &Actor) -> Result<(), AccountError> {
        self.remove_factor(user, actor).await
    }

    async fn put_ticket(&self, user: &AccountName, ticket: &Ticket) -> Result<(), AccountError> {
        self.keep_ticket(user, ticket).await
    }

    async fn verify_email(
        &self,
        user: &AccountName,
        hash: &SecretHash,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        self.take_verification(user, hash, actor).await
    }

    async fn reset_password(
        &self,
        user: &AccountName,
        hash: &SecretHash,
        password_hash: &SecretString,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        self.take_reset(user, hash, password_hash, actor).await
    }

    async fn users_of_email(&self, email: &str) -> Result<Vec<AccountName>, AccountError> {
        Ok(self.verified_users(email).await?)
    }

    // Whoever changed it meanwhile has made another hash, too.
    async fn rehash_password(
        &self,
        user: &AccountName,
        from: &SecretString,
        to: &SecretString,
    ) -> Result<(), AccountError> {
        let (key, from) = (keys::user(user), from.expose_secret().to_owned());
        let commit = Commit::relaxed()
            .when(Condition::FieldEquals(key.clone(), field::PASSWORD, from.into()))
            .then(Mutation::SetField(key, field::PASSWORD, to.expose_secret().to_owned().into()));

        let _either_way = self.commit(step!("rehash_password"), commit).await?;
        Ok(())
    }
}

impl Service {
    /// The record of a user who is there.
    pub(crate) async fn record_of(&self, user: &AccountName) -> Result<Record, AccountError> {
        let record = self.keyspace().record(&keys::user(user)).await?;
        let there = record.filter(|record| record.get(field::NAME).is_some());

        there.ok_or_else(|| AccountError::AccountUnknown { name: user.clone() })
    }
}
