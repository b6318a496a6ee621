//! The parts of a path, as values: a part that is none of its kind is a 400 that says why, whatever the method.

use std::{fmt::Display, str::FromStr};

use axum::extract::{FromRequestParts, rejection::PathRejection};
use http::request::Parts;
use serde::{Deserialize as _, Deserializer, de::DeserializeOwned, de::Error as _};

use super::problem::{Problem, RequestError};

/// Where in the hub a request goes.
pub(super) struct At<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        read.map(|path| Self(path.0)).map_err(|rejection| bad(&rejection).into())
    }
}

fn bad(rejection: &PathRejection) -> RequestError {
    let text = rejection.body_text();
    RequestError::path(text.strip_prefix("Invalid URL: ").unwrap_or(&text))
}

/// Reads what is written as text, for serde.
pub(super) fn parsed<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}
