//! The contract `FederatedIdentities`: `^identity:<id>` says who has an identity, and each user's list says which it may
//! have. The list is written before and removed after it, so that what lets somebody in can be seen and taken away.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use oci::AccountName;
use proto::metadata::{
    AccountError, Actor, FederatedIdentities,
    accounts::{Account, NO_PASSWORD},
    audit::Action,
    credentials::Issuer,
    federation::{ForeignIdentity, ForeignSubject, IdentityId, LinkedIdentity, MAX_IDENTITIES, NewIdentity},
};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use crate::{
    ATTEMPTS, Outcome, Service,
    accounts::Word as _,
    audit::Audit,
    failure::{damaged, parsed, parsed_member},
    keys::{self, field},
    keyspace::{Commit, Condition, Error, Mutation},
    step,
};

/// An identity as the list of a user has it.
#[derive(Serialize, Deserialize)]
struct Listed {
    issuer: Issuer,
    subject: ForeignSubject,
    label: String,
    linked_ms: i64,
}

/// The identities of a user.
struct List {
    user: AccountName,
    /// As it was read: whoever adds or removes one must have seen all others.
    rev: Option<Bytes>,
    /// Those that the user has.
    identities: BTreeMap<IdentityId, LinkedIdentity>,
    /// Those that a crash has left, and those that are another's.
    others: Vec<IdentityId>,
}

impl List {
    /// The user is there, and nobody has changed the list since.
    fn unchanged(&self) -> [Condition; 2] {
        [
            Condition::FieldPresent(keys::user(&self.user), field::NAME),
            Condition::unchanged(keys::identities(&self.user), field::REV, self.rev.clone()),
        ]
    }

    fn moved(&self) -> Mutation {
        Mutation::Increment(keys::identities(&self.user), field::REV, 1)
    }
}

#[async_trait]
impl FederatedIdentities for Service {
    async fn identity_user(&self, id: &IdentityId) -> Result<Option<AccountName>, AccountError> {
        Ok(self.holder(id).await?)
    }

    async fn create_federated_account(
        &self,
        account: &Account,
        identity: &NewIdentity,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        let id = identity.identity.id();
        if account.name.namespace().is_reserved() {
            return Err(AccountError::NameReserved { name: account.name.namespace() });
        }
        if self.holder(&id).await?.is_some() {
            return Err(AccountError::IdentityTaken);
        }

        let free = vec![Condition::FieldAbsent(keys::identity(&id), field::USER)];
        let made = Audit::of_user(Action::UserCreate, &account.name).to(account.role.word());
        let linked = linked(&account.name, identity);
        let (commit, audits) = match self.begun_by(&account.name, &id).await? {
            // That it was made is written down already.
            Some(begun) => (Commit::synced().when_all(free).when_all(begun), vec![linked]),
            None => (self.founding_account(account, &id, free).await?, vec![made, linked]),
        };
        let commit = commit
            .beginning_with(self.all_audited(actor, audits).await?)
            .then(Mutation::Increment(keys::identities(&account.name), field::REV, 1))
            .then_all(given(&account.name, identity, self.now())?)
            .then(Mutation::RemoveField(keys::user(&account.name), field::ORIGIN));
        match self.first_failed(step!("create_federated_account"), commit).await? {
            None => Ok(()),
            Some(0) => Err(AccountError::IdentityTaken),
            Some(_) => Err(AccountError::NameTaken { name: account.name.namespace() }),
        }
    }

    async fn link_identity(
        &self,
        user: &AccountName,
        identity: &NewIdentity,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        let id = identity.identity.id();
        for _ in 0..ATTEMPTS {
            let list = self.identity_list(user).await?;
            if list.identities.contains_key(&id) {
                return Ok(());
            }
            if self.holder(&id).await?.is_some() {
                return Err(AccountError::IdentityTaken);
            }
            if list.identities.len() >= MAX_IDENTITIES {
                let what = format!("identities of {user}");
                return Err(AccountError::TooMany { what, limit: MAX_IDENTITIES });
            }

            let audited = self.audited(actor, &linked(user, identity)).await?;
            let commit = self.linking(&list, identity)?.beginning_with(audited);
            if self.commit(step!("link_identity"), commit).await? == Outcome::Committed {
                return Ok(());
            }
        }

        Err(AccountError::Conflict { attempted: format!("linking an identity to {user}").into() })
    }

    async fn identities(&self, user: &AccountName) -> Result<Vec<LinkedIdentity>, AccountError> {
        let list = self.identity_list(user).await?;
        let mut identities: Vec<_> = list.identities.into_values().collect();

        identities.sort_by_key(|kept| (kept.linked, kept.identity.id()));
        Ok(identities)
    }

    async fn unlink_identity(
        &self,
        user: &AccountName,
        id: &IdentityId,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        for _ in 0..ATTEMPTS {
            let list = self.identity_list(user).await?;
            let Some(kept) = list.identities.get(id) else {
                return Err(AccountError::IdentityUnknown { id: *id });
            };
            if list.identities.len() == 1 && !self.has_password(user).await? {
                return Err(AccountError::LastWayIn { user: user.clone() });
            }

            let unlinked = Audit::of_identity(Action::IdentityUnlink, user, &kept.identity, &kept.label);
            let commit = Commit::synced()
                .when_all(list.unchanged())
                .then(list.moved())
                .then(Mutation::RemoveField(keys::user(user), field::ORIGIN))
                .then_all(taken(user, id))
                .beginning_with(self.audited(actor, &unlinked).await?);
            if self.commit(step!("unlink_identity"), commit).await? == Outcome::Committed {
                return Ok(());
            }
        }

        Err(AccountError::Conflict { attempted: format!("unlinking an identity of {user}").into() })
    }
}

