//! `bucket reclaim`: what repositories would give back, or giving it back now.

use std::io::Write;

use clap::Args;
use proto::metadata::{More, Reclaim as _, quotas::Size, reclaim::Reclaimable};

use super::{Operator, OperatorError, Which};

/// The arguments.
#[derive(Debug, Args)]
pub struct Reclaim {
    /// Changes nothing, and says how many bytes each repository would give back
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    pub(super) which: Which,
}

impl Reclaim {
    pub(super) async fn run(
        &self,
        operator: &Operator,
        out: &mut (dyn Write + Send),
    ) -> Result<(), OperatorError> {
        if self.dry_run { survey(operator, out).await } else { reclaim(operator, out).await }
    }
}

async fn survey(operator: &Operator, out: &mut (dyn Write + Send)) -> Result<(), OperatorError> {
    let (mut after, mut total) = (None, 0);
    writeln!(
        out,
        "{:<40} {:>10} {:>10} {:>10} {:>10}",
        "REPOSITORY", "NOW", "LATER", "RESTORABLE", "SHARED"
    )?;
    loop {
        let survey = operator.reclaim.survey(after.as_ref()).await?;
        for found in &survey.repositories {
            let Reclaimable { repository, now_bytes, later_bytes, restorable_bytes, shared_bytes } = found;
            let [now, later, restorable, shared] =
                [now_bytes, later_bytes, restorable_bytes, shared_bytes].map(|bytes| Size(*bytes));
            writeln!(
                out,
                "{:<40} {now:>10} {later:>10} {restorable:>10} {shared:>10}",
                repository.to_string()
            )?;
            total += now_bytes;
        }
        after = survey.next;
        if after.is_none() {
            break;
        }
    }

    writeln!(out)?;
    writeln!(out, "now         unused, and its grace is over: {} in all", Size(total))?;
    writeln!(out, "later       unused, but a push may still want it")?;
    writeln!(out, "restorable  of manifests that were deleted and can still be brought back")?;
    writeln!(out, "shared      unused here, but other repositories link it too")?;
    Ok(())
}

async fn retain(operator: &Operator, out: &mut (dyn Write + Send)) -> Result<(), OperatorError> {
    let (mut cursor, mut tags, mut manifests, mut untagged) = (None, 0, 0, 0);
    loop {
        let retained = operator.reclaim.retain(cursor.as_deref()).await?;
        tags += retained.tags;
        manifests += retained.manifests;
        untagged += retained.untagged;
        cursor = retained.next;
        if cursor.is_none() {
            break;
        }
    }
    writeln!(out, "{tags} tags are gone by rules, with {manifests} manifests that can be restored")?;
    if untagged > 0 {
        writeln!(out, "{untagged} of these manifests are gone because they had no tag")?;
    }
    Ok(())
}

async fn purge(operator: &Operator, out: &mut (dyn Write + Send)) -> Result<(), OperatorError> {
    let mut repositories = 0;
    loop {
        let purged = operator.reclaim.purge().await?;
        repositories += purged.repositories;
        if purged.more == More::No {
            break;
        }
    }
    if repositories > 0 {
        writeln!(out, "{repositories} deleted repositories have left nothing")?;
    }
    Ok(())
}

async fn reclaim(operator: &Operator, out: &mut (dyn Write + Send)) -> Result<(), OperatorError> {
    retain(operator, out).await?;
    purge(operator, out).await?;
    let (mut after, mut again) = (None, More::No);
    let (mut links, mut link_bytes, mut manifests) = (0, 0, 0);
    loop {
        let unlinked = operator.reclaim.unlink(after.as_ref()).await?;
        links += unlinked.links;
        link_bytes += unlinked.size_bytes;
        manifests += unlinked.manifests;
        if unlinked.more == More::Yes {
            again = More::Yes;
        }
        after = unlinked.next;
        if after.is_none() && std::mem::replace(&mut again, More::No) == More::No {
            break;
        }
    }

    let (mut contents, mut content_bytes) = (0, 0);
    loop {
        let reaped = operator.reclaim.reap().await?;
        contents += reaped.contents;
        content_bytes += reaped.size_bytes;
        if reaped.more == More::No {
            break;
        }
    }
    writeln!(out, "{manifests} deleted manifests can no longer be restored")?;
    writeln!(out, "{links} unused links are gone from their repositories, of {}", Size(link_bytes))?;
    writeln!(out, "{contents} blobs are queued to be deleted from the store, {}", Size(content_bytes))?;
    Ok(())
}
