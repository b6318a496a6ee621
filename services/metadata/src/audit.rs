//! The audit log: who did what, to what and from where, written in the same commit as the change. What concerns a
//! namespace is in its log and in that of the hub, what concerns none in the latter alone. What happens in bulk or by
//! itself is not here: pushes and tags that move are in the history, and what rules let go is so because of them.

use std::net::IpAddr;

use oci::{AccountName, CredentialId, Namespace, RepositoryName};
use proto::metadata::{
    Actor, Via,
    audit::{Action, ActionName, Target},
};
use serde::{Deserialize, Serialize};

use crate::{
    Service,
    accounts::Word as _,
    keys::{self, Log},
    keyspace::{Commit, Error, Mutation, NAME_LIMIT},
    namespaces::Owner,
    placement::Target as Place,
};

mod describing;
mod keeping;
mod reading;

/// Something that is done, before it is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Audit {
    action: Action,
    /// In whose log; none: in that of the hub alone.
    log: Option<Log>,
    target: Target,
}

/// As it is kept, behind the ULID that says when.
#[derive(Debug, Serialize, Deserialize)]
struct Written {
    action: ActionName,
    /// Empty: anonymous.
    subject: String,
    via: Via,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    /// By which the subject has shown who it is.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "through")]
    credential: Option<CredentialId>,
    #[serde(flatten)]
    target: Target,
}

/// On whose behalf something goes, and what the audit log says of it.
#[derive(Debug, Clone)]
pub(crate) struct By<'a> {
    pub(crate) actor: &'a Actor,
    /// None: nothing, because rules let it go, and who made these is in it.
    pub(crate) said: Option<Audit>,
}

static HUB: Actor = Actor::service();

impl By<'static> {
    /// The hub itself, because rules say so, or because what it belonged to is gone.
    pub(crate) fn rules() -> Self {
        Self { actor: &HUB, said: None }
    }
}

impl Audit {
    /// Of a user, or of what is a user's own.
    pub(crate) fn of_user(action: Action, name: &AccountName) -> Self {
        Self::of_namespace(action, Owner::User, &name.namespace()).user(name)
    }

    /// Of an organization, or of what is in it.
    pub(crate) fn of_organization(action: Action, name: &Namespace) -> Self {
        Self::of_namespace(action, Owner::Organization, name)
    }

    /// Of a user's or an organization's namespace.
    pub(crate) fn of_namespace(action: Action, owner: Owner, name: &Namespace) -> Self {
        let target = Target { namespace: Some(name.clone()), ..Target::default() };
        Self { action, log: Some(Log::Of(owner, name.clone())), target }
    }

    /// Of a repository, or of what is in it.
    pub(crate) fn of_repository(action: Action, owner: Owner, name: &RepositoryName) -> Self {
        let mut audit = Self::of_namespace(action, owner, &name.namespace());
        audit.target.repository = Some(name.clone());
        audit
    }

    /// Of the hub.
    pub(crate) fn of_hub(action: Action) -> Self {
        Self { action, log: None, target: Target::default() }
    }
}

impl Commit {
    /// The same, and `said` before all that it does.
    #[must_use]
    pub(crate) fn beginning_with(mut self, said: Vec<Mutation>) -> Self {
        self.mutations.splice(0..0, said);
        self
    }
}

impl Service {
    /// Writes down what the rest of the commit does. Before it: whatever of a commit is left by a crash, nothing is
    /// done that was not written down.
    pub(crate) async fn audited(&self, actor: &Actor, audit: &Audit) -> Result<Vec<Mutation>, Error> {
        let (place, payload) = (self.ulid(), payload(actor, audit)?);
        let member = keys::event(place, &payload);
        let mut mutations = Vec::new();
        for log in audit.log.iter().chain([&Log::Hub]) {
            mutations.extend(self.kept_small(log, place).await?);
            mutations.push(Mutation::AddMember(keys::audit(log), member.clone()));
        }
        Ok(mutations)
    }

    /// The same of several things.
    pub(crate) async fn all_audited(
        &self,
        actor: &Actor,
        audits: impl IntoIterator<Item = Audit>,
    ) -> Result<Vec<Mutation>, Error> {
        let mut mutations = Vec::new();
        for audit in audits {
            mutations.extend(self.audited(actor, &audit).await?);
        }
        Ok(mutations)
    }

    /// Says that a repository is made, if the commit makes it.
    pub(crate) async fn founding_audited(
        &self,
        target: &Place,
        name: &RepositoryName,
        actor: &Actor,
    ) -> Result<Vec<Mutation>, Error> {
        let Place::New(place) = target else {
            return Ok(Vec::new());
        };
        let audit = Audit::of_repository(Action::RepositoryCreate, place.owner, name);
        self.audited(actor, &audit.to(place.visibility.word())).await
    }

    /// What the audit log says of what goes.
    pub(crate) async fn audited_by(&self, by: &By<'_>) -> Result<Vec<Mutation>, Error> {
        self.all_audited(by.actor, by.said.clone()).await
    }
}

/// The text of an entry. All that it names fits into a member; only what people have written may not, and gives way.
fn payload(actor: &Actor, audit: &Audit) -> Result<String, Error> {
    let mut target = audit.target.clone();
    if target.repository.is_some() {
        // It says so itself.
        target.namespace = None;
    }
    let Actor { subject, via, address, credential } = actor.clone();
    let action = audit.action.into();
    let mut written = Written { action, subject: subject.to_string(), via, address, credential, target };

    let text = |written: &Written| {
        serde_json::to_string(written)
            .map_err(|error| Error::Damaged { what: format!("an entry of the audit log: {error}") })
    };
    let whole = text(&written)?;
    if whole.len() + keys::PLACE_LENGTH <= NAME_LIMIT {
        return Ok(whole);
    }
    written.target.label = None;
    text(&written)
}

#[cfg(test)]
mod tests;
