//! Reaping: content that nothing references or holds gives up its bytes, in one commit (ARCHITECTURE.md §4,
//! Reclaim, step 1). Holds are never refused; a hold that comes first makes the commit fail.

use std::time::Duration;

use bytes::Bytes;
use oci::Digest;
use proto::metadata::{More, reclaim::Reaped};

use crate::{
    ATTEMPTS, Outcome, Service,
    content::Content,
    failure::parsed_member,
    holds::Hold,
    keys,
    keyspace::{Commit, Condition, Direction, Error, Mutation},
    step,
};

/// Contents in one step.
const CONTENTS: usize = 200;

/// What was held a moment ago is not looked at again at once; never longer than garbage waits.
const REST: Duration = Duration::from_mins(1);

impl Service {
    pub(super) async fn reap_idle(&self) -> Result<Reaped, Error> {
        let due = keys::made_before(self.now() - REST.min(self.0.reclaim.garbage_delay));
        let members = self.keyspace().range(&keys::IDLE, due, CONTENTS, Direction::Forward).await?;

        let mut reaped = Reaped { contents: 0, size_bytes: 0, more: More::No };
        for member in &members {
            if let Some(size_bytes) = self.reap_one(member).await? {
                reaped.contents += 1;
                reaped.size_bytes += size_bytes;
            }
        }
        if members.len() == CONTENTS {
            reaped.more = More::Yes;
        }
        Ok(reaped)
    }

    /// The bytes that were queued, if any were.
    async fn reap_one(&self, member: &Bytes) -> Result<Option<u64>, Error> {
        let digest: Digest = parsed_member(&keys::IDLE, keys::last_part(member))?;
        for _ in 0..ATTEMPTS {
            if self.is_held(&digest).await? {
                return self.looked_at_later(member, &digest).await.map(|()| None);
            }
            let values = self.keyspace().get_many(&Content::fields(&digest)).await?;
            let content = Content::read(&digest, &mut values.into_iter())?;

            let commit = Commit::synced()
                .when(Condition::RecordAbsent(keys::refs(&digest)))
                .when(Condition::RecordAbsent(keys::holds(&digest)))
                .when(content.unmoved())
                .then_all(content.reaped(self.now()))
                .then(Mutation::RemoveMember(keys::IDLE, member.clone()));
            match self.first_failed(step!("reap"), commit).await? {
                None => return Ok(content.recorded().and(content.size_bytes())),
                Some(0) => return self.still_referenced(member).await.map(|()| None),
                // A hold has come, or another push has brought the content: look again.
                Some(_) => {}
            }
        }
        Ok(None)
    }

    /// Whether a hold lives. Those that have expired are removed: then there is none.
    pub(super) async fn is_held(&self, digest: &Digest) -> Result<bool, Error> {
        let key = keys::holds(digest);
        let Some(holds) = self.keyspace().record(&key).await? else {
            return Ok(false);
        };
        let now = self.now();
        let holds: Vec<Hold> =
            holds.iter().map(|(by, value)| Hold::recorded(digest, by, value)).collect::<Result<_, _>>()?;
        if holds.iter().any(|hold| hold.lives(now)) {
            return Ok(true);
        }

        let commit = Commit::relaxed()
            .when_all(holds.iter().map(Hold::unchanged))
            .then_all(holds.iter().map(Hold::released));
        Ok(self.commit(step!("expire_holds"), commit).await? == Outcome::Conflicted)
    }

    /// Every unlinking and every hold makes an entry of its own, so that this one has nothing more to say.
    async fn still_referenced(&self, member: &Bytes) -> Result<(), Error> {
        let commit = Commit::relaxed().then(Mutation::RemoveMember(keys::IDLE, member.clone()));
        let _unconditional = self.commit(step!("not_idle"), commit).await?;
        Ok(())
    }

    async fn looked_at_later(&self, member: &Bytes, digest: &Digest) -> Result<(), Error> {
        let commit = Commit::relaxed()
            .then(Mutation::AddMember(keys::IDLE, keys::idle(self.ulid(), digest)))
            .then(Mutation::RemoveMember(keys::IDLE, member.clone()));
        let _unconditional = self.commit(step!("still_held"), commit).await?;
        Ok(())
    }
}
