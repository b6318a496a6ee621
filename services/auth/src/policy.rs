//! The one policy: who may do what (docs/decisions/0006). Pure, so that every case can be tested: facts come from
//! metadata, and less of them never gives more.

use std::collections::BTreeSet;

use oci::{AccountName, Action, CredentialId, Namespace, RepositoryName, Resource, RobotName, Scope};
use proto::{
    auth::{Subject, identities::Reads},
    metadata::{
        Visibility,
        accounts::{NamespaceFacts, NamespaceKind, RepositoryFacts, Role},
        credentials::{Limits, Permission},
        organizations::{Level, MemberRole},
    },
};

pub use deeds::{Founders, authorized};

mod deeds;

/// Who asks, once the password or secret has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// Nobody in particular.
    Anonymous,
    /// A user.
    User {
        /// Who.
        name: AccountName,
        /// What it may do besides its own.
        role: Role,
        /// How it has shown who it is.
        through: Through,
    },
    /// A robot of a namespace.
    Robot {
        /// Which.
        name: RobotName,
        /// What it may do.
        limits: Limits,
        /// What it has shown.
        credential: CredentialId,
    },
}

/// How a user has shown who it is, and what that limits it to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Through {
    /// By its password: it may what the user may.
    Password,
    /// By a session: it may what the user may.
    Session(CredentialId),
    /// By an access token: it may what both may.
    AccessToken(CredentialId, Limits),
}

impl Principal {
    /// The subject of this principal's tokens.
    pub fn subject(&self) -> Subject {
        match self {
            Self::Anonymous => Subject::Anonymous,
            Self::User { name, .. } => Subject::User(name.clone()),
            Self::Robot { name, .. } => Subject::Robot(name.clone()),
        }
    }

    /// What it may do besides its own.
    pub fn role(&self) -> Role {
        match self {
            Self::User { role, .. } => *role,
            Self::Anonymous | Self::Robot { .. } => Role::User,
        }
    }

    /// The credential that it has shown; none: a password, or nothing.
    pub fn credential(&self) -> Option<&CredentialId> {
        match self {
            Self::User { through: Through::Session(id) | Through::AccessToken(id, _), .. }
            | Self::Robot { credential: id, .. } => Some(id),
            Self::Anonymous | Self::User { through: Through::Password, .. } => None,
        }
    }

    /// Whether it is a user who has signed in.
    pub fn is_in_session(&self) -> bool {
        matches!(self, Self::User { through: Through::Session(_), .. })
    }

    /// What its credential is limited to; none: nothing limits it.
    pub fn limits(&self) -> Option<&Limits> {
        match self {
            Self::User { through: Through::AccessToken(_, limits), .. } | Self::Robot { limits, .. } => {
                Some(limits)
            }
            Self::Anonymous | Self::User { .. } => None,
        }
    }

    /// Which private repositories its credential lets it read, of those that it may.
    pub fn reads(&self) -> Reads {
        match (self, self.limits()) {
            (Self::Anonymous, _) => Reads::Public,
            (_, None) => Reads::All,
            (_, Some(limits)) if !limits.actions.contains(&Permission::Pull) => Reads::Public,
            (_, Some(limits)) if limits.repositories.is_empty() => Reads::All,
            (_, Some(limits)) => Reads::Within(limits.repositories.clone()),
        }
    }

    /// Whether its credential lets it do this with that repository.
    fn is_let(&self, repository: &RepositoryName, permission: Permission) -> bool {
        self.limits().is_none_or(|limits| {
            let patterns = &limits.repositories;
            let named = patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(repository));
            named && limits.actions.contains(&permission)
        })
    }

    /// Whether its credential lets it do this everywhere: one for some repositories is for nothing else.
    fn is_let_everywhere(&self, permission: Permission) -> bool {
        self.limits()
            .is_none_or(|limits| limits.repositories.is_empty() && limits.actions.contains(&permission))
    }

    fn is_administrator(&self) -> bool {
        self.role() == Role::Administrator
    }

    /// Whether everything in the namespace is its own.
    fn owns(&self, namespace: &NamespaceFacts) -> bool {
        let Self::User { name, role, .. } = self else {
            return false;
        };
        *role == Role::Administrator
            || match namespace.kind {
                Some(NamespaceKind::User) => name.as_str() == namespace.name.as_str(),
                Some(NamespaceKind::Organization) => namespace.role == Some(MemberRole::Owner),
                None => false,
            }
    }
}

/// What is known of what is asked for. What is not said is not so.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Repositories.
    pub repositories: &'a [RepositoryFacts],
    /// Namespaces besides those of the repositories.
    pub namespaces: &'a [NamespaceFacts],
}

