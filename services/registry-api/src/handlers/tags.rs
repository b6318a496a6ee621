//! The tags of a repository, page by page (distribution-spec, end-8).

use axum::response::Response;
use oci::{PageSize, RepositoryName, Tag, Target};
use proto::metadata::PageRequest;
use serde::Serialize;

use super::catalog::next;
use crate::{Services, asked::Asked, error::ApiError, respond, retry};

#[derive(Serialize)]
struct TagList<'a> {
    name: &'a RepositoryName,
    tags: &'a [Tag],
}

/// A page of tags.
pub(crate) async fn list(
    services: &Services,
    asked: &Asked,
    repository: &RepositoryName,
) -> Result<Response, ApiError> {
    let limit = PageSize::parse(asked.query.get("n"))?.get();
    let last = asked.query.get("last").filter(|last| !last.is_empty());
    let after = last.map(str::parse).transpose().map_err(ApiError::LastTag)?;
    let page = PageRequest { after, limit };

    let found = retry::repeated(|| services.repositories.tags(repository, &page)).await?;
    let last = found.entries.last().map(Tag::as_str);
    let link = next(asked, &Target::Tags(repository.clone()), limit, found.more, last);
    Ok(respond::page(&TagList { name: repository, tags: &found.entries }, link))
}
