//! The one policy: subject × repository × action. Pure, so that every case can be tested.

use std::collections::BTreeSet;

use oci::{AccountName, Action, RepositoryName, Resource, Scope};
use proto::{auth::Subject, metadata::Visibility};

/// Who asks, once the password has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// Nobody in particular.
    Anonymous,
    /// A user.
    User(AccountName),
    /// A user who may do everything.
    Administrator(AccountName),
}

impl Principal {
    /// The subject of this principal's tokens.
    pub fn subject(&self) -> Subject {
        match self {
            Self::Anonymous => Subject::Anonymous,
            Self::User(name) | Self::Administrator(name) => Subject::User(name.clone()),
        }
    }
}

/// What is known of the repositories asked for; none: there is no such repository.
pub type Known = [(RepositoryName, Option<Visibility>)];

/// The part of `asked` that `principal` has. A scope of which nothing is left is left out.
pub fn granted(principal: &Principal, asked: &[Scope], known: &Known) -> Vec<Scope> {
    asked
        .iter()
        .map(|scope| Scope { resource: scope.resource.clone(), actions: actions(principal, scope, known) })
        .filter(|scope| !scope.actions.is_empty())
        .collect()
}

fn actions(principal: &Principal, scope: &Scope, known: &Known) -> BTreeSet<Action> {
    match &scope.resource {
        Resource::Catalog => catalog_actions(principal).intersection(&scope.actions).copied().collect(),
        Resource::Repository(name) => {
            let visibility =
                known.iter().find(|(other, _)| other == name).and_then(|(_, visibility)| *visibility);
            let has = repository_actions(principal, name, visibility);
            has.intersection(&spelled_out(&scope.actions)).copied().collect()
        }
    }
}

fn catalog_actions(principal: &Principal) -> BTreeSet<Action> {
    match principal {
        Principal::Administrator(_) => BTreeSet::from([Action::All]),
        Principal::Anonymous | Principal::User(_) => BTreeSet::new(),
    }
}

fn repository_actions(
    principal: &Principal,
    name: &RepositoryName,
    visibility: Option<Visibility>,
) -> BTreeSet<Action> {
    let owns = match principal {
        Principal::Administrator(_) => true,
        Principal::User(user) => user.to_string() == name.namespace().to_string(),
        Principal::Anonymous => false,
    };

    match (owns, visibility) {
        (true, _) => BTreeSet::from([Action::Pull, Action::Push, Action::Delete]),
        (false, Some(Visibility::Public)) => BTreeSet::from([Action::Pull]),
        (false, Some(Visibility::Private) | None) => BTreeSet::new(),
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
mod tests {
    use super::{Principal, granted};
    use oci::Scope;
    use proto::metadata::Visibility;

    const PUBLIC: Option<Visibility> = Some(Visibility::Public);
    const PRIVATE: Option<Visibility> = Some(Visibility::Private);

    fn decide(principal: &str, scope: &str, visibility: Option<Visibility>) -> String {
        let principal = match principal {
            "-" => Principal::Anonymous,
            "root" => Principal::Administrator("root".parse().unwrap()),
            name => Principal::User(name.parse().unwrap()),
        };
        let known = [("ann/app".parse().unwrap(), visibility)];
        let scopes = granted(&principal, &[Scope::parse(scope).unwrap()], &known);
        scopes.iter().map(Scope::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_subject_repository_and_action_is_decided_by_the_table() {
        let everything = "repository:ann/app:pull,push,delete,*";
        let all = "repository:ann/app:pull,push,delete";
        let pull = "repository:ann/app:pull";
        for (principal, visibility, expected) in [
            ("-", PUBLIC, pull),
            ("-", PRIVATE, ""),
            ("-", None, ""),
            ("bob", PUBLIC, pull),
            ("bob", PRIVATE, ""),
            ("bob", None, ""),
            ("ann", PUBLIC, all),
            ("ann", PRIVATE, all),
            ("ann", None, all),
            ("root", PUBLIC, all),
            ("root", PRIVATE, all),
            ("root", None, all),
        ] {
            let decided = decide(principal, everything, visibility);
            assert_eq!(decided, expected, "{principal} on {visibility:?}");
        }
    }

    #[test]
    fn only_what_was_asked_is_granted() {
        assert_eq!(decide("ann", "repository:ann/app:pull", PRIVATE), "repository:ann/app:pull");
        assert_eq!(decide("bob", "repository:ann/app:push", PUBLIC), "");
    }

    #[test]
    fn the_catalog_is_for_administrators() {
        assert_eq!(decide("root", "registry:catalog:*", None), "registry:catalog:*");
        assert_eq!(decide("ann", "registry:catalog:*", None), "");
        assert_eq!(decide("-", "registry:catalog:*", None), "");
    }

    #[test]
    fn a_name_that_begins_like_the_users_is_not_the_users() {
        let known = [("annex/app".parse().unwrap(), PRIVATE)];
        let asked = [Scope::parse("repository:annex/app:pull").unwrap()];
        assert_eq!(granted(&Principal::User("ann".parse().unwrap()), &asked, &known), []);
    }
}
