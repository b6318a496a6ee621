//! Scopes: exactly the grammar's texts are taken, and what two have in common is no more than either allows.

use std::sync::LazyLock;

use oci::{Action, Scope};
use regex::Regex;

use crate::grammar::{self, NAME};

static SCOPE: LazyLock<Regex> = LazyLock::new(|| {
    grammar::whole(&format!(r"(repository(\(plugin\))?:(?<name>{NAME})|registry:catalog):[^:]*"))
});
const ACTIONS: [Action; 4] = [Action::Pull, Action::Push, Action::Delete, Action::All];
/// Scopes of a list that are compared, each with each.
const COMPARED: usize = 8;

/// For any bytes.
pub(crate) fn check(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let read = Scope::parse(text);
    let longest = |name: &str| if name.contains('/') { 200 } else { 200 - "library/".len() };
    let expected = SCOPE
        .captures(text)
        .is_some_and(|found| found.name("name").is_none_or(|name| name.len() <= longest(name.as_str())));
    assert_eq!(read.is_ok(), expected, "{text:?}");

    let list = Scope::parse_list(text);
    for scope in read.iter().chain(&list) {
        assert_eq!(Scope::parse(&scope.to_string()).as_ref(), Ok(scope));
    }
    let printed: Vec<_> = list.iter().map(Scope::to_string).collect();
    assert_eq!(Scope::parse_list(&printed.join(" ")), list);

    for one in list.iter().take(COMPARED) {
        for other in list.iter().take(COMPARED) {
            check_common(one, other);
        }
    }
}

fn check_common(one: &Scope, other: &Scope) {
    let common = one.intersect(other);
    assert_eq!(common, other.intersect(one));
    for action in ACTIONS {
        let both = one.resource == other.resource && one.allows(action) && other.allows(action);
        let allowed = common.as_ref().is_some_and(|common| common.allows(action));
        assert_eq!(allowed, both, "{action} of {one} and {other}");
    }
    if let Some(common) = common {
        assert_eq!(common.resource, one.resource);
        assert_eq!(common.intersect(one).as_ref(), Some(&common));
        assert_eq!(common.intersect(other).as_ref(), Some(&common));
    }
}
