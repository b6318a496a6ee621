//! Patterns that name many tags at once: what a rule of a repository is about.

use std::str::FromStr;

use crate::{Tag, text::checked_text};

const LONGEST_PATTERN: usize = 128;

checked_text! {
    /// A pattern for whole tags: `*` is any run of characters, `?` one; everything else is itself, in its own case.
    TagPattern
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TagPatternError {
    /// There is nothing.
    #[error("the pattern is empty: `*` matches every tag")]
    Empty,
    /// It is longer than a tag can be.
    #[error("the pattern has {found} characters; {LONGEST_PATTERN} are allowed")]
    TooLong {
        /// Characters it has.
        found: usize,
    },
    /// No tag has such a character, so that nothing would ever match. It is not a regular expression.
    #[error(
        "{character:?} in the pattern {pattern:?} is in no tag: write letters, digits, '_', '.' or '-', `*` for any of them and `?` for one"
    )]
    NeverMatches {
        /// The first of them.
        character: char,
        /// The pattern.
        pattern: String,
    },
}

impl TagPattern {
    /// Whether the whole tag is as the pattern says. At most as many steps as both are long, multiplied.
    pub fn matches(&self, tag: &Tag) -> bool {
        let (pattern, text) = (self.as_str().as_bytes(), tag.as_str().as_bytes());
        let (mut at, mut read) = (0, 0);
        // Behind the last `*`, and how far the tag was read when its run ended there.
        let mut star: Option<(usize, usize)> = None;

        while read < text.len() {
            match (pattern.get(at), star) {
                (Some(b'*'), _) => {
                    at += 1;
                    star = Some((at, read));
                }
                (Some(wanted), _) if *wanted == b'?' || *wanted == text[read] => {
                    at += 1;
                    read += 1;
                }
                // Only the last run need ever be longer: what a former one could take, it can take too.
                (_, Some((behind, ended))) => {
                    (at, read) = (behind, ended + 1);
                    star = Some((behind, ended + 1));
                }
                (_, None) => return false,
            }
        }
        pattern[at..].iter().all(|rest| *rest == b'*')
    }
}

impl FromStr for TagPattern {
    type Err = TagPatternError;

    fn from_str(text: &str) -> Result<Self, TagPatternError> {
        let allowed = |character: char| {
            character.is_ascii_alphanumeric() || matches!(character, '_' | '.' | '-' | '*' | '?')
        };
        let found = text.chars().count();
        if found == 0 {
            return Err(TagPatternError::Empty);
        }
        if found > LONGEST_PATTERN {
            return Err(TagPatternError::TooLong { found });
        }
        match text.chars().find(|character| !allowed(*character)) {
            Some(character) => {
                Err(TagPatternError::NeverMatches { character, pattern: text.chars().take(64).collect() })
            }
            None => Ok(Self(text.into())),
        }
    }
}
