//! Who asks: a password or a secret is checked here and nowhere else, for tokens and for all that people do. No such
//! user, a wrong password and a disabled account take the same work and get the same answer.

use std::net::IpAddr;

use jiff::Timestamp;
use oci::{AccountName, Namespace, RepositoryName};
use proto::{
    auth::{AuthError, Credentials, IdentityError},
    metadata::{
        AccountError, Standing,
        accounts::{AccessFacts, AccessQuestion, Account, FactsOf},
        credentials::{Credential, Holder, SecretHash},
        proofs::{Code, SecondFactor},
    },
};
use secrecy::SecretString;

use crate::{
    Parts,
    errands::Errand,
    password::Checked,
    policy::{Known, Principal, Through},
    second_factor, secret,
    throttle::{Begun, BegunCode, Network, Try, Wait, Who},
};

/// What somebody has shown, and from where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown<'a> {
    /// None: nothing, so that they are nobody in particular.
    pub(crate) credentials: Option<&'a Credentials>,
    pub(crate) address: Option<IpAddr>,
}

/// What is to be known besides who asks.
#[derive(Debug, Clone, Default)]
pub(crate) struct About {
    pub(crate) repositories: Vec<RepositoryName>,
    pub(crate) namespaces: Vec<Namespace>,
}

/// Who asks, and what was to be known.
#[derive(Debug)]
pub(crate) struct Authenticated {
    pub(crate) principal: Principal,
    pub(crate) facts: AccessFacts,
}

impl Authenticated {
    pub(crate) fn known(&self) -> Known<'_> {
        Known { repositories: &self.facts.repositories, namespaces: &self.facts.namespaces }
    }
}

/// Why nobody knows who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LoginError {
    Wrong,
    /// The password is right, and a code must come with it.
    SecondFactorNeeded,
    /// The password is right, and not enough where no code can come with it.
    AccessTokenNeeded,
    WrongCode,
    Throttled {
        retry_after_seconds: u32,
    },
    Overloaded {
        retry_after_seconds: u32,
    },
    Unavailable {
        attempted: &'static str,
    },
}

impl From<Wait> for LoginError {
    fn from(wait: Wait) -> Self {
        Self::Throttled { retry_after_seconds: wait.seconds() }
    }
}

impl Parts {
    /// Finds out who asks, and what the decision depends on, in one call of metadata.
    pub(crate) async fn authenticate(
        &self,
        shown: Shown<'_>,
        about: About,
    ) -> Result<Authenticated, LoginError> {
        let Some(given) = shown.credentials else {
            let facts = self.facts(FactsOf::Anonymous, about).await?;
            return Ok(Authenticated { principal: Principal::Anonymous, facts });
        };
        match secret::hash_of_secret(&given.password) {
            Some(hash) => {
                // What is none (any more) is a secret that nobody has.
                let trust = secret::trust_of(&self.federated.workloads, &given.password, self.clock.now());
                self.by_secret(&given.username, trust.unwrap_or(hash), shown.address, about).await
            }
            None => self.by_password(given, shown.address, about).await,
        }
    }

    /// Who has a second factor does not get far with a password alone.
    async fn by_password(
        &self,
        given: &Credentials,
        address: Option<IpAddr>,
        about: About,
    ) -> Result<Authenticated, LoginError> {
        let this = try_of(&given.username, address);
        let (login, begun) = self.with_password(&this, given, about).await?;
        if login.facts.second_factor.is_some() {
            // Whoever knows the password may know so; but nobody is known here by that.
            begun.void();
            return Err(LoginError::AccessTokenNeeded);
        }
        begun.right(self.clock.now());
        Ok(login)
    }

    /// The same for who can send a code besides. One that nobody needs is passed over.
    pub(crate) async fn by_password_and_code(
        &self,
        given: &Credentials,
        code: Option<&SecretString>,
        address: Option<IpAddr>,
    ) -> Result<Authenticated, LoginError> {
        let this = try_of(&given.username, address);
        let (login, begun) = self.with_password(&this, given, About::default()).await?;
        match (&login.facts.account, &login.facts.second_factor, code) {
            (Some(account), Some(factor), Some(code)) => {
                self.proven(&account.name, factor, code, begun).await?;
            }
            (_, Some(_), None) => {
                begun.void();
                return Err(LoginError::SecondFactorNeeded);
            }
            _ => begun.right(self.clock.now()),
        }
        Ok(login)
    }

