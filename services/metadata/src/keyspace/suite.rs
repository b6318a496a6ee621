//! What every keyspace does, as tests. Each case has keys of its own, so that all can run on one
//! engine, in any order; the engine is expected to hold none of them before.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "this module is a test")]

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinSet;

use super::{
    Commit, CommitError,
    Condition::{FieldAbsent, FieldEquals, FieldPresent, Members, RecordAbsent, ValueAbsent},
    Direction, Error, Field, Follow, Followed, Key, Keyspace, MemberRange,
    Mutation::{
        self, AddMember, Increment, RemoveField, RemoveMember, RemoveRecord, RemoveSet, RemoveValue, SetField,
        SetValue,
    },
    NAME_LIMIT, RANGE_LIMIT, Record, VALUE_LIMIT,
};

/// A key, for tests that do not go through `keys.rs`.
pub fn key(key: impl Into<Bytes>) -> Key {
    Key::new(key)
}

/// A field.
pub fn field(name: &'static str) -> Field {
    Field::from_static(name)
}

/// All cases.
///
/// # Panics
/// If the keyspace does not do what a keyspace does.
pub async fn run(keyspace: Arc<dyn Keyspace>) {
    let engine = keyspace.as_ref();
    a_value_is_what_was_set_last(engine).await;
    fields_come_in_the_order_asked(engine).await;
    records_come_whole_and_in_the_order_asked(engine).await;
    an_emptied_hash_or_set_does_not_exist(engine).await;
    members_come_in_order_within_bounds(engine).await;
    pages_of_members_join_without_gap_or_overlap(engine).await;
    any_byte_may_stand_in_keys_fields_and_members(engine).await;
    a_condition_on_a_value_is_its_absence(engine).await;
    conditions_on_hashes_hold_or_conflict(engine).await;
    a_count_of_members_is_exact_and_within_bounds(engine).await;
    a_conflict_names_the_first_condition_and_changes_nothing(engine).await;
    increments_count_from_zero_and_both_ways(engine).await;
    an_increment_that_cannot_be_changes_nothing(engine).await;
    mutations_apply_in_the_order_written(engine).await;
    removing_a_hash_or_set_leaves_its_neighbours(engine).await;
    what_is_not_there_can_be_removed(engine).await;
    a_body_of_four_mebibytes_comes_back(engine).await;
    following_reads_guard_pointer_and_record(engine).await;
    what_no_engine_takes_is_refused(engine).await;
    contenders_lose_no_update(&keyspace).await;
    followers_never_see_half_a_commit(&keyspace).await;
}

