//! Users and organizations: their names, secrets, identities, teams and invitations.

use bytes::Bytes;
use oci::{AccountName, Namespace};
use proto::metadata::federation::IdentityId;

use super::{Cursor, DumpError, Walk};
use crate::{
    failure::parsed_member,
    keys::{self, TeamId, field},
    keyspace::Key,
    namespaces::Owner,
};

impl Walk<'_> {
    pub(super) async fn accounts(&mut self) -> Result<(), DumpError> {
        let mut users = Cursor::over(keys::USERS);
        while let Some(members) = self.members(&mut users).await? {
            for member in &members {
                self.user(member).await?;
            }
        }
        let mut organizations = Cursor::over(keys::ORGANIZATIONS);
        while let Some(members) = self.members(&mut organizations).await? {
            for member in &members {
                self.organization(&parsed_member(&keys::ORGANIZATIONS, member)?).await?;
            }
        }

        self.invitations(keys::invitations(None)).await
    }

    async fn user(&mut self, member: &Bytes) -> Result<(), DumpError> {
        let user: AccountName = parsed_member(&keys::USERS, member)?;
        let name: Namespace = parsed_member(&keys::USERS, member)?;
        self.secrets(keys::secrets(&user)).await?;
        self.identities(&user).await?;
        for key in [keys::member_organizations(&user), keys::user_teams(&user), keys::user_granted(&user)] {
            self.set(key).await?;
        }
        self.hash(keys::recovery(&user)).await?;

        self.namespace(Owner::User, &name).await
    }

    async fn organization(&mut self, name: &Namespace) -> Result<(), DumpError> {
        self.teams(name).await?;
        self.invitations(keys::invitations(Some(name))).await?;
        for key in [keys::members(name), keys::owners(name)] {
            self.set(key).await?;
        }
        self.hash(keys::roles(name)).await?;

        self.namespace(Owner::Organization, name).await
    }

    async fn namespace(&mut self, owner: Owner, name: &Namespace) -> Result<(), DumpError> {
        self.secrets(keys::robots(owner, name)).await?;
        self.leaves(keys::of_namespace(owner, name)).await?;
        self.value(keys::claim(name)).await
    }

    /// A list of credentials, and each of them.
    async fn secrets(&mut self, list: Key) -> Result<(), DumpError> {
        let mut cursor = Cursor::over(list.clone());
        while let Some(fields) = self.fields(&mut cursor).await? {
            for (name, value) in &fields {
                if name != field::REV.as_bytes() {
                    let hash: String = parsed_member(&list, keys::last_word(value))?;
                    self.hash(keys::secret(&hash)).await?;
                }
            }
        }
        Ok(())
    }

    async fn identities(&mut self, user: &AccountName) -> Result<(), DumpError> {
        let list = keys::identities(user);
        let mut cursor = Cursor::over(list.clone());
        while let Some(fields) = self.fields(&mut cursor).await? {
            for (name, _) in &fields {
                if name != field::REV.as_bytes() {
                    let id: IdentityId = parsed_member(&list, name)?;
                    self.hash(keys::identity(&id)).await?;
                }
            }
        }
        Ok(())
    }

    async fn teams(&mut self, organization: &Namespace) -> Result<(), DumpError> {
        let list = keys::teams(organization);
        let mut cursor = Cursor::over(list.clone());
        while let Some(fields) = self.fields(&mut cursor).await? {
            for (_, id) in &fields {
                let id = TeamId(parsed_member(&list, id)?);
                self.set(keys::team_members(organization, id)).await?;
                self.set(keys::team_granted(organization, id)).await?;
                self.hash(keys::team(organization, id)).await?;
            }
        }
        Ok(())
    }

    async fn invitations(&mut self, list: Key) -> Result<(), DumpError> {
        let mut cursor = Cursor::over(list.clone());
        while let Some(members) = self.members(&mut cursor).await? {
            for member in &members {
                let hash: String = parsed_member(&list, keys::last_part(member))?;
                self.hash(keys::invitation(&hash)).await?;
            }
        }
        Ok(())
    }
}
