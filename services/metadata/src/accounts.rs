//! The contract `Accounts`: users, and what a decision about a token depends on.

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use oci::AccountName;
use proto::{
    auth::KeyId,
    metadata::{
        AccountError, Accounts, Actor, Standing, Visibility,
        accounts::{AccessFacts, AccessQuestion, Account, Role, SigningKey},
        audit::Action,
        organizations::{Level, MemberRole},
        proofs::SecondFactor,
    },
};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    Outcome, Service,
    administrators::{is_administrator, listed_administrator},
    audit::Audit,
    failure::{damaged, parsed},
    keys::{self, field},
    keyspace::{Commit, Condition, Error, Field, Key, Mutation, Record},
    namespaces::Owner,
    second_factors::kept_factor,
    step,
};

#[async_trait]
impl Accounts for Service {
    async fn create_account(&self, account: &Account, actor: &Actor) -> Result<(), AccountError> {
        if account.name.namespace().is_reserved() {
            return Err(AccountError::NameReserved { name: account.name.namespace() });
        }
        let claimed = self.claimable(&account.name).await?;

        let audit = Audit::of_user(Action::UserCreate, &account.name).to(account.role.word());
        let commit = self.creation(account, claimed).beginning_with(self.audited(actor, &audit).await?);
        match self.commit(step!("create_account"), commit).await? {
            Outcome::Committed => Ok(()),
            Outcome::Conflicted => Err(AccountError::NameTaken { name: account.name.namespace() }),
        }
    }

    async fn access_facts(&self, question: &AccessQuestion) -> Result<AccessFacts, AccountError> {
        Ok(self.facts(question).await?)
    }

    async fn found_signing_key(&self, key: &SigningKey) -> Result<Vec<SigningKey>, AccountError> {
        self.found_key(key).await
    }

    async fn signing_keys(&self) -> Result<Vec<SigningKey>, AccountError> {
        self.kept_keys().await
    }

    async fn succeed_signing_key(
        &self,
        of: &KeyId,
        key: &SigningKey,
        actor: &Actor,
    ) -> Result<Vec<SigningKey>, AccountError> {
        self.succeed_key(of, key, actor).await
    }

    async fn retire_signing_key(
        &self,
        of: &KeyId,
        at: Timestamp,
        actor: &Actor,
    ) -> Result<Vec<SigningKey>, AccountError> {
        self.retire_key(of, at, actor).await
    }

    async fn remove_signing_keys(
        &self,
        ids: &[KeyId],
        actor: &Actor,
    ) -> Result<Vec<SigningKey>, AccountError> {
        self.remove_keys(ids, actor).await
    }
}

impl Service {
    /// The account of that name, if there is one.
    pub(crate) async fn account(&self, name: &AccountName) -> Result<Option<Account>, Error> {
        Ok(self.kept_account(name).await?.map(|kept| kept.account))
    }

    /// The same, with what who logs in must know.
    pub(crate) async fn kept_account(&self, name: &AccountName) -> Result<Option<KeptAccount>, Error> {
        let key = keys::user(name);
        let Some(record) = self.keyspace().record(&key).await? else {
            return Ok(None);
        };
        if record.get(field::NAME).is_none() {
            return Ok(None);
        }

        let password = record.text(field::PASSWORD).ok_or_else(|| damaged(&key, &field::PASSWORD))?;
        let account = Account {
            name: parsed(&key, &field::NAME, record.get(field::NAME))?,
            password_hash: SecretString::from(password.to_owned()),
            role: Role::read(&key, &field::ROLE, &record)?,
            standing: Standing::read(&key, &field::STANDING, &record)?,
        };
        let second_factor = kept_factor(&key, &field::FACTOR, &record)?;
        Ok(Some(KeptAccount { account, second_factor, revision: record.number(field::REV).unwrap_or(0) }))
    }

    /// What must be so for somebody to make an account of that name, if they may at all.
    pub(crate) async fn claimable(&self, name: &AccountName) -> Result<Condition, AccountError> {
        match self.claimed(&name.namespace()).await? {
            None => Ok(Condition::ValueAbsent(keys::claim(name))),
            // A crash may have left the claim alone: whoever has claimed it may go on, and only one succeeds.
            Some(Owner::User) => Ok(Condition::FieldAbsent(keys::user(name), field::NAME)),
            Some(Owner::Organization) => Err(AccountError::NameTaken { name: name.namespace() }),
        }
    }

    /// Claim, index entries, record; the name comes last, because it is what makes the account count.
    pub(crate) fn creation(&self, account: &Account, claimed: Condition) -> Commit {
        let Account { name, password_hash, role, standing } = account;
        let (key, now) = (keys::user(name), self.now().as_millisecond().to_string());
        let set = |field, value: String| Mutation::SetField(key.clone(), field, value.into());

        Commit::synced()
            .when(claimed)
            .when(Condition::FieldAbsent(key.clone(), field::NAME))
            .then(Mutation::SetValue(keys::claim(name), Owner::User.claim().into()))
            .then(Mutation::AddMember(keys::USERS, name.to_string().into()))
            .then_all(is_administrator(*role, *standing).then(|| listed_administrator(name)))
            .then(set(field::PASSWORD, password_hash.expose_secret().to_owned()))
            .then(set(field::ROLE, role.word().to_owned()))
            .then(set(field::STANDING, standing.word().to_owned()))
            .then(set(field::CREATED, now.clone()))
            .then(set(field::UPDATED, now))
            .then(set(field::NAME, name.to_string()))
    }
}

/// An account, and what decides besides whether somebody is let in.
#[derive(Debug, Clone)]
pub(crate) struct KeptAccount {
    pub(crate) account: Account,
    pub(crate) second_factor: Option<SecondFactor>,
    pub(crate) revision: i64,
}

/// A choice that is stored as one word.
pub(crate) trait Word: Copy + 'static {
    const ALL: &'static [Self];

    fn word(self) -> &'static str;

    fn read(key: &Key, field: &Field, record: &Record) -> Result<Self, Error> {
        Self::stored(key, field, record.get(field))
    }

    fn stored(key: &Key, field: &Field, value: Option<&Bytes>) -> Result<Self, Error> {
        let meant = |choice: &Self| value.is_some_and(|value| value == choice.word().as_bytes());
        Self::ALL.iter().copied().find(meant).ok_or_else(|| damaged(key, field))
    }
}

impl Word for Role {
    const ALL: &'static [Self] = &[Self::User, Self::Administrator];

    fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Administrator => "administrator",
        }
    }
}

impl Word for MemberRole {
    const ALL: &'static [Self] = &[Self::Member, Self::Owner];

    fn word(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Owner => "owner",
        }
    }
}

impl Word for Level {
    const ALL: &'static [Self] = &[Self::Read, Self::Write, Self::Admin];

    fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

impl Word for Visibility {
    const ALL: &'static [Self] = &[Self::Public, Self::Private];

    fn word(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
        }
    }
}

impl Word for Standing {
    const ALL: &'static [Self] = &[Self::Active, Self::Disabled];

    fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }
}
