//! What is in the store against what is known. A crash between the publishing of bytes and their link leaves
//! bytes that nobody knows; a crash between a link and the end of its upload leaves parts. Metadata that came later than
//! the bytes says nothing of them: an engine that came back empty, or is not loaded yet, must not cost a hub its blobs.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use oci::{Locator, SessionId};
use proto::metadata::reclaim::{Audited, Found};
use ulid::Ulid;

use crate::{
    Outcome, Service,
    content::{Content, discarded},
    failure::{damaged, next, parsed},
    keys::{self, field},
    keyspace::{Commit, Condition, Error},
    step,
};

/// Clocks of two machines differ.
const LEEWAY: Duration = Duration::from_hours(1);

/// Since when there is metadata, as it was read.
struct Founding {
    version: Bytes,
    founded: Bytes,
    at: Timestamp,
}

impl Founding {
    /// Whether what was published then would be known if it was linked.
    fn precedes(&self, published: Timestamp) -> bool {
        let later = published.duration_since(self.at);
        !later.is_negative() && later.unsigned_abs() >= LEEWAY
    }

    /// The metadata is the same still, and whole.
    fn unchanged(&self) -> [Condition; 3] {
        [
            Condition::FieldEquals(keys::SCHEMA, field::VERSION, self.version.clone()),
            Condition::FieldEquals(keys::SCHEMA, field::FOUNDED, self.founded.clone()),
            Condition::FieldAbsent(keys::SCHEMA, field::LOADING),
        ]
    }
}

impl Service {
    pub(super) async fn compare(&self, found: &Found) -> Result<Audited, Error> {
        let mut audited = Audited { queued: 0, ended: self.ended_sessions(&found.sessions).await? };
        // After the sessions: what was there when this was asked was there before.
        let Some(founding) = self.founding().await? else {
            tracing::error!(
                "the metadata is gone: what it does not know is left alone; is the engine empty?"
            );
            return Ok(Audited { queued: 0, ended: Vec::new() });
        };
        let mut older = 0_u64;
        for locator in &found.locators {
            let published = published(locator)?;
            if self.can_still_be_linked(published) {
                continue;
            }
            let Some(content) = self.unknown(locator).await? else { continue };
            if !founding.precedes(published) {
                older += 1;
                continue;
            }
            if self.queue_unknown(locator, &content, &founding).await? == Outcome::Committed {
                audited.queued += 1;
            }
        }
        if older > 0 {
            tracing::warn!(
                contents = older,
                "bytes that are older than this metadata are not known to it, and left alone: load the backup that knows them"
            );
        }
        Ok(audited)
    }

    /// None: there is no metadata any more, or not yet.
    async fn founding(&self) -> Result<Option<Founding>, Error> {
        let asked = [field::VERSION, field::FOUNDED].map(|field| (keys::SCHEMA, field));
        let mut values = self.keyspace().get_many(&asked).await?.into_iter();
        let Some((version, founded)) = next(&mut values).zip(next(&mut values)) else { return Ok(None) };

        let at_ms = parsed(&keys::SCHEMA, &field::FOUNDED, Some(&founded))?;
        let at = Timestamp::from_millisecond(at_ms).map_err(|_| damaged(&keys::SCHEMA, &field::FOUNDED))?;
        Ok(Some(Founding { version, founded, at }))
    }

    /// A link needs a session that is open, and a session lives for so long at most. Whoever has published older bytes
    /// and was held up since cannot link them either: that needs a hold, and there is none when they are queued.
    fn can_still_be_linked(&self, published: Timestamp) -> bool {
        let age = self.now().duration_since(published);

        age.is_negative() || age.unsigned_abs() < self.0.lifetimes.session + LEEWAY
    }

    /// The record of content, if it does not point to these bytes and nobody is about to make it do so.
    async fn unknown(&self, locator: &Locator) -> Result<Option<Content>, Error> {
        let digest = &locator.content.digest;
        if self.is_held(digest).await? {
            return Ok(None);
        }
        let values = self.keyspace().get_many(&Content::fields(digest)).await?;
        let content = Content::read(digest, &mut values.into_iter())?;
        Ok((content.recorded() != Some(locator)).then_some(content))
    }

    /// Queues bytes that no record points to. They may be in the queue already, which does no harm.
    async fn queue_unknown(
        &self,
        locator: &Locator,
        content: &Content,
        founding: &Founding,
    ) -> Result<Outcome, Error> {
        let commit = Commit::synced()
            .when_all(founding.unchanged())
            .when(Condition::RecordAbsent(keys::holds(&locator.content.digest)))
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

/// When bytes were published, by the clock of whoever did so.
fn published(locator: &Locator) -> Result<Timestamp, Error> {
    let published: Ulid = locator
        .generation
        .to_string()
        .parse()
        .map_err(|_| damaged(&keys::image(&locator.content.digest), &field::LOCATOR))?;
    let milliseconds = i64::try_from(published.timestamp_ms()).unwrap_or(i64::MAX);
    Ok(Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::MAX))
}