async fn apply(engine: &dyn Keyspace, mutations: impl IntoIterator<Item = Mutation>) {
    engine.commit(Commit::synced().then_all(mutations)).await.expect("no condition, no conflict");
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn record(fields: &[(&'static str, &'static str)]) -> Record {
    fields.iter().map(|(name, value)| (bytes(name), bytes(value))).collect()
}

async fn members(engine: &dyn Keyspace, key: &Key, members: MemberRange) -> Vec<Bytes> {
    engine.range(key, members, RANGE_LIMIT, Direction::Forward).await.unwrap()
}

async fn a_value_is_what_was_set_last(engine: &dyn Keyspace) {
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

async fn fields_come_in_the_order_asked(engine: &dyn Keyspace) {
    let (one, two) = (key("fields:1"), key("fields:2"));
    apply(engine, [SetField(one.clone(), field("a"), bytes("1a")), SetField(two.clone(), field("a"), bytes("2a"))])
        .await;

    let asked = [(two.clone(), field("a")), (one.clone(), field("b")), (one.clone(), field("a")), (two, field("a"))];
    let read = engine.get_many(&asked).await.unwrap();

    assert_eq!(read, [Some(bytes("2a")), None, Some(bytes("1a")), Some(bytes("2a"))]);
    assert_eq!(engine.get_many(&[]).await, Ok(Vec::new()));
}

async fn records_come_whole_and_in_the_order_asked(engine: &dyn Keyspace) {
    let (one, two, none) = (key("records:1"), key("records:2"), key("records:"));
    apply(engine, [
        SetField(one.clone(), field("b"), bytes("7")),
        SetField(one.clone(), field("a"), bytes("x")),
        SetField(two.clone(), field("a"), Bytes::new()),
    ])
    .await;

    let read = engine.records(&[two, none.clone(), one.clone()]).await.unwrap();

    assert_eq!(read, [Some(record(&[("a", "")])), None, Some(record(&[("a", "x"), ("b", "7")]))]);
    assert_eq!(engine.record(&none).await, Ok(None));
    let read = engine.record(&one).await.unwrap().expect("it was read above");
    assert_eq!((read.text("a"), read.number(field("b")), read.number("a")), (Some("x"), Some(7), None));
}

async fn an_emptied_hash_or_set_does_not_exist(engine: &dyn Keyspace) {
    let (hash, set) = (key("emptied:hash"), key("emptied:set"));
    apply(engine, [SetField(hash.clone(), field("f"), bytes("v")), AddMember(set.clone(), bytes("m"))]).await;

    apply(engine, [RemoveField(hash.clone(), field("f")), RemoveMember(set.clone(), bytes("m"))]).await;

    assert_eq!(engine.record(&hash).await, Ok(None));
    assert!(members(engine, &set, MemberRange::all()).await.is_empty());
    let gone = Members { key: set, members: MemberRange::all(), count: 0 };
    assert_eq!(engine.commit(Commit::synced().when(RecordAbsent(hash)).when(gone)).await, Ok(()));
}

async fn members_come_in_order_within_bounds(engine: &dyn Keyspace) {
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

async fn pages_of_members_join_without_gap_or_overlap(engine: &dyn Keyspace) {
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

async fn any_byte_may_stand_in_keys_fields_and_members(engine: &dyn Keyspace) {
    let names: Vec<Bytes> =
        [&b"\0"[..], b"\0\0", b"\0\xff", b"\n", b"\xc3\x28", b"\xff", b"\xff\0", b"\xff\xff", &[0xff; NAME_LIMIT]]
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

async fn a_condition_on_a_value_is_its_absence(engine: &dyn Keyspace) {
    let claim = key("claim");
    let commit = Commit::synced().when(ValueAbsent(claim.clone())).then(SetValue(claim.clone(), bytes("first")));

    assert_eq!(engine.commit(commit.clone()).await, Ok(()));
    assert_eq!(engine.commit(commit).await, Err(CommitError::Conflict { condition: 0 }));
}

async fn conditions_on_hashes_hold_or_conflict(engine: &dyn Keyspace) {
    let (there, absent) = (key("conditions:there"), key("conditions:absent"));
    apply(engine, [SetField(there.clone(), field("f"), bytes("v"))]).await;

    let hold = [
        FieldEquals(there.clone(), field("f"), bytes("v")),
        FieldPresent(there.clone(), field("f")),
        FieldAbsent(there.clone(), field("g")),
        FieldAbsent(absent.clone(), field("f")),
        RecordAbsent(absent.clone()),
    ];
    let fail = [
        FieldEquals(there.clone(), field("f"), bytes("V")),
        FieldEquals(there.clone(), field("g"), Bytes::new()),
        FieldEquals(absent.clone(), field("f"), bytes("v")),
        FieldPresent(there.clone(), field("g")),
        FieldAbsent(there.clone(), field("f")),
        RecordAbsent(there),
    ];
    for condition in hold {
        let commit = Commit::synced().when(condition.clone());
        assert_eq!(engine.commit(commit).await, Ok(()), "{condition:?}");
    }
    for condition in fail {
        let commit = Commit::synced().when(condition.clone());
        assert_eq!(engine.commit(commit).await, Err(CommitError::Conflict { condition: 0 }), "{condition:?}");
    }
}

async fn a_count_of_members_is_exact_and_within_bounds(engine: &dyn Keyspace) {
    let set = key("count");
    apply(engine, ["a1", "a2", "b1"].map(|member| AddMember(set.clone(), bytes(member)))).await;

    let counts = [
        (MemberRange::all(), 3),
        (MemberRange::beginning_with("a"), 2),
        (MemberRange::starting_at("a2").before("b1"), 1),
        (MemberRange::beginning_with("c"), 0),
    ];
    for (range, actual) in counts {
        for count in 0..5 {
            let condition = Members { key: set.clone(), members: range.clone(), count };
            let expected = if count == actual { Ok(()) } else { Err(CommitError::Conflict { condition: 0 }) };
            assert_eq!(engine.commit(Commit::synced().when(condition)).await, expected, "{count} of {range:?}");
        }
    }
}

async fn a_conflict_names_the_first_condition_and_changes_nothing(engine: &dyn Keyspace) {
    let (hash, set, value) = (key("conflict:hash"), key("conflict:set"), key("conflict:value"));
    apply(engine, [SetField(hash.clone(), field("n"), bytes("1")), AddMember(set.clone(), bytes("m"))]).await;

    let commit = Commit::synced()
        .when(FieldPresent(hash.clone(), field("n")))
        .when(FieldEquals(hash.clone(), field("n"), bytes("2")))
        .when(RecordAbsent(hash.clone()))
        .then(Increment(hash.clone(), field("n"), 1))
        .then(RemoveSet(set.clone()))
        .then(SetValue(value.clone(), bytes("v")));
    assert_eq!(engine.commit(commit).await, Err(CommitError::Conflict { condition: 1 }));

    assert_eq!(engine.record(&hash).await, Ok(Some(record(&[("n", "1")]))));
    assert_eq!(members(engine, &set, MemberRange::all()).await, ["m"]);
    assert_eq!(engine.get(&value).await, Ok(None));
}

async fn increments_count_from_zero_and_both_ways(engine: &dyn Keyspace) {
    let hash = key("increments");
    let increment = |name, by| Increment(hash.clone(), field(name), by);
    apply(engine, [increment("up", 2), increment("up", 40), increment("down", -7)]).await;
    apply(engine, [increment("up", -2), increment("zero", 0)]).await;
    apply(engine, [SetField(hash.clone(), field("set"), bytes("5")), increment("set", 1)]).await;
    apply(engine, [RemoveField(hash.clone(), field("down")), increment("down", 3)]).await;
    let expected = record(&[("down", "3"), ("set", "6"), ("up", "40"), ("zero", "0")]);
    assert_eq!(engine.record(&hash).await, Ok(Some(expected)));

    apply(engine, [increment("up", 1), RemoveRecord(hash.clone()), increment("up", 1)]).await;
    assert_eq!(engine.record(&hash).await, Ok(Some(record(&[("up", "1")]))));
}

async fn an_increment_that_cannot_be_changes_nothing(engine: &dyn Keyspace) {
    let (hash, value) = (key("no-number"), key("no-number:value"));
    let before = record(&[("most", "9223372036854775807"), ("word", "seven")]);
    apply(engine, before.iter().map(|(name, value)| SetField(hash.clone(), Field::new(name.clone()), value.clone())))
        .await;

    for name in ["word", "most"] {
        let mutations = [SetValue(value.clone(), bytes("v")), Increment(hash.clone(), field(name), 1)];
        let outcome = engine.commit(Commit::synced().then_all(mutations)).await;
        assert!(matches!(outcome, Err(CommitError::Engine(Error::Damaged { .. }))), "{name}: {outcome:?}");
    }

    assert_eq!(engine.record(&hash).await, Ok(Some(before)));
    assert_eq!(engine.get(&value).await, Ok(None));
}

async fn mutations_apply_in_the_order_written(engine: &dyn Keyspace) {
    let (value, hash, set) = (key("order:value"), key("order:hash"), key("order:set"));
    apply(engine, [SetField(hash.clone(), field("old"), bytes("1")), AddMember(set.clone(), bytes("old"))]).await;

    apply(engine, [
        SetValue(value.clone(), bytes("first")),
        RemoveValue(value.clone()),
        SetValue(value.clone(), bytes("last")),
        SetField(hash.clone(), field("lost"), bytes("2")),
        RemoveRecord(hash.clone()),
        SetField(hash.clone(), field("new"), bytes("3")),
        AddMember(set.clone(), bytes("lost")),
        RemoveSet(set.clone()),
        AddMember(set.clone(), bytes("new")),
        AddMember(set.clone(), bytes("gone")),
        RemoveMember(set.clone(), bytes("gone")),
    ])
    .await;

    assert_eq!(engine.get(&value).await, Ok(Some(bytes("last"))));
    assert_eq!(engine.record(&hash).await, Ok(Some(record(&[("new", "3")]))));
    assert_eq!(members(engine, &set, MemberRange::all()).await, ["new"]);
}

async fn removing_a_hash_or_set_leaves_its_neighbours(engine: &dyn Keyspace) {
    let hashes = ["n", "n\0", "na", "n:b", "o"].map(|name| key(format!("hash:{name}")));
    let sets = ["n", "n\0", "na", "n:b", "o"].map(|name| key(format!("set:{name}")));
    for (hash, set) in hashes.iter().zip(&sets) {
        let fields = (0..300).map(|number| SetField(hash.clone(), Field::new(format!("{number}")), bytes("v")));
        let members = (0..300).map(|number| AddMember(set.clone(), format!("{number}").into()));
        apply(engine, fields.chain(members)).await;
    }

    apply(engine, [RemoveRecord(hashes[0].clone()), RemoveSet(sets[0].clone())]).await;

    let left = engine.records(&hashes).await.unwrap();
    let left: Vec<usize> = left.iter().map(|record| record.as_ref().map_or(0, Record::len)).collect();
    assert_eq!(left, [0, 300, 300, 300, 300]);
    for (set, count) in sets.iter().zip(left) {
        assert_eq!(members(engine, set, MemberRange::all()).await.len(), count, "{set:?}");
    }
}

async fn what_is_not_there_can_be_removed(engine: &dyn Keyspace) {
    let key = key("nothing");
    for mutation in [
        RemoveValue(key.clone()),
        RemoveField(key.clone(), field("f")),
        RemoveRecord(key.clone()),
        RemoveMember(key.clone(), bytes("m")),
        RemoveSet(key.clone()),
    ] {
        assert_eq!(engine.commit(Commit::synced().then(mutation.clone())).await, Ok(()), "{mutation:?}");
    }
}

async fn a_body_of_four_mebibytes_comes_back(engine: &dyn Keyspace) {
    let (hash, value) = (key("large:hash"), key("large:value"));
    let body = Bytes::from((0..4 * 1_024 * 1_024_u32).map(|n| (n % 251) as u8).collect::<Vec<_>>());

    apply(engine, [SetField(hash.clone(), field("Body"), body.clone()), SetValue(value.clone(), body.clone())]).await;

    assert!(engine.get(&value).await.unwrap().as_ref() == Some(&body));
    assert!(engine.record(&hash).await.unwrap().unwrap().get("Body") == Some(&body));
}

async fn following_reads_guard_pointer_and_record(engine: &dyn Keyspace) {
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

    apply(engine, [
        SetField(manifest, field("Body"), bytes("{}")),
        SetField(repository.clone(), field("Name"), bytes("a/b")),
    ])
    .await;
    let found = Followed { guard: Some(bytes("a/b")), record: Some(record(&[("Body", "{}")])), ..dangling };
    assert_eq!(engine.follow(&follow("v1")).await, Ok(found));
    assert_eq!(engine.follow(&follow("v2")).await, Ok(Followed { guard: Some(bytes("a/b")), ..nothing }));
}

async fn what_no_engine_takes_is_refused(engine: &dyn Keyspace) {
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

async fn contenders_lose_no_update(keyspace: &Arc<dyn Keyspace>) {
    const TASKS: usize = 32;
    const ROUNDS: usize = 8;
    let hash = key("contention");
    apply(keyspace.as_ref(), [SetField(hash.clone(), field("n"), bytes("0"))]).await;

    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let (keyspace, hash) = (Arc::clone(keyspace), hash.clone());
        tasks.spawn(async move {
            let mut done = 0;
            while done < ROUNDS {
                let read = keyspace.get_many(&[(hash.clone(), field("n"))]).await.unwrap().remove(0).unwrap();
                let number: usize = std::str::from_utf8(&read).unwrap().parse().unwrap();
                let next = Bytes::from((number + 1).to_string());
                let commit = Commit::synced()
                    .when(FieldEquals(hash.clone(), field("n"), read))
                    .then(SetField(hash.clone(), field("n"), next))
                    .then(Increment(hash.clone(), field("sum"), 1));
                match keyspace.commit(commit).await {
                    Ok(()) => done += 1,
                    Err(error) => assert_eq!(error, CommitError::Conflict { condition: 0 }),
                }
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }

    let read = keyspace.record(&hash).await.unwrap().unwrap();
    assert_eq!((read.number("n"), read.number("sum")), (Some(256), Some(256)));
}

async fn followers_never_see_half_a_commit(keyspace: &Arc<dyn Keyspace>) {
    let (tags, prefix) = (key("moving:tag"), key("moving:manifest:"));
    let (writer, follow) = (Arc::clone(keyspace), Follow {
        guard: (tags.clone(), field("guard")),
        pointer: (tags.clone(), field("latest")),
        prefix: prefix.clone(),
    });
    let writing = tokio::spawn(async move {
        for round in 0..200 {
            let value = Bytes::from(round.to_string());
            let before = Bytes::from((round - 1).to_string());
            apply(writer.as_ref(), [
                SetField(tags.clone(), field("guard"), value.clone()),
                RemoveRecord(prefix.followed_by(&before)),
                SetField(prefix.followed_by(&value), field("Digest"), value.clone()),
                SetField(tags.clone(), field("latest"), value),
            ])
            .await;
        }
    });

    while !writing.is_finished() {
        let seen = keyspace.follow(&follow).await.unwrap();
        assert_eq!(seen.guard, seen.pointer);
        assert_eq!(seen.record.as_ref().and_then(|record| record.get("Digest")), seen.pointer.as_ref());
        tokio::task::yield_now().await;
    }
    writing.await.unwrap();
}
