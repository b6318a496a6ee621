//! Members, owners and teams: whoever has a right is in the lists by which it is seen and taken away, and no list gives a
//! right that nobody has.

use bytes::Bytes;
use oci::{AccountName, Namespace, TeamName};
use proto::metadata::{integrity::Kind, organizations::MemberRole};

use super::{Seen, Suspect, lacks, unlisted, walk::List};
use crate::{
    Service,
    accounts::Word as _,
    failure::{next, parsed, parsed_member},
    keys::{self, TeamId, field},
    keyspace::{Condition, Direction, Error, MemberRange, Mutation, RANGE_LIMIT, Record},
    members::place,
    teams::{Leaving, is_team, leaving},
};

fn is_owner(role: Option<&Bytes>) -> bool {
    role.is_some_and(|role| role == MemberRole::Owner.word())
}

impl Service {
    pub(super) async fn inspect_in_organization(
        &self,
        organization: &Namespace,
        list: List,
        member: &Bytes,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        match list {
            List::Roles => self.inspect_role(organization, member, seen).await,
            List::Members | List::Owners => self.inspect_member(organization, list, member, seen).await,
            List::Teams => self.inspect_team(organization, member, seen).await,
            List::Invitations => self.inspect_invitation(Some(organization), member, seen).await,
            _ => Ok(()),
        }
    }

    pub(super) async fn inspect_of_user(
        &self,
        user: &AccountName,
        list: List,
        member: &Bytes,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        match list {
            List::Memberships => self.inspect_membership(user, member, seen).await,
            List::UserTeams => self.inspect_team_of(user, member, seen).await,
            _ => Ok(()),
        }
    }

    /// An organization that somebody has founded has an owner.
    pub(super) async fn inspect_ownership(
        &self,
        organization: &Namespace,
        record: &Record,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        if record.get(field::OWNER).is_none() {
            return Ok(());
        }
        let (list, roles, all) = (keys::owners(organization), keys::roles(organization), MemberRange::all());
        let listed = self.keyspace().range(&list, all.clone(), RANGE_LIMIT, Direction::Forward).await?;
        let Some(held) = self.whole(&roles).await? else { return Ok(()) };
        if listed.len() == RANGE_LIMIT || held.iter().any(|(_, role)| is_owner(Some(role))) {
            return Ok(());
        }

        // Whoever becomes an owner is listed before.
        let roles_of = listed.iter().map(|name| {
            let name = keys::named_by(name);
            Condition::unchanged(roles.clone(), name.clone(), held.get(&name).cloned())
        });
        let suspect = Suspect::new(Kind::OrganizationOwnerless, organization).when_all(roles_of);
        seen.suspect(suspect.when_all(Condition::only(&list, all, &listed)));
        Ok(())
    }

    async fn inspect_role(
        &self,
        organization: &Namespace,
        member: &Bytes,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let user: AccountName = parsed_member(&keys::roles(organization), member)?;
        let (roles, name) = place(organization, &user);
        let Some(role) = self.fields(&[(roles.clone(), name.clone())]).await?.pop().flatten() else {
            return Ok(());
        };
        let owners = is_owner(Some(&role)).then(|| (keys::owners(organization), user.to_string()));
        let lists = [
            (keys::members(organization), user.to_string()),
            (keys::member_organizations(&user), organization.to_string()),
        ];
        for (list, entry) in lists.into_iter().chain(owners) {
            if self.contains(&list, entry.clone()).await? {
                continue;
            }
            let suspect = Suspect::new(Kind::MemberUnlisted, format_args!("{organization}: {user}"))
                .when(Condition::FieldEquals(roles.clone(), name.clone(), role.clone()))
                .when(lacks(&list, entry.clone()));
            seen.suspect(suspect.mended_by(Mutation::AddMember(list, entry.into())));
        }
        Ok(())
    }

