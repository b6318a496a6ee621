//! The members of organizations. The role is what makes a member; the lists of members and of a user's organizations
//! are written before it and removed after it, and who has no role is passed over.

use std::{fmt::Display, str::FromStr};

use bytes::Bytes;
use oci::{AccountName, Namespace};
use proto::metadata::{
    AccountError, Actor, More, Page, PageRequest, audit::Action, organizations::MemberRole,
};

use crate::{
    ATTEMPTS, Outcome, Service,
    accounts::Word as _,
    audit::Audit,
    failure::{next, parsed_member},
    keys::{self, field},
    keyspace::{Commit, Condition, Direction, Error, Field, Key, MemberRange, Mutation, RANGE_LIMIT},
    namespaces::Owner,
    step,
    tags::LONGEST_PAGE,
    teams::{Leaving, leaving},
};

/// The list entries of a member, then the role.
pub(crate) fn joining(organization: &Namespace, user: &AccountName, role: MemberRole) -> Vec<Mutation> {
    let listed = || Bytes::from(user.to_string());
    let mut mutations = vec![
        Mutation::AddMember(keys::member_organizations(user), organization.to_string().into()),
        Mutation::AddMember(keys::members(organization), listed()),
    ];
    if role == MemberRole::Owner {
        mutations.push(Mutation::AddMember(keys::owners(organization), listed()));
    }
    let (key, field) = place(organization, user);
    mutations.push(Mutation::SetField(key, field, role.word().into()));
    mutations
}

/// Where the role of a user in an organization is.
pub(crate) fn place(organization: &Namespace, user: &AccountName) -> (Key, Field) {
    (keys::roles(organization), keys::named(user))
}

/// A role as it was read.
#[derive(Debug, Clone)]
pub(crate) struct RoleBefore {
    place: (Key, Field),
    stored: Option<Bytes>,
    pub(crate) role: Option<MemberRole>,
}

impl RoleBefore {
    pub(crate) fn read(
        organization: &Namespace,
        user: &AccountName,
        stored: Option<Bytes>,
    ) -> Result<Self, Error> {
        let (key, field) = place(organization, user);
        let role =
            stored.as_ref().map(|stored| MemberRole::stored(&key, &field, Some(stored))).transpose()?;

        Ok(Self { place: (key, field), stored, role })
    }

    /// Nobody has changed it since.
    fn unchanged(&self) -> Condition {
        let (key, field) = self.place.clone();
        Condition::unchanged(key, field, self.stored.clone())
    }
}

impl Service {
    pub(crate) async fn list_members(
        &self,
        organization: &Namespace,
        page: &PageRequest<AccountName>,
    ) -> Result<Page<(AccountName, MemberRole)>, AccountError> {
        self.organization_exists(organization).await?;
        let listed =
            self.with_roles(&keys::members(organization), page, |user| place(organization, user)).await?;
        Ok(listed)
    }

    pub(crate) async fn list_organizations_of(
        &self,
        user: &AccountName,
        page: &PageRequest<Namespace>,
    ) -> Result<Page<(Namespace, MemberRole)>, Error> {
        let key = keys::member_organizations(user);
        self.with_roles(&key, page, |organization| place(organization, user)).await
    }

    /// A page of an ordered set whose members count only if they have a role; it is filled from what follows.
    pub(crate) async fn with_roles<T: FromStr + Display + Clone>(
        &self,
        key: &Key,
        page: &PageRequest<T>,
        place: impl Fn(&T) -> (Key, Field),
    ) -> Result<Page<(T, MemberRole)>, Error> {
        let limit = page.limit.min(LONGEST_PAGE);
        let (mut entries, mut after) =
            (Vec::new(), page.after.as_ref().map(|after| after.to_string().into()));
        loop {
            let members = after.map_or(MemberRange::all(), |after: Bytes| MemberRange::after(after));
            let found = self.keyspace().range(key, members, limit + 1, Direction::Forward).await?;
            entries.extend(self.roles_of(key, &found, &place).await?);

            let exhausted = found.len() <= limit;
            if entries.len() > limit || exhausted {
                let more = if entries.len() > limit { More::Yes } else { More::No };
                entries.truncate(limit);
                return Ok(Page { entries, more });
            }
            after = found.last().cloned();
        }
    }

    async fn roles_of<T: FromStr>(
        &self,
        key: &Key,
        found: &[Bytes],
        place: impl Fn(&T) -> (Key, Field),
    ) -> Result<Vec<(T, MemberRole)>, Error> {
        let names = found.iter().map(|member| parsed_member(key, member)).collect::<Result<Vec<T>, _>>()?;
        let places: Vec<_> = names.iter().map(place).collect();
        let roles = self.fields(&places).await?;

        let mut entries = Vec::with_capacity(names.len());
        for ((name, (key, field)), role) in names.into_iter().zip(&places).zip(roles) {
            if role.is_some() {
                entries.push((name, MemberRole::stored(key, field, role.as_ref())?));
            }
        }
        Ok(entries)
    }

