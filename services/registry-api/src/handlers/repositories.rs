//! The repositories under a path, or all (distribution-spec, draft #611): those that are public, and those that the
//! token names or, for administrators, every one.

use axum::response::Response;
use oci::{NamespacePath, PageSize, RepositoryName, Target};
use proto::metadata::{
    PageRequest,
    repositories::{MAX_ALSO, Viewer, WantedRepositories},
};
use serde::Serialize;

use super::catalog::next;
use crate::{Services, access::Caller, asked::Asked, error::ApiError, respond, retry};

#[derive(Serialize)]
struct Listed {
    name: RepositoryName,
}

/// A page of names. What the caller cannot see is as if it were not there.
pub(crate) async fn list(
    services: &Services,
    asked: &Asked,
    caller: &Caller,
    under: Option<&NamespacePath>,
) -> Result<Response, ApiError> {
    let limit = PageSize::parse(asked.query.get("n"))?.get();
    let last = asked.query.get("last").filter(|last| !last.is_empty());
    let after = last.map(str::parse).transpose().map_err(ApiError::LastName)?;
    let covered = |name: &RepositoryName| under.is_none_or(|under| under.covers(name));
    let wanted = WantedRepositories {
        viewer: if caller.may_list_all() { Viewer::Administrator } else { Viewer::Outsider },
        under: under.cloned(),
        also: caller.pullable().filter(|name| covered(name)).take(MAX_ALSO).cloned().collect(),
        page: PageRequest { after, limit },
    };

    let found = retry::repeated(|| services.repositories.repositories(&wanted)).await?;
    let listed: Vec<_> = found.entries.into_iter().map(|entry| Listed { name: entry.name }).collect();
    let last = listed.last().map(|listed| listed.name.as_str());
    let link = next(asked, &Target::Repositories(under.cloned()), limit, found.more, last);
    Ok(respond::page(&listed, link))
}
