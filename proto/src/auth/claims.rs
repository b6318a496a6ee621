//! What a token says (distribution `docs/content/spec/auth/jwt.md`): written by auth, read by every edge.

use oci::{Action, CredentialId, Resource, Scope};
use serde::{Deserialize, Serialize};

/// The claims of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who signed it.
    pub iss: String,
    /// The name of the user or robot; empty for anonymous.
    pub sub: String,
    /// The registry it is for.
    pub aud: String,
    /// Not valid from here on, seconds since the epoch.
    pub exp: i64,
    /// Not valid before, seconds since the epoch.
    pub nbf: i64,
    /// When it was signed, seconds since the epoch.
    pub iat: i64,
    /// Its own name.
    pub jti: String,
    /// What it allows.
    pub access: Vec<AccessEntry>,
    /// Ours: the credential that it was given for. None: a password, or nobody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cid: Option<CredentialId>,
}

/// One resource and what may be done to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessEntry {
    /// `repository` or `registry`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The repository, or `catalog`.
    pub name: String,
    /// `pull`, `push`, `delete`, `*`.
    pub actions: Vec<String>,
}

impl AccessEntry {
    /// The claim that says `scope`.
    pub fn of(scope: &Scope) -> Self {
        let (kind, name) = match &scope.resource {
            Resource::Repository(name) => ("repository", name.to_string()),
            Resource::Catalog => ("registry", "catalog".to_owned()),
        };
        let actions = scope.actions.iter().map(Action::to_string).collect();
        Self { kind: kind.to_owned(), name, actions }
    }

    /// The scope that the claim says; none if it is of a kind that we do not know.
    pub fn scope(&self) -> Option<Scope> {
        Scope::parse(&format!("{}:{}:{}", self.kind, self.name, self.actions.join(","))).ok()
    }
}
