//! `bucket why`: the chain from a tag down to a blob, or since when there is none.

use std::io::Write;

use clap::Args;
use oci::{Digest, RepositoryName};
use proto::metadata::{
    Reclaim as _,
    quotas::Size,
    reclaim::{self, Keeper, Kept},
};

use super::{Operator, OperatorError, Which};

/// The arguments.
#[derive(Debug, Args)]
pub struct Why {
    /// Of a blob or a manifest, as `sha256:…`
    digest: Digest,
    #[command(flatten)]
    pub(super) which: Which,
}

impl Why {
    pub(super) async fn run(
        &self,
        operator: &Operator,
        out: &mut (dyn Write + Send),
    ) -> Result<(), OperatorError> {
        let (mut after, mut shown) = (None, None);
        loop {
            let why = operator.reclaim.why(&self.digest, after.as_ref()).await?;
            if after.is_none() {
                introduce(&self.digest, &why, out)?;
            }
            for keeper in &why.keepers {
                show(keeper, &mut shown, out)?;
            }
            after = why.next;
            if after.is_none() {
                break;
            }
        }

        if shown.is_none() {
            writeln!(out, "No repository has it.")?;
        }
        Ok(())
    }
}

fn introduce(digest: &Digest, why: &reclaim::Why, out: &mut dyn Write) -> Result<(), OperatorError> {
    write!(out, "{digest}")?;
    match (&why.locator, why.size_bytes) {
        (Some(locator), Some(bytes)) => writeln!(out, ": {} in store {}", Size(bytes), locator.store)?,
        (None, Some(_)) => writeln!(out, ": its bytes are gone or damaged; the next push brings them")?,
        _ => writeln!(out)?,
    }
    if why.held {
        writeln!(out, "An upload holds it, or did so a while ago.")?;
    }
    Ok(())
}

fn show(
    keeper: &Keeper,
    shown: &mut Option<RepositoryName>,
    out: &mut dyn Write,
) -> Result<(), OperatorError> {
    if shown.as_ref() != Some(&keeper.repository) {
        writeln!(out, "{}", keeper.repository)?;
        *shown = Some(keeper.repository.clone());
    }
    let path = keeper.path.iter().map(Digest::to_string).collect::<Vec<_>>().join(" → ");
    match &keeper.kept {
        Kept::Tagged(tags) => {
            let tags = tags.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            writeln!(out, "  {tags} → {path}")?;
        }
        Kept::Untagged => writeln!(out, "  without a tag: {path}")?,
        Kept::Restorable { until } => writeln!(out, "  deleted, can be restored until {until}: {path}")?,
        Kept::Unused { until } => {
            writeln!(out, "  no manifest uses it: it goes after {until}")?;
        }
    }
    Ok(())
}
