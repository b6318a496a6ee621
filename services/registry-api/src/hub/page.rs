//! Lists, page by page. A cursor is the name that the page before ended with; clients take it from there and need not
//! know that.

use std::{borrow::Cow, fmt::Display, str::FromStr};

use axum::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::request::Parts;
use proto::metadata::{More, Page, PageRequest};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::problem::{Problem, RequestError};
use crate::{asked::Query, respond};

const MOST: usize = 1_000;
const USUAL: usize = 100;

/// How much of a list; each list says besides what its cursor looks like.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes what `Part` reads")]
pub(super) struct Paging {
    /// How many at most.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    n: Option<u16>,
}

/// The part of a list that is asked for, and how to ask for the next.
pub(super) struct Part<T> {
    pub(super) request: PageRequest<T>,
    pub(super) query: Query,
    path: String,
}

impl<S: Send + Sync, T: FromStr<Err: Display>> FromRequestParts<S> for Part<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = Query::parse(parts.uri.query().unwrap_or_default().as_bytes());
        let request = PageRequest { after: read(&query, "cursor")?, limit: limit(&query)? };
        Ok(Self { request, query, path: parts.uri.path().to_owned() })
    }
}

/// The value of a parameter that may be there once.
pub(super) fn read<T: FromStr<Err: Display>>(
    query: &Query,
    parameter: &'static str,
) -> Result<Option<T>, RequestError> {
    let mut values = query.all(parameter);
    let (first, second) = (values.next(), values.next());
    if second.is_some() {
        return Err(RequestError::parameter(parameter, &"it is there more than once"));
    }
    let parsed = first.map(str::parse).transpose();
    parsed.map_err(|error| RequestError::parameter(parameter, &error))
}

fn limit(query: &Query) -> Result<usize, RequestError> {
    let bad = || RequestError::parameter("n", &format!("it is a whole number from 1 to {MOST}"));
    match read::<String>(query, "n")? {
        None => Ok(USUAL),
        Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            let limit = text.parse().map_err(|_| bad())?;
            if (1..=MOST).contains(&limit) { Ok(limit) } else { Err(bad()) }
        }
        Some(_) => Err(bad()),
    }
}

/// A part of a list.
#[derive(Serialize, ToSchema)]
pub(super) struct Listed<T> {
    /// What there is.
    items: Vec<T>,
    /// The cursor of the next part; null: this was the last.
    next: Option<String>,
    #[serde(skip)]
    #[schema(ignore)]
    link: Option<String>,
}

impl<T: Serialize> IntoResponse for Listed<T> {
    fn into_response(self) -> Response {
        let link = self.link.clone();
        respond::page(&self, link)
    }
}

/// A list that has no more than one part.
pub(super) fn whole<E, T>(entries: impl IntoIterator<Item = E>, item: impl Fn(E) -> T) -> Listed<T> {
    Listed { items: entries.into_iter().map(item).collect(), next: None, link: None }
}

/// The part of a list that was found; `name` is what the list is ordered by.
pub(super) fn listed<K, E, T>(
    part: &Part<K>,
    found: Page<E>,
    name: impl Fn(&E) -> &K,
    item: impl Fn(E) -> T,
) -> Listed<T>
where
    K: Display,
{
    let last = found.entries.last().map(|entry| name(entry).to_string());
    let next = if found.more == More::Yes { last } else { None };
    let link = next.as_deref().map(|cursor| part.link(cursor));
    Listed { items: found.entries.into_iter().map(item).collect(), next, link }
}

/// The part of a list that was found; `next` is what the list goes on after.
pub(super) fn listed_until<K, E, T>(
    part: &Part<K>,
    found: Vec<E>,
    next: Option<&K>,
    item: impl Fn(E) -> T,
) -> Listed<T>
where
    K: Display,
{
    let next = next.map(ToString::to_string);
    let link = next.as_deref().map(|cursor| part.link(cursor));
    Listed { items: found.into_iter().map(item).collect(), next, link }
}

impl<T> Part<T> {
    fn link(&self, cursor: &str) -> String {
        let kept = self.query.pairs().filter(|(name, _)| !["n", "cursor"].contains(name));
        let own = [("n", Cow::from(self.request.limit.to_string())), ("cursor", cursor.into())];
        let pairs = kept.map(|(name, value)| (name, Cow::from(value))).chain(own);
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        format!("{}?{query}", self.path)
    }
}
