//! What rules let go: a walk over the tags of a repository, the last pushed first, that counts what each rule keeps,
//! and one over its manifests without a tag.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use oci::{Digest, Tag};
use proto::metadata::{
    More,
    rules::{Retain, RuleSet, Selection as _},
};
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::{
    Service,
    failure::parsed_member,
    keys::{self, RepositoryId},
    keyspace::{Direction, Error, MemberRange, RANGE_LIMIT},
    tags::TagBefore,
};

mod preview;
mod untagged;

pub(crate) use untagged::Verdict;

/// How far the walk over one repository has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Walk {
    /// The member of `$Id:recent` that was looked at last.
    behind: Option<String>,
    /// How many tags each rule was about until there.
    counts: Vec<u32>,
}

impl Service {
    /// Goes on with the walk: the tags that go, and whether there are more to look at.
    pub(crate) async fn tags_to_go(
        &self,
        id: RepositoryId,
        rules: &RuleSet,
        walk: &mut Walk,
    ) -> Result<(Vec<TagBefore>, More), Error> {
        let key = keys::recent(id);
        let range =
            walk.behind.as_ref().map_or(MemberRange::all(), |last| MemberRange::all().before(last.clone()));
        let members = self.keyspace().range(&key, range, RANGE_LIMIT, Direction::Backward).await?;
        let mut pushes = Vec::with_capacity(members.len());
        for member in &members {
            let tag: Tag = parsed_member(&key, keys::last_part(member))?;
            let at: Ulid = parsed_member(&key, keys::first_part(member))?;
            if rules.retain().iter().any(|rule| rule.is_about(&tag)) {
                pushes.push((at, tag));
            }
        }

        let tags = self.tags_before(id, pushes.iter().map(|(_, tag)| tag.clone()).collect()).await?;
        let pulled = self.pulls_that_count(id, rules, &tags).await?;
        let (mut going, now) = (Vec::new(), self.now());
        for ((at, _), before) in pushes.into_iter().zip(tags) {
            // A crash may have left an entry of a push that was not the last, or of a tag that is gone.
            let lives = before.digest.is_some() && before.pushed_as()? == Some(at);
            let pulled = before.digest.as_ref().and_then(|digest| pulled.get(digest));
            if lives && walk.goes(rules, before.tag(), Ages::of(at, pulled, now)) {
                going.push(before);
            }
        }
        let more = if members.len() == RANGE_LIMIT { More::Yes } else { More::No };
        if let Some(last) = members.last() {
            walk.behind = Some(parsed_member(&key, last)?);
        }
        Ok((going, more))
    }

    /// When what the tags name was pulled last, if a rule asks for that.
    async fn pulls_that_count(
        &self,
        id: RepositoryId,
        rules: &RuleSet,
        tags: &[TagBefore],
    ) -> Result<BTreeMap<Digest, Timestamp>, Error> {
        if rules.retain().iter().all(|rule| rule.pulled_within.is_none()) {
            return Ok(BTreeMap::new());
        }
        let named: BTreeSet<&Digest> = tags.iter().filter_map(|tag| tag.digest.as_ref()).collect();
        self.last_pulls(id, named.into_iter().cloned().collect()).await
    }
}

/// How long ago something happened to a tag.
#[derive(Debug, Clone, Copy)]
struct Ages {
    pushed: Duration,
    /// Since what it names was pulled, as far as that is known, and never longer than since it was pushed.
    unused: Duration,
}

impl Ages {
    fn of(pushed: Ulid, pulled: Option<&Timestamp>, now: Timestamp) -> Self {
        let pushed = age(pushed, now);
        let pulled = pulled.map(|pulled| {
            let age_ms = now.as_millisecond().saturating_sub(pulled.as_millisecond());
            Duration::from_millis(u64::try_from(age_ms).unwrap_or_default())
        });
        Self { pushed, unused: pulled.map_or(pushed, |pulled| pulled.min(pushed)) }
    }
}

