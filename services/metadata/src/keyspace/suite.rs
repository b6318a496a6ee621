//! What every keyspace does, as tests. Each case has keys of its own, so that all can run on one
//! engine, in any order; the engine is expected to hold none of them before.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "this module is a test")]

use std::sync::Arc;

use bytes::Bytes;

use super::{Commit, Direction, Field, Key, Keyspace, MemberRange, Mutation, RANGE_LIMIT, Record};

mod commits;
mod reads;

/// A key, for tests that do not go through `keys.rs`.
pub fn key(key: impl Into<Bytes>) -> Key {
    Key::new(key)
}

/// A field.
pub fn field(name: &'static str) -> Field {
    Field::from_static(name)
}

/// All cases. What a case reads at once, it has under one name (`name:…`), so that it is of one moment also where an engine
/// spreads keys; commits are over several names, too, and whole everywhere.
///
/// # Panics
/// If the keyspace does not do what a keyspace does.
pub async fn run(keyspace: Arc<dyn Keyspace>) {
    let engine = keyspace.as_ref();
    reads::a_value_is_what_was_set_last(engine).await;
    reads::fields_come_in_the_order_asked(engine).await;
    reads::records_come_whole_and_in_the_order_asked(engine).await;
    reads::pages_of_fields_join_without_gap_or_overlap(engine).await;
    reads::what_is_too_long_to_be_read_whole_is_read_in_pages(engine).await;
    reads::a_moment_stays_as_it_was(engine).await;
    commits::an_emptied_hash_or_set_does_not_exist(engine).await;
    reads::members_come_in_order_within_bounds(engine).await;
    reads::pages_of_members_join_without_gap_or_overlap(engine).await;
    reads::any_byte_may_stand_in_keys_fields_and_members(engine).await;
    commits::a_condition_on_a_value_is_its_absence(engine).await;
    commits::conditions_on_hashes_hold_or_conflict(engine).await;
    commits::a_count_of_members_is_exact_and_within_bounds(engine).await;
    commits::a_conflict_names_the_first_condition_and_changes_nothing(engine).await;
    commits::increments_count_from_zero_and_both_ways(engine).await;
    commits::an_increment_that_cannot_be_changes_nothing(engine).await;
    commits::mutations_apply_in_the_order_written(engine).await;
    commits::removing_a_hash_or_set_leaves_its_neighbours(engine).await;
    commits::what_is_not_there_can_be_removed(engine).await;
    commits::thousands_of_changes_are_one_commit(engine).await;
    commits::sums_have_64_bits(engine).await;
    reads::bounds_may_look_like_those_of_engines(engine).await;
    reads::a_body_of_four_mebibytes_comes_back(engine).await;
    reads::following_reads_guard_pointer_and_record(engine).await;
    reads::what_no_engine_takes_is_refused(engine).await;
    commits::contenders_lose_no_update(&keyspace).await;
    commits::followers_never_see_half_a_commit(&keyspace).await;
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
