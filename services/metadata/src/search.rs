//! Looking for repositories (docs/decisions/0016): ordered sets that somebody may read all of are merged, and what they
//! lead to is looked at, window by window. No page walks on without end, and what it goes on after is always something
//! that the reader may read.

use bytes::Bytes;
use oci::RepositoryName;
use proto::metadata::{
    RepositoryError, Visibility,
    repositories::{
        Found, FoundRepository, Place, RepositoryEntry, WantedSearch,
        search::{LONGEST_SUMMARY, MOST_WORDS},
    },
};

use crate::{
    Service,
    catalog::records,
    failure::{next, parsed},
    keys::{self, RepositoryId, field},
    keyspace::{Error, Field, Key},
    placement::{Placement, belongs},
    sessions::millisecond,
    tags::LONGEST_PAGE,
    words::{Words, words_of},
};

mod indexing;
mod mending;
mod rights;
mod sources;

use mending::Stale;
use rights::Rights;
use sources::Candidate;

/// Candidates that are looked at together, at least; at most as many as a range has.
const WINDOW: usize = 100;

/// Candidates that a page looks at before it ends, however few it has found.
const LOOKED_AT: usize = 2_000;

/// Windows of a page, at most, if nothing that the reader may read is in them.
const WINDOWS: usize = 64;

/// Descriptions that are in memory together.
const DESCRIPTIONS: usize = 50;

/// What is looked for.
pub(crate) enum Sought {
    /// All, by name.
    All,
    /// What has words that begin so; the index is walked by the longest, of which there are least.
    Words { walked: String, others: Vec<String> },
}

impl Sought {
    /// None: nothing can be found.
    fn of(wanted: &WantedSearch) -> Option<Self> {
        let Some(query) = &wanted.query else { return Some(Self::All) };
        let mut others: Vec<String> = words_of(query.as_str()).take(MOST_WORDS).collect();
        let longest =
            (0..others.len()).rev().max_by_key(|at| others.get(*at).map(|word| word.chars().count()))?;
        let walked = others.swap_remove(longest);
        Some(Self::Words { walked, others })
    }

    /// Whether a repository with these words may be among what is found.
    fn may_find(&self, words: &Words) -> bool {
        match self {
            Self::All => true,
            Self::Words { walked, .. } => words.beginning_with(walked).next().is_some(),
        }
    }

    /// Whether a repository with these words is found by this candidate. It is by the first of its words that begin so,
    /// and by no other, so that it is found once.
    fn finds(&self, candidate: &Candidate, words: &Words) -> bool {
        let (Self::Words { walked, others }, Some((word, rank))) = (self, &candidate.found) else {
            return true;
        };
        let first = words.beginning_with(walked).next();
        first.is_some_and(|(first, how)| first.as_bytes() == word && how.number() == *rank)
            && others.iter().all(|other| words.beginning_with(other).next().is_some())
    }
}

/// A repository that the reader may read.
struct Looked {
    place: Place,
    /// None: it is not what is looked for.
    found: Option<(RepositoryId, RepositoryEntry)>,
}

impl Service {
    pub(crate) async fn search_repositories(&self, wanted: &WantedSearch) -> Result<Found, RepositoryError> {
        let limit = wanted.limit.clamp(1, LONGEST_PAGE);
        let Some(sought) = Sought::of(wanted) else {
            return Ok(Found { repositories: Vec::new(), next: None });
        };
        let rights = self.rights_of(&wanted.reader, &sought).await?;
        let mut sources = self.word_sources(wanted, &sought, &rights).await?;

        let (mut found, mut last, mut looked_at) = (Vec::new(), wanted.after.clone(), 0);
        let mut moved_on = false;
        let size = (limit + 1).max(WINDOW);
        for _ in 0..WINDOWS {
            let window = self.next_of(&mut sources, &sought, size).await?;
            let exhausted = window.len() < size;
            looked_at += window.len();
            for looked in self.look_at(&window, wanted, &sought, &rights).await? {
                if looked.found.is_some() && found.len() == limit {
                    return self.summarized(found, last).await;
                }
                found.extend(looked.found);
                (last, moved_on) = (Some(looked.place), true);
            }

            if exhausted {
                return self.summarized(found, None).await;
            }
            if moved_on && (looked_at >= LOOKED_AT || found.len() == limit) {
                return self.summarized(found, last).await;
            }
        }
        self.summarized(found, last.filter(|_| moved_on)).await
    }

