//! Generations that nothing points to, until their bytes are deleted. They wait longer than a failover of the
//! engine takes: one that loses the last commits would bring back a record that points to them.

use jiff::Timestamp;
use oci::Locator;
use proto::metadata::reclaim::{Discarded, MOST_AT_ONCE};

use crate::{
    Service,
    failure::{damaged, parsed_member},
    keys::{self, field},
    keyspace::{Commit, Direction, Error, Mutation},
    step,
};

impl Service {
    pub(super) async fn due_garbage(&self, limit: usize) -> Result<Vec<Discarded>, Error> {
        let due = keys::before(self.now() - self.0.reclaim.garbage_delay);
        let limit = limit.min(MOST_AT_ONCE);
        let members = self.keyspace().range(&keys::GARBAGE, due, limit, Direction::Forward).await?;

        let read = members.iter().map(|member| {
            let since: i64 = parsed_member(&keys::GARBAGE, keys::first_part(member))?;
            let locator: Locator = parsed_member(&keys::GARBAGE, keys::last_part(member))?;
            let since =
                Timestamp::from_millisecond(since).map_err(|_| damaged(&keys::GARBAGE, &field::STARTED))?;
            Ok(Discarded { since, locator })
        });
        read.collect()
    }

    pub(super) async fn remove_garbage(&self, deleted: &[Discarded]) -> Result<(), Error> {
        let removed = deleted.iter().map(|discarded| {
            let member = keys::garbage(discarded.since, &discarded.locator);
            Mutation::RemoveMember(keys::GARBAGE, member)
        });
        let _unconditional =
            self.commit(step!("forget_garbage"), Commit::relaxed().then_all(removed)).await?;
        Ok(())
    }
}
