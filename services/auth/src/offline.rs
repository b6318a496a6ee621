//! Refresh tokens: what clients keep instead of a password. One may no more than what it was given for, and ends with
//! it; and it manages nothing, because clients only pull and push.

use std::net::IpAddr;

use jiff::Timestamp;
use oci::{AccountName, CredentialId};
use proto::metadata::{
    Actor, Via,
    credentials::{Holder, Limits, NewCredential, Permission},
};
use secrecy::SecretString;

use crate::{
    Parts,
    authenticate::Authenticated,
    policy::{Principal, Through},
    secret,
};

/// Who may come back without a password, and how far.
struct Kept<'a> {
    user: &'a AccountName,
    through: Option<CredentialId>,
    limits: Limits,
    expires: Option<Timestamp>,
}

impl Parts {
    /// A refresh token for whoever has logged in so. None, if there can be none: then the client keeps what it has
    /// shown, and no login fails for that.
    pub(crate) async fn refresh_token(
        &self,
        login: &Authenticated,
        address: Option<IpAddr>,
    ) -> Option<SecretString> {
        let Kept { user, through, limits, expires } = kept(login)?;
        // Not if the password that it is given for was changed meanwhile.
        let revision = through.is_none().then_some(login.facts.revision);
        let holder = Holder::Offline { user: user.clone(), through };
        let (secret, hash) = secret::made(&holder, self.random.as_ref());
        let id = self.ulids.next().parse().ok()?;
        let label = address.map_or_else(|| "logged in".to_owned(), |from| format!("logged in from {from}"));

        let new = NewCredential { id, hash, holder, label, limits, expires, trust: None, revision };
        let (subject, credential) = (login.principal.subject(), login.principal.credential().cloned());
        let actor = Actor { subject, via: Via::Registry, address, credential };
        match self.contracts.credentials.put_credential(&new, &actor).await {
            Ok(()) => Some(secret),
            Err(error) => {
                tracing::warn!(%error, %user, "a client gets no refresh token");
                None
            }
        }
    }
}

fn kept(login: &Authenticated) -> Option<Kept<'_>> {
    let Principal::User { name: user, through, .. } = &login.principal else {
        return None;
    };
    let (through, mut limits, expires) = match through {
        Through::Password => (None, Limits::none(), None),
        Through::AccessToken(id, limits) => {
            let shown = login.facts.credential.as_ref()?;
            // Whoever comes back keeps the refresh token that they have.
            if !matches!(shown.holder, Holder::User(_)) {
                return None;
            }
            (Some(id.clone()), limits.clone(), shown.expires)
        }
        Through::Session(_) => return None,
    };
    limits.actions.remove(&Permission::Manage);
    (!limits.actions.is_empty()).then_some(Kept { user, through, limits, expires })
}
