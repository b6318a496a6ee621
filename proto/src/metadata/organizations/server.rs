//! Organizations as a gRPC service, over any implementation.

use std::sync::Arc;

use async_trait::async_trait;
use service_kit::grpc::Routes;
use tonic::{Request, Response};

use super::{Level, MemberRole, Membership, Organization, Organizations};
use crate::{
    call::{Answer, MAX_METADATA_MESSAGE_BYTES},
    convert::{Wire as _, parsed, read, repositories::page, written_all},
    status::status_of,
    wire::{
        self,
        organization_service_server::{OrganizationService, OrganizationServiceServer},
    },
};

/// Adds the service to `routes`.
pub fn add_to(routes: Routes, implementation: Arc<dyn Organizations>) -> Routes {
    let service = OrganizationServiceServer::new(Server(implementation))
        .max_decoding_message_size(MAX_METADATA_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_METADATA_MESSAGE_BYTES);
    routes.add_service(service)
}

struct Server(Arc<dyn Organizations>);

#[async_trait]
impl OrganizationService for Server {
    async fn create_organization(
        &self,
        request: Request<wire::CreateOrganizationRequest>,
    ) -> Answer<wire::CreateOrganizationResponse> {
        let wire::CreateOrganizationRequest { name, owner, actor } = request.into_inner();
        let (name, owner) = (parsed("name", &name)?, parsed("owner", &owner)?);
        let actor = read("actor", actor)?;

        self.0.create_organization(&name, &owner, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::CreateOrganizationResponse {}))
    }

    async fn organization(
        &self,
        request: Request<wire::OrganizationRequest>,
    ) -> Answer<wire::OrganizationResponse> {
        let name = parsed("name", &request.into_inner().name)?;

        let found = self.0.organization(&name).await.map_err(status_of)?;
        let organization = found.as_ref().map(Organization::to_message);
        Ok(Response::new(wire::OrganizationResponse { organization }))
    }

    async fn describe_organization(
        &self,
        request: Request<wire::DescribeOrganizationRequest>,
    ) -> Answer<wire::DescribeOrganizationResponse> {
        let wire::DescribeOrganizationRequest { name, profile, actor } = request.into_inner();
        let name = parsed("name", &name)?;
        let (profile, actor) = (read("profile", profile)?, read("actor", actor)?);

        self.0.describe_organization(&name, &profile, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::DescribeOrganizationResponse {}))
    }

    async fn organizations(
        &self,
        request: Request<wire::OrganizationsRequest>,
    ) -> Answer<wire::OrganizationsResponse> {
        let wire::OrganizationsRequest { after, limit } = request.into_inner();
        let page = page(&after, limit)?;

        let found = self.0.organizations(&page).await.map_err(status_of)?;
        Ok(Response::new(found.to_message()))
    }

    async fn organizations_of(
        &self,
        request: Request<wire::OrganizationsOfRequest>,
    ) -> Answer<wire::OrganizationsOfResponse> {
        let wire::OrganizationsOfRequest { user, after, limit } = request.into_inner();
        let (user, page) = (parsed("user", &user)?, page(&after, limit)?);

        let found = self.0.organizations_of(&user, &page).await.map_err(status_of)?;
        Ok(Response::new(found.to_message()))
    }

    async fn members(&self, request: Request<wire::MembersRequest>) -> Answer<wire::MembersResponse> {
        let wire::MembersRequest { organization, after, limit } = request.into_inner();
        let (organization, page) = (parsed("organization", &organization)?, page(&after, limit)?);

        let found = self.0.members(&organization, &page).await.map_err(status_of)?;
        Ok(Response::new(found.to_message()))
    }

    async fn put_member(&self, request: Request<wire::PutMemberRequest>) -> Answer<wire::PutMemberResponse> {
        let wire::PutMemberRequest { organization, user, role, actor } = request.into_inner();
        let (organization, user) = (parsed("organization", &organization)?, parsed("user", &user)?);
        let (role, actor) = (MemberRole::from_message(role)?, read("actor", actor)?);

        self.0.put_member(&organization, &user, role, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::PutMemberResponse {}))
    }

    async fn remove_member(
        &self,
        request: Request<wire::RemoveMemberRequest>,
    ) -> Answer<wire::RemoveMemberResponse> {
        let wire::RemoveMemberRequest { organization, user, actor } = request.into_inner();
        let (organization, user) = (parsed("organization", &organization)?, parsed("user", &user)?);
        let actor = read("actor", actor)?;

        self.0.remove_member(&organization, &user, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::RemoveMemberResponse {}))
    }

    async fn teams(&self, request: Request<wire::TeamsRequest>) -> Answer<wire::TeamsResponse> {
        let organization = parsed("organization", &request.into_inner().organization)?;

        let teams = self.0.teams(&organization).await.map_err(status_of)?;
        Ok(Response::new(wire::TeamsResponse { teams: written_all(&teams) }))
    }

    async fn put_team(&self, request: Request<wire::PutTeamRequest>) -> Answer<wire::PutTeamResponse> {
        let wire::PutTeamRequest { organization, team, description, actor } = request.into_inner();
        let (organization, team) = (parsed("organization", &organization)?, parsed("team", &team)?);
        let actor = read("actor", actor)?;

        self.0.put_team(&organization, &team, &description, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::PutTeamResponse {}))
    }

    async fn remove_team(
        &self,
        request: Request<wire::RemoveTeamRequest>,
    ) -> Answer<wire::RemoveTeamResponse> {
        let wire::RemoveTeamRequest { organization, team, actor } = request.into_inner();
        let (organization, team) = (parsed("organization", &organization)?, parsed("team", &team)?);
        let actor = read("actor", actor)?;

        self.0.remove_team(&organization, &team, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::RemoveTeamResponse {}))
    }

    async fn team_members(
        &self,
        request: Request<wire::TeamMembersRequest>,
    ) -> Answer<wire::TeamMembersResponse> {
        let wire::TeamMembersRequest { organization, team, after, limit } = request.into_inner();
        let (organization, team) = (parsed("organization", &organization)?, parsed("team", &team)?);
        let page = page(&after, limit)?;

        let found = self.0.team_members(&organization, &team, &page).await.map_err(status_of)?;
        Ok(Response::new(found.to_message()))
    }

    async fn set_team_member(
        &self,
        request: Request<wire::SetTeamMemberRequest>,
    ) -> Answer<wire::SetTeamMemberResponse> {
        let wire::SetTeamMemberRequest { organization, team, user, membership, actor } = request.into_inner();
        let (organization, team) = (parsed("organization", &organization)?, parsed("team", &team)?);
        let (user, membership) = (parsed("user", &user)?, Membership::from_message(membership)?);
        let actor = read("actor", actor)?;

        let set = self.0.set_team_member(&organization, &team, &user, membership, &actor).await;
        set.map_err(status_of)?;
        Ok(Response::new(wire::SetTeamMemberResponse {}))
    }

    async fn grants(&self, request: Request<wire::GrantsRequest>) -> Answer<wire::GrantsResponse> {
        let repository = parsed("repository", &request.into_inner().repository)?;

        let grants = self.0.grants(&repository).await.map_err(status_of)?;
        Ok(Response::new(wire::GrantsResponse { grants: written_all(&grants) }))
    }

    async fn grant(&self, request: Request<wire::GrantRequest>) -> Answer<wire::GrantResponse> {
        let wire::GrantRequest { repository, grantee, level, actor } = request.into_inner();
        let (repository, grantee) = (parsed("repository", &repository)?, parsed("grantee", &grantee)?);
        let level = level.map(Level::from_message).transpose()?;
        let actor = read("actor", actor)?;

        self.0.grant(&repository, &grantee, level, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::GrantResponse {}))
    }
}
