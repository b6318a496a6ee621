//! The ordered sets that are walked, merged into one: by name, or by word. What several of them have comes once.

use std::collections::VecDeque;

use bytes::Bytes;
use oci::{NamespacePath, RepositoryName};
use proto::metadata::{
    credentials::RepositoryPattern,
    repositories::{Place, WantedSearch},
};

use super::{Rights, Sought, may_read};
use crate::{
    Service,
    failure::{damaged_member, parsed, parsed_member},
    keys::{self, RepositoryId, field},
    keyspace::{Direction, Error, Key, MemberRange, RANGE_LIMIT},
    words::Words,
};

/// Members that are read ahead of all sources together, about, and of each at least.
const AHEAD: usize = 4_000;
const AHEAD_OF_EACH: usize = 16;

/// One ordered set, as far as it is wanted.
pub(super) struct Source {
    /// None: its members were made up.
    key: Option<Key>,
    range: MemberRange,
    ahead: VecDeque<Bytes>,
    exhausted: bool,
}

impl Source {
    fn of(key: Key, range: MemberRange) -> Self {
        Self { key: Some(key), range, ahead: VecDeque::new(), exhausted: false }
    }

    fn made_up(mut members: Vec<Bytes>) -> Self {
        members.sort_unstable();
        Self { key: None, range: MemberRange::all(), ahead: members.into(), exhausted: true }
    }

    fn is_dry(&self) -> bool {
        self.ahead.is_empty() && !self.exhausted
    }
}

/// An entry, and what it leads to.
pub(super) struct Candidate {
    pub(super) member: Bytes,
    pub(super) name: RepositoryName,
    /// Word and rank, if it was found by a word.
    pub(super) found: Option<(Vec<u8>, u8)>,
    /// The sets that have it.
    pub(super) sets: Vec<Key>,
    /// Whether it is in one that everybody may read.
    pub(super) is_public: bool,
}

impl Candidate {
    fn read(member: Bytes, sets: Vec<Key>, sought: &Sought) -> Result<Self, Error> {
        let is_public = sets.iter().any(is_public);
        // What was made up is named by no set: it can be read.
        let key = sets.first().cloned().unwrap_or(keys::REPOSITORIES);
        let (name, found) = match sought {
            Sought::All => (keys::first_part(&member), None),
            Sought::Words { .. } => {
                let rank = keys::rank_of(&member).ok_or_else(|| damaged_member(&key, &member))?;
                (keys::last_part(&member), Some((keys::first_part(&member).to_vec(), rank)))
            }
        };
        let name = parsed_member(&key, name)?;
        Ok(Self { member, name, found, sets, is_public })
    }

    /// Whether the word is one of the repository.
    pub(super) fn is_said(&self, words: &Words) -> bool {
        self.found.as_ref().is_none_or(|(word, rank)| {
            words.iter().any(|(kept, how)| kept.as_bytes() == word && how.number() == *rank)
        })
    }

    /// Where a list goes on behind it.
    pub(super) fn place(&self, id: RepositoryId) -> Result<Place, Error> {
        Ok(match &self.found {
            None => Place::Name(self.name.clone()),
            Some((word, rank)) => {
                let repository = parsed_member(&keys::REPOSITORIES, id.to_string().as_bytes())?;
                Place::Found { rank: *rank, repository, word: word.clone() }
            }
        })
    }
}

impl Service {
    /// What is to be walked, from where the page before has ended.
    pub(super) async fn word_sources(
        &self,
        wanted: &WantedSearch,
        sought: &Sought,
        rights: &Rights,
    ) -> Result<Vec<Source>, Error> {
        let after = self.named(wanted, rights).await?;
        Ok(match sought {
            Sought::All => by_name(wanted, rights, after.as_ref()),
            Sought::Words { walked, .. } => by_word(walked, rights, wanted.after.as_ref(), after.as_ref()),
        })
    }

    /// How what the page before ended with is called now, if the reader may know.
    async fn named(&self, wanted: &WantedSearch, rights: &Rights) -> Result<Option<RepositoryName>, Error> {
        let id = match &wanted.after {
            None => return Ok(None),
            Some(Place::Name(name)) => return Ok(Some(name.clone())),
            Some(Place::Found { repository, .. }) => repository,
        };
        let id = RepositoryId(parsed_member(&keys::REPOSITORIES, id.as_str().as_bytes())?);
        let called = self.fields(&[(keys::state(id), field::NAME)]).await?.pop().flatten();
        let Some(called) = called else { return Ok(None) };
        let name = parsed(&keys::state(id), &field::NAME, Some(&called))?;
        let place = self.placed(&name).await?.filter(|place| place.id == id);
        Ok(place.filter(|place| may_read(wanted, rights, &name, place)).map(|_| name))
    }

    /// The next candidates; fewer than `count`: these were the last.
    pub(super) async fn next_of(
        &self,
        sources: &mut [Source],
        sought: &Sought,
        count: usize,
    ) -> Result<Vec<Candidate>, Error> {
        let ahead = (AHEAD / sources.len().max(1)).max(AHEAD_OF_EACH).min(count).min(RANGE_LIMIT);
        let mut candidates = Vec::new();
        while candidates.len() < count {
            for source in sources.iter_mut().filter(|source| source.is_dry()) {
                self.read_ahead(source, ahead).await?;
            }
            let least = sources.iter().filter_map(|source| source.ahead.front()).min().cloned();
            let Some(member) = least else { break };
            let mut sets = Vec::new();
            for source in sources.iter_mut().filter(|source| source.ahead.front() == Some(&member)) {
                source.ahead.pop_front();
                sets.extend(source.key.clone());
            }
            candidates.push(Candidate::read(member, sets, sought)?);
        }
        Ok(candidates)
    }

