//! Lists and their pages: tags, repositories.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this module is a test"
)]

use super::{all_tags, index, tag, with_image};
use crate::metadata::{
    More, Page, PageRequest, RepositoryError, Visibility,
    accounts::Role,
    repositories::{RepositoryEntry, Viewer, WantedRepositories},
    uploads::suite::world::{World, now, repository},
};

pub(super) async fn run(world: &World) {
    tags_come_in_pages_without_gap_or_overlap(world).await;
    the_list_of_repositories_comes_in_pages(world).await;
    an_entry_counts_each_blob_once(world).await;
    private_repositories_are_invisible_to_outsiders(world).await;
    outsiders_see_what_they_may_see_besides(world).await;
    a_path_covers_itself_and_what_is_under_it(world).await;
}

async fn tags_come_in_pages_without_gap_or_overlap(world: &World) {
    let sorted = ["1", "1.", "1.0", "1.0-rc", "10", "A", "_", "a", "a-", "a.", "a0", "aa", "b"];
    let (_, name, _, _) = with_image(world, "re-page", &["b", "aa", "a0", "a.", "a-", "a", "_", "A"]).await;
    let actor = world.user("re-page-2", Role::User).await;
    let more = index(&name, "re-page, more", &[], &["10", "1.0-rc", "1.0", "1.", "1"]);
    world.repositories.put_manifest(&more, &actor).await.unwrap();

    for limit in 1..=sorted.len() + 1 {
        assert_eq!(all_tags(world, &name, limit).await, sorted, "{limit} to a page");
    }
    let none = PageRequest { after: None, limit: 0 };
    let page = world.repositories.tags(&name, &none).await.unwrap();
    assert_eq!((page.entries.len(), page.more), (0, More::Yes));
    let between = PageRequest { after: Some(tag("a-zzz")), limit: 2 };
    let page = world.repositories.tags(&name, &between).await.unwrap();
    assert_eq!(page.entries, [tag("a."), tag("a0")], "what one lists after need not exist");
    let nowhere = repository("re-page/nowhere");
    let refused = world.repositories.tags(&nowhere, &none).await.unwrap_err();
    assert_eq!(refused, RepositoryError::NameUnknown { repository: nowhere });
}

async fn listing(world: &World, wanted: &WantedRepositories) -> Page<RepositoryEntry> {
    world.repositories.repositories(wanted).await.unwrap()
}

async fn listed(world: &World, viewer: Viewer, limit: usize) -> Vec<String> {
    let (mut names, mut after) = (Vec::new(), None);
    loop {
        let page = listing(world, &WantedRepositories::all(viewer, PageRequest { after, limit })).await;
        assert!(page.entries.len() <= limit);
        names.extend(page.entries.iter().map(|entry| entry.name.to_string()));
        after = page.entries.last().map(|entry| entry.name.clone());
        if page.more == More::No {
            return names;
        }
    }
}

async fn the_list_of_repositories_comes_in_pages(world: &World) {
    let actor = world.user("re-list", Role::User).await;
    let sorted = ["re-list/a", "re-list/a-b", "re-list/a/b", "re-list/a0", "re-list/b"];
    for name in ["re-list/b", "re-list/a/b", "re-list/a", "re-list/a0", "re-list/a-b"] {
        world.push_blob(&repository(name), name, &actor).await;
    }

    let all = listed(world, Viewer::Administrator, 1_000).await;
    assert!(all.is_sorted(), "{all:?}");
    let ours: Vec<_> = all.iter().filter(|name| name.starts_with("re-list/")).collect();
    assert_eq!(ours, sorted.each_ref());
    for limit in [1, 2, 3, all.len() - 1, all.len()] {
        assert_eq!(listed(world, Viewer::Administrator, limit).await, all, "{limit} to a page");
    }
}

async fn an_entry_counts_each_blob_once(world: &World) {
    let actor = world.user("re-size", Role::User).await;
    let name = repository("re-size/app");
    for content in ["ten bytes!", "ten bytes!", "five!"] {
        world.push_blob(&name, content, &actor).await;
    }

    let request = PageRequest { after: Some(repository("re-size/ap")), limit: 1 };
    let page = listing(world, &WantedRepositories::all(Viewer::Administrator, request)).await;
    let [entry] = page.entries.as_slice() else { panic!("{page:?}") };
    assert_eq!((&entry.name, entry.visibility), (&name, Visibility::Private));
    assert_eq!((entry.size_bytes, entry.updated), (15, now(world)));
}

async fn private_repositories_are_invisible_to_outsiders(world: &World) {
    let (_, name, _, _) = with_image(world, "re-hidden", &["v1"]).await;

    assert!(listed(world, Viewer::Administrator, 1_000).await.contains(&name.to_string()));
    assert_eq!(listed(world, Viewer::Outsider, 1_000).await, [""; 0]);
}

async fn outsiders_see_what_they_may_see_besides(world: &World) {
    let (_, name, _, _) = with_image(world, "re-besides", &["v1"]).await;
    let (_, other, _, _) = with_image(world, "re-besides-2", &["v1"]).await;
    let nowhere = repository("re-besides/nowhere");

    let page = PageRequest { after: None, limit: 1_000 };
    let also = vec![nowhere, name.clone(), name.clone()];
    let mut wanted = WantedRepositories { also, ..WantedRepositories::all(Viewer::Outsider, page) };
    assert_eq!(names(&listing(world, &wanted).await), [name.as_str()]);

    wanted.under = Some(other.namespace().as_str().parse().unwrap());
    assert_eq!(names(&listing(world, &wanted).await), [""; 0]);
    wanted.also.push(other.clone());
    assert_eq!(names(&listing(world, &wanted).await), [other.as_str()]);
    wanted.page.after = Some(other);
    assert_eq!(names(&listing(world, &wanted).await), [""; 0]);
}

fn names(page: &Page<RepositoryEntry>) -> Vec<&str> {
    assert_eq!(page.more, More::No);
    page.entries.iter().map(|entry| entry.name.as_str()).collect()
}

async fn a_path_covers_itself_and_what_is_under_it(world: &World) {
    let actor = world.user("re-under", Role::User).await;
    for name in ["re-under/a", "re-under/a-b", "re-under/a/b", "re-under/a/b/c", "re-under/a0", "re-under/b"]
    {
        world.push_blob(&repository(name), name, &actor).await;
    }
    for (under, expected) in [
        ("re-under/a", ["re-under/a", "re-under/a/b", "re-under/a/b/c"].as_slice()),
        ("re-under/a/b", &["re-under/a/b", "re-under/a/b/c"]),
        ("re-under/b", &["re-under/b"]),
        ("re-under/a/b/c/d", &[]),
        ("re-unde", &[]),
    ] {
        let page = PageRequest { after: None, limit: 1_000 };
        let all = WantedRepositories::all(Viewer::Administrator, page);
        let wanted = WantedRepositories { under: Some(under.parse().unwrap()), ..all };
        assert_eq!(names(&listing(world, &wanted).await), expected, "under {under}");
    }
}
