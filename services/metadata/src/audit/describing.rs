//! What an entry of the audit log says besides its action.

use std::fmt::Display;

use oci::{AccountName, CredentialId, Digest, RobotName, Tag, TeamName};
use proto::metadata::{
    audit::Action,
    credentials::{Holder, NewCredential, Trust},
    federation::ForeignIdentity,
    organizations::Grantee,
};

use super::Audit;
use crate::namespaces::Owner;

impl Audit {
    #[must_use]
    pub(crate) fn user(mut self, name: &AccountName) -> Self {
        self.target.user = Some(name.clone());
        self
    }

    #[must_use]
    pub(crate) fn team(mut self, name: &TeamName) -> Self {
        self.target.team = Some(name.clone());
        self
    }

    #[must_use]
    pub(crate) fn grantee(self, grantee: &Grantee) -> Self {
        match grantee {
            Grantee::User(name) => self.user(name),
            Grantee::Team(name) => self.team(name),
        }
    }

    #[must_use]
    pub(crate) fn robot(mut self, name: &RobotName) -> Self {
        self.target.robot = Some(name.clone());
        self
    }

    #[must_use]
    pub(crate) fn credential(mut self, id: &CredentialId) -> Self {
        self.target.credential = Some(id.clone());
        self
    }

    #[must_use]
    pub(crate) fn tag(mut self, tag: &Tag) -> Self {
        self.target.tag = Some(tag.clone());
        self
    }

    #[must_use]
    pub(crate) fn digest(mut self, digest: &Digest) -> Self {
        self.target.digest = Some(digest.clone());
        self
    }

    /// What people call it; nothing if they do not.
    #[must_use]
    pub(crate) fn label(mut self, label: &str) -> Self {
        self.target.label = (!label.is_empty()).then(|| label.to_owned());
        self
    }

    /// What it is from then on.
    #[must_use]
    pub(crate) fn to(mut self, word: impl Display) -> Self {
        self.target.to = Some(word.to_string());
        self
    }

    /// A credential is made, in a namespace of that kind.
    pub(crate) fn made(owner: Owner, new: &NewCredential) -> Self {
        let robot = if new.trust.is_some() { Action::TrustCreate } else { Action::RobotCreate };
        let created = [Action::TokenCreate, Action::SessionCreate, robot];
        Self::of_holder(created, owner, &new.holder).credential(&new.id).label(&new.label)
    }

    /// A credential is revoked; perhaps one of a robot whose secret nobody has.
    pub(crate) fn revoked(
        owner: Owner,
        holder: &Holder,
        (id, trust): (&CredentialId, Option<&Trust>),
    ) -> Self {
        let robot = if trust.is_some() { Action::TrustRevoke } else { Action::RobotRevoke };
        let revoked = [Action::TokenRevoke, Action::SessionRevoke, robot];
        Self::of_holder(revoked, owner, holder).credential(id)
    }

    /// An identity is given to a user, or taken from one.
    pub(crate) fn of_identity(
        action: Action,
        name: &AccountName,
        identity: &ForeignIdentity,
        label: &str,
    ) -> Self {
        let issuer = &identity.issuer;
        let said = if label.is_empty() { issuer.to_string() } else { format!("{label} ({issuer})") };
        Self::of_user(action, name).label(&said)
    }

    fn of_holder([token, session, robot]: [Action; 3], owner: Owner, holder: &Holder) -> Self {
        match holder {
            Holder::User(name) => Self::of_user(token, name),
            Holder::Session(name) | Holder::Offline { user: name, .. } => Self::of_user(session, name),
            Holder::Robot(name) => Self::of_namespace(robot, owner, &name.namespace()).robot(name),
        }
    }
}
