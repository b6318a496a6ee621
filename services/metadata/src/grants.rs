//! Who was given what right on a repository. Grants hang off the ids of the repository and of the team, so that a
//! rename moves nothing and a new team of an old name has nothing; those of teams that are gone are passed over, and
//! removed by the next write.

use std::collections::BTreeMap;

use bytes::Bytes;
use oci::{RepositoryName, TeamName};
use proto::metadata::{
    AccountError, Actor,
    audit::Action,
    organizations::{Grantee, Level, MAX_GRANTS},
};

use crate::{
    ATTEMPTS, Outcome, Service,
    accounts::Word as _,
    audit::Audit,
    failure::parsed_member,
    keys::{self, TeamId, field},
    keyspace::{Commit, Condition, Direction, Error, Field, Key, MemberRange, Mutation, Record},
    namespaces::Owner,
    placement::{Placement, Target},
    revocations::Telling,
    revoking::TOLD_AT_ONCE,
    step,
    teams::{is_team, team_unknown},
};

/// The grants of a repository as they were read.
struct Granted {
    place: Placement,
    key: Key,
    record: Record,
    /// Of the organization, if it belongs to one.
    teams: BTreeMap<TeamName, TeamId>,
}

/// What a lowered grant takes with it.
#[derive(Default)]
struct Lost {
    /// They are the same still.
    conditions: Vec<Condition>,
    told: Telling,
    /// More than one commit can tell of.
    crowd: Option<Key>,
}

/// Whom a grant is for, in the words of the keyspace.
struct Held {
    field: Field,
    /// The grantee is still there.
    there: Condition,
    /// The list of those whom the grant is for, if it is a team.
    members: Option<Key>,
    /// The list of what they may have a right on.
    granted: Key,
}

impl Granted {
    fn level(&self, field: &Field) -> Result<Option<Level>, Error> {
        let stored = self.record.get(field);
        stored.map(|stored| Level::stored(&self.key, field, Some(stored))).transpose()
    }

    /// Grants that count, by the fields that they are in.
    fn live(&self) -> Result<BTreeMap<Grantee, Field>, Error> {
        let names: BTreeMap<TeamId, &TeamName> = self.teams.iter().map(|(name, id)| (*id, name)).collect();
        let mut live = BTreeMap::new();
        for (field, _) in self.record.iter() {
            let grantee = match keys::granted_user(field) {
                Some(user) => Some(Grantee::User(parsed_member(&self.key, user)?)),
                None => keys::granted_team(field)
                    .and_then(|id| names.get(&id))
                    .map(|name| Grantee::Team((*name).clone())),
            };
            live.extend(grantee.map(|grantee| (grantee, keys::named_by(field))));
        }
        Ok(live)
    }

    /// The grant changes, and what is lost by it is told before.
    fn changed(
        &self,
        repository: &RepositoryName,
        (held, level): (Held, Option<Level>),
        lost: &Lost,
    ) -> Commit {
        let (key, Held { field, there, granted, .. }) = (self.key.clone(), held);
        let before = self.record.get(&field).cloned();
        let listed = Bytes::from(self.place.id.to_string());
        // Whoever has a right is listed: who only may have one is passed over.
        let change = match level {
            Some(level) => [
                Mutation::AddMember(granted, listed),
                Mutation::SetField(key.clone(), field.clone(), level.word().into()),
            ],
            None => {
                [Mutation::RemoveField(key.clone(), field.clone()), Mutation::RemoveMember(granted, listed)]
            }
        };

        Commit::synced()
            .when_all(Target::Existing(self.place).conditions(repository))
            .when(there)
            .when(Condition::unchanged(key, field, before))
            .when_all(lost.conditions.clone())
            .telling(lost.told.clone())
            .then_all(change)
            // A transfer takes the rights of teams with it only if there are no others meanwhile.
            .then(Mutation::Increment(keys::state(self.place.id), field::GRANTED, 1))
    }

    /// Removes what was granted to teams that are gone. None of them comes back: a new team has a new id.
    fn mended(&self, live: &BTreeMap<Grantee, Field>) -> Vec<Mutation> {
        let live: Vec<&Bytes> = live.values().map(Field::as_bytes).collect();
        let gone = self.record.iter().map(|(field, _)| field).filter(|field| !live.contains(field));
        gone.map(|field| Mutation::RemoveField(self.key.clone(), keys::named_by(field))).collect()
    }
}

impl Service {
    pub(crate) async fn list_grants(
        &self,
        repository: &RepositoryName,
    ) -> Result<Vec<(Grantee, Level)>, AccountError> {
        let kept = self.granted(repository).await?;
        let mut grants = Vec::new();
        for (grantee, field) in kept.live()? {
            grants.extend(kept.level(&field)?.map(|level| (grantee, level)));
        }
        Ok(grants)
    }

