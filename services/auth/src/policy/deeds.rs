//! The policy for what people do beside pushing and pulling: what may be done, and what who may not is told.

use oci::{AccountName, Namespace, RepositoryName};
use proto::{
    auth::{IdentityError, identities::Deed},
    metadata::{
        accounts::{NamespaceFacts, NamespaceKind, RepositoryFacts},
        credentials::Permission,
    },
};
use serde::Deserialize;

use super::{Known, Principal, held, permissions};

/// Who may make organizations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Founders {
    /// Every user.
    #[default]
    Users,
    /// Administrators only.
    Administrators,
}

/// Whether `principal` may do `deed`.
///
/// # Errors
/// `SignInNeeded` for nobody in particular; `Hidden` if it may not know of what it asked for; `Forbidden`.
pub fn authorized(
    principal: &Principal,
    deed: &Deed,
    known: Known<'_>,
    founders: Founders,
) -> Result<(), IdentityError> {
    match verdict(principal, deed, known, founders) {
        Verdict::Yes => Ok(()),
        Verdict::Not | Verdict::Unseen { .. } if *principal == Principal::Anonymous => {
            Err(IdentityError::SignInNeeded { missing: said(deed) })
        }
        Verdict::Not => {
            Err(IdentityError::Forbidden { subject: principal.subject().to_string(), missing: said(deed) })
        }
        Verdict::NotSo => {
            let subject = format!("this access token of {}", principal.subject());
            Err(IdentityError::Forbidden { subject, missing: said(deed) })
        }
        Verdict::Unseen { what } => Err(IdentityError::Hidden { what }),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Yes,
    /// It may not.
    Not,
    /// It may, but not with this credential.
    NotSo,
    /// It may not, and there may be no such thing.
    Unseen {
        what: String,
    },
}

fn verdict(principal: &Principal, deed: &Deed, known: Known<'_>, founders: Founders) -> Verdict {
    match deed {
        Deed::SignedIn if *principal != Principal::Anonymous => Verdict::Yes,
        Deed::ManageHub if principal.is_administrator() => managing(principal),
        Deed::ManageAccount(name) if has_account(principal, name) => managing(principal),
        Deed::CreateOrganization if may_found(principal, founders) => managing(principal),
        Deed::SignedIn | Deed::ManageHub | Deed::ManageAccount(_) | Deed::CreateOrganization => Verdict::Not,
        Deed::SeeNamespace(name) => seeing(principal, &known.namespace(name)),
        Deed::ManageNamespace(name) => managing_namespace(principal, &known.namespace(name)),
        Deed::RemoveMember(name, user) => removing(principal, user, &known.namespace(name)),
        Deed::ReadRepository(name) => on_repository(principal, name, Permission::Pull, known),
        Deed::WriteRepository(name) => on_repository(principal, name, Permission::Push, known),
        Deed::DeleteFromRepository(name) => on_repository(principal, name, Permission::Delete, known),
        Deed::ManageRepository(name) => on_repository(principal, name, Permission::Manage, known),
    }
}

fn has_account(principal: &Principal, name: &AccountName) -> bool {
    match principal {
        Principal::User { name: own, .. } => own == name || principal.is_administrator(),
        Principal::Anonymous | Principal::Robot { .. } => false,
    }
}

fn may_found(principal: &Principal, founders: Founders) -> bool {
    match founders {
        Founders::Users => matches!(principal, Principal::User { .. }),
        Founders::Administrators => principal.is_administrator(),
    }
}

// Whoever manages does so for the user, and not for some repositories: an access token must say that it may.
fn managing(principal: &Principal) -> Verdict {
    if principal.is_let_everywhere(Permission::Manage) { Verdict::Yes } else { Verdict::NotSo }
}

fn seeing(principal: &Principal, facts: &NamespaceFacts) -> Verdict {
    if belongs(principal, facts) { managing(principal) } else { hidden(&facts.name) }
}

fn managing_namespace(principal: &Principal, facts: &NamespaceFacts) -> Verdict {
    match (principal.owns(facts), belongs(principal, facts)) {
        (true, _) => managing(principal),
        (false, true) => Verdict::Not,
        (false, false) => hidden(&facts.name),
    }
}

/// Whoever manages an organization may remove everybody, and a member itself: nobody is kept.
fn removing(principal: &Principal, user: &AccountName, facts: &NamespaceFacts) -> Verdict {
    match principal {
        Principal::User { name, .. } if name == user && belongs(principal, facts) => managing(principal),
        _ => managing_namespace(principal, facts),
    }
}

/// Whether it may know who else is there.
fn belongs(principal: &Principal, facts: &NamespaceFacts) -> bool {
    let is_member = facts.kind == Some(NamespaceKind::Organization) && facts.role.is_some();
    match principal {
        Principal::User { .. } => is_member || principal.owns(facts),
        Principal::Anonymous | Principal::Robot { .. } => false,
    }
}

fn hidden(name: &Namespace) -> Verdict {
    Verdict::Unseen { what: format!("user or organization {name}") }
}

fn on_repository(
    principal: &Principal,
    name: &RepositoryName,
    permission: Permission,
    known: Known<'_>,
) -> Verdict {
    let facts = known.repository(name);
    let permitted = permissions(principal, &facts);

    if permitted.contains(&permission) {
        Verdict::Yes
    } else if permitted.is_empty() {
        Verdict::Unseen { what: format!("repository {name}") }
    } else if matches!(principal, Principal::User { .. }) && has(principal, &facts, permission) {
        Verdict::NotSo
    } else {
        Verdict::Not
    }
}

/// Whether it has the right by itself, on what is called so or was.
fn has(principal: &Principal, facts: &RepositoryFacts, permission: Permission) -> bool {
    let moved = facts.moved.as_deref();
    std::iter::once(facts).chain(moved).any(|facts| held(principal, facts).contains(&permission))
}

/// A deed in words, after "may not" or "sign in to".
fn said(deed: &Deed) -> String {
    match deed {
        Deed::SignedIn => "see who you are".to_owned(),
        Deed::ManageHub => "manage this hub".to_owned(),
        Deed::ManageAccount(name) => format!("manage the account {name}"),
        Deed::CreateOrganization => "make an organization".to_owned(),
        Deed::SeeNamespace(name) => format!("see who belongs to {name}"),
        Deed::ManageNamespace(name) => format!("manage the user or organization {name}"),
        Deed::RemoveMember(name, user) => format!("take {user} out of {name}"),
        Deed::ReadRepository(name) => format!("pull from {name}"),
        Deed::WriteRepository(name) => format!("push to {name}"),
        Deed::DeleteFromRepository(name) => format!("delete from {name}"),
        Deed::ManageRepository(name) => format!("manage the repository {name}"),
    }
}
