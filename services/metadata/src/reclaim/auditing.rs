//! What is in the store against what is known. A crash between the publishing of bytes and their link leaves
//! bytes that nobody knows; a crash between a link and the end of its upload leaves parts.

use std::time::Duration;

use jiff::Timestamp;
use oci::{Locator, SessionId};
use proto::metadata::reclaim::{Audited, Found};
use ulid::Ulid;

use crate::{
    Outcome, Service,
    content::{Content, discarded},
    failure::damaged,
    keys::{self, field},
    keyspace::{Commit, Condition, Error},
    step,
};

/// Clocks of two machines differ.
const LEEWAY: Duration = Duration::from_hours(1);

impl Service {
    pub(super) async fn compare(&self, found: &Found) -> Result<Audited, Error> {
        let mut audited = Audited { queued: 0, ended: self.ended_sessions(&found.sessions).await? };
        for locator in &found.locators {
            if self.can_still_be_linked(locator)? {
                continue;
            }
            if self.queue_unknown(locator).await? == Outcome::Committed {
                audited.queued += 1;
            }
        }
        Ok(audited)
    }

    /// A link needs a session that is open, and a session lives for so long at most. Whoever has published older bytes
    /// and was held up since cannot link them either: that needs a hold, and there is none when they are queued.
    fn can_still_be_linked(&self, locator: &Locator) -> Result<bool, Error> {
        let published: Ulid = locator
            .generation
            .to_string()
            .parse()
            .map_err(|_| damaged(&keys::image(&locator.content.digest), &field::LOCATOR))?;
        let milliseconds = i64::try_from(published.timestamp_ms()).unwrap_or(i64::MAX);
        let published = Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::MAX);
        let age = self.now().duration_since(published);

        Ok(age.is_negative() || age.unsigned_abs() < self.0.lifetimes.session + LEEWAY)
    }

    /// Queues bytes that no record points to. They may be in the queue already, which does no harm.
    async fn queue_unknown(&self, locator: &Locator) -> Result<Outcome, Error> {
        let digest = &locator.content.digest;
        if self.is_held(digest).await? {
            return Ok(Outcome::Conflicted);
        }
        let values = self.keyspace().get_many(&Content::fields(digest)).await?;
        let content = Content::read(digest, &mut values.into_iter())?;
        if content.recorded() == Some(locator) {
            return Ok(Outcome::Conflicted);
        }

        let commit = Commit::synced()
            .when(Condition::RecordAbsent(keys::holds(digest)))
            .when(content.unmoved())
            .then(discarded(locator, self.now()));
        self.commit(step!("audit"), commit).await
    }

    async fn ended_sessions(&self, sessions: &[SessionId]) -> Result<Vec<SessionId>, Error> {
        let asked: Vec<_> = sessions.iter().map(|session| (keys::upload(session), field::PROGRESS)).collect();
        let open = self.fields(&asked).await?;

        let ended = sessions.iter().zip(open).filter(|(_, open)| open.is_none());
        Ok(ended.map(|(session, _)| *session).collect())
    }
}
