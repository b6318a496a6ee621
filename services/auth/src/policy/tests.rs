//! Every case of the policy, written out as tables; and what holds in all of them.

use std::collections::BTreeSet;

use oci::{CredentialId, Scope};
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proto::{
    auth::{
        IdentityError,
        identities::{Deed, Reads},
    },
    metadata::{
        Visibility,
        accounts::{NamespaceFacts, NamespaceKind, RepositoryFacts, Role},
        credentials::{Limits, Permission, RepositoryPattern},
        organizations::{Level, MemberRole},
    },
};

use super::{Founders, Known, Principal, Through, authorized, granted, permissions};

const PERMISSIONS: [(char, Permission); 4] =
    [('l', Permission::Pull), ('p', Permission::Push), ('d', Permission::Delete), ('m', Permission::Manage)];

fn id() -> CredentialId {
    "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap()
}

fn user(name: &str, role: Role) -> Principal {
    Principal::User { name: name.parse().unwrap(), role, through: Through::Password }
}

fn robot(name: &str) -> Principal {
    let actions = [Permission::Pull, Permission::Push, Permission::Delete].into();
    Principal::Robot {
        name: name.parse().unwrap(),
        limits: Limits { repositories: Vec::new(), actions },
        credential: id(),
    }
}

fn limits(patterns: &[&str], letters: &str) -> Limits {
    let pattern = |text: &&str| RepositoryPattern::try_from((*text).to_owned()).unwrap();
    Limits { repositories: patterns.iter().map(pattern).collect(), actions: set(letters) }
}

fn limited(principal: &Principal, by: &Limits) -> Principal {
    let mut principal = principal.clone();
    match &mut principal {
        Principal::Anonymous => {}
        Principal::User { through, .. } => *through = Through::AccessToken(id(), by.clone()),
        Principal::Robot { limits, .. } => *limits = by.clone(),
    }
    principal
}

fn set(letters: &str) -> BTreeSet<Permission> {
    PERMISSIONS.into_iter().filter(|(letter, _)| letters.contains(*letter)).map(|(_, it)| it).collect()
}

/// What is known of `team/app`, and of `team`, which is an organization.
fn facts(visibility: Option<Visibility>, role: Option<MemberRole>, level: Option<Level>) -> RepositoryFacts {
    let kind = Some(NamespaceKind::Organization);
    let namespace = NamespaceFacts { name: "team".parse().unwrap(), kind, role };
    RepositoryFacts { name: "team/app".parse().unwrap(), visibility, namespace, level, moved: None }
}

