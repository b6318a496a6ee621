//! The words by which a repository is found: those of its name and its description. What they are is kept with the
//! repository, so that an entry of the index that a crash has left is known as one.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use oci::{Namespace, RepositoryName};
use proto::metadata::Visibility;

use crate::{
    Service,
    failure::next,
    keys::{self, field},
    keyspace::{Condition, Error, Key, Mutation},
    placement::Placement,
};

/// Characters of a word that count.
const LONGEST_WORD: usize = 32;

/// Different words of a description that count: the first ones.
const DESCRIBED: usize = 64;

/// How a word is a repository's; what is found by it comes in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// It is in the name, and that in `library`.
    Official,
    /// The last part of the name is this.
    Called,
    /// It is in the name.
    Named,
    /// It is in the description.
    Described,
}

impl Rank {
    const ALL: [Self; 4] = [Self::Official, Self::Called, Self::Named, Self::Described];

    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Official => 0,
            Self::Called => 1,
            Self::Named => 2,
            Self::Described => 3,
        }
    }

    fn of_digit(digit: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|rank| b'0' + rank.number() == digit)
    }
}

/// The words of a text, in small letters.
pub(crate) fn words_of(text: &str) -> impl Iterator<Item = String> {
    text.split(|character: char| !character.is_alphanumeric()).map(word).filter(|word| !word.is_empty())
}

/// One word: letters and digits alone.
fn word(text: &str) -> String {
    let small = text.chars().flat_map(char::to_lowercase);
    small.filter(|character| character.is_alphanumeric()).take(LONGEST_WORD).collect()
}

/// Words, each with how it is one of the repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Words(BTreeSet<(String, Rank)>);

impl Words {
    pub(crate) fn of(name: &RepositoryName, description: &str) -> Self {
        let official = name.namespace() == Namespace::library();
        let in_name = |rank| if official { Rank::Official } else { rank };
        let mut ranks = BTreeMap::new();
        let mut note = |word: String, rank: Rank| {
            let held = ranks.entry(word).or_insert(rank);
            *held = rank.min(*held);
        };

        let last = name.as_str().rsplit('/').next().unwrap_or_default();
        note(word(last), in_name(Rank::Called));
        // Also each part without what separates its words: who looks for it may leave that out.
        for part in name.as_str().split('/') {
            note(word(part), in_name(Rank::Named));
            words_of(part).for_each(|word| note(word, in_name(Rank::Named)));
        }
        let mut described = BTreeSet::new();
        for word in words_of(description) {
            if described.len() == DESCRIBED {
                break;
            }
            described.insert(word);
        }
        for word in described {
            note(word, Rank::Described);
        }
        Self(ranks.into_iter().collect())
    }

    /// Reads what `stored` has written. What it cannot have written is passed over: such an entry leads nowhere.
    pub(crate) fn read(stored: Option<&Bytes>) -> Self {
        let text = stored.and_then(|stored| std::str::from_utf8(stored).ok()).unwrap_or_default();
        let read = |word: &str| {
            let rank = Rank::of_digit(*word.as_bytes().first()?)?;
            Some((word.get(1..)?.to_owned(), rank))
        };
        Self(text.split(' ').filter_map(read).collect())
    }

    pub(crate) fn stored(&self) -> Bytes {
        let words = self.0.iter().map(|(word, rank)| format!("{}{word}", rank.number()));
        words.collect::<Vec<_>>().join(" ").into()
    }

    pub(crate) fn without(&self, others: &Self) -> Self {
        Self(self.0.difference(&others.0).cloned().collect())
    }

    fn and(&self, others: &Self) -> Self {
        Self(self.0.union(&others.0).cloned().collect())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Rank)> {
        self.0.iter().map(|(word, rank)| (word.as_str(), *rank))
    }

    /// Those that begin so, in the order of the index.
    pub(crate) fn beginning_with(&self, beginning: &str) -> impl Iterator<Item = (&str, Rank)> {
        let from = (beginning.to_owned(), Rank::Official);
        let words = self.0.range(from..).map(|(word, rank)| (word.as_str(), *rank));
        words.take_while(move |(word, _)| word.starts_with(beginning))
    }

    fn members(&self, name: &RepositoryName) -> impl Iterator<Item = Bytes> {
        self.iter().map(move |(word, rank)| keys::word_of(word.as_bytes(), rank.number(), name.as_str()))
    }
}

/// Where a repository is found by its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    pub(crate) name: &'a RepositoryName,
    pub(crate) place: Placement,
}

impl Entry<'_> {
    fn sets(&self) -> Vec<Key> {
        match self.place.visibility {
            Visibility::Public => vec![keys::PUBLIC_WORDS],
            Visibility::Private => {
                vec![keys::PRIVATE_WORDS, keys::words_in(self.place.owner, &self.name.namespace())]
            }
        }
    }

    /// It is found by these words.
    pub(crate) fn found_by(&self, words: &Words) -> Vec<Mutation> {
        let members: Vec<_> = words.members(self.name).collect();
        let in_set = |set: Key| {
            members.clone().into_iter().map(move |member| Mutation::AddMember(set.clone(), member))
        };
        self.sets().into_iter().flat_map(in_set).collect()
    }

    /// Where it may have been put by words of before, or while it was shown to others, and does not belong.
    pub(crate) fn misplaced(&self, words: &Words, before: &Words) -> Vec<(Key, Bytes)> {
        let (here, all) = (self.sets(), words.and(before));
        let private = keys::words_in(self.place.owner, &self.name.namespace());
        let mut misplaced = Vec::new();
        for set in [keys::PUBLIC_WORDS, keys::PRIVATE_WORDS, private] {
            let wrong = if here.contains(&set) { all.without(words) } else { all.clone() };
            misplaced.extend(wrong.members(self.name).map(|member| (set.clone(), member)));
        }
        misplaced
    }

    /// It is found by these words no more.
    pub(crate) fn not_found_by(&self, words: &Words) -> Vec<Mutation> {
        removed(self.sets(), words, self.name)
    }
}

