//! What nobody waits for: letters, and better hashes of passwords. It is asked for in no time, whoever it is about, so
//! that how long an answer takes tells nothing; and it is done later, one after the other.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use oci::AccountName;
use proto::metadata::{
    AccountError, Standing,
    accounts::FactsOf,
    proofs::{Purpose, Ticket},
    users::User,
};
use secrecy::{ExposeSecret as _, SecretString};
use service_kit::shutdown::Shutdown;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::{
    Parts,
    authenticate::{About, LoginError},
    mail::{Busy, Letter, Mail, Shortened, letters},
    secret,
};

/// Errands that wait, at most.
const WAITING: usize = 256;

/// How long a letter can be used to verify an address.
const VERIFICATION_LIFETIME: Duration = Duration::from_hours(24);

/// How long a letter can be used to choose another password.
const RESET_LIFETIME: Duration = Duration::from_hours(1);

/// Something to be done later.
#[derive(Debug)]
pub(crate) enum Errand {
    /// To keep a hash of today's parameters of a password that was right.
    Rehash {
        user: AccountName,
        /// As it was when the password was right.
        kept: SecretString,
        password: SecretString,
    },
    /// To write to a user whose address is not verified, and is this one still.
    Verification { user: AccountName, email: String },
    /// To write to whoever has verified an address, or has that name.
    Reset { of: String },
}

/// The queue of them.
#[derive(Debug)]
pub(crate) struct Errands {
    sender: Sender<Errand>,
    /// Until somebody begins to do them.
    receiver: Mutex<Option<Receiver<Errand>>>,
}

impl Default for Errands {
    fn default() -> Self {
        let (sender, receiver) = channel(WAITING);
        Self { sender, receiver: Mutex::new(Some(receiver)) }
    }
}

impl Errands {
    /// Asks for something, unless too much waits.
    pub(crate) fn accept(&self, errand: Errand) -> Result<(), Busy> {
        self.sender.try_send(errand).map_err(|_| Busy)
    }

    /// Asks for something that may as well be asked for another time.
    pub(crate) fn ask(&self, errand: Errand) {
        if self.accept(errand).is_err() {
            tracing::debug!("too many errands wait: one is left undone");
        }
    }

    fn taken(&self) -> Option<Receiver<Errand>> {
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Why an errand came to nothing.
#[derive(Debug, thiserror::Error)]
enum ErrandError {
    #[error(transparent)]
    Metadata(#[from] AccountError),
    #[error("{0:?}")]
    Login(LoginError),
    #[error(transparent)]
    Busy(#[from] Busy),
    #[error("the clock is at the end of time")]
    Clock,
}

impl From<LoginError> for ErrandError {
    fn from(error: LoginError) -> Self {
        Self::Login(error)
    }
}

impl Parts {
    /// Does errands until the process ends, then those that wait still.
    pub(crate) async fn do_errands(&self, shutdown: Shutdown) {
        let Some(mut errands) = self.errands.taken() else {
            return;
        };
        loop {
            tokio::select! {
                () = shutdown.stopping() => break,
                errand = errands.recv() => match errand {
                    Some(errand) => self.do_one(errand).await,
                    None => return,
                },
            }
        }
        errands.close();
        while let Some(errand) = errands.recv().await {
            self.do_one(errand).await;
        }
    }

    async fn do_one(&self, errand: Errand) {
        let done = match errand {
            Errand::Rehash { user, kept, password } => self.rehash(&user, &kept, &password).await,
            Errand::Verification { user, email } => self.write_to_verify(&user, &email).await,
            Errand::Reset { of } => self.write_to_reset(&of).await,
        };
        if let Err(error) = done {
            tracing::warn!(%error, "an errand came to nothing");
        }
    }

    async fn rehash(
        &self,
        user: &AccountName,
        kept: &SecretString,
        password: &SecretString,
    ) -> Result<(), ErrandError> {
        let facts = self.facts(FactsOf::User(user.clone()), About::default()).await?;
        let same = |hash: &SecretString| hash.expose_secret() == kept.expose_secret();
        // Of many who logged in at once, the first has done it for all.
        if !facts.account.is_some_and(|account| same(&account.password_hash)) {
            return Ok(());
        }
        let hash = self.hash(password).await?;
        Ok(self.contracts.proofs.rehash_password(user, kept, &hash).await?)
    }

    async fn write_to_verify(&self, user: &AccountName, email: &str) -> Result<(), ErrandError> {
        let (Some(mail), Some(found)) = (&self.mail, self.contracts.users.user(user).await?) else {
            return Ok(());
        };
        let same = found.profile.email == email && !email.is_empty();
        if !same || found.email_verified || found.standing != Standing::Active {
            return Ok(());
        }

        if self.is_flooded(email) {
            return Ok(());
        }
        let secret = self.ticket(user, Purpose::VerifyEmail(email.to_owned()), VERIFICATION_LIFETIME).await?;
        post(mail.as_ref(), letters::verification(email, mail.base(), user, &secret))
    }

    async fn write_to_reset(&self, of: &str) -> Result<(), ErrandError> {
        let Some(mail) = &self.mail else {
            return Ok(());
        };
        for user in self.meant(of).await? {
            if self.throttle.letter(&user.name, self.clock.now()).is_err() {
                tracing::info!(user = %user.name, "too many letters were asked for");
                continue;
            }
            if self.is_flooded(&user.profile.email) {
                continue;
            }
            let purpose = Purpose::ResetPassword(user.profile.email.clone());
            let secret = self.ticket(&user.name, purpose, RESET_LIFETIME).await?;
            post(mail.as_ref(), letters::reset(&user.profile.email, mail.base(), &user.name, &secret))?;
        }
        Ok(())
    }

    /// Whether an address has had too many letters; one more is counted if not.
    pub(crate) fn is_flooded(&self, email: &str) -> bool {
        let flooded = self.throttle.letter_to(&email.to_lowercase(), self.clock.now()).is_err();
        if flooded {
            tracing::info!(to = %Shortened(email), "too many letters were to go to one address");
        }
        flooded
    }

    /// The active users with a verified address who are meant by a name or an address.
    async fn meant(&self, of: &str) -> Result<Vec<User>, AccountError> {
        let names = if of.contains('@') {
            self.contracts.proofs.users_of_email(of).await?
        } else {
            of.parse().into_iter().collect()
        };
        let mut meant = Vec::new();
        for name in names {
            let found = self.contracts.users.user(&name).await?;
            meant.extend(found.filter(|user| user.email_verified && user.standing == Standing::Active));
        }
        Ok(meant)
    }

    async fn ticket(
        &self,
        user: &AccountName,
        purpose: Purpose,
        lifetime: Duration,
    ) -> Result<SecretString, ErrandError> {
        let expires = self.clock.now().saturating_add(lifetime).map_err(|_| ErrandError::Clock)?;
        let (secret, hash) = secret::mailed(user, self.random.as_ref());
        self.contracts.proofs.put_ticket(user, &Ticket { purpose, hash, expires }).await?;
        Ok(secret)
    }
}

fn post(mail: &dyn Mail, letter: Letter) -> Result<(), ErrandError> {
    tracing::info!(to = %Shortened(&letter.to), subject = letter.subject, "a letter is on its way");
    Ok(mail.send(letter)?)
}