    /// Who has no role, or not this one, is passed over.
    async fn inspect_member(
        &self,
        organization: &Namespace,
        list: List,
        member: &Bytes,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let owners = list == List::Owners;
        let list = if owners { keys::owners(organization) } else { keys::members(organization) };
        let user: AccountName = parsed_member(&list, member)?;
        let (roles, name) = place(organization, &user);
        let role = self.fields(&[(roles.clone(), name.clone())]).await?.pop().flatten();
        let counts = if owners { is_owner(role.as_ref()) } else { role.is_some() };
        if counts {
            return Ok(());
        }

        let (has, mended) = unlisted(&list, member);
        let suspect = Suspect::new(Kind::MemberListedAlone, format_args!("{organization}: {user}"));
        let suspect = suspect.when(has).when(Condition::unchanged(roles, name, role));
        seen.suspect(suspect.mended_by(mended));
        Ok(())
    }

    async fn inspect_membership(
        &self,
        user: &AccountName,
        member: &Bytes,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let list = keys::member_organizations(user);
        let organization: Namespace = parsed_member(&list, member)?;
        let (roles, name) = place(&organization, user);
        if self.fields(&[(roles.clone(), name.clone())]).await?.pop().flatten().is_none() {
            let (has, mended) = unlisted(&list, member);
            let suspect = Suspect::new(Kind::MemberListedAlone, format_args!("{organization}: {user}"));
            let suspect = suspect.when(has).when(Condition::FieldAbsent(roles, name));
            seen.suspect(suspect.mended_by(mended));
        }
        Ok(())
    }

    async fn inspect_team(
        &self,
        organization: &Namespace,
        member: &Bytes,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let teams = keys::teams(organization);
        let team: TeamName = parsed_member(&teams, member)?;
        let name = keys::named(&team);
        let Some(value) = self.fields(&[(teams.clone(), name.clone())]).await?.pop().flatten() else {
            return Ok(());
        };
        let id = TeamId(parsed(&teams, &name, Some(&value))?);
        let record = keys::team(organization, id);
        if self.fields(&[(record.clone(), field::NAME)]).await?.pop().flatten().is_none() {
            let suspect = Suspect::new(Kind::TeamUnnamed, format_args!("{organization}: {team}"))
                .when(is_team(organization, &team, id))
                .when(Condition::FieldAbsent(record.clone(), field::NAME));
            let named = Mutation::SetField(record, field::NAME, team.to_string().into());
            seen.suspect(suspect.mended_by(named));
        }
        Ok(())
    }

    /// Rights are read from this list: what is in a team that is gone, or of an organization that was left, gives none.
    async fn inspect_team_of(
        &self,
        user: &AccountName,
        member: &Bytes,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let list = keys::user_teams(user);
        let organization: Namespace = parsed_member(&list, keys::first_part(member))?;
        let id = TeamId(parsed_member(&list, keys::last_part(member))?);
        let (team, (roles, name)) = (keys::team(&organization, id), place(&organization, user));
        let asked = [(team.clone(), field::NAME), (roles.clone(), name.clone())];
        let mut values = self.fields(&asked).await?.into_iter();
        let (called, role) = (next(&mut values), next(&mut values));
        let known = self.team_ids(&organization).await?.values().any(|known| *known == id);

        let has = Condition::has_member(list, member.clone());
        let suspect = |kind| Suspect::new(kind, format_args!("{organization}: {user}")).when(has);
        let left = leaving(&Leaving { organization: &organization, id }, user);
        if role.is_none() {
            let suspect = suspect(Kind::TeamMemberAlone).when(Condition::FieldAbsent(roles, name));
            seen.suspect(suspect.mended_by_all(left).telling_of(user));
        } else if !known && called.is_none() {
            // The id of a team that is gone never comes back.
            let suspect = suspect(Kind::TeamMemberAlone).when(Condition::FieldAbsent(team, field::NAME));
            seen.suspect(suspect.mended_by_all(left).telling_of(user));
        } else if known {
            let members = keys::team_members(&organization, id);
            if !self.contains(&members, user.to_string()).await? {
                let suspect = suspect(Kind::TeamMemberUnlisted).when(lacks(&members, user.to_string()));
                seen.suspect(suspect.mended_by(Mutation::AddMember(members, user.to_string().into())));
            }
        }
        Ok(())
    }
}