impl Walk {
    /// Counts a tag, which must be older than those before. It goes if a rule lets it go, unless it is immutable.
    fn goes(&mut self, rules: &RuleSet, tag: &Tag, ages: Ages) -> bool {
        self.counts.resize(rules.retain().len(), 0);
        let mut goes = false;
        for (rule, count) in
            rules.retain().iter().zip(&mut self.counts).filter(|(rule, _)| rule.is_about(tag))
        {
            goes |= !keeps(rule, *count, ages);
            *count = count.saturating_add(1);
        }
        goes && rules.forbids_to_move(tag).is_none()
    }
}

/// Whether a rule keeps a tag before which it was about `newer` others.
fn keeps(rule: &Retain, newer: u32, ages: Ages) -> bool {
    rule.keep_last.is_some_and(|last| newer < last)
        || rule.within.is_some_and(|within| ages.pushed < within)
        || rule.pulled_within.is_some_and(|within| ages.unused < within)
}

fn age(pushed: Ulid, now: Timestamp) -> Duration {
    let now_ms = u64::try_from(now.as_millisecond()).unwrap_or_default();
    Duration::from_millis(now_ms.saturating_sub(pushed.timestamp_ms()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proto::metadata::rules::RuleSet;
    use serde_json::json;

    use super::{Ages, Walk};

    const DAY: Duration = Duration::from_hours(24);

    /// Which of the tags go, if each was pushed a day before the one in front of it.
    fn gone(rules: serde_json::Value, tags: &[&'static str]) -> Vec<&'static str> {
        let rules: RuleSet = serde_json::from_value(rules).unwrap();
        let mut walk = Walk::default();
        let aged = tags.iter().zip(0..);
        let happened = |days: u32| Ages { pushed: DAY * days, unused: DAY * (days / 2) };
        aged.filter(|(tag, days)| walk.goes(&rules, &tag.parse().unwrap(), happened(*days)))
            .map(|(tag, _)| *tag)
            .collect()
    }

    #[test]
    fn the_last_of_those_that_match_stay() {
        let rules = json!({ "retain": [{ "tags": "ci-*", "except": ["ci-x"], "keep_last": 2 }] });
        assert_eq!(gone(rules, &["ci-5", "v1", "ci-x", "ci-4", "ci-3", "v0", "ci-1"]), ["ci-3", "ci-1"]);
    }

    #[test]
    fn what_is_young_or_among_the_last_stays() {
        let rules = json!({ "retain": [{ "tags": "*", "keep_last": 1, "within": "50h" }] });
        assert_eq!(gone(rules, &["e", "d", "c", "b", "a"]), ["b", "a"]);
    }

    #[test]
    fn what_was_pulled_of_late_stays_however_old_it_is() {
        // In this world everything was pulled half as long ago as it was pushed.
        let rules = json!({ "retain": [{ "tags": "*", "pulled_within": "25h" }] });
        assert_eq!(gone(rules, &["f", "e", "d", "c", "b", "a"]), ["b", "a"]);
        let rules = json!({ "retain": [{ "tags": "*", "keep_last": 5, "pulled_within": "1h" }] });
        assert_eq!(gone(rules, &["f", "e", "d", "c", "b", "a"]), ["a"]);
    }

    #[test]
    fn with_two_rules_both_demands_hold() {
        let rules = json!({ "retain": [{ "tags": "*", "keep_last": 3 }, { "tags": "*", "within": "30h" }] });
        assert_eq!(gone(rules, &["e", "d", "c", "b", "a"]), ["c", "b", "a"]);
    }

    #[test]
    fn what_is_immutable_stays_and_counts() {
        let rules = json!({ "immutable": [{ "tags": "v*" }], "retain": [{ "tags": "*", "keep_last": 1 }] });
        assert_eq!(gone(rules, &["v2", "b", "v1", "a"]), ["b", "a"]);
    }

    #[test]
    fn nothing_goes_without_a_rule() {
        assert_eq!(gone(json!({}), &["b", "a"]), [""; 0]);
    }
}
