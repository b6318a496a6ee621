//! What is written is read back: values, hashes, ordered sets, and what is refused.

use bytes::Bytes;

use super::{apply, bytes, field, key, members, record};
use crate::keyspace::{
    Commit, CommitError, Direction, Error, Field, Follow, Followed, Key, Keyspace, MemberRange,
    Mutation::{AddMember, Increment, RemoveRecord, RemoveValue, SetField, SetValue},
    NAME_LIMIT, RANGE_LIMIT, Record, VALUE_LIMIT,
};

pub(super) async fn a_value_is_what_was_set_last(engine: &dyn Keyspace) {
    let key = key("value");
    assert_eq!(engine.get(&key).await, Ok(None));

    apply(engine, [SetValue(key.clone(), bytes("one"))]).await;
    apply(engine, [SetValue(key.clone(), bytes("two"))]).await;
    assert_eq!(engine.get(&key).await, Ok(Some(bytes("two"))));

    apply(engine, [SetValue(key.clone(), Bytes::new())]).await;
    assert_eq!(engine.get(&key).await, Ok(Some(Bytes::new())), "an empty value is a value");

    engine.commit(Commit::relaxed().then(RemoveValue(key.clone()))).await.unwrap();
    assert_eq!(engine.get(&key).await, Ok(None));
}

pub(super) async fn fields_come_in_the_order_asked(engine: &dyn Keyspace) {
    let (one, two) = (key("fields:1"), key("fields:2"));
    apply(
        engine,
        [SetField(one.clone(), field("a"), bytes("1a")), SetField(two.clone(), field("a"), bytes("2a"))],
    )
    .await;

    let asked =
        [(two.clone(), field("a")), (one.clone(), field("b")), (one.clone(), field("a")), (two, field("a"))];
    let read = engine.get_many(&asked).await.unwrap();

    assert_eq!(read, [Some(bytes("2a")), None, Some(bytes("1a")), Some(bytes("2a"))]);
    assert_eq!(engine.get_many(&[]).await, Ok(Vec::new()));
}

pub(super) async fn records_come_whole_and_in_the_order_asked(engine: &dyn Keyspace) {
    let (one, two, none) = (key("records:1"), key("records:2"), key("records:"));
    apply(
        engine,
        [
            SetField(one.clone(), field("b"), bytes("7")),
            SetField(one.clone(), field("a"), bytes("x")),
            SetField(two.clone(), field("a"), Bytes::new()),
        ],
    )
    .await;

    let read = engine.records(&[two, none.clone(), one.clone()]).await.unwrap();

    assert_eq!(read, [Some(record(&[("a", "")])), None, Some(record(&[("a", "x"), ("b", "7")]))]);
    assert_eq!(engine.record(&none).await, Ok(None));
    let read = engine.record(&one).await.unwrap().expect("it was read above");
    assert_eq!((read.text("a"), read.number(field("b")), read.number("a")), (Some("x"), Some(7), None));
}

pub(super) async fn members_come_in_order_within_bounds(engine: &dyn Keyspace) {
    let set = key("bounds");
    let written = ["b", "a", "ab", "c", "aa", "b"].map(|member| AddMember(set.clone(), bytes(member)));
    apply(engine, written).await;

    let cases: [(MemberRange, &[&str]); 10] = [
        (MemberRange::all(), &["a", "aa", "ab", "b", "c"]),
        (MemberRange::starting_at("aa"), &["aa", "ab", "b", "c"]),
        (MemberRange::after("aa"), &["ab", "b", "c"]),
        (MemberRange::all().before("b"), &["a", "aa", "ab"]),
        (MemberRange::all().through("b"), &["a", "aa", "ab", "b"]),
        (MemberRange::beginning_with("a"), &["a", "aa", "ab"]),
        (MemberRange::beginning_with("a").resumed_after("aa"), &["ab"]),
        (MemberRange::beginning_with(""), &["a", "aa", "ab", "b", "c"]),
        (MemberRange::after("b").before("b"), &[]),
        (MemberRange::starting_at("c").through("a"), &[]),
    ];
    for (range, expected) in cases {
        let mut expected: Vec<Bytes> = expected.iter().map(|member| bytes(member)).collect();
        assert_eq!(members(engine, &set, range.clone()).await, expected, "{range:?}");

        expected.reverse();
        expected.truncate(2);
        let backward = engine.range(&set, range.clone(), 2, Direction::Backward).await;
        assert_eq!(backward, Ok(expected), "{range:?} backward");
    }
    assert_eq!(engine.range(&set, MemberRange::all(), 0, Direction::Forward).await, Ok(Vec::new()));
}

pub(super) async fn pages_of_members_join_without_gap_or_overlap(engine: &dyn Keyspace) {
    let set = key("pages");
    let all: Vec<Bytes> = (0..2_500).map(|number| format!("{number:05}").into()).collect();
    apply(engine, all.iter().rev().map(|member| AddMember(set.clone(), member.clone()))).await;

    let mut read: Vec<Bytes> = Vec::new();
    loop {
        let range = read.last().cloned().map_or(MemberRange::all(), MemberRange::after);
        let page = engine.range(&set, range, RANGE_LIMIT, Direction::Forward).await.unwrap();
        if page.is_empty() {
            break;
        }
        read.extend(page);
    }

    assert_eq!(read, all);
}

