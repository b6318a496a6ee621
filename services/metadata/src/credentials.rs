//! The contract `Credentials`: keeping, listing and revoking what stands for users and robots.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use oci::{CredentialId, EventId};
use proto::metadata::{
    AccountError, Actor, Credentials,
    credentials::{
        Credential, CredentialOwner, CredentialUse, Holder, MAX_CREDENTIALS, MAX_OFFLINE, MAX_TRUSTS,
        NewCredential, Revocation, Revoked,
    },
};

use crate::{
    ATTEMPTS, Outcome, Service,
    audit::Audit,
    failure::{next, parsed},
    keys::{self, field},
    keyspace::{Commit, Condition, Error, Key, Mutation},
    namespaces::Owner,
    secrets::{Entry, List, unused_hash},
    sessions::millisecond,
    step,
};

/// Uses that one commit notes, at most.
const USES_AT_ONCE: usize = 100;

/// What is noted of a credential's uses is no finer than this (seconds).
const USED_EVERY_SECONDS: i64 = 60;

#[async_trait]
impl Credentials for Service {
    async fn put_credential(&self, new: &NewCredential, actor: &Actor) -> Result<(), AccountError> {
        for _ in 0..ATTEMPTS {
            let list = self.list_of(&new.holder.owner()).await?;
            if list.entries.iter().any(|entry| entry.credential.is_some() && entry.id == new.id) {
                // The answer to the first time was lost.
                return Ok(());
            }

            let unrevised = self.unrevised(new).await?;
            let audited = self.audited(actor, &Audit::made(list.kind, new)).await?;
            let commit = self.keeping(&list, new)?.when_all(unrevised).beginning_with(audited);
            if self.commit(step!("put_credential"), commit).await? == Outcome::Committed {
                return Ok(());
            }
        }

        Err(AccountError::Conflict { attempted: format!("keeping credential {}", new.id).into() })
    }

    async fn credentials(&self, owner: &CredentialOwner) -> Result<Vec<Credential>, AccountError> {
        let list = self.list_of(owner).await?;
        let mut kept: Vec<_> = list.entries.into_iter().filter_map(|entry| entry.credential).collect();

        kept.sort_by(|one, other| (one.created, &one.id).cmp(&(other.created, &other.id)));
        Ok(kept)
    }

    async fn revoke_credential(
        &self,
        owner: &CredentialOwner,
        id: &CredentialId,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        let unknown = || AccountError::CredentialUnknown { id: id.clone() };
        for _ in 0..ATTEMPTS {
            // Before the list, which says so of an owner who is not there.
            let entry = self.entry_of(owner, id).await?.ok_or_else(unknown)?;
            let list = self.list_of(owner).await?;
            let ending: Vec<&Entry> = list.ending_with(id).collect();
            let told = ending.iter().map(|ending| &ending.id).chain([id]);
            let told: Vec<_> = told.map(|id| Revoked::Credential(id.clone())).collect();

            let audited = self.audited(actor, &self.revoked_one(owner, &entry).await?).await?;
            // What it has let in first: cut in between, it can be revoked again.
            let commit = Commit::synced()
                .when(entry.unchanged())
                .when_all(list.unchanged())
                .telling(self.telling(&told).await?)
                .then_all(ending.into_iter().flat_map(Entry::removed))
                .then_all(entry.removed())
                .beginning_with(audited);
            if self.commit(step!("revoke_credential"), commit).await? == Outcome::Committed {
                return Ok(());
            }
        }

        Err(AccountError::Conflict { attempted: format!("revoking credential {id}").into() })
    }

    async fn used(&self, uses: &[CredentialUse]) -> Result<(), AccountError> {
        for uses in uses.chunks(USES_AT_ONCE) {
            self.note_uses(uses).await?;
        }
        Ok(())
    }

    async fn revocations(&self, after: Option<&EventId>) -> Result<Vec<Revocation>, AccountError> {
        self.told_revocations(after).await
    }
}

impl Service {
    /// Nothing has ended meanwhile what was begun at the revision of the user.
    async fn unrevised(&self, new: &NewCredential) -> Result<Option<Condition>, AccountError> {
        let (Some(revision), CredentialOwner::User(user)) = (new.revision, new.holder.owner()) else {
            return Ok(None);
        };
        let key = keys::user(&user);
        let read = self.fields(&[(key.clone(), field::REV)]).await?.pop().flatten();
        let current = read.as_ref().map(|read| parsed(&key, &field::REV, Some(read))).transpose()?;
        if current.unwrap_or(0) != revision {
            return Err(AccountError::AccountChanged { user });
        }
        Ok(Some(Condition::unchanged(key, field::REV, read)))
    }

