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
    /// The engine did not answer.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl Service {
    /// Writes the version, if there is none, and refuses one that this release does not know.
    pub(crate) async fn prepare_schema(&self) -> Result<(), FoundError> {
        let commit = Commit::synced()
            .when(Condition::FieldAbsent(keys::SCHEMA, field::VERSION))
            .then(Mutation::SetField(keys::SCHEMA, field::VERSION, VERSION.to_string().into()));
        if self.commit(step!("found"), commit).await? == Outcome::Committed {
            return Ok(());
        }

        let record = self.keyspace().record(&keys::SCHEMA).await?.unwrap_or_default();
        let found: u32 = parsed(&keys::SCHEMA, &field::VERSION, record.get(field::VERSION))?;
        if found > VERSION {
            return Err(FoundError::Newer { found });
        }

        Ok(())
    }
}
