//! The audit log: who did what, page by page, the newest first.

use std::{net::IpAddr, str::FromStr};

use jiff::Timestamp;
use oci::{
    AccountName, CredentialId, Digest, EventId, NameError, Namespace, RepositoryName, RobotName, Tag,
    TeamName,
};
use proto::{
    auth::{Subject, SubjectError, identities::Deed},
    metadata::{
        Actor, Via,
        audit::{self, ActionFilter, ActionName, Entry, Filter, WantedEntries},
    },
};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    asker::Asking,
    names,
    openapi::Refused,
    page::{self, Listed, Paging, Part},
    path::At,
    problem::{Problem, RequestError},
    robots::OfNamespace,
};
use crate::{asked::Query, handlers::history::upwards, retry};

/// Which entries.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes what `filter` reads")]
pub(super) struct Filters {
    /// Only this, or only what begins with this noun.
    #[param(value_type = Option<names::ActionFilter>)]
    action: Option<String>,
    /// Only what this user or robot did.
    #[param(value_type = Option<names::ActorName>)]
    actor: Option<String>,
    /// Only from then on.
    #[param(value_type = Option<names::Time>)]
    since: Option<Timestamp>,
    /// Only before.
    #[param(value_type = Option<names::Time>)]
    before: Option<Timestamp>,
}

/// Something that was done.
#[derive(Serialize, ToSchema)]
pub(super) struct AuditEntry {
    #[schema(value_type = names::EventId)]
    id: EventId,
    /// When.
    #[schema(value_type = names::Time)]
    time: Timestamp,
    actor: AuditActor,
    #[schema(value_type = names::ActionName)]
    action: ActionName,
    target: AuditTarget,
}

/// Who did it.
#[derive(Serialize, ToSchema)]
pub(super) struct AuditActor {
    /// A user or robot; null: nobody in particular, a service of the hub, or whoever runs it.
    #[schema(value_type = Option<names::ActorName>)]
    name: Option<String>,
    #[schema(value_type = names::Via)]
    via: Via,
    /// From where, if that is known.
    #[schema(value_type = Option<String>)]
    address: Option<IpAddr>,
    /// By which access token, robot or session; null: a password, or none is known.
    #[schema(value_type = Option<names::CredentialId>)]
    credential: Option<CredentialId>,
}

/// To what it was done, and what that became. What is left out has no part in it.
#[derive(Serialize, ToSchema)]
pub(super) struct AuditTarget {
    /// In whose log it is, besides that of the hub.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<names::NamespaceName>)]
    namespace: Option<Namespace>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<names::FullRepositoryName>)]
    repository: Option<RepositoryName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<names::AccountName>)]
    user: Option<AccountName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<names::TeamName>)]
    team: Option<TeamName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<names::RobotName>)]
    robot: Option<RobotName>,
    /// An access token, a robot's secret or a session.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<names::CredentialId>)]
    credential: Option<CredentialId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<names::TagName>)]
    tag: Option<Tag>,
    /// Of a manifest or a blob.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    digest: Option<Digest>,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// What it is from then on: a role, a level, a visibility, the id of a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
}

impl From<Entry> for AuditEntry {
    fn from(entry: Entry) -> Self {
        let Entry { id, at, actor, action, target } = entry;
        Self { id, time: at, actor: actor.into(), action, target: target.into() }
    }
}

impl From<Actor> for AuditActor {
    fn from(actor: Actor) -> Self {
        let Actor { subject, via, address, credential } = actor;
        let name = (subject != Subject::Anonymous).then(|| subject.to_string());
        Self { name, via, address, credential }
    }
}

impl From<audit::Target> for AuditTarget {
    fn from(target: audit::Target) -> Self {
        let audit::Target { namespace, repository, user, team, robot, credential, tag, digest, label, to } =
            target;
        Self { namespace, repository, user, team, robot, credential, tag, digest, label, to }
    }
}

/// What was done in the hub
///
/// For administrators: everything, the newest first. Pushes and tags that move are in the history of each tag instead.
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "audit",
    params(Filters, Paging, ("cursor" = Option<names::EventId>, Query, description = "`next` of the part before.")),
    responses((status = 200, description = "Entries, the newest first.", body = Listed<AuditEntry>), Refused)
)]
pub(super) async fn list_all(asking: Asking, part: Part<EventId>) -> Result<Listed<AuditEntry>, Problem> {
    asking.permit(&Deed::ManageHub).await?;
    entries(&asking, part, None).await
}

/// What was done in a namespace
///
/// For the user, owners of the organization, and administrators: to the user or organization and its repositories.
#[utoipa::path(
    get, path = "/api/v1/namespaces/{namespace}/audit", tag = "audit",
    params(
        OfNamespace, Filters, Paging,
        ("cursor" = Option<names::EventId>, Query, description = "`next` of the part before.")
    ),
    responses((status = 200, description = "Entries, the newest first.", body = Listed<AuditEntry>), Refused)
)]
pub(super) async fn list_of_namespace(
    asking: Asking,
    At(OfNamespace { namespace }): At<OfNamespace>,
    part: Part<EventId>,
) -> Result<Listed<AuditEntry>, Problem> {
    asking.permit(&Deed::ManageNamespace(namespace.clone())).await?;
    entries(&asking, part, Some(namespace)).await
}

async fn entries(
    asking: &Asking,
    part: Part<EventId>,
    of: Option<Namespace>,
) -> Result<Listed<AuditEntry>, Problem> {
    let (after, limit) = (part.request.after.clone(), part.request.limit);
    let Some(filter) = filter(&part.query)? else {
        return Ok(page::listed_until(&part, Vec::<Entry>::new(), None, AuditEntry::from));
    };
    let wanted = WantedEntries { of, filter, after, limit };
    let found = retry::repeated(|| asking.services().audit.audit_entries(&wanted)).await?;
    Ok(page::listed_until(&part, found.entries, found.next.as_ref(), AuditEntry::from))
}

/// None: nobody has the name that is asked for.
fn filter(query: &Query) -> Result<Option<Filter>, RequestError> {
    let time = |parameter| Ok::<_, RequestError>(page::read::<Timestamp>(query, parameter)?.map(upwards));
    let filter = Filter {
        since: time("since")?,
        before: time("before")?,
        action: page::read::<ActionFilter>(query, "action")?,
        actor: None,
    };
    Ok(match page::read::<Doer>(query, "actor")? {
        None => Some(filter),
        Some(Doer(actor)) => actor.map(|actor| Filter { actor: Some(actor), ..filter }),
    })
}

/// Characters of the name of whoever has done something, at most.
const LONGEST_ACTOR: usize = 201;

/// Somebody in particular; none: the name is too long to be anybody's.
struct Doer(Option<Subject>);

impl FromStr for Doer {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, SubjectError> {
        match text.len() {
            0 => return Err(NameError::Empty.into()),
            found if found > LONGEST_ACTOR => {
                return Err(NameError::TooLong { found, limit: LONGEST_ACTOR }.into());
            }
            _ => {}
        }

        let parts = || text.splitn(3, RobotName::SEPARATOR).map(str::parse::<Namespace>);
        match text.parse() {
            Ok(subject) => Ok(Self(Some(subject))),
            Err(SubjectError::Name(NameError::TooLong { .. }))
                if parts().count() < 3 && parts().all(|part| part.is_ok()) =>
            {
                Ok(Self(None))
            }
            Err(error) => Err(error),
        }
    }
}
