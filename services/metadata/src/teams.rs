//! The teams of organizations. A team is what its id names; who is in it is told by the user's list of teams, which is
//! what rights are read from. The team's list of members is written before it and removed after it.

use std::collections::BTreeMap;

use bytes::Bytes;
use oci::{AccountName, Namespace, TeamName};
use proto::metadata::{
    AccountError, Actor, Page, PageRequest,
    audit::Action,
    organizations::{MAX_TEAMS, Membership, Team},
};

use crate::{
    ATTEMPTS, Outcome, Service,
    audit::Audit,
    failure::{next, parsed, parsed_member},
    keys::{self, TeamId, field},
    keyspace::{Commit, Condition, Direction, Error, Key, MemberRange, Mutation},
    members::{organization_unknown, place},
    namespaces::Owner,
    revoking::TOLD_AT_ONCE,
    step,
};

/// A team that somebody leaves.
pub(crate) struct Leaving<'a> {
    pub(crate) organization: &'a Namespace,
    pub(crate) id: TeamId,
}

/// The right first, then the list.
pub(crate) fn leaving(team: &Leaving<'_>, user: &AccountName) -> [Mutation; 2] {
    let Leaving { organization, id } = *team;
    [
        Mutation::RemoveMember(keys::user_teams(user), keys::team_of(organization, id)),
        Mutation::RemoveMember(keys::team_members(organization, id), user.to_string().into()),
    ]
}

impl Service {
    pub(crate) async fn list_teams(&self, organization: &Namespace) -> Result<Vec<Team>, AccountError> {
        self.organization_exists(organization).await?;
        let ids = self.team_ids(organization).await?;
        let places: Vec<_> = ids.values().map(|id| keys::team(organization, *id)).collect();
        let records = self.keyspace().records(&places).await?;

        let described = ids.into_keys().zip(records).map(|(name, record)| {
            let record = record.unwrap_or_default();
            Team { name, description: record.text(field::DESCRIPTION).unwrap_or_default().to_owned() }
        });
        Ok(described.collect())
    }

    /// The teams of an organization, by name.
    pub(crate) async fn team_ids(
        &self,
        organization: &Namespace,
    ) -> Result<BTreeMap<TeamName, TeamId>, Error> {
        let key = keys::teams(organization);
        let record = self.keyspace().record(&key).await?.unwrap_or_default();
        let read = |(name, id): (&Bytes, &Bytes)| {
            Ok((parsed_member(&key, name)?, TeamId(parsed(&key, &keys::named_by(name), Some(id))?)))
        };
        record.iter().map(read).collect()
    }

    pub(crate) async fn store_team(
        &self,
        organization: &Namespace,
        team: &TeamName,
        description: &str,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        let audit = Audit::of_organization(Action::TeamPut, organization).team(team);
        for _ in 0..ATTEMPTS {
            self.organization_exists(organization).await?;
            let ids = self.team_ids(organization).await?;
            let commit = match ids.get(team) {
                Some(id) => described(organization, team, *id, description),
                None if ids.len() >= MAX_TEAMS => {
                    return Err(too_many(format!("teams of {organization}")));
                }
                None => founded(organization, team, TeamId(self.ulid()), description),
            };
            let commit = commit.beginning_with(self.audited(actor, &audit).await?);
            if self.commit(step!("put_team"), commit).await? == Outcome::Committed {
                return Ok(());
            }
        }

        Err(AccountError::Conflict { attempted: format!("making the team {team} of {organization}").into() })
    }

    /// Its members go first, in bounded commits, each told of as one who has lost a right.
    pub(crate) async fn dissolve_team(
        &self,
        organization: &Namespace,
        team: &TeamName,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        let audit = Audit::of_organization(Action::TeamRemove, organization).team(team);
        let mut attempts = 0;
        while attempts < ATTEMPTS {
            let id = self.team_id(organization, team).await?;
            let key = keys::team_members(organization, id);
            let mut users =
                self.keyspace().range(&key, MemberRange::all(), TOLD_AT_ONCE + 1, Direction::Forward).await?;
            let last = users.len() <= TOLD_AT_ONCE;
            users.truncate(TOLD_AT_ONCE);

            let mut commit = Commit::synced()
                .when(is_team(organization, team, id))
                .telling(self.users_revoked(&key, &users).await?)
                .then_all(all_leaving(&key, &Leaving { organization, id }, &users)?);
            if last {
                commit = commit
                    .when_all(Condition::only(&key, MemberRange::all(), &users))
                    .then(Mutation::RemoveSet(keys::team_granted(organization, id)))
                    .then(Mutation::RemoveRecord(keys::team(organization, id)))
                    .then(Mutation::RemoveField(keys::teams(organization), keys::named(team)));
            }
            let commit = commit.beginning_with(self.audited(actor, &audit).await?);
            match self.commit(step!("remove_team"), commit).await? {
                Outcome::Committed if last => return Ok(()),
                Outcome::Committed => {}
                Outcome::Conflicted => attempts += 1,
            }
        }

        Err(AccountError::Conflict {
            attempted: format!("removing the team {team} of {organization}").into(),
        })
    }

    /// The id of a team that is there.
    async fn team_id(&self, organization: &Namespace, team: &TeamName) -> Result<TeamId, AccountError> {
        let record = keys::namespace(Owner::Organization, organization);
        let (key, name) = (keys::teams(organization), keys::named(team));
        let asked = [(record, field::NAME), (key.clone(), name.clone())];
        let mut values = self.fields(&asked).await?.into_iter();

        next(&mut values).ok_or_else(|| organization_unknown(organization))?;
        let id = next(&mut values).ok_or_else(|| team_unknown(organization, team))?;
        Ok(TeamId(parsed(&key, &name, Some(&id))?))
    }

