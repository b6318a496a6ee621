//! Invitations to make an account, and perhaps to be in an organization with it. What is kept of an invitation's secret
//! is its SHA-256. Only auth calls it.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use oci::{InvitationId, Namespace};

pub use client::InvitationsClient;

use super::{AccountError, Actor, accounts::Account, credentials::SecretHash, organizations::MemberRole};
use crate::auth::Subject;

pub mod client;
pub mod server;
#[cfg(feature = "suite")]
pub mod suite;

/// Invitations that wait at one time, for the hub alone or for one organization.
pub const MAX_INVITATIONS: usize = 200;

/// How long an invitation waits.
pub const INVITATION_LIFETIME: Duration = Duration::from_hours(7 * 24);

/// Invitations. Who may make them is not decided here.
#[async_trait]
pub trait Invitations: Send + Sync + 'static {
    /// Keeps an invitation. Durable when it returns.
    ///
    /// # Errors
    /// `OrganizationUnknown`; `TooMany`; `Conflict`; `Unavailable`.
    async fn put_invitation(&self, new: &NewInvitation, actor: &Actor) -> Result<(), AccountError>;

    /// Those that wait for an organization, or, without one, for the hub alone; the oldest first.
    ///
    /// # Errors
    /// `OrganizationUnknown`; `Unavailable`.
    async fn invitations(&self, organization: Option<&Namespace>) -> Result<Vec<Invitation>, AccountError>;

    /// Removes an invitation.
    ///
    /// # Errors
    /// `InvitationUnknown`; `Conflict`; `Unavailable`.
    async fn revoke_invitation(
        &self,
        organization: Option<&Namespace>,
        id: &InvitationId,
        actor: &Actor,
    ) -> Result<(), AccountError>;

    /// Makes the account that an invitation is for, and removes the invitation: of two that try at once, one succeeds.
    /// Whoever is invited by an organization is in it then. Durable when it returns.
    ///
    /// # Errors
    /// `InvitationUnknown` if there is none with that hash, it has ended, the organization is gone, or the user who made
    /// it is disabled or neither an administrator nor an owner of the organization any more; `NameTaken`;
    /// `NameReserved`; `Conflict`; `Unavailable`.
    async fn redeem_invitation(
        &self,
        hash: &SecretHash,
        account: &Account,
        actor: &Actor,
    ) -> Result<(), AccountError>;
}

/// An invitation that is not kept yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInvitation {
    /// What it will be known by.
    pub id: InvitationId,
    /// Of its secret.
    pub hash: SecretHash,
    /// Where it is sent to, or empty.
    pub email: String,
    /// What else it makes whoever takes it.
    pub joining: Option<Joining>,
    /// When it ends.
    pub expires: Timestamp,
}

/// A place in an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joining {
    /// Which.
    pub organization: Namespace,
    /// As what.
    pub role: MemberRole,
}

/// An invitation that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// What it is known by.
    pub id: InvitationId,
    /// Where it was sent to, or empty.
    pub email: String,
    /// What else it makes whoever takes it.
    pub joining: Option<Joining>,
    /// Who has made it.
    pub by: Subject,
    /// When.
    pub created: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
}