    /// What is known of those that the reader may read. Entries that lead nowhere are removed.
    async fn look_at(
        &self,
        window: &[Candidate],
        wanted: &WantedSearch,
        sought: &Sought,
        rights: &Rights,
    ) -> Result<Vec<Looked>, Error> {
        let seen = |candidate: &&Candidate| candidate.is_public || rights::within(wanted, &candidate.name);
        let window: Vec<&Candidate> = window.iter().filter(seen).collect();
        let names: Vec<RepositoryName> = window.iter().map(|candidate| candidate.name.clone()).collect();
        let places = self.placements(&names).await?;
        let asked = names.iter().zip(&places).flat_map(|(name, place)| fields(name, place.as_ref()));
        let mut values = self.fields(&asked.collect::<Vec<_>>()).await?.into_iter();

        let (mut looked, mut stale) = (Vec::new(), Vec::new());
        for (candidate, place) in window.into_iter().zip(places) {
            let Some(place) = place else {
                stale.extend(Stale::of(candidate, None, None, |_| true));
                continue;
            };
            let read = Read::next(&mut values);
            let kept = Words::read(read.words.as_ref());
            if !belongs(read.called.as_ref(), &candidate.name) || !candidate.is_said(&kept) {
                stale.extend(Stale::of(candidate, Some(place), read.words, |_| true));
                continue;
            }
            if candidate.is_public && place.visibility == Visibility::Private {
                stale.extend(Stale::of(candidate, Some(place), read.words.clone(), sources::is_public));
            }
            let entry = read.entry(&candidate.name, &place)?;
            if let Some(entry) = entry.filter(|entry| may_read(wanted, rights, &entry.name, &place)) {
                let covered = wanted.under.as_ref().is_none_or(|under| under.covers(&entry.name));
                let found = covered && sought.finds(candidate, &kept);
                let found = found.then_some((place.id, entry));
                looked.push(Looked { place: candidate.place(place.id)?, found });
            }
        }
        self.mend(stale).await?;
        Ok(looked)
    }

    /// With how their descriptions begin.
    async fn summarized(
        &self,
        found: Vec<(RepositoryId, RepositoryEntry)>,
        next: Option<Place>,
    ) -> Result<Found, RepositoryError> {
        let mut summaries: Vec<String> = Vec::with_capacity(found.len());
        for some in found.chunks(DESCRIPTIONS) {
            let asked: Vec<_> = some.iter().map(|(id, _)| (keys::state(*id), field::DESCRIPTION)).collect();
            for described in self.fields(&asked).await? {
                let described = described.unwrap_or_default();
                summaries.push(String::from_utf8_lossy(&described).chars().take(LONGEST_SUMMARY).collect());
            }
        }
        let entries = found.into_iter().map(|(_, entry)| entry).zip(summaries);
        let repositories = entries.map(|(entry, summary)| FoundRepository { entry, summary }).collect();
        Ok(Found { repositories, next })
    }
}

/// Whether the reader, with what they have shown, may read a repository.
fn may_read(wanted: &WantedSearch, rights: &Rights, name: &RepositoryName, place: &Placement) -> bool {
    let shown = place.visibility == Visibility::Public || rights::within(wanted, name);
    shown && rights.read(name, place)
}

/// What is read of a repository, none of it if there is none.
fn fields(name: &RepositoryName, place: Option<&Placement>) -> Vec<(Key, Field)> {
    let Some(place) = place else { return Vec::new() };
    let state = [field::NAME, field::WORDS, field::BYTES].map(|field| (keys::state(place.id), field));
    let records = records(name, place).map(|record| (record, field::UPDATED));
    state.into_iter().chain(records).collect()
}

/// What was read of it.
struct Read {
    called: Option<Bytes>,
    words: Option<Bytes>,
    bytes: Option<Bytes>,
    updated: Option<Bytes>,
}

impl Read {
    /// Reads the next values, which were asked for by `fields`.
    fn next(values: &mut impl Iterator<Item = Option<Bytes>>) -> Self {
        let [called, words, bytes, here, there] = [(); 5].map(|()| next(values));
        Self { called, words, bytes, updated: here.or(there) }
    }

    /// None: it has been deleted since, or is called otherwise.
    fn entry(&self, name: &RepositoryName, place: &Placement) -> Result<Option<RepositoryEntry>, Error> {
        let (Some(updated), Some(bytes)) = (&self.updated, &self.bytes) else { return Ok(None) };
        let [record, _] = records(name, place);
        Ok(Some(RepositoryEntry {
            name: name.clone(),
            visibility: place.visibility,
            updated: millisecond(&record, &field::UPDATED, Some(updated))?,
            size_bytes: parsed(&keys::state(place.id), &field::BYTES, Some(bytes))?,
        }))
    }
}

#[cfg(test)]
mod tests;
