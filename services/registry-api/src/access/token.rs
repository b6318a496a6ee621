//! From the text of a token to what it says (distribution `docs/content/spec/auth/jwt.md`): the signature, and
//! nothing that depends on the time. Only `EdDSA`, by a key that auth has published.

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use oci::{Action, CredentialId, Resource, Scope};
use proto::{
    auth::{AccessEntry, Claims, KeyId, Subject},
    metadata::credentials::Revoked,
};

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

/// The key that signed `text`, if it says so and was signed in the one way that counts.
pub(crate) fn named_key(text: &str) -> Option<KeyId> {
    let header = jsonwebtoken::decode_header(text).ok()?;
    if header.alg == Algorithm::EdDSA { header.kid.map(KeyId) } else { None }
}

/// What `text` says, if `key` has signed it.
pub(crate) fn verified(text: &str, id: KeyId, key: &DecodingKey) -> Option<Token> {
    let claims = jsonwebtoken::decode::<Claims>(text, key, &signature_only()).ok()?.claims;
    let subject: Subject = claims.sub.parse().ok()?;
    Some(Token {
        revocable: revocable(&subject, claims.cid.clone()),
        subject,
        credential: claims.cid,
        scopes: claims.access.iter().filter_map(AccessEntry::scope).collect(),
        key: id,
        issuer: claims.iss,
        audience: claims.aud,
        issued: claims.iat,
        not_before: claims.nbf,
        expires: claims.exp,
    })
}

/// Nobody in particular has nothing that could be taken away.
fn revocable(subject: &Subject, credential: Option<CredentialId>) -> Vec<Revoked> {
    let subject = (*subject != Subject::Anonymous).then(|| Revoked::Subject(subject.clone()));
    subject.into_iter().chain(credential.map(Revoked::Credential)).collect()
}

// Times, issuer and audience are checked at each use, by the clock that was handed in.
fn signature_only() -> Validation {
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
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
