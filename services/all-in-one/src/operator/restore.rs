//! `bucket restore`: a tag as it was, or a manifest that was deleted.

use std::{io::Write, str::FromStr};

use clap::Args;
use oci::{Digest, Reference, RepositoryName};
use proto::metadata::{Actor, Repositories as _, repositories};

use super::{Operator, OperatorError, Which};

/// The arguments.
#[derive(Debug, Args)]
pub struct Restore {
    /// `repository:tag`, or `repository@digest` for a deleted manifest with the tags that it had
    what: What,
    /// What the tag is to name again; otherwise what it named before it changed last
    #[arg(long, value_name = "DIGEST")]
    to: Option<Digest>,
    #[command(flatten)]
    pub(super) which: Which,
}

/// What is to be brought back.
#[derive(Debug, Clone)]
struct What {
    repository: RepositoryName,
    reference: Reference,
}

impl FromStr for What {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("{text:?} is neither repository:tag nor repository@digest");
        let (repository, reference) = if let Some((repository, digest)) = text.split_once('@') {
            (repository, Reference::Digest(digest.parse().map_err(|error| format!("{error}"))?))
        } else {
            let (repository, tag) = text.rsplit_once(':').ok_or_else(form)?;
            (repository, Reference::Tag(tag.parse().map_err(|error| format!("{error}"))?))
        };
        let repository = repository.parse().map_err(|error| format!("{error}"))?;
        Ok(Self { repository, reference })
    }
}

impl Restore {
    pub(super) async fn run(
        &self,
        operator: &Operator,
        out: &mut (dyn Write + Send),
    ) -> Result<(), OperatorError> {
        let What { repository, reference } = self.what.clone();
        let restore = repositories::Restore { repository, what: reference, to: self.to.clone() };
        let digest = operator.repositories.restore(&restore, &Actor::operator()).await?;

        match &restore.what {
            Reference::Tag(tag) => writeln!(out, "{}:{tag} names {digest} again", restore.repository)?,
            Reference::Digest(_) => writeln!(out, "{}@{digest} is back", restore.repository)?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::What;

    #[test]
    fn what_to_restore_is_written_as_docker_writes_it() {
        let what: What = "team/app:v1".parse().unwrap();
        assert_eq!((what.repository.as_str(), what.reference.to_string().as_str()), ("team/app", "v1"));
        for wrong in ["team/app", "team/app:", "team/app@sha256:12", "Team:v1", ""] {
            assert!(wrong.parse::<What>().is_err(), "{wrong}");
        }
    }
}
