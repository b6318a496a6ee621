//! Who reclaims: one of all replicas at a time, for a term. It only spares work, so a lost commit does no harm.

use std::time::Duration;

use jiff::Timestamp;
use oci::Generation;
use proto::metadata::reclaim::Office;

use crate::{
    Outcome, Service,
    keys::{self, field},
    keyspace::{Commit, Condition, Error, Field, Mutation},
    step,
};

impl Service {
    pub(super) async fn office(&self, holder: &Generation, term: Duration) -> Result<Office, Error> {
        let record = self.keyspace().record(&keys::SWEEPER).await?.unwrap_or_default();
        let until = record.number(field::UNTIL).and_then(|until| Timestamp::from_millisecond(until).ok());
        let mine = record.text(field::HOLDER) == Some(holder.to_string().as_str());
        if !mine && until.is_some_and(|until| self.now() < until) {
            return Ok(Office::Taken);
        }

        let unchanged = |field: Field| match record.get(&field) {
            Some(value) => Condition::FieldEquals(keys::SWEEPER, field, value.clone()),
            None => Condition::FieldAbsent(keys::SWEEPER, field),
        };
        let until = self.now() + term;
        let commit = Commit::relaxed()
            .when(unchanged(field::HOLDER))
            .when(unchanged(field::UNTIL))
            .then(Mutation::SetField(keys::SWEEPER, field::HOLDER, holder.to_string().into()))
            .then(Mutation::SetField(keys::SWEEPER, field::UNTIL, until.as_millisecond().to_string().into()));
        let outcome = self.commit(step!("office"), commit).await?;
        Ok(if outcome == Outcome::Committed { Office::Held } else { Office::Taken })
    }
}