impl Service {
    async fn holder(&self, id: &IdentityId) -> Result<Option<AccountName>, Error> {
        let key = keys::identity(id);
        let found = self.fields(&[(key.clone(), field::USER)]).await?.pop().flatten();
        found.map(|found| parsed(&key, &field::USER, Some(&found))).transpose()
    }

    async fn has_password(&self, user: &AccountName) -> Result<bool, Error> {
        let account = self.account(user).await?;
        Ok(account.is_some_and(|account| account.password_hash.expose_secret() != NO_PASSWORD))
    }

    /// Claim, record and identity. Who begins it is written before the name counts: where a crash has left an account
    /// without its identity, that identity may go on and nobody else.
    async fn founding_account(
        &self,
        account: &Account,
        id: &IdentityId,
        free: Vec<Condition>,
    ) -> Result<Commit, AccountError> {
        let claimed = self.claimable(&account.name).await?;
        let Commit { conditions, mutations, durability } = self.creation(account, claimed);
        let origin = Mutation::SetField(keys::user(&account.name), field::ORIGIN, id.to_string().into());

        let conditions = [free, conditions].concat();
        Ok(Commit { conditions, mutations: [vec![origin], mutations].concat(), durability })
    }

    /// That the account is there and was begun for this identity, if a crash has left it so.
    async fn begun_by(&self, name: &AccountName, id: &IdentityId) -> Result<Option<Vec<Condition>>, Error> {
        let key = keys::user(name);
        let asked = [field::NAME, field::ORIGIN, field::PASSWORD].map(|field| (key.clone(), field));
        let found = self.fields(&asked).await?;
        let [Some(_), Some(origin), Some(password)] = found.as_slice() else {
            return Ok(None);
        };

        let (this, none) = (Bytes::from(id.to_string()), Bytes::from_static(NO_PASSWORD.as_bytes()));
        Ok((*origin == this && *password == none).then(|| {
            vec![
                Condition::FieldPresent(key.clone(), field::NAME),
                Condition::FieldEquals(key.clone(), field::ORIGIN, this),
                Condition::FieldEquals(key, field::PASSWORD, none),
            ]
        }))
    }

    /// What a user has, and what is only left in its list.
    async fn identity_list(&self, user: &AccountName) -> Result<List, AccountError> {
        let (record, key) = (keys::user(user), keys::identities(user));
        let there = self.fields(&[(record, field::NAME)]).await?.pop().flatten();
        there.ok_or_else(|| AccountError::AccountUnknown { name: user.clone() })?;

        let index = self.keyspace().record(&key).await?.unwrap_or_default();
        let mut listed = Vec::new();
        for (name, value) in index.iter().filter(|(name, _)| *name != field::REV.as_bytes()) {
            let id: IdentityId = parsed_member(&key, name)?;
            listed.push((id, read(value).ok_or_else(|| damaged(&key, &keys::named(id)))?));
        }

        let asked: Vec<_> = listed.iter().map(|(id, _)| (keys::identity(id), field::USER)).collect();
        let (mut identities, mut others) = (BTreeMap::new(), Vec::new());
        for ((id, identity), holder) in listed.into_iter().zip(self.fields(&asked).await?) {
            if holder.is_some_and(|holder| holder == user.as_str().as_bytes()) {
                identities.insert(id, identity);
            } else {
                others.push(id);
            }
        }
        Ok(List { user: user.clone(), rev: index.get(field::REV).cloned(), identities, others })
    }

    /// Gives an identity that nobody has, and forgets what is only left in the list.
    fn linking(&self, list: &List, new: &NewIdentity) -> Result<Commit, Error> {
        let left = list.others.iter().filter(|id| **id != new.identity.id());
        let forgotten = left.map(|id| Mutation::RemoveField(keys::identities(&list.user), keys::named(id)));

        Ok(Commit::synced()
            .when_all(list.unchanged())
            .when(Condition::FieldAbsent(keys::identity(&new.identity.id()), field::USER))
            .then(list.moved())
            .then_all(forgotten)
            .then_all(given(&list.user, new, self.now())?))
    }
}

fn linked(user: &AccountName, new: &NewIdentity) -> Audit {
    Audit::of_identity(Action::IdentityLink, user, &new.identity, &new.label)
}

/// The list entry, then what makes it count.
fn given(user: &AccountName, new: &NewIdentity, now: Timestamp) -> Result<[Mutation; 2], Error> {
    let NewIdentity { identity, label } = new;
    let id = identity.id();
    let ForeignIdentity { issuer, subject } = identity.clone();
    let listed = Listed { issuer, subject, label: label.clone(), linked_ms: now.as_millisecond() };
    let text = serde_json::to_string(&listed);
    let text = text.map_err(|error| Error::Damaged { what: format!("an identity: {error}") })?;

    Ok([
        Mutation::SetField(keys::identities(user), keys::named(id), text.into()),
        Mutation::SetField(keys::identity(&id), field::USER, user.to_string().into()),
    ])
}

/// What makes it count, then the list entry.
fn taken(user: &AccountName, id: &IdentityId) -> [Mutation; 2] {
    [
        Mutation::RemoveField(keys::identity(id), field::USER),
        Mutation::RemoveField(keys::identities(user), keys::named(id)),
    ]
}

fn read(value: &Bytes) -> Option<LinkedIdentity> {
    let Listed { issuer, subject, label, linked_ms } = serde_json::from_slice(value).ok()?;
    let linked = Timestamp::from_millisecond(linked_ms).ok()?;
    Some(LinkedIdentity { identity: ForeignIdentity { issuer, subject }, label, linked })
}
