//! Holds: content that an upload session is about to link is not reclaimed meanwhile.

use bytes::Bytes;
use jiff::Timestamp;
use oci::{Digest, SessionId};
use proto::metadata::{
    UploadError,
    uploads::{Held, UploadAddress},
};

use crate::{
    Outcome, Service,
    content::Content,
    failure::parsed,
    keys::{self, field},
    keyspace::{Commit, Condition, Error, Field, Key, Mutation},
    sessions::unknown,
    step,
};

impl Service {
    /// Holds, then looks: whoever reclaims after the look has seen the hold.
    pub(crate) async fn hold_content(
        &self,
        address: &UploadAddress,
        digest: &Digest,
    ) -> Result<Held, UploadError> {
        let session = self.read_session(address).await?;

        let (holds, holder) = field_of(digest, &address.session);
        let expires = self.now() + self.0.lifetimes.hold;
        let commit = Commit::relaxed()
            .when(Condition::FieldPresent(keys::upload(&address.session), field::PROGRESS))
            .then(Mutation::SetField(holds, holder, expires.as_millisecond().to_string().into()));
        if self.commit(step!("hold"), commit).await? == Outcome::Conflicted {
            return Err(unknown(address));
        }

        let values = self.keyspace().get_many(&Content::fields(digest)).await?;
        let content = Content::read(digest, &mut values.into_iter())?;
        Ok(Held { session, locator: content.live().cloned() })
    }
}

/// A hold as it was read.
pub(crate) struct Hold {
    recorded: Bytes,
    expires: Timestamp,
}

impl Hold {
    pub(crate) fn read(
        digest: &Digest,
        session: &SessionId,
        value: Option<Bytes>,
    ) -> Result<Option<Self>, Error> {
        let Some(recorded) = value else { return Ok(None) };
        let (key, field) = field_of(digest, session);
        let expires_ms: i64 = parsed(&key, &field, Some(&recorded))?;
        let expires = Timestamp::from_millisecond(expires_ms).unwrap_or(Timestamp::MAX);

        Ok(Some(Self { recorded, expires }))
    }

    pub(crate) fn lives(&self, now: Timestamp) -> bool {
        now < self.expires
    }

    /// Nobody has taken it away since.
    pub(crate) fn unchanged(&self, digest: &Digest, session: &SessionId) -> Condition {
        let (key, field) = field_of(digest, session);
        Condition::FieldEquals(key, field, self.recorded.clone())
    }
}

pub(crate) fn field_of(digest: &Digest, session: &SessionId) -> (Key, Field) {
    (keys::holds(digest), keys::named(session))
}

pub(crate) fn released(digest: &Digest, session: &SessionId) -> Mutation {
    let (key, field) = field_of(digest, session);
    Mutation::RemoveField(key, field)
}
