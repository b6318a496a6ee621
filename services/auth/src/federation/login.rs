//! Signing in by a provider, and linking an identity to a user who has signed in.

use std::net::IpAddr;

use oci::{AccountName, CredentialId};
use proto::{
    auth::{
        IdentityError, Subject,
        federation::{BegunFlow, FinishedFlow, FlowOutcome, FlowPurpose, ReturnedFlow, WantedFlow},
        identities::{Asker, IssuedCredential},
    },
    metadata::{
        AccountError, Actor, Standing, Via,
        accounts::{AccessQuestion, Account, FactsOf, NO_PASSWORD, Role},
        credentials::CredentialOwner,
        federation::NewIdentity,
    },
};
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    flow::{Flow, LIFETIME, Linking, Lost},
    names::account_name,
    provider::KnownProvider,
    token::Believed,
};
use crate::{
    Parts,
    authenticate::{About, LoginError, silent},
    config::ProviderSignUp,
    identities::{refusal, shown},
    policy::{Principal, Through},
    throttle::{Network, Try, Who},
};

impl Parts {
    pub(super) async fn begin_flow(
        &self,
        asker: &Asker,
        wanted: &WantedFlow,
    ) -> Result<BegunFlow, IdentityError> {
        let provider = self.federated.provider(&wanted.provider)?;
        let link = match wanted.purpose {
            FlowPurpose::SignIn => None,
            FlowPurpose::Link => Some(self.linking(asker, wanted.password.as_ref()).await?),
        };

        let (now, random) = (self.clock.now(), self.random.as_ref());
        let to = (wanted.redirect_uri.clone(), wanted.return_to.clone());
        let flow = Flow::begun(wanted.provider.clone(), link, to, (now, random));
        let url = provider.authorization(&flow, &self.means()).await?;
        let sealed = flow.sealed(&self.federated.flows, random);
        let sealed = sealed.ok_or(LoginError::Unavailable { attempted: "sealing a sign-in" })?;
        Ok(BegunFlow { url, sealed: SecretString::from(sealed), lifetime: LIFETIME })
    }

    // An identity is a way in that stays: it is as good as a password, no access token gives more than itself, and
    // whoever finds a session does not keep the account by it.
    async fn linking(
        &self,
        asker: &Asker,
        password: Option<&SecretString>,
    ) -> Result<Linking, IdentityError> {
        let login = self.authenticate(shown(asker), About::default()).await?;
        let kept = login.facts.account.as_ref().map(|account| account.password_hash.expose_secret());
        if login.principal.is_in_session() && kept.is_some_and(|kept| kept != NO_PASSWORD) {
            let password = password.ok_or(IdentityError::WrongCredentials)?;
            self.confirm_password(asker, &login, password).await?;
        }
        match login.principal {
            Principal::User { name, through: Through::Session(session), .. } => {
                Ok(Linking { user: name, session })
            }
            Principal::Anonymous => {
                Err(IdentityError::SignInNeeded { missing: "link an identity".to_owned() })
            }
            other => {
                let missing = "link an identity without a session; begin one at /api/v1/sessions".to_owned();
                Err(IdentityError::Forbidden { subject: other.subject().to_string(), missing })
            }
        }
    }

    pub(super) async fn finish_flow(&self, returned: &ReturnedFlow) -> Result<FinishedFlow, IdentityError> {
        let provider = self.federated.provider(&returned.provider)?;
        let this = Try { who: Who::Newcomer, from: returned.address.map(Network::from) };
        self.throttle.look(&this, self.clock.now()).map_err(LoginError::from)?;

        let finished = self.finished(provider, returned).await;
        if matches!(finished, Err(IdentityError::FlowInvalid { .. } | IdentityError::ProviderRefused { .. }))
        {
            self.throttle.wrong(&this, self.clock.now());
        }
        finished
    }

    async fn finished(
        &self,
        provider: &KnownProvider,
        returned: &ReturnedFlow,
    ) -> Result<FinishedFlow, IdentityError> {
        let (sealed, at) = (returned.sealed.expose_secret(), (&returned.provider, returned.state.as_str()));
        let flow = Flow::resumed(&self.federated.flows, sealed, at, self.clock.now()).map_err(lost)?;
        let ours = provider.config.issuer.as_str();
        if returned.issuer.as_ref().is_some_and(|issuer| issuer != ours) {
            return Err(lost(Lost::Strange));
        }
        let code = returned.answer.as_ref().map_err(|error| provider.refused(error))?;

        let claims = provider.claims(code, &flow, &self.means()).await?;
        let identity = provider.identity(&claims)?;
        let outcome = if let Some(linking) = &flow.link {
            self.link(linking, &identity, returned.address).await?;
            FlowOutcome::Linked(linking.user.clone())
        } else {
            let (user, issued) = self.sign_in_by(provider, &claims, &identity, returned.address).await?;
            FlowOutcome::SignedIn(user, Box::new(issued))
        };
        Ok(FinishedFlow { return_to: flow.return_to, outcome })
    }

