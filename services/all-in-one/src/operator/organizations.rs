//! `bucket org`: organizations and who belongs to them, by whoever runs the hub.

use std::io::Write;

use clap::{Args, Subcommand};
use oci::Namespace;
use proto::metadata::{More, Organizations as _, PageRequest, organizations::MemberRole};

use super::{Operator, OperatorError, Which};

/// Entries in one page.
const PAGE: usize = 1_000;

/// The arguments.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Lists all organizations
    List(List),
    /// Lists the members of one
    Members(Members),
}

/// Nothing to choose.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    which: Which,
}

/// Which one.
#[derive(Debug, Args)]
pub struct Members {
    /// The name of the organization
    name: Namespace,
    #[command(flatten)]
    which: Which,
}

impl Command {
    pub(super) const fn which(&self) -> &Which {
        match self {
            Self::List(list) => &list.which,
            Self::Members(members) => &members.which,
        }
    }

    pub(super) async fn run(
        &self,
        operator: &Operator,
        out: &mut (dyn Write + Send),
    ) -> Result<(), OperatorError> {
        match self {
            Self::List(_) => list(operator, out).await,
            Self::Members(one) => members(operator, &one.name, out).await,
        }
    }
}

async fn list(operator: &Operator, out: &mut (dyn Write + Send)) -> Result<(), OperatorError> {
    let mut page = PageRequest { after: None, limit: PAGE };
    loop {
        let found = operator.organizations.organizations(&page).await?;
        for name in &found.entries {
            writeln!(out, "{name}")?;
        }
        page.after = found.entries.last().cloned();
        if found.more == More::No {
            return Ok(());
        }
    }
}

async fn members(
    operator: &Operator,
    name: &Namespace,
    out: &mut (dyn Write + Send),
) -> Result<(), OperatorError> {
    let mut page = PageRequest { after: None, limit: PAGE };
    loop {
        let found = operator.organizations.members(name, &page).await?;
        for (user, role) in &found.entries {
            let role = match role {
                MemberRole::Owner => "owner",
                MemberRole::Member => "member",
            };
            writeln!(out, "{user:<32} {role}")?;
        }
        page.after = found.entries.last().map(|(user, _)| user.clone());
        if found.more == More::No {
            return Ok(());
        }
    }
}
