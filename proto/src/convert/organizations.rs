//! Organizations, members, teams and grants as messages.

use oci::{AccountName, Namespace};

use super::{
    BadField, Wire, enumeration, parsed, parsed_all, printed_all, read, read_all, timestamp, written_all,
};
use crate::{
    metadata::{
        More, Page,
        organizations::{Grantee, Level, MemberRole, Membership, Organization, OrganizationProfile, Team},
    },
    wire,
};

enumeration!(Membership, wire::Membership, "membership", [In, Out]);

impl Wire for Organization {
    type Message = wire::Organization;

    fn to_message(&self) -> wire::Organization {
        wire::Organization {
            name: self.name.to_string(),
            profile: Some(self.profile.to_message()),
            created_ms: self.created.as_millisecond(),
        }
    }

    fn from_message(message: wire::Organization) -> Result<Self, BadField> {
        Ok(Self {
            name: parsed("name", &message.name)?,
            profile: read("profile", message.profile)?,
            created: timestamp("created_ms", message.created_ms)?,
        })
    }
}

impl Wire for OrganizationProfile {
    type Message = wire::OrganizationProfile;

    fn to_message(&self) -> wire::OrganizationProfile {
        let Self { display_name, description, email } = self.clone();
        wire::OrganizationProfile { display_name, description, email }
    }

    fn from_message(message: wire::OrganizationProfile) -> Result<Self, BadField> {
        let wire::OrganizationProfile { display_name, description, email } = message;
        Ok(Self { display_name, description, email })
    }
}

impl Wire for Team {
    type Message = wire::Team;

    fn to_message(&self) -> wire::Team {
        wire::Team { name: self.name.to_string(), description: self.description.clone() }
    }

    fn from_message(message: wire::Team) -> Result<Self, BadField> {
        Ok(Self { name: parsed("name", &message.name)?, description: message.description })
    }
}

impl Wire for (Namespace, MemberRole) {
    type Message = wire::OrganizationRole;

    fn to_message(&self) -> wire::OrganizationRole {
        let (organization, role) = self;
        wire::OrganizationRole { organization: organization.to_string(), role: role.to_message() }
    }

    fn from_message(message: wire::OrganizationRole) -> Result<Self, BadField> {
        let wire::OrganizationRole { organization, role } = message;
        Ok((parsed("organization", &organization)?, MemberRole::from_message(role)?))
    }
}

impl Wire for (AccountName, MemberRole) {
    type Message = wire::Member;

    fn to_message(&self) -> wire::Member {
        let (user, role) = self;
        wire::Member { user: user.to_string(), role: role.to_message() }
    }

    fn from_message(message: wire::Member) -> Result<Self, BadField> {
        let wire::Member { user, role } = message;
        Ok((parsed("user", &user)?, MemberRole::from_message(role)?))
    }
}

impl Wire for (Grantee, Level) {
    type Message = wire::GrantedLevel;

    fn to_message(&self) -> wire::GrantedLevel {
        let (grantee, level) = self;
        wire::GrantedLevel { grantee: grantee.to_string(), level: level.to_message() }
    }

    fn from_message(message: wire::GrantedLevel) -> Result<Self, BadField> {
        let wire::GrantedLevel { grantee, level } = message;
        Ok((parsed("grantee", &grantee)?, Level::from_message(level)?))
    }
}

impl Wire for Page<(Namespace, MemberRole)> {
    type Message = wire::OrganizationsOfResponse;

    fn to_message(&self) -> wire::OrganizationsOfResponse {
        wire::OrganizationsOfResponse {
            organizations: written_all(&self.entries),
            more: self.more.to_message(),
        }
    }

    fn from_message(message: wire::OrganizationsOfResponse) -> Result<Self, BadField> {
        let wire::OrganizationsOfResponse { organizations, more } = message;
        Ok(Self { entries: read_all(organizations)?, more: More::from_message(more)? })
    }
}

impl Wire for Page<(AccountName, MemberRole)> {
    type Message = wire::MembersResponse;

    fn to_message(&self) -> wire::MembersResponse {
        wire::MembersResponse { members: written_all(&self.entries), more: self.more.to_message() }
    }

    fn from_message(message: wire::MembersResponse) -> Result<Self, BadField> {
        let wire::MembersResponse { members, more } = message;
        Ok(Self { entries: read_all(members)?, more: More::from_message(more)? })
    }
}

impl Wire for Page<Namespace> {
    type Message = wire::OrganizationsResponse;

    fn to_message(&self) -> wire::OrganizationsResponse {
        wire::OrganizationsResponse {
            organizations: printed_all(&self.entries),
            more: self.more.to_message(),
        }
    }

    fn from_message(message: wire::OrganizationsResponse) -> Result<Self, BadField> {
        let wire::OrganizationsResponse { organizations, more } = message;
        Ok(Self { entries: parsed_all("organizations", &organizations)?, more: More::from_message(more)? })
    }
}

impl Wire for Page<AccountName> {
    type Message = wire::TeamMembersResponse;

    fn to_message(&self) -> wire::TeamMembersResponse {
        wire::TeamMembersResponse { users: printed_all(&self.entries), more: self.more.to_message() }
    }

    fn from_message(message: wire::TeamMembersResponse) -> Result<Self, BadField> {
        let wire::TeamMembersResponse { users, more } = message;
        Ok(Self { entries: parsed_all("users", &users)?, more: More::from_message(more)? })
    }
}
