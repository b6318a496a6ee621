//! Who calls: one of the hub's own services, or a service account that somebody else's program has. What the program
//! may is in its roles; under whose name it writes is not its choice.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// Characters of a name or a role, at most.
const LONGEST: usize = 64;

tokio::task_local! {
    static CURRENT: Caller;
}

/// The name of a service account: `a` to `z`, digits, `-`, `_` and `.`, 64 at most, a letter or digit first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServiceName(String);

/// What a service account may: the name of one role, such as `metadata.read`, or `*` for all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Role(String);

/// Why a text is neither a name nor a role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no {1}")]
pub struct CallerError(String, &'static str);

impl ServiceName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ServiceName {
    type Err = CallerError;

    fn from_str(text: &str) -> Result<Self, CallerError> {
        let one = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let good = text.len() <= LONGEST
            && text.bytes().next().is_some_and(one)
            && text.bytes().all(|byte| one(byte) || matches!(byte, b'-' | b'_' | b'.'));
        if good { Ok(Self(text.to_owned())) } else { Err(bad(text, "name of a service account")) }
    }
}

impl Role {
    /// All that there is and will be.
    pub const ALL: &'static str = "*";

    /// Whether it is, or includes, the one that is needed.
    pub fn covers(&self, needed: &str) -> bool {
        self.0 == Self::ALL || self.0 == needed
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Role {
    type Err = CallerError;

    fn from_str(text: &str) -> Result<Self, CallerError> {
        let word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
        let good = text == Self::ALL || (text.len() <= LONGEST && text.split('.').all(word));
        if good { Ok(Self(text.to_owned())) } else { Err(bad(text, "role")) }
    }
}

fn bad(text: &str, what: &'static str) -> CallerError {
    CallerError(text.chars().take(LONGEST).collect(), what)
}

/// Texts that are checked when they are read.
macro_rules! checked {
    ($($name:ident),+) => {
        $(
            impl TryFrom<String> for $name {
                type Error = CallerError;

                fn try_from(text: String) -> Result<Self, CallerError> {
                    text.parse()
                }
            }

            impl From<$name> for String {
                fn from(checked: $name) -> Self {
                    checked.0
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(&self.0)
                }
            }
        )+
    };
}

checked!(ServiceName, Role);

/// A program that is not the hub's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccount {
    /// Under which its writes are recorded.
    pub name: ServiceName,
    /// What it may.
    pub roles: Vec<Role>,
}

/// Who calls.
#[derive(Debug, Clone)]
pub(super) enum Caller {
    /// One of the hub's own services, which may do everything, on behalf of whom it says.
    Hub,
    /// Another program, which may what its roles say, on its own behalf.
    Account(Arc<ServiceAccount>),
}

impl Caller {
    /// Who it is, in a log.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Hub => "hub",
            Self::Account(account) => account.name.as_str(),
        }
    }

    /// Does `work` for this caller.
    pub(super) async fn scope<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }
}

/// The service account for whose call this task works; none: the hub's own, or no call at all.
pub fn calling_account() -> Option<ServiceName> {
    let name = CURRENT.try_with(|caller| match caller {
        Caller::Hub => None,
        Caller::Account(account) => Some(account.name.clone()),
    });
    name.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::{Role, ServiceName};

    #[test]
    fn names_and_roles_are_checked() {
        for good in ["team-x", "a", "0.9_b", &"a".repeat(64)] {
            assert_eq!(good.parse::<ServiceName>().unwrap().as_str(), good);
        }
        for bad in ["", "-a", "A", "a b", "a/b", "a:b", "a+b", &"a".repeat(65)] {
            assert!(bad.parse::<ServiceName>().is_err(), "{bad}");
        }
        for good in ["*", "metadata.read", "reclaim"] {
            assert_eq!(good.parse::<Role>().unwrap().as_str(), good);
        }
        for bad in ["", "**", "metadata.", "metadata.*", "Metadata", "a b", &"a".repeat(65)] {
            assert!(bad.parse::<Role>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_role_covers_itself_and_the_star_all() {
        let role = |text: &str| text.parse::<Role>().unwrap();
        assert!(role("metadata.read").covers("metadata.read"));
        assert!(!role("metadata.read").covers("metadata.write"));
        assert!(!role("metadata").covers("metadata.read"));
        assert!(role("*").covers("anything.at.all"));
    }
}
