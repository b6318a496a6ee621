//! What is looked for, and what is found.

use super::{super::Wire as _, GENERATION, moment, parse, reads_back};
use crate::{
    metadata::{
        Visibility,
        repositories::{Found, FoundRepository, Reader, RepositoryEntry, WantedSearch},
    },
    wire,
};

#[test]
fn what_is_looked_for_and_found_reads_back() {
    let readers =
        [Reader::Outsider, Reader::User(parse("ann")), Reader::Robot(parse("team")), Reader::Administrator];
    for reader in readers {
        let wanted = WantedSearch {
            reader,
            within: vec!["team/*".to_owned().try_into().unwrap()],
            under: Some(parse("team/a")),
            query: Some(parse("Äpp proxy")),
            after: Some(parse(&format!("~2{GENERATION}6e67"))),
            limit: 7,
        };
        reads_back(&wanted);
        reads_back(&WantedSearch { within: vec![], under: None, query: None, after: None, ..wanted });
    }
    assert!(WantedSearch::from_message(wire::SearchRequest::default()).is_err(), "nobody looks");

    let entry = RepositoryEntry {
        name: parse("alice/app"),
        visibility: Visibility::Public,
        updated: moment(),
        size_bytes: 7,
    };
    let found = FoundRepository { entry, summary: "An äpp".to_owned() };
    reads_back(&Found { repositories: vec![found], next: Some(parse("alice/app")) });
    reads_back(&Found { repositories: Vec::new(), next: None });
}
