//! The first start: the signing key and the administrator, tried until metadata answers.

use std::{sync::Arc, time::Duration};

use oci::AccountName;
use proto::metadata::Accounts;
use secrecy::SecretString;
use service_kit::random::Random;

use crate::{
    PrepareError, Service,
    administrator::{self, AdministratorError, Created},
};

/// Between two tries, while metadata does not answer.
const AGAIN: Duration = Duration::from_secs(1);

/// Who the first administrator is.
#[derive(Debug, Clone)]
pub struct First {
    /// The name to log in with.
    pub name: AccountName,
    /// Its password; none: one is generated.
    pub password: Option<SecretString>,
}

/// Makes sure that there are a signing key and an administrator. A generated password is given to `show`,
/// once, before the account exists.
///
/// # Errors
/// What waiting cannot mend: a key sealed with another secret, a password too short.
pub async fn until_ready(
    service: &Service,
    accounts: &Arc<dyn Accounts>,
    first: &First,
    random: &dyn Random,
    show: impl Fn(&AccountName, &SecretString),
) -> Result<(), StartError> {
    loop {
        match once(service, accounts, first, random, &show).await {
            Err(error) if error.may_heal() => {
                tracing::info!(%error, "waiting for metadata");
                tokio::time::sleep(AGAIN).await;
            }
            other => return other,
        }
    }
}

async fn once(
    service: &Service,
    accounts: &Arc<dyn Accounts>,
    first: &First,
    random: &dyn Random,
    show: &impl Fn(&AccountName, &SecretString),
) -> Result<(), StartError> {
    service.prepare().await?;
    let given = first.password.as_ref();
    let missing =
        administrator::missing(accounts.as_ref(), &first.name, given, service.passwords(), random).await?;
    let Some(new) = missing else { return Ok(()) };

    if let Some(password) = new.generated_password() {
        show(new.name(), password);
    }
    let name = new.name().clone();
    match new.create(accounts.as_ref()).await? {
        Created::Here => tracing::info!(%name, "created the administrator"),
        Created::Elsewhere => {
            tracing::warn!(%name, "another replica created the administrator: its password counts");
        }
    }
    Ok(())
}

/// Why auth cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It cannot sign.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// There is no administrator.
    #[error(transparent)]
    Administrator(#[from] AdministratorError),
}

impl StartError {
    fn may_heal(&self) -> bool {
        use proto::metadata::AccountError::{NoSpace, Unavailable};
        matches!(
            self,
            Self::Prepare(PrepareError::Metadata(Unavailable { .. } | NoSpace { .. }))
                | Self::Administrator(AdministratorError::Metadata(Unavailable { .. } | NoSpace { .. }))
        )
    }
}
