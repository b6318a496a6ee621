//! The contract `Organizations`, and organizations themselves: members, teams and grants are told in the files of their
//! nouns.

use async_trait::async_trait;
use oci::{AccountName, Namespace, RepositoryName, TeamName};
use proto::metadata::{
    AccountError, Actor, More, Organizations, Page, PageRequest, Standing,
    audit::Action,
    organizations::{Grantee, Level, MemberRole, Membership, Organization, OrganizationProfile, Team},
};

use crate::{
    Outcome, Service,
    accounts::Word as _,
    audit::Audit,
    failure::parsed_member,
    keys::{self, field},
    keyspace::{Commit, Condition, Direction, Error, MemberRange, Mutation},
    members::organization_unknown,
    namespaces::Owner,
    sessions::millisecond,
    step,
    tags::LONGEST_PAGE,
};

#[async_trait]
impl Organizations for Service {
    async fn create_organization(
        &self,
        name: &Namespace,
        owner: &AccountName,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        self.found_organization(name, owner, actor).await
    }

    async fn organization(&self, name: &Namespace) -> Result<Option<Organization>, AccountError> {
        Ok(self.read_organization(name).await?)
    }

    async fn describe_organization(
        &self,
        name: &Namespace,
        profile: &OrganizationProfile,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        self.store_profile(name, profile, actor).await
    }

    async fn organizations(&self, page: &PageRequest<Namespace>) -> Result<Page<Namespace>, AccountError> {
        Ok(self.list_organizations(page).await?)
    }

    async fn organizations_of(
        &self,
        user: &AccountName,
        page: &PageRequest<Namespace>,
    ) -> Result<Page<(Namespace, MemberRole)>, AccountError> {
        Ok(self.list_organizations_of(user, page).await?)
    }

    async fn members(
        &self,
        organization: &Namespace,
        page: &PageRequest<AccountName>,
    ) -> Result<Page<(AccountName, MemberRole)>, AccountError> {
        self.list_members(organization, page).await
    }

    async fn put_member(
        &self,
        organization: &Namespace,
        user: &AccountName,
        role: MemberRole,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        self.place_member(organization, user, role, actor).await
    }

    async fn remove_member(
        &self,
        organization: &Namespace,
        user: &AccountName,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        self.dismiss_member(organization, user, actor).await
    }

    async fn teams(&self, organization: &Namespace) -> Result<Vec<Team>, AccountError> {
        self.list_teams(organization).await
    }

    async fn put_team(
        &self,
        organization: &Namespace,
        team: &TeamName,
        description: &str,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        self.store_team(organization, team, description, actor).await
    }

    async fn remove_team(
        &self,
        organization: &Namespace,
        team: &TeamName,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        self.dissolve_team(organization, team, actor).await
    }

    async fn team_members(
        &self,
        organization: &Namespace,
        team: &TeamName,
        page: &PageRequest<AccountName>,
    ) -> Result<Page<AccountName>, AccountError> {
        self.list_team_members(organization, team, page).await
    }

    async fn set_team_member(
        &self,
        organization: &Namespace,
        team: &TeamName,
        user: &AccountName,
        membership: Membership,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        self.place_in_team((organization, team), user, membership, actor).await
    }

    async fn grants(&self, repository: &RepositoryName) -> Result<Vec<(Grantee, Level)>, AccountError> {
        self.list_grants(repository).await
    }

    async fn grant(
        &self,
        repository: &RepositoryName,
        grantee: &Grantee,
        level: Option<Level>,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        self.set_grant(repository, grantee, level, actor).await
    }
}

impl Service {
    async fn found_organization(
        &self,
        name: &Namespace,
        owner: &AccountName,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        if name.is_reserved() {
            return Err(AccountError::NameReserved { name: name.clone() });
        }
        let unknown = || AccountError::AccountUnknown { name: owner.clone() };
        let account = self.account(owner).await?.filter(|account| account.standing == Standing::Active);
        account.ok_or_else(unknown)?;
        let record = keys::namespace(Owner::Organization, name);
        let claimed = match self.claimed(name).await? {
            None => Condition::ValueAbsent(keys::claim(name)),
            // A crash may have left the claim alone: its founder may go on, and nobody else.
            Some(Owner::Organization) => {
                Condition::FieldEquals(record, field::OWNER, owner.to_string().into())
            }
            Some(Owner::User) => return Err(AccountError::NameTaken { name: name.clone() }),
        };

        let active = Standing::Active.word().into();
        let audit = Audit::of_organization(Action::OrganizationCreate, name).user(owner);
        let commit = self
            .founding_organization(name, Some(owner))
            .beginning_with(self.audited(actor, &audit).await?)
            .when(claimed)
            .when(Condition::FieldEquals(keys::user(owner), field::STANDING, active));
        let last = commit.conditions.len() - 1;
        match self.first_failed(step!("create_organization"), commit).await? {
            None => Ok(()),
            Some(failed) if failed == last => Err(unknown()),
            Some(_) => Err(AccountError::NameTaken { name: name.clone() }),
        }
    }

    async fn read_organization(&self, name: &Namespace) -> Result<Option<Organization>, Error> {
        let key = keys::namespace(Owner::Organization, name);
        let record = self.keyspace().record(&key).await?;
        let Some(record) = record.filter(|record| record.get(field::NAME).is_some()) else {
            return Ok(None);
        };

        let text = |field| record.text(field).unwrap_or_default().to_owned();
        let profile = OrganizationProfile {
            display_name: text(field::DISPLAY),
            description: text(field::DESCRIPTION),
            email: text(field::EMAIL),
        };
        let created = millisecond(&key, &field::CREATED, record.get(field::CREATED))?;
        Ok(Some(Organization { name: name.clone(), profile, created }))
    }

    async fn store_profile(
        &self,
        name: &Namespace,
        profile: &OrganizationProfile,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        let key = keys::namespace(Owner::Organization, name);
        let OrganizationProfile { display_name, description, email } = profile.clone();
        let now = self.now().as_millisecond().to_string();
        let set = |field, value: String| Mutation::SetField(key.clone(), field, value.into());

        let audit = Audit::of_organization(Action::OrganizationDescribe, name);
        let commit = Commit::synced()
            .when(Condition::FieldPresent(key.clone(), field::NAME))
            .then_all(self.audited(actor, &audit).await?)
            .then(set(field::DISPLAY, display_name))
            .then(set(field::DESCRIPTION, description))
            .then(set(field::EMAIL, email))
            .then(set(field::UPDATED, now));
        match self.commit(step!("describe_organization"), commit).await? {
            Outcome::Committed => Ok(()),
            Outcome::Conflicted => Err(organization_unknown(name)),
        }
    }

    async fn list_organizations(&self, page: &PageRequest<Namespace>) -> Result<Page<Namespace>, Error> {
        let limit = page.limit.min(LONGEST_PAGE);
        let after = page.after.as_ref().map(Namespace::to_string);
        let behind = after.map_or(MemberRange::all(), MemberRange::after);
        let names =
            self.keyspace().range(&keys::ORGANIZATIONS, behind, limit + 1, Direction::Forward).await?;

        let more = if names.len() > limit { More::Yes } else { More::No };
        let names = names.iter().take(limit).map(|name| parsed_member(&keys::ORGANIZATIONS, name));
        Ok(Page { entries: names.collect::<Result<_, _>>()?, more })
    }

    /// Refuses what is asked of an organization that is not there.
    pub(crate) async fn organization_exists(&self, name: &Namespace) -> Result<(), AccountError> {
        if self.is_organization(name).await? { Ok(()) } else { Err(organization_unknown(name)) }
    }
}
