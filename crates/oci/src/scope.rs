//! What a token allows (distribution `docs/content/spec/auth/scope.md`).

use std::{collections::BTreeSet, fmt, str::FromStr};

use crate::RepositoryName;

/// A resource and what may be done to it. Written `repository:<name>:pull,push`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope {
    /// On what.
    pub resource: Resource,
    /// What.
    pub actions: BTreeSet<Action>,
}

/// What a scope is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// A repository.
    Repository(RepositoryName),
    /// The list of all repositories: `registry:catalog`.
    Catalog,
}

/// What is done to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Read.
    Pull,
    /// Write.
    Push,
    /// Remove.
    Delete,
    /// Everything.
    All,
}

/// Why a text is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a scope of the form repository:<name>:<actions> or registry:catalog:*")]
pub struct ScopeError(String);

impl Scope {
    /// Reads one scope. Actions that are not known are left out.
    ///
    /// # Errors
    /// It is none, or of a type that is not known.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        let bad = || ScopeError(text.chars().take(128).collect());
        // A name may contain a colon of its own, before a port.
        let (kind, rest) = text.split_once(':').ok_or_else(bad)?;
        let (name, actions) = rest.rsplit_once(':').ok_or_else(bad)?;

        let resource = match (kind, name) {
            ("repository" | "repository(plugin)", name) => {
                Resource::Repository(name.parse().map_err(|_| bad())?)
            }
            ("registry", "catalog") => Resource::Catalog,
            _ => return Err(bad()),
        };
        let actions = actions.split(',').filter_map(|action| action.parse().ok()).collect();
        Ok(Self { resource, actions })
    }

    /// Reads a list separated by spaces. What is no scope of ours is left out: who asks for it gets less.
    pub fn parse_list(text: &str) -> Vec<Self> {
        text.split_whitespace().filter_map(|scope| Self::parse(scope).ok()).collect()
    }

    /// What both allow; none if they are about different resources or have no action in common.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        if self.resource != other.resource {
            return None;
        }
        let both = |action: &Action| self.allows(*action) && other.allows(*action);
        let actions: BTreeSet<Action> = self.actions.union(&other.actions).copied().filter(both).collect();
        let resource = self.resource.clone();
        (!actions.is_empty()).then_some(Self { resource, actions })
    }

    /// Whether it allows `action`.
    pub fn allows(&self, action: Action) -> bool {
        self.actions.contains(&action) || self.actions.contains(&Action::All)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.resource {
            Resource::Repository(name) => write!(f, "repository:{name}:")?,
            Resource::Catalog => f.write_str("registry:catalog:")?,
        }
        for (index, action) in self.actions.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(f, "{separator}{action}")?;
        }
        Ok(())
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        Self::parse(text)
    }
}

/// The action is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an action: use pull, push, delete or *")]
pub struct ActionError;

impl FromStr for Action {
    type Err = ActionError;

    fn from_str(text: &str) -> Result<Self, ActionError> {
        match text {
            "pull" => Ok(Self::Pull),
            "push" => Ok(Self::Push),
            "delete" => Ok(Self::Delete),
            "*" => Ok(Self::All),
            _ => Err(ActionError),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
            Self::All => "*",
        })
    }
}
