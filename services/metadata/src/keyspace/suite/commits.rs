//! Commits apply whole, in order, only if their conditions hold, and none is lost.

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinSet;

use super::{apply, bytes, field, key, members, record};
use crate::keyspace::{
    Commit, CommitError,
    Condition::{FieldAbsent, FieldEquals, FieldPresent, Members, RecordAbsent, ValueAbsent},
    Error, Field, Follow, Keyspace, MemberRange,
    Mutation::{
        AddMember, Increment, RemoveField, RemoveMember, RemoveRecord, RemoveSet, RemoveValue, SetField,
        SetValue,
    },
    Record,
};

pub(super) async fn an_emptied_hash_or_set_does_not_exist(engine: &dyn Keyspace) {
    let (hash, set) = (key("emptied:hash"), key("emptied:set"));
    apply(engine, [SetField(hash.clone(), field("f"), bytes("v")), AddMember(set.clone(), bytes("m"))]).await;

    apply(engine, [RemoveField(hash.clone(), field("f")), RemoveMember(set.clone(), bytes("m"))]).await;

    assert_eq!(engine.record(&hash).await, Ok(None));
    assert!(members(engine, &set, MemberRange::all()).await.is_empty());
    let gone = Members { key: set, members: MemberRange::all(), count: 0 };
    assert_eq!(engine.commit(Commit::synced().when(RecordAbsent(hash)).when(gone)).await, Ok(()));
}

pub(super) async fn a_condition_on_a_value_is_its_absence(engine: &dyn Keyspace) {
    let claim = key("claim");
    let commit =
        Commit::synced().when(ValueAbsent(claim.clone())).then(SetValue(claim.clone(), bytes("first")));

    assert_eq!(engine.commit(commit.clone()).await, Ok(()));
    assert_eq!(engine.commit(commit).await, Err(CommitError::Conflict { condition: 0 }));
}

pub(super) async fn conditions_on_hashes_hold_or_conflict(engine: &dyn Keyspace) {
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

pub(super) async fn a_count_of_members_is_exact_and_within_bounds(engine: &dyn Keyspace) {
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
            assert_eq!(
                engine.commit(Commit::synced().when(condition)).await,
                expected,
                "{count} of {range:?}"
            );
        }
    }
}

