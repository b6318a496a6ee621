//! What can go wrong below every operation, and how each contract says it.

use std::{borrow::Cow, str::FromStr};

use bytes::Bytes;
use proto::metadata::{AccountError, BackupError, OutboxError, ReclaimError, RepositoryError, UploadError};

use crate::keyspace::{Error, Field, Key};

/// The variants that every contract's error has.
pub(crate) trait Refusal: Sized {
    fn unavailable(attempted: Cow<'static, str>) -> Self;
    fn no_space(attempted: Cow<'static, str>) -> Self;
    fn damaged(what: String) -> Self;
}

fn refusal<E: Refusal>(error: Error) -> E {
    match error {
        Error::Unavailable { attempted } => E::unavailable(attempted.into()),
        Error::NoSpace { attempted } => E::no_space(attempted.into()),
        Error::Damaged { what } => E::damaged(what),
        // Domain types keep within the limits, so that a value beyond them was not made from one.
        limit @ Error::Limit { .. } => E::damaged(limit.to_string()),
    }
}

impl From<Error> for UploadError {
    fn from(error: Error) -> Self {
        refusal(error)
    }
}

impl From<Error> for RepositoryError {
    fn from(error: Error) -> Self {
        refusal(error)
    }
}

impl From<Error> for AccountError {
    fn from(error: Error) -> Self {
        refusal(error)
    }
}

impl From<Error> for OutboxError {
    fn from(error: Error) -> Self {
        refusal(error)
    }
}

impl Refusal for OutboxError {
    fn unavailable(attempted: Cow<'static, str>) -> Self {
        Self::Unavailable { attempted }
    }

    fn no_space(attempted: Cow<'static, str>) -> Self {
        Self::NoSpace { attempted }
    }

    fn damaged(what: String) -> Self {
        Self::Damaged { what }
    }
}

impl From<Error> for ReclaimError {
    fn from(error: Error) -> Self {
        refusal(error)
    }
}

impl From<Error> for BackupError {
    fn from(error: Error) -> Self {
        refusal(error)
    }
}

impl Refusal for BackupError {
    fn unavailable(attempted: Cow<'static, str>) -> Self {
        Self::Unavailable { attempted }
    }

    fn no_space(attempted: Cow<'static, str>) -> Self {
        Self::NoSpace { attempted }
    }

    fn damaged(what: String) -> Self {
        Self::Damaged { what }
    }
}

impl Refusal for ReclaimError {
    fn unavailable(attempted: Cow<'static, str>) -> Self {
        Self::Unavailable { attempted }
    }

    fn no_space(attempted: Cow<'static, str>) -> Self {
        Self::NoSpace { attempted }
    }

    fn damaged(what: String) -> Self {
        Self::Damaged { what }
    }
}

impl Refusal for UploadError {
    fn unavailable(attempted: Cow<'static, str>) -> Self {
        Self::Unavailable { attempted }
    }

    fn no_space(attempted: Cow<'static, str>) -> Self {
        Self::NoSpace { attempted }
    }

    fn damaged(what: String) -> Self {
        Self::Damaged { what }
    }
}

impl Refusal for RepositoryError {
    fn unavailable(attempted: Cow<'static, str>) -> Self {
        Self::Unavailable { attempted }
    }

    fn no_space(attempted: Cow<'static, str>) -> Self {
        Self::NoSpace { attempted }
    }

    fn damaged(what: String) -> Self {
        Self::Damaged { what }
    }
}

impl Refusal for AccountError {
    fn unavailable(attempted: Cow<'static, str>) -> Self {
        Self::Unavailable { attempted }
    }

    fn no_space(attempted: Cow<'static, str>) -> Self {
        Self::NoSpace { attempted }
    }

    fn damaged(what: String) -> Self {
        Self::Damaged { what }
    }
}

/// Says that what is stored in a field cannot be read.
pub(crate) fn damaged(key: &Key, field: &Field) -> Error {
    Error::Damaged { what: format!("{field} of {key} is absent or cannot be read") }
}

/// Reads the text of a field as what it should be.
pub(crate) fn parsed<T: FromStr>(key: &Key, field: &Field, value: Option<&Bytes>) -> Result<T, Error> {
    value.and_then(|value| text_as(value)).ok_or_else(|| damaged(key, field))
}

/// Reads a member, or a part of one, of an ordered set as what it should be.
pub(crate) fn parsed_member<T: FromStr>(key: &Key, part: &[u8]) -> Result<T, Error> {
    text_as(part).ok_or_else(|| damaged_member(key, part))
}

pub(crate) fn damaged_member(key: &Key, part: &[u8]) -> Error {
    Error::Damaged { what: format!("a member of {key}: {}", part.escape_ascii()) }
}

fn text_as<T: FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// What a list of values read in one order is taken from, one after the other.
pub(crate) fn next(values: &mut impl Iterator<Item = Option<Bytes>>) -> Option<Bytes> {
    values.next().flatten()
}