pub(super) async fn any_byte_may_stand_in_keys_fields_and_members(engine: &dyn Keyspace) {
    let names: Vec<Bytes> = [
        &b"\0"[..],
        b"\0\0",
        b"\0\xff",
        b"\n",
        b"\xc3\x28",
        b"\xff",
        b"\xff\0",
        b"\xff\xff",
        &[0xff; NAME_LIMIT],
    ]
    .map(Bytes::copy_from_slice)
    .into();
    let mut keys: Vec<Key> = names[..8].iter().map(|name| key([b"any:", &name[..]].concat())).collect();
    keys.push(key(vec![0xff; NAME_LIMIT]));
    for (key, own) in keys.iter().zip(&names) {
        let fields = names.iter().map(|name| SetField(key.clone(), Field::new(name.clone()), own.clone()));
        apply(engine, fields).await;
    }

    let expected: Record = names.iter().map(|name| (name.clone(), names[1].clone())).collect();
    assert_eq!(engine.record(&keys[1]).await, Ok(Some(expected)));

    apply(engine, keys.iter().map(|key| RemoveRecord(key.clone()))).await;
    for key in &keys {
        apply(engine, names.iter().map(|name| AddMember(key.clone(), name.clone()))).await;
    }

    for key in &keys {
        assert_eq!(members(engine, key, MemberRange::all()).await, names, "{key:?}");
        let high = members(engine, key, MemberRange::beginning_with(&b"\xff"[..])).await;
        assert_eq!(high, names[5..], "{key:?}");
    }
}

pub(super) async fn a_body_of_four_mebibytes_comes_back(engine: &dyn Keyspace) {
    let (hash, value) = (key("large:hash"), key("large:value"));
    let body = Bytes::from((0..4 * 1_024 * 1_024_u32).map(|n| (n % 251) as u8).collect::<Vec<_>>());

    apply(
        engine,
        [SetField(hash.clone(), field("Body"), body.clone()), SetValue(value.clone(), body.clone())],
    )
    .await;

    assert!(engine.get(&value).await.unwrap().as_ref() == Some(&body));
    assert!(engine.record(&hash).await.unwrap().unwrap().get("Body") == Some(&body));
}

pub(super) async fn following_reads_guard_pointer_and_record(engine: &dyn Keyspace) {
    let (repository, tags, manifest) = (key("follow:$1"), key("follow:$1:tag"), key("follow:$1:manifest:d1"));
    let follow = |tag| Follow {
        guard: (repository.clone(), field("Name")),
        pointer: (tags.clone(), field(tag)),
        prefix: key("follow:$1:manifest:"),
    };
    let nothing = Followed { guard: None, pointer: None, record: None };
    assert_eq!(engine.follow(&follow("v1")).await, Ok(nothing.clone()));

    apply(engine, [SetField(tags.clone(), field("v1"), bytes("d1"))]).await;
    let dangling = Followed { pointer: Some(bytes("d1")), ..nothing.clone() };
    assert_eq!(engine.follow(&follow("v1")).await, Ok(dangling.clone()));

    apply(
        engine,
        [
            SetField(manifest, field("Body"), bytes("{}")),
            SetField(repository.clone(), field("Name"), bytes("a/b")),
        ],
    )
    .await;
    let found = Followed { guard: Some(bytes("a/b")), record: Some(record(&[("Body", "{}")])), ..dangling };
    assert_eq!(engine.follow(&follow("v1")).await, Ok(found));
    assert_eq!(engine.follow(&follow("v2")).await, Ok(Followed { guard: Some(bytes("a/b")), ..nothing }));
}

pub(super) async fn what_no_engine_takes_is_refused(engine: &dyn Keyspace) {
    let (good, long) = (key("limits"), vec![b'k'; NAME_LIMIT + 1]);
    let huge = Bytes::from(vec![0; VALUE_LIMIT + 1]);
    for refused in [
        SetValue(key(long.clone()), bytes("v")),
        SetValue(key(""), bytes("v")),
        SetValue(good.clone(), huge.clone()),
        SetField(good.clone(), Field::new(long.clone()), bytes("v")),
        SetField(good.clone(), field(""), bytes("v")),
        SetField(good.clone(), field("f"), huge),
        Increment(good.clone(), field(""), 1),
        AddMember(good.clone(), long.clone().into()),
        AddMember(good.clone(), Bytes::new()),
    ] {
        let commit = Commit::synced().then(SetField(good.clone(), field("before"), bytes("v"))).then(refused);
        let outcome = engine.commit(commit).await;
        assert!(matches!(outcome, Err(CommitError::Engine(Error::Limit { .. }))), "{outcome:?}");
    }

    assert_eq!(engine.record(&good).await, Ok(None));
    assert!(matches!(engine.get(&key(long)).await, Err(Error::Limit { .. })));
    let page = engine.range(&good, MemberRange::all(), RANGE_LIMIT + 1, Direction::Forward).await;
    assert!(matches!(page, Err(Error::Limit { .. })));
}
