//! Names of repositories, and of the users and organizations that own them (distribution-spec, Pulling
//! manifests; `ubuntu` is `library/ubuntu`).

use std::{fmt, str::FromStr, sync::Arc};

use crate::text::{checked_text, serde_as_text};

/// Host, `/` and name together have 255 characters at most; this leaves a host its share.
const LONGEST_NAME: usize = 200;
const LONGEST_ACCOUNT: usize = 64;
const DEFAULT_NAMESPACE: &str = "library";

/// Names that no user and no organization can have: they are paths of ours, or would look like the hub speaking.
const RESERVED: [&str; 18] = [
    "_catalog",
    "admin-api",
    "api",
    "assets",
    "images",
    "job",
    "jobs",
    "library",
    "login",
    "orgs",
    "repos",
    "repositories",
    "sign-in",
    "templates",
    "token",
    "users",
    "v1",
    "v2",
];

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// There is nothing.
    #[error("the name is empty")]
    Empty,
    /// It is longer than a name may be.
    #[error("the name has {found} characters; {limit} are allowed")]
    TooLong {
        /// Characters it has.
        found: usize,
        /// Characters it may have.
        limit: usize,
    },
    /// A part between slashes does not follow the grammar.
    #[error(
        "{0:?} is not allowed in a name: use lower-case letters and digits, separated by one '.', one or two '_', or '-'"
    )]
    BadComponent(String),
    /// The name of a user or organization has no slash.
    #[error("the name of a user or organization has no slash")]
    Slash,
}

/// `namespace/repository`, where the repository may have slashes of its own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryName(Arc<str>);

impl RepositoryName {
    /// The user or organization that owns it: what comes before the first slash.
    pub fn namespace(&self) -> Namespace {
        Namespace(self.parts().0.into())
    }

    /// What comes after the first slash.
    pub fn repository(&self) -> &str {
        self.parts().1
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parts(&self) -> (&str, &str) {
        self.0.split_once('/').unwrap_or((&self.0, ""))
    }
}

impl FromStr for RepositoryName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        check_length(text, LONGEST_NAME)?;
        text.split('/').try_for_each(check_component)?;
        if text.contains('/') {
            return Ok(Self(text.into()));
        }

        // The limit is on the whole name, so that what is printed can be read again.
        let whole = format!("{DEFAULT_NAMESPACE}/{text}");
        check_length(&whole, LONGEST_NAME)?;
        Ok(Self(whole.into()))
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

serde_as_text!(RepositoryName);

checked_text! {
    /// The name of a user or an organization, as the first part of a repository's name.
    Namespace
}

impl Namespace {
    /// Where repositories with a name of one part are.
    pub fn library() -> Self {
        Self(DEFAULT_NAMESPACE.into())
    }

    /// Whether nobody can have it.
    pub fn is_reserved(&self) -> bool {
        RESERVED.contains(&self.as_str())
    }
}

impl FromStr for Namespace {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        check_length(text, LONGEST_NAME)?;
        check_single(text)?;
        Ok(Self(text.into()))
    }
}

checked_text! {
    /// What repositories are under: the first parts of their names, each whole.
    NamespacePath
}

impl NamespacePath {
    /// The path that is the name of a repository.
    pub fn of(name: &RepositoryName) -> Self {
        Self(Arc::clone(&name.0))
    }

    /// Whether `name` is this or is under it.
    pub fn covers(&self, name: &RepositoryName) -> bool {
        let rest = name.as_str().strip_prefix(self.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The repository that is called this. None has a name of one part.
    pub fn repository(&self) -> Option<RepositoryName> {
        self.0.contains('/').then(|| RepositoryName(Arc::clone(&self.0)))
    }
}

impl FromStr for NamespacePath {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        check_length(text, LONGEST_NAME)?;
        text.split('/').try_for_each(check_component)?;
        Ok(Self(text.into()))
    }
}

checked_text! {
    /// The name of a user: 1 to 64 characters that are good for a namespace too.
    AccountName
}

impl AccountName {
    /// What the first administrator is called, unless it is configured otherwise.
    pub fn administrator() -> Self {
        Self("admin".into())
    }

    /// The namespace of its own repositories.
    pub fn namespace(&self) -> Namespace {
        Namespace(Arc::clone(&self.0))
    }
}

impl FromStr for AccountName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        check_length(text, LONGEST_ACCOUNT)?;
        check_single(text)?;
        Ok(Self(text.into()))
    }
}

checked_text! {
    /// The name of a team within an organization: as that of a user.
    TeamName
}

impl FromStr for TeamName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        check_length(text, LONGEST_ACCOUNT)?;
        check_single(text)?;
        Ok(Self(text.into()))
    }
}

checked_text! {
    /// The name of a robot: the namespace that it belongs to, `+`, and what it is called there. No user can have it.
    RobotName
}

impl RobotName {
    /// What separates the two parts.
    pub const SEPARATOR: char = '+';

    /// The robot of `namespace` that is called `label`.
    ///
    /// # Errors
    /// The label is no name, or the whole is too long.
    pub fn new(namespace: &Namespace, label: &str) -> Result<Self, NameError> {
        format!("{namespace}{}{label}", Self::SEPARATOR).parse()
    }

    /// To whom it belongs.
    pub fn namespace(&self) -> Namespace {
        Namespace(self.parts().0.into())
    }

    /// What it is called there.
    pub fn label(&self) -> &str {
        self.parts().1
    }

    fn parts(&self) -> (&str, &str) {
        self.0.split_once(Self::SEPARATOR).unwrap_or((&self.0, ""))
    }
}

impl FromStr for RobotName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (namespace, label) = text
            .split_once(Self::SEPARATOR)
            .ok_or_else(|| NameError::BadComponent(text.chars().take(64).collect()))?;
        let _checked: Namespace = namespace.parse()?;
        check_length(label, LONGEST_ACCOUNT)?;
        check_single(label)?;
        Ok(Self(text.into()))
    }
}

fn check_length(text: &str, limit: usize) -> Result<(), NameError> {
    let found = text.len();
    match found {
        0 => Err(NameError::Empty),
        _ if found > limit => Err(NameError::TooLong { found, limit }),
        _ => Ok(()),
    }
}

fn check_single(text: &str) -> Result<(), NameError> {
    if text.contains('/') { Err(NameError::Slash) } else { check_component(text) }
}

// [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*
fn check_component(component: &str) -> Result<(), NameError> {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bad = || NameError::BadComponent(component.chars().take(64).collect());

    let ends = (component.bytes().next(), component.bytes().last());
    let (Some(first), Some(last)) = ends else {
        return Err(bad());
    };
    if !alphanumeric(first) || !alphanumeric(last) {
        return Err(bad());
    }

    // Each stretch of separators comes as one piece, and nothing from between two alphanumerics.
    let mut separators = component.split(|character: char| u8::try_from(character).is_ok_and(alphanumeric));
    let good = |text: &str| matches!(text, "" | "." | "_" | "__") || text.bytes().all(|byte| byte == b'-');
    if separators.all(good) { Ok(()) } else { Err(bad()) }
}