struct Subject {
    what: &'static str,
    principal: Principal,
    kind: NamespaceKind,
    role: Option<MemberRole>,
    level: Option<Level>,
    /// What it has on a public, a private and an absent repository.
    has: [&'static str; 3],
}

fn subjects() -> Vec<Subject> {
    const ORGANIZATION: NamespaceKind = NamespaceKind::Organization;
    let (owner, member) = (Some(MemberRole::Owner), Some(MemberRole::Member));
    let ann = || user("ann", Role::User);
    let root = || user("root", Role::Administrator);
    let row = |what, principal, kind, role, level, has| Subject { what, principal, kind, role, level, has };

    vec![
        row("nobody", Principal::Anonymous, ORGANIZATION, None, None, ["l", "", ""]),
        row("a stranger", ann(), ORGANIZATION, None, None, ["l", "", ""]),
        row("a stranger to a user", ann(), NamespaceKind::User, None, None, ["l", "", ""]),
        row("a member", ann(), ORGANIZATION, member, None, ["l", "", ""]),
        row("a reader", ann(), ORGANIZATION, member, Some(Level::Read), ["l", "l", ""]),
        row("a writer", ann(), ORGANIZATION, member, Some(Level::Write), ["lp", "lp", ""]),
        row("an admin of it", ann(), ORGANIZATION, member, Some(Level::Admin), ["lpdm", "lpdm", ""]),
        row("a collaborator", ann(), NamespaceKind::User, None, Some(Level::Write), ["lp", "lp", ""]),
        row("an owner", ann(), ORGANIZATION, owner, None, ["lpdm"; 3]),
        row("the user", user("team", Role::User), NamespaceKind::User, None, None, ["lpdm"; 3]),
        row("a namesake", user("team", Role::User), ORGANIZATION, None, None, ["l", "", ""]),
        row("an administrator", root(), ORGANIZATION, None, None, ["lpdm"; 3]),
        row("its robot", robot("team+ci"), ORGANIZATION, None, None, ["lpd"; 3]),
        row("another's robot", robot("teams+ci"), ORGANIZATION, None, None, ["l", "", ""]),
    ]
}

/// Limits, and what they let through on `team/app`.
fn credentials() -> Vec<(Option<Limits>, &'static str)> {
    let with = |patterns: &[&str], letters| Some(limits(patterns, letters));
    vec![
        (None, "lpdm"),
        (with(&[], "lpdm"), "lpdm"),
        (with(&[], ""), ""),
        (with(&[], "l"), "l"),
        (with(&[], "p"), "p"),
        (with(&[], "d"), "d"),
        (with(&[], "m"), "m"),
        (with(&["team/app"], "lp"), "lp"),
        (with(&["team/*"], "lpdm"), "lpdm"),
        (with(&["other/app", "team/ap*"], "lpd"), "lpd"),
        (with(&["team/ap"], "lpdm"), ""),
        (with(&["team/app/*", "other/*"], "lpdm"), ""),
    ]
}

/// Every subject with every credential on every kind of repository, and what it may do there.
fn cases() -> impl Iterator<Item = (String, Principal, RepositoryFacts, BTreeSet<Permission>)> {
    subjects().into_iter().flat_map(|subject| {
        credentials().into_iter().flat_map(move |(limits, lets)| {
            let principal =
                limits.as_ref().map_or(subject.principal.clone(), |by| limited(&subject.principal, by));
            let kinds = [Some(Visibility::Public), Some(Visibility::Private), None];
            let row = kinds.into_iter().zip(subject.has).map(|(visibility, has)| {
                let mut facts = facts(visibility, subject.role, subject.level);
                facts.namespace.kind = Some(subject.kind);
                let lets = if principal == Principal::Anonymous { "lpdm" } else { lets };
                let open = if visibility == Some(Visibility::Public) { "l" } else { "" };
                let may = set(has).intersection(&set(lets)).copied().chain(set(open)).collect();
                let case = format!("{} with {limits:?} on {visibility:?}", subject.what);
                (case, principal.clone(), facts, may)
            });
            row.collect::<Vec<_>>()
        })
    })
}

#[test]
fn every_subject_credential_and_repository_is_decided_by_the_table() {
    assert_eq!(cases().count(), 14 * 12 * 3);
    for (case, principal, facts, may) in cases() {
        assert_eq!(permissions(&principal, &facts), may, "{case}");
    }
}

#[test]
fn tokens_name_what_is_permitted_and_was_asked() {
    for (case, principal, facts, may) in cases() {
        let known = Known { repositories: &[facts], namespaces: &[] };
        for (asked, meant) in
            [("pull", "l"), ("push", "p"), ("delete", "d"), ("pull,push", "lp"), ("*", "lpd")]
        {
            let asked = [Scope::parse(&format!("repository:team/app:{asked}")).unwrap()];
            let granted: BTreeSet<_> =
                granted(&principal, &asked, known).into_iter().flat_map(|scope| scope.actions).collect();
            let wanted = may.intersection(&set(meant)).filter_map(|permission| permission.action()).collect();
            assert_eq!(granted, wanted, "{case}: {asked:?}");
        }
    }
}

#[test]
fn deeds_on_repositories_are_told_what_is_missing_only_to_who_may_see_it() {
    for (case, principal, facts, may) in cases() {
        let known = Known { repositories: &[facts], namespaces: &[] };
        let name = || "team/app".parse().unwrap();
        for (deed, permission) in [
            (Deed::ReadRepository(name()), Permission::Pull),
            (Deed::WriteRepository(name()), Permission::Push),
            (Deed::DeleteFromRepository(name()), Permission::Delete),
            (Deed::ManageRepository(name()), Permission::Manage),
        ] {
            let told = authorized(&principal, &deed, known, Founders::Users);
            let as_expected = match &told {
                Ok(()) => may.contains(&permission),
                Err(IdentityError::SignInNeeded { .. }) => principal == Principal::Anonymous,
                Err(IdentityError::Hidden { .. }) => may.is_empty(),
                Err(IdentityError::Forbidden { .. }) => !may.is_empty() && !may.contains(&permission),
                Err(_) => false,
            };
            assert!(as_expected, "{case}: {deed:?} is told {told:?}");
        }
    }
}

/// What `principal` is told about `deed` in an organization `team` in which it has `role`, in one word.
fn told(principal: &Principal, deed: &Deed, role: Option<MemberRole>, founders: Founders) -> &'static str {
    let namespaces = [facts(None, role, None).namespace];
    let known = Known { repositories: &[], namespaces: &namespaces };
    match authorized(principal, deed, known, founders) {
        Ok(()) => "yes",
        Err(IdentityError::SignInNeeded { .. }) => "sign in",
        Err(IdentityError::Hidden { .. }) => "hidden",
        Err(IdentityError::Forbidden { subject, .. }) if subject.contains("access token") => "not so",
        Err(IdentityError::Forbidden { .. }) => "no",
        Err(_) => "?",
    }
}

