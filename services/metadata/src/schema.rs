//! The version of what is kept: written first, so that every release knows whether it can read the rest.

use crate::{
    Outcome, Service,
    failure::parsed,
    keys::{self, field},
    keyspace::{Commit, Condition, Error, Mutation},
    step,
};

/// The version that this release writes.
pub const VERSION: u32 = 1;

/// Why a keyspace cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FoundError {
    /// A later release wrote it.
    #[error(
        "the metadata has schema version {found}, this release knows versions up to {VERSION}: use a later release"
    )]
    Newer {
        /// What it says.
        found: u32,
    },
    /// A dump is being loaded into it, or that was interrupted.
    #[error(
        "the dump {dump} has not been loaded whole into this metadata: wait for the end of `bucket metadata load`, or repeat it with --resume"
    )]
    Loading {
        /// Its id.
        dump: String,
    },
    /// The engine did not answer.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl Service {
    /// Writes the version and since when it is there, if there is none, and refuses one that this release does not know, or
    /// what is not whole.
    pub(crate) async fn prepare_schema(&self) -> Result<(), FoundError> {
        let commit = Commit::synced()
            .when(Condition::FieldAbsent(keys::SCHEMA, field::VERSION))
            .when(Condition::FieldAbsent(keys::SCHEMA, field::LOADING))
            // Before the version: what has that alone was founded by an earlier release.
            .then(founded(self.now().as_millisecond()))
            .then(Mutation::SetField(keys::SCHEMA, field::VERSION, VERSION.to_string().into()));
        if self.commit(step!("found"), commit).await? == Outcome::Committed {
            return Ok(());
        }

        let record = self.keyspace().record(&keys::SCHEMA).await?.unwrap_or_default();
        if let Some(dump) = record.text(field::LOADING) {
            return Err(FoundError::Loading { dump: dump.to_owned() });
        }
        let found: u32 = parsed(&keys::SCHEMA, &field::VERSION, record.get(field::VERSION))?;
        if found > VERSION {
            return Err(FoundError::Newer { found });
        }
        if record.get(field::FOUNDED).is_none() {
            self.found_before_everything().await?;
        }

        Ok(())
    }

    /// Earlier releases did not say since when there is metadata: what they have left knows all the bytes there are.
    async fn found_before_everything(&self) -> Result<(), Error> {
        let commit = Commit::synced()
            .when(Condition::FieldPresent(keys::SCHEMA, field::VERSION))
            .when(Condition::FieldAbsent(keys::SCHEMA, field::FOUNDED))
            .then(founded(0));
        let _either_way = self.commit(step!("found_before_everything"), commit).await?;
        Ok(())
    }
}

fn founded(at_ms: i64) -> Mutation {
    Mutation::SetField(keys::SCHEMA, field::FOUNDED, at_ms.to_string().into())
}
