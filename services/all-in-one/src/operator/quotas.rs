//! `bucket quota`: how many bytes a namespace may use, by whoever runs the hub.

use std::io::Write;

use clap::{Args, Subcommand};
use oci::Namespace;
use proto::metadata::{
    Actor, Quotas as _,
    quotas::{ByteLimit, Quota, Size},
};

use super::{Operator, OperatorError, Which};

/// The arguments.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Says what a user or organization uses, and may use
    Show(Show),
    /// Gives it a limit of its own
    Set(Set),
    /// Takes that away: the default of the hub holds then
    Clear(Clear),
}

/// Which one.
#[derive(Debug, Args)]
pub struct Show {
    /// A user or an organization
    namespace: Namespace,
    #[command(flatten)]
    which: Which,
}

/// Which one, and how much.
#[derive(Debug, Args)]
pub struct Set {
    /// A user or an organization
    namespace: Namespace,
    /// As `10GiB`, `512MiB` or a number of bytes, or `unlimited`
    limit: ByteLimit,
    #[command(flatten)]
    which: Which,
}

/// Which one.
#[derive(Debug, Args)]
pub struct Clear {
    /// A user or an organization
    namespace: Namespace,
    #[command(flatten)]
    which: Which,
}

impl Command {
    pub(super) const fn which(&self) -> &Which {
        match self {
            Self::Show(Show { which, .. })
            | Self::Set(Set { which, .. })
            | Self::Clear(Clear { which, .. }) => which,
        }
    }

    pub(super) async fn run(
        &self,
        operator: &Operator,
        out: &mut (dyn Write + Send),
    ) -> Result<(), OperatorError> {
        let (namespace, actor) = (self.namespace(), Actor::operator());
        match self {
            Self::Show(_) => {}
            Self::Set(Set { limit, .. }) => {
                operator.quotas.put_quota(namespace, Some(*limit), &actor).await?;
            }
            Self::Clear(_) => operator.quotas.put_quota(namespace, None, &actor).await?,
        }

        let quota = operator.quotas.quota(namespace).await?;
        writeln!(out, "{}", said(namespace, &quota))?;
        Ok(())
    }

    const fn namespace(&self) -> &Namespace {
        match self {
            Self::Show(Show { namespace, .. })
            | Self::Set(Set { namespace, .. })
            | Self::Clear(Clear { namespace, .. }) => namespace,
        }
    }
}

fn said(namespace: &Namespace, quota: &Quota) -> String {
    let limit = match quota.limit {
        ByteLimit::Unlimited => "any number of bytes".to_owned(),
        ByteLimit::Bytes(bytes) => Size(bytes).to_string(),
    };
    let whose = if quota.own.is_some() { "its own quota" } else { "the default of the hub" };
    format!("{namespace} uses {} of {limit} ({whose})", Size(quota.used_bytes))
}

#[cfg(test)]
mod tests {
    use proto::metadata::quotas::{ByteLimit, Quota};

    use super::said;

    #[test]
    fn what_is_used_is_said_with_what_may_be() {
        let text = |own, limit| said(&"team".parse().unwrap(), &Quota { used_bytes: 1_536, own, limit });
        let ten = ByteLimit::Bytes(10 << 30);
        assert_eq!(text(Some(ten), ten), "team uses 1.5 KiB of 10.0 GiB (its own quota)");
        let all = "team uses 1.5 KiB of any number of bytes (the default of the hub)";
        assert_eq!(text(None, ByteLimit::Unlimited), all);
    }
}
