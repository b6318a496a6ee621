//! All repositories, page by page, for administrators (Docker's `/v2/_catalog`).

use axum::response::Response;
use oci::{PageSize, RepositoryName, Target};
use proto::metadata::{
    More, PageRequest,
    repositories::{Viewer, WantedRepositories},
};
use serde::Serialize;

use crate::{Services, asked::Asked, error::ApiError, respond, retry};

#[derive(Serialize)]
struct Catalog {
    repositories: Vec<RepositoryName>,
}

/// A page of names.
pub(crate) async fn list(services: &Services, asked: &Asked) -> Result<Response, ApiError> {
    let limit = PageSize::parse_bounded(asked.query.get("n"))?.get();
    let last = asked.query.get("last").filter(|last| !last.is_empty());
    let after = last.map(str::parse).transpose().map_err(ApiError::LastName)?;
    let wanted = WantedRepositories::all(Viewer::Administrator, PageRequest { after, limit });

    let found = retry::repeated(|| services.repositories.repositories(&wanted)).await?;
    let repositories: Vec<_> = found.entries.into_iter().map(|entry| entry.name).collect();
    let last = repositories.last().map(RepositoryName::as_str);
    let link = next(asked, &Target::Catalog, limit, found.more, last);
    Ok(respond::page(&Catalog { repositories }, link))
}

/// Where a list goes on behind `last`, if it does. A page of nothing has no end to go on from.
pub(crate) fn next(
    asked: &Asked,
    target: &Target,
    limit: usize,
    more: More,
    last: Option<&str>,
) -> Option<String> {
    let last = last.filter(|_| more == More::Yes)?;
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("n", &limit.to_string())
        .append_pair("last", last)
        .finish();
    Some(format!("{}?{query}", asked.urls.location(target)))
}
