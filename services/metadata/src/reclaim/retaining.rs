//! Retention: repository after repository, and in each the tags from the last pushed on, then the manifests without
//! one. Steps are small, so that the walk over a large one goes on where the step before has ended.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use oci::{Digest, RepositoryName};
use proto::metadata::{More, reclaim::Retained, rules::RuleSet};
use serde::{Deserialize, Serialize};

use crate::{
    Outcome, Service,
    audit::By,
    deletion::{Found, TAGS_AT_ONCE},
    keys::RepositoryId,
    keyspace::Error,
    placement::Placement,
    retention::Walk,
    rules::RulesBefore,
    tags::TagBefore,
};

/// Repositories in one step.
const REPOSITORIES: usize = 50;

/// Pages of tags or manifests in one step.
const PAGES: usize = 4;

/// Commits at one time: they share one sync.
pub(super) const AT_ONCE: usize = 64;

/// Where a walk goes on.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Cursor {
    /// All until here are done.
    after: Option<RepositoryName>,
    /// In the next one.
    within: Option<Within>,
}

/// How far the walk has come in a repository, as long as that and its rules are the same.
#[derive(Debug, Serialize, Deserialize)]
struct Within {
    id: String,
    rules: Digest,
    stage: Stage,
}

/// A repository is walked over twice, as far as its rules ask for it.
#[derive(Debug, Serialize, Deserialize)]
enum Stage {
    /// Over its tags.
    Tags(Walk),
    /// Over its manifests without one, behind this.
    Untagged(Option<Digest>),
}

impl Service {
    pub(super) async fn retain_by_rules(&self, cursor: Option<&str>) -> Result<Retained, Error> {
        // One that cannot be read is of another release: the walk begins anew, which does no harm.
        let Cursor { mut after, mut within } =
            cursor.and_then(|cursor| serde_json::from_str(cursor).ok()).unwrap_or_default();
        let (repositories, next) = self.walked(after.as_ref(), REPOSITORIES).await?;

        let (mut retained, mut pages) = (Retained::default(), PAGES);
        for (name, place) in repositories {
            let rules = self.rules_before(place, &name).await?;
            let resumed = within.take().and_then(|within| within.resumed(place.id, &rules.set));
            let mut stage = resumed.or_else(|| Stage::first(&rules.set));
            while let Some(begun) = stage {
                if pages == 0 {
                    let within = Some(Within::of(place.id, &rules.set, begun));
                    retained.next = written(&Cursor { after, within });
                    return Ok(retained);
                }
                pages -= 1;
                stage = self.walk_on((&name, place), &rules, begun, &mut retained).await?;
            }
            after = Some(name);
        }
        retained.next = next.and_then(|after| written(&Cursor { after: Some(after), within: None }));
        Ok(retained)
    }

    /// Does a page, and answers where to go on in this repository.
    async fn walk_on(
        &self,
        place: (&RepositoryName, Placement),
        rules: &RulesBefore,
        stage: Stage,
        retained: &mut Retained,
    ) -> Result<Option<Stage>, Error> {
        match (stage, rules.set.untagged()) {
            (Stage::Tags(mut walk), _) => {
                let (going, more) = self.tags_to_go(place.1.id, &rules.set, &mut walk).await?;
                self.let_all_go(place, going, rules, retained).await?;
                Ok(if more == More::Yes { Some(Stage::Tags(walk)) } else { Stage::second(&rules.set) })
            }
            (Stage::Untagged(after), Some(rule)) => {
                let (gone, next) = self.let_untagged_go(place, (rules, rule), after.as_ref()).await?;
                retained.manifests += gone;
                retained.untagged += gone;
                Ok(next.map(|next| Stage::Untagged(Some(next))))
            }
            (Stage::Untagged(_), None) => Ok(None),
        }
    }

    async fn let_all_go(
        &self,
        place: (&RepositoryName, Placement),
        going: Vec<TagBefore>,
        rules: &RulesBefore,
        retained: &mut Retained,
    ) -> Result<(), Error> {
        let groups: Vec<_> = by_manifest(going).into_iter().collect();
        for some in groups.chunks(AT_ONCE) {
            let attempts = some.iter().map(|(digest, tags)| self.let_go(place, (digest, tags), rules));
            for (tags, manifests) in try_join_all(attempts).await? {
                retained.tags += tags;
                retained.manifests += manifests;
            }
        }
        Ok(())
    }

    /// Removes tags of one manifest, and that with its last ones. Answers how many tags and manifests went: what
    /// changes meanwhile is looked at the next time.
    async fn let_go(
        &self,
        (name, place): (&RepositoryName, Placement),
        (digest, tags): (&Digest, &[TagBefore]),
        rules: &RulesBefore,
    ) -> Result<(u64, u64), Error> {
        let mut gone = 0;
        let (first, last) = tags.split_at(tags.len().saturating_sub(TAGS_AT_ONCE));
        for some in first.chunks(TAGS_AT_ONCE) {
            if self.remove_tags(name, place, (some, rules), By::rules()).await? == Outcome::Committed {
                gone += some.len() as u64;
            }
        }

        let found = if self.tags_of(place.id, digest).await?.len() == last.len() {
            self.deletable(name, place, digest).await?
        } else {
            Found::Nothing
        };
        let (outcome, manifests) = match &found {
            Found::Deletable(found) => {
                (self.throw_away((name, place), (digest, found), (last, rules), By::rules()).await?, 1)
            }
            _ => (self.remove_tags(name, place, (last, rules), By::rules()).await?, 0),
        };
        Ok(match outcome {
            Outcome::Committed => (gone + last.len() as u64, manifests),
            Outcome::Conflicted => (gone, 0),
        })
    }
}

fn by_manifest(going: Vec<TagBefore>) -> BTreeMap<Digest, Vec<TagBefore>> {
    let mut groups = BTreeMap::<_, Vec<_>>::new();
    for tag in going {
        if let Some(digest) = tag.digest.clone() {
            groups.entry(digest).or_default().push(tag);
        }
    }
    groups
}

impl Stage {
    /// None: the rules let nothing go.
    fn first(rules: &RuleSet) -> Option<Self> {
        if rules.retain().is_empty() { Self::second(rules) } else { Some(Self::Tags(Walk::default())) }
    }

    fn second(rules: &RuleSet) -> Option<Self> {
        rules.untagged().map(|_| Self::Untagged(None))
    }
}

impl Within {
    fn of(id: RepositoryId, rules: &RuleSet, stage: Stage) -> Self {
        Self { id: id.to_string(), rules: mark(rules), stage }
    }

    fn resumed(self, id: RepositoryId, rules: &RuleSet) -> Option<Stage> {
        let same = self.id == id.to_string() && self.rules == mark(rules);
        same.then_some(self.stage)
    }
}

fn mark(rules: &RuleSet) -> Digest {
    Digest::of_sha256(&serde_json::to_vec(rules).unwrap_or_default())
}

fn written(cursor: &Cursor) -> Option<String> {
    serde_json::to_string(cursor).ok()
}