#[test]
fn every_deed_beside_repositories_is_decided_by_the_table() {
    let own = Deed::ManageAccount("ann".parse().unwrap());
    let deeds = [
        Deed::SignedIn,
        Deed::ManageHub,
        own,
        Deed::ManageAccount("bob".parse().unwrap()),
        Deed::CreateOrganization,
        Deed::SeeNamespace("team".parse().unwrap()),
        Deed::ManageNamespace("team".parse().unwrap()),
        Deed::RemoveMember("team".parse().unwrap(), "ann".parse().unwrap()),
        Deed::RemoveMember("team".parse().unwrap(), "bob".parse().unwrap()),
    ];
    let ann = user("ann", Role::User);
    let root = user("root", Role::Administrator);
    let pat = |letters, patterns: &[&str]| limits(patterns, letters);
    let (owner, member) = (Some(MemberRole::Owner), Some(MemberRole::Member));

    let not_so = |hub| ["yes", hub, "not so", "no", "not so", "not so", "not so", "not so", "not so"];
    for (principal, role, expected) in [
        (Principal::Anonymous, None, ["sign in"; 9]),
        (ann.clone(), None, ["yes", "no", "yes", "no", "yes", "hidden", "hidden", "hidden", "hidden"]),
        (ann.clone(), member, ["yes", "no", "yes", "no", "yes", "yes", "no", "yes", "no"]),
        (ann.clone(), owner, ["yes", "no", "yes", "no", "yes", "yes", "yes", "yes", "yes"]),
        (root.clone(), None, ["yes"; 9]),
        (limited(&ann, &pat("m", &[])), member, ["yes", "no", "yes", "no", "yes", "yes", "no", "yes", "no"]),
        (limited(&ann, &pat("m", &[])), owner, ["yes", "no", "yes", "no", "yes", "yes", "yes", "yes", "yes"]),
        (limited(&ann, &pat("lpd", &[])), owner, not_so("no")),
        (
            limited(&ann, &pat("lpd", &[])),
            member,
            ["yes", "no", "not so", "no", "not so", "not so", "no", "not so", "no"],
        ),
        (limited(&ann, &pat("lpdm", &["team/*"])), owner, not_so("no")),
        (
            limited(&root, &pat("lpd", &[])),
            None,
            ["yes", "not so", "not so", "not so", "not so", "not so", "not so", "not so", "not so"],
        ),
        (robot("team+ci"), None, ["yes", "no", "no", "no", "no", "hidden", "hidden", "hidden", "hidden"]),
    ] {
        let decided = deeds.each_ref().map(|deed| told(&principal, deed, role, Founders::Users));
        assert_eq!(decided, expected, "{principal:?} who is {role:?}");
    }
}

