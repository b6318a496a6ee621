//! What is written is read back: values, hashes, ordered sets, and what is refused.

use bytes::Bytes;

use super::{apply, bytes, field, key, members, record};
use crate::keyspace::{
    Commit, CommitError, Direction, Error, Field, Follow, Followed, Key, Keyspace, MemberRange,
    Mutation::{AddMember, Increment, RemoveRecord, RemoveValue, SetField, SetValue},
    NAME_LIMIT, RANGE_LIMIT, READ_LIMIT, Record, VALUE_LIMIT,
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

pub(super) async fn pages_of_fields_join_without_gap_or_overlap(engine: &dyn Keyspace) {
    let (key, neighbour) = (key("pages of fields"), key("pages of fields:"));
    let name = |number: u8| Bytes::from(vec![b'a', number]);
    let set = |number: u8| SetField(key.clone(), Field::new(name(number)), Bytes::from(vec![number]));
    apply(engine, (0..25).rev().map(|number| set(number * 10))).await;
    apply(engine, [SetField(neighbour, field("b"), bytes("another's"))]).await;

    let (mut found, mut pages) = (Vec::new(), 0);
    loop {
        let last = found.last().map(|(field, _): &(Bytes, Bytes)| field.clone());
        let page = engine.fields(&key, last.as_ref(), 10).await.unwrap();
        if page.is_empty() {
            break;
        }
        pages += 1;
        found.extend(page);
    }

    let expected: Vec<_> =
        (0..25).map(|number| (name(number * 10), Bytes::from(vec![number * 10]))).collect();
    assert_eq!((found, pages), (expected, 3));
}

pub(super) async fn what_is_too_long_to_be_read_whole_is_read_in_pages(engine: &dyn Keyspace) {
    let (long, other) = (key("too long"), key("too long:other"));
    let all: Vec<(Bytes, Bytes)> =
        (0..=READ_LIMIT).map(|number| (format!("{number:05}").into(), number.to_string().into())).collect();
    let set =
        |(name, value): &(Bytes, Bytes)| SetField(long.clone(), Field::new(name.clone()), value.clone());
    apply(engine, all.iter().map(set)).await;
    apply(engine, [SetField(other.clone(), field("a"), bytes("1"))]).await;

    for keys in [vec![long.clone()], vec![other, long.clone()]] {
        let whole = engine.records(&keys).await;
        assert!(matches!(whole, Err(Error::Limit { .. })), "{keys:?}");
    }
    let mut found: Vec<(Bytes, Bytes)> = Vec::new();
    loop {
        let last = found.last().map(|(name, _)| name.clone());
        let page = engine.fields(&long, last.as_ref(), RANGE_LIMIT).await.unwrap();
        let ended = page.len() < RANGE_LIMIT;
        found.extend(page);
        if ended {
            break;
        }
    }
    assert!(found == all, "{} of {} fields", found.len(), all.len());
    assert_eq!(engine.fields(&long, None, 0).await, Ok(Vec::new()));
}

pub(super) async fn a_moment_stays_as_it_was(engine: &dyn Keyspace) {
    let (value, hash, set) = (key("moment:value"), key("moment:hash"), key("moment:set"));
    let changes = |text: &'static str| {
        let changed = SetField(hash.clone(), field("a"), bytes(text));
        [SetValue(value.clone(), bytes(text)), changed, AddMember(set.clone(), bytes(text))]
    };
    apply(engine, changes("before")).await;
    let Some(moment) = engine.snapshot().unwrap() else { return };
    apply(engine, changes("since")).await;

    assert_eq!(moment.get(&value).await, Ok(Some(bytes("before"))));
    assert_eq!(moment.record(&hash).await, Ok(Some(record(&[("a", "before")]))));
    assert_eq!(moment.fields(&hash, None, 10).await, Ok(vec![(bytes("a"), bytes("before"))]));
    assert_eq!(members(moment.as_ref(), &set, MemberRange::all()).await, [bytes("before")]);
    assert_eq!(engine.get(&value).await, Ok(Some(bytes("since"))));
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

pub(super) async fn bounds_may_look_like_those_of_engines(engine: &dyn Keyspace) {
    let set = key("bounds:like");
    let names = ["(", "((", "+", "-", "[", "[a", "inf"];
    apply(engine, names.map(|name| AddMember(set.clone(), bytes(name)))).await;

    for (at, name) in names.into_iter().enumerate() {
        let cases = [
            (MemberRange::starting_at(name), &names[at..]),
            (MemberRange::after(name), &names[at + 1..]),
            (MemberRange::all().before(name), &names[..at]),
            (MemberRange::all().through(name), &names[..=at]),
        ];
        for (range, expected) in cases {
            assert_eq!(members(engine, &set, range.clone()).await, *expected, "{range:?}");
            let mut backward = engine.range(&set, range, RANGE_LIMIT, Direction::Backward).await.unwrap();
            backward.reverse();
            assert_eq!(backward, *expected, "backward from or to {name}");
        }
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
