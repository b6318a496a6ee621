//! Words: a repository is found by those of its name and its description, and by no others.

use bytes::Bytes;
use proto::metadata::integrity::Kind;

use super::{Seen, lacks, repositories::Repository, unlisted};
use crate::{
    Service,
    keys::{self, field},
    keyspace::{Condition, Error, Mutation},
    words::{Entry, Words},
};

/// What is kept with a repository of how it is found.
pub(super) struct Kept {
    pub(super) words: Option<Bytes>,
    pub(super) description: Option<Bytes>,
}

impl Service {
    /// Entries that lead to other names are left to those who find them.
    pub(super) async fn inspect_words(
        &self,
        repository: &Repository,
        kept: Kept,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let state = keys::state(repository.id());
        let described = kept.description.as_deref().and_then(|text| std::str::from_utf8(text).ok());
        let expected = Words::of(&repository.name, described.unwrap_or_default());
        let entry = Entry { name: &repository.name, place: repository.place };
        let read = Words::read(kept.words.as_ref());

        let (mut conditions, mut mended) = (Vec::new(), Vec::new());
        for mutation in entry.found_by(&expected) {
            if let Mutation::AddMember(set, member) = &mutation
                && !self.contains(set, member.clone()).await?
            {
                conditions.push(lacks(set, member.clone()));
                mended.push(mutation);
            }
        }
        if read != expected || kept.words.is_none() {
            mended.push(Mutation::SetField(state.clone(), field::WORDS, expected.stored()));
        }
        for (set, member) in entry.misplaced(&expected, &read) {
            if self.contains(&set, member.clone()).await? {
                let (has, removed) = unlisted(&set, &member);
                conditions.push(has);
                mended.push(removed);
            }
        }

        if !mended.is_empty() {
            let suspect = repository
                .suspect(Kind::RepositoryWords, "")
                .when(Condition::unchanged(state.clone(), field::WORDS, kept.words))
                .when(Condition::unchanged(state, field::DESCRIPTION, kept.description));
            seen.suspect(suspect.when_all(conditions).mended_by_all(mended));
        }
        Ok(())
    }
}
