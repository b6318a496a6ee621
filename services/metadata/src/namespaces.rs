//! The first part of a repository's name: a user or an organization, claimed before anything is put under it.

use oci::{AccountName, Namespace};
use proto::{
    auth::Subject,
    metadata::{Actor, audit::Action, organizations::MemberRole},
};

use crate::{
    Outcome, Service,
    administrators::is_administrator,
    audit::Audit,
    keys::{self, field},
    keyspace::{Commit, Condition, Error, Mutation},
    members::joining,
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

        let claim = Condition::ValueAbsent(keys::claim(namespace));
        let audit = Audit::of_organization(Action::OrganizationCreate, namespace).user(name);
        let audited = self.audited(actor, &audit).await?;
        let commit = self.founding_organization(namespace, Some(name)).beginning_with(audited).when(claim);
        match self.commit(step!("create_organization"), commit).await? {
            Outcome::Committed => Ok(Some(Owner::Organization)),
            // Somebody else was first, with an organization or an account.
            Outcome::Conflicted => self.claimed(namespace).await,
        }
    }

    /// Makes the organization `library`, if it is not there.
    pub(crate) async fn prepare_library(&self) -> Result<(), Error> {
        let library = Namespace::library();
        if self.is_organization(&library).await? {
            return Ok(());
        }

        // Nobody else can claim its name: of several that try, one succeeds.
        let commit = self.founding_organization(&library, None);
        let _either_way = self.commit(step!("create_organization"), commit).await?;
        Ok(())
    }

    /// Whether there is an organization of that name.
    pub(crate) async fn is_organization(&self, name: &Namespace) -> Result<bool, Error> {
        let key = keys::namespace(Owner::Organization, name);
        Ok(self.fields(&[(key, field::NAME)]).await?.pop().flatten().is_some())
    }

    async fn is_administrator(&self, name: &AccountName) -> Result<bool, Error> {
        let account = self.account(name).await?;
        Ok(account.is_some_and(|account| is_administrator(account.role, account.standing)))
    }

    /// What makes an organization, whatever its name's claim must be. The name comes last, because it is what makes
    /// the organization count; the founder comes before the claim, so that whoever finds a claim that a crash has left
    /// alone knows who may go on.
    pub(crate) fn founding_organization(&self, name: &Namespace, owner: Option<&AccountName>) -> Commit {
        let record = keys::namespace(Owner::Organization, name);
        let now = self.now().as_millisecond().to_string();
        let set = |field, value: String| Mutation::SetField(record.clone(), field, value.into());

        Commit::synced()
            .when(Condition::FieldAbsent(record.clone(), field::NAME))
            .then_all(owner.map(|owner| set(field::OWNER, owner.to_string())))
            .then(Mutation::SetValue(keys::claim(name), Owner::Organization.claim().into()))
            .then(Mutation::AddMember(keys::ORGANIZATIONS, name.to_string().into()))
            .then(set(field::CREATED, now.clone()))
            .then(set(field::UPDATED, now))
            .then_all(owner.into_iter().flat_map(|owner| joining(name, owner, MemberRole::Owner)))
            .then(set(field::NAME, name.to_string()))
    }
}