pub(super) async fn a_conflict_names_the_first_condition_and_changes_nothing(engine: &dyn Keyspace) {
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

pub(super) async fn increments_count_from_zero_and_both_ways(engine: &dyn Keyspace) {
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

pub(super) async fn an_increment_that_cannot_be_changes_nothing(engine: &dyn Keyspace) {
    let (hash, value) = (key("no-number"), key("no-number:value"));
    let before = record(&[("most", "9223372036854775807"), ("word", "seven")]);
    apply(
        engine,
        before.iter().map(|(name, value)| SetField(hash.clone(), Field::new(name.clone()), value.clone())),
    )
    .await;

    for name in ["word", "most"] {
        let mutations = [SetValue(value.clone(), bytes("v")), Increment(hash.clone(), field(name), 1)];
        let outcome = engine.commit(Commit::synced().then_all(mutations)).await;
        assert!(matches!(outcome, Err(CommitError::Engine(Error::Damaged { .. }))), "{name}: {outcome:?}");
    }

    assert_eq!(engine.record(&hash).await, Ok(Some(before)));
    assert_eq!(engine.get(&value).await, Ok(None));
}

pub(super) async fn mutations_apply_in_the_order_written(engine: &dyn Keyspace) {
    let (value, hash, set) = (key("order:value"), key("order:hash"), key("order:set"));
    apply(engine, [SetField(hash.clone(), field("old"), bytes("1")), AddMember(set.clone(), bytes("old"))])
        .await;

    apply(
        engine,
        [
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
        ],
    )
    .await;

    assert_eq!(engine.get(&value).await, Ok(Some(bytes("last"))));
    assert_eq!(engine.record(&hash).await, Ok(Some(record(&[("new", "3")]))));
    assert_eq!(members(engine, &set, MemberRange::all()).await, ["new"]);
}

pub(super) async fn removing_a_hash_or_set_leaves_its_neighbours(engine: &dyn Keyspace) {
    let hashes = ["n", "n\0", "na", "n:b", "o"].map(|name| key(format!("hash:{name}")));
    let sets = ["n", "n\0", "na", "n:b", "o"].map(|name| key(format!("set:{name}")));
    for (hash, set) in hashes.iter().zip(&sets) {
        let fields =
            (0..300).map(|number| SetField(hash.clone(), Field::new(format!("{number}")), bytes("v")));
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

pub(super) async fn what_is_not_there_can_be_removed(engine: &dyn Keyspace) {
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

pub(super) async fn thousands_of_changes_are_one_commit(engine: &dyn Keyspace) {
    const MANY: usize = 5_000;
    let (hash, set) = (key("thousands:hash"), key("thousands:set"));
    let name = |number: usize| Field::new(format!("{number:05}"));

    let absent = (0..MANY).map(|number| FieldAbsent(hash.clone(), name(number)));
    let fields = (0..MANY).map(|number| SetField(hash.clone(), name(number), bytes("v")));
    let members = (0..MANY).map(|number| AddMember(set.clone(), format!("{number:05}").into()));
    let commit = Commit::synced().when_all(absent).then_all(fields).then_all(members);
    assert_eq!(engine.commit(commit.clone()).await, Ok(()));

    assert_eq!(engine.record(&hash).await.unwrap().map(|record| record.len()), Some(MANY));
    assert_eq!(engine.commit(commit).await, Err(CommitError::Conflict { condition: 0 }));
    let last = Commit::synced().when_all((0..MANY).map(|number| FieldPresent(hash.clone(), name(number))));
    let last = last.when(FieldAbsent(hash.clone(), name(MANY - 1)));
    assert_eq!(engine.commit(last).await, Err(CommitError::Conflict { condition: MANY }));
    apply(engine, [RemoveRecord(hash), RemoveSet(set)]).await;
}

pub(super) async fn sums_have_64_bits(engine: &dyn Keyspace) {
    let hash = key("64-bits");
    let numbers = [
        (i64::MAX - 1, 1),
        (i64::MIN + 1, -1),
        (i64::MIN, i64::MAX),
        (999_999_999, 1),
        (-1_000_000_000, 1),
        (9_007_199_254_740_993, 2),
        (4_000_000_000, -4_000_000_000),
    ];
    for (before, by) in numbers {
        let set = SetField(hash.clone(), field("n"), before.to_string().into());
        apply(engine, [set]).await;
        apply(engine, [Increment(hash.clone(), field("n"), by)]).await;
        let read = engine.record(&hash).await.unwrap().unwrap();
        assert_eq!(read.text("n"), Some((before + by).to_string().as_str()), "{before} and {by}");
    }
}

pub(super) async fn contenders_lose_no_update(keyspace: &Arc<dyn Keyspace>) {
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

pub(super) async fn followers_never_see_half_a_commit(keyspace: &Arc<dyn Keyspace>) {
    let (tags, prefix) = (key("moving:tag"), key("moving:manifest:"));
    let (writer, follow) = (
        Arc::clone(keyspace),
        Follow {
            guard: (tags.clone(), field("guard")),
            pointer: (tags.clone(), field("latest")),
            prefix: prefix.clone(),
        },
    );
    let writing = tokio::spawn(async move {
        for round in 0..200 {
            let value = Bytes::from(round.to_string());
            let before = Bytes::from((round - 1).to_string());
            apply(
                writer.as_ref(),
                [
                    SetField(tags.clone(), field("guard"), value.clone()),
                    RemoveRecord(prefix.followed_by(&before)),
                    SetField(prefix.followed_by(&value), field("Digest"), value.clone()),
                    SetField(tags.clone(), field("latest"), value),
                ],
            )
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
