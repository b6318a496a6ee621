//! Lets manifests without a tag go, and takes from their list what does not belong there. What is kept waits again, so
//! that no walk looks at all that it has.

use futures_util::future::try_join_all;
use oci::{Digest, RepositoryName};
use proto::metadata::rules::Untagged;

use crate::{
    Outcome, Service,
    audit::By,
    deletion::Found,
    keys::{self, field},
    keyspace::{Commit, Condition, Error, Mutation},
    placement::{Placement, Target},
    retention::Verdict,
    rules::RulesBefore,
    step,
    tags::TagBefore,
    untagged,
};

use super::retaining::AT_ONCE;

impl Service {
    /// Goes on with the walk behind `after`: how many went, and where to go on.
    pub(super) async fn let_untagged_go(
        &self,
        place: (&RepositoryName, Placement),
        (rules, rule): (&RulesBefore, &Untagged),
        after: Option<&Digest>,
    ) -> Result<(u64, Option<Digest>), Error> {
        let (due, next) = self.untagged_page(place.1.id, rule, after).await?;
        let mut gone = 0;
        for some in due.chunks(AT_ONCE) {
            let attempts = some.iter().map(|digest| self.settle(place, digest, (rules, rule)));
            gone += try_join_all(attempts).await?.iter().filter(|went| **went == Went::Yes).count() as u64;
        }
        Ok((gone, next))
    }

    /// Does with a manifest what the verdict is. What changes meanwhile is looked at the next time.
    async fn settle(
        &self,
        (name, place): (&RepositoryName, Placement),
        digest: &Digest,
        (rules, rule): (&RulesBefore, &Untagged),
    ) -> Result<Went, Error> {
        let (id, key) = (place.id, keys::manifest(place.id, digest));
        let commit = Commit::relaxed().when_all(Target::Existing(place).conditions(name));
        let commit = match self.verdict(id, digest, rule).await? {
            Verdict::Goes { leftovers, as_long_as } => {
                return self.goes((name, place), digest, (&leftovers, rules), as_long_as).await;
            }
            Verdict::Tagged(tag) => commit.when_all(tag.unmoved()).then(untagged::unlisted(id, digest)),
            Verdict::Kept => commit
                .when(Condition::FieldPresent(key, field::TYPE))
                .then(untagged::counted_from(id, digest, self.now())),
            // With what a push that was cut off has left of it.
            Verdict::Gone => commit
                .when(Condition::FieldAbsent(key.clone(), field::TYPE))
                .then(Mutation::RemoveRecord(key))
                .then(untagged::unlisted(id, digest)),
        };
        let _ = self.commit(step!("settle_untagged"), commit).await?;
        Ok(Went::No)
    }

    async fn goes(
        &self,
        place: (&RepositoryName, Placement),
        digest: &Digest,
        (leftovers, rules): (&[TagBefore], &RulesBefore),
        as_long_as: Vec<Condition>,
    ) -> Result<Went, Error> {
        let Found::Deletable(found) = self.deletable(place.0, place.1, digest).await? else {
            return Ok(Went::No);
        };
        let found = found.only_if(as_long_as);
        Ok(match self.throw_away(place, (digest, &found), (leftovers, rules), By::rules()).await? {
            Outcome::Committed => Went::Yes,
            Outcome::Conflicted => Went::No,
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Went {
    Yes,
    No,
}