    /// Who has that name and password. The try is not over: dropped, it has been a wrong one. A name that cannot be one
    /// is asked for as nobody; a right password of a disabled account is a wrong one.
    async fn with_password<'a>(
        &'a self,
        this: &'a Try,
        given: &Credentials,
        about: About,
    ) -> Result<(Authenticated, Begun<'a>), LoginError> {
        self.throttle.look(this, self.clock.now())?;
        let name: Option<AccountName> = given.username.parse().ok();
        let facts = self.facts(name.map_or(FactsOf::Anonymous, FactsOf::User), about).await?;

        let (checked, begun) = self.compare(this, &given.password, facts.account.as_ref()).await?;
        let principal = match (&facts.account, checked) {
            (Some(account), Checked::Right) => {
                self.renew(account, &given.password);
                user(account, Through::Password)
            }
            _ => return Err(LoginError::Wrong),
        };
        Ok((Authenticated { principal, facts }, begun))
    }

    /// Compares a password, unless too many wrong ones were tried. The try is not over.
    pub(crate) async fn compare<'a>(
        &'a self,
        this: &'a Try,
        given: &SecretString,
        account: Option<&Account>,
    ) -> Result<(Checked, Begun<'a>), LoginError> {
        // Only who has a turn counts, so that many who log in rightly at once wait for each other instead.
        let turn = self.passwords.turn().await?;
        let begun = self.throttle.begin(this, self.clock.now()).await?;

        let active = account.is_some_and(|account| account.standing == Standing::Active);
        match turn.check(given, account.map(|account| &account.password_hash)).await {
            Ok(Checked::Right) if active => Ok((Checked::Right, begun)),
            Ok(_) => Ok((Checked::Wrong, begun)),
            Err(error) => {
                begun.void();
                Err(error)
            }
        }
    }

    /// Begins a try of a code of an app; whoever tries it has shown the password. What is none, as recovery codes are
    /// none, does not count: the owner gets in with those whatever others try.
    pub(crate) fn try_code<'a>(
        &'a self,
        user: &'a AccountName,
        typed: &SecretString,
    ) -> Result<Option<BegunCode<'a>>, LoginError> {
        let of_an_app = second_factor::is_of_an_app(typed);
        let begun = of_an_app.then(|| self.throttle.code(user, self.clock.now())).transpose();
        Ok(begun?)
    }

    /// Uses a code up. A wrong one counts as a wrong password does, and for the account besides.
    pub(crate) async fn proven(
        &self,
        user: &AccountName,
        factor: &SecondFactor,
        typed: &SecretString,
        begun: Begun<'_>,
    ) -> Result<(), LoginError> {
        let tried = match self.try_code(user, typed) {
            Ok(tried) => tried,
            Err(error) => {
                begun.void();
                return Err(error);
            }
        };
        let spent = match self.second_factors.code(user, factor, typed, self.clock.now()) {
            Ok(Some(code)) => self.spend(user, factor, code).await,
            Ok(None) => Err(LoginError::WrongCode),
            Err(error) => Err(error),
        };
        match spent {
            Ok(()) => begun.right(self.clock.now()),
            Err(LoginError::WrongCode) => drop(begun),
            Err(_) => begun.void(),
        }
        if let Some(tried) = tried
            && spent != Err(LoginError::WrongCode)
        {
            tried.void();
        }
        spent
    }

    async fn spend(&self, user: &AccountName, factor: &SecondFactor, code: Code) -> Result<(), LoginError> {
        match self.contracts.proofs.spend_code(user, factor, code).await {
            Ok(()) => Ok(()),
            Err(AccountError::CodeSpent { .. } | AccountError::SecondFactorUnknown { .. }) => {
                Err(LoginError::WrongCode)
            }
            Err(error) => Err(silent(&error)),
        }
    }

    /// If the password would be hashed in another way today, it is, later: nobody waits for it.
    fn renew(&self, account: &Account, password: &SecretString) {
        if self.passwords.is_outdated(&account.password_hash) {
            let (user, kept) = (account.name.clone(), account.password_hash.clone());
            self.errands.ask(Errand::Rehash { user, kept, password: password.clone() });
        }
    }

    async fn by_secret(
        &self,
        username: &str,
        hash: SecretHash,
        address: Option<IpAddr>,
        about: About,
    ) -> Result<Authenticated, LoginError> {
        let this = Try { who: Who::Secret(hash), from: address.map(Network::from) };
        self.throttle.look(&this, self.clock.now())?;

        let facts = self.facts(FactsOf::Credential(hash), about).await?;
        let now = self.clock.now();
        let good = facts.credential.as_ref().and_then(|credential| {
            let principal = stands_for(credential, facts.account.as_ref(), username, now)?;
            Some((principal, credential))
        });
        let Some((principal, credential)) = good else {
            self.throttle.wrong(&this, now);
            return Err(LoginError::Wrong);
        };

        self.throttle.right(&this, now);
        self.uses.note(credential, now);
        Ok(Authenticated { principal, facts })
    }

    pub(crate) async fn facts(&self, asker: FactsOf, about: About) -> Result<AccessFacts, LoginError> {
        let About { repositories, namespaces } = about;
        let question = AccessQuestion { asker, repositories, namespaces };
        self.contracts.accounts.access_facts(&question).await.map_err(|error| silent(&error))
    }
}