    pub(crate) async fn place_member(
        &self,
        organization: &Namespace,
        user: &AccountName,
        role: MemberRole,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        let audit = Audit::of_organization(Action::MemberPut, organization).user(user).to(role.word());
        for _ in 0..ATTEMPTS {
            let before = self.candidate(organization, user).await?;
            if before.role == Some(role) {
                return Ok(());
            }
            let commit = Commit::synced()
                .when(Condition::FieldPresent(
                    keys::namespace(Owner::Organization, organization),
                    field::NAME,
                ))
                .when(Condition::FieldPresent(keys::user(user), field::NAME))
                .when(before.unchanged());
            let commit = if before.role == Some(MemberRole::Owner) {
                self.lowered(commit, organization, user, role).await?
            } else {
                commit.then_all(joining(organization, user, role))
            };
            let commit = commit.beginning_with(self.audited(actor, &audit).await?);
            if self.commit(step!("put_member"), commit).await? == Outcome::Committed {
                return Ok(());
            }
        }

        Err(AccountError::Conflict { attempted: format!("making {user} a member of {organization}").into() })
    }

    /// What `user` is before they become something; both must be there.
    async fn candidate(
        &self,
        organization: &Namespace,
        user: &AccountName,
    ) -> Result<RoleBefore, AccountError> {
        let (record, account) = (keys::namespace(Owner::Organization, organization), keys::user(user));
        let asked = [(record, field::NAME), (account, field::NAME), place(organization, user)];
        let mut values = self.fields(&asked).await?.into_iter();

        next(&mut values).ok_or_else(|| organization_unknown(organization))?;
        next(&mut values).ok_or_else(|| AccountError::AccountUnknown { name: user.clone() })?;
        Ok(RoleBefore::read(organization, user, next(&mut values))?)
    }

    /// The role first, then the list: an entry too many in the list of owners is passed over.
    async fn lowered(
        &self,
        commit: Commit,
        organization: &Namespace,
        user: &AccountName,
        role: MemberRole,
    ) -> Result<Commit, AccountError> {
        let (key, field) = place(organization, user);
        Ok(commit
            .when(self.another_owner(organization, user).await?)
            .telling(self.user_revoked(user).await?)
            .then(Mutation::SetField(key, field, role.word().into()))
            .then(Mutation::RemoveMember(keys::owners(organization), user.to_string().into())))
    }

    pub(crate) async fn dismiss_member(
        &self,
        organization: &Namespace,
        user: &AccountName,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        let audit = Audit::of_organization(Action::MemberRemove, organization).user(user);
        for _ in 0..ATTEMPTS {
            let before = self.member(organization, user).await?;
            let mut commit = Commit::synced().when(before.unchanged());
            if before.role == Some(MemberRole::Owner) {
                commit = commit.when(self.another_owner(organization, user).await?);
            }
            let commit = self.dismissal(commit, organization, user).await?;
            let commit = commit.beginning_with(self.audited(actor, &audit).await?);
            if self.commit(step!("remove_member"), commit).await? == Outcome::Committed {
                return Ok(());
            }
        }

        Err(AccountError::Conflict { attempted: format!("removing {user} from {organization}").into() })
    }

    /// What a member of the organization is.
    pub(crate) async fn member(
        &self,
        organization: &Namespace,
        user: &AccountName,
    ) -> Result<RoleBefore, AccountError> {
        let record = keys::namespace(Owner::Organization, organization);
        let asked = [(record, field::NAME), place(organization, user)];
        let mut values = self.fields(&asked).await?.into_iter();

        next(&mut values).ok_or_else(|| organization_unknown(organization))?;
        let before = RoleBefore::read(organization, user, next(&mut values))?;
        if before.role.is_none() {
            return Err(AccountError::MemberUnknown {
                organization: organization.clone(),
                user: user.clone(),
            });
        }
        Ok(before)
    }

    /// Out of the teams first: whoever is found with a role can be removed again.
    async fn dismissal(
        &self,
        commit: Commit,
        organization: &Namespace,
        user: &AccountName,
    ) -> Result<Commit, Error> {
        let (key, within) = (keys::user_teams(user), keys::of_organization(organization));
        let teams = self.keyspace().range(&key, within.clone(), RANGE_LIMIT - 1, Direction::Forward).await?;
        let mut left = Vec::new();
        for entry in &teams {
            let id = keys::TeamId(parsed_member(&key, keys::last_part(entry))?);
            left.extend(leaving(&Leaving { organization, id }, user));
        }

        let (roles, field) = place(organization, user);
        let listed = || Bytes::from(user.to_string());
        Ok(commit
            .when_all(Condition::only(&key, within, &teams))
            .telling(self.user_revoked(user).await?)
            .then_all(left)
            .then(Mutation::RemoveField(roles, field))
            .then(Mutation::RemoveMember(keys::owners(organization), listed()))
            .then(Mutation::RemoveMember(keys::members(organization), listed()))
            .then(Mutation::RemoveMember(keys::member_organizations(user), organization.to_string().into())))
    }
}

pub(crate) fn organization_unknown(name: &Namespace) -> AccountError {
    AccountError::OrganizationUnknown { name: name.clone() }
}
