//! Holds: content that an upload session is about to link is not reclaimed meanwhile.

use bytes::Bytes;
use jiff::Timestamp;
use oci::{Digest, SessionId};
use proto::metadata::{
    UploadError,
    uploads::{Held, UploadAddress},
};
use ulid::Ulid;

use crate::{
    Outcome, Service,
    content::Content,
    failure::damaged,
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
        let (expires, idle) = (self.now() + self.0.lifetimes.hold, self.ulid());
        let commit = Commit::relaxed()
            .when(Condition::FieldPresent(keys::upload(&address.session), field::PROGRESS))
            // Should nobody link it, reclaim finds the hold by this when it has expired.
            .then(Mutation::AddMember(keys::IDLE, keys::idle(idle, digest)))
            .then(Mutation::SetField(holds, holder, written(expires, idle)));
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
    key: Key,
    holder: Field,
    recorded: Bytes,
    expires: Timestamp,
    /// The entry by which reclaim would find it.
    idle: Bytes,
}

impl Hold {
    pub(crate) fn read(
        digest: &Digest,
        session: &SessionId,
        value: Option<Bytes>,
    ) -> Result<Option<Self>, Error> {
        let holder = keys::named(session);
        value.map(|value| Self::recorded(digest, holder.as_bytes(), &value)).transpose()
    }

    /// Reads a field of the holds of `digest`: when it expires, and the name of its entry among the idle.
    pub(crate) fn recorded(digest: &Digest, holder: &Bytes, value: &Bytes) -> Result<Self, Error> {
        let (key, holder) = (keys::holds(digest), Field::new(holder.clone()));
        let text = std::str::from_utf8(value).ok().and_then(|text| text.split_once(' '));
        let read = text.and_then(|(expires, idle)| Some((expires.parse().ok()?, idle.parse().ok()?)));
        let (expires_ms, idle) = read.ok_or_else(|| damaged(&key, &holder))?;

        let expires = Timestamp::from_millisecond(expires_ms).unwrap_or(Timestamp::MAX);
        Ok(Self { key, holder, recorded: value.clone(), expires, idle: keys::idle(idle, digest) })
    }

    pub(crate) fn lives(&self, now: Timestamp) -> bool {
        now < self.expires
    }

    /// Nobody has taken it away since.
    pub(crate) fn unchanged(&self) -> Condition {
        Condition::FieldEquals(self.key.clone(), self.holder.clone(), self.recorded.clone())
    }

    pub(crate) fn released(&self) -> Mutation {
        Mutation::RemoveField(self.key.clone(), self.holder.clone())
    }

    /// Its content is linked, so that reclaim need not look at it.
    pub(crate) fn not_idle(&self) -> Mutation {
        Mutation::RemoveMember(keys::IDLE, self.idle.clone())
    }
}

pub(crate) fn field_of(digest: &Digest, session: &SessionId) -> (Key, Field) {
    (keys::holds(digest), keys::named(session))
}

fn written(expires: Timestamp, idle: Ulid) -> Bytes {
    format!("{} {idle}", expires.as_millisecond()).into()
}
