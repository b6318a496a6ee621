//! A set of rules: bounded, and each says something. What tags it is about is decided here, without any clock.

use std::time::Duration;

use oci::{Tag, TagPattern};
use serde::{Deserialize, Serialize};
use service_kit::config::{humane, humane_option};

/// Rules of one set, at most.
pub const LARGEST_NUMBER_OF_RULES: usize = 32;
/// Exceptions of one rule, at most.
pub const LARGEST_NUMBER_OF_EXCEPTIONS: usize = 16;

/// Prefixes that only a pattern for the tags of referrers begins with.
const OF_REFERRERS: [&str; 2] = ["sha256-", "sha512-"];

/// Rules for tags and for manifests without one, within the limits. Its form as text is that of a TOML or JSON document with these fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Given")]
pub struct RuleSet {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    immutable: Vec<Immutable>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    retain: Vec<Retain>,
    #[serde(skip_serializing_if = "Option::is_none")]
    untagged: Option<Untagged>,
}

/// Tags that may be made, but neither moved to another manifest nor deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Immutable {
    /// Those that match.
    pub tags: TagPattern,
    /// Those that the rule is not about all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<TagPattern>,
}

/// Tags that go by themselves: those that are neither among the last so many that were pushed, nor were pushed or pulled
/// within a time. Each rule is a demand of its own: what one lets go goes, even if another would keep it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retain {
    /// Those that match.
    pub tags: TagPattern,
    /// Those that the rule is not about all the same; they do not count either.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<TagPattern>,
    /// So many stay, those that were pushed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_last: Option<u32>,
    /// Those stay that were pushed in this time.
    #[serde(default, with = "humane_option", skip_serializing_if = "Option::is_none")]
    pub within: Option<Duration>,
    /// Those stay whose manifest was pulled in this time. What was never pulled counts as pulled when it was pushed, or
    /// when the hub began to count pulls.
    #[serde(default, with = "humane_option", skip_serializing_if = "Option::is_none")]
    pub pulled_within: Option<Duration>,
}

/// Manifests that go by themselves: those that have had no tag for a time, and are part of nothing that stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Untagged {
    /// Those stay that were pushed, or lost a tag, in this time.
    #[serde(default, with = "humane")]
    pub within: Duration,
}

/// Why rules are no set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleSetError {
    /// There are too many.
    #[error("{found} rules are more than {LARGEST_NUMBER_OF_RULES}")]
    TooManyRules {
        /// How many there are.
        found: usize,
    },
    /// One has too many exceptions.
    #[error("the rule for {tags} has {found} exceptions, more than {LARGEST_NUMBER_OF_EXCEPTIONS}")]
    TooManyExceptions {
        /// The pattern of that rule.
        tags: TagPattern,
        /// How many it has.
        found: usize,
    },
    /// One would let everything go.
    #[error(
        "the rule for {tags} keeps nothing: say `keep_last`, `within`, `pulled_within` or several, more than zero"
    )]
    KeepsNothing {
        /// The pattern of that rule.
        tags: TagPattern,
    },
    /// Every manifest without a tag would go as soon as it is pushed, those of an index before the index.
    #[error("the rule for manifests without a tag keeps nothing: say `within`, more than zero")]
    KeepsNothingUntagged,
}

/// The tags that a rule is about.
pub trait Selection {
    /// The pattern, and the exceptions from it.
    fn patterns(&self) -> (&TagPattern, &[TagPattern]);

    /// Whether the rule is about `tag`. Those that belong to a manifest, such as `sha256-….sig`, are written by clients
    /// whenever they sign: only a pattern that begins like them is about them.
    fn is_about(&self, tag: &Tag) -> bool {
        let (tags, except) = self.patterns();
        let named = || OF_REFERRERS.iter().any(|prefix| tags.as_str().starts_with(prefix));

        tags.matches(tag)
            && except.iter().all(|except| !except.matches(tag))
            && (!tag.is_of_a_manifest() || named())
    }
}

impl Selection for Immutable {
    fn patterns(&self) -> (&TagPattern, &[TagPattern]) {
        (&self.tags, &self.except)
    }
}

impl Selection for Retain {
    fn patterns(&self) -> (&TagPattern, &[TagPattern]) {
        (&self.tags, &self.except)
    }
}

impl Retain {
    /// Whether every tag would go as soon as it is pushed: nobody means that.
    fn keeps_nothing(&self) -> bool {
        let no_time = [self.within, self.pulled_within].iter().all(|time| time.unwrap_or_default().is_zero());
        self.keep_last.unwrap_or_default() == 0 && no_time
    }
}