/// A try at the password of whoever has that name.
pub(crate) fn try_of(username: &str, address: Option<IpAddr>) -> Try {
    Try { who: Who::Account(username.parse().ok()), from: address.map(Network::from) }
}

/// For whom a credential stands, if it is good now and `username` is theirs or nobody's.
fn stands_for(
    credential: &Credential,
    account: Option<&Account>,
    username: &str,
    now: Timestamp,
) -> Option<Principal> {
    let id = credential.id.clone();
    let (principal, name) = match &credential.holder {
        Holder::User(name) | Holder::Offline { user: name, .. } => {
            let through = Through::AccessToken(id, credential.limits.clone());
            (user(holder(account, name)?, through), name.as_str())
        }
        Holder::Session(name) => (user(holder(account, name)?, Through::Session(id)), name.as_str()),
        Holder::Robot(name) => {
            // Of a user who is not let in any more, nor is a robot.
            account.is_none_or(|account| account.standing == Standing::Active).then_some(())?;
            let limits = credential.limits.clone();
            (Principal::Robot { name: name.clone(), limits, credential: id }, name.as_str())
        }
    };
    let named = username.is_empty() || username == name;
    (named && credential.is_good(now)).then_some(principal)
}

fn holder<'a>(account: Option<&'a Account>, name: &AccountName) -> Option<&'a Account> {
    account.filter(|account| account.name == *name && account.standing == Standing::Active)
}

fn user(account: &Account, through: Through) -> Principal {
    Principal::User { name: account.name.clone(), role: account.role, through }
}

/// What callers are told when metadata did not answer.
pub(crate) fn silent(error: &AccountError) -> LoginError {
    tracing::warn!(%error, "metadata did not answer");
    LoginError::Unavailable { attempted: "asking metadata" }
}

impl From<LoginError> for AuthError {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Wrong | LoginError::WrongCode => Self::WrongCredentials,
            LoginError::SecondFactorNeeded | LoginError::AccessTokenNeeded => Self::AccessTokenNeeded,
            LoginError::Throttled { retry_after_seconds } => Self::Throttled { retry_after_seconds },
            LoginError::Overloaded { retry_after_seconds } => Self::Overloaded { retry_after_seconds },
            LoginError::Unavailable { attempted } => Self::Unavailable { attempted: attempted.into() },
        }
    }
}

impl From<LoginError> for IdentityError {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Wrong => Self::WrongCredentials,
            LoginError::SecondFactorNeeded => Self::SecondFactorNeeded,
            LoginError::AccessTokenNeeded => Self::AccessTokenNeeded,
            LoginError::WrongCode => Self::WrongCode,
            LoginError::Throttled { retry_after_seconds } => Self::Throttled { retry_after_seconds },
            LoginError::Overloaded { retry_after_seconds } => Self::Overloaded { retry_after_seconds },
            LoginError::Unavailable { attempted } => Self::Unavailable { attempted: attempted.into() },
        }
    }
}
