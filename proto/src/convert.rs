//! Domain types ⇄ wire types. A message is read once, field by field; a field that does not say what it must
//! is named, and neither side goes on with it.

use std::{fmt::Display, net::IpAddr, str::FromStr};

use jiff::Timestamp;
use tonic::Status;

use crate::auth::Subject;

mod accounts;
mod audit;
mod auth;
mod avatars;
mod blob;
mod credentials;
pub(crate) mod federation;
mod history;
pub(crate) mod identities;
mod integrity;
mod invitations;
mod organizations;
mod outbox;
pub(crate) mod proofs;
mod quotas;
pub(crate) mod reclaim;
mod referrers;
pub(crate) mod repositories;
mod rules;
pub(crate) mod search;
pub(crate) mod self_service;
pub(crate) mod settings;
pub(crate) mod uploads;
mod users;

/// A domain type, and the message or field that carries it.
pub(crate) trait Wire: Sized {
    /// What carries it.
    type Message;

    /// Writes it.
    fn to_message(&self) -> Self::Message;

    /// Reads it.
    fn from_message(message: Self::Message) -> Result<Self, BadField>;
}

/// A field that does not say what it must.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadField {
    #[error("field {field} is absent")]
    Absent { field: &'static str },
    #[error("field {field}: {why}")]
    Unreadable { field: &'static str, why: String },
}

impl BadField {
    pub(crate) fn unreadable(field: &'static str, why: impl Display) -> Self {
        Self::Unreadable { field, why: why.to_string() }
    }
}

impl From<BadField> for Status {
    fn from(bad: BadField) -> Self {
        Self::invalid_argument(bad.to_string())
    }
}

pub(crate) fn present<M>(field: &'static str, message: Option<M>) -> Result<M, BadField> {
    message.ok_or(BadField::Absent { field })
}

pub(crate) fn read<T: Wire>(field: &'static str, message: Option<T::Message>) -> Result<T, BadField> {
    T::from_message(present(field, message)?)
}

pub(crate) fn read_all<T: Wire>(messages: Vec<T::Message>) -> Result<Vec<T>, BadField> {
    messages.into_iter().map(T::from_message).collect()
}

pub(crate) fn written_all<T: Wire>(values: &[T]) -> Vec<T::Message> {
    values.iter().map(T::to_message).collect()
}

pub(crate) fn parsed<T: FromStr<Err: Display>>(field: &'static str, text: &str) -> Result<T, BadField> {
    text.parse().map_err(|why| BadField::unreadable(field, why))
}

pub(crate) fn parsed_option<T>(field: &'static str, text: Option<&str>) -> Result<Option<T>, BadField>
where
    T: FromStr<Err: Display>,
{
    text.map(|text| parsed(field, text)).transpose()
}

pub(crate) fn parsed_all<T>(field: &'static str, texts: &[String]) -> Result<Vec<T>, BadField>
where
    T: FromStr<Err: Display>,
{
    texts.iter().map(|text| parsed(field, text)).collect()
}

pub(crate) fn printed<T: Display>(value: Option<&T>) -> Option<String> {
    value.map(T::to_string)
}

pub(crate) fn printed_all<T: Display>(values: &[T]) -> Vec<String> {
    values.iter().map(T::to_string).collect()
}

pub(crate) fn bytes_32(field: &'static str, bytes: &[u8]) -> Result<[u8; 32], BadField> {
    let length = bytes.len();
    bytes.try_into().map_err(|_| BadField::unreadable(field, format_args!("{length} bytes instead of 32")))
}

/// Takes a text of at most `limit` characters.
pub(crate) fn at_most(field: &'static str, limit: usize, text: String) -> Result<String, BadField> {
    match text.chars().count() {
        found if found > limit => {
            Err(BadField::unreadable(field, format_args!("{found} characters, allowed are {limit}")))
        }
        _ => Ok(text),
    }
}

pub(crate) fn timestamp(field: &'static str, milliseconds: i64) -> Result<Timestamp, BadField> {
    Timestamp::from_millisecond(milliseconds).map_err(|why| BadField::unreadable(field, why))
}

/// Reads the `sub` of a token: empty for anonymous.
pub(crate) fn subject(field: &'static str, text: &str) -> Result<Subject, BadField> {
    parsed(field, text)
}

pub(crate) fn address(text: Option<&str>) -> Result<Option<IpAddr>, BadField> {
    parsed_option("address", text)
}

/// Says which value of the wire is which of ours; all others, zero among them, are refused.
macro_rules! enumeration {
    ($ours:ty, $wire:ty, $field:literal, [$($variant:ident),+ $(,)?]) => {
        impl $crate::convert::Wire for $ours {
            type Message = i32;

            fn to_message(&self) -> i32 {
                let value = match self {
                    $(Self::$variant => <$wire>::$variant,)+
                };
                value.into()
            }

            fn from_message(message: i32) -> Result<Self, $crate::convert::BadField> {
                match <$wire>::try_from(message) {
                    $(Ok(<$wire>::$variant) => Ok(Self::$variant),)+
                    _ => Err($crate::convert::BadField::unreadable($field, format_args!("no value has number {message}"))),
                }
            }
        }
    };
}
use enumeration;

#[cfg(test)]
mod tests;
