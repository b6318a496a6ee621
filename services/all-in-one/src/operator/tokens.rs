//! `bucket token`: access tokens of users and robots of namespaces, by whoever runs the hub.

use std::{io::Write, time::Duration};

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use oci::{AccountName, CredentialId, RobotName};
use proto::metadata::{
    Actor, Credentials as _,
    credentials::{Credential, Holder, Limits, NewCredential, Permission, RepositoryPattern},
};
use secrecy::ExposeSecret as _;
use service_kit::{
    clock,
    random::{self, Ulids},
};

use super::{Operator, OperatorError, Which};

/// The arguments.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Makes an access token of a user, or a robot such as `team+ci`, and prints its secret, once
    Create(Create),
    /// Lists the access tokens, sessions and logged-in clients of a user, or the robots of the namespace of a robot
    List(Of),
    /// Revokes one
    Revoke(Revoke),
}

/// What is to be made.
#[derive(Debug, Args)]
pub struct Create {
    /// A user, or a robot as `namespace+name`
    of: WhoseName,
    /// What people call it
    #[arg(long, default_value = "made by an operator")]
    label: String,
    /// What it may be used for
    #[arg(long, value_delimiter = ',', default_value = "pull")]
    allow: Vec<Allowed>,
    /// Where: names such as `team/app`, or the beginning of names with a `*` [default: everywhere that the holder may]
    #[arg(long, value_delimiter = ',', value_parser = pattern)]
    repositories: Vec<RepositoryPattern>,
    /// When it ends, from now on, as `90d` or `12h` [default: when it is revoked]
    #[arg(long, value_parser = duration)]
    expires: Option<Duration>,
    #[command(flatten)]
    which: Which,
}

/// Whose.
#[derive(Debug, Args)]
pub struct Of {
    /// A user, or any robot of the namespace
    of: WhoseName,
    #[command(flatten)]
    which: Which,
}

/// Which one.
#[derive(Debug, Args)]
pub struct Revoke {
    /// A user, or any robot of the namespace
    of: WhoseName,
    /// What `bucket token list` prints first
    id: CredentialId,
    #[command(flatten)]
    which: Which,
}

/// A user or a robot.
#[derive(Debug, Clone)]
enum WhoseName {
    User(AccountName),
    Robot(RobotName),
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Allowed {
    Pull,
    Push,
    Delete,
    Manage,
}

impl std::str::FromStr for WhoseName {
    type Err = oci::NameError;

    fn from_str(text: &str) -> Result<Self, oci::NameError> {
        if text.contains(RobotName::SEPARATOR) {
            text.parse().map(Self::Robot)
        } else {
            text.parse().map(Self::User)
        }
    }
}

impl WhoseName {
    fn holder(&self) -> Holder {
        match self {
            Self::User(name) => Holder::User(name.clone()),
            Self::Robot(name) => Holder::Robot(name.clone()),
        }
    }
}

impl From<Allowed> for Permission {
    fn from(allowed: Allowed) -> Self {
        match allowed {
            Allowed::Pull => Self::Pull,
            Allowed::Push => Self::Push,
            Allowed::Delete => Self::Delete,
            Allowed::Manage => Self::Manage,
        }
    }
}

fn pattern(text: &str) -> Result<RepositoryPattern, String> {
    RepositoryPattern::try_from(text.to_owned()).map_err(|error| error.to_string())
}

fn duration(text: &str) -> Result<Duration, String> {
    service_kit::config::duration(text).map_err(|error| error.to_string())
}

impl Command {
    pub(super) const fn which(&self) -> &Which {
        match self {
            Self::Create(create) => &create.which,
            Self::List(of) => &of.which,
            Self::Revoke(revoke) => &revoke.which,
        }
    }

    pub(super) async fn run(
        &self,
        operator: &Operator,
        out: &mut (dyn Write + Send),
    ) -> Result<(), OperatorError> {
        match self {
            Self::Create(create) => create.run(operator, out).await,
            Self::List(of) => {
                for credential in operator.credentials.credentials(&of.of.holder().owner()).await? {
                    listed(out, &credential)?;
                }
                Ok(())
            }
            Self::Revoke(revoke) => {
                let owner = revoke.of.holder().owner();
                operator.credentials.revoke_credential(&owner, &revoke.id, &Actor::operator()).await?;
                Ok(writeln!(out, "{} is revoked", revoke.id)?)
            }
        }
    }
}

impl Create {
    async fn run(&self, operator: &Operator, out: &mut (dyn Write + Send)) -> Result<(), OperatorError> {
        let (holder, random) = (self.of.holder(), random::system());
        let (secret, hash) = auth::operator::secret(&holder, random.as_ref());
        let actions = self.allow.iter().map(|allowed| Permission::from(*allowed)).collect();
        let new = NewCredential {
            id: credential_id(),
            hash,
            label: self.label.clone(),
            limits: Limits { repositories: self.repositories.clone(), actions },
            expires: self.expires.map(from_now).transpose()?,
            holder,
            trust: None,
            revision: None,
        };
        operator.credentials.put_credential(&new, &Actor::operator()).await?;

        let name = new.holder.subject();
        Ok(writeln!(out, "user       {name}\nsecret     {}   (shown only once)", secret.expose_secret())?)
    }
}

fn listed(out: &mut (dyn Write + Send), credential: &Credential) -> Result<(), OperatorError> {
    let Credential { id, holder, label, used, .. } = credential;
    let kind = match holder {
        Holder::User(_) => "token",
        Holder::Session(_) => "session",
        Holder::Robot(_) if credential.trust.is_some() => "trust",
        Holder::Robot(_) => "robot",
        Holder::Offline { .. } => "client",
    };
    let day = |at: &Option<Timestamp>| at.map_or("-".to_owned(), |at| at.strftime("%Y-%m-%d").to_string());
    let (subject, expires, used) = (holder.subject(), day(&credential.ends()), day(used));
    Ok(writeln!(out, "{id} {kind:<7} {subject:<24} expires {expires:<10} used {used:<10} {label}")?)
}

fn credential_id() -> CredentialId {
    match Ulids::system().next().parse() {
        Ok(id) => id,
        Err(_) => unreachable!("what it prints is a ULID"),
    }
}

fn from_now(duration: Duration) -> Result<Timestamp, OperatorError> {
    clock::system().now().checked_add(duration).map_err(|_| OperatorError::TooLong)
}
