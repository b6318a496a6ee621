//! Which extensions there are, and where (distribution-spec, `extensions/_oci.md`).

use axum::response::Response;
use oci::{NamespacePath, RepositoryName, Target};
use serde::Serialize;

use crate::respond;

#[derive(Serialize)]
struct Discovered {
    extensions: Vec<Extension>,
}

#[derive(Serialize)]
struct Extension {
    name: &'static str,
    description: &'static str,
    url: &'static str,
    endpoints: Vec<String>,
}

/// Those of the registry.
pub(crate) fn of_registry() -> Response {
    let catalog = Extension {
        name: "_catalog",
        description: "all repositories, for administrators",
        url: "https://distribution.github.io/distribution/spec/api/#listing-repositories",
        endpoints: vec![Target::Catalog.to_string()],
    };
    let endpoints = [Target::RegistryExtensions, Target::Repositories(None)];
    let own = oci(endpoints.iter().map(Target::to_string).collect());
    respond::json(&Discovered { extensions: vec![own, catalog] })
}

/// Those of a repository, which need not exist.
pub(crate) fn of_repository(name: &RepositoryName) -> Response {
    let endpoints = vec![
        Target::Extensions(name.clone()).to_string(),
        Target::tag_histories(name),
        Target::Repositories(Some(NamespacePath::of(name))).to_string(),
    ];
    respond::json(&Discovered { extensions: vec![oci(endpoints)] })
}

fn oci(endpoints: Vec<String>) -> Extension {
    Extension {
        name: "_oci",
        description: "what is offered here; the history of a tag (draft 606); repositories by path (draft 611)",
        url: "https://github.com/opencontainers/distribution-spec/blob/main/extensions/_oci.md",
        endpoints,
    }
}
