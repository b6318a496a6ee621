//! Organizations over gRPC.

use std::time::Duration;

use async_trait::async_trait;
use oci::{AccountName, Namespace, RepositoryName, TeamName};
use service_kit::grpc::{GrpcChannel, unary};

use super::{Grantee, Level, MemberRole, Membership, Organization, OrganizationProfile, Organizations, Team};
use crate::{
    call::{MAX_METADATA_MESSAGE_BYTES, concluded},
    convert::{Wire as _, read_all, repositories::page_fields},
    metadata::{AccountError, Actor, Page, PageRequest},
    wire::{self, organization_service_client::OrganizationServiceClient},
};

/// Organizations, over a channel.
#[derive(Debug, Clone)]
pub struct OrganizationsClient {
    service: OrganizationServiceClient<GrpcChannel>,
    deadline: Duration,
}

impl OrganizationsClient {
    /// A client whose calls end after `deadline`.
    pub fn new(channel: GrpcChannel, deadline: Duration) -> Self {
        let service = OrganizationServiceClient::new(channel)
            .max_decoding_message_size(MAX_METADATA_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_METADATA_MESSAGE_BYTES);
        Self { service, deadline }
    }
}

#[async_trait]
impl Organizations for OrganizationsClient {
    async fn create_organization(
        &self,
        name: &Namespace,
        owner: &AccountName,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        let message = wire::CreateOrganizationRequest {
            name: name.to_string(),
            owner: owner.to_string(),
            actor: Some(actor.to_message()),
        };
        let answer = self.service.clone().create_organization(unary(message, self.deadline)).await;

        concluded("creating an organization", answer, |_| Ok(()))
    }

    async fn organization(&self, name: &Namespace) -> Result<Option<Organization>, AccountError> {
        let message = wire::OrganizationRequest { name: name.to_string() };
        let answer = self.service.clone().organization(unary(message, self.deadline)).await;

        concluded("reading an organization", answer, |answer| {
            answer.organization.map(Organization::from_message).transpose()
        })
    }

    async fn describe_organization(
        &self,
        name: &Namespace,
        profile: &OrganizationProfile,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        let message = wire::DescribeOrganizationRequest {
            name: name.to_string(),
            profile: Some(profile.to_message()),
            actor: Some(actor.to_message()),
        };
        let answer = self.service.clone().describe_organization(unary(message, self.deadline)).await;

        concluded("describing an organization", answer, |_| Ok(()))
    }

    async fn organizations(&self, page: &PageRequest<Namespace>) -> Result<Page<Namespace>, AccountError> {
        let (after, limit) = page_fields(page);
        let message = wire::OrganizationsRequest { after, limit };
        let answer = self.service.clone().organizations(unary(message, self.deadline)).await;

        concluded("listing organizations", answer, Page::from_message)
    }

    async fn organizations_of(
        &self,
        user: &AccountName,
        page: &PageRequest<Namespace>,
    ) -> Result<Page<(Namespace, MemberRole)>, AccountError> {
        let (after, limit) = page_fields(page);
        let message = wire::OrganizationsOfRequest { user: user.to_string(), after, limit };
        let answer = self.service.clone().organizations_of(unary(message, self.deadline)).await;

        concluded("listing the organizations of a user", answer, Page::from_message)
    }

    async fn members(
        &self,
        organization: &Namespace,
        page: &PageRequest<AccountName>,
    ) -> Result<Page<(AccountName, MemberRole)>, AccountError> {
        let (after, limit) = page_fields(page);
        let message = wire::MembersRequest { organization: organization.to_string(), after, limit };
        let answer = self.service.clone().members(unary(message, self.deadline)).await;

        concluded("listing members", answer, Page::from_message)
    }

    async fn put_member(
        &self,
        organization: &Namespace,
        user: &AccountName,
        role: MemberRole,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        let message = wire::PutMemberRequest {
            organization: organization.to_string(),
            user: user.to_string(),
            role: role.to_message(),
            actor: Some(actor.to_message()),
        };
        let answer = self.service.clone().put_member(unary(message, self.deadline)).await;

        concluded("making a member", answer, |_| Ok(()))
    }

    async fn remove_member(
        &self,
        organization: &Namespace,
        user: &AccountName,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        let message = wire::RemoveMemberRequest {
            organization: organization.to_string(),
            user: user.to_string(),
            actor: Some(actor.to_message()),
        };
        let answer = self.service.clone().remove_member(unary(message, self.deadline)).await;

        concluded("removing a member", answer, |_| Ok(()))
    }

    async fn teams(&self, organization: &Namespace) -> Result<Vec<Team>, AccountError> {
        let message = wire::TeamsRequest { organization: organization.to_string() };
        let answer = self.service.clone().teams(unary(message, self.deadline)).await;

        concluded("listing teams", answer, |answer| read_all(answer.teams))
    }

    async fn put_team(
        &self,
        organization: &Namespace,
        team: &TeamName,
        description: &str,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        let message = wire::PutTeamRequest {
            organization: organization.to_string(),
            team: team.to_string(),
            description: description.to_owned(),
            actor: Some(actor.to_message()),
        };
        let answer = self.service.clone().put_team(unary(message, self.deadline)).await;

        concluded("making a team", answer, |_| Ok(()))
    }

    async fn remove_team(
        &self,
        organization: &Namespace,
        team: &TeamName,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        let message = wire::RemoveTeamRequest {
            organization: organization.to_string(),
            team: team.to_string(),
            actor: Some(actor.to_message()),
        };
        let answer = self.service.clone().remove_team(unary(message, self.deadline)).await;

        concluded("removing a team", answer, |_| Ok(()))
    }

    async fn team_members(
        &self,
        organization: &Namespace,
        team: &TeamName,
        page: &PageRequest<AccountName>,
    ) -> Result<Page<AccountName>, AccountError> {
        let (organization, team) = (organization.to_string(), team.to_string());
        let (after, limit) = page_fields(page);
        let message = wire::TeamMembersRequest { organization, team, after, limit };
        let answer = self.service.clone().team_members(unary(message, self.deadline)).await;

        concluded("listing the members of a team", answer, Page::from_message)
    }

    async fn set_team_member(
        &self,
        organization: &Namespace,
        team: &TeamName,
        user: &AccountName,
        membership: Membership,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        let message = wire::SetTeamMemberRequest {
            organization: organization.to_string(),
            team: team.to_string(),
            user: user.to_string(),
            membership: membership.to_message(),
            actor: Some(actor.to_message()),
        };
        let answer = self.service.clone().set_team_member(unary(message, self.deadline)).await;

        concluded("changing who is in a team", answer, |_| Ok(()))
    }

    async fn grants(&self, repository: &RepositoryName) -> Result<Vec<(Grantee, Level)>, AccountError> {
        let message = wire::GrantsRequest { repository: repository.to_string() };
        let answer = self.service.clone().grants(unary(message, self.deadline)).await;

        concluded("listing who may use a repository", answer, |answer| read_all(answer.grants))
    }

    async fn grant(
        &self,
        repository: &RepositoryName,
        grantee: &Grantee,
        level: Option<Level>,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        let message = wire::GrantRequest {
            repository: repository.to_string(),
            grantee: grantee.to_string(),
            level: level.as_ref().map(Level::to_message),
            actor: Some(actor.to_message()),
        };
        let answer = self.service.clone().grant(unary(message, self.deadline)).await;

        concluded("changing who may use a repository", answer, |_| Ok(()))
    }
}
