//! Secrets that are given out: sessions, access tokens and robots. Nobody gives away what they do not have.

use jiff::Timestamp;
use oci::{AccountName, CredentialId, RobotName};
use proto::{
    auth::{
        IdentityError,
        identities::{Asker, Deed, IssuedCredential, WantedCredential},
    },
    metadata::{
        AccountError, Actor,
        credentials::{
            Credential, CredentialOwner, Holder, LONGEST_LABEL, Limits, MAX_PATTERNS, NewCredential,
            Permission, Trust,
        },
    },
};

use super::{actor, refusal, shown};
use secrecy::SecretString;

use crate::{
    Parts,
    authenticate::{About, Authenticated, LoginError},
    policy::Principal,
    secret,
};

impl Parts {
    pub(super) async fn sign_in(
        &self,
        asker: &Asker,
        code: Option<&SecretString>,
    ) -> Result<IssuedCredential, IdentityError> {
        // Only a password signs in.
        let given = asker.credentials.as_ref();
        let given = given.filter(|given| secret::hash_of_secret(&given.password).is_none());
        let given = given.ok_or(IdentityError::WrongCredentials)?;
        let login = self.by_password_and_code(given, code, asker.address).await?;
        let Principal::User { name, .. } = &login.principal else {
            return Err(IdentityError::WrongCredentials);
        };

        self.begin_session(name, login.facts.revision, "", &actor(&login.principal, asker)).await
    }

    /// Signs in who has shown at that revision who they are; `by` is added to what the session is called.
    pub(crate) async fn begin_session(
        &self,
        name: &AccountName,
        revision: i64,
        by: &str,
        actor: &Actor,
    ) -> Result<IssuedCredential, IdentityError> {
        let until = self.clock.now().saturating_add(self.rules.session_lifetime);
        let from = actor.address.map(|address| format!(" from {address}")).unwrap_or_default();
        let session = Wanted {
            holder: Holder::Session(name.clone()),
            label: format!("signed in{by}{from}"),
            limits: Limits::none(),
            expires: Some(until.unwrap_or(Timestamp::MAX)),
            trust: None,
            // If the password changes meanwhile, it must not have begun a session.
            revision: Some(revision),
        };
        match self.keep(session.clone(), actor).await {
            Err(IdentityError::TooMany { .. }) => {
                self.end_oldest_session(name, actor).await?;
                self.keep(session, actor).await
            }
            other => other,
        }
    }

    // Who signs in everywhere and never out must not be kept from signing in.
    async fn end_oldest_session(&self, name: &AccountName, actor: &Actor) -> Result<(), IdentityError> {
        let (credentials, owner) = (&self.contracts.credentials, CredentialOwner::User(name.clone()));
        let kept = credentials.credentials(&owner).await.map_err(refusal)?;
        let session = Holder::Session(name.clone());
        let Some(oldest) = kept.into_iter().find(|kept| kept.holder == session) else {
            return Ok(());
        };
        match credentials.revoke_credential(&owner, &oldest.id, actor).await {
            // Gone already: there is room.
            Ok(()) | Err(AccountError::CredentialUnknown { .. }) => Ok(()),
            Err(error) => Err(refusal(error)),
        }
    }

    /// Makes a credential; with a trust, one whose secret nobody has.
    pub(crate) async fn issue(
        &self,
        asker: &Asker,
        wanted: &WantedCredential,
        trust: Option<Trust>,
    ) -> Result<IssuedCredential, IdentityError> {
        let namespaces = wanted.robot.iter().map(RobotName::namespace).collect();
        let about = About { repositories: Vec::new(), namespaces };
        let login = self.authenticate(shown(asker), about).await?;
        let holder = self.holder(&login, wanted.robot.as_ref())?;

        check(wanted, self.clock.now())?;
        check_not_more(wanted, &login)?;
        if let Some(trust) = &trust {
            self.federated.check_trust(trust).map_err(refused)?;
        }
        let wanted = Wanted {
            holder,
            label: wanted.label.clone(),
            limits: wanted.limits.clone(),
            expires: wanted.expires,
            trust,
            revision: None,
        };
        self.keep(wanted, &actor(&login.principal, asker)).await
    }

