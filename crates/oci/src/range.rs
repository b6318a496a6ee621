//! Ranges of bytes: what a reader asks for (RFC 9110 §14) and what an uploader sends (distribution-spec,
//! Pushing a blob in chunks).

/// The one range that a `Range` header asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// `first-last`, or `first-`: both count from 0, and `last` is part of it.
    From {
        /// The first byte.
        first: u64,
        /// The last byte; none: to the end.
        last: Option<u64>,
    },
    /// `-length`: the last so many bytes.
    Suffix {
        /// How many.
        length: u64,
    },
}

/// A stretch of a blob that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its first byte, counted from 0.
    pub first: u64,
    /// How many bytes.
    pub length: u64,
}

/// No byte of the blob is in the range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the range lies outside of the {size} bytes")]
pub struct Unsatisfiable {
    /// Length of the blob.
    pub size: u64,
}

impl ByteRange {
    /// The range that `header` asks for; none if it is to be ignored: another unit, several ranges, malformed.
    pub fn parse(header: &str) -> Option<Self> {
        let (unit, range) = header.split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (first, last) = range.trim().split_once('-')?;

        match (position(first), position(last)) {
            (Some(first), None) if last.is_empty() => Some(Self::From { first, last: None }),
            (Some(first), Some(last)) if first <= last => Some(Self::From { first, last: Some(last) }),
            (None, Some(length)) if first.is_empty() => Some(Self::Suffix { length }),
            _ => None,
        }
    }

    /// The bytes that it means in a blob of `size` bytes.
    ///
    /// # Errors
    /// There are none.
    pub fn resolve(self, size: u64) -> Result<Span, Unsatisfiable> {
        let (first, length) = match self {
            Self::From { first, .. } if first >= size => return Err(Unsatisfiable { size }),
            Self::From { first, last } => {
                (first, last.map_or(size, |last| last.saturating_add(1).min(size)) - first)
            }
            Self::Suffix { length } => (size - length.min(size), length.min(size)),
        };
        if length == 0 { Err(Unsatisfiable { size }) } else { Ok(Span { first, length }) }
    }
}

impl Span {
    /// All of a blob of `size` bytes.
    pub const fn whole(size: u64) -> Self {
        Self { first: 0, length: size }
    }

    /// The byte after the last.
    pub const fn end(self) -> u64 {
        self.first.saturating_add(self.length)
    }

    /// The last byte. An empty span has none and answers its beginning.
    pub const fn last(self) -> u64 {
        self.end().saturating_sub(if self.length == 0 { 0 } else { 1 })
    }
}

/// The `Content-Range` of an uploaded chunk: `first-last`, both part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentRange {
    /// The first byte.
    pub first: u64,
    /// The last byte.
    pub last: u64,
}

/// Why a text is no `Content-Range`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentRangeError {
    /// It does not have the form.
    #[error("{0:?} is not a Content-Range of the form first-last, such as 0-1048575")]
    Malformed(String),
    /// It ends before it begins.
    #[error("the Content-Range {first}-{last} ends before it begins")]
    Backwards {
        /// The first byte named.
        first: u64,
        /// The last byte named.
        last: u64,
    },
}

impl ContentRange {
    /// Bytes in the chunk; at least one.
    pub const fn length(self) -> u64 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }
}

impl std::str::FromStr for ContentRange {
    type Err = ContentRangeError;

    // The specification has `first-last`; some clients write it as HTTP does, `bytes first-last/total`.
    fn from_str(text: &str) -> Result<Self, ContentRangeError> {
        let bad = || ContentRangeError::Malformed(text.chars().take(64).collect());
        let range = ["bytes ", "bytes="].iter().find_map(|unit| text.strip_prefix(unit)).unwrap_or(text);
        let (range, total) = range.split_once('/').unwrap_or((range, "*"));
        let (first, last) = range.split_once('-').ok_or_else(bad)?;
        let (first, last) = number(first).zip(number(last)).ok_or_else(bad)?;
        if first > last {
            return Err(ContentRangeError::Backwards { first, last });
        }
        // RFC 9110 §14.4: a range that goes beyond its own total is invalid.
        let within = total == "*" || number(total).is_some_and(|total| last < total);
        if within { Ok(Self { first, last }) } else { Err(bad()) }
    }
}

// `u64::from_str` also takes a plus sign.
fn number(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

// A reader may ask beyond every blob there is: that is out of range, not malformed (RFC 9110 §14.1.2).
fn position(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}
