//! The first part of a repository's name: a user or an organization, claimed before anything is put under it.

use oci::{AccountName, Namespace};
use proto::{
    auth::Subject,
    metadata::{Actor, Standing, accounts::Role},
};

use crate::{
    Outcome, Service,
    keys::{self, field},
    keyspace::{Commit, Condition, Error, Mutation},
    step,
};

/// What a namespace is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    User,
    Organization,
}

impl Owner {
    pub(crate) const ALL: [Self; 2] = [Self::User, Self::Organization];

    /// What its keys begin with.
    pub(crate) const fn sigil(self) -> char {
        match self {
            Self::User => keys::USER_SIGIL,
            Self::Organization => keys::ORGANIZATION_SIGIL,
        }
    }

    /// What a claim says.
    pub(crate) const fn claim(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Organization => "organization",
        }
    }
}

impl Service {
    /// What `namespace` is, or none if nobody has claimed it.
    pub(crate) async fn claimed(&self, namespace: &Namespace) -> Result<Option<Owner>, Error> {
        let key = keys::claim(namespace);
        let Some(value) = self.keyspace().get(&key).await? else {
            return Ok(None);
        };

        let owner = Owner::ALL.into_iter().find(|owner| owner.claim().as_bytes() == value);
        owner.map(Some).ok_or_else(|| Error::Damaged { what: format!("the value of {key}") })
    }

    /// As `claimed`, but an administrator's push makes the organization that it goes to.
    pub(crate) async fn claimed_or_created(
        &self,
        namespace: &Namespace,
        actor: &Actor,
    ) -> Result<Option<Owner>, Error> {
        if let Some(owner) = self.claimed(namespace).await? {
            return Ok(Some(owner));
        }
        let Subject::User(name) = &actor.subject else {
            return Ok(None);
        };
        if namespace.is_reserved() || !self.is_administrator(name).await? {
            return Ok(None);
        }

        self.create_organization(namespace, Some(name)).await
    }

    /// Makes the organization `library`, if it is not there.
    pub(crate) async fn prepare_library(&self) -> Result<(), Error> {
        let library = Namespace::library();
        if self.claimed(&library).await?.is_none() {
            self.create_organization(&library, None).await?;
        }

        Ok(())
    }

    async fn is_administrator(&self, name: &AccountName) -> Result<bool, Error> {
        let account = self.account(name).await?;
        Ok(account.is_some_and(|account| {
            account.role == Role::Administrator && account.standing == Standing::Active
        }))
    }

    async fn create_organization(
        &self,
        name: &Namespace,
        owner: Option<&AccountName>,
    ) -> Result<Option<Owner>, Error> {
        let (claim, record) = (keys::claim(name), keys::namespace(Owner::Organization, name));
        let now = self.now().as_millisecond().to_string();
        let set = |field, value: String| Mutation::SetField(record.clone(), field, value.into());

        let commit = Commit::synced()
            .when(Condition::ValueAbsent(claim.clone()))
            .then(Mutation::SetValue(claim, Owner::Organization.claim().into()))
            .then(Mutation::AddMember(keys::ORGANIZATIONS, name.to_string().into()))
            .then_all(owner.map(|owner| set(field::OWNER, owner.to_string())))
            .then(set(field::CREATED, now.clone()))
            .then(set(field::UPDATED, now))
            .then(set(field::NAME, name.to_string()));

        match self.commit(step!("create_organization"), commit).await? {
            Outcome::Committed => Ok(Some(Owner::Organization)),
            // Somebody else was first, with an organization or an account.
            Outcome::Conflicted => self.claimed(name).await,
        }
    }
}