    /// For whom the credential will stand, if the asker may make one for them.
    fn holder(&self, login: &Authenticated, robot: Option<&RobotName>) -> Result<Holder, IdentityError> {
        if let Some(robot) = robot {
            self.authorized(login, &Deed::ManageNamespace(robot.namespace()))?;
            return Ok(Holder::Robot(robot.clone()));
        }
        let missing = "make an access token".to_owned();
        match &login.principal {
            Principal::Anonymous => Err(IdentityError::SignInNeeded { missing }),
            Principal::Robot { name, .. } => {
                Err(IdentityError::Forbidden { subject: name.to_string(), missing })
            }
            Principal::User { name, .. } => {
                self.authorized(login, &Deed::ManageAccount(name.clone()))?;
                Ok(Holder::User(name.clone()))
            }
        }
    }

    async fn keep(&self, wanted: Wanted, actor: &Actor) -> Result<IssuedCredential, IdentityError> {
        let Wanted { holder, label, limits, expires, trust, revision } = wanted;
        let (secret, hash) = secret::made(&holder, self.random.as_ref());
        let unnamed = || LoginError::Unavailable { attempted: "naming a credential" };
        let id: CredentialId = self.ulids.next().parse().map_err(|_| unnamed())?;
        // What workloads show leads to it, and nothing else: its own secret goes nowhere.
        let hash = match &trust {
            Some(_) => self.federated.workloads.derived(id.as_str()).map_err(|_| unnamed())?,
            None => hash,
        };

        let new = NewCredential { id, hash, holder, label, limits, expires, trust, revision };
        self.contracts.credentials.put_credential(&new, actor).await.map_err(refusal)?;
        tracing::info!(id = %new.id, "issued a credential");

        let NewCredential { id, holder, label, limits, expires, trust, .. } = new;
        let created = self.clock.now();
        let credential = Credential { id, holder, label, limits, created, expires, used: None, trust };
        Ok(IssuedCredential { secret, credential })
    }
}

/// A credential that may be made.
#[derive(Clone)]
struct Wanted {
    holder: Holder,
    label: String,
    limits: Limits,
    expires: Option<Timestamp>,
    trust: Option<Trust>,
    revision: Option<i64>,
}

fn refused(why: impl Into<String>) -> IdentityError {
    IdentityError::CredentialRefused { why: why.into() }
}

fn check(wanted: &WantedCredential, now: Timestamp) -> Result<(), IdentityError> {
    let WantedCredential { robot, label, limits, expires } = wanted;
    let length = label.chars().count();

    if !(1..=LONGEST_LABEL).contains(&length) || label.chars().any(char::is_control) {
        return Err(refused(format!("a label has 1 to {LONGEST_LABEL} characters in one line")));
    }
    if limits.repositories.len() > MAX_PATTERNS {
        return Err(refused(format!("it names more than {MAX_PATTERNS} repositories or beginnings")));
    }
    if limits.actions.is_empty() {
        return Err(refused("it would be good for nothing; say what it may be used for"));
    }
    if expires.is_some_and(|expires| expires <= now) {
        return Err(refused("it would have ended already"));
    }
    robot.as_ref().map_or(Ok(()), |robot| check_robot(robot, limits))
}

fn check_robot(robot: &RobotName, limits: &Limits) -> Result<(), IdentityError> {
    if limits.actions.contains(&Permission::Manage) {
        return Err(refused("robots manage nothing"));
    }
    let own = format!("{}/", robot.namespace());
    match limits.repositories.iter().find(|pattern| !pattern.as_str().starts_with(&own)) {
        None => Ok(()),
        Some(pattern) => Err(refused(format!("{} is not in {own}, where {robot} is", pattern.as_str()))),
    }
}

/// An access token makes none that may more or lives longer than itself. One for some repositories makes none at all:
/// the policy has said so already.
fn check_not_more(wanted: &WantedCredential, login: &Authenticated) -> Result<(), IdentityError> {
    let Some(own) = login.principal.limits() else {
        return Ok(());
    };
    if let Some(more) = wanted.limits.actions.iter().find(|action| !own.actions.contains(action)) {
        return Err(refused(format!("your own access token is not for {}", said(*more))));
    }
    let ends = login.facts.credential.as_ref().and_then(|credential| credential.expires);
    match (ends, wanted.expires) {
        (None, _) => Ok(()),
        (Some(ends), Some(wanted)) if wanted <= ends => Ok(()),
        (Some(_), _) => Err(refused("it would live longer than your own access token")),
    }
}

fn said(permission: Permission) -> &'static str {
    match permission {
        Permission::Pull => "pulling",
        Permission::Push => "pushing",
        Permission::Delete => "deleting",
        Permission::Manage => "managing",
    }
}
