//! Which manifests without a tag a rule lets go. The list has all of them and is in no order of time: a page is one
//! range and one read of its times, and only those whose time has come are looked at.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use oci::Digest;
use proto::metadata::rules::Untagged;

use crate::{
    Service,
    failure::{next, parsed, parsed_member},
    keys::{self, RepositoryId, field},
    keyspace::{Condition, Direction, Error, Field, Key, MemberRange, RANGE_LIMIT},
    tags::TagBefore,
};

/// Indexes that are looked at, to find one that is there. With more, one is taken to be.
const PARENTS: usize = 100;

/// What is to be done with a listed manifest.
pub(crate) enum Verdict {
    /// It goes, as long as the conditions hold. A crash may have left tags in the index that name something else.
    Goes { leftovers: Vec<TagBefore>, as_long_as: Vec<Condition> },
    /// It has this tag.
    Tagged(TagBefore),
    /// An index or its subject keeps it, or its time has not begun.
    Kept,
    /// It is not there.
    Gone,
}

impl Service {
    /// Goes on with the walk behind `after`: those whose time has come, and where to go on.
    pub(crate) async fn untagged_page(
        &self,
        id: RepositoryId,
        rule: &Untagged,
        after: Option<&Digest>,
    ) -> Result<(Vec<Digest>, Option<Digest>), Error> {
        let key = keys::untagged(id);
        let range = after.map_or(MemberRange::all(), |after| MemberRange::after(keys::without_tag(after)));
        let members = self.keyspace().range(&key, range, RANGE_LIMIT, Direction::Forward).await?;
        let mut digests =
            members.iter().map(|member| parsed_member(&key, member)).collect::<Result<Vec<Digest>, _>>()?;
        let next = digests.last().filter(|_| members.len() == RANGE_LIMIT).cloned();

        let asked: Vec<_> = digests.iter().map(|digest| since(id, digest)).collect();
        let mut times = self.fields(&asked).await?.into_iter();
        let now = self.now();
        digests.retain(|_| {
            // Without a time that can be read it is given one.
            let since_ms =
                times.next().flatten().and_then(|time| std::str::from_utf8(&time).ok()?.parse().ok());
            since_ms.is_none_or(|since_ms| age(since_ms, now) >= rule.within)
        });
        Ok((digests, next))
    }

    /// What is to be done now with a manifest of such a page.
    pub(crate) async fn verdict(
        &self,
        id: RepositoryId,
        digest: &Digest,
        rule: &Untagged,
    ) -> Result<Verdict, Error> {
        let key = keys::manifest(id, digest);
        let asked = [field::TYPE, field::UNTAGGED, field::SUBJECT].map(|field| (key.clone(), field));
        let mut values = self.fields(&asked).await?.into_iter();
        let (media_type, time, subject) = (next(&mut values), next(&mut values), next(&mut values));
        if media_type.is_none() {
            return Ok(Verdict::Gone);
        }

        let (mut named, leftovers): (Vec<_>, Vec<_>) = self
            .tags_of(id, digest)
            .await?
            .into_iter()
            .partition(|before| before.digest.as_ref() == Some(digest));
        if let Some(tag) = named.pop() {
            return Ok(Verdict::Tagged(tag));
        }
        let subject: Option<Digest> =
            subject.map(|subject| parsed(&key, &field::SUBJECT, Some(&subject))).transpose()?;
        let due = |time: &Bytes| {
            let since_ms = parsed(&key, &field::UNTAGGED, Some(time)).ok();
            since_ms.is_some_and(|since_ms| age(since_ms, self.now()) >= rule.within)
        };
        let Some(time) = time.filter(due) else { return Ok(Verdict::Kept) };
        if self.belongs_to_something(id, digest, subject.as_ref()).await? {
            return Ok(Verdict::Kept);
        }

        let (key, field) = since(id, digest);
        let mut as_long_as = vec![Condition::FieldEquals(key, field, time)];
        let absent = subject.iter().flat_map(|subject| there(id, subject));
        as_long_as.extend(absent.map(|(key, field)| Condition::FieldAbsent(key, field)));
        Ok(Verdict::Goes { leftovers, as_long_as })
    }

    /// Whether an index that names it or its subject is there or can be restored: then it goes with that.
    async fn belongs_to_something(
        &self,
        id: RepositoryId,
        digest: &Digest,
        subject: Option<&Digest>,
    ) -> Result<bool, Error> {
        let key = keys::uses(id);
        let indexes =
            self.keyspace().range(&key, keys::of_digest(digest), PARENTS, Direction::Forward).await?;
        if indexes.len() == PARENTS {
            return Ok(true);
        }

        let mut asked: Vec<_> = subject.iter().flat_map(|subject| there(id, subject)).collect();
        for index in &indexes {
            asked.extend(there(id, &parsed_member(&key, keys::last_part(index))?));
        }
        Ok(self.fields(&asked).await?.iter().any(Option::is_some))
    }
}

/// Since when a manifest is on the list.
fn since(id: RepositoryId, digest: &Digest) -> (Key, Field) {
    (keys::manifest(id, digest), field::UNTAGGED)
}

/// One of these is there when a manifest is, or can be restored.
fn there(id: RepositoryId, digest: &Digest) -> [(Key, Field); 2] {
    [(keys::manifest(id, digest), field::TYPE), (keys::trashed(id, digest), field::DELETED)]
}

fn age(since_ms: i64, now: Timestamp) -> Duration {
    let age_ms = now.as_millisecond().saturating_sub(since_ms);
    Duration::from_millis(u64::try_from(age_ms).unwrap_or_default())
}