impl RuleSet {
    /// A set of these rules.
    ///
    /// # Errors
    /// What is too much, or says nothing.
    pub fn new(
        immutable: Vec<Immutable>,
        retain: Vec<Retain>,
        untagged: Option<Untagged>,
    ) -> Result<Self, RuleSetError> {
        let found = immutable.len() + retain.len();
        if found > LARGEST_NUMBER_OF_RULES {
            return Err(RuleSetError::TooManyRules { found });
        }
        immutable.iter().try_for_each(check_exceptions)?;
        retain.iter().try_for_each(check_exceptions)?;
        if let Some(rule) = retain.iter().find(|rule| rule.keeps_nothing()) {
            return Err(RuleSetError::KeepsNothing { tags: rule.tags.clone() });
        }
        if untagged.is_some_and(|rule| rule.within.is_zero()) {
            return Err(RuleSetError::KeepsNothingUntagged);
        }
        Ok(Self { immutable, retain, untagged })
    }

    /// The rules for tags that do not move.
    pub fn immutable(&self) -> &[Immutable] {
        &self.immutable
    }

    /// The rules for tags that go by themselves.
    pub fn retain(&self) -> &[Retain] {
        &self.retain
    }

    /// The rule for manifests without a tag; none: they stay.
    pub fn untagged(&self) -> Option<&Untagged> {
        self.untagged.as_ref()
    }

    /// The first rule that forbids to move or delete `tag`.
    pub fn forbids_to_move(&self, tag: &Tag) -> Option<&Immutable> {
        self.immutable.iter().find(|rule| rule.is_about(tag))
    }
}

fn check_exceptions(rule: &impl Selection) -> Result<(), RuleSetError> {
    let (tags, except) = rule.patterns();
    let found = except.len();
    if found > LARGEST_NUMBER_OF_EXCEPTIONS {
        return Err(RuleSetError::TooManyExceptions { tags: tags.clone(), found });
    }
    Ok(())
}

/// A set as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    #[serde(default)]
    immutable: Vec<Immutable>,
    #[serde(default)]
    retain: Vec<Retain>,
    #[serde(default)]
    untagged: Option<Untagged>,
}

impl TryFrom<Given> for RuleSet {
    type Error = RuleSetError;

    fn try_from(given: Given) -> Result<Self, RuleSetError> {
        Self::new(given.immutable, given.retain, given.untagged)
    }
}

#[cfg(test)]
mod tests {
    use super::{LARGEST_NUMBER_OF_RULES, RuleSet};

    fn read(toml: &str) -> Result<RuleSet, String> {
        serde_json::from_str(toml).map_err(|error| error.to_string())
    }

    #[test]
    fn a_set_is_written_as_it_is_read() {
        let text = r#"{"immutable":[{"tags":"v*","except":["v*-rc*"]}],"retain":[{"tags":"ci-*","keep_last":10,"within":"720h","pulled_within":"30d"}],"untagged":{"within":"30d"}}"#;
        let rules = read(text).unwrap();
        assert_eq!(read(&serde_json::to_string(&rules).unwrap()).unwrap(), rules);
    }

    #[test]
    fn a_misspelt_rule_is_refused_rather_than_ignored() {
        for wrong in [
            r#"{"retain":[{"tags":"*","keep_last":1,"witin":"1h"}]}"#,
            r#"{"imutable":[{"tags":"*"}]}"#,
            r#"{"immutable":[{"tags":"v[0-9]"}]}"#,
            r#"{"retain":[{"tags":"*"}]}"#,
            r#"{"retain":[{"tags":"*","keep_last":0}]}"#,
            r#"{"retain":[{"tags":"*","keep_last":0,"within":"0s","pulled_within":"0s"}]}"#,
            r#"{"untagged":{"within":"1h","tags":"*"}}"#,
            r#"{"untagged":[{"within":"1h"}]}"#,
        ] {
            read(wrong).unwrap_err();
        }
    }

    #[test]
    fn a_rule_that_lets_a_manifest_go_as_soon_as_it_has_no_tag_is_refused() {
        for wrong in [r#"{"untagged":{}}"#, r#"{"untagged":{"within":"0s"}}"#] {
            let why = read(wrong).unwrap_err();
            assert!(why.contains("without a tag keeps nothing") && why.contains("`within`"), "{why}");
        }
    }

    #[test]
    fn there_are_no_more_rules_than_a_push_can_look_at() {
        let rules = |count| format!(r#"{{"immutable":[{}]}}"#, vec![r#"{"tags":"a"}"#; count].join(","));
        read(&rules(LARGEST_NUMBER_OF_RULES)).unwrap();
        read(&rules(LARGEST_NUMBER_OF_RULES + 1)).unwrap_err();
    }

    #[test]
    fn a_rule_is_about_signatures_only_if_it_says_so() {
        let rules = read(r#"{"immutable":[{"tags":"*","except":["dev"]}]}"#).unwrap();
        let signature = format!("sha256-{}.sig", "a".repeat(64));
        let forbids = |rules: &RuleSet, tag: &str| rules.forbids_to_move(&tag.parse().unwrap()).is_some();

        assert!(forbids(&rules, "v1"));
        assert!(!forbids(&rules, "dev"));
        assert!(!forbids(&rules, &signature));
        assert!(forbids(&read(r#"{"immutable":[{"tags":"sha256-*"}]}"#).unwrap(), &signature));
    }
}
