//! Deleted manifests: what the trash lists can be restored, and what cannot be restored keeps nothing.

use bytes::Bytes;
use oci::Digest;
use proto::metadata::integrity::Kind;

use super::{
    Seen,
    manifests::{Holder, named},
    repositories::Repository,
    unlisted,
};
use crate::{
    Service,
    failure::{damaged, next, parsed_member},
    keys::{self, field},
    keyspace::{Condition, Error, Mutation},
    manifests::needs_in,
};

impl Service {
    pub(super) async fn inspect_trash(
        &self,
        repository: &Repository,
        member: &Bytes,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let (id, list) = (repository.id(), keys::trash(repository.id()));
        let digest: Digest = parsed_member(&list, keys::last_part(member))?;
        let at_ms: i64 = parsed_member(&list, keys::first_part(member))?;
        let (stored, trashed) = (keys::manifest(id, &digest), keys::trashed(id, &digest));
        let asked = [
            (stored.clone(), field::TYPE),
            (trashed.clone(), field::DELETED),
            (trashed.clone(), field::NEEDS),
        ];
        let mut values = self.fields(&asked).await?.into_iter();
        let [is_stored, deleted, needs] = [(); 3].map(|()| next(&mut values));

        let (has, mended) = unlisted(&list, member);
        let unrestored = Condition::unchanged(trashed.clone(), field::DELETED, deleted.clone());
        let as_read = [has, Condition::unchanged(stored, field::TYPE, is_stored.clone()), unrestored];
        let suspect = |kind| repository.suspect(kind, named(&digest)).when_all(as_read);
        let this = deleted.as_ref().map(|deleted| parsed_member::<i64>(&trashed, deleted)).transpose()?;
        match (this, is_stored, needs) {
            // It was deleted again since, and has another entry.
            (Some(this), _, _) if this != at_ms => {
                seen.suspect(suspect(Kind::TrashListedAlone).mended_by(mended));
            }
            // A push that was cut off has brought it back, or a deletion that was has not removed it.
            (_, Some(_), _) => {
                let removed = Mutation::RemoveRecord(trashed);
                seen.suspect(suspect(Kind::TrashListedAlone).mended_by(removed).mended_by(mended));
            }
            (Some(_), None, Some(needs)) => {
                seen.counts.manifests += 1;
                let holder = Holder { digest: &digest, key: trashed, exists: field::DELETED, needs };
                self.inspect_needs(repository, &holder, seen).await?;
            }
            // It was being given up.
            (None, None, Some(needs)) => {
                let release = self.release(id, &digest, needs_in(&trashed, &needs)?).await?;
                let suspect = suspect(Kind::TrashUnreleased)
                    .when(Condition::FieldEquals(trashed.clone(), field::NEEDS, needs))
                    .when_all(release.unchanged())
                    .mended_by_all(release.mutations(self.now()))
                    .mended_by(Mutation::RemoveRecord(trashed));
                seen.suspect(suspect.mended_by(mended));
            }
            (Some(_), None, None) => return Err(damaged(&trashed, &field::NEEDS)),
            (None, None, None) => {
                let absent = Condition::FieldAbsent(trashed.clone(), field::NEEDS);
                let suspect = suspect(Kind::TrashListedAlone).when(absent);
                seen.suspect(suspect.mended_by(Mutation::RemoveRecord(trashed)).mended_by(mended));
            }
        }
        Ok(())
    }
}
