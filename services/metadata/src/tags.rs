//! Tags: what each names, and three indexes that agree with it. A move is written in the order in which a crash
//! leaves a tag that works: the index by digest, the tag, the list, and what the tag no longer is.

use bytes::Bytes;
use oci::{Digest, RepositoryName, Tag};
use proto::{
    auth::Subject,
    metadata::{More, Page, PageRequest, RepositoryError, repositories::Expected},
};
use ulid::Ulid;

use crate::{
    ATTEMPTS, Service,
    failure::{damaged, next, parsed, parsed_member},
    keys::{self, RepositoryId},
    keyspace::{Condition, Direction, Error, Field, Key, MemberRange, Mutation},
    placement::{Placement, belongs, guard},
};

/// Entries in one page, at most.
pub(crate) const LONGEST_PAGE: usize = 1_000;

impl Service {
    /// Tags in ASCII order.
    pub(crate) async fn list_tags(
        &self,
        repository: &RepositoryName,
        page: &PageRequest<Tag>,
    ) -> Result<Page<Tag>, RepositoryError> {
        for _ in 0..ATTEMPTS {
            let Some(placement) = self.placement(repository).await? else {
                break;
            };
            let listed = self.tags_behind(&placement, page).await?;
            // Read behind the list: an id that is the repository's now was so before.
            if self.is_at(repository, &placement).await? {
                return Ok(listed);
            }
            self.forget(repository);
        }

        Err(self.absent(repository).await)
    }

    async fn tags_behind(
        &self,
        placement: &Placement,
        page: &PageRequest<Tag>,
    ) -> Result<Page<Tag>, RepositoryError> {
        let key = keys::tags(placement.id);
        let behind =
            page.after.as_ref().map_or(MemberRange::all(), |tag| MemberRange::after(tag.to_string()));
        let limit = page.limit.min(LONGEST_PAGE);
        let members = self.keyspace().range(&key, behind, limit + 1, Direction::Forward).await?;

        let more = if members.len() > limit { More::Yes } else { More::No };
        let entries = members.iter().take(limit).map(|member| parsed_member(&key, member));
        Ok(Page { entries: entries.collect::<Result<_, Error>>()?, more })
    }

    /// Whether the repository is where it is believed to be.
    pub(crate) async fn is_at(
        &self,
        repository: &RepositoryName,
        placement: &Placement,
    ) -> Result<bool, Error> {
        let guard = self.keyspace().get_many(&[guard(placement)]).await?.pop().flatten();
        Ok(belongs(guard.as_ref(), repository))
    }
}

/// A tag as it was read, perhaps absent.
#[derive(Debug, Clone)]
pub(crate) struct TagBefore {
    id: RepositoryId,
    tag: Tag,
    /// What it names.
    pub(crate) digest: Option<Digest>,
    pushed: Option<Bytes>,
}

impl TagBefore {
    pub(crate) fn fields(id: RepositoryId, tag: &Tag) -> [(Key, Field); 2] {
        [(keys::tag(id), keys::named(tag)), (keys::pushed(id), keys::named(tag))]
    }

    /// Reads the next values, which were asked for by `fields`.
    pub(crate) fn read(
        id: RepositoryId,
        tag: &Tag,
        values: &mut impl Iterator<Item = Option<Bytes>>,
    ) -> Result<Self, Error> {
        let (key, field) = (keys::tag(id), keys::named(tag));
        let digest = next(values).map(|digest| parsed(&key, &field, Some(&digest))).transpose()?;

        Ok(Self { id, tag: tag.clone(), digest, pushed: next(values) })
    }

    /// The refusal of the first of `tags` that is not as expected. Whoever goes on has `unmoved` in the commit, so
    /// that what was expected is still so when the tag moves.
    pub(crate) fn unexpected(tags: &[Self], expected: &Expected) -> Option<RepositoryError> {
        let first = tags.iter().find(|before| !expected.allows(before.digest.as_ref()))?;
        Some(RepositoryError::TagUnexpected { tag: first.tag.clone(), current: first.digest.clone() })
    }