#[test]
fn an_access_token_that_manages_is_limited_by_its_user_too() {
    let bob = user("bob", Role::User);
    let pat = limited(&bob, &limits(&[], "lpdm"));
    assert_eq!(told(&pat, &Deed::ManageHub, None, Founders::Users), "no");
    assert_eq!(told(&pat, &Deed::ManageNamespace("team".parse().unwrap()), None, Founders::Users), "hidden");
}

#[test]
fn organizations_are_made_by_whom_the_configuration_says() {
    let (ann, root) = (user("ann", Role::User), user("root", Role::Administrator));
    for (principal, founders, expected) in [
        (&ann, Founders::Users, "yes"),
        (&ann, Founders::Administrators, "no"),
        (&root, Founders::Users, "yes"),
        (&root, Founders::Administrators, "yes"),
        (&robot("team+ci"), Founders::Users, "no"),
    ] {
        assert_eq!(told(principal, &Deed::CreateOrganization, None, founders), expected);
    }
}

#[test]
fn what_may_not_be_done_is_said_in_words() {
    let refusal = |principal: &Principal, deed: Deed, visibility| {
        let repositories = [facts(Some(visibility), None, None)];
        let known = Known { repositories: &repositories, namespaces: &[] };
        authorized(principal, &deed, known, Founders::Administrators).unwrap_err().to_string()
    };
    let push = || Deed::WriteRepository("team/app".parse().unwrap());
    let (ann, root) = (user("ann", Role::User), user("root", Role::Administrator));
    let pat = limited(&root, &limits(&[], "l"));

    assert_eq!(refusal(&ann, push(), Visibility::Public), "ann may not push to team/app");
    assert_eq!(refusal(&ann, push(), Visibility::Private), "there is no repository team/app");
    assert_eq!(
        refusal(&pat, push(), Visibility::Private),
        "this access token of root may not push to team/app"
    );
    assert_eq!(refusal(&Principal::Anonymous, push(), Visibility::Public), "sign in to push to team/app");
    assert_eq!(
        refusal(&ann, Deed::CreateOrganization, Visibility::Public),
        "ann may not make an organization"
    );
    let bobs = Deed::ManageAccount("bob".parse().unwrap());
    assert_eq!(refusal(&ann, bobs, Visibility::Public), "ann may not manage the account bob");
    let other = Deed::SeeNamespace("other".parse().unwrap());
    assert_eq!(refusal(&ann, other, Visibility::Public), "there is no user or organization other");
}

#[test]
fn the_catalog_is_for_administrators_with_nothing_left_out() {
    let catalog = |principal: &Principal| {
        let asked = [Scope::parse("registry:catalog:*").unwrap()];
        let known = Known { repositories: &[], namespaces: &[] };
        granted(principal, &asked, known).iter().map(Scope::to_string).collect::<String>()
    };
    let root = user("root", Role::Administrator);
    assert_eq!(catalog(&root), "registry:catalog:*");
    assert_eq!(catalog(&limited(&root, &limits(&[], "l"))), "registry:catalog:*");
    for principal in [
        limited(&root, &limits(&[], "pdm")),
        limited(&root, &limits(&["team/*"], "lpdm")),
        user("ann", Role::User),
        robot("team+ci"),
        Principal::Anonymous,
    ] {
        assert_eq!(catalog(&principal), "", "{principal:?}");
    }
}

#[test]
fn a_name_that_begins_like_the_users_is_not_the_users() {
    let mut facts = facts(Some(Visibility::Private), None, None);
    facts.namespace =
        NamespaceFacts { name: "team".parse().unwrap(), kind: Some(NamespaceKind::User), role: None };
    assert_eq!(permissions(&user("tea", Role::User), &facts), set(""));
    assert_eq!(permissions(&user("teams", Role::User), &facts), set(""));
}

/// `ann/app`, which is not there any more, and `team/app`, which was called so.
fn moved(visibility: Visibility, role: Option<MemberRole>, level: Option<Level>) -> RepositoryFacts {
    let kind = Some(NamespaceKind::User);
    RepositoryFacts {
        name: "ann/app".parse().unwrap(),
        visibility: None,
        namespace: NamespaceFacts { name: "ann".parse().unwrap(), kind, role: None },
        level: None,
        moved: Some(Box::new(facts(Some(visibility), role, level))),
    }
}