    /// The grants before the teams: a team that was granted something is among those that are read, or gone.
    async fn granted(&self, repository: &RepositoryName) -> Result<Granted, AccountError> {
        let place = self.placements(std::slice::from_ref(repository)).await?.pop().flatten();
        let place =
            place.ok_or_else(|| AccountError::RepositoryUnknown { repository: repository.clone() })?;
        let key = keys::grants(place.id);
        let record = self.keyspace().record(&key).await?.unwrap_or_default();
        let teams = match place.owner {
            Owner::Organization => self.team_ids(&repository.namespace()).await?,
            Owner::User => BTreeMap::new(),
        };

        Ok(Granted { place, key, record, teams })
    }

    pub(crate) async fn set_grant(
        &self,
        repository: &RepositoryName,
        grantee: &Grantee,
        level: Option<Level>,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        for _ in 0..ATTEMPTS {
            let kept = self.granted(repository).await?;
            let held = self.held(repository, grantee, &kept).await?;
            let (before, live) = (kept.level(&held.field)?, kept.live()?);
            if before == level {
                if self.settled(kept.place.id).await? == Outcome::Committed {
                    return Ok(());
                }
                continue;
            }
            if before.is_none() && live.len() >= MAX_GRANTS {
                let what = format!("users and teams with a right on {repository}");
                return Err(AccountError::TooMany { what, limit: MAX_GRANTS });
            }

            let lost = if before > level { self.lost(grantee, &held).await? } else { Lost::default() };
            let commit = kept.changed(repository, (held, level), &lost).then_all(kept.mended(&live));
            let audit = audit(kept.place, repository, grantee, level);
            let commit = commit.beginning_with(self.audited(actor, &audit).await?);
            if self.write_grant(commit, lost).await? == Outcome::Committed {
                return Ok(());
            }
        }

        Err(AccountError::Conflict { attempted: format!("giving {grantee} a right on {repository}").into() })
    }

    /// A crowd is told of before the change, in case that there is no after, and again after it, because somebody may
    /// have got a token in between.
    async fn write_grant(&self, commit: Commit, lost: Lost) -> Result<Outcome, Error> {
        if let Some(crowd) = &lost.crowd {
            self.revoke_all(crowd).await?;
        }
        let outcome = self.commit(step!("grant"), commit).await?;
        if let Some(crowd) = lost.crowd.filter(|_| outcome == Outcome::Committed) {
            self.revoke_all(&crowd).await?;
        }
        Ok(outcome)
    }

    async fn held(
        &self,
        repository: &RepositoryName,
        grantee: &Grantee,
        kept: &Granted,
    ) -> Result<Held, AccountError> {
        match grantee {
            Grantee::User(name) => {
                let account = keys::user(name);
                if self.fields(&[(account.clone(), field::NAME)]).await?.pop().flatten().is_none() {
                    return Err(AccountError::AccountUnknown { name: name.clone() });
                }
                let there = Condition::FieldPresent(account, field::NAME);
                let field = keys::grantee_user(name);
                Ok(Held { field, there, members: None, granted: keys::user_granted(name) })
            }
            Grantee::Team(name) => {
                let organization = repository.namespace();
                let id = kept.teams.get(name).ok_or_else(|| team_unknown(&organization, name))?;
                let members = Some(keys::team_members(&organization, *id));
                let there = is_team(&organization, name, *id);
                let field = keys::grantee_team(*id);
                Ok(Held { field, there, members, granted: keys::team_granted(&organization, *id) })
            }
        }
    }

    /// Whose tokens end when a grant is lowered.
    async fn lost(&self, grantee: &Grantee, held: &Held) -> Result<Lost, Error> {
        if let Grantee::User(name) = grantee {
            return Ok(Lost { told: self.user_revoked(name).await?, ..Lost::default() });
        }
        let Some(key) = held.members.clone() else {
            return Ok(Lost::default());
        };
        let all = MemberRange::all();
        let users = self.keyspace().range(&key, all.clone(), TOLD_AT_ONCE + 1, Direction::Forward).await?;
        if users.len() > TOLD_AT_ONCE {
            return Ok(Lost { crowd: Some(key), ..Lost::default() });
        }

        let told = self.users_revoked(&key, &users).await?;
        Ok(Lost { conditions: Condition::only(&key, all, &users), told, crowd: None })
    }
}

fn audit(place: Placement, name: &RepositoryName, grantee: &Grantee, level: Option<Level>) -> Audit {
    let of = |action| Audit::of_repository(action, place.owner, name).grantee(grantee);
    match level {
        Some(level) => of(Action::GrantPut).to(level.word()),
        None => of(Action::GrantRemove),
    }
}
