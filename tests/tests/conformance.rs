//! The registry does what the OCI distribution specification and its neighbours require of it, on both topologies.
//! One function per requirement, under its citation; "main" is what the specification has since 1.1. One hub serves
//! an area, in which each requirement has a repository of its own.

#[path = "conformance/base.rs"]
mod base;
#[path = "conformance/catalog.rs"]
mod catalog;
#[path = "conformance/chunks.rs"]
mod chunks;
#[path = "conformance/deleting.rs"]
mod deleting;
#[path = "conformance/digests.rs"]
mod digests;
#[path = "conformance/errors.rs"]
mod errors;
#[path = "conformance/ground.rs"]
mod ground;
#[path = "conformance/manifests.rs"]
mod manifests;
#[path = "conformance/monolithic.rs"]
mod monolithic;
#[path = "conformance/mounts.rs"]
mod mounts;
#[path = "conformance/pull_blobs.rs"]
mod pull_blobs;
#[path = "conformance/pull_manifests.rs"]
mod pull_manifests;
#[path = "conformance/ranges.rs"]
mod ranges;
#[path = "conformance/referrers.rs"]
mod referrers;
#[path = "conformance/requirement.rs"]
mod requirement;
#[path = "conformance/tags.rs"]
mod tags;
#[path = "conformance/variants.rs"]
mod variants;

use requirement::Requirement;
use rstest::rstest;
use tests::{Hub, Topology};

#[rstest]
#[case::base(base::REQUIREMENTS)]
#[case::pull_blobs(pull_blobs::REQUIREMENTS)]
#[case::pull_ranges(ranges::REQUIREMENTS)]
#[case::pull_manifests(pull_manifests::REQUIREMENTS)]
#[case::push_blobs_whole(monolithic::REQUIREMENTS)]
#[case::push_blobs_in_chunks(chunks::REQUIREMENTS)]
#[case::push_blobs_of_any_digest(digests::REQUIREMENTS)]
#[case::push_blobs_from_elsewhere(mounts::REQUIREMENTS)]
#[case::push_manifests(manifests::REQUIREMENTS)]
#[case::push_manifests_of_all_kinds(variants::REQUIREMENTS)]
#[case::discover_tags(tags::REQUIREMENTS)]
#[case::discover_referrers(referrers::REQUIREMENTS)]
#[case::discover_repositories(catalog::REQUIREMENTS)]
#[case::manage_content(deleting::REQUIREMENTS)]
#[case::errors(errors::REQUIREMENTS)]
#[tokio::test]
async fn every_requirement_is_met(
    #[case] area: &[Requirement],
    #[values(Topology::OneProcess, Topology::FiveServices)] topology: Topology,
) {
    let hub = Hub::start(topology);
    requirement::check_all(area, &hub.raw()).await;
}