#[test]
fn by_an_old_name_one_may_what_one_may_by_the_new_one_and_is_given_both() {
    const PUBLIC: Visibility = Visibility::Public;
    const PRIVATE: Visibility = Visibility::Private;
    let (bob, root) = (user("bob", Role::User), user("root", Role::Administrator));
    let (owner, member) = (Some(MemberRole::Owner), Some(MemberRole::Member));
    let (read, write) = (Some(Level::Read), Some(Level::Write));
    let asked = [Scope::parse("repository:ann/app:pull,push").unwrap()];
    let scopes = |actions: &str, follows: bool| {
        let given = (!actions.is_empty()).then(|| format!("repository:ann/app:{actions}"));
        given.into_iter().chain(follows.then(|| "repository:team/app:pull".to_owned())).collect::<Vec<_>>()
    };

    for (principal, facts, expected) in [
        (Principal::Anonymous, moved(PUBLIC, None, None), scopes("pull", true)),
        (Principal::Anonymous, moved(PRIVATE, None, None), scopes("", false)),
        (bob.clone(), moved(PRIVATE, None, None), scopes("", false)),
        (bob.clone(), moved(PRIVATE, member, None), scopes("", false)),
        (bob.clone(), moved(PRIVATE, member, read), scopes("pull", true)),
        (bob.clone(), moved(PRIVATE, None, write), scopes("pull,push", true)),
        (bob.clone(), moved(PRIVATE, owner, None), scopes("pull,push", true)),
        (root, moved(PRIVATE, None, None), scopes("pull,push", true)),
        // Whoever has the old namespace may ask for the name, and is not led anywhere.
        (user("ann", Role::User), moved(PRIVATE, None, None), scopes("pull,push", false)),
        (user("ann", Role::User), moved(PUBLIC, None, None), scopes("pull,push", true)),
        (robot("ann+ci"), moved(PRIVATE, None, None), scopes("pull,push", false)),
        (robot("team+ci"), moved(PRIVATE, None, None), scopes("pull,push", true)),
        // What a credential is limited to is what things are called now.
        (limited(&bob, &limits(&["ann/*"], "lp")), moved(PRIVATE, owner, None), scopes("", false)),
        (limited(&bob, &limits(&["team/*"], "l")), moved(PRIVATE, owner, None), scopes("pull", true)),
    ] {
        let known = Known { repositories: std::slice::from_ref(&facts), namespaces: &[] };
        let given = granted(&principal, &asked, known);
        assert_eq!(
            given.iter().map(Scope::to_string).collect::<Vec<_>>(),
            expected,
            "{principal:?}: {facts:?}"
        );
        let reading = Deed::ReadRepository("ann/app".parse().unwrap());
        let told = authorized(&principal, &reading, known, Founders::Users);
        assert_eq!(told.is_ok(), !expected.is_empty(), "{principal:?}: {facts:?}");
        // Who may not is told nothing else than where there was never anything.
        let nothing = RepositoryFacts { moved: None, ..facts.clone() };
        let known = Known { repositories: std::slice::from_ref(&nothing), namespaces: &[] };
        if expected.is_empty() {
            assert_eq!(told, authorized(&principal, &reading, known, Founders::Users));
        }
    }
}

fn any_limits() -> impl Strategy<Value = Limits> {
    let pattern = prop_oneof![Just("team/app"), Just("team/*"), Just("team/a*"), Just("other/*")];
    let patterns = proptest::collection::vec(pattern, 0..3);
    (patterns, "l?p?d?m?").prop_map(|(patterns, letters)| limits(&patterns, &letters))
}

fn any_principal() -> impl Strategy<Value = Principal> {
    let role = any::<bool>().prop_map(|it| if it { Role::Administrator } else { Role::User });
    let user = (prop_oneof![Just("ann"), Just("team")], role).prop_map(|(name, role)| user(name, role));
    let robot = prop_oneof![Just("team+ci"), Just("other+ci")].prop_map(robot);
    prop_oneof![Just(Principal::Anonymous), user, robot]
}