    async fn read_ahead(&self, source: &mut Source, count: usize) -> Result<(), Error> {
        let Some(key) = &source.key else { return Ok(()) };
        let members = self.keyspace().range(key, source.range.clone(), count, Direction::Forward).await?;
        source.exhausted = members.len() < count;
        if let Some(last) = members.last() {
            source.range = source.range.clone().resumed_after(last.clone());
        }
        source.ahead.extend(members);
        Ok(())
    }
}

/// Whether everybody may read an ordered set.
pub(super) fn is_public(key: &Key) -> bool {
    [keys::PUBLIC_REPOSITORIES, keys::PUBLIC_WORDS].contains(key)
}

/// The lists of names.
fn by_name(wanted: &WantedSearch, rights: &Rights, after: Option<&RepositoryName>) -> Vec<Source> {
    let under = wanted.under.as_ref();
    let mut sources = Vec::new();
    let mut add = |key: Key, path: Option<&NamespacePath>| {
        // What is called as the path itself stands in the list apart from what is under it.
        let itself = path.and_then(NamespacePath::repository);
        let itself = itself.filter(|name| after.is_none_or(|after| name > after));
        sources.extend(itself.map(|name| Source::of(key.clone(), keys::listed_as(&name))));
        let ranges =
            if is_public(&key) { vec![keys::listed_under(path, after)] } else { shown(wanted, path, after) };
        sources.extend(ranges.into_iter().map(|range| Source::of(key.clone(), range)));
    };

    match rights {
        Rights::Everything => add(keys::REPOSITORIES, under),
        Rights::Nothing => add(keys::PUBLIC_REPOSITORIES, under),
        Rights::Some { namespaces, .. } => {
            add(keys::PUBLIC_REPOSITORIES, under);
            for namespace in namespaces.keys() {
                let whole = namespace.as_str().parse::<NamespacePath>().ok();
                let within = under.filter(|under| first_of(under) == namespace.as_str());
                match (under, within, whole.as_ref()) {
                    (Some(_), Some(path), _) | (None, _, Some(path)) => add(keys::REPOSITORIES, Some(path)),
                    _ => {}
                }
            }
        }
    }
    let granted = rights.granted().filter(|(name, _)| after.is_none_or(|after| *name > after));
    let granted = granted.filter(|(name, _)| under.is_none_or(|under| under.covers(name)));
    sources.push(Source::made_up(granted.map(|(name, held)| keys::listed(name, held.owner)).collect()));
    sources
}

/// The parts of a list of private repositories that the reader has shown something for. All that stands between them would
/// be passed over, and perhaps be so much that the list ends there.
fn shown(
    wanted: &WantedSearch,
    path: Option<&NamespacePath>,
    after: Option<&RepositoryName>,
) -> Vec<MemberRange> {
    if wanted.within.is_empty() {
        return vec![keys::listed_under(path, after)];
    }
    let below = path.map(|path| format!("{path}/")).unwrap_or_default();
    let narrowed = |pattern: &RepositoryPattern| {
        let beginning = pattern.as_str().trim_end_matches('*');
        if below.starts_with(beginning) {
            return Some(keys::listed_under(path, after));
        }
        beginning.starts_with(&below).then(|| keys::listed_from(beginning, after))
    };
    wanted.within.iter().filter_map(narrowed).collect()
}

fn first_of(path: &NamespacePath) -> &str {
    path.as_str().split('/').next().unwrap_or_default()
}

/// The lists of words.
fn by_word(
    walked: &str,
    rights: &Rights,
    place: Option<&Place>,
    after: Option<&RepositoryName>,
) -> Vec<Source> {
    let name = after.map(RepositoryName::as_str).unwrap_or_default();
    let from = place.map(|place| match place {
        Place::Name(_) => keys::word_of(walked.as_bytes(), 0, name),
        Place::Found { rank, word, .. } => keys::word_of(word, *rank, name),
    });
    // A place that is none of these words would lead out of them.
    let from = from.filter(|from| from.starts_with(walked.as_bytes()));
    let range = match &from {
        Some(from) => keys::found_by(walked).resumed_after(from.clone()),
        None => keys::found_by(walked),
    };

    let mut keys_walked = vec![keys::PUBLIC_WORDS];
    match rights {
        Rights::Nothing => {}
        Rights::Everything => keys_walked.push(keys::PRIVATE_WORDS),
        Rights::Some { namespaces, .. } => {
            keys_walked.extend(namespaces.iter().map(|(namespace, owner)| keys::words_in(*owner, namespace)));
        }
    }
    let mut sources: Vec<_> = keys_walked.into_iter().map(|key| Source::of(key, range.clone())).collect();
    let granted = rights.granted().flat_map(|(name, held)| {
        let words = held.words.beginning_with(walked);
        words.map(move |(word, rank)| keys::word_of(word.as_bytes(), rank.number(), name.as_str()))
    });
    let behind = granted.filter(|member| from.as_ref().is_none_or(|from| member > from));
    sources.push(Source::made_up(behind.collect()));
    sources
}