impl Known<'_> {
    fn repository(&self, name: &RepositoryName) -> RepositoryFacts {
        let nothing = || RepositoryFacts {
            name: name.clone(),
            visibility: None,
            namespace: nobodys(&name.namespace()),
            level: None,
            moved: None,
        };
        self.repositories.iter().find(|facts| facts.name == *name).cloned().unwrap_or_else(nothing)
    }

    fn namespace(&self, name: &Namespace) -> NamespaceFacts {
        self.namespaces.iter().find(|facts| facts.name == *name).cloned().unwrap_or_else(|| nobodys(name))
    }
}

fn nobodys(name: &Namespace) -> NamespaceFacts {
    NamespaceFacts { name: name.clone(), kind: None, role: None }
}

/// What `principal` may do with what it calls so: with the repository of that name, or with the one that had it. A
/// credential that is limited to some names must be for the one that it has now.
pub fn permissions(principal: &Principal, facts: &RepositoryFacts) -> BTreeSet<Permission> {
    let mut permitted = by_name(principal, facts);
    permitted.extend(facts.moved.iter().flat_map(|moved| by_name(principal, moved)));
    permitted
}

fn by_name(principal: &Principal, facts: &RepositoryFacts) -> BTreeSet<Permission> {
    let held = held(principal, facts).iter().copied();
    let mut permitted: BTreeSet<Permission> =
        held.filter(|permission| principal.is_let(&facts.name, *permission)).collect();
    // No credential keeps anybody from what is open to nobody in particular.
    if facts.visibility == Some(Visibility::Public) {
        permitted.insert(Permission::Pull);
    }
    permitted
}

/// What it has, whatever its credential lets it do of that.
fn held(principal: &Principal, facts: &RepositoryFacts) -> &'static [Permission] {
    const ALL: &[Permission] = &Permission::ALL;
    const WRITE: &[Permission] = &[Permission::Pull, Permission::Push];
    const ROBOT: &[Permission] = &[Permission::Pull, Permission::Push, Permission::Delete];

    match principal {
        Principal::Robot { name, .. } if name.namespace() == facts.name.namespace() => ROBOT,
        Principal::Anonymous | Principal::Robot { .. } => &[],
        // Also where there is no such repository: a first push makes it, and clients ask for pull with it.
        Principal::User { .. } if principal.owns(&facts.namespace) => ALL,
        // What was given on a repository is given on one that exists.
        Principal::User { .. } => match facts.visibility.and(facts.level) {
            Some(Level::Admin) => ALL,
            Some(Level::Write) => WRITE,
            Some(Level::Read) => &[Permission::Pull],
            None => &[],
        },
    }
}

/// The part of `asked` that `principal` has. A scope of which nothing is left is left out. Who asks to pull by an old
/// name, and may pull what had it, is given that by the name of now besides: nothing else tells an edge to follow.
pub fn granted(principal: &Principal, asked: &[Scope], known: Known<'_>) -> Vec<Scope> {
    asked
        .iter()
        .map(|scope| Scope { resource: scope.resource.clone(), actions: actions(principal, scope, known) })
        .filter(|scope| !scope.actions.is_empty())
        .flat_map(|scope| {
            let followed = followed(principal, &scope, known);
            std::iter::once(scope).chain(followed)
        })
        .collect()
}

fn followed(principal: &Principal, given: &Scope, known: Known<'_>) -> Option<Scope> {
    let Resource::Repository(name) = &given.resource else { return None };
    let moved = known.repository(name).moved?;
    let pulled =
        given.actions.contains(&Action::Pull) && by_name(principal, &moved).contains(&Permission::Pull);
    pulled.then(|| Scope { resource: Resource::Repository(moved.name), actions: [Action::Pull].into() })
}

fn actions(principal: &Principal, scope: &Scope, known: Known<'_>) -> BTreeSet<Action> {
    let (has, asked) = match &scope.resource {
        Resource::Catalog => (catalog_actions(principal), scope.actions.clone()),
        Resource::Repository(name) => {
            let permitted = permissions(principal, &known.repository(name));
            let has = permitted.into_iter().filter_map(Permission::action).collect();
            (has, spelled_out(&scope.actions))
        }
    };
    has.intersection(&asked).copied().collect()
}

fn catalog_actions(principal: &Principal) -> BTreeSet<Action> {
    if principal.is_administrator() && principal.is_let_everywhere(Permission::Pull) {
        BTreeSet::from([Action::All])
    } else {
        BTreeSet::new()
    }
}

// `*` on a repository asks for every action; tokens name each, so that what is missing can be named too.
fn spelled_out(asked: &BTreeSet<Action>) -> BTreeSet<Action> {
    if asked.contains(&Action::All) {
        BTreeSet::from([Action::Pull, Action::Push, Action::Delete])
    } else {
        asked.clone()
    }
}

#[cfg(test)]
mod tests;
