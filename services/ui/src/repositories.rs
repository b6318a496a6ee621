//! The list of repositories.

use askama::Template;
use axum::{
    Extension,
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use oci::RepositoryName;
use proto::{
    auth::Subject,
    metadata::{
        More, PageRequest, RepositoryError, Visibility,
        repositories::{RepositoryEntry, Viewer, WantedRepositories},
    },
};
use serde::Deserialize;
use service_kit::http::ClientAddress;

use crate::{Hub, html, viewer};

const ON_ONE_PAGE: usize = 100;

/// Where the browser is, as far as the edge of the process knows.
pub(crate) type Address = Option<Extension<ClientAddress>>;

/// Where in the list the page begins.
#[derive(Deserialize)]
pub(crate) struct Position {
    #[serde(default)]
    after: String,
}

#[derive(Template)]
#[template(path = "repositories.html")]
struct ListPage {
    subject: String,
    sees_all: bool,
    registry: String,
    rows: Vec<Row>,
    next: Option<String>,
}

struct Row {
    name: String,
    visibility: &'static str,
    updated: String,
    size: String,
}

/// A page that only says something.
#[derive(Template)]
#[template(path = "message.html")]
pub(crate) struct Message {
    pub(crate) title: &'static str,
    pub(crate) text: &'static str,
}

/// Lists what the viewer may see: what is public, unless the browser says who is looking.
pub(crate) async fn page(
    State(hub): State<Hub>,
    Query(position): Query<Position>,
    address: Address,
    headers: HeaderMap,
) -> Response {
    list(&hub, &position, (&headers, address), "/").await
}

/// The same, for someone who says who they are: the browser asks for a name and a password first.
pub(crate) async fn signed_in(
    State(hub): State<Hub>,
    Query(position): Query<Position>,
    address: Address,
    headers: HeaderMap,
) -> Response {
    if viewer::credentials(&headers).is_none() {
        return viewer::wrong_credentials();
    }
    // Not a redirect to the other: browsers do not all send what was typed here to there.
    list(&hub, &position, (&headers, address), "/sign-in").await
}

async fn list(
    hub: &Hub,
    position: &Position,
    (headers, address): (&HeaderMap, Address),
    path: &str,
) -> Response {
    let address = address.map(|Extension(client)| client.0);
    let looking = match viewer::looking(&hub.services, headers, address).await {
        Ok(looking) => looking,
        Err(error) => return viewer::refusal(&error),
    };
    let request = PageRequest { after: position.after.parse().ok(), limit: ON_ONE_PAGE };
    let wanted = WantedRepositories::all(looking.viewer, request);

    match hub.services.repositories.repositories(&wanted).await {
        Ok(found) => {
            let next = match found.more {
                More::Yes => found.entries.last().map(|entry| next_page(path, &entry.name)),
                More::No => None,
            };
            html(
                StatusCode::OK,
                &ListPage {
                    subject: greeting(&looking.subject),
                    sees_all: looking.viewer == Viewer::Administrator,
                    registry: hub.config.registry(headers),
                    rows: found.entries.iter().map(row).collect(),
                    next,
                },
            )
        }
        Err(error) => unavailable(&error),
    }
}

fn greeting(subject: &Subject) -> String {
    match subject {
        Subject::Anonymous => String::new(),
        Subject::User(_) | Subject::Robot(_) | Subject::Service(_) => subject.to_string(),
    }
}

fn row(entry: &RepositoryEntry) -> Row {
    Row {
        name: entry.name.to_string(),
        visibility: match entry.visibility {
            Visibility::Public => "public",
            Visibility::Private => "private",
        },
        updated: entry.updated.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        size: humane(entry.size_bytes),
    }
}

// A name holds no character that a query has to escape except `/`, which may stand there as it is.
fn next_page(path: &str, name: &RepositoryName) -> String {
    format!("{path}?after={name}")
}

/// `bytes` in the largest binary unit that leaves at least one, with one decimal: `1.5 MiB`.
fn humane(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let exponent = usize::try_from(bytes.ilog2() / 10).unwrap_or(1).min(UNITS.len());
    let tenths = (u128::from(bytes) * 10) >> (10 * exponent);
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[exponent - 1])
}

fn unavailable(error: &RepositoryError) -> Response {
    tracing::warn!(%error, "cannot list repositories");
    let text = "The list cannot be read just now; nothing is lost. Try again in a moment.";
    let mut page = html(StatusCode::SERVICE_UNAVAILABLE, &Message { title: "The hub is not ready", text });
    page.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
    page
}

#[cfg(test)]
mod tests {
    use super::humane;

    #[test]
    fn sizes_are_shown_in_the_largest_unit_that_leaves_at_least_one() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1 << 20, "1.0 MiB"),
            ((1 << 30) - 1, "1023.9 MiB"),
            (u64::MAX, "16383.9 PiB"),
        ] {
            assert_eq!(humane(bytes), text);
        }
    }
}
