//! Looking for repositories: all that somebody may read, by name, or those whose names or descriptions have words that
//! begin so.

use std::{fmt, str::FromStr};

use oci::{AccountName, IdentityError, NameError, Namespace, NamespacePath, RepositoryId, RepositoryName};

use super::RepositoryEntry;
use crate::metadata::credentials::RepositoryPattern;

/// Characters of a query, at most.
pub const LONGEST_QUERY: usize = 256;

/// Words of a query that count, at most: the first ones.
pub const MOST_WORDS: usize = 8;

/// Characters of a description that a list shows, at most.
pub const LONGEST_SUMMARY: usize = 200;

/// Bytes of the word in a place, at most.
const LONGEST_WORD_BYTES: usize = 128;

/// Which repositories are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedSearch {
    /// Who looks.
    pub reader: Reader,
    /// Of private repositories only what one of these matches; empty: whatever the reader may read.
    pub within: Vec<RepositoryPattern>,
    /// Only what is called this or is under it; none: wherever.
    pub under: Option<NamespacePath>,
    /// Only what has words that begin so; none: all, by name.
    pub query: Option<SearchQuery>,
    /// What the page before ended with; none: from the beginning.
    pub after: Option<Place>,
    /// At most so many, 1 to 1,000.
    pub limit: usize,
}

/// Who looks, and what they may read besides what is public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reader {
    /// Nothing.
    Outsider,
    /// What is the user's or an organization's that it owns, and what was given to it or to a team of it.
    User(AccountName),
    /// What is in this namespace, a robot of which it is.
    Robot(Namespace),
    /// Everything.
    Administrator,
}

/// What is looked for, as it was typed: each word of it must be found as the beginning of one. Without a letter or a
/// digit it finds nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchQuery(String);

/// A query that is too long.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it has {found} characters, allowed are {LONGEST_QUERY}")]
pub struct SearchQueryError {
    found: usize,
}

impl SearchQuery {
    /// As it was typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SearchQuery {
    type Err = SearchQueryError;

    fn from_str(text: &str) -> Result<Self, SearchQueryError> {
        match text.chars().count() {
            found if found > LONGEST_QUERY => Err(SearchQueryError { found }),
            _ => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Display for SearchQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Where a list goes on. What is found by words is named by its id, so that a place tells nobody how something is
/// called. What was there may be gone: the list goes on about there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a list by name: behind this. It need not exist.
    Name(RepositoryName),
    /// In what was found by words.
    Found {
        /// How it was found, 0 to 3.
        rank: u8,
        /// What was found.
        repository: RepositoryId,
        /// By which word, 1 to 128 bytes.
        word: Vec<u8>,
    },
}

/// A text that is no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// It begins as one in a list by name does.
    #[error(transparent)]
    Name(#[from] NameError),
    /// It has no slash.
    #[error("the name of a repository begins with its namespace and a slash")]
    NoNamespace,
    /// It begins as one in what was found does.
    #[error(transparent)]
    Id(#[from] IdentityError),
    /// The rest of it is none.
    #[error("it is none that a list has ended with")]
    Unreadable,
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let Some(found) = text.strip_prefix('~') else {
            let name = text.parse()?;
            return if text.contains('/') { Ok(Self::Name(name)) } else { Err(PlaceError::NoNamespace) };
        };
        let rank = found.get(..1).and_then(|digit| digit.parse::<u8>().ok()).filter(|rank| *rank < 4);
        let parts = (rank, found.get(1..27), found.get(27..).and_then(bytes));
        let (Some(rank), Some(id), Some(word)) = parts else {
            return Err(PlaceError::Unreadable);
        };
        Ok(Self::Found { rank, repository: id.parse()?, word })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Found { rank, repository, word } => {
                write!(f, "~{rank}{repository}")?;
                word.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

/// Reads hexadecimal digits, small ones.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digit = |digit: &u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let digits: Vec<u8> = hex.bytes().map(|byte| digit(&byte)).collect::<Option<_>>()?;
    let whole = digits.len().is_multiple_of(2) && (1..=LONGEST_WORD_BYTES).contains(&(digits.len() / 2));
    whole.then(|| {
        digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| (byte << 4) | digit)).collect()
    })
}

/// A repository that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundRepository {
    /// As lists have it.
    pub entry: RepositoryEntry,
    /// How its description begins, at most [`LONGEST_SUMMARY`] characters.
    pub summary: String,
}

/// A page of what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// By name; or those first that were found by a word that is typed whole.
    pub repositories: Vec<FoundRepository>,
    /// Where to go on; none: this was all. A page may be short, or empty, and go on all the same.
    pub next: Option<Place>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

    #[test]
    fn a_place_is_what_it_is_printed_as() {
        let name = "ann/app";
        assert_eq!(name.parse(), Ok(Place::Name("ann/app".parse().unwrap())));
        let found = format!("~0{ID}6e67");
        let place = Place::Found { rank: 0, repository: ID.parse().unwrap(), word: b"ng".into() };
        assert_eq!(found.parse(), Ok(place));
        for text in [name, &found] {
            assert_eq!(text.parse::<Place>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_place_is_refused() {
        let long = "61".repeat(129);
        for rest in [
            format!("4{ID}61"),
            format!("0{ID}"),
            format!("0{ID}6"),
            format!("0{ID}6G"),
            format!("0{ID}{long}"),
        ] {
            assert_eq!(format!("~{rest}").parse::<Place>(), Err(PlaceError::Unreadable), "{rest}");
        }
        assert!(matches!("~0x1ARZ3NDEKTSV4RRFFQ69G5FAV61".parse::<Place>(), Err(PlaceError::Id(_))));
        assert_eq!("ann".parse::<Place>(), Err(PlaceError::NoNamespace));
        assert!(matches!("Ann/x".parse::<Place>(), Err(PlaceError::Name(_))));
        assert_eq!("~é".parse::<Place>(), Err(PlaceError::Unreadable));
    }

    #[test]
    fn a_query_has_an_end() {
        assert!("é".repeat(256).parse::<SearchQuery>().is_ok());
        assert_eq!("é".repeat(257).parse::<SearchQuery>(), Err(SearchQueryError { found: 257 }));
    }
}