    /// Adds to a list, and drops what has expired there: sessions end by themselves, and must not fill it.
    fn keeping(&self, list: &List, new: &NewCredential) -> Result<Commit, AccountError> {
        let now = self.now();
        let (good, mut over): (Vec<&Entry>, Vec<&Entry>) =
            list.entries.iter().partition(|entry| entry.is_good(now));
        let (clients, others): (Vec<&Entry>, Vec<&Entry>) =
            good.into_iter().partition(|entry| entry.is_client());
        let mut commit = Commit::synced().when_all(list.unchanged()).when(unused_hash(&new.hash));

        match &new.holder {
            Holder::Offline { through, .. } => {
                // Whoever logs in everywhere and never out must not be kept from logging in.
                over.extend(away_longest(clients));
                if let Some(id) = through {
                    let known = others.iter().find(|entry| entry.id == *id);
                    let known = known.ok_or_else(|| AccountError::CredentialUnknown { id: id.clone() })?;
                    commit = commit.when(known.unchanged());
                }
            }
            Holder::Robot(name) if others.iter().any(|entry| entry.is_called(name)) => {
                return Err(AccountError::CredentialExists { name: name.clone() });
            }
            _ if new.trust.is_some()
                && others.iter().filter(|entry| entry.is_trust()).count() >= MAX_TRUSTS =>
            {
                return Err(AccountError::TooMany { what: "trusts".to_owned(), limit: MAX_TRUSTS });
            }
            _ if others.len() >= MAX_CREDENTIALS => {
                return Err(AccountError::TooMany { what: owned(&new.holder), limit: MAX_CREDENTIALS });
            }
            _ => {}
        }

        Ok(commit.then_all(over.into_iter().flat_map(Entry::removed)).then_all(list.added(new, now)?))
    }

    /// What the audit log says of a credential that is revoked. Of one that a crash has left without a record it is not
    /// known whether it was a session.
    async fn revoked_one(&self, owner: &CredentialOwner, entry: &Entry) -> Result<Audit, Error> {
        let kept = self.kept_credential(entry.secret()).await?;
        let (kind, holder) = match owner {
            CredentialOwner::User(name) => (Owner::User, Holder::User(name.clone())),
            CredentialOwner::Robots(namespace) => {
                let kind = self.claimed(namespace).await?.unwrap_or(Owner::Organization);
                (kind, Holder::Robot(entry.robot(namespace)?))
            }
        };
        let Some(kept) = kept else {
            return Ok(Audit::revoked(kind, &holder, (&entry.id, None)));
        };
        Ok(Audit::revoked(kind, &kept.holder, (&entry.id, kept.trust.as_ref())).label(&kept.label))
    }

    /// Notes the last uses of at most [`USES_AT_ONCE`] credentials. If others write them again and again, theirs
    /// are as good.
    async fn note_uses(&self, uses: &[CredentialUse]) -> Result<(), Error> {
        let mut last: BTreeMap<Key, Timestamp> = BTreeMap::new();
        for CredentialUse { id, owner, at } in uses {
            if let Some(entry) = self.entry_of(owner, id).await? {
                let noted = last.entry(entry.secret().clone()).or_insert(*at);
                *noted = (*noted).max(*at);
            }
        }

        for _ in 0..ATTEMPTS {
            let commit = self.noting(&last).await?;
            if commit.mutations.is_empty() || self.commit(step!("used"), commit).await? == Outcome::Committed
            {
                break;
            }
        }
        Ok(())
    }

    async fn noting(&self, last: &BTreeMap<Key, Timestamp>) -> Result<Commit, Error> {
        let asked: Vec<_> =
            last.keys().flat_map(|key| [field::ID, field::USED].map(|field| (key.clone(), field))).collect();
        let mut values = self.fields(&asked).await?.into_iter();

        let mut commit = Commit::relaxed();
        for (key, at) in last {
            let [id, used] = [next(&mut values), next(&mut values)];
            let before = used.as_ref().map(|used| millisecond(key, &field::USED, Some(used))).transpose()?;
            let moves = before.is_none_or(|before| at.as_second() - before.as_second() >= USED_EVERY_SECONDS);
            if id.is_some() && moves {
                commit = commit
                    .when(Condition::FieldPresent(key.clone(), field::ID))
                    .when(Condition::unchanged(key.clone(), field::USED, used))
                    .then(Mutation::SetField(
                        key.clone(),
                        field::USED,
                        at.as_millisecond().to_string().into(),
                    ));
            }
        }
        Ok(commit)
    }
}

/// Those that there is no room for any more beside another one.
fn away_longest(mut clients: Vec<&Entry>) -> impl Iterator<Item = &Entry> {
    let surplus = (clients.len() + 1).saturating_sub(MAX_OFFLINE);
    clients.sort_by_key(|client| (client.seen(), client.id.clone()));
    clients.into_iter().take(surplus)
}

/// What there may be only so many of.
fn owned(holder: &Holder) -> String {
    match holder {
        Holder::User(name) | Holder::Session(name) | Holder::Offline { user: name, .. } => {
            format!("access tokens and sessions of {name}")
        }
        Holder::Robot(name) => format!("robots of {}", name.namespace()),
    }
}