    pub(crate) async fn list_team_members(
        &self,
        organization: &Namespace,
        team: &TeamName,
        page: &PageRequest<AccountName>,
    ) -> Result<Page<AccountName>, AccountError> {
        let id = self.team_id(organization, team).await?;
        let key = keys::team_members(organization, id);
        let Page { entries, more } = self.with_roles(&key, page, |user| place(organization, user)).await?;

        Ok(Page { entries: entries.into_iter().map(|(user, _)| user).collect(), more })
    }

    pub(crate) async fn place_in_team(
        &self,
        (organization, team): (&Namespace, &TeamName),
        user: &AccountName,
        membership: Membership,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        let action = match membership {
            Membership::In => Action::TeamMemberPut,
            Membership::Out => Action::TeamMemberRemove,
        };
        let audit = Audit::of_organization(action, organization).team(team).user(user);
        for _ in 0..ATTEMPTS {
            let id = self.team_id(organization, team).await?;
            self.member(organization, user).await?;
            let commit = match membership {
                Membership::In => self.entering(organization, id, user).await?,
                Membership::Out => self.left(organization, id, user).await?,
            };
            let Some(commit) = commit else {
                return Ok(());
            };
            let audited = self.audited(actor, &audit).await?;
            let commit = commit.when(is_team(organization, team, id)).beginning_with(audited);
            if self.commit(step!("set_team_member"), commit).await? == Outcome::Committed {
                return Ok(());
            }
        }

        let attempted = format!("changing whether {user} is in the team {team} of {organization}");
        Err(AccountError::Conflict { attempted: attempted.into() })
    }

    /// None: the user is in it already.
    async fn entering(
        &self,
        organization: &Namespace,
        id: TeamId,
        user: &AccountName,
    ) -> Result<Option<Commit>, AccountError> {
        let (key, entry) = (keys::user_teams(user), keys::team_of(organization, id));
        let within = keys::of_organization(organization);
        let teams = self.keyspace().range(&key, within, MAX_TEAMS, Direction::Forward).await?;
        if teams.contains(&entry) {
            return Ok(None);
        }
        if teams.len() >= MAX_TEAMS {
            return Err(too_many(format!("teams of {user} in {organization}")));
        }

        let (roles, field) = place(organization, user);
        let listed = Mutation::AddMember(keys::team_members(organization, id), user.to_string().into());
        Ok(Some(
            Commit::synced()
                .when(Condition::FieldPresent(roles, field))
                .then(listed)
                .then(Mutation::AddMember(key, entry)),
        ))
    }

    /// None: the user is out of it already.
    async fn left(
        &self,
        organization: &Namespace,
        id: TeamId,
        user: &AccountName,
    ) -> Result<Option<Commit>, Error> {
        let places = [
            (keys::user_teams(user), keys::team_of(organization, id)),
            // A crash may have left the user in the list only.
            (keys::team_members(organization, id), user.to_string().into()),
        ];
        for (key, member) in places {
            if self.is_member(&key, member).await? {
                let commit = Commit::synced().telling(self.user_revoked(user).await?);
                return Ok(Some(commit.then_all(leaving(&Leaving { organization, id }, user))));
            }
        }
        Ok(None)
    }

    async fn is_member(&self, key: &Key, member: Bytes) -> Result<bool, Error> {
        let itself = MemberRange::starting_at(member.clone()).through(member);
        Ok(!self.keyspace().range(key, itself, 1, Direction::Forward).await?.is_empty())
    }
}

fn all_leaving(key: &Key, team: &Leaving<'_>, users: &[Bytes]) -> Result<Vec<Mutation>, Error> {
    let mut mutations = Vec::new();
    for user in users {
        mutations.extend(leaving(team, &parsed_member(key, user)?));
    }
    Ok(mutations)
}

/// What hangs off the id, then the name that leads to it.
fn founded(organization: &Namespace, team: &TeamName, id: TeamId, description: &str) -> Commit {
    let (record, teams, name) = (keys::team(organization, id), keys::teams(organization), keys::named(team));
    Commit::synced()
        .when(Condition::FieldPresent(keys::namespace(Owner::Organization, organization), field::NAME))
        .when(Condition::FieldAbsent(teams.clone(), name.clone()))
        .then(Mutation::SetField(record.clone(), field::NAME, team.to_string().into()))
        .then(Mutation::SetField(record, field::DESCRIPTION, description.to_owned().into()))
        .then(Mutation::SetField(teams, name, id.to_string().into()))
}

fn described(organization: &Namespace, team: &TeamName, id: TeamId, description: &str) -> Commit {
    let record = keys::team(organization, id);
    Commit::synced()
        .when(is_team(organization, team, id))
        .then(Mutation::SetField(record.clone(), field::NAME, team.to_string().into()))
        .then(Mutation::SetField(record, field::DESCRIPTION, description.to_owned().into()))
}

/// The name still leads to that team.
pub(crate) fn is_team(organization: &Namespace, team: &TeamName, id: TeamId) -> Condition {
    Condition::FieldEquals(keys::teams(organization), keys::named(team), id.to_string().into())
}

pub(crate) fn team_unknown(organization: &Namespace, team: &TeamName) -> AccountError {
    AccountError::TeamUnknown { organization: organization.clone(), team: team.clone() }
}

fn too_many(what: String) -> AccountError {
    AccountError::TooMany { what, limit: MAX_TEAMS }
}