    /// Nobody has moved the tag since, not even away and back.
    pub(crate) fn unmoved(&self) -> [Condition; 2] {
        let field = keys::named(&self.tag);
        let equals = |key: Key, value: Option<Bytes>| match value {
            Some(value) => Condition::FieldEquals(key, field.clone(), value),
            None => Condition::FieldAbsent(key, field.clone()),
        };
        let digest = self.digest.as_ref().map(|digest| digest.to_string().into());
        [equals(keys::tag(self.id), digest), equals(keys::pushed(self.id), self.pushed.clone())]
    }

    /// The tag names `digest` from now on.
    pub(crate) fn moved(&self, digest: &Digest, at: Ulid, by: &Subject) -> Result<Vec<Mutation>, Error> {
        let Self { id, tag, .. } = self;
        let (id, field) = (*id, keys::named(tag));

        let mut mutations = vec![
            Mutation::AddMember(keys::tagged(id), keys::tagged_by(digest, tag)),
            Mutation::SetField(keys::tag(id), field.clone(), digest.to_string().into()),
            Mutation::AddMember(keys::tags(id), tag.to_string().into()),
        ];
        if let Some(old) = self.digest.as_ref().filter(|old| *old != digest) {
            mutations.push(Mutation::RemoveMember(keys::tagged(id), keys::tagged_by(old, tag)));
        }
        mutations.push(Mutation::AddMember(keys::recent(id), keys::recent_tag(at, tag)));
        mutations.push(Mutation::SetField(keys::pushed(id), field, format!("{at} {by}").into()));
        mutations.extend(self.no_longer_recent()?);
        Ok(mutations)
    }

    /// The tag is gone: the same steps the other way round.
    pub(crate) fn removed(&self) -> Result<Vec<Mutation>, Error> {
        let Self { id, tag, digest, .. } = self;
        let (id, field) = (*id, keys::named(tag));

        let mut mutations = vec![
            Mutation::RemoveMember(keys::tags(id), tag.to_string().into()),
            Mutation::RemoveField(keys::tag(id), field.clone()),
            Mutation::RemoveField(keys::pushed(id), field),
        ];
        mutations.extend(self.no_longer_recent()?);
        mutations.extend(
            digest.as_ref().map(|old| Mutation::RemoveMember(keys::tagged(id), keys::tagged_by(old, tag))),
        );
        Ok(mutations)
    }

    /// The tag does not name `digest` any more. A crash may have left it in the index only.
    pub(crate) fn no_longer(&self, digest: &Digest) -> Result<Vec<Mutation>, Error> {
        if self.digest.as_ref() == Some(digest) {
            return self.removed();
        }
        Ok(vec![Mutation::RemoveMember(keys::tagged(self.id), keys::tagged_by(digest, &self.tag))])
    }

    pub(crate) const fn tag(&self) -> &Tag {
        &self.tag
    }

    /// The name of its last push, by which it is in the list of recent ones.
    pub(crate) fn pushed_as(&self) -> Result<Option<Ulid>, Error> {
        let Some(pushed) = &self.pushed else {
            return Ok(None);
        };
        let (key, field) = (keys::pushed(self.id), keys::named(&self.tag));
        let text = std::str::from_utf8(pushed).map_err(|_| damaged(&key, &field))?;
        let at = text.split(' ').next().and_then(|at| at.parse().ok());
        at.map(Some).ok_or_else(|| damaged(&key, &field))
    }

    fn no_longer_recent(&self) -> Result<Option<Mutation>, Error> {
        let listed = |at| Mutation::RemoveMember(keys::recent(self.id), keys::recent_tag(at, &self.tag));
        Ok(self.pushed_as()?.map(listed))
    }
}
