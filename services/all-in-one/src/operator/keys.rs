//! `bucket keys`: the keys that sign the registry's tokens. Auth makes them, because it alone can open them; what is
//! asked for here it does within seconds.

use std::{io::Write, time::Duration};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use proto::{
    auth::KeyId,
    metadata::{Accounts as _, Actor, accounts::SigningKey},
};
use service_kit::{clock, jose::Algorithm};

use super::{Operator, OperatorError, Which};

/// Shorter, some edge might not know the next key when it signs.
const SHORTEST: Duration = Duration::from_secs(30);

/// How long auth may take to make another key.
const PATIENCE: Duration = Duration::from_secs(30);

const PAUSE: Duration = Duration::from_millis(500);

/// The arguments.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Lists the keys, the oldest first
    List(List),
    /// Lets another key take over; by itself that happens every 90 days
    Rotate(Rotate),
}

/// Nothing to choose.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    which: Which,
}

/// How.
#[derive(Debug, Args)]
pub struct Rotate {
    /// The old keys have leaked: another one takes over at once, and all tokens that they have signed end within
    /// seconds; clients that were at work get new ones and try again
    #[arg(long, conflicts_with = "announce")]
    now: bool,
    /// How long the next key is told to everybody before it signs, 30s at least; nobody notices then
    #[arg(long, value_parser = announcement, default_value = "2m")]
    announce: Duration,
    #[command(flatten)]
    which: Which,
}

fn announcement(text: &str) -> Result<Duration, String> {
    let given = service_kit::config::duration(text).map_err(|error| error.to_string())?;
    if given < SHORTEST { Err("it must be 30s at least".to_owned()) } else { Ok(given) }
}

impl Command {
    pub(super) const fn which(&self) -> &Which {
        match self {
            Self::List(list) => &list.which,
            Self::Rotate(rotate) => &rotate.which,
        }
    }

    pub(super) async fn run(
        &self,
        operator: &Operator,
        out: &mut (dyn Write + Send),
    ) -> Result<(), OperatorError> {
        match self {
            Self::List(_) => {
                let keys = operator.accounts.signing_keys().await?;
                keys.iter().try_for_each(|key| listed(out, key, &keys))
            }
            Self::Rotate(rotate) => rotate.run(operator, out).await,
        }
    }
}

impl Rotate {
    async fn run(&self, operator: &Operator, out: &mut (dyn Write + Send)) -> Result<(), OperatorError> {
        let (keys, now) = (operator.accounts.signing_keys().await?, clock::system().now());
        let newest = keys.last().ok_or(OperatorError::NoKeys)?;
        if newest.from > now && !self.now {
            let (id, from) = (&newest.verification.id.0, seconds(newest.from));
            return Ok(writeln!(out, "{id} takes over at {from} already")?);
        }

        let until = if self.now { Some(now) } else { now.checked_add(self.announce).ok() };
        let until = until.ok_or(OperatorError::TooLong)?;
        let id = &newest.verification.id;
        operator.accounts.retire_signing_key(id, until, &Actor::operator()).await?;
        let keys = followed(operator, id).await?;
        let Some((newest, older)) = keys.split_last() else { return Err(OperatorError::NoKeys) };

        let (next, from) = (&newest.verification.id.0, seconds(newest.from));
        if !self.now {
            return Ok(writeln!(out, "{next} takes over at {from}")?);
        }
        let older: Vec<KeyId> = older.iter().map(|key| key.verification.id.clone()).collect();
        operator.accounts.remove_signing_keys(&older, &Actor::operator()).await?;
        Ok(writeln!(out, "{next} has taken over; what older keys have signed ends within 30 seconds")?)
    }
}

/// The keys that are kept once another one follows `id`.
async fn followed(operator: &Operator, id: &KeyId) -> Result<Vec<SigningKey>, OperatorError> {
    let late = |_| Err(OperatorError::NotFollowed(PATIENCE));
    tokio::time::timeout(PATIENCE, followed_in_the_end(operator, id)).await.unwrap_or_else(late)
}

async fn followed_in_the_end(operator: &Operator, id: &KeyId) -> Result<Vec<SigningKey>, OperatorError> {
    loop {
        let keys = operator.accounts.signing_keys().await?;
        if keys.last().is_some_and(|newest| newest.verification.id != *id) {
            return Ok(keys);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn listed(out: &mut (dyn Write + Send), key: &SigningKey, keys: &[SigningKey]) -> Result<(), OperatorError> {
    let now = clock::system().now();
    let signing = keys.iter().rfind(|key| key.from <= now).or(keys.first());
    let state = match signing {
        Some(signing) if signing == key => "signs",
        Some(signing) if key.created > signing.created => "next",
        _ => "verifies",
    };
    let algorithm = match key.verification.public_key.algorithm() {
        Algorithm::EdDsa => "EdDSA",
        Algorithm::Es256 => "ES256",
    };
    let (id, from) = (&key.verification.id.0, seconds(key.from));
    Ok(writeln!(out, "{id} {algorithm} {state:<8} from {from}")?)
}

fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