fn any_facts() -> impl Strategy<Value = RepositoryFacts> {
    let visibility = prop_oneof![Just(None), Just(Some(Visibility::Private)), Just(Some(Visibility::Public))];
    let kind =
        prop_oneof![Just(None), Just(Some(NamespaceKind::User)), Just(Some(NamespaceKind::Organization))];
    let role = prop_oneof![Just(None), Just(Some(MemberRole::Member)), Just(Some(MemberRole::Owner))];
    let level =
        prop_oneof![Just(None), Just(Some(Level::Read)), Just(Some(Level::Write)), Just(Some(Level::Admin))];
    (visibility, kind, role, level).prop_map(|(visibility, kind, role, level)| {
        let mut facts = facts(visibility, role, level);
        facts.namespace.kind = kind;
        facts
    })
}

/// The same with one thing less that could give a right.
fn less(facts: &RepositoryFacts) -> Vec<RepositoryFacts> {
    let with = |change: &dyn Fn(&mut RepositoryFacts)| {
        let mut less = facts.clone();
        change(&mut less);
        less
    };
    vec![
        with(&|facts| facts.level = None),
        with(&|facts| facts.level = facts.level.map(|_| Level::Read)),
        with(&|facts| facts.namespace.role = None),
        with(&|facts| facts.namespace.role = facts.namespace.role.map(|_| MemberRole::Member)),
        with(&|facts| facts.namespace.kind = None),
        with(&|facts| facts.visibility = None),
        with(&|facts| facts.visibility = facts.visibility.map(|_| Visibility::Private)),
    ]
}

#[test]
fn a_credential_is_good_for_the_private_repositories_that_it_lets_pull() {
    let within = |patterns: &[&str]| Reads::Within(limits(patterns, "").repositories);
    for principal in [user("ann", Role::User), user("ann", Role::Administrator), robot("team+ci")] {
        assert_eq!(principal.reads(), Reads::All);
        for (patterns, letters, expected) in [
            (&[][..], "lpdm", Reads::All),
            (&["team/*"][..], "lp", within(&["team/*"])),
            (&["team/*"][..], "pdm", Reads::Public),
            (&[][..], "m", Reads::Public),
        ] {
            let limited = limited(&principal, &limits(patterns, letters));
            assert_eq!(limited.reads(), expected, "{patterns:?} {letters}");
        }
    }
    assert_eq!(Principal::Anonymous.reads(), Reads::Public);
}

proptest! {
    #[test]
    fn less_that_is_known_never_gives_more(
        principal in any_principal(), limits in any_limits(), facts in any_facts(),
    ) {
        for principal in [limited(&principal, &limits), principal] {
            let before = permissions(&principal, &facts);
            for less in less(&facts) {
                let after = permissions(&principal, &less);
                assert!(after.is_subset(&before), "{principal:?}: {facts:?} gives {before:?}, {less:?} {after:?}");
            }
        }
    }

    #[test]
    fn limits_only_ever_take_away(
        principal in any_principal(), limits in any_limits(), facts in any_facts(),
    ) {
        let all = permissions(&principal, &facts);
        let some = permissions(&limited(&principal, &limits), &facts);
        assert!(some.is_subset(&all), "{principal:?} has {all:?}, and with {limits:?} {some:?}");
        for permission in &some {
            let open = facts.visibility == Some(Visibility::Public) && *permission == Permission::Pull;
            let within = permission.action().is_none_or(|action| limits.allow(&facts.name, action));
            assert!(open || within || principal == Principal::Anonymous, "{permission:?} is not within {limits:?}");
        }
    }

    #[test]
    fn what_is_granted_was_asked(principal in any_principal(), facts in any_facts(), asked in "(pull|push|delete|\\*)(,(pull|push|delete|\\*)){0,2}") {
        let scope = Scope::parse(&format!("repository:team/app:{asked}")).unwrap();
        let known = Known { repositories: &[facts], namespaces: &[] };
        for granted in granted(&principal, std::slice::from_ref(&scope), known) {
            assert!(granted.actions.iter().all(|action| scope.allows(*action)));
        }
    }
}
