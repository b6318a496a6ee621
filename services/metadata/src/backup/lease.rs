//! Who dumps what an engine without snapshots has: one at a time, and nobody reclaims meanwhile. A lease that was lost
//! ends the dump, since what it has read may have been reclaimed.

use std::time::Duration;

use jiff::Timestamp;
use proto::metadata::BackupError;

use super::DumpError;
use crate::{
    Outcome, Service,
    keys::{self, field},
    keyspace::{Commit, Condition, Error, Mutation},
    step,
};

/// How long a lease lasts that is not renewed: longer than anybody may take for a piece of a dump.
const TERM: Duration = Duration::from_mins(5);

/// It is renewed when less than this is left.
const RENEWED_WITHIN: Duration = Duration::from_mins(4);

/// The right to dump, as long as it is kept.
pub(super) struct Lease {
    service: Service,
    holder: String,
    until: Timestamp,
}

impl Service {
    /// Whether what a dump reads must not be reclaimed now.
    pub(crate) async fn is_backed_up(&self) -> Result<bool, Error> {
        let until = self.keyspace().get_many(&[(keys::BACKUP, field::UNTIL)]).await?.pop().flatten();
        let until = until.map(|until| crate::failure::parsed(&keys::BACKUP, &field::UNTIL, Some(&until)));
        Ok(until.transpose()?.is_some_and(|until: i64| self.now().as_millisecond() < until))
    }

    pub(super) async fn take_lease(&self, holder: String) -> Result<Lease, BackupError> {
        let record = self.keyspace().record(&keys::BACKUP).await?.unwrap_or_default();
        let held = record.number(field::UNTIL).and_then(|until| Timestamp::from_millisecond(until).ok());
        if let Some(until) = held.filter(|until| self.now() < *until) {
            return Err(BackupError::Taken { until });
        }

        let until = self.now() + TERM;
        let unchanged = |field: crate::keyspace::Field| {
            let read = record.get(&field).cloned();
            Condition::unchanged(keys::BACKUP, field, read)
        };
        let commit = Commit::synced()
            .when(unchanged(field::HOLDER))
            .when(unchanged(field::UNTIL))
            .then(Mutation::SetField(keys::BACKUP, field::HOLDER, holder.clone().into()))
            .then(lasting(until));
        if self.commit(step!("take_lease"), commit).await? == Outcome::Conflicted {
            return Err(BackupError::Taken { until });
        }
        Ok(Lease { service: self.clone(), holder, until })
    }
}

impl Lease {
    /// Renews it if need be.
    pub(super) async fn keep(&mut self) -> Result<(), DumpError> {
        let now = self.service.now();
        if now >= self.until {
            return Err(DumpError::LeaseLost);
        }
        if now + RENEWED_WITHIN < self.until {
            return Ok(());
        }

        let until = now + TERM;
        let commit = self.still().then(lasting(until));
        if self.service.commit(step!("keep_lease"), commit).await? == Outcome::Conflicted {
            return Err(DumpError::LeaseLost);
        }
        self.until = until;
        Ok(())
    }

    /// Ends it, and says whether it was kept until now.
    pub(super) async fn give_back(self) -> Result<(), DumpError> {
        let commit = self.still().then(Mutation::RemoveRecord(keys::BACKUP));
        let outcome = self.service.commit(step!("end_lease"), commit).await?;
        if self.service.now() >= self.until || outcome == Outcome::Conflicted {
            return Err(DumpError::LeaseLost);
        }
        Ok(())
    }

    fn still(&self) -> Commit {
        let holder = self.holder.clone().into();
        Commit::synced().when(Condition::FieldEquals(keys::BACKUP, field::HOLDER, holder))
    }
}

fn lasting(until: Timestamp) -> Mutation {
    Mutation::SetField(keys::BACKUP, field::UNTIL, until.as_millisecond().to_string().into())
}
