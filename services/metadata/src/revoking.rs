//! Telling that users have lost a right: in the commit that takes it away, before the change itself, so that a crash
//! between them revokes too much and never too little.

use bytes::Bytes;
use oci::AccountName;
use proto::{auth::Subject, metadata::credentials::Revoked};

use crate::{
    ATTEMPTS, Outcome, Service,
    failure::parsed_member,
    keyspace::{Commit, Direction, Error, Key, MemberRange},
    revocations::Telling,
    step,
};

/// Users that one commit tells of, at most.
pub(crate) const TOLD_AT_ONCE: usize = 200;

impl Service {
    /// All tokens of a user end.
    pub(crate) async fn user_revoked(&self, user: &AccountName) -> Result<Telling, Error> {
        self.telling(&[revoked(user.clone())]).await
    }

    /// All tokens of users end who are members of the ordered set `key`.
    pub(crate) async fn users_revoked(&self, key: &Key, users: &[Bytes]) -> Result<Telling, Error> {
        let users = users.iter().map(|user| parsed_member(key, user).map(revoked));
        self.telling(&users.collect::<Result<Vec<_>, _>>()?).await
    }

    /// All tokens of all members of the ordered set end, in bounded commits.
    pub(crate) async fn revoke_all(&self, key: &Key) -> Result<(), Error> {
        let (mut members, mut attempts) = (MemberRange::all(), 0);
        while attempts < ATTEMPTS {
            let users = self.keyspace().range(key, members.clone(), TOLD_AT_ONCE, Direction::Forward).await?;
            let Some(last) = users.last().cloned() else {
                return Ok(());
            };
            let commit = Commit::synced().telling(self.users_revoked(key, &users).await?);
            match self.commit(step!("revoke"), commit).await? {
                Outcome::Committed => (members, attempts) = (MemberRange::after(last), 0),
                Outcome::Conflicted => attempts += 1,
            }
        }

        Err(Error::Unavailable { attempted: "telling of a revocation beside many others" })
    }
}

fn revoked(user: AccountName) -> Revoked {
    Revoked::Subject(Subject::User(user))
}