    async fn sign_in_by(
        &self,
        provider: &KnownProvider,
        claims: &Believed,
        identity: &NewIdentity,
        address: Option<IpAddr>,
    ) -> Result<(AccountName, IssuedCredential), IdentityError> {
        let found = self.contracts.federation.identity_user(&identity.identity.id()).await;
        let user = match found.map_err(refusal)? {
            Some(user) => user,
            None => self.new_user(provider, claims, identity, address).await?,
        };
        let revision = self.revision_if_active(&user, "sign in").await?;

        let by = format!(" by {}", provider.config.name);
        let issued = self.begin_session(&user, revision, &by, &acting(&user, address, None)).await?;
        Ok((user, issued))
    }

    /// Makes a user for an identity that nobody has. A name that somebody has stays theirs.
    async fn new_user(
        &self,
        provider: &KnownProvider,
        claims: &Believed,
        identity: &NewIdentity,
        address: Option<IpAddr>,
    ) -> Result<AccountName, IdentityError> {
        let config = &provider.config;
        let needed = |why: String| IdentityError::LinkNeeded { provider: config.name.clone(), why };
        if config.sign_up == ProviderSignUp::LinkOnly {
            return Err(needed("no accounts are made by it".to_owned()));
        }
        let claim = claims.text(&config.username_claim).unwrap_or_default();
        let name = account_name(claim)
            .ok_or_else(|| needed("it says no name that an account can have".to_owned()))?;

        let account = Account {
            name: name.clone(),
            password_hash: NO_PASSWORD.into(),
            role: Role::User,
            standing: Standing::Active,
        };
        let federation = &self.contracts.federation;
        match federation.create_federated_account(&account, identity, &acting(&name, address, None)).await {
            Ok(()) => {
                tracing::info!(%name, provider = %config.name, "made an account by a provider");
                Ok(name)
            }
            Err(AccountError::NameTaken { .. } | AccountError::NameReserved { .. }) => {
                Err(needed(format!("the name {name} is taken")))
            }
            // Another sign-in was faster, or the answer to this one's first try was lost.
            Err(AccountError::IdentityTaken) => {
                let found = federation.identity_user(&identity.identity.id()).await.map_err(refusal)?;
                found.ok_or(IdentityError::IdentityTaken)
            }
            Err(error) => Err(refusal(error)),
        }
    }

    async fn link(
        &self,
        linking: &Linking,
        identity: &NewIdentity,
        address: Option<IpAddr>,
    ) -> Result<(), IdentityError> {
        let Linking { user, session } = linking;
        self.revision_if_active(user, "link an identity").await?;
        let owner = CredentialOwner::User(user.clone());
        let kept = self.contracts.credentials.credentials(&owner).await.map_err(refusal)?;
        let now = self.clock.now();
        if !kept.iter().any(|kept| kept.id == *session && kept.is_good(now)) {
            return Err(IdentityError::FlowInvalid { why: "the session that began it has ended".into() });
        }

        let federation = &self.contracts.federation;
        let actor = acting(user, address, Some(session.clone()));
        federation.link_identity(user, identity, &actor).await.map_err(refusal)
    }

    /// A disabled user stays out, whatever a provider says; a session that begins at this revision does not outlive what
    /// takes it away meanwhile.
    async fn revision_if_active(&self, user: &AccountName, deed: &str) -> Result<i64, IdentityError> {
        let asker = FactsOf::User(user.clone());
        let question = AccessQuestion { asker, repositories: Vec::new(), namespaces: Vec::new() };
        let facts = self.contracts.accounts.access_facts(&question).await.map_err(|error| silent(&error))?;
        match facts.account {
            Some(account) if account.standing == Standing::Active => Ok(facts.revision),
            _ => Err(IdentityError::Forbidden { subject: user.to_string(), missing: deed.to_owned() }),
        }
    }
}

fn lost(lost: Lost) -> IdentityError {
    IdentityError::FlowInvalid { why: lost.why().into() }
}

fn acting(user: &AccountName, address: Option<IpAddr>, credential: Option<CredentialId>) -> Actor {
    Actor { subject: Subject::User(user.clone()), via: Via::Api, address, credential }
}
