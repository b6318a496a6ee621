//! Upload sessions that are too old to be used. Nobody can go on with them, so they end when their parts are gone.

use jiff::Timestamp;
use oci::SessionId;
use proto::metadata::reclaim::{MOST_AT_ONCE, StaleUpload};

use crate::{
    Service,
    failure::{damaged, parsed_member},
    keys::{self, field},
    keyspace::{Commit, Direction, Error},
    sessions::ended,
    step,
};

impl Service {
    pub(super) async fn too_old_sessions(&self, limit: usize) -> Result<Vec<StaleUpload>, Error> {
        let due = keys::before(self.now() - self.0.lifetimes.session);
        let limit = limit.min(MOST_AT_ONCE);
        let members = self.keyspace().range(&keys::UPLOADS, due, limit, Direction::Forward).await?;

        let read = members.iter().map(|member| {
            let started: i64 = parsed_member(&keys::UPLOADS, keys::first_part(member))?;
            let session: SessionId = parsed_member(&keys::UPLOADS, keys::last_part(member))?;
            let started =
                Timestamp::from_millisecond(started).map_err(|_| damaged(&keys::UPLOADS, &field::STARTED))?;
            Ok(StaleUpload { session, started })
        });
        read.collect()
    }

    /// Also ends what only the list knows: its record may have ended in a commit that a crash has cut.
    pub(super) async fn end_sessions(&self, uploads: &[StaleUpload]) -> Result<(), Error> {
        let old = uploads.iter().filter(|upload| !self.is_young(upload.started));
        let commit =
            Commit::relaxed().then_all(old.flat_map(|upload| ended(&upload.session, upload.started)));
        let _unconditional = self.commit(step!("forget_uploads"), commit).await?;
        Ok(())
    }
}
