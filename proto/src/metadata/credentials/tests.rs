//! Which repositories a pattern means, and what limits allow.

use oci::Action;
use rstest::rstest;

use super::{Limits, Permission, RepositoryPattern};

fn pattern(text: &str) -> RepositoryPattern {
    RepositoryPattern::try_from(text.to_owned()).unwrap()
}

#[rstest]
#[case("team/app", &["team/app"], &["team/app2", "team/app/x", "other/app"])]
#[case("team/*", &["team/app", "team/app/x"], &["team2/app", "teams/app"])]
#[case("team/app-*", &["team/app-a"], &["team/app", "team/apps"])]
#[case("ubuntu", &["ubuntu", "library/ubuntu"], &["team/ubuntu"])]
fn a_pattern_is_a_name_or_its_beginning(#[case] text: &str, #[case] meant: &[&str], #[case] others: &[&str]) {
    for name in meant {
        assert!(pattern(text).matches(&name.parse().unwrap()), "{text} means {name}");
    }
    for name in others {
        assert!(!pattern(text).matches(&name.parse().unwrap()), "{text} does not mean {name}");
    }
}

#[rstest]
#[case("*")]
#[case("team*")]
#[case("*/app")]
#[case("team/*/app")]
#[case("team/**")]
#[case("Team/app")]
#[case("")]
fn what_means_no_names_is_no_pattern(#[case] text: &str) {
    assert!(RepositoryPattern::try_from(text.to_owned()).is_err());
}

#[test]
fn limits_allow_what_is_named_and_permitted() {
    let (app, other) = ("team/app".parse().unwrap(), "other/app".parse().unwrap());
    let limits = Limits { repositories: vec![pattern("team/*")], actions: [Permission::Pull].into() };

    assert!(limits.allow(&app, Action::Pull));
    assert!(!limits.allow(&app, Action::Push));
    assert!(!limits.allow(&other, Action::Pull));
    assert!(Limits::none().allow(&other, Action::Delete));
    assert!(!Limits::default().allow(&app, Action::Pull), "without actions nothing is allowed");
}