/// No list of words has it any more, by that name.
pub(crate) fn unindexed(place: Placement, name: &RepositoryName, words: &Words) -> Vec<Mutation> {
    let sets = [keys::PUBLIC_WORDS, keys::PRIVATE_WORDS, keys::words_in(place.owner, &name.namespace())];
    removed(sets.into(), words, name)
}

fn removed(sets: Vec<Key>, words: &Words, name: &RepositoryName) -> Vec<Mutation> {
    let members: Vec<_> = words.members(name).collect();
    let of_set =
        |set: Key| members.clone().into_iter().map(move |member| Mutation::RemoveMember(set.clone(), member));
    sets.into_iter().flat_map(of_set).collect()
}

/// What is said of a repository, how it is called or who may see it changes, and by what it is found. What is there in
/// between is found by the words of before and of after.
pub(crate) struct Reindexing<'a> {
    read: Option<Bytes>,
    kept: Words,
    words: Words,
    from: Entry<'a>,
    to: Entry<'a>,
}

impl Reindexing<'_> {
    fn state(&self) -> Key {
        keys::state(self.from.place.id)
    }

    fn both(&self) -> Words {
        self.kept.and(&self.words)
    }

    /// Nobody has changed the words since.
    pub(crate) fn unchanged(&self) -> Condition {
        Condition::unchanged(self.state(), field::WORDS, self.read.clone())
    }

    /// What comes before the change.
    pub(crate) fn before(&self) -> Vec<Mutation> {
        let both = self.both();
        let mut mutations = self.from.found_by(&both.without(&self.kept));
        if self.from != self.to {
            mutations.extend(self.to.found_by(&both));
        }
        if both != self.kept {
            mutations.push(Mutation::SetField(self.state(), field::WORDS, both.stored()));
        }
        mutations
    }

    /// What comes after it.
    pub(crate) fn after(&self) -> Vec<Mutation> {
        let both = self.both();
        let mut mutations = Vec::new();
        if both != self.words {
            mutations.push(Mutation::SetField(self.state(), field::WORDS, self.words.stored()));
        }
        mutations.extend(self.to.not_found_by(&self.kept.without(&self.words)));
        if self.from != self.to {
            mutations.extend(self.from.not_found_by(&both));
        }
        mutations
    }
}

impl Service {
    /// By what a repository will be found, with another description or with the one that it has.
    pub(crate) async fn reindexing<'a>(
        &self,
        from: Entry<'a>,
        to: Entry<'a>,
        description: Option<&str>,
    ) -> Result<Reindexing<'a>, Error> {
        let state = keys::state(from.place.id);
        let asked = [(state.clone(), field::WORDS), (state, field::DESCRIPTION)];
        let mut values = self.fields(&asked).await?;
        if values.first().is_none_or(Option::is_none) {
            self.index(&[(from.name.clone(), from.place)]).await?;
            values = self.fields(&asked).await?;
        }
        let mut values = values.into_iter();
        let (read, described) = (next(&mut values), next(&mut values));
        let described = described.as_deref().map(String::from_utf8_lossy);
        let description = description.or(described.as_deref()).unwrap_or_default();

        let (kept, words) = (Words::read(read.as_ref()), Words::of(to.name, description));
        Ok(Reindexing { read, kept, words, from, to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, description: &str) -> String {
        let words = Words::of(&name.parse().unwrap(), description);
        assert_eq!(Words::read(Some(&words.stored())), words);
        String::from_utf8(words.stored().to_vec()).unwrap()
    }

    #[test]
    fn a_repository_is_found_by_the_words_of_its_name_and_description() {
        assert_eq!(found("library/nginx", ""), "0library 0nginx");
        assert_eq!(found("ann/nginx", "NGINX, fast!"), "2ann 3fast 1nginx");
        assert_eq!(found("ann/web-proxy", ""), "2ann 2proxy 2web 1webproxy");
        assert_eq!(found("a-b/c/d", ""), "2a 2ab 2b 2c 1d");
    }

    #[test]
    fn letters_of_all_alphabets_are_letters_and_words_have_an_end() {
        assert_eq!(found("a/b", "ÄPFEL 日本語 e\u{301}"), "2a 1b 3e 3äpfel 3日本語");
        assert_eq!(found("a/b", &"x".repeat(40)), format!("2a 1b 3{}", "x".repeat(32)));
        let many: Vec<String> = (0..1_000).map(|number| format!("w{number}")).collect();
        assert_eq!(found("a/b", &many.join(" ")).split(' ').count(), 2 + DESCRIBED);
    }

    #[test]
    fn those_that_begin_so_come_in_order() {
        let words = Words::of(&"ann/nginx".parse().unwrap(), "ng nginx-proxy");
        assert_eq!(
            words.beginning_with("ng").collect::<Vec<_>>(),
            [("ng", Rank::Described), ("nginx", Rank::Called)]
        );
        assert_eq!(words.beginning_with("x").count(), 0);
    }
}
