//! Scopes: what is read, what is left out, and what two of them have in common.
#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

use std::collections::BTreeSet;

use oci::{Action, RepositoryName, Resource, Scope};
use proptest::prelude::*;
use rstest::rstest;

#[rstest]
#[case("repository:library/ubuntu:pull,push", "repository:library/ubuntu:pull,push")]
#[case("repository:ubuntu:push,pull", "repository:library/ubuntu:pull,push")]
#[case("repository(plugin):a/b:pull", "repository:a/b:pull")]
#[case("registry:catalog:*", "registry:catalog:*")]
#[case("repository:a/b:pull,fly", "repository:a/b:pull")]
fn a_scope_is_read_and_printed_in_one_form(#[case] text: &str, #[case] canonical: &str) {
    assert_eq!(Scope::parse(text).unwrap().to_string(), canonical);
}

#[test]
fn scopes_of_other_kinds_are_left_out_of_a_list() {
    let scopes = Scope::parse_list("repository:a/b:pull nonsense registry:health:* repository:c/d:push");
    let texts: Vec<_> = scopes.iter().map(Scope::to_string).collect();
    assert_eq!(texts, ["repository:a/b:pull", "repository:c/d:push"]);
}

#[rstest]
#[case("")]
#[case("repository")]
#[case("repository:a/b")]
#[case("repository:UPPER:pull")]
#[case("registry:other:*")]
#[case("template:a/b:pull")]
fn what_is_not_of_the_form_is_no_scope(#[case] text: &str) {
    let error = Scope::parse(text).unwrap_err().to_string();
    assert!(error.contains("repository:<name>:<actions>"), "{error}");
}

#[test]
fn everything_allows_each_action_and_one_action_allows_no_other() {
    let everything = Scope::parse("repository:a/b:*").unwrap();
    for action in [Action::Pull, Action::Push, Action::Delete, Action::All] {
        assert!(everything.allows(action), "{action}");
    }
    let pull = Scope::parse("repository:a/b:pull").unwrap();
    assert!(pull.allows(Action::Pull));
    assert!(!pull.allows(Action::Push) && !pull.allows(Action::All));
}

#[rstest]
#[case("repository:a/b:pull,push", "repository:a/b:pull,delete", Some("repository:a/b:pull"))]
#[case("repository:a/b:*", "repository:a/b:pull,push", Some("repository:a/b:pull,push"))]
#[case("repository:a/b:*", "repository:a/b:*", Some("repository:a/b:*"))]
#[case("repository:ubuntu:pull", "repository:library/ubuntu:pull", Some("repository:library/ubuntu:pull"))]
#[case("repository:a/b:pull", "repository:a/b:push", None)]
#[case("repository:a/b:pull", "repository:a/c:pull", None)]
#[case("registry:catalog:*", "repository:a/b:*", None)]
fn two_scopes_have_in_common_what_both_allow(
    #[case] one: &str,
    #[case] other: &str,
    #[case] expected: Option<&str>,
) {
    let [one, other] = [one, other].map(|text| Scope::parse(text).unwrap());
    assert_eq!(one.intersect(&other).map(|scope| scope.to_string()).as_deref(), expected);
    assert_eq!(other.intersect(&one), one.intersect(&other));
}

fn scope() -> impl Strategy<Value = Scope> {
    let action = prop_oneof![Just(Action::Pull), Just(Action::Push), Just(Action::Delete), Just(Action::All)];
    let name = "[ab]/[ab]".prop_map(|text| Resource::Repository(text.parse::<RepositoryName>().unwrap()));
    let resource = prop_oneof![4 => name, 1 => Just(Resource::Catalog)];
    let actions = proptest::collection::btree_set(action, 0..4);
    (resource, actions).prop_map(|(resource, actions): (_, BTreeSet<_>)| Scope { resource, actions })
}

proptest! {
    #[test]
    fn a_scope_is_read_as_it_was_printed_alone_and_in_a_list(scopes in proptest::collection::vec(scope(), 0..4)) {
        for scope in &scopes {
            prop_assert_eq!(Scope::parse(&scope.to_string()), Ok(scope.clone()));
        }
        let list: Vec<_> = scopes.iter().map(Scope::to_string).collect();
        prop_assert_eq!(Scope::parse_list(&list.join(" ")), scopes);
    }

    #[test]
    fn what_two_scopes_have_in_common_allows_nothing_more_and_nothing_less(one in scope(), other in scope()) {
        let common = one.intersect(&other);
        for action in [Action::Pull, Action::Push, Action::Delete, Action::All] {
            let both = one.resource == other.resource && one.allows(action) && other.allows(action);
            prop_assert_eq!(common.as_ref().is_some_and(|scope| scope.allows(action)), both);
        }
    }

    #[test]
    fn no_text_makes_it_panic(text: String) {
        let _ = Scope::parse(&text);
        let _ = Scope::parse_list(&format!("repository:{text} {text}"));
    }
}
