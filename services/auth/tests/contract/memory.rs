//! What auth needs of metadata, in memory: metadata itself belongs to another service, and has suites of its own.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use auth::Contracts;
use jiff::Timestamp;
use oci::{AccountName, CredentialId, EventId, Namespace, RepositoryName};
use proto::{
    auth::{KeyId, Subject},
    metadata::{
        AccountError, Accounts, Actor, Credentials, FederatedIdentities, More, Page, PageRequest, Users,
        Visibility,
        accounts::{
            AccessFacts, AccessQuestion, Account, FactsOf, NamespaceFacts, NamespaceKind, RepositoryFacts,
            SigningKey,
        },
        credentials::{
            Credential, CredentialOwner, CredentialUse, Holder, MAX_CREDENTIALS, NewCredential, Revocation,
            Revoked, SecretHash,
        },
        federation::{IdentityId, LinkedIdentity, NewIdentity},
        invitations::Invitation,
        organizations::{Level, MemberRole},
        users::{Profile, User, UserChange},
    },
};
use service_kit::clock::{Clock as _, ManualClock};

use crate::proofs::Proven;

/// A hub with the organizations `open`, `shut` and `team`, `open/app`, which is public, and `shut/app` and `team/app`,
/// which are not.
#[derive(Default)]
pub(crate) struct MemoryMetadata {
    pub(crate) clock: Arc<ManualClock>,
    state: Mutex<State>,
    questions: AtomicUsize,
    pub(crate) reads_of_keys: AtomicUsize,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) accounts: BTreeMap<AccountName, Account>,
    pub(crate) emails: BTreeMap<AccountName, String>,
    pub(crate) members: BTreeMap<(String, AccountName), MemberRole>,
    pub(crate) levels: BTreeMap<(String, AccountName), Level>,
    pub(crate) credentials: Vec<(SecretHash, Credential)>,
    pub(crate) revocations: Vec<Revocation>,
    pub(crate) uses: Vec<CredentialUse>,
    pub(crate) actors: Vec<Actor>,
    pub(crate) identities: Vec<(AccountName, LinkedIdentity)>,
    pub(crate) proofs: BTreeMap<AccountName, Proven>,
    pub(crate) invitations: Vec<(SecretHash, Invitation)>,
    pub(crate) keys: Vec<SigningKey>,
}

