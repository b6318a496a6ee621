//! The contract `Rules`, and the rules in force: a repository's own, or else those of its namespace.

use async_trait::async_trait;
use bytes::Bytes;
use oci::{Digest, RepositoryName};
use proto::metadata::{
    Actor, RepositoryError, Rules,
    audit::Action,
    rules::{Immutable, Preview, RuleSet, RulesOf},
};

use crate::{
    ATTEMPTS, Outcome, Service,
    audit::Audit,
    failure::{damaged, next},
    keys::{self, field},
    keyspace::{Commit, Condition, Error, Field, Key, Mutation},
    namespaces::Owner,
    placement::{Placement, Target},
    step,
    tags::TagBefore,
};

#[async_trait]
impl Rules for Service {
    async fn rules(&self, of: &RulesOf) -> Result<Option<RuleSet>, RepositoryError> {
        let (_, key, _) = self.place_of_rules(of).await?;
        let found = self.fields(&[(key.clone(), field::RULES)]).await?.pop().flatten();

        Ok(found.map(|found| recorded(&key, &found)).transpose()?)
    }

    async fn put_rules(
        &self,
        of: &RulesOf,
        rules: Option<&RuleSet>,
        actor: &Actor,
    ) -> Result<(), RepositoryError> {
        for _ in 0..ATTEMPTS {
            let (owner, key, conditions) = self.place_of_rules(of).await?;
            let change = match rules {
                Some(rules) => Mutation::SetField(key, field::RULES, written(rules)?),
                None => Mutation::RemoveField(key, field::RULES),
            };
            let audited = self.audited(actor, &audit(owner, of, rules)).await?;
            let commit = Commit::synced().when_all(conditions).then_all(audited).then(change);
            if self.commit(step!("put_rules"), commit).await? == Outcome::Committed {
                return Ok(());
            }
        }

        Err(RepositoryError::Conflict { attempted: format!("making the rules of {of}").into() })
    }

    async fn preview_rules(
        &self,
        repository: &RepositoryName,
        rules: Option<&RuleSet>,
    ) -> Result<Preview, RepositoryError> {
        let place = self.placements(std::slice::from_ref(repository)).await?.pop().flatten();
        let place = place.ok_or_else(|| RepositoryError::NameUnknown { repository: repository.clone() })?;
        let rules = match rules {
            Some(rules) => rules.clone(),
            None => self.rules_before(place, repository).await?.set,
        };

        Ok(self.preview(place.id, &rules).await?)
    }
}

impl Service {
    /// Whose they are, the record with the rules, and what must be so for it to be the right one.
    async fn place_of_rules(&self, of: &RulesOf) -> Result<(Owner, Key, Vec<Condition>), RepositoryError> {
        match of {
            RulesOf::Repository(name) => {
                let place = self.placements(std::slice::from_ref(name)).await?.pop().flatten();
                let place = place.ok_or_else(|| RepositoryError::NameUnknown { repository: name.clone() })?;
                Ok((place.owner, keys::state(place.id), Target::Existing(place).conditions(name)))
            }
            RulesOf::Namespace(namespace) => {
                let owner = self.claimed(namespace).await?;
                let unknown = || RepositoryError::NamespaceUnknown { namespace: namespace.clone() };
                let owner = owner.ok_or_else(unknown)?;
                let key = keys::namespace(owner, namespace);
                Ok((owner, key.clone(), vec![Condition::FieldPresent(key, field::NAME)]))
            }
        }
    }

    /// The rules in force where something is to be written.
    pub(crate) async fn rules_before(
        &self,
        place: Placement,
        name: &RepositoryName,
    ) -> Result<RulesBefore, Error> {
        let mut values = self.fields(&RulesBefore::fields(&place, name)).await?.into_iter();
        RulesBefore::read(&place, name, &mut values)
    }
}

/// The rules in force as they were read.
#[derive(Debug, Clone)]
pub(crate) struct RulesBefore {
    own: (Key, Option<Bytes>),
    inherited: (Key, Option<Bytes>),
    pub(crate) set: RuleSet,
}

impl RulesBefore {
    pub(crate) fn fields(place: &Placement, name: &RepositoryName) -> [(Key, Field); 2] {
        [keys::state(place.id), keys::namespace(place.owner, &name.namespace())]
            .map(|key| (key, field::RULES))
    }

    /// Reads the next values, which were asked for by `fields`.
    pub(crate) fn read(
        place: &Placement,
        name: &RepositoryName,
        values: &mut impl Iterator<Item = Option<Bytes>>,
    ) -> Result<Self, Error> {
        let [own, inherited] = Self::fields(place, name).map(|(key, _)| (key, next(values)));
        let in_force = [&own, &inherited].into_iter().find_map(|(key, found)| Some((key, found.as_ref()?)));
        let set = in_force.map_or(Ok(RuleSet::default()), |(key, found)| recorded(key, found))?;

        Ok(Self { own, inherited, set })
    }

    /// The same rules are in force.
    pub(crate) fn unchanged(&self) -> Vec<Condition> {
        let as_read = |(key, found): &(Key, Option<Bytes>)| {
            Condition::unchanged(key.clone(), field::RULES, found.clone())
        };
        let inherited = self.own.1.is_none().then(|| as_read(&self.inherited));
        std::iter::once(as_read(&self.own)).chain(inherited).collect()
    }

    /// The refusal of the first of `tags` that neither moves nor goes, if it is to name something else than it does.
    pub(crate) fn forbidden(&self, tags: &[TagBefore], to: Option<&Digest>) -> Option<RepositoryError> {
        tags.iter().find_map(|before| {
            let current = before.digest.as_ref().filter(|current| Some(*current) != to)?;
            let Immutable { tags: rule, .. } = self.set.forbids_to_move(before.tag())?;
            let (tag, current, rule) = (before.tag().clone(), current.clone(), rule.clone());
            Some(RepositoryError::TagImmutable { tag, current, rule })
        })
    }
}

fn audit(owner: Owner, of: &RulesOf, rules: Option<&RuleSet>) -> Audit {
    let action = if rules.is_some() { Action::RulesPut } else { Action::RulesRemove };
    match of {
        RulesOf::Repository(name) => Audit::of_repository(action, owner, name),
        RulesOf::Namespace(name) => Audit::of_namespace(action, owner, name),
    }
}

fn written(rules: &RuleSet) -> Result<Bytes, Error> {
    let text = serde_json::to_vec(rules);
    text.map(Bytes::from).map_err(|error| Error::Damaged { what: format!("rules: {error}") })
}

fn recorded(key: &Key, found: &Bytes) -> Result<RuleSet, Error> {
    serde_json::from_slice(found).map_err(|_| damaged(key, &field::RULES))
}
