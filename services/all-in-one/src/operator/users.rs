//! `bucket user`: accounts, by whoever runs the hub. Passwords are generated and shown once.

use std::io::Write;

use auth::{config::PasswordConfig, operator};
use clap::{Args, Subcommand};
use oci::AccountName;
use proto::metadata::{
    Accounts as _, Actor, More, PageRequest, Proofs as _, Standing, Users as _,
    accounts::{Account, Role},
    users::{User, UserChange},
};
use secrecy::{ExposeSecret as _, SecretString};
use service_kit::random;

use super::{Operator, OperatorError, Which};

/// Users in one page.
const PAGE: usize = 1_000;

/// The arguments.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Lists all users, with what they may and whether they may
    List(List),
    /// Makes a user and prints a password, once
    Create(Create),
    /// Gives a user another password and prints it, once; the user's tokens and sessions end
    ResetPassword(One),
    /// Removes the second factor of a user who has lost it: the password alone signs in again
    ResetSecondFactor(One),
    /// Lets nobody in as this user any more; nothing of the user's is removed
    Disable(One),
    /// Lets the user in again
    Enable(One),
}

/// Nothing to choose.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    which: Which,
}

/// Who is to be made.
#[derive(Debug, Args)]
pub struct Create {
    /// The name of the user
    name: AccountName,
    /// Makes an administrator, who may do everything
    #[arg(long)]
    admin: bool,
    #[command(flatten)]
    which: Which,
}

/// Who is meant.
#[derive(Debug, Args)]
pub struct One {
    /// The name of the user
    name: AccountName,
    #[command(flatten)]
    which: Which,
}

impl Command {
    pub(super) const fn which(&self) -> &Which {
        match self {
            Self::List(list) => &list.which,
            Self::Create(create) => &create.which,
            Self::ResetPassword(one)
            | Self::ResetSecondFactor(one)
            | Self::Disable(one)
            | Self::Enable(one) => &one.which,
        }
    }

    pub(super) async fn run(
        &self,
        operator: &Operator,
        out: &mut (dyn Write + Send),
    ) -> Result<(), OperatorError> {
        match self {
            Self::List(_) => list(operator, out).await,
            Self::Create(create) => create.run(operator, out).await,
            Self::ResetPassword(one) => reset_password(operator, &one.name, out).await,
            Self::ResetSecondFactor(one) => reset_second_factor(operator, &one.name, out).await,
            Self::Disable(one) => stand(operator, &one.name, Standing::Disabled, out).await,
            Self::Enable(one) => stand(operator, &one.name, Standing::Active, out).await,
        }
    }
}

impl Create {
    async fn run(&self, operator: &Operator, out: &mut (dyn Write + Send)) -> Result<(), OperatorError> {
        let (password, password_hash) = generated()?;
        let role = if self.admin { Role::Administrator } else { Role::User };
        let account = Account { name: self.name.clone(), password_hash, role, standing: Standing::Active };
        operator.accounts.create_account(&account, &Actor::operator()).await?;

        shown(out, &self.name, &password)
    }
}

async fn list(operator: &Operator, out: &mut (dyn Write + Send)) -> Result<(), OperatorError> {
    let mut page = PageRequest { after: None, limit: PAGE };
    loop {
        let found = operator.users.users(&page).await?;
        for User { name, role, standing, profile, created, .. } in &found.entries {
            let role = match role {
                Role::User => "user",
                Role::Administrator => "administrator",
            };
            let standing = match standing {
                Standing::Active => "active",
                Standing::Disabled => "disabled",
            };
            let created = created.strftime("%Y-%m-%d");
            writeln!(out, "{name:<32} {role:<13} {standing:<8} {created} {}", profile.email)?;
        }
        page.after = found.entries.last().map(|user| user.name.clone());
        if found.more == More::No {
            return Ok(());
        }
    }
}

async fn reset_password(
    operator: &Operator,
    name: &AccountName,
    out: &mut (dyn Write + Send),
) -> Result<(), OperatorError> {
    let (password, password_hash) = generated()?;
    let change = UserChange { password_hash: Some(password_hash), ..UserChange::default() };
    operator.users.change_user(name, &change, &Actor::operator()).await?;

    shown(out, name, &password)
}

async fn reset_second_factor(
    operator: &Operator,
    name: &AccountName,
    out: &mut (dyn Write + Send),
) -> Result<(), OperatorError> {
    operator.proofs.remove_second_factor(name, &Actor::operator()).await?;

    Ok(writeln!(out, "{name} has no second factor any more; the password alone signs in")?)
}

async fn stand(
    operator: &Operator,
    name: &AccountName,
    standing: Standing,
    out: &mut (dyn Write + Send),
) -> Result<(), OperatorError> {
    let change = UserChange { standing: Some(standing), ..UserChange::default() };
    operator.users.change_user(name, &change, &Actor::operator()).await?;

    match standing {
        Standing::Active => writeln!(out, "{name} may log in again")?,
        Standing::Disabled => {
            writeln!(
                out,
                "{name} may not log in any more; tokens that were given before end within seconds"
            )?;
        }
    }
    Ok(())
}

fn generated() -> Result<(SecretString, SecretString), OperatorError> {
    let random = random::system();
    let password = operator::password(random.as_ref());
    let hash = operator::password_hash(&password, &PasswordConfig::default(), random.as_ref())?;
    Ok((password, hash))
}

fn shown(
    out: &mut (dyn Write + Send),
    name: &AccountName,
    password: &SecretString,
) -> Result<(), OperatorError> {
    let password = password.expose_secret();
    Ok(writeln!(out, "user       {name}\npassword   {password}   (shown only once)")?)
}
