//! From the text of a token to what it says (distribution `docs/content/spec/auth/jwt.md`): the signature, and
//! nothing that depends on the time. By a key that auth has published, in the one way that is this key's.

use oci::{Action, CredentialId, Resource, Scope};
use proto::{
    auth::{AccessEntry, Claims, KeyId, PublicKey, Subject},
    metadata::credentials::Revoked,
};
use service_kit::jose;

/// A token whose signature is right.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) subject: Subject,
    /// What it was given for; none: a password, or nobody's.
    pub(crate) credential: Option<CredentialId>,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) key: KeyId,
    pub(crate) issuer: String,
    pub(crate) audience: String,
    /// What ends it before its time, once it is revoked.
    pub(crate) revocable: Vec<Revoked>,
    /// Seconds since the epoch.
    pub(crate) issued: i64,
    /// Seconds since the epoch.
    pub(crate) not_before: i64,
    /// Seconds since the epoch; not valid from here on.
    pub(crate) expires: i64,
}

/// The key that signed `text`, if it says so and was signed in a way that counts.
pub(crate) fn named_key(text: &str) -> Option<KeyId> {
    jose::named_key(text).map(KeyId)
}

/// What `text` says, if `key` has signed it. Times, issuer and audience are checked at each use, by the clock that was
/// handed in.
pub(crate) fn verified(text: &str, id: KeyId, key: &PublicKey) -> Option<Token> {
    let claims: Claims = key.verified(text)?;
    let subject: Subject = claims.sub.parse().ok()?;
    let scopes: Vec<Scope> = claims.access.iter().filter_map(AccessEntry::scope).collect();
    Some(Token {
        revocable: revocable(&subject, claims.cid.clone(), &scopes),
        subject,
        credential: claims.cid,
        scopes,
        key: id,
        issuer: claims.iss,
        audience: claims.aud,
        issued: claims.iat,
        not_before: claims.nbf,
        expires: claims.exp,
    })
}

/// Nobody in particular has nothing that could be taken away but what everybody may.
fn revocable(subject: &Subject, credential: Option<CredentialId>, scopes: &[Scope]) -> Vec<Revoked> {
    let subject = (*subject != Subject::Anonymous).then(|| Revoked::Subject(subject.clone()));
    let repositories = scopes.iter().filter_map(|scope| match &scope.resource {
        Resource::Repository(name) => Some(Revoked::Repository(name.clone())),
        Resource::Catalog => None,
    });
    subject.into_iter().chain(credential.map(Revoked::Credential)).chain(repositories).collect()
}

impl Token {
    /// Whether it allows all of `scope`.
    pub(crate) fn allows_all(&self, scope: &Scope) -> bool {
        scope.actions.iter().all(|action| self.allows(&scope.resource, *action))
    }

    /// Whether it allows `action` on `resource`.
    pub(crate) fn allows(&self, resource: &Resource, action: Action) -> bool {
        self.scopes.iter().any(|scope| scope.resource == *resource && scope.allows(action))
    }
}
