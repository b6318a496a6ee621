//! Referrers: what points to a manifest by its subject. A descriptor is made of what a push has written beside
//! the body, so that no body is read. A page ends at so many entries or bytes, whichever comes first.

use std::collections::BTreeMap;

use bytes::Bytes;
use oci::{Descriptor, Digest, MediaType, Reference, Tag};
use proto::metadata::{
    More, RepositoryError,
    repositories::{MAX_LISTED_ANNOTATION_BYTES, ReferrerPlace, Referrers, WantedReferrers},
};

use crate::{
    ATTEMPTS, Service,
    failure::{damaged, next, parsed, parsed_member},
    keys::{self, RepositoryId, field},
    keyspace::{Direction, Error, MemberRange},
    tags::LONGEST_PAGE,
};

/// Entries read at once: with the longest annotations they are no more than a manifest.
const AT_ONCE: usize = 64;

/// Bytes of annotations after which a page ends.
const PAGE_BYTES: usize = 1 << 20;

impl Service {
    /// A page of what refers to a manifest, and what stands under the fallback tag.
    pub(crate) async fn list_referrers(
        &self,
        wanted: &WantedReferrers,
    ) -> Result<Referrers, RepositoryError> {
        let WantedReferrers { repository, subject, .. } = wanted;
        let tag = Reference::Tag(Tag::of_referrers(subject));
        for _ in 0..ATTEMPTS {
            let Some(placement) = self.placement(repository).await? else {
                break;
            };
            let (entries, more) = self.referrers_behind(placement.id, wanted).await?;
            // Read behind the list: an id that is the repository's now was so before.
            let (right, fallback) = self.followed(&placement, repository, &tag).await?;
            if right {
                return Ok(Referrers { entries, more, fallback });
            }
            self.forget(repository);
        }

        Err(self.absent(repository).await)
    }

    async fn referrers_behind(
        &self,
        id: RepositoryId,
        wanted: &WantedReferrers,
    ) -> Result<(Vec<Descriptor>, More), Error> {
        let limit = wanted.limit.min(LONGEST_PAGE);
        let (mut entries, mut size_bytes) = (Vec::new(), 0);
        let mut members = first(wanted);
        loop {
            let key = keys::referrers(id);
            let read = self.keyspace().range(&key, members.clone(), AT_ONCE, Direction::Forward).await?;
            for entry in self.described(id, &read).await? {
                if entries.len() >= limit || size_bytes > PAGE_BYTES {
                    return Ok((entries, More::Yes));
                }
                size_bytes += annotation_bytes(&entry.annotations);
                entries.push(entry);
            }
            match read.last() {
                Some(last) if read.len() == AT_ONCE => members = members.resumed_after(last.clone()),
                _ => return Ok((entries, More::No)),
            }
        }
    }

    /// The entries that have a record; one without is what a crash has left.
    async fn described(&self, id: RepositoryId, members: &[Bytes]) -> Result<Vec<Descriptor>, Error> {
        let digests: Vec<Digest> = members
            .iter()
            .map(|member| parsed_member(&keys::referrers(id), keys::last_part(member)))
            .collect::<Result<_, _>>()?;
        let asked: Vec<_> = digests
            .iter()
            .flat_map(|digest| {
                let key = keys::manifest(id, digest);
                [field::TYPE, field::SIZE, field::ANNOTATIONS].map(|field| (key.clone(), field))
            })
            .collect();
        let mut values = self.keyspace().get_many(&asked).await?.into_iter();

        let mut entries = Vec::with_capacity(members.len());
        for (member, digest) in members.iter().zip(digests) {
            let (media_type, size, annotations) = (next(&mut values), next(&mut values), next(&mut values));
            let Some(media_type) = media_type else { continue };
            let key = keys::manifest(id, &digest);
            let artifact_type = keys::artifact_type_of(member);
            let artifact_type = (!artifact_type.is_empty()).then_some(artifact_type);
            entries.push(Descriptor {
                media_type: parsed(&key, &field::TYPE, Some(&media_type))?,
                size: parsed(&key, &field::SIZE, size.as_ref())?,
                artifact_type: artifact_type
                    .map(|artifact_type| parsed_member(&keys::referrers(id), artifact_type))
                    .transpose()?,
                annotations: match annotations {
                    Some(text) => {
                        serde_json::from_slice(&text).map_err(|_| damaged(&key, &field::ANNOTATIONS))?
                    }
                    None => BTreeMap::new(),
                },
                digest,
                urls: Vec::new(),
            });
        }
        Ok(entries)
    }
}

/// The members from which a page is taken.
fn first(wanted: &WantedReferrers) -> MemberRange {
    let text = |place: &ReferrerPlace| {
        let artifact_type = place.artifact_type.as_ref().map_or("", |artifact_type| artifact_type.as_str());
        keys::referrer(&wanted.subject, artifact_type, &place.digest)
    };
    let all = keys::referrers_of(&wanted.subject, wanted.artifact_type.as_ref().map(MediaType::as_str));
    match wanted.after.as_ref().filter(|after| {
        // Who asks for another type than that of the page before begins at the beginning.
        wanted.artifact_type.is_none() || after.artifact_type == wanted.artifact_type
    }) {
        Some(after) => all.resumed_after(text(after)),
        None => all,
    }
}

/// Annotations as they are kept beside the body: none if they are too long for a list.
pub(crate) fn listed_annotations(annotations: &BTreeMap<String, String>) -> String {
    if annotation_bytes(annotations) > MAX_LISTED_ANNOTATION_BYTES {
        return "{}".to_owned();
    }
    // Of texts alone: it cannot fail.
    serde_json::to_string(annotations).unwrap_or_default()
}

fn annotation_bytes(annotations: &BTreeMap<String, String>) -> usize {
    annotations.iter().map(|(name, value)| name.len() + value.len()).sum()
}