impl MemoryMetadata {
    pub(crate) fn contracts(self: &Arc<Self>) -> Contracts {
        Contracts {
            accounts: self.clone(),
            users: self.clone(),
            credentials: self.clone(),
            federation: self.clone(),
            proofs: self.clone(),
            invitations: self.clone(),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// How many times facts were asked for: once for each login that is not refused before.
    pub(crate) fn questions(&self) -> usize {
        self.questions.load(Ordering::Relaxed)
    }
}

impl State {
    fn namespace(&self, name: &Namespace, user: Option<&AccountName>) -> NamespaceFacts {
        let kind = match name.as_str() {
            "open" | "shut" | "team" => Some(NamespaceKind::Organization),
            user if self.accounts.keys().any(|name| name.as_str() == user) => Some(NamespaceKind::User),
            _ => None,
        };
        let role = user.and_then(|user| self.members.get(&(name.to_string(), user.clone())).copied());
        NamespaceFacts { name: name.clone(), kind, role }
    }

    fn repository(&self, name: &RepositoryName, user: Option<&AccountName>) -> RepositoryFacts {
        let visibility = match name.as_str() {
            "open/app" => Some(Visibility::Public),
            "shut/app" | "team/app" => Some(Visibility::Private),
            _ => None,
        };
        let level = user.and_then(|user| self.levels.get(&(name.to_string(), user.clone())).copied());
        let namespace = self.namespace(&name.namespace(), user);
        RepositoryFacts { name: name.clone(), visibility, namespace, level, moved: None }
    }

    pub(crate) fn revision(&self, name: &AccountName) -> i64 {
        self.proofs.get(name).map_or(0, |proven| proven.revision)
    }

    /// Ends what a password has begun.
    pub(crate) fn end_sessions(&mut self, clock: &ManualClock, name: &AccountName) {
        let client = Holder::Offline { user: name.clone(), through: None };
        let session = Holder::Session(name.clone());
        self.credentials.retain(|(_, kept)| kept.holder != session && kept.holder != client);
        self.proofs.entry(name.clone()).or_default().revision += 1;
        self.revoke(clock, Revoked::Subject(Subject::User(name.clone())));
    }

    pub(crate) fn revoke(&mut self, clock: &ManualClock, what: Revoked) {
        let id: EventId = format!("01JD{:022}", self.revocations.len()).parse().unwrap();
        self.revocations.push(Revocation { id, at: clock.now(), what });
    }
}

#[async_trait]
impl Accounts for MemoryMetadata {
    async fn create_account(&self, account: &Account, actor: &Actor) -> Result<(), AccountError> {
        let (name, mut state) = (account.name.namespace(), self.state());
        if name.is_reserved() {
            return Err(AccountError::NameReserved { name });
        }
        if state.namespace(&name, None).kind.is_some() {
            return Err(AccountError::NameTaken { name });
        }
        state.accounts.insert(account.name.clone(), account.clone());
        state.actors.push(actor.clone());
        Ok(())
    }

    async fn access_facts(&self, question: &AccessQuestion) -> Result<AccessFacts, AccountError> {
        self.questions.fetch_add(1, Ordering::Relaxed);
        let state = self.state();
        let credential = match &question.asker {
            FactsOf::Credential(hash) => {
                state.credentials.iter().find(|(kept, _)| kept == hash).map(|(_, it)| it.clone())
            }
            FactsOf::Anonymous | FactsOf::User(_) => None,
        };
        let name = match (&question.asker, credential.as_ref().map(|credential| &credential.holder)) {
            (FactsOf::User(name), _) => Some(name.clone()),
            (_, Some(holder)) => match holder.owner() {
                CredentialOwner::User(name) => Some(name),
                CredentialOwner::Robots(_) => None,
            },
            _ => None,
        };
        let robots_user = match credential.as_ref().map(|credential| &credential.holder) {
            Some(Holder::Robot(robot)) => robot.namespace().as_str().parse().ok(),
            _ => None,
        };

        let repositories =
            question.repositories.iter().map(|of| state.repository(of, name.as_ref())).collect();
        let namespaces = question.namespaces.iter().map(|of| state.namespace(of, name.as_ref())).collect();
        Ok(AccessFacts {
            account: name.clone().or(robots_user).and_then(|name| state.accounts.get(&name).cloned()),
            credential,
            repositories,
            namespaces,
            second_factor: name.as_ref().and_then(|name| state.proofs.get(name)?.active.clone()),
            revision: name.as_ref().map_or(0, |name| state.revision(name)),
        })
    }

    async fn found_signing_key(&self, key: &SigningKey) -> Result<Vec<SigningKey>, AccountError> {
        let mut state = self.state();
        if state.keys.is_empty() {
            state.keys.push(key.clone());
        }
        Ok(state.keys.clone())
    }

    async fn signing_keys(&self) -> Result<Vec<SigningKey>, AccountError> {
        self.reads_of_keys.fetch_add(1, Ordering::Relaxed);
        Ok(self.state().keys.clone())
    }

    async fn succeed_signing_key(
        &self,
        of: &KeyId,
        key: &SigningKey,
        _: &Actor,
    ) -> Result<Vec<SigningKey>, AccountError> {
        let mut state = self.state();
        if let Some(newest) = state.keys.last_mut().filter(|newest| newest.verification.id == *of) {
            (newest.until, newest.next) = (Some(key.from), Some(key.verification.id.clone()));
            state.keys.push(key.clone());
        }
        Ok(state.keys.clone())
    }

    async fn retire_signing_key(
        &self,
        of: &KeyId,
        at: Timestamp,
        _: &Actor,
    ) -> Result<Vec<SigningKey>, AccountError> {
        let mut state = self.state();
        if let Some(newest) = state.keys.last_mut().filter(|newest| newest.verification.id == *of) {
            newest.until = Some(at);
        }
        Ok(state.keys.clone())
    }

    async fn remove_signing_keys(&self, ids: &[KeyId], _: &Actor) -> Result<Vec<SigningKey>, AccountError> {
        let mut state = self.state();
        let newest = state.keys.last().map(|newest| newest.verification.id.clone());
        state.keys.retain(|key| {
            let id = &key.verification.id;
            Some(id) == newest.as_ref() || !ids.contains(id)
        });
        Ok(state.keys.clone())
    }
}

#[async_trait]
impl Users for MemoryMetadata {
    async fn user(&self, name: &AccountName) -> Result<Option<User>, AccountError> {
        let state = self.state();
        let Some(Account { role, standing, .. }) = state.accounts.get(name).cloned() else {
            return Ok(None);
        };
        let email = state.emails.get(name).cloned().unwrap_or_default();
        let profile = Profile { email, ..Profile::default() };
        let proven = state.proofs.get(name).cloned().unwrap_or_default();
        let (email_verified, second_factor) =
            (proven.verified.as_ref() == Some(&profile.email), proven.active.is_some());
        let (name, created) = (name.clone(), self.clock.now());
        Ok(Some(User { name, role, standing, profile, created, email_verified, second_factor }))
    }

    async fn users(&self, _: &PageRequest<AccountName>) -> Result<Page<User>, AccountError> {
        Ok(Page { entries: Vec::new(), more: More::No })
    }

    async fn change_user(
        &self,
        name: &AccountName,
        change: &UserChange,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        let mut state = self.state();
        let Some(account) = state.accounts.get_mut(name) else {
            return Err(AccountError::AccountUnknown { name: name.clone() });
        };
        if let Some(hash) = &change.password_hash {
            account.password_hash = hash.clone();
            state.end_sessions(&self.clock, name);
        }
        if let Some(profile) = &change.profile {
            state.emails.insert(name.clone(), profile.email.clone());
        }
        state.actors.push(actor.clone());
        Ok(())
    }
}

#[async_trait]
impl Credentials for MemoryMetadata {
    async fn put_credential(&self, new: &NewCredential, actor: &Actor) -> Result<(), AccountError> {
        let mut state = self.state();
        if let Holder::Robot(name) = &new.holder {
            if state.credentials.iter().any(|(_, kept)| kept.holder == new.holder) {
                return Err(AccountError::CredentialExists { name: name.clone() });
            }
            if state.namespace(&name.namespace(), None).kind.is_none() {
                return Err(AccountError::OwnerUnknown { name: name.namespace() });
            }
        }
        let owner = new.holder.owner();
        if state.credentials.iter().filter(|(_, kept)| kept.holder.owner() == owner).count()
            == MAX_CREDENTIALS
        {
            return Err(AccountError::TooMany { what: "credentials".to_owned(), limit: MAX_CREDENTIALS });
        }
        let NewCredential { id, hash, holder, label, limits, expires, trust, revision } = new.clone();
        if let (Some(revision), CredentialOwner::User(user)) = (revision, owner)
            && state.revision(&user) != revision
        {
            return Err(AccountError::AccountChanged { user });
        }
        let created = self.clock.now();
        let credential = Credential { id, holder, label, limits, created, expires, used: None, trust };
        state.credentials.push((hash, credential));
        state.actors.push(actor.clone());
        Ok(())
    }

    async fn credentials(&self, owner: &CredentialOwner) -> Result<Vec<Credential>, AccountError> {
        let state = self.state();
        let of_owner = state.credentials.iter().filter(|(_, kept)| kept.holder.owner() == *owner);
        Ok(of_owner.map(|(_, kept)| kept.clone()).collect())
    }

    async fn revoke_credential(
        &self,
        _: &CredentialOwner,
        id: &CredentialId,
        _: &Actor,
    ) -> Result<(), AccountError> {
        let mut state = self.state();
        let through = |holder: &Holder| matches!(holder, Holder::Offline { through, .. } if through.as_ref() == Some(id));
        state.credentials.retain(|(_, kept)| kept.id != *id && !through(&kept.holder));
        state.revoke(&self.clock, Revoked::Credential(id.clone()));
        Ok(())
    }

    async fn used(&self, uses: &[CredentialUse]) -> Result<(), AccountError> {
        self.state().uses.extend_from_slice(uses);
        Ok(())
    }

    async fn revocations(&self, after: Option<&EventId>) -> Result<Vec<Revocation>, AccountError> {
        let state = self.state();
        let later = state.revocations.iter().filter(|told| after.is_none_or(|after| told.id > *after));
        Ok(later.cloned().collect())
    }
}

#[async_trait]
impl FederatedIdentities for MemoryMetadata {
    async fn identity_user(&self, id: &IdentityId) -> Result<Option<AccountName>, AccountError> {
        let state = self.state();
        let found = state.identities.iter().find(|(_, kept)| kept.identity.id() == *id);
        Ok(found.map(|(user, _)| user.clone()))
    }

    async fn create_federated_account(
        &self,
        account: &Account,
        identity: &NewIdentity,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        if self.identity_user(&identity.identity.id()).await?.is_some() {
            return Err(AccountError::IdentityTaken);
        }
        self.create_account(account, actor).await?;
        self.link_identity(&account.name, identity, actor).await
    }

    async fn link_identity(
        &self,
        user: &AccountName,
        identity: &NewIdentity,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        match self.identity_user(&identity.identity.id()).await? {
            Some(holder) if holder == *user => return Ok(()),
            Some(_) => return Err(AccountError::IdentityTaken),
            None => {}
        }
        let NewIdentity { identity, label } = identity.clone();
        let mut state = self.state();
        state.identities.push((user.clone(), LinkedIdentity { identity, label, linked: self.clock.now() }));
        state.actors.push(actor.clone());
        Ok(())
    }

    async fn identities(&self, user: &AccountName) -> Result<Vec<LinkedIdentity>, AccountError> {
        let state = self.state();
        let kept = state.identities.iter().filter(|(holder, _)| holder == user);
        Ok(kept.map(|(_, kept)| kept.clone()).collect())
    }

    async fn unlink_identity(
        &self,
        user: &AccountName,
        id: &IdentityId,
        _: &Actor,
    ) -> Result<(), AccountError> {
        self.state().identities.retain(|(holder, kept)| holder != user || kept.identity.id() != *id);
        Ok(())
    }
}
